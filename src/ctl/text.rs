//! Texts for people: ages, lines of a width, and tenants' texts made safe for a terminal.

use std::borrow::Cow;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// Shows that something was cut.
const ELLIPSIS: &str = "…";

/// A text of at most that width, without its end if it is wider.
pub(super) fn cut_at_end(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let (kept, _) = split_at_width(text, width.saturating_sub(1));
    Cow::Owned([kept, ELLIPSIS].concat())
}

/// The same without its middle: of a name, both ends say which it is.
pub(super) fn cut_in_middle(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(1);
    let (begin, _) = split_at_width(text, room - room / 2);
    let mut end = text;
    while end.width() > room / 2 {
        let mut rest = end.chars();
        rest.next();
        end = rest.as_str();
    }
    Cow::Owned([begin, ELLIPSIS, end].concat())
}

/// The lines of a text, broken between words so that none is wider than `width`; a word that is
/// wider by itself is broken, too. Without a width, the lines are as they are written.
pub(super) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(1)) else {
        return text.split('\n').map(str::to_owned).collect();
    };
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut rest = line;
        while rest.width() > width {
            let (fits, _) = split_at_width(rest, width);
            // A blank just behind the line is a place to break, too.
            let is_whole = rest.get(fits.len()..).is_some_and(|after| after.starts_with(' '));
            let indent = rest.len() - rest.trim_start().len();
            let blank = fits.rfind(' ').filter(|at| *at > indent);
            let end = if is_whole { fits.len() } else { blank.unwrap_or(fits.len()) };
            // A character may be wider than the line.
            let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
            let (head, tail) = rest.split_at(end);
            lines.push(head.trim_end().to_owned());
            rest = tail.trim_start();
        }
        lines.push(rest.to_owned());
    }
    lines
}

/// The longest beginning of at most that width, and the rest.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or_default();
        if used > width {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// A number with its noun, in the singular or the plural by `s`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {}", plural(noun)) }
}

fn plural(noun: &str) -> String {
    match noun {
        "half" => "halves".to_owned(),
        "policy" => "policies".to_owned(),
        _ => format!("{noun}s"),
    }
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

    use unicode_width::UnicodeWidthStr;

    use super::{age, count, cut_at_end, cut_in_middle, moment, plain, wrap};

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
    fn what_is_too_wide_is_cut() {
        assert_eq!(cut_at_end("failed", 6), "failed");
        assert_eq!(cut_at_end("failed", 5), "fail…");
        assert_eq!(cut_at_end("日本語", 5), "日本…");
        assert_eq!(cut_at_end("日本語", 4), "日…", "half a character is none");
        assert_eq!(cut_in_middle("blue/web/to-db", 9), "blue…o-db");
        assert_eq!(cut_in_middle("日本語日本語", 6), "日…語");
        assert_eq!(cut_in_middle("blue", 1), "…");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("one two three", None), ["one two three"]);
        assert_eq!(wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrap("one two three", Some(8)), ["one two", "three"]);
        assert_eq!(wrap("onetwothree", Some(4)), ["onet", "woth", "ree"]);
        assert_eq!(wrap("a\nb c", Some(2)), ["a", "b", "c"]);
        for width in 1..20 {
            let lines = wrap("日本 and a-rather-long-word\n  after blanks", Some(width));
            let widest = lines.iter().map(|line| line.width()).max();
            assert!(widest <= Some(width.max(2)), "{width}: {lines:?}");
        }
    }

    #[test]
    fn numbers_have_their_plurals() {
        assert_eq!(
            [0, 1, 2].map(|number| count(number, "half")),
            ["0 halves", "1 half", "2 halves"]
        );
        assert_eq!(count(2, "policy"), "2 policies");
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
