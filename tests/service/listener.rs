//! One who listens to `GET /v1/events`, without a library that reads events.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::running::PATIENCE;

/// A stream of events.
pub(crate) struct Listener {
    stream: UnixStream,
    text: String,
    events: VecDeque<Value>,
    /// Where to resume.
    pub(crate) last: Option<String>,
    ended: bool,
}

impl Listener {
    /// Listens from now on, or behind an event; returns once the daemon has begun to answer.
    pub(crate) fn start(socket: &Path, last: Option<&str>) -> Self {
        let mut stream = UnixStream::connect(socket).unwrap();
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request = format!("GET /v1/events HTTP/1.1\r\nHost: x\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (text, events) = (String::new(), VecDeque::new());
        let mut listener = Self { stream, text, events, last: None, ended: false };
        let deadline = Instant::now() + PATIENCE;
        while listener.last.is_none() && !listener.ended {
            assert!(Instant::now() < deadline, "no answer: {}", listener.text);
            listener.read();
        }
        listener
    }

    /// Reads what is there, or waits for some milliseconds.
    fn read(&mut self) {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(length) => self.text += std::str::from_utf8(&buffer[..length]).unwrap(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        while let Some(end) = self.text.find('\n') {
            let line: String = self.text.drain(..=end).collect();
            if let Some(id) = line.strip_prefix("id:") {
                self.last = Some(id.trim().to_owned());
            }
            if let Some(data) = line.strip_prefix("data:") {
                self.events.push_back(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The next event that is wanted; all before it are forgotten.
    #[track_caller]
    pub(crate) fn next(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(event) = self.events.pop_front() {
                if wanted(&event) {
                    return event;
                }
            }
            assert!(Instant::now() < deadline && !self.ended, "no {what}");
            self.read();
        }
    }

    /// The events that have come up to one that is wanted.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let event = self.next(what, |_| true);
            all.push(event);
            if all.last().is_some_and(&wanted) {
                return all;
            }
        }
    }
}
