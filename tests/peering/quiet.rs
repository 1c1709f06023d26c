//! Nothing changed, nothing is written; the data plane does not hear of the daemon's end (B2).

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::link_rows;
use crate::tenants::{Tenants, status};

/// Makes a change that concerns no network, and waits until the daemon has seen it; gives the transactions that this
/// took, which should be one: its own.
#[track_caller]
fn stir(lab: &Lab, tenants: &Tenants, name: &str) -> usize {
    let before = lab.northbound_transactions();
    let seen = || status(&tenants.daemon)["counters"]["row_changes"].as_i64().expect("a counter");
    let had = seen();
    lab.nbctl(&["lr-add", name]);
    poll("the daemon has seen a router", Duration::from_secs(5), || {
        let now = seen();
        if now > had { Ok(()) } else { Err(format!("{now} row changes")) }
    });
    lab.northbound_transactions() - before
}

#[test]
fn b2_nothing_changed_nothing_is_written() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.sync();
    let dump = lab.dump();
    let written = lab.northbound_transactions();
    let told = tenants.daemon.list();
    let unchanged = |what: &str| {
        assert_eq!(lab.northbound_transactions(), written, "written: {what}");
        lab.dump().assert_same_as(&dump);
    };
    let told_the_same = || {
        tenants.wait_active();
        assert_eq!(tenants.daemon.list(), told, "the same states since the same time");
    };
    tenants.daemon.restart();
    told_the_same();
    unchanged("after SIGTERM and a start");
    tenants.daemon.kill9();
    unchanged("at SIGKILL");
    tenants.daemon.start_again();
    told_the_same();
    unchanged("after SIGKILL and a start");
    assert!(tenants.daemon.ctl(&["reload"]).status.success());
    unchanged("at a reload");
    tenants.both_declare();
    assert!(tenants.daemon.ctl(&["reload"]).status.success());
    unchanged("when the same is declared again");
    for _ in 0..2 {
        lab.databases().nb.kill9();
        poll("the daemon misses the northbound", Duration::from_secs(10), || {
            let now = status(&tenants.daemon);
            if now["northbound"]["synced"] == false { Ok(()) } else { Err(now.to_string()) }
        });
        lab.databases().start_nb_again();
        poll("the daemon is back", Duration::from_secs(20), || {
            let now = status(&tenants.daemon);
            let back = now["northbound"]["synced"] == true && now["northbound"]["active"] == true;
            if back { Ok(()) } else { Err(now.to_string()) }
        });
        told_the_same();
        unchanged("over a northbound that was away");
    }
    for name in ["x1", "x2", "x3"] {
        assert_eq!(stir(&lab, &tenants, name), 1, "a change of others is theirs alone");
    }
    assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
    assert_eq!(lab.northbound_transactions(), written + 3);
}

/// Packets at 100 a second while the daemon ends by SIGTERM, by SIGKILL, and starts again.
#[test]
fn s2_5_the_data_plane_does_not_notice_the_daemons_end() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    tenants.peer();
    lab.sync();
    a1.assert_reaches(&b1);
    let rows = link_rows(&lab.dump()).len();
    let streams = [b1.v4(), b1.v6()].map(|to| a1.stream(to, 100));
    for _ in 0..3 {
        tenants.daemon.terminate();
        assert_eq!(link_rows(&lab.dump()).len(), rows, "rows stay at SIGTERM");
        tenants.daemon.start_again();
        tenants.daemon.kill9();
        assert_eq!(link_rows(&lab.dump()).len(), rows, "rows stay at SIGKILL");
        tenants.daemon.start_again();
        tenants.wait_active();
        lab.sync();
    }
    for stream in streams {
        let report = stream.finish();
        assert_eq!(report.lost(), 0, "{report:?}");
    }
}
