//! The interfaces of LXD and Incus on their unix sockets: HTTP with JSON. It only reads.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time;

use crate::declare::{Tool, ToolSettings};
use crate::discover::{Answer, Instance, listed, peers, project_names};

/// How long such a tool may take for all answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// Largest answer, in bytes.
const LARGEST: usize = 64 << 20;
/// Unreserved characters stay readable (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the sockets usually are: of a package, and of a snap.
const LXD: [&str; 2] = ["/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"];
const INCUS: [&str; 1] = ["/var/lib/incus/unix.socket"];

/// Why a tool does not say what it has.
#[derive(Debug)]
enum ApiError {
    Connect(io::Error),
    Broken(hyper::Error),
    Body(Box<dyn std::error::Error + Send + Sync>),
    Request(hyper::http::Error),
    NoJson(serde_json::Error),
    Refused { path: String, error: String },
    Silent,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Broken(error) => write!(f, "the connection was lost: {error}"),
            Self::Body(error) => write!(f, "the answer was cut off: {error}"),
            Self::Request(error) => write!(f, "cannot compose the request: {error}"),
            Self::NoJson(error) => write!(f, "the answer is not understood: {error}"),
            Self::Refused { path, error } => write!(f, "{path}: {error}"),
            Self::Silent => write!(f, "no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_code: u32,
    #[serde(default)]
    metadata: Value,
}

/// The socket of a tool; none of a tool without one, or if it is not on this host.
fn socket(tool: Tool, settings: &ToolSettings) -> Option<PathBuf> {
    let (named, usual) = match tool {
        Tool::Lxd => (&settings.lxd, &LXD[..]),
        Tool::Incus => (&settings.incus, &INCUS[..]),
        Tool::Neutron | Tool::KubeOvn | Tool::OvnKubernetes => return None,
    };
    // One that may not be looked at is there: connecting says why it cannot be used.
    let is_there = |path: &&PathBuf| path.try_exists().unwrap_or(true);
    named.clone().or_else(|| usual.iter().map(PathBuf::from).find(|path| is_there(&path)))
}

/// Asks a tool for its networks in OVN; none of a tool that cannot be asked here.
pub(super) async fn ask(tool: Tool, settings: &ToolSettings) -> Option<Answer> {
    let socket = socket(tool, settings)?;
    let networks = time::timeout(PATIENCE, networks(&socket)).await;
    let networks = networks.unwrap_or(Err(ApiError::Silent));
    let networks = networks.map_err(|error| format!("{}: {error}", socket.display()));
    Some(Answer { tool, networks })
}

async fn networks(socket: &Path) -> Result<Vec<Instance>, ApiError> {
    let mut api = Api::connect(socket).await?;
    let projects = project_names(&api.get("/1.0/projects?recursion=1").await?);
    let mut networks = Vec::new();
    for project in projects {
        let query = format!("project={}", encoded(&project));
        let all = api.get(&format!("/1.0/networks?recursion=1&{query}")).await?;
        for mut network in listed(&project, &all) {
            let path = format!("/1.0/networks/{}", encoded(&network.name));
            // One that goes meanwhile, or is not on this member of a cluster yet, is known by less.
            if let Some(state) = api.look(&format!("{path}/state?{query}")).await? {
                network.add_state(&state);
            }
            let known = api.look(&format!("{path}/peers?recursion=1&{query}")).await?;
            network.peers = known.as_ref().map(peers).unwrap_or_default();
            networks.push(network);
        }
    }
    Ok(networks)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A connection to a tool.
struct Api(SendRequest<Empty<Bytes>>);

impl Api {
    async fn connect(socket: &Path) -> Result<Self, ApiError> {
        let stream = UnixStream::connect(socket).await.map_err(ApiError::Connect)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ApiError::Broken)?;
        // The task ends with the connection; its error is also the request's error.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// What is at a path.
    async fn get(&mut self, path: &str) -> Result<Value, ApiError> {
        let request = Request::builder().uri(path).header(HOST, "ovn-peerd");
        let request = request.body(Empty::new()).map_err(ApiError::Request)?;
        self.0.ready().await.map_err(ApiError::Broken)?;
        let response = self.0.send_request(request).await.map_err(ApiError::Broken)?;
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        let body = body.map_err(ApiError::Body)?.to_bytes();
        let answer: Envelope = serde_json::from_slice(&body).map_err(ApiError::NoJson)?;
        if answer.error_code == 0 && answer.error.is_empty() {
            return Ok(answer.metadata);
        }
        let path = path.split('?').next().unwrap_or(path).to_owned();
        Err(ApiError::Refused { path, error: answer.error })
    }

    /// The same, and nothing if the tool refuses it.
    async fn look(&mut self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(ApiError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
