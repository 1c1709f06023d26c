//! A question, and the packets that it is about.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::declare::{NetworkKey, PeeringKey};
use crate::peering::Reason;
use crate::reach::{Opening, Packet};
use crate::view::{Opens, Passes, WhyFact, WhyQuestion, WhyReserve, WhyStep};

/// So many pairs of prefixes are followed for a question about whole networks.
const MOST_PAIRS: usize = 8;

/// A question, with the keys that the rules use.
pub(super) struct Asked<'a> {
    pub(super) from: NetworkKey,
    pub(super) to: NetworkKey,
    pub(super) pair: PeeringKey,
    pub(super) question: &'a WhyQuestion,
}

/// Whether a step says that there is no peering; a surplus half says nothing of it.
pub(super) fn stops_peering(step: &WhyStep) -> bool {
    let conflict = Some(Reason::PeeringConflict);
    let surplus = matches!(&step.what, WhyFact::Half { reason, .. } if *reason == conflict);
    step.passes == Passes::No && !surplus
}

fn opening(opens: Opens) -> Opening {
    match opens {
        Opens::Any => Opening::Any,
        Opens::Tcp(port) => Opening::Tcp(port),
        Opens::Udp(port) => Opening::Udp(port),
        Opens::Sctp(port) => Opening::Sctp(port),
        Opens::Ping => Opening::Ping,
        Opens::Number(number) => Opening::Number(number),
    }
}

/// The packets of a question: one of each pair of addresses or prefixes of one family.
pub(super) fn packets(question: &WhyQuestion, from: &[IpNet], to: &[IpNet]) -> Vec<Packet> {
    let of = |address: Option<IpAddr>, prefixes: &[IpNet]| {
        address.map_or_else(|| prefixes.to_vec(), |address| vec![address.into()])
    };
    let (sources, destinations) = (of(question.from.address, from), of(question.to.address, to));
    let pairs = sources.iter().flat_map(|source| {
        let of_family = |it: &&IpNet| matches!(it, IpNet::V4(_)) == matches!(source, IpNet::V4(_));
        destinations.iter().filter(of_family).map(move |destination| (*source, *destination))
    });
    let packet =
        |(source, destination)| Packet::opening(source, destination, opening(question.opens));
    pairs.take(MOST_PAIRS).map(packet).collect()
}

pub(super) fn reserve(code: &str, text: Option<String>) -> WhyReserve {
    WhyReserve { code: code.to_owned(), at: None, row: None, text }
}
