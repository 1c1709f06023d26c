//! How texts are kept: as they are, or in pieces where they hold a long hexadecimal number.
//!
//! Owns the choice between the forms, and the way back. May not touch cells. Invariant: a text has exactly one form.
//!
//! ```text
//! piece = (bytes << 2 | LITERAL) text | position << 2 | PHRASE
//!       | ((digits - 16) << 2 | HEX) as in `digits` | position << 2 | AGAIN
//! ```
//!
//! Phrases are those of [`PHRASES`]. A number that stands there again is named by its position among the first
//! [`REMEMBERED`] of the text.

use std::ops::Range;

use crate::phrases::PHRASES;

use super::digits::{push_hex, push_number, take, take_hex, take_number};

const LITERAL: u64 = 0;
const PHRASE: u64 = 1;
const HEX: u64 = 2;
const AGAIN: u64 = 3;

/// Hexadecimal digits that are worth it.
const LEAST: usize = 16;
/// Numbers of a text that can be named when they come again.
const REMEMBERED: usize = 4;

/// The form of a text.
pub(super) enum Form {
    /// As it is.
    Plain,
    /// The position of a phrase.
    Phrase(u64),
    /// In pieces; its first number stands here.
    Pieces(Range<usize>),
}

impl Form {
    /// The one form of this text.
    pub(super) fn of(text: &str) -> Self {
        match (number_from(text, 0), position(text)) {
            (Some(first), _) => Self::Pieces(first),
            (None, Some(position)) => Self::Phrase(position),
            (None, None) => Self::Plain,
        }
    }
}

/// A phrase by its position.
pub(super) fn phrase(position: u64) -> Option<&'static str> {
    PHRASES.get(usize::try_from(position).ok()?).copied()
}

/// Appends the pieces of a text of which the first number is known.
pub(super) fn push_pieces(out: &mut String, text: &str, first: Range<usize>) {
    let (mut seen, mut count, mut end) = ([""; REMEMBERED], 0, 0);
    let mut next = Some(first);
    while let Some(found) = next {
        push_between(out, text.get(end..found.start).unwrap_or_default());
        let number = text.get(found.clone()).unwrap_or_default();
        match (0..).zip(seen).find(|(_, before)| *before == number) {
            Some((position, _)) => push_number(out, position << 2 | AGAIN),
            None => {
                push_number(out, ((number.len() - LEAST) as u64) << 2 | HEX);
                push_hex(out, number);
                if let Some(free) = seen.get_mut(count) {
                    *free = number;
                    count += 1;
                }
            }
        }
        end = found.end;
        next = number_from(text, end);
    }
    push_between(out, text.get(end..).unwrap_or_default());
}

fn push_between(out: &mut String, text: &str) {
    match position(text) {
        Some(position) => push_number(out, position << 2 | PHRASE),
        None if text.is_empty() => {}
        None => {
            push_number(out, (text.len() as u64) << 2 | LITERAL);
            out.push_str(text);
        }
    }
}

/// A piece that was read.
enum Piece<'a, H> {
    Text(&'a str),
    /// A number of so many digits.
    Number(usize, H),
    /// The number at this position, again.
    Again(usize),
}

/// Takes a piece off the front of some.
fn take_piece<'a>(pieces: &mut &'a str) -> Option<Piece<'a, impl Iterator<Item = u8> + use<'a>>> {
    let piece = take_number(pieces)?;
    let value = usize::try_from(piece >> 2).ok()?;
    Some(match piece & 3 {
        LITERAL => Piece::Text(take(pieces, value)?),
        PHRASE => Piece::Text(PHRASES.get(value)?),
        HEX => {
            let count = value.checked_add(LEAST)?;
            Piece::Number(count, take_hex(pieces, count)?)
        }
        _ => Piece::Again(value),
    })
}

/// The text of these pieces.
pub(super) fn joined(mut pieces: &str) -> Option<String> {
    let mut text = String::with_capacity(2 * pieces.len());
    let (mut seen, mut count) = ([const { 0..0 }; REMEMBERED], 0);
    while !pieces.is_empty() {
        match take_piece(&mut pieces)? {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Number(_, digits) => {
                let start = text.len();
                text.extend(digits.map(char::from));
                if let Some(free) = seen.get_mut(count) {
                    *free = start..text.len();
                    count += 1;
                }
            }
            Piece::Again(position) => text.extend_from_within(seen.get(position)?.clone()),
        }
    }
    Some(text)
}

