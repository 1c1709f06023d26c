//! What a client asks of the event loop, and how the answer travels back.

use tokio::sync::{mpsc, oneshot};

use super::{Actor, Candidate, Confirmation, Confirmed, Refusal, Reloaded};
use crate::declare::HalfKey;
use crate::view::{
    DiagnosticsView, HalfDetail, HalfView, HeldView, HostView, PlanView, StatusView, Viewer,
};

/// One request, on its way to the event loop. The answer goes into the sender; a client that has
/// left meanwhile is no error.
#[derive(Debug)]
pub enum Question {
    /// Every half that the viewer sees.
    List(Viewer, oneshot::Sender<Vec<HalfView>>),
    /// One half in full; none where the viewer does not see it.
    Show(Viewer, HalfKey, oneshot::Sender<Option<HalfDetail>>),
    /// What is wrong with the files: with the viewer's own, or with all.
    Diagnostics(Viewer, oneshot::Sender<DiagnosticsView>),
    /// The daemon's own state.
    Status(oneshot::Sender<StatusView>),
    /// What would be written: for the daemon's own files, or for a candidate's.
    Plan(Option<Candidate>, oneshot::Sender<Result<PlanView, Refusal>>),
    /// The withdrawals that are held: all, or those that are released with a project's.
    Held(Option<String>, oneshot::Sender<HeldView>),
    /// Release the withdrawals that were seen; who asks is kept in the log, here and below.
    Confirm(Actor, Confirmation, oneshot::Sender<Result<Confirmed, Refusal>>),
    /// The hosts that declare something.
    Hosts(oneshot::Sender<Vec<HostView>>),
    /// Drop what a host that is gone has declared.
    Forget(Actor, String, oneshot::Sender<Result<HostView, Refusal>>),
    /// Read every file again.
    Reload(Actor, oneshot::Sender<Reloaded>),
}

/// The way from a request's task to the event loop.
#[derive(Clone, Debug)]
pub(super) struct Door(mpsc::Sender<Question>);

impl Door {
    pub(super) fn new(questions: mpsc::Sender<Question>) -> Self {
        Self(questions)
    }

    /// Puts a question and waits for its answer. The caller's deadline bounds the wait.
    pub(super) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Refusal> {
        let (sender, answer) = oneshot::channel();
        self.0.send(question(sender)).await.map_err(|_| Refusal::Leaving)?;
        answer.await.map_err(|_| Refusal::Leaving)
    }
}
