//! `GET /1.3/account`: clients log in by it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};

use super::error::ApiError;
use super::query;
use super::service::{Caller, Service};
use super::wire::{Account, AccountAnswer, ResourceLimits};

/// Who asks
#[utoipa::path(
    get,
    path = "/1.3/account",
    responses((status = 200, description = "The token, and what its project may have", body = AccountAnswer))
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<AccountAnswer>, ApiError> {
    query::none(&uri)?;
    let most = service.tokens.borrow().max_peerings;
    let network_peerings = most.filter(|_| caller.token.project.is_some());
    Ok(Json(AccountAnswer {
        account: Account {
            credits: 0,
            username: caller.token.name.to_string(),
            resource_limits: ResourceLimits { network_peerings },
        },
    }))
}
