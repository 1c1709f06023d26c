//! What the terms of two halves make of two address spaces: what each end takes of the other, and
//! in which route tables it stands.
//!
//! A half without terms of its own costs nothing here.

use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{ManualRoute, NetworkKey, Routes, TableOf, Tables};
use crate::northbound::{End, Id};

use super::conflict::{self, Conflict, Obstacles};
use super::decide::{Pair, Side};
use super::local::Ready;
use super::outcome::PlacedRoute;
use super::select::{Cover, not_owned, select};
use super::space::Space;

/// What one end's router can route, and what stands against the rest.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) prefixes: Vec<IpNet>,
    pub(super) conflicts: Vec<Conflict>,
    /// The tables in which it shall stand.
    pub(super) tables: Arc<SortedSet<Arc<str>>>,
    /// How many there are to be taken, if those are too many.
    pub(super) over: Option<usize>,
}

impl Pair<'_> {
    /// What the filters of both halves let through, of what an end has.
    pub(super) fn filter(&self, end: End, space: &mut Space) {
        let (local, remote) = (self.side(end).terms(), self.side(end.other()).terms());
        for filter in [local.map(|terms| &terms.export), remote.map(|terms| &terms.import)] {
            if let Some(filter) = filter.filter(|filter| !filter.is_all()) {
                space.prefixes = select(&space.prefixes, filter).into();
            }
        }
    }

    /// Whether some filter narrows what the two exchange.
    pub(super) fn is_filtered(&self) -> bool {
        [&self.a, &self.b]
            .into_iter()
            .filter_map(Side::terms)
            .any(|terms| !terms.export.is_all() || !terms.import.is_all())
    }

    /// What a half names that its network does not own. A peering that stands goes on without it.
    pub(super) fn lacks_ownership(&self, side: &Side, ready: &Ready) -> bool {
        !self.stands && !side.not_owned(ready).is_empty()
    }

    /// Which of the other end's prefixes this end's router can route.
    pub(super) fn admit(&self, end: End, ready: &Ready, offered: &[IpNet]) -> Admitted {
        let side = self.side(end);
        let tables = side.tables(ready);
        let obstacles = Obstacles::on(self.id, ready, &tables, offered.len());
        let (mut prefixes, mut conflicts) = (Vec::with_capacity(offered.len()), Vec::new());
        let most = side.terms().and_then(|terms| terms.max_prefixes);
        let most = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let over = most.filter(|most| offered.len() > *most).map(|_| offered.len());
        // A route that stands is kept: to cut what works is worse than to say that it clashes.
        let routed = |prefix: &IpNet| self.stands && side.routed.contains(prefix);
        let mut room = match most.filter(|_| over.is_some()) {
            Some(most) => most.saturating_sub(offered.iter().filter(|it| routed(it)).count()),
            None => usize::MAX,
        };
        for prefix in offered {
            let conflict = obstacles.against(prefix).or_else(|| {
                (self.claim)(end, prefix).map(|claim| Conflict {
                    prefix: *prefix,
                    with: format!("{} of its peer {}", claim.prefix, claim.network),
                })
            });
            if routed(prefix) {
                prefixes.push(*prefix);
            } else if conflict.is_none() && room > 0 {
                room -= 1;
                prefixes.push(*prefix);
            }
            conflicts.extend(conflict);
        }
        Admitted { prefixes, conflicts, tables, over }
    }

    /// What is not as the owner of this end's half asks, although the link stands.
    pub(super) fn unmet(&self, end: End, ready: &Ready, here: &Admitted) -> Vec<String> {
        let (side, remote) = (self.side(end), self.side(end.other()).network);
        let mut unmet = Vec::new();
        if let Some(count) = here.over {
            unmet.push(format!(
                "{remote} announces {count} prefixes, more than max_prefixes; those beyond are left out"
            ));
        }
        let Some(half) = side.half else { return unmet };
        unmet.extend(side.not_owned(ready).iter().map(|prefix| unowned(prefix, side.network)));
        match &half.terms().routes {
            Routes::Automatic(Tables::All) => {}
            Routes::Automatic(Tables::Only(names)) => {
                let absent = names.iter().filter(|name| !ready.router.tables.contains(name));
                unmet.extend(absent.map(|name| no_such_table(name)));
            }
            Routes::Manual(routes) => {
                let taken = Cover::of(&here.prefixes);
                unmet.extend(routes.iter().filter_map(|route| {
                    let why = side.place(self.id, route, ready, &taken).err()?;
                    Some(format!("the route to {route} waits: {why}"))
                }));
            }
        }
        unmet
    }
}

