//! Discovery: which networks other tools have made, by their rows in the northbound and by what their
//! own interfaces say.
//!
//! Owns what is read for that (`wanted`, `rows`, the interfaces' answers in `answer`), a file for each tool that
//! recognises its routers (`numbered` for LXD and Incus, `neutron`, `kube_ovn`, `ovn_kubernetes`, `plain`
//! for routers of nobody), their links (`links`), and what follows: `networks.d` as a text (`written`), the
//! differences to what is bound (`check`), the router of a tool's network (`resolve`). Knows no peering,
//! and writes nothing anywhere. What is not certain is a [`Guess`] that says why; a name that fits
//! several routers is none.

mod answer;
mod check;
mod found;
mod kube_ovn;
mod links;
mod neutron;
mod numbered;
mod ovn_kubernetes;
mod plain;
mod resolve;
mod rows;
#[cfg(test)]
mod tests;
mod wanted;
mod written;

pub use answer::{Answer, Instance, Peer, instance, listed, peers, project_names};
pub use check::{Bound, Difference, DifferenceKind, check};
pub use found::{Found, FoundLink, FoundNetwork, FoundPort, FoundRoute, Guess, LinkEnd, Maker};
pub use resolve::resolve;
pub use rows::{Ids, Port, Route, Router, Rows, Switch, SwitchPort};
pub use wanted::WANTED;
pub use written::written;

use std::collections::BTreeMap;

use found::Claim;

/// Finds the networks of all makers, or of one.
#[must_use]
pub fn find(rows: &Rows, answers: &[Answer], only: Option<Maker>) -> Found {
    let mut claims: BTreeMap<usize, Claim> = BTreeMap::new();
    let tools = [numbered::claim, neutron::claim, kube_ovn::claim, ovn_kubernetes::claim];
    for (index, router) in rows.routers.iter().enumerate() {
        let claim = tools.iter().find_map(|claim| claim(router, rows, answers));
        claims.insert(index, claim.unwrap_or_else(|| plain::claim(router)));
    }
    let mut found = found::collect(rows, claims);
    found.links = links::links(rows, &found.networks);
    for answer in answers {
        found.asked.insert(answer.tool);
        if let Err(why) = &answer.networks {
            found.faults.insert(answer.tool, why.clone());
        }
    }
    if let Some(only) = only {
        found.keep(only);
    }
    found
}
