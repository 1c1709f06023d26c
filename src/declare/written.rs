//! Declarations as a file of `peerings.d`: what the readers read, written again.
//!
//! Invariant: the readers make the same declarations of it.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::model::{ConfiguredStatus, Half, RejectionKey};
use super::terms::{TableOf, written_table};

/// A file of one project with these declarations.
#[must_use]
pub fn written<'a>(
    project: &str,
    halves: impl IntoIterator<Item = &'a Half>,
    rejections: impl IntoIterator<Item = &'a RejectionKey>,
) -> String {
    let mut file = String::new();
    let mut routes = String::new();
    line(&mut file, "project", &project.into());
    for half in halves {
        entry(&mut file, "peering", keys(half));
        for route in half.terms().routes.manual().into_iter().flatten() {
            let mut keys = vec![
                ("network", text(&half.key.network.name)),
                ("peering", text(&half.key.name)),
                ("destination", route.destination.to_string().into()),
            ];
            match &route.table {
                TableOf::Name(name) if name.is_empty() => {}
                TableOf::Name(name) => keys.push(("route_table", written_table(name).into())),
                TableOf::Subnet(subnet) => keys.push(("subnet", subnet.to_string().into())),
            }
            entry(&mut routes, "route", keys);
        }
    }
    file.push_str(&routes);
    for rejection in rejections {
        let keys = vec![
            ("network", text(&rejection.network.name)),
            ("from_project", text(&rejection.from.project)),
            ("from_network", text(&rejection.from.name)),
        ];
        entry(&mut file, "rejection", keys);
    }
    file
}

/// The keys of a half, those that every half has first.
fn keys(half: &Half) -> Vec<(&'static str, Value)> {
    let mut keys = vec![("name", text(&half.key.name)), ("network", text(&half.key.network.name))];
    if half.target.uuid().is_some() {
        keys.push(("target_uuid", text(&half.target.name)));
    } else {
        keys.push(("target_project", text(&half.target.project)));
        keys.push(("target_network", text(&half.target.name)));
    }
    keys.extend(half.uuid.map(|uuid| ("uuid", uuid.to_string().into())));
    if !half.description.is_empty() {
        keys.push(("description", text(&half.description)));
    }
    match half.configured_status {
        ConfiguredStatus::Active => {}
        ConfiguredStatus::Disabled => keys.push(("configured_status", "disabled".into())),
    }
    if let Some(at) = half.requested.and_then(|at| at.to_string().parse().ok()) {
        keys.push(("requested", Value::Datetime(at)));
    }
    keys.extend(half.terms().written());
    if !half.config.is_empty() {
        let config = half.config.iter().map(|(key, value)| (key.clone(), text(value)));
        keys.push(("config", Value::Table(Table::from_iter(config))));
    }
    keys
}

fn text(text: &str) -> Value {
    text.into()
}

