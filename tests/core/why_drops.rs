//! `why` names each drop of the traffic design, and each thing of others that wins; beside each, the same question passes
//! before, or another one does.

use ovn_peerd::northbound::tables::logical_router;
use ovn_peerd::view::{Passes, Reason, State, Whose, WhyFact};

use crate::why_scene::{Scene, assert_passes, stopped};

const A: &str = "a:10.1.0.10";
const B: &str = "b:10.2.0.10";
const C: &str = "c:10.3.0.10";

fn peered() -> Scene {
    let mut scene = Scene::new(3);
    scene.peer("a", "b");
    scene.rest();
    for (from, to) in [(A, B), (B, A), ("a:fd01::a", "b:fd02::a")] {
        for opens in ["any", "ping", "tcp:22", "udp:53", "sctp:9", "47"] {
            assert_passes(&scene.why(from, to, opens));
        }
    }
    assert_passes(&scene.why("a", "b", "any"));
    scene
}

/// With lists of both halves.
fn filtered(of_a: &str, of_b: &str) -> Scene {
    let mut scene = Scene::new(3);
    scene.half("a", "b", of_a);
    scene.half("b", "a", of_b);
    scene.rest();
    scene
}

/// The half, the list and the entry of the filter that stops it.
#[track_caller]
fn filter(why: &ovn_peerd::view::WhyView) -> (String, String, Option<usize>) {
    match stopped(why) {
        WhyFact::Filter { half, list, entry, .. } => {
            (half.clone().unwrap_or_default(), list.clone(), *entry)
        }
        other => panic!("{other:?} in {why:#?}"),
    }
}

#[test]
fn the_entry_of_the_list_that_denies_is_named() {
    let scene = filtered(
        "out = [{ protocol = \"tcp\", ports = [22, 80] }, { protocol = \"icmp\" }, { protocol = \"udp\" }]",
        "in = [{ action = \"deny\", protocol = \"tcp\", ports = [22] }, { protocol = \"tcp\" }, \
         { action = \"deny\", remote = [\"10.1.0.11/32\"] }, { protocol = \"icmp\" }]\nout = []",
    );
    assert_passes(&scene.why(A, B, "tcp:80"));
    assert_passes(&scene.why(A, B, "ping"));
    let half = |of: &str| format!("p{of}/{of}/to-{}", if of == "a" { "b" } else { "a" });
    let found = |from: &str, to: &str, opens: &str| filter(&scene.why(from, to, opens));
    assert_eq!(found(A, B, "tcp:22"), (half("b"), "in".into(), Some(1)));
    assert_eq!(found("a:10.1.0.11", B, "ping"), (half("b"), "in".into(), Some(3)));
    assert_eq!(found(A, B, "tcp:443"), (half("a"), "out".into(), None));
    assert_eq!(found(A, B, "udp:53"), (half("b"), "in".into(), None));
    assert_eq!(found(B, A, "tcp:80"), (half("b"), "out".into(), None));
    assert_eq!(found("a:fd01::a", "b:fd02::a", "tcp:22"), (half("b"), "in".into(), Some(1)));
    // For whole networks: a part passes.
    assert_eq!(scene.why("a", "b", "tcp:80").passes, Passes::Yes);
    let some = scene.why("a", "b", "any");
    assert_eq!(some.passes, Passes::Unsure, "{some:#?}");
    assert_eq!(scene.why("b", "a", "tcp").passes, Passes::No);
}

#[test]
fn a_list_that_the_operator_closes_is_named() {
    let mut scene = Scene::with(2, "[policy]\nfilters = \"closed\"\n", "");
    scene.half("a", "b", "out = [{}]");
    scene.half("b", "a", "");
    scene.rest();
    let why = scene.why(A, B, "tcp:22");
    let WhyFact::Filter { network, list, by_policy, .. } = stopped(&why) else {
        panic!("{why:#?}")
    };
    assert_eq!((network.as_str(), list.as_str(), *by_policy), ("pb/b", "in", true));
    scene.half("b", "a", "in = [{}]");
    scene.rest();
    assert_passes(&scene.why(A, B, "tcp:22"));
}

#[test]
fn an_entry_that_stops_the_reply_is_named() {
    // b may open nothing from 10.2.0.10, and a deny without ports stops its replies, too.
    let scene =
        filtered("in = [{ action = \"deny\", remote = [\"10.2.0.10/32\"] }, {}]\nout = [{}]", "");
    let why = scene.why(A, B, "tcp:22");
    let WhyFact::Filter { half, list, entry, of_reply, .. } = stopped(&why) else {
        panic!("{why:#?}")
    };
    assert_eq!(half.as_deref(), Some("pa/a/to-b"));
    assert_eq!((list.as_str(), *entry, *of_reply), ("in", Some(1), true));
    assert_passes(&scene.why(A, "b:10.2.0.11", "tcp:22"));
}

