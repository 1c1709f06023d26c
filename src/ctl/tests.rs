//! What people see, compared with the pages in `golden`: read these before they are changed.
//! UPDATE_GOLDEN=1 writes them anew.

use std::fs;
use std::path::Path;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use unicode_width::UnicodeWidthStr;
use uuid::Uuid;

use super::arguments::{Arguments, Command};
use super::{catalog, list, monitor};
use crate::view::{
    AttentionView, Event, EventKind, EventView, HalfDetail, HalfView, NetworkView, PlanView,
    PlannedAction, PlannedHalf, PlannedRow, PrefixesView, ProjectView, Reason, RequestView,
    RowView, ServedView, State, StoredView, WhoamiView,
};

/// The present time of every page.
fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

#[track_caller]
fn compare(page: &str, text: &str) {
    let text = &anstream::adapter::strip_str(text).to_string();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ctl/golden").join(page);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == *text, "{page}\n--- expected\n{expected}--- got\n{text}");
}

#[track_caller]
fn assert_narrow(text: &str, width: usize) {
    for line in anstream::adapter::strip_str(text).to_string().lines() {
        assert!(line.width() <= width, "{} of {width}: {line}", line.width());
    }
}

fn half(project: &str, name: &str, target: &str, state: State, reason: Option<Reason>) -> HalfView {
    let (target_project, target_network) = target.split_once('/').unwrap();
    HalfView {
        project: project.into(),
        network: "web".into(),
        name: name.into(),
        target_project: target_project.into(),
        target_network: target_network.into(),
        target_uuid: None,
        uuid: Uuid::from_u128(7),
        state,
        reason,
        explanation: None,
        since: Some(ago(7500)),
        next_step: None,
        degraded: Vec::new(),
        description: String::new(),
        hosts: vec!["hv1".into()],
        exported: 0,
        imported: 0,
        guests_since: None,
    }
}

/// A half in every kind of state.
fn usual() -> Vec<HalfView> {
    let up = |name: &str, target: &str| HalfView {
        exported: 2,
        imported: 120,
        ..half("blue", name, target, State::Active, None)
    };
    vec![
        up("to-db", "green/db"),
        HalfView {
            degraded: vec!["10.7.0.0/24 conflicts with a static route and is left out".into()],
            since: Some(ago(59)),
            description: "the shop's till".into(),
            hosts: vec!["hv1".into(), "hv2".into()],
            ..up("to-shop", "yellow/shop")
        },
        half("blue", "to-lab", "brown/lab", State::PendingPeer, Some(Reason::AwaitingPeer)),
        half("blue", "twice", "green/db", State::Failed, Some(Reason::PeeringConflict)),
        HalfView {
            since: None,
            ..half(
                "blue",
                "anew",
                "red/office",
                State::Provisioning,
                Some(Reason::NorthboundUnreachable),
            )
        },
        half(
            "blue",
            "off",
            "red/office",
            State::PeerDisabled,
            Some(Reason::PeerAdministrativelyDown),
        ),
    ]
}

/// Halves whose names are as long as Neutron's, and as long as names may be.
fn long() -> Vec<HalfView> {
    let project = "p-0123456789012345678901234567890123456789012345678901234567-end";
    let target = format!("{}/{}-end", "q".repeat(63), "日本".repeat(60));
    let of = |name: &str, reason: Reason| HalfView {
        exported: 1000,
        imported: 1000,
        degraded: vec!["a route is missing".into()],
        ..half(project, name, &target, reason.state(), Some(reason))
    };
    vec![
        of("first", Reason::ConflictingDeclarations),
        of(&"n".repeat(255), Reason::NorthboundUnreachable),
        half("blue", "to-db", "green/db", State::Active, None),
    ]
}

fn list(
    halves: &[HalfView],
    attention: &AttentionView,
    flags: &[&str],
    width: Option<usize>,
) -> String {
    let words = [&["ovn-peerctl", "list"], flags].concat();
    let Command::List(arguments) = Arguments::try_parse_from(words).unwrap().command else {
        panic!("another command");
    };
    let mut halves = halves.to_vec();
    arguments.sort(&mut halves);
    let text = list::table(&halves, attention, &arguments, width, now());
    if let Some(width) = width.filter(|_| !arguments.wide) {
        assert_narrow(&text, width);
    }
    text
}

#[test]
fn a_list_fits_its_terminal_and_is_whole_elsewhere() {
    let calm = AttentionView::default();
    compare("list-80.txt", &list(&usual(), &calm, &["--sort", "state"], Some(80)));
    compare("list-long-80.txt", &list(&long(), &calm, &[], Some(80)));
    compare("list-long-120.txt", &list(&long(), &calm, &[], Some(120)));
    let whole = list(&long(), &calm, &[], None);
    assert!(!whole.contains('…') && whole.contains(&"n".repeat(255)), "{whole}");
    for width in 40..200 {
        list(&usual(), &calm, &[], Some(width));
        list(&long(), &calm, &[], Some(width));
    }
}

/// The page for operators shows what is printed.
#[track_caller]
fn assert_documented(text: &str) {
    let page = include_str!("../../docs/operate.md");
    assert!(page.contains(&format!("```text\n{text}```")), "{text}");
}

