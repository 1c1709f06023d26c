//! Whether ovn-northd keeps up with what is written, and when it is to be asked.
//!
//! Owns the only sign of life that a northbound has of it: it raises `sb_cfg` to the `nb_cfg` that
//! it has acted on. The first commit of a link raises `nb_cfg`. Of later changes, many raise it
//! once, some seconds after the first of them, and not while an answer is awaited. So this instance
//! asks a dead northd once, and writes nothing where nothing changes.

use std::time::Duration;

use super::Deadline;

/// So long it may take. It takes seconds where thousands of routers are new at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// So long changes are gathered before it is asked about them.
const GATHERS: Duration = Duration::from_secs(5);

/// What the northbound says of it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// What it is asked for.
    pub(super) nb_cfg: Option<i64>,
    /// What it has acted on.
    pub(super) sb_cfg: Option<i64>,
    /// Whether something changed since it was asked last.
    pub(super) uncovered: bool,
    /// Whether the northbound is within reach.
    pub(super) reached: bool,
}

/// What it has been asked for, and since when.
#[derive(Debug, Default)]
pub(super) struct Northd {
    /// The first `nb_cfg` that was asked for and that it has not reached; and since when the first
    /// change that this covers waits.
    asked: Option<(i64, Duration)>,
    /// Since when there are changes that no `nb_cfg` covers.
    uncovered: Option<Duration>,
    /// Before that it is not asked again.
    rests_until: Duration,
    /// When it was last seen to act: what changed before that has its time from then on.
    acted: Duration,
    nb_cfg: Option<i64>,
    sb_cfg: Option<i64>,
    late: bool,
}

impl Northd {
    /// Whether it differs from before that it is late.
    pub(super) fn watch(&mut self, seen: Seen, now: Duration) -> bool {
        if !seen.reached {
            // What cannot be seen says nothing of it; it is given its time anew.
            self.asked =
                self.asked.map(|(target, since)| (target, if self.late { since } else { now }));
            self.uncovered = self.uncovered.map(|_| now);
            return false;
        }
        let (nb_cfg, sb_cfg) = (seen.nb_cfg.unwrap_or_default(), seen.sb_cfg.unwrap_or_default());
        let raised = self.nb_cfg.is_some_and(|before| before < nb_cfg);
        self.nb_cfg = seen.nb_cfg;
        if std::mem::replace(&mut self.sb_cfg, seen.sb_cfg) != seen.sb_cfg {
            self.acted = now;
        }
        let is_open = |(target, _): &(i64, Duration)| sb_cfg < *target && *target <= nb_cfg;
        let first = self.uncovered.filter(|_| raised).unwrap_or(now).max(self.acted);
        self.asked = self.asked.filter(is_open).or((sb_cfg < nb_cfg).then_some((nb_cfg, first)));
        let since = self.uncovered.filter(|_| !raised).unwrap_or(now);
        self.uncovered = seen.uncovered.then_some(since);
        let late = self.asked.is_some_and(|(_, since)| since + PATIENCE <= now);
        std::mem::replace(&mut self.late, late) != late
    }

    /// Whether it has not acted for too long.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// How long it has not acted on what it was asked for, if it was.
    pub(super) fn lag(&self, now: Duration) -> Duration {
        self.asked.map(|(_, since)| now.saturating_sub(since)).unwrap_or_default()
    }

    /// Whether it is to be asked now; it is asked then.
    pub(super) fn asks(&mut self, now: Duration) -> bool {
        let due = self.asks_at().is_some_and(|at| at <= now);
        if due {
            self.rests_until = now + GATHERS;
        }
        due
    }

    fn asks_at(&self) -> Option<Duration> {
        let since = self.uncovered.filter(|_| self.asked.is_none() && self.nb_cfg.is_some())?;
        Some((since + GATHERS).max(self.rests_until))
    }

