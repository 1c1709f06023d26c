//! Clients of the store in a fleet: what they ask for, what is written for them, and what they are answered. The
//! store as it must be follows from what was written.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::declare::{Edit, HalfKey, NetworkKey, NotStored, RejectionKey, parse_stored};
use ovn_peerd::engine::StoreResult;
use ovn_peerd::northbound::registration::NETWORK_KEY;
use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set};
use ovn_peerd::ovsdb::{Datum, Operation};

use crate::database::Rows;
use crate::doors::{list_keys, lists_in};

/// Where a stored declaration stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A half: its network, and its name.
    Half(usize, String),
    /// A rejection: its network, and whom it rejects.
    Rejection(usize, usize),
}

impl Place {
    pub fn network(&self) -> usize {
        match self {
            Self::Half(network, _) | Self::Rejection(network, _) => *network,
        }
    }
}

/// What stands there: of a half its target, whether it is enabled, and its lists.
pub type Text = Option<(usize, bool, usize)>;

/// What is stored.
pub type Content = BTreeMap<Place, Text>;

/// What a change stores, and, without a text, what it removes.
pub type Effect = BTreeMap<Place, Option<Text>>;

/// What a client wants.
#[derive(Clone, Debug)]
pub enum Wish {
    Create(usize, usize, bool),
    Set(usize, usize, bool),
    Delete(usize, usize),
    Reject(usize, usize),
    /// The half, and the rejection of the same network goes.
    Accept(usize, usize),
    /// From the usual name to the other one, or back.
    Rename(usize, usize),
    /// All halves and rejections of a project.
    Apply(usize, BTreeMap<usize, bool>, BTreeSet<usize>),
    /// As a dry run.
    Try(Box<Wish>),
}

/// What becomes of a host's next change of the store on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server says that others were faster.
    Outrun,
    /// It is written, and the reply is lost.
    Unanswered,
    /// It is lost.
    Lost,
    /// It is taken for lost when the rows are read again, and comes after that: the leader that has it
    /// does not know yet that it is committed.
    Late,
    /// It is written, and the host dies before it learns of it.
    Dies,
    /// Somebody deletes a registration before it is there.
    Deletes(usize),
}

/// The usual name of a half.
pub fn name(target: usize) -> String {
    format!("to-{target}")
}

fn other_name(target: usize) -> String {
    format!("as-{target}")
}

fn network(network: usize) -> NetworkKey {
    NetworkKey::new(format!("p{network}"), "n")
}

fn half(network_of: usize, name: &str) -> HalfKey {
    HalfKey::new(network(network_of), name)
}

/// A half with lists, as [`list_keys`] has them.
pub fn half_text(
    name: &str,
    from: usize,
    (target, enabled, lists): (usize, bool, usize),
) -> String {
    let status = if enabled { "active" } else { "disabled" };
    let keys = list_keys((from, target), lists);
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"p{target}\"\ntarget_network = \"n\"\nconfigured_status = \"{status}\"\n{keys}"
    )
}

fn rejection_text(from: usize) -> String {
    format!("[[rejection]]\nnetwork = \"n\"\nfrom_project = \"p{from}\"\nfrom_network = \"n\"\n")
}

impl Wish {
    fn project(&self) -> usize {
        match self {
            Self::Create(of, ..)
            | Self::Set(of, ..)
            | Self::Delete(of, _)
            | Self::Reject(of, _)
            | Self::Accept(of, _)
            | Self::Rename(of, _)
            | Self::Apply(of, ..) => *of,
            Self::Try(wish) => wish.project(),
        }
    }

    /// Whether a network is to peer with itself, or to reject itself.
    pub fn is_of_itself(&self) -> bool {
        match self {
            Self::Create(of, to, _)
            | Self::Set(of, to, _)
            | Self::Delete(of, to)
            | Self::Reject(of, to)
            | Self::Accept(of, to)
            | Self::Rename(of, to) => of == to,
            Self::Apply(..) => false,
            Self::Try(wish) => wish.is_of_itself(),
        }
    }

