//! Repeated lines: the log writes the first few of a kind about one subject, and counts the rest.
//!
//! Counted lines end in one line, the last of them, with their number: so the log always shows the
//! final state. Invariants: a project causes at most [`MOST_OF_PROJECT`] lines in a [`WINDOW`], and
//! a half at most [`MOST_OF_SUBJECT`] of a kind; if the log reports a problem, it also writes the
//! line that reports its end; memory is bounded by [`MOST_SUBJECTS`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::Change;

/// How long lines are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Lines of one kind about one subject that the log writes in that time.
const MOST_OF_SUBJECT: u64 = 10;
/// Lines about the connection, and as many about the lock, that the log writes in that time. No
/// tenant causes them, and a search for the cause of an outage needs each one.
const MOST_OF_CONNECTION: u64 = 60;
/// Lines about the halves of one project that the log writes in that time: enough for one change of
/// all halves that a project may have by default.
const MOST_OF_PROJECT: u64 = 2000;
/// Subjects that have a count of their own; all others share one.
const MOST_SUBJECTS: usize = 8192;

/// The lines that were written and counted lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    windows: BTreeMap<Subject, Window>,
    /// The subjects in the order in which their windows end.
    ends: VecDeque<(Duration, Subject)>,
}

/// The lines that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// Of one kind, about one thing.
    Of(&'static str, String),
    /// About the halves of one project.
    Project(String),
    /// All subjects beyond [`MOST_SUBJECTS`].
    Rest,
}

#[derive(Debug, Default)]
struct Window {
    written: u64,
    counted: u64,
    last: Option<Change>,
    /// Whether the last line was written and reports a problem.
    open: bool,
}

impl Repeats {
    /// Whether to write a change now; otherwise counts it.
    pub(super) fn admits(&mut self, change: &Change, now: Duration) -> bool {
        let Some((kind, subject)) = change.subject() else { return true };
        let project = change.half().map(|half| half.network.project.to_string());
        let of_project = project.map(|project| (Subject::Project(project), MOST_OF_PROJECT));
        let of_subject = (Subject::Of(kind, subject), most_of(change));
        let limits = [Some(of_subject), of_project];
        // The first exhausted subject counts the line, so that it is counted once.
        for (subject, most) in limits.into_iter().flatten() {
            let window = self.window(subject, now);
            let ends = change.ends_trouble();
            if window.written >= most && !(ends && window.open) {
                window.counted += 1;
                window.last = Some(change.clone());
                window.open = false;
                return false;
            }
            window.written += 1;
            window.open = !ends;
        }
        true
    }

    fn window(&mut self, subject: Subject, now: Duration) -> &mut Window {
        let full = self.windows.len() >= MOST_SUBJECTS;
        let known = !full || self.windows.contains_key(&subject);
        let subject = if known { subject } else { Subject::Rest };
        if !self.windows.contains_key(&subject) {
            self.ends.push_back((now + WINDOW, subject.clone()));
        }
        self.windows.entry(subject).or_default()
    }

    /// The counts of the windows that have ended: the last change of each, and the number.
    pub(super) fn ended(&mut self, now: Duration) -> Vec<(Change, u64)> {
        let mut ended = Vec::new();
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            let Some((_, subject)) = self.ends.pop_front() else { break };
            let window = self.windows.remove(&subject).unwrap_or_default();
            ended.extend(window.last.map(|last| (last, window.counted)));
        }
        ended
    }

    /// When the next window ends.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.ends.front().map(|(end, _)| *end)
    }
}

fn most_of(change: &Change) -> u64 {
    let of_connection = matches!(
        change,
        Change::Connected { .. } | Change::Disconnected { .. } | Change::LockChanged { .. }
    );
    if of_connection { MOST_OF_CONNECTION } else { MOST_OF_SUBJECT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{HalfKey, NetworkKey};
    use crate::engine::OfHalf;
    use crate::view::State;

    fn change(project: &str, half: &str, state: State) -> Change {
        let key = HalfKey::new(NetworkKey::new(project, "n"), half);
        let half = OfHalf { key, own: true };
        Change::StateChanged {
            half,
            previous: None,
            state,
            reason: None,
            explanation: None,
            owner_explanation: None,
        }
    }

    #[test]
    fn what_repeats_is_counted_and_ends_in_its_last_line() {
        let mut repeats = Repeats::default();
        let written = (0..1000).filter(|number| {
            let state = if number % 2 == 0 { State::Active } else { State::Disabled };
            repeats.admits(&change("p", "a", state), Duration::from_millis(*number))
        });
        assert_eq!(written.count() as u64, MOST_OF_SUBJECT);
        assert!(repeats.admits(&change("p", "b", State::Active), WINDOW / 2), "another half");
        assert_eq!(repeats.deadline(), Some(WINDOW));
        assert_eq!(repeats.ended(WINDOW / 2), []);
        let last = change("p", "a", State::Disabled);
        assert_eq!(repeats.ended(WINDOW), [(last.clone(), 1000 - MOST_OF_SUBJECT)]);
        assert!(repeats.admits(&last, WINDOW), "a new window");
    }

    #[test]
    fn a_project_with_many_halves_is_bounded_too_and_no_other_pays_for_it() {
        let mut repeats = Repeats::default();
        let halves = 0..MOST_OF_PROJECT * 2;
        let written = halves.filter(|number| {
            repeats.admits(&change("p", &number.to_string(), State::Active), Duration::ZERO)
        });
        assert_eq!(written.count() as u64, MOST_OF_PROJECT);
        assert!(repeats.admits(&change("q", "a", State::Active), Duration::ZERO));
        assert_eq!(repeats.ended(WINDOW).len(), 1);
        assert_eq!((repeats.windows.len(), repeats.ends.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_by_any_number_of_subjects() {
        let mut repeats = Repeats::default();
        for number in 0..3 * MOST_SUBJECTS {
            let change = change(&format!("p{number}"), "a", State::Active);
            repeats.admits(&change, Duration::ZERO);
        }
        assert_eq!(repeats.windows.len(), MOST_SUBJECTS + 1);
        assert_eq!(repeats.ends.len(), MOST_SUBJECTS + 1);
        let (_, counted) = repeats.ended(WINDOW).pop().unwrap();
        assert!(counted > 0, "what was not written is counted");
    }

    #[test]
    fn the_end_of_an_outage_is_written_if_its_beginning_was() {
        let lost = Change::Disconnected { error: "closed".into() };
        let back = Change::Connected { remote: "tcp:x".into(), schema: "7.3.0".into() };
        let mut repeats = Repeats::default();
        assert!(repeats.admits(&back, Duration::ZERO), "the start");
        let mut written = 1;
        for _ in 0..1000 {
            let begun = repeats.admits(&lost, Duration::ZERO);
            assert_eq!(repeats.admits(&back, Duration::ZERO), begun);
            written += 2 * u64::from(begun);
        }
        assert!((MOST_OF_CONNECTION..=MOST_OF_CONNECTION + 1).contains(&written), "{written}");
        let taken = Change::LockChanged { held: true };
        assert!(repeats.admits(&taken, Duration::ZERO), "the lock is counted apart");
        assert_eq!(repeats.ended(WINDOW), [(back, 2001 - written)]);
    }

    #[test]
    fn what_an_operator_did_is_always_written() {
        let mut repeats = Repeats::default();
        let done = Change::Written {
            actor: "root".into(),
            what: "x".into(),
            result: Ok("".into()),
            fault: false,
            project: None,
        };
        assert!((0..1000).all(|_| repeats.admits(&done, Duration::ZERO)));
    }
}