    /// When it is late, unless it acts before, or is to be asked, if this instance may.
    pub(super) fn deadline(&self, may_ask: bool) -> Option<Deadline> {
        let late = self.asked.filter(|_| !self.late).map(|(_, since)| since + PATIENCE);
        let late = late.map(|at| Deadline { at, why: "ovn-northd has not acted" });
        let asks = self.asks_at().filter(|_| may_ask);
        late.or(asks.map(|at| Deadline { at, why: "ovn-northd is to be asked" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(nb_cfg: i64, sb_cfg: i64, uncovered: bool) -> Seen {
        Seen { nb_cfg: Some(nb_cfg), sb_cfg: Some(sb_cfg), uncovered, reached: true }
    }

    fn due(northd: &Northd) -> Option<Duration> {
        northd.deadline(true).map(|deadline| deadline.at)
    }

    #[test]
    fn it_is_late_once_what_was_asked_first_is_not_reached() {
        let mut northd = Northd::default();
        assert!(!northd.watch(seen(7, 7, false), second(0)));
        assert_eq!(due(&northd), None, "nothing is asked");
        assert!(!northd.watch(seen(8, 7, false), second(100)));
        assert_eq!(due(&northd), Some(second(110)));
        // What others ask later does not give it more time; what it reaches does.
        assert!(!northd.watch(seen(9, 7, false), second(105)));
        assert!(northd.watch(seen(9, 7, false), second(110)) && northd.is_late());
        assert_eq!(due(&northd), None, "it was said");
        assert!(!northd.watch(seen(9, 7, false), second(111)), "once");
        assert!(northd.watch(seen(9, 8, false), second(112)) && !northd.is_late());
        assert_eq!(due(&northd), Some(second(122)), "for what is left");
        assert!(!northd.watch(seen(9, 9, false), second(113)));
        assert_eq!(due(&northd), None);
    }

    #[test]
    fn it_is_asked_once_for_many_changes_and_not_while_it_owes_an_answer() {
        let mut northd = Northd::default();
        northd.watch(seen(7, 7, false), second(0));
        northd.watch(seen(7, 7, true), second(100));
        northd.watch(seen(7, 7, true), second(104));
        assert_eq!(due(&northd), Some(second(105)), "after the first change");
        assert_eq!(northd.deadline(false), None, "a standby does not write");
        assert!(!northd.asks(second(104)) && northd.asks(second(105)));
        assert!(!northd.asks(second(109)), "once, whatever became of it");
        northd.watch(seen(8, 7, false), second(105));
        assert_eq!(due(&northd), Some(second(110)), "ten seconds after the change");
        northd.watch(seen(8, 7, true), second(107));
        assert!(!northd.asks(second(109)));
        assert!(northd.watch(seen(8, 7, true), second(110)));
        assert!(!northd.asks(second(1000)), "a dead one is asked once");
        assert!(northd.watch(seen(8, 8, true), second(1001)));
        assert!(northd.asks(second(1001)), "for what changed meanwhile");
        northd.watch(seen(9, 8, false), second(1002));
        assert!(!northd.is_late());
        assert_eq!(due(&northd), Some(second(1011)), "ten seconds after it was seen to act");
        northd.watch(seen(9, 9, false), second(1003));
        assert_eq!(due(&northd), None);
    }

    #[test]
    fn a_northbound_that_is_restored_or_out_of_reach_asks_for_nothing() {
        let mut northd = Northd::default();
        northd.watch(seen(8, 7, false), second(0));
        assert!(!northd.watch(seen(3, 3, false), second(20)), "an older number is no question");
        northd.watch(seen(4, 3, false), second(20));
        let away = Seen { reached: false, ..seen(4, 3, false) };
        assert!(!northd.watch(away, second(35)), "nobody sees whether it acts");
        assert!(!northd.watch(seen(4, 3, false), second(36)));
        assert!(northd.watch(seen(4, 3, false), second(45)));
        assert!(!northd.watch(away, second(50)) && northd.is_late(), "nor that it is back");
        let nothing = Seen { nb_cfg: None, sb_cfg: None, uncovered: true, reached: true };
        northd.watch(nothing, second(60));
        assert!(!northd.asks(second(100)), "there is no number to raise");
    }
}
