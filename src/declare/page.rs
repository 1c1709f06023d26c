//! One TOML text being read: values with their places, and all that is wrong with them.
//!
//! Owns the walk over `toml`'s spanned tree. The parser recovers after a syntax error, so what it
//! returns then is partly invented: semantic faults on lines that a syntax error spoiled are
//! dropped, and so are complaints of missing keys, which may well stand on those lines.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Lines, Position, Severity};

/// Longest name of a project, network or half, in characters (as LXD and Outscale).
const MAX_NAME_CHARS: usize = 255;

/// Below this likeness a known key is not worth suggesting.
const MIN_LIKENESS: f64 = 0.7;

/// A key that exists elsewhere or later, refused with an explanation of its own.
pub(super) struct Refused {
    pub(super) key: &'static str,
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
}

/// A value and where it stands, as byte offsets.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// The text being read and what was found wrong with it.
pub(super) struct Page<'t> {
    file: Arc<str>,
    lines: Lines<'t>,
    spoiled: Vec<Range<u32>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Page<'t> {
    /// Parses the text; syntax errors are noted.
    pub(super) fn open(file: &Arc<str>, text: &'t str) -> (Self, Spanned<DeTable<'t>>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut page = Self {
            file: Arc::clone(file),
            lines: Lines::new(text),
            spoiled: Vec::new(),
            diagnostics: Vec::new(),
        };
        page.note_syntax(errors);
        (page, table)
    }

    /// Notes the first syntax error of each line; what follows on it is the parser's guessing.
    fn note_syntax(&mut self, errors: Vec<toml::de::Error>) {
        let mut spoiled = BTreeMap::new();
        for error in errors {
            let span = error.span().unwrap_or(usize::MAX..usize::MAX);
            let lines = self.lines.spoiled(span.start);
            match spoiled.entry(lines.start) {
                Entry::Vacant(line) => {
                    line.insert((lines, span.start, error));
                }
                Entry::Occupied(mut line) if span.start < line.get().1 => {
                    line.insert((lines, span.start, error));
                }
                Entry::Occupied(_) => {}
            }
        }
        for (_, start, error) in spoiled.values() {
            self.error(&(*start..*start), format!("syntax: {}", error.message()), None);
        }
        self.spoiled = spoiled.into_values().map(|(lines, _, _)| lines).collect();
    }

    /// Everything found, in the order of the text.
    pub(super) fn close(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort();
        self.diagnostics.dedup();
        self.diagnostics
    }

    /// Whether anything is wrong so far.
    pub(super) fn is_bad(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub(super) fn position(&self, span: &Range<usize>) -> Position {
        self.lines.position(span.start)
    }

    /// Notes a fault.
    pub(super) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let position = self.position(span);
        if self.spoiled.iter().any(|lines| lines.contains(&position.line)) {
            return;
        }
        self.diagnostics.push(Diagnostic {
            file: Arc::clone(&self.file),
            position: Some(position),
            severity: Severity::Error,
            message: message.into(),
            hint,
        });
    }

    /// Notes that a key is absent, unless a syntax error may have swallowed it.
    pub(super) fn missing(&mut self, span: &Range<usize>, what: &str, key: &str, example: &str) {
        if self.spoiled.is_empty() {
            let hint = format!("add {key} = {example}");
            self.error(span, format!("{what} has no `{key}`, which is required"), Some(hint));
        }
    }

    /// Refuses every key of `table` that is not `known`.
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
            if let Some(refused) = refused.iter().find(|refused| refused.key == name) {
                self.error(&key.span(), refused.message, Some(refused.hint.to_owned()));
                continue;
            }
            let hint = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("unknown key `{}` in {what}", name.escape_debug());
            self.error(&key.span(), message, Some(hint));
        }
    }

    /// A string free of NUL, which no C program behind OVN would carry whole.
    pub(super) fn string<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Found<&'d str>> {
        let value = table.get(key)?;
        self.text(key, value)
    }

    /// As [`Page::string`], for a value that was already looked up.
    pub(super) fn text<'d>(
        &mut self,
        key: &str,
        value: &'d Spanned<DeValue<'_>>,
    ) -> Option<Found<&'d str>> {
        let Some(text) = value.get_ref().as_str() else {
            let hint = match value.get_ref() {
                DeValue::Integer(number) => Some(format!("quote it: {key} = \"{number}\"")),
                DeValue::String(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            };
            self.mistyped(key, "a string", value, hint);
            return None;
        };
        if text.contains('\0') {
            self.error(&value.span(), format!("`{key}` contains a NUL character"), None);
            return None;
        }
        Some(Found { value: text, span: value.span() })
    }

    /// A required name of 1 to 255 characters, none of them a control character.
    pub(super) fn name<'d>(
        &mut self,
        table: &Found<&'d DeTable<'_>>,
        what: &str,
        key: &str,
        example: &str,
    ) -> Option<Found<&'d str>> {
        if table.value.get(key).is_none() {
            self.missing(&table.span, what, key, example);
            return None;
        }
        self.optional_name(table.value, key)
    }

    /// As [`Page::name`], but it may be absent.
    pub(super) fn optional_name<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Found<&'d str>> {
        let found = self.string(table, key)?;
        let length = found.value.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&length) {
            let message =
                format!("`{key}` has {length} characters; 1 to {MAX_NAME_CHARS} are allowed");
            self.error(&found.span, message, None);
            return None;
        }
        if let Some(control) = found.value.chars().find(|letter| letter.is_control()) {
            let message =
                format!("`{key}` contains the control character {}", control.escape_debug());
            self.error(&found.span, message, None);
            return None;
        }
        Some(found)
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.mistyped(key, "true or false", value, None);
        }
        found
    }

    /// A whole number from 0 to `max`.
    pub(super) fn number(&mut self, table: &DeTable<'_>, key: &str, max: u32) -> Option<u32> {
        let value = table.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.mistyped(key, "a whole number", value, None);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let found = number.filter(|number| *number <= max);
        if found.is_none() {
            let message = format!("`{key}` is {integer}; 0 to {max} are allowed");
            self.error(&value.span(), message, None);
        }
        found
    }

    /// The strings of an array; `None` when the key is absent or not an array.
    pub(super) fn strings<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Vec<Found<&'d str>>> {
        let value = table.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.mistyped(key, "an array of strings", value, None);
            return None;
        };
        Some(array.iter().filter_map(|item| self.text(key, item)).collect())
    }

    /// The tables of an array of tables, such as `[[peering]]`.
    pub(super) fn entries<'d, 'i>(
        &mut self,
        table: &'d DeTable<'i>,
        key: &str,
    ) -> Vec<Found<&'d DeTable<'i>>> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let hint = || Some(format!("write [[{key}]] once for each"));
        let Some(array) = value.get_ref().as_array() else {
            self.mistyped(key, "an array of tables", value, hint());
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref().as_table() {
                Some(entry) => entries.push(Found { value: entry, span: item.span() }),
                None => self.mistyped(key, "an array of tables", item, hint()),
            }
        }
        entries
    }

    /// A table, such as `[paths]`.
    pub(super) fn section<'d, 'i>(
        &mut self,
        table: &'d DeTable<'i>,
        key: &str,
    ) -> Option<Found<&'d DeTable<'i>>> {
        let value = table.get(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            self.mistyped(key, "a table", value, Some(format!("write [{key}] on its own line")));
        }
        Some(Found { value: found?, span: value.span() })
    }

    pub(super) fn mistyped(
        &mut self,
        key: &str,
        expected: &str,
        value: &Spanned<DeValue<'_>>,
        hint: Option<String>,
    ) {
        let actual = value.get_ref().type_str();
        let article = if actual.starts_with(['a', 'i']) { "an" } else { "a" };
        let message = format!("`{key}` must be {expected}, not {article} {actual}");
        self.error(&value.span(), message, hint);
    }
}

/// The candidate most like `name`, if any is like it at all.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > MIN_LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
