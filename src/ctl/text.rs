//! Words for people: ages, and what tenants wrote made safe for a terminal.

use jiff::Timestamp;

/// An age in its largest unit, as `5s`, `3m`, `2h`, `4d`; `-` where nothing is known.
///
/// A moment in the future (another host's clock) counts as now.
pub(super) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    let Some(since) = since else { return "-".to_owned() };
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        86_400.. | i64::MIN..0 => format!("{}d", seconds / 86_400),
    }
}

/// A moment as age and RFC 3339 instant.
pub(super) fn moment(since: Option<Timestamp>, now: Timestamp) -> String {
    match since {
        Some(instant) => format!("{} ago ({instant:.0})", age(since, now)),
        None => "not known until the northbound has been read".to_owned(),
    }
}

/// Escapes control characters other than a line feed: a name must not steer the operator's
/// terminal.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if (character.is_control() && character != '\n') || is_bidirectional_control(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Characters that reorder what is shown (Unicode Standard Annex 9).
fn is_bidirectional_control(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{age, moment, plain};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, told) in [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h")] {
            assert_eq!(age(Some(at(1000)), at(1000 + seconds)), told);
        }
        assert_eq!(age(Some(at(0)), at(200_000)), "2d");
        assert_eq!(age(Some(at(5)), at(0)), "0s", "another host's clock may be ahead");
        assert_eq!(age(None, at(0)), "-");
    }

    #[test]
    fn a_moment_is_told_as_age_and_instant() {
        assert_eq!(moment(Some(at(0)), at(61)), "1m ago (1970-01-01T00:00:00Z)");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}c\u{202e}d\n"), "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\n");
    }
}
