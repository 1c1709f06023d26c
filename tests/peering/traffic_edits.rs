//! Lists are edited under load: no packet passes that no list of its time allows, and none is lost that all of them
//! allow (S1.32).
//!
//! When a packet was sent, and when an edit began and had reached each chassis, is on one clock. So for each packet it is
//! known which lists may have been in force: those between whose begin and whose successor's end it was under way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::lab::traffic::Flow;
use crate::lists::{Entry, Lists, lists, nets};
use crate::on_every_lab;
use crate::packets::{ACK, ICMP4, ICMP6, Packet, SYN, TCP, UDP};
use crate::traffic::Filtered;
use crate::verdict::{Reference, Side, Verdict};

on_every_lab!(edits_under_load_are_exact);

/// How many edits, on one chassis and on several, where each takes longer; unless `TRAFFIC_EDITS` says otherwise.
const EDITS: [usize; 2] = [100, 30];
/// Packets a second, of all flows.
const RATE: u32 = 1000;
/// More edits of one half in a short time would be held back; another process counts anew.
const EDITS_OF_A_PROCESS: usize = 6;
/// How long a packet may be under way on a busy machine, in microseconds.
const UNDER_WAY: i64 = 300_000;
/// Of each hundred packets, so many at the least are to be ones that pass, and ones that do not.
const SHARE: usize = 10;

/// A flow, and from which network it comes.
struct Sent {
    from: usize,
    flow: Flow,
}

impl Sent {
    fn packet(&self) -> Packet {
        let Flow { source, target, protocol, ports, flags, kind, .. } = self.flow;
        Packet { ports, flags, kind, ..Packet::new(protocol, source, target) }
    }
}

/// Openings, what looks like replies, and a protocol without ports, both ways and in both families.
fn flows(a1: &Host, b1: &Host) -> Vec<Sent> {
    let hosts = [a1, b1];
    let shapes = [
        (0, false, TCP, [40_000, 22], SYN, 0),
        (0, true, TCP, [40_001, 443], SYN, 0),
        (0, false, UDP, [40_002, 53], 0, 0),
        (0, false, UDP, [53, 40_003], 0, 0),
        (0, false, ICMP4, [0, 0], 0, 8),
        (0, false, 47, [0, 0], 0, 0),
        (1, false, TCP, [22, 40_004], ACK, 0),
        (1, true, UDP, [40_005, 443], 0, 0),
        (1, true, ICMP6, [0, 0], 0, 128),
    ];
    let address = |host: &Host, v6| if v6 { host.v6() } else { host.v4() };
    let sent = (0..).zip(shapes).map(|(number, (from, v6, protocol, ports, flags, kind))| {
        let (source, target) = (address(hosts[from], v6), address(hosts[1 - from], v6));
        Sent { from, flow: Flow { number, source, target, protocol, ports, flags, kind } }
    });
    sent.collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(since.as_micros()).expect("it fits")
}

/// Lists of both halves, and when they began to be written and had reached each chassis.
struct Era {
    lists: [Lists; 2],
    begun: i64,
    reached: i64,
}

impl Era {
    fn verdicts(&self, sent: &[Sent]) -> Vec<Verdict> {
        let side = |network: usize| {
            let own: [(&[&str], &[&str]); 2] = [
                (&["10.1.0.0/24", "fd01::/64"], &["10.1.0.1", "fd01::1"]),
                (&["10.2.0.0/24", "fd02::/64"], &["10.2.0.1", "fd02::1"]),
            ];
            let router: Vec<IpAddr> = crate::lists::addresses(own[network].1);
            Side::new(&self.lists[network], false).with(&nets(own[network].0), &router, &router)
        };
        let reference = Reference::new([side(0), side(1)]);
        sent.iter().map(|sent| reference.verdict(sent.from, &sent.packet())).collect()
    }
}

/// Other lists for one half: random ones, often with all allowed that they do not deny.
fn edited(runner: &mut TestRunner, number: usize) -> Lists {
    let (lists, open) = (lists(number % 2), proptest::bool::weighted(0.5));
    let tree = (lists, open).new_tree(runner).expect("lists");
    let (mut lists, open) = tree.current();
    if open {
        for list in [&mut lists.inward, &mut lists.out].into_iter().flatten() {
            list.push(Entry::all());
        }
    }
    lists
}

/// Writes the lists of one half, and waits until they are what packets are treated by.
#[track_caller]
fn edit(filtered: &Filtered<'_>, number: usize, lists: [Lists; 2]) -> Era {
    let begun = now();
    let keys = [0, 1].map(|network| lists[network].keys());
    filtered.declare_one(number % 2, &keys[number % 2]);
    Era { lists, begun, reached: now() }
}

