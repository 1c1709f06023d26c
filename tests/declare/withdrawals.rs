//! The guard: which withdrawals are held, what releases them, and that one project's have no part in another's.

use ovn_peerd::declare::{LocalDeclarations, SourceFile};

use crate::texts::*;

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
    let mut local = LocalDeclarations::new(&settings(
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
fn what_one_project_withdraws_neither_waits_for_anothers_nor_goes_with_it() {
    let pinned = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\n[[project]]\nname = \"green\"\nowner = \"bob\"\n",
    );
    let count = |local: &LocalDeclarations, project: &str| local.halves_of_project(project).count();
    let mut local = LocalDeclarations::new(&pinned);
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
    let held = |others: usize, changes: &[(&str, u32, &str, usize)]| {
        let mut local = LocalDeclarations::new(&pinned);
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

/// So many halves of a project, in a file of that account's.
fn owned(name: &str, uid: u32, project: &str, count: usize) -> SourceFile {
    let file = peerings(&format!("{project}.toml"), &many(project, "p", count));
    SourceFile { owner: Some(owner(uid, name)), ..file }
}
