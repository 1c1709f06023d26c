//! What each kind of file may say.

use std::path::Path;

use ovn_peerd::declare::{
    ConfiguredStatus, MaxWithdrawals, NetworkType, OperatorEntry, RouterRef, Settings,
};

use crate::texts::*;

#[test]
fn a_half_with_everything() {
    let mut local = local();
    local.apply(all([peerings(
        "a.toml",
        "project = \"blue\"\n[[peering]]\nname = \"to-db\"\nnetwork = \"web\"\n\
         target_project = \"green\"\ntarget_network = \"db\"\ndescription = \"web tier\\nto db\"\n\
         configured_status = \"disabled\"\nconfig = { \"user.a\" = \"1\", user.b.c = \"2\" }\n",
    )]));
    assert_eq!(told(&local), "");
    let half = local.half(&half_key("blue", "web", "to-db")).unwrap();
    assert_eq!(half.target, network_key("green", "db"));
    assert_eq!(half.description, "web tier\nto db");
    assert_eq!(half.configured_status, ConfiguredStatus::Disabled);
    let config: Vec<_> = half.config.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(config, [("user.a", "1"), ("user.b.c", "2")]);
}

#[test]
fn a_network_with_everything() {
    let mut local = local();
    local.apply(all([networks(
        "a.toml",
        "[[network]]\nproject = \"blue\"\nname = \"web\"\n\
         router = \"0b9e4b0c-5a4e-4b9a-9d0e-1c2d3e4f5a6b\"\nzone = \"az1\"\nregion = \"eu\"\n\
         type = \"public\"\nmay_export = [\"10.64.0.0/12\", \"fd00::/8\"]\n\
         [[network]]\nproject = \"blue\"\nname = \"db\"\nrouter = \"blue-db\"\n",
    )]));
    assert_eq!(told(&local), "");
    let web = local.network(&network_key("blue", "web")).unwrap();
    assert!(matches!(web.router, RouterRef::Uuid(_)));
    assert_eq!(web.zone.as_deref(), Some("az1"));
    assert_eq!(web.kind, NetworkType::Other("public".into()));
    assert_eq!(web.may_export.len(), 2);
    let db = local.network(&network_key("blue", "db")).unwrap();
    assert_eq!(db.router, RouterRef::Name("blue-db".into()));
    assert_eq!((&db.zone, &db.kind), (&None, &NetworkType::Private));
}

/// Each fault is told, with these words.
fn refused(text: &str, words: &str) {
    let mut local = local();
    local.apply(all([peerings("a.toml", text)]));
    let told = told(&local);
    assert!(told.contains(words), "{text}\n--- gave\n{told}--- not\n{words}");
    assert_eq!(local.halves().count(), 0);
}

#[test]
fn names_are_bounded() {
    let half = |name: &str| {
        format!(
            "project = \"b\"\n[[peering]]\nname = \"{name}\"\nnetwork = \"web\"\n\
             target_project = \"t\"\ntarget_network = \"n\"\n"
        )
    };
    for good in ["a", &"ä".repeat(255)] {
        let mut local = local();
        local.apply(all([peerings("a.toml", &half(good))]));
        assert_eq!(told(&local), "");
    }
    refused(&half(""), "a.toml:3:8: error: `name` has 0 characters; 1 to 255 are allowed");
    refused(&half(&"ä".repeat(256)), "`name` has 256 characters");
    refused(&half("a\\u0000"), "NUL");
    refused(&half("a\\nb"), "control character \\n");
}

#[test]
fn ports_and_other_keys_of_lxd_are_explained() {
    let text = many("blue", "p", 1);
    refused(&format!("{text}ports = [80]\n"), "network forward port list");
    refused(&format!("{text}status = \"created\"\n"), "reported, not declared");
    refused(&format!("{text}descripton = \"x\"\n"), "did you mean `description`?");
    refused(&format!("{text}config = {{ \"foo\" = \"x\" }}\n"), "begin with \"user.\"");
    refused(&format!("{text}config = {{ \"user.\" = \"x\" }}\n"), "begin with \"user.\"");
    refused(&format!("{text}config = {{ user.a = \"x\", \"user.a\" = \"y\" }}\n"), "twice");
    refused(&format!("{text}config = {{ user.a = 7 }}\n"), "quote it: user.a = \"7\"");
    refused(
        &format!("{text}[[rejection]]\nnetwork = \"web\"\n"),
        "[[rejection]] has no `from_project`",
    );
    refused(&format!("{text}{}", &text[17..]), "already declared on line 3");
}

