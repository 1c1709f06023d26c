//! What the operating system shows a tenant of the host: nothing of what others have.

use std::process::Output;

use crate::site::{BLUE, BROWN, GREEN, STRANGER, half, is_answer, user};
use crate::targets::{asking, neutral, world};

/// What a user's shell says to a command.
fn shell(uid: u32, script: &str) -> Output {
    user(uid, "sh").args(["-c", script]).output().unwrap()
}

#[test]
fn the_configuration_and_other_tenants_files_are_closed() {
    let site = world();
    let root = site.root().display();
    for uid in [BLUE.uid, STRANGER] {
        for path in [
            "etc",
            "etc/ovn-peerd.toml",
            "etc/networks.d",
            "etc/peerings.d/green.toml",
            "srv",
            "srv/20002",
            "srv/20002/halves.toml",
        ] {
            let output = shell(uid, &format!("cat {root}/{path} || ls {root}/{path}"));
            assert!(!output.status.success() && output.stdout.is_empty(), "{uid} reads {path}");
        }
    }
    // Whether a file is there is not to be seen either.
    let stat = |name: &str| {
        let output = shell(
            BLUE.uid,
            &format!("stat {root}/etc/peerings.d/{name}; : > {root}/etc/peerings.d/{name}"),
        );
        String::from_utf8(output.stderr).unwrap().replace(name, "NAME")
    };
    assert_eq!(stat("green.toml"), stat("nobdy.toml"));
    assert!(stat("green.toml").contains("Permission denied"));
    // The northbound shows all that there is, and is not for tenants.
    let nb = site.lab.nb_remote();
    let read = shell(BLUE.uid, &format!("ovn-nbctl --timeout=2 --db={nb} show"));
    assert!(!read.status.success() && read.stdout.is_empty(), "{read:?}");
}

#[test]
fn a_tenant_speaks_by_its_own_file_alone() {
    let site = world();
    // Green cannot speak for blue, wherever its text says so.
    site.declare(GREEN, "");
    site.wait_gone("green/others/up");
    site.write_as(
        GREEN,
        "halves.toml",
        &format!("project = \"blue\"\n{}", half("stolen", "web", "green/silent")),
    );
    site.declare(
        BLUE,
        &(half("to-lab", "web", "brown/lab") + &half("more", "web", "green/silent")),
    );
    site.wait_state("blue/web/more", "pending-peer");
    assert_eq!(site.ctl(0, &["show", "blue", "web", "stolen"]).status.code(), Some(3));
    let status = site.json(0, &["status"])["diagnostics"].to_string();
    assert!(status.contains("may not speak for blue"), "{status}");
    // Of that, blue learns nothing; and a file that is taken away withdraws nothing by itself.
    let list = site.ctl(BLUE.uid, &["list"]);
    assert!(!String::from_utf8(list.stdout).unwrap().contains("stolen"));
    let file = site.own(BROWN).join("halves.toml");
    assert!(shell(BROWN.uid, &format!("rm {}", file.display())).status.success());
    site.settle();
    assert!(is_answer(&site.ctl(0, &["reload"])));
    site.wait_state("blue/web/to-lab", "active");
    site.declare(BROWN, "");
    site.wait_state("blue/web/to-lab", "disconnected");
}

#[test]
fn a_files_project_line_does_not_tell_which_projects_there_are() {
    let site = world();
    let outputs = |project: &str| {
        let back = half("back", "unknwn", "blue/web");
        site.write_as(BLUE, "halves.toml", &format!("project = \"{project}\"\n{back}"));
        assert!(is_answer(&site.ctl(0, &["reload"])));
        site.settle();
        let diagnostics = String::from_utf8(site.ctl(0, &["diagnostics"]).stdout).expect("text");
        assert!(diagnostics.contains("blue.toml:1:"), "{diagnostics}");
        let said = [
            &["diagnostics"][..],
            &["diagnostics", "--format", "json"],
            &["list"],
            &["list", "--format", "json"],
            &["show", project, "unknwn", "back"],
            &["show", "blue", "web", "to-lab"],
        ]
        .map(|arguments| {
            let output = site.ctl(BLUE.uid, arguments);
            let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
            (output.status.code(), neutral(&text, &format!("{project}/unknwn")))
        });
        // Blue asks for itself what would be there if the line had counted.
        site.declare(BLUE, &asking(&format!("{project}/unknwn")));
        site.wait_state("blue/web/asked", "pending-peer");
        site.declare(BLUE, &half("to-lab", "web", "brown/lab"));
        site.wait_gone("blue/web/asked");
        said
    };
    let expected = outputs("green");
    assert_eq!(expected[0].0, Some(1), "an error in its own file");
    assert!(expected[0].1.contains("may not speak for"), "its own file is told: {expected:?}");
    assert!(expected[2].1.contains("to-lab"), "what the file last gave stands: {expected:?}");
    for project in ["olive", "ochre", "nobdy"] {
        assert_eq!(outputs(project), expected, "{project}");
    }
}

/// Of what is wrong with files each tenant is told its own, an operator all, and nobody else anything.
#[test]
fn each_tenant_sees_what_is_wrong_with_its_own_file() {
    let site = world();
    let told = |uid: u32| site.json(uid, &["diagnostics"])["diagnostics"].take();
    let none = serde_json::json!([]);
    for tenant in [BLUE, GREEN, BROWN] {
        assert_eq!(told(tenant.uid), none);
    }
    let words = site.ctl(BLUE.uid, &["diagnostics"]);
    assert_eq!(String::from_utf8(words.stdout).unwrap(), "Nothing is wrong with the files.\n");
    site.write_as(GREEN, "halves.toml", "project = \"green\"\nsecret = \"of green\"\n");
    site.write_as(BROWN, "halves.toml", "project = \"brown\"\n[[peering]]\nname = 3\n");
    assert!(is_answer(&site.ctl(0, &["reload"])));
    let (green, brown, all) = (told(GREEN.uid), told(BROWN.uid), told(0));
    let texts = |value: &serde_json::Value| value.as_array().cloned().expect("an array");
    assert!(green[0]["file"].to_string().contains("green.toml"), "{green}");
    assert_eq!((&green[0]["line"], &green[0]["code"]), (&2.into(), &"unknown-key".into()));
    assert!(!green.to_string().contains("brown") && !brown.to_string().contains("secret"));
    assert!(brown.to_string().contains("brown.toml"), "{brown}");
    assert_eq!(told(BLUE.uid), none, "of others nothing");
    let errors = |uid: u32| {
        let answer = site.curl(uid, &[], "/v1/attention").stdout;
        let answer = String::from_utf8(answer).expect("text");
        let body = answer.lines().find(|line| line.starts_with('{')).expect("JSON");
        serde_json::from_str::<serde_json::Value>(body).expect("JSON")["errors"].clone()
    };
    let counted = [0, texts(&green).len(), texts(&brown).len()];
    assert_eq!([BLUE, GREEN, BROWN].map(|tenant| errors(tenant.uid)), counted);
    assert!(errors(0).as_u64() >= Some(2), "the operator is told all");
    let footer = "The files have 1 error: see `ovn-peerctl diagnostics`.";
    for (tenant, has) in [(BLUE, false), (GREEN, true)] {
        let list = String::from_utf8(site.ctl(tenant.uid, &["list"]).stdout).expect("text");
        assert_eq!(list.contains(footer), has, "{list}");
    }
    let (parts, whole) = ([texts(&green), texts(&brown)].concat(), texts(&all));
    assert!(parts.iter().all(|part| whole.contains(part)), "the operator is told all: {all}");
    let refused = site.ctl(STRANGER, &["diagnostics"]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
}
