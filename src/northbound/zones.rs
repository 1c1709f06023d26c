//! The prefixes that OVN-IC advertises to other availability zones.
//!
//! If the deployment enables advertising, OVN-IC advertises all routes of a router with a port on a
//! switch between zones, ours too. It leaves out denied prefixes, and those that are not in a list
//! if there is one.

use std::sync::Arc;

use ipnet::IpNet;

use crate::ovsdb::{ColumnId, Row};

use super::tables::nb_global;

/// The prefixes that OVN-IC advertises to other zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    denied: Arc<[IpNet]>,
    /// If there is such a list, OVN-IC advertises only prefixes inside of these.
    listed: Option<Arc<[IpNet]>>,
}

/// The option of a router or port that denies prefixes; OVN 26.03 and later.
const DENY: &str = "ic-route-deny-adv";
/// The option of a router or port with the list of all prefixes that OVN-IC may advertise; OVN
/// 25.09 and later. The lists of a router and of its port count together.
const LIST: &str = "ic-route-filter-adv";

impl Zones {
    /// The options of the whole deployment; none if it advertises nothing.
    pub(super) fn of_deployment(row: &Row) -> Option<Self> {
        let options = row.get(nb_global::OPTIONS);
        let advertises =
            options.get("ic-route-adv").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let denied = || options.get("ic-route-denylist").or(options.get("ic-route-blacklist"));
        let denied = || prefixes(denied().unwrap_or_default());
        advertises.then(|| Self { denied: denied(), listed: None })
    }

    /// Adds the options of a router or of one of its ports.
    pub(super) fn filtered(mut self, row: &Row, options: ColumnId) -> Self {
        let [denied, listed] = own_options(row, options);
        if let Some(text) = denied {
            self.denied = self.denied.iter().chain(&*prefixes(text)).copied().collect();
        }
        // OVN-IC ignores an empty list. A list without a valid prefix allows nothing.
        if let Some(text) = listed.filter(|text| text.split(',').any(|entry| !entry.is_empty())) {
            let before = self.listed.iter().flat_map(|listed| listed.iter().copied());
            self.listed = Some(before.chain(prefixes(text).iter().copied()).collect());
        }
        self
    }

    /// Whether OVN-IC advertises a route to a prefix.
    #[must_use]
    pub fn advertise(&self, prefix: &IpNet) -> bool {
        let within = |list: &[IpNet]| list.iter().any(|entry| entry.contains(prefix));
        !within(&self.denied) && self.listed.as_deref().is_none_or(within)
    }
}

/// The options of a router or of one of its ports: the denied prefixes, and the list.
pub(super) fn own_options(row: &Row, options: ColumnId) -> [Option<&str>; 2] {
    let options = row.get(options);
    [options.get(DENY), options.get(LIST)]
}

fn prefixes(list: &str) -> Arc<[IpNet]> {
    list.split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_advertised(zones: &Zones, cases: &[(&str, bool)]) {
        for (prefix, advertised) in cases {
            let net = prefix.parse().expect("a prefix");
            assert_eq!(zones.advertise(&net), *advertised, "{prefix}");
        }
    }

    #[test]
    fn what_is_denied_is_not_advertised() {
        let denied = prefixes("10.2.0.0/16, fd02::/64,nonsense");
        let cases = [
            ("10.2.0.0/16", false),
            ("10.2.7.0/24", false),
            ("10.0.0.0/8", true),
            ("fd02::/64", false),
            ("fd03::/64", true),
        ];
        assert_advertised(&Zones { denied, listed: None }, &cases);
    }

    #[test]
    fn what_a_list_leaves_out_is_not_advertised() {
        let (denied, listed) = (prefixes("10.2.7.0/24"), Some(prefixes("10.2.0.0/16")));
        let cases = [
            ("10.2.0.0/16", true),
            ("10.2.6.0/24", true),
            ("10.2.7.0/24", false),
            ("10.0.0.0/8", false),
            ("fd02::/64", false),
        ];
        assert_advertised(&Zones { denied: Arc::clone(&denied), listed }, &cases);
        let nothing = Zones { denied, listed: Some(prefixes("nonsense")) };
        assert_advertised(&nothing, &[("10.2.0.0/16", false)]);
    }
}
