//! What is written of load balancers (S2.15, B2): what may not cross is left out and reported to whom it concerns, what
//! others alter is put back, and other tools' rows are read as they write them.

use std::time::Duration;

use crate::balancers::{blue, copies, green, permit, switches_with, vips, wait_flaws, wait_vips};
use crate::filters::show;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{contents, foreign, is_ours};
use crate::tenants::{BLUE, GREEN, Tenants, half};

/// What must be written after a declaration or a change.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// From the damage to the repair.
const REPAIR_LIMIT: Duration = Duration::from_secs(1);

const EXPORT: &str = "load_balancers = [\"web-lb\"]";
const USE: &str = "use_load_balancers = true";
const PROVIDER: (&str, &str, &str) = ("green", "db", "to-web");
const CLIENT: (&str, &str, &str) = ("blue", "web", "to-db");

/// Blue uses what green exports: one balancer with a health check.
#[track_caller]
fn exported(lab: &Lab) -> Tenants {
    let tenants = Tenants::with_subnets(lab, &[BLUE, "10.11.0.0/24"], &[GREEN]);
    lab.nbctl_batch(
        "lb-add web-lb 10.2.0.100:80 10.2.0.10:8080,10.2.0.11:8080 tcp\n\
         set Load_Balancer web-lb options:reject=true options:hairpin_snat_ip=10.2.0.99\n\
         set Load_Balancer web-lb selection_fields=ip_src,ip_dst\n\
         set Load_Balancer web-lb ip_port_mappings:10.2.0.10=b1:10.2.0.254\n\
         ls-lb-add b-s0 web-lb",
    );
    lab.nbctl(&[
        "--id=@check",
        "create",
        "Load_Balancer_Health_Check",
        "vip=\"10.2.0.100:80\"",
        "options:interval=5",
        "--",
        "add",
        "Load_Balancer",
        "web-lb",
        "health_check",
        "@check",
    ]);
    blue(&tenants, USE);
    green(&tenants, EXPORT, "");
    tenants.wait_active();
    wait_vips(lab, &["tcp 10.2.0.100:80 -> 10.2.0.10:8080,10.2.0.11:8080"], WRITE_LIMIT);
    tenants
}

