//! `why` and packets agree: random networks, halves, lists and rows of others on real OVN; random questions; what `why` says
//! passes is answered, what it says does not pass is lost. What it is not sure of is counted, and bounded.
//!
//! `WHY_QUESTIONS` is how many questions there are (60, which takes less than a minute), `WHY_SEED` chooses the worlds.

use std::net::IpAddr;
use std::process::Output;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::probe::Probe;
use crate::lab::topology::Network;
use crate::lab::traffic::{Asked, Outcome};
use crate::lists::short_lists;
use crate::tenants::half;

/// Project, network and router of each, in this order.
const NETWORKS: [(&str, &str, &str); 4] =
    [("blue", "web", "a"), ("green", "db", "b"), ("red", "copy", "c"), ("gold", "shop", "d")];
/// What lists name.
const NAMED: &[&str] = &[
    "10.1.0.0/24",
    "10.2.0.0/24",
    "10.3.0.0/25",
    "10.4.0.0/28",
    "10.1.0.10/32",
    "10.2.0.11/32",
    "10.3.0.10/32",
    "10.0.0.0/8",
    "fd01::/64",
    "fd02::a/128",
    "fd03::/64",
    "::/0",
];
const TCP: [u16; 3] = [22, 80, 443];
const UDP: [u16; 2] = [53, 54];
/// Worlds at the most: what changes more often waits, because it flaps.
const WORLDS: usize = 9;
/// Questions of one world at the least.
const AT_ONCE: usize = 20;
/// So many of a hundred may be without a sure answer.
const MOST_UNSURE: usize = 40;

/// Numbers in a random order, the same for one seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("64 bits") % most
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

struct World<'a> {
    lab: &'a Lab,
    daemon: Daemon,
    networks: Vec<Network>,
    /// Two guests of each network.
    guests: Vec<[Host; 2]>,
    _serving: Vec<Probe>,
}

