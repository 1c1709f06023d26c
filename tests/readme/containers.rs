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
    page: "docs/quick-start-lxd.md",
    client: "lxc",
    daemon: "lxd",
    directory: "LXD_DIR",
    shutdown: "lxd shutdown --timeout 20",
    connect: "lxc config set network.ovn.northbound_connection \"$OVN_NB_DB\"",
};

pub(crate) const INCUS: Tool = Tool {
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
    Machine::boot(lab).with(tool.directory, directory)
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
