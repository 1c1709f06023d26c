//! What the daemon serves on the network, where the settings say so.

use std::io;

use tokio::sync::{mpsc, watch};

use crate::api::{self, Tokens};
use crate::control::{Question, counted};
use crate::declare::Settings;
use crate::listen::{Limits, ListenError, Listener, Serving};
use crate::metrics::{Recorder, Via};

/// The listeners.
#[derive(Debug)]
pub(super) struct Network {
    api: Option<Serving>,
    is_ready: watch::Sender<bool>,
}

impl Network {
    /// Binds the addresses, if there are any: a daemon that could not serve them does not start.
    pub(super) fn bind(settings: &Settings) -> Result<Option<Listener>, ListenError> {
        let listener = &settings.api.listener;
        let is_wanted = !listener.listen.is_empty();
        is_wanted.then(|| Listener::bind("[api]", listener)).transpose()
    }

    /// Serves them.
    pub(super) fn serve(
        listener: Option<Listener>,
        questions: &mpsc::Sender<Question>,
        tokens: watch::Receiver<Tokens>,
        recorder: &Recorder,
    ) -> io::Result<Self> {
        let (is_ready, ready) = watch::channel(false);
        let api = listener.map(|listener| {
            let router = api::router(questions.clone(), tokens, ready);
            let router = counted(router, Via::Api, recorder.requests.clone());
            listener.serve(router, Limits::default())
        });
        Ok(Self { api: api.transpose()?, is_ready })
    }

    /// Notes whether the northbound is read.
    pub(super) fn set_ready(&self, is_ready: bool) {
        self.is_ready.send_if_modified(|before| std::mem::replace(before, is_ready) != is_ready);
    }

    /// What serves the API, if it is served.
    pub(super) fn api(&self) -> Option<&Serving> {
        self.api.as_ref()
    }

    /// Has the certificates for clients read again.
    pub(super) fn renew(&self) {
        self.api.iter().for_each(Serving::renew);
    }
}
