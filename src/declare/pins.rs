//! Which Unix accounts' files may speak for a project.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::contribution::ParsedFile;
use super::diagnostic::{Diagnostic, DiagnosticCode, Severity};
use super::settings::ProjectPin;
use super::source::Owner;

/// The operator's `[[project]]` entries.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    projects: BTreeMap<String, Pin>,
    /// The project that a file of `peerings.d` is for, by the file's name.
    files: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Pin {
    owner: String,
    /// Whether only files assigned to it may speak for it.
    named: bool,
}

impl Pins {
    pub(super) fn new(pins: &[ProjectPin]) -> Self {
        let pin = |pin: &ProjectPin| Pin { owner: pin.owner.clone(), named: !pin.files.is_empty() };
        let files = pins.iter().flat_map(|pin| pin.files.iter().map(|file| (file, &pin.name)));
        Self {
            projects: pins.iter().map(|it| (it.name.clone(), pin(it))).collect(),
            files: files.map(|(file, project)| (file.clone(), project.clone())).collect(),
        }
    }

    /// Why the file may not speak for its project; `None` if it may.
    pub(super) fn refusal(&self, file: &ParsedFile) -> Option<Diagnostic> {
        let (project, position) = file.project.as_ref()?;
        let (message, hint) = self
            .refusal_of_owner(file.owner.as_ref(), project)
            .or_else(|| self.refusal_of_name(&file.id.name, project))?;
        Some(Diagnostic {
            file: Arc::clone(&file.path),
            position: Some(*position),
            severity: Severity::Error,
            code: DiagnosticCode::NotAllowed,
            message,
            hint: Some(hint),
        })
    }

    /// A file that is assigned to a project may speak only for it, and only assigned files may
    /// speak for a project that has any. Both messages depend only on projects of the file's owner,
    /// because the other check comes first.
    fn refusal_of_name(&self, name: &str, project: &str) -> Option<(String, String)> {
        let hint = "the operator says so, by `files` of a [[project]] in ovn-peerd.toml".to_owned();
        match self.files.get(name) {
            Some(of) if of == project => None,
            Some(of) => Some((format!("{name} may speak for project {of} alone"), hint)),
            None if self.projects.get(project).is_some_and(|pin| pin.named) => {
                Some((format!("files of other names may speak for project {project}"), hint))
            }
            None => None,
        }
    }

    /// The owner of a project may not speak for others. Otherwise the `project` line would reveal
    /// to a tenant which projects have an owner, and let it consent for those without one. The
    /// message is the same for both.
    fn refusal_of_owner(&self, owner: Option<&Owner>, project: &str) -> Option<(String, String)> {
        let pinned = self.owner(project);
        if pinned.is_some_and(|pinned| owner.is_some_and(|owner| owner.is(pinned))) {
            return None;
        }
        match (owner.and_then(|owner| self.owned_by(owner)), pinned) {
            (Some(own), _) => Some((
                format!(
                    "this file is {}, who owns project {own} and so may not speak for {project}",
                    shown(owner)
                ),
                format!(
                    "the operator says who speaks for {project}, by a [[project]] in ovn-peerd.toml"
                ),
            )),
            (None, Some(pinned)) => Some((
                format!(
                    "only files of {pinned} may speak for project {project}, and this one is {}",
                    shown(owner)
                ),
                format!(
                    "let {pinned} write the file, or change the project's owner in ovn-peerd.toml"
                ),
            )),
            (None, None) => None,
        }
    }

    /// The account that a project is pinned to, as the operator wrote it.
    pub(super) fn owner(&self, project: &str) -> Option<&str> {
        self.projects.get(project).map(|pin| pin.owner.as_str())
    }

    /// Whether a file's owner is one of the accounts that these projects are pinned to.
    pub(super) fn is_owner_of_any(&self, projects: &BTreeSet<Arc<str>>, owner: &Owner) -> bool {
        projects.iter().filter_map(|project| self.owner(project)).any(|pinned| owner.is(pinned))
    }

    /// The projects that are pinned to an account.
    pub(super) fn projects_of(&self, owner: &Owner) -> Vec<Arc<str>> {
        let own = self.projects.iter().filter(|(_, pin)| owner.is(&pin.owner));
        own.map(|(project, _)| project.as_str().into()).collect()
    }

    /// A project that a tenant owns; root is no tenant.
    fn owned_by(&self, owner: &Owner) -> Option<&str> {
        if owner.uid == 0 {
            return None;
        }
        let own = self.projects.iter().find(|(_, pin)| owner.is(&pin.owner));
        own.map(|(project, _)| project.as_str())
    }
}

fn shown(owner: Option<&Owner>) -> String {
    match owner {
        Some(Owner { name: Some(name), .. }) => format!("{name}'s"),
        Some(Owner { uid, name: None }) => format!("of uid {uid}"),
        None => "of an unknown owner".to_owned(),
    }
}
