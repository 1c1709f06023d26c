//! The routes under `/v1`: each converts a request to one question, and the answer to JSON.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use tokio::sync::{mpsc, watch};
use tokio::{task, time};

use super::access::{Access, Caller};
use super::audit::{Audit, Intent, audited};
use super::events::Events;
use super::metrics::{self, Scraper, counted};
use super::question::QuestionSender;
use super::stream::{self, Lease};
use super::{
    Actor, Candidate, Confirmation, Confirmed, Filter, HeldFilter, MAX_BODY_BYTES, Question,
    REQUEST_TIME, Refusal, Reloaded, StoreAnswer, StoreRequest, TakeOver, Verify, Why, store,
};
use crate::declare::{HalfKey, NetworkKey};
use crate::metrics::{Recorder, Requests, Via};
use crate::view::{
    AttentionView, DiagnosticsView, HalfDetail, HalfView, HeldView, HostView, NetworkView,
    PlanView, ProjectView, RequestView, StatusView, StoreView, TakeOverView, TokenView, VerifyView,
    Viewer, WhoamiView, WhyView,
};

type Answer<T> = Result<Json<T>, Refusal>;

/// All routes. Those that tenants may not use belong to `operators`.
pub(super) fn router(
    questions: mpsc::Sender<Question>,
    events: Events,
    recorder: Recorder,
) -> Router {
    let audit = Audit::new(questions.clone());
    let scraper = Scraper::new(questions.clone(), recorder);
    let questions = QuestionSender::new(questions);
    let everybody = Router::new()
        .route("/v1/halves", get(list))
        .route("/v1/halves/{project}/{network}/{name}", get(show))
        .route("/v1/store", post(store))
        .route("/v1/store/{project}", get(stored))
        .route("/v1/requests", get(requests))
        .route("/v1/networks", get(networks))
        .route("/v1/projects", get(projects))
        .route("/v1/whoami", get(whoami))
        .route("/v1/diagnostics", get(diagnostics))
        .route("/v1/attention", get(attention))
        .route("/v1/why", get(why))
        .merge(Router::new().route("/v1/events", get(stream::events)).with_state(events));
    let operators = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/tokens", get(tokens))
        .route("/v1/plan", get(plan).post(plan_candidate))
        .route("/v1/verify", get(verify))
        .route("/v1/withdrawals", get(held))
        .route("/v1/withdrawals/confirm", post(confirm))
        .route("/v1/take-over", post(take_over))
        .route("/v1/reload", post(reload))
        .route("/v1/hosts", get(hosts))
        .route("/v1/hosts/{name}", delete(forget))
        .merge(Router::new().route("/metrics", get(metrics::scrape)).with_state(scraper))
        .route_layer(middleware::from_fn(operators_only));
    everybody
        .merge(operators)
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(within_request_time))
        .layer(middleware::from_fn_with_state(audit, audited))
        .with_state(questions)
}

/// The routes of one client. A stranger gets a refusal on every route.
pub(super) fn for_client(
    router: Router,
    client: Arc<Caller>,
    access: watch::Receiver<Access>,
    lease: Arc<Lease>,
    requests: Requests,
) -> Router {
    let refused = requests.clone();
    let router = router.layer(middleware::from_fn(move |mut request: Request, next: Next| {
        let viewer = access.borrow().admit(&client);
        let actor = client.actor();
        let (client, access) = (Arc::clone(&client), access.clone());
        let (lease, refused) = (Arc::clone(&lease), refused.clone());
        async move {
            match viewer {
                Ok(viewer) => {
                    let extensions = request.extensions_mut();
                    extensions.insert(viewer);
                    extensions.insert(actor);
                    extensions.insert(client);
                    extensions.insert(access);
                    extensions.insert(lease);
                    next.run(request).await
                }
                Err(refusal) => {
                    refused.auth_failed(Via::Control);
                    refusal.into_response()
                }
            }
        }
    }));
    counted(router, Via::Control, requests)
}

