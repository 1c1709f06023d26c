//! Whether this instance speaks for its host. Of several instances with one host name, one does.
//!
//! Only the host itself writes its entries in the northbound. Two instances with one name would
//! undo each other's entries for ever. So an instance writes only while it holds the lock of its
//! host's name. That lock costs no write, and it ends with the session that holds it.
//!
//! A server may keep a dead session for long. So an instance that finds the lock taken challenges
//! the holder: it steals the lock, once. A live holder steals it back at once, and is not
//! challenged for a while. A dead one has lost it. The challenger writes nothing until the
//! challenge is over.

use std::time::Duration;

use super::Deadline;

/// How long a holder has to release the lock by itself, before this instance challenges it.
const GRACE: Duration = Duration::from_secs(1);
/// How long a live holder has to answer a challenge.
const CHALLENGE: Duration = Duration::from_secs(2);
/// How often this instance steals the lock back within the time of one challenge. Several others
/// may challenge it one after the other. But there is one more case: an instance was stopped and
/// replaced, and wakes. Then both steal from each other. The one that wakes loses the lock once
/// more often than the other one, so it gives up first.
const MOST_LOSSES: u32 = 3;
/// How long this instance challenges nobody after a holder has answered.
const CHALLENGE_PAUSE: Duration = Duration::from_secs(60);

/// What this instance knows of the lock.
#[derive(Debug, Default)]
pub(super) struct Identity {
    state: State,
    /// Whether the session is to steal the lock now.
    steals: bool,
    /// How often this instance lost the lock, and when it did first.
    losses: (u32, Duration),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No session has asked for the lock.
    #[default]
    NotRequested,
    /// This instance holds it.
    Held,
    /// This instance stole it from another one. Until this moment that one may steal it back.
    Challenging { until: Duration },
    /// This instance has sent a `steal`, and the server has not answered. `back` says that it had
    /// lost the lock before.
    Stealing { back: bool },
    /// Another session holds it. When this instance challenges that one, and whether that one is
    /// known to live.
    HeldByOther { challenged_at: Duration, lives: bool },
}

impl Identity {
    /// Notes that the session has ended.
    pub(super) fn end_session(&mut self) {
        *self = Self::default();
    }

    /// Notes whether this session holds the lock, as the server has reported it.
    pub(super) fn note_lock(&mut self, held: bool, now: Duration) {
        self.state = match (self.state, held) {
            (State::Stealing { back: false }, true) => {
                State::Challenging { until: now + CHALLENGE }
            }
            (State::Challenging { until }, true) => State::Challenging { until },
            (_, true) => State::Held,
            (State::Held, false) => self.lose(now),
            (State::Challenging { .. }, false) => Self::yielded(now),
            (State::NotRequested, false) => {
                State::HeldByOther { challenged_at: now + GRACE, lives: false }
            }
            (state @ (State::Stealing { .. } | State::HeldByOther { .. }), false) => state,
        };
    }

    fn lose(&mut self, now: Duration) -> State {
        let (times, since) = self.losses;
        self.losses =
            if times > 0 && now <= since + CHALLENGE { (times + 1, since) } else { (1, now) };
        if self.losses.0 > MOST_LOSSES {
            return Self::yielded(now);
        }
        self.steals = true;
        State::Stealing { back: true }
    }

    fn yielded(now: Duration) -> State {
        State::HeldByOther { challenged_at: now + CHALLENGE_PAUSE, lives: true }
    }

