//! The ACL of docs/northbound.md for a peer's prefixes, as it stands there.

use std::fs;

use crate::filters::show;
use crate::lab::Lab;
use crate::tenants::Tenants;

/// The match that the page shows, with the name of a set in it.
fn example(set: &str) -> String {
    let page = fs::read_to_string("docs/northbound.md").expect("the page");
    let line = page.lines().find(|line| line.contains("acl-add green-db")).expect("an ACL");
    let text = line.split('"').nth(1).expect("a match in quotes");
    assert!(text.contains("\\$$set"), "it names the set: {line}");
    text.replace("\\$$set", &format!("${set}"))
}

/// S1.31: SSH is kept from the peer, whether it comes whole or in fragments, of which no ACL sees the ports; all else
/// passes, from elsewhere SSH too.
#[test]
fn the_example_of_an_acl_lets_no_fragments_through() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let [b1, b2] = ["b1", "b2"].map(|name| lab.add_guest(&tenants.b, name, 0));
    let _serving = [22, 80].map(|port| b1.serve_at(port));
    tenants.peer();
    lab.settle();
    a1.assert_reaches(&b1);
    for port in [22, 80] {
        assert!(a1.connects(&b1, port), "port {port} without an ACL");
        assert!(a1.is_answered_in_fragments(&b1, port), "port {port} in fragments without an ACL");
    }
    let shown = show(&tenants, "blue", "web", "to-db");
    let set = shown["address_sets"][0].as_str().expect("a set");
    lab.nbctl(&["acl-add", "b-s0", "to-lport", "1000", &example(set), "drop"]);
    lab.assert_all_matches_parse();
    assert!(!a1.connects(&b1, 22), "SSH passes");
    assert!(!a1.is_answered_in_fragments(&b1, 22), "SSH in fragments passes");
    assert!(a1.connects(&b1, 80), "other ports do not pass");
    a1.assert_reaches(&b1);
    for port in [22, 80] {
        assert!(b2.connects(&b1, port), "port {port} from the own network");
        assert!(b2.is_answered_in_fragments(&b1, port), "port {port} in fragments from it");
    }
}
