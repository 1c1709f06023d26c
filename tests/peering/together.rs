//! All features on one hub, with packets: what each one gives and refuses while all the others are there.
//!
//! The spokes' halves and the hub's for them carry (F filters, G gateway, L load balancers, M manual routes, T route tables,
//! E exports and imports, C conversion of the hub's router, U MTUs that differ, R guests' routes):
//!
//! | spoke | F | G | L | M | T | E | C | U | R |
//! |---|---|---|---|---|---|---|---|---|---|
//! | a | both halves | all | uses | the hub's side | the hub's main one | exports a part | x | | its guests, by DHCP |
//! | b | its half | not offered | uses | its side | the hub's main one | | x | 1300 | the hub's guests |
//! | c | its half | listed | not exported | | all of the hub's | imports a part | x | 1350 | the hub's guests |
//!
//! So each two of them are on one link: all that are without U on the hub's with a, F-U, L-U, M-U, T-U with b, G-U and E-U
//! with c, C-U and U-R with both.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::drift::all_are_repaired;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::probe::Probe;
use crate::lab::topology::{Nat, Network};
use crate::lab::traffic::{Asked, Outcome};
use crate::learn::{Client, dhcp_row, option};
use crate::mtu::{ping, wait_checking};
use crate::owned::{Owned, foreign, owned};
use crate::tenants::{BLUE, GREEN, assert_restart_writes_nothing, half, wait_all_active};

use Outcome::{Answered, Lost};

/// How long the daemon may take to write what somebody has declared.
const LIMIT: Duration = Duration::from_secs(10);
/// Virtual addresses of the hub's load balancer, in its first subnet.
const VIPS: [&str; 2] = ["10.10.0.100", "fd10::100"];
/// The hub's half for `a`, as long as it opens something.
const OPEN: &str = "gateway = \"offer\"\nload_balancers = [\"web-lb\"]\n\
    in = [{ protocol = \"tcp\", ports = [8080] }, { protocol = \"icmp\", types = [\"echo-request\"] }]\n";

struct Together<'a> {
    lab: &'a Lab,
    daemon: Daemon,
    hub: Network,
    /// On the hub's first subnet, and on its second one, which has a route table of its own.
    h1: Host,
    h2: Host,
    a1: Host,
    /// Has what DHCP told it: its default route leads to nowhere.
    a2: Host,
    /// On a subnet that is not exported.
    ax: Host,
    b1: Host,
    c1: Host,
    outside: Host,
    _serving: Vec<Probe>,
}

fn both(host: &Host) -> [IpAddr; 2] {
    [host.v4(), host.v6()]
}

fn vips() -> [IpAddr; 2] {
    VIPS.map(|text| text.parse().expect("an address"))
}

