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

    /// Why the file may not speak for its project, if it may not.
    pub(super) fn refusal(&self, file: &SourceFile, parsed: &Parsed) -> Option<Diagnostic> {
        let (project, position) = parsed.project.as_ref()?;
        let pinned = self.0.get(&**project)?;
        if file.owner.as_ref().is_some_and(|owner| owner.is(pinned)) {
            return None;
        }
        let actual = match &file.owner {
            Some(Owner { name: Some(name), .. }) => format!("{name}'s"),
            Some(Owner { uid, name: None }) => format!("of uid {uid}"),
            None => "of an unknown owner".to_owned(),
        };
        Some(Diagnostic {
            file: Arc::clone(&file.path),
            position: Some(*position),
            severity: Severity::Error,
            message: format!(
                "only files of {pinned} may speak for project {project}, and this one is {actual}"
            ),
            hint: Some(format!(
                "let {pinned} write the file, or change the project's owner in ovn-peerd.toml"
            )),
        })
    }
}
