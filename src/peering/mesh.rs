//! An upper bound for the depth of paths over linked routers.
//!
//! ovn-controller walks from datapath to datapath, depth first, visits each once, and stops at a
//! depth of 100: it ignores the datapaths beyond (`add_local_datapath__` in its `local_data.c`;
//! "datapaths nested too deep"). The order of its walk is not defined, so the longest path without
//! a repeated datapath counts. Finding that path is not feasible in general. The bound here is
//! never less, and it is exact for chains, stars, trees, full meshes, and all meshes of at most
//! five distributed routers:
//!
//! - A *block* is a part of the mesh that stays connected without any one of its routers (a
//!   biconnected component). A path leaves a block only once, so the longest chain of blocks, each
//!   counted as a whole, is a bound: exact for trees and cliques.
//! - Every other link of a path belongs to a matching, so twice a maximum (fractional) matching is
//!   a bound: some hubs with any number of common spokes are not deep.
//!
//! Both bounds only grow with more links. A link of a gateway router contains a switch of ours,
//! which is a datapath of its own: a path has at most two of them next to a gateway router.

/// Routers and their links.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    /// Whether a router is a gateway router, so that its links contain a switch.
    gateways: Vec<bool>,
    /// The linked routers of each router; there is at most one link between two routers.
    neighbours: Vec<Vec<usize>>,
}

impl Mesh {
    /// Adds a router; returns its number.
    pub fn add(&mut self, gateway: bool) -> usize {
        self.gateways.push(gateway);
        self.neighbours.push(Vec::new());
        self.gateways.len() - 1
    }

    /// Links two different routers, which must not be linked yet.
    pub fn link(&mut self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            if let Some(neighbours) = self.neighbours.get_mut(from) {
                neighbours.push(to);
            }
        }
    }

    /// The bound for paths among the first router and all routers that can be reached from it.
    #[must_use]
    pub fn depth(&self) -> usize {
        let datapaths = self.datapaths();
        let chain = Chains::new(&datapaths).longest();
        Matching::new(self).bound(chain).min(chain)
    }

    /// The neighbours of routers and of the switches between them.
    fn datapaths(&self) -> Vec<Vec<usize>> {
        let mut datapaths = self.neighbours.clone();
        for (one, neighbours) in self.neighbours.iter().enumerate() {
            for other in neighbours.iter().copied().filter(|other| one < *other) {
                if !self.is_gateway(one) && !self.is_gateway(other) {
                    continue;
                }
                let switch = datapaths.len();
                datapaths.push(vec![one, other]);
                for (from, to) in [(one, other), (other, one)] {
                    let leading = datapaths.get_mut(from).into_iter().flatten();
                    leading.filter(|it| **it == to).for_each(|it| *it = switch);
                }
            }
        }
        datapaths
    }

    fn of(&self, router: usize) -> &[usize] {
        self.neighbours.get(router).map(Vec::as_slice).unwrap_or_default()
    }

    fn is_gateway(&self, router: usize) -> bool {
        self.gateways.get(router).copied().unwrap_or(false)
    }
}

/// The state of a datapath in the walk.
#[derive(Clone, Copy, Debug, Default)]
struct Visit {
    /// Its number in the order of the walk, from 1; 0 if it was not visited yet.
    order: usize,
    /// The lowest number that it, or a datapath below it, reaches by a link that the walk did not
    /// take.
    low: usize,
    /// The longest chain of blocks below it.
    down: usize,
}

/// The longest chain of blocks (Hopcroft and Tarjan), without recursion.
struct Chains<'m> {
    datapaths: &'m [Vec<usize>],
    visits: Vec<Visit>,
    /// Visited datapaths whose block is not complete.
    open: Vec<usize>,
    longest: usize,
}

impl<'m> Chains<'m> {
    fn new(datapaths: &'m [Vec<usize>]) -> Self {
        let visits = vec![Visit::default(); datapaths.len()];
        Self { datapaths, visits, open: Vec::new(), longest: 0 }
    }

