//! Whether this instance speaks for its host: of several with the same host's name, one does.
//!
//! Each entry of a host in the northbound is written by that host alone. Two instances with one name
//! would undo each other's entries for ever. So an instance writes only while it holds the lock of its
//! host's name. That lock costs no write, and goes with the session that holds it.
//!
//! A server may keep a dead session for long. So who finds the lock taken challenges: it takes it
//! away, once. Whoever lives takes it back at once, and is left alone from then on; whoever does
//! not has lost it. Nobody writes on trial.

use std::time::Duration;

use super::Deadline;

/// How long whoever holds the lock may take to end by itself, before it is challenged.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one that lives may take to answer a challenge.
const TRIAL: Duration = Duration::from_secs(2);
/// So often it is taken back within the time of a trial. Others may challenge one after the other; but if one that was
/// replaced while it was stopped wakes, both take it from each other, and the one that wakes was robbed once more.
const MOST_LOSSES: u32 = 3;
/// How long it is left alone after it has answered.
const RESPITE: Duration = Duration::from_secs(60);

/// What is known of the lock.
#[derive(Debug, Default)]
pub(super) struct Identity {
    state: State,
    /// Whether it is to be taken now.
    claims: bool,
    /// How often it was lost, from that moment on.
    losses: (u32, Duration),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is no session that has asked for it.
    #[default]
    Unasked,
    /// It is held.
    Held,
    /// It is held, and was another's: until then that one may take it back.
    Trial { until: Duration },
    /// It was asked for by force, and the server has not answered; whether to get it back.
    Claimed { back: bool },
    /// Another session holds it, which is challenged then; whether that is known to live.
    Elsewhere { challenged_at: Duration, lives: bool },
}

impl Identity {
    /// There is no session any more.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }

    /// The server has said whether it is held.
    pub(super) fn told(&mut self, held: bool, now: Duration) {
        self.state = match (self.state, held) {
            (State::Claimed { back: false }, true) => State::Trial { until: now + TRIAL },
            (State::Trial { until }, true) => State::Trial { until },
            (_, true) => State::Held,
            (State::Held, false) => self.lost(now),
            (State::Trial { .. }, false) => Self::yields(now),
            (State::Unasked, false) => {
                State::Elsewhere { challenged_at: now + PATIENCE, lives: false }
            }
            (state @ (State::Claimed { .. } | State::Elsewhere { .. }), false) => state,
        };
    }

    fn lost(&mut self, now: Duration) -> State {
        let (times, since) = self.losses;
        self.losses = if times > 0 && now <= since + TRIAL { (times + 1, since) } else { (1, now) };
        if self.losses.0 > MOST_LOSSES {
            return Self::yields(now);
        }
        self.claims = true;
        State::Claimed { back: true }
    }

    fn yields(now: Duration) -> State {
        State::Elsewhere { challenged_at: now + RESPITE, lives: true }
    }

    /// Time has passed; tells whether this instance speaks for its host from now on.
    pub(super) fn pass(&mut self, now: Duration) -> bool {
        match self.state {
            State::Trial { until } if until <= now => {
                self.state = State::Held;
                true
            }
            State::Elsewhere { challenged_at, .. } if challenged_at <= now => {
                self.claims = true;
                self.state = State::Claimed { back: false };
                false
            }
            State::Unasked
            | State::Held
            | State::Trial { .. }
            | State::Claimed { .. }
            | State::Elsewhere { .. } => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let at = match self.state {
            State::Trial { until } => until,
            State::Elsewhere { challenged_at, .. } => challenged_at,
            State::Unasked | State::Held | State::Claimed { .. } => return None,
        };
        Some(Deadline { at, why: "another session speaks for this host" })
    }

    /// Whether the session is to take it now.
    pub(super) fn claims(&mut self) -> bool {
        std::mem::take(&mut self.claims)
    }

    /// Whether the writer's lock is to be held, or waited for: also while this one is taken back.
    pub(super) fn contends(&self) -> bool {
        self.may_write() || matches!(self.state, State::Claimed { back: true })
    }

    /// Whether something may be written. Where nobody asked for the lock it says nothing.
    pub(super) fn may_write(&self) -> bool {
        matches!(self.state, State::Unasked | State::Held)
    }

    /// Whether the lock is held: then each write asserts it.
    pub(super) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// Whether another instance is known to live that speaks for this host.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.state, State::Elsewhere { lives: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A server with the one lock, and instances that ask it.
    #[derive(Default)]
    struct Server {
        instances: Vec<(Identity, Alive)>,
        /// Who holds it, and who waits.
        queue: VecDeque<usize>,
        now: u64,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Alive {
        Yes,
        /// Its session is still there.
        Frozen(bool),
        No,
    }

    impl Server {
        fn start(&mut self) -> usize {
            let new = self.instances.len();
            self.instances.push((Identity::default(), Alive::Yes));
            self.queue.push_back(new);
            let held = self.queue[0] == new;
            self.tell(new, held);
            new
        }

        fn tell(&mut self, to: usize, held: bool) {
            let now = ms(self.now);
            match &mut self.instances[to] {
                (identity, Alive::Yes) => identity.told(held, now),
                (_, frozen @ Alive::Frozen(_)) => *frozen = Alive::Frozen(held),
                (_, Alive::No) => {}
            }
        }

        fn claim(&mut self, by: usize) {
            let before = self.queue[0];
            self.queue.retain(|waiting| *waiting != by);
            self.queue.push_front(by);
            if before != by {
                self.tell(before, false);
            }
            self.tell(by, true);
        }

        fn pass(&mut self, milliseconds: u64) {
            for _ in 0..milliseconds {
                self.now += 1;
                for at in 0..self.instances.len() {
                    let (identity, alive) = &mut self.instances[at];
                    if *alive != Alive::Yes {
                        continue;
                    }
                    identity.pass(ms(self.now));
                    if identity.claims() {
                        self.claim(at);
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
                    self.tell(next, true);
                }
            }
        }

        fn thaw(&mut self, at: usize) {
            if let Alive::Frozen(held) = self.instances[at].1 {
                self.instances[at].1 = Alive::Yes;
                self.tell(at, held);
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
        assert_eq!(server.writers(), [second], "it goes on at once where the first one ends");
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
