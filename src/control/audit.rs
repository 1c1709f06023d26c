//! Requests to change something that are refused before they reach the event loop: they are
//! reported as those are that reach it.
//!
//! A client may be refused as often as it likes. So the first refusals of each user in a while are
//! reported one by one, and the others as a number, once the while is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::{Actor, Question};

/// So many refusals of each user are reported one by one in each window.
const MOST_OF_USER: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// So much of what a client has written is reported, in characters.
const MOST_CHARACTERS: usize = 200;

/// A request that was refused before the event loop had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who asked.
    pub actor: Actor,
    /// What was asked for.
    pub what: String,
    /// Why it was refused.
    pub why: String,
    /// The project, if it is the actor's.
    pub project: Option<Arc<str>>,
}

/// Reports refusals to the event loop.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    questions: mpsc::Sender<Question>,
    users: Arc<Mutex<BTreeMap<Arc<str>, User>>>,
    window: Duration,
}

/// What was reported of a user in the present window.
#[derive(Debug)]
struct User {
    since: Instant,
    reported: u32,
    left_out: u64,
}

/// What a request asks for, once its handler has understood it.
#[derive(Clone, Debug, Default)]
pub(super) struct Intent(Arc<OnceLock<(String, Option<Arc<str>>)>>);

impl Intent {
    /// `project` is the one that it changes, if that is the actor's.
    pub(super) fn is(&self, what: String, project: Option<Arc<str>>) {
        self.0.get_or_init(|| (what, project));
    }
}

/// Of an answer: why the request was refused, before the event loop had it.
#[derive(Clone, Debug)]
pub(super) struct EarlyRefusal(pub(super) String);

/// Reports a request that changes something, if the answer is an [`EarlyRefusal`]. A plan changes
/// nothing.
pub(super) async fn audited(
    State(audit): State<Audit>,
    Extension(actor): Extension<Actor>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if request.method().is_safe() || path == "/v1/plan" {
        return next.run(request).await;
    }
    let asked = format!("{} {path}", request.method());
    let intent = Intent::default();
    request.extensions_mut().insert(intent.clone());
    let response = next.run(request).await;
    if let Some(EarlyRefusal(why)) = response.extensions().get() {
        let (what, project) = intent.0.get().cloned().unwrap_or((asked, None));
        let (what, why) = (shown(&what), shown(why));
        audit.refused(Refused { actor, what, why, project });
    }
    response
}

/// The beginning of a text of a client, in one line.
pub(crate) fn shown(text: &str) -> String {
    let mut characters = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let mut shown: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

impl Audit {
    pub(crate) fn new(questions: mpsc::Sender<Question>) -> Self {
        Self { questions, users: Arc::default(), window: WINDOW }
    }

    pub(crate) fn refused(&self, refused: Refused) {
        let actor = refused.actor.clone();
        let mut users = self.users();
        let now = Instant::now();
        // Those with something left out stay until that is reported.
        users.retain(|_, user| user.left_out > 0 || now.duration_since(user.since) < self.window);
        let user = users.entry(Arc::clone(&actor.0)).or_insert(User {
            since: now,
            reported: 0,
            left_out: 0,
        });
        // An event loop that is this busy is not given more to do.
        if user.left_out == 0
            && user.reported < MOST_OF_USER
            && self.questions.try_send(Question::Refused(refused)).is_ok()
        {
            user.reported += 1;
            return;
        }
        user.left_out += 1;
        if user.left_out == 1 {
            tokio::spawn(self.clone().report_left_out(actor, user.since + self.window));
        }
    }

    /// Reports how many refusals were left out, at the end of their window.
    async fn report_left_out(self, actor: Actor, at: Instant) {
        time::sleep_until(at).await;
        let left_out = self.users().remove(&actor.0).map_or(0, |user| user.left_out);
        let what = format!("{left_out} more requests");
        let why = format!("they are not listed, within {} s", self.window.as_secs());
        let refused = Refused { actor, what, why, project: None };
        // If the event loop has ended, nobody reports anything.
        let _ = self.questions.send(Question::Refused(refused)).await;
    }

    fn users(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::sync::mpsc;
    use tokio::time;

    use super::{Audit, MOST_CHARACTERS, MOST_OF_USER, Refused, shown};
    use crate::control::{Actor, Question};

    fn refused(user: u32, number: u32) -> Refused {
        let actor = Actor(format!("eve {user}").into());
        Refused { actor, what: number.to_string(), why: String::new(), project: None }
    }

    #[test]
    fn the_first_refusals_of_a_user_are_reported_and_then_how_many_more() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (questions, mut asked) = mpsc::channel(64);
            let window = Duration::from_millis(50);
            let audit = Audit { window, ..Audit::new(questions) };
            let mut next = async || {
                let asked = time::timeout(Duration::from_secs(20), asked.recv()).await;
                let Ok(Some(Question::Refused(refused))) = asked else { panic!("{asked:?}") };
                refused.what
            };
            for round in 0..2 {
                for number in 0..1000 {
                    audit.refused(refused(round, number));
                }
                // It takes nobody else's share.
                audit.refused(refused(7 + round, 7));
                for number in (0..MOST_OF_USER).chain([7]) {
                    assert_eq!(next().await, number.to_string());
                }
                assert_eq!(next().await, format!("{} more requests", 1000 - MOST_OF_USER));
            }
            audit.refused(refused(0, 5));
            assert_eq!(next().await, "5", "a new window");
            assert!(audit.users().len() <= 3, "nobody is remembered for long");
        });
    }

    /// What does not fit into the queue of the event loop is left out, too.
    #[test]
    fn a_full_queue_is_not_waited_for() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (questions, mut asked) = mpsc::channel(1);
            let audit = Audit { window: Duration::from_millis(20), ..Audit::new(questions) };
            (0..3).for_each(|number| audit.refused(refused(1, number)));
            for what in ["0", "2 more requests"] {
                let Some(Question::Refused(refused)) = asked.recv().await else { panic!("{what}") };
                assert_eq!(refused.what, what);
            }
        });
    }

    #[test]
    fn a_long_text_is_cut_and_stays_in_its_line() {
        assert_eq!(shown("a\nb\u{1b}[1m"), "a b [1m");
        assert_eq!(shown(&"é".repeat(5000)).chars().count(), MOST_CHARACTERS + 1);
    }
}
