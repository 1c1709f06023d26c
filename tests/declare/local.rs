//! What this host's files declare: what stays of a file that is bad, gone or second, what is remembered over a restart, and
//! what is beyond a quota. Which withdrawals are held is `withdrawals`.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::declare::{
    Directory, FileId, Giver, Half, LastGood, LocalDeclarations, Network, Reading,
};

use crate::texts::*;

#[test]
fn a_file_gives_and_its_removal_withdraws() {
    let mut local = local();
    let changed =
        local.apply(all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 2))]));
    assert_eq!(changed.networks, BTreeSet::from([network_key("blue", "web")]));
    assert_eq!(changed.halves.len(), 2);
    assert_eq!(local.halves_of(&network_key("blue", "web")).count(), 2);
    assert_eq!(local.halves_of(&network_key("blue", "we")).count(), 0);
    let key = half_key("blue", "web", "p1");
    assert_eq!(local.half(&key).unwrap().target, network_key("t", "n1"));
    assert_eq!(local.origin_of_half(&key), Some(&giver("a.toml")));

    let again = local.apply(some([peerings("a.toml", &many("blue", "p", 2))]));
    assert!(again.is_empty(), "nothing changed: {again:?}");

    let changed = local.apply(without([FileId::peerings("a.toml")]));
    assert_eq!(changed.halves.len(), 2);
    assert_eq!(local.halves().count(), 0);
    let changed = local.apply(all([]));
    assert_eq!(changed.networks.len(), 1);
}

#[test]
fn a_bad_file_keeps_what_it_last_gave() {
    let bad = [
        "",
        "  \n",
        "project = \"blue\"\n[[peering]\n",
        "project = \"blue\"\n[[peering]]\nname = \"p0\"\n",
        "[[peering]]\n",
        "project = \"blue\"\n[[peering]]\nname = \"p0\"\nnetwork = \"web\"\ntarget_project = \"blue\"\ntarget_network = \"web\"\n",
    ];
    for text in bad {
        let mut local = local();
        local.apply(all([peerings("a.toml", &many("blue", "p", 1))]));
        let changed = local.apply(some([peerings("a.toml", text)]));
        assert!(changed.is_empty());
        assert_eq!(local.halves().count(), 1, "{text}");
        assert!(told(&local).contains("peerings.d/a.toml"), "{text}");
        local.apply(some([peerings("a.toml", &many("blue", "p", 1))]));
        assert_eq!(told(&local), "", "healed");
    }
    let mut local = local();
    local.apply(all([peerings("a.toml", &many("blue", "p", 1))]));
    let mut unreadable = peerings("a.toml", "");
    unreadable.text = Err("permission denied".to_owned());
    local.apply(all([unreadable]));
    assert_eq!(local.halves().count(), 1);
    assert!(told(&local).contains("permission denied"));
    local.apply(all([peerings("a.toml", "# taken out on purpose\n")]));
    assert_eq!(local.halves().count(), 0, "a comment is not an accident");
    assert_eq!(told(&local), "");
}

#[test]
fn a_directory_that_vanishes_withdraws_nothing() {
    let mut local = local();
    local.apply(all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 3))]));
    for complete in [true, false] {
        let changed = local.apply(Reading {
            complete,
            directories: vec![
                (Directory::Networks, Ok(())),
                (Directory::Peerings, Err("no such directory".to_owned())),
            ],
            files: vec![networks("a.toml", WEB)],
            ..Reading::default()
        });
        assert!(changed.is_empty());
        assert_eq!(local.halves().count(), 3);
        assert!(told(&local).starts_with("/etc/peerings.d: error: the directory cannot be read"));
    }
    local.apply(all([networks("a.toml", WEB)]));
    assert_eq!(local.halves().count(), 0, "it is back, and empty");
    assert_eq!(told(&local), "");
}

#[test]
fn the_first_of_duplicates_stands_and_the_second_takes_over() {
    let first = many("blue", "p", 1);
    let second = format!("# second\n{}", many("blue", "p", 1).replace("\"t\"", "\"other\""));
    let key = half_key("blue", "web", "p0");
    let mut local = local();
    local.apply(some([peerings("b.toml", &second)]));
    assert_eq!(&*local.half(&key).unwrap().target.project, "other");
    let changed = local.apply(some([peerings("a.toml", &first)]));
    assert_eq!(changed.halves.len(), 1);
    assert_eq!(&*local.half(&key).unwrap().target.project, "t");
    let text = told(&local);
    assert!(text.starts_with("peerings.d/b.toml:4:8: error: half blue/web/p0"), "{text}");
    assert!(text.contains("peerings.d/a.toml:3:8"), "{text}");

    local.apply(some([peerings("a.toml", &format!("\n\n{first}"))]));
    assert!(told(&local).contains("peerings.d/a.toml:5:8"), "follows the place");

    let changed = local.apply(without([FileId::peerings("a.toml")]));
    assert_eq!(changed.halves.len(), 1);
    assert_eq!(&*local.half(&key).unwrap().target.project, "other");
    assert_eq!(local.origin_of_half(&key), Some(&giver("b.toml")));
    assert_eq!(told(&local), "");
}

#[test]
fn one_duplicate_leaves_the_rest_of_its_file_in_effect() {
    let mut local = local();
    let both = format!("{WEB}{}", WEB.replace("web", "db"));
    local.apply(all([networks("a.toml", WEB), networks("b.toml", &both)]));
    assert_eq!(local.networks().count(), 2);
    assert_eq!(local.diagnostics().count(), 1);
}

