//! Links of other tools whose place peerings take (B16): no packet is lost, nothing else of others is touched, and what would be
//! missing is said before.

use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::{Host, Ping, Stream};
use crate::lab::probe::PingReport;
use crate::others::link_of_incus;
use crate::owned::{foreign, link_rows};
use crate::tenants::{Tenants, assert_says, half, status};

/// Packets a second of each flow.
const RATE: u32 = 1000;

/// A link of another tool between routers `a` and `b`.
struct Theirs {
    /// How it makes it.
    add: &'static str,
    /// Whether it links in IPv6 as well.
    ip6: bool,
    /// What of the tool stays, and how it goes when the tool forgets the link.
    left: &'static str,
    /// A word of the command by which the tool forgets it; none if no tool made it.
    forget: &'static str,
}

/// Ports that name each other, with routes by their next hops alone.
const BY_PEER: &str = "lrp-add a hand-a 0a:00:00:00:02:01 169.254.7.1/30 fd07::1/64 peer=hand-b\n\
    lrp-add b hand-b 0a:00:00:00:02:02 169.254.7.2/30 fd07::2/64 peer=hand-a\n\
    lr-route-add a 10.2.0.0/24 169.254.7.2\nlr-route-add b 10.1.0.0/24 169.254.7.1\n\
    lr-route-add a fd02::/64 fd07::2\nlr-route-add b fd01::/64 fd07::1";
/// A switch with a port of each.
const BY_SWITCH: &str = "ls-add ts\n\
    lrp-add a ts-a 0a:00:00:00:02:03 169.254.8.1/24\nlrp-add b ts-b 0a:00:00:00:02:04 169.254.8.2/24\n\
    lsp-add ts ts-1\nlsp-set-type ts-1 router\nlsp-set-addresses ts-1 router\n\
    lsp-set-options ts-1 router-port=ts-a\n\
    lsp-add ts ts-2\nlsp-set-type ts-2 router\nlsp-set-addresses ts-2 router\n\
    lsp-set-options ts-2 router-port=ts-b\n\
    lr-route-add a 10.2.0.0/24 169.254.8.2 ts-a\nlr-route-add b 10.1.0.0/24 169.254.8.1 ts-b";
/// As Kube-OVN writes it: ports named by both routers, and the routes of `staticRoutes`.
const KUBE_OVN: &str = "lrp-add a a-b 0a:00:00:00:02:05 169.254.0.1/30 peer=b-a\n\
    lrp-add b b-a 0a:00:00:00:02:06 169.254.0.2/30 peer=a-b\n\
    set Logical_Router_Port a-b external_ids:vendor=kube-ovn\n\
    set Logical_Router_Port b-a external_ids:vendor=kube-ovn\n\
    lr-route-add a 10.2.0.0/24 169.254.0.2\nlr-route-add b 10.1.0.0/24 169.254.0.1";

const ALL: [Theirs; 4] = [
    Theirs { add: BY_PEER, ip6: true, left: "", forget: "" },
    Theirs { add: BY_SWITCH, ip6: false, left: "", forget: "" },
    Theirs { add: KUBE_OVN, ip6: false, left: "", forget: "kubectl edit vpc a b" },
    // `link_of_incus` makes it, under names that no tool would give.
    Theirs {
        add: "",
        ip6: true,
        left: "lr-policy-del a 600\nlr-policy-del a 500\nlr-policy-del b 600\nlr-policy-del b 500",
        forget: "",
    },
];

impl Theirs {
    #[track_caller]
    fn make(&self, lab: &Lab) {
        match self.add {
            "" => link_of_incus(lab, [24, 64]),
            lines => drop(lab.nbctl_batch(lines)),
        }
    }
}

/// `take-over`, with what is asked for.
pub(crate) fn take_over(tenants: &Tenants, words: &[&str]) -> (Option<i32>, Value) {
    let Output { status, stdout, stderr } =
        tenants.daemon.ctl(&[&["take-over", "--format", "json"], words].concat());
    let said = serde_json::from_slice(&stdout);
    let said = said.unwrap_or_else(|_| serde_json::from_slice(&stderr).unwrap_or_default());
    (status.code(), said)
}