#[test]
fn what_is_no_reply_is_dropped_where_state_is_kept() {
    let mut scene = filtered("in = []\nout = [{}]", "");
    // Policies keep no state: UDP passes as a reply.
    assert_eq!(scene.why(B, A, "udp:53").passes, Passes::Yes);
    scene.half("a", "b", "in = []\nout = [{}]\nstateful = true");
    scene.rest();
    let why = scene.why(B, A, "udp:53");
    let WhyFact::Filter { .. } = stopped(&why) else { panic!("{why:#?}") };
    let guard = |step: &ovn_peerd::view::WhyStep| matches!(&step.what, WhyFact::Ends { why, .. } if why == "guard");
    assert!(why.there.iter().any(guard), "{why:#?}");
    assert_passes(&scene.why(A, B, "udp:53"));
}

#[test]
fn an_address_that_does_not_cross_is_named() {
    let mut scene = Scene::new(2);
    scene.half("a", "b", "export = [\"10.1.0.0/25\", \"fd01::/64\"]");
    scene.half("b", "a", "import = [\"10.1.0.0/26\", \"fd01::/64\"]");
    scene.rest();
    let why = scene.why("a:10.1.0.100", B, "ping");
    let WhyFact::Crosses { network, to, prefix, .. } = stopped(&why) else { panic!("{why:#?}") };
    assert_eq!((network.as_str(), to.as_str(), *prefix), ("pa/a", "pb/b", None));
    let why = scene.why("a:10.1.0.200", B, "ping");
    let WhyFact::Crosses { because: Some(because), .. } = stopped(&why) else { panic!("{why:#?}") };
    assert!(because.contains("`export`"), "{because}");
}

#[test]
fn who_has_no_half_is_named() {
    let mut scene = peered();
    let why = scene.why(A, C, "ping");
    assert_eq!(*stopped(&why), WhyFact::NoHalf { network: "pa/a".into(), target: "pc/c".into() });
    // Not transitive.
    scene.peer("b", "c");
    scene.rest();
    assert_passes(&scene.why(B, C, "ping"));
    assert!(matches!(stopped(&scene.why(A, C, "ping")), WhyFact::NoHalf { .. }));
    // One half alone.
    scene.half("a", "c", "");
    scene.rest();
    let why = scene.why(A, C, "ping");
    assert_eq!((why.state, why.reason), (Some(State::PendingPeer), Some(Reason::AwaitingPeer)));
    assert!(matches!(stopped(&why), WhyFact::Half { .. }), "{why:#?}");
}

#[test]
fn rows_of_others_that_win_are_named() {
    let scene = || peered();
    // A policy that drops.
    let mut it = scene();
    let row = it.policy("b", 32_500, "ip4.src == 10.1.0.10 && tcp", "drop");
    let why = it.why(A, B, "tcp:22");
    let WhyFact::Policy { at, whose, row: found, .. } = stopped(&why) else { panic!("{why:#?}") };
    assert_eq!((at.as_str(), *whose), ("pb/b", Whose::Others));
    assert_eq!(*found, Some(row.to_string()));
    assert_passes(&it.why(A, B, "udp:53"));
    it.remove("b", logical_router::POLICIES, row);
    assert_passes(&it.why(A, B, "tcp:22"));
    // One that drops the reply.
    it.policy("a", 32_500, "ip4.src == 10.2.0.10", "drop");
    let why = it.why(A, B, "tcp:22");
    assert!(matches!(stopped(&why), WhyFact::Policy { whose: Whose::Others, .. }));
    assert_eq!(why.there.iter().find(|step| step.passes != Passes::Yes), None);
    // One below ours does nothing.
    let mut it = scene();
    it.policy("b", 31_000, "ip4.src == 10.1.0.10", "drop");
    assert_passes(&it.why(A, B, "tcp:22"));
    // A reroute.
    it.reroute("a", 33_000 - 800, "ip4.dst == 10.2.0.0/25", "10.1.0.99");
    let why = it.why(A, B, "tcp:22");
    let WhyFact::Policy { action, whose, .. } = stopped(&why) else { panic!("{why:#?}") };
    assert_eq!((action.as_str(), *whose), ("reroute", Whose::Others));
    assert_passes(&it.why(A, "b:10.2.0.200", "tcp:22"));
    // A route that steals, one that discards, and one to a guest at the other side.
    for (router, hop) in [("a", "10.1.0.99"), ("a", "discard"), ("b", "10.2.0.99")] {
        let mut it = scene();
        let prefix = if router == "a" { "10.2.0.0/25" } else { "10.2.0.8/29" };
        let row = it.route(router, prefix, hop);
        let why = it.why(A, B, "ping");
        let WhyFact::Route { at, whose, row: found, .. } = stopped(&why) else {
            panic!("{why:#?}")
        };
        assert_eq!((at, *whose), (&format!("p{router}/{router}"), Whose::Others));
        assert_eq!(*found, Some(row.to_string()));
        assert_passes(&it.why(A, "b:10.2.0.200", "ping"));
    }
}