/// S2.15: a stranger's balancer, an address that is not the network's, a backend outside of what crosses: each is left
/// out, and only its own side is told.
#[test]
fn what_may_not_cross_is_left_out_and_reported() {
    let lab = Lab::databases_only();
    let tenants = exported(&lab);
    lab.add_network("c", &["10.3.0.0/24"]);
    let kept = "tcp 10.2.0.100:80 -> 10.2.0.10:8080,10.2.0.11:8080";
    // On nobody's switch, and on a stranger's, router and switch.
    lab.nbctl_batch(
        "lb-add stray 10.2.0.120:80 10.2.0.10:80\n\
         lb-add theirs 10.2.0.121:80 10.2.0.10:80\n\
         ls-lb-add c-s0 theirs\n\
         lr-lb-add c theirs",
    );
    let theirs = lab.nbctl(&["--bare", "--columns=_uuid", "find", "Load_Balancer", "name=theirs"]);
    let all = format!("load_balancers = [\"web-lb\", \"stray\", \"{}\", \"none\"]", theirs.trim());
    green(&tenants, &all, "");
    let said = wait_flaws(&tenants, PROVIDER, &["balancer-not-found"; 3]);
    for (name, said) in [theirs.trim(), "none", "stray"].into_iter().zip(&said) {
        assert!(said.contains(&format!("no load balancer {name} is on")), "{said}");
    }
    wait_flaws(&tenants, CLIENT, &[]);
    wait_vips(&lab, &[kept], WRITE_LIMIT);
    // The client's own is not the provider's, either.
    lab.nbctl(&["ls-lb-add", "a-s0", "stray"]);
    wait_flaws(&tenants, PROVIDER, &["balancer-not-found"; 3]);
    lab.nbctl(&["ls-lb-del", "a-s0", "stray"]);
    green(&tenants, EXPORT, "");
    wait_flaws(&tenants, PROVIDER, &[]);

    // Addresses: a stranger's, one that cannot be read; backends: outside, and beside others.
    lab.nbctl(&[
        "set",
        "Load_Balancer",
        "web-lb",
        "vips:\"10.3.0.7:80\"=\"10.2.0.10:80\"",
        "vips:\"^v\"=\"10.2.0.10:80\"",
        "vips:\"10.2.0.101:80\"=\"10.3.0.5:80,10.2.0.12:80\"",
        "vips:\"10.2.0.102\"=\"10.3.0.5,8.8.8.8\"",
    ]);
    let wanted =
        ["backend-outside", "backend-outside", "backend-outside", "vip-not-owned", "vip-not-owned"];
    let said = wait_flaws(&tenants, PROVIDER, &wanted);
    for (named, said) in
        ["10.3.0.5:80", "10.3.0.5", "8.8.8.8", "10.3.0.7:80", "^v"].iter().zip(&said)
    {
        assert!(said.contains(named) && said.contains("web-lb"), "{named}: {said}");
    }
    wait_flaws(&tenants, CLIENT, &[]);
    wait_vips(&lab, &["tcp 10.2.0.101:80 -> 10.2.0.12:80", kept], WRITE_LIMIT);
    // With the operator's permission the address is its own, unless the other side has it: on a switch, on the router, as a
    // balancer's or as a floating one.
    permit(&tenants, "[\"10.3.0.0/24\", \"10.1.0.0/16\", \"172.30.0.0/24\"]");
    wait_vips(
        &lab,
        &["tcp 10.2.0.101:80 -> 10.2.0.12:80", kept, "tcp 10.3.0.7:80 -> 10.2.0.10:80"],
        WRITE_LIMIT,
    );
    lab.nbctl_batch(
        "set Load_Balancer web-lb vips:\"10.1.0.7:80\"=\"10.2.0.10:80\"\n\
         set Load_Balancer web-lb vips:\"172.30.0.7:80\"=\"10.2.0.10:80\"\n\
         set Load_Balancer web-lb vips:\"172.30.0.8:80\"=\"10.2.0.10:80\"\n\
         lb-add own-lb 172.30.0.7:443 10.1.0.10:443\n\
         lr-nat-add a dnat_and_snat 172.30.0.8 10.1.0.9",
    );
    let said = wait_flaws(&tenants, CLIENT, &["vip-in-use"; 2]);
    assert!(said[0].contains("10.1.0.7") && said[0].contains("own 10.1.0.0/24"), "{said:?}");
    assert!(said[1].contains("172.30.0.8") && said[1].contains("external address"), "{said:?}");
    lab.nbctl(&["lr-lb-add", "a", "own-lb"]);
    let said = wait_flaws(&tenants, CLIENT, &["vip-in-use"; 3]);
    assert!(said[1].contains("172.30.0.7") && said[1].contains("own-lb"), "{said:?}");
    assert!(!vips(&lab.dump()).iter().any(|vip| vip.contains("172.30.0.7")));
    // It is free again when the client's own has another address, and when it is gone.
    lab.nbctl(&["remove", "Load_Balancer", "own-lb", "vips", "\"172.30.0.7:443\""]);
    wait_flaws(&tenants, CLIENT, &["vip-in-use"; 2]);
    lab.nbctl_batch(
        "lr-nat-del a dnat_and_snat 172.30.0.8\n\
         remove Load_Balancer web-lb vips \"10.1.0.7:80\"",
    );
    wait_flaws(&tenants, CLIENT, &[]);
    assert_eq!(vips(&lab.dump()).len(), 5);
}