/// Both halves are declared, and another tool's link is in the way.
#[track_caller]
pub(crate) fn wait_in_the_way(tenants: &Tenants) -> [Value; 2] {
    let (blue, green) = (tenants.wait_blue("failed"), tenants.wait_green("failed"));
    assert_says(&blue, "foreign-link", &["green/db"]);
    assert_says(&green, "foreign-link", &["blue/web"]);
    [blue, green]
}

/// Some seconds pass, in which packets get through.
#[track_caller]
fn some_seconds(from: &Host, to: &Host) {
    let how = Ping { count: 100, interval: Duration::from_millis(15), ..Ping::default() };
    let report = from.ping(to.v4(), how);
    assert_eq!(report.lost(), 0, "{report:?}");
}

#[test]
fn a_link_of_another_tool_is_taken_over_and_no_packet_is_lost() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let [a1, a2] = ["a1", "a2"].map(|name| lab.add_guest(&tenants.a, name, 0));
    let [b1, b2] = ["b1", "b2"].map(|name| lab.add_guest(&tenants.b, name, 0));
    // Kube-OVN's policy for what is its subnet stays.
    lab.nbctl_batch("lr-policy-add a 31000 'ip4.dst == 10.1.0.0/24' allow");
    lab.settle();
    for theirs in &ALL {
        let before = foreign(&lab);
        tenants.hear_of(|| theirs.make(&lab));
        tenants.both_declare();
        let [blue, _] = wait_in_the_way(&tenants);
        assert!(blue["next_step"].as_str().is_some_and(|it| it.contains("take-over")), "{blue}");
        lab.sync_packets();
        a1.assert_reach_all(&[b1.v4()]);
        let untouched = foreign(&lab);
        let (code, said) = take_over(&tenants, &["--all", "--dry-run"]);
        assert_eq!((code, &said["links"][0]["outcome"]), (Some(0), &"ready".into()), "{said}");
        assert!(said["links"][0]["rows"].as_array().is_some_and(|rows| rows.len() >= 4), "{said}");
        foreign(&lab).assert_same_as(&untouched);
        let last = if theirs.ip6 { (&a2, b1.v6()) } else { (&a2, b1.v4()) };
        last.0.assert_reach_all(&[last.1]);
        let flows = [(&a1, b1.v4()), (&b2, a2.v4()), last];
        let flows = flows.map(|(from, to)| from.stream(to, RATE));
        some_seconds(&a2, &b2);
        let (code, said) = take_over(&tenants, &["blue/web/to-db"]);
        assert_eq!((code, &said["links"][0]["outcome"]), (Some(0), &"taken-over".into()), "{said}");
        tenants.wait_active();
        some_seconds(&a2, &b2);
        let reports = flows.map(Stream::finish);
        let [sent, lost] = [
            reports.iter().map(|report| report.sent).sum::<u32>(),
            reports.iter().map(PingReport::lost).sum(),
        ];
        println!(
            "{lost} of {sent} lost in the take-over of {}",
            theirs.add.lines().next().unwrap_or("an Incus link")
        );
        assert_eq!(lost, 0, "{reports:#?}");
        let forget = said["links"][0]["forget"].to_string();
        assert!(forget.contains(theirs.forget), "{forget}");
        // What others own is as it was before their link, but for what their tool has to remove itself.
        if !theirs.left.is_empty() {
            lab.nbctl_batch(theirs.left);
        }
        tenants.wait_active();
        foreign(&lab).assert_same_as(&before);
        assert!(tenants.daemon.log().contains("root: take-over"), "{}", tenants.daemon.log());
        assert_eq!(status(&tenants.daemon)["counters"]["links_taken_over"], 1);
        // Nothing is in the way any more.
        let (code, said) = take_over(&tenants, &["blue/web/to-db"]);
        assert_eq!((code, &said["error"]["code"]), (Some(1), &"no-foreign-link".into()), "{said}");
        let (code, said) = take_over(&tenants, &["--all"]);
        assert_eq!((code, &said["links"]), (Some(0), &Value::Array(vec![])), "{said}");
        tenants.daemon.withdraw("blue");
        tenants.daemon.withdraw("green");
        tenants.daemon.wait_until("both are gone", |_| match link_rows(&lab.dump()).len() {
            0 => Ok(()),
            n => Err(format!("{n} rows")),
        });
        // So that what is declared and withdrawn for the next one is no flapping.
        tenants.daemon.restart();
    }
}

