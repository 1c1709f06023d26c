//! Nothing changed, nothing is written: whoever ends, starts, goes away or comes back (B2).

use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
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
fn nothing_changed_nothing_is_written() {
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
    tenants.daemon.terminate();
    unchanged("at SIGTERM");
    tenants.daemon.start_again();
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
    lab.databases().nb.pause();
    lab.databases().nb.resume();
    told_the_same();
    unchanged("over a northbound that stood still");
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
