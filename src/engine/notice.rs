//! What is worth a line in the log: each change of state once, with its subject as fields.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::{Book, Changed, HalfKey, PeeringKey, Roll};
use crate::ovsdb::{Inconsistent, TransactError};
use crate::view::{Reason, State};

use super::Engine;
use super::drift::Drift;

/// Who is to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is wrong that the daemon cannot mend by itself.
    Error,
    /// Something is wrong that may pass, or that a tenant must mend.
    Warn,
    /// Something changed as it should.
    Info,
    /// Of interest to somebody who looks for something.
    Debug,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who is to notice.
    pub level: Level,
    /// What happened, in a sentence.
    pub message: String,
    /// The half that it happened to.
    half: Option<HalfKey>,
    state: Option<(State, Option<Reason>)>,
    others: Vec<(&'static str, String)>,
}

impl Notice {
    /// Its subject: `half` with its parts `project`, `network` and `peering`; `state`, `reason`,
    /// `router`, `unit`, `remote`, `schema`, `version`, `error`. Made when asked for: at a start all halves
    /// are told of at once.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let half = self.half.iter().flat_map(|half| {
            [
                ("half", half.to_string()),
                ("project", half.network.project.to_string()),
                ("network", half.network.name.to_string()),
                ("peering", half.name.to_string()),
            ]
        });
        let state = self.state.iter().flat_map(|(state, reason)| {
            let reason = reason.map(|reason| ("reason", reason.to_string()));
            [("state", state.to_string())].into_iter().chain(reason)
        });
        half.chain(state).chain(self.others.iter().cloned()).collect()
    }
}

/// What has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Vec<Notice>,
    pairs: BTreeSet<PeeringKey>,
    all: bool,
    told: BTreeMap<HalfKey, (State, Option<Reason>)>,
    /// How many of these there are in each state.
    states: BTreeMap<State, usize>,
    /// Halves that were found to be active: at a start, all that were left so.
    found: usize,
    /// Halves that went out of effect; they may have come back since.
    withdrawn: BTreeSet<HalfKey>,
    diagnostics: BTreeSet<String>,
    held: usize,
    last_disconnect: Option<String>,
}