#[test]
fn what_cannot_be_read_makes_no_wrong_claim() {
    let mut it = peered();
    it.policy("b", 32_500, "ip.ttl == 1 && ip4", "drop");
    let why = it.why(A, B, "tcp:22");
    assert_eq!(why.passes, Passes::Unsure, "{why:#?}");
    assert_eq!(why.reserves[0].code, "match");
    // Where it changes nothing it is certain.
    let mut it = peered();
    it.policy("b", 32_500, "ip.ttl == 1 && ip4", "allow");
    assert_passes(&it.why(A, B, "tcp:22"));
    it.policy("b", 32_400, "ip4.src == $theirs", "drop");
    assert_eq!(it.why(A, B, "tcp:22").passes, Passes::Unsure);
    assert_passes(&it.why("a:fd01::a", "b:fd02::a", "tcp:22"));
    it.policy("b", 32_600, "ip4", "jump");
    let why = it.why(A, B, "tcp:22");
    assert_eq!((why.passes, &*why.reserves[0].code), (Passes::Unsure, "chain"));
}

#[test]
fn rows_of_ours_that_are_gone_are_noticed() {
    let mut it = peered();
    for row in it.our_routes("a") {
        it.remove("a", logical_router::STATIC_ROUTES, row);
    }
    let why = it.why(A, B, "ping");
    let WhyFact::NoRoute { at, .. } = stopped(&why) else { panic!("{why:#?}") };
    assert_eq!(at, "pa/a");
    // Without its allow, the packets end at the last drop of the link.
    let mut it = peered();
    for row in it.ours("b", 32_200) {
        it.remove("b", logical_router::POLICIES, row);
    }
    let why = it.why(A, B, "ping");
    let WhyFact::Policy { whose, means: Some(means), .. } = stopped(&why) else {
        panic!("{why:#?}")
    };
    assert_eq!(*whose, Whose::OvnPeerd);
    assert_eq!(means, "drop all else from pa/a");
}

#[test]
fn routers_and_ports_that_pass_nothing_are_named() {
    let ends = |why: &ovn_peerd::view::WhyView| match stopped(why) {
        WhyFact::Ends { at, why, .. } => (at.clone(), why.clone()),
        other => panic!("{other:?}"),
    };
    let it = peered();
    assert_eq!(ends(&it.why(A, "b:10.2.0.1", "tcp:22")).1, "router-is-silent");
    assert_passes(&it.why(A, "b:10.2.0.1", "ping"));
    assert_eq!(ends(&it.why("a:10.1.0.1", B, "ping")).1, "own-source");
    let mut it = peered();
    it.disable_port("b-in");
    assert_eq!(ends(&it.why(B, A, "ping")).1, "port");
    let mut it = peered();
    it.disable_router("b");
    assert_eq!(ends(&it.why(A, B, "ping")).1, "router-disabled");
    let why = it.why("a:10.9.0.9", B, "ping");
    assert!(matches!(stopped(&why), WhyFact::Crosses { .. } | WhyFact::Ends { .. }), "{why:#?}");
}

#[test]
fn nat_that_translates_between_peers_is_named() {
    let mut scene = Scene::with(2, "", "chassis = \"hv1\"\n");
    let row = scene.nat("a", "snat", "10.1.0.0/24", "172.16.0.1");
    scene.peer("a", "b");
    scene.rest();
    // It is exempted by a set of ours.
    assert_passes(&scene.why(A, B, "ping"));
    let database = &mut scene.world.database;
    database.set(
        ovn_peerd::northbound::tables::NAT,
        row,
        ovn_peerd::northbound::tables::nat::EXEMPTED_EXT_IPS,
        ovn_peerd::ovsdb::Value::empty(),
    );
    scene.world.hear();
    let why = scene.why(A, B, "ping");
    assert_eq!(why.passes, Passes::No, "{why:#?}");
    let nat = why.there.iter().find_map(|step| match &step.what {
        WhyFact::Nat { row, to, .. } => Some((row.clone(), to.to_string())),
        _ => None,
    });
    assert_eq!(nat, Some((Some(row.to_string()), "172.16.0.1".into())));
}

