//! Which Unix owner's files may speak for a project.

use std::collections::{BTreeMap, BTreeSet};
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
    /// consent for those that have none. What it is told of either is the same.
    pub(super) fn refusal(&self, file: &SourceFile, parsed: &Parsed) -> Option<Diagnostic> {
        let (project, position) = parsed.project.as_ref()?;
        let pinned = self.owner(project);
        let owner = file.owner.as_ref();
        if pinned.is_some_and(|pinned| owner.is_some_and(|owner| owner.is(pinned))) {
            return None;
        }
        let (message, hint) = match (owner.and_then(|owner| self.owned_by(owner)), pinned) {
            (Some(own), _) => (
                format!(
                    "this file is {}, who owns project {own} and so may not speak for {project}",
                    told(owner)
                ),
                format!(
                    "the operator says who speaks for {project}, by a [[project]] in ovn-peerd.toml"
                ),
            ),
            (None, Some(pinned)) => (
                format!(
                    "only files of {pinned} may speak for project {project}, and this one is {}",
                    told(owner)
                ),
                format!(
                    "let {pinned} write the file, or change the project's owner in ovn-peerd.toml"
                ),
            ),
            (None, None) => return None,
        };
        Some(Diagnostic {
            file: Arc::clone(&file.path),
            position: Some(*position),
            severity: Severity::Error,
            message,
            hint: Some(hint),
        })
    }

    /// The account that a project is pinned to, as the operator wrote it.
    pub(super) fn owner(&self, project: &str) -> Option<&str> {
        self.0.get(project).map(String::as_str)
    }

    /// Whether a file's owner is one of those that these projects are pinned to.
    pub(super) fn is_owner_of_any(&self, projects: &BTreeSet<Arc<str>>, owner: &Owner) -> bool {
        projects.iter().filter_map(|project| self.owner(project)).any(|pinned| owner.is(pinned))
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
