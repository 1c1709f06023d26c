//! What must hold of a fleet at rest: by what all files say and what is stored.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::northbound::tables::ROUTER_PORT;
use ovn_peerd::view::{HalfView, Reason, State};

use crate::clients::{Place, name, stored};
use crate::fleet::{Fleet, Host, NETWORKS, Pairs, STORE};

/// Whether somebody says that a half is enabled.
fn is_up(said: &BTreeSet<(bool, usize)>) -> bool {
    said.iter().any(|(enabled, _)| *enabled)
}

impl Fleet {
    /// Whether the store may declare for a project.
    fn may_store(&self, project: usize) -> bool {
        self.named.get(&project).is_none_or(|hosts| hosts.contains(&STORE))
    }

    /// Whether something is stored of a project that the store may not declare for.
    pub fn has_stored_what_may_not_be(&self) -> bool {
        self.clients.content.keys().any(|place| !self.may_store(place.network()))
    }

    /// What is said of the halves of one network towards another, by name: whether it is enabled, and its lists. What files say counts
    /// before what is stored.
    fn said(&self, from: usize, to: usize) -> BTreeMap<String, BTreeSet<(bool, usize)>> {
        let mut said = BTreeMap::<String, BTreeSet<(bool, usize)>>::new();
        let files = self.speakers(from).filter_map(|host| {
            let enabled = host.declared.get(&(from, to))?;
            Some((*enabled, host.lists.get(&(from, to)).copied().unwrap_or(0)))
        });
        let files: BTreeSet<(bool, usize)> = files.collect();
        if !files.is_empty() {
            said.insert(name(to), files);
        }
        for (place, text) in self.clients.content.iter().filter(|_| self.may_store(from)) {
            if let (Place::Half(network, name), Some((target, on, lists))) = (place, text)
                && (*network, *target) == (from, to)
            {
                said.entry(name.clone()).or_insert_with(|| [(*on, *lists)].into());
            }
        }
        said
    }

    /// Pairs of which all hosts agree that they shall be linked, and those of which hosts differ.
    fn expected(&self) -> (Pairs, Pairs) {
        let (mut linked, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for (a, b) in (0..NETWORKS).flat_map(|a| (a + 1..NETWORKS).map(move |b| (a, b))) {
            let (one, other) = (self.said(a, b), self.said(b, a));
            let differs = |half: &BTreeMap<String, BTreeSet<(bool, usize)>>| {
                half.len() > 1 || half.values().any(|said| said.len() > 1)
            };
            if differs(&one) || differs(&other) {
                disputed.insert((a, b));
            } else if [one, other].iter().all(|half| half.values().any(is_up)) {
                linked.insert((a, b));
            }
        }
        (linked, disputed)
    }

    pub fn linked(&self) -> usize {
        let own = self.world.own_rows();
        own.iter().filter(|(table, _)| *table == ROUTER_PORT).count()
    }

    pub fn check(&mut self) {
        if !self.hosts.iter().any(Host::is_awake) {
            return;
        }
        self.settle();
        self.world.northd();
        self.settle();
        // One may have died of what it was about to write.
        if !self.hosts.iter().any(Host::is_awake) {
            return;
        }
        assert_eq!(self.settle(), 0, "nothing changed, nothing written");
        assert_eq!(stored(&self.world.database.rows), self.clients.content);
        self.backups.push(self.world.database.rows.clone());
        let (linked, disputed) = self.expected();
        self.check_doors(&linked, |from, to| {
            let said = self.said(from, to).into_values().flatten();
            said.map(|(_, lists)| lists).next().unwrap_or(0)
        });
        let ports = self.linked();
        assert!(ports >= 2 * linked.len() && ports <= 2 * (linked.len() + disputed.len()));
        let awake = (0..self.hosts.len()).filter(|host| self.hosts[*host].is_awake());
        let mut lists: Vec<Vec<HalfView>> =
            awake.collect::<Vec<_>>().into_iter().map(|host| self.list(host)).collect();
        // A host that may not declare registers nothing: it alone shows what its files say, and
        // others that it was withdrawn, if they knew of it.
        let key = |half: &HalfView| (half.project.clone(), half.name.clone());
        let all = lists.iter().flatten();
        let untrusted = all.filter(|half| half.reason == Some(Reason::UntrustedHost));
        let untrusted: BTreeSet<_> = untrusted.map(key).collect();
        for list in &mut lists {
            list.retain(|half| !untrusted.contains(&key(half)));
        }
        for list in &lists {
            assert_eq!(list, &lists[0], "all hosts tell the same");
        }
        for half in &lists[0] {
            let number = |project: &str| project[1..].parse::<usize>().unwrap();
            let (a, b) = (number(&half.project), number(&half.target_project));
            let pair = (a.min(b), a.max(b));
            // Of two names of a half one may be over.
            if half.state == State::Deleted {
                continue;
            }
            if linked.contains(&pair) {
                assert_eq!(half.state, State::Active, "{half:?}");
            } else if !disputed.contains(&pair) {
                assert_ne!(half.state, State::Active, "{half:?}");
            }
            let asks = self.said(a, b).get(&half.name).is_some_and(is_up);
            if asks && self.said(b, a).is_empty() && !disputed.contains(&pair) {
                // Whoever says no, it is no as long as one of them does.
                let stored = self.clients.content.contains_key(&Place::Rejection(b, a));
                let rejected = self.speakers(b).any(|host| host.rejects.contains(&(b, a)))
                    || (stored && self.may_store(b));
                assert_eq!(half.state == State::Rejected, rejected, "{half:?}");
            }
        }
    }
}