    fn longest(mut self) -> usize {
        if self.visits.is_empty() {
            return 0;
        }
        let mut met = 0;
        // The stack of the walk: a datapath, its predecessor, and how many of its links the walk
        // has followed.
        let mut walk = vec![(0, 0, 0)];
        while let Some((datapath, from, followed)) = walk.last_mut() {
            let (at, came_from) = (*datapath, *from);
            if *followed == 0 && self.visit(at).order == 0 {
                met += 1;
                self.change(at, |visit| (visit.order, visit.low) = (met, met));
                self.open.push(at);
            }
            if let Some(next) = self.datapaths.get(at).and_then(|ways| ways.get(*followed)).copied()
            {
                *followed += 1;
                let order = self.visit(next).order;
                if order == 0 {
                    walk.push((next, at, 0));
                } else if next != came_from {
                    self.change(at, |visit| visit.low = visit.low.min(order));
                }
                continue;
            }
            walk.pop();
            if walk.is_empty() {
                break;
            }
            let low = self.visit(at).low;
            self.change(came_from, |visit| visit.low = visit.low.min(low));
            if low >= self.visit(came_from).order {
                self.close(came_from, at);
            }
        }
        self.longest + 1
    }

    /// Completes a block at `top`: it contains all open datapaths from `first` on.
    fn close(&mut self, top: usize, first: usize) {
        let (mut length, mut most, mut second) = (0, 0, 0);
        while let Some(member) = self.open.pop() {
            length += 1;
            let down = self.visit(member).down;
            (most, second) = (most.max(down), second.max(down.min(most)));
            if member == first {
                break;
            }
        }
        let above = self.visit(top).down;
        self.longest = self.longest.max(most + length + second.max(above));
        self.change(top, |visit| visit.down = visit.down.max(most + length));
    }

    fn visit(&self, datapath: usize) -> Visit {
        self.visits.get(datapath).copied().unwrap_or_default()
    }

    fn change(&mut self, datapath: usize, change: impl FnOnce(&mut Visit)) {
        if let Some(visit) = self.visits.get_mut(datapath) {
            change(visit);
        }
    }
}

/// A maximum matching between the routers and a copy of them, where each link counts in both
/// directions: it is twice as large as a maximum fractional matching.
struct Matching<'m> {
    mesh: &'m Mesh,
    /// For each copy, the router that it is matched with.
    matched: Vec<Option<usize>>,
    /// Copies that are known to be unavailable, since the last match.
    tried: Vec<bool>,
}

impl<'m> Matching<'m> {
    fn new(mesh: &'m Mesh) -> Self {
        let count = mesh.gateways.len();
        Self { mesh, matched: vec![None; count], tried: vec![false; count] }
    }

    /// The bound; or any number that is not below `enough`, once the bound is known to be at least
    /// `enough`.
    fn bound(mut self, enough: usize) -> usize {
        let count = |leaf: bool, gateway: bool| {
            let all = 0..self.mesh.gateways.len();
            let such = |router: &usize| {
                (self.mesh.of(*router).len() < 2) == leaf
                    && (self.mesh.is_gateway(*router) || !gateway)
            };
            all.filter(such).count()
        };
        // At most two routers with only one link are on a path: its ends.
        let gateways = count(false, true) + count(true, true).min(2);
        let most = (count(false, false) + 1).min(self.mesh.gateways.len().saturating_sub(1));
        let datapaths = |links: usize| {
            let links = links.min(most);
            // One switch may be before the first router, and one after the last.
            let dangling = if gateways == 0 { 0 } else { 2 };
            1 + links + links.min(2 * gateways) + dangling
        };
        let mut links = 0;
        for router in 0..self.mesh.gateways.len() {
            if datapaths(links) >= enough {
                break;
            }
            if self.augment(router) {
                links += 1;
                self.tried.fill(false);
            }
        }
        datapaths(links)
    }

