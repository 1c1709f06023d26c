//! All endpoints, with and without a slash at the end.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch};
use tokio::sync::{mpsc, watch};

use super::error::{ApiError, ErrorCode, wrong_method};
use super::openapi::openapi;
use super::service::Service;
use super::tokens::Tokens;
use super::{account, login, networks, peerings};
use crate::control::Question;

type Endpoints = Router<Arc<Service>>;

/// The API. `tokens` and `is_ready` are those of the moment: reloaded settings count at once.
pub fn router(
    questions: mpsc::Sender<Question>,
    tokens: watch::Receiver<Tokens>,
    is_ready: watch::Receiver<bool>,
) -> Router {
    let service = Arc::new(Service::new(questions, tokens, is_ready));
    let one = format!("{}/{{uuid}}", peerings::PATH);
    let endpoints: Endpoints = Router::new();
    let endpoints = both(endpoints, "/1.3/account", get(account::show), "GET, HEAD");
    let endpoints = both(endpoints, "/1.3/network", get(networks::list), "GET, HEAD");
    let endpoints = both(endpoints, "/1.3/network/{uuid}", get(networks::show), "GET, HEAD");
    let list = get(peerings::list).post(peerings::create);
    let endpoints = both(endpoints, peerings::PATH, list, "GET, HEAD, POST");
    let each = get(peerings::show).delete(peerings::delete);
    let each = each.merge(patch(peerings::change));
    let endpoints = both(endpoints, &one, each, "GET, HEAD, PATCH, DELETE");
    let endpoints = endpoints
        .fallback(no_such_endpoint)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), login::admitted));
    let open = both(Router::new(), "/openapi.json", get(description), "GET, HEAD");
    let open = both(open, "/readyz", get(ready), "GET, HEAD");
    open.fallback_service(endpoints.with_state(Arc::clone(&service)))
        .layer(middleware::map_response(private))
        .with_state(service)
}

fn both(
    router: Endpoints,
    path: &str,
    endpoint: MethodRouter<Arc<Service>>,
    allowed: &'static str,
) -> Endpoints {
    let endpoint = endpoint.fallback(move |request: Request| async move {
        wrong_method(request.method().as_str(), allowed)
    });
    router.route(&format!("{path}/"), endpoint.clone()).route(path, endpoint)
}

async fn no_such_endpoint() -> ApiError {
    let message = "there is no such endpoint; GET /openapi.json lists those that there are";
    ApiError::new(ErrorCode::NotFound, message)
}

/// The description of this API
#[utoipa::path(
    get,
    path = "/openapi.json",
    security(()),
    responses((status = 200, description = "OpenAPI", body = serde_json::Value))
)]
pub(super) async fn description() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], openapi()).into_response()
}

/// Whether requests can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    security(()),
    responses(
        (status = 200, description = "They can", body = String, content_type = "text/plain"),
        (status = 503, description = "The northbound is not connected, or not read yet", body = String, content_type = "text/plain")
    )
)]
pub(super) async fn ready(State(service): State<Arc<Service>>) -> (StatusCode, &'static str) {
    match *service.is_ready.borrow() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

/// Nothing between keeps an answer that is for one client.
async fn private(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
