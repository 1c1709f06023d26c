//! The unit's sandbox with a northbound over TLS: what an `ssl:` remote needs (sockets of the network, randomness, files of
//! keys) passes the system call filter and all else that systemd/ovn-peerd.service forbids.
//!
//! The unit runs as it is, by a real systemd; the daemon is the one built for this test.

use std::path::Path;

use crate::machine::Machine;
use crate::running::{BLUE, GREEN, NETWORKS, wait_for};

const UNIT: &str = "ovn-peerd.service";
const PKI: &str = "/etc/ovn-peerd/pki";
const SETTINGS: &str = r#"
[northbound]
remotes = ["ssl:127.0.0.1:6641"]
ca_cert = "pki/ca.crt"
certificate = "pki/client.crt"
private_key = "pki/client.key"
"#;

/// Copies a file of the source tree, or of the build, to its place.
fn install(machine: &Machine, file: &Path, to: &str, mode: &str) {
    let copy = machine.copy(file);
    machine.run(&["install", "-D", "--mode", mode, &copy, to]);
}

/// Puts the programs, the unit and its user where the package would.
fn install_all(machine: &Machine) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for (program, to) in [
        (env!("CARGO_BIN_EXE_ovn-peerd"), "/usr/sbin/ovn-peerd"),
        (env!("CARGO_BIN_EXE_ovn-peerctl"), "/usr/bin/ovn-peerctl"),
    ] {
        install(machine, Path::new(program), to, "0755");
    }
    for unit in [UNIT, "ovn-peerd-access.service", "ovn-peerd-access.path"] {
        install(machine, &source.join(unit), &format!("/etc/systemd/system/{unit}"), "0644");
    }
    install(
        machine,
        &source.join("ovn-peerd.sysusers"),
        "/usr/lib/sysusers.d/ovn-peerd.conf",
        "0644",
    );
    machine.run(&["systemd-sysusers", "ovn-peerd.conf"]);
    machine.place("/etc/ovn-peerd/ovn-peerd.toml", SETTINGS);
    machine.place("/etc/ovn-peerd/networks.d/a.toml", NETWORKS);
    machine.place("/etc/ovn-peerd/peerings.d/b.toml", BLUE);
    machine.place("/etc/ovn-peerd/peerings.d/g.toml", GREEN);
}

/// An authority `<name>`, and what it signs: keys that root and the daemon's group may read.
fn make_keys(machine: &Machine, authority: &str, signed: &[&str]) {
    let script = r#"
        set -e; umask 027; mkdir -p "$0"; cd "$0"; ca=$1; shift
        key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
        key "$ca"
        openssl req -x509 -new -key "$ca.key" -days 2 -subj "/CN=$ca" -out "$ca.crt"
        for name; do
            key "$name"
            openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
            printf 'basicConstraints = CA:FALSE\n' >extensions
            openssl x509 -req -in "$name.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial \
                -days 2 -extfile extensions -out "$name.crt"
        done
        chgrp -R ovn-peerd . && chmod -R g+rX ."#;
    machine.run(&[&["sh", "-c", script, PKI, authority], signed].concat());
}

#[test]
fn a_northbound_over_tls_is_reached_from_within_the_sandbox() {
    let machine = Machine::boot();
    install_all(&machine);
    make_keys(&machine, "other", &[]);
    make_keys(&machine, "ca", &["server", "client"]);
    machine.run(&["ip", "link", "set", "lo", "up"]);
    machine.run(&["systemctl", "start", "ovn-central"]);
    wait_for("northbound", || {
        machine.output(&["ovn-nbctl", "--timeout=5", "init"]).status.success().then_some(())
    });
    for (router, mac, address) in [
        ("blue-lr", "0a:00:00:00:00:01", "10.1.0.1/24"),
        ("green-lr", "0a:00:00:00:00:02", "10.2.0.1/24"),
    ] {
        let port = format!("{router}-in");
        machine.run(&["ovn-nbctl", "lr-add", router, "--", "lrp-add", router, &port, mac, address]);
    }
    let [key, certificate, ca] =
        ["server.key", "server.crt", "ca.crt"].map(|f| format!("{PKI}/{f}"));
    machine.run(&["ovn-nbctl", "set-ssl", &key, &certificate, &ca]);
    machine.run(&["ovn-nbctl", "set-connection", "pssl:6641:127.0.0.1"]);

    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "start", UNIT]);
    let active = "active: 2 active; northbound ssl:127.0.0.1:6641";
    machine.wait_for_property(UNIT, "StatusText", |text| text == active);
    let pid = machine.property(UNIT, "MainPID");
    let status = machine.run(&["cat", &format!("/proc/{pid}/status")]);
    assert!(status.contains("Seccomp:\t2\n") && status.contains("NoNewPrivs:\t1\n"), "{status}");
    let routes = machine.run(&["ovn-nbctl", "lr-route-list", "blue-lr"]);
    assert!(routes.contains("10.2.0.0/24"), "{routes}");

    // A northbound that the configured authority has not signed for is refused, and says so.
    let settings = SETTINGS.replace("ca.crt", "other.crt");
    machine.place("/etc/ovn-peerd/ovn-peerd.toml", &settings);
    machine.run(&["systemctl", "restart", UNIT]);
    let waiting = machine.wait_for_property(UNIT, "StatusText", |text| text.starts_with("waiting"));
    assert!(waiting.contains("northbound"), "{waiting}");
    wait_for("the reason", || {
        let status = machine.run(&["ovn-peerctl", "status"]);
        status.contains("certificate").then_some(())
    });
    // As it was before: the data plane stays.
    assert_eq!(machine.run(&["ovn-nbctl", "lr-route-list", "blue-lr"]), routes);
}
