//! The events that listeners may still get: rings of bounded size, one for operators, and one for
//! the owner of each project.
//!
//! A listener reads by its own position, so a slow one costs nobody anything: what it has not read
//! in time is dropped, and it gets a `gap`. Nothing that a tenant sees depends on other projects,
//! neither which events are dropped nor what they are called: an id is a time, and a number among
//! those events of that time that the listener may see.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::view::{Audience, Event, EventView, Viewer};

/// The most events that are kept for operators.
const MOST_FOR_OPERATORS: usize = 4096;
/// The most events that are kept for the owner of one project, and for all owners.
const MOST_FOR_OWNER: usize = 512;
/// The most events of one look.
const MOST_AT_ONCE: usize = 64;

/// The place of an event in the stream of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventId {
    /// Milliseconds since 1970, each used once.
    time: u64,
    /// A number among the events of that time that the listener may see.
    number: u32,
}

/// What a listener gets at its position.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Where the listener goes on, if the events that follow its position are lost.
    pub(super) gap: Option<EventId>,
    pub(super) events: Vec<(EventId, Arc<Happened>)>,
}

/// An event, and when it happened.
#[derive(Debug)]
pub(super) struct Happened {
    at: Timestamp,
    event: Event,
    /// Its last frame: nearly all listeners know it by the same id, and share it.
    frame: Mutex<Option<(EventId, Bytes)>>,
}

#[derive(Clone, Debug)]
struct Entry {
    time: u64,
    /// The order of all events, which nobody is shown.
    order: u64,
    happened: Arc<Happened>,
}

/// The last events of one audience.
#[derive(Debug)]
struct Ring {
    entries: VecDeque<Entry>,
    most: usize,
    /// No event of this time or of an earlier one is there.
    dropped: u64,
}

/// The events that were published, for all listeners.
#[derive(Clone, Debug)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rings: Mutex<Rings>,
    /// Wakes listeners: the time of the last events.
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct Rings {
    operators: Ring,
    owners: Ring,
    projects: BTreeMap<Arc<str>, Ring>,
    started: u64,
    last: u64,
    order: u64,
}