impl Side<'_> {
    fn not_owned(&self, ready: &Ready) -> Vec<IpNet> {
        let terms = self.terms();
        terms.map(|terms| ready.not_owned(&terms.export)).unwrap_or_default()
    }

    /// The tables in which this end's router needs the other end's prefixes.
    fn tables(&self, ready: &Ready) -> Arc<SortedSet<Arc<str>>> {
        let all = &ready.router.tables;
        let named = |names: &mut dyn Iterator<Item = Arc<str>>| {
            Arc::new(names.filter(|name| all.contains(name)).collect::<Vec<_>>().into())
        };
        match self.terms().map(|terms| &terms.routes) {
            None | Some(Routes::Automatic(Tables::All)) => Arc::clone(all),
            Some(Routes::Automatic(Tables::Only(names))) => named(&mut names.iter().cloned()),
            Some(Routes::Manual(routes)) => {
                named(&mut routes.iter().filter_map(|route| ready.table(route)))
            }
        }
    }

    /// The manual routes that can stand, each with its table; none where routes are automatic.
    pub(super) fn manual_routes(
        &self,
        link: Id,
        ready: &Ready,
        taken: &[IpNet],
    ) -> Option<Box<[PlacedRoute]>> {
        let Routes::Manual(routes) = &self.terms()?.routes else { return None };
        let taken = Cover::of(taken);
        let mut placed: Vec<_> =
            routes.iter().filter_map(|route| self.place(link, route, ready, &taken).ok()).collect();
        placed.sort_unstable();
        placed.dedup();
        Some(placed.into())
    }

    /// Where a manual route stands, or why it cannot yet.
    fn place(
        &self,
        link: Id,
        route: &ManualRoute,
        ready: &Ready,
        taken: &Cover,
    ) -> Result<PlacedRoute, String> {
        let half = self.half.map(|half| half.target.to_string()).unwrap_or_default();
        if !taken.contains(&route.destination) {
            return Err(format!("this network takes no such prefix from {half}"));
        }
        let placed = ready.place(route)?;
        let tables = vec![Arc::clone(&placed.0)].into();
        if let Some(twin) = conflict::twin(link, &route.destination, &ready.router, &tables)
            && !self.routed.contains(&route.destination)
        {
            let router = &ready.router.name;
            return Err(format!("the static route {} of router {router} is there", twin.text));
        }
        Ok(placed)
    }
}

impl Ready {
    /// What an export filter names that the network does not own.
    #[must_use]
    pub fn not_owned(&self, export: &crate::declare::Filter) -> Vec<IpNet> {
        not_owned(&self.prefixes, &self.network.may_export, export)
    }

    /// The table that a manual route names; none if no subnet looks it up.
    fn table(&self, route: &ManualRoute) -> Option<Arc<str>> {
        match &route.table {
            TableOf::Name(name) => self.router.tables.contains(name).then(|| Arc::clone(name)),
            TableOf::Subnet(subnet) => self.router.table_of_subnet(subnet),
        }
    }

    /// Where a manual route stands on this network's router, or why it cannot.
    pub(super) fn place(&self, route: &ManualRoute) -> Result<PlacedRoute, String> {
        let table = self.table(route).ok_or_else(|| match &route.table {
            TableOf::Name(name) => no_such_table(name),
            TableOf::Subnet(subnet) => format!("the network has no subnet {subnet}"),
        })?;
        Ok((table, route.destination))
    }
}

/// That a prefix is not the network's to announce.
pub(super) fn unowned(prefix: &IpNet, network: &NetworkKey) -> String {
    format!(
        "`export` names {prefix}, which is neither within the subnets of {network} nor within its may_export"
    )
}

fn no_such_table(name: &str) -> String {
    format!("no subnet of the network looks up the route table \"{name}\"")
}