fn entry(file: &mut String, kind: &str, keys: Vec<(&'static str, Value)>) {
    let _ = writeln!(file, "\n[[{kind}]]");
    keys.iter().for_each(|(key, value)| line(file, key, value));
}

fn line(file: &mut String, key: &str, value: &Value) {
    let _ = writeln!(file, "{key} = {value}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use ipnet::IpNet;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::super::model::{HalfKey, NetworkKey};
    use super::super::parse_stored;
    use super::super::terms::{
        Action, Appliance, Appliances, Destinations, Domains, Export, GatewayOffer, Import, In,
        LoadBalancers, ManualRoute, MaxPrefixes, OfferGateway, OfferNames, Out, PrefixFilter,
        PrefixList, ReachThrough, Routes, Rule, Stateful, Tables, TellNames, Terms, TrafficList,
        UseGateway, UseLoadBalancers,
    };
    use super::*;

    fn name() -> impl Strategy<Value = Arc<str>> {
        "[a-z\"'\\\\=#%:/ .é日]{1,6}"
            .prop_map(|name| name.trim().to_owned())
            .prop_filter("not blank", |name| !name.is_empty())
            .prop_map(Into::into)
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 1_u8..=32)
            .prop_map(|(bits, length)| IpNet::new(std::net::Ipv4Addr::from(bits).into(), length));
        let v6 = (any::<u128>(), 1_u8..=128)
            .prop_map(|(bits, length)| IpNet::new(std::net::Ipv6Addr::from(bits).into(), length));
        prop_oneof![v4, v6].prop_map(|prefix| prefix.expect("a length in range").trunc())
    }

    fn filter() -> impl Strategy<Value = PrefixFilter> {
        let rule = (prefix(), any::<bool>(), any::<bool>(), any::<bool>());
        let rule = rule.prop_map(|(prefix, deny, ge, le)| {
            let own = prefix.prefix_len();
            Rule {
                action: if deny { Action::Deny } else { Action::Permit },
                prefix,
                ge: ge.then_some(own),
                le: le.then_some(prefix.max_prefix_len()),
            }
        });
        prop::option::of(prop::collection::vec(rule, 0..4)).prop_map(|rules| {
            rules.map_or(PrefixFilter::All, |it| PrefixFilter::List(PrefixList::new(it)))
        })
    }

    fn routes() -> impl Strategy<Value = Routes> {
        let tables = prop::collection::btree_set(prop_oneof![Just("".into()), name()], 0..3)
            .prop_map(|names| Routes::Automatic(Tables::Only(names.into_iter().collect())));
        let table = prop_oneof![
            Just(TableOf::Name("".into())),
            name().prop_map(TableOf::Name),
            prefix().prop_map(TableOf::Subnet),
        ];
        let manual = prop::collection::btree_map(prefix(), table, 0..4).prop_map(|routes| {
            let routes = routes.into_iter();
            Routes::Manual(
                routes.map(|(destination, table)| ManualRoute { destination, table }).collect(),
            )
        });
        prop_oneof![Just(Routes::default()), tables, manual]
    }

    fn traffic() -> impl Strategy<Value = TrafficList> {
        let entries = prop::collection::vec(crate::traffic::arbitrary::entry(), 0..4);
        prop::option::of(entries).prop_map(|entries| TrafficList(entries.map(Into::into)))
    }

    fn gateway() -> impl Strategy<Value = (OfferGateway, UseGateway)> {
        let offer = prop_oneof![Just(GatewayOffer::AsOwnGuests), Just(GatewayOffer::Untranslated)];
        let listed = prop::collection::btree_set(prefix(), 1..4);
        let listed = listed.prop_map(|it| Destinations::Listed(it.into_iter().collect()));
        let destinations = prop_oneof![Just(Destinations::All), listed];
        let offer = prop::option::of(offer).prop_map(|offer| OfferGateway { offer });
        let uses = prop::option::of(destinations);
        (offer, uses.prop_map(|destinations| UseGateway { destinations }))
    }

    /// What lies behind an appliance, and other halves that it is between.
    fn appliance() -> impl Strategy<Value = (Vec<String>, Appliance)> {
        let address = prop_oneof![Just("10.2.0.11"), Just("fd02::b")];
        let address = address.prop_map(|it| vec![it.parse().expect("an address")]);
        let behind = prop::collection::btree_set(prefix(), 1..3);
        let appliance = (address, behind).prop_map(|(address, behind)| {
            let destinations = behind.into_iter().collect();
            Appliance { between: Vec::new(), address, destinations }
        });
        let others = prop::collection::btree_set(name(), 0..3);
        (others.prop_map(|it| it.iter().map(ToString::to_string).collect()), appliance)
    }

    fn domains() -> impl Strategy<Value = Option<Domains>> {
        let listed = prop::collection::btree_set("[a-z0-9_-]{1,6}(\\.[a-z]{1,3})?", 1..4);
        let listed = listed.prop_map(|it| Domains::Listed(it.into_iter().collect()));
        prop::option::of(prop_oneof![Just(Domains::All), listed])
    }

    fn terms() -> impl Strategy<Value = Option<Arc<Terms>>> {
        let balancers = prop::collection::btree_set("\\PC{1,9}", 0..3);
        let balancers = (balancers, [domains(), domains()]);
        let reach = prop::collection::btree_set(prefix(), 0..4);
        let reach = reach.prop_map(|it| ReachThrough { prefixes: it.into_iter().collect() });
        let packets = ((traffic(), traffic()), (balancers, any::<[bool; 2]>()), gateway(), reach);
        let terms = (filter(), filter(), prop::option::of(any::<u32>()), routes(), packets);
        terms.prop_map(|(export, import, limit, routes, packets)| {
            let ((inward, outward), (lent, [wanted, stateful]), gateway, reach_through) = packets;
            let (names, [offered, told]) = lent;
            let terms = Terms {
                export: Export { filter: export },
                import: Import { filter: import },
                max_prefixes: MaxPrefixes { limit },
                routes,
                inward: In { list: inward },
                outward: Out { list: outward },
                stateful: Stateful { wanted: stateful },
                load_balancers: LoadBalancers { names: names.into_iter().collect() },
                use_load_balancers: UseLoadBalancers { wanted },
                offer_names: OfferNames { names: offered },
                tell_names: TellNames { names: told },
                gateway: gateway.0,
                use_gateway: gateway.1,
                reach_through,
                appliances: Appliances::default(),
            };
            (terms != Terms::default()).then(|| Arc::new(terms))
        })
    }

    prop_compose! {
        fn half()(
            names in (name(), name(), name(), name()),
            description in "\\PC{0,20}",
            disabled in any::<bool>(),
            config in prop::collection::btree_map("user\\.[a-z.\" ]{1,5}", "\\PC{0,9}", 0..3),
            requested in prop::option::of(0_i64..4_000_000_000_000),
            terms in terms(),
            appliance in prop::option::of(appliance()),
            uuid in prop::option::of(1_u128..),
            by_uuid in prop::option::of(1_u128..),
        ) -> Half {
            let (network, name, project, target) = names;
            let terms = match appliance {
                None => terms,
                Some((mut between, appliance)) => {
                    between.push(name.to_string());
                    between.sort();
                    between.dedup();
                    let mut terms = terms.unwrap_or_default();
                    let list = vec![Appliance { between, ..appliance }];
                    Arc::make_mut(&mut terms).appliances = Appliances { list };
                    Some(terms)
                }
            };
            Half {
                key: HalfKey::new(NetworkKey::new("blue", network), name),
                target: match by_uuid {
                    Some(uuid) => NetworkKey::of_uuid(uuid::Uuid::from_u128(uuid)),
                    None => NetworkKey::new(project, target),
                },
                description,
                configured_status: match disabled {
                    true => ConfiguredStatus::Disabled,
                    false => ConfiguredStatus::Active,
                },
                config,
                requested: requested.map(|at| Timestamp::from_millisecond(at).expect("in range")),
                terms,
                uuid: uuid.map(uuid::Uuid::from_u128),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            halves in prop::collection::vec(half(), 0..4),
            rejected in prop::collection::btree_set((name(), name(), name()), 0..3),
        ) {
            let halves: BTreeMap<HalfKey, Half> =
                halves.into_iter().map(|half| (half.key.clone(), half)).collect();
            let rejected = rejected.into_iter().map(|(network, project, name)| RejectionKey {
                network: NetworkKey::new("blue", network),
                from: NetworkKey::new(project, name),
            });
            // A file with both is an error.
            let asks = |key: &RejectionKey| {
                halves.values().any(|half| half.key.network == key.network && half.target == key.from)
            };
            let rejected: Vec<RejectionKey> = rejected.filter(|key| !asks(key)).collect();
            let text = written("blue", halves.values(), &rejected);
            let (project, mut again, rejections) =
                parse_stored("it", text.clone()).map_err(|wrong| {
                    TestCaseError::fail(format!("{wrong:?}\n{text}"))
                })?;
            again.sort_by(|one, other| one.key.cmp(&other.key));
            prop_assert_eq!(&*project, "blue");
            prop_assert_eq!(again, halves.into_values().collect::<Vec<_>>(), "{}", text);
            prop_assert_eq!(rejections, rejected);
        }
    }
}
