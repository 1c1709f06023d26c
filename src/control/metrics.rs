//! `GET /metrics`: asks the event loop for what the series are made from, and writes them.
//!
//! The numbers of all halves are one question. Halves come in parts, one question each, so that the loop does other
//! work between them; what is written of them takes a thread of its own.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
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

/// The routes of a listener on the network, which names halves to nobody.
pub fn metrics_router(questions: mpsc::Sender<Question>, recorder: Recorder) -> Router {
    let requests = recorder.requests.clone();
    let router = Router::new()
        .route("/metrics", get(scrape_sums))
        .fallback(async |request: Request| Refusal::NoSuchRoute {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
        })
        .with_state(Scraper::new(questions, recorder));
    counted(router, Via::Metrics, requests)
}

async fn scrape_sums(
    State(scraper): State<Scraper>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    scraper.read(None, &headers).await
}

/// Counts the requests to the routes of a listener.
pub(super) fn counted(router: Router, via: Via, requests: Requests) -> Router {
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (method, requests) = (request.method().clone(), requests.clone());
        async move {
            let response = next.run(request).await;
            requests.answered(via, method.as_str(), response.status().as_u16());
            response
        }
    }))
}
