//! The quick starts of LXD and Incus, followed on the real thing. `tests/quick-start` runs them.
//!
//! Owns: what these pages expect to be there: a storage pool, an image, an uplink network. May not: make a network, or an
//! instance, that a page makes.

use std::time::Duration;

use crate::follow::{Machine, follow};
use crate::lab::Lab;
use crate::lab::command::{poll, require_programs};
use crate::lab::service::Service;

/// How long such a daemon may take to start.
const START: Duration = Duration::from_secs(60);

/// A manager of containers.
pub(crate) struct Tool {
    /// Its word for ovn-peerd.
    word: &'static str,
    /// Its page.
    page: &'static str,
    /// Its client.
    pub(crate) client: &'static str,
    /// Its daemon, with the variable that names the directory of both.
    daemon: &'static str,
    directory: &'static str,
    /// Ends it with all instances.
    shutdown: &'static str,
    /// Where the northbound is, and Open vSwitch if that can be told.
    connect: &'static str,
}

pub(crate) const LXD: Tool = Tool {
    word: "lxd",
    page: "docs/quick-start-lxd.md",
    client: "lxc",
    daemon: "lxd",
    directory: "LXD_DIR",
    shutdown: "lxd shutdown --timeout 20",
    connect: "lxc config set network.ovn.northbound_connection \"$OVN_NB_DB\"",
};

pub(crate) const INCUS: Tool = Tool {
    word: "incus",
    page: "docs/quick-start-incus.md",
    client: "incus",
    daemon: "/usr/libexec/incus/incusd",
    directory: "INCUS_DIR",
    shutdown: "incus admin shutdown --timeout 20",
    connect: "incus config set network.ovn.northbound_connection=\"$OVN_NB_DB\" \
              network.ovs.connection=\"unix:$OVS_RUNDIR/db.sock\"",
};

/// A root file system of busybox that asks DHCP for an address, as the image `demo`.
const IMAGE: &str = r#"
    mkdir -p image/rootfs/bin image/rootfs/sbin image/rootfs/etc image/rootfs/dev image/rootfs/proc image/rootfs/sys
    cp -L "$(command -v busybox)" image/rootfs/bin/busybox
    for library in $(ldd image/rootfs/bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do
        mkdir -p "image/rootfs${library%/*}"
        cp -L "$library" "image/rootfs$library"
    done
    for applet in sh ip ping udhcpc sleep; do ln -s busybox image/rootfs/bin/$applet; done
    cat >image/rootfs/sbin/init <<'END'
#!/bin/sh
ip link set eth0 up
udhcpc -i eth0 -s /etc/dhcp
while :; do sleep 1000; done
END
    cat >image/rootfs/etc/dhcp <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface"
ip route add default via "${router%% *}"
END
    chmod 755 image/rootfs/sbin/init image/rootfs/etc/dhcp
    printf 'architecture: x86_64\ncreation_date: 1700000000\n' >image/metadata.yaml
    tar -C image -czf image.tar.gz metadata.yaml rootfs
    CLIENT image import image.tar.gz --alias demo
"#;

/// What such a machine has before its owner reads the page.
const PREREQUISITES: &str = "
    CLIENT storage create default dir
    CLIENT profile device add default root disk path=/ pool=default
    CLIENT network create UPLINK --type=physical parent=br-ex \
        ipv4.gateway=192.0.2.1/24 ipv4.ovn.ranges=192.0.2.100-192.0.2.199 \
        ipv6.gateway=2001:db8::1/64 ipv6.ovn.ranges=2001:db8::100-2001:db8::199 \
        dns.nameservers=192.0.2.1";

/// The running tool; it takes its instances with it.
pub(crate) struct Running<'m, 'l> {
    tool: &'static Tool,
    machine: &'m Machine<'l>,
    _daemon: Service,
}

impl<'m, 'l> Running<'m, 'l> {
    pub(crate) fn start(tool: &'static Tool, machine: &'m Machine<'l>) -> Self {
        let daemon = Service::start(tool.client, machine.launch(tool.daemon, &["--group", "root"]));
        let running = Self { tool, machine, _daemon: daemon };
        poll("it answers", START, || running.run("CLIENT list"));
        running
    }

    pub(crate) fn run(&self, script: &str) -> Result<String, String> {
        self.machine.run(&script.replace("CLIENT", self.tool.client))
    }
}

impl Running<'_, '_> {
    /// Connects it to OVN, and makes what is there before anybody makes a network.
    pub(crate) fn prepare(&self) {
        for script in [self.tool.connect, PREREQUISITES] {
            self.run(script).unwrap();
        }
    }
}

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = format!("tail -n 30 {}/logs/*/lxc.log", self.tool.client);
            println!("{}", self.run(&logs).unwrap_or_else(|why| why));
        }
        if let Err(why) = self.run(self.tool.shutdown) {
            println!("{why}");
        }
    }
}

