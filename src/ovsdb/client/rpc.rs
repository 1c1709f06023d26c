//! The JSON-RPC engine (jsonrpsee), and all code that exists only to work around it.
//!
//! The engine matches replies to requests. This file owns what it needs for that, and no other file
//! names it:
//!
//! - It speaks JSON-RPC 2.0, and OVSDB is 1.0: this file rewrites each message from one form to the
//!   other. A message to the server never has a `jsonrpc` member and always has `params`; otherwise
//!   the server closes the connection.
//! - It drops notifications when their reader lags, and takes some for replies to subscriptions. So
//!   notifications bypass it as raw bytes, and so do the replies to monitor requests, because the
//!   engine would copy them.
//! - The bypass would lose the order between the two ways. So each reply carries a stamp: how many
//!   messages bypassed the engine before it.
//! - Its middleware serialises each message for its log, even if nothing is logged: it is left out.
//! - It has one time limit for all requests, which starts before a request is sent: it is set out
//!   of reach, and each request here has its own ([`Limit`](super::connection::Limit)).
//! - Its errors have the server's words only in their `data`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jsonrpsee_core::client::async_client::RpcService;
use jsonrpsee_core::client::{
    Client, ClientBuilder, ClientT, Error, ReceivedMessage, TransportReceiverT, TransportSenderT,
};
use jsonrpsee_core::middleware::RpcServiceBuilder;
use jsonrpsee_core::traits::ToRpcParams;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::backlog::{Backlog, Share};
use super::envelope::{self, Inbound};
use super::error::Failure;
use super::transport::{Reader, TransportError};

/// More than any request takes.
const OUT_OF_REACH: Duration = Duration::from_secs(365 * 24 * 3600);

/// What bypasses the engine, in the order in which it came.
#[derive(Debug)]
pub(super) enum Wire {
    /// The successful reply to a monitor request.
    MonitorReply(Message),
    /// A notification.
    Notification { method: Box<str>, message: Message },
    /// The connection has ended.
    Ended(TransportError),
}

/// A message as it came, with its share of the backlog.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) frame: Bytes,
    pub(super) share: Option<Share>,
}

impl Wire {
    /// Releases the share of the backlog: otherwise a message behind this one could wait for it
    /// forever.
    pub(super) fn set_aside(self) -> Self {
        let uncounted = |message: Message| Message { share: None, ..message };
        match self {
            Self::MonitorReply(message) => Self::MonitorReply(uncounted(message)),
            Self::Notification { method, message } => {
                Self::Notification { method, message: uncounted(message) }
            }
            Self::Ended(error) => Self::Ended(error),
        }
    }
}

/// The engine of one connection.
pub(super) struct Rpc(Client<RpcService>);

/// A result with the number of messages that bypassed the engine before it.
#[derive(Debug, Deserialize)]
pub(super) struct Stamped {
    pub(super) stamp: u64,
    pub(super) result: Box<RawValue>,
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The server refused it.
    Refused(Failure),
    /// The reply is none.
    Malformed(serde_json::Error),
    /// The engine has ended; if the connection has ended, [`Wire::Ended`] says why.
    Ended(EngineError),
}

impl RequestError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign and open enum; all others mean that the engine has ended"
    )]
    fn of(error: Error) -> Self {
        match error {
            Error::Call(call) => {
                Self::Refused(Failure::read(call.data().map_or("", RawValue::get)))
            }
            Error::ParseError(source) => Self::Malformed(source),
            error => Self::Ended(EngineError(error)),
        }
    }
}

/// Why the engine has ended, in its own words.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct EngineError(Error);

impl Rpc {
    /// An engine on a connection, and what bypasses it.
    pub(super) fn new(
        reader: Reader,
        requests: mpsc::Sender<String>,
        backlog: Backlog,
    ) -> (Self, mpsc::UnboundedReceiver<Wire>) {
        // The backlog bounds it.
        let (around, wire) = mpsc::unbounded_channel();
        let monitors = Monitors::default();
        let sender = Sender { requests, monitors: Arc::clone(&monitors) };
        let receiver = Receiver { reader, around, monitors, stamp: 0, backlog };
        let client = ClientBuilder::new()
            .request_timeout(OUT_OF_REACH)
            .set_rpc_middleware(RpcServiceBuilder::new())
            .build_with_tokio(sender, receiver);
        (Self(client), wire)
    }

    /// Sends a request and waits for its reply without a limit.
    pub(super) async fn request(
        &self,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<Stamped, RequestError> {
        self.0.request::<Stamped, _>(method, Params(params)).await.map_err(RequestError::of)
    }

    /// Waits until the engine has ended.
    pub(super) async fn ended(&self) -> EngineError {
        EngineError(self.0.on_disconnect().await)
    }
}

/// Parameters of a request.
struct Params<P>(P);

impl<P: Serialize> ToRpcParams for Params<P> {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        serde_json::value::to_raw_value(&self.0).map(Some)
    }
}

/// Ids of monitor requests under way.
type Monitors = Arc<Mutex<BTreeSet<u64>>>;

/// Nobody panics while holding this lock, and even then the data behind it would be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine's way out.
struct Sender {
    requests: mpsc::Sender<String>,
    monitors: Monitors,
}

impl TransportSenderT for Sender {
    type Error = TransportError;

