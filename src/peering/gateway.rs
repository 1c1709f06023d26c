//! The use of one end's gateway by the other end: who may, what goes there, and with which
//! addresses it leaves.
//!
//! The peering stands with or without it. What cannot be is said in texts that begin with a word to
//! search for. A network uses one gateway at most, and none beside one of its own: first those that
//! it uses already, then by rank. Listed prefixes are claims like any others; a default route is
//! none, because it overlaps everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::declare::{Destinations, GatewayOffer};
use crate::northbound::{End, Family, RouterKind};

use super::facts::PairFacts;
use super::inputs::User;
use super::listed::Listed;
use super::local::Ready;
use super::outcome::{Gateway, Link, TranslatedSource};
use super::prefix::{Prefixes, overlap};

/// Something of one's own is in the way, or another peering.
const CONFLICT: &str = "gateway-conflict";
/// The other side offers no gateway.
const NOT_OFFERED: &str = "gateway-not-offered";
/// The gateway leads nowhere.
const NO_UPLINK: &str = "no-uplink";
/// The addresses leave as they are, although those of the guests there do not.
const NOT_TRANSLATED: &str = "gateway-not-translated";

/// What of a gateway there is, and what of it cannot be, for the owners of both ends.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) gateway: Option<Box<Gateway>>,
    pub(super) degraded: [Vec<String>; 2],
}

/// The end that may use the other end's gateway, of two ends that agree to be linked.
pub(super) fn user(pair: &PairFacts, ends: (&Ready, &Ready)) -> Option<User> {
    let mut ends = End::BOTH.into_iter().filter(|end| {
        asked(pair, *end).is_some() && obstacle(pair, *end, of_user(ends, *end)).is_none()
    });
    ends.next().map(|end| User { end, holds: holds(pair, end) })
}

/// Adds listed prefixes to those that each end wants to route.
pub(super) fn add_listed(pair: &PairFacts, ends: (&Ready, &Ready), wanted: &mut [Prefixes; 2]) {
    let Some(User { end, .. }) = user(pair, ends) else { return };
    let Some(Destinations::Listed(listed)) = asked(pair, end) else { return };
    let [at_a, at_b] = wanted;
    let at = if end == End::A { at_a } else { at_b };
    *at = at.iter().chain(listed).copied().collect();
}

/// Decides on the gateways of both ends of a link.
pub(super) fn decide_gateway(pair: &PairFacts, link: &Link, ends: (&Ready, &Ready)) -> Decided {
    let mut decided = Decided::default();
    let Decided { gateway, degraded: [at_a, at_b] } = &mut decided;
    for user in End::BOTH {
        let (own, other) = match user {
            End::A => (&mut *at_a, &mut *at_b),
            End::B => (&mut *at_b, &mut *at_a),
        };
        let (ready, provider) = of_user(ends, user);
        if offered(pair, user).is_some() && provider.router.uplinks.is_empty() {
            let router = &provider.router.name;
            other.push(format!(
                "{NO_UPLINK}: this half offers its gateway, and router {router} has no uplink"
            ));
        }
        let Some(destinations) = asked(pair, user) else { continue };
        if let Some(why) = obstacle(pair, user, (ready, provider)).or_else(|| rival(pair, user)) {
            own.push(why);
            continue;
        }
        let (key, word) = ("use_gateway", CONFLICT);
        let list = Listed { pair, link, end: user, ready, key, word };
        let listed = match destinations {
            Destinations::All => None,
            Destinations::Listed(listed) => Some(list.admit(listed, own)),
        };
        if listed.as_ref().is_some_and(|listed| listed.is_empty()) {
            continue;
        }
        let nat = translated(pair, link, user, provider, other);
        let shields = provider.router.kind == RouterKind::Gateway && !nat.is_empty();
        *gateway = Some(Box::new(Gateway {
            user,
            listed,
            tables: list.tables(),
            uplinks: provider.router.uplinks.clone(),
            exempted: shields.then(|| Prefixes::clone(&provider.prefixes)),
            nat,
            never_outside: never_outside(link, ends),
        }));
    }
    decided
}

/// What the half of an end reaches by the other end's gateway.
fn asked<'a>(pair: &PairFacts<'a>, end: End) -> Option<&'a Destinations> {
    pair.end(end).terms()?.use_gateway.destinations.as_ref()
}

