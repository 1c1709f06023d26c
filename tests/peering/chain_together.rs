//! A chain beside all other features of one hub, with packets: what the chain leads and what the hub's peerings let pass
//! are each as if the other one were not there.
//!
//! The hub's appliance `fw` is in its second subnet, which has a route table of its own, and is between `a` and `c`:
//!
//! | link | lists | gateway | load balancer | routes | route tables | exports | MTU | guests' routes |
//! |---|---|---|---|---|---|---|---|---|
//! | a | both halves | uses all | uses | the hub's by hand | both of the hub's | a part | | its guests, by DHCP |
//! | c | both halves | not offered | not exported | its own by hand | all | | 1300 | |
//!
//! All of it while the hub's router is distributed, becomes a gateway router, and distributed again.

use std::net::IpAddr;
use std::time::Duration;

use crate::chain::appliance;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::{Forged, Forgery, Host};
use crate::lab::probe::Probe;
use crate::lab::topology::{Nat, Network};
use crate::lab::traffic::{Asked, Outcome};
use crate::learn::{dhcp_row, option};
use crate::mtu::ping;
use crate::owned::owned;
use crate::tenants::{BLUE, assert_restart_writes_nothing, half, wait_all_active};

use Outcome::{Answered, Lost};

/// How long the daemon may take to write what somebody has declared.
const LIMIT: Duration = Duration::from_secs(10);
/// Virtual addresses of the hub's load balancer, in its first subnet.
const VIPS: [&str; 2] = ["10.10.0.100", "fd10::100"];
const TO_A: &str = "reach_through = [\"10.1.0.0/24\", \"fd01::/64\"]\n";
const TO_C: &str = "reach_through = [\"10.3.0.0/24\", \"fd03::/64\"]\n";

struct Hub<'a> {
    lab: &'a Lab,
    daemon: Daemon,
    network: Network,
    h1: Host,
    fw: Host,
    a1: Host,
    /// On a subnet that is not exported.
    ax: Host,
    c1: Host,
    outside: Host,
    _serving: Vec<Probe>,
}

/// In IPv4, and in IPv6.
type Families = [bool];
const BOTH: &Families = &[false, true];

fn both(host: &Host) -> [IpAddr; 2] {
    [host.v4(), host.v6()]
}

impl<'a> Hub<'a> {
    fn new(lab: &'a Lab) -> Hub<'a> {
        let network = lab.add_network("h", &["10.10.0.0/24 fd10::/64", "10.20.0.0/24 fd20::/64"]);
        let a = lab.add_network("a", &[BLUE, "10.11.0.0/24 fd11::/64"]);
        let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
        let guest =
            |of: &Network, subnet: usize, name| lab.add_guest_in(&of.subnets[subnet], name, 0);
        let (h1, fw) = (guest(&network, 0, "h1"), guest(&network, 1, "fw"));
        let (a1, ax, c1) = (guest(&a, 0, "a1"), guest(&a, 1, "ax"), guest(&c, 0, "c1"));
        c1.ip(&["link set eth0 mtu 1300".to_owned()]);
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            fw.run(&["sysctl", "-qw", &format!("{key}=1")]);
        }
        // It is in forwarding's way that the kernel forgets what it was told of routers.
        for via in ["10.20.0.1", "fd20::1"] {
            fw.ip(&[format!("route replace default via {via}")]);
        }
        lab.add_uplink(&network, Nat::Source);
        let outside = lab.outside();
        for prefix in a.prefixes().chain(c.prefixes()) {
            outside
                .ip(&[format!("route add {prefix} via {}", network.uplink_address(prefix.addr()))]);
        }
        lab.nbctl_batch(&format!(
            "set Logical_Router_Port h-r1 options:route_table=special\n\
             lb-add web-lb {}:80 {}:8080 tcp\nlb-add web-lb [{}]:80 [{}]:8080 tcp\nls-lb-add h-s0 web-lb",
            VIPS[0],
            h1.v4(),
            VIPS[1],
            h1.v6()
        ));
        let serving = [&h1, &fw, &a1, &c1, &outside];
        let serving = serving.map(|host| host.serve_all(&[22, 80, 8080], &[53])).into();
        let daemon = Daemon::start(lab);
        for (project, router, more) in [
            ("hub", "h", "mtu = 1400\n"),
            ("pa", "a", "mtu = 1400\ntell_guests = [\"dhcp\"]\n"),
            ("pc", "c", "mtu = 1300\n"),
        ] {
            let text = format!(
                "[[network]]\nproject = \"{project}\"\nname = \"net\"\nrouter = \"{router}\"\n{more}"
            );
            daemon.write(&format!("networks.d/{project}.toml"), &text);
        }
        Hub { lab, daemon, network, h1, fw, a1, ax, c1, outside, _serving: serving }
    }

