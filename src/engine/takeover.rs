//! When a standby takes the lock from a holder that is silent.
//!
//! A holder that dies loses the lock with its connection. One that is stopped, or cut off from the
//! network, keeps it until the server notices, which may take minutes. A standby notices sooner: it
//! sees a difference that nobody repairs. Where nothing differs, a silent holder does no harm. Writes
//! that the former holder still had under way fail, because every write asserts the lock.
//!
//! One standby of many shall take the lock, and none if the server is slow and not the holder:
//!
//! 1. A difference lasts longer than the standby's patience. Many differences lengthen the patience,
//!    because a busy holder writes nothing until it has decided on all of them.
//! 2. The standby asks the server for a sign of life. The answer comes after everything that the
//!    holder has written by then, and its round trip shows how slow the server is.
//! 3. If the round trip is long, patience doubles and step 1 begins again. Else the standby waits for
//!    its turn, in an order of hosts that all of them compute alike.
//! 4. In its turn it takes the lock. Any repair before that begins at step 1 again.

use std::time::Duration;

use crate::declare::Host;

use super::Deadline;

/// How long a difference may last while no row of ours changes.
const PATIENCE: Duration = Duration::from_millis(1000);
/// So many units need no further patience.
const AT_ONCE: usize = 16;
/// Each further unit needs this much more: the holder may share its processor.
const EACH: Duration = Duration::from_millis(10);
/// Units beyond these add nothing.
pub(super) const MOST_COUNTED: usize = AT_ONCE + 768;
/// The time in which a host takes the lock and writes. It is longer where the server is slow.
const TURN: Duration = Duration::from_millis(200);
/// A turn in round trips to the server: two to take the lock, one to write, and three to spare.
const ROUND_TRIPS: u32 = 6;
/// Patience doubles up to this when the server is slow, and when the lock moves to or from this
/// host: something else may be wrong then.
const MOST_PATIENCE: Duration = Duration::from_secs(30);
/// After so many times its length without growth, patience is short again.
const CALM: u32 = 20;

#[derive(Debug)]
pub(super) struct Takeover {
    patience: Duration,
    /// What the number of differing units adds to it.
    load: Duration,
    /// Since when the holder has repaired nothing, while something differs.
    since: Option<Duration>,
    step: Step,
    /// When patience last grew.
    grown: Option<Duration>,
    /// By how many thousandths of a turn this host is late. Hosts that have declared nothing do not
    /// know of each other, and would all have the same turn.
    spread: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Patience lasts.
    Patient,
    /// The server was asked at that moment whether it lives.
    Asked(Duration),
    /// The server is fast; the turn of this host comes at that moment.
    Queued(Duration),
}

impl Takeover {
    pub(super) fn new(host: &str) -> Self {
        let spread = u32::try_from(scattered(host) % 1000).unwrap_or(0);
        Self {
            patience: PATIENCE,
            load: Duration::ZERO,
            since: None,
            step: Step::Patient,
            grown: None,
            spread,
        }
    }

    /// Notes how many units differ, which the holder should write.
    pub(super) fn watch(&mut self, waiting: usize, now: Duration) {
        let many = waiting.min(MOST_COUNTED).saturating_sub(AT_ONCE);
        self.load = EACH * u32::try_from(many).unwrap_or(u32::MAX);
        if waiting > 0 {
            self.since.get_or_insert(now);
        } else {
            self.rest();
        }
        if self.grown.is_some_and(|grown| grown + self.patience * CALM <= now) {
            self.grown = None;
            self.patience = PATIENCE;
        }
    }

    /// The holder is at work.
    pub(super) fn progress(&mut self, now: Duration) {
        self.since = self.since.map(|_| now);
        self.step = Step::Patient;
    }

    /// Nothing differs, or this host cannot know.
    pub(super) fn rest(&mut self) {
        self.since = None;
        self.step = Step::Patient;
    }

    /// Doubles the patience.
    pub(super) fn grow(&mut self, now: Duration) {
        self.grown = Some(now);
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
    }