#[test]
fn the_list_in_the_documentation_is_true() {
    let up = |project: &str, network: &str, name: &str, target: &str| HalfView {
        network: network.into(),
        exported: 2,
        imported: 2,
        ..half(project, name, target, State::Active, None)
    };
    let waits = half("blue", "to-shop", "yellow/shop", State::PendingPeer, None);
    let overlaps = Some(Reason::ConflictSubnet);
    let halves = [
        up("blue", "web", "to-db", "green/db"),
        HalfView { since: Some(ago(185)), ..waits },
        HalfView {
            network: "db".into(),
            ..half("green", "to-office", "red/office", State::Failed, overlaps)
        },
        HalfView {
            degraded: vec!["a route is missing".into()],
            ..up("green", "db", "to-web", "blue/web")
        },
    ];
    let text = list(&halves, &AttentionView::default(), &[], Some(80));
    let text = anstream::adapter::strip_str(&text).to_string();
    assert_documented(&text);
}

#[test]
fn a_footer_says_what_needs_attention() {
    let attention = AttentionView {
        held: 12,
        errors: 2,
        northbound_away_since: Some(ago(125)),
        host_name_in_use: true,
    };
    compare("list-attention.txt", &list(&usual()[..1], &attention, &[], Some(80)));
    let one = AttentionView { held: 1, errors: 1, ..AttentionView::default() };
    compare("list-none.txt", &list(&[], &one, &[], Some(80)));
    assert_eq!(list(&[], &attention, &["--no-headers"], None), "");
}

#[test]
fn columns_and_order_are_as_asked_for() {
    let calm = AttentionView::default();
    let flags = ["--columns", "name,state,reason,in,since,guests", "--sort=-in,name"];
    compare("list-columns.txt", &list(&usual(), &calm, &flags, Some(120)));
    compare("list-wide.txt", &list(&usual(), &calm, &["--wide"], Some(80)));
    compare("list-bare.txt", &list(&usual(), &calm, &["--no-headers", "--sort", "age"], Some(80)));
    let wrong = Arguments::try_parse_from(["ovn-peerctl", "list", "--sort", "size"]).unwrap_err();
    assert!(wrong.to_string().contains("half, project, network"), "{wrong}");
}

/// Colour is for what failed and what is degraded.
#[test]
fn nothing_else_is_coloured() {
    let text = list(&usual(), &AttentionView::default(), &["--no-headers"], None);
    let coloured: Vec<&str> = text.lines().filter(|line| line.contains('\u{1b}')).collect();
    assert_eq!(coloured.len(), 2, "{text:?}");
    assert!(coloured[0].contains("\u{1b}[33mactive, degraded\u{1b}[0m"), "{text:?}");
    assert!(coloured[1].contains("\u{1b}[31mfailed: peering-conflict\u{1b}[0m"), "{text:?}");
}

#[test]
fn the_events_in_the_documentation_are_true() {
    let of = |kind, text: &str| Event {
        project: Some("blue".into()),
        network: Some("web".into()),
        name: Some("to-db".into()),
        ..Event::new(kind, text)
    };
    let events = [
        Event {
            state: Some(State::PendingPeer),
            reason: Some(Reason::AwaitingPeer),
            ..of(EventKind::HalfState, "green/db has not answered")
        },
        Event {
            project: Some("green".into()),
            network: Some("db".into()),
            ..Event::new(EventKind::Request, "blue/web asks green/db to peer")
        },
        Event {
            imported: Some(PrefixesView {
                gained: vec!["10.3.0.0/24".parse().unwrap()],
                lost: vec!["10.2.0.0/24".parse().unwrap()],
                more: 0,
            }),
            ..of(EventKind::Prefixes, "other prefixes cross the peering")
        },
        Event { over: true, ..of(EventKind::Degraded, "a route is missing") },
        Event::new(EventKind::Write, "root: reload: the settings are applied, every file is read"),
    ];
    let view = |event| EventView { id: "1-0".into(), time: now(), event };
    let lines = events.map(|event| monitor::line(&view(event)) + "\n").concat();
    assert_documented(&lines);
}

fn row(table: &str, summary: &str, means: &str) -> RowView {
    let uuid = Some("5ccf2f9d-26c8-48f7-9e96-b6c2b8a2237e".to_owned());
    RowView { table: table.into(), uuid, summary: summary.into(), means: means.into() }
}

/// The rows of a half, as `show` has them.
fn rows() -> Vec<RowView> {
    let route = "10.2.0.0/24 via 10.2.0.1 out of ovn-peerd-60236f34e33b7375bc5526b6-a";
    let allow = "32200 allow inport == \"ovn-peerd-60236f34e33b7375bc5526b6-a\" && ip4.src == 10";
    vec![
        row("Logical_Router_Policy", allow, "allow blue/web <-> green/db"),
        row("Logical_Router_Static_Route", route, "route 10.2.0.0/24"),
    ]
}