    /// The halves of all, `c`'s with these keys.
    fn declare(&self, of_c: &str) {
        let route = |half: &str, to: &str, more: &str| {
            format!(
                "[[route]]\nnetwork = \"net\"\npeering = \"{half}\"\ndestination = \"{to}\"\n{more}"
            )
        };
        let mut hub = half("to-a", "net", "pa/net")
            + "gateway = \"offer\"\nload_balancers = [\"web-lb\"]\nroutes = \"manual\"\n\
               in = [{ protocol = \"tcp\", ports = [8080] }]\nout = [{ protocol = \"tcp\", ports = [22] }]\n"
            + &half("to-c", "net", "pc/net")
            + "out = [{ protocol = \"udp\", ports = [53] }]\n";
        for to in ["10.1.0.0/24", "fd01::/64"] {
            for table in ["<main>", "special"] {
                hub += &route("to-a", to, &format!("route_table = \"{table}\"\n"));
            }
        }
        let address = format!("\"{}\", \"{}\"", self.fw.v4(), self.fw.v6());
        let between = "\"to-a\", \"to-c\"";
        hub += &appliance(between, &address, "").replace("\"db\"", "\"net\"");
        self.daemon.declare("hub", &hub);
        let to_hub = |more: &str| half("to-hub", "net", "hub/net") + more;
        let of_a = "use_gateway = true\nuse_load_balancers = true\n\
            export = [\"10.1.0.0/24\", \"fd01::/64\"]\nin = [{ protocol = \"tcp\", ports = [22] }]\n";
        self.daemon.declare("pa", &(to_hub(of_a) + TO_C));
        let own = ["10.10.0.0/24", "fd10::/64"].map(|to| route("to-hub", to, ""));
        let lists = "routes = \"manual\"\nin = [{ protocol = \"udp\", ports = [53] }]\nout = []\n";
        self.daemon.declare("pc", &(to_hub(lists) + of_c + &own.concat()));
        let reloaded = self.daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}\n{}", self.daemon.log());
        self.settle();
    }

    fn settle(&self) {
        self.daemon.wait_quiet();
        self.lab.sync_packets();
    }

    /// Between `a` and `c` everything passes, or nothing, whatever the lists say.
    fn ask_chained(&self, families: &Families, wanted: Outcome) -> Vec<Asked> {
        let Hub { a1, ax, c1, .. } = self;
        let each = both(a1).into_iter().zip(both(c1));
        let each = each.filter(|(to, _)| families.contains(&to.is_ipv6()));
        let asked = each.flat_map(|(at_a, at_c)| {
            [
                a1.ask_tcp(at_c, 80, 0, wanted),
                a1.ask_udp(at_c, 53, 0, wanted),
                a1.ask_echo(at_c, wanted),
                c1.ask_tcp(at_a, 8080, 0, wanted),
                c1.ask_udp(at_a, 53, 0, wanted),
                c1.ask_echo(at_a, wanted),
                ax.ask_tcp(at_c, 80, 0, Lost),
            ]
        });
        asked.collect()
    }

    /// What the hub's peerings let pass, with the chain and without.
    fn ask_direct(&self, families: &Families) -> Vec<Asked> {
        let Hub { h1, fw, a1, c1, outside, .. } = self;
        let each = both(h1).into_iter().zip(both(fw)).zip(both(a1)).zip(both(c1));
        let vips: [IpAddr; 2] = VIPS.map(|text| text.parse().expect("an address"));
        let each = each.zip(vips).zip(both(outside));
        let each = each.filter(|(_, to)| families.contains(&to.is_ipv6()));
        let asked = each.flat_map(|(((((at_hub, at_fw), at_a), at_c), vip), beyond)| {
            [
                a1.ask_tcp(at_hub, 8080, 0, Answered),
                a1.ask_echo(at_hub, Lost),
                a1.ask_tcp(vip, 80, 0, Answered),
                a1.ask_tcp(beyond, 80, 0, Answered),
                h1.ask_tcp(at_a, 22, 0, Answered),
                h1.ask_tcp(at_a, 80, 0, Lost),
                h1.ask_udp(at_c, 53, 0, Answered),
                h1.ask_tcp(at_c, 80, 0, Lost),
                c1.ask_tcp(at_hub, 8080, 0, Lost),
                c1.ask_tcp(vip, 80, 0, Lost),
                c1.ask_tcp(beyond, 80, 0, Lost),
                // In its own name the appliance is one of the hub's guests.
                fw.ask_tcp(at_a, 22, 0, Answered),
                fw.ask_tcp(at_a, 80, 0, Lost),
                a1.ask_tcp(at_fw, 8080, 0, Answered),
            ]
        });
        asked.collect()
    }

    /// The chain in both families; and in these the peerings, and that who sends too much is told so. What is chained has
    /// passed the appliance.
    #[track_caller]
    fn assert_all(&self, checked: &Families) {
        let Hub { a1, c1, fw, .. } = self;
        let ways = [(a1.v4(), c1.v4()), (c1.v6(), a1.v6())];
        let seen = ways.map(|(from, to)| fw.capture(&format!("tcp and src {from} and dst {to}")));
        Asked::assert_all(
            self.ask_chained(BOTH, Answered).into_iter().chain(self.ask_direct(checked)),
        );
        for (seen, way) in seen.iter().zip(ways) {
            assert!(seen.sees_something(Duration::from_secs(5)), "{way:?} pass the appliance");
        }
        for to in both(c1).into_iter().filter(|to| checked.contains(&to.is_ipv6())) {
            let (fits, large) = (ping(a1, to, 1300), ping(a1, to, 1301));
            assert_eq!(fits.received, fits.sent, "{fits:?}");
            assert!(
                large.received == 0 && !large.errors.is_empty(),
                "told that it is too large: {large:?}"
            );
        }
        self.lab.assert_all_policies_are_at_work();
    }

    #[track_caller]
    fn assert_nobody_else_is_believed(&self) {
        let Hub { a1, c1, h1, outside, .. } = self;
        let forge = |from: &Host, (source, to)| from.forge(Forged::Udp, source, to, a1);
        let pairs = || both(c1).into_iter().zip(both(a1));
        let from_outside = pairs().map(|pair| forge(outside, pair));
        let forged = from_outside.chain(pairs().map(|pair| forge(h1, pair))).collect();
        assert_eq!(Forgery::which_arrive(forged), [false; 4]);
    }

    /// The hub's router is on one chassis, or on all.
    #[track_caller]
    fn convert(&self, gateway: bool) {
        let (chassis, up) = (self.lab.gateway().name(), self.network.uplink_port());
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
            let switches = owned(&self.lab.dump());
            let switches = switches.iter().filter(|row| row.table == "Logical_Switch").count();
            if switches == if gateway { 2 } else { 0 } {
                Ok(())
            } else {
                Err(format!("{switches} switches"))
            }
        });
        self.settle();
        wait_all_active(&self.daemon);
    }

    /// The port of the appliance keeps state and lets `a` alone open, port 80: replies come back through the same port.
    #[track_caller]
    fn assert_stateful(&self) {
        let Hub { lab, a1, c1, .. } = self;
        let acl = |priority: u16, what: &str, verdict: &str| {
            format!("acl-add h-s1 to-lport {priority} 'outport == \"fw\" && {what}' {verdict}\n")
        };
        let opens = "(ip4.src == 10.1.0.0/24 || ip6.src == fd01::/64) && tcp.dst == 80";
        lab.nbctl_batch(&(acl(1002, opens, "allow-related") + &acl(1001, "(tcp || udp)", "drop")));
        lab.sync_packets();
        let each = both(a1).into_iter().zip(both(c1));
        let asked = each.flat_map(|(at_a, at_c)| {
            [
                a1.ask_tcp(at_c, 80, 0, Answered),
                a1.ask_tcp(at_c, 8080, 0, Lost),
                c1.ask_tcp(at_a, 80, 0, Lost),
                a1.ask_udp(at_c, 53, 0, Lost),
            ]
        });
        Asked::assert_all(asked);
        lab.nbctl(&["acl-del", "h-s1"]);
        lab.sync_packets();
    }
}

