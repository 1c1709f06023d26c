//! What is written is read as it was.

use super::super::others::{declared_by_others, entries_of_others};
use super::*;
use crate::declare::{
    Appliance, Appliances, ByHost, Destinations, Domains, Export, GatewayOffer, Import, In,
    LoadBalancers, ManualRoute, MaxPrefixes, OfferGateway, OfferNames, Others, Out, PrefixFilter,
    PrefixList, ReachThrough, Routes, Stateful, TableOf, TellNames, Tool, TrafficList, UseGateway,
    UseLoadBalancers,
};
use crate::ovsdb::{Atom, Value};

fn value(entries: &[(String, String)]) -> Value {
    let atom = |text: &String| Atom::from(text.as_str());
    Value::map(entries.iter().map(|(key, text)| (atom(key), atom(text))).collect())
}

#[test]
fn what_a_host_declares_survives_its_entries() {
    let key = NetworkKey::new("blue", "web");
    let network = Network {
        key: key.clone(),
        router: RouterRef::Name("blue-web-lr".into()),
        of: Some(ToolNetwork { tool: Tool::Lxd, name: "blue/web".into() }.into()),
        zone: Some("az1".into()),
        region: None,
        kind: NetworkType::Other("public".into()),
        may_export: vec!["10.64.0.0/12".parse().expect("a prefix")],
        mtu: Some(1400),
        tell_guests: TellGuests { dhcp: true, ra: false },
        uuid: Some(Uuid::from_u128(7)),
    };
    let half = Half {
        key: HalfKey::new(key.clone(), "to:db"),
        target: NetworkKey::new("green", "db"),
        description: "web \"tier\"".into(),
        configured_status: ConfiguredStatus::Disabled,
        config: BTreeMap::from([("user.ticket".into(), "NET-42".into())]),
        requested: None,
        terms: Some(Arc::new(Terms {
            export: Export {
                filter: PrefixFilter::List(PrefixList::new(vec![
                    "deny 10.64.9.0/24".parse().expect("a rule"),
                    "10.64.0.0/12 ge 20 le 24".parse().expect("a rule"),
                ])),
            },
            import: Import { filter: PrefixFilter::List(PrefixList::default()) },
            max_prefixes: MaxPrefixes { limit: Some(7) },
            routes: Routes::Manual(vec![
                ManualRoute {
                    destination: "10.2.0.0/24".parse().expect("a prefix"),
                    table: TableOf::Name("".into()),
                },
                ManualRoute {
                    destination: "fd02::/64".parse().expect("a prefix"),
                    table: TableOf::Subnet("fd01::/64".parse().expect("a prefix")),
                },
            ]),
            inward: In {
                list: TrafficList(Some(Box::new([
                    "deny any remote 10.2.0.11/32".parse().expect("an entry"),
                    "allow tcp 22,8000-8100 local 10.64.0.0/25".parse().expect("an entry"),
                ]))),
            },
            outward: Out { list: TrafficList(Some(Box::new([]))) },
            stateful: Stateful { wanted: true },
            load_balancers: LoadBalancers { names: vec!["web-lb".into()] },
            use_load_balancers: UseLoadBalancers { wanted: true },
            offer_names: OfferNames { names: Some(Domains::Listed(vec!["web.example".into()])) },
            tell_names: TellNames { names: Some(Domains::All) },
            gateway: OfferGateway { offer: Some(GatewayOffer::Untranslated) },
            use_gateway: UseGateway {
                destinations: Some(Destinations::Listed(vec![
                    "10.99.0.0/16".parse().expect("a prefix"),
                ])),
            },
            reach_through: ReachThrough {
                prefixes: vec!["10.3.0.0/24".parse().expect("a prefix")],
            },
            appliances: Appliances {
                list: vec![Appliance {
                    between: vec!["to-c".into(), "to:db".into()],
                    address: vec!["10.2.0.11".parse().expect("an address")],
                    destinations: vec!["10.50.0.0/16".parse().expect("a prefix")],
                }],
            },
        })),
        uuid: Some(Uuid::from_u128(8)),
    };
    let from = NetworkKey::new("r:e%d", "s/can");
    let rejection = Rejection { key: RejectionKey { network: key.clone(), from } };
    let bound = (network, FileId::networks("blue.toml"));
    let file = Giver { file: FileId::peerings("blue.toml"), owner: Some(1000) };
    let rules: RulesDigest = Some("5d1f0a2bc38e9f41".into());
    let entries = [
        host_entry("hv1", &key, Some((&bound.0, &bound.1)), &rules),
        half_entry("hv1", &half, &file),
        host_entry("odd:host%", &key, None, &None),
        rejection_entry("hv1", &rejection.key, &file),
    ];
    // All releases have written it like this. Another spelling would be another declaration.
    let terms = r#""terms":{"export":["deny 10.64.9.0/24","10.64.0.0/12 ge 20 le 24"],"import":[],"max_prefixes":7,"routes":[{"to":"10.2.0.0/24"},{"to":"fd02::/64","subnet":"fd01::/64"}],"in":["deny any remote 10.2.0.11/32","allow tcp 22,8000-8100 local 10.64.0.0/25"],"out":[],"stateful":true,"load_balancers":["web-lb"],"use_load_balancers":true,"offer_names":["web.example"],"tell_names":true,"gateway":"untranslated","use_gateway":["10.99.0.0/16"],"reach_through":["10.3.0.0/24"],"appliances":[{"between":["to-c","to:db"],"address":["10.2.0.11"],"destinations":["10.50.0.0/16"]}]}"#;
    assert!(entries[1].1.contains(terms), "{}", entries[1].1);
    let tags = value(&entries);
    assert_eq!(network_of(tags.view()), Some(key.clone()));
    let own = declared_by("hv1", &key, tags.view());
    assert_eq!(own.binding, Some((bound.1.clone(), bound.0.clone())));
    assert_eq!(own.halves, [(file.clone(), half.clone())]);
    assert_eq!(own.rejections, [(file.clone(), rejection.clone())]);
    let (others, read) = declared_by_others("hv2", &key, tags.view());
    assert_eq!(read, 4);
    fn by_host<T>(giver: Giver, value: T) -> ByHost<T> {
        ByHost { host: "hv1".into(), source: Source::File(giver), value }
    }
    let binding = Giver { file: bound.1, owner: None };
    assert_eq!(others.networks, [by_host(binding, Arc::new(bound.0))]);
    assert_eq!(others.halves[&half.key], [by_host(file.clone(), half)]);
    assert_eq!(others.rejections[&rejection.key], [by_host(file, ())]);
    // A host that restores the registration writes the same, except for a host that declared
    // nothing.
    assert_eq!(others.rules, [("hv1".into(), rules), ("odd:host%".into(), None)].into());
    let mut back = entries_of_others(&key, &others, &None);
    back.push(host_entry("odd:host%", &key, None, &None));
    back.sort();
    let mut written = entries.to_vec();
    written.sort();
    assert_eq!(back, written);
    assert_eq!(keys_of(tags.view(), "odd:host%").count(), 1);
    // Terms that do not parse must not count as "all".
    for (good, odd) in [
        ("deny 10.64.9.0/24", "allow everything"),
        ("deny any remote 10.2.0.11/32", "deny any on fridays"),
        ("\"untranslated\"", "\"sometimes\""),
        ("[\"10.99.0.0/16\"]", "[\"0.0.0.0/0\"]"),
        ("[\"10.99.0.0/16\"]", "false"),
        ("[\"10.3.0.0/24\"]", "[\"10.3.0.0\"]"),
        ("\"10.2.0.11\"", "\"10.2.0\""),
    ] {
        let odd = entries[1].1.replace(good, odd);
        assert_ne!(odd, entries[1].1);
        assert_eq!(super::half(&key, "to:db", &odd), None);
    }
    let rules = [("odd:host%".into(), None)].into();
    let said = Others { rules, ..Others::default() };
    assert_eq!(declared_by_others("hv1", &key, tags.view()), (said, 1));
}
