//! The commands that change stored declarations: each is one request, and takes effect as a whole
//! or not at all.

use std::io::{self, Read, Write};
use std::path::Path;

use toml::{Table, Value};

use super::client::{self, ControlClient};
use super::error::CtlError;
use super::output::Output;
use super::store_arguments::{
    AcceptArguments, ApplyArguments, CreateArguments, DeleteArguments, HalfName, NetworkName,
    RejectArguments, Setting,
};
use super::text::plain;
use crate::control::{StoreAnswer, StoreRequest};
use crate::view::HalfView;

/// What everybody who declares a peering has to know.
const WARNING: &str = "\
warning: peer only with networks that you trust. Once both sides have declared it, every address of
  one reaches every address of the other, on every port. `export`, `import` and ACLs narrow that.";

pub(super) async fn create(
    client: &ControlClient,
    output: &Output,
    arguments: CreateArguments,
) -> Result<(), CtlError> {
    let CreateArguments { half, target, settings, dry_run } = arguments;
    let declarations = Some(declaration(&half, &target, settings));
    let project = half.project.clone();
    let create = true;
    let request =
        StoreRequest { project, declarations, create, dry_run, ..StoreRequest::default() };
    declare(client, output, &half, &request).await
}

pub(super) async fn accept(
    client: &ControlClient,
    output: &Output,
    arguments: AcceptArguments,
) -> Result<(), CtlError> {
    let AcceptArguments { network, from, name, dry_run } = arguments;
    let NetworkName { project, network } = network;
    let name = name.unwrap_or_else(|| format!("{}-{}", from.project, from.network));
    let unreject = vec![(network.clone(), from.project.clone(), from.network.clone())];
    let half = HalfName { project: project.clone(), network, name };
    let declarations = Some(declaration(&half, &from, Vec::new()));
    let create = true;
    let request = StoreRequest {
        project,
        declarations,
        unreject,
        create,
        dry_run,
        ..StoreRequest::default()
    };
    declare(client, output, &half, &request).await
}

/// Stores a new half, and shows its state.
async fn declare(
    client: &ControlClient,
    output: &Output,
    half: &HalfName,
    request: &StoreRequest,
) -> Result<(), CtlError> {
    if !output.is_quiet() {
        drop(writeln!(io::stderr().lock(), "{WARNING}"));
    }
    store(client, output, request).await?;
    if request.dry_run { Ok(()) } else { report(client, output, half).await }
}

pub(super) async fn reject(
    client: &ControlClient,
    output: &Output,
    arguments: RejectArguments,
) -> Result<(), CtlError> {
    let RejectArguments { network, from } = arguments;
    let entry = table([
        ("network", network.network),
        ("from_project", from.project),
        ("from_network", from.network),
    ]);
    let declarations = Some(file(&network.project, "rejection", entry));
    let project = network.project;
    store(client, output, &StoreRequest { project, declarations, ..StoreRequest::default() }).await
}

pub(super) async fn unreject(
    client: &ControlClient,
    output: &Output,
    arguments: RejectArguments,
) -> Result<(), CtlError> {
    let RejectArguments { network, from } = arguments;
    let unreject = vec![(network.network, from.project, from.network)];
    let project = network.project;
    store(client, output, &StoreRequest { project, unreject, ..StoreRequest::default() }).await
}

pub(super) async fn delete(
    client: &ControlClient,
    output: &Output,
    arguments: DeleteArguments,
) -> Result<(), CtlError> {
    let DeleteArguments { half, dry_run } = arguments;
    let remove = vec![(half.network, half.name)];
    let project = half.project;
    store(client, output, &StoreRequest { project, remove, dry_run, ..StoreRequest::default() })
        .await
}

pub(super) async fn apply(
    client: &ControlClient,
    output: &Output,
    arguments: ApplyArguments,
) -> Result<(), CtlError> {
    let ApplyArguments { project, file, dry_run } = arguments;
    let request = StoreRequest {
        project,
        declarations: Some(read(&file)?),
        path: Some(file.display().to_string()),
        replace: true,
        dry_run,
        ..StoreRequest::default()
    };
    store(client, output, &request).await
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
fn declaration(half: &HalfName, target: &NetworkName, settings: Vec<Setting>) -> String {
    let mut entry = table([
        ("name", half.name.clone()),
        ("network", half.network.clone()),
        ("target_project", target.project.clone()),
        ("target_network", target.network.clone()),
    ]);
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

async fn store(
    client: &ControlClient,
    output: &Output,
    request: &StoreRequest,
) -> Result<(), CtlError> {
    let answer: StoreAnswer = client.post_json("/v1/store", request).await?;
    output.show(&answer, |answer, _| changes(answer, request.dry_run))
}

/// A line for each change.
fn changes(answer: &StoreAnswer, dry_run: bool) -> String {
    if answer.is_empty() {
        return "Nothing changes.\n".to_owned();
    }
    let verbs = if dry_run {
        ["would store", "would delete", "would store the rejection", "would delete the rejection"]
    } else {
        ["stored", "deleted", "stored the rejection", "deleted the rejection"]
    };
    let all = [&answer.stored, &answer.removed, &answer.rejected, &answer.unrejected];
    let lines = verbs.into_iter().zip(all);
    let lines = lines
        .flat_map(|(verb, keys)| keys.iter().map(move |key| format!("{verb} {}\n", plain(key))));
    lines.collect()
}

/// The state of a half that was just stored, for people.
async fn report(client: &ControlClient, output: &Output, half: &HalfName) -> Result<(), CtlError> {
    if !output.is_for_people() {
        return Ok(());
    }
    let path = client::path(&["v1", "halves", &half.project, &half.network, &half.name]);
    let half: HalfView = client.get(&path).await?;
    output.show(&half, |half, _| {
        let explanation = half.explanation.iter().map(|text| format!(": {}", plain(text)));
        let next = half.next_step.iter().map(|text| format!("next: {}\n", plain(text)));
        let state: String = explanation.collect();
        let next: String = next.collect();
        format!("{}{state}\n{next}", half.state)
    })
}
