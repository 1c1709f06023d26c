//! Server-sent events, read from the control socket (HTML Living Standard, "Parsing an event
//! stream").

use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Longest frame, in bytes.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct EventStream {
    body: Incoming,
    buffer: Vec<u8>,
}

/// What came at a time: an event, or a sign of life.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Where to resume after it.
    pub(super) id: Option<String>,
    /// The event.
    pub(super) data: Option<String>,
}

impl EventStream {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: Vec::new() }
    }

    /// Waits for the next frame; none if the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer) {
                return Some(frame);
            }
            if self.buffer.len() > MAX_FRAME_BYTES {
                return None;
            }
            let part = self.body.frame().await?.ok()?;
            if let Some(bytes) = part.data_ref() {
                self.buffer.extend_from_slice(bytes);
            }
        }
    }
}

/// Takes the lines up to an empty one.
fn take_frame(buffer: &mut Vec<u8>) -> Option<Frame> {
    let end = memchr::memmem::find(buffer, b"\n\n")?;
    let bytes: Vec<u8> = buffer.drain(..end + 2).collect();
    let text = String::from_utf8_lossy(&bytes);
    let values = |field: &str| -> Vec<&str> {
        let values = text.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect()
    };
    let (ids, data) = (values("id"), values("data"));
    Some(Frame {
        id: ids.last().map(|id| (*id).to_owned()),
        data: (!data.is_empty()).then(|| data.join("\n")),
    })
}

#[cfg(test)]
mod tests {
    use super::{Frame, take_frame};

    #[test]
    fn frames_come_in_any_pieces() {
        let text = b"id: 1-0\nevent: write\ndata: {\"a\":\ndata: 1}\n\n:\n\nid:2-0\n\nda";
        let frame = |id: Option<&str>, data: Option<&str>| Frame {
            id: id.map(str::to_owned),
            data: data.map(str::to_owned),
        };
        let expected =
            [frame(Some("1-0"), Some("{\"a\":\n1}")), frame(None, None), frame(Some("2-0"), None)];
        let mut whole = text.to_vec();
        assert_eq!([(); 3].map(|()| take_frame(&mut whole).unwrap()), expected);
        assert_eq!((take_frame(&mut whole), whole.as_slice()), (None, &b"da"[..]));
        let (mut buffer, mut pieces) = (Vec::new(), Vec::new());
        for byte in text {
            buffer.push(*byte);
            pieces.extend(take_frame(&mut buffer));
        }
        assert_eq!(pieces, expected);
    }
}
