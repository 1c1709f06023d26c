//! Blockers: what prevents a link between two routers, independent of its prefixes. These are a
//! link of another tool, a name collision, and a mesh that would be too deep.
//!
//! A blocker prevents a new peering. A peering that is up stays up, and reports it.

use crate::declare::NetworkKey;
use crate::northbound::{End, ForeignLink, ForeignLinkTo, RouterFacts};

use super::facts::PairFacts;
use super::local::Ready;
use super::state::Reason;

/// A blocker between two routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocker {
    pub(super) reason: Reason,
    /// The text for the owner of each end; it names only the owner's rows.
    texts: [String; 2],
    pub(super) next_step: &'static str,
}

impl Blocker {
    /// The text for one end's owner.
    pub(super) fn text(&self, end: End) -> &str {
        let [a, b] = &self.texts;
        match end {
            End::A => a,
            End::B => b,
        }
    }
}

/// All blockers from rows of others. `has_switch` says that the link needs a switch of ours.
pub(super) fn blockers(
    pair: &PairFacts,
    links: &[[&ForeignLink; 2]],
    (a, b): (&Ready, &Ready),
    has_switch: bool,
) -> Vec<Blocker> {
    let linked = |[at_a, at_b]: &[&ForeignLink; 2]| Blocker {
        reason: Reason::ForeignLink,
        texts: [
            linked_already(at_a, &a.router, pair.b.network),
            linked_already(at_b, &b.router, pair.a.network),
        ],
        next_step: "remove that link where it was made, or withdraw the half: what the two links \
                    let through differs",
    };
    let mut found: Vec<Blocker> = links.iter().map(linked).collect();
    // Only a port of that switch could have the name of a router port.
    let taken = pair.collisions.iter().filter(|port| has_switch || !port.of_switch_port);
    found.extend(taken.map(|port| name_in_use(&port.text)));
    found
}

/// The mesh that a new peering would make too deep. It is checked last, because a peering that is
/// refused for another reason is not decided again when the mesh changes.
pub(super) fn too_deep(pair: &PairFacts) -> Option<Blocker> {
    (!pair.stands && (pair.too_deep)()).then(mesh_too_deep)
}

/// Links of others between two routers, with their ports: two ports that name each other, or a
/// switch with one port of each router and nothing else.
pub(super) fn foreign_links<'r>(
    a: &'r RouterFacts,
    b: &'r RouterFacts,
) -> Vec<[&'r ForeignLink; 2]> {
    let meet = |one: &ForeignLink, other: &ForeignLink| match (&one.to, &other.to) {
        (ForeignLinkTo::Port(to), ForeignLinkTo::Port(back)) => {
            *to == other.port && *back == one.port
        }
        (ForeignLinkTo::Switch(one, _), ForeignLinkTo::Switch(other, _)) => one == other,
        (ForeignLinkTo::Port(_), ForeignLinkTo::Switch(..))
        | (ForeignLinkTo::Switch(..), ForeignLinkTo::Port(_)) => false,
    };
    let both = a
        .foreign_links
        .iter()
        .flat_map(|one| b.foreign_links.iter().map(move |other| (one, other)));
    both.filter(|(one, other)| meet(one, other)).map(|(one, other)| [one, other]).collect()
}

fn linked_already(link: &ForeignLink, router: &RouterFacts, remote: &NetworkKey) -> String {
    let (port, name) = (&link.port, &router.name);
    match &link.to {
        ForeignLinkTo::Port(to) => format!(
            "port {port} of router {name} and its peer {to} link it to {remote} already, and are not ovn-peerd's"
        ),
        ForeignLinkTo::Switch(_, switch) => format!(
            "port {port} of router {name} and switch {switch} link it to {remote} already, and are not ovn-peerd's"
        ),
    }
}

/// The text has no number, because the depth depends on others' peerings. Also, later links make
/// the mesh deeper, and the refused peering is not decided again then.
fn mesh_too_deep() -> Blocker {
    let text = "with this peering, linked routers would make a path that is too deep for OVN \
                (the operator's max_mesh_depth)"
        .to_owned();
    Blocker {
        reason: Reason::MeshTooDeep,
        texts: [text.clone(), text],
        next_step: "withdraw peerings that are not needed, or peer by way of fewer routers",
    }
}

fn name_in_use(port: &str) -> Blocker {
    let text = format!("{port} is not ovn-peerd's, and has the name of a port of this peering");
    Blocker {
        reason: Reason::NameInUse,
        texts: [text.clone(), text],
        next_step: "rename or remove that port: OVN knows router and switch ports by one name alone",
    }
}
