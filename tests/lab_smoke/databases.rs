//! The labs without a chassis, and what they tell of the northbound.

use std::time::Instant;

use crate::lab::Lab;

#[test]
fn databases_start_fast_and_northd_works() {
    let start = Instant::now();
    let lab = Lab::databases_only();
    let took = start.elapsed();
    lab.add_network("blue", &["10.1.0.0/24 fd01::/64"]);
    lab.sync();
    let flows = lab.logical_flows();
    assert!(flows.rows > 50 && flows.per_datapath >= flows.rows, "{flows:?}");
    assert!(took.as_secs_f64() < 5.0, "the databases took {took:?} to start");
    eprintln!("databases_only: {took:?}, {flows:?}");
}

#[test]
fn a_dump_shows_what_others_own_and_nothing_else() {
    let lab = Lab::northbound_only();
    lab.add_network("blue", &["10.1.0.0/24"]);
    let before = lab.dump();
    assert_eq!(before.table("Logical_Router").len(), 1);
    let count = lab.northbound_transactions();
    lab.nbctl_batch(
        "lrp-add blue ours 0a:00:00:00:00:01 10.1.0.1/32\n\
         set Logical_Router_Port ours external_ids:owner=us\n\
         lr-route-add blue 10.2.0.0/24 10.2.0.1 ours\n\
         set Logical_Router blue external_ids:x=y",
    );
    assert_eq!(lab.northbound_transactions(), count + 1);
    let after = lab.dump();
    let ours = |table: &str, row: &super::lab::northbound::Row| {
        table == "Logical_Router_Static_Route" || row["external_ids"].to_string().contains("us")
    };
    let differences = before.foreign(ours).differences(&after.foreign(ours));
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].contains("external_ids"), "{differences:?}");
    lab.nbctl(&["remove", "Logical_Router", "blue", "external_ids", "x"]);
    lab.dump().foreign(ours).assert_same_as(&before.foreign(ours));
}

#[test]
fn bookkeeping_of_northd_is_no_transaction() {
    let lab = Lab::databases_only();
    lab.sync();
    let records = lab.northbound_records().len();
    let count = lab.northbound_transactions();
    lab.nbctl(&["--wait=sb", "sync"]);
    assert_eq!(lab.northbound_transactions(), count + 1, "{:?}", lab.northbound_records());
    assert!(lab.northbound_records().len() > records + 1);
}

#[test]
fn the_northbound_can_be_killed_restarted_and_paused() {
    let lab = Lab::databases_only();
    lab.add_network("blue", &["10.1.0.0/24"]);
    let before = lab.dump().without_counters();
    lab.databases().nb.kill9();
    assert!(std::os::unix::net::UnixStream::connect(lab.nb_socket()).is_err());
    lab.databases().start_nb_again();
    lab.dump().without_counters().assert_same_as(&before);
    lab.databases().northd().kill9();
    lab.databases().northd().start_again();
    lab.databases().nb.pause();
    let stream = std::os::unix::net::UnixStream::connect(lab.nb_socket());
    assert!(stream.is_ok(), "a paused server still accepts");
    lab.databases().nb.resume();
    lab.sync();
}
