//! Diagnostics: what is wrong with a declaration, where, and what to do about it.
//!
//! Owns the form in which every fault of every file is reported. A diagnostic is plain data;
//! diagnostics sort in the order in which readers need them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::MAX_FAULTS;

/// How much a diagnostic matters. Errors sort first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file or the entry is not in effect as written.
    Error,
    /// It is in effect, but probably not as its author intends.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// The kind of a diagnostic, for programs; a word is never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagnosticCode {
    /// A file or a directory cannot be read, or is empty.
    Unreadable,
    /// The text is not TOML.
    Syntax,
    /// The key is not known there.
    UnknownKey,
    /// A key that is required is missing.
    MissingKey,
    /// The value of a key is not possible.
    InvalidValue,
    /// It is declared twice.
    Duplicate,
    /// It contradicts another entry of the file.
    Contradiction,
    /// More than a limit allows.
    OverLimit,
    /// The file may not speak for the project.
    NotAllowed,
    /// The file belongs to another account now.
    OwnerChanged,
    /// There is no such account on this host.
    UnknownAccount,
    /// No file binds the network.
    UnboundNetwork,
    /// Two networks are on one router.
    SharedRouter,
    /// Two networks have one UUID.
    SharedUuid,
    /// A half announces nothing.
    ExportsNothing,
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its one form: a unit variant is a word by itself.
        self.serialize(f)
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in characters (not bytes).
    pub column: u32,
}

/// One fault of one file or directory.
///
/// Ordered by path, then position (a fault of the whole file first), then severity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The path of the file or directory, as shown.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub file: Arc<str>,
    /// Where in the file; `None` for the whole file or directory.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// Error or warning.
    pub severity: Severity,
    /// Its kind.
    pub code: DiagnosticCode,
    /// What is wrong.
    pub message: String,
    /// What to do, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error about a whole file or directory.
    #[must_use]
    pub fn whole(
        file: &Arc<str>,
        code: DiagnosticCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            file: Arc::clone(file),
            position: None,
            severity: Severity::Error,
            code,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// The diagnostic of a file with more faults than are reported.
    pub(super) fn more(file: &Arc<str>, faults: usize) -> Self {
        let message = format!("{faults} errors; the first {MAX_FAULTS} are reported");
        let hint = "correct these first, then look again";
        Self::whole(file, DiagnosticCode::OverLimit, message, hint)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Location { file: &self.file, position: self.position })?;
        write!(f, ": {}: {}", self.severity, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

fn write_text<S: Serializer>(file: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(file)
}

fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Arc::from)
}

/// `path:line:column`, or the path alone.
pub(super) struct Location<'a> {
    pub(super) file: &'a str,
    pub(super) position: Option<Position>,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(self.file),
        }
    }
}

/// Converts byte offsets of one text to lines and columns.
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
    /// How many characters begin before each block: a line may be as long as the text.
    before: Vec<usize>,
}

/// The size of a block: at most this many bytes are counted for a column.
const BLOCK_BYTES: usize = 1024;

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let starts = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        let mut count = 0;
        let blocks = text.as_bytes().chunks(BLOCK_BYTES).map(|block| {
            let before = count;
            count += characters(block);
            before
        });
        let before = blocks.collect();
        Self { text, starts, before }
    }

    /// The position of a byte. An offset beyond the text or inside a character moves back.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = (0..=offset.min(self.text.len()))
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or_default();
        let line = self.index(offset);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let column = self.characters_before(offset) - self.characters_before(start);
        Position { line: one_based(line), column: one_based(column) }
    }

    /// The lines, from 1, that a syntax error at `offset` makes unreliable: the line itself, or for
    /// a broken table header all lines up to the next header, because the keys below belong to an
    /// unknown table.
    pub(super) fn spoiled(&self, offset: usize) -> Range<u32> {
        let first = self.index(offset);
        let header = |line: &usize| self.line(*line).trim_start().starts_with('[');
        let end = if header(&first) {
            (first + 1..self.starts.len()).find(header).unwrap_or(self.starts.len())
        } else {
            first + 1
        };
        one_based(first)..one_based(end)
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK_BYTES;
        let known = self.before.get(block).copied();
        // The offset is the end of a text that fills its last block.
        let (block, known) = match known {
            Some(known) => (block, known),
            None => (block.saturating_sub(1), self.before.last().copied().unwrap_or_default()),
        };
        known + self.text.as_bytes().get(block * BLOCK_BYTES..offset).map_or(0, characters)
    }

    /// The line of a byte, from 1.
    pub(super) fn number(&self, offset: usize) -> u32 {
        one_based(self.index(offset.min(self.text.len())))
    }

    fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    fn line(&self, index: usize) -> &'t str {
        let start = self.starts.get(index).copied().unwrap_or_default();
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default()
    }
}

/// How many characters begin in a part of a text.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

fn one_based(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("a\nää x\n");
        assert_eq!(lines.position(0), Position { line: 1, column: 1 });
        assert_eq!(lines.position(7), Position { line: 2, column: 4 });
        assert_eq!(lines.position(3), Position { line: 2, column: 1 }, "inside a character");
        assert_eq!(lines.position(99), Position { line: 3, column: 1 });
        assert_eq!(Lines::new("").position(0), Position { line: 1, column: 1 });
        let long = "\u{e4}".repeat(BLOCK_BYTES);
        let lines = Lines::new(&long);
        for at in [0, 1, BLOCK_BYTES / 2, BLOCK_BYTES - 1, BLOCK_BYTES] {
            let column = u32::try_from(at + 1).unwrap();
            assert_eq!(lines.position(2 * at), Position { line: 1, column });
        }
    }

    #[test]
    fn a_broken_header_spoils_what_follows_it() {
        let lines = Lines::new("a = 1\n[[x]\nb = 2\n[[y]]\nc = 3");
        assert_eq!(lines.spoiled(2), 1..2);
        assert_eq!(lines.spoiled(8), 2..4);
        assert_eq!(lines.spoiled(18), 4..6);
    }

    #[test]
    fn shown_and_serialized() {
        let code = DiagnosticCode::Unreadable;
        let mut diagnostic = Diagnostic::whole(&"a.toml".into(), code, "is empty", "remove it");
        let json = serde_json::to_string(&diagnostic).unwrap();
        assert_eq!(serde_json::from_str::<Diagnostic>(&json).unwrap(), diagnostic);
        assert_eq!(diagnostic.to_string(), "a.toml: error: is empty\n  hint: remove it");
        diagnostic.position = Some(Position { line: 2, column: 3 });
        diagnostic.hint = None;
        assert_eq!(diagnostic.to_string(), "a.toml:2:3: error: is empty");
        let json = serde_json::to_value(&diagnostic).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"file": "a.toml", "line": 2, "column": 3, "severity": "error",
                "code": "unreadable", "message": "is empty"})
        );
        assert_eq!(serde_json::from_value::<Diagnostic>(json).unwrap(), diagnostic);
    }
}
