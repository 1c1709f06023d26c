//! The formats of answers, and lists for spreadsheets.

use clap::ValueEnum;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs; fields may be added, but are never renamed.
    Json,
    /// The same fields in YAML.
    Yaml,
    /// Lists alone (list, monitor, requests, networks, projects, diagnostics, host list), for spreadsheets: a line of headings, then one
    /// for each entry.
    Csv,
}

/// A list for spreadsheets.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) headings: Option<Vec<String>>,
    pub(super) records: Vec<Vec<String>>,
}

impl Records {
    /// As CSV (RFC 4180, with line feeds).
    pub(super) fn into_text(self) -> Result<String, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for record in self.headings.iter().chain(&self.records) {
            writer.write_record(record)?;
        }
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