/// Back to the tool's own link, as docs/take-over.md says: ours goes first.
#[test]
fn a_take_over_is_rolled_back() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let (a1, b1) = (lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&tenants.b, "b1", 0));
    tenants.hear_of(|| lab.nbctl_batch(BY_PEER));
    tenants.both_declare();
    wait_in_the_way(&tenants);
    let theirs = foreign(&lab);
    assert_eq!(take_over(&tenants, &["--all"]).0, Some(0));
    tenants.wait_active();
    lab.sync_packets();
    a1.assert_reaches(&b1);
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    lab.sync_packets();
    a1.assert_isolated_from(&b1);
    lab.nbctl_batch(BY_PEER);
    lab.sync_packets();
    a1.assert_reaches(&b1);
    b1.assert_tcp(&a1);
    // The rows have other UUIDs, and are the same otherwise.
    let routes = |dump: &crate::lab::northbound::Dump| {
        dump.table("Logical_Router_Static_Route").len() + dump.table("Logical_Router_Port").len()
    };
    assert_eq!(routes(&foreign(&lab)), routes(&theirs));
    // A restart takes nothing over by itself.
    tenants.blue_declares();
    wait_in_the_way(&tenants);
    tenants.daemon.restart();
    wait_in_the_way(&tenants);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
}

/// What the tool's link carries and the peering would not is said to each side, and nothing is taken over before it is mended.
#[test]
fn without_parity_nothing_is_taken_over() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    // A prefix behind a guest of green, and one that green knows nothing of.
    tenants.hear_of(|| {
        lab.nbctl_batch(BY_PEER);
        lab.nbctl_batch(
            "lr-route-add b 10.60.0.0/24 10.2.0.60\nlr-route-add a 10.60.0.0/24 169.254.7.2\n\
             lr-route-add a 10.61.0.0/24 169.254.7.2",
        )
    });
    tenants.both_declare();
    let [blue, green] = wait_in_the_way(&tenants);
    assert_says(
        &blue,
        "foreign-link",
        &["cannot be taken over", "10.60.0.0/24", "10.61.0.0/24", "router a"],
    );
    assert_says(&green, "foreign-link", &["cannot be taken over", "10.60.0.0/24"]);
    assert!(green["next_step"].as_str().is_some_and(|it| it.contains("may_export")), "{green}");
    assert!(
        !green["explanation"].to_string().contains("10.61."),
        "it is nothing of green's: {green}"
    );
    let theirs = foreign(&lab);
    for words in [&["--all"][..], &["blue/web/to-db"]] {
        let (code, said) = take_over(&tenants, words);
        assert_eq!((code, &said["links"][0]["outcome"]), (Some(1), &"no-parity".into()), "{said}");
        assert!(said.to_string().contains("may_export"), "{said}");
    }
    foreign(&lab).assert_same_as(&theirs);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    let plan = tenants.daemon.ctl(&["plan"]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("cannot be taken over") && plan.contains("may_export"), "{plan}");
    // Both are mended: the operator owns one to the network, and the other route goes.
    tenants.daemon.write(
        "networks.d/green-db.toml",
        "[[network]]\nproject = \"green\"\nname = \"db\"\nrouter = \"b\"\nmay_export = [\"10.60.0.0/24\"]\n",
    );
    lab.nbctl_batch("lr-route-del a 10.61.0.0/24");
    poll("it can be taken over", Duration::from_secs(5), || {
        let (code, said) = take_over(&tenants, &["--all", "--dry-run"]);
        if code == Some(0) { Ok(()) } else { Err(said.to_string()) }
    });
    // A policy that sends over the link has no like in a peering.
    lab.nbctl_batch("lr-policy-add a 7 'ip4.dst == 10.62.0.0/16' reroute 169.254.7.2");
    poll("the policy is in the way", Duration::from_secs(5), || {
        let (code, said) = take_over(&tenants, &["--all", "--dry-run"]);
        let named = said.to_string().contains("reroute policy of priority 7");
        if code == Some(1) && named { Ok(()) } else { Err(said.to_string()) }
    });
    lab.nbctl_batch("lr-policy-del a 7");
    poll("it is taken over", Duration::from_secs(5), || {
        let (code, said) = take_over(&tenants, &["--all"]);
        if code == Some(0) { Ok(()) } else { Err(said.to_string()) }
    });
    tenants.wait_active();
    // Of the tool's routes those over its link are gone, and the one to its guest is there.
    let routes = lab.nbctl(&["lr-route-list", "b"]);
    assert!(routes.contains("10.60.0.0/24") && !routes.contains("169.254"), "{routes}");
}

