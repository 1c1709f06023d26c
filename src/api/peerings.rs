//! `/1.3/network-peering`: the peerings of the token's project.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::body::{Change, New};
use super::error::{ApiError, ErrorCode};
use super::service::{Caller, Service};
use super::wire::{NewPeeringBody, PeeringAnswer, PeeringChangeBody, Peerings, PeeringsAnswer};
use super::write::IfMatch;
use super::{body, query, shown};
use crate::view::PeeringView;

pub(super) const PATH: &str = "/1.3/network-peering";
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// List peerings
///
/// All of them, unless `limit` says less.
#[utoipa::path(
    get,
    path = "/1.3/network-peering",
    params(
        ("label" = Option<Vec<String>>, Query, description = "KEY=VALUE or KEY: only peerings with all of these labels", explode),
        ("limit" = Option<u32>, Query, minimum = 1, description = "At most so many"),
        ("offset" = Option<u32>, Query, minimum = 0, description = "Without the first ones"),
    ),
    responses((
        status = 200,
        description = "The peerings of the token's project",
        body = PeeringsAnswer,
        headers(("X-Total-Count" = u32, description = "How many there are without `limit` and `offset`"))
    ))
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let found = service.peerings(&caller, query::peerings(&uri)?).await?;
    let network_peering = found.peerings.into_iter().map(shown::peering).collect();
    let answer = PeeringsAnswer { network_peerings: Peerings { network_peering } };
    Ok(([(TOTAL_COUNT, HeaderValue::from(found.total))], Json(answer)).into_response())
}

/// Show a peering
#[utoipa::path(
    get,
    path = "/1.3/network-peering/{uuid}",
    params(("uuid" = uuid::Uuid, Path, description = "The peering")),
    responses((
        status = 200,
        description = "The peering",
        body = PeeringAnswer,
        headers(("ETag" = String, description = "Changes with the declaration, not with the state"))
    ))
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    query::none(&uri)?;
    let uuid = path.ok().and_then(|Path(text)| body::uuid(&text));
    let found = service.peering(&caller, uuid).await?;
    answer(StatusCode::OK, found)
}

/// Create a peering
///
/// Peer only with networks that you trust. The answer is the same whether there is a network with the
/// UUID of `peer_network` or not, and whoever owns it: its owner consents by a peering of its own.
#[utoipa::path(
    post,
    path = "/1.3/network-peering",
    request_body = NewPeeringBody,
    responses((
        status = 201,
        description = "The new peering",
        body = PeeringAnswer,
        headers(
            ("Location" = String, description = "Its path"),
            ("ETag" = String, description = "Changes with the declaration, not with the state")
        )
    ))
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    query::none(&uri)?;
    let new = New::parse(&body::read(&headers, body).await?)?;
    let created = service.create(&caller, new).await?;
    let location = format!("{PATH}/{}", created.half.uuid);
    let mut response = answer(StatusCode::CREATED, created)?;
    let location = HeaderValue::try_from(location).map_err(ApiError::unsendable)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Change a peering
///
/// Its name, `configured_status` and labels; what is absent stays.
#[utoipa::path(
    patch,
    path = "/1.3/network-peering/{uuid}",
    params(
        ("uuid" = uuid::Uuid, Path, description = "The peering"),
        ("If-Match" = Option<String>, Header, description = "Only while it has one of these ETags", pattern = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)?$"#),
    ),
    request_body = PeeringChangeBody,
    responses((
        status = 200,
        description = "The peering as it is now",
        body = PeeringAnswer,
        headers(("ETag" = String, description = "Changes with the declaration, not with the state"))
    ))
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    query::none(&uri)?;
    let uuid = path.ok().and_then(|Path(text)| body::uuid(&text));
    let if_match = IfMatch::parse(headers.get_all(IF_MATCH))?;
    let change = Change::parse(&body::read(&headers, body).await?)?;
    let changed = service.change(&caller, uuid, &change, &if_match).await?;
    answer(StatusCode::OK, changed)
}

/// Delete a peering
///
/// It must be disabled first: set `configured_status` to `disabled`.
#[utoipa::path(
    delete,
    path = "/1.3/network-peering/{uuid}",
    params(
        ("uuid" = uuid::Uuid, Path, description = "The peering"),
        ("If-Match" = Option<String>, Header, description = "Only while it has one of these ETags", pattern = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)?$"#),
    ),
    responses((status = 204, description = "It is deleted"))
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    query::none(&uri)?;
    let uuid = path.ok().and_then(|Path(text)| body::uuid(&text));
    let if_match = IfMatch::parse(headers.get_all(IF_MATCH))?;
    service.delete(&caller, uuid, &if_match).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(status: StatusCode, found: PeeringView) -> Result<Response, ApiError> {
    let etag = HeaderValue::try_from(format!("\"{}\"", found.etag));
    let etag = etag.map_err(ApiError::unsendable)?;
    let answer = PeeringAnswer { network_peering: shown::peering(found) };
    Ok((status, [(ETAG, etag)], Json(answer)).into_response())
}

impl ApiError {
    fn unsendable(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, format!("the answer cannot be sent: {error}"))
    }
}
