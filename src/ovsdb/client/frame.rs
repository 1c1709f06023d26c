//! Framing: finds the end of each JSON object (RFC 7047 section 4 has no delimiter).
//!
//! Owns the scanner and its limits. May not touch sockets, nor the meaning of the objects.
//! Invariants: it scans no byte twice, even if the reads are small; outside of strings a frame has
//! as many closing brackets and braces as opening ones, and it guarantees nothing else of a frame.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use tokio_util::codec::Decoder;

/// A message of more bytes gets a buffer of its own, which is freed with it, so that the connection
/// does not keep the memory of a first dump for its whole life.
const LARGE: usize = 128 << 10;
/// The initial size of that buffer, and the step by which it grows, in bytes: memory that nobody
/// writes to costs nothing. Allocators map blocks of this size separately, so they leave no holes
/// (mallopt(3), `M_MMAP_THRESHOLD`).
const ROOMY: usize = 33 << 20;

/// How deep a message may nest. A row's cell in an update is ten deep.
const DEEPEST: usize = 64;
/// The longest string of a message, in bytes: a thousand times the longest cell of any northbound.
const LONGEST: usize = 16 << 20;

/// Input that is not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The server speaks another protocol.
    #[error("the server sent {found} where a JSON object should begin: {hint}")]
    NotJson {
        /// The first bytes, printable.
        found: String,
        /// A possible cause.
        hint: &'static str,
    },
    /// The limit is exceeded.
    #[error(
        "the server sent a message of more than {limit} bytes: it is not what was asked for, or \
         `largest_frame` must be raised"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It never ends, or serde_json could not parse it.
    #[error(
        "the server sent a message that nests more than {DEEPEST} deep: it is not an OVSDB server, or is broken"
    )]
    TooDeep,
    /// It never ends, or is too long for any cell.
    #[error(
        "the server sent a string of more than {LONGEST} bytes: it is not an OVSDB server, or somebody has \
         written such a cell, which must be removed"
    )]
    TooLong,
    /// Reading failed; [`Decoder`] requires this.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Splits a stream of bytes into JSON objects.
#[derive(Debug)]
pub struct FrameDecoder {
    largest: usize,
    /// How far the buffer has been scanned.
    scanned: usize,
    depth: usize,
    scan: Scan,
    /// Where the current string begins.
    string: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    /// Outside strings.
    Structure,
    String,
    /// In a string, after a backslash.
    Escape,
}

impl FrameDecoder {
    /// A decoder that fails at frames of more than `largest` bytes.
    pub fn new(largest: usize) -> Self {
        Self { largest, scanned: 0, depth: 0, scan: Scan::Structure, string: 0 }
    }

    /// Makes room for `least` bytes in the buffer, if there is less. The buffer grows in proportion
    /// to its content, so that a large frame is copied a constant number of times.
    pub fn make_room(buffer: &mut BytesMut, least: usize) {
        let waiting = buffer.len();
        if buffer.capacity() - waiting < least {
            let room = if waiting < LARGE { waiting.max(16 << 10) } else { ROOMY };
            buffer.reserve(room.max(least));
        }
    }

    /// Skips the whitespace between frames; the next byte must begin an object.
    fn begin(&mut self, buffer: &mut BytesMut) -> Result<bool, FrameError> {
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let _ = buffer.split_to(blank);
        match buffer.first() {
            None => Ok(false),
            Some(b'{') => {
                (self.scanned, self.depth, self.scan) = (1, 1, Scan::Structure);
                Ok(true)
            }
            Some(first) => {
                Err(FrameError::NotJson { found: printable(buffer), hint: hint(*first) })
            }
        }
    }

    /// Scans the bytes that are new; true once the object has ended.
    fn scan(&mut self, buffer: &[u8]) -> Result<bool, FrameError> {
        while let Some(rest) = buffer.get(self.scanned..) {
            let found = match self.scan {
                // Between two strings are a few bytes; a vectorised search would cost more than it
                // saves.
                Scan::Structure => rest.iter().position(|byte| is_structure(*byte)),
                Scan::String => memchr2(b'"', b'\\', rest),
                Scan::Escape => (!rest.is_empty()).then_some(0),
            };
            self.scanned += found.map_or(rest.len(), |offset| offset + 1);
            if self.scan != Scan::Structure && self.scanned - self.string > LONGEST {
                return Err(FrameError::TooLong);
            }
            let Some(byte) = found.and_then(|offset| rest.get(offset)) else { return Ok(false) };
            if self.step(*byte)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Handles the byte at which the scan stopped; true if the object ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, FrameError> {
        match (self.scan, byte) {
            (Scan::Structure, b'"') => (self.scan, self.string) = (Scan::String, self.scanned),
            (Scan::Structure, b'{' | b'[') => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(FrameError::TooDeep);
                }
            }
            (Scan::Structure, _) => {
                self.depth -= 1;
                return Ok(self.depth == 0);
            }
            (Scan::String, b'\\') => self.scan = Scan::Escape,
            (Scan::String, _) => self.scan = Scan::Structure,
            (Scan::Escape, _) => self.scan = Scan::String,
        }
        Ok(false)
    }
}

/// Whether this byte means anything outside of strings.
fn is_structure(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

impl Decoder for FrameDecoder {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if self.depth == 0 && !self.begin(buffer)? {
            return Ok(None);
        }
        // No further, so that the size of the reads does not decide which limit fails first.
        let within = buffer.len().min(self.largest.saturating_add(1));
        let complete = self.scan(buffer.get(..within).unwrap_or_default())?;
        if self.scanned > self.largest {
            return Err(FrameError::TooLarge { limit: self.largest });
        }
        if !complete {
            return Ok(None);
        }
        let frame = buffer.split_to(self.scanned).freeze();
        self.scanned = 0;
        // Then the rest is copied: never more than the frame itself, or little.
        let is_roomy = frame.len() + buffer.capacity() > 2 * LARGE;
        if is_roomy && buffer.len() <= frame.len().max(LARGE) {
            *buffer = BytesMut::from(&buffer[..]);
        }
        Ok(Some(frame))
    }
}

