//! Traffic filters, with packets (S1.15, S1.31, S1.32, S2.16-S2.18): who may open what, in both families, on one chassis
//! and across two; and what follows an opening.
//!
//! Another tool's policies stand below ours on both routers all the time, and open nothing.

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::probe::Probe;
use crate::lab::traffic::{Asked, Held, Outcome};
use crate::on_every_lab;
use crate::owned::link_rows;
use crate::tenants::{BLUE, GREEN, Tenants, half};

use Outcome::{Answered, Lost, Refused};

on_every_lab!(
    one_side_opens_what_the_other_lets_in_and_nothing_else,
    no_fragment_slips_by_the_ports,
    the_router_answers_a_ping_only_where_a_list_lets_it,
    an_entry_that_goes_cuts_what_stands,
    one_vm_among_all_is_kept_out,
    both_sides_narrow_what_may_be_opened,
    halves_that_are_closed_open_by_the_lists_of_both,
);

/// The ports that are served at green's guest by TCP; 81 and 8050 are allowed in places and served by nobody.
const TCP: [u16; 6] = [22, 80, 5432, 8000, 8100, 8101];
/// Likewise by UDP.
const UDP: [u16; 2] = [53, 123];

/// Two peered networks with lists, and a server at each guest that is asked.
pub(crate) struct Filtered<'a> {
    lab: &'a Lab,
    pub(crate) tenants: Tenants,
    pub(crate) a1: Host,
    pub(crate) b1: Host,
    _serving: [Probe; 2],
}

