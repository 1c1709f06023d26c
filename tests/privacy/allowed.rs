//! What a tenant may be shown in a world: the words that it wrote, and those of whom it agrees with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::lists::Lists;
use crate::named::guest;
use crate::terms::{LISTED, Terms, passed};
use crate::world::{Halves, NETWORKS, PREFIXES, World, prefix};

/// Those who ask a network disclose themselves to it.
pub(crate) fn askers(world: &World, network: usize) -> Allowed {
    let asks = |from: &usize| said(world, *from).contains_key(&network);
    let names = (0..NETWORKS).filter(asks).map(|from| format!("p{from}")).collect();
    Allowed { names, prefixes: BTreeSet::new() }
}

/// What a tenant may be shown besides words: names of projects and routers, and prefixes.
#[derive(Clone, Default)]
pub(crate) struct Allowed {
    pub(crate) names: BTreeSet<String>,
    pub(crate) prefixes: BTreeSet<IpNet>,
}

impl Allowed {
    pub(crate) fn or(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.prefixes.extend(other.prefixes);
        self
    }
}

pub(crate) fn allowed(world: &World, network: usize) -> Allowed {
    let mut names = BTreeSet::from([format!("p{network}")]);
    let mut prefixes = BTreeSet::new();
    if let Some(router) = world.bindings.get(&network) {
        names.insert(format!("r{router}"));
        if let Some(router) = world.routers.get(router) {
            prefixes.extend(router.ports.keys().chain(router.routes.keys()).map(|it| prefix(*it)));
        }
    }
    for (target, enabled) in said(world, network) {
        // The tenant wrote it.
        names.insert(format!("p{target}"));
        let (target, agreed) = (&target, said(world, target).get(&network).copied());
        if enabled && agreed == Some(true) {
            let router = world.bindings.get(target).and_then(|router| world.routers.get(router));
            let all = router.into_iter().flat_map(|router| router.ports.keys());
            // What it announces, and no more.
            let all = all.map(|it| prefix(*it)).collect();
            // Terms are keys of the file's half; a stored one has none.
            let in_file = |from: &usize, to| {
                world.halves.get(from).is_some_and(|halves| halves.contains_key(to))
            };
            let terms = |from: usize, to| {
                world.terms.get(&from).filter(|_| in_file(&from, to)).and_then(|of| of.get(to))
            };
            let export = terms(*target, &network).and_then(|terms| terms.export.as_ref());
            let announced = passed(&all, export);
            let import = terms(network, target).and_then(|terms| terms.import.as_ref());
            prefixes.extend(passed(&announced, import));
            // Of the other side's lists, what is of either network: `show` says what both lists let.
            if let Some(router) = world.bindings.get(&network).and_then(|it| world.routers.get(it))
            {
                let own: Vec<IpNet> = router.ports.keys().map(|it| prefix(*it)).collect();
                let crossing =
                    |net: &IpNet| own.iter().chain(&announced).any(|it| it.contains(net));
                let listed = terms(*target, &network).into_iter();
                prefixes.extend(listed.flat_map(|it| of_lists(&it.lists)).filter(crossing));
            }
            // Who offers a gateway sees what the other side uses it for.
            if terms(network, target).is_some_and(|terms| terms.offers)
                && terms(*target, &network).is_some_and(|terms| terms.uses.is_some())
            {
                prefixes.insert(LISTED.parse().expect("a prefix"));
            }
            // Who asks for names is told those that the other side offers, of what it announces.
            let offered = terms(*target, &network).and_then(|terms| terms.names[0]);
            let asked = terms(network, target).and_then(|terms| terms.names[1]);
            if let (Some(_), Some(_), Some(router)) = (offered, asked, world.bindings.get(target)) {
                names.insert(format!("r{router}"));
                let guests = (0..PREFIXES.len()).map(guest);
                let told = guests.filter(|it| announced.iter().any(|net| net.contains(it)));
                prefixes.extend(told.map(IpNet::from));
            }
            prefixes.extend(announced);
            // Who has appliances sees what the other side reaches by them.
            prefixes.extend(in_more(world, *target, network));
            prefixes.extend(led_to(world, network, *target));
        }
        // What it has written itself.
        if let Some(terms) = world.terms.get(&network).and_then(|of| of.get(target)) {
            prefixes.extend(written(terms));
        }
        prefixes.extend(in_more(world, network, *target));
    }
    Allowed { names, prefixes }
}

/// Prefixes and addresses of appliances and of what is reached through them, as a half has them.
fn in_more(world: &World, from: usize, to: usize) -> Vec<IpNet> {
    let text = world.more.get(&(from, to)).map(String::as_str).unwrap_or_default();
    let net = |word: &str| word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from)).ok();
    text.split('"').filter_map(net).collect()
}

/// What of other peers a network may lead one to: what that one reaches, and no more. Whose it is, it does not learn.
fn led_to(world: &World, network: usize, hub: usize) -> BTreeSet<IpNet> {
    let appliances = world.more.get(&(hub, network)).map(String::as_str).unwrap_or_default();
    let is_led = |other: &usize| {
        let agrees = |from, to| said(world, from).get(&to) == Some(&true);
        let named = *other != network && appliances.contains(&format!("\"to-{other}\""));
        named && agrees(hub, *other) && agrees(*other, hub)
    };
    let reach = in_more(world, network, hub);
    let within = |net: &IpNet| reach.iter().any(|reach| reach.contains(net));
    let all = (0..PREFIXES.len()).map(prefix).filter(within);
    all.filter(|_| (0..NETWORKS).any(|other| is_led(&other))).collect()
}

/// What a network declares: a file counts before the store.
fn said(world: &World, network: usize) -> Halves {
    let mut said = world.stored.get(&network).cloned().unwrap_or_default();
    said.extend(world.halves.get(&network).into_iter().flatten());
    said
}

/// All prefixes that somebody wrote.
fn written(terms: &Terms) -> BTreeSet<IpNet> {
    let entries = terms.export.iter().chain(&terms.import).flatten().map(|(_, at, _)| *at);
    let named = entries.chain(terms.manual.iter().flatten().copied()).map(prefix);
    let beyond = terms.uses.map(|_| LISTED.parse().expect("a prefix"));
    named.chain(of_lists(&terms.lists)).chain(beyond).collect()
}

/// All prefixes that lists name.
fn of_lists(lists: &Lists) -> impl Iterator<Item = IpNet> {
    let entries = lists.inward.iter().chain(&lists.out).flatten();
    entries.flat_map(|entry| entry.remote.iter().chain(&entry.local)).copied()
}

/// Holds each word of the text against what is allowed.
pub(crate) fn hold_against(text: &str, allowed: &Allowed) -> Result<(), String> {
    let of_words = |letter: char| letter.is_ascii_alphanumeric() || "-.:/".contains(letter);
    for word in text.split(|letter| !of_words(letter)) {
        let word = word.trim_end_matches([':', '.']);
        if let Ok(net) = word.parse::<IpNet>() {
            if !allowed.prefixes.contains(&net.trunc()) {
                return Err(format!("{net}"));
            }
            continue;
        }
        if let Ok(address) = word.parse::<IpAddr>()
            && word != "192.0.2.1"
            && word.len() > 3
            && !allowed.prefixes.contains(&address.into())
        {
            return Err(word.to_owned());
        }
        for part in word.split(['/', '-']) {
            let is_name = part.len() == 2
                && part.starts_with(['p', 'r'])
                && part.ends_with(|letter: char| letter.is_ascii_digit());
            if is_name && !allowed.names.contains(part) {
                return Err(part.to_owned());
            }
        }
    }
    Ok(())
}
