//! What the terms of two halves make of two address spaces: what each end takes of the other, and
//! in which route tables it stands.
//!
//! Each term says what it does (`declare::terms`); here is what follows. A half without terms of
//! its own costs nothing.

use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{Cover, ManualRoute, PlacedRoute, RouteTables, Terms};
use crate::northbound::{End, Id};

use super::conflict::{Conflict, Obstacles, twin};
use super::facts::{EndFacts, PairFacts};
use super::local::Ready;
use super::messages::unowned;

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
    // A route that stands is kept: to cut what works is worse than to say that it clashes.
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

/// What is not as the owner of this end's half asks, although the link stands.
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

/// The manual routes that can stand, each with its table; none where routes are automatic.
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

/// Where a manual route stands, or why it cannot yet.
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
