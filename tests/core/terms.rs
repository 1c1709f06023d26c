//! The terms of a half in this world, and what they mean: small, slow, obvious.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::lists::{Lists, short_lists};
use crate::world::{PREFIXES, prefix};

/// What is used of another network's gateway where it is not all.
pub const LISTED: &str = "10.99.0.0/16";

/// The load balancers that halves export, if any.
const EXPORTED: [&str; 2] = ["lb-0", "lb-1"];

/// The domain of names that halves offer or ask for where it is not all.
pub const DOMAIN: &str = "x";

/// What entries of traffic filters name.
const NAMED: &[&str] = &[
    "10.0.0.0/24",
    "10.0.0.10/32",
    "10.0.1.0/25",
    "10.2.0.0/25",
    "10.3.0.0/16",
    "10.3.0.10/32",
    "10.0.0.0/8",
    "fd00::/65",
    "fd01::/64",
];

/// An entry of a filter: whether it denies, which prefix, and `le` if it has one.
pub type Entry = (bool, usize, Option<u8>);

/// What crosses a half.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub export: Option<Vec<Entry>>,
    pub import: Option<Vec<Entry>>,
    pub most: Option<usize>,
    /// Destinations of manual routes.
    pub manual: Option<BTreeSet<usize>>,
    /// Whether it exports the balancers of its network, and whether it uses the other side's.
    pub balancers: [bool; 2],
    /// Which names it offers, and which it asks for: all, or those in [`DOMAIN`].
    pub names: [Option<bool>; 2],
    /// What may be opened.
    pub lists: Lists,
    /// Whether it offers its network's gateway.
    pub offers: bool,
    /// Whether it uses the other side's, and if so, whether for all.
    pub uses: Option<bool>,
}

impl Terms {
    /// As keys of `[[peering]]`.
    pub fn keys(&self) -> String {
        let mut text = String::new();
        for (key, filter) in [("export", &self.export), ("import", &self.import)] {
            let Some(filter) = filter else { continue };
            let entries = filter.iter().map(|(deny, at, le)| {
                let le = le.map(|le| format!(", le = {le}")).unwrap_or_default();
                let action = if *deny { "deny" } else { "permit" };
                format!("{{ prefix = \"{}\", action = \"{action}\"{le} }}", PREFIXES[*at])
            });
            writeln!(text, "{key} = [{}]", entries.collect::<Vec<_>>().join(", ")).unwrap();
        }
        if let Some(most) = self.most {
            writeln!(text, "max_prefixes = {most}").unwrap();
        }
        if self.manual.is_some() {
            text += "routes = \"manual\"\n";
        }
        let [exports, uses] = self.balancers;
        if exports {
            writeln!(text, "load_balancers = {:?}", EXPORTED).unwrap();
        }
        writeln!(text, "use_load_balancers = {uses}").unwrap();
        for (key, names) in ["offer_names", "tell_names"].into_iter().zip(self.names) {
            match names {
                None => {}
                Some(true) => writeln!(text, "{key} = true").unwrap(),
                Some(false) => writeln!(text, "{key} = [\"{DOMAIN}\"]").unwrap(),
            }
        }
        text += &self.lists.keys();
        if self.offers {
            text += "gateway = \"offer\"\n";
        }
        match self.uses {
            None => {}
            Some(true) => text += "use_gateway = true\n",
            Some(false) => writeln!(text, "use_gateway = [\"{LISTED}\"]").unwrap(),
        }
        text
    }

    /// As `[[route]]` entries of the half towards a target.
    pub fn routes(&self, target: usize) -> String {
        let routes = self.manual.iter().flatten();
        routes
            .map(|at| {
                format!(
                    "[[route]]\nnetwork = \"n\"\npeering = \"to-{target}\"\ndestination = \"{}\"\n",
                    PREFIXES[*at]
                )
            })
            .collect()
    }

    pub fn is_filtered(&self) -> bool {
        self.export.is_some() || self.import.is_some()
    }
}

/// What of some prefixes a filter lets through.
pub fn passed(offered: &BTreeSet<IpNet>, filter: Option<&Vec<Entry>>) -> BTreeSet<IpNet> {
    let Some(filter) = filter else { return offered.clone() };
    let named = named(Some(filter)).into_iter().filter(|net| covered(net, offered));
    let on_offer = offered.iter().copied().filter(|net| permitted(net, filter));
    let all: BTreeSet<IpNet> = on_offer.chain(named).collect();
    let inside = |net: &IpNet| all.iter().any(|other| other != net && other.contains(net));
    all.iter().filter(|net| !inside(net)).copied().collect()
}

/// Prefixes that a filter names and permits.
pub fn named(filter: Option<&Vec<Entry>>) -> BTreeSet<IpNet> {
    let Some(filter) = filter else { return BTreeSet::new() };
    let exact = filter.iter().filter(|(deny, _, le)| !deny && le.is_none());
    exact.map(|(_, at, _)| prefix(*at)).filter(|net| permitted(net, filter)).collect()
}

fn permitted(net: &IpNet, filter: &[Entry]) -> bool {
    let matches = |(_, at, le): &&Entry| match le {
        None => prefix(*at) == *net,
        Some(le) => prefix(*at).contains(net) && net.prefix_len() <= *le,
    };
    filter.iter().find(matches).is_some_and(|(deny, ..)| !deny)
}

/// Whether every address of a prefix is in one of these: as a whole, or half by half.
pub fn covered(net: &IpNet, by: &BTreeSet<IpNet>) -> bool {
    let longest = if matches!(net, IpNet::V4(_)) { 26 } else { 65 };
    by.iter().any(|other| other.contains(net))
        || (net.prefix_len() < longest
            && net.subnets(net.prefix_len() + 1).unwrap().all(|half| covered(&half, by)))
}

fn filter() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (prop::bool::weighted(0.2), 0..PREFIXES.len(), prop::option::of(0_u8..4)).prop_map(
        |(deny, at, more)| {
            let net = prefix(at);
            let le = more.map(|more| (net.prefix_len() + more).min(net.max_prefix_len()));
            (deny, at, le)
        },
    );
    prop::collection::vec(entry, 0..5)
}

/// Lists of traffic filters and gateways, and no other terms.
pub fn lists_and_gateways() -> impl Strategy<Value = Terms> {
    let gateways = (any::<bool>(), prop::option::weighted(0.3, any::<bool>()));
    let names = any::<[Option<bool>; 2]>();
    (short_lists(NAMED), gateways, names).prop_map(|(lists, (offers, uses), names)| Terms {
        names,
        lists,
        offers,
        uses,
        ..Terms::default()
    })
}

/// Terms, the default often among them.
pub fn terms() -> impl Strategy<Value = Terms> {
    let manual = prop::collection::btree_set(0..PREFIXES.len(), 0..4);
    let uses = prop::option::weighted(0.3, any::<bool>());
    (
        prop::option::weighted(0.4, filter()),
        prop::option::weighted(0.3, filter()),
        prop::option::weighted(0.2, 0_usize..3),
        prop::option::weighted(0.2, manual),
        (any::<[bool; 2]>(), any::<[Option<bool>; 2]>()),
        short_lists(NAMED),
        (any::<bool>(), uses),
    )
        .prop_map(
            |(export, import, most, manual, (balancers, names), lists, (offers, uses))| Terms {
                export,
                import,
                most,
                manual,
                balancers,
                names,
                lists,
                offers,
                uses,
            },
        )
}
