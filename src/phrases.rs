//! Texts that recur in a northbound: they take a byte or two in the replica.
//!
//! Owns a list, as HPACK has one (RFC 7541, appendix A). It means nothing to anybody: every other text is kept as well, and
//! one that is missing here costs memory only. Invariant: ascending by length, then by bytes.

/// Whole texts, and what stands before, between and after long hexadecimal numbers.
pub(crate) const PHRASES: &[&str] = &[
    "-a",
    "-b",
    "-a\"",
    "-b\"",
    "-ta",
    "-tb",
    "_ip4",
    "_ip6",
    "drop",
    "allow",
    "_ip4))",
    "_ip6))",
    "router",
    "localnet",
    "network-",
    "peering-",
    "ovn-peerd",
    "ovn-peerd-",
    "ovn_peerd_",
    "router-port",
    "ovn-peerd-unit",
    "ovn-peerd-label",
    "ovn-peerd-guests",
    "ovn-peerd-network",
    "inport == \"ovn-peerd-",
    "_ip4 && ip4.dst == $ovn_peerd_",
    "_ip6 && ip6.dst == $ovn_peerd_",
    "-a\" && ((ip4.src == $ovn_peerd_",
    "-a\" && ((ip6.src == $ovn_peerd_",
    "-b\" && ((ip4.src == $ovn_peerd_",
    "-b\" && ((ip6.src == $ovn_peerd_",
    "_ip4) || (ip4.src == $ovn_peerd_",
    "_ip4) || (ip6.src == $ovn_peerd_",
    "_ip6) || (ip6.src == $ovn_peerd_",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_in_order() {
        assert!(PHRASES.is_sorted_by(|a, b| (a.len(), a) < (b.len(), b)));
    }
}