impl<'a> Together<'a> {
    fn new(lab: &'a Lab) -> Together<'a> {
        let hub = lab.add_network("h", &["10.10.0.0/24 fd10::/64", "10.20.0.0/24 fd20::/64"]);
        let a = lab.add_network("a", &[BLUE, "10.11.0.0/24 fd11::/64"]);
        let (b, c) =
            (lab.add_network("b", &[GREEN]), lab.add_network("c", &["10.3.0.0/24 fd03::/64"]));
        let guest = |network: &Network, subnet: usize, name| {
            lab.add_guest_in(&network.subnets[subnet], name, 0)
        };
        let (h1, h2) = (guest(&hub, 0, "h1"), guest(&hub, 1, "h2"));
        let (a1, a2, ax) = (guest(&a, 0, "a1"), guest(&a, 0, "a2"), guest(&a, 1, "ax"));
        let (b1, c1) = (guest(&b, 0, "b1"), guest(&c, 0, "c1"));
        for (host, mtu) in [(&b1, 1300), (&c1, 1350)] {
            host.ip(&[format!("link set eth0 mtu {mtu}")]);
        }
        lab.add_uplink(&hub, Nat::Source);
        let outside = lab.outside();
        for prefix in [&a, &c].into_iter().flat_map(Network::prefixes) {
            outside.ip(&[format!("route add {prefix} via {}", hub.uplink_address(prefix.addr()))]);
        }
        lab.nbctl_batch(&format!(
            "set Logical_Router_Port h-r1 options:route_table=special\n\
             lb-add web-lb {}:80 {}:8080 tcp\nlb-add web-lb [{}]:80 [{}]:8080 tcp\nls-lb-add h-s0 web-lb",
            VIPS[0],
            h1.v4(),
            VIPS[1],
            h1.v6()
        ));
        let serving = [&h1, &h2, &a1, &b1, &c1, &outside];
        let serving = serving.map(|host| host.serve_all(&[22, 80, 8080], &[53])).into();
        let daemon = Daemon::start(lab);
        for (project, router, more) in [
            ("hub", "h", "mtu = 1400\ntell_guests = [\"dhcp\"]\n"),
            ("pa", "a", "mtu = 1400\ntell_guests = [\"dhcp\"]\n"),
            ("pb", "b", "mtu = 1300\n"),
            ("pc", "c", "mtu = 1350\n"),
        ] {
            let text = format!(
                "[[network]]\nproject = \"{project}\"\nname = \"net\"\nrouter = \"{router}\"\n{more}"
            );
            daemon.write(&format!("networks.d/{project}.toml"), &text);
        }
        Together { lab, daemon, hub, h1, h2, a1, a2, ax, b1, c1, outside, _serving: serving }
    }

    /// The halves of all, the hub's for `a` with these keys.
    fn declare(&self, for_a: &str) {
        let route = |half: &str, to: &str, more: &str| {
            format!(
                "[[route]]\nnetwork = \"net\"\npeering = \"{half}\"\ndestination = \"{to}\"\n{more}"
            )
        };
        let main = "route_table = \"<main>\"\n";
        let hub = [
            half("to-a", "net", "pa/net"),
            for_a.to_owned(),
            "routes = \"manual\"\nout = [{ protocol = \"tcp\", ports = [22] }]\n".to_owned(),
            half("to-b", "net", "pb/net"),
            "load_balancers = [\"web-lb\"]\nroute_tables = [\"<main>\"]\n".to_owned(),
            half("to-c", "net", "pc/net"),
            "gateway = \"offer\"\n".to_owned(),
            route("to-a", "10.1.0.0/24", main),
            route("to-a", "fd01::/64", main),
        ];
        self.daemon.declare("hub", &hub.concat());
        let to_hub = |more: &str| half("to-hub", "net", "hub/net") + more;
        self.daemon.declare(
            "pa",
            &to_hub(
                "use_gateway = true\nuse_load_balancers = true\nexport = [\"10.1.0.0/24\", \"fd01::/64\"]\n\
                 in = [{ protocol = \"tcp\", ports = [22] }]\n",
            ),
        );
        let own = ["10.10.0.0/24", "fd10::/64"].map(|to| route("to-hub", to, ""));
        let of_b = "use_load_balancers = true\nroutes = \"manual\"\n\
            in = [{ protocol = \"icmp\", types = [\"echo-request\"] }]\n\
            out = [{ protocol = \"tcp\", ports = [8080] }]\n";
        self.daemon.declare("pb", &(to_hub(of_b) + &own.concat()));
        self.daemon.declare(
            "pc",
            &to_hub(
                "use_gateway = [\"172.31.0.0/24\", \"fd31::/64\"]\n\
                 import = [\"10.20.0.0/24\", \"fd20::/64\"]\n\
                 in = [{ protocol = \"udp\", ports = [53] }, { protocol = \"icmp\", types = [\"echo-request\"] }]\n",
            ),
        );
        let reloaded = self.daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}\n{}", self.daemon.log());
        self.settle();
    }

    fn settle(&self) {
        self.daemon.wait_quiet();
        self.lab.sync_packets();
    }

    /// What passes and what does not, with the hub open for `a` or closed.
    #[track_caller]
    fn ask(&self, open: bool) {
        Asked::assert_all(
            [self.ask_of_a(open), self.ask_of_b(), self.ask_of_c()].into_iter().flatten(),
        );
    }

