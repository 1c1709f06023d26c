//! `/1.3/network`: the networks of the token's project. Operators bind them, so they are only read here.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};

use super::error::ApiError;
use super::service::{Caller, Service};
use super::wire::{NetworkAnswer, Networks, NetworksAnswer};
use super::{body, query, shown};

/// List networks
#[utoipa::path(
    get,
    path = "/1.3/network",
    params(("zone" = Option<String>, Query, description = "Only networks of this zone")),
    responses((status = 200, description = "The networks of the token's project", body = NetworksAnswer))
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<NetworksAnswer>, ApiError> {
    let zone = query::zone(&uri)?;
    let mut networks = service.networks(&caller, None).await?;
    networks.retain(|network| zone.is_none() || network.zone == zone);
    let network = networks.into_iter().map(shown::network).collect();
    Ok(Json(NetworksAnswer { networks: Networks { network } }))
}

/// Show a network
#[utoipa::path(
    get,
    path = "/1.3/network/{uuid}",
    params(("uuid" = uuid::Uuid, Path, description = "The network")),
    responses((status = 200, description = "The network", body = NetworkAnswer))
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<NetworkAnswer>, ApiError> {
    query::none(&uri)?;
    let uuid = path.ok().and_then(|Path(text)| body::uuid(&text));
    let network = service.network(&caller, uuid).await?;
    Ok(Json(NetworkAnswer { network: shown::network(network) }))
}
