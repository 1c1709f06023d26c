//! What OVN-IC advertises to other availability zones: all routes of a router with a port on a
//! switch between zones, ours too, if the deployment wants any advertised. What is denied there is
//! not, nor what a list of it leaves out.

use std::borrow::Cow;
use std::sync::Arc;

use ipnet::IpNet;

use crate::ovsdb::{ColumnId, Row};

use super::tables::nb_global;

/// Which prefixes are advertised to other zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    denied: Arc<[IpNet]>,
    /// Only what lies in these, if there is such a list.
    listed: Option<Arc<[IpNet]>>,
}

/// The option of a router or port that denies prefixes; OVN 26.03 and later.
const DENY: &str = "ic-route-deny-adv";
/// The option of a router or port that lists all prefixes which may be advertised; OVN 25.09 and
/// later. Those of both count together.
const LIST: &str = "ic-route-filter-adv";

impl Zones {
    /// What the whole deployment says; none if it advertises nothing.
    pub(super) fn of_deployment(row: &Row) -> Option<Self> {
        let options = row.get(nb_global::OPTIONS);
        let advertises =
            options.get("ic-route-adv").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let denied = || options.get("ic-route-denylist").or(options.get("ic-route-blacklist"));
        let denied = || prefixes(&denied().unwrap_or_default());
        advertises.then(|| Self { denied: denied(), listed: None })
    }

    /// The same with what a router or a port of it says by its options.
    pub(super) fn filtered(mut self, row: &Row, options: ColumnId) -> Self {
        let [denied, listed] = own_words(row, options);
        if let Some(text) = denied {
            self.denied = self.denied.iter().chain(&*prefixes(&text)).copied().collect();
        }
        // OVN-IC takes an empty list for none, and one without a valid prefix for one that lists
        // nothing.
        if let Some(text) = listed.filter(|text| text.split(',').any(|entry| !entry.is_empty())) {
            let before = self.listed.iter().flat_map(|listed| listed.iter().copied());
            self.listed = Some(before.chain(prefixes(&text).iter().copied()).collect());
        }
        self
    }

    /// Whether a route to a prefix is advertised.
    #[must_use]
    pub fn advertise(&self, prefix: &IpNet) -> bool {
        let within = |list: &[IpNet]| list.iter().any(|entry| entry.contains(prefix));
        !within(&self.denied) && self.listed.as_deref().is_none_or(within)
    }
}

/// What a router or a port of it says by its options: what is denied, and what is listed.
pub(super) fn own_words(row: &Row, options: ColumnId) -> [Option<Cow<'_, str>>; 2] {
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