    fn ask_of_a(&self, open: bool) -> Vec<Asked> {
        let Together { h1, h2, a1, a2, ax, b1, c1, outside, .. } = self;
        let opened = if open { Answered } else { Lost };
        let each = both(h1).into_iter().zip(both(h2)).zip(both(a1)).zip(vips()).zip(both(outside));
        let mut asked: Vec<Asked> = each
            .flat_map(|((((to, no_way_back), own), vip), beyond)| {
                [
                    a1.ask_tcp(to, 8080, 0, opened),
                    a1.ask_echo(to, opened),
                    a1.ask_tcp(vip, 80, 0, opened),
                    a1.ask_tcp(beyond, 80, 0, opened),
                    a1.ask_tcp(to, 22, 0, Lost),
                    a1.ask_tcp(no_way_back, 8080, 0, Lost),
                    h1.ask_tcp(own, 22, 0, Answered),
                    h1.ask_tcp(own, 8080, 0, Lost),
                ]
            })
            .collect();
        asked.extend([
            h1.ask_echo(a1.v4(), Lost),
            // It knows the way to the hub, to the virtual address too, and none to the gateway.
            a2.ask_tcp(h1.v4(), 8080, 0, opened),
            a2.ask_tcp(vips()[0], 80, 0, opened),
            a2.ask_tcp(outside.v4(), 80, 0, Lost),
            ax.ask_tcp(h1.v4(), 8080, 0, Lost),
            ax.ask_tcp(outside.v6(), 80, 0, Lost),
            // With a list, what is outside opens nothing.
            outside.ask_tcp(a1.v6(), 22, 0, Lost),
            // Neither the gateway nor anything else leads to another spoke.
            a1.ask_echo(b1.v4(), Lost),
            a1.ask_tcp(c1.v6(), 22, 0, Lost),
        ]);
        asked
    }

    fn ask_of_b(&self) -> Vec<Asked> {
        let Together { h1, h2, a1, b1, outside, .. } = self;
        let each = both(h1).into_iter().zip(both(h2)).zip(both(b1)).zip(vips());
        let asked = each.flat_map(|(((to, no_way), own), vip)| {
            [
                b1.ask_tcp(to, 8080, 0, Answered),
                b1.ask_tcp(vip, 80, 0, Answered),
                h1.ask_echo(own, Answered),
                b1.ask_tcp(to, 22, 0, Lost),
                b1.ask_tcp(no_way, 8080, 0, Lost),
                h2.ask_echo(own, Lost),
                h1.ask_tcp(own, 22, 0, Lost),
            ]
        });
        let lost = [b1.ask_tcp(outside.v4(), 80, 0, Lost), b1.ask_tcp(a1.v6(), 22, 0, Lost)];
        asked.chain(lost).collect()
    }

    fn ask_of_c(&self) -> Vec<Asked> {
        let Together { h1, h2, a1, c1, outside, .. } = self;
        let each = both(h1).into_iter().zip(both(h2)).zip(both(c1)).zip(both(outside));
        let asked = each.flat_map(|(((no_way, to), own), beyond)| {
            [
                c1.ask_tcp(to, 8080, 0, Answered),
                h2.ask_udp(own, 53, 0, Answered),
                c1.ask_tcp(beyond, 80, 0, Answered),
                c1.ask_tcp(no_way, 8080, 0, Lost),
                h1.ask_udp(own, 53, 0, Lost),
                h2.ask_tcp(own, 22, 0, Lost),
            ]
        });
        let more = [
            c1.ask_tcp(vips()[0], 80, 0, Lost),
            c1.ask_tcp(a1.v4(), 22, 0, Lost),
            // What is listed may open, whatever the lists say.
            outside.ask_tcp(c1.v6(), 22, 0, Answered),
        ];
        asked.chain(more).collect()
    }

    /// Who sends what is too large for a spoke is told so, whatever its lists let pass.
    #[track_caller]
    fn assert_too_large_is_told(&self) {
        for (from, to, mtu) in [
            (&self.h1, self.b1.v4(), 1300),
            (&self.h1, self.b1.v6(), 1300),
            (&self.h2, self.c1.v4(), 1350),
        ] {
            let (fits, large) = (ping(from, to, mtu), ping(from, to, mtu + 1));
            assert_eq!(fits.received, fits.sent, "{fits:?}");
            assert!(large.received == 0 && !large.errors.is_empty(), "{large:?}");
        }
    }

    /// The hub's router is on one chassis, or on all.
    fn convert(&self, gateway: bool) {
        let (chassis, up) = (self.lab.gateway().name(), self.hub.uplink_port());
        if gateway {
            self.lab.nbctl_batch(&format!(
                "set Logical_Router h options:chassis={chassis}\n\
                 clear Logical_Router_Port {up} gateway_chassis"
            ));
        } else {
            self.lab.nbctl_batch(&format!(
                "remove Logical_Router h options chassis\nlrp-set-gateway-chassis {up} {chassis}"
            ));
        }
        poll("the links are converted", LIMIT, || {
            let switches =
                of_each_kind(&owned(&self.lab.dump())).keys().any(|kind| kind == "Logical_Switch");
            if switches == gateway { Ok(()) } else { Err(format!("switches: {switches}")) }
        });
        self.settle();
        wait_all_active(&self.daemon);
    }
}

