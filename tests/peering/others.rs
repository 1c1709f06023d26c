//! What other tools put between the two routers, or under a name of ours: refused before, told later, and the peering kept.

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::{Host, Ping, Stream};
use crate::lab::probe::PingReport;
use crate::lab::traffic::{Asked, Outcome};
use crate::owned::{contents, foreign, link_rows};
use crate::tenants::{Tenants, assert_says, flaws, half};

use Outcome::{Answered, Lost};

/// Waits until blue is active, and told of something that is named so; its half.
#[track_caller]
fn wait_told(tenants: &Tenants, names: &[&str]) {
    tenants.daemon.wait_until(&format!("{names:?} is told"), |halves| {
        let blue = halves.iter().find(|h| h["project"] == "blue").ok_or("no half")?;
        let told = flaws(blue).join("; ");
        let all = names.iter().all(|name| told.contains(name)) && blue["state"] == "active";
        if all { Ok(()) } else { Err(blue.to_string()) }
    });
}

/// Ports that name each other, as LXD makes them; and a switch with a port of each, as OVN-IC would.
const LINKS: [(&str, &str, [&str; 2]); 2] = [
    (
        "lrp-add a lxd-a 0a:00:00:00:01:01 169.254.7.1/30 peer=lxd-b\n\
         lrp-add b lxd-b 0a:00:00:00:01:02 169.254.7.2/30 peer=lxd-a",
        "lrp-del lxd-a\nlrp-del lxd-b",
        ["port lxd-a of router a", "lxd-b"],
    ),
    (
        "ls-add ts\n\
         lrp-add a ts-a 0a:00:00:00:01:03 169.254.8.1/24\nlrp-add b ts-b 0a:00:00:00:01:04 169.254.8.2/24\n\
         lsp-add ts ts-1\nlsp-set-type ts-1 router\nlsp-set-addresses ts-1 router\n\
         lsp-set-options ts-1 router-port=ts-a\n\
         lsp-add ts ts-2\nlsp-set-type ts-2 router\nlsp-set-addresses ts-2 router\n\
         lsp-set-options ts-2 router-port=ts-b",
        "ls-del ts\nlrp-del ts-a\nlrp-del ts-b",
        ["port ts-a of router a", "switch ts"],
    ),
];

#[test]
fn a_link_of_another_tool_is_refused_and_named() {
    for (add, remove, named) in LINKS {
        let lab = Lab::databases_only();
        let tenants = Tenants::new(&lab);
        tenants.hear_of(|| lab.nbctl_batch(add));
        let theirs = foreign(&lab);
        tenants.both_declare();
        let (blue, green) = (tenants.wait_blue("failed"), tenants.wait_green("failed"));
        assert_says(&blue, "foreign-link", &[named[0], named[1], "green/db"]);
        assert_says(&green, "foreign-link", &["router b", "blue/web"]);
        assert_eq!(link_rows(&lab.dump()).len(), 0, "nothing is written");
        foreign(&lab).assert_same_as(&theirs);
        lab.nbctl_batch(remove);
        tenants.wait_active();
    }
}

#[test]
fn a_link_of_another_tool_that_appears_later_degrades_and_cuts_nothing() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let (a1, b1) = (lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&tenants.b, "b1", 0));
    tenants.peer();
    let before = contents(&lab.dump());
    for (add, remove, named) in LINKS {
        lab.nbctl_batch(add);
        wait_told(&tenants, &named);
        lab.settle();
        // What the two say to each other over the other link is no forgery: one policy a router says so.
        poll("two policies more", Duration::from_secs(5), || {
            let found = contents(&lab.dump());
            assert_eq!(before.difference(&found).count(), 0, "the peering stands as it was");
            let more: Vec<_> = found.difference(&before).collect();
            let pass = |row: &&&String| row.contains("\"priority\": Number(32095)");
            let are_two = more.len() == 2 && more.iter().filter(pass).count() == 2;
            if are_two { Ok(()) } else { Err(format!("{more:#?}")) }
        });
        a1.assert_reaches(&b1);
        b1.assert_tcp(&a1);
        lab.nbctl_batch(remove);
        tenants.wait_active();
        poll("they leave with the link", Duration::from_secs(5), || {
            let found = contents(&lab.dump());
            if found == before { Ok(()) } else { Err(format!("{found:#?}")) }
        });
    }
}

