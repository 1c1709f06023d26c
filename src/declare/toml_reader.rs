//! Reads one TOML text: values with their positions, and all their faults.
//!
//! Owns the walk over `toml`'s spanned tree. The parser recovers after a syntax error, so its
//! result is partly invented then. So this drops semantic faults on lines with a syntax error, and
//! faults of missing keys, because those lines may contain the keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnostic::{Diagnostic, DiagnosticCode, Lines, Position, Severity};
use super::limits::{MAX_FAULTS, shortened};

mod fields;
pub(super) mod times;

/// Longest name, in bytes, for which a similar one is searched: each search takes time.
const MAX_LIKENED_BYTES: usize = 1024;

/// The least similarity for a suggestion.
const MIN_LIKENESS: f64 = 0.7;

/// A key that is likely to be written by mistake; its error has an explanation of its own.
pub(super) struct Refused {
    pub(super) key: &'static str,
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
}

/// A value and its position, as byte offsets.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// The text and its faults so far.
pub(super) struct TomlReader<'t> {
    file: Arc<str>,
    lines: Lines<'t>,
    /// In order, and apart.
    spoiled: Vec<Range<u32>>,
    /// At most [`MAX_FAULTS`].
    diagnostics: Vec<Diagnostic>,
    /// How many there would be.
    faults: usize,
}

impl<'t> TomlReader<'t> {
    /// Parses the text; syntax errors are noted.
    pub(super) fn open(file: &Arc<str>, text: &'t str) -> (Self, Spanned<DeTable<'t>>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            file: Arc::clone(file),
            lines: Lines::new(text),
            spoiled: Vec::new(),
            diagnostics: Vec::new(),
            faults: 0,
        };
        reader.note_syntax(errors);
        (reader, table)
    }

    /// Notes the first syntax error of each line; further ones on the line are guesses of the
    /// parser.
    fn note_syntax(&mut self, errors: Vec<toml::de::Error>) {
        let mut first = BTreeMap::new();
        for error in errors {
            let start = error.span().unwrap_or(usize::MAX..usize::MAX).start;
            match first.entry(self.lines.number(start)) {
                Entry::Vacant(line) => {
                    line.insert((start, error));
                }
                Entry::Occupied(mut line) if start < line.get().0 => {
                    line.insert((start, error));
                }
                Entry::Occupied(_) => {}
            }
        }
        for (start, error) in first.values() {
            let message = error.message();
            let (place, hint) = (*start..*start, syntax_hint(message));
            self.fault(DiagnosticCode::Syntax, &place, format!("syntax: {message}"), hint);
        }
        for (start, _) in first.into_values() {
            let lines = self.lines.spoiled(start);
            match self.spoiled.last_mut() {
                Some(last) if lines.start <= last.end => last.end = last.end.max(lines.end),
                Some(_) | None => self.spoiled.push(lines),
            }
        }
    }

    /// All faults, in the order of the text; if they are too many, the first diagnostic has their
    /// number.
    pub(super) fn close(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort();
        self.diagnostics.dedup();
        if self.faults > MAX_FAULTS {
            self.diagnostics.insert(0, Diagnostic::more(&self.file, self.faults));
        }
        self.diagnostics
    }

    /// Whether there are faults so far.
    pub(super) fn is_bad(&self) -> bool {
        self.faults > 0
    }

    /// Whether further faults are only counted, so that callers can skip costly messages.
    pub(super) fn is_full(&self) -> bool {
        self.faults >= MAX_FAULTS
    }

    fn is_spoiled(&self, line: u32) -> bool {
        let after = self.spoiled.partition_point(|lines| lines.start <= line);
        let last = after.checked_sub(1).and_then(|at| self.spoiled.get(at));
        last.is_some_and(|lines| lines.contains(&line))
    }

    pub(super) fn position(&self, span: &Range<usize>) -> Position {
        self.lines.position(span.start)
    }

    /// Notes that a value is not possible.
    pub(super) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.fault(DiagnosticCode::InvalidValue, span, message, hint);
    }

    /// Notes that something is declared twice.
    pub(super) fn duplicate(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.fault(DiagnosticCode::Duplicate, span, message, hint);
    }

    /// Notes that there is more of something than a limit allows.
    pub(super) fn over_limit(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.fault(DiagnosticCode::OverLimit, span, message, hint);
    }

    /// Notes a fault of a kind.
    pub(super) fn fault(
        &mut self,
        code: DiagnosticCode,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if let Some(position) = self.count(span) {
            self.report(code, position, message.into(), hint);
        }
    }

    /// Counts a fault; returns its position if it is to be reported.
    fn count(&mut self, span: &Range<usize>) -> Option<Position> {
        let position = self.position(span);
        if self.is_spoiled(position.line) {
            return None;
        }
        self.faults += 1;
        (self.faults <= MAX_FAULTS).then_some(position)
    }

    fn report(
        &mut self,
        code: DiagnosticCode,
        position: Position,
        message: String,
        hint: Option<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            file: Arc::clone(&self.file),
            position: Some(position),
            severity: Severity::Error,
            code,
            message: shortened(message),
            hint: hint.map(shortened),
        });
    }

    /// Notes that a key is absent, unless a syntax error may have swallowed it.
    pub(super) fn missing(&mut self, span: &Range<usize>, what: &str, key: &str, example: &str) {
        if self.spoiled.is_empty() {
            let hint = format!("add {key} = {example}");
            let message = format!("{what} has no `{key}`, which is required");
            self.fault(DiagnosticCode::MissingKey, span, message, Some(hint));
        }
    }

    /// Reports every key of `table` that is not `known`.
    pub(super) fn refuse_unknown(
        &mut self,
        table: &DeTable<'_>,
        what: &str,
        known: &[&str],
        refused: &[Refused],
    ) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let Some(position) = self.count(&key.span()) else { continue };
            let code = DiagnosticCode::UnknownKey;
            if let Some(refused) = refused.iter().find(|refused| refused.key == name) {
                let (message, hint) = (refused.message.to_owned(), refused.hint.to_owned());
                self.report(code, position, message, Some(hint));
                continue;
            }
            let hint = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("unknown key `{}` in {what}", name.escape_debug());
            self.report(code, position, message, Some(hint));
        }
    }
}

/// What to do about the most frequent messages of the parser.
fn syntax_hint(message: &str) -> Option<String> {
    let hints = [
        ("string values must be quoted", "write the value in quotes, such as \"web\""),
        ("invalid basic string", "close the string with a \" on the same line"),
        ("duplicate key", "keep one of the two"),
        ("key with no value", "write key = value"),
        ("unexpected key or value", "begin a new line for each key"),
        ("unclosed array table", "write [[name]]"),
        ("unclosed", "close it with the bracket that is missing"),
    ];
    let hint = hints.iter().find(|(start, _)| message.starts_with(start));
    hint.map(|(_, hint)| (*hint).to_owned())
}

/// The candidate that is most similar to `name`, if any is similar enough.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .filter(|_| name.len() <= MAX_LIKENED_BYTES)
        .map(|candidate| (strsim::jaro(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > MIN_LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
