//! HTTP/1.1 over the control socket: one connection for the one request of a command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time;

use super::error::CtlError;
use crate::control::{ErrorBody, Filter, REQUEST_TIME};

/// Largest answer, in bytes: a list of some 500,000 halves.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Beyond what the daemon allows itself, so that its own answer about that arrives.
const PATIENCE: Duration = REQUEST_TIME.saturating_add(Duration::from_secs(5));
/// Unreserved characters stay readable (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The daemon at the other end of the socket.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask(Method::POST, path, Bytes::new()).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CtlError> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    pub(super) async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CtlError> {
        let body = serde_json::to_vec(body).map_err(CtlError::Encode)?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, CtlError> {
        let exchange = exchange(&self.socket, method, path, body);
        let (status, answer) = time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| CtlError::Silent { socket: self.socket.clone(), patience: PATIENCE })??;
        let foreign = |source| CtlError::Foreign { socket: self.socket.clone(), source };
        if status.is_success() {
            serde_json::from_slice(&answer).map_err(foreign)
        } else {
            let ErrorBody { error } = serde_json::from_slice(&answer).map_err(foreign)?;
            Err(CtlError::Refused(error))
        }
    }
}

/// A path of percent-encoded segments: names may hold any character.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, RESERVED))).collect()
}

/// A filter as a query, with its question mark; empty where it admits everything.
pub(super) fn query(filter: &Filter) -> String {
    let state = filter.state.map(|state| state.to_string());
    let keys = [("project", &filter.project), ("network", &filter.network), ("state", &state)];
    let pairs: Vec<String> = keys
        .into_iter()
        .filter_map(|(key, value)| {
            let value = value.as_ref()?;
            Some(format!("{key}={}", utf8_percent_encode(value, RESERVED)))
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), CtlError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| CtlError::connect(socket.to_owned(), source))?;
    let broken = |source| CtlError::Broken { socket: socket.to_owned(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself with the connection; its error is also the request's.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "ovn-peerd")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(CtlError::Request)?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let answer = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|source| CtlError::Cut { socket: socket.to_owned(), source })?
        .to_bytes();
    Ok((status, answer))
}

#[cfg(test)]
mod tests {
    use super::{path, query};
    use crate::control::Filter;
    use crate::view::State;

    #[test]
    fn names_of_any_characters_make_one_segment_each() {
        assert_eq!(path(&["v1", "a/b c", "é?#"]), "/v1/a%2Fb%20c/%C3%A9%3F%23");
    }

    #[test]
    fn only_given_keys_are_asked_for() {
        assert_eq!(query(&Filter::default()), "");
        let filter =
            Filter { project: Some("a&b".into()), network: None, state: Some(State::PendingPeer) };
        assert_eq!(query(&filter), "?project=a%26b&state=pending-peer");
    }
}