/// S2.15: what the provider is shown is the same whether its balancer is used or not.
#[test]
fn a_provider_does_not_see_who_uses_its_balancer() {
    let lab = Lab::databases_only();
    let tenants = exported(&lab);
    lab.nbctl(&[
        "set",
        "Load_Balancer",
        "web-lb",
        "vips:\"10.2.0.101:80\"=\"10.3.0.5:80\"",
        "vips:\"10.1.0.7:80\"=\"10.2.0.10:80\"",
    ]);
    permit(&tenants, "[\"10.1.0.0/16\"]");
    let seen = || {
        wait_flaws(&tenants, PROVIDER, &["backend-outside"]);
        let mut shown = show(&tenants, "green", "db", "to-web");
        // The rows on both sides are the operator's to see.
        shown.as_object_mut().expect("an object").retain(|key, _| key != "rows");
        shown
    };
    wait_flaws(&tenants, CLIENT, &["vip-in-use"]);
    let used = seen();
    let mine = show(&tenants, "blue", "web", "to-db");
    let told = mine["virtual_addresses"].to_string();
    assert!(told.contains("10.2.0.100:80") && told.contains("10.2.0.11:8080"), "{mine}");
    assert!(!told.contains("10.2.0.101"), "{mine}");
    blue(&tenants, "");
    wait_flaws(&tenants, CLIENT, &[]);
    wait_vips(&lab, &[], WRITE_LIMIT);
    assert_eq!(seen(), used);
    // Nor does a client see what is not exported to it.
    blue(&tenants, USE);
    green(&tenants, "", "");
    wait_flaws(&tenants, CLIENT, &[]);
    let mine = show(&tenants, "blue", "web", "to-db").to_string();
    assert!(!mine.contains("web-lb") && !mine.contains("10.2.0.100"), "{mine}");
}

/// B2: copies that somebody deletes, alters, or takes off or puts on a switch are as before within a second, each by one
/// transaction.
#[test]
fn copies_of_load_balancers_are_put_back() {
    let lab = Lab::databases_only();
    let tenants = exported(&lab);
    lab.nbctl(&["create", "Load_Balancer_Group", "name=group"]);
    let (theirs, wanted) = (foreign(&lab), contents(&lab.dump()));
    let row = wanted.iter().find(|row| row.starts_with("Load_Balancer of")).expect("a copy");
    assert!(row.contains("\"reject\"") && !row.contains("hairpin"), "{row}");
    let repaired = |what: &str, limit: Duration| {
        poll(what, limit, || {
            let dump = lab.dump();
            let found = contents(&dump);
            let on = copies(&dump).first().map(|(uuid, _)| switches_with(&dump, uuid));
            let both = Some(["a-s0".to_owned(), "a-s1".to_owned()].into());
            let strays: Vec<String> = ["Logical_Router", "Load_Balancer_Group"]
                .into_iter()
                .flat_map(|table| dump.table(table).values())
                .map(|row| row["load_balancer"].to_string())
                .filter(|it| copies(&dump).iter().any(|(uuid, _)| it.contains(uuid)))
                .collect();
            let checks = copies(&dump).iter().all(|(_, row)| row["health_check"][0] == "uuid");
            if found == wanted && on == both && strays.is_empty() && checks {
                return Ok(());
            }
            Err(format!("{:#?}, on {on:?}, {strays:?}", found.symmetric_difference(&wanted)))
        });
    };
    repaired("it is written", WRITE_LIMIT);
    for damage in [
        "destroy Load_Balancer COPY",
        "remove Logical_Switch a-s0 load_balancer COPY",
        "clear Logical_Switch a-s1 load_balancer",
        "add Logical_Switch b-s0 load_balancer COPY",
        "add Logical_Router a load_balancer COPY",
        "add Load_Balancer_Group group load_balancer COPY",
        "set Load_Balancer COPY vips:\"10.2.0.100:80\"=\"10.1.0.10:8080\"",
        "set Load_Balancer COPY vips:\"10.1.0.77:80\"=\"10.2.0.10:8080\"",
        "clear Load_Balancer COPY vips",
        "set Load_Balancer COPY protocol=udp",
        "set Load_Balancer COPY options:skip_snat=true",
        "clear Load_Balancer COPY options",
        "clear Load_Balancer COPY selection_fields",
        "clear Load_Balancer COPY ip_port_mappings",
        "clear Load_Balancer COPY health_check",
        "clear Load_Balancer COPY external_ids",
        "set Load_Balancer COPY name=mine",
        "set Load_Balancer_Health_Check CHECK options:interval=77",
        "set Load_Balancer_Health_Check CHECK vip=\"10.2.0.7:80\"",
    ] {
        let dump = lab.dump();
        let (copy, _) = copies(&dump).first().cloned().expect("a copy");
        let rows = dump.table("Load_Balancer_Health_Check").iter();
        let mut checks = rows.filter(|(_, row)| is_ours("Load_Balancer_Health_Check", row));
        let (check, _) = checks.next().expect("a health check");
        let written = lab.northbound_transactions();
        lab.nbctl_batch(&damage.replace("COPY", &copy).replace("CHECK", check));
        repaired(damage, REPAIR_LIMIT);
        assert_eq!(lab.northbound_transactions() - written, 2, "{damage}: it, and the repair");
    }
    foreign(&lab).assert_same_as(&theirs);
    tenants.wait_active();
}

