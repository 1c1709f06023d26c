//! Plans on request: threads of their own read, decide and compare, so that nobody else waits for
//! them.

use std::future::pending;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::control::Refusal;
use crate::declare::{ParsedFile, Reading};
use crate::engine::PlanBasis;
use crate::view::{PlanView, VerifyView};

/// Plans under way at one time. Each needs a thread, which may hang in a file system, and the
/// memory of a recompute.
const MOST_PLANS: usize = 4;

type PlanReply = oneshot::Sender<Result<PlanView, Refusal>>;
type VerifyReply = oneshot::Sender<Result<VerifyView, Refusal>>;

/// The files as they are on disk, or a candidate's, read and parsed for a plan.
#[derive(Debug)]
pub(super) struct FreshReading {
    reading: Reading<ParsedFile>,
    pub(super) reply: PlanReply,
}

/// Plans under way. Each comes back to the loop once, after its files are read and before it is
/// decided.
#[derive(Debug)]
pub(super) struct Plans(JoinSet<Option<FreshReading>>);

impl Plans {
    pub(super) fn new() -> Self {
        Self(JoinSet::new())
    }

    /// The next plan with its files. If a thread fails, its client's answer channel closes, and the
    /// client gets an error.
    pub(super) async fn next(&mut self) -> FreshReading {
        loop {
            match self.0.join_next().await {
                Some(Ok(Some(fresh))) => return fresh,
                Some(Ok(None) | Err(_)) => {}
                None => pending().await,
            }
        }
    }

    /// Begins a plan.
    pub(super) fn read(
        &mut self,
        read: impl FnOnce() -> Reading<ParsedFile> + Send + 'static,
        reply: PlanReply,
    ) {
        if self.0.len() >= MOST_PLANS {
            // It is no error if the client has left meanwhile, here and below.
            return drop(reply.send(Err(Refusal::Busy)));
        }
        self.0.spawn_blocking(move || Some(FreshReading { reading: read(), reply }));
    }

    /// Looks for what should not be.
    pub(super) fn verify(&mut self, basis: PlanBasis, sample: usize, reply: VerifyReply) {
        if self.0.len() >= MOST_PLANS {
            return drop(reply.send(Err(Refusal::Busy)));
        }
        self.0.spawn_blocking(move || {
            drop(reply.send(basis.verify(None, sample).ok_or(Refusal::NotSynced)));
            None
        });
    }

    /// Decides a plan whose files are read.
    pub(super) fn decide(&mut self, basis: PlanBasis, fresh: FreshReading) {
        let FreshReading { reading, reply } = fresh;
        self.0.spawn_blocking(move || {
            drop(reply.send(Ok(basis.plan(Some(reading)))));
            None
        });
    }
}
