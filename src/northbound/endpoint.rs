//! An address with or without a port, as load balancers have them: `10.2.0.100:80`, `10.2.0.100`,
//! `[fd02::100]:80`, `fd02::100`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

/// An address, and a port if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port; none for all traffic to the address.
    pub port: Option<NonZeroU16>,
}

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor an address with a port")]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        if let Ok(both) = text.parse::<SocketAddr>() {
            let port = NonZeroU16::new(both.port()).ok_or(NoEndpoint)?;
            if matches!(both, SocketAddr::V6(both) if both.scope_id() != 0) {
                return Err(NoEndpoint);
            }
            return Ok(Self { address: both.ip(), port: Some(port) });
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let address = bare.unwrap_or(text).parse().map_err(|_| NoEndpoint)?;
        Ok(Self { address, port: None })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port.get()).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_written_in_one_way_only() {
        for (text, written) in [
            ("10.2.0.100:80", Some("10.2.0.100:80")),
            ("10.2.0.100", Some("10.2.0.100")),
            ("[fd02:0::100]:80", Some("[fd02::100]:80")),
            ("[fd02::100]", Some("fd02::100")),
            ("fd02::100", Some("fd02::100")),
            ("10.2.0.100:0", None),
            ("10.2.0.0/24", None),
            ("^vip", None),
            ("[fd02::1%7]:80", None),
            ("[fd02::1", None),
            ("", None),
        ] {
            let found = text.parse::<Endpoint>().ok().map(|it| it.to_string());
            assert_eq!(found.as_deref(), written, "{text}");
        }
    }
}