/// A machine for such a tool.
pub(crate) fn machine_for<'l>(tool: &Tool, lab: &'l Lab) -> Machine<'l> {
    require_programs(&[(tool.client, tool.client), ("busybox", "busybox")]);
    let directory = lab.dir().join(tool.client);
    std::fs::create_dir(&directory).unwrap();
    let socket = directory.join("unix.socket");
    let settings = format!("[tools]\n{} = \"{}\"\n", tool.word, socket.display());
    Machine::boot_with(lab, &settings).with(tool.directory, directory)
}

fn follow_on(tool: &'static Tool) {
    let lab = Lab::single_chassis();
    let machine = machine_for(tool, &lab);
    let running = Running::start(tool, &machine);
    running.run(IMAGE).unwrap();
    running.prepare();
    let before = machine.run("ovn-nbctl show").unwrap();
    follow(tool.page, &machine);
    assert_eq!(machine.run("ovn-nbctl show").unwrap(), before, "all is tidied up");
}

#[test]
fn the_quick_start_on_lxd_leads_to_a_ping_and_back() {
    follow_on(&LXD);
}

#[test]
fn the_quick_start_on_incus_leads_to_a_ping_and_back() {
    follow_on(&INCUS);
}

/// Two networks without instances, linked by the tool itself.
const NETWORKS: &str = "
    CLIENT project create blue -c features.networks=true -c features.profiles=false -c features.images=false
    CLIENT project create green -c features.networks=true -c features.profiles=false -c features.images=false
    CLIENT network create web --project blue --type=ovn network=UPLINK \
        ipv4.address=10.1.0.1/24 ipv4.nat=true ipv6.address=fd01::1/64 ipv6.nat=true user.tier=gold
    CLIENT network create db --project green --type=ovn network=UPLINK \
        ipv4.address=10.2.0.1/24 ipv4.nat=true ipv6.address=none
    CLIENT network peer create web to-db green/db --project blue
    CLIENT network peer create db to-web blue/web --project green";

/// A network is deleted and made again.
const AGAIN: &str = "
    CLIENT network delete web --project blue
    CLIENT network create web --project blue --type=ovn network=UPLINK \
        ipv4.address=10.1.0.1/24 ipv4.nat=true ipv6.address=none";

/// How long a link may take after its network is there again.
const REBOUND: Duration = Duration::from_secs(20);

/// The router whose port has an address, which is how a person finds it.
fn router_with(machine: &Machine<'_>, address: &str) -> String {
    let find = format!(
        "ovn-nbctl --bare --columns=name find Logical_Router_Port 'networks{{>=}}{address}' | grep lrp-int"
    );
    machine.run(&find).unwrap().trim().trim_end_matches("-lrp-int").to_owned()
}

