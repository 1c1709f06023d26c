//! Where linked routers make a path too deep for OVN: which peerings are not accepted for that, and
//! which report it.
//!
//! A new peering is refused if, with those that come before it, it makes a path of more datapaths
//! than the policy allows; one that stands never is. What is refused is looked at again when a link
//! before it goes, what was admitted and does not stand yet when one before it comes: more links
//! never make a mesh less deep. Between the ends of a path are networks with more than one link:
//! where few of them are linked with each other nothing else is looked at, however many spokes they
//! have; else the work follows the linked routers around, not all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::RouterKind;

use super::inputs::Rank;
use super::mesh::Mesh;
use super::network::{Networks, Node};

/// From so many datapaths on a path, all that are part of it report it.
const DEEP_FROM: usize = 50;
/// Leaves of a router that can make a path longer.
const LEAVES: usize = 2;

/// What is kept between two passes.
#[derive(Debug, Default)]
pub(super) struct Depths {
    /// Those that are refused for it.
    refused: BTreeSet<Rank>,
    /// Those that are linked and do not stand yet.
    tentative: BTreeSet<Rank>,
    joining: Joining,
    /// Of all links that went in this pass the first one's rank; none below for whichever.
    gone: Option<Option<Rank>>,
    /// The same of those that came.
    come: Option<Option<Rank>>,
    /// Networks of which a link came or went in this pass.
    touched: BTreeSet<NetworkKey>,
    /// Networks on deep paths, with what was found.
    deep: BTreeMap<NetworkKey, usize>,
}

/// What counts of a pair for others: whether it is linked, and who comes first.
pub(super) struct PairStatus {
    pub(super) rank: Rank,
    pub(super) linked: bool,
}

impl Depths {
    /// Whether a path would be deeper than is allowed with this pair linked.
    pub(super) fn too_deep<'a>(
        &self,
        key: &PeeringKey,
        rank: &Rank,
        most: u32,
        networks: &Networks,
        rank_of: &impl Fn(&PeeringKey) -> Option<&'a Rank>,
    ) -> bool {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if !self.joining.may_exceed(most, [key.a(), key.b()], networks) {
            return false;
        }
        let before =
            |pair: &PeeringKey| pair == key || rank_of(pair).is_some_and(|other| other < rank);
        let around = Around { networks, with: Some(key), before: &before };
        around.mesh(key.a()).0.depth() > most
    }

    /// Notes what a pair was and is: others may be refused now, or not any more.
    pub(super) fn review(
        &mut self,
        key: &PeeringKey,
        before: &PairStatus,
        after: &PairStatus,
        refused: bool,
        networks: &Networks,
    ) {
        let depths = self;
        note(&mut depths.refused, before, after, refused);
        note(&mut depths.tentative, before, after, after.linked && after.rank.new);
        if before.linked != after.linked {
            depths.joining.relink(key, after.linked, networks);
            depths.touched.extend([key.a().clone(), key.b().clone()]);
        }
        let earlier = |noted: &mut Option<Option<Rank>>, rank: &Rank| {
            let rank = Some(rank.clone());
            *noted = Some(noted.take().map_or(rank.clone(), |noted| noted.min(rank)));
        };
        if before.linked && (!after.linked || after.rank > before.rank) {
            earlier(&mut depths.gone, &before.rank);
        }
        if after.linked && (!before.linked || after.rank < before.rank) {
            earlier(&mut depths.come, &after.rank);
        }
    }

    /// Routers became gateway routers, or ceased to be: paths are longer or shorter everywhere.
    pub(super) fn review_kinds(&mut self, changed: &[NetworkKey], networks: &Networks) {
        if !changed.is_empty() {
            self.touched.extend(changed.iter().cloned());
            for network in changed {
                self.joining.review_kind(network, networks);
            }
            (self.gone, self.come) = (Some(None), Some(None));
        }
    }

    /// The pairs that may be decided otherwise for what came and went. They are asked for each time
    /// all that was dirty has been decided, until nothing is: a pair depends only on those before
    /// it.
    pub(super) fn take_marked(&mut self, most: u32, networks: &Networks) -> Vec<PeeringKey> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let come = self.come.take().filter(|_| self.joining.may_exceed(most, [], networks));
        let later = |of: &BTreeSet<Rank>, than: Option<Option<Rank>>| -> Vec<PeeringKey> {
            let Some(than) = than else { return Vec::new() };
            let later = of.iter().filter(|rank| than.as_ref().is_none_or(|than| *rank > than));
            later.map(|rank| rank.key.clone()).collect()
        };
        let gone = self.gone.take();
        [later(&self.refused, gone), later(&self.tentative, come)].concat()
    }

    /// Looks how deep it is around networks whose links changed.
    pub(super) fn survey(&mut self, networks: &Networks) {
        let mut touched = std::mem::take(&mut self.touched);
        while let Some(network) = touched.pop_first() {
            let may_be = self.joining.may_exceed(DEEP_FROM - 1, [&network], networks);
            if !may_be && self.deep.is_empty() {
                continue;
            }
            let around = Around { networks, with: None, before: &|_| true };
            let (mesh, members) = around.mesh(&network);
            let depth = mesh.depth();
            for member in members {
                touched.remove(&member);
                if depth < DEEP_FROM {
                    self.deep.remove(&member);
                } else {
                    self.deep.insert(member, depth);
                }
            }
        }
    }

    /// How many datapaths the paths that a network's links are part of may have, if that is many.
    /// They lead past others' networks: the number is for operators alone.
    pub(super) fn around(&self, network: &NetworkKey) -> Option<usize> {
        self.deep.get(network).copied()
    }
}

