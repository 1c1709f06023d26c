//! The routes under `/v1`: each turns a request into one question, and the answer into JSON.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use tokio::sync::watch;
use tokio::time;

use super::access::{Access, Client};
use super::question::Door;
use super::{
    Actor, Candidate, Confirmation, Confirmed, ERRORS_HEADER, Filter, HeldFilter, MAX_BODY_BYTES,
    Question, REQUEST_TIME, Refusal, Reloaded,
};
use crate::declare::{HalfKey, NetworkKey};
use crate::view::{HalfDetail, HalfView, HeldView, HostView, PlanView, StatusView, Viewer};

type Answer<T> = Result<Json<T>, Refusal>;

/// Everything that can be asked. What is not made for tenants belongs to `operators`.
pub(super) fn router(door: Door) -> Router {
    let everybody = Router::new()
        .route("/v1/halves", get(list))
        .route("/v1/halves/{project}/{network}/{name}", get(show))
        .route("/v1/diagnostics", get(diagnostics));
    let operators = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/plan", get(plan).post(plan_candidate))
        .route("/v1/withdrawals", get(held))
        .route("/v1/withdrawals/confirm", post(confirm))
        .route("/v1/reload", post(reload))
        .route("/v1/hosts", get(hosts))
        .route("/v1/hosts/{name}", delete(forget))
        .route_layer(middleware::from_fn(operators_only));
    everybody
        .merge(operators)
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(within_request_time))
        .with_state(door)
}

/// The routes as one client may use them. Strangers are refused whatever they ask.
pub(super) fn for_client(
    router: Router,
    client: Arc<Client>,
    access: watch::Receiver<Access>,
) -> Router {
    router.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        let viewer = access.borrow().admit(&client);
        let actor = client.actor();
        async move {
            match viewer {
                Ok(viewer) => {
                    request.extensions_mut().insert(viewer);
                    request.extensions_mut().insert(actor);
                    next.run(request).await
                }
                Err(refusal) => refusal.into_response(),
            }
        }
    }))
}

/// What a client gets for whom there is no place.
pub(super) fn refuse_all(refusal: Refusal) -> Router {
    Router::new().fallback(move || async move { refusal })
}

async fn operators_only(
    Extension(viewer): Extension<Viewer>,
    request: Request,
    next: Next,
) -> Response {
    if viewer.is_operator() {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    Refusal::OperatorsOnly { path }.into_response()
}

async fn list(
    State(door): State<Door>,
    Extension(viewer): Extension<Viewer>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Answer<Vec<HalfView>> {
    let Query(filter) = filter?;
    let mut halves = door.ask(|answer| Question::List(viewer, answer)).await?;
    halves.retain(|half| filter.admits(half));
    Ok(Json(halves))
}

async fn show(
    State(door): State<Door>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answer<HalfDetail> {
    let Path((project, network, name)) = path?;
    let key = HalfKey::new(NetworkKey::new(project, network), name);
    let half = door.ask(|answer| Question::Show(viewer, key.clone(), answer)).await?;
    half.map(Json).ok_or(Refusal::NoSuchHalf(key))
}

async fn diagnostics(
    State(door): State<Door>,
    Extension(viewer): Extension<Viewer>,
) -> Result<Response, Refusal> {
    let found = door.ask(|answer| Question::Diagnostics(viewer, answer)).await?;
    Ok(([(ERRORS_HEADER, found.errors.to_string())], Json(found.texts)).into_response())
}

async fn status(State(door): State<Door>) -> Answer<StatusView> {
    door.ask(Question::Status).await.map(Json)
}

async fn plan(State(door): State<Door>) -> Answer<PlanView> {
    door.ask(|answer| Question::Plan(None, answer)).await?.map(Json)
}

async fn plan_candidate(
    State(door): State<Door>,
    candidate: Result<Json<Candidate>, JsonRejection>,
) -> Answer<PlanView> {
    let Json(candidate) = candidate?;
    door.ask(|answer| Question::Plan(Some(candidate), answer)).await?.map(Json)
}

async fn held(
    State(door): State<Door>,
    filter: Result<Query<HeldFilter>, QueryRejection>,
) -> Answer<HeldView> {
    let Query(filter) = filter?;
    door.ask(|answer| Question::Held(filter.project, answer)).await.map(Json)
}

async fn confirm(
    State(door): State<Door>,
    Extension(actor): Extension<Actor>,
    confirmation: Result<Json<Confirmation>, JsonRejection>,
) -> Answer<Confirmed> {
    let Json(confirmation) = confirmation?;
    door.ask(|answer| Question::Confirm(actor, confirmation, answer)).await?.map(Json)
}

async fn reload(State(door): State<Door>, Extension(actor): Extension<Actor>) -> Answer<Reloaded> {
    door.ask(|answer| Question::Reload(actor, answer)).await.map(Json)
}

async fn hosts(State(door): State<Door>) -> Answer<Vec<HostView>> {
    door.ask(Question::Hosts).await.map(Json)
}

async fn forget(
    State(door): State<Door>,
    Extension(actor): Extension<Actor>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<HostView> {
    let Path(name) = path?;
    door.ask(|answer| Question::Forget(actor, name, answer)).await?.map(Json)
}

async fn no_such_route(request: Request) -> Refusal {
    Refusal::NoSuchRoute {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    }
}

async fn wrong_method(request: Request) -> Refusal {
    Refusal::WrongMethod {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    }
}

async fn within_request_time(request: Request, next: Next) -> Response {
    match time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::TooLate.into_response(),
    }
}
