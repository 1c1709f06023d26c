//! What stays, what goes and what is held.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::declare::{
    Directory, FileId, Giver, Half, LastGood, LocalDeclarations, Network, Owner, Reading,
};

use crate::texts::*;

const WEB: &str = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"lr\"\n";

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
fn a_mass_withdrawal_is_held_until_confirmed() {
    let mut local = local();
    local.apply(all(
        (0..12).map(|n| peerings(&format!("{n}.toml"), &many(&format!("p{n}"), "h", 1)))
    ));
    let changed = local.apply(all([peerings("new.toml", &many("new", "h", 1))]));
    assert!(changed.is_empty(), "held whole");
    let held = local.held().unwrap();
    assert_eq!((held.withdrawals.len(), held.of), (12, 12));

    let changed = local.apply(some([peerings("other.toml", &many("other", "h", 1))]));
    assert_eq!(changed.halves.len(), 1, "others go on meanwhile");
    assert_eq!(local.held().unwrap().of, 13);

    let changed = local.confirm(None);
    assert_eq!(changed.halves.len(), 13);
    assert_eq!(local.held(), None);
    assert_eq!(local.halves().count(), 2);
    assert!(local.confirm(None).is_empty());
}

#[test]
fn a_held_reading_is_released_by_bringing_files_back() {
    let files =
        || (0..12).map(|n| peerings(&format!("{n:02}.toml"), &many(&format!("p{n}"), "h", 1)));
    let mut local = local();
    local.apply(all(files()));
    local.apply(all([]));
    assert!(local.held().is_some());
    let changed = local.apply(some(files().take(2)));
    assert_eq!(local.held(), None, "10 may go");
    assert_eq!(changed.halves.len(), 10);
    assert_eq!(local.halves().count(), 2);
}

#[test]
fn a_broken_file_that_returns_is_not_withdrawn_by_confirming() {
    let mut local = local();
    local.apply(all([peerings("a.toml", &many("blue", "p", 20))]));
    local.apply(all([]));
    assert!(local.held().is_some());
    local.apply(some([peerings("a.toml", "project = ")]));
    assert_eq!(local.held(), None);
    assert!(local.confirm(None).is_empty());
    assert_eq!(local.halves().count(), 20);
}

#[test]
fn moving_halves_between_files_is_no_withdrawal() {
    let mut local = local();
    local.apply(all([peerings("a.toml", &many("blue", "p", 20))]));
    let changed = local.apply(all([peerings("b.toml", &many("blue", "p", 20))]));
    assert_eq!(local.held(), None);
    assert_eq!(changed.halves.len(), 20, "their origin changed");
    assert_eq!(local.origin_of_half(&half_key("blue", "web", "p0")), Some(&giver("b.toml")));
}

#[test]
fn unbinding_a_network_counts_as_withdrawing_its_halves() {
    let mut local = local();
    local.apply(all([networks("a.toml", WEB), peerings("a.toml", &many("blue", "p", 20))]));
    local.apply(some([networks("a.toml", "# none\n")]));
    assert_eq!(local.held().unwrap().withdrawals.len(), 20);
    assert!(local.network(&network_key("blue", "web")).is_some());
}