/// All at once, of a hub: each link by a transaction of its own.
#[test]
fn all_links_of_a_hub_are_taken_over() {
    const SPOKES: usize = 20;
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let [mut rows, mut hub, mut spokes, mut networks] = [(); 4].map(|()| String::new());
    for n in 0..SPOKES {
        let macs = [lab.fresh_mac(), lab.fresh_mac(), lab.fresh_mac()];
        rows += &format!(
            "lr-add s{n}\nlrp-add s{n} s{n}-p {} 10.50.{n}.1/24\n\
             lrp-add a a-s{n} {} 169.254.{n}.1/30 peer=s{n}-a\n\
             lrp-add s{n} s{n}-a {} 169.254.{n}.2/30 peer=a-s{n}\n\
             lr-route-add a 10.50.{n}.0/24 169.254.{n}.2 a-s{n}\n\
             lr-route-add s{n} 10.1.0.0/24 169.254.{n}.1 s{n}-a\n",
            macs[0], macs[1], macs[2]
        );
        hub += &half(&format!("to-{n}"), "web", &format!("red/n{n}"));
        spokes += &half("to-hub", &format!("n{n}"), "blue/web");
        networks +=
            &format!("[[network]]\nproject = \"red\"\nname = \"n{n}\"\nrouter = \"s{n}\"\n");
    }
    tenants.hear_of(|| lab.nbctl_batch(&rows));
    tenants.daemon.write("networks.d/red.toml", &networks);
    tenants.daemon.declare("red", &spokes);
    tenants.daemon.declare("blue", &hub);
    poll("all can be taken over", Duration::from_secs(10), || {
        let (code, said) = take_over(&tenants, &["--all", "--dry-run"]);
        let count = said["links"].as_array().map_or(0, Vec::len);
        if code == Some(0) && count == SPOKES { Ok(()) } else { Err(said.to_string()) }
    });
    let written = lab.northbound_transactions();
    let (code, said) = take_over(&tenants, &["--all"]);
    assert_eq!(code, Some(0), "{said}");
    let outcomes = said["links"].as_array().into_iter().flatten().map(|link| &link["outcome"]);
    assert_eq!(outcomes.filter(|it| **it == "taken-over").count(), SPOKES, "{said}");
    println!("{SPOKES} links by {} transactions", lab.northbound_transactions() - written);
    crate::tenants::wait_all_active(&tenants.daemon);
    let left = lab.nbctl(&["lr-route-list", "a"]);
    assert!(!left.contains("169.254"), "{left}");
    assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
}
