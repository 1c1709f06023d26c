//! Parses a file's text into its declarations. All work that grows with the text happens here, and
//! depends on nothing else.

use super::contribution::ParsedFile;
use super::diagnostic::{Diagnostic, DiagnosticCode};
use super::limits::excess;
use super::source::{Directory, Reading, SourceFile};
use super::toml_reader::TomlReader;
use super::{networks, peerings};

impl SourceFile {
    /// Parses its text. Does not parse a text beyond the limits.
    #[must_use]
    pub fn parse(self) -> ParsedFile {
        let Self { id, path, text, owner } = self;
        let (entries, project, diagnostics) = (None, None, Vec::new());
        let mut file = ParsedFile { id, path, owner, entries, project, diagnostics };
        match readable(&text) {
            Ok(text) => read(&mut file, text),
            Err((code, message, hint)) => {
                file.diagnostics.push(Diagnostic::whole(&file.path, code, message, hint));
            }
        }
        file
    }
}

impl Reading {
    /// Parses every file.
    #[must_use]
    pub fn parse(self) -> Reading<ParsedFile> {
        Reading {
            complete: self.complete,
            files: self.files.into_iter().map(SourceFile::parse).collect(),
            removed: self.removed,
            directories: self.directories,
        }
    }
}

impl From<Reading> for Reading<ParsedFile> {
    fn from(reading: Reading) -> Self {
        reading.parse()
    }
}

/// The text to parse; or why there is none, and what to do.
fn readable(text: &Result<String, String>) -> Result<&str, (DiagnosticCode, String, &'static str)> {
    const HINT: &str =
        "its last good declarations stay in effect; remove the file to withdraw them";
    match text {
        Err(why) => {
            let message = format!("the file cannot be read: {why}");
            Err((DiagnosticCode::Unreadable, message, HINT))
        }
        // A crash or a full disk leaves an empty file behind; truncation is no withdrawal.
        Ok(text) if text.trim().is_empty() => {
            Err((DiagnosticCode::Unreadable, "the file is empty".to_owned(), HINT))
        }
        Ok(text) => match excess(text) {
            Some((message, hint)) => Err((DiagnosticCode::OverLimit, message, hint)),
            None => Ok(text),
        },
    }
}

fn read(file: &mut ParsedFile, text: &str) {
    let (mut reader, table) = TomlReader::open(&file.path, text);
    let (entries, project) = match file.id.directory {
        Directory::Networks => (networks::read(&mut reader, table.get_ref()), None),
        Directory::Peerings => peerings::read(&mut reader, table.get_ref()),
    };
    file.entries = (!reader.is_bad()).then_some(entries);
    file.project = project;
    file.diagnostics = reader.close();
}
