//! The questions of the API to the event loop, a few at a time.

use std::sync::Arc;

use axum::http::Method;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::failures::Failures;
use super::rate::Rates;
use super::tokens::{Token, Tokens};
use super::{MOST_CHANGES, MOST_QUESTIONS};
use crate::control::{Actor, Audit, Question, QuestionSender, Refusal};
use crate::declare::{Edit, HalfKey, NotStored, StoredChange};
use crate::view::{HalfDetail, OwnNetworkView, PeeringPage, PeeringQuery, PeeringView, Viewer};

/// What all requests share.
#[derive(Debug)]
pub(super) struct Service {
    questions: QuestionSender,
    pub(super) audit: Audit,
    pub(super) tokens: watch::Receiver<Tokens>,
    /// Whether the northbound is read.
    pub(super) is_ready: watch::Receiver<bool>,
    pub(super) failures: Failures,
    pub(super) rates: Rates,
    asking: Semaphore,
    changing: Semaphore,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) token: Arc<Token>,
    pub(super) viewer: Viewer,
    pub(super) actor: Actor,
}

impl Caller {
    pub(super) fn of(token: Arc<Token>) -> Self {
        Self { viewer: token.viewer(), actor: token.actor(), token }
    }

    /// Whether it may use a method.
    pub(super) fn may(&self, method: &Method) -> Result<(), ApiError> {
        if !self.token.read_only || method.is_safe() {
            return Ok(());
        }
        let message = "this token may only read; ask an operator for one that may write";
        Err(ApiError::new(ErrorCode::ActionForbidden, message))
    }
}

impl Service {
    pub(super) fn new(
        questions: mpsc::Sender<Question>,
        tokens: watch::Receiver<Tokens>,
        is_ready: watch::Receiver<bool>,
    ) -> Self {
        Self {
            audit: Audit::new(questions.clone()),
            questions: QuestionSender::new(questions),
            tokens,
            is_ready,
            failures: Failures::default(),
            rates: Rates::default(),
            asking: Semaphore::new(MOST_QUESTIONS),
            changing: Semaphore::new(MOST_CHANGES),
        }
    }

    /// The event loop answers in turn: operators at the control socket wait for few of us.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.asking.acquire().await.map_err(|_| Refusal::Leaving.into())
    }

    /// Some of the caller's peerings.
    pub(super) async fn peerings(
        &self,
        caller: &Caller,
        query: PeeringQuery,
    ) -> Result<PeeringPage, ApiError> {
        let _turn = self.turn().await?;
        let viewer = caller.viewer.clone();
        let found = self.questions.ask(|answer| Question::Peerings(viewer, query, answer)).await?;
        found.ok_or_else(ApiError::not_read)
    }

    /// One of the caller's peerings, by what a path has in the place of a UUID.
    pub(super) async fn peering(
        &self,
        caller: &Caller,
        uuid: Option<Uuid>,
    ) -> Result<PeeringView, ApiError> {
        let uuid = uuid.ok_or_else(ApiError::no_peering)?;
        let query = PeeringQuery { uuid: Some(uuid), ..PeeringQuery::default() };
        let found = self.peerings(caller, query).await?.peerings;
        found.into_iter().next().ok_or_else(ApiError::no_peering)
    }

    /// The caller's networks, or the one with a UUID.
    pub(super) async fn networks(
        &self,
        caller: &Caller,
        only: Option<Uuid>,
    ) -> Result<Vec<OwnNetworkView>, ApiError> {
        let _turn = self.turn().await?;
        let viewer = caller.viewer.clone();
        let found =
            self.questions.ask(|answer| Question::OwnNetworks(viewer, only, answer)).await?;
        found.ok_or_else(ApiError::not_read)
    }

    /// One of the caller's networks.
    pub(super) async fn network(
        &self,
        caller: &Caller,
        uuid: Option<Uuid>,
    ) -> Result<OwnNetworkView, ApiError> {
        let uuid = uuid.ok_or_else(ApiError::no_network)?;
        let found = self.networks(caller, Some(uuid)).await?;
        found.into_iter().next().ok_or_else(ApiError::no_network)
    }

    /// A half in full.
    pub(super) async fn half(&self, caller: &Caller, key: HalfKey) -> Result<HalfDetail, ApiError> {
        let _turn = self.turn().await?;
        let viewer = caller.viewer.clone();
        let found = self.questions.ask(|answer| Question::Show(viewer, key, answer)).await?;
        found.ok_or_else(ApiError::no_peering)
    }

    /// Changes the store.
    pub(super) async fn store(
        &self,
        edit: Edit,
    ) -> Result<Result<StoredChange, NotStored>, ApiError> {
        let Ok(_turn) = self.changing.try_acquire() else {
            return Err(ApiError::unavailable("too many changes wait; ask again in a moment"));
        };
        match self.questions.ask(|answer| Question::Store(edit, answer)).await? {
            Ok(change) => Ok(Ok(change)),
            Err(Refusal::NotStored(why)) => Ok(Err(why)),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