#[test]
fn a_chain_beside_all_other_features_of_a_hub() {
    let lab = Lab::single_chassis();
    let hub = Hub::new(&lab);
    let row = dhcp_row(&lab, &[]);
    lab.nbctl(&["create", "DHCP_Options", "cidr=10.11.0.0/24", "options:router=10.11.0.1"]);
    lab.settle();
    hub.declare(TO_A);
    wait_all_active(&hub.daemon);
    // Guests are told of the hub, and of what it leads to.
    let told = option(&lab, &row, "classless_static_route").unwrap_or_default();
    assert!(told.contains("10.20.0.0/24") && told.contains("10.3.0.0/24"), "{told}");
    hub.assert_all(&[false]);
    assert_restart_writes_nothing(&lab, &hub.daemon);

    hub.convert(true);
    hub.assert_all(&[true]);
    assert_restart_writes_nothing(&lab, &hub.daemon);
    hub.assert_nobody_else_is_believed();
    hub.assert_stateful();
    // Without one consent the chain goes, even though all that `a` has no route for goes to the hub's gateway.
    let ask = |families: &Families, wanted| {
        Asked::assert_all(
            hub.ask_chained(families, wanted).into_iter().chain(hub.ask_direct(families)),
        );
    };
    hub.declare("");
    ask(&[false], Lost);
    hub.declare(TO_A);
    wait_all_active(&hub.daemon);

    hub.convert(false);
    ask(&[true], Answered);
}