impl Notices {
    pub(super) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }

    /// How many halves are in each state, as told last.
    pub(super) fn states(&self) -> &BTreeMap<State, usize> {
        &self.states
    }

    fn left(&mut self, state: State) {
        if let Some(count) = self.states.get_mut(&state) {
            *count -= 1;
            if *count == 0 {
                self.states.remove(&state);
            }
        }
    }

    pub(super) fn pair(&mut self, pair: PeeringKey) {
        self.pairs.insert(pair);
    }

    pub(super) fn pairs(&mut self, pairs: impl IntoIterator<Item = PeeringKey>) {
        self.pairs.extend(pairs);
    }

    /// Declarations changed: a half that was told of and is there no more is to be told of again.
    pub(super) fn declared(&mut self, changed: &Changed, roll: &Roll) {
        let gone = changed.halves.iter().filter(|half| !roll.declares(half));
        self.withdrawn.extend(gone.cloned());
    }

    /// The book was begun anew.
    pub(super) fn book_replaced(&mut self, roll: &Roll) {
        let gone = self.told.keys().filter(|half| !roll.declares(half));
        self.withdrawn.extend(gone.cloned());
    }

    /// Something changed that every state depends on.
    pub(super) fn all_states(&mut self) {
        self.all = true;
    }

    pub(super) fn connected(&mut self, remote: &str, schema: &str) {
        self.last_disconnect = None;
        let fields = vec![("remote", remote.to_owned()), ("schema", schema.to_owned())];
        self.push(Level::Info, "connected to the northbound", fields);
    }

    /// Told once for each cause, however often it is tried again.
    pub(super) fn disconnected(&mut self, error: &str) {
        if self.last_disconnect.as_deref() == Some(error) {
            return;
        }
        self.last_disconnect = Some(error.to_owned());
        let fields = vec![("error", error.to_owned())];
        self.push(Level::Warn, "no connection to the northbound; the data plane stands", fields);
    }

    pub(super) fn lock(&mut self, held: bool) {
        let message = if held {
            "active: this instance writes to the northbound"
        } else {
            "standby: another instance writes to the northbound"
        };
        self.push(Level::Info, message, Vec::new());
    }

    /// The certificates in the files cannot be used, or can again.
    pub(super) fn certificates(&mut self, problem: Option<&str>) {
        match problem {
            Some(problem) => {
                let fields = vec![("error", problem.to_owned())];
                let message = "the certificates in the files cannot be used; those in use go on";
                self.push(Level::Warn, message, fields);
            }
            None => self.push(Level::Info, "the certificates in the files are in use", Vec::new()),
        }
    }

    pub(super) fn expiry(&mut self, news: Vec<String>) {
        for text in news {
            self.push(Level::Warn, &text, Vec::new());
        }
    }

    /// Whether a newer version has written to the northbound, and which.
    pub(super) fn newer(&mut self, newer: Option<u32>) {
        match newer {
            Some(version) => {
                let fields = vec![("version", version.to_string())];
                let message = "a newer version of ovn-peerd has written to the northbound; this one writes nothing and \
                               gives the lock away: upgrade ovn-peerd on this host";
                self.push(Level::Warn, message, fields);
            }
            None => {
                let message = "no newer version of ovn-peerd is in the northbound any more; this one writes again";
                self.push(Level::Info, message, Vec::new());
            }
        }
    }

    pub(super) fn takeover(&mut self) {
        let message = "the holder of the lock does nothing about what is to be written; taking it";
        self.push(Level::Warn, message, Vec::new());
    }

    pub(super) fn inconsistent(&mut self, error: &Inconsistent) {
        let fields = vec![("error", error.to_string())];
        self.push(Level::Error, "the northbound's updates do not fit; reading it anew", fields);
    }

    /// What other clients altered is as it shall be again.
    pub(super) fn restored(&mut self, drift: &mut Drift) {
        for (message, fields) in drift.restored() {
            self.push(Level::Warn, &message, fields);
        }
    }

    /// Told once for each trouble, however often it is tried again.
    pub(super) fn transaction_failed(&mut self, error: &TransactError) {
        let level = match (error.is_retryable(), error.is_outrun()) {
            (_, true) => Level::Info,
            (true, false) => Level::Warn,
            (false, false) => Level::Error,
        };
        self.push(level, "a transaction failed", vec![("error", error.to_string())]);
    }

    /// Tells diagnostics that were not there before, and a reading that is held.
    pub(super) fn diagnostics(&mut self, book: &Book) {
        let current: BTreeSet<String> = book.diagnostics().map(ToString::to_string).collect();
        for text in current.difference(&self.diagnostics).cloned().collect::<Vec<_>>() {
            self.push(Level::Warn, &text, Vec::new());
        }
        self.diagnostics = current;
        let held = book.held().map_or(0, |held| held.withdrawals.len());
        if held != 0 && held != self.held {
            let message = format!(
                "a reload would withdraw {held} halves; it is held until confirmed (ovn-peerctl confirm)"
            );
            self.push(Level::Error, &message, Vec::new());
        }
        self.held = held;
    }

    fn tell_found(&mut self) {
        let found = std::mem::take(&mut self.found);
        if found > 0 {
            let message = format!("halves that are active as they were before: {found}");
            self.push(Level::Info, &message, Vec::new());
        }
    }

    fn push(&mut self, level: Level, message: &str, others: Vec<(&'static str, String)>) {
        let message = message.to_owned();
        self.waiting.push(Notice { level, message, half: None, state: None, others });
    }

    fn state(
        &mut self,
        half: &HalfKey,
        own: bool,
        state: State,
        reason: Option<Reason>,
        text: Option<String>,
    ) {
        let before = self.told.insert(half.clone(), (state, reason));
        if before == Some((state, reason)) {
            return;
        }
        let newer = Some(Reason::NewerVersion);
        let by_version = reason == newer || before.is_some_and(|(_, before)| before == newer);
        if let Some((before, _)) = before {
            self.left(before);
        }
        *self.states.entry(state).or_default() += 1;
        let found = before.is_none() && own && state == State::Active;
        self.found += usize::from(found);
        let level = match state {
            // Each host tells of its own. What was as it is now is no news: a line for each half would bury those that
            // matter, and a journal drops what is beyond some thousands.
            _ if found || !own => Level::Debug,
            // Of a newer version one line tells for all halves, when it comes and when it goes.
            _ if by_version => Level::Debug,
            State::Failed | State::Disconnected | State::Rejected | State::Expired => Level::Warn,
            State::Provisioning => Level::Debug,
            State::Active
            | State::PendingPeer
            | State::Disabled
            | State::PeerDisabled
            | State::Deleted => Level::Info,
        };
        let message = text.unwrap_or_else(|| format!("the peering is {state}"));
        let (half, state) = (Some(half.clone()), Some((state, reason)));
        self.waiting.push(Notice { level, message, half, state, others: Vec::new() });
    }
}

impl Engine {
    /// Tells the states that differ from those told last.
    pub(super) fn tell_states(&mut self) {
        let mut halves = Vec::new();
        if std::mem::take(&mut self.notices.all) {
            self.notices.pairs.clear();
            halves.extend(self.state.roll.halves());
        }
        for pair in std::mem::take(&mut self.notices.pairs) {
            halves.extend(self.state.resolver.halves_of(&pair).cloned());
        }
        for half in halves {
            if let Some(shown) = self.shown_in_log(&half) {
                let own = self.state.roll.book.half(&half).is_some();
                self.notices.state(&half, own, shown.state, shown.reason, shown.explanation);
            }
        }
        self.notices.tell_found();
        let roll = &self.state.roll;
        let withdrawn = std::mem::take(&mut self.notices.withdrawn);
        let gone = withdrawn.into_iter().filter(|half| !roll.declares(half));
        for half in gone {
            if let Some((state, _)) = self.notices.told.remove(&half) {
                self.notices.left(state);
                let (level, message) = (Level::Info, "the half was withdrawn".to_owned());
                let notice =
                    Notice { level, message, half: Some(half), state: None, others: Vec::new() };
                self.notices.waiting.push(notice);
            }
        }
    }
}
