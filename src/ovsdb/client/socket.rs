//! Opening a remote: a stream of bytes over any kind of socket.
//!
//! Owns connecting and the TLS handshake. May not touch the protocol above. Invariant: the two
//! streams are independent, so that writing never waits for reading.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::keys::Material;
use super::remote::{HostPort, Remote};
use super::tls::{self, TlsError};
use crate::pem::validity;

/// A connection.
pub(super) struct Opened {
    pub(super) streams: Streams,
    /// Until when the server's certificate is valid, if it has sent one.
    pub(super) server_until: Option<Timestamp>,
}

/// The two streams of a connection.
pub(super) struct Streams {
    pub(super) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) write: Box<dyn AsyncWrite + Send + Unpin>,
}

/// A remote that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// There is nobody.
    #[error("cannot connect: {remedy}")]
    Connect {
        /// What to do about it.
        remedy: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An `ssl:` remote without files.
    #[error("an ssl: remote needs ca_cert, certificate and private_key; none are configured")]
    NoTlsFiles,
    /// Files that do not do.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The handshake failed.
    #[error("the TLS handshake failed: {remedy}")]
    Handshake {
        /// What to do about it.
        remedy: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A stream as it is before TLS.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Connects to `remote`.
///
/// # Errors
/// If nobody listens. Has no time limit: the caller has the clock.
pub(super) async fn connect(remote: &Remote) -> Result<Stream, OpenError> {
    match remote {
        Remote::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix).map_err(nobody),
        Remote::Tcp(address) | Remote::Ssl(address) => tcp(address).await.map(Stream::Tcp),
    }
}

/// Makes a connection of `stream`, with TLS if `remote` says so.
///
/// # Errors
/// If the TLS handshake fails. Has no time limit: the caller has the clock.
pub(super) async fn secure(
    stream: Stream,
    remote: &Remote,
    material: Option<&Material>,
) -> Result<Opened, OpenError> {
    let plain = |streams| Opened { streams, server_until: None };
    match (stream, remote) {
        (Stream::Unix(stream), _) => {
            let (read, write) = stream.into_split();
            Ok(plain(Streams { read: Box::new(read), write: Box::new(write) }))
        }
        (Stream::Tcp(stream), Remote::Tcp(_) | Remote::Unix(_)) => {
            let (read, write) = stream.into_split();
            Ok(plain(Streams { read: Box::new(read), write: Box::new(write) }))
        }
        (Stream::Tcp(stream), Remote::Ssl(address)) => {
            let material = material.ok_or(OpenError::NoTlsFiles)?;
            let connector = TlsConnector::from(Arc::clone(&material.config));
            let name = tls::server_name(&address.host);
            let stream = connector.connect(name, stream).await.map_err(handshake)?;
            let shown = stream.get_ref().1.peer_certificates();
            let leaf = shown.and_then(|certificates| certificates.first());
            let server_until = leaf.and_then(|leaf| validity(leaf)).map(|(_, until)| until);
            let (read, write) = tokio::io::split(stream);
            let streams = Streams { read: Box::new(read), write: Box::new(write) };
            Ok(Opened { streams, server_until })
        }
    }
}

async fn tcp(address: &HostPort) -> Result<TcpStream, OpenError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(nobody)?;
    // Requests are written whole; Nagle's algorithm would only delay them.
    stream.set_nodelay(true).map_err(nobody)?;
    Ok(stream)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn nobody(source: io::Error) -> OpenError {
    let remedy = match source.kind() {
        io::ErrorKind::NotFound => "there is no such socket; is the server running?",
        io::ErrorKind::ConnectionRefused => "nobody listens there; is the server running?",
        io::ErrorKind::PermissionDenied => {
            "this user may not open the socket; is it in the socket's group?"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "there is no way to this host; check the address and the routes"
        }
        _ => "check the remote and the server",
    };
    OpenError::Connect { remedy, source }
}

fn handshake(source: io::Error) -> OpenError {
    let remedy = tls::remedy(&source).unwrap_or(if source.kind() == io::ErrorKind::UnexpectedEof {
        "the server closed the connection in the middle of it; does it speak TLS on this port?"
    } else {
        "check that the server speaks TLS on this port"
    });
    OpenError::Handshake { remedy, source: tls::timeless(source) }
}