#[test]
fn a_half_is_shown_in_words_of_peering() {
    let detail = HalfDetail {
        half: HalfView {
            explanation: Some(
                "10.1.0.0/24 of blue/web overlaps 10.1.0.0/25, which is in use on the router of \
                 the other side"
                    .into(),
            ),
            next_step: Some("renumber, or remove the conflicting subnet or route".into()),
            ..half("blue", "to-db", "green/db", State::Failed, Some(Reason::ConflictSubnet))
        },
        configured_status: "active".into(),
        config: [("user.ticket".to_owned(), "NET-42".to_owned())].into(),
        file: Some("blue.toml".into()),
        path: Some("/etc/ovn-peerd/peerings.d/blue.toml".into()),
        line: Some(3),
        stored: Some(StoredView {
            by: "alice".into(),
            at: ago(86_400),
            etag: "3a6425471b73e335".into(),
            in_effect: false,
        }),
        declaration: None,
        network_uuid: Uuid::from_u128(8),
        router: Some("blue-web-lr".into()),
        local_prefixes: vec!["10.1.0.0/24".parse().unwrap()],
        remote_prefixes: vec!["10.2.0.0/24".parse().unwrap()],
        terms: crate::declare::Terms::default().shown(),
        filtered: Vec::new(),
        traffic: None,
        gateway_in_use: None,
        through: None,
        manual_routes: Vec::new(),
        virtual_addresses: Vec::new(),
        names: None,
        guests: None,
        address_sets: vec!["ovn_peerd_3a6425471b73e335820d5ecd_ip4".into()],
        rows: rows(),
    };
    let text = super::half::half(&detail, false, Some(80), now());
    assert_narrow(&text, 80);
    compare("show-80.txt", &text);
    compare("show-rows.txt", &super::half::half(&detail, true, Some(80), now()));
}

#[test]
fn a_plan_is_grouped_by_half() {
    let planned = |action, row: RowView, name: Option<&str>| PlannedRow {
        action,
        row,
        serves: Some(ServedView {
            project: "blue".into(),
            network: "web".into(),
            name: name.map(str::to_owned),
        }),
    };
    let change = |name: &str, before, reason: Reason| PlannedHalf {
        project: "blue".into(),
        network: "web".into(),
        name: name.into(),
        before,
        after: reason.state(),
        reason: Some(reason),
    };
    let set = row("Address_Set", "ovn_peerd_3a64_ip4 {}", "IPv4 prefixes of blue/web: none");
    let nat = row("NAT", "exempted_ext_ips = as before", "NAT: exempted_ext_ips = as before");
    let mut changed: Vec<PlannedRow> =
        rows().into_iter().map(|row| planned(PlannedAction::Delete, row, Some("to-db"))).collect();
    changed.push(planned(PlannedAction::Update, set, None));
    changed.push(PlannedRow { action: PlannedAction::Update, row: nat, serves: None });
    let plan = PlanView {
        halves: vec![
            change("to-db", Some(State::Active), Reason::PeerWithdrew),
            change("to-lab", None, Reason::ConflictSubnet),
        ],
        rows: changed,
        held: vec!["green/db/to-web".into()],
        ..PlanView::default()
    };
    let text = super::plan::plan(&plan, false, Some(80));
    assert_narrow(&text, 80);
    compare("plan-80.txt", &text);
    compare("plan-rows.txt", &super::plan::plan(&plan, true, Some(80)));
    let nothing = super::plan::plan(&PlanView::default(), false, Some(80));
    assert_eq!(nothing, "Nothing would change.\n");
}

#[test]
fn requests_networks_and_projects_fit_into_a_terminal() {
    let long = "q".repeat(255);
    let request = |network: &str, from: &str, description: &str| RequestView {
        project: "green".into(),
        network: network.into(),
        from_project: "blue".into(),
        from_network: from.into(),
        description: description.into(),
        since: Some(ago(7500)),
    };
    let requests = [
        request(
            "db",
            "web",
            "the web tier asks for its database, as in ticket NET-42, please answer",
        ),
        request("db", &long, ""),
    ];
    let text = catalog::requests_table(&requests, Some(80), now());
    compare("requests-80.txt", &text);
    assert_narrow(&text, 80);
    assert_eq!(catalog::requests_table(&[], Some(80), now()), "Nobody asks for a peering.\n");
    let networks = ["db", &long].map(|network| NetworkView {
        project: "green".into(),
        network: network.into(),
        uuid: Uuid::from_u128(9),
        router: format!("green-{network}-lr"),
        halves: 12,
        hosts: vec!["hv1".into(), "hv2".into()],
    });
    let text = catalog::networks_table(&networks, Some(80));
    compare("networks-80.txt", &text);
    assert_narrow(&text, 80);
    let projects = [("green", Some(1000)), ("blue", None)].map(|(project, max_halves)| {
        ProjectView { project: project.into(), networks: 2, halves: 120, max_halves }
    });
    compare("projects-80.txt", &catalog::projects_table(&projects, Some(80)));
    let tenant = WhoamiView {
        account: "alice".into(),
        operator: false,
        projects: vec!["blue".into(), "teal".into()],
    };
    compare("whoami.txt", &catalog::whoami_text(&tenant));
}
