//! What an answer is made of: the rules, the northbound, and the names of things in terms of peering.

use ipnet::IpNet;
use uuid::Uuid;

use crate::declare::{Filters, Half, HalfKey, NetworkKey, PeeringKey};
use crate::northbound::owner::{UNIT_KEY, peering_of_link_port};
use crate::northbound::tables::{LOGICAL_SWITCH, logical_switch};
use crate::northbound::{End, Northbound, UnitId};
use crate::ovsdb::{ColumnId, TableId};
use crate::peering::{Link, end_of, key_of_end};
use crate::program::{Served, summarise};
use crate::reach::Truth;
use crate::traffic::Entry;
use crate::view::{Passes, Whose, WhyStep};

use super::super::state::State;

/// What an answer is made of.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Ground<'a> {
    pub(in crate::engine) state: &'a State,
    pub(in crate::engine) northbound: &'a Northbound,
    /// Whether rows, and the routers of both sides, may be shown.
    pub(in crate::engine) shows_all: bool,
}

/// The list of one side, and the half that has it.
#[derive(Clone)]
pub(super) struct List<'a> {
    pub(super) half: Option<&'a HalfKey>,
    pub(super) network: &'a NetworkKey,
    /// `in` or `out`.
    pub(super) name: &'static str,
    /// The entries; `None` lets everything pass.
    pub(super) entries: Option<&'a [Entry]>,
    pub(super) by_policy: bool,
}

impl<'a> Ground<'a> {
    /// The router of a network, whether it peers or not.
    pub(in crate::engine) fn router_of(&self, network: &NetworkKey) -> Option<Uuid> {
        let said = self.state.declarations.network(network, || None)?;
        self.northbound.routers(&said.value.router).next()
    }

    /// A router in terms of peering: its network, or its own name.
    pub(in crate::engine) fn name_of(&self, router: Uuid) -> String {
        let mut networks = self.state.resolver.networks().sharing(router, self.northbound);
        match networks.next() {
            Some(network) => network.to_string(),
            None => self.northbound.router_name(router).unwrap_or("router").to_owned(),
        }
    }

    /// Where a port of a router leads, in terms of peering.
    pub(super) fn leads_to(&self, port: &str) -> String {
        if let Some(network) = self.link_at(port).map(|(pair, end)| key_of_end(pair, end.other())) {
            return network.to_string();
        }
        if !self.shows_all {
            return "elsewhere".to_owned();
        }
        let switches = self.switches(port);
        if switches.is_empty() { format!("port {port}") } else { switches.join(", ") }
    }

    /// The names of the switches on a router's port.
    pub(super) fn switches(&self, port: &str) -> Vec<String> {
        let switches = self.northbound.switches_of(port).into_iter();
        let rows = switches.filter_map(|uuid| self.northbound.replica().row(LOGICAL_SWITCH, uuid));
        rows.map(|row| row.get(logical_switch::NAME).string().to_owned()).collect()
    }

    /// The pair whose link has this port, and its end.
    pub(super) fn link_at(&self, port: &str) -> Option<(&'a PeeringKey, End)> {
        let id = peering_of_link_port(port)?;
        let end = if port.ends_with('a') { End::A } else { End::B };
        self.state.resolver.pair_with(id).map(|pair| (pair, end))
    }

    pub(super) fn link(&self, pair: &PeeringKey) -> Option<&'a Link> {
        self.state.resolver.link(pair)
    }

    /// The half of one side of a pair that counts.
    pub(super) fn half_of(&self, pair: &PeeringKey, network: &NetworkKey) -> Option<&'a HalfKey> {
        let resolver = &self.state.resolver;
        let halves = || resolver.halves_of(pair).filter(|it| it.network == *network);
        let is_linked = |half: &&HalfKey| resolver.verdict(half).is_some_and(|it| it.is_linked());
        let linked = halves().find(is_linked);
        linked.or_else(|| halves().next())
    }

    pub(super) fn said(&self, half: &HalfKey) -> Option<&'a Half> {
        let declarations = &self.state.declarations;
        self.state.resolver.said(half, declarations).map(|said| said.value)
    }

    /// The list of one side of a pair.
    pub(super) fn list(
        &self,
        pair: &PeeringKey,
        network: &'a NetworkKey,
        name: &'static str,
    ) -> List<'a> {
        let half = self.half_of(pair, network);
        let terms = half.and_then(|half| self.said(half)?.terms.as_deref());
        let declared = terms.and_then(|terms| match name {
            "in" => terms.inward.list.0.as_deref(),
            _ => terms.outward.list.0.as_deref(),
        });
        // Where one half is enough for both sides, the other side has none that could close.
        let closed = half.is_some() && self.state.policy().filters == Filters::Closed;
        let entries = declared.or(closed.then_some(&[]));
        let by_policy = declared.is_none() && closed;
        List { half, network, name, entries, by_policy }
    }

    /// Whose a row is.
    pub(super) fn whose(&self, (table, row): (TableId, Uuid), tags: ColumnId) -> Whose {
        let row = self.northbound.replica().row(table, row);
        match row.is_some_and(|row| row.get(tags).has_key(UNIT_KEY)) {
            true => Whose::OvnPeerd,
            false => Whose::Others,
        }
    }

    /// What a row of ours on a router is for.
    pub(super) fn means(&self, (table, uuid): (TableId, Uuid), router: Uuid) -> Option<String> {
        let row = self.northbound.replica().row(table, uuid)?;
        let tag = row.get(crate::northbound::tags_of(table)?).get(UNIT_KEY)?;
        let resolver = &self.state.resolver;
        let served = match UnitId::parse(tag)? {
            UnitId::Network(id) => {
                Served { local: self.state.network_of(id).cloned(), ..Served::default() }
            }
            UnitId::Peering(id) => {
                let pair = resolver.pair_with(id)?;
                let is_at = |end: &End| {
                    let of_link = resolver.link(pair).map(|link| link.end(*end).router);
                    of_link.or_else(|| self.router_of(key_of_end(pair, *end))) == Some(router)
                };
                let end = End::BOTH.into_iter().find(is_at)?;
                let local = key_of_end(pair, end);
                let remote = key_of_end(pair, end.other());
                Served {
                    local: Some(local.clone()),
                    remote: Some(remote.clone()),
                    half: self.half_of(pair, local).cloned(),
                }
            }
        };
        Some(summarise(table, Some(uuid), row, &served).means)
    }

    pub(super) fn row(&self, row: Uuid) -> Option<String> {
        self.shows_all.then(|| row.to_string())
    }

    /// The prefix among some that has an address, or a part of it.
    pub(super) fn prefix_with(prefixes: &[IpNet], net: &IpNet) -> Option<IpNet> {
        let mut all =
            prefixes.iter().filter(|prefix| prefix.contains(net) || net.contains(*prefix));
        all.next().copied()
    }
}

/// The two ends of a pair as one question has them.
pub(super) fn ends_of(pair: &PeeringKey, from: &NetworkKey) -> (End, End) {
    let end = end_of(pair, from);
    (end, end.other())
}

pub(super) fn passes(truth: Truth) -> Passes {
    match truth {
        Truth::Yes => Passes::Yes,
        Truth::No => Passes::No,
        Truth::Maybe => Passes::Unsure,
    }
}

pub(super) fn step(passes: Passes, what: crate::view::WhyFact) -> WhyStep {
    WhyStep { passes, what }
}