/// A row of each kind: of a policy its priority, of a route whether it is a default route, of a set what it is for.
fn of_each_kind(rows: &[Owned]) -> BTreeMap<String, Owned> {
    let kind = |row: &Owned| match row.table.as_str() {
        "Logical_Router_Policy" => format!("policy {}", row.row["priority"]),
        "Logical_Router_Static_Route" => {
            let table = row.text("route_table");
            format!("route {} {table:?}", row.text("ip_prefix").ends_with("/0"))
        }
        "Address_Set" => {
            let digits = |it: char| it.is_ascii_hexdigit() && !it.is_ascii_uppercase();
            let words = row
                .text("name")
                .split('_')
                .filter(|word| word.len() != 24 || !word.chars().all(digits));
            words.collect::<Vec<_>>().join("_")
        }
        table => table.to_owned(),
    };
    rows.iter().map(|row| (kind(row), row.clone())).collect()
}

#[test]
fn all_features_on_one_hub() {
    let lab = Lab::single_chassis();
    let together = Together::new(&lab);
    let Together { daemon, a2, .. } = &together;
    let [of_hub, of_second, _] = [10, 20, 11].map(|n| {
        let [cidr, router] = [format!("cidr=10.{n}.0.0/24"), format!("options:router=10.{n}.0.1")];
        lab.nbctl(&["create", "DHCP_Options", &cidr, &router]).trim().to_owned()
    });
    let row = dhcp_row(&lab, &[]);
    let client = Client::new(&lab, a2, &row);
    lab.settle();
    let before = foreign(&lab);
    together.declare(OPEN);
    wait_all_active(daemon);
    wait_checking(&lab, &[("b", 1300), ("c", 1350)]);
    // To `b`, and by hand to `a`, there are no routes in the other table.
    for (row, wanted) in [
        (
            &of_hub,
            "{10.1.0.0/24,10.10.0.1, 10.2.0.0/24,10.10.0.1, 10.3.0.0/24,10.10.0.1, 0.0.0.0/0,10.10.0.1}",
        ),
        (&of_second, "{10.3.0.0/24,10.20.0.1, 0.0.0.0/0,10.20.0.1}"),
    ] {
        assert_eq!(option(&lab, row, "classless_static_route").as_deref(), Some(wanted));
    }
    let learned = client.renew();
    let routes = ["10.10.0.0/24 via 10.1.0.1 dev eth0", "10.20.0.0/24 via 10.1.0.1 dev eth0"];
    assert_eq!(learned, [&routes[..], &["default via 10.1.0.254 dev eth0"]].concat());
    together.ask(true);
    together.assert_too_large_is_told();
    lab.assert_all_policies_are_at_work();
    assert_restart_writes_nothing(&lab, &together.daemon);

    together.convert(true);
    together.ask(true);
    together.assert_too_large_is_told();
    lab.assert_all_policies_are_at_work();
    assert_restart_writes_nothing(&lab, &together.daemon);
    let rows = of_each_kind(&owned(&lab.dump()));
    println!("{} kinds of rows: {:?}", rows.len(), rows.keys());
    let damages: Vec<_> = rows.into_values().map(|row| (row, "deleted")).collect();
    all_are_repaired(&lab, &damages);
    together.convert(false);
    Asked::assert_all(together.ask_of_a(true));

    // The hub takes back what `a` has of it: the others notice nothing.
    together.declare("in = []\n");
    together.ask(false);
    for project in ["hub", "pa", "pb", "pc"] {
        daemon.withdraw(project);
    }
    daemon.ctl(&["reload"]);
    daemon.confirm();
    poll("nothing of ours is left", LIMIT, || match owned(&lab.dump()).as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!("{first:?}")),
    });
    let after = foreign(&lab);
    for table in ["NAT", "DHCP_Options", "Load_Balancer", "Logical_Switch"] {
        assert_eq!(after.table(table), before.table(table), "{table}");
    }
}
