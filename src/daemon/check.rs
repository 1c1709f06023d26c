//! `ovn-peerd check`: checks a configuration offline.

use std::path::Path;

use nix::unistd::{Group, User};
use serde::Serialize;

use super::files::{Files, read_settings};
use crate::declare::{Diagnostic, DiagnosticCode, OperatorEntry, Settings, Severity, check};

/// The result of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the daemon would accept all of it: no errors; warnings do not count.
    pub ok: bool,
    /// How many diagnostics are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// Networks bound by the files without errors.
    pub networks: usize,
    /// Halves declared by the files without errors.
    pub halves: usize,
    /// Sorted: the settings' diagnostics first, then by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks the settings at `path` and every file of the directories that they name.
#[must_use]
pub fn check_config(path: &Path) -> Report {
    let (settings, mut diagnostics) = read_settings(path);
    diagnostics.extend(unknown_accounts(path, &settings));
    let reading = Files::new(&settings.paths).read_all(|found| found.source.parse());
    let checked = check(&settings, reading);
    diagnostics.extend(checked.diagnostics);
    let warnings = diagnostics.iter().filter(|it| it.severity == Severity::Warning).count();
    let errors = diagnostics.len() - warnings;
    Report {
        ok: errors == 0,
        errors,
        warnings,
        networks: checked.networks,
        halves: checked.halves,
        diagnostics,
    }
}

/// Warns of accounts that the settings name and this host does not know. A directory service may be
/// away, so this is no error.
fn unknown_accounts(path: &Path, settings: &Settings) -> Vec<Diagnostic> {
    let is_number = |name: &str| name.parse::<u32>().is_ok();
    let is_user = |name: &str| is_number(name) || matches!(User::from_name(name), Ok(Some(_)));
    let is_group = |name: &str| is_number(name) || matches!(Group::from_name(name), Ok(Some(_)));
    let owners = settings.projects.iter().filter(|pin| !is_user(&pin.owner)).map(|pin| {
        format!(
            "project {} has the owner {}, and there is no such account here",
            pin.name, pin.owner
        )
    });
    let operators = settings.control.operators.iter().filter_map(|entry| match entry {
        OperatorEntry::User(name) if !is_user(name) => {
            Some(format!("`operators` has {name}, and there is no such account here"))
        }
        OperatorEntry::Group(name) if !is_group(name) => {
            Some(format!("`operators` has %{name}, and there is no such group here"))
        }
        OperatorEntry::User(_) | OperatorEntry::Group(_) => None,
    });
    let file = path.display().to_string().into();
    let hint = "correct the name, make the account, or write the number of it";
    let warning = |message| Diagnostic {
        severity: Severity::Warning,
        ..Diagnostic::whole(&file, DiagnosticCode::UnknownAccount, message, hint)
    };
    owners.chain(operators).map(warning).collect()
}

impl Report {
    /// For people: the diagnostics and a summary, one per line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let diagnostics: String = self.diagnostics.iter().map(|it| format!("{it}\n")).collect();
        let verdict = if self.ok { "ok" } else { "not ok" };
        let found = [
            count(self.errors, "error", "errors"),
            count(self.warnings, "warning", "warnings"),
            count(self.networks, "network", "networks"),
            count(self.halves, "half", "halves"),
        ];
        format!("{diagnostics}{verdict}: {}\n", found.join(", "))
    }

    /// For programs: one object on several lines.
    ///
    /// # Errors
    /// Never, unless memory runs out: every field has a JSON form.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The exit code of `ovn-peerd check`: 0 if all is well, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
