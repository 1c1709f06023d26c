//! `[metrics] listen`: the addresses where a scraper reads the series.

use tokio::sync::mpsc;

use super::error::DaemonError;
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
    /// Listens, if the settings say so.
    pub(super) fn start(
        settings: &MetricsSettings,
        questions: mpsc::Sender<Question>,
    ) -> Result<Self, DaemonError> {
        let recorder = Recorder::new();
        let serving = if settings.listener.listen.is_empty() {
            None
        } else {
            let listener = Listener::bind("[metrics]", &settings.listener)?;
            let router = metrics_router(questions, recorder.clone());
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

    /// Adds what is known of the addresses themselves.
    pub(super) fn complete(&self, mut view: MetricsView) -> MetricsView {
        if let Some(serving) = &self.serving {
            view.certificates.extend(serving.expires().map(|at| ("metrics", at)));
            self.recorder.requests.throttled_in_all(Via::Metrics, serving.turned_away());
        }
        view
    }
}
