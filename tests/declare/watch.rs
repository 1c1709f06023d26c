//! Files that come, change and go on a real file system.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ovn_peerd::daemon::watch::{Pace, Watch};
use ovn_peerd::declare::{Directory, FileId, ParsedFile};

use crate::ground::*;
use crate::texts::*;

#[test]
fn an_atomic_rename_is_read_alone_and_at_once() {
    let mut ground = Ground::new();
    place(&ground.peerings("other.toml"), &many("other", "p", 1));
    ground.until_halves(1);
    let mut took = Vec::new();
    for round in 0..50 {
        let beside = ground.peerings("a.toml.tmp");
        fs::write(&beside, many("blue", "p", 1 + round % 2)).unwrap();
        let start = Instant::now();
        fs::rename(&beside, ground.peerings("a.toml")).unwrap();
        let reading = ground.next();
        took.push(start.elapsed());
        assert!(!reading.complete);
        assert_eq!(names(&[reading]), ["a.toml"]);
    }
    took.sort();
    println!("rename to reading: median {:?}, worst {:?}", took[25], took[49]);
    assert!(took[25] < Duration::from_millis(20), "{took:?}");
}

#[test]
fn a_write_in_place_counts_when_it_is_closed() {
    let mut ground = Ground::paced(Pace { settle: Duration::from_secs(5), ..Pace::default() });
    let path = ground.peerings("a.toml");
    fs::write(&path, many("blue", "p", 3)).unwrap();
    let readings = ground.until_halves(3);
    let bad = readings.iter().flat_map(|reading| &reading.files).flat_map(ParsedFile::diagnostics);
    assert_eq!(bad.count(), 0, "never the empty file");
    // Truncated and rewritten: never the empty file, never the half one.
    let text = many("blue", "p", 5);
    let (half, rest) = text.split_at(text.len() / 2);
    let mut file = File::create(&path).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    assert_eq!(names(&ground.mark("m1")), ["m1.toml"], "half-written files are left alone");
    file.write_all(rest.as_bytes()).unwrap();
    assert_eq!(names(&ground.mark("m2")), ["m2.toml"]);
    let start = Instant::now();
    drop(file);
    let readings = ground.until_halves(5);
    assert_eq!(readings.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(5), "at once");
    assert_eq!(told(&ground.local), "");
}

#[test]
fn a_writer_that_never_closes_is_read_when_it_falls_silent() {
    let mut ground = Ground::new();
    let mut file = File::create(ground.peerings("a.toml")).unwrap();
    let start = Instant::now();
    file.write_all(many("blue", "p", 2).as_bytes()).unwrap();
    ground.until_halves(2);
    assert!(start.elapsed() >= Pace::default().settle);
    drop(file);
}

#[test]
fn what_editors_and_packages_leave_beside_is_not_read() {
    let mut ground = Ground::new();
    let text = many("blue", "p", 1);
    for name in [
        ".a.toml.swp",
        ".a.toml",
        "a.toml~",
        ".#a.toml",
        "#a.toml#",
        "4913",
        "a.toml.tmp",
        "a.toml.dpkg-new",
        "a.toml.dpkg-old",
        "a.toml.rpmnew",
        "a.toml.rpmsave",
        "a.toml.sample",
        "#a.toml",
    ] {
        fs::write(ground.peerings(name), &text).unwrap();
    }
    assert_eq!(names(&ground.mark("m")), ["m.toml"]);
    ground.watch.reread();
    let all = ground.next();
    assert!(all.complete);
    assert_eq!(names(&[all]), ["m.toml"]);
}

#[test]
fn an_editor_that_replaces_by_removing_first_withdraws_nothing() {
    let mut ground = Ground::paced(Pace { removal: Duration::from_secs(5), ..Pace::default() });
    let path = ground.peerings("a.toml");
    place(&path, &many("blue", "p", 2));
    ground.until_halves(2);
    // vim with `backupcopy=no`, Emacs with `backup-by-copying` off: renamed away, written anew.
    fs::rename(&path, ground.peerings("a.toml~")).unwrap();
    sleep(Duration::from_millis(20));
    fs::write(&path, many("blue", "p", 3)).unwrap();
    let readings = ground.until_halves(3);
    assert!(readings.iter().all(|reading| reading.removed.is_empty()), "{readings:#?}");
    // Unlinked, then written anew.
    fs::remove_file(&path).unwrap();
    fs::write(&path, many("blue", "p", 4)).unwrap();
    let readings = ground.until_halves(4);
    assert!(readings.iter().all(|reading| reading.removed.is_empty()), "{readings:#?}");
}