impl<'a> Filtered<'a> {
    pub(crate) fn new(lab: &'a Lab, policy: &str) -> Filtered<'a> {
        let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
        let daemon = Daemon::prepare(lab, "hv1", policy);
        daemon.start_again();
        daemon.bind_network("blue", "web", a.router());
        daemon.bind_network("green", "db", b.router());
        let (a1, b1) = (lab.add_guest(&a, "a1", 0), lab.add_guest(&b, "b1", 1));
        for (router, v4, v6) in
            [("a", "10.1.0.0/24", "fd01::/64"), ("b", "10.2.0.0/24", "fd02::/64")]
        {
            let subnet = format!("ip4.dst == {v4} || ip6.dst == {v6}");
            lab.nbctl(&["lr-policy-add", router, "31000", &subnet, "allow"]);
        }
        let serving = [&a1, &b1].map(|host| host.serve_all(&TCP, &UDP));
        let tenants = Tenants { a, b, daemon };
        let filtered = Filtered { lab, tenants, a1, b1, _serving: serving };
        lab.settle();
        filtered
    }

    /// With both halves open, and seen to be so.
    pub(crate) fn open(lab: &'a Lab) -> Filtered<'a> {
        let filtered = Filtered::new(lab, "");
        filtered.declare("", "");
        filtered.tenants.wait_active();
        filtered.lab.sync_packets();
        filtered.a1.assert_reaches(&filtered.b1);
        filtered
    }

    /// Blue's and green's half with more keys, until packets are treated by them.
    #[track_caller]
    pub(crate) fn declare(&self, blue: &str, green: &str) {
        self.write(0, blue);
        self.write(1, green);
        self.take_effect();
    }

    /// The same of one half, by its network.
    #[track_caller]
    pub(crate) fn declare_one(&self, network: usize, keys: &str) {
        self.write(network, keys);
        self.take_effect();
    }

    fn write(&self, network: usize, keys: &str) {
        let halves = [("blue", "to-db", "web", "green/db"), ("green", "to-web", "db", "blue/web")];
        let (project, name, own, target) = halves[network];
        self.tenants.daemon.declare(project, &format!("{}{keys}\n", half(name, own, target)));
    }

    #[track_caller]
    fn take_effect(&self) {
        let daemon = &self.tenants.daemon;
        let reloaded = daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}\n{}", daemon.log());
        daemon.wait_quiet();
        self.lab.sync_packets();
    }

    /// The priorities of the link's policies on a router, as offsets.
    fn offsets(&self, router: &str) -> Vec<i64> {
        let rows = link_rows(&self.lab.dump()).into_iter();
        let policies = rows.filter(|row| row.router == router && row.row.contains_key("priority"));
        let mut all: Vec<_> =
            policies.map(|row| row.row["priority"].as_i64().expect("a number") - 32_000).collect();
        all.sort_unstable();
        all
    }

    /// No match is lost on its way to the chassis.
    pub(crate) fn end(&self) {
        self.tenants.wait_active();
        self.lab.assert_all_policies_are_at_work();
    }
}

fn both(host: &Host) -> [IpAddr; 2] {
    [host.v4(), host.v6()]
}

/// What comes of asking TCP ports in both families.
fn tcp(from: &Host, to: &Host, ports: &[u16], wanted: Outcome) -> Vec<Asked> {
    let pairs = both(to).into_iter().flat_map(|to| ports.iter().map(move |port| (to, *port)));
    pairs.map(|(to, port)| from.ask_tcp(to, port, 0, wanted)).collect()
}

/// What comes of echo requests in both families.
pub(crate) fn ping(from: &Host, to: &Host, wanted: Outcome) -> Vec<Asked> {
    both(to).map(|to| from.ask_echo(to, wanted)).into()
}

/// What comes of asking a UDP port from a port in both families.
pub(crate) fn udp(from: &Host, to: &Host, ports: [u16; 2], wanted: Outcome) -> Vec<Asked> {
    both(to).map(|to| from.ask_udp(to, ports[1], ports[0], wanted)).into()
}

#[track_caller]
pub(crate) fn assert_all(groups: impl IntoIterator<Item = Vec<Asked>>) {
    Asked::assert_all(groups.into_iter().flatten());
}

/// Blue opens some ports and pings; green opens nothing, from whichever port it tries. What answers passes: data, "connection
/// refused", and that a hop limit has expired.
fn one_side_opens_what_the_other_lets_in_and_nothing_else(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    assert_all([tcp(a1, b1, &[22, 5432], Answered), tcp(b1, a1, &[22], Answered)]);
    // With IPv6, OVN lets a router say so only to its neighbours.
    let path = a1.trace(b1.v6(), 5);
    filtered.declare(
        "",
        "in = [{ protocol = \"tcp\", ports = [5432, \"8000-8100\"] }, { protocol = \"udp\", ports = [53, 55] }, \
         { protocol = \"icmp\", types = [\"echo-request\"] }]\nout = []",
    );
    let (at_a, at_b) = (
        a1.capture(&format!("src host {} and tcp[13] = 2", b1.v4())),
        b1.capture(&format!("src host {} and tcp[13] = 2 and tcp dst port 22", a1.v4())),
    );
    assert_all([
        tcp(a1, b1, &[5432, 8000, 8100], Answered),
        tcp(a1, b1, &[8050], Refused),
        tcp(a1, b1, &[22, 80, 81, 8101], Lost),
        udp(a1, b1, [0, 53], Answered),
        udp(a1, b1, [0, 55], Refused),
        udp(a1, b1, [0, 123], Lost),
        ping(a1, b1, Answered),
        tcp(b1, a1, &[22, 5432, 81], Lost),
        ping(b1, a1, Lost),
        // From the port of a service: TCP is known by its flags. Of UDP nothing but the port tells a reply from an
        // opening, which `show` says.
        both(a1).map(|to| b1.ask_tcp(to, 22, 8050, Lost)).into(),
        udp(b1, a1, [54, 123], Lost),
    ]);
    assert_eq!(at_a.stop(), Vec::<String>::new(), "no opening of green's arrives");
    assert_eq!(at_b.stop(), Vec::<String>::new(), "no opening of another port arrives");
    // Only here, as green's server has that port else.
    assert_all([udp(b1, a1, [55, 123], Answered)]);
    let hops = [filtered.tenants.a.router_addresses()[0], filtered.tenants.b.router_addresses()[0]];
    assert_eq!(a1.trace(b1.v4(), 5), [Some(hops[0]), Some(hops[1]), Some(b1.v4())]);
    assert_eq!(a1.trace(b1.v6(), 5), path);
    // The same the other way round.
    filtered.declare("in = []\nout = [{ protocol = \"tcp\", ports = [5432] }]", "out = [{}]");
    assert_all([
        tcp(a1, b1, &[5432], Answered),
        tcp(a1, b1, &[22], Lost),
        tcp(b1, a1, &[22, 5432], Lost),
        ping(a1, b1, Lost),
        ping(b1, a1, Lost),
    ]);
    filtered.end();
}

/// Of a SYN in fragments no policy sees the port: neither one to a denied nor one to an allowed port is answered, and
/// large datagrams pass only where no ports are named.
fn no_fragment_slips_by_the_ports(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let syns = [(b1.v4(), 22), (b1.v4(), 5432), (b1.v6(), 22), (b1.v6(), 5432)];
    let large = |to: IpAddr, wanted| a1.ask_udp_with(to, 53, 0, 3000, wanted);
    let [v4, v6] = both(b1);
    assert_eq!(a1.are_answered_in_fragments(&syns), [true; 4]);
    assert_all([vec![large(v4, Answered), large(v6, Answered)]]);
    filtered.declare(
        "",
        "in = [{ protocol = \"tcp\", ports = [5432] }, { protocol = \"udp\", ports = [53] }]\nout = []",
    );
    assert_eq!(a1.are_answered_in_fragments(&syns), [false; 4]);
    assert_all([vec![large(v4, Lost), large(v6, Lost)]]);
    assert_all([tcp(a1, b1, &[5432], Answered), udp(a1, b1, [0, 53], Answered)]);
    filtered.declare("", "in = [{ action = \"deny\", protocol = \"tcp\", ports = [22] }, {}]");
    assert_eq!(a1.are_answered_in_fragments(&syns), [false; 4]);
    assert_all([vec![large(v4, Answered), large(v6, Answered)]]);
    assert_all([tcp(a1, b1, &[5432, 80], Answered), tcp(a1, b1, &[22], Lost)]);
    // With IPv6, OVN sees the protocol in the first fragment only.
    filtered.declare("", "in = [{ protocol = \"tcp\" }, { protocol = \"udp\" }]\nout = []");
    assert_eq!(a1.are_answered_in_fragments(&syns), [true; 4]);
    assert_all([vec![large(v4, Answered), large(v6, Answered)]]);
    filtered.declare("", "in = [{ protocol = \"tcp\" }]\nout = []");
    assert_eq!(a1.are_answered_in_fragments(&syns), [true; 4]);
    assert_all([vec![large(v4, Lost), large(v6, Lost)]]);
    assert_all([ping(a1, b1, Lost)]);
    filtered.declare("", "in = [{}]\nout = []");
    assert_eq!(a1.are_answered_in_fragments(&syns), [true; 4]);
    assert_all([vec![large(v4, Answered), large(v6, Answered)]]);
    filtered.end();
}

fn the_router_answers_a_ping_only_where_a_list_lets_it(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let asked = |wanted: Outcome| {
        let addresses = filtered.tenants.b.router_addresses();
        let one = |to: IpAddr| a1.ask_echo(to, wanted);
        addresses.into_iter().map(one).collect::<Vec<_>>()
    };
    assert_all([asked(Answered), ping(a1, b1, Answered)]);
    filtered.declare("", "in = [{ protocol = \"tcp\", ports = [5432] }]");
    assert_all([asked(Lost), ping(a1, b1, Lost), tcp(a1, b1, &[5432], Answered)]);
    let echo = "protocol = \"icmp\", types = [\"echo-request\"]";
    let router = "local = [\"10.2.0.1/32\", \"fd02::1/128\"]";
    filtered.declare("", &format!("in = [{{ {echo}, {router} }}]"));
    assert_all([asked(Answered), ping(a1, b1, Lost)]);
    filtered
        .declare("", &format!("in = [{{ action = \"deny\", {echo}, {router} }}, {{ {echo} }}]"));
    assert_all([asked(Lost), ping(a1, b1, Answered)]);
    filtered.end();
}

/// An entry that goes ends what it let open, unless the packets could also answer what the other side may open; a deny
/// ends it in any case.
fn an_entry_that_goes_cuts_what_stands(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let hold = || both(b1).map(|to| [80, 5432].map(|port| a1.hold(to, port)));
    filtered.declare("", "in = [{ protocol = \"tcp\", ports = [80, 5432] }]\nout = []");
    let connections = hold();
    filtered.declare("", "in = [{ protocol = \"tcp\", ports = [80] }]\nout = []");
    assert_one_is_cut(connections);
    assert_all([tcp(a1, b1, &[80], Answered), tcp(a1, b1, &[5432], Lost)]);
    filtered.declare("", "in = [{ protocol = \"tcp\", ports = [80, 5432] }]");
    let connections = hold();
    let deny = "{ action = \"deny\", protocol = \"tcp\", ports = [5432] }";
    filtered.declare("", &format!("in = [{deny}, {{}}]"));
    assert_one_is_cut(connections);
    filtered.end();
}

#[track_caller]
fn assert_one_is_cut(connections: [[Held; 2]; 2]) {
    for [kept, cut] in connections {
        let cut = cut.until_cut();
        assert!(cut.cut && cut.echoed > 0, "{cut:?}");
        let kept = kept.finish();
        assert!(!kept.cut && kept.echoed > cut.echoed, "{kept:?} beside {cut:?}");
    }
}

/// "All but one": it neither reaches nor is reached.
fn one_vm_among_all_is_kept_out(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let a2 = &lab.add_guest(&filtered.tenants.a, "a2", 1);
    lab.settle();
    let _serving = a2.serve_at(80);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    assert_eq!((a2.v4(), a2.v6()), ("10.1.0.11".parse().unwrap(), "fd01::b".parse().unwrap()));
    assert_all([tcp(a2, b1, &[80], Answered), tcp(b1, a2, &[80], Answered)]);
    let list = "[{ action = \"deny\", remote = [\"10.1.0.11/32\", \"fd01::b/128\"] }, {}]";
    filtered.declare("", &format!("in = {list}"));
    let others = || {
        let all =
            [tcp(a1, b1, &[80], Answered), ping(a1, b1, Answered), tcp(b1, a1, &[80], Answered)];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    // Its answers are kept out, too.
    let kept_out = || {
        let all = [tcp(a2, b1, &[80], Lost), ping(a2, b1, Lost), tcp(b1, a2, &[80], Lost)];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    assert_all([others(), kept_out(), ping(b1, a2, Lost), udp(a2, b1, [0, 53], Lost)]);
    assert_eq!(a2.are_answered_in_fragments(&[(b1.v4(), 80), (b1.v6(), 80)]), [false; 2]);
    filtered.declare("", &format!("in = {list}\nout = {list}"));
    let seen = a2.capture(&format!("src host {}", b1.v4()));
    assert_all([others(), kept_out(), ping(b1, a2, Lost), udp(a2, b1, [0, 53], Lost)]);
    assert_eq!(seen.stop(), Vec::<String>::new(), "it hears nothing");
    filtered.declare("", "");
    assert_all([others(), tcp(a2, b1, &[80], Answered), tcp(b1, a2, &[80], Answered)]);
    filtered.end();
}

/// What the one lets out and the other lets in may be opened; one way, if that is all that is let.
fn both_sides_narrow_what_may_be_opened(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    filtered.declare(
        "out = [{ protocol = \"tcp\", ports = [\"80-8000\"] }]",
        "in = [{ protocol = \"tcp\", ports = [22, \"8000-8100\"] }, { protocol = \"icmp\" }]",
    );
    assert_all([
        tcp(a1, b1, &[8000], Answered),
        tcp(a1, b1, &[22, 80, 5432, 8100], Lost),
        ping(a1, b1, Lost),
        tcp(b1, a1, &[22, 80], Answered),
        ping(b1, a1, Answered),
    ]);
    // Addresses are intersected, too, family by family.
    filtered.declare(
        "out = [{ remote = [\"10.2.0.0/25\", \"fd02::/64\"] }]",
        "in = [{ remote = [\"10.0.0.0/8\"], local = [\"10.2.0.10/32\"] }]",
    );
    let [v4, v6] = both(b1);
    assert_all([vec![
        a1.ask_tcp(v4, 80, 0, Answered),
        a1.ask_tcp(v6, 80, 0, Lost),
        a1.ask_echo(v4, Answered),
        a1.ask_echo(v6, Lost),
    ]]);
    filtered.declare("in = []", "");
    assert_all([
        tcp(a1, b1, &[22, 80], Answered),
        ping(a1, b1, Answered),
        tcp(b1, a1, &[22, 80], Lost),
        ping(b1, a1, Lost),
    ]);
    filtered.end();
}

/// Where the operator has closed halves without lists, both have to open; nothing but the drop stands before.
fn halves_that_are_closed_open_by_the_lists_of_both(lab: &Lab) {
    let filtered = Filtered::new(lab, "[policy]\nfilters = \"closed\"\n");
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let (out, inward) = ("out = [{ protocol = \"tcp\", ports = [80] }]", "in = [{}]");
    let all = |wanted| {
        assert_all([
            tcp(a1, b1, &[80], wanted),
            tcp(a1, b1, &[22], Lost),
            tcp(b1, a1, &[80], Lost),
            ping(a1, b1, Lost),
            ping(b1, a1, Lost),
        ]);
    };
    for (blue, green, wanted) in [
        ("", "", Lost),
        (out, "", Lost),
        ("", inward, Lost),
        (out, inward, Answered),
        ("out = []", inward, Lost),
    ] {
        filtered.declare(blue, green);
        filtered.tenants.wait_active();
        all(wanted);
        if wanted == Lost {
            assert_eq!(filtered.offsets("a"), [90, 100], "{blue} {green}");
            assert_eq!(filtered.offsets("b"), [90, 100], "{blue} {green}");
        }
    }
    // Each guest reaches its own network all the time: the lab is alive.
    let a2 = lab.add_guest(&filtered.tenants.a, "a2", 1);
    lab.settle();
    a2.assert_reaches(a1);
    // A change of the policy is followed.
    let settings = std::fs::read_to_string(filtered.tenants.daemon.dir().join("ovn-peerd.toml"));
    let open = settings.expect("the settings").replace("\"closed\"", "\"open\"");
    filtered.tenants.daemon.write("ovn-peerd.toml", &open);
    filtered.declare("", "");
    poll("both are open", Duration::from_secs(10), || {
        let offsets = filtered.offsets("a");
        if offsets == [90, 200] || offsets == [90, 100, 200] {
            Ok(())
        } else {
            Err(format!("{offsets:?}"))
        }
    });
    lab.sync_packets();
    assert_all([tcp(a1, b1, &[22, 80], Answered), tcp(b1, a1, &[80], Answered)]);
    filtered.end();
}