    /// When to act next. While another answer of the server is awaited, that is the sign of life.
    pub(super) fn deadline(&self, awaits_answer: bool) -> Option<Deadline> {
        let at = match self.step {
            Step::Patient => {
                self.since.filter(|_| !awaits_answer).map(|it| it + self.patience + self.load)
            }
            Step::Asked(_) => None,
            Step::Queued(until) => Some(until),
        };
        Some(Deadline { at: at?, why: "the holder of the lock is silent" })
    }

    /// Whether to ask the server for a sign of life now. The caller does so then.
    pub(super) fn asks(&mut self, now: Duration) -> bool {
        let lost = |since: Duration| since + self.patience + self.load <= now;
        let asks = self.step == Step::Patient && self.since.is_some_and(lost);
        if asks {
            self.step = Step::Asked(now);
        }
        asks
    }

    /// The server has answered; `before` hosts have their turn before this one.
    pub(super) fn answered(&mut self, before: usize, now: Duration) {
        let Step::Asked(asked) = self.step else { return };
        let trips = now.saturating_sub(asked) * ROUND_TRIPS;
        if trips > self.patience && self.patience < MOST_PATIENCE {
            self.since = Some(now);
            self.step = Step::Patient;
            self.grow(now);
            return;
        }
        let before = u32::try_from(before).unwrap_or(u32::MAX);
        let turn = trips.max(TURN);
        let wait = turn.saturating_mul(before) + turn * self.spread / 1000;
        self.step = Step::Queued(now + trips + wait);
    }

    /// Whether to take the lock now. The caller does so then. A host that missed its turn was busy
    /// itself, and may not have read yet what the holder wrote meanwhile: it asks the server again.
    pub(super) fn takes(&mut self, now: Duration) -> bool {
        let takes = matches!(self.step, Step::Queued(until) if until <= now);
        if matches!(self.step, Step::Queued(until) if until + TURN < now) {
            self.step = Step::Patient;
            return false;
        }
        if takes {
            self.since = Some(now);
            self.step = Step::Patient;
            self.grow(now);
        }
        takes
    }
}

/// How many of these hosts have their turn before `own`. The order is scattered: hosts of one rack,
/// which may all be down, seldom follow each other.
pub(super) fn turns_before<'a>(hosts: impl Iterator<Item = &'a Host>, own: &Host) -> usize {
    hosts.filter(|host| (scattered(host), *host) < (scattered(own), own)).count()
}

