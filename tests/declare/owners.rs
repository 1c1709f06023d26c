//! Whose word a file is: its owner's, that of its name's project, and nobody else's, over restarts too.

use std::collections::BTreeMap;

use ovn_peerd::declare::{FileId, Giver, LastGood, Owner, SourceFile};

use crate::texts::*;

/// Alice gives a half, and her file becomes somebody else's while its text does not count.
#[test]
fn what_a_file_gave_is_its_owners_of_then() {
    let (alice, bob, root) = (owner(1000, "alice"), owner(1001, "bob"), owner(0, "root"));
    let refused = |owner: &Owner| of(owner, "project = \"blue\"\n[[peering]]\n");
    let good = |owner: &Owner| of(owner, &many("blue", "p", 1));
    let halves = |files: &[(&str, SourceFile)]| {
        let mut local = local();
        let counts = files.iter().map(|(_, file)| {
            local.apply(some([file.clone()]));
            local.halves().count()
        });
        counts.collect::<Vec<_>>()
    };
    for (what, files, expected) in [
        ("a typo keeps it", vec![good(&alice), refused(&alice)], vec![1, 1]),
        ("another account's typo does not", vec![good(&alice), refused(&bob)], vec![1, 0]),
        (
            "nor does it come back",
            vec![good(&alice), refused(&bob), refused(&alice)],
            vec![1, 0, 0],
        ),
        ("root's does, which is a slip", vec![good(&alice), refused(&root)], vec![1, 1]),
        (
            "root's no more than alice's",
            vec![good(&alice), refused(&root), refused(&bob)],
            vec![1, 1, 0],
        ),
        ("what root gave is root's", vec![good(&root), refused(&alice)], vec![1, 0]),
        ("who gives it anew has it", vec![good(&alice), good(&bob), refused(&bob)], vec![1, 1, 1]),
    ] {
        let files: Vec<_> = files.into_iter().map(|file| (what, file)).collect();
        assert_eq!(halves(&files), expected, "{what}");
    }
}

#[test]
fn over_a_restart_too_and_where_an_older_version_remembered_it() {
    let pinned = settings("[[project]]\nname = \"blue\"\nowner = \"alice\"\n");
    let mut source = local();
    source.apply(all([peerings("a.toml", &many("blue", "p", 1))]));
    let good = LastGood { halves: source.halves().cloned().collect(), ..LastGood::default() };
    for (remembered, uid, expected) in [
        (Some(1000), 1000, 1),
        (Some(1000), 1001, 0),
        (Some(1001), 1001, 1),
        (None, 1000, 1),
        (None, 1001, 0),
        (None, 0, 1),
        (Some(1000), 0, 1),
    ] {
        let name = if uid == 1000 { "alice" } else { "other" };
        let bad = of(&owner(uid, name), "typo");
        let good = || {
            let giver = Giver { file: FileId::peerings("a.toml"), owner: remembered };
            BTreeMap::from([(giver, good.clone())])
        };
        let mut first = ovn_peerd::declare::LocalDeclarations::new(&pinned);
        first.remember(good());
        first.apply(all([bad.clone()]));
        let mut last = ovn_peerd::declare::LocalDeclarations::new(&pinned);
        last.apply(all([bad]));
        last.remember(good());
        for local in [&first, &last] {
            assert_eq!(local.halves().count(), expected, "of {remembered:?}, now {uid}'s");
        }
        assert_eq!(told(&first), told(&last), "of {remembered:?}, now {uid}'s");
    }
}

#[test]
fn a_file_with_a_name_of_a_project_speaks_for_it_and_for_no_other() {
    let bound = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\nfiles = [\"blue.toml\"]\n\
         [[project]]\nname = \"teal\"\nowner = \"alice\"\n",
    );
    for (name, project, says) in [
        ("blue.toml", "blue", ""),
        ("teal.toml", "teal", ""),
        ("blue.toml", "teal", "blue.toml may speak for project blue alone"),
        ("teal.toml", "blue", "files of other names may speak for project blue"),
    ] {
        let mut local = ovn_peerd::declare::LocalDeclarations::new(&bound);
        local.apply(all([peerings(name, &many(project, "p", 1))]));
        assert_eq!(local.halves().count(), usize::from(says.is_empty()), "{name} for {project}");
        assert!(told(&local).contains(says), "{}", told(&local));
        assert_eq!(told(&local).is_empty(), says.is_empty());
    }
}

fn of(owner: &Owner, text: &str) -> SourceFile {
    SourceFile { owner: Some(owner.clone()), ..peerings("a.toml", text) }
}

fn owner(uid: u32, name: &str) -> Owner {
    Owner { uid, name: Some(name.to_owned()) }
}
