//! The daemon's events, over its restarts.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::client::ControlClient;
use super::error::CtlError;
use super::event_stream::EventStream;
use super::names::HalfName;
use crate::control::KEEP_ALIVE;
use crate::view::{EventKind, EventView};

/// A daemon that says nothing for so long is gone.
const MOST_SILENCE: Duration = KEEP_ALIVE.saturating_mul(2);
/// The pause between attempts to reach the daemon again.
const PAUSE: Duration = Duration::from_secs(1);

/// One who listens, and goes on where it was when the daemon is back.
pub(super) struct Follower<'a> {
    client: &'a ControlClient,
    stream: Option<EventStream>,
    /// Where to resume.
    last: Option<String>,
}

/// What a listener gets.
pub(super) enum News {
    /// Something happened.
    Event(Box<EventView>),
    /// The daemon has ended the stream.
    Lost,
    /// The daemon is back; what is lost follows as a gap.
    Back,
}

impl<'a> Follower<'a> {
    /// Listens from now on. Where nobody is, nobody is waited for.
    pub(super) async fn start(client: &'a ControlClient) -> Result<Self, CtlError> {
        let stream = Some(client.events(None).await?);
        Ok(Self { client, stream, last: None })
    }

    /// Waits for what comes next; while the daemon is away, for its return.
    pub(super) async fn next(&mut self) -> Result<News, CtlError> {
        loop {
            let Some(stream) = &mut self.stream else {
                time::sleep(PAUSE).await;
                match self.client.events(self.last.as_deref()).await {
                    Ok(stream) => self.stream = Some(stream),
                    Err(error) if error.is_away() => continue,
                    Err(error) => return Err(error),
                }
                return Ok(News::Back);
            };
            let Ok(Some(frame)) = time::timeout(MOST_SILENCE, stream.next()).await else {
                self.stream = None;
                return Ok(News::Lost);
            };
            if frame.id.is_some() {
                self.last = frame.id;
            }
            if let Some(data) = frame.data {
                let event = serde_json::from_str(&data).map_err(CtlError::Event)?;
                return Ok(News::Event(event));
            }
        }
    }
}

/// What a look at a half has found.
pub(super) enum Look<T> {
    /// What is waited for.
    Found(T),
    /// Something else. This is what to say if the time is over.
    NotYet(CtlError),
}

/// Looks at a half until what is waited for is found, or until time is over: once at the beginning,
/// again after each event that may concern it, and once at the end. It listens before it looks
/// first, so nothing can happen unseen between the two.
pub(super) async fn look_until<T>(
    client: &ControlClient,
    half: &HalfName,
    time: Duration,
    look: impl AsyncFn() -> Result<Look<T>, CtlError>,
) -> Result<T, CtlError> {
    let until = Instant::now().checked_add(time);
    let mut follower = Follower::start(client).await?;
    let mut is_over = false;
    loop {
        match look().await {
            Ok(Look::Found(found)) => return Ok(found),
            Ok(Look::NotYet(error)) if is_over => return Err(error),
            Ok(Look::NotYet(_)) => {}
            // It is looked at again when the daemon is back.
            Err(error) if error.is_away() && !is_over => follower.stream = None,
            Err(error) => return Err(error),
        }
        let news = may_differ(&mut follower, half);
        match until {
            Some(until) => match time::timeout_at(until, news).await {
                Ok(news) => news?,
                Err(_) => is_over = true,
            },
            None => news.await?,
        }
    }
}

/// Waits for an event after which a half may be another one.
async fn may_differ(follower: &mut Follower<'_>, half: &HalfName) -> Result<(), CtlError> {
    loop {
        match follower.next().await? {
            News::Event(event) if concerns(&event, half) => return Ok(()),
            News::Event(_) | News::Lost => {}
            News::Back => return Ok(()),
        }
    }
}

/// Whether an event is about the half, or about all of them.
fn concerns(event: &EventView, half: &HalfName) -> bool {
    matches!(event.event.kind, EventKind::Gap | EventKind::Northbound) || half.is_of(event)
}