fn edits_under_load_are_exact(lab: &Lab) {
    let filtered = Filtered::open(lab);
    let (a1, b1) = (&filtered.a1, &filtered.b1);
    let sent = flows(a1, b1);
    let of = |from| sent.iter().filter(move |sent| sent.from == from).map(|sent| sent.flow.clone());
    let all_of = |from| of(from).collect::<Vec<_>>();
    let share = |from| RATE * u32::try_from(all_of(from).len()).expect("few") / 9;
    let watches = [a1.watch(&all_of(1)), b1.watch(&all_of(0))];
    let begun = now();
    let mut eras = vec![Era { lists: Default::default(), begun, reached: begun }];
    let floods = [a1.flood(&all_of(0), share(0)), b1.flood(&all_of(1), share(1))];
    let mut runner = TestRunner::deterministic();
    let edits = EDITS[usize::from(lab.all_chassis().len() > 1)];
    let edits =
        std::env::var("TRAFFIC_EDITS").map_or(edits, |text| text.parse().expect("a number"));
    for number in 0..edits {
        let mut lists = eras.last().expect("one at the least").lists.clone();
        lists[number % 2] = edited(&mut runner, number);
        eras.push(edit(&filtered, number, lists));
        if number % EDITS_OF_A_PROCESS == EDITS_OF_A_PROCESS - 1 {
            filtered.tenants.daemon.kill9();
            filtered.tenants.daemon.start_again();
        }
    }
    let mut sent_at = BTreeMap::new();
    floods.into_iter().for_each(|flood| sent_at.extend(flood.finish()));
    let mut arrived = BTreeMap::new();
    watches.into_iter().for_each(|watch| arrived.extend(watch.finish()));
    judge(&sent, &eras, &sent_at, &arrived);
    filtered.end();
}

#[track_caller]
fn judge(
    sent: &[Sent],
    eras: &[Era],
    sent_at: &BTreeMap<u16, Vec<[i64; 2]>>,
    arrived: &BTreeMap<u16, BTreeSet<usize>>,
) {
    let verdicts: Vec<_> = eras.iter().map(|era| era.verdicts(sent)).collect();
    let (mut passing, mut dropped, mut amid, mut wrong) = (0, 0, 0, BTreeMap::new());
    let none = BTreeSet::new();
    for (at, flow) in sent.iter().enumerate() {
        let arrived = arrived.get(&flow.flow.number).unwrap_or(&none);
        let mut first = 0;
        for (number, [from, to]) in sent_at[&flow.flow.number].iter().enumerate() {
            // Lists are over once their successors have reached each chassis.
            while eras.get(first + 1).is_some_and(|next| next.reached < *from) {
                first += 1;
            }
            let possible = (first..eras.len()).take_while(|era| eras[*era].begun <= to + UNDER_WAY);
            let possible: Vec<_> = possible.collect();
            let all = |wanted| possible.iter().all(|era| verdicts[*era][at] == wanted);
            let has_arrived = arrived.contains(&number);
            let is_wrong = if all(Verdict::Pass) {
                passing += 1;
                !has_arrived
            } else if all(Verdict::Drop) {
                dropped += 1;
                has_arrived
            } else {
                amid += 1;
                false
            };
            if is_wrong {
                let since = from - eras[possible[0]].reached;
                let what = (possible, at, has_arrived);
                wrong.entry(what).or_insert_with(Vec::new).push((number, since));
            }
        }
    }
    let total = passing + dropped + amid;
    let lasted = (eras[eras.len() - 1].reached - eras[0].begun) / 1_000_000;
    println!(
        "{} edits in {lasted} s: of {total} packets {passing} were to pass, {dropped} were not, {amid} amid an edit that \
         concerns them; {} wrong",
        eras.len() - 1,
        wrong.len()
    );
    let explained = wrong.iter().map(|((possible, at, has_arrived), packets)| {
        let lists = possible.iter().map(|era| {
            let [blue, green] = eras[*era].lists.each_ref().map(Lists::keys);
            format!("era {era}\n{blue}and\n{green}")
        });
        let (number, since) = packets[0];
        format!(
            "{:?}: {} packets from {number} on, sent {since} us after the first of these lists had come; arrived: \
             {has_arrived}\n{}",
            sent[*at].flow,
            packets.len(),
            lists.collect::<String>()
        )
    });
    let explained: Vec<_> = explained.take(10).collect();
    assert!(wrong.is_empty(), "{}", explained.join("\n"));
    assert!(passing * 100 > total * SHARE && dropped * 100 > total * SHARE, "too few of a kind");
}