    async fn send(&mut self, message: String) -> Result<(), TransportError> {
        let outbound = outbound(&message)?;
        if outbound.is_monitor {
            lock(&self.monitors).extend(outbound.id);
        }
        self.requests.send(outbound.text).await.map_err(|_| TransportError::Writer)
    }
}

/// The engine's way in.
struct Receiver {
    reader: Reader,
    around: mpsc::UnboundedSender<Wire>,
    monitors: Monitors,
    /// How many messages have bypassed the engine.
    stamp: u64,
    backlog: Backlog,
}

impl TransportReceiverT for Receiver {
    type Error = TransportError;

    async fn receive(&mut self) -> Result<ReceivedMessage, TransportError> {
        match self.next().await {
            Ok(message) => Ok(ReceivedMessage::Bytes(message)),
            Err(error) => {
                // The session gets it after all earlier messages; if the session has ended, nobody
                // reads it.
                let _ = self.around.send(Wire::Ended(error));
                Err(TransportError::Session)
            }
        }
    }
}

impl Receiver {
    /// The next message for the engine.
    async fn next(&mut self) -> Result<Vec<u8>, TransportError> {
        loop {
            let frame = self.reader.frame().await?;
            if let Some(message) = self.sort(frame).await? {
                return Ok(message);
            }
        }
    }

    /// Routes a frame; returns what is for the engine.
    async fn sort(&mut self, frame: Bytes) -> Result<Option<Vec<u8>>, TransportError> {
        match envelope::classify(&frame)? {
            Inbound::Request { id, method, params } => {
                let reply = if method == "echo" {
                    envelope::echo_reply(id, params)
                } else {
                    envelope::unknown_method(id)
                };
                self.reader.reply(reply)?;
            }
            Inbound::Probe => {}
            Inbound::Notification { method } => {
                let method = method.into();
                let message = placed(&self.backlog, frame).await;
                self.pass(Wire::Notification { method, message })?;
            }
            Inbound::Success { id, .. } if self.is_monitor(id) => {
                let message = placed(&self.backlog, frame).await;
                self.pass(Wire::MonitorReply(message))?;
                return Ok(Some(success(id, self.stamp, "null")));
            }
            Inbound::Success { id, result } => {
                let result = match result {
                    Some(result) => result,
                    None => envelope::result_of(&frame)?,
                };
                return Ok(Some(success(id, self.stamp, result)));
            }
            Inbound::Failure { id, error } => {
                self.is_monitor(id);
                return Ok(Some(failure(id, error)));
            }
        }
        Ok(None)
    }

    /// Passes a message to the session, bypassing the engine.
    fn pass(&mut self, wire: Wire) -> Result<(), TransportError> {
        self.stamp += 1;
        self.around.send(wire).map_err(|_| TransportError::Session)
    }

    /// Whether this replies to a monitor request; forgets the request.
    fn is_monitor(&self, id: u64) -> bool {
        lock(&self.monitors).remove(&id)
    }
}

/// A message with a share of the backlog; the reader waits until there is room.
async fn placed(backlog: &Backlog, frame: Bytes) -> Message {
    let share = backlog.share(frame.len()).await;
    Message { frame, share }
}

/// A result for the engine, stamped with the number of notifications that preceded it.
fn success(id: u64, stamp: u64, result: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"stamp":{stamp},"result":{result}}}}}"#)
        .into_bytes()
}

/// An error for the engine, which needs a number and a text.
fn failure(id: u64, error: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"","data":{error}}}}}"#
    )
    .into_bytes()
}

/// A message of the engine's, in JSON-RPC 1.0.
#[derive(Debug, PartialEq, Eq)]
struct Outbound {
    /// The id, unless it is a notification.
    id: Option<u64>,
    /// Whether the reply bypasses the engine.
    is_monitor: bool,
    /// What to send.
    text: String,
}

/// Rewrites a message of the engine's.
///
/// # Errors
/// If it is not a single request or notification.
fn outbound(message: &str) -> Result<Outbound, serde_json::Error> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(default)]
        id: Option<u64>,
        #[serde(borrow)]
        method: Cow<'a, str>,
        #[serde(borrow, default)]
        params: Option<&'a RawValue>,
    }
    let message: Message<'_> = serde_json::from_str(message)?;
    let method = serde_json::to_string(&message.method)?;
    let params = message.params.map_or("[]", RawValue::get);
    let id = message.id.map_or_else(|| "null".to_owned(), |id| id.to_string());
    Ok(Outbound {
        id: message.id,
        is_monitor: matches!(&*message.method, "monitor" | "monitor_cond" | "monitor_cond_since"),
        text: format!(r#"{{"method":{method},"params":{params},"id":{id}}}"#),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outbound_messages_are_as_the_server_wants_them() {
        let request =
            outbound(r#"{"jsonrpc":"2.0","id":0,"method":"monitor_cond","params":["x"]}"#).unwrap();
        assert_eq!(request.text, r#"{"method":"monitor_cond","params":["x"],"id":0}"#);
        assert!(request.is_monitor && request.id == Some(0));
        let bare = outbound(r#"{"jsonrpc":"2.0","method":"list_dbs"}"#).unwrap();
        assert_eq!(bare.text, r#"{"method":"list_dbs","params":[],"id":null}"#);
        assert!(outbound("[]").is_err());
    }

    #[test]
    fn spliced_replies_are_json() {
        for bytes in [success(1, 2, "[3]"), failure(1, "\"e\"")] {
            assert!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap().is_object());
        }
    }
}