#[test]
fn settings_have_defaults_and_relative_paths() {
    let defaults = settings("");
    assert_eq!(defaults.northbound.remotes, ["unix:/run/ovn/ovnnb_db.sock"]);
    assert_eq!(defaults.paths.networks, Path::new("/etc/networks.d"));
    assert_eq!(defaults.policy.max_withdrawals, MaxWithdrawals { halves: 10, percent: 50 });
    let settings = settings(
        "[northbound]\nremotes = [\"unix:nb.sock\", \"ssl:[::1]:6641\", \"tcp:nb.example:6641\"]\n\
         leader_only = false\nca_cert = \"pki/ca.pem\"\ncertificate = \"/c.pem\"\n\
         private_key = \"k.pem\"\nverify_name = true\n[paths]\npeerings = \"../p\"\n\
         [control]\nsocket = \"c.sock\"\noperators = [\"olga\", \"%net ops\"]\n[daemon]\nhost = \"hv1\"\n\
         [policy]\nmax_withdrawals = { percent = 20 }\n",
    );
    assert_eq!(settings.northbound.remotes[0], "unix:/etc/nb.sock");
    assert_eq!(settings.northbound.ca_cert.as_deref(), Some(Path::new("/etc/pki/ca.pem")));
    assert_eq!(settings.northbound.certificate.as_deref(), Some(Path::new("/c.pem")));
    assert_eq!(settings.paths.peerings, Path::new("/etc/../p"));
    assert_eq!(settings.control.socket, Path::new("/etc/c.sock"));
    let (user, group) =
        (OperatorEntry::User("olga".into()), OperatorEntry::Group("net ops".into()));
    assert_eq!(settings.control.operators, [user, group]);
    assert_eq!(settings.daemon.host.as_deref(), Some("hv1"));
    assert_eq!(settings.policy.max_withdrawals, MaxWithdrawals { halves: 10, percent: 20 });
}

#[test]
fn bad_settings_are_all_reported_at_once() {
    let text = "[northbound]\nremotes = [\"udp:x:1\", \"tcp:x\", 3]\nleader_only = 1\n\
                private_key = \"k\"\n[paths]\nnetworks = \"d\"\npeerings = \"d\"\n\
                [policy]\nauto_accept = \"nevr\"\nmax_withdrawals = { halves = -1, percent = 101 }\n\
                [[project]]\nname = \"a\"\n[demon]\n[control]\noperators = [\"a\", \"%\", \"\", 7]\n";
    let (_, diagnostics) = Settings::parse(Path::new("p/ovn-peerd.toml"), text);
    let places: Vec<_> =
        diagnostics.iter().map(|it| it.position.map(|at| (at.line, at.column)).unwrap()).collect();
    let expected = [
        (1, 1),
        (2, 12),
        (2, 23),
        (2, 32),
        (3, 15),
        (5, 1),
        (9, 15),
        (10, 30),
        (10, 44),
        (11, 1),
        (13, 2),
        (15, 19),
        (15, 24),
        (15, 28),
    ];
    assert_eq!(places, expected, "{diagnostics:#?}");
    assert!(diagnostics.iter().all(|it| &*it.file == "p/ovn-peerd.toml"));
}

/// What a half's record in the northbound has to carry is bounded, and the bound is told.
#[test]
fn filters_and_routes_are_bounded() {
    let text = |keys: &str| {
        format!(
            "project = \"blue\"\n[[peering]]\nname = \"to-db\"\nnetwork = \"web\"\n\
             target_project = \"green\"\ntarget_network = \"db\"\n{keys}\n"
        )
    };
    let entries = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|n| format!("\"10.{}.{}.0/24\"", n >> 8, n & 255)).collect();
        format!("[{}]", all.join(", "))
    };
    let mut local = local();
    let most = format!("export = {}\nimport = {}", entries(256), entries(256));
    local.apply(all([peerings("a.toml", &text(&most))]));
    assert_eq!(told(&local), "");
    let half = local.half(&half_key("blue", "web", "to-db")).unwrap();
    assert_eq!(half.terms().export.filter.rules().map(<[_]>::len), Some(256));
    refused(&text(&format!("export = {}", entries(257))), "at most 256 are allowed");
    let long: Vec<String> = (0..256)
        .map(|n| {
            format!(
                "{{ prefix = \"2001:db8:1111:2222:3333:4444:{n:x}:0/112\", ge = 120, le = 128, action = \"deny\" }}"
            )
        })
        .collect();
    let long = format!("[{}]", long.join(", "));
    let both = format!("export = {long}\nimport = {long}");
    refused(&text(&both), "take more than 16384 bytes");
    let route = |n: usize| {
        format!(
            "[[route]]\nnetwork = \"web\"\npeering = \"to-db\"\ndestination = \"10.{}.{}.0/24\"\n",
            n >> 8,
            n & 255
        )
    };
    let routes: String = (0..257).map(route).collect();
    refused(&text(&format!("routes = \"manual\"\n{routes}")), "more than 256 routes");
    let tables: String =
        (0..100).map(|n| route(n) + &format!("route_table = \"{}\"\n", "x".repeat(200))).collect();
    refused(&text(&format!("routes = \"manual\"\n{tables}")), "take more than 16384 bytes");
}