/// B2: with nothing changed nothing is written: not after a restart, nor for other people's balancers.
#[test]
fn load_balancers_that_concern_no_peering_cause_no_write() {
    let lab = Lab::databases_only();
    let tenants = exported(&lab);
    lab.nbctl(&["set", "Load_Balancer", "web-lb", "vips:\"10.2.0.101:80\"=\"10.3.0.5:80\""]);
    wait_flaws(&tenants, PROVIDER, &["backend-outside"]);
    tenants.daemon.wait_quiet();
    let (before, written) = (lab.dump().without_counters(), lab.northbound_transactions());
    tenants.daemon.restart();
    wait_flaws(&tenants, PROVIDER, &["backend-outside"]);
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written, "a restart writes nothing");
    lab.dump().without_counters().assert_same_as(&before);
    // Others', of the same name, and the exported one where it makes no difference.
    for change in [
        "lb-add web-lb2 10.2.0.130:80 10.2.0.10:80\nls-lb-add a-s0 web-lb2\nls-lb-add b-s0 web-lb2",
        "set Load_Balancer web-lb2 vips:\"10.2.0.130:80\"=\"10.2.0.11:80\"",
        "set Load_Balancer web-lb2 name=other",
        "set Load_Balancer web-lb external_ids:note=x options:hairpin_snat_ip=10.2.0.98",
    ] {
        let written = lab.northbound_transactions();
        tenants.hear_of(|| lab.nbctl_batch(change));
        tenants.daemon.wait_quiet();
        assert_eq!(lab.northbound_transactions() - written, 1, "{change}");
    }
}

/// S2.15: a copy goes with the link, in the same transaction; it comes back with it.
#[test]
fn a_link_takes_its_copies_with_it() {
    let lab = Lab::databases_only();
    let tenants = exported(&lab);
    let kept = vips(&lab.dump());
    let (copy, _) = copies(&lab.dump())[0].clone();
    let seen = lab.northbound_records().len();
    tenants.daemon.declare("green", "");
    wait_vips(&lab, &[], WRITE_LIMIT);
    let records = lab.northbound_records();
    let key = ("Load_Balancer".to_owned(), copy.clone());
    let record = records[seen..].iter().find(|record| record.rows.contains_key(&key));
    let record = record.expect("the copy was deleted");
    assert!(record.rows.keys().any(|(table, _)| table == "Logical_Router_Port"), "{record:?}");
    assert_eq!(lab.dump().table("Load_Balancer_Health_Check").len(), 1, "only the owner's");
    assert!(switches_with(&lab.dump(), &copy).is_empty());
    green(&tenants, EXPORT, "");
    tenants.wait_active();
    poll("it is back", WRITE_LIMIT, || {
        if vips(&lab.dump()) == kept { Ok(()) } else { Err("not yet".to_owned()) }
    });
}

