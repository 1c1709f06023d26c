//! Guests learn routes to the peers: from a DHCP server and from router advertisements, which OVN is, by clients that know
//! nothing of it (S3.25), while everything else in those rows is their owner's (S3.26), and who must renew is shown (S3.27).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::filters::show;
use crate::lab::Lab;
use crate::lab::command::{poll, require_programs};
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::owned::foreign;
use crate::tenants::{Tenants, flaws, half, status, wait_all_active};

/// How long the daemon may take to write, or to put right, one thing.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long another host may take to go on, on a busy machine.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(20);
/// What a DHCP server says besides; the default gateway is another than the router of the network.
const OPTIONS: &str =
    "server_id=10.1.0.1 server_mac=0a:00:00:0d:0c:01 lease_time=3600 router=10.1.0.254 mtu=1400";
/// A client's script, as RFC 3442 has it: where there are classless routes, the gateway counts for nothing.
const SCRIPT: &str = "#!/bin/sh
case \"$1\" in
deconfig) ip -4 address flush dev \"$interface\" ;;
bound | renew)
    ip address replace \"$ip/$mask\" dev \"$interface\"
    ip -4 route flush scope global
    [ -n \"$staticroutes\" ] && set -- $staticroutes || set -- 0.0.0.0/0 $router
    while [ $# -ge 2 ]; do
        ip route replace \"$1\" via \"$2\" dev \"$interface\"
        shift 2
    done
    ;;
esac
";

/// Binds blue's network, with its guests told of routes by these means.
fn bind(tenants: &Tenants, means: &str) {
    let text = format!(
        "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"a\"\ntell_guests = {means}\n"
    );
    tenants.daemon.write("networks.d/blue-web.toml", &text);
}

/// A row of DHCP_Options for blue's subnet; its UUID.
#[track_caller]
pub(crate) fn dhcp_row(lab: &Lab, more: &[&str]) -> String {
    let options = OPTIONS.split(' ').map(|option| {
        let (key, value) = option.split_once('=').expect("key=value");
        format!("options:{key}=\"{value}\"")
    });
    let mut words =
        vec!["create".to_owned(), "DHCP_Options".to_owned(), "cidr=10.1.0.0/24".to_owned()];
    words.extend(options);
    words.extend(more.iter().map(|word| (*word).to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    lab.nbctl(&words).trim().to_owned()
}

/// One key of the row's options; none if it has no such key.
#[track_caller]
pub(crate) fn option(lab: &Lab, row: &str, key: &str) -> Option<String> {
    let pairs = lab.dump().table("DHCP_Options")[row]["options"][1].clone();
    let pairs = pairs.as_array().into_iter().flatten();
    let found = pairs.into_iter().find(|pair| pair[0] == key);
    found.map(|pair| pair[1].as_str().expect("a text").to_owned())
}

#[track_caller]
fn wait_option(lab: &Lab, row: &str, key: &str, wanted: Option<&str>) {
    poll(&format!("{key} of the row"), WRITE_LIMIT, || {
        let found = option(lab, row, key);
        if found.as_deref() == wanted { Ok(()) } else { Err(format!("{found:?}, not {wanted:?}")) }
    });
}

/// A guest that has what DHCP gave it, and nothing else.
pub(crate) struct Client<'a> {
    host: &'a Host,
    script: PathBuf,
}

impl<'a> Client<'a> {
    #[track_caller]
    pub(crate) fn new(lab: &Lab, host: &'a Host, row: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        require_programs(&[("udhcpc", "udhcpc")]);
        lab.nbctl(&["lsp-set-dhcpv4-options", &host.name, row]);
        host.run(&["ip", "-4", "address", "flush", "dev", "eth0"]);
        let script = lab.dir().join("udhcpc.sh");
        fs::write(&script, SCRIPT).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it can be run");
        Self { host, script }
    }

    /// Asks for a lease, and gives the routes that it has then.
    #[track_caller]
    pub(crate) fn renew(&self) -> Vec<String> {
        let script = self.script.display().to_string();
        self.host.run(&[
            "udhcpc",
            "-i",
            "eth0",
            "-f",
            "-q",
            "-n",
            "-t",
            "10",
            "-T",
            "1",
            "-O",
            "staticroutes",
            "-O",
            "mtu",
            "-s",
            &script,
        ]);
        let routes = self.host.run(&["ip", "-4", "route", "show", "scope", "global"]);
        let mut routes: Vec<String> = routes.lines().map(|line| line.trim().to_owned()).collect();
        routes.sort();
        routes
    }
}

/// S3.25, S3.27: a guest that knows no way to the peer learns it by DHCP, with the default route that it had, and forgets it
/// when it renews after the end; from when on guests must renew is shown, and outlives the daemon.
#[test]
fn a_guest_learns_routes_by_dhcp() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let row = dhcp_row(&lab, &[]);
    let client = Client::new(&lab, &a1, &row);
    tenants.peer();
    lab.settle();
    // Not asked for: nothing is told, and the guest's gateway knows no way.
    let before = client.renew();
    assert_eq!(before, ["default via 10.1.0.254 dev eth0"]);
    a1.assert_reach_none(&[b1.v4()]);
    let shown = show(&tenants, "blue", "web", "to-db");
    assert!(shown["guests"].is_null() && shown["guests_since"].is_null(), "{shown}");
    let theirs = foreign(&lab);

    bind(&tenants, "[\"dhcp\"]");
    let told = "{10.2.0.0/24,10.1.0.1, 0.0.0.0/0,10.1.0.254}";
    wait_option(&lab, &row, "classless_static_route", Some(told));
    wait_option(&lab, &row, "ms_classless_static_route", Some(told));
    lab.sync();
    assert_eq!(
        client.renew(),
        ["10.2.0.0/24 via 10.1.0.1 dev eth0", "default via 10.1.0.254 dev eth0"]
    );
    a1.assert_reach_all(&[b1.v4()]);
    b1.assert_reach_all(&[a1.v4()]);
    tenants.wait_active();
    let shown = show(&tenants, "blue", "web", "to-db");
    assert_eq!(shown["guests"]["dhcp"], serde_json::json!(["10.2.0.0/24"]), "{shown}");
    let since = shown["guests"]["since"].clone();
    let text = tenants.daemon.ctl(&["show", "blue", "web", "to-db"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("Guests must renew  since 2") && text.contains("DHCP: 1 route"),
        "{text}"
    );
    let other = show(&tenants, "green", "db", "to-web");
    assert!(other["guests"].is_null(), "its own network alone: {other}");
    // Neither a restart nor an idle second changes it.
    let written = lab.northbound_transactions();
    tenants.daemon.kill9();
    tenants.daemon.start_again();
    tenants.wait_active();
    assert_eq!(show(&tenants, "blue", "web", "to-db")["guests"]["since"], since);
    assert_eq!(lab.northbound_transactions(), written);

    // A subnet more at the peer is one more to know.
    lab.nbctl(&["lrp-add", "b", "b-r7", "0a:00:00:00:00:77", "10.2.1.1/24"]);
    let more = "{10.2.0.0/23,10.1.0.1, 0.0.0.0/0,10.1.0.254}";
    wait_option(&lab, &row, "classless_static_route", Some(more));
    let later = show(&tenants, "blue", "web", "to-db")["guests"]["since"].clone();
    assert!(later.as_str() > since.as_str(), "{later} after {since}");
    lab.nbctl(&["lrp-del", "b-r7"]);
    wait_option(&lab, &row, "classless_static_route", Some(told));

    tenants.daemon.withdraw("green");
    wait_option(&lab, &row, "classless_static_route", None);
    wait_option(&lab, &row, "ms_classless_static_route", None);
    tenants.wait_blue("disconnected");
    let shown = show(&tenants, "blue", "web", "to-db");
    assert_eq!(shown["guests"]["dhcp"], serde_json::json!([]), "{shown}");
    assert!(shown["guests"]["since"].as_str() > later.as_str(), "they are to forget it: {shown}");
    assert_eq!(foreign(&lab).table("DHCP_Options"), theirs.table("DHCP_Options"));
    lab.sync();
    assert_eq!(client.renew(), before);
}

/// S3.25: likewise by router advertisements.
#[test]
fn a_guest_learns_routes_by_router_advertisements() {
    require_programs(&[("rdisc6", "ndisc6")]);
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let configs = [
        "set",
        "Logical_Router_Port",
        "a-r0",
        "ipv6_ra_configs:address_mode=slaac",
        "ipv6_ra_configs:mtu=1400",
    ];
    lab.nbctl(&configs);
    let knob = |name: &str, value: &str| {
        a1.run(&["sh", "-c", &format!("echo {value} > /proc/sys/net/ipv6/conf/eth0/{name}")]);
    };
    // Whatever comes by Route Information and nothing else.
    knob("accept_ra", "2");
    knob("accept_ra_defrtr", "0");
    knob("autoconf", "0");
    knob("accept_ra_rt_info_max_plen", "128");
    a1.run(&["ip", "-6", "route", "flush", "default"]);
    let solicit = || -> String { a1.run(&["rdisc6", "-1", "eth0"]) };
    bind(&tenants, "[\"ra\"]");
    tenants.green_declares();
    lab.settle();
    let said = solicit();
    assert!(!said.contains("fd02::"), "{said}");
    let routes = || a1.run(&["ip", "-6", "route", "show", "proto", "ra"]);
    assert!(!routes().contains("fd02::/64"), "{}", routes());
    let to_b1 = || a1.run(&["sh", "-c", &format!("ip -6 route get {} 2>&1 || true", b1.v6())]);
    assert!(to_b1().contains("unreachable"), "{}", to_b1());
    let theirs = foreign(&lab);

    tenants.peer();
    lab.sync();
    let said = solicit();
    println!("{said}");
    assert!(said.contains("fd02::/64"), "{said}");
    poll("the kernel's route", WRITE_LIMIT, || {
        solicit();
        let found = routes();
        if found.contains("fd02::/64") { Ok(()) } else { Err(found) }
    });
    println!("{}", routes());
    a1.assert_reach_all(&[b1.v6()]);
    let shown = show(&tenants, "blue", "web", "to-db");
    assert_eq!(shown["guests"]["ra"], serde_json::json!(["fd02::/64"]), "{shown}");
    // As many as an advertisement has room for: in one packet, and none is left out.
    let nets: Vec<String> = (1..60).map(|n| format!("fd02:0:0:{:x}::1/64", 2 * n)).collect();
    lab.nbctl_batch(&format!("lrp-add b b-many 0a:00:00:00:00:77 {}", nets.join(" ")));
    poll("60 routes are told", WRITE_LIMIT, || {
        let told = show(&tenants, "blue", "web", "to-db")["guests"]["ra"].clone();
        if told.as_array().is_some_and(|told| told.len() == 60) {
            Ok(())
        } else {
            Err(told.to_string())
        }
    });
    tenants.wait_active();
    lab.sync();
    let said = solicit();
    assert_eq!(said.matches("Route lifetime").count(), 60, "{said}");
    lab.nbctl(&["lrp-del", "b-many"]);
    tenants.daemon.withdraw("blue");
    poll("the port's row is as it was", WRITE_LIMIT, || {
        let now = foreign(&lab);
        let (now, before) = (now.table("Logical_Router_Port"), theirs.table("Logical_Router_Port"));
        if now == before { Ok(()) } else { Err(format!("{now:?}")) }
    });
    lab.sync();
    let said = solicit();
    assert!(!said.contains("fd02::"), "{said}");
}

/// S3.25: what an option holds is told, and not one route more: with one too many no guest would get a lease at all. What
/// guests know already stays, and everybody is told why no more is.
#[test]
fn an_option_that_is_full_takes_nothing_away() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let row = dhcp_row(&lab, &[]);
    let client = Client::new(&lab, &a1, &row);
    // With 10.2.0.0/24 they are 31, none of which is another's neighbour.
    let nets: Vec<String> = (16..46).map(|n| format!("10.{}.0.1/24", 2 * n)).collect();
    lab.nbctl_batch(&format!("lrp-add b b-many 0a:00:00:00:00:77 {}", nets.join(" ")));
    // Else the guest's port may be up before ovn-controller knows of it.
    lab.settle();
    bind(&tenants, "[\"dhcp\"]");
    tenants.peer();
    let routes = |text: Option<String>| text.map_or(0, |text| text.split(", ").count());
    poll("31 routes and the default", WRITE_LIMIT, || {
        let found = routes(option(&lab, &row, "classless_static_route"));
        if found == 32 { Ok(()) } else { Err(format!("{found} routes")) }
    });
    assert_eq!(
        option(&lab, &row, "ms_classless_static_route"),
        None,
        "both do not fit into a message"
    );
    lab.settle();
    let learned = client.renew();
    assert_eq!(learned.len(), 32, "{learned:?}");
    let known = option(&lab, &row, "classless_static_route");

    lab.nbctl(&["lrp-add", "b", "b-r7", "0a:00:00:00:00:78", "10.9.0.1/24"]);
    tenants.daemon.wait_until("its owner is told", |halves| {
        let full = |half: &serde_json::Value| flaws(half).concat().contains("dhcp-options-full");
        let told: Vec<bool> = ["blue", "green"]
            .map(|project| halves.iter().any(|half| half["project"] == project && full(half)))
            .to_vec();
        if told == [true, false] { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert_eq!(option(&lab, &row, "classless_static_route"), known, "what they know stays");
    lab.sync();
    assert_eq!(client.renew(), learned);
    // What is not true any more goes all the same, and then the rest has room.
    lab.nbctl(&["lrp-del", "b-many"]);
    let two = "{10.2.0.0/24,10.1.0.1, 10.9.0.0/24,10.1.0.1, 0.0.0.0/0,10.1.0.254}";
    wait_option(&lab, &row, "classless_static_route", Some(two));
    wait_option(&lab, &row, "ms_classless_static_route", Some(two));
    tenants.wait_active();
    lab.sync();
    assert_eq!(client.renew().len(), 3);
}

/// S3.26: keys of others are never touched, routes of theirs are kept as they are written, whenever they write them, and all
/// is theirs again at the end, byte by byte; also where our own records are deleted, and with a row for each kind of owner.
#[test]
fn the_rows_stay_their_owners() {
    const CLASSLESS: &str = "classless_static_route";
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let metadata = "{169.254.169.254/32,10.1.0.2,  0.0.0.0/0,10.1.0.254}";
    let neutron = dhcp_row(
        &lab,
        &["external_ids:subnet_id=four", &format!("options:{CLASSLESS}=\"{metadata}\"")],
    );
    let lxd =
        dhcp_row(&lab, &["external_ids:lxd_switch=a-s0", "options:domain_name=\"\\\"lxd\\\"\""]);
    let by_hand = dhcp_row(&lab, &["external_ids:ovn-peerd-router-port=a-r0"]);
    let strangers = [
        dhcp_row(&lab, &["external_ids:subnet_id=other"]),
        dhcp_row(&lab, &["external_ids:lxd_switch=b-s0"]),
        // Two that say nothing: nobody knows whose.
        dhcp_row(&lab, &[]),
        dhcp_row(&lab, &[]),
    ];
    lab.nbctl(&[
        "set",
        "Logical_Router_Port",
        "a-r0",
        "external_ids:neutron\\:subnet_ids=\"four six\"",
    ]);
    let before = foreign(&lab);
    bind(&tenants, "[\"dhcp\"]");
    tenants.both_declare();
    let ours = "{10.2.0.0/24,10.1.0.1, 0.0.0.0/0,10.1.0.254}";
    let merged = metadata.replace('}', ", 10.2.0.0/24,10.1.0.1}");
    wait_option(&lab, &neutron, CLASSLESS, Some(&merged));
    wait_option(&lab, &lxd, CLASSLESS, Some(ours));
    wait_option(&lab, &by_hand, CLASSLESS, Some(ours));
    assert_eq!(option(&lab, &neutron, "ms_classless_static_route"), None, "its owner has none");
    for row in &strangers {
        assert_eq!(option(&lab, row, CLASSLESS), None);
    }
    let decided = || status(&tenants.daemon)["counters"]["peerings_resolved"].clone();
    let before_all = decided();
    // An owner writes the row anew, as he knows it; with routes of his own; and edits what is there.
    lab.nbctl(&["remove", "DHCP_Options", &lxd, "options", CLASSLESS]);
    wait_option(&lab, &lxd, CLASSLESS, Some(ours));
    let set = |row: &str, text: &str| {
        lab.nbctl(&["set", "DHCP_Options", row, &format!("options:{CLASSLESS}=\"{text}\"")]);
    };
    let own = "{172.16.0.0/12,10.1.0.9}";
    set(&lxd, own);
    wait_option(&lab, &lxd, CLASSLESS, Some("{172.16.0.0/12,10.1.0.9, 10.2.0.0/24,10.1.0.1}"));
    set(&by_hand, "{10.2.0.0/24,10.1.0.1}");
    wait_option(&lab, &by_hand, CLASSLESS, Some(ours));
    set(&neutron, "garbage");
    let text = "cannot be read, and is left alone";
    tenants.daemon.wait_until("that is told", |halves| {
        let told = halves.iter().any(|half| flaws(half).concat().contains(text));
        if told { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert_eq!(option(&lab, &neutron, CLASSLESS).as_deref(), Some("garbage"));
    set(&neutron, metadata);
    wait_option(&lab, &neutron, CLASSLESS, Some(&merged));
    assert_eq!(decided(), before_all, "no peering is decided anew for a row of DHCP_Options");
    // Our records are deleted, and are there again.
    let set = lab.dump();
    let is_registration = |row: &crate::lab::northbound::Row| {
        row["external_ids"].to_string().contains("ovn-peerd-lent:")
    };
    let (registration, _) = set
        .table("Address_Set")
        .iter()
        .find(|(_, row)| is_registration(row))
        .expect("a registration");
    lab.nbctl(&["destroy", "Address_Set", registration]);
    poll("what is lent is recorded again", WRITE_LIMIT, || {
        let found = lab.dump().table("Address_Set").values().any(is_registration);
        if found { Ok(()) } else { Err("no record".to_owned()) }
    });
    // The end, which comes while the daemon is away.
    tenants.daemon.kill9();
    tenants.daemon.withdraw("blue");
    tenants.daemon.withdraw("green");
    tenants.daemon.start_again();
    wait_option(&lab, &lxd, CLASSLESS, Some(own));
    wait_option(&lab, &by_hand, CLASSLESS, None);
    lab.nbctl(&["remove", "DHCP_Options", &lxd, "options", CLASSLESS]);
    poll("all is as it was", WRITE_LIMIT, || {
        let differences = before.differences(&foreign(&lab));
        let rows = ["DHCP_Options", "Logical_Router_Port"];
        let differ = differences.iter().any(|line| rows.iter().any(|table| line.contains(table)));
        if differ { Err(format!("{differences:?}")) } else { Ok(()) }
    });
}

/// S3.26, S3.27: what one host has lent another gives back, and since when guests must renew is the same on both.
#[test]
fn a_borrowed_field_outlives_the_host_that_borrowed_it() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let own = "{172.16.0.0/12,10.1.0.9}";
    let row = dhcp_row(&lab, &[&format!("options:classless_static_route=\"{own}\"")]);
    let merged = "{172.16.0.0/12,10.1.0.9, 10.2.0.0/24,10.1.0.1}";
    // The first host writes; what it writes the second one has declared.
    let other = Daemon::prepare(&lab, "hv2", "");
    tenants.daemon.remove("networks.d/blue-web.toml");
    let bound = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"a\"\ntell_guests = [\"dhcp\"]\n";
    other.write("networks.d/blue-web.toml", bound);
    other.bind_network("green", "db", "b");
    other.declare("blue", &half("to-db", "web", "green/db"));
    other.start_again();
    tenants.green_declares();
    wait_option(&lab, &row, "classless_static_route", Some(merged));
    wait_all_active(&other);
    tenants.wait_active();
    let since = |daemon: &Daemon| {
        daemon.half("blue", "web", "to-db").expect("a half")["guests_since"].clone()
    };
    let moment = since(&other);
    assert!(moment.is_string() && moment == since(&tenants.daemon), "{moment}");
    let written = lab.northbound_transactions();
    tenants.daemon.kill9();
    poll("the second host writes", TAKEOVER_LIMIT, || {
        let active = status(&other)["northbound"]["active"] == true;
        if active { Ok(()) } else { Err(other.log()) }
    });
    wait_all_active(&other);
    assert_eq!((since(&other), lab.northbound_transactions()), (moment, written));
    other.withdraw("blue");
    wait_option(&lab, &row, "classless_static_route", Some(own));
}
