//! What OVN-IC advertises to other availability zones: all routes of a router with a port on a switch between zones, ours
//! too, if the deployment wants any advertised. What is denied there is not.

use std::sync::Arc;

use ipnet::IpNet;

use crate::ovsdb::{ColumnId, Row};

use super::router::cell;
use super::tables::nb_global;

/// Prefixes that are not advertised to other zones, whereas all others are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    denied: Arc<[IpNet]>,
}

/// The option of a router or port that denies prefixes; OVN 26.03 and later.
pub(super) const DENY: &str = "ic-route-deny-adv";

impl Zones {
    /// What the whole deployment says; none if it advertises nothing.
    pub(super) fn of_deployment(row: &Row) -> Option<Self> {
        let options = cell(row, nb_global::OPTIONS);
        let advertises =
            options.get("ic-route-adv").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let denied = || options.get("ic-route-denylist").or(options.get("ic-route-blacklist"));
        advertises.then(|| Self { denied: prefixes(&denied().unwrap_or_default()) })
    }

    /// The same with what a router or a port of it denies by its options.
    pub(super) fn denying(&self, row: &Row, options: ColumnId) -> Self {
        match cell(row, options).get(DENY) {
            Some(text) => {
                let more = prefixes(&text);
                Self { denied: self.denied.iter().chain(&*more).copied().collect() }
            }
            None => self.clone(),
        }
    }

    /// Whether a route to a prefix is advertised.
    #[must_use]
    pub fn advertise(&self, prefix: &IpNet) -> bool {
        !self.denied.iter().any(|denied| denied.contains(prefix))
    }
}

fn prefixes(list: &str) -> Arc<[IpNet]> {
    list.split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_not_advertised() {
        let zones = Zones { denied: prefixes("10.2.0.0/16, fd02::/64,nonsense") };
        for (prefix, advertised) in [
            ("10.2.0.0/16", false),
            ("10.2.7.0/24", false),
            ("10.0.0.0/8", true),
            ("fd02::/64", false),
            ("fd03::/64", true),
        ] {
            assert_eq!(zones.advertise(&prefix.parse().expect("a prefix")), advertised, "{prefix}");
        }
    }
}