/// The answer to a client beyond the connection limits.
pub(super) fn refuse_all(refusal: Refusal, requests: Requests) -> Router {
    let router = Router::new().fallback(move || async move { refusal });
    counted(router, Via::Control, requests)
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
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Answer<Vec<HalfView>> {
    let Query(filter) = filter?;
    let mut halves = questions.ask(|answer| Question::List(viewer, answer)).await?;
    halves.retain(|half| filter.admits(half));
    Ok(Json(halves))
}

async fn show(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answer<HalfDetail> {
    let Path((project, network, name)) = path?;
    let key = HalfKey::new(NetworkKey::new(project, network), name);
    let half = questions.ask(|answer| Question::Show(viewer, key.clone(), answer)).await?;
    half.map(Json).ok_or(Refusal::NoSuchHalf(key))
}

async fn store(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
    Extension(actor): Extension<Actor>,
    Extension(intent): Extension<Intent>,
    request: Result<Json<StoreRequest>, JsonRejection>,
) -> Answer<StoreAnswer> {
    let Json(request) = request?;
    let own = Some(&request.project).filter(|project| viewer.sees(project));
    let command = store::command(&request.project, request.replace, request.dry_run);
    intent.is(command, own.map(|project| project.as_str().into()));
    if own.is_none() {
        return Err(Refusal::NotOwner(request.project));
    }
    // Its time is in proportion to the text, which the client controls.
    let edit = task::spawn_blocking(move || request.into_edit(&actor)).await;
    let edit = edit.map_err(|_| Refusal::Leaving)??;
    let change = questions.ask(|answer| Question::Store(edit, answer)).await?;
    let change = change.map_err(|refusal| refusal.for_viewer(&viewer))?;
    Ok(Json(change.into()))
}

async fn stored(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<StoreView> {
    let Path(project) = path?;
    if !viewer.sees(&project) {
        return Err(Refusal::NotOwner(project));
    }
    questions.ask(|answer| Question::Stored(project, answer)).await.map(Json)
}

async fn requests(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<Vec<RequestView>> {
    questions.ask(|answer| Question::Requests(viewer, answer)).await.map(Json)
}

async fn networks(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<Vec<NetworkView>> {
    questions.ask(|answer| Question::Networks(viewer, answer)).await.map(Json)
}

async fn projects(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<Vec<ProjectView>> {
    questions.ask(|answer| Question::Projects(viewer, answer)).await.map(Json)
}

async fn whoami(
    Extension(viewer): Extension<Viewer>,
    Extension(actor): Extension<Actor>,
) -> Json<WhoamiView> {
    let projects = match &viewer {
        Viewer::Operator => Vec::new(),
        Viewer::Tenant(own) => own.iter().map(ToString::to_string).collect(),
    };
    Json(WhoamiView { account: actor.0.to_string(), operator: viewer.is_operator(), projects })
}

async fn diagnostics(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<DiagnosticsView> {
    questions.ask(|answer| Question::Diagnostics(viewer, answer)).await.map(Json)
}

async fn attention(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
) -> Answer<AttentionView> {
    questions.ask(|answer| Question::Attention(viewer, answer)).await.map(Json)
}

async fn why(
    State(questions): State<QuestionSender>,
    Extension(viewer): Extension<Viewer>,
    asked: Result<Query<Why>, QueryRejection>,
) -> Answer<WhyView> {
    let Query(asked) = asked?;
    let question = asked.question().map_err(Refusal::BadRequest)?;
    let own = [&question.from.project, &question.to.project];
    if !own.into_iter().any(|project| viewer.sees(project)) {
        return Err(Refusal::NotOwner(question.from.project));
    }
    questions.ask(|answer| Question::Why(viewer, question, answer)).await?.map(Json)
}

async fn verify(
    State(questions): State<QuestionSender>,
    asked: Result<Query<Verify>, QueryRejection>,
) -> Answer<VerifyView> {
    let Query(asked) = asked?;
    questions.ask(|answer| Question::Verify(asked.pairs(), answer)).await?.map(Json)
}

async fn status(State(questions): State<QuestionSender>) -> Answer<StatusView> {
    questions.ask(Question::Status).await.map(Json)
}

async fn tokens(State(questions): State<QuestionSender>) -> Answer<Vec<TokenView>> {
    questions.ask(Question::Tokens).await.map(Json)
}

async fn plan(State(questions): State<QuestionSender>) -> Answer<PlanView> {
    questions.ask(|answer| Question::Plan(None, answer)).await?.map(Json)
}

async fn plan_candidate(
    State(questions): State<QuestionSender>,
    candidate: Result<Json<Candidate>, JsonRejection>,
) -> Answer<PlanView> {
    let Json(candidate) = candidate?;
    questions.ask(|answer| Question::Plan(Some(candidate), answer)).await?.map(Json)
}

async fn held(
    State(questions): State<QuestionSender>,
    filter: Result<Query<HeldFilter>, QueryRejection>,
) -> Answer<HeldView> {
    let Query(filter) = filter?;
    questions.ask(|answer| Question::Held(filter.project, answer)).await.map(Json)
}

async fn confirm(
    State(questions): State<QuestionSender>,
    Extension(actor): Extension<Actor>,
    confirmation: Result<Json<Confirmation>, JsonRejection>,
) -> Answer<Confirmed> {
    let Json(confirmation) = confirmation?;
    questions.ask(|answer| Question::Confirm(actor, confirmation, answer)).await?.map(Json)
}

async fn take_over(
    State(questions): State<QuestionSender>,
    Extension(actor): Extension<Actor>,
    request: Result<Json<TakeOver>, JsonRejection>,
) -> Answer<TakeOverView> {
    let Json(request) = request?;
    questions.ask(|answer| Question::TakeOver(actor, request, answer)).await?.map(Json)
}

async fn reload(
    State(questions): State<QuestionSender>,
    Extension(actor): Extension<Actor>,
) -> Answer<Reloaded> {
    questions.ask(|answer| Question::Reload(actor, answer)).await.map(Json)
}

async fn hosts(State(questions): State<QuestionSender>) -> Answer<Vec<HostView>> {
    questions.ask(Question::Hosts).await.map(Json)
}

async fn forget(
    State(questions): State<QuestionSender>,
    Extension(actor): Extension<Actor>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<HostView> {
    let Path(name) = path?;
    questions.ask(|answer| Question::Forget(actor, name, answer)).await?.map(Json)
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
