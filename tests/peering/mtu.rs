//! MTUs that differ: who sends what is too large is told so, instead of nothing (B12).

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::{Host, Ping};
use crate::lab::probe::PingReport;
use crate::on_every_lab;
use crate::owned::{Owned, link_rows};
use crate::tenants::{Tenants, half, wait_all_active};

/// The smaller MTU; guests have 1400.
const SMALL: u16 = 1300;
/// Larger than what an interface of that MTU takes: a tag's four bytes more than that it does.
const LARGE: u16 = 1350;

fn bind(daemon: &Daemon, (project, network): (&str, &str), router: &str, mtu: Option<u16>) {
    let mtu = mtu.map(|mtu| format!("mtu = {mtu}\n")).unwrap_or_default();
    let text = format!(
        "[[network]]\nproject = \"{project}\"\nname = \"{network}\"\nrouter = \"{router}\"\n{mtu}"
    );
    daemon.write(&format!("networks.d/{project}-{network}.toml"), &text);
}

/// The routers whose ports of ours check, with the MTU for which they do.
fn checking(lab: &Lab) -> Vec<(String, String)> {
    let mut ports = link_rows(&lab.dump());
    ports.retain(|row| row.table == "Logical_Router_Port");
    let mtu = |port: &Owned| {
        let mut options = port.row["options"][1].as_array()?.iter();
        let option = options.find(|option| option[0] == "gateway_mtu")?;
        option[1].as_str().map(str::to_owned)
    };
    ports.iter().filter_map(|port| Some((port.router.clone(), mtu(port)?))).collect()
}

#[track_caller]
pub(crate) fn wait_checking(lab: &Lab, wanted: &[(&str, u16)]) {
    let wanted: Vec<_> = wanted.iter().map(|(r, mtu)| ((*r).to_owned(), mtu.to_string())).collect();
    poll("the ports that check", Duration::from_secs(10), || {
        let mut found = checking(lab);
        found.sort();
        if found == wanted { Ok(()) } else { Err(format!("{found:?}, not {wanted:?}")) }
    });
}

/// Echo requests in packets of so many bytes, not to be fragmented.
pub(crate) fn ping(from: &Host, to: IpAddr, bytes: u16) -> PingReport {
    let headers = if to.is_ipv4() { 20 + 8 } else { 40 + 8 };
    from.ping(to, Ping { size: bytes - headers, dont_fragment: true, ..Ping::default() })
}

on_every_lab!(too_large_packets_are_answered_where_mtus_differ);

fn too_large_packets_are_answered_where_mtus_differ(lab: &Lab) {
    let tenants = Tenants::new(lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    b1.ip(&[format!("link set eth0 mtu {SMALL}")]);
    lab.settle();
    tenants.peer();
    lab.sync();
    a1.assert_reaches(&b1);
    let to_b = [b1.v4(), b1.v6()];
    // A black hole: the guest's interface takes no more, and nobody says so.
    for to in to_b {
        let report = ping(&a1, to, LARGE);
        assert_eq!((report.received, report.errors.len()), (0, 0), "{report:?}");
    }
    assert_eq!(checking(lab), []);
    let answered = || {
        lab.sync();
        for to in to_b {
            let fits = ping(&a1, to, SMALL);
            assert_eq!(fits.received, fits.sent, "{fits:?}");
            let report = ping(&a1, to, SMALL + 1);
            // "Fragmentation needed" (RFC 792), and "packet too big" (RFC 4443).
            let wanted = if to.is_ipv4() { (3, 4) } else { (2, 0) };
            let is_so = |e: &crate::lab::probe::IcmpError| (e.kind, e.code) == wanted;
            assert_eq!(report.received, 0, "{report:?}");
            assert!(report.errors.iter().any(is_so), "{report:?}");
        }
        a1.assert_tcp(&b1);
        b1.assert_tcp(&a1);
    };
    bind(&tenants.daemon, ("blue", "web"), "a", Some(1400));
    bind(&tenants.daemon, ("green", "db"), "b", Some(SMALL));
    wait_checking(lab, &[("a", SMALL)]);
    tenants.wait_active();
    answered();
    // The other port does as well: it checks what comes in.
    tenants.daemon.kill9();
    let ports = link_rows(&lab.dump());
    let port = |router: &str| {
        let is = |row: &&Owned| row.table == "Logical_Router_Port" && row.router == router;
        ports.iter().find(is).expect("a port").uuid.clone()
    };
    lab.nbctl(&["clear", "Logical_Router_Port", &port("a"), "options"]);
    let option = format!("options:gateway_mtu={SMALL}");
    lab.nbctl(&["set", "Logical_Router_Port", &port("b"), &option]);
    tenants.daemon.start_again();
    tenants.wait_active();
    wait_checking(lab, &[("b", SMALL)]);
    answered();
    // Equal, and unknown: nothing is checked.
    bind(&tenants.daemon, ("green", "db"), "b", Some(1400));
    wait_checking(lab, &[]);
    bind(&tenants.daemon, ("green", "db"), "b", None);
    tenants.wait_active();
    wait_checking(lab, &[]);
    lab.assert_all_matches_parse();
}

/// A hub's ports never check; an MTU that a network's own ports say counts where none is declared.
#[test]
fn spokes_check_and_hubs_do_not() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let mut hub = half("to-db", "web", "green/db");
    bind(&tenants.daemon, ("blue", "web"), "a", Some(1500));
    for n in 3..7 {
        let name = format!("c{n}");
        lab.add_network(&name, &[&format!("10.{n}.0.0/24")]);
        bind(&tenants.daemon, (&name, "net"), &name, Some(1500 - n));
        hub += &half(&format!("to-{name}"), "web", &format!("{name}/net"));
    }
    tenants.daemon.declare("blue", &hub);
    for n in 3..7 {
        tenants.daemon.declare(&format!("c{n}"), &half("to-web", "net", "blue/web"));
    }
    tenants.green_declares();
    wait_all_active(&tenants.daemon);
    let spokes = [("c3", 1497), ("c4", 1496), ("c5", 1495), ("c6", 1494)];
    wait_checking(&lab, &spokes);
    // Of green's MTU nothing is declared.
    lab.nbctl(&["set", "Logical_Router_Port", "b-r0", "options:gateway_mtu=1442"]);
    wait_checking(&lab, &[&[("b", 1442)], &spokes[..]].concat());
    lab.nbctl(&["clear", "Logical_Router_Port", "b-r0", "options"]);
    wait_checking(&lab, &spokes);
    wait_all_active(&tenants.daemon);
}