/// S2.15: a hub may export to many; two that export one address to the same network do not both get it.
#[test]
fn an_address_of_two_peers_is_the_first_ones() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let third = lab.add_network("c", &["10.3.0.0/24"]);
    let bound = |project: &str, network: &str, router: &str| {
        let text = format!(
            "[[network]]\nproject = \"{project}\"\nname = \"{network}\"\nrouter = \"{router}\"\nmay_export = [\"172.30.0.0/24\"]\n"
        );
        tenants.daemon.write(&format!("networks.d/{project}-{network}.toml"), &text);
    };
    bound("green", "db", tenants.b.router());
    bound("red", "app", third.router());
    lab.nbctl_batch(
        "lb-add b-lb 172.30.0.5:80 10.2.0.10:80\nls-lb-add b-s0 b-lb\n\
         lb-add c-lb 172.30.0.5:80 10.3.0.10:80\nls-lb-add c-s0 c-lb",
    );
    let to_app = half("to-app", "web", "red/app") + USE + "\n";
    let uses = format!("{USE}\n{to_app}");
    green(&tenants, "load_balancers = [\"b-lb\"]", "");
    blue(&tenants, USE);
    tenants.wait_active();
    wait_vips(&lab, &["tcp 172.30.0.5:80 -> 10.2.0.10:80"], WRITE_LIMIT);
    blue(&tenants, &uses);
    let red = half("to-web", "app", "blue/web") + "load_balancers = [\"c-lb\"]\n";
    tenants.daemon.declare("red", &red);
    let said = wait_flaws(&tenants, ("blue", "web", "to-app"), &["vip-in-use"]);
    assert!(said[0].contains("172.30.0.5") && said[0].contains("green/db"), "{said:?}");
    wait_flaws(&tenants, ("red", "app", "to-web"), &[]);
    wait_flaws(&tenants, CLIENT, &[]);
    wait_vips(&lab, &["tcp 172.30.0.5:80 -> 10.2.0.10:80"], WRITE_LIMIT);
    // When the first one gives it up, the second one has it.
    lab.nbctl(&["ls-lb-del", "b-s0", "b-lb"]);
    wait_vips(&lab, &["tcp 172.30.0.5:80 -> 10.3.0.10:80"], WRITE_LIMIT);
    wait_flaws(&tenants, ("blue", "web", "to-app"), &[]);
    // The first one stands longer, and gets it back.
    lab.nbctl(&["ls-lb-add", "b-s0", "b-lb"]);
    wait_vips(&lab, &["tcp 172.30.0.5:80 -> 10.2.0.10:80"], WRITE_LIMIT);
    wait_flaws(&tenants, ("blue", "web", "to-app"), &["vip-in-use"]);
}