impl World<'_> {
    fn new(lab: &Lab) -> World<'_> {
        let networks: Vec<Network> = NETWORKS
            .iter()
            .enumerate()
            .map(|(at, (_, _, router))| {
                let n = at + 1;
                lab.add_network(router, &[&format!("10.{n}.0.0/24 fd0{n}::/64")])
            })
            .collect();
        // The last one is a gateway router that translates.
        lab.nbctl(&["set", "Logical_Router", "d", "options:chassis=hv1"]);
        lab.nbctl(&["lr-nat-add", "d", "snat", "172.16.0.4", "10.4.0.0/24"]);
        let daemon = Daemon::start(lab);
        for (project, network, router) in NETWORKS {
            daemon.bind_network(project, network, router);
        }
        let guests: Vec<[Host; 2]> = networks
            .iter()
            .map(|network| {
                [0, 1].map(|nth| lab.add_guest(network, &format!("{}{nth}", network.name), nth))
            })
            .collect();
        let serving = guests.iter().flatten().map(|host| host.serve_all(&TCP, &UDP)).collect();
        lab.settle();
        World { lab, daemon, networks, guests, _serving: serving }
    }

    /// Halves and rows of others, as the dice have it. Returns what undoes the rows.
    fn throw(&self, dice: &mut Dice, runner: &mut TestRunner) -> Vec<Vec<String>> {
        let mut files = vec![String::new(); NETWORKS.len()];
        for from in 0..NETWORKS.len() {
            for to in from + 1..NETWORKS.len() {
                let kind = dice.below(100);
                for (own, other) in [(from, to), (to, from)] {
                    let declares = kind >= 15 && (kind >= 25 || own == from);
                    if !declares {
                        continue;
                    }
                    let target = format!("{}/{}", NETWORKS[other].0, NETWORKS[other].1);
                    files[own] +=
                        &half(&format!("to-{}", NETWORKS[other].2), NETWORKS[own].1, &target);
                    if kind >= 60 {
                        let lists = short_lists(NAMED).new_tree(runner).expect("lists").current();
                        files[own] += &lists.keys();
                    }
                    if dice.below(10) == 0 {
                        let n = own + 1;
                        files[own] += &format!("export = [\"10.{n}.0.8/30\", \"fd0{n}::/64\"]\n");
                    }
                }
            }
        }
        for ((project, ..), text) in NETWORKS.iter().zip(&files) {
            self.daemon.declare(project, text);
        }
        let mut undo = Vec::new();
        for at in 0..NETWORKS.len() {
            if dice.below(100) < 45 {
                undo.extend(self.meddle(dice, at));
            }
        }
        // Now and then the owner of the gateway router chooses what is translated.
        if dice.below(3) == 0 {
            let nat = self.lab.nbctl(&["--bare", "--columns=_uuid", "find", "NAT", "type=snat"]);
            let name = format!("name=theirs{}", dice.below(1_000_000));
            let set =
                self.lab.nbctl(&["create", "Address_Set", &name, "addresses=\"10.1.0.0/24\""]);
            let chosen = format!("allowed_ext_ips={}", set.trim());
            self.lab.nbctl(&[
                "clear",
                "NAT",
                nat.trim(),
                "exempted_ext_ips",
                "--",
                "set",
                "NAT",
                nat.trim(),
                &chosen,
            ]);
            undo.push(["clear", "NAT", nat.trim(), "allowed_ext_ips"].map(str::to_owned).to_vec());
        }
        let reloaded = self.daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}\n{files:#?}");
        self.daemon.wait_quiet();
        self.lab.sync_packets();
        undo
    }

    /// A row of somebody else's on a router.
    fn meddle(&self, dice: &mut Dice, at: usize) -> Option<Vec<String>> {
        let (router, n) = (NETWORKS[at].2, at + 1);
        let other = (at + 1 + dice.below(NETWORKS.len() - 1)) % NETWORKS.len() + 1;
        let policy = |priority: &str, text: String, action: &[&str]| {
            let added = [&["lr-policy-add", router, priority, text.as_str()][..], action].concat();
            self.lab.nbctl(&added);
            Some(["lr-policy-del", router, priority].map(str::to_owned).to_vec())
        };
        let route = |options: &[&str], prefix: String, hop: String| {
            let added =
                [options, &["lr-route-add", router, prefix.as_str(), hop.as_str()][..]].concat();
            self.lab.nbctl(&added);
            Some(
                [options, &["lr-route-del", router, prefix.as_str()][..]]
                    .concat()
                    .iter()
                    .map(|it| (*it).to_owned())
                    .collect(),
            )
        };
        match dice.below(11) {
            0 => policy("32500", format!("ip4.src == 10.{other}.0.10"), &["drop"]),
            1 => policy(
                "32500",
                format!("ip4.dst == 10.{n}.0.11 && tcp.dst == {{22, 80}}"),
                &["drop"],
            ),
            2 => policy("32500", "ip6 && udp".to_owned(), &["drop"]),
            3 => policy("32500", format!("ip4.src == 10.{other}.0.0/24"), &["allow"]),
            4 => policy("31000", format!("ip4.dst == 10.{n}.0.0/24"), &["drop"]),
            5 => policy("32500", "ip.ttl == 61 && ip4".to_owned(), &["drop"]),
            6 => policy(
                "32600",
                format!("ip4.dst == 10.{other}.0.8/30"),
                &["reroute", &format!("10.{n}.0.77")],
            ),
            7 => route(&[], format!("10.{other}.0.8/30"), format!("10.{n}.0.77")),
            8 => route(&[], format!("fd0{other}::a/127"), format!("fd0{n}::77")),
            9 => route(&[], format!("10.{other}.0.11/32"), "discard".to_owned()),
            _ => route(&["--policy=src-ip"], format!("10.{n}.0.10/32"), format!("10.{n}.0.77")),
        }
    }

    fn undo(&self, all: &[Vec<String>]) {
        all.iter().for_each(|command| drop(self.lab.nbctl(command)));
    }

    fn why(&self, question: &Question) -> (Output, Value) {
        let end =
            |at: usize, address: IpAddr| format!("{}/{}:{address}", NETWORKS[at].0, NETWORKS[at].1);
        let (from, to) = (end(question.from.0, question.source), end(question.to, question.target));
        let answer = self.daemon.ctl(&["why", &from, &to, &question.opens, "--format", "json"]);
        let view = serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"));
        (answer, view)
    }
}

/// Whom, and what.
struct Question {
    from: (usize, usize),
    to: usize,
    source: IpAddr,
    target: IpAddr,
    opens: String,
}