    /// What is asked for by that, of somebody who sees this store.
    pub fn edit(&self, content: &Content) -> Edit {
        let project = self.project();
        let mut text = format!("project = \"p{project}\"\n");
        let (mut remove, mut unreject) = (Vec::new(), Vec::new());
        let rejection =
            |from: usize| RejectionKey { network: network(project), from: network(from) };
        match self {
            Self::Create(_, target, on) | Self::Set(_, target, on) => {
                let lists = if matches!(self, Self::Create(..)) { 0 } else { 1 + usize::from(*on) };
                text += &half_text(&name(*target), project, (*target, *on, lists));
            }
            Self::Delete(_, target) => remove.push(half(project, &name(*target))),
            Self::Reject(_, from) => text += &rejection_text(*from),
            Self::Accept(_, from) => {
                text += &half_text(&name(*from), project, (*from, true, 3));
                unreject.push(rejection(*from));
            }
            Self::Rename(_, target) => {
                let mut names = [name(*target), other_name(*target)];
                if !content.contains_key(&Place::Half(project, names[0].clone())) {
                    names.reverse();
                }
                let found = content.get(&Place::Half(project, names[0].clone()));
                let found = found.copied().flatten().unwrap_or((*target, true, 0));
                text += &half_text(&names[1], project, found);
                remove.push(half(project, &names[0]));
            }
            Self::Apply(_, halves, rejected) => {
                halves.iter().filter(|(target, _)| **target != project).for_each(|(target, on)| {
                    let lists = usize::from(*on);
                    text += &half_text(&name(*target), project, (*target, *on, lists));
                });
                rejected
                    .iter()
                    .filter(|from| **from != project && !halves.contains_key(from))
                    .for_each(|from| text += &rejection_text(*from));
            }
            Self::Try(wish) => return Edit { dry_run: true, ..wish.edit(content) },
        }
        let (named, halves, rejections) = parse_stored("asked", text).unwrap();
        Edit {
            halves,
            rejections,
            remove,
            unreject,
            rename: matches!(self, Self::Rename(..)),
            create: matches!(self, Self::Create(..) | Self::Rename(..)),
            replace: matches!(self, Self::Apply(..)),
            ..Edit::new(named, "alice".to_owned())
        }
    }
}

fn number(name: &str) -> usize {
    name[1..].parse().unwrap()
}

fn place_of_half(key: &HalfKey) -> Place {
    Place::Half(number(&key.network.project), key.name.to_string())
}

fn place_of_rejection(key: &RejectionKey) -> Place {
    Place::Rejection(number(&key.network.project), number(&key.from.project))
}

/// What an edit changes of a store; none if it is to be refused by what is there.
fn effect_of(edit: &Edit, content: &Content) -> Option<Effect> {
    let mut effect = Effect::new();
    for half in &edit.halves {
        let place = place_of_half(&half.key);
        let target = number(&half.target.project);
        let lists = lists_in(&format!("{half:?}"), (place.network(), target));
        let text = Some((target, half.is_up(), lists));
        match content.get(&place) {
            Some(_) if edit.create => return None,
            Some(found) if *found == text => {}
            Some(_) | None => drop(effect.insert(place, Some(text))),
        }
    }
    for place in edit.remove.iter().map(place_of_half) {
        if !content.contains_key(&place) {
            return None;
        }
        effect.insert(place, None);
    }
    let rejected: Vec<Place> = edit.rejections.iter().map(place_of_rejection).collect();
    let new = rejected.iter().filter(|place| !content.contains_key(place));
    effect.extend(new.map(|place| (place.clone(), Some(None))));
    let unrejected = edit.unreject.iter().map(place_of_rejection);
    effect.extend(unrejected.filter(|it| content.contains_key(it)).map(|place| (place, None)));
    if edit.replace {
        let project = number(&edit.project);
        let halves = edit.halves.iter().map(|half| place_of_half(&half.key));
        let kept: BTreeSet<Place> = halves.chain(rejected).collect();
        let others = content.keys().filter(|it| it.network() == project && !kept.contains(it));
        effect.extend(others.map(|place| (place.clone(), None)));
    }
    Some(effect)
}

/// What the northbound has of the store.
pub fn stored(rows: &Rows) -> Content {
    let mut content = Content::new();
    for (_, row) in rows.iter().filter(|((table, _), _)| *table == ADDRESS_SET) {
        let tags = row.get(address_set::EXTERNAL_IDS);
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let Some(network) = tags.get(NETWORK_KEY).map(json) else { continue };
        let network = number(network["project"].as_str().unwrap());
        for (key, text) in tags.entries() {
            if let Some(name) = key.strip_prefix("ovn-peerd-declared:@store:") {
                let declared = json(text);
                let target = number(declared["target"][0].as_str().unwrap());
                let on = declared.get("disabled").is_none();
                let lists = lists_in(text, (network, target));
                content.insert(Place::Half(network, name.to_owned()), Some((target, on, lists)));
            } else if let Some(from) = key.strip_prefix("ovn-peerd-rejects:@store:") {
                let (project, _) = from.split_once(':').unwrap();
                content.insert(Place::Rejection(network, number(project)), None);
            }
        }
    }
    content
}

/// Whether a transaction is a change of the store.
pub fn is_of_store(operations: &[Operation]) -> bool {
    operations.iter().any(|operation| match operation {
        Operation::Mutate { mutations, .. } => mutations.iter().any(|(_, _, datum)| match datum {
            Datum::Map(pairs) => pairs.iter().any(|(key, _)| key.starts_with("ovn-peerd-stored:")),
            _ => false,
        }),
        _ => false,
    })
}

