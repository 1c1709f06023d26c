//! SIGKILL at random points of random changes: afterwards the northbound equals the full recompute,
//! and no row of others has changed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Row;

const NETWORKS: usize = 6;
const CHANGES: usize = 200;

/// SplitMix64: enough for choices, and repeatable from a printed seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }
}

fn is_own(_table: &str, row: &Row) -> bool {
    row.get("external_ids").is_some_and(|tags| tags.to_string().contains("ovn-peerd"))
}

fn text(targets: &BTreeSet<usize>) -> String {
    targets
        .iter()
        .map(|target| {
            format!(
                "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\ntarget_project = \"p{target}\"\ntarget_network = \"n\"\n"
            )
        })
        .collect()
}

#[test]
fn two_hundred_changes_with_sigkill_at_random_points() {
    let lab = Lab::databases_only();
    for index in 0..NETWORKS {
        let (name, port) = (format!("r{index}"), format!("r{index}-in"));
        let (mac, network) = (lab.fresh_mac(), format!("10.{index}.0.1/24"));
        let second = format!("fd0{index}::1/64");
        lab.nbctl(&["lr-add", &name, "--", "lrp-add", &name, &port, &mac, &network, &second]);
        lab.nbctl(&["lr-route-add", &name, "198.51.100.0/24", &format!("10.{index}.0.9")]);
        lab.nbctl(&["lr-policy-add", &name, "7", "ip4.dst == 203.0.113.0/24", "drop"]);
    }
    let foreign = lab.dump().foreign(is_own);
    let daemon = Daemon::start(&lab);
    for index in 0..NETWORKS {
        daemon.bind_network(&format!("p{index}"), "n", &format!("r{index}"));
    }
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| u64::from(since.subsec_nanos()) + since.as_secs());
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut halves = vec![BTreeSet::new(); NETWORKS];
    for _ in 0..CHANGES {
        change(&lab, &daemon, &mut halves, &mut random);
        if random.below(4) == 0 {
            // Any moment from before the file is read to after the commit.
            std::thread::sleep(Duration::from_micros(random.next() % 12_000));
            daemon.kill9();
            daemon.start_again();
        }
    }
    daemon.wait_until("every mutual half active, every other one pending", |listed| {
        let expected: usize = halves.iter().map(BTreeSet::len).sum();
        let wrong = listed.iter().find(|half| {
            let index = |field: &str| -> usize {
                half[field].as_str().expect("text")[1..].parse().expect("a number")
            };
            let mutual = halves[index("target_project")].contains(&index("project"));
            let state = half["state"].as_str().expect("text");
            if mutual {
                state != "active"
            } else {
                !matches!(state, "pending-peer" | "disconnected")
            }
        });
        match wrong {
            Some(half) => Err(half.to_string()),
            None if listed.len() != expected => Err(format!("{} of {expected}", listed.len())),
            None => Ok(()),
        }
    });
    let plan = daemon.ctl(&["plan"]);
    let said = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert_eq!(plan.status.code(), Some(0), "seed {seed}: not the full recompute: {said}");
    lab.dump().foreign(is_own).assert_same_as(&foreign);
    let mutual = (0..NETWORKS)
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .filter(|(a, b)| halves[*a].contains(b) && halves[*b].contains(a))
        .count();
    let ports = lab.nbctl(&["--bare", "--columns=name", "find", "Logical_Router_Port", "peer!=[]"]);
    assert_eq!(ports.split_whitespace().count(), 2 * mutual, "seed {seed}: {ports}");
}

/// A half comes or goes, or somebody deletes a row of ours.
fn change(lab: &Lab, daemon: &Daemon, halves: &mut [BTreeSet<usize>], random: &mut Random) {
    let (from, to) = (random.below(NETWORKS), random.below(NETWORKS));
    match random.below(8) {
        0 => drop(lab.nbctl(&["lr-policy-del", &format!("r{from}"), "30200"])),
        1 => {
            let ports =
                lab.nbctl(&["--bare", "--columns=name", "find", "Logical_Router_Port", "peer!=[]"]);
            if let Some(port) = ports.split_whitespace().next() {
                lab.nbctl(&["--if-exists", "lrp-del", port]);
            }
        }
        _ if from == to => {}
        _ => {
            if !halves[from].remove(&to) {
                halves[from].insert(to);
            }
            daemon.declare(&format!("p{from}"), &text(&halves[from]));
        }
    }
}