impl Events {
    /// None yet; `now` distinguishes them from those of an earlier run.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let started = milliseconds(now);
        let rings = Rings {
            operators: Ring::new(MOST_FOR_OPERATORS, started),
            owners: Ring::new(MOST_FOR_OWNER, started),
            projects: BTreeMap::new(),
            started,
            last: started,
            order: 0,
        };
        let (last, _) = watch::channel(started);
        Self(Arc::new(Shared { rings: Mutex::new(rings), last }))
    }

    /// Keeps events for the owners of these projects from now on, and of no other ones.
    pub fn keep_for(&self, projects: &BTreeSet<Arc<str>>) {
        let mut rings = self.rings();
        let now = rings.last;
        rings.projects.retain(|project, _| projects.contains(project));
        for project in projects {
            let ring = || Ring::new(MOST_FOR_OWNER, now);
            rings.projects.entry(Arc::clone(project)).or_insert_with(ring);
        }
    }

    /// Publishes what happened at one time.
    pub fn publish(&self, events: Vec<(Audience, Event)>, now: Timestamp) {
        if events.is_empty() {
            return;
        }
        let mut rings = self.rings();
        // A clock that is put back repeats no time.
        let time = milliseconds(now).max(rings.last + 1);
        rings.last = time;
        for (audience, event) in events {
            rings.order += 1;
            let happened = Arc::new(Happened::new(now, event));
            let entry = Entry { time, order: rings.order, happened };
            match audience {
                Audience::Operators => rings.operators.push(entry),
                Audience::AllOwners => rings.owners.push(entry),
                Audience::OwnersOf(projects) => {
                    for project in projects {
                        if let Some(ring) = rings.projects.get_mut(&project) {
                            ring.push(entry.clone());
                        }
                    }
                }
            }
        }
        drop(rings);
        self.0.last.send_replace(time);
    }

    /// What is published from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.last.subscribe()
    }

    /// The position of a listener that wants what comes from now on.
    pub(super) fn end(&self) -> EventId {
        EventId::after_all(self.rings().last)
    }

    /// The first events behind a position, as far as the viewer may see them.
    pub(super) fn read(&self, viewer: &Viewer, position: EventId) -> Found {
        let rings = self.rings();
        let visible = rings.visible_to(viewer);
        let dropped = visible.iter().map(|ring| ring.dropped).max().unwrap_or(rings.started);
        let dropped = EventId::after_all(dropped);
        let is_future = position > EventId::after_all(rings.last);
        let gap = (position < dropped || is_future).then_some(dropped);
        let position = gap.unwrap_or(position);
        let mut entries: Vec<&Entry> =
            visible.iter().flat_map(|ring| ring.since(position.time)).collect();
        entries.sort_by_key(|entry| entry.order);
        // It may concern several projects of one owner.
        entries.dedup_by_key(|entry| entry.order);
        let mut id = EventId::default();
        let numbered = entries.into_iter().map(|entry| {
            id = match id.time == entry.time {
                true => EventId { number: id.number + 1, ..id },
                false => EventId { time: entry.time, number: 0 },
            };
            (id, Arc::clone(&entry.happened))
        });
        let events = numbered.filter(|(id, _)| *id > position).take(MOST_AT_ONCE).collect();
        Found { gap, events }
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Happened {
    pub(super) fn new(at: Timestamp, event: Event) -> Self {
        Self { at, event, frame: Mutex::default() }
    }

    /// As a frame of a stream; empty if it has no JSON form, which cannot be.
    pub(super) fn frame(&self, id: EventId) -> Bytes {
        let mut last = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = last.as_ref().filter(|(of, _)| *of == id) {
            return frame.clone();
        }
        let view = EventView { id: id.to_string(), time: self.at, event: self.event.clone() };
        let json = serde_json::to_string(&view).unwrap_or_default();
        let text = format!("id: {id}\nevent: {}\ndata: {json}\n\n", self.event.kind);
        let frame = Bytes::from(text);
        *last = Some((id, frame.clone()));
        frame
    }
}

impl Rings {
    fn visible_to(&self, viewer: &Viewer) -> Vec<&Ring> {
        match viewer {
            Viewer::Operator => vec![&self.operators],
            Viewer::Tenant(own) => {
                let own = own.iter().filter_map(|project| self.projects.get(project));
                own.chain([&self.owners]).collect()
            }
        }
    }
}

impl Ring {
    fn new(most: usize, now: u64) -> Self {
        Self { entries: VecDeque::new(), most, dropped: now }
    }

    /// Adds an event. Those of one time are dropped together, so that none of them is counted
    /// while another one is gone.
    fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        while self.entries.len() > self.most {
            let Some(first) = self.entries.front() else { return };
            self.dropped = first.time;
            while self.entries.front().is_some_and(|entry| entry.time == self.dropped) {
                self.entries.pop_front();
            }
        }
    }

    /// The events of this time and of later ones.
    fn since(&self, time: u64) -> impl Iterator<Item = &Entry> {
        let first = self.entries.partition_point(|entry| entry.time < time);
        self.entries.range(first..)
    }
}

impl EventId {
    /// Behind all events of a time.
    fn after_all(time: u64) -> Self {
        Self { time, number: u32::MAX }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, number) = text.split_once('-').ok_or(())?;
        Ok(Self { time: time.parse().map_err(|_| ())?, number: number.parse().map_err(|_| ())? })
    }
}

fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};

    use super::{EventId, Events, MOST_FOR_OPERATORS, MOST_FOR_OWNER};
    use crate::view::{Audience, Event, EventKind, Viewer};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
    }

    fn of(project: &str, message: &str) -> (Audience, Event) {
        let audience = Audience::OwnersOf(vec![project.into()]);
        (audience, Event::new(EventKind::HalfState, message))
    }

    fn owner(projects: &[&str]) -> Viewer {
        Viewer::Tenant(Arc::new(projects.iter().map(|project| (*project).into()).collect()))
    }

    fn events(projects: &[&str]) -> Events {
        let events = Events::new(at(0));
        let projects: BTreeSet<Arc<str>> = projects.iter().map(|it| (*it).into()).collect();
        events.keep_for(&projects);
        events
    }

    /// All that a listener gets from a position on, with the ids.
    fn all(events: &Events, viewer: &Viewer, mut position: EventId) -> Vec<(String, String)> {
        let mut all = Vec::new();
        loop {
            let found = events.read(viewer, position);
            if let Some(gap) = found.gap {
                all.push((gap.to_string(), "gap".to_owned()));
                position = gap;
            }
            if found.events.is_empty() {
                return all;
            }
            for (id, happened) in found.events {
                all.push((id.to_string(), happened.event.message.clone()));
                position = id;
            }
        }
    }

    #[test]
    fn a_listener_resumes_behind_each_event() {
        let events = events(&["blue", "teal"]);
        let (viewer, begin) = (owner(&["blue", "teal"]), events.end());
        let both = Audience::OwnersOf(vec!["blue".into(), "teal".into()]);
        events.publish(
            vec![of("blue", "1"), (both, Event::new(EventKind::Diagnostic, "2")), of("teal", "3")],
            at(1),
        );
        events.publish(vec![of("red", "nobody's"), of("blue", "4")], at(1));
        events.publish(vec![(Audience::AllOwners, Event::new(EventKind::Northbound, "5"))], at(2));
        let whole = all(&events, &viewer, begin);
        let messages: Vec<&str> = whole.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(messages, ["1", "2", "3", "4", "5"]);
        for (index, (id, _)) in whole.iter().enumerate() {
            let id: EventId = id.parse().unwrap();
            assert_eq!(all(&events, &viewer, id), whole[index + 1..]);
        }
        assert_eq!(all(&events, &viewer, events.end()), []);
    }

    #[test]
    fn what_is_dropped_is_a_gap_and_what_stays_follows() {
        let events = events(&["blue"]);
        let (viewer, begin) = (owner(&["blue"]), events.end());
        for number in 0..MOST_FOR_OWNER + 10 {
            events.publish(vec![of("blue", &number.to_string())], at(1));
        }
        let found = all(&events, &viewer, begin);
        assert_eq!((found.len(), &*found[0].1, &*found[1].1), (MOST_FOR_OWNER + 1, "gap", "10"));
        // The gap's own id is a place to go on from, and has no further gap.
        assert_eq!(all(&events, &viewer, found[0].0.parse().unwrap()), found[1..]);
        // More at one time than is kept is lost together.
        let many = (0..=MOST_FOR_OWNER).map(|number| of("blue", &number.to_string()));
        events.publish(many.collect(), at(2));
        let found = all(&events, &viewer, begin);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn ids_of_an_earlier_run_and_of_a_clock_that_was_ahead_are_gaps() {
        let events = events(&["blue"]);
        events.publish(vec![of("blue", "1")], at(1));
        for id in ["0-0", &format!("{}-0", (at(0).as_millisecond() - 1)), "99999999999999-0"] {
            let found = all(&events, &owner(&["blue"]), id.parse().unwrap());
            assert_eq!((&*found[0].1, &*found[1].1, found.len()), ("gap", "1", 2), "{id}");
        }
        // A clock that is put back repeats no id.
        let end = events.end();
        events.publish(vec![of("blue", "2")], at(-5));
        assert_eq!(all(&events, &owner(&["blue"]), end).len(), 1);
        assert!("1".parse::<EventId>().is_err() && "1-x".parse::<EventId>().is_err());
    }

    /// Nothing that an owner gets depends on what others do: neither events, nor ids, nor gaps.
    #[test]
    fn others_do_not_show() {
        let run = |noise: usize| {
            let events = events(&["blue", "green"]);
            let begin = events.end();
            for second in 1..20 {
                let others = |from: usize| {
                    (from..noise).flat_map(|_| {
                        let operators = Event::new(EventKind::Drift, "secret");
                        [of("green", "secret"), (Audience::Operators, operators)]
                    })
                };
                let both = others(0).chain([of("blue", "a")]).chain(others(1));
                events.publish(both.chain([of("blue", "b")]).collect(), at(second));
            }
            all(&events, &owner(&["blue"]), begin)
        };
        let quiet = run(0);
        assert_eq!(quiet.len(), 38);
        for noise in [1, 10, MOST_FOR_OPERATORS / 4] {
            assert_eq!(run(noise), quiet, "{noise}");
        }
    }
}
