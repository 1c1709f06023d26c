//! Halves whose switches keep state: what passes as a reply and is none is dropped, with packets; and the rows of that,
//! which are put back.

use std::time::Duration;

use crate::drift::all_are_repaired;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Host;
use crate::lab::traffic::Outcome;
use crate::on_every_lab;
use crate::owned::{foreign, owned};
use crate::tenants::{Tenants, half};
use crate::traffic::{Filtered, assert_all, ping, udp};

use Outcome::{Answered, Lost};

on_every_lab!(what_is_no_reply_is_dropped);

const LIMIT: Duration = Duration::from_secs(5);
/// 53 is served; from 54 a host can ask.
const DNS: &str = "[{ protocol = \"udp\", ports = [53, 54] }]";

/// Green's host opens UDP from the port that blue may ask: it passes as a reply, until blue's switches keep state. Blue's
/// own questions, guests of one network, and what blue lets open are answered all the time.
fn what_is_no_reply_is_dropped(lab: &Lab) {
    let filtered = Filtered::new(lab, "");
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let a2 = lab.add_guest(&filtered.tenants.a, "a2", 1);
    let (asks, answers) = (format!("in = []\nout = {DNS}\n"), format!("in = {DNS}\nout = []"));
    let fake = |wanted| udp(b1, a1, [54, 123], wanted);
    let well = |b1: &Host| {
        assert_all([
            udp(a1, b1, [0, 53], Answered),
            udp(&a2, b1, [0, 53], Answered),
            udp(&a2, a1, [54, 123], Answered),
            ping(a1, &a2, Answered),
            udp(b1, a1, [55, 123], Lost),
            ping(b1, a1, Lost),
        ]);
    };
    filtered.declare(&asks, &answers);
    filtered.tenants.wait_active();
    lab.settle();
    lab.sync_packets();
    well(b1);
    assert_all([fake(Answered)]);
    let before = foreign(lab);

    filtered.declare(&format!("{asks}stateful = true"), &answers);
    well(b1);
    assert_all([fake(Lost)]);
    foreign(lab).assert_same_as(&before);
    lab.assert_all_matches_parse();

    // What blue lets green open is open from that port, too; all else is not.
    let (both, more) = (format!("in = {DNS}\nout = {DNS}\n"), format!("in = {DNS}\nout = {DNS}"));
    filtered.declare(&format!("{both}stateful = true"), &more);
    well(b1);
    assert_all([udp(b1, a1, [54, 53], Answered), udp(b1, a1, [0, 53], Answered), fake(Lost)]);

    filtered.declare(&asks, &answers);
    well(b1);
    assert_all([fake(Answered)]);
    assert_eq!(guard_rows(lab), [0, 0]);
    filtered.end();
}

/// How many groups and ACLs of ours there are.
fn guard_rows(lab: &Lab) -> [usize; 2] {
    let rows = owned(&lab.dump());
    ["Port_Group", "ACL"].map(|table| rows.iter().filter(|row| row.table == table).count())
}

/// They come and go by one transaction, follow the owner's switches, and are put back.
#[test]
fn the_rows_follow_the_switches_and_are_put_back() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let declare = |more: &str| {
        let blue = half("to-db", "web", "green/db") + &format!("in = []\nout = {DNS}\n") + more;
        tenants.daemon.declare("blue", &blue);
        tenants.daemon.declare("green", &half("to-web", "db", "blue/web"));
        let reloaded = tenants.daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}");
        tenants.wait_active();
        tenants.daemon.wait_quiet();
    };
    declare("");
    assert_eq!(guard_rows(&lab), [0, 0]);
    let written = lab.northbound_transactions();
    declare("stateful = true\n");
    assert_eq!(lab.northbound_transactions() - written, 1);
    // One that tracks, and one that drops.
    assert_eq!(guard_rows(&lab), [1, 2]);
    let ports = || lab.nbctl(&["--bare", "--columns=ports", "list", "Port_Group"]);
    assert_eq!(ports().split_whitespace().count(), 1, "one port a switch");

    let damages: Vec<_> = owned(&lab.dump())
        .into_iter()
        .flat_map(|row| {
            let ways: &[&str] = match row.table.as_str() {
                "Port_Group" => &["deleted", "clear ports", "set name=x"],
                "ACL" => {
                    &["deleted", "set match=\"1\"", "set direction=from-lport", "set priority=7"]
                }
                _ => &[],
            };
            ways.iter().map(move |way| (row.clone(), *way)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(damages.len(), 3 + 2 * 4);
    all_are_repaired(&lab, &damages);

    // The owner makes the port to the router anew: OVN takes it out of the group by itself.
    let before = ports();
    lab.nbctl_batch(
        "lsp-del a-s0-r\nlsp-add a-s0 a-s0-r\nlsp-set-type a-s0-r router\n\
         lsp-set-addresses a-s0-r router\nlsp-set-options a-s0-r router-port=a-r0",
    );
    poll("the new port is in the group", LIMIT, || {
        let now = ports();
        let is_there = now.split_whitespace().count() == 1 && now != before;
        if is_there { Ok(()) } else { Err(format!("{now}, before {before}")) }
    });
    tenants.wait_active();
    tenants.daemon.wait_quiet();
    let written = lab.northbound_transactions();
    tenants.daemon.kill9();
    tenants.daemon.start_again();
    tenants.wait_active();
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written, "a start finds nothing to write");
    tenants.daemon.withdraw("blue");
    poll("nothing is left", LIMIT, || {
        let left = guard_rows(&lab);
        if left == [0, 0] { Ok(()) } else { Err(format!("{left:?}")) }
    });
}