/// Networks with more than one link, each with those that it is linked with: what is between the
/// ends of a path.
#[derive(Debug, Default)]
struct Joining {
    links: BTreeMap<NetworkKey, BTreeSet<NetworkKey>>,
    /// Those of them whose links have a switch.
    gateways: BTreeSet<NetworkKey>,
}

impl Joining {
    /// A link came or went.
    fn relink(&mut self, pair: &PeeringKey, linked: bool, networks: &Networks) {
        for key in [pair.a(), pair.b()] {
            let links = networks.node(key).map(Node::linked).unwrap_or_default();
            if links.len() > 1 && !self.links.contains_key(key) {
                self.links.insert(key.clone(), BTreeSet::new());
                self.review_kind(key, networks);
                for link in links {
                    self.join(link, true);
                }
            } else if links.len() <= 1
                && let Some(others) = self.links.remove(key)
            {
                self.gateways.remove(key);
                for other in others {
                    if let Some(others) = self.links.get_mut(&other) {
                        others.remove(key);
                    }
                }
            }
        }
        self.join(pair, linked);
    }

    /// A router became a gateway router, or ceased to be one.
    fn review_kind(&mut self, key: &NetworkKey, networks: &Networks) {
        if self.links.contains_key(key) && is_gateway(networks, key) {
            self.gateways.insert(key.clone());
        } else {
            self.gateways.remove(key);
        }
    }

    fn join(&mut self, pair: &PeeringKey, linked: bool) {
        let (a, b) = (pair.a(), pair.b());
        if !self.links.contains_key(a) || !self.links.contains_key(b) {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            let Some(others) = self.links.get_mut(one) else { continue };
            if linked {
                others.insert(other.clone());
            } else {
                others.remove(other);
            }
        }
    }

    /// Whether a path past these, which may have their second link now, can have more datapaths
    /// than so many; past any, if none are named. Costs as many steps as routers make it so long.
    fn may_exceed<'a>(
        &'a self,
        most: usize,
        ends: impl Into<Vec<&'a NetworkKey>>,
        networks: &'a Networks,
    ) -> bool {
        let mut next: Vec<&NetworkKey> = ends.into();
        let ends = next.clone();
        let exceeds = |joining, gateways| most_datapaths(joining, gateways + ends.len()) > most;
        if ends.is_empty() || !exceeds(self.links.len() + ends.len(), self.gateways.len()) {
            return exceeds(self.links.len() + ends.len(), self.gateways.len());
        }
        // What an end with one link is linked with.
        let others = next.iter().filter(|end| !self.links.contains_key(**end));
        let links = others.filter_map(|end| Some((*end, networks.node(end)?.linked().first()?)));
        let links = links.map(|(end, link)| if link.a() == end { link.b() } else { link.a() });
        next.extend(links.collect::<Vec<_>>());
        let mut found: BTreeSet<&NetworkKey> = next.iter().copied().collect();
        while let Some(network) = next.pop() {
            for other in self.links.get(network).into_iter().flatten() {
                if found.insert(other) {
                    next.push(other);
                }
            }
            if exceeds(found.len(), 0) {
                return true;
            }
        }
        exceeds(found.len(), found.iter().filter(|it| self.gateways.contains(**it)).count())
    }
}

