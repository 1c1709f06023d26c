//! HTTP/1.1 over the control socket: one connection for the one request of a command.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time;

use super::error::CtlError;
use super::event_stream::EventStream;
use crate::control::{ErrorBody, REQUEST_TIME};

/// Largest answer, in bytes: a list of some 500,000 halves.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// How long the daemon may take for a short request. It answers within milliseconds; a longer
/// silence means that the process is stopped or hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to plan, and to read every file again: longer than the daemon's own limit,
/// so that its refusal still arrives.
const LONG_PATIENCE: Duration = REQUEST_TIME.saturating_add(Duration::from_secs(5));
/// The pause between attempts to connect while the daemon's backlog is full.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);
/// Unreserved characters stay readable (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The daemon at the other end of the socket.
#[derive(Debug)]
pub(super) struct ControlClient {
    socket: PathBuf,
}

/// The daemon's answer.
struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl ControlClient {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask(Method::GET, path, Bytes::new(), PATIENCE).await
    }

    /// The same, of what takes the daemon long.
    pub(super) async fn get_long<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask_long(Method::GET, path, Bytes::new()).await
    }

    /// The same, of what takes the daemon long.
    pub(super) async fn post_long<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask_long(Method::POST, path, Bytes::new()).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask(Method::DELETE, path, Bytes::new(), PATIENCE).await
    }

    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CtlError> {
        let body = serde_json::to_vec(body).map_err(CtlError::Encode)?;
        self.ask_long(Method::POST, path, body.into()).await
    }

    /// The events from now on, or those that follow the one with this id.
    pub(super) async fn events(&self, last: Option<&str>) -> Result<EventStream, CtlError> {
        let silent = |_| CtlError::Silent { socket: self.socket.clone(), patience: PATIENCE };
        let headers = last.map(|last| ("last-event-id", last));
        let response = send(&self.socket, Method::GET, "/v1/events", Bytes::new(), headers);
        let response = time::timeout(PATIENCE, response).await.map_err(silent)??;
        let status = response.status();
        if status.is_success() {
            return Ok(EventStream::new(response.into_body()));
        }
        let answer = Answer { status, body: whole(&self.socket, response).await? };
        Err(self.refusal(&answer))
    }

    /// First checks with a short request that the daemon answers at all, so that a stopped process
    /// is reported soon.
    async fn ask_long<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, CtlError> {
        self.exchange(Method::GET, "/v1", Bytes::new(), PATIENCE).await?;
        self.ask(method, path, body, LONG_PATIENCE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<T, CtlError> {
        let answer = self.exchange(method, path, body, patience).await?;
        self.understand(answer)
    }

    fn understand<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, CtlError> {
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|source| self.foreign(source))
    }

    fn refusal(&self, answer: &Answer) -> CtlError {
        match serde_json::from_slice(&answer.body) {
            Ok(ErrorBody { error }) => CtlError::Refused(error),
            Err(source) => self.foreign(source),
        }
    }

    fn foreign(&self, source: serde_json::Error) -> CtlError {
        CtlError::Foreign { socket: self.socket.clone(), source }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, CtlError> {
        let silent = |_| CtlError::Silent { socket: self.socket.clone(), patience };
        let exchange = exchange(&self.socket, method, path, body);
        time::timeout(patience, exchange).await.map_err(silent)?
    }
}

/// A path of percent-encoded segments: names may hold any character.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, RESERVED))).collect()
}

/// A query of the keys with a value, with its question mark; empty if no key has one.
pub(super) fn query(keys: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> = keys
        .iter()
        .filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some(format!("{key}={}", utf8_percent_encode(value, RESERVED)))
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Connects, and waits while the backlog is full (unix(7), EAGAIN).
async fn connect(socket: &Path) -> Result<UnixStream, CtlError> {
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => time::sleep(CONNECT_PAUSE).await,
            connected => {
                return connected.map_err(|source| CtlError::connect(socket.to_owned(), source));
            }
        }
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Answer, CtlError> {
    let response = send(socket, method, path, body, None).await?;
    Ok(Answer { status: response.status(), body: whole(socket, response).await? })
}

/// The whole body of an answer.
async fn whole(socket: &Path, response: Response<Incoming>) -> Result<Bytes, CtlError> {
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|source| CtlError::Cut { socket: socket.to_owned(), source })?;
    Ok(body.to_bytes())
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
    header: Option<(&str, &str)>,
) -> Result<Response<Incoming>, CtlError> {
    let stream = connect(socket).await?;
    let broken = |source| CtlError::Broken { socket: socket.to_owned(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // The task ends with the connection; its error is also the request's error.
    tokio::spawn(connection);
    let request = header
        .into_iter()
        .fold(Request::builder(), |request, (name, value)| request.header(name, value));
    let request = request
        .method(method)
        .uri(path)
        .header(HOST, "ovn-peerd")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(CtlError::Request)?;
    sender.send_request(request).await.map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::{path, query};

    #[test]
    fn names_of_any_characters_make_one_segment_each() {
        assert_eq!(path(&["v1", "a/b c", "é?#"]), "/v1/a%2Fb%20c/%C3%A9%3F%23");
    }

    #[test]
    fn only_given_keys_are_asked_for() {
        assert_eq!(query(&[("project", None)]), "");
        let keys = [
            ("project", Some("a&b".to_owned())),
            ("network", None),
            ("state", Some("pending-peer".to_owned())),
        ];
        assert_eq!(query(&keys), "?project=a%26b&state=pending-peer");
    }
}