/// What Incus writes for a peering of its own between the same two: ports with the routers' addresses, a route
/// out of them to each subnet, or to a half of each, and policies that let pass what the two networks say to each other.
pub(crate) fn link_of_incus(lab: &Lab, lengths: [u8; 2]) {
    let mut lines = String::from(
        "lrp-add a inc-a 0a:00:00:00:01:11 10.1.0.1/32 fd01::1/128 peer=inc-b\n\
         lrp-add b inc-b 0a:00:00:00:01:12 10.2.0.1/32 fd02::1/128 peer=inc-a\n",
    );
    for (router, port, prefix, nexthop) in [
        ("a", "inc-a", "10.2.0.0", "10.2.0.1"),
        ("a", "inc-a", "fd02::", "fd02::1"),
        ("b", "inc-b", "10.1.0.0", "10.1.0.1"),
        ("b", "inc-b", "fd01::", "fd01::1"),
    ] {
        let length = lengths[usize::from(prefix.contains(':'))];
        lines += &format!(
            "--id=@{router}{n} create Logical_Router_Static_Route 'ip_prefix=\"{prefix}/{length}\"' 'nexthop=\"{nexthop}\"' output_port={port}\n\
             add Logical_Router {router} static_routes @{router}{n}\n",
            n = if prefix.contains(':') { 6 } else { 4 },
        );
    }
    for (router, port, from, to) in [
        ("a", "inc-a", ["10.2.0.0/24", "fd02::/64"], ["10.1.0.0/24", "fd01::/64"]),
        ("b", "inc-b", ["10.1.0.0/24", "fd01::/64"], ["10.2.0.0/24", "fd02::/64"]),
    ] {
        for (family, from, to) in [("ip4", from[0], to[0]), ("ip6", from[1], to[1])] {
            let way = format!("{family}.src == {from} && {family}.dst == {to}");
            lines += &format!("lr-policy-add {router} 600 'inport == \"{port}\" && {way}' allow\n");
        }
        lines += &format!("lr-policy-add {router} 500 'inport == \"{port}\"' drop\n");
    }
    lab.nbctl_batch(&lines);
}

/// Removes it, as Incus does.
fn unlink_of_incus(lab: &Lab) {
    let out_of = |port: &str| {
        let find = ["--bare", "--columns=_uuid", "find", "Logical_Router_Static_Route"];
        let named = format!("output_port={port}");
        let found = lab.nbctl(&[&find[..], &[named.as_str()]].concat());
        found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut lines = String::new();
    for (router, port) in [("a", "inc-a"), ("b", "inc-b")] {
        for route in out_of(port) {
            lines += &format!("remove Logical_Router {router} static_routes {route}\n");
        }
        lines +=
            &format!("lrp-del {port}\nlr-policy-del {router} 600\nlr-policy-del {router} 500\n");
    }
    lab.nbctl_batch(&lines);
}

/// B3, B16: routes of both links share the traffic out, so what comes over the other tool's is believed as what comes
/// over ours. Nothing is lost while both stand. When either goes, OVS drops what it has hashed for a group of routes that is
/// gone by then: some milliseconds of some flows on a busy machine, at 50 packets a second one of a flow.
#[test]
fn a_link_of_another_tool_beside_ours_loses_no_packet() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let [a1, a2] = ["a1", "a2"].map(|name| lab.add_guest(&tenants.a, name, 0));
    let [b1, b2] = ["b1", "b2"].map(|name| lab.add_guest(&tenants.b, name, 0));
    tenants.peer();
    lab.settle();
    for (from, to) in [(&a1, &b1), (&a2, &b2), (&b1, &a2), (&b2, &a1)] {
        from.assert_reaches(to);
    }
    let flows = || {
        let both = |from: &Host, to: &Host| [from.stream(to.v4(), 50), from.stream(to.v6(), 50)];
        [both(&a1, &b1), both(&a2, &b2), both(&b1, &a2), both(&b2, &a1)].into_iter().flatten()
    };
    let some_seconds = || {
        let how = Ping { count: 100, interval: Duration::from_millis(20), ..Ping::default() };
        let report = a1.ping(b2.v4(), how);
        assert_eq!(report.lost(), 0, "{report:?}");
    };
    let told = ["port inc-a of router a", "inc-b"];
    for ours_goes in [false, true] {
        link_of_incus(&lab, [24, 64]);
        wait_told(&tenants, &told);
        lab.sync();
        let flows: Vec<_> = flows().collect();
        some_seconds();
        if ours_goes {
            tenants.daemon.withdraw("green");
            tenants.wait_blue("disconnected");
        } else {
            unlink_of_incus(&lab);
            tenants.wait_active();
        }
        lab.sync();
        some_seconds();
        let reports: Vec<_> = flows.into_iter().map(Stream::finish).collect();
        let sent: u32 = reports.iter().map(|report| report.sent).sum();
        let lost: u32 = reports.iter().map(PingReport::lost).sum();
        println!("{lost} of {sent} lost, ours goes: {ours_goes}");
        let first = reports.iter().filter_map(|report| report.lost_at.first()).min();
        let last = reports.iter().filter_map(|report| report.lost_at.last()).max();
        let window = first.zip(last).map_or(0, |(first, last)| last - first);
        assert!(window <= 40, "{window} ms, ours goes: {ours_goes}: {reports:#?}");
        let worst = reports.iter().map(PingReport::lost).max();
        assert!(worst <= Some(1), "ours goes: {ours_goes}: {reports:#?}");
    }
    // What comes over it from elsewhere, or is for elsewhere, is not believed for that.
    unlink_of_incus(&lab);
    tenants.green_declares();
    tenants.wait_active();
    lab.assert_all_matches_parse();
}

