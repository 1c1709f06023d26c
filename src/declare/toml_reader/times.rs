//! Instants and durations of a table.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use toml::de::{DeTable, DeValue};

use super::{Found, TomlReader};

/// The longest duration that a policy may name: 100 years of 365 days. The sum with any present
/// instant is a valid instant.
const LONGEST: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

/// A TOML datetime with an offset: the same instant on every host.
pub(in crate::declare) fn instant(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
) -> Option<Found<Timestamp>> {
    const EXAMPLE: &str = "2026-03-01T12:00:00Z";
    let value = table.get(key)?;
    let hint = || Some(format!("write {key} = {EXAMPLE}, without quotes"));
    let Some(datetime) = value.get_ref().as_datetime() else {
        reader.mistyped(key, "a datetime", value, hint());
        return None;
    };
    let written = datetime.to_string();
    match written.parse() {
        Ok(instant) => Some(Found { value: instant, span: value.span() }),
        Err(_) => {
            let what = if datetime.offset.is_none() {
                "is not an instant: it has no date, no time or no offset from UTC"
            } else {
                "is out of range"
            };
            reader.error(&value.span(), format!("`{key}` is {written}, which {what}"), hint());
            None
        }
    }
}

/// A duration such as "7d", "36h" or "1h 30m", or the number 0. Days have 24 hours.
pub(in crate::declare) fn duration(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
) -> Option<Found<SignedDuration>> {
    let value = table.get(key)?;
    let is_zero = match value.get_ref() {
        DeValue::Integer(number) => number.as_str() == "0",
        DeValue::String(text) => text.trim() == "0",
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => false,
    };
    if is_zero {
        return Some(Found { value: SignedDuration::ZERO, span: value.span() });
    }
    let hint = "write a number and a unit of weeks or less: \"7d\", \"36h\", \"1h 30m\"";
    let Some(text) = value.get_ref().as_str() else {
        reader.mistyped(key, "a duration in quotes", value, Some(hint.to_owned()));
        return None;
    };
    let shown = text.escape_debug();
    let Some(duration) = counted(text) else {
        let message = format!("`{key}` is \"{shown}\", which is not a duration");
        reader.error(&value.span(), message, Some(hint.to_owned()));
        return None;
    };
    if duration.is_negative() || duration > LONGEST {
        let message = format!("`{key}` is \"{shown}\"; 0 to 36500 days are allowed");
        reader.error(&value.span(), message, None);
        return None;
    }
    Some(Found { value: duration, span: value.span() })
}

/// `None` for months and years, which have no fixed length.
fn counted(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_length_of_their_own() {
        for (text, hours) in [("7d", 168), ("1w", 168), ("36h", 36), ("P7D", 168), ("2 days", 48)] {
            assert_eq!(counted(text), Some(SignedDuration::from_hours(hours)), "{text}");
        }
        assert_eq!(counted("1h 30m"), Some(SignedDuration::from_mins(90)));
        for text in ["1 month", "1y", "", "7", "d", "7 d d"] {
            assert_eq!(counted(text), None, "{text}");
        }
    }
}
