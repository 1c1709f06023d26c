//! `edit`: one half in an editor, opened again until it is right.

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::change::{declared, replace};
use super::change_error::ChangeError;
use super::client::ControlClient;
use super::document::Document;
use super::error::CtlError;
use super::follow::{Look, look_until};
use super::names::HalfName;
use super::output::Output;
use super::store_arguments::{ChangeOptions, EditArguments};
use crate::control::Refusal;
use crate::declare::{HalfKey, NetworkKey, NotStored, STORE, parse_stored, written};
use crate::view::HalfDetail;

/// Begins a line that is not part of the text: both TOML and YAML ignore it.
const MARK: &str = "#: ";
/// How long the daemon may take to apply a file that was edited.
const APPLIED_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn edit(
    client: &ControlClient,
    output: &Output,
    arguments: EditArguments,
) -> Result<(), CtlError> {
    let EditArguments { half, yaml, options } = arguments;
    let half = half.resolve(client).await?;
    let (detail, document) = declared(client, &half).await?;
    let stored = detail.stored.as_ref().is_some_and(|stored| stored.in_effect);
    let form = if yaml { Form::Yaml } else { Form::Toml };
    match (&detail.path, detail.line) {
        (Some(path), Some(line)) if !stored => in_file(client, &half, Path::new(path), line).await,
        _ if is_filed(&detail) => Err(kept_in_file(&half, &detail)),
        _ if io::stdin().is_terminal() => {
            in_editor(client, output, &half, form, detail, document, &options).await
        }
        _ => {
            let mut text = String::new();
            let read = io::stdin().lock().read_to_string(&mut text);
            let standard_input = || "standard input".into();
            read.map_err(|source| CtlError::Read { file: standard_input(), source })?;
            let document = form.parse(&text).map_err(ChangeError::Text)?;
            replace(client, output, &detail, document, &options).await
        }
    }
}

/// Whether a file of some host declares the half: that counts before the store.
fn is_filed(detail: &HalfDetail) -> bool {
    detail.half.hosts.iter().any(|host| host != STORE)
}

/// The refusal that the daemon would answer with, before anybody has written anything.
fn kept_in_file(half: &HalfName, detail: &HalfDetail) -> CtlError {
    let network = NetworkKey::new(half.project.as_str(), half.network.as_str());
    let place = detail.path.as_ref().zip(detail.line);
    let hosts = detail.half.hosts.iter().filter(|host| *host != STORE);
    let why = NotStored::InFile {
        half: HalfKey::new(network, half.name.as_str()),
        place: place.map(|(path, line)| format!("{path}:{line}")),
        hosts: hosts.map(|host| host.as_str().into()).collect(),
    };
    CtlError::Refused(Refusal::NotStored(why).into())
}

/// How the half is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Toml,
    Yaml,
}

impl Form {
    fn write(self, detail: &HalfDetail, document: &Document) -> Result<String, CtlError> {
        match self {
            Self::Toml => Ok(detail.declaration.clone().unwrap_or_default()),
            Self::Yaml => document.to_yaml(),
        }
    }

    fn parse(self, text: &str) -> Result<Document, String> {
        match self {
            Self::Toml => Document::parse(text),
            Self::Yaml => Document::from_yaml(text),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Toml => ".toml",
            Self::Yaml => ".yaml",
        }
    }
}

