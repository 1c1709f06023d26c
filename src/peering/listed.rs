//! Prefixes beyond the other end's own that a half lists, and which of them its router can route
//! over the link.

use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::RouteTables;
use crate::northbound::special::special;
use crate::northbound::{End, Family};

use super::conflict::Obstacles;
use super::facts::PairFacts;
use super::local::Ready;
use super::outcome::Link;
use super::prefix::{Prefixes, overlap};

/// A list of a half.
pub(super) struct Listed<'a, 'f> {
    pub(super) pair: &'a PairFacts<'f>,
    pub(super) link: &'a Link,
    /// The end whose half it is.
    pub(super) end: End,
    /// That end's network.
    pub(super) ready: &'a Ready,
    /// Its key.
    pub(super) key: &'static str,
    /// The word that begins texts on prefixes that are left out.
    pub(super) word: &'static str,
}

impl Listed<'_, '_> {
    /// The tables for routes there. If routes are manual, none of them says where these go.
    pub(super) fn tables(&self) -> Arc<SortedSet<Arc<str>>> {
        let local = self.link.end(self.end);
        Arc::clone(if local.routes.is_some() { self.ready.all() } else { &local.tables })
    }

    /// The prefixes that the end's router can route, and why not the others.
    pub(super) fn admit(&self, listed: &[IpNet], degraded: &mut Vec<String>) -> Prefixes {
        let Self { pair, link, end, ready, key, word } = *self;
        let (local, remote) = (link.end(end), link.end(end.other()));
        let tables = self.tables();
        let obstacles = Obstacles::on(pair.id, ready, &tables, listed.len());
        let routed = |prefix: &IpNet| pair.stands && pair.end(end).routed.contains(prefix);
        let mut admitted = Vec::with_capacity(listed.len());
        for prefix in listed {
            // What is of either network must not be believed from the outside.
            let of_remote = || {
                let own = remote.prefixes.iter().find(|own| overlap(own, prefix))?;
                Some(format!("overlaps {own} of {}", remote.network))
            };
            let fault = match (special(prefix), local.address(Family::of(prefix))) {
                (Some(what), _) => Some(format!("is {what}")),
                (None, None) => Some("is of a family that is not linked".to_owned()),
                (None, Some(_)) => obstacles
                    .against(prefix)
                    .map(|conflict| format!("overlaps {}", conflict.with))
                    .or_else(of_remote),
            };
            let claimed = || {
                let rival = (pair.rival)(end, prefix)?;
                Some(format!("overlaps {} of its peer {}", rival.prefix, rival.network))
            };
            match fault.or_else(|| claimed().filter(|_| !routed(prefix))) {
                None => admitted.push(*prefix),
                Some(why) => {
                    degraded.push(format!("{word}: {prefix} of {key} {why}, and is left out"));
                }
            }
        }
        admitted.into()
    }
}