#[test]
fn a_removal_and_a_move_are_reported() {
    let mut ground = Ground::paced(Pace { removal: Duration::from_secs(2), ..Pace::default() });
    place(&ground.peerings("a.toml"), &many("blue", "p", 2));
    ground.until_halves(2);
    let start = Instant::now();
    fs::rename(ground.peerings("a.toml"), ground.peerings("b.toml")).unwrap();
    let reading = ground.next();
    assert!(start.elapsed() < Duration::from_secs(2), "no doubt about a rename");
    assert_eq!(reading.removed, [FileId::peerings("a.toml")]);
    assert_eq!(&*reading.files[0].id.name, "b.toml");
    ground.local.apply(reading);
    assert_eq!(ground.local.halves().count(), 2);
    fs::remove_file(ground.peerings("b.toml")).unwrap();
    ground.until_halves(0);
}

#[test]
fn a_mass_removal_is_one_reading_and_is_held() {
    let (root, paths) = directories();
    for n in 0..300 {
        place(&paths.peerings.join(format!("{n}.toml")), &many(&format!("p{n}"), "h", 1));
    }
    let pace = Pace { removal: Duration::from_secs(1), ..Pace::default() };
    let mut ground = Ground::on(root, |paths| Watch::start(paths, pace).unwrap());
    assert_eq!(ground.local.halves().count(), 300);
    for n in 0..300 {
        fs::remove_file(ground.peerings(&format!("{n}.toml"))).unwrap();
        if n % 100 == 0 {
            sleep(Duration::from_millis(10));
        }
    }
    let readings = ground.until("held", |local| local.held().is_some());
    assert_eq!(readings.len(), 1);
    assert_eq!(ground.local.held().unwrap().withdrawals.len(), 300);
}

#[test]
fn a_burst_is_gathered() {
    let mut ground = Ground::new();
    let staged = ground.root().join("staged");
    fs::create_dir(&staged).unwrap();
    for n in 0..200 {
        fs::write(staged.join(n.to_string()), many(&format!("p{n}"), "h", 1)).unwrap();
    }
    for n in 0..200 {
        let to = ground.peerings(&format!("{n}.toml"));
        fs::rename(staged.join(n.to_string()), to).unwrap();
    }
    let readings = ground.until_halves(200);
    println!("200 renames gave {} readings", readings.len());
    assert!(readings.len() < 40, "{}", readings.len());
}

#[test]
fn a_link_farm_of_configuration_management_is_followed() {
    let mut ground = Ground::new();
    let at = |name: &str| ground.peerings(name);
    // As kubelet does: ..data -> ..v1, a.toml -> ..data/a.toml.
    fs::create_dir(at("..v1")).unwrap();
    fs::write(at("..v1/a.toml"), many("blue", "p", 1)).unwrap();
    symlink("..v1", at("..data")).unwrap();
    symlink("..data/a.toml", at("a.toml")).unwrap();
    ground.until_halves(1);
    for version in 2..6 {
        let at = |name: &str| ground.peerings(name);
        fs::create_dir(at(&format!("..v{version}"))).unwrap();
        let text = many("blue", "p", version);
        fs::write(at(&format!("..v{version}/a.toml")), text).unwrap();
        symlink(format!("..v{version}"), at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(at(&format!("..v{}", version - 1))).unwrap();
        let readings = ground.until_halves(version);
        assert!(readings.iter().all(|reading| reading.removed.is_empty()), "{readings:#?}");
    }
    assert_eq!(told(&ground.local), "");
}

#[test]
fn links_to_files_elsewhere_are_followed() {
    let mut ground = Ground::new();
    let elsewhere = ground.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("blue.conf");
    fs::write(&target, many("blue", "p", 1)).unwrap();
    symlink(&target, ground.peerings("a.toml")).unwrap();
    ground.until_halves(1);
    place(&target, &many("blue", "p", 2));
    ground.until_halves(2);
    fs::write(&target, many("blue", "p", 3)).unwrap();
    ground.until_halves(3);
    // The directory behind is exchanged.
    let other = ground.root().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("blue.conf"), many("blue", "p", 4)).unwrap();
    fs::rename(&elsewhere, ground.root().join("former")).unwrap();
    fs::rename(&other, &elsewhere).unwrap();
    ground.until_halves(4);
    place(&target, &many("blue", "p", 5));
    ground.until_halves(5);
    // The target goes: an error, not a withdrawal. The link goes: a withdrawal.
    fs::remove_file(&target).unwrap();
    ground.until("told", |local| told(local).contains("a link to a file that is not there"));
    assert_eq!(ground.local.halves().count(), 5);
    fs::write(&target, many("blue", "p", 6)).unwrap();
    ground.until_halves(6);
    fs::remove_file(ground.peerings("a.toml")).unwrap();
    ground.until_halves(0);
}