fn printable(buffer: &[u8]) -> String {
    let start: Vec<u8> = buffer.iter().take(24).copied().collect();
    format!("\"{}\"", start.escape_ascii())
}

fn hint(first: u8) -> &'static str {
    match first {
        // A TLS alert or handshake record.
        0x15 | 0x16 => "it seems to speak TLS; name the remote as ssl:",
        _ => "it is not an OVSDB server; check the remote's address and port",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes `input`, given in pieces of `chunk` bytes.
    fn frames(input: &[u8], chunk: usize, largest: usize) -> Result<Vec<String>, FrameError> {
        let (mut decoder, mut buffer, mut found) =
            (FrameDecoder::new(largest), BytesMut::new(), vec![]);
        for piece in input.chunks(chunk) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = decoder.decode(&mut buffer)? {
                found.push(String::from_utf8(frame.to_vec()).unwrap());
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_end_where_their_braces_close() {
        let expected = [r#"{}"#, r#"{"a":{"b":"}{\"\\"}}"#, r#"{"\\":["{",{}]}"#];
        let input = format!(" {}{}\n{} ", expected[0], expected[1], expected[2]);
        for chunk in 1..=input.len() {
            assert_eq!(frames(input.as_bytes(), chunk, 100).unwrap(), expected);
        }
    }

    #[test]
    fn other_protocols_are_named() {
        let banner = frames(b"SSH-2.0-OpenSSH_9.2\r\n", 7, 100).unwrap_err().to_string();
        assert!(banner.contains("SSH-2.0") && banner.contains("not an OVSDB server"), "{banner}");
        let alert = frames(&[0x15, 3, 3, 0, 2], 9, 100).unwrap_err().to_string();
        assert!(alert.contains("ssl:"), "{alert}");
        assert!(frames(b"}", 1, 100).is_err());
    }

    #[test]
    fn large_frames_are_refused_before_they_are_complete() {
        let limit = frames(br#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaa"#, 8, 16).unwrap_err();
        assert!(limit.to_string().contains("more than 16 bytes"), "{limit}");
        assert_eq!(frames(br#"{"a":1}{"b":2}"#, 14, 7).unwrap().len(), 2);
    }

    #[test]
    fn what_nests_for_ever_is_refused_at_once() {
        let nested = |open: &str, close: &str, times| {
            format!("{{\"a\":{}{}}}", open.repeat(times), close.repeat(times))
        };
        for (open, close) in [("[", "]"), ("{\"b\":", "}"), ("[1,{\"\":", "}]")] {
            let times = (DEEPEST - 1) / open.matches(['[', '{']).count();
            let deepest = nested(open, close, times);
            assert_eq!(frames(deepest.as_bytes(), 7, 10_000).unwrap(), [&*deepest]);
            let deeper = frames(nested(open, close, times + 1).as_bytes(), 7, 10_000).unwrap_err();
            assert!(matches!(deeper, FrameError::TooDeep), "{deeper}");
        }
        let endless = frames("{\"id\":0,\"result\":[[[[".as_bytes(), 3, 100);
        assert_eq!(endless.unwrap(), [""; 0]);
    }

    #[test]
    fn a_string_without_end_is_refused_before_it_fills_a_message() {
        let text = |length: usize| format!("{{\"a\":\"\\\"{}\"}}", "x".repeat(length - 2));
        let within = text(LONGEST - 1);
        assert_eq!(frames(within.as_bytes(), 1 << 20, 4 * LONGEST).unwrap(), [&*within]);
        let beyond = frames(text(LONGEST + 3).as_bytes(), 1 << 20, 4 * LONGEST).unwrap_err();
        assert!(matches!(beyond, FrameError::TooLong), "{beyond}");
    }

    #[test]
    fn a_large_frame_leaves_a_small_buffer() {
        let mut buffer = BytesMut::from(format!("{{\"{}\"}}{{", "x".repeat(2 * LARGE)).as_bytes());
        let frame = FrameDecoder::new(4 * LARGE).decode(&mut buffer).unwrap().unwrap();
        assert!(frame.len() > LARGE && buffer.capacity() < 1024);
        assert_eq!(&buffer[..], b"{");
    }

    #[test]
    fn many_small_frames_are_not_copied_each() {
        let mut buffer = BytesMut::from("{}".repeat(4 * LARGE).as_bytes());
        let (mut decoder, mut moved) = (FrameDecoder::new(LARGE), 0);
        let mut place = buffer.as_ptr();
        while !buffer.is_empty() {
            assert_eq!(decoder.decode(&mut buffer).unwrap().unwrap(), "{}");
            let expected = place.wrapping_add(2);
            moved += usize::from(buffer.as_ptr() != expected);
            place = buffer.as_ptr();
        }
        assert!(moved < 3, "what followed was copied {moved} times");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            texts in proptest::collection::vec("[a-c{}\"\\\\\u{e9}]{0,9}", 0..6),
            chunk in 1usize..9,
        ) {
            let objects: Vec<String> =
                texts.iter().map(|text| serde_json::json!({text: [text, {"k": text}]}).to_string()).collect();
            prop_assert_eq!(frames(objects.concat().as_bytes(), chunk, 1000).unwrap(), objects);
        }
    }
}