#[test]
fn what_passes_an_appliance_or_a_gateway_is_told() {
    let mut scene = Scene::new(3);
    scene.half("a", "b", "reach_through = [\"10.3.0.0/24\"]");
    scene.half("c", "b", "reach_through = [\"10.1.0.0/24\"]");
    scene.half("b", "a", "");
    scene.half("b", "c", "");
    scene.more(
        "b",
        "[[appliance]]\nnetwork = \"b\"\nbetween = [\"to-a\", \"to-c\"]\naddress = [\"10.2.0.11\"]\n",
    );
    scene.rest();
    let why = scene.why(A, C, "ping");
    assert_eq!(why.passes, Passes::Unsure, "{why:#?}");
    assert!(why.reserves.iter().any(|it| it.code == "appliance"), "{why:#?}");
    let appliance = |step: &ovn_peerd::view::WhyStep| matches!(&step.what, WhyFact::Appliance { address, .. } if address.to_string() == "10.2.0.11");
    assert!(why.there.iter().any(appliance) && why.back.iter().any(appliance), "{why:#?}");
    // What is named by the hub's network is the same.
    assert_eq!(scene.why(A, "b:10.3.0.10", "ping").passes, Passes::Unsure);
    let told = scene.why_as("pa", A, "b:10.3.0.10", "ping");
    assert_eq!(told.passes, Passes::Unsure, "{told:#?}");
    // One consent less, and nothing passes.
    scene.half("c", "b", "");
    scene.rest();
    assert_eq!(scene.why(A, C, "ping").passes, Passes::No);
    assert_eq!(scene.why(A, "b:10.3.0.10", "ping").passes, Passes::No);

    let mut scene = Scene::new(2);
    scene.add(
        "[[router]]\nname = \"b\"\n[[router.port]]\nname = \"b-up\"\nnetworks = [\"172.16.0.2/24\"]\ngateway = true\nvm = true\n\
         [[router.route]]\nprefix = \"0.0.0.0/0\"\nnexthop = \"172.16.0.1\"\n[[router.nat]]\ntype = \"snat\"\nlogical_ip = \"10.2.0.0/24\"\nexternal_ip = \"172.16.0.2\"\n",
    );
    scene.half("a", "b", "use_gateway = true");
    scene.half("b", "a", "gateway = \"offer\"");
    scene.rest();
    let out = scene.why(A, "b:198.51.100.7", "tcp:443");
    assert_eq!(out.passes, Passes::Yes, "{out:#?}");
    assert!(out.there.iter().any(|step| matches!(step.what, WhyFact::Gateway { .. })));
    assert!(out.there.iter().any(|step| matches!(step.what, WhyFact::Nat { .. })));
    assert_passes(&scene.why(A, B, "ping"));
    scene.half("b", "a", "");
    scene.rest();
    assert_eq!(scene.why(A, "b:198.51.100.7", "tcp:443").passes, Passes::No);
}

#[test]
fn a_load_balancer_of_the_other_side_is_followed_to_its_backends() {
    let mut scene = Scene::new(2);
    scene.add(
        "[[balancer]]\nname = \"lb\"\nport = \"b-in\"\nvips = { \"10.2.0.100:80\" = \"10.2.0.10:8080\" }\n",
    );
    scene.half("a", "b", "use_load_balancers = true");
    scene.half(
        "b",
        "a",
        "load_balancers = [\"lb\"]\nin = [{ protocol = \"tcp\", ports = [8080] }]",
    );
    scene.rest();
    let why = scene.why(A, "b:10.2.0.100", "tcp:80");
    assert_eq!(why.passes, Passes::Yes, "{why:#?}");
    assert!(why.there.iter().any(|step| matches!(&step.what, WhyFact::Balancer { backends, .. } if backends[..] == ["10.2.0.10:8080"])));
    assert_eq!(scene.why_as("pa", A, "b:10.2.0.100", "tcp:80").passes, Passes::Yes);
    // The lists see the backend's port.
    assert_eq!(filter(&scene.why(A, B, "tcp:80")).1, "in");
    scene.half("b", "a", "load_balancers = [\"lb\"]\nin = [{ protocol = \"tcp\", ports = [80] }]");
    scene.rest();
    assert_eq!(filter(&scene.why(A, "b:10.2.0.100", "tcp:80")).1, "in");
}