#[test]
fn a_directory_that_vanishes_and_returns_withdraws_nothing() {
    let mut ground = Ground::paced(Pace { settle: Duration::from_millis(600), ..Pace::default() });
    place(&ground.peerings("a.toml"), &many("blue", "p", 2));
    ground.until_halves(2);
    for round in 0..3 {
        let at = ground.peerings("");
        let away = ground.root().join("away");
        if round == 0 {
            fs::remove_dir_all(&at).unwrap();
        } else {
            fs::rename(&at, &away).unwrap();
        }
        ground.until("told", |local| told(local).contains("the directory cannot be read"));
        assert_eq!(ground.local.halves().count(), 2);
        if round == 1 {
            fs::rename(&away, &at).unwrap();
        } else {
            // Copied back slowly: an empty directory is not believed before it is calm.
            fs::create_dir(&at).unwrap();
            sleep(Duration::from_millis(50));
            fs::write(at.join("a.toml"), many("blue", "p", 2)).unwrap();
        }
        let readings = ground.until("healed", |local| told(local).is_empty());
        assert!(readings.iter().all(|reading| reading.removed.is_empty()));
        assert_eq!(ground.local.halves().count(), 2);
        place(&at.join("a.toml"), &many("blue", "p", 2 + round));
        ground.until_halves(2 + round);
        place(&at.join("a.toml"), &many("blue", "p", 2));
        ground.until_halves(2);
    }
}

#[test]
fn a_path_of_which_nothing_exists_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("x/y");
    let mut paths = None;
    let mut ground = Ground::on(root, |defaults| {
        let mut these = defaults.clone();
        these.peerings = deep.clone();
        paths = Some(these);
        Watch::start(paths.as_ref().unwrap(), Pace::default()).unwrap()
    });
    assert_eq!(ground.local.diagnostics().count(), 2);
    fs::create_dir(ground.root().join("networks.d")).unwrap();
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("a.toml"), many("blue", "p", 1)).unwrap();
    ground.until("read", |local| local.diagnostics().count() == 0 && local.halves().count() == 1);
    place(&deep.join("a.toml"), &many("blue", "p", 2));
    ground.until_halves(2);
}

#[test]
fn a_directory_that_is_a_link_may_be_switched() {
    let (root, paths) = directories();
    for release in ["r1", "r2"] {
        fs::create_dir(root.path().join(release)).unwrap();
    }
    fs::write(root.path().join("r1/a.toml"), many("blue", "p", 1)).unwrap();
    fs::write(root.path().join("r2/a.toml"), many("blue", "p", 2)).unwrap();
    fs::remove_dir(&paths.peerings).unwrap();
    symlink("r1", &paths.peerings).unwrap();
    let mut ground = Ground::on(root, |paths| Watch::start(paths, Pace::default()).unwrap());
    assert_eq!(ground.local.halves().count(), 1);
    let new = ground.root().join("new");
    symlink("r2", &new).unwrap();
    fs::rename(&new, ground.root().join("peerings.d")).unwrap();
    ground.until_halves(2);
    place(&ground.root().join("r2/a.toml"), &many("blue", "p", 3));
    ground.until_halves(3);
}

