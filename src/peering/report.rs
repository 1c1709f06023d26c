//! The report to the owner of a half: which prefixes and routes cross the link, which do not, and
//! why.
//!
//! It shows of the other side only the prefixes that it announces to this one, and only once the
//! link is up.

use ipnet::IpNet;

use crate::declare::{Cover, Declarations, Half, ManualRoute};
use crate::northbound::End;

use super::local::Ready;
use super::outcome::{Link, LinkEnd};
use super::pair::{end_of, key_of_end};
use super::prefix::Prefixes;
use super::resolver::Resolver;

/// The prefixes that cross a half's link, and those that do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What this side announces.
    pub announced: Vec<IpNet>,
    /// The prefixes that it accepts from the other side; none until the link is up.
    pub taken: Vec<IpNet>,
    /// Prefixes of this side that the other one does not get, and why.
    pub held_back: Vec<(IpNet, String)>,
    /// Prefixes that the other side announces and this one does not accept, and why.
    pub refused: Vec<(IpNet, String)>,
    /// Manual routes, and why each of them waits, if it does.
    pub routes: Vec<(ManualRoute, Option<String>)>,
}

/// The report on a half.
#[must_use]
pub fn report(resolver: &Resolver, half: &Half, declarations: &Declarations) -> Report {
    let network = &half.key.network;
    let ready = resolver.networks().ready(network);
    let pair = resolver.pair_of(&half.key);
    let link = pair.and_then(|pair| resolver.link(pair)).map(|link| {
        let end = pair.map_or(End::A, |pair| end_of(pair, network));
        (link, end)
    });
    let mut report = Report::default();
    if let Some(ready) = ready {
        report.local(half, ready, link);
    }
    if let Some((link, end)) = link {
        let remote = link.end(end.other());
        report.taken = remote.prefixes.to_vec();
        report.remote(half, remote, announced(resolver, link, end.other(), declarations));
    }
    report.manual(half, ready, link.map(|(link, end)| (link.end(end), link.end(end.other()))));
    report
}

/// The prefixes that an end of a link announces to the other one.
fn announced(resolver: &Resolver, link: &Link, end: End, declarations: &Declarations) -> Prefixes {
    let network = key_of_end(&link.key, end);
    let Some(ready) = resolver.networks().ready(network) else { return Prefixes::default() };
    let prefixes = Prefixes::clone(&ready.prefixes);
    let counting = resolver.counting(&link.key, end);
    match counting.and_then(|half| resolver.said(half, declarations)) {
        Some(said) => said.value.terms().announced(prefixes),
        None => prefixes,
    }
}

impl Report {
    fn local(&mut self, half: &Half, ready: &Ready, link: Option<(&Link, End)>) {
        self.announced = half.terms().announced(Prefixes::clone(&ready.prefixes)).to_vec();
        let announced = Cover::of(&self.announced);
        let here = ready.prefixes.iter().filter(|prefix| !announced.contains(prefix));
        self.held_back.extend(here.map(|prefix| {
            let part = if announced.overlaps(prefix) { "all of it" } else { "it" };
            (*prefix, format!("`export` does not permit {part}"))
        }));
        self.held_back.extend(ready.guests.iter().flat_map(|guests| &guests.unowned).map(
            |prefix| (*prefix, "it is routed to a guest, but not within may_export".to_owned()),
        ));
        let Some((link, end)) = link else { return };
        let taken = Cover::of(&link.end(end).prefixes);
        let there = self.announced.iter().filter(|prefix| !taken.contains(prefix));
        let target = &half.target;
        self.held_back
            .extend(there.map(|prefix| (*prefix, format!("{target} does not take all of it"))));
    }

    fn remote(&mut self, half: &Half, remote: &LinkEnd, announced: Prefixes) {
        let taken = Cover::of(&remote.prefixes);
        let permitted = Cover::of(&half.terms().accepted(Prefixes::clone(&announced)));
        let refused = announced.iter().filter(|prefix| !taken.contains(prefix));
        self.refused = refused
            .map(|prefix| {
                let why = if permitted.contains(prefix) {
                    "it clashes, is beyond max_prefixes, or of a family that is not linked"
                } else if permitted.overlaps(prefix) {
                    "`import` does not permit all of it"
                } else {
                    "`import` does not permit it"
                };
                (*prefix, why.to_owned())
            })
            .collect();
    }

    fn manual(&mut self, half: &Half, ready: Option<&Ready>, ends: Option<(&LinkEnd, &LinkEnd)>) {
        let Some(routes) = half.terms().routes.manual() else { return };
        let why = |route: &ManualRoute| -> Option<String> {
            let Some((ready, (local, remote))) = ready.zip(ends) else {
                return Some("the peering is not active".to_owned());
            };
            let placed = match route.place(ready) {
                Ok(placed) => placed,
                Err(why) => return Some(why),
            };
            let stand = local.routes.as_deref().unwrap_or_default();
            if stand.binary_search(&placed).is_ok() {
                return None;
            }
            Some(if Cover::of(&remote.prefixes).contains(&route.destination) {
                "a static route of somebody else leads there".to_owned()
            } else {
                format!("this network takes no such prefix from {}", half.target)
            })
        };
        self.routes = routes.iter().map(|route| (route.clone(), why(route))).collect();
    }
}
