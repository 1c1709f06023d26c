//! Errors as clients read them: `{"error": {"error_code", "error_message"}}`.

use axum::Json;
use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::Refusal;
use crate::declare::NotStored;

/// One word that a program can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ErrorCode {
    /// The body or the query cannot be understood.
    RequestInvalid,
    /// The body has an attribute that it may not have.
    UnknownAttribute,
    /// The name is not possible.
    NameInvalid,
    /// A network is not named by a UUID, or both are the same.
    NetworkInvalid,
    /// It is neither `active` nor `disabled`.
    ConfiguredStatusInvalid,
    /// The key of a label is not possible.
    InvalidLabelKey,
    /// The value of a label is not possible.
    InvalidLabelValue,
    /// There is no such token, or the secret is not its.
    AuthenticationFailed,
    /// The token may not do it.
    ActionForbidden,
    /// There is no such endpoint.
    NotFound,
    /// The endpoint does not take the method.
    MethodNotAllowed,
    /// The token has no such network.
    NetworkNotFound,
    /// The token has no such peering.
    PeeringNotFound,
    /// There is no such network; only operators' tokens are told.
    PeerNetworkNotFound,
    /// The router of the network is not there.
    LocalNetworkNoRouter,
    /// The network has a peering of that name, or with that network, already.
    PeeringConflict,
    /// Only a peering that is disabled can be deleted.
    PeeringNotDisabled,
    /// The project has as many peerings as it may have.
    PeeringLimitReached,
    /// A file of a host declares the peering.
    PeeringKeptInFile,
    /// It has changed meanwhile.
    PreconditionFailed,
    /// The body is too large.
    RequestTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The token, or the address, has asked too often.
    TooManyRequests,
    /// The daemon cannot answer now.
    ServiceUnavailable,
}

impl ErrorCode {
    fn status(self) -> StatusCode {
        match self {
            Self::RequestInvalid
            | Self::UnknownAttribute
            | Self::NameInvalid
            | Self::NetworkInvalid
            | Self::ConfiguredStatusInvalid
            | Self::InvalidLabelKey
            | Self::InvalidLabelValue => StatusCode::BAD_REQUEST,
            Self::AuthenticationFailed => StatusCode::UNAUTHORIZED,
            Self::ActionForbidden => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::NetworkNotFound
            | Self::PeeringNotFound
            | Self::PeerNetworkNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::LocalNetworkNoRouter
            | Self::PeeringConflict
            | Self::PeeringNotDisabled
            | Self::PeeringLimitReached
            | Self::PeeringKeptInFile => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    code: ErrorCode,
    message: String,
    /// In seconds.
    retry_after: Option<u64>,
    /// Whether the event loop has reported it already.
    is_reported: bool,
}

/// Of an answer: why a request was refused, before the event loop had it.
#[derive(Clone, Debug)]
pub(super) struct EarlyRefusal(pub(super) String);

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    error_code: ErrorCode,
    /// What went wrong and what to do, in sentences.
    error_message: String,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, is_reported: false }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::RequestInvalid, message)
    }

    /// The same for every login that fails, whatever is wrong with it.
    pub(super) fn login() -> Self {
        Self::new(
            ErrorCode::AuthenticationFailed,
            "no token has this secret, or it has expired: send `Authorization: Bearer SECRET` or \
             Basic NAME:SECRET of a token that an operator has made",
        )
    }

    pub(super) fn no_peering() -> Self {
        Self::new(ErrorCode::PeeringNotFound, "this token has no peering with this UUID")
    }

    pub(super) fn no_network() -> Self {
        Self::new(ErrorCode::NetworkNotFound, "this token has no network with this UUID")
    }

    pub(super) fn too_many(retry_after: u64, message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(retry_after.max(1)),
            ..Self::new(ErrorCode::TooManyRequests, message)
        }
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(ErrorCode::ServiceUnavailable, message) }
    }

    /// Until the northbound has been read, nobody knows what there is.
    pub(super) fn not_read() -> Self {
        Self::unavailable("the northbound has not been read yet; ask again in a moment")
    }

    /// Why nothing was stored, in words for a tenant or an operator.
    pub(super) fn not_stored(why: NotStored, is_operator: bool) -> Self {
        let why = if is_operator { why } else { why.for_tenant() };
        let refusal = Refusal::NotStored(why.clone());
        let message = format!("{refusal}; {}", refusal.next_step());
        let error = match why {
            NotStored::NoNetwork(_) => Self::no_network(),
            NotStored::Missing(_) => Self::no_peering(),
            NotStored::NotNamed(_) => Self::new(ErrorCode::ActionForbidden, message),
            NotStored::Exists(_) | NotStored::Targeted { .. } | NotStored::Consented { .. } => {
                Self::new(ErrorCode::PeeringConflict, message)
            }
            NotStored::InFile { .. } => Self::new(ErrorCode::PeeringKeptInFile, message),
            NotStored::TooMany(_) => Self::new(ErrorCode::PeeringLimitReached, message),
            NotStored::Changed(_) => Self::new(ErrorCode::PreconditionFailed, message),
            NotStored::TooFast(seconds) => Self::too_many(seconds, message),
            NotStored::Withdraws(_)
            | NotStored::Newer
            | NotStored::HostTaken
            | NotStored::NotSynced(_)
            | NotStored::ReadOnly(_)
            | NotStored::Full(_)
            | NotStored::Restoring
            | NotStored::Busy
            | NotStored::TooLate
            | NotStored::Unknown
            | NotStored::Server(_) => Self::unavailable(message),
        };
        Self { is_reported: true, ..error }
    }
}

/// The daemon is leaving, or has not answered.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::unavailable(format!("{refusal}; {}", refusal.next_step()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = ErrorDetail { error_code: self.code, error_message: self.message.clone() };
        let mut response = (self.code.status(), Json(ErrorBody { error })).into_response();
        if !self.is_reported {
            response.extensions_mut().insert(EarlyRefusal(self.message));
        }
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.code == ErrorCode::AuthenticationFailed {
            let offered = "Bearer, Basic realm=\"ovn-peerd\", charset=\"UTF-8\"";
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(offered));
        }
        response
    }
}

/// The answer to a method that an endpoint does not take.
pub(super) fn wrong_method(method: &str, allowed: &'static str) -> Response {
    let message = format!("this endpoint takes {allowed}, not {method}");
    let mut response = ApiError::new(ErrorCode::MethodNotAllowed, message).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
