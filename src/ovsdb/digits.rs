//! Numbers and identities, written in ASCII.
//!
//! Owns these forms, which cells are made of. Invariants: each number has one form; identities sort
//! as their forms do.

use uuid::Uuid;

/// Digits of a UUID.
pub(super) const IDENTITY: usize = 19;

/// A number: digits of 6 bits, the least first; 0x40 is set in all but the last.
#[inline]
pub(super) fn push_number(out: &mut String, mut number: u64) {
    while number >= 0x40 {
        out.push(digit_of(0x40 | (number & 0x3f)));
        number >>= 6;
    }
    out.push(digit_of(number));
}

/// The lowest seven bits.
#[inline]
pub(super) fn digit_of(number: u64) -> char {
    char::from((number & 0x7f) as u8)
}

/// An identity: digits of 7 bits.
pub(super) fn push_uuid(out: &mut String, uuid: Uuid) {
    let (high, low) = uuid.as_u64_pair();
    let first = spread(high >> 8).to_be_bytes();
    let second = spread(((high & 0xff) << 48) | (low >> 16)).to_be_bytes();
    out.extend(first.into_iter().chain(second).map(char::from));
    out.extend([low >> 14 & 3, low >> 7, low].map(digit_of));
}

/// 56 bits as eight bytes of seven.
fn spread(bits: u64) -> u64 {
    let x = ((bits & 0x00FF_FFFF_F000_0000) << 4) | (bits & 0x0FFF_FFFF);
    let x = ((x & 0x0FFF_C000_0FFF_C000) << 2) | (x & 0x0000_3FFF_0000_3FFF);
    ((x & 0x3F80_3F80_3F80_3F80) << 1) | (x & 0x007F_007F_007F_007F)
}

/// The inverse of `spread`.
fn gather(x: u64) -> u64 {
    let x = ((x & 0x7F00_7F00_7F00_7F00) >> 1) | (x & 0x007F_007F_007F_007F);
    let x = ((x & 0x3FFF_0000_3FFF_0000) >> 2) | (x & 0x0000_3FFF_0000_3FFF);
    ((x & 0x0FFF_FFFF_0000_0000) >> 4) | (x & 0x0FFF_FFFF)
}

/// Takes a number off the front of a text.
#[inline]
pub(super) fn take_number(text: &mut &str) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let digit = *text.as_bytes().first()?;
        *text = text.get(1..)?;
        number |= u64::from(digit & 0x3f).checked_shl(shift)?;
        if digit < 0x40 {
            return Some(number);
        }
        shift += 6;
    }
}

/// Takes this many bytes off the front of a text.
#[inline]
pub(super) fn take<'a>(text: &mut &'a str, bytes: usize) -> Option<&'a str> {
    let (taken, rest) = text.split_at_checked(bytes)?;
    *text = rest;
    Some(taken)
}

/// An identity that was pushed.
pub(super) fn uuid_of(digits: &str) -> Option<Uuid> {
    let (first, rest) = digits.as_bytes().split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<8>()?;
    let last = rest.iter().fold(0, |sum, digit| (sum << 7) | u64::from(*digit));
    let (first, second) = (gather(u64::from_be_bytes(*first)), gather(u64::from_be_bytes(*second)));
    Some(Uuid::from_u64_pair((first << 8) | (second >> 48), (second << 16) | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_and_numbers_at_their_ends() {
        for number in [0, 1, 0x3f, 0x40, 1 << 63, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(take_number(&mut text.as_str()), Some(number));
        }
        for number in [0, 1, u128::MAX, 1 << 127, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let mut text = String::new();
            push_uuid(&mut text, Uuid::from_u128(number));
            assert_eq!((text.len(), uuid_of(&text)), (IDENTITY, Some(Uuid::from_u128(number))));
        }
    }
}
