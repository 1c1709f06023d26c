//! The commands that change stored declarations: each is one request, and takes effect as a whole
//! or not at all.

use std::io::{self, Read, Write};
use std::path::Path;

use toml::{Table, Value};

use super::change;
use super::client::{self, ControlClient};
use super::edit;
use super::error::CtlError;
use super::names::{HalfName, NetworkName, Scope, Target, WrittenNetwork};
use super::output::Output;
use super::send::{report, state_line, store};
use super::store_arguments::{
    AcceptArguments, ApplyArguments, CreateArguments, ExportArguments, HalfChange, RejectArguments,
    Setting, StoreCommand, StoreOptions, WaitArguments,
};
use super::wait::wait;
use crate::control::StoreRequest;
use crate::view::{State, StoreView};

/// What everybody who declares a peering has to know.
const WARNING: &str = "\
warning: peer only with networks that you trust. Once both sides have declared it, every address of
  one reaches every address of the other, on every port, unless the operator's `filters` is \"closed\".
  `in` and `out` close ports, protocols and addresses; `export` and `import` choose prefixes.";

pub(super) async fn obey(
    client: &ControlClient,
    output: &Output,
    command: StoreCommand,
) -> Result<(), CtlError> {
    match command {
        StoreCommand::Create(arguments) => create(client, output, arguments).await,
        StoreCommand::Accept(arguments) => accept(client, output, arguments).await,
        StoreCommand::Reject(arguments) => reject(client, output, arguments).await,
        StoreCommand::Unreject(arguments) => unreject(client, output, arguments).await,
        StoreCommand::Enable(arguments) => change::enable(client, output, arguments).await,
        StoreCommand::Disable(arguments) => change::disable(client, output, arguments).await,
        StoreCommand::Renew(arguments) => change::renew(client, output, arguments).await,
        StoreCommand::Rename(arguments) => change::rename(client, output, arguments).await,
        StoreCommand::Delete(arguments) => delete(client, output, arguments).await,
        StoreCommand::Set(arguments) => change::set(client, output, arguments).await,
        StoreCommand::Unset(arguments) => change::unset(client, output, arguments).await,
        StoreCommand::Get(arguments) => change::get(client, output, arguments).await,
        StoreCommand::Edit(arguments) => edit::edit(client, output, arguments).await,
        StoreCommand::Apply(arguments) => apply(client, output, arguments).await,
        StoreCommand::Export(arguments) => export(client, output, arguments).await,
        StoreCommand::Wait(arguments) => until(client, output, arguments).await,
    }
}

async fn create(
    client: &ControlClient,
    output: &Output,
    arguments: CreateArguments,
) -> Result<(), CtlError> {
    let CreateArguments { half, target, settings, scope, options } = arguments;
    let half = half.resolve(client, &scope).await?;
    let declarations = declaration(&half, &target.beside(&half.project), settings);
    declare(client, output, &half, declarations, Vec::new(), &options).await
}

async fn accept(
    client: &ControlClient,
    output: &Output,
    arguments: AcceptArguments,
) -> Result<(), CtlError> {
    let AcceptArguments { network, from, name, scope, options } = arguments;
    let (NetworkName { project, network }, from) = both(client, network, from, &scope).await?;
    let name = name.unwrap_or_else(|| format!("{}-{}", from.project, from.network));
    let unreject = vec![(network.clone(), from.project.clone(), from.network.clone())];
    let half = HalfName { project, network, name };
    let declarations = declaration(&half, &Target::Named(from), Vec::new());
    declare(client, output, &half, declarations, unreject, &options).await
}

/// A network, and the one that asks it.
async fn both(
    client: &ControlClient,
    network: WrittenNetwork,
    from: WrittenNetwork,
    scope: &Scope,
) -> Result<(NetworkName, NetworkName), CtlError> {
    let network = network.resolve(client, scope).await?;
    let from = from.beside(&network.project);
    Ok((network, from))
}

/// Stores a new half, and shows its state.
async fn declare(
    client: &ControlClient,
    output: &Output,
    half: &HalfName,
    declarations: String,
    unreject: Vec<(String, String, String)>,
    options: &StoreOptions,
) -> Result<(), CtlError> {
    if !output.is_quiet() {
        drop(writeln!(io::stderr().lock(), "{WARNING}"));
    }
    let request = StoreRequest {
        project: half.project.clone(),
        declarations: Some(declarations),
        unreject,
        create: true,
        dry_run: options.dry_run,
        ..StoreRequest::default()
    };
    store(client, output, &request).await?;
    report(client, output, half, options).await
}

