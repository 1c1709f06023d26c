//! Remotes: where a server listens, as OVS's tools write it (ovsdb(7), "Connection Methods").
//!
//! Owns the text form and its errors. May not touch sockets.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remote {
    /// `unix:PATH`
    Unix(PathBuf),
    /// `tcp:HOST:PORT`, `tcp:[V6]:PORT`
    Tcp(HostPort),
    /// `ssl:HOST:PORT`, `ssl:[V6]:PORT`
    Ssl(HostPort),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text that names no remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a remote: {reason}; write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")]
pub struct RemoteError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let refuse = |reason| RemoteError { text: text.to_owned(), reason };
        let (method, rest) = text.split_once(':').ok_or_else(|| refuse("it has no method"))?;
        match method {
            "unix" if rest.is_empty() => Err(refuse("the path is missing")),
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" => rest.parse().map(Self::Tcp).map_err(refuse),
            "ssl" => rest.parse().map(Self::Ssl).map_err(refuse),
            "punix" | "ptcp" | "pssl" => {
                Err(refuse("that is where a server listens, not how to reach it"))
            }
            "fd" | "exec" => Err(refuse("this method is not supported")),
            _ => Err(refuse("its method is unknown")),
        }
    }
}

impl FromStr for HostPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) =
                    rest.split_once(']').ok_or("the address lacks its closing bracket")?;
                (host, rest.strip_prefix(':').ok_or("the port is missing")?)
            }
            None => {
                let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
                if host.contains(':') {
                    return Err("an IPv6 address is written in brackets");
                }
                (host, port)
            }
        };
        if host.is_empty() {
            return Err("the host is missing");
        }
        if host.contains(|c: char| c.is_whitespace() || c == '/' || c == ',') {
            return Err("the host is not a name or an address");
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err("the port is not a number from 1 to 65535"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Ssl(address) => write!(f, "ssl:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in [
            "unix:/run/ovn/ovnnb_db.sock",
            "unix:a:b",
            "tcp:127.0.0.1:6641",
            "ssl:[::1]:6641",
            "tcp:[fe80::1%eth0]:1",
        ] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("", "no method"),
            ("/run/x.sock", "no method"),
            ("unix:", "path is missing"),
            ("tcp:host", "port is missing"),
            ("tcp::1", "host is missing"),
            ("tcp:::1:6641", "in brackets"),
            ("tcp:[::1:6641", "closing bracket"),
            ("ssl:[::1]6641", "port is missing"),
            ("ssl:h:0", "not a number"),
            ("ssl:h:65536", "not a number"),
            ("tcp:a b:1", "not a name"),
            ("ptcp:6641", "server listens"),
            ("http://x", "method is unknown"),
        ] {
            let error = text.parse::<Remote>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