/// Whether these pieces are those of a text; without joining them.
pub(super) fn are_of(mut pieces: &str, text: &str) -> Option<bool> {
    let (mut seen, mut count, mut rest) = ([""; REMEMBERED], 0, text);
    while !pieces.is_empty() {
        let next = match take_piece(&mut pieces)? {
            Piece::Text(piece) => piece,
            Piece::Number(length, digits) => {
                let Some(number) = rest.get(..length) else { return Some(false) };
                if !digits.eq(number.bytes()) {
                    return Some(false);
                }
                if let Some(free) = seen.get_mut(count) {
                    *free = number;
                    count += 1;
                }
                number
            }
            Piece::Again(position) => seen.get(position)?,
        };
        match rest.strip_prefix(next) {
            Some(after) => rest = after,
            None => return Some(false),
        }
    }
    Some(rest.is_empty())
}

/// Where the phrases of each length begin, up to one more than the longest has.
#[allow(clippy::indexing_slicing, reason = "the compiler goes through it, and sees its ends")]
const BEGIN: [usize; 64] = {
    let (mut begin, mut length, mut position) = ([0; 64], 0, 0);
    while length < begin.len() {
        while position < PHRASES.len() && PHRASES[position].len() < length {
            position += 1;
        }
        begin[length] = position;
        length += 1;
    }
    begin
};

fn position(text: &str) -> Option<u64> {
    let (first, end) = (*BEGIN.get(text.len())?, *BEGIN.get(text.len() + 1)?);
    let found = PHRASES.get(first..end)?.iter().position(|phrase| *phrase == text)?;
    Some((first + found) as u64)
}

/// The first long number from a byte on. Looks at every sixteenth byte, of which a long one has one.
fn number_from(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let other = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut at = from + LEAST - 1;
    while let (Some(before), Some(after)) = (bytes.get(from..at), bytes.get(at..)) {
        let end = at + after.iter().position(other).unwrap_or(after.len());
        if end > at {
            let start = from + before.iter().rposition(other).map_or(0, |position| position + 1);
            if end - start >= LEAST {
                return Some(start..end);
            }
        }
        at = end + LEAST;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> Option<String> {
        let Form::Pieces(first) = Form::of(text) else { return None };
        let mut out = String::new();
        push_pieces(&mut out, text, first);
        Some(out)
    }

    #[test]
    fn what_recurs_takes_few_bytes() {
        let (id, a, b) =
            ("dc2f9196e797bb8a6c937270", "31e2b29cbdbb9e34f142fe28", "0123456789abcdef01234567");
        let between = |ip: &str, a: &str, b: &str| {
            format!("({ip}.src == $ovn_peerd_{a}_{ip} && {ip}.dst == $ovn_peerd_{b}_{ip})")
        };
        let all = [("ip4", a, b), ("ip4", b, a), ("ip6", a, b), ("ip6", b, a)];
        let all = all.map(|(ip, a, b)| between(ip, a, b)).join(" || ");
        let text = format!("inport == \"ovn-peerd-{id}-a\" && ({all})");
        let packed = pieces(&text).unwrap();
        assert!(packed.len() < 80 && text.len() > 480, "{} of {}", packed.len(), text.len());
        assert_eq!(joined(&packed), Some(text));
        assert_eq!(pieces(&format!("peering-{id}")).map(|packed| packed.len()), Some(16));
        assert!(matches!(Form::of("router"), Form::Phrase(_)));
        assert!(matches!(Form::of(""), Form::Plain));
    }

    proptest! {
        #[test]
        fn what_was_taken_apart_is_joined(
            text in "(\\PC|[a-g]{1,3}|drop|_ip4|[0-9a-f]{14,40}|0123456789abcdef0){0,8}",
            cut in any::<proptest::sample::Index>(),
            put in "|f|0|a-|-0123456789abcdef0",
        ) {
            let at = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect::<Vec<_>>();
            let (before, after) = text.split_at(*cut.get(&at));
            let other = format!("{before}{put}{}", after.get(1..).unwrap_or(after));

            let long = text.split(|c: char| !matches!(c, '0'..='9' | 'a'..='f'));
            let long = long.max_by_key(|it| it.len()).map_or(0, str::len) >= LEAST;
            let packed = pieces(&text);
            prop_assert_eq!(packed.is_some(), long);
            if let Some(packed) = packed {
                prop_assert_eq!(joined(&packed), Some(text.clone()));
                prop_assert_eq!(are_of(&packed, &text), Some(true));
                prop_assert_eq!(are_of(&packed, &other), Some(text == other));
            }
        }

        #[test]
        fn what_is_no_piece_does_no_harm(pieces in "[\0-\u{b}A-D]{0,9}|\\PC{0,9}") {
            let joined = joined(&pieces);
            prop_assert!(joined.is_none_or(|text| are_of(&pieces, &text) == Some(true)));
        }
    }
}
