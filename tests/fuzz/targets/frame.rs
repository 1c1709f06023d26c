//! The first thing that a server's bytes meet: cutting them into frames, and telling what each one is.
//! Frames must be the objects that a JSON parser sees, however the bytes were cut; what is spliced from
//! them must be JSON; and nothing may panic.
#![no_main]
#![allow(dead_code, reason = "the rooms have more users than this")]

#[path = "../../../src/ovsdb/client/envelope.rs"]
mod envelope;
#[path = "../../../src/ovsdb/client/frame.rs"]
mod frame;

use bytes::{Bytes, BytesMut};
use envelope::Inbound;
use frame::{FrameDecoder, FrameError};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use tokio_util::codec::Decoder;

/// Small, so that the limit is met too. In bytes.
const LARGEST: usize = 8192;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let pieces = decode(stream, usize::from(*size).max(1));
    let whole = decode(stream, stream.len().max(1));
    assert_eq!(pieces, whole);
    let (frames, end) = whole;
    objects(stream, &frames, end);
    for frame in &frames {
        assert!(frame.len() <= LARGEST);
        classify(frame);
        padded(frame);
    }
});

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Good,
    NotJson,
    TooLarge,
    TooDeep,
}

/// The frames before the end, of a stream that comes in pieces of `size` bytes.
fn decode(stream: &[u8], size: usize) -> (Vec<Bytes>, End) {
    let (mut decoder, mut buffer) = (FrameDecoder::new(LARGEST), BytesMut::new());
    let mut frames = Vec::new();
    for piece in stream.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(FrameError::NotJson { .. }) => return (frames, End::NotJson),
                Err(FrameError::TooLarge { .. }) => return (frames, End::TooLarge),
                Err(FrameError::TooDeep) => return (frames, End::TooDeep),
                Err(FrameError::TooLong) => panic!("a string cannot be longer than a frame"),
                Err(FrameError::Io(error)) => panic!("nothing is read here: {error}"),
            }
        }
    }
    (frames, End::Good)
}

/// As far as the stream is objects of JSON, those are its frames.
fn objects(stream: &[u8], frames: &[Bytes], end: End) {
    let values = serde_json::Deserializer::from_slice(stream).into_iter::<&RawValue>();
    let mut frames = frames.iter();
    for value in values.map_while(Result::ok).map(RawValue::get) {
        match frames.next() {
            Some(frame) => assert_eq!(frame, value),
            None if value.starts_with('{') => {
                assert!(end == End::TooDeep || end == End::TooLarge && value.len() > LARGEST);
                return;
            }
            None => {
                assert_eq!(end, End::NotJson);
                return;
            }
        }
    }
}

/// What is spliced from a frame, or into another one, is JSON.
fn classify(frame: &[u8]) {
    match envelope::classify(frame) {
        Err(_) | Ok(Inbound::Probe | Inbound::Notification { .. }) => {}
        Ok(Inbound::Request { id, params, .. }) => {
            object(&envelope::echo_reply(id, params));
            object(&envelope::unknown_method(id));
        }
        Ok(Inbound::Success { result: Some(result), .. }) => {
            json(result);
        }
        Ok(Inbound::Success { result: None, .. }) => {
            if let Ok(result) = envelope::result_of(frame) {
                json(result);
            }
        }
        Ok(Inbound::Failure { error, .. }) => {
            json(error);
        }
    }
}

/// What is sent must be an object, whatever it was spliced from.
fn object(message: &str) {
    assert!(json(message).get().starts_with('{'));
}

/// It is not read into a value: a number may be larger than any value holds.
fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("it is JSON")
}

/// A large frame is judged by its head. That must not differ from what a small one is found to be by
/// reading all of it.
fn padded(frame: &[u8]) {
    let Ok(small) = envelope::classify(frame) else { return };
    let mut large = frame.to_vec();
    large.pop();
    large.resize(frame.len() + LARGEST, b' ');
    large.push(b'}');
    let large = envelope::classify(&large).expect("it was good when it was small");
    match (&small, &large) {
        // The server sends a result never with an error, and never with a method.
        (
            Inbound::Success { id, .. } | Inbound::Failure { id, .. },
            Inbound::Success { id: same, result: None },
        ) => assert_eq!(id, same),
        (Inbound::Request { id, .. }, Inbound::Success { id: same, result: None }) => {
            assert_eq!(*id, same.to_string());
        }
        _ => assert_eq!(small, large),
    }
}
