//! `ovn-peerd check`: a configuration judged offline.

use std::path::Path;

use serde::Serialize;

use super::files::{Files, read_settings};
use crate::declare::{Diagnostic, Severity, check};

/// What is wrong with a configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the daemon would take all of it: no errors; warnings do not count.
    pub ok: bool,
    /// How many diagnostics are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// Networks bound by the files that are good.
    pub networks: usize,
    /// Halves declared by the files that are good.
    pub halves: usize,
    /// The settings' first, then by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks the settings at `path` and every file of the directories that they name.
#[must_use]
pub fn check_config(path: &Path) -> Report {
    let (settings, mut diagnostics) = read_settings(path);
    let reading = Files::new(&settings.paths).read_all(|_| ());
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

impl Report {
    /// For people: the diagnostics and a summary, each on a line of its own.
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

    /// For programs: one object, on lines of its own.
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
