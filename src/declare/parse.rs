//! Parses a file's text into its declarations. All work that grows with the text happens here, and
//! depends on nothing else.

use super::contribution::Parsed;
use super::diagnostic::Diagnostic;
use super::limits::excess;
use super::source::{Directory, SourceFile};
use super::{networks, peerings};

/// Parses one file. Does not parse a text beyond the limits.
pub(super) fn parse(file: &SourceFile) -> Parsed {
    let fault = |message: String, hint: &str| Parsed {
        contribution: None,
        project: None,
        diagnostics: vec![Diagnostic::whole(&file.path, message, hint)],
    };
    let text = match &file.text {
        Err(why) => {
            return fault(
                format!("the file cannot be read: {why}"),
                "its last good declarations stay in effect; remove the file to withdraw them",
            );
        }
        // A crash or a full disk leaves an empty file behind; truncation is no withdrawal.
        Ok(text) if text.trim().is_empty() => {
            return fault(
                "the file is empty".to_owned(),
                "its last good declarations stay in effect; remove the file to withdraw them",
            );
        }
        Ok(text) => text,
    };
    if let Some((message, hint)) = excess(text) {
        return fault(message, hint);
    }
    match file.id.directory {
        Directory::Networks => networks::parse(&file.path, text),
        Directory::Peerings => peerings::parse(&file.path, text),
    }
}