/// S2.15: balancers as LXD, Kube-OVN and Octavia write them, and in a group.
#[test]
fn balancers_of_other_tools_are_read_as_they_write_them() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    permit(&tenants, "[\"10.96.0.0/12\", \"fd00:10:96::/112\", \"172.31.0.0/24\"]");
    // Both have their uplinks on one subnet, and LXD's forwards have addresses there.
    let octavia = "6a7f1c52-7f0a-4d0e-9d43-0a3cbd0fb0f1";
    lab.nbctl_batch(&format!(
        "lrp-add a a-up 0a:00:00:00:00:71 172.31.0.1/24\n\
         lrp-set-gateway-chassis a-up hv1\n\
         lrp-add b b-up 0a:00:00:00:00:72 172.31.0.2/24\n\
         lrp-set-gateway-chassis b-up hv1\n\
         lb-add lxd-net2-lb-172.31.0.10-tcp 172.31.0.10:80 10.2.0.10:80 tcp\n\
         lb-add lxd-net2-lb-172.31.0.10-udp 172.31.0.10:53 10.2.0.10:53 udp\n\
         lb-add lxd-net2-lb-172.31.0.11 172.31.0.11 10.2.0.11\n\
         lr-lb-add b lxd-net2-lb-172.31.0.10-tcp\n\
         ls-lb-add b-s0 lxd-net2-lb-172.31.0.10-tcp\n\
         lr-lb-add b lxd-net2-lb-172.31.0.10-udp\n\
         lr-lb-add b lxd-net2-lb-172.31.0.11\n\
         lb-add vpc-b-tcp-sess-load 10.96.0.20:443 10.2.0.20:6443,10.2.0.21:6443,10.9.0.1:6443 tcp\n\
         lb-add vpc-b-tcp-sess-load [fd00:10:96::14]:443 [fd02::14]:6443 tcp\n\
         set Load_Balancer vpc-b-tcp-sess-load vips:\"10.96.0.21:443\"=\"\"\n\
         set Load_Balancer vpc-b-tcp-sess-load selection_fields=ip_src options:affinity_timeout=10800\n\
         ls-lb-add b-s0 vpc-b-tcp-sess-load\n\
         create Load_Balancer name={octavia} protocol=tcp vips:\"10.2.0.30:80\"=\"10.2.0.31:80\" external_ids:neutron\\:vip=10.2.0.30 external_ids:enabled=True\n\
         create Load_Balancer name={octavia} protocol=udp vips:\"10.2.0.30:53\"=\"10.2.0.31:53\" external_ids:neutron\\:vip=10.2.0.30 external_ids:enabled=True\n\
         lb-add grouped 10.2.0.40:80 10.2.0.41:80\n\
         create Load_Balancer_Group name=group"
    ));
    let find = |name: &str| {
        let found = lab.nbctl(&[
            "--bare",
            "--columns=_uuid",
            "find",
            "Load_Balancer",
            &format!("name={name}"),
        ]);
        found.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    for row in find(octavia) {
        lab.nbctl(&["add", "Logical_Switch", "b-s0", "load_balancer", &row]);
    }
    lab.nbctl(&["add", "Load_Balancer_Group", "group", "load_balancer", &find("grouped")[0]]);
    let group =
        lab.nbctl(&["--bare", "--columns=_uuid", "find", "Load_Balancer_Group", "name=group"]);
    lab.nbctl(&["add", "Logical_Router", "b", "load_balancer_group", group.trim()]);
    blue(&tenants, USE);
    let by_uuid = &find("lxd-net2-lb-172.31.0.11")[0];
    let names = [
        "lxd-net2-lb-172.31.0.10-tcp",
        "lxd-net2-lb-172.31.0.10-udp",
        by_uuid,
        "vpc-b-tcp-sess-load",
        octavia,
        "grouped",
    ];
    green(&tenants, &format!("load_balancers = {names:?}"), "");
    let said = wait_flaws(&tenants, PROVIDER, &["backend-outside"]);
    assert!(said[0].contains("10.9.0.1:6443"), "{said:?}");
    wait_flaws(&tenants, CLIENT, &[]);
    let all = [
        "tcp 172.31.0.10:80 -> 10.2.0.10:80",
        "udp 172.31.0.10:53 -> 10.2.0.10:53",
        "tcp 172.31.0.11 -> 10.2.0.11",
        "tcp 10.96.0.20:443 -> 10.2.0.20:6443,10.2.0.21:6443",
        "tcp [fd00:10:96::14]:443 -> [fd02::14]:6443",
        "tcp 10.2.0.30:80 -> 10.2.0.31:80",
        "udp 10.2.0.30:53 -> 10.2.0.31:53",
        "tcp 10.2.0.40:80 -> 10.2.0.41:80",
    ];
    wait_vips(&lab, &all, WRITE_LIMIT);
    let dump = lab.dump();
    let sticky =
        copies(&dump).into_iter().find(|(_, row)| row["vips"].to_string().contains("10.96"));
    let (_, sticky) = sticky.expect("a copy");
    assert!(sticky["options"].to_string().contains("10800"), "{sticky:?}");
    assert_eq!(sticky["selection_fields"], "ip_src");
    // No text of theirs is in a name.
    for (_, row) in copies(&dump) {
        let name = row["name"].as_str().expect("a name");
        let digits = name.strip_prefix("ovn-peerd-").expect("ours").replace('-', "");
        assert!(digits.chars().all(|it| it.is_ascii_hexdigit()) && digits.len() == 48, "{name}");
    }
    // Out of the group it is nobody's.
    lab.nbctl(&["clear", "Load_Balancer_Group", group.trim(), "load_balancer"]);
    wait_vips(&lab, &all[..7], WRITE_LIMIT);
    wait_flaws(&tenants, PROVIDER, &["balancer-not-found", "backend-outside"]);
    // An address of the client's own router is none of the provider's.
    lab.nbctl(&[
        "set",
        "Load_Balancer",
        &find("lxd-net2-lb-172.31.0.11")[0],
        "vips={\"172.31.0.1\"=\"10.2.0.11\"}",
    ]);
    let said = wait_flaws(&tenants, CLIENT, &["vip-in-use"]);
    assert!(said[0].contains("172.31.0.1 ") && said[0].contains("router"), "{said:?}");
}