/// A number for a host that differs much between similar names: FNV-1a, and a mixing step for names
/// that differ in their last digit only.
pub(super) fn scattered(host: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = host.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn punctual() -> Takeover {
        Takeover { spread: 0, ..Takeover::new("hv1") }
    }

    fn due(takeover: &Takeover) -> Option<Duration> {
        takeover.deadline(false).map(|deadline| deadline.at)
    }

    /// Waits without success, is answered after `trip`, and has its turn: how long that takes.
    fn patience(
        takeover: &mut Takeover,
        from: Duration,
        trip: Duration,
        before: usize,
    ) -> Duration {
        takeover.watch(1, from);
        let asks = due(takeover).expect("it loses patience");
        assert!(!takeover.asks(asks - ms(1)) && takeover.asks(asks) && !takeover.asks(asks));
        assert_eq!(due(takeover), None, "an answer is awaited");
        takeover.answered(before, asks + trip);
        let takes = due(takeover).expect("its turn comes");
        assert!(!takeover.takes(takes - ms(1)) && takeover.takes(takes));
        takes - from
    }

    #[test]
    fn a_silent_holder_is_replaced_and_a_busy_one_is_not() {
        let mut takeover = punctual();
        takeover.watch(1, ms(0));
        takeover.progress(ms(900));
        assert!(!takeover.asks(ms(1000)));
        assert!(takeover.asks(ms(1900)));
        takeover.progress(ms(1950));
        takeover.answered(0, ms(2000));
        assert_eq!(due(&takeover), Some(ms(2950)), "the answer to an earlier question");
        assert!(takeover.asks(ms(2950)));
        takeover.answered(0, ms(2960));
        takeover.progress(ms(2961));
        assert!(!takeover.takes(ms(9999)));
        takeover.rest();
        assert_eq!(patience(&mut takeover, ms(20_000), ms(1), 0), ms(1007));
    }

    #[test]
    fn hosts_have_turns_which_are_longer_where_the_server_is_slow() {
        for (trip, before, taken) in [(1, 0, 1007), (1, 3, 1607), (100, 0, 1700), (100, 2, 2900)] {
            assert_eq!(patience(&mut punctual(), ms(5), ms(trip), before), ms(taken));
        }
        let mut takeover = punctual();
        takeover.watch(1, ms(0));
        for (asks, answer) in [(1000, 1500), (3500, 4000)] {
            assert!(takeover.asks(ms(asks)), "a slow server makes patient");
            takeover.answered(0, ms(answer));
        }
        assert!(takeover.asks(ms(8000)), "and no more than it is slow");
        takeover.answered(0, ms(8500));
        assert_eq!(due(&takeover), Some(ms(8500 + 3000)));
        let mut late = Takeover { spread: 500, ..punctual() };
        assert_eq!(patience(&mut late, ms(0), ms(1), 2), ms(1007 + 400 + 100));
        let hosts: Vec<Host> = (1..=50).map(|n| format!("hv{n:02}").into()).collect();
        let turns: Vec<usize> = hosts.iter().map(|own| turns_before(hosts.iter(), own)).collect();
        assert_eq!(turns.iter().copied().collect::<BTreeSet<_>>(), (0..50).collect());
        let close = turns.windows(2).filter(|turns| turns[0].abs_diff(turns[1]) == 1).count();
        assert!(close < 5, "neighbours stay neighbours: {turns:?}");
        assert_eq!(
            turns_before(hosts.iter(), &"hv99".into()),
            turns_before(hosts.iter(), &"hv99".into())
        );
    }

    #[test]
    fn patience_grows_where_it_helps_nothing_and_is_short_again_after_a_calm() {
        let mut takeover = punctual();
        let mut now = ms(0);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let taken = patience(&mut takeover, now, ms(0), 0);
            assert_eq!(taken, Duration::from_secs(expected));
            now += taken;
            takeover.watch(0, now);
        }
        now += MOST_PATIENCE * CALM;
        takeover.watch(0, now);
        assert_eq!(patience(&mut takeover, now, ms(0), 0), PATIENCE);
        takeover.grow(now);
        takeover.rest();
        assert_eq!(patience(&mut takeover, now, ms(0), 0), 4 * PATIENCE);
    }

    #[test]
    fn a_holder_that_has_much_to_do_is_given_the_time_for_it() {
        for (waiting, asks) in
            [(1, 1000), (16, 1000), (17, 1010), (116, 2000), (784, 8680), (9999, 8680)]
        {
            let mut takeover = punctual();
            takeover.watch(waiting, ms(0));
            assert_eq!(due(&takeover), Some(ms(asks)), "{waiting}");
            assert!(!takeover.asks(ms(asks - 1)) && takeover.asks(ms(asks)));
        }
        let mut takeover = punctual();
        takeover.watch(9999, ms(0));
        takeover.progress(ms(5000));
        takeover.watch(3, ms(5001));
        assert_eq!(due(&takeover), Some(ms(6000)), "little is left");
    }

    #[test]
    fn whoever_misses_its_turn_asks_once_more() {
        let mut takeover = punctual();
        takeover.watch(1, ms(0));
        assert!(takeover.asks(ms(1000)));
        takeover.answered(0, ms(1001));
        assert!(!takeover.takes(ms(3000)), "it was busy itself");
        assert!(takeover.asks(ms(3000)));
        takeover.answered(0, ms(3001));
        assert!(takeover.takes(ms(3100)));
    }

    #[test]
    fn where_nothing_waits_nobody_hurries() {
        let mut takeover = punctual();
        takeover.watch(0, ms(0));
        takeover.progress(ms(1));
        assert_eq!(due(&takeover), None);
        assert!(!takeover.asks(ms(1_000_000)) && !takeover.takes(ms(1_000_000)));
    }
}
