//! The chains over the link of a half, for the owner of that half.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::declare::HalfKey;
use crate::peering::{Chain, end_of};
use crate::view::{ChainView, ThroughView};

use super::shown::Standings;

/// OVN drops at a port what has an address that its port security does not list.
const HINT: &str =
    "the switch port of the appliance needs port_security with its MAC address alone, or none";

/// What each side reaches through the other one, if anything. Who reaches learns prefixes alone.
pub(super) fn through(standings: &Standings<'_>, key: &HalfKey) -> Option<ThroughView> {
    let resolver = &standings.state.resolver;
    let pair = resolver.pair_of(key)?;
    let link = resolver.link(pair)?;
    let end = end_of(pair, &key.network);
    let reached: BTreeSet<IpNet> = link.reached(end).collect();
    let view = |chain: &Chain| ChainView {
        by: chain.hops.iter().map(|hop| hop.address).collect(),
        network: chain.other.as_ref().map(|(_, network)| network.to_string()),
        from: chain.here.to_vec(),
        to: chain.there.to_vec(),
    };
    let chains: Vec<ChainView> = link.chains_from(end.other()).iter().map(view).collect();
    let hint = (!chains.is_empty()).then(|| HINT.to_owned());
    let found = ThroughView { reached: reached.into_iter().collect(), chains, hint };
    (found != ThroughView::default()).then_some(found)
}
