//! What lists and load balancers cost: flows, counted, and the datapath's time for TCP beside a peering without lists.

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::tenants::{Tenants, half, wait_all_active};

/// What lists of two entries may cost, in logical flows and in OpenFlow flows of a chassis, by OVN 23.03: both at one side
/// (what the other opens), and at both.
const ONE_SIDED: [usize; 2] = [7, 57];
const TWO_SIDED: [usize; 2] = [12, 66];
/// At this many entries a list, TCP takes no more of the datapath's processor time than without lists. What is judged is
/// far from that, because on a machine with other work even the median of these figures varies by a third.
const ENTRIES: usize = 10;
const TIME_RATIO: f64 = 2.0;
const BYTES: u64 = 10_000_000;
const ROUNDS: usize = 9;

/// How many flows there are now, logical ones and those of the chassis.
fn flows(lab: &Lab) -> [usize; 2] {
    lab.sync();
    [lab.logical_flows().rows, lab.all_chassis()[0].openflow_flows()]
}

#[track_caller]
fn assert_costs(lab: &Lab, what: &str, before: [usize; 2], most: [usize; 2]) -> [usize; 2] {
    let [logical, openflow] = flows(lab);
    let cost = [logical - before[0], openflow - before[1]];
    println!("{what}: {} logical flows, {} OpenFlow flows", cost[0], cost[1]);
    assert!(cost[0] <= most[0] && cost[1] <= most[1], "{what}: {cost:?} of {most:?}");
    cost
}

/// Lists cost what their entries say, and a copied load balancer what it costs on the switch itself.
#[test]
fn flows_of_lists_and_of_load_balancers_are_few() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let (_a1, b1) = (lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&tenants.b, "b1", 0));
    lab.nbctl_batch(&format!("lb-add web-lb 10.2.0.100:80 {}:8080\nlr-lb-add b web-lb", b1.v4()));
    let declare = |blue: &str, green: &str| {
        tenants.daemon.declare("blue", &format!("{}{blue}\n", half("to-db", "web", "green/db")));
        tenants.daemon.declare("green", &format!("{}{green}\n", half("to-web", "db", "blue/web")));
        let reloaded = tenants.daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}");
        tenants.wait_active();
        tenants.daemon.wait_quiet();
    };
    declare("", "");
    lab.settle();
    let before = flows(&lab);
    let some = "[{ protocol = \"tcp\", ports = [5432] }, { protocol = \"icmp\", types = [\"echo-request\"] }]";
    declare(&format!("in = []\nout = {some}"), &format!("in = {some}\nout = []"));
    assert_costs(&lab, "lists of 2 entries, one side opens", before, ONE_SIDED);
    let both = format!("in = {some}\nout = {some}");
    declare(&both, &both);
    assert_costs(&lab, "lists of 2 entries, both sides open", before, TWO_SIDED);
    declare("", "");
    lab.nbctl(&["ls-lb-add", "a-s0", "web-lb"]);
    let anything = [usize::MAX; 2];
    let by_hand = assert_costs(&lab, "a balancer on the switch by hand", before, anything);
    lab.nbctl(&["ls-lb-del", "a-s0", "web-lb"]);
    declare("use_load_balancers = true", "load_balancers = [\"web-lb\"]");
    assert_costs(&lab, "its copy", before, by_hand);
    declare("", "");
    assert_eq!(flows(&lab), before, "nothing is left");
}

/// Beside a peering without lists, by turns.
#[test]
fn lists_of_ten_entries_cost_the_datapath_nothing() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let (c, d) = (lab.add_network("c", &["10.3.0.0/24"]), lab.add_network("d", &["10.4.0.0/24"]));
    tenants.daemon.bind_network("red", "c", c.router());
    tenants.daemon.bind_network("red", "d", d.router());
    let (a1, b1) = (lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&tenants.b, "b1", 0));
    let (c1, d1) = (lab.add_guest(&c, "c1", 0), lab.add_guest(&d, "d1", 0));
    let listed: Vec<String> =
        (1..ENTRIES).map(|n| format!("{{ protocol = \"tcp\", ports = [{}] }}", 80 + n)).collect();
    let listed = format!("[{}, {{ protocol = \"tcp\" }}]", listed.join(", "));
    let more = format!("in = {listed}\nout = {listed}\n");
    let halves = [half("to-d", "c", "red/d"), more.clone(), half("to-c", "d", "red/c"), more];
    tenants.daemon.declare("red", &halves.concat());
    tenants.peer();
    wait_all_active(&tenants.daemon);
    lab.settle();
    lab.sync_packets();
    let time = || lab.all_chassis()[0].forwarding_time().expect("a process of ours");
    let taken = |from: &Host, to: &Host| {
        let before = time();
        from.tcp_throughput(to, to.v4(), BYTES);
        (time() - before).as_secs_f64()
    };
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| taken(&c1, &d1) / taken(&a1, &b1)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ROUNDS / 2];
    println!(
        "ovs-vswitchd's time for TCP through lists of {ENTRIES}: {ratio:.3} times that without ({ratios:.2?})"
    );
    assert!(ratio < TIME_RATIO, "{ratio}");
}