impl Question {
    fn new(dice: &mut Dice, world: &World<'_>) -> Question {
        let from = (dice.below(NETWORKS.len()), dice.below(2));
        let to = (from.0 + 1 + dice.below(NETWORKS.len() - 1)) % NETWORKS.len();
        let is_v4 = dice.below(3) > 0;
        let of = |host: &Host| if is_v4 { host.v4() } else { host.v6() };
        let source = of(&world.guests[from.0][from.1]);
        if dice.below(12) == 0 {
            let routers = world.networks[to].router_addresses();
            let target = routers.into_iter().find(|it| it.is_ipv4() == is_v4).expect("an address");
            return Question { from, to, source, target, opens: "ping".into() };
        }
        let target = of(&world.guests[to][dice.below(2)]);
        let opens = match dice.below(5) {
            0 => "ping".to_owned(),
            1 => format!("udp:{}", dice.one(&UDP)),
            // Nobody serves the last one: a refusal comes back.
            _ => format!("tcp:{}", dice.one(&[22, 80, 443, 81])),
        };
        Question { from, to, source, target, opens }
    }

    fn ask(&self, world: &World<'_>, wanted: Outcome) -> Asked {
        let host = &world.guests[self.from.0][self.from.1];
        match self.opens.split_once(':') {
            Some(("tcp", port)) => {
                host.ask_tcp(self.target, port.parse().expect("a port"), 0, wanted)
            }
            Some((_, port)) => host.ask_udp(self.target, port.parse().expect("a port"), 0, wanted),
            None => host.ask_echo(self.target, wanted),
        }
    }
}

#[test]
fn why_says_what_packets_then_show() {
    let lab = &Lab::single_chassis();
    let world = World::new(lab);
    let total = usize::try_from(number("WHY_QUESTIONS", 60)).expect("a number");
    let seed = number("WHY_SEED", 20_261_130);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let seeds: Vec<u8> = (0..32).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seeds);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let at_once = total.div_ceil(WORLDS).max(AT_ONCE);
    let (mut asked, mut sure, mut passing) = (0, 0, 0);
    let mut wrong = Vec::new();
    while asked < total {
        let undo = world.throw(&mut dice, &mut runner);
        let questions: Vec<Question> =
            (0..at_once.min(total - asked)).map(|_| Question::new(&mut dice, &world)).collect();
        asked += questions.len();
        let answers: Vec<(Output, Value)> = questions.iter().map(|it| world.why(it)).collect();
        let probes = questions.iter().zip(&answers).map(|(question, (_, view))| {
            let wanted = if view["passes"] == "yes" { Outcome::Answered } else { Outcome::Lost };
            question.ask(&world, wanted)
        });
        let outcomes = Asked::outcomes(probes.collect::<Vec<_>>());
        for ((question, (output, view)), outcome) in questions.iter().zip(&answers).zip(outcomes) {
            let arrives = matches!(outcome, Outcome::Answered | Outcome::Refused);
            let says = view["passes"].as_str().expect("a word");
            assert_eq!(output.status.code(), Some(if says == "yes" { 0 } else { 7 }));
            sure += usize::from(says != "unsure");
            passing += usize::from(arrives);
            let agrees = match says {
                "yes" => arrives,
                "no" => !arrives,
                _ => {
                    assert!(
                        view["reserves"].as_array().is_some_and(|it| !it.is_empty()),
                        "{view:#}"
                    );
                    true
                }
            };
            if !agrees {
                let Question { source, target, opens, .. } = question;
                wrong.push(format!("{source} {target} {opens}: {outcome:?}, but {view:#}"));
            }
        }
        if !wrong.is_empty() {
            let policies = lab.nbctl(&["list", "Logical_Router_Policy"]);
            let routes = lab.nbctl(&["list", "Logical_Router_Static_Route"]);
            println!("{policies}\n{routes}");
            break;
        }
        world.undo(&undo);
    }
    println!(
        "{asked} questions, {passing} passed, {} were wrong, {} of them not sure ({} %)",
        wrong.len(),
        asked - sure,
        (asked - sure) * 100 / asked
    );
    assert!(wrong.is_empty(), "seed {seed}\n{}", wrong.join("\n"));
    assert!((asked - sure) * 100 <= asked * MOST_UNSURE, "too little is sure");
    assert!(passing * 8 > asked && passing * 8 < asked * 7, "a world of one kind shows nothing");
}