#[test]
fn an_owner_is_told_no_row_and_nothing_of_the_other_router() {
    let mut it = peered();
    let row = it.policy("b", 32_500, "ip4.src == 10.1.0.10 && tcp", "drop");
    it.world.rest();
    assert_eq!(it.why(A, B, "tcp:22").passes, Passes::No);
    let told = it.why_as("pa", A, B, "tcp:22");
    // Only what `show` has: that a policy there may come before.
    assert_eq!((told.passes, &*told.reserves[0].code), (Passes::Unsure, "shadowed"), "{told:#?}");
    let text = serde_json::to_string(&told).unwrap();
    assert!(!text.contains(&row.to_string()) && !text.contains("10.1.0.10 &&"), "{text}");
    // Its own router it may know.
    let told = it.why_as("pb", A, B, "tcp:22");
    assert!(matches!(stopped(&told), WhyFact::Policy { row: None, .. }), "{told:#?}");
    // Of lists: its own entries, and the other side's as `show` has them.
    let scene = filtered("", "in = [{ protocol = \"tcp\", ports = [5432] }]");
    let told = scene.why_as("pa", A, B, "tcp:22");
    let WhyFact::Filter { half: None, list, entry: None, .. } = stopped(&told) else {
        panic!("{told:#?}")
    };
    assert_eq!(list, "in");
    assert_eq!(
        filter(&scene.why_as("pb", A, B, "tcp:22")),
        ("pb/b/to-a".into(), "in".into(), None)
    );
    for project in ["pa", "pb"] {
        assert_eq!(scene.why_as(project, A, B, "tcp:5432").passes, Passes::Yes);
    }
}

/// `verify` finds what a person did while no daemon ran, and nothing before and after.
#[test]
fn verify_finds_what_should_not_be() {
    let mut it = peered();
    it.half("a", "b", "in = [{ protocol = \"tcp\", ports = [22] }]");
    it.peer("b", "c");
    it.rest();
    let clean = it.verify();
    assert_eq!(clean.found, [], "{clean:#?}");
    assert!(clean.peerings == 2 && clean.must_pass > 4 && clean.must_not > 10, "{clean:#?}");
    assert_eq!(clean.unsure, 0);
    let codes = |it: &Scene| -> Vec<String> {
        let found = it.verify().found;
        found.iter().map(|finding| finding.code.clone()).collect()
    };
    // A policy of ours is removed, and nobody repairs it.
    for priority in [32_280, 32_100, 32_090] {
        let rows = it.ours("a", priority);
        assert!(!rows.is_empty(), "{priority}");
        for row in rows {
            it.remove("a", logical_router::POLICIES, row);
        }
        let found = codes(&it);
        assert!(found.contains(&"row-missing".to_owned()), "{priority}: {found:?}");
        let by_packet = if priority == 32_280 { "does-not-pass" } else { "passes" };
        assert!(found.contains(&by_packet.to_owned()), "{priority}: {found:?}");
        it.world.rest();
        assert_eq!(it.verify().found, []);
    }
    // A policy of somebody else's opens.
    for (priority, text, action) in [
        (32_500, "ip4.dst == 10.1.0.0/24", "allow"),
        (32_500, "ip4.src == 203.0.113.0/24", "allow"),
        (32_400, "ip4 && tcp.dst == 9", "allow"),
    ] {
        let row = it.policy("a", priority, text, action);
        let found = it.verify().found;
        assert!(found.iter().any(|it| it.code == "passes"), "{text}: {found:#?}");
        it.remove("a", logical_router::POLICIES, row);
        assert_eq!(it.verify().found, [], "{text}");
    }
    // A route of somebody else's steals, all or a part.
    for (router, prefix) in [("a", "10.2.0.0/25"), ("a", "10.2.0.77/32"), ("c", "fd02::/80")] {
        let hop = match (router, prefix.contains(':')) {
            (_, true) => "fd03::99",
            _ => "10.1.0.99",
        };
        let row = it.route(router, prefix, hop);
        let found = it.verify().found;
        let stolen = |it: &ovn_peerd::view::VerifyFinding| {
            it.code == "does-not-pass"
                && matches!(it.by.as_ref().map(|by| &by.what), Some(WhyFact::Route { .. }))
        };
        assert!(found.iter().any(stolen), "{prefix}: {found:#?}");
        it.remove(router, logical_router::STATIC_ROUTES, row);
        assert_eq!(it.verify().found, [], "{prefix}");
    }
    // What is below ours is no matter.
    it.policy("a", 31_000, "ip4.dst == 10.1.0.0/24", "allow");
    assert_eq!(it.verify().found, []);
}
