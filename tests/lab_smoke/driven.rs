//! The lab drives the real programs as an operator and two tenants would.

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::on_every_lab;

on_every_lab!(two_halves_become_a_path);

fn two_halves_become_a_path(lab: &Lab) {
    let a = lab.add_network("a", &["10.1.0.0/24 fd01::/64"]);
    let b = lab.add_network("b", &["10.2.0.0/24 fd02::/64"]);
    let a1 = lab.add_guest(&a, "a1", 0);
    let b1 = lab.add_guest(&b, "b1", 1);
    lab.settle();
    let daemon = Daemon::start(lab);
    daemon.bind_network("blue", "web", a.router());
    daemon.bind_network("green", "db", b.router());
    daemon.declare(
        "blue",
        "[[peering]]\nname = \"to-db\"\nnetwork = \"web\"\ntarget_project = \"green\"\ntarget_network = \"db\"\n",
    );
    daemon.wait_state("blue", "web", "to-db", "pending-peer");
    a1.assert_isolated_from(&b1);
    daemon.declare(
        "green",
        "[[peering]]\nname = \"to-web\"\nnetwork = \"db\"\ntarget_project = \"blue\"\ntarget_network = \"web\"\n",
    );
    daemon.wait_state("blue", "web", "to-db", "active");
    daemon.wait_state("green", "db", "to-web", "active");
    a1.assert_reaches(&b1);
    a1.assert_tcp(&b1);
    lab.assert_all_matches_parse();
    daemon.kill9();
    a1.assert_reaches(&b1);
    let written = lab.northbound_transactions();
    daemon.start_again();
    daemon.wait_state("blue", "web", "to-db", "active");
    daemon.restart();
    daemon.wait_state("blue", "web", "to-db", "active");
    assert_eq!(lab.northbound_transactions(), written, "nothing changed, nothing is written");
    daemon.withdraw("green");
    daemon.wait_state("blue", "web", "to-db", "disconnected");
    a1.assert_isolated_from(&b1);
}
