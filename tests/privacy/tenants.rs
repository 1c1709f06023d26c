//! Tenants do not see one another; operators see all; everybody else sees nothing.

use std::process::Output;

use serde_json::Value;

use crate::site::{BLUE, BROWN, GREEN, OCHRE, OPERATOR, STRANGER, is_answer};
use crate::targets::world;

/// Status code and body of what `curl --include` printed.
fn parsed(output: &Output) -> (u16, String) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn each_tenant_sees_its_own_halves_and_operators_all() {
    let site = world();
    let projects = |uid: u32| -> Vec<String> {
        let halves = site.json(uid, &["list"]);
        let mut projects: Vec<String> = halves
            .as_array()
            .unwrap()
            .iter()
            .map(|half| {
                format!("{}/{}", half["project"].as_str().unwrap(), half["name"].as_str().unwrap())
            })
            .collect();
        projects.sort();
        projects
    };
    assert_eq!(projects(BLUE.uid), ["blue/to-lab"]);
    assert_eq!(projects(GREEN.uid), ["green/to-lab", "green/up"]);
    assert_eq!(projects(BROWN.uid), ["brown/to-peered", "brown/to-web"]);
    assert_eq!(projects(OCHRE.uid), [""; 0]);
    let all = projects(0);
    assert_eq!(all.len(), 5);
    assert_eq!(projects(OPERATOR), all);
    let empty = site.ctl(OCHRE.uid, &["list"]);
    assert_eq!(String::from_utf8(empty.stdout).unwrap(), "No halves are declared that match.\n");
}

#[test]
fn what_is_anothers_is_as_if_it_were_not() {
    let site = world();
    let show = |project: &str, network: &str, name: &str| {
        let output = site.ctl(BLUE.uid, &["show", project, network, name]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let (_, body) =
            parsed(&site.curl(BLUE.uid, &[], &format!("/v1/halves/{project}/{network}/{name}")));
        let what = format!("{project}/{network}/{name}");
        (output.status.code(), stderr.replace(&what, "HALF"), body.replace(&what, "HALF"))
    };
    // Halves that are there; one whose name is wrong; networks without halves; nothing at all; its own, absent.
    let expected = show("green", "others", "up");
    assert_eq!(expected.0, Some(3));
    for (project, network, name) in [
        ("green", "peered", "to-lab"),
        ("brown", "lab", "to-web"),
        ("green", "others", "no"),
        ("green", "silent", "up"),
        ("green", "nowhere", "up"),
        ("nobody", "web", "up"),
        ("blue", "web", "no"),
    ] {
        assert_eq!(show(project, network, name), expected, "{project}/{network}/{name}");
    }
    for (one, other) in [("project=green", "project=nobody"), ("network=lab", "network=nowhere")] {
        let list = |query: &str| parsed(&site.curl(BLUE.uid, &[], &format!("/v1/halves?{query}")));
        assert_eq!(list(one), (200, "[]".to_owned()));
        assert_eq!(list(one), list(other));
    }
}

#[test]
fn an_account_without_a_project_is_rejected_with_what_to_do() {
    let site = world();
    let commands: [&[&str]; 7] = [
        &["list"],
        &["diagnostics"],
        &["show", "blue", "web", "to-lab"],
        &["show", "nobody", "web", "to-lab"],
        &["status"],
        &["plan"],
        &["reload"],
    ];
    for command in commands {
        let output = site.ctl(STRANGER, command);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{command:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("uid 20009 may not ask") && said.contains("[[project]]"), "{said}");
    }
    for path in [
        "/v1/halves",
        "/v1/halves/green/others/up",
        "/v1/halves/a/b/c",
        "/v1/attention",
        "/v1/status",
        "/x",
    ] {
        let (status, body) = parsed(&site.curl(STRANGER, &[], path));
        assert_eq!(status, 403, "{path}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "not-operator");
    }
    assert_eq!(site.log().matches("refused on the control socket").count(), 1, "told once");
}

#[test]
fn what_is_for_operators_is_refused_to_tenants_and_changes_nothing() {
    let site = world();
    let before = site.lab.northbound_transactions();
    for command in ["status", "plan", "reload", "confirm"] {
        let output = site.ctl(BLUE.uid, &[command]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{command}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("is for operators") && said.contains("ask an operator"), "{said}");
        // Of olive's file, which has an error, `status` and `reload` say so by their exit code.
        let expected = i32::from(["status", "reload"].contains(&command));
        let output = site.ctl(OPERATOR, &[command]);
        assert_eq!(output.status.code(), Some(expected), "{command}: {output:?}");
        assert!(is_answer(&output), "{command}: {output:?}");
    }
    assert_eq!(site.lab.northbound_transactions(), before);
    assert_eq!(
        site.log().matches("every file was read again").count(),
        2,
        "the operators' reloads"
    );
}
