//! The validity of a certificate, and nothing else of it (RFC 5280 section 4.1). Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when and until when a certificate in DER is valid; `None` if it does not conform to the
/// specification.
pub(crate) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&EXPLICIT_VERSION) {
        fields = any(fields)?.2;
    }
    // serialNumber, signature, issuer.
    for _ in 0..3 {
        fields = any(fields)?.2;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (tag, from, rest) = any(validity)?;
    let (until_tag, until, _) = any(rest)?;
    Some((moment(tag, from)?, moment(until_tag, until)?))
}

/// The content of an element that must have this tag, and the rest after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and the rest after it (X.690 section 8.1).
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 section 4.1.2.5).
fn moment(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut parts = rest.as_bytes().chunks(2).map(|pair| {
        let [tens, ones] = pair else { return None };
        let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
        i8::try_from(digit(*tens)? * 10 + digit(*ones)?).ok()
    });
    let mut next = || parts.next().flatten();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut bytes = if length < 128 {
            vec![tag, u8::try_from(length).unwrap()]
        } else {
            vec![
                tag,
                0x82,
                u8::try_from(length >> 8).unwrap(),
                u8::try_from(length & 0xff).unwrap(),
            ]
        };
        bytes.extend_from_slice(content);
        bytes
    }

    fn certificate(version: bool, times: &[u8]) -> Vec<u8> {
        let issuer = der(SEQUENCE, &[7; 200]);
        let mut fields = if version { der(EXPLICIT_VERSION, &der(2, &[2])) } else { Vec::new() };
        for field in [der(2, &[1, 2, 3]), der(SEQUENCE, &[]), issuer, der(SEQUENCE, times)] {
            fields.extend(field);
        }
        der(SEQUENCE, &der(SEQUENCE, &fields))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let times =
            [der(UTC_TIME, b"260102030405Z"), der(GENERALIZED_TIME, b"20510607080910Z")].concat();
        let expected =
            ("2026-01-02T03:04:05Z".parse().unwrap(), "2051-06-07T08:09:10Z".parse().unwrap());
        for version in [false, true] {
            assert_eq!(validity(&certificate(version, &times)), Some(expected));
        }
    }

    #[test]
    fn whatever_is_cut_or_bent_is_not_read() {
        let times = [der(UTC_TIME, b"260102030405Z"), der(UTC_TIME, b"270102030405Z")].concat();
        let whole = certificate(true, &times);
        for length in 0..whole.len() {
            assert_eq!(validity(&whole[..length]), None);
        }
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[position] ^= 1 << bit;
                let _ = validity(&bent);
            }
        }
        for text in
            [&b"260102030405"[..], b"261302030405Z", b"26010203040Z", b"\xff60102030405Z", b"Z"]
        {
            let times = [der(UTC_TIME, text), der(UTC_TIME, b"270102030405Z")].concat();
            assert_eq!(validity(&certificate(true, &times)), None);
        }
    }
}
