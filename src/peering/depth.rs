//! Paths over linked routers that are too deep for OVN: which peerings are refused because of them,
//! and which report them.
//!
//! A new peering is refused if it makes, together with the peerings that rank before it, a path of
//! more datapaths than the policy allows. A linked one is never refused. More links never make a
//! mesh less deep. So a refused peering is decided again only when a link before it ends, and an
//! accepted one that is not linked yet only when a link before it begins.
//!
//! Between the ends of a path are networks with more than one link. If few of these are linked with
//! each other, no path is searched, even if they have many spokes. Otherwise the work follows the
//! linked routers around the change, not all routers.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::RouterKind;

use super::inputs::Rank;
use super::mesh::Mesh;
use super::network::{Networks, Node};

/// From this many datapaths on a path, all peerings on it report it.
const DEEP_FROM: usize = 50;
/// How many leaves of a router can make a path longer.
const LEAVES: usize = 2;

/// The state between two passes.
#[derive(Debug, Default)]
pub struct Depths {
    /// Peerings that are refused because of a deep path.
    refused: BTreeSet<Rank>,
    /// Peerings that are accepted and not up yet.
    tentative: BTreeSet<Rank>,
    joining: Joining,
    /// The first rank among the links that ended in this pass; `Some(None)` stands before all
    /// ranks.
    gone: Option<Option<Rank>>,
    /// The same for links that began.
    come: Option<Option<Rank>>,
    /// Networks with a link that began or ended in this pass.
    touched: BTreeSet<NetworkKey>,
    /// Networks on deep paths, with the depth.
    deep: BTreeMap<NetworkKey, usize>,
    /// Networks of which that changed in the last survey.
    moved: BTreeSet<NetworkKey>,
}

/// The facts of a pair that matter for others: its rank, and whether it is linked.
pub(super) struct PairStatus {
    pub(super) rank: Rank,
    pub(super) linked: bool,
}

impl Depths {
    /// Whether the link of this pair would make a path that is deeper than allowed.
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

    /// Notes how a pair changed: others may be refused now, or no longer.
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

    /// Notes that routers became gateway routers, or ceased to be: paths may be longer or shorter
    /// everywhere.
    pub(super) fn review_kinds(&mut self, changed: &[NetworkKey], networks: &Networks) {
        if !changed.is_empty() {
            self.touched.extend(changed.iter().cloned());
            for network in changed {
                self.joining.review_kind(network, networks);
            }
            (self.gone, self.come) = (Some(None), Some(None));
        }
    }

    /// Removes and returns the pairs whose decision may change because of links that began or
    /// ended. The resolver calls this whenever all dirty pairs are decided, until it returns none:
    /// a pair depends only on those before it.
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

    /// Computes the depth around networks whose links have changed.
    pub(super) fn survey(&mut self, networks: &Networks) {
        self.moved.clear();
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
                let before = if depth < DEEP_FROM {
                    self.deep.remove(&member)
                } else {
                    self.deep.insert(member.clone(), depth)
                };
                if before != Some(depth).filter(|depth| *depth >= DEEP_FROM) {
                    self.moved.insert(member);
                }
            }
        }
    }

    /// The depth of the deepest path, if that is large: shorter ones are not searched.
    #[must_use]
    pub fn deepest(&self) -> Option<usize> {
        self.deep.values().copied().max()
    }

    /// Networks of which the depth changed in the last survey: what is said of their links differs.
    pub fn moved(&self) -> impl Iterator<Item = &NetworkKey> {
        self.moved.iter()
    }

    /// The depth of the paths over a network's links, if it is large.
    #[must_use]
    pub fn around(&self, network: &NetworkKey) -> Option<usize> {
        self.deep.get(network).copied()
    }
}

/// The graph of the networks with more than one link: a path has only such networks between its
/// ends.
#[derive(Debug, Default)]
struct Joining {
    links: BTreeMap<NetworkKey, BTreeSet<NetworkKey>>,
    /// The gateway routers among them: each link of one has a switch.
    gateways: BTreeSet<NetworkKey>,
}

impl Joining {
    /// Notes that a link began or ended.
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

    /// Notes that a router became a gateway router, or ceased to be one.
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

    /// Whether a path over these networks can have more than `most` datapaths; or any path, if
    /// `ends` is empty. Each of the networks counts as if it had two links. Stops as soon as it has
    /// found enough routers for such a path.
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
        // The other end of the only link of a network.
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

/// The most datapaths of a path over this many networks with more than one link, with this many
/// gateway routers among them. The path has two more networks of any kind at its ends, or a switch.
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

/// Collects the linked routers around a network.
struct Around<'a> {
    networks: &'a Networks,
    /// A pair that counts as linked, even if it is not.
    with: Option<&'a PeeringKey>,
    /// Which links count.
    before: &'a dyn Fn(&PeeringKey) -> bool,
}

impl Around<'_> {
    /// The mesh of these routers, and its networks. It contains only those leaves of a router that
    /// can matter.
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
                    // The walk meets a link at both of its ends, and adds it at the second one.
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