fn discovered_on(tool: &'static Tool) {
    let lab = Lab::single_chassis();
    let machine = machine_for(tool, &lab);
    let running = Running::start(tool, &machine);
    for script in [tool.connect, IMAGE, PREREQUISITES, NETWORKS] {
        running.run(script).unwrap();
    }
    let discover = |arguments: &str| machine.run(&format!("ovn-peerctl discover {arguments}"));
    let before = lab.dump();
    let found = discover(&format!("--from {} --format json", tool.word)).unwrap();
    lab.dump().without_counters().assert_same_as(&before.without_counters());
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let networks = found["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 2, "{found:#}");
    for (network, [names, address]) in
        networks.iter().zip([["blue/web", "10.1.0.1/24"], ["green/db", "10.2.0.1/24"]])
    {
        let text = |key: &str| network[key].as_str().unwrap().to_owned();
        assert_eq!(format!("{}/{}", text("project"), text("name")), names, "{found:#}");
        assert_eq!(text("router"), router_with(&machine, address));
        assert_eq!(text("tool_network"), names);
        assert_eq!(network["guesses"], serde_json::json!([]));
    }
    assert_eq!(networks[0]["config"]["user.tier"], "gold");
    let links = found["links"].as_array().unwrap();
    assert_eq!(links.len(), 1, "{found:#}");
    assert_eq!(links[0]["tool"], tool.word);
    for (end, peer) in links[0]["ends"].as_array().unwrap().iter().zip(["to-db", "to-web"]) {
        assert_eq!(end["peer"], peer, "{found:#}");
        assert_eq!(end["ports"].as_array().unwrap().len(), 1);
        assert!(!end["routes"].as_array().unwrap().is_empty(), "{found:#}");
    }
    println!("{}", discover("").unwrap());

    // Bound by what was printed, while the tool's own peering ends.
    running.run("CLIENT network peer delete web to-db --project blue").unwrap();
    running.run("CLIENT network peer delete db to-web --project green").unwrap();
    let daemon = machine.daemon();
    daemon.write("networks.d/found.toml", &discover("--follow").unwrap());
    let half = |name: &str, network: &str, target: &str| {
        format!(
            "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\n\
             target_project = \"{target}\"\ntarget_network = \"{name}\"\n"
        )
    };
    daemon.declare("blue", &half("db", "web", "green"));
    daemon.declare("green", &half("web", "db", "blue"));
    daemon.wait_state("blue", "web", "db", "active");
    discover("--check").unwrap();

    // Made again it has another number, and the peering is there again without a change of a file.
    let first = router_with(&machine, "10.1.0.1/24");
    running.run(AGAIN).unwrap();
    let made = std::time::Instant::now();
    let second = router_with(&machine, "10.1.0.1/24");
    assert_ne!(first, second);
    poll("the link is at the new router", REBOUND, || {
        let ports = machine.run(&format!("ovn-nbctl lrp-list {second}"))?;
        if ports.contains("ovn-peerd-") { Ok(()) } else { Err(daemon.log()) }
    });
    daemon.wait_state("blue", "web", "db", "active");
    println!(
        "{}: linked {} ms after the network was made again",
        tool.word,
        made.elapsed().as_millis()
    );
    discover("--check").unwrap();

    // A tool that does not answer ends nothing, and its networks are numbers.
    running.run(tool.shutdown).unwrap();
    poll("it does not answer", REBOUND, || {
        let found = discover("")?;
        if found.contains("does not answer") { Ok(found) } else { Err(found) }
    });
    assert!(discover("").unwrap().contains("# guess:"));
    machine.run("ovn-peerctl reload").unwrap();
    poll("it says so", REBOUND, || match daemon.log().contains("does not answer") {
        true => Ok(()),
        false => Err(daemon.log()),
    });
    daemon.restart();
    daemon.wait_state("blue", "web", "db", "active");
    daemon.wait_quiet();
}

#[test]
fn networks_of_lxd_are_discovered_and_followed() {
    discovered_on(&LXD);
}

#[test]
fn networks_of_incus_are_discovered_and_followed() {
    discovered_on(&INCUS);
}