#[test]
fn what_the_northbound_remembers_is_guarded_over_a_restart() {
    let mut before = local();
    before.apply(all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 20))]));
    let remembered = || {
        BTreeMap::from([
            (bound("a.toml"), networks_of(before.networks().cloned().collect())),
            (giver("a.toml"), halves_of(before.halves().cloned().collect())),
        ])
    };
    let remembering = || {
        let mut local = local();
        local.remember(remembered());
        local
    };
    let mut local = remembering();
    assert!(local.half(&half_key("blue", "web", "p0")).is_some());
    let same = all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 20))]);
    assert!(local.apply(same).is_empty());

    let mut local = remembering();
    local.apply(all([networks("a.toml", WEB), peerings("a.toml", "typo")]));
    assert_eq!(local.halves().count(), 20);

    let mut local = remembering();
    local.apply(all([networks("a.toml", WEB)]));
    assert!(local.held().is_some());
    assert_eq!(local.halves().count(), 20);
}

#[test]
fn what_is_remembered_comes_before_what_was_read_first() {
    let before = [
        all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 20))]),
        all([networks("a.toml", WEB), peerings("a.toml", "typo")]),
        all([networks("a.toml", WEB), peerings("a.toml", "project = \"blue\"\n")]),
        all([networks("a.toml", WEB), peerings("b.toml", &many("blue", "q", 2))]),
        all([networks("a.toml", WEB), networks("b.toml", WEB)]),
        some([peerings("a.toml", &many("blue", "p", 3))]),
    ];
    let mut source = local();
    source.apply(all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 20))]));
    let remembered = || {
        let mut networks: Vec<_> = source.networks().cloned().collect();
        let stale = networks.first().cloned().map(|mut network| {
            network.key = network_key("blue", "gone");
            network
        });
        networks.extend(stale);
        BTreeMap::from([
            (bound("a.toml"), networks_of(networks)),
            (giver("a.toml"), halves_of(source.halves().cloned().collect())),
        ])
    };
    for reading in before {
        let mut first = local();
        first.remember(remembered());
        first.apply(reading.clone());
        let mut last = local();
        last.apply(reading.clone());
        last.remember(remembered());
        let shown = |local: &LocalDeclarations| {
            let networks: Vec<_> = local.networks().cloned().collect();
            let halves: Vec<_> = local.halves().cloned().collect();
            (networks, halves, told(local), local.held().cloned())
        };
        assert_eq!(shown(&first), shown(&last), "{reading:?}");
        first.confirm(None);
        last.confirm(None);
        assert_eq!(shown(&first), shown(&last), "confirmed: {reading:?}");
    }
}

#[test]
fn a_rejection_beyond_the_quota_is_reported_where_it_is() {
    let rejecting = |name: &str, above: &str, froms: &[&str]| {
        let entry = |from: &&str| {
            format!(
                "[[rejection]]\nnetwork = \"web\"\nfrom_project = \"t\"\nfrom_network = \"{from}\"\n"
            )
        };
        let entries: String = froms.iter().map(entry).collect();
        peerings(name, &format!("project = \"blue\"\n{above}{entries}"))
    };
    let limited =
        |limit: u32| settings(&format!("[policy]\nmax_rejections_per_project = {limit}\n"));
    let mut local = LocalDeclarations::new(&limited(2));
    let count = |local: &LocalDeclarations| {
        (local.rejections().count(), local.rejections_of(&network_key("blue", "web")).count())
    };
    local.apply(all([rejecting("a.toml", "", &["b", "d"]), rejecting("b.toml", "", &["e"])]));
    assert_eq!(count(&local), (2, 2));
    assert!(told(&local).starts_with("peerings.d/b.toml:5:16: error: project blue may have 2 "));
    // Its line changes, and nothing else.
    let changed = local.apply(some([rejecting("b.toml", "\n\n", &["e"])]));
    assert!(changed.is_empty(), "{changed:?}");
    assert!(told(&local).starts_with("peerings.d/b.toml:7:16: error: "), "{}", told(&local));
    // One with an earlier name takes a place of another file's.
    let changed = local.apply(some([rejecting("b.toml", "", &["a", "e"])]));
    assert_eq!(changed.rejections.len(), 2, "{changed:?}");
    let faults = told(&local);
    assert!(faults.contains("peerings.d/a.toml:9:16") && faults.contains("peerings.d/b.toml:9:16"));
    assert_eq!(count(&local), (2, 2));
    // Records from before a restart change no place.
    local.remember(BTreeMap::new());
    assert_eq!((told(&local), count(&local)), (faults, (2, 2)));
    // Other settings count from the next reading on.
    local.configure(&limited(9));
    let files = || [rejecting("a.toml", "", &["b", "d"]), rejecting("b.toml", "", &["a", "e"])];
    let changed = local.apply(all(files()));
    assert_eq!((changed.rejections.len(), count(&local)), (2, (4, 4)));
    assert_eq!(told(&local), "");
    local.configure(&limited(0));
    local.apply(all(files()));
    assert_eq!(count(&local), (0, 0));
    local.apply(all([]));
    assert_eq!((told(&local), count(&local)), (String::new(), (0, 0)));
}

fn bound(name: &str) -> Giver {
    Giver { file: FileId::networks(name), owner: None }
}

fn networks_of(networks: Vec<Network>) -> LastGood {
    LastGood { networks, ..LastGood::default() }
}

fn halves_of(halves: Vec<Half>) -> LastGood {
    LastGood { halves, ..LastGood::default() }
}
