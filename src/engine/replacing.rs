//! Links of others whose place peerings take, on an operator's command.
//!
//! A mark makes the rules decide as if the link were not there, if the peering carries all that it
//! carries. One transaction deletes the rows of that link and inserts ours: it is either done or
//! not, wherever this process ends. The mark goes with the end of that transaction, and with the
//! process. If the reply is lost, the rows of the next session tell what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::PeeringKey;
use crate::view::{TakeOverLink, TakeOverOutcome, TakeOverView};

use super::Deadline;

/// How long a link may wait until its transaction is sent. Its client waits for 60 s.
const PATIENCE: Duration = Duration::from_secs(40);
/// A new session may first serve rows that are older than the lost reply.
const SETTLING: Duration = Duration::from_secs(2);

/// The links that are to be taken over.
#[derive(Debug, Default)]
pub(super) struct Replacing {
    pub(super) asked: BTreeMap<PeeringKey, Asked>,
    requests: BTreeMap<u64, Request>,
    results: Vec<(u64, TakeOverView)>,
    last_id: u64,
}

/// A peering that was asked to take the place of a link.
#[derive(Debug)]
pub(super) struct Asked {
    request: u64,
    pub(super) stage: Stage,
    /// What is told of it.
    link: TakeOverLink,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is marked, until then at the most.
    Marked(Duration),
    /// This transaction does it.
    Sent(u64),
    /// The reply is lost.
    Lost,
    /// The rows of another session are there; what they tell then is believed.
    Settling(Duration),
}

/// Who waits for an answer.
#[derive(Debug, Default)]
struct Request {
    waits: usize,
    done: Vec<TakeOverLink>,
}

impl Replacing {
    /// The peerings that are marked: those whose transaction is still to end.
    pub(super) fn marked(&self) -> BTreeSet<PeeringKey> {
        let is_marked = |asked: &Asked| matches!(asked.stage, Stage::Marked(_) | Stage::Sent(_));
        let marked = self.asked.iter().filter(|(_, asked)| is_marked(asked));
        marked.map(|(pair, _)| pair.clone()).collect()
    }

    /// A transaction is sent that does it for these.
    pub(super) fn sent(&mut self, id: u64, pairs: impl Iterator<Item = PeeringKey>) {
        for pair in pairs {
            if let Some(asked) = self.asked.get_mut(&pair) {
                asked.stage = Stage::Sent(id);
            }
        }
    }

    /// All rows of a session are there.
    pub(super) fn synced(&mut self, now: Duration) {
        let lost = self.asked.values_mut().filter(|asked| asked.stage == Stage::Lost);
        lost.for_each(|asked| asked.stage = Stage::Settling(now + SETTLING));
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let until = |asked: &Asked| match asked.stage {
            Stage::Marked(until) | Stage::Settling(until) => Some(until),
            Stage::Sent(_) | Stage::Lost => None,
        };
        let at = self.asked.values().filter_map(until).min()?;
        Some(Deadline { at, why: "a link of others is to be taken over" })
    }

    /// Marks the peerings of these links; the number of the request is returned.
    pub(super) fn mark(&mut self, links: Vec<(PeeringKey, TakeOverLink)>, now: Duration) -> u64 {
        self.last_id += 1;
        let request = self.last_id;
        self.requests.insert(request, Request { waits: links.len(), done: Vec::new() });
        for (pair, link) in links {
            let stage = Stage::Marked(now + PATIENCE);
            self.asked.insert(pair, Asked { request, stage, link });
        }
        self.answer(request);
        request
    }

    /// The peerings that a transaction is about.
    pub(super) fn with(&self, id: u64) -> Vec<PeeringKey> {
        let found = self.asked.iter().filter(|(_, asked)| asked.stage == Stage::Sent(id));
        found.map(|(pair, _)| pair.clone()).collect()
    }

    /// The reply of a transaction is lost.
    pub(super) fn lose(&mut self, pair: &PeeringKey) {
        if let Some(asked) = self.asked.get_mut(pair) {
            asked.stage = Stage::Lost;
        }
    }

    /// What became of links since the last call.
    pub(super) fn take_results(&mut self) -> Vec<(u64, TakeOverView)> {
        std::mem::take(&mut self.results)
    }

    /// It is decided: whether it was done, or why not.
    pub(super) fn end(&mut self, pair: &PeeringKey, outcome: TakeOverOutcome, why: Vec<String>) {
        let Some(Asked { request, mut link, .. }) = self.asked.remove(pair) else { return };
        link.outcome = outcome;
        link.explanations = why;
        if outcome != TakeOverOutcome::NoParity {
            link.next_steps.clear();
        }
        if outcome != TakeOverOutcome::TakenOver {
            link.forget.clear();
        }
        let Some(waiting) = self.requests.get_mut(&request) else { return };
        waiting.done.push(link);
        waiting.waits = waiting.waits.saturating_sub(1);
        self.answer(request);
    }

    fn answer(&mut self, id: u64) {
        if let Some(Request { waits: 0, .. }) = self.requests.get(&id)
            && let Some(Request { done: links, .. }) = self.requests.remove(&id)
        {
            self.results.push((id, TakeOverView { dry_run: false, links }));
        }
    }
}