    /// Matches one more router, by an augmenting path.
    fn augment(&mut self, router: usize) -> bool {
        // Each step: a router, how many of its links were followed, and the copy that it requests.
        let mut path = vec![(router, 0, None)];
        while let Some((at, followed, asked)) = path.last_mut() {
            let Some(image) = self.mesh.of(*at).get(*followed).copied() else {
                path.pop();
                continue;
            };
            *followed += 1;
            if self.tried.get(image).copied().unwrap_or(true) {
                continue;
            }
            if let Some(tried) = self.tried.get_mut(image) {
                *tried = true;
            }
            *asked = Some(image);
            match self.matched.get(image).copied().flatten() {
                Some(holder) => path.push((holder, 0, None)),
                None => {
                    for (router, _, image) in path {
                        if let Some(matched) = image.and_then(|image| self.matched.get_mut(image)) {
                            *matched = Some(router);
                        }
                    }
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mesh(gateways: &[bool], links: &[(usize, usize)]) -> Mesh {
        let mut mesh = Mesh::default();
        for gateway in gateways {
            mesh.add(*gateway);
        }
        for (one, other) in links {
            mesh.link(*one, *other);
        }
        mesh
    }

    /// The number of datapaths of the longest path in the component of the first router.
    fn naive(mesh: &Mesh) -> usize {
        fn from(ways: &[Vec<usize>], at: usize, seen: &mut Vec<usize>) -> usize {
            seen.push(at);
            let mut longest = 0;
            for next in &ways[at] {
                if !seen.contains(next) {
                    longest = longest.max(from(ways, *next, seen));
                }
            }
            seen.pop();
            1 + longest
        }
        let ways = mesh.datapaths();
        let mut reached = vec![0];
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            let new = ways[at].iter().filter(|it| !reached.contains(it)).copied();
            let new: Vec<usize> = new.collect();
            reached.extend(new);
            next += 1;
        }
        reached.into_iter().map(|at| from(&ways, at, &mut Vec::new())).max().unwrap_or(0)
    }

    fn all_links(count: usize) -> Vec<(usize, usize)> {
        (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other))).collect()
    }

    #[test]
    fn of_up_to_five_distributed_routers_it_is_the_longest_path() {
        for count in 1..=5 {
            let all = all_links(count);
            for chosen in 0_u32..1 << all.len() {
                let links: Vec<_> =
                    (0..all.len()).filter(|at| chosen >> at & 1 == 1).map(|at| all[at]).collect();
                let mesh = mesh(&vec![false; count], &links);
                assert_eq!(mesh.depth(), naive(&mesh), "{links:?}");
            }
        }
    }

    #[test]
    fn known_shapes() {
        let depth =
            |count: usize, links: &[(usize, usize)]| mesh(&vec![false; count], links).depth();
        let chain: Vec<_> = (1..90).map(|at| (at - 1, at)).collect();
        assert_eq!(depth(90, &chain), 90);
        assert_eq!(depth(90, &all_links(90)), 90);
        let star: Vec<_> = (1..1001).map(|spoke| (0, spoke)).collect();
        assert_eq!(depth(1001, &star), 3);
        // Two hubs for each of a thousand spokes: spoke, hub, spoke, hub, spoke.
        let both: Vec<_> = (2..1002).flat_map(|spoke| [(0, spoke), (1, spoke)]).collect();
        assert_eq!(depth(1002, &both), 5);
        // A tree of hubs: only its depth matters, not its breadth.
        let tree: Vec<_> = (1..1023).map(|at| ((at - 1) / 2, at)).collect();
        assert_eq!(depth(1023, &tree), 19);
        // Two gateway routers as hubs: a switch in each link.
        let mut hubs = vec![false; 1002];
        (hubs[0], hubs[1]) = (true, true);
        assert_eq!(mesh(&hubs, &both).depth(), 11);
        // Of gateway routers: a switch in each link.
        assert_eq!(mesh(&[true; 3], &[(0, 1), (1, 2)]).depth(), 5);
        assert_eq!(depth(1, &[]), 1);
        assert_eq!(Mesh::default().depth(), 0);
    }

    fn links() -> impl Strategy<Value = (Vec<bool>, Vec<(usize, usize)>)> {
        let kinds = prop::collection::vec(prop::bool::weighted(0.2), 1..9);
        kinds.prop_flat_map(|kinds| {
            let all = all_links(kinds.len());
            let count = all.len();
            (Just(kinds), prop::sample::subsequence(all, 0..=count.min(14)))
        })
    }

    proptest! {
        #[test]
        fn it_is_never_less_than_the_longest_path((kinds, links) in links()) {
            let mesh = mesh(&kinds, &links);
            let (depth, longest) = (mesh.depth(), naive(&mesh));
            prop_assert!(depth >= longest, "{depth} for {longest}");
        }

        #[test]
        fn it_only_grows_with_links((kinds, links) in links(), order in any::<u64>()) {
            let mut links = links;
            links.sort_by_key(|(one, other)| order.rotate_left((one * 9 + other) as u32) % 97);
            let mut before = 0;
            for count in 0..=links.len() {
                let depth = mesh(&kinds, &links[..count]).depth();
                prop_assert!(depth >= before, "{depth} after {before}");
                before = depth;
            }
        }
    }
}
