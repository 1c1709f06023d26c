//! Links: whoever makes one chooses whose file is read, and so may not choose another tenant's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::ground::{ATTACKER, BYSTANDER, Ground, VICTIM};
use crate::site::{Tenant, half, is_answer, user};

/// A place of the attacker's that the operator has linked: a project of hers without halves.
const PLACE: &str = "mine.toml";

/// The ground, with a second place of the attacker's in `peerings.d`.
fn ground() -> Ground {
    let ground = Ground::new();
    let target = ground.site.own(ATTACKER).join(PLACE);
    symlink(target, ground.site.root().join("etc/peerings.d").join(PLACE)).unwrap();
    ground
}

impl Ground {
    /// A shell of a tenant's, in its directory.
    #[track_caller]
    fn shell(&self, tenant: Tenant, script: &str) {
        let mut command = user(tenant.uid, "sh");
        command.args(["-euc", script]).current_dir(self.site.own(tenant));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// Puts a link of the attacker's at her place, and waits until it is read.
    #[track_caller]
    fn link(&self, target: &Path) {
        self.shell(ATTACKER, &format!("ln -sfn {} new && mv -T new {PLACE}", target.display()));
        self.reread();
    }

    #[track_caller]
    fn reread(&self) {
        let reload = self.site.ctl(0, &["reload"]);
        assert!(is_answer(&reload), "{reload:?}");
    }

    fn told(&self, tenant: Tenant) -> Value {
        self.site.json(tenant.uid, &["diagnostics"])["diagnostics"].take()
    }

    /// The file of the victim that is read.
    fn victims_file(&self) -> std::path::PathBuf {
        self.site.own(VICTIM).join("halves.toml")
    }
}

/// The victim's consent is the victim's: it ends when the victim says so, and nobody brings it back, over restarts neither.
#[test]
fn nobody_keeps_or_revives_anothers_consent() {
    let ground = ground();
    let site = &ground.site;
    ground.link(&ground.victims_file());
    ground.link(Path::new("nowhere"));
    site.declare(VICTIM, "");
    site.wait_gone("green/db/to-lab");
    site.wait_state("brown/lab/to-db", "disconnected");
    let gone = || {
        ground.reread();
        let code = site.ctl(0, &["show", "green", "db", "to-lab"]).status.code();
        assert_eq!(code, Some(3), "{:?}", site.json(0, &["list"]));
    };
    gone();
    site.restart();
    gone();
    // Copies of the old text: the operator's, in a place that every daemon's user reads, and the victim's own.
    let old = format!("project = \"green\"\n{}", half("to-lab", "db", "brown/lab"));
    site.operator_writes("old.toml", &old);
    site.write_as(VICTIM, "old.toml", &old);
    for copy in [site.root().join("etc/old.toml"), site.own(VICTIM).join("old.toml")] {
        ground.link(&copy);
        gone();
    }
    // A directory on the way is a link, too.
    ground.shell(ATTACKER, &format!("ln -sfn {} there", site.own(VICTIM).display()));
    ground.link(Path::new("there/old.toml"));
    gone();
    // What the operator does to the victim's file brings nothing back either.
    let file = ground.victims_file();
    for owner in [0, VICTIM.uid] {
        std::os::unix::fs::chown(&file, Some(owner), None).unwrap();
        gone();
    }
    site.restart();
    gone();
    // The victim itself does.
    site.declare(VICTIM, &half("to-lab", "db", "brown/lab"));
    site.wait_state("green/db/to-lab", "active");
}

/// The operator gives a place to another tenant, whose file is not good, or not there yet.
#[test]
fn a_place_that_is_another_tenants_now_keeps_nothing() {
    let ground = ground();
    let site = &ground.site;
    let place = site.root().join("etc/peerings.d/green.toml");
    let move_to = |tenant: Tenant, name: &str| {
        let beside = place.with_extension("new");
        symlink(site.own(tenant).join(name), &beside).unwrap();
        fs::rename(beside, &place).unwrap();
    };
    site.write_as(BYSTANDER, "bad.toml", "project = \"ochre\"\n[[peering]\n");
    move_to(BYSTANDER, "bad.toml");
    site.wait_gone("green/db/to-lab");
    let told = ground.told(BYSTANDER).to_string();
    assert!(told.contains("now belongs to uid 20004"), "{told}");
    // A typo of its own owner, and a slip of the operator's, withdraw nothing.
    move_to(VICTIM, "halves.toml");
    site.wait_state("green/db/to-lab", "active");
    let before = ground.standing();
    site.write_as(VICTIM, "halves.toml", "project = \"green\"\n[[peering]\n");
    ground.reread();
    std::os::unix::fs::chown(ground.victims_file(), Some(0), None).unwrap();
    ground.reread();
    site.restart();
    ground.reread();
    assert_eq!(ground.standing(), before);
    move_to(BYSTANDER, "not-there-yet.toml");
    site.wait_gone("green/db/to-lab");
}

/// What a link that does not count leads to, and whether that is there, reads the same in everything that is told.
#[test]
fn links_do_not_tell_which_files_there_are() {
    let ground = ground();
    let site = &ground.site;
    site.write_as(VICTIM, "closed.toml", "project = \"green\"\n");
    ground.shell(
        VICTIM,
        "chmod 600 closed.toml; mkdir -p dir.toml; mkfifo fifo.toml; ln -s closed.toml link.toml",
    );
    let victim = site.own(VICTIM);
    let targets = [
        victim.join("halves.toml"),
        victim.join("closed.toml"),
        victim.join("dir.toml"),
        victim.join("fifo.toml"),
        victim.join("link.toml"),
        victim.join("absent.toml"),
        victim.join("absent/halves.toml"),
        victim.join("halves.toml/below.toml"),
        site.root().join("etc/networks.d/all.toml"),
        site.root().join("etc/networks.d/no.toml"),
        "/dev/zero".into(),
        "/proc/1/environ".into(),
        site.own(ATTACKER).join(PLACE),
        site.own(ATTACKER).join("nowhere"),
        "/".into(),
    ];
    let told = |target: &Path| {
        ground.link(target);
        let standing = ground.standing();
        (ground.told(ATTACKER), site.json(ATTACKER.uid, &["list"]), standing)
    };
    let expected = told(&targets[0]);
    let text = expected.0.to_string();
    assert!(text.contains("a link of uid 20001's is on the way"), "{text}");
    assert_eq!(ground.told(VICTIM), serde_json::json!([]), "of that, the victim learns nothing");
    for target in &targets {
        assert_eq!(told(target), expected, "{}", target.display());
    }
    // A link of hers to a file of hers counts, through a directory that is a link of hers, too.
    site.write_as(
        ATTACKER,
        "deep/real.toml",
        &format!("project = \"blue\"\n{}", half("x", "web", "ochre/shop")),
    );
    ground.shell(ATTACKER, "ln -sfn deep way");
    ground.link(Path::new("way/real.toml"));
    site.wait_state("blue/web/x", "pending-peer");
    assert_eq!(ground.told(ATTACKER), serde_json::json!([]));
    // One of the operator's to it, as well; and where two files declare one half, its owner is told.
    let again = site.root().join("etc/peerings.d/again.toml");
    symlink(site.own(ATTACKER).join("way/real.toml"), again).unwrap();
    ground.reread();
    let twice = ground.told(ATTACKER).to_string();
    assert!(twice.contains("half blue/web/x is already declared at"), "{twice}");
}

/// A hard link is made by whoever may write in a directory, where the kernel lets it.
#[test]
fn a_hard_link_in_a_tenants_directory_is_not_believed() {
    let ground = ground();
    let site = &ground.site;
    fs::hard_link(ground.victims_file(), site.own(ATTACKER).join(PLACE)).unwrap();
    ground.reread();
    let told = ground.told(ATTACKER).to_string();
    assert!(told.contains("it lies in a directory of uid 20001's without being"), "{told}");
    site.declare(VICTIM, "");
    site.wait_gone("green/db/to-lab");
}