#[test]
fn the_limit_is_the_operators() {
    let mut local = ovn_peerd::declare::LocalDeclarations::new(&settings(
        "[policy]\nmax_withdrawals = { halves = 0, percent = 0 }",
    ));
    local.apply(all([peerings("a.toml", &many("blue", "p", 2))]));
    local.apply(all([]));
    assert!(local.held().is_some());
    local.configure(&settings("[policy]\nmax_withdrawals = { halves = 0, percent = 100 }"));
    local.apply(all([]));
    assert_eq!(local.held(), None);
    assert_eq!(local.halves().count(), 0);
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
        let shown = |local: &ovn_peerd::declare::LocalDeclarations| {
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
fn what_one_project_withdraws_neither_waits_for_anothers_nor_goes_with_it() {
    let pinned = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\n[[project]]\nname = \"green\"\nowner = \"bob\"\n",
    );
    let owned = |name: &str, uid: u32, project: &str, count: usize| {
        let mut file = peerings(&format!("{project}.toml"), &many(project, "p", count));
        file.owner = Some(Owner { uid, name: Some(name.to_owned()) });
        file
    };
    let count = |local: &ovn_peerd::declare::LocalDeclarations, project: &str| {
        local.halves_of_project(project).count()
    };
    let mut local = ovn_peerd::declare::LocalDeclarations::new(&pinned);
    let world = |blue, green| {
        [
            owned("alice", 1000, "blue", blue),
            owned("bob", 1001, "green", green),
            owned("root", 0, "grey", 100),
        ]
    };
    local.apply(all(world(20, 20)));

    // In one reading: what is not too much takes effect at once.
    local.apply(all(world(0, 15)));
    assert_eq!((count(&local, "blue"), count(&local, "green")), (20, 15));
    let seen = local.held().unwrap().clone();
    assert_eq!(seen.withdrawals.len(), 20);

    // Another one's is held by itself; the word of what was seen before names it no more.
    local.apply(some([owned("bob", 1001, "green", 0)]));
    let held = local.held().unwrap().clone();
    assert_eq!(held.withdrawals.len(), 35);
    assert_ne!(held.seen, seen.seen);
    let parts: Vec<_> =
        held.parts.iter().map(|part| (&*part.project, part.withdrawals.len())).collect();
    assert_eq!(parts, [("blue", 20), ("green", 15)]);
    assert_eq!(held.parts[0].seen, seen.seen, "of blue it is what it was");

    assert!(local.confirm(Some("grey")).is_empty());
    assert_eq!(local.confirm(Some("blue")).halves.len(), 20);
    assert_eq!((count(&local, "blue"), count(&local, "green")), (0, 15));
    assert_eq!(local.held().unwrap().withdrawals.len(), 15, "green's waits on");
    local.apply(some([owned("bob", 1001, "green", 9)]));
    assert_eq!((count(&local, "green"), local.held()), (9, None));
}

/// What goes of several projects at once is the operator's doing. Of that, one project's may be
/// confirmed; the rest waits for its own confirmation, however little it is.
#[test]
fn a_part_that_is_confirmed_releases_no_other() {
    let mut local = local();
    let files = |left: usize| {
        let file =
            move |project: &str| peerings(&format!("{project}.toml"), &many(project, "p", left));
        ["blue", "green", "grey"].map(file)
    };
    local.apply(all(files(5)));
    local.apply(all([]));
    assert_eq!(local.held().unwrap().withdrawals.len(), 15);
    assert_eq!(local.confirm(Some("blue")).halves.len(), 5);
    local.apply(some([peerings("new.toml", &many("new", "p", 1))]));
    assert_eq!(local.held().unwrap().withdrawals.len(), 10);
    assert_eq!(local.halves().count(), 11);
    // Files that come back take out what they give.
    local.apply(some(files(5).into_iter().skip(1).take(1)));
    assert_eq!(local.held().unwrap().withdrawals.len(), 5);
    local.confirm(None);
    assert_eq!((local.halves().count(), local.held()), (6, None));
}

/// Whether what an account does to its own is held says nothing of how much others have.
#[test]
fn what_an_owner_withdraws_is_judged_against_its_own_project_alone() {
    let pinned = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\n[[project]]\nname = \"teal\"\nowner = \"alice\"\n\
         [[project]]\nname = \"green\"\nowner = \"bob\"\n",
    );
    let owned = |name: &str, uid: u32, project: &str, count: usize| {
        let mut file = peerings(&format!("{project}.toml"), &many(project, "p", count));
        file.owner = Some(Owner { uid, name: Some(name.to_owned()) });
        file
    };
    let held = |others: usize, changes: &[(&str, u32, &str, usize)]| {
        let mut local = ovn_peerd::declare::LocalDeclarations::new(&pinned);
        local.apply(all([
            owned("alice", 1000, "blue", 20),
            owned("alice", 1000, "teal", 20),
            owned("bob", 1001, "green", 9),
            owned("root", 0, "grey", others),
        ]));
        assert_eq!(local.halves().count(), 49 + others, "{}", told(&local));
        local.apply(some(
            changes.iter().map(|(name, uid, project, count)| owned(name, *uid, project, *count)),
        ));
        local.held().is_some()
    };
    for others in [1, 1000] {
        // Of 20: 9 are not more than 10; 10 are not more than half; 11 are both.
        for (left, expected) in [(11, false), (10, false), (9, true), (0, true)] {
            assert_eq!(held(others, &[("alice", 1000, "blue", left)]), expected, "{others} {left}");
        }
        assert!(!held(others, &[("bob", 1001, "green", 0)]), "{others}: few are not held");
        // Both projects of one account: each by itself.
        let both = [("alice", 1000, "blue", 10), ("alice", 1000, "teal", 10)];
        assert!(!held(others, &both), "{others}");
    }
    // What becomes of several owners' halves at once is the operator's doing: against all.
    let several =
        [("alice", 1000, "blue", 10), ("alice", 1000, "teal", 10), ("bob", 1001, "green", 0)];
    assert!(held(1, &several) && !held(1000, &several));
}