#[test]
fn lost_notices_become_a_reading_of_everything() {
    let mut ground = Ground::new();
    // Nobody takes the readings, so the thread stands still and its queue fills.
    for n in 0..50 {
        place(&ground.peerings("a.toml"), &many("blue", "p", 1 + n % 2));
        sleep(Duration::from_millis(4));
    }
    let (here, there) = (ground.peerings("noise"), ground.peerings("noise2"));
    fs::write(&here, "").unwrap();
    for _ in 0..4000 {
        fs::rename(&here, &there).unwrap();
        fs::rename(&there, &here).unwrap();
    }
    place(&ground.peerings("b.toml"), &many("green", "p", 1));
    let readings = ground.until("b", |local| local.half(&half_key("green", "web", "p0")).is_some());
    assert!(readings.last().unwrap().complete, "{} readings", readings.len());
}

#[test]
fn without_notices_changes_are_found_by_looking() {
    let (root, _) = directories();
    let pace = Pace { blind: Duration::from_millis(50), ..Pace::default() };
    let mut ground = Ground::on(root, |paths| Watch::start_blind(paths, pace).unwrap());
    place(&ground.peerings("a.toml"), &many("blue", "p", 1));
    place(&ground.peerings("b.toml"), &many("green", "p", 1));
    ground.until_halves(2);
    place(&ground.peerings("a.toml"), &many("blue", "p", 2));
    let readings = ground.until_halves(3);
    assert_eq!(names(&readings), ["a.toml"], "only what changed is read");
    fs::remove_file(ground.peerings("b.toml")).unwrap();
    ground.until_halves(2);
    fs::remove_dir_all(ground.peerings("")).unwrap();
    ground.until("told", |local| told(local).contains("cannot be read"));
    assert_eq!(ground.local.halves().count(), 2);
    fs::create_dir(ground.peerings("")).unwrap();
    fs::write(ground.peerings("a.toml"), many("blue", "p", 3)).unwrap();
    ground.until_halves(3);
}

#[test]
fn a_change_that_nobody_tells_of_is_found_by_the_safety_check() {
    let (root, paths) = directories();
    let beyond = root.path().join("beyond");
    fs::write(&beyond, many("blue", "p", 1)).unwrap();
    fs::hard_link(&beyond, paths.peerings.join("a.toml")).unwrap();
    let pace = Pace { safety: Duration::from_millis(50), ..Pace::default() };
    let mut ground = Ground::on(root, |paths| Watch::start(paths, pace).unwrap());
    assert_eq!(ground.local.halves().count(), 1);
    // Written through the other name, of whose directory the watch knows nothing.
    let nested = ground.root().join("nested");
    fs::create_dir(&nested).unwrap();
    let other = nested.join("other");
    fs::rename(&beyond, &other).unwrap();
    fs::write(&other, many("blue", "p", 2)).unwrap();
    ground.until_halves(2);
}

#[test]
fn a_file_that_is_no_text_is_reported() {
    let mut ground = Ground::new();
    place(&ground.peerings("a.toml"), &many("blue", "p", 1));
    ground.until_halves(1);
    fs::create_dir(ground.peerings("dir.toml")).unwrap();
    fs::write(ground.peerings("latin.toml"), b"project = \"bl\xfce\"\n").unwrap();
    let big = File::create(ground.peerings("big.toml")).unwrap();
    big.set_len(ovn_peerd::declare::MAX_FILE_BYTES + 1).unwrap();
    drop(big);
    nix::unistd::mkfifo(&ground.peerings("fifo.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    ground.until("four faults", |local| local.diagnostics().count() == 4);
    let text = told(&ground.local);
    for words in [
        "big.toml: error: the file cannot be read: it is larger than 4 MiB",
        "dir.toml: error: the file cannot be read: it is not a regular file",
        "fifo.toml: error: the file cannot be read: it is not a regular file",
        "latin.toml: error: the file cannot be read: it is not UTF-8 on line 1",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let owner = nix::unistd::getuid().as_raw();
    ground.watch.reread();
    let reading = ground.next();
    assert!(reading.directories.iter().all(|(_, found)| found.is_ok()));
    assert_eq!(reading.directories.len(), Directory::ALL.len());
    assert!(reading.files.iter().all(|it| it.owner.as_ref().unwrap().uid == owner));
}

#[test]
fn dropping_it_ends_it_even_when_nobody_listens() {
    let mut ground = Ground::new();
    for n in 0..20 {
        place(&ground.peerings("a.toml"), &many("blue", "p", 1 + n % 2));
        ground.watch.reread();
        sleep(Duration::from_millis(5));
    }
    let _ = ground.next();
    drop(ground);
}