/// The offer to an end. A half that is enough for both sides offers nothing of the other one.
fn offered(pair: &PairFacts, user: End) -> Option<GatewayOffer> {
    pair.end(user.other()).terms()?.gateway.offer
}

fn holds(pair: &PairFacts, end: End) -> bool {
    pair.stands && pair.end(end).holds_gateway
}

/// The user first, then the provider.
fn of_user<'a>((a, b): (&'a Ready, &'a Ready), user: End) -> (&'a Ready, &'a Ready) {
    match user {
        End::A => (a, b),
        End::B => (b, a),
    }
}

/// Why an end cannot use the other end's gateway, whatever other peerings it has.
fn obstacle(pair: &PairFacts, user: End, (own, provider): (&Ready, &Ready)) -> Option<String> {
    let (router, remote) = (&own.router, pair.end(user.other()).network);
    if let Some(uplink) = router.uplinks.first() {
        return Some(format!(
            "{CONFLICT}: router {} has an uplink of its own, {uplink}, so this network does not use the gateway of \
             {remote}",
            router.name
        ));
    }
    let mut routes = router.routes.iter().filter(|route| route.link != Some(pair.id));
    if let Some(route) = routes.find(|route| route.prefix.prefix_len() == 0) {
        return Some(format!(
            "{CONFLICT}: router {} has a default route of its own, {}, so this network does not use the gateway of \
             {remote}",
            router.name, route.text
        ));
    }
    if offered(pair, user).is_none() {
        return Some(format!("{NOT_OFFERED}: {remote} does not offer its gateway to this network"));
    }
    let leads = !provider.router.uplinks.is_empty();
    (!leads).then(|| {
        format!("{NO_UPLINK}: {remote} offers its gateway, which has no uplink at present")
    })
}

/// The network of another peering by whose gateway an end goes.
fn rival(pair: &PairFacts, user: End) -> Option<String> {
    let other = (pair.rival_gateway)(user, holds(pair, user))?;
    let remote = pair.end(user.other()).network;
    Some(format!(
        "{CONFLICT}: this network uses the gateway of {other}, and so not that of {remote}"
    ))
}

/// The user's prefixes that the provider's router has to translate as it translates those of its
/// own guests.
fn translated(
    pair: &PairFacts,
    link: &Link,
    user: End,
    provider: &Ready,
    degraded: &mut Vec<String>,
) -> Box<[TranslatedSource]> {
    if offered(pair, user) != Some(GatewayOffer::AsOwnGuests) {
        return Box::default();
    }
    let (local, rows) = (link.end(user), &provider.router.source_nat);
    let mut translated = Vec::new();
    for family in Family::BOTH {
        let of_guests = rows.iter().filter(|row| {
            let of_own = || provider.prefixes.iter().any(|own| overlap(own, &row.sources));
            Family::of(&row.external.into()) == family && of_own()
        });
        let mut of_guests = of_guests.peekable();
        let restricted = of_guests.peek().map(|row| row.sources);
        let sources = local.prefixes.iter().filter(|prefix| {
            let is_covered = || rows.iter().any(|row| row.sources.contains(*prefix));
            Family::of(prefix) == family && !is_covered()
        });
        let mut sources = sources.peekable();
        if sources.peek().is_none() {
            continue;
        }
        match (of_guests.find(|row| !row.restricted), restricted) {
            (Some(row), _) => translated.extend(sources.map(|sources| TranslatedSource {
                sources: *sources,
                external: row.external,
                gateway_port: row.gateway_port,
            })),
            (None, Some(of)) => degraded.push(format!(
                "{NOT_TRANSLATED}: the snat row of {of} on router {} is for some packets only, so that addresses of \
                 {} leave as they are",
                provider.router.name, local.network
            )),
            (None, None) => {}
        }
    }
    translated.into()
}

/// The prefixes of both networks, announced or not.
fn never_outside(link: &Link, (a, b): (&Ready, &Ready)) -> Arc<[IpNet]> {
    let all = [&a.prefixes, &b.prefixes, &link.a.prefixes, &link.b.prefixes];
    let all: BTreeSet<IpNet> =
        all.into_iter().flat_map(|prefixes| prefixes.iter().copied()).collect();
    all.into_iter().collect()
}