#[test]
fn whoever_owns_a_project_speaks_for_no_other() {
    let pinned = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\n[[project]]\nname = \"teal\"\nowner = \"root\"\n",
    );
    let mut local = ovn_peerd::declare::LocalDeclarations::new(&pinned);
    let speak = |uid: u32, name: &str| {
        let mut file = peerings(&format!("{name}.toml"), &many("grey", "p", 1));
        file.owner = Some(Owner { uid, name: Some(name.to_owned()) });
        file
    };
    assert!(local.apply(some([speak(1000, "alice")])).is_empty());
    let text = told(&local);
    assert!(
        text.contains("alice's, who owns project blue and so may not speak for grey"),
        "{text}"
    );
    // Told as if somebody owned the project, to whose text it is and to nobody else.
    let projects = |names: [&str; 1]| names.map(std::sync::Arc::from).into();
    let of = |project: &str| -> Vec<String> {
        local.diagnostics_of(&projects([project])).map(ToString::to_string).collect()
    };
    assert_eq!(of("blue").concat(), text.trim_end());
    assert_eq!((of("teal").len(), of("grey").len(), of("").len()), (0, 0, 0));
    // Root is the operator, whatever it owns; mallory owns nothing.
    for (uid, name) in [(0, "root"), (1666, "mallory")] {
        assert!(!local.apply(all([speak(uid, name)])).is_empty(), "{name}");
        assert_eq!(told(&local), "");
    }
}

#[test]
fn a_pinned_project_is_spoken_for_by_its_owner_only() {
    let pinned = settings("[[project]]\nname = \"blue\"\nowner = \"alice\"\n");
    let mut local = ovn_peerd::declare::LocalDeclarations::new(&pinned);
    local.apply(all([peerings("a.toml", &many("blue", "p", 1))]));
    assert_eq!(local.halves().count(), 1);

    let mallory = Some(Owner { uid: 1666, name: Some("mallory".to_owned()) });
    let mut theirs = peerings("a.toml", &many("blue", "p", 3));
    theirs.owner = mallory.clone();
    let mut new = peerings("00.toml", &many("blue", "x", 1));
    new.owner = mallory;
    let mut unknown = peerings("01.toml", &many("blue", "y", 1));
    unknown.owner = None;
    let changed = local.apply(some([theirs, new, unknown]));
    assert_eq!(changed.halves.len(), 1, "alice has no file any more");
    assert_eq!(local.halves().count(), 0);
    let text = told(&local);
    assert!(text.contains("00.toml:1:11: error: only files of alice may speak for project blue"));
    assert!(text.contains("mallory's"), "{text}");
    assert!(text.contains("a.toml: error: the file now belongs to mallory"), "{text}");
    assert_eq!(local.diagnostics().count(), 4);

    local.configure(&settings("[[project]]\nname = \"blue\"\nowner = \"1000\"\n"));
    let mut by_uid = peerings("a.toml", &many("blue", "p", 2));
    by_uid.owner = Some(Owner { uid: 1000, name: None });
    local.apply(all([by_uid]));
    assert_eq!(local.halves().count(), 2);
    assert_eq!(told(&local), "");
}

/// A file of alice's, as [`peerings`] makes it.
fn giver(name: &str) -> Giver {
    Giver { file: FileId::peerings(name), owner: Some(1000) }
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
