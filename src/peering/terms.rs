//! Applies the terms of two halves to two address spaces: which prefixes each end accepts from the
//! other, and in which route tables.
//!
//! Each term says what it does (`declare::terms`); this file draws the consequences. A half without
//! terms costs nothing.

use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{Cover, ManualRoute, PlacedRoute, RouteTables, Terms};
use crate::northbound::{End, Id};

use super::conflict::{Conflict, Obstacles, twin};
use super::facts::{EndFacts, PairFacts};
use super::local::Ready;
use super::messages::unowned;

/// The prefixes that one end's router can route, and the conflicts of the others.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) prefixes: Vec<IpNet>,
    pub(super) conflicts: Vec<Conflict>,
    /// The tables for the routes.
    pub(super) tables: Arc<SortedSet<Arc<str>>>,
    /// The number of accepted prefixes, if they are too many.
    pub(super) over: Option<usize>,
}

/// Which of the other end's prefixes this end's router can route.
pub(super) fn admit(pair: &PairFacts, end: End, ready: &Ready, offered: &[IpNet]) -> Admitted {
    let side = pair.end(end);
    let tables = match side.terms() {
        Some(terms) => terms.routes.tables(ready),
        None => Arc::clone(ready.all()),
    };
    let obstacles = Obstacles::on(pair.id, ready, &tables, offered.len());
    let (mut prefixes, mut conflicts) = (Vec::with_capacity(offered.len()), Vec::new());
    let most = side.terms().and_then(Terms::most);
    let over = most.filter(|most| offered.len() > *most).map(|_| offered.len());
    // An installed route stays: cutting it would be worse than reporting the conflict.
    let routed = |prefix: &IpNet| pair.stands && side.routed.contains(prefix);
    let mut room = match most.filter(|_| over.is_some()) {
        Some(most) => most.saturating_sub(offered.iter().filter(|it| routed(it)).count()),
        None => usize::MAX,
    };
    for prefix in offered {
        let conflict = obstacles.against(prefix).or_else(|| {
            (pair.rival)(end, prefix).map(|rival| Conflict {
                prefix: *prefix,
                with: format!("{} of its peer {}", rival.prefix, rival.network),
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

/// Wishes of this end's owner that are not met, although the link is up.
pub(super) fn unmet(pair: &PairFacts, end: End, ready: &Ready, here: &Admitted) -> Vec<String> {
    let (side, remote) = (pair.end(end), pair.end(end.other()).network);
    let mut unmet = Vec::new();
    if let Some(count) = here.over {
        unmet.push(format!(
            "{remote} announces {count} prefixes, more than max_prefixes; those beyond are left out"
        ));
    }
    let Some(terms) = side.terms() else { return unmet };
    unmet.extend(side.not_owned(ready).iter().map(|prefix| unowned(prefix, side.network)));
    unmet.extend(terms.routes.absent_tables(ready));
    let taken = Cover::of(&here.prefixes);
    unmet.extend(terms.routes.manual().into_iter().flatten().filter_map(|route| {
        let why = place(side, pair.id, route, ready, &taken).err()?;
        Some(format!("the route to {route} waits: {why}"))
    }));
    unmet
}

/// The manual routes that can be installed, each with its table; `None` if routes are automatic.
pub(super) fn manual_routes(
    side: &EndFacts,
    link: Id,
    ready: &Ready,
    taken: &[IpNet],
) -> Option<Box<[PlacedRoute]>> {
    let routes = side.terms()?.routes.manual()?;
    let taken = Cover::of(taken);
    let placed = routes.iter().filter_map(|route| place(side, link, route, ready, &taken).ok());
    let mut placed: Vec<_> = placed.collect();
    placed.sort_unstable();
    placed.dedup();
    Some(placed.into())
}

/// The table of a manual route, or why it cannot be installed yet.
fn place(
    side: &EndFacts,
    link: Id,
    route: &ManualRoute,
    ready: &Ready,
    taken: &Cover,
) -> Result<PlacedRoute, String> {
    let target = side.half.map(|half| half.target.to_string()).unwrap_or_default();
    if !taken.contains(&route.destination) {
        return Err(format!("this network takes no such prefix from {target}"));
    }
    let placed = route.place(ready)?;
    let tables = vec![Arc::clone(&placed.0)].into();
    if let Some(twin) = twin(link, &route.destination, &ready.router, &tables)
        && !side.routed.contains(&route.destination)
    {
        let router = &ready.router.name;
        return Err(format!("the static route {} of router {router} is there", twin.text));
    }
    Ok(placed)
}
