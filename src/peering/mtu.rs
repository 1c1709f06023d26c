//! Which port of a link checks packet sizes, if the networks' MTUs differ.
//!
//! OVN checks incoming and outgoing packets at a port, so one port of a link is enough. The check
//! costs flows for each pair of ports of that router: on a hub it would cost the square of its
//! peers.

use crate::northbound::End;

/// The facts of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MtuInput {
    /// The network's MTU, if it is known.
    pub(super) mtu: Option<u16>,
    /// Whether the end's port checks now.
    pub(super) checks: bool,
    /// The number of the network's pairs.
    pub(super) pairs: usize,
}

/// The end whose port is to check, and for which MTU; `None` if the MTUs are equal or unknown. A
/// port that already checks keeps doing so, even if the numbers of pairs have changed since.
pub(super) fn checking_end(a: MtuInput, b: MtuInput) -> Option<(End, u16)> {
    let (of_a, of_b) = (a.mtu?, b.mtu?);
    if of_a == of_b {
        return None;
    }
    let end = match (a.checks, b.checks) {
        (true, false) => End::A,
        (false, true) => End::B,
        // If the numbers are equal, the end whose guests send too large packets.
        _ if (a.pairs, of_b) < (b.pairs, of_a) => End::A,
        _ => End::B,
    };
    Some((end, of_a.min(of_b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spoke_checks_and_goes_on_checking() {
        let input = |mtu, checks, pairs| MtuInput { mtu, checks, pairs };
        let (large, small) = (Some(1500), Some(1400));
        for (a, b, expected) in [
            (input(large, false, 1), input(large, false, 9), None),
            (input(large, false, 1), input(None, false, 9), None),
            (input(None, true, 1), input(small, false, 9), None),
            (input(large, false, 1), input(small, false, 9), Some((End::A, 1400))),
            (input(small, false, 1), input(large, false, 9), Some((End::A, 1400))),
            (input(large, false, 1), input(small, false, 1), Some((End::A, 1400))),
            (input(small, false, 1), input(large, false, 1), Some((End::B, 1400))),
            (input(small, true, 9), input(large, false, 1), Some((End::A, 1400))),
            (input(small, true, 9), input(large, true, 1), Some((End::B, 1400))),
        ] {
            assert_eq!(checking_end(a, b), expected, "{a:?} {b:?}");
            let mirrored = expected.map(|(end, mtu)| (end.other(), mtu));
            assert_eq!(checking_end(b, a), mirrored, "{b:?} {a:?}");
        }
    }
}