    /// Notes that time has passed. Returns whether this instance speaks for its host from now on.
    pub(super) fn advance(&mut self, now: Duration) -> bool {
        match self.state {
            State::Challenging { until } if until <= now => {
                self.state = State::Held;
                true
            }
            State::HeldByOther { challenged_at, .. } if challenged_at <= now => {
                self.steals = true;
                self.state = State::Stealing { back: false };
                false
            }
            State::NotRequested
            | State::Held
            | State::Challenging { .. }
            | State::Stealing { .. }
            | State::HeldByOther { .. } => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let at = match self.state {
            State::Challenging { until } => until,
            State::HeldByOther { challenged_at, .. } => challenged_at,
            State::NotRequested | State::Held | State::Stealing { .. } => return None,
        };
        Some(Deadline { at, why: "another session speaks for this host" })
    }

    /// Whether the session is to steal the lock now. It answers `true` once.
    pub(super) fn steals(&mut self) -> bool {
        std::mem::take(&mut self.steals)
    }

    /// Whether this instance is to hold the writer's lock, or wait for it. It does so too while it
    /// steals the host's lock back.
    pub(super) fn contends(&self) -> bool {
        self.may_write() || matches!(self.state, State::Stealing { back: true })
    }

    /// Whether this instance may write. It may where no session has asked for the lock.
    pub(super) fn may_write(&self) -> bool {
        matches!(self.state, State::NotRequested | State::Held)
    }

    /// Whether this instance holds the lock. Then each write asserts it.
    pub(super) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// Whether another instance speaks for this host, and is known to live.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.state, State::HeldByOther { lives: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A server with one lock, and the instances that ask for it.
    #[derive(Default)]
    struct Server {
        instances: Vec<(Identity, Alive)>,
        /// The holder first, then those that wait.
        queue: VecDeque<usize>,
        now: u64,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Alive {
        Yes,
        /// Its session is still open; whether it holds the lock.
        Frozen(bool),
        No,
    }

    impl Server {
        fn start(&mut self) -> usize {
            let new = self.instances.len();
            self.instances.push((Identity::default(), Alive::Yes));
            self.queue.push_back(new);
            let held = self.queue[0] == new;
            self.report(new, held);
            new
        }

        fn report(&mut self, to: usize, held: bool) {
            let now = ms(self.now);
            match &mut self.instances[to] {
                (identity, Alive::Yes) => identity.note_lock(held, now),
                (_, frozen @ Alive::Frozen(_)) => *frozen = Alive::Frozen(held),
                (_, Alive::No) => {}
            }
        }

        fn steal(&mut self, by: usize) {
            let before = self.queue[0];
            self.queue.retain(|waiting| *waiting != by);
            self.queue.push_front(by);
            if before != by {
                self.report(before, false);
            }
            self.report(by, true);
        }

        fn pass(&mut self, milliseconds: u64) {
            for _ in 0..milliseconds {
                self.now += 1;
                for at in 0..self.instances.len() {
                    let (identity, alive) = &mut self.instances[at];
                    if *alive != Alive::Yes {
                        continue;
                    }
                    identity.advance(ms(self.now));
                    if identity.steals() {
                        self.steal(at);
                    }
                }
                assert!(self.writers().len() <= 1, "two write at {}", self.now);
            }
        }

        fn writers(&self) -> Vec<usize> {
            let may = |at: &usize| {
                let (identity, alive) = &self.instances[*at];
                *alive == Alive::Yes && identity.may_write() && self.queue.front() == Some(at)
            };
            (0..self.instances.len()).filter(may).collect()
        }

        fn end(&mut self, at: usize, session_too: bool) {
            self.instances[at].1 = Alive::No;
            if session_too {
                let held = self.queue.front() == Some(&at);
                self.queue.retain(|waiting| *waiting != at);
                if let Some(next) = self.queue.front().copied().filter(|_| held) {
                    self.report(next, true);
                }
            }
        }

        fn thaw(&mut self, at: usize) {
            if let Alive::Frozen(held) = self.instances[at].1 {
                self.instances[at].1 = Alive::Yes;
                self.report(at, held);
            }
        }
    }

    #[test]
    fn the_second_of_two_that_live_learns_of_the_first_and_writes_nothing() {
        let mut server = Server::default();
        let (first, second) = (server.start(), server.start());
        assert_eq!(server.writers(), [first]);
        server.pass(999);
        assert!(!server.instances[second].0.is_taken());
        server.pass(500);
        assert!(server.instances[second].0.is_taken() && !server.instances[first].0.is_taken());
        server.pass(200_000);
        assert_eq!(server.writers(), [first]);
        server.end(first, true);
        assert_eq!(server.writers(), [second], "it writes at once when the first one ends");
    }

    #[test]
    fn several_that_come_one_after_the_other_drive_nobody_out() {
        let mut server = Server::default();
        let first = server.start();
        for _ in 0..3 {
            server.start();
            server.pass(400);
        }
        server.pass(100_000);
        assert_eq!(server.writers(), [first]);
        assert!((1..4).all(|late: usize| server.instances[late].0.is_taken()));
    }

    #[test]
    fn a_restart_is_not_held_up_for_long() {
        let mut server = Server::default();
        let first = server.start();
        server.end(first, true);
        let second = server.start();
        assert_eq!(server.writers(), [second], "at once, where the server knows that it has ended");
        server.end(second, false);
        let third = server.start();
        server.pass(3_100);
        assert_eq!(server.writers(), [third], "a dead session answers no challenge");
    }

    #[test]
    fn one_that_was_stopped_and_replaced_yields_when_it_wakes() {
        let mut server = Server::default();
        let (first, second) = (server.start(), server.start());
        server.pass(5_000);
        server.instances[first].1 = Alive::Frozen(true);
        server.pass(61_000 + 3_000);
        assert_eq!(server.writers(), [second]);
        server.thaw(first);
        server.pass(10_000);
        assert_eq!(server.writers(), [second]);
        assert!(server.instances[first].0.is_taken());
    }
}
