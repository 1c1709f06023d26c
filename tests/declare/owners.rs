//! Whose word a file is: its owner's, that of its name's project, and nobody else's, over restarts too.

use std::collections::BTreeMap;

use ovn_peerd::declare::{FileId, Giver, LastGood, LocalDeclarations, Owner, SourceFile};

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
        let mut first = LocalDeclarations::new(&pinned);
        first.remember(good());
        first.apply(all([bad.clone()]));
        let mut last = LocalDeclarations::new(&pinned);
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
        let mut local = LocalDeclarations::new(&bound);
        local.apply(all([peerings(name, &many(project, "p", 1))]));
        assert_eq!(local.halves().count(), usize::from(says.is_empty()), "{name} for {project}");
        assert!(told(&local).contains(says), "{}", told(&local));
        assert_eq!(told(&local).is_empty(), says.is_empty());
    }
}

#[test]
fn whoever_owns_a_project_speaks_for_no_other() {
    let pinned = settings(
        "[[project]]\nname = \"blue\"\nowner = \"alice\"\n[[project]]\nname = \"teal\"\nowner = \"root\"\n",
    );
    let mut local = LocalDeclarations::new(&pinned);
    let speak = |uid: u32, name: &str| SourceFile {
        owner: Some(owner(uid, name)),
        ..peerings(&format!("{name}.toml"), &many("grey", "p", 1))
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
    let mut local = LocalDeclarations::new(&pinned);
    local.apply(all([peerings("a.toml", &many("blue", "p", 1))]));
    assert_eq!(local.halves().count(), 1);

    let mallory = Some(owner(1666, "mallory"));
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

fn of(owner: &Owner, text: &str) -> SourceFile {
    SourceFile { owner: Some(owner.clone()), ..peerings("a.toml", text) }
}
