//! What fits into a DHCP option, and the fewest prefixes that say the same: properties, against all
//! addresses one by one.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use ovn_peerd::northbound::guest_routes::Entry;
use ovn_peerd::peering::guest_routes::{Fitting, aggregate, fit};
use proptest::prelude::*;

/// Prefixes in a small space, so that many are neighbours.
fn nets() -> impl Strategy<Value = Vec<IpNet>> {
    let net = (0..=255_u8, 24..=32_u8).prop_map(|(last, length)| {
        IpNet::from(Ipv4Net::new([10, 2, 0, last].into(), length).unwrap().trunc())
    });
    prop::collection::vec(net, 0..40)
}

fn addresses(nets: &[IpNet]) -> BTreeSet<u8> {
    (0..=255)
        .filter(|last| {
            nets.iter().any(|net| net.contains(&std::net::IpAddr::from([10, 2, 0, *last])))
        })
        .collect()
}

fn entries(nets: &[IpNet], by: &str) -> Vec<Entry> {
    nets.iter().map(|net| Entry::new(*net, by)).collect()
}

fn bytes(entries: &[Entry]) -> usize {
    entries.iter().map(Entry::bytes).sum()
}

proptest! {
    #[test]
    fn the_fewest_prefixes_say_the_same(nets in nets()) {
        let fewest = aggregate(&nets);
        prop_assert_eq!(addresses(&fewest), addresses(&nets));
        prop_assert!(fewest.is_sorted());
        // None contains another, and no two are the halves of one.
        for one in &fewest {
            for other in fewest.iter().filter(|other| *other != one) {
                prop_assert!(!one.contains(other));
                prop_assert!(one.prefix_len() != other.prefix_len() || one.supernet() != other.supernet());
            }
        }
        let mut order = nets;
        order.reverse();
        prop_assert_eq!(aggregate(&order), fewest);
    }

    #[test]
    fn what_does_not_fit_takes_nothing_away(
        before in nets(),
        after in nets(),
        theirs in nets(),
        gateway in any::<bool>(),
        room in 0..200_usize,
    ) {
        let default = gateway.then(|| Entry::new("0.0.0.0/0".parse().unwrap(), "10.1.0.1"));
        let (default, theirs) = (default.as_ref(), entries(&theirs, "10.1.0.9"));
        let wanted = |nets: &[IpNet]| entries(&aggregate(nets), "10.1.0.1");
        let Fitting::All(standing) = fit(&wanted(&before), default, &theirs, &[], room) else {
            return Ok(());
        };
        let own = |nets: &[IpNet]| -> Vec<Entry> {
            let free = |it: &Entry| !theirs.iter().any(|other| other.prefix == it.prefix);
            wanted(nets).into_iter().filter(free).collect()
        };
        match fit(&wanted(&after), default, &theirs, &standing, room) {
            Fitting::All(routes) => {
                prop_assert!(routes.is_empty() || bytes(&routes) + bytes(&theirs) <= room);
                let told: Vec<Entry> = routes.iter().filter(|it| !it.is_default()).cloned().collect();
                prop_assert_eq!(&told, &own(&after));
                prop_assert_eq!(routes.len() > told.len(), gateway && !told.is_empty());
            }
            Fitting::Standing(routes, needs) => {
                prop_assert!(needs > room);
                prop_assert!(routes.is_empty() || bytes(&routes) + bytes(&theirs) <= room);
                let still = addresses(&after);
                for route in standing.iter().filter(|it| !it.is_default()) {
                    let true_still = addresses(&[route.prefix]).is_subset(&still);
                    prop_assert_eq!(routes.contains(route), true_still, "{} of {:?}", route.prefix, routes);
                }
                prop_assert!(routes.iter().all(|route| standing.contains(route)));
            }
        }
    }
}
