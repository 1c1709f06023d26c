//! Texts for people: ages, and tenants' texts made safe for a terminal.

use jiff::Timestamp;

/// An age in its largest unit, as `5s`, `3m`, `2h`, `4d`; `-` if it is not known.
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

/// A moment, as an age and an RFC 3339 instant.
pub(super) fn moment(since: Option<Timestamp>, now: Timestamp) -> String {
    match since {
        Some(instant) => format!("{} ago ({instant:.0})", age(since, now)),
        None => "not known until the northbound has been read".to_owned(),
    }
}

/// Escapes control characters other than a line feed, and invisible characters: a name must neither
/// control the operator's terminal nor look like another one.
pub(super) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if (character.is_control() && character != '\n') || is_invisible(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Characters that reorder what is shown (Unicode Standard Annex 9), take no room, or are blank
/// although they count as letters (`Default_Ignorable_Code_Point`, Unicode Standard Annex 44).
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{age, moment, plain};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (seconds, told) in [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h")] {
            assert_eq!(age(Some(at(1000)), at(1000 + seconds)), told);
        }
        assert_eq!(age(Some(at(0)), at(200_000)), "2d");
        assert_eq!(age(Some(at(5)), at(0)), "0s", "another host's clock may be ahead");
        assert_eq!(age(None, at(0)), "-");
    }

    #[test]
    fn a_moment_is_shown_as_age_and_instant() {
        assert_eq!(moment(Some(at(0)), at(61)), "1m ago (1970-01-01T00:00:00Z)");
    }

    #[test]
    fn names_that_look_alike_are_distinguished() {
        for invisible in ['\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}', '\u{3164}'] {
            let name = format!("web{invisible}");
            assert_eq!(plain(&name), format!("web{}", invisible.escape_unicode()));
        }
        assert_eq!(plain("büro-日本 1"), "büro-日本 1");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}c\u{202e}d\n"), "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\n");
    }
}
