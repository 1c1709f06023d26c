//! Peerings that a real LXD or Incus has made, taken over. `tests/quick-start` runs it.
//!
//! The networks and their peers are the tool's own; the guests are plain namespaces on its switches, which send a packet every
//! millisecond.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::containers::{INCUS, LXD, Running, Tool, machine_for};
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::{Host, Stream};
use crate::lab::probe::PingReport;
use crate::lab::topology::Subnet;

/// Peers of the hub.
const SPOKES: usize = 20;
/// Over so many of them packets go.
const FLOWS: usize = 3;
/// Packets a second of each.
const RATE: u32 = 1000;

/// What another client has undone again and again is left alone for so long at the most.
const CALM: Duration = Duration::from_secs(200);

/// The tool makes a hub, and peers with both halves each.
fn make(spokes: usize) -> String {
    let network = |name: &str, subnet: &str| {
        format!(
            "CLIENT network create {name} --type=ovn network=UPLINK ipv4.address={subnet}.1/24 ipv4.nat=true \
             ipv6.address=none\n"
        )
    };
    let mut script = network("hub", "10.100.0");
    for n in 0..spokes {
        script += &network(&format!("spoke{n}"), &format!("10.101.{n}"));
        script += &format!(
            "CLIENT network peer create hub to-{n} spoke{n}\nCLIENT network peer create spoke{n} to-hub hub\n"
        );
    }
    script
}

/// Binds the networks by their gateways, as the quick start does, and declares both halves of each peering.
fn declare(spokes: usize) -> String {
    let mut script = String::from(
        "router() { ovn-nbctl --bare --columns=name find Logical_Router_Port \"networks{>=}$1\" | sed 's/-lrp-int$//'; }\n\
         bind() { printf '[[network]]\\nproject = \"default\"\\nname = \"%s\"\\nrouter = \"%s\"\\n' \"$1\" \"$(router $2)\"; }\n\
         half() { printf '[[peering]]\\nname = \"%s\"\\nnetwork = \"%s\"\\ntarget_project = \"default\"\\ntarget_network = \"%s\"\\n' \"$@\"; }\n\
         (bind hub 10.100.0.1/24\n",
    );
    for n in 0..spokes {
        script += &format!("bind spoke{n} 10.101.{n}.1/24\n");
    }
    script += ") >/etc/ovn-peerd/networks.d/tool.toml\n(echo 'project = \"default\"'\n";
    for n in 0..spokes {
        script += &format!("half to-{n} hub spoke{n}\nhalf to-hub spoke{n} hub\n");
    }
    script + ") >/etc/ovn-peerd/peerings.d/tool.toml\novn-peerctl reload\n"
}

/// Sent and lost of all flows.
fn sum(flows: Vec<Stream>) -> (u32, u32) {
    let reports: Vec<PingReport> = flows.into_iter().map(Stream::finish).collect();
    let (sent, lost) =
        (reports.iter().map(|it| it.sent).sum(), reports.iter().map(PingReport::lost).sum());
    assert_eq!(lost, 0, "{reports:#?}");
    (sent, lost)
}

fn taken_over_from(tool: &'static Tool) {
    let lab = Lab::single_chassis();
    let machine = machine_for(tool, &lab);
    let running = Running::start(tool, &machine);
    running.prepare();
    running.run(&make(SPOKES)).unwrap();
    machine.run(&declare(SPOKES)).unwrap();
    let port = |gateway: &str| {
        let find = format!("networks{{>=}}{gateway}");
        lab.nbctl(&["--bare", "--columns=name", "find", "Logical_Router_Port", &find])
            .trim()
            .to_owned()
    };
    let guest = |name: &str, subnet: &str| -> Host {
        let port = port(&format!("{subnet}.1/24"));
        let switch = port.replace("-lr-lrp-int", "-ls-int");
        let subnet = Subnet::of_others(&switch, &port, &[&format!("{subnet}.0/24")]);
        lab.add_guest_at(&subnet, name, 0, 50)
    };
    let hub = guest("hub-g", "10.100.0");
    let spokes: Vec<Host> =
        (0..FLOWS).map(|n| guest(&format!("spoke{n}-g"), &format!("10.101.{n}"))).collect();
    poll("all can be taken over", Duration::from_secs(30), || {
        let said = machine.run("ovn-peerctl take-over --all --dry-run --format json")?;
        let view: Value =
            serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
        let links = view["links"].as_array().cloned().unwrap_or_default();
        let ready = links.iter().filter(|link| link["outcome"] == "ready").count();
        if ready == SPOKES { Ok(()) } else { Err(said) }
    });
    println!("{}", machine.run("ovn-peerctl take-over default/hub/to-0 --dry-run").unwrap());
    println!(
        "{}",
        machine
            .run(&format!(
                "ovn-nbctl lr-policy-list {}",
                port("10.100.0.1/24").replace("-lrp-int", "") + " | head -5"
            ))
            .unwrap()
    );
    spokes.iter().for_each(|spoke| spoke.assert_reaches(&hub));
    let flows = || spokes.iter().map(|spoke| spoke.stream(hub.v4(), RATE)).collect::<Vec<_>>();
    let during = flows();
    let said = machine.run("ovn-peerctl take-over --all --format json").unwrap();
    let view: Value = serde_json::from_str(&said).expect("JSON");
    poll("all are active", Duration::from_secs(30), || {
        let list = machine.run("ovn-peerctl list --state active --no-headers")?;
        if list.lines().count() == 2 * SPOKES { Ok(()) } else { Err(list) }
    });
    spokes.iter().for_each(|spoke| spoke.assert_reaches(&hub));
    println!("take-over: {:?} packets sent and lost", sum(during));
    // The commands as they are printed.
    let links = view["links"].as_array().cloned().unwrap_or_default();
    let commands =
        links.iter().flat_map(|link| link["forget"].as_array().cloned().unwrap_or_default());
    let commands: Vec<String> = commands.filter_map(|it| it.as_str().map(str::to_owned)).collect();
    assert_eq!(commands.len(), 2 * SPOKES, "{view}");
    let during = flows();
    for command in &commands {
        machine.run(command).unwrap_or_else(|why| panic!("{why}"));
    }
    spokes.iter().for_each(|spoke| spoke.assert_reaches(&hub));
    println!(
        "{} {} network peer delete: {:?} packets sent and lost",
        commands.len(),
        tool.client,
        sum(during)
    );
    // The tool has cleared the hub's policies so often that the daemon waits before it writes them again.
    println!("{}", machine.run("ovn-peerctl show default/hub/to-0").unwrap());
    let begun = Instant::now();
    poll("all are as they were", CALM, || {
        let list = machine.run("ovn-peerctl list --no-headers")?;
        let whole = |line: &&str| line.contains("active") && !line.contains("degraded");
        let active = list.lines().filter(whole).count();
        if active == 2 * SPOKES { Ok(()) } else { Err(list) }
    });
    println!("all as they were after {:?}", begun.elapsed());
    let ports = lab.nbctl(&["--bare", "--columns=name", "list", "Logical_Router_Port"]);
    assert!(!ports.contains("-lrp-peer-"), "{ports}");
    assert_eq!(machine.run("ovn-peerctl plan --quiet; echo $?").unwrap().trim(), "0");
}

#[test]
fn quick_start_on_lxd_peerings_are_taken_over() {
    taken_over_from(&LXD);
}

#[test]
fn quick_start_on_incus_peerings_are_taken_over() {
    taken_over_from(&INCUS);
}
