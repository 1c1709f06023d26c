//! Reading everything again, on SIGHUP and on an operator's request.
//!
//! Invariant: a reload ends once a reading that began after the request is applied.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::api::Tokens;
use crate::control::{Access, Reloaded};
use crate::declare::{Settings, Severity, TokenSettings};
use crate::engine::{Change, Engine};
use crate::view::TokenView;

use super::files::read_settings;
use super::service::Service;

/// The settings in effect, and where they are read.
#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) path: PathBuf,
    pub(super) settings: Settings,
    access: watch::Sender<Access>,
    tokens: watch::Sender<Tokens>,
    /// The sections of the settings whose changes need a restart.
    restart: Vec<&'static str>,
}

impl Configuration {
    /// Returns the rights that they give, too, and follows them.
    pub(super) fn new(
        path: PathBuf,
        settings: Settings,
    ) -> (Self, watch::Receiver<Access>, watch::Receiver<Tokens>) {
        let (access, current) = watch::channel(Access::of(&settings));
        let (tokens, valid) = watch::channel(Tokens::of(&settings));
        (Self { path, settings, access, tokens, restart: Vec::new() }, current, valid)
    }

    /// The tokens of the network API, each with its place.
    pub(super) fn tokens(&self) -> Vec<TokenView> {
        let view = |token: &TokenSettings| TokenView {
            name: token.name.clone(),
            project: token.project.clone(),
            read_only: token.read_only,
            expires: token.expires,
            place: format!("{}:{}", self.path.display(), token.line),
        };
        self.settings.tokens.iter().map(view).collect()
    }

    /// The projects that have an owner.
    pub(super) fn owned(&self) -> BTreeSet<Arc<str>> {
        self.settings.projects.iter().map(|pin| pin.name.as_str().into()).collect()
    }

    /// Reads and applies them again. Settings with an error change nothing: half of an operator's
    /// policy is none.
    pub(super) fn reload(
        &mut self,
        engine: &mut Engine,
        service: &mut Service,
    ) -> Result<String, String> {
        let (settings, faults) = read_settings(&self.path);
        engine.note_settings(faults.clone());
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            engine.report(Change::SettingsRejected { errors: faults });
            return Err("the settings stay as they were".to_owned());
        }
        self.restart = awaiting_restart(&self.settings, &settings);
        engine.configure(&settings);
        engine.report(Change::SettingsApplied { restart: self.restart.clone() });
        self.settings.policy = settings.policy;
        self.settings.projects = settings.projects;
        self.settings.metrics.per_half = settings.metrics.per_half;
        self.settings.control.operators = settings.control.operators;
        self.settings.api.rate = settings.api.rate;
        self.settings.tokens = settings.tokens;
        self.access.send_replace(Access::of(&self.settings));
        self.tokens.send_replace(Tokens::of(&self.settings));
        service.configure(&self.settings);
        Ok("the settings are applied, every file is read".to_owned())
    }
}

/// Reloads under way. Bounded: the control socket bounds its questions, and signals coalesce.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    /// The number of the last request to the watch.
    last: Option<u64>,
    waiting: Vec<(u64, oneshot::Sender<Reloaded>)>,
}

impl Reloads {
    /// Every file is read again, by the watch's request of this number.
    pub(super) fn begin(&mut self, number: u64, reply: Option<oneshot::Sender<Reloaded>>) {
        self.last = Some(number);
        self.waiting.extend(reply.map(|reply| (number, reply)));
    }

    /// Answers the reloads whose files have been applied: those up to this number.
    pub(super) fn finish(
        &mut self,
        answered: u64,
        configuration: &Configuration,
        engine: &mut Engine,
        service: &mut Service,
    ) {
        let done = self.waiting.extract_if(.., |(number, _)| *number <= answered);
        let done: Vec<_> = done.collect();
        let over = self.last.is_some_and(|number| number <= answered);
        if done.is_empty() && !over {
            return;
        }
        let status = engine.status();
        if over {
            self.last = None;
            service.ready(&status);
            engine.report(Change::Reloaded);
        }
        let reloaded = Reloaded {
            halves: status.halves.values().sum(),
            errors: status.errors,
            restart: configuration.restart.iter().map(|it| (*it).to_owned()).collect(),
            diagnostics: status.diagnostics,
            more_diagnostics: status.more_diagnostics,
            held: status.held,
            more_held: status.more_held,
        };
        for (_, reply) in done {
            // A client that has left meanwhile needs no answer.
            let _ = reply.send(reloaded.clone());
        }
    }
}

/// The sections whose changes a reload does not apply.
fn awaiting_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let sections = [
        ("[northbound]", old.northbound == new.northbound),
        ("[paths]", old.paths == new.paths),
        ("[control] socket", old.control.socket == new.control.socket),
        ("[daemon]", old.daemon == new.daemon),
        ("[tools]", old.tools == new.tools),
        ("[api]", old.api.listener == new.api.listener),
        ("[metrics] listen", old.metrics.listener == new.metrics.listener),
    ];
    sections.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect()
}
