//! `[metrics] listen`: the addresses where a scraper reads the series.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::error::DaemonError;
use crate::api::Tokens;
use crate::control::{Question, metrics_router};
use crate::declare::MetricsSettings;
use crate::listen::{Limits, Listener, Serving};
use crate::metrics::{Recorder, Via};
use crate::view::MetricsView;

/// The counters, and who reads them on the network.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) recorder: Recorder,
    serving: Option<Serving>,
}

impl Metrics {
    /// Listens, if the settings say so. A token sees the names of the halves that it sees elsewhere.
    pub(super) fn start(
        settings: &MetricsSettings,
        questions: &mpsc::Sender<Question>,
        tokens: watch::Receiver<Tokens>,
    ) -> Result<Self, DaemonError> {
        let recorder = Recorder::new();
        let serving = if settings.listener.listen.is_empty() {
            None
        } else {
            let listener = Listener::bind("[metrics]", &settings.listener)?;
            let viewer = move |shown: &str| tokens.borrow().viewer(shown, Timestamp::now());
            let router = metrics_router(questions.clone(), recorder.clone(), Arc::new(viewer));
            let serving = listener.serve(router, Limits::default());
            Some(serving.map_err(|source| DaemonError::System { what: "start threads", source })?)
        };
        Ok(Self { recorder, serving })
    }

    /// Has the certificate read again.
    pub(super) fn renew(&self) {
        if let Some(serving) = &self.serving {
            serving.renew();
        }
    }

    /// Adds what is known of the addresses themselves: of those of the API as well.
    pub(super) fn complete(&self, mut view: MetricsView, api: Option<&Serving>) -> MetricsView {
        let all = [("api", Via::Api, api), ("metrics", Via::Metrics, self.serving.as_ref())];
        for (which, via, serving) in all {
            let Some(serving) = serving else { continue };
            view.certificates.extend(serving.expires().map(|at| (which, at)));
            self.recorder.requests.turned_away(via, serving.turned_away());
        }
        view
    }
}
