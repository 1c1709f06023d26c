//! Questions of clients to the event loop, and the way of the answer back.

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Actor, Candidate, Confirmation, Confirmed, Refusal, Refused, Reloaded, TakeOver};
use crate::declare::{Edit, HalfKey, StoredChange};
use crate::view::{
    AttentionView, DiagnosticsView, HalfDetail, HalfSamples, HalfView, HeldView, HostView,
    MetricsView, NetworkView, OwnNetworkView, PeeringPage, PeeringQuery, PerHalf, PlanView,
    ProjectView, RequestView, StatusView, StoreView, TakeOverView, TokenView, VerifyView, Viewer,
    WhyQuestion, WhyView,
};

/// One request, on its way to the event loop. The event loop sends the answer through the sender;
/// it is no error if the client has left meanwhile.
#[derive(Debug)]
pub enum Question {
    /// Every half that the viewer sees.
    List(Viewer, oneshot::Sender<Vec<HalfView>>),
    /// One half in full; `None` if the viewer may not see it.
    Show(Viewer, HalfKey, oneshot::Sender<Option<HalfDetail>>),
    /// The problems of the files: of the viewer's own, or of all.
    Diagnostics(Viewer, oneshot::Sender<DiagnosticsView>),
    /// What needs the viewer's attention.
    Attention(Viewer, oneshot::Sender<AttentionView>),
    /// The daemon's own state.
    Status(oneshot::Sender<StatusView>),
    /// What the series of metrics are made from.
    Metrics(oneshot::Sender<MetricsView>),
    /// Some of the halves that the viewer sees, for series of their own: those behind one.
    HalfSamples(Viewer, PerHalf, Option<HalfKey>, oneshot::Sender<HalfSamples>),
    /// What the daemon would write: for its own files, or for a candidate's.
    Plan(Option<Candidate>, oneshot::Sender<Result<PlanView, Refusal>>),
    /// The held withdrawals: all, or those that are released together with a project's.
    Held(Option<String>, oneshot::Sender<HeldView>),
    /// Releases the withdrawals that the operator saw; the log records who asks, here and below.
    Confirm(Actor, Confirmation, oneshot::Sender<Result<Confirmed, Refusal>>),
    /// The hosts with declarations.
    Hosts(oneshot::Sender<Vec<HostView>>),
    /// Drops the declarations of a host that is gone.
    Forget(Actor, String, oneshot::Sender<Result<HostView, Refusal>>),
    /// The networks that the viewer sees.
    Networks(Viewer, oneshot::Sender<Vec<NetworkView>>),
    /// The projects that the viewer sees.
    Projects(Viewer, oneshot::Sender<Vec<ProjectView>>),
    /// The requests that the viewer may answer.
    Requests(Viewer, oneshot::Sender<Vec<RequestView>>),
    /// Halves of a viewer, for the network API; `None` until the northbound has been read.
    Peerings(Viewer, PeeringQuery, oneshot::Sender<Option<PeeringPage>>),
    /// The networks of a viewer, or the one with this UUID, likewise.
    OwnNetworks(Viewer, Option<Uuid>, oneshot::Sender<Option<Vec<OwnNetworkView>>>),
    /// The tokens of the network API.
    Tokens(oneshot::Sender<Vec<TokenView>>),
    /// What is stored of a project.
    Stored(String, oneshot::Sender<StoreView>),
    /// Changes the store.
    Store(Edit, oneshot::Sender<Result<StoredChange, Refusal>>),
    /// A request to change something was refused before; it is reported.
    Refused(Refused),
    /// Why packets pass between two networks, or do not.
    Why(Viewer, WhyQuestion, oneshot::Sender<Result<WhyView, Refusal>>),
    /// What should not be, with so many pairs that have not agreed.
    Verify(usize, oneshot::Sender<Result<VerifyView, Refusal>>),
    /// Takes over links of other tools, or says which could be.
    TakeOver(Actor, TakeOver, oneshot::Sender<Result<TakeOverView, Refusal>>),
    /// Read every file again.
    Reload(Actor, oneshot::Sender<Reloaded>),
}

/// The way from a request's task to the event loop.
#[derive(Clone, Debug)]
pub(crate) struct QuestionSender(mpsc::Sender<Question>);

impl QuestionSender {
    pub(crate) fn new(questions: mpsc::Sender<Question>) -> Self {
        Self(questions)
    }

    /// Sends a question and waits for its answer. The caller's deadline bounds the wait.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Refusal> {
        let (sender, answer) = oneshot::channel();
        self.0.send(question(sender)).await.map_err(|_| Refusal::Leaving)?;
        answer.await.map_err(|_| Refusal::Leaving)
    }
}