/// Most datapaths of a path past so many networks with more than one link, and so many gateway
/// routers among them: it ends at two more, of either kind, or at a switch.
fn most_datapaths(joining: usize, gateways: usize) -> usize {
    let (routers, links) = (joining + 2, joining + 1);
    routers + (2 * gateways + 4).min(links) + 2
}

fn note(set: &mut BTreeSet<Rank>, before: &PairStatus, after: &PairStatus, is: bool) {
    if !is || before.rank != after.rank {
        set.remove(&before.rank);
    }
    if is {
        set.insert(after.rank.clone());
    }
}

/// The linked routers around a network.
struct Around<'a> {
    networks: &'a Networks,
    /// A pair that counts as linked, whether it is or not.
    with: Option<&'a PeeringKey>,
    /// Which links count.
    before: &'a dyn Fn(&PeeringKey) -> bool,
}

impl Around<'_> {
    /// As a mesh, and who is part of it. Of the leaves of a router it holds those alone that can
    /// matter.
    fn mesh(&self, start: &NetworkKey) -> (Mesh, Vec<NetworkKey>) {
        let mut mesh = Mesh::default();
        let mut numbers: BTreeMap<NetworkKey, usize> = BTreeMap::new();
        let mut walked = BTreeSet::new();
        let mut members = vec![start.clone()];
        numbers.insert(start.clone(), mesh.add(self.is_gateway(start)));
        let mut next = vec![start.clone()];
        while let Some(network) = next.pop() {
            let Some(at) = numbers.get(&network).copied() else { continue };
            let mut leaves = Vec::new();
            for other in self.linked_with(&network) {
                match numbers.get(&other).copied() {
                    // A link is seen from both of its ends: it is made at the second one.
                    Some(there) if walked.contains(&there) => mesh.link(at, there),
                    Some(_) => {}
                    None if self.is_leaf(&other) => leaves.push(other),
                    None => {
                        numbers.insert(other.clone(), mesh.add(self.is_gateway(&other)));
                        members.push(other.clone());
                        next.push(other);
                    }
                }
            }
            walked.insert(at);
            leaves.sort_by_key(|leaf| !self.is_gateway(leaf));
            for leaf in leaves.iter().take(LEAVES) {
                let there = mesh.add(self.is_gateway(leaf));
                mesh.link(at, there);
            }
            members.extend(leaves);
        }
        (mesh, members)
    }

    fn linked_with<'n>(&'n self, network: &'n NetworkKey) -> impl Iterator<Item = NetworkKey> + 'n {
        let node = self.networks.node(network);
        let with = self.with.filter(|pair| pair.a() == network || pair.b() == network);
        let linked = node.map(Node::linked).unwrap_or_default().iter();
        let others = linked.filter(move |pair| Some(*pair) != with && (self.before)(pair));
        let pairs = others.chain(with);
        pairs.map(move |pair| if pair.a() == network { pair.b() } else { pair.a() }).cloned()
    }

    fn is_leaf(&self, network: &NetworkKey) -> bool {
        self.linked_with(network).nth(1).is_none()
    }

    fn is_gateway(&self, network: &NetworkKey) -> bool {
        is_gateway(self.networks, network)
    }
}

fn is_gateway(networks: &Networks, network: &NetworkKey) -> bool {
    networks.ready(network).is_some_and(|ready| ready.router.kind == RouterKind::Gateway)
}
