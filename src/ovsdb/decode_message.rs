//! The entry points that decode updates from bytes; `decode` does the work.

use super::decode;
use super::layout::Layout;
use super::update::{MonitorMethod, MonitorReply, UpdateParams};

/// A reply or update that does not conform to RFC 7047.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server's {what} could not be understood (is this an OVSDB server, and does its schema \
     describe its data?)"
)]
pub struct DecodeError {
    /// What was being decoded.
    pub what: &'static str,
    /// Where it went wrong.
    #[source]
    pub source: serde_json::Error,
}

impl MonitorReply {
    /// Decodes the `result` of a reply to `method`.
    ///
    /// # Errors
    /// If it does not have the form that the method's specification gives, or a cell is not of the
    /// type that the schema gives.
    pub fn decode(
        layout: &Layout,
        method: MonitorMethod,
        result: &[u8],
    ) -> Result<Self, DecodeError> {
        decode::whole(decode::ReplySeed { layout, method }, result)
            .map_err(|source| DecodeError { what: "monitor reply", source })
    }

    /// Decodes a whole reply to `method`.
    ///
    /// # Errors
    /// As [`MonitorReply::decode`].
    pub fn decode_message(
        layout: &Layout,
        method: MonitorMethod,
        message: &[u8],
    ) -> Result<Self, DecodeError> {
        decode::member("result", decode::ReplySeed { layout, method }, message)
            .map_err(|source| DecodeError { what: "monitor reply", source })
    }
}

impl UpdateParams {
    /// Decodes the `params` of a notification that follows `method`.
    ///
    /// # Errors
    /// As [`MonitorReply::decode`].
    pub fn decode(
        layout: &Layout,
        method: MonitorMethod,
        params: &[u8],
    ) -> Result<Self, DecodeError> {
        decode::whole(decode::ParamsSeed { layout_of: &|_| Some(layout), method }, params)
            .map_err(|source| DecodeError { what: "update", source })
    }

    /// Decodes a whole notification that follows `method`, of any of several monitors: `layout_of`
    /// finds a monitor's layout by its id as JSON text.
    ///
    /// # Errors
    /// As [`MonitorReply::decode`], and if the monitor is unknown.
    pub fn decode_message<'a>(
        layout_of: &'a dyn Fn(&str) -> Option<&'a Layout>,
        method: MonitorMethod,
        message: &[u8],
    ) -> Result<Self, DecodeError> {
        decode::member("params", decode::ParamsSeed { layout_of, method }, message)
            .map_err(|source| DecodeError { what: "update", source })
    }
}