/// Edits a copy until the store takes it, or until its author leaves it as it was.
async fn in_editor(
    client: &ControlClient,
    output: &Output,
    half: &HalfName,
    form: Form,
    mut detail: HalfDetail,
    mut document: Document,
    options: &ChangeOptions,
) -> Result<(), CtlError> {
    let file = tempfile::Builder::new().prefix("ovn-peerctl-").suffix(form.suffix()).tempfile();
    let file = file.map_err(ChangeError::Editor)?;
    let hint = "Edit the half, then save it and leave the editor. These lines are ignored.";
    let mut text = form.write(&detail, &document)?;
    let mut before = text.clone();
    let mut note = hint.to_owned();
    let mut wrong = None;
    loop {
        fs::write(file.path(), format!("{}{text}", noted(&note))).map_err(ChangeError::Editor)?;
        open(file.path(), None)?;
        let edited = fs::read_to_string(file.path()).map_err(ChangeError::Editor)?;
        let edited = without_notes(&edited);
        if edited == before {
            return match wrong {
                None => output.show(&(), |(), _| "Nothing changes.\n".to_owned()),
                Some(error) => Err(CtlError::Edited { error, text: edited }),
            };
        }
        let result = match form.parse(&edited) {
            Ok(document) => replace(client, output, &detail, document, options).await,
            Err(why) => Err(ChangeError::Text(why).into()),
        };
        match result {
            Err(error) if error.has_changed() && options.if_match.is_none() => {
                (detail, document) = declared(client, half).await?;
                let own = edited.lines().map(|line| format!("{MARK}{line}\n"));
                note = "Somebody else has changed it meanwhile. This is the new text; yours was:\n"
                    .to_owned();
                text = form.write(&detail, &document)?;
                text = own.chain([text]).collect();
                (before, wrong) = (without_notes(&text), None);
            }
            Err(error) if error.is_about_text() => {
                let all = error.diagnostics().iter().map(|it| format!("\n{it}"));
                note = error.chain() + &all.collect::<String>();
                (text, before, wrong) = (edited.clone(), edited, Some(Box::new(error)));
            }
            Err(error) => {
                let text = edited;
                return Err(CtlError::Edited { error: Box::new(error), text });
            }
            Ok(()) => return Ok(()),
        }
    }
}

fn noted(note: &str) -> String {
    note.lines().map(|line| format!("{MARK}{line}\n")).collect()
}

fn without_notes(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(MARK.trim_end()));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Edits the file that declares the half, until it has no errors; then waits until the daemon has
/// applied it.
async fn in_file(
    client: &ControlClient,
    half: &HalfName,
    path: &Path,
    line: u32,
) -> Result<(), CtlError> {
    let read = |source| CtlError::Read { file: path.to_owned(), source };
    drop(OpenOptions::new().append(true).open(path).map_err(read)?);
    let mut stderr = io::stderr();
    drop(writeln!(stderr, "{half} is kept in {}: that is edited.", path.display()));
    let before = fs::read_to_string(path).map_err(read)?;
    loop {
        open(path, Some(line))?;
        let text = fs::read_to_string(path).map_err(read)?;
        if text == before {
            drop(writeln!(stderr, "Nothing changes."));
            return Ok(());
        }
        match parse_stored(&path.display().to_string(), text) {
            Ok((project, halves, _)) => {
                let now = halves.iter().find(|it| {
                    *project == *half.project
                        && *it.key.network.name == *half.network
                        && *it.key.name == *half.name
                });
                return applied(client, half, now.map(|now| written(&project, [now], []))).await;
            }
            Err(wrong) => {
                wrong.iter().for_each(|why| drop(writeln!(stderr, "{why}")));
                let again = "Press return to open it again, or Control-C to leave it as it is.";
                drop(writeln!(stderr, "{again}"));
                let mut line = String::new();
                if io::stdin().read_line(&mut line).map_err(ChangeError::Editor)? == 0 {
                    return Err(ChangeError::StillWrong { file: path.to_owned() }.into());
                }
            }
        }
    }
}

/// Waits until the daemon has this declaration of the half, or none.
async fn applied(
    client: &ControlClient,
    half: &HalfName,
    wanted: Option<String>,
) -> Result<(), CtlError> {
    let look = async || {
        let found = match client.get::<HalfDetail>(&half.path()).await {
            Ok(detail) => detail.declaration,
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        Ok(if found == wanted {
            Look::Found(())
        } else {
            Look::NotYet(ChangeError::NotApplied(half.to_string()).into())
        })
    };
    look_until(client, half, APPLIED_WITHIN, look).await?;
    drop(writeln!(io::stderr(), "It is in effect."));
    Ok(())
}

/// Runs the editor of the user.
fn open(path: &Path, line: Option<u32>) -> Result<(), CtlError> {
    let named = |key| env::var_os(key).filter(|value| !value.is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR"));
    let editor = editor.unwrap_or_else(|| OsString::from("sensible-editor"));
    // As git does: the variable may have arguments.
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh");
    command.args(line.map(|line| format!("+{line}"))).arg(path);
    let status = command.status().map_err(ChangeError::Editor)?;
    if status.success() {
        return Ok(());
    }
    Err(ChangeError::EditorFailed { editor: editor.to_string_lossy().into_owned(), status }.into())
}
