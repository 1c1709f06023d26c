//! A file's text becomes what it declares. All that grows with the text is done here, without a look at anything else.

use super::contribution::Parsed;
use super::diagnostic::Diagnostic;
use super::limits::excess;
use super::source::{Directory, SourceFile};
use super::{networks, peerings};

/// Parses one file. A text that says too much is not looked at.
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
                "what it last declared stays in effect; remove it to withdraw that",
            );
        }
        // As a crash or a full disk leaves behind: nobody withdraws by truncating.
        Ok(text) if text.trim().is_empty() => {
            return fault(
                "the file is empty".to_owned(),
                "what it last declared stays in effect; remove it to withdraw that",
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
