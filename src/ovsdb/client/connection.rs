//! A connection with its JSON-RPC engine: one request at a time, and the messages that bypass the
//! engine, in the order of the wire.
//!
//! Owns the count of the messages that bypassed the engine. May not touch the meaning of requests
//! and updates. Invariant: while it waits for a reply it drains the wire, so that a full queue
//! never blocks the reply behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::backlog::Backlog;
use super::config::Config;
use super::error::SessionError;
use super::rpc::{EngineError, Message, RequestError, Rpc, Stamped, Wire};
use super::socket::Streams;
use super::transport::{Heard, Silence, Transport, transport};

/// Time for the wire to end after the engine has ended.
const ENDING: Duration = Duration::from_secs(1);

/// How long to wait for a reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// This long, even while the server sends.
    Fixed(Duration),
    /// This long, and then until the server answers a later request. A server answers in order: a
    /// busy one has answered neither; one that has lost the request has answered the later one.
    /// Probes check whether it lives.
    Overtaken(Duration),
}

impl Limit {
    /// Awaits the reply to a request.
    ///
    /// # Errors
    /// If there is none; the error has the time that it waited at least.
    pub(super) async fn within<T>(
        self,
        rpc: &Rpc,
        request: impl Future<Output = T>,
    ) -> Result<T, Duration> {
        tokio::pin!(request);
        let (Self::Fixed(limit) | Self::Overtaken(limit)) = self;
        if let Ok(reply) = tokio::time::timeout(limit, &mut request).await {
            return Ok(reply);
        }
        if matches!(self, Self::Fixed(_)) {
            return Err(limit);
        }
        tokio::select! {
            biased;
            reply = request => Ok(reply),
            _ = rpc.request("echo", [(); 0]) => Err(limit),
        }
    }
}

/// A connection with its engine.
pub(super) struct Connection {
    pub(super) rpc: Arc<Rpc>,
    wire: mpsc::UnboundedReceiver<Wire>,
    /// Messages taken from the wire during the wait for a reply.
    waiting: VecDeque<Wire>,
    /// How many messages the session has received.
    pub(super) seen: u64,
    writer: AbortHandle,
    pub(super) silence: Silence,
    /// After this long the server may have lost the request.
    patience: Duration,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

impl Connection {
    pub(super) fn new(streams: Streams, config: &Config, heard: &Heard, backlog: &Backlog) -> Self {
        let Transport { reader, requests, writer, silence } =
            transport(streams, config, heard.clone());
        let (rpc, wire) = Rpc::new(reader, requests, backlog.clone());
        Self {
            rpc: Arc::new(rpc),
            wire,
            waiting: VecDeque::new(),
            seen: 0,
            writer,
            silence,
            patience: config.transact_timeout,
        }
    }

    /// The next message that bypassed the engine. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Wire, SessionError> {
        let wire = match self.waiting.pop_front() {
            Some(wire) => wire,
            None => self.receive().await?,
        };
        self.seen += 1;
        Ok(wire)
    }

    async fn receive(&mut self) -> Result<Wire, SessionError> {
        match self.wire.recv().await {
            Some(Wire::Ended(error)) => Err(error.into()),
            Some(wire) => Ok(wire),
            None => Err(SessionError::Engine(self.rpc.ended().await)),
        }
    }

    /// Sends a request and decodes its reply. With a limit of `None` it waits for as long as the
    /// server may still answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: impl Serialize + Send,
        limit: Option<Duration>,
    ) -> Result<T, SessionError> {
        let stamped = self.request(method, params, limit).await?;
        serde_json::from_str(stamped.result.get())
            .map_err(|source| SessionError::Reply { method, source })
    }

    /// Sends a monitor request and returns the message that holds its reply.
    pub(super) async fn monitor(
        &mut self,
        method: &'static str,
        params: impl Serialize + Send,
        limit: Option<Duration>,
    ) -> Result<Message, SessionError> {
        self.request(method, params, limit).await?;
        let is_reply = |wire: &Wire| matches!(wire, Wire::MonitorReply(_));
        loop {
            // Only one monitor request is under way at any time, so this is its reply.
            if let Some(position) = self.waiting.iter().position(is_reply)
                && let Some(Wire::MonitorReply(message)) = self.waiting.remove(position)
            {
                self.seen += 1;
                return Ok(message);
            }
            let wire = self.receive().await?;
            self.waiting.push_back(wire.set_aside());
        }
    }

    /// Sends several requests at once and waits for all of them, so that the server has the next
    /// request while the client decodes the last reply. `each` gets every message that bypasses the
    /// engine, and returns those that it does not handle. Only probes limit the wait.
    pub(super) async fn calls<P: Serialize + Send>(
        &mut self,
        method: &'static str,
        params: impl IntoIterator<Item = P>,
        mut each: impl FnMut(Wire) -> Result<Option<Wire>, SessionError>,
    ) -> Result<(), SessionError> {
        let rpc = Arc::clone(&self.rpc);
        let requests = params.into_iter().map(|params| rpc.request(method, params));
        let mut requests: FuturesUnordered<_> = requests.collect();
        let mut stamp = 0;
        while !requests.is_empty() || self.bypassed() < stamp {
            tokio::select! {
                Some(reply) = requests.next() => match reply {
                    Ok(stamped) => stamp = stamp.max(stamped.stamp),
                    Err(error) => return Err(self.failed(method, error).await),
                },
                wire = self.receive() => match each(wire?)? {
                    Some(wire) => self.waiting.push_back(wire.set_aside()),
                    None => self.seen += 1,
                },
            }
        }
        Ok(())
    }

    /// How many messages have bypassed the engine so far.
    fn bypassed(&self) -> u64 {
        self.seen + self.waiting.len() as u64
    }

    async fn request(
        &mut self,
        method: &'static str,
        params: impl Serialize + Send,
        limit: Option<Duration>,
    ) -> Result<Stamped, SessionError> {
        let rpc = Arc::clone(&self.rpc);
        let limit = limit.map_or(Limit::Overtaken(self.patience), Limit::Fixed);
        let limited = limit.within(&rpc, rpc.request(method, params));
        tokio::pin!(limited);
        loop {
            tokio::select! {
                biased;
                reply = &mut limited => {
                    let timeout = |limit| SessionError::Timeout { what: method, limit };
                    match reply.map_err(timeout)? {
                        Ok(stamped) => return Ok(stamped),
                        Err(error) => return Err(self.failed(method, error).await),
                    }
                }
                Some(wire) = self.wire.recv() => match wire {
                    Wire::Ended(error) => return Err(error.into()),
                    wire @ (Wire::MonitorReply(_) | Wire::Notification { .. }) => {
                        self.waiting.push_back(wire.set_aside());
                    }
                },
            }
        }
    }

    /// The session error of a failed request. If the engine has ended, the wire has the reason.
    async fn failed(&mut self, method: &'static str, error: RequestError) -> SessionError {
        match error {
            RequestError::Refused(failure) => SessionError::Refused { method, failure },
            RequestError::Malformed(source) => SessionError::Reply { method, source },
            RequestError::Ended(error) => self.ended(error).await,
        }
    }

    async fn ended(&mut self, error: EngineError) -> SessionError {
        let last = async {
            while let Some(wire) = self.wire.recv().await {
                if let Wire::Ended(error) = wire {
                    return Some(error);
                }
            }
            None
        };
        match tokio::time::timeout(ENDING, last).await {
            Ok(Some(transport)) => transport.into(),
            Ok(None) | Err(_) => SessionError::Engine(error),
        }
    }
}
