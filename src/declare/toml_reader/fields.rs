//! Typed values of a table. On a fault, each of these notes it and returns nothing.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use uuid::Uuid;

use super::super::names::name_fault;
use super::{Found, TomlReader};

impl TomlReader<'_> {
    /// A string without NUL: the C programs of OVN would cut it there.
    pub(in crate::declare) fn string<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Found<&'d str>> {
        let value = table.get(key)?;
        self.text(key, value)
    }

    /// As [`TomlReader::string`], for a value that was already looked up.
    pub(in crate::declare) fn text<'d>(
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
            let hint = "remove it: OVN cannot store one".to_owned();
            self.error(&value.span(), format!("`{key}` contains a NUL character"), Some(hint));
            return None;
        }
        Some(Found { value: text, span: value.span() })
    }

    /// As [`TomlReader::string`], of at most `max` characters.
    pub(in crate::declare) fn bounded<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
        max: usize,
    ) -> Option<Found<&'d str>> {
        let found = self.string(table, key)?;
        let length = found.value.chars().count();
        if length > max {
            let message = format!("`{key}` has {length} characters; at most {max} are allowed");
            self.error(&found.span, message, None);
            return None;
        }
        Some(found)
    }

    /// A required name of 1 to 255 characters, all of them visible.
    pub(in crate::declare) fn name<'d>(
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

    /// As [`TomlReader::name`], but it may be absent.
    pub(in crate::declare) fn optional_name<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Found<&'d str>> {
        let found = self.string(table, key)?;
        if let Some((fault, hint)) = name_fault(found.value) {
            self.error(&found.span, format!("`{key}` {fault}"), hint.map(str::to_owned));
            return None;
        }
        Some(found)
    }

    /// A UUID.
    pub(in crate::declare) fn uuid(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
    ) -> Option<Found<Uuid>> {
        let found = self.string(table, key)?;
        match Uuid::try_parse(found.value) {
            Ok(uuid) if !uuid.is_nil() => Some(Found { value: uuid, span: found.span }),
            Ok(_) | Err(_) => {
                self.error(
                    &found.span,
                    format!("`{key}` is \"{}\", which is not a UUID", found.value.escape_debug()),
                    Some("write \"0d4bd3fe-7f4d-4d6c-9c8a-9e3d3a3f4c55\"".to_owned()),
                );
                None
            }
        }
    }

    /// A boolean.
    pub(in crate::declare) fn boolean(&mut self, table: &DeTable<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.mistyped(key, "true or false", value, None);
        }
        found
    }

    /// A whole number from 0 to `max`.
    pub(in crate::declare) fn number(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        max: u32,
    ) -> Option<u32> {
        self.number_in(table, key, 0..=max, None)
    }

    /// A whole number of a range, with a hint for numbers outside of it.
    pub(in crate::declare) fn number_in(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        range: RangeInclusive<u32>,
        hint: Option<&str>,
    ) -> Option<u32> {
        let value = table.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.mistyped(key, "a whole number", value, None);
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let found = number.filter(|number| range.contains(number));
        if found.is_none() {
            let (least, most) = (range.start(), range.end());
            let message = format!("`{key}` is {integer}; {least} to {most} are allowed");
            self.error(&value.span(), message, hint.map(str::to_owned));
        }
        found
    }

    /// A prefix without host bits, from a string of the file.
    pub(in crate::declare) fn prefix(&mut self, found: &Found<&str>) -> Option<IpNet> {
        match found.value.parse::<IpNet>() {
            Ok(prefix) if has_leading_zeros(found.value) => self.error(
                &found.span,
                format!(
                    "\"{}\" has a number that begins with 0, which other programs read as octal",
                    found.value.escape_debug()
                ),
                Some(format!("write \"{}\"", prefix.trunc())),
            ),
            Ok(prefix) if prefix == prefix.trunc() => return Some(prefix),
            Ok(prefix) => self.error(
                &found.span,
                format!("{prefix} has bits set beyond its length of {}", prefix.prefix_len()),
                Some(format!("write \"{}\"", prefix.trunc())),
            ),
            Err(_) => self.error(
                &found.span,
                format!("\"{}\" is not a prefix", found.value.escape_debug()),
                Some("write an address and a length, such as \"10.64.0.0/12\"".to_owned()),
            ),
        }
        None
    }

    /// The strings of an array; `None` when the key is absent or not an array.
    pub(in crate::declare) fn strings<'d>(
        &mut self,
        table: &'d DeTable<'_>,
        key: &str,
    ) -> Option<Vec<Found<&'d str>>> {
        let value = table.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.mistyped(key, "an array of strings", value, None);
            return None;
        };
        let what = format!("each of `{key}`");
        let mut found = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(_) => found.extend(self.text(key, item)),
                None => self.error(
                    &item.span(),
                    mistyped(&what, "a string", item),
                    Some("write it in quotes".to_owned()),
                ),
            }
        }
        Some(found)
    }

    /// The tables of an array of tables, such as `[[peering]]`.
    pub(in crate::declare) fn entries<'d, 'i>(
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

    /// As [`TomlReader::entries`], at most this many in one file; it ignores all beyond.
    pub(in crate::declare) fn limited<'d, 'i>(
        &mut self,
        table: &'d DeTable<'i>,
        key: &str,
        most: usize,
    ) -> Vec<Found<&'d DeTable<'i>>> {
        let mut entries = self.entries(table, key);
        let count = entries.len();
        if let Some(first) = entries.get(most) {
            let message = format!("the file has {count} [[{key}]]; at most {most} are allowed");
            let hint = "move those from here on to another file".to_owned();
            self.over_limit(&first.span.clone(), message, Some(hint));
            entries.truncate(most);
        }
        entries
    }

    /// A table, such as `[paths]`.
    pub(in crate::declare) fn section<'d, 'i>(
        &mut self,
        table: &'d DeTable<'i>,
        key: &str,
        example: &str,
    ) -> Option<Found<&'d DeTable<'i>>> {
        let value = table.get(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            self.mistyped(key, "a table", value, Some(format!("write {example}")));
        }
        Some(Found { value: found?, span: value.span() })
    }

    pub(in crate::declare) fn mistyped(
        &mut self,
        key: &str,
        expected: &str,
        value: &Spanned<DeValue<'_>>,
        hint: Option<String>,
    ) {
        let message = mistyped(&format!("`{key}`"), expected, value);
        self.error(&value.span(), message, hint);
    }
}

/// Whether a prefix has an ambiguous form: `010.0.0.0/8` or `10.0.0.0/08`. In the groups of IPv6,
/// leading zeros are harmless.
fn has_leading_zeros(text: &str) -> bool {
    let starts_so = |number: &str| number.len() > 1 && number.starts_with('0');
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let dotted = address.rsplit(':').next().filter(|last| last.contains('.'));
    starts_so(length) || dotted.is_some_and(|dotted| dotted.split('.').any(starts_so))
}

fn mistyped(what: &str, expected: &str, value: &Spanned<DeValue<'_>>) -> String {
    let actual = value.get_ref().type_str();
    let article = if actual.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{what} must be {expected}, not {article} {actual}")
}