/// Those at one host.
#[derive(Default)]
struct AtHost {
    /// What has no answer yet; with its number among all, if the host knew everything and nothing else
    /// was asked for when it was.
    open: BTreeMap<u64, (Edit, Option<usize>)>,
    /// What was written of the first of these.
    written: Vec<Effect>,
}

/// All clients.
#[derive(Default)]
pub struct Clients {
    hosts: BTreeMap<usize, AtHost>,
    /// What the northbound has to have.
    pub content: Content,
    /// So many edits were asked for, done, refused, and lost with their host.
    asked: usize,
    pub done: usize,
    pub refused: usize,
    pub unknown: usize,
}

impl Clients {
    /// Somebody has asked a host that may know everything.
    pub fn asked(&mut self, host: usize, id: u64, edit: Edit, knows_all: bool) {
        self.asked += 1;
        let calm = (knows_all && self.open() == 0).then_some(self.asked);
        self.hosts.entry(host).or_default().open.insert(id, (edit, calm));
    }

    /// Whether nobody has asked for anything yet.
    pub fn have_asked_nothing(&self) -> bool {
        self.asked == 0
    }

    /// The first that has no answer at a host.
    pub fn first(&self, host: usize) -> Option<u64> {
        self.hosts.get(&host)?.open.keys().next().copied()
    }

    /// A host's change of the store was committed.
    pub fn written(&mut self, host: usize, before: &Content, after: &Content) {
        let at_host = self.hosts.entry(host).or_default();
        let (_, (edit, _)) = at_host.open.first_key_value().expect("somebody asked for it");
        assert!(!edit.dry_run, "a dry run was written: {edit:?}");
        let effect = effect_of(edit, &self.content);
        let effect = effect.unwrap_or_else(|| panic!("{edit:?} on {:?}", self.content));
        let mut expected = before.clone();
        apply(&mut expected, &effect);
        assert_eq!(*after, expected, "what was written of {edit:?}");
        apply(&mut self.content, &effect);
        at_host.written.push(effect);
    }

    /// Another transaction was committed: it may put back what is to be there, and nothing else.
    pub fn others_wrote(&self, before: &Content, after: &Content) {
        let places: BTreeSet<&Place> = before.keys().chain(after.keys()).collect();
        for place in places.into_iter().filter(|place| before.get(place) != after.get(place)) {
            let (found, wanted) = (after.get(place), self.content.get(place));
            assert_eq!(found, wanted, "{place:?} was changed by nobody's command");
        }
    }

    /// Somebody is answered.
    pub fn answered(&mut self, host: usize, id: u64, result: StoreResult) {
        let at_host = self.hosts.get_mut(&host).unwrap();
        let is_first = at_host.open.keys().next() == Some(&id);
        let (edit, calm) = at_host.open.remove(&id).expect("answered once");
        let written = if is_first { std::mem::take(&mut at_host.written) } else { Vec::new() };
        match result {
            Ok(change) => {
                self.done += 1;
                let stored = change.stored.iter().map(place_of_half).map(|it| (it, true));
                let removed = change.removed.iter().map(place_of_half).map(|it| (it, false));
                let rejected = change.rejected.iter().map(place_of_rejection).map(|it| (it, true));
                let gone = change.unrejected.iter().map(place_of_rejection).map(|it| (it, false));
                let said: BTreeMap<Place, bool> =
                    stored.chain(removed).chain(rejected).chain(gone).collect();
                if edit.dry_run || change.is_empty() {
                    assert!(written.is_empty(), "{edit:?} is no change, and wrote {written:?}");
                    return;
                }
                let [written] = written.as_slice() else { panic!("{written:?} of {edit:?}") };
                let wrote = written.iter().map(|(place, text)| (place.clone(), text.is_some()));
                assert_eq!(said, wrote.collect(), "{edit:?}");
            }
            Err(NotStored::Unknown) => self.unknown += 1,
            Err(why) => {
                self.refused += 1;
                assert!(written.is_empty(), "{why}, and yet it was written: {edit:?}");
                if calm == Some(self.asked)
                    && matches!(why, NotStored::Exists(_) | NotStored::Missing(_))
                {
                    let effect = effect_of(&edit, &self.content);
                    assert_eq!(effect, None, "{why}: {edit:?} on {:?}", self.content);
                }
            }
        }
    }

    /// A host is down: nobody there learns what becomes of its edits.
    pub fn lost(&mut self, host: usize) {
        let lost = self.hosts.remove(&host);
        self.unknown += lost.map_or(0, |lost| lost.open.len());
    }

    /// How many have no answer.
    pub fn open(&self) -> usize {
        self.hosts.values().map(|at_host| at_host.open.len()).sum()
    }
}

fn apply(content: &mut Content, effect: &Effect) {
    for (place, text) in effect {
        match text {
            Some(text) => content.insert(place.clone(), *text),
            None => content.remove(place),
        };
    }
}
