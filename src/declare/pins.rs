//! Which Unix owner's files may speak for a project.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contribution::Parsed;
use super::diagnostic::{Diagnostic, Severity};
use super::settings::ProjectPin;
use super::source::{Owner, SourceFile};

/// Owner by project.
#[derive(Clone, Debug)]
pub(super) struct Pins(BTreeMap<String, String>);

impl Pins {
    pub(super) fn new(pins: &[ProjectPin]) -> Self {
        Self(pins.iter().map(|pin| (pin.name.clone(), pin.owner.clone())).collect())
    }

    /// Why the file may not speak for its project, if it may not. Whoever owns a project speaks for
    /// no other: else the project line would tell a tenant which projects have an owner, and let it
    /// consent for those that have none.
    pub(super) fn refusal(&self, file: &SourceFile, parsed: &Parsed) -> Option<Diagnostic> {
        let (project, position) = parsed.project.as_ref()?;
        let (message, hint) = match self.0.get(&**project) {
            Some(pinned) if file.owner.as_ref().is_some_and(|owner| owner.is(pinned)) => {
                return None;
            }
            Some(pinned) => (
                format!(
                    "only files of {pinned} may speak for project {project}, and this one is {}",
                    told(file.owner.as_ref())
                ),
                format!(
                    "let {pinned} write the file, or change the project's owner in ovn-peerd.toml"
                ),
            ),
            None => {
                let own = self.owned_by(file.owner.as_ref()?)?;
                (
                    format!(
                        "this file is {}, who owns project {own} and so may not speak for {project}",
                        told(file.owner.as_ref())
                    ),
                    format!("give {project} an owner by a [[project]] in ovn-peerd.toml"),
                )
            }
        };
        Some(Diagnostic {
            file: Arc::clone(&file.path),
            position: Some(*position),
            severity: Severity::Error,
            message,
            hint: Some(hint),
        })
    }

    /// A project that a tenant owns; root is none.
    fn owned_by(&self, owner: &Owner) -> Option<&str> {
        if owner.uid == 0 {
            return None;
        }
        self.0.iter().find(|(_, pinned)| owner.is(pinned)).map(|(project, _)| project.as_str())
    }
}

fn told(owner: Option<&Owner>) -> String {
    match owner {
        Some(Owner { name: Some(name), .. }) => format!("{name}'s"),
        Some(Owner { uid, name: None }) => format!("of uid {uid}"),
        None => "of an unknown owner".to_owned(),
    }
}
