//! An upgrade in place: rows as the release before wrote them become rows of this one, while packets pass.

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::topology::Nat;
use crate::on_every_lab;
use crate::owned::{contents, foreign, owned};
use crate::tenants::{BLUE, GREEN, Tenants};

on_every_lab!(policies_that_move_to_another_priority_lose_no_packet,);

/// So far the policies moved.
const MOVED_BY: i64 = 2000;

/// Writes the rows as the first release did: its priorities, ports without options, and its version in each registration.
fn age(lab: &Lab) {
    let mut lines = String::new();
    for row in owned(&lab.dump()) {
        if row.table == "Logical_Router_Policy" {
            let priority = row.row["priority"].as_i64().expect("a priority") - MOVED_BY;
            lines += &format!("set Logical_Router_Policy {} priority={priority}\n", row.uuid);
        }
        if row.table == "Logical_Router_Port" {
            lines += &format!("clear Logical_Router_Port {} options\n", row.uuid);
        }
        let tags = crate::owned::tags(&row.row);
        if let Some(record) = tags.get("ovn-peerd-network") {
            let aged = record.replace("\"version\":3", "\"version\":1");
            assert_ne!(*record, aged, "the version of this release");
            let quoted = aged.replace('"', "\\\"");
            lines += &format!(
                "set Address_Set {} 'external_ids:ovn-peerd-network=\"{quoted}\"'\n",
                row.uuid
            );
        }
    }
    lab.nbctl_batch(&lines);
}

fn policies_that_move_to_another_priority_lose_no_packet(lab: &Lab) {
    let tenants = Tenants::with_subnets(
        lab,
        &[BLUE, "10.11.0.0/24 fd11::/64"],
        &[GREEN, "10.12.0.0/24 fd12::/64"],
    );
    lab.add_uplink(&tenants.a, Nat::None);
    lab.add_uplink(&tenants.b, Nat::None);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    tenants.peer();
    lab.settle();
    a1.assert_reaches(&b1);
    let (wanted, theirs) = (contents(&lab.dump()), foreign(lab));
    tenants.daemon.terminate();
    age(lab);
    lab.sync();
    assert_ne!(contents(&lab.dump()), wanted);
    a1.assert_reaches(&b1);

    let streams = [(&a1, b1.v4()), (&b1, a1.v4()), (&a1, b1.v6()), (&b1, a1.v6())]
        .map(|(from, to)| from.stream(to, 100));
    std::thread::sleep(Duration::from_millis(750));
    tenants.daemon.start_again();
    poll("all rows are of this release", Duration::from_secs(10), || {
        let found = contents(&lab.dump());
        let lost: Vec<_> = wanted.difference(&found).collect();
        if found == wanted { Ok(()) } else { Err(format!("{lost:#?}")) }
    });
    lab.sync();
    std::thread::sleep(Duration::from_millis(750));
    for report in streams.map(crate::lab::host::Stream::finish) {
        assert_eq!(report.received, report.sent, "{report:?}");
        assert!(report.sent > 100, "{report:?}");
    }
    assert_eq!(foreign(lab), theirs);
    lab.assert_all_matches_parse();
}