/// B3, S1.15: the lists of a peering count on another tool's link between the same two routers as well, whichever of the two
/// a packet takes: by shared routes, and by that tool's alone. Without our peering it is that tool's to say what passes.
#[test]
fn lists_count_on_a_link_of_another_tool_as_well() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let [a1, b1] =
        [("a1", &tenants.a), ("b1", &tenants.b)].map(|(n, net)| lab.add_guest(net, n, 0));
    let _serving = [&a1, &b1].map(|host| host.serve_all(&[80, 443], &[53]));
    tenants.peer();
    lab.settle();
    let green = |lists: &str| {
        tenants.daemon.declare("green", &(half("to-web", "db", "blue/web") + lists));
        assert!(tenants.daemon.ctl(&["reload"]).status.success());
        tenants.daemon.wait_quiet();
        lab.sync_packets();
    };
    let [v4, v6] = [b1.v4(), b1.v6()];
    let back = [a1.v4(), a1.v6()];
    // From several ports, so that some take the one link and some the other where routes are shared.
    let ask = |wanted: [Outcome; 5]| {
        let there = (41_000..41_003_u16).flat_map(|from| [v4, v6].map(|to| (from, to)));
        let asked = there.flat_map(|(from, to)| {
            [a1.ask_tcp(to, 80, from, wanted[0]), a1.ask_udp(to, 53, from, wanted[2])]
        });
        let others = [v4, v6]
            .into_iter()
            .flat_map(|to| [a1.ask_tcp(to, 443, 41_010, wanted[1]), a1.ask_echo(to, wanted[3])]);
        let opened = back.map(|to| b1.ask_tcp(to, 80, 42_000, wanted[4]));
        Asked::assert_all(asked.chain(others).chain(opened));
    };
    let link = |lengths| {
        link_of_incus(&lab, lengths);
        wait_told(&tenants, &["port inc-a of router a", "inc-b"]);
        lab.sync_packets();
    };
    link([24, 64]);
    ask([Answered; 5]);
    // One port of all that blue may open. Green opens anything, so UDP of any port may be a reply.
    green("in = [{ protocol = \"tcp\", ports = [80] }]\n");
    ask([Answered, Lost, Answered, Lost, Answered]);
    green("in = [{ protocol = \"tcp\", ports = [80] }]\nout = []\n");
    ask([Answered, Lost, Lost, Lost, Lost]);
    lab.assert_all_policies_are_at_work();
    unlink_of_incus(&lab);
    tenants.wait_active();
    // By its narrower routes it has all of the traffic.
    link([25, 65]);
    ask([Answered, Lost, Lost, Lost, Lost]);
    green("in = []\nout = []\n");
    ask([Lost; 5]);
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    lab.sync_packets();
    ask([Answered; 5]);
}

/// One side alone links nothing: OVN connects two ports only if each names the other.
#[test]
fn a_port_that_names_a_peer_which_does_not_name_it_is_no_link() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.hear_of(|| {
        lab.nbctl(&["lrp-add", "a", "x-a", "0a:00:00:00:01:05", "169.254.9.1/30", "peer=x-b"]);
    });
    tenants.peer();
    lab.nbctl(&["lrp-add", "b", "x-b", "0a:00:00:00:01:06", "169.254.9.2/30"]);
    tenants.wait_active();
    lab.nbctl(&["set", "Logical_Router_Port", "x-b", "peer=x-a"]);
    wait_told(&tenants, &["port x-a of router a", "x-b"]);
}

/// Router and switch ports share one namespace in the southbound, and not in the northbound.
#[test]
fn a_taken_name_of_ours_is_reported_and_repaired_later() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let rows = link_rows(&lab.dump());
    let port = rows.iter().find(|row| row.table == "Logical_Router_Port").expect("a link port");
    let name = port.text("name").to_owned();
    let taken = format!("Logical_Switch_Port {name}");
    lab.nbctl_batch(&format!(
        "ls-add theirs\nlsp-add theirs {name}\nlsp-set-type {name} localport"
    ));
    wait_told(&tenants, &[&taken]);
    assert_eq!(link_rows(&lab.dump()).len(), rows.len(), "the peering stands");
    // Once it is down, it cannot come back before the name is free.
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    tenants.green_declares();
    let (blue, green) = (tenants.wait_blue("failed"), tenants.wait_green("failed"));
    assert_says(&blue, "name-in-use", &[&taken]);
    assert_says(&green, "name-in-use", &[&taken]);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    lab.nbctl(&["lsp-del", &name]);
    tenants.wait_active();
}
