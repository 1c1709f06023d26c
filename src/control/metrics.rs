//! `GET /metrics`: asks the event loop for what the series are made from, and writes them.
//!
//! The numbers of all halves are one question. Halves come in parts, one question each, so that the loop does other
//! work between them; what is written of them takes a thread of its own.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::sync::mpsc;
use tokio::task;

use super::question::QuestionSender;
use super::{Question, Refusal};
use crate::metrics::{Exposition, Format, MOST_HALVES, Recorder, Requests, Via, fits, selection};
use crate::view::{HalfSample, MetricsView, PerHalf, Viewer};

/// Reads the series.
#[derive(Clone, Debug)]
pub(super) struct Scraper {
    questions: QuestionSender,
    recorder: Recorder,
}

impl Scraper {
    pub(super) fn new(questions: mpsc::Sender<Question>, recorder: Recorder) -> Self {
        Self { questions: QuestionSender::new(questions), recorder }
    }

    /// What a viewer of halves reads; without one, the numbers of all halves alone.
    pub(super) async fn read(
        &self,
        viewer: Option<Viewer>,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let view = self.questions.ask(Question::Metrics).await?;
        let halves = match viewer {
            Some(viewer) => Some(self.halves(&view, viewer).await?),
            None => None,
        };
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept);
        let (exposition, recorder) = (Exposition { view, halves }, self.recorder.clone());
        let written = task::spawn_blocking(move || exposition.render(&recorder, format)).await;
        // It has no error of its own; the thread ends early only if the daemon does.
        let written = written.ok().and_then(Result::ok).ok_or(Refusal::Leaving)?;
        let content_type = HeaderValue::from_static(format.content_type());
        Ok(([(CONTENT_TYPE, content_type)], written).into_response())
    }

    async fn halves(
        &self,
        view: &MetricsView,
        viewer: Viewer,
    ) -> Result<(PerHalf, Vec<HalfSample>), Refusal> {
        let selection = selection(view);
        let (mut samples, mut after) = (Vec::new(), None);
        loop {
            let viewer = viewer.clone();
            let part = |answer| Question::HalfSamples(viewer, selection, after, answer);
            let part = self.questions.ask(part).await?;
            samples.extend(part.samples.into_iter().filter(fits));
            after = part.last;
            if !part.more || samples.len() >= MOST_HALVES {
                samples.truncate(MOST_HALVES);
                return Ok((selection, samples));
            }
        }
    }
}

/// The route on the control socket.
pub(super) async fn scrape(
    State(scraper): State<Scraper>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    scraper.read(Some(viewer), &headers).await
}

/// Whose halves a client sees that shows a header `Authorization`; `None` for one that nobody knows.
pub type Authorized = Arc<dyn Fn(&str) -> Option<Viewer> + Send + Sync>;

/// The routes of a listener on the network. Halves are named to clients that show who they are; others read
/// the numbers of all halves.
pub fn metrics_router(
    questions: mpsc::Sender<Question>,
    recorder: Recorder,
    authorized: Authorized,
) -> Router {
    let requests = recorder.requests.clone();
    let scraper = Scraper::new(questions, recorder);
    let scrape = async move |headers: HeaderMap| {
        let viewer = match headers.get(AUTHORIZATION) {
            None => None,
            Some(shown) => match shown.to_str().ok().and_then(|shown| authorized(shown)) {
                Some(viewer) => Some(viewer),
                None => return Ok(unknown()),
            },
        };
        scraper.read(viewer, &headers).await
    };
    let router = Router::new().route("/metrics", get(scrape)).fallback(async |request: Request| {
        Refusal::NoSuchRoute {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
        }
    });
    counted(router, Via::Metrics, requests)
}

/// The answer to a secret that is no token's.
fn unknown() -> Response {
    let challenge = (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    let text = "this is no token's secret, or the token has expired; without one, the numbers of all halves are shown\n";
    (StatusCode::UNAUTHORIZED, [challenge], text).into_response()
}

/// Counts the requests to the routes of a listener.
pub(crate) fn counted(router: Router, via: Via, requests: Requests) -> Router {
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (method, requests) = (request.method().clone(), requests.clone());
        async move {
            let response = next.run(request).await;
            let status = response.status();
            requests.answered(via, method.as_str(), status.as_u16());
            // The control socket's server knows by itself whom it refuses.
            if via != Via::Control && status == StatusCode::UNAUTHORIZED {
                requests.auth_failed(via);
            } else if via != Via::Control && status == StatusCode::TOO_MANY_REQUESTS {
                requests.throttled(via);
            }
            response
        }
    }))
}