async fn reject(
    client: &ControlClient,
    output: &Output,
    arguments: RejectArguments,
) -> Result<(), CtlError> {
    let RejectArguments { network, from, scope, dry_run } = arguments;
    let (NetworkName { project, network }, from) = both(client, network, from, &scope).await?;
    let entry = table([
        ("network", network),
        ("from_project", from.project),
        ("from_network", from.network),
    ]);
    let declarations = Some(file(&project, "rejection", entry));
    let request = StoreRequest { project, declarations, dry_run, ..StoreRequest::default() };
    store(client, output, &request).await
}

async fn unreject(
    client: &ControlClient,
    output: &Output,
    arguments: RejectArguments,
) -> Result<(), CtlError> {
    let RejectArguments { network, from, scope, dry_run } = arguments;
    let (NetworkName { project, network }, from) = both(client, network, from, &scope).await?;
    let unreject = vec![(network, from.project, from.network)];
    let request = StoreRequest { project, unreject, dry_run, ..StoreRequest::default() };
    store(client, output, &request).await
}

async fn delete(
    client: &ControlClient,
    output: &Output,
    arguments: HalfChange,
) -> Result<(), CtlError> {
    let HalfChange { half, options } = arguments;
    let half = half.resolve(client).await?;
    let request = StoreRequest {
        project: half.project.clone(),
        remove: vec![(half.network.clone(), half.name.clone())],
        if_match: options.if_match.clone(),
        dry_run: options.store.dry_run,
        ..StoreRequest::default()
    };
    store(client, output, &request).await?;
    match &options.store.wait.wait {
        // What is deleted is active no more: the word alone means that it is gone.
        Some(states) if !options.store.dry_run => {
            let gone = [State::Deleted];
            let states = if states[..] == [State::Active] { &gone[..] } else { states };
            wait(client, &half, states, &options.store.wait.timeout).await.map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

async fn apply(
    client: &ControlClient,
    output: &Output,
    arguments: ApplyArguments,
) -> Result<(), CtlError> {
    let ApplyArguments { scope, file, dry_run } = arguments;
    let request = StoreRequest {
        project: scope.project(client, None).await?,
        declarations: Some(read(&file)?),
        path: Some(file.display().to_string()),
        replace: true,
        dry_run,
        ..StoreRequest::default()
    };
    store(client, output, &request).await
}

async fn export(
    client: &ControlClient,
    output: &Output,
    arguments: ExportArguments,
) -> Result<(), CtlError> {
    let project = arguments.scope.project(client, None).await?;
    let stored: StoreView = client.get(&client::path(&["v1", "store", &project])).await?;
    output.show(&stored, |stored, _| stored.declarations.clone())
}

async fn until(
    client: &ControlClient,
    output: &Output,
    arguments: WaitArguments,
) -> Result<(), CtlError> {
    let WaitArguments { half, states, timeout } = arguments;
    let half = half.resolve(client).await?;
    match wait(client, &half, &states, &timeout).await? {
        Some(found) => output.show(&found, |found, _| state_line(found)),
        None => Ok(()),
    }
}

fn read(file: &Path) -> Result<String, CtlError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|source| CtlError::Read { file: file.to_owned(), source })
}

/// A file of `peerings.d` with one half.
fn declaration(half: &HalfName, target: &Target, settings: Vec<Setting>) -> String {
    let mut entry = table([("name", half.name.clone()), ("network", half.network.clone())]);
    entry.extend(match target {
        Target::Uuid(uuid) => table([("target_uuid", uuid.to_string())]),
        Target::Named(target) => table([
            ("target_project", target.project.clone()),
            ("target_network", target.network.clone()),
        ]),
    });
    entry.extend(settings.into_iter().map(|Setting(key, value)| (key, value)));
    file(&half.project, "peering", entry)
}

fn table<const N: usize>(pairs: [(&str, String); N]) -> Table {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
}

fn file(project: &str, key: &str, entry: Table) -> String {
    let mut file = table([("project", project.to_owned())]);
    file.insert(key.to_owned(), Value::Array(vec![Value::Table(entry)]));
    file.to_string()
}
