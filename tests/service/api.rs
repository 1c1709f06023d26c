//! The network API: the whole life of a peering over HTTP, its states, and every daemon the same.

use std::fs;

use ovn_peerd::view::State;
use serde_json::{Value, json};

use crate::api_site::{PEERING, Site, body, code, free_address, network, settings};
use crate::http::Http;
use crate::pki::Pki;
use crate::running::{Running, Start, directory, place, wait_for};

/// S3.11 to S3.20, by two projects: request, consent, disabled on either side, the end.
fn lives(site: &Site) {
    let (web, db) = (network("blue", "web"), network("green", "db"));
    let account = site.ask("blue", "GET", "/1.3/account").json();
    assert_eq!(
        account,
        json!({"account": {"credits": 0, "username": "blue", "resource_limits": {"network_peerings": 1000}}})
    );
    // S3.28: UUIDs are looked up among the own networks.
    let networks = site.ask("blue", "GET", "/1.3/network/").json();
    let networks = networks["networks"]["network"].as_array().unwrap().clone();
    let names: Vec<&str> = networks.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app", "lost", "web"]);
    let own = site.ask("blue", "GET", &format!("/1.3/network/{web}")).json()["network"].clone();
    assert_eq!(own, networks[2]);
    assert_eq!(
        (&own["uuid"], &own["zone"], &own["type"]),
        (&json!(web), &json!("a"), &json!("private"))
    );
    assert_eq!(
        own["ip_networks"]["ip_network"],
        json!([
            {"address": "10.1.0.0/24", "family": "IPv4", "gateway": "10.1.0.1", "dhcp": "no",
             "dhcp_default_route": "no", "dhcp_dns": [], "dhcp_effective_routes": []},
            {"address": "fd01::/64", "family": "IPv6", "gateway": "fd01::1", "dhcp": "no",
             "dhcp_default_route": "no", "dhcp_dns": [], "dhcp_effective_routes": []}
        ])
    );
    let in_zone = site.ask("blue", "GET", "/1.3/network?zone=a").json();
    assert_eq!(in_zone["networks"]["network"].as_array().unwrap().len(), 1);

    // The body and the answer of the source.
    let mut wanted = body("peering blue->green", &web, &db);
    wanted["network_peering"]["configured_status"] = json!("active");
    wanted["network_peering"]["labels"] = json!([{"key": "env", "value": "prod"}]);
    let created = site.tell("blue", "POST", PEERING, &wanted);
    assert_eq!(created.status, 201, "{created:?}");
    let peering = created.json()["network_peering"].clone();
    let uuid = peering["uuid"].as_str().unwrap().to_owned();
    assert_eq!(created.header("location"), Some(format!("{PEERING}/{uuid}").as_str()));
    let mut like_source = peering.clone();
    let extension = like_source.as_object_mut().unwrap().remove("ovn_peerd").unwrap();
    assert_eq!(
        like_source,
        json!({
            "configured_status": "active", "name": "peering blue->green", "uuid": uuid,
            "state": "pending-peer", "labels": [{"key": "env", "value": "prod"}],
            "network": {"uuid": web, "ip_networks": {"ip_network": [
                {"address": "10.1.0.0/24", "family": "IPv4"}, {"address": "fd01::/64", "family": "IPv6"}
            ]}},
            "peer_network": {"uuid": db}
        })
    );
    assert_eq!((&extension["project"], &extension["network"]), (&json!("blue"), &json!("web")));
    assert_eq!(extension["reason"], "awaiting-peer");
    let shown = site.ask("blue", "GET", &format!("{PEERING}/{uuid}/"));
    assert_eq!(shown.header("etag"), created.header("etag"));

    // It is a half like any other.
    let output = site.daemon.ctl(&["show", "blue/web/peering blue->green"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the store, by token blue"), "{text}");
    assert!(text.contains("env"), "{text}");

    // The other side consents, by its own peering.
    let other = site.create("green", "back", &db, &web);
    let active = site.wait_for_state("blue", &uuid, "active");
    site.wait_for_state("green", &other, "active");
    assert_eq!(
        active["peer_network"],
        json!({"uuid": db, "ip_networks": {"ip_network": [
            {"address": "10.2.0.0/24", "family": "IPv4"}, {"address": "fd02::/64", "family": "IPv6"}
        ]}})
    );
    assert_eq!(
        site.daemon.wait_for_state("back", State::Active).target_uuid.unwrap().to_string(),
        web
    );

    // Only what is disabled can be deleted.
    let path = format!("{PEERING}/{uuid}");
    let refused = site.ask("blue", "DELETE", &path);
    assert_eq!((refused.status, code(&refused).as_str()), (409, "PEERING_NOT_DISABLED"));
    let change = |key: &str, value: Value| {
        let answer = site.tell("blue", "PATCH", &path, &json!({"network_peering": {key: value}}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["network_peering"].clone()
    };
    change("configured_status", json!("disabled"));
    let disabled = site.wait_for_state("blue", &uuid, "disabled");
    assert_eq!(
        disabled["labels"],
        json!([{"key": "env", "value": "prod"}]),
        "what is absent stays"
    );
    site.wait_for_state("green", &other, "peer-disabled");
    change("configured_status", json!("active"));
    site.wait_for_state("blue", &uuid, "active");
    // Another name, and other labels: the same peering.
    let renamed = change("name", json!("näher"));
    assert_eq!((&renamed["uuid"], &renamed["name"]), (&json!(uuid), &json!("näher")));
    assert_eq!(renamed["state"], "active", "a rename takes nothing down");
    assert_eq!(change("labels", json!([]))["labels"], json!([]));
    change("configured_status", json!("disabled"));
    let gone = site.ask("blue", "DELETE", &path);
    assert_eq!((gone.status, gone.body.len()), (204, 0), "{gone:?}");
    let after = site.ask("blue", "GET", &path);
    assert_eq!((after.status, code(&after).as_str()), (404, "PEERING_NOT_FOUND"));
    site.wait_for_state("green", &other, "deleted-peer-network");
    let list = site.ask("blue", "GET", PEERING);
    assert_eq!(list.header("x-total-count"), Some("0"));
    assert_eq!(list.json(), json!({"network_peerings": {"network_peering": []}}));
    // The same name again is another peering.
    assert_ne!(site.create("blue", "peering blue->green", &web, &db), uuid);
}

#[test]
fn a_peering_lives_from_request_to_end_over_loopback() {
    lives(&Site::start(""));
}

#[test]
fn a_peering_lives_from_request_to_end_over_tls() {
    let pki = Pki::new();
    let site = Site::with_tls(&pki, "");
    lives(&site);
    // A certificate that is replaced is in use without a reload.
    pki.authority("ca");
    pki.server("next");
    for kind in ["crt", "key"] {
        fs::rename(pki.file("next", kind), pki.file("server", kind)).unwrap();
    }
    let renewed = Http::tls(site.http.address, &pki.file("ca", "crt"), None);
    wait_for("the new certificate", || renewed.try_send("GET", "/readyz", &[], None).ok());
}

/// The words of UpCloud for where a half stands; `api::shown` has those of the other faults.
#[test]
fn every_state_is_shown_in_the_words_of_upcloud() {
    let site = Site::start("");
    let [web, app, lost] = ["web", "app", "lost"].map(|name| network("blue", name));
    let [db, public] = ["db", "public"].map(|name| network("green", name));
    let cache = network("red", "cache");
    // red/cache overlaps blue/web; green/public may not peer.
    let overlapping = site.create("blue", "overlap", &web, &cache);
    site.create("red", "overlap", &cache, &web);
    site.wait_for_state("blue", &overlapping, "conflict-subnet");
    let public_side = site.create("green", "from-public", &public, &app);
    site.wait_for_state("green", &public_side, "error");
    let shown = site.peering("green", &public_side);
    assert_eq!(shown["ovn_peerd"]["reason"], "type-not-private");
    assert!(!shown["network"]["ip_networks"]["ip_network"].as_array().unwrap().is_empty());
    // A fault that its owner disables can be deleted.
    let path = format!("{PEERING}/{overlapping}");
    let disable = json!({"network_peering": {"configured_status": "disabled"}});
    assert_eq!(site.tell("blue", "PATCH", &path, &disable).status, 200);
    site.wait_for_state("blue", &overlapping, "disabled");
    assert_eq!(site.ask("blue", "DELETE", &path).status, 204);
    // Routers that go.
    let northbound = site.northbound.as_ref().unwrap();
    let (here, there) = (site.create("blue", "a", &app, &db), site.create("green", "b", &db, &app));
    site.wait_for_state("blue", &here, "active");
    northbound.nbctl(&["lr-del", "green-lr"]);
    site.wait_for_state("blue", &here, "missing-peer-router");
    site.wait_for_state("green", &there, "missing-local-router");
    northbound.router("green-lr", "0a:00:00:00:00:77", "10.2.0.1/24");
    site.wait_for_state("blue", &here, "active");
    // Without its router a network has no prefix, but clients find a first one.
    northbound.nbctl(&["lr-add", "nowhere-lr"]);
    let answer = wait_for("the router", || {
        let answer = site.tell("blue", "POST", PEERING, &body("c", &lost, &db));
        (answer.status == 201).then_some(answer)
    });
    let networks = answer.json()["network_peering"]["network"]["ip_networks"]["ip_network"].clone();
    assert_eq!(networks, json!([{"address": "", "family": "IPv4"}]));
    // The other side says no.
    assert!(site.daemon.ctl(&["reject", "green/db", "blue/lost"]).status.success());
    let lost = answer.json()["network_peering"]["uuid"].as_str().unwrap().to_owned();
    site.wait_for_state("blue", &lost, "error");
}

#[test]
fn two_daemons_serve_the_same() {
    let one = Site::start("");
    // Another host, with the same settings and the same northbound.
    let second = directory();
    let address = free_address();
    let networks = fs::read_to_string(one.daemon.path().join("networks.d/all.toml")).unwrap();
    place(second.path(), "networks.d/all.toml", &networks);
    let at = one.daemon.path().join("nb.sock");
    std::os::unix::fs::symlink(at, second.path().join("nb.sock")).unwrap();
    let text = settings(address, "").replace("hv1", "hv2");
    let daemon = Running::ready(second, &Start { settings: &text, ..Start::default() });
    let two = Site { daemon, northbound: None, http: Http::plain(address) };
    two.wait_until_ready();

    let (web, db) = (network("blue", "web"), network("green", "db"));
    let uuid = one.create("blue", "there", &web, &db);
    let back = two.create("green", "back", &db, &web);
    for site in [&one, &two] {
        site.wait_for_state("blue", &uuid, "active");
        site.wait_for_state("green", &back, "active");
    }
    wait_for("the same answers", || {
        let answers = [&one, &two].map(|site| {
            [("blue", PEERING), ("green", PEERING), ("blue", "/1.3/network")].map(
                |(token, path)| {
                    let answer = site.ask(token, "GET", path);
                    (answer.status, answer.text())
                },
            )
        });
        (answers[0] == answers[1]).then_some(())
    });
    let path = format!("{PEERING}/{uuid}");
    let etag = |site: &Site| site.ask("blue", "GET", &path).header("etag").unwrap().to_owned();
    assert_eq!(etag(&one), etag(&two));
    // What one changes with the other's tag is changed, once.
    let label =
        |value: &str| json!({"network_peering": {"labels": [{"key": "by", "value": value}]}});
    let tag = etag(&one);
    let first = two.tell_if("blue", "PATCH", &path, &label("two"), &[("If-Match", &tag)]);
    assert_eq!(first.status, 200);
    let late = one.tell_if("blue", "PATCH", &path, &label("one"), &[("If-Match", &tag)]);
    assert_eq!((late.status, code(&late).as_str()), (412, "PRECONDITION_FAILED"));
    assert_eq!(etag(&two), first.header("etag").unwrap());
}
