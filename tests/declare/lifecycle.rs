//! What the lifecycle needs of the files: rejections, renewals, the policy, and bounds of size.

use jiff::{SignedDuration, Timestamp};
use ovn_peerd::declare::{
    AddressSpace, AutoAccept, FileId, LocalDeclarations, Quotas, RejectionKey, Remembered, Settings,
};

use crate::texts::*;

const REJECTION: &str =
    "[[rejection]]\nnetwork = \"web\"\nfrom_project = \"red\"\nfrom_network = \"scan\"\n";

fn rejection_text(project: &str) -> String {
    format!("project = \"{project}\"\n{REJECTION}")
}

fn key(project: &str) -> RejectionKey {
    RejectionKey { network: network_key(project, "web"), from: network_key("red", "scan") }
}

/// The file that gives a rejection.
fn origin<'a>(local: &'a LocalDeclarations, key: &RejectionKey) -> Option<&'a str> {
    local.origin_of_rejection(key).map(|giver| &*giver.file.name)
}

/// The place and words of each fault of a file of peerings.d.
fn faults(text: &str) -> String {
    let mut local = local();
    local.apply(all([peerings("a.toml", text)]));
    assert_eq!(local.rejections().count() + local.halves().count(), 0, "{text}");
    told(&local)
}

#[test]
fn a_rejection_comes_stands_and_goes_with_its_file() {
    let mut local = local();
    let changed = local.apply(all([peerings("a.toml", &rejection_text("blue"))]));
    assert_eq!(told(&local), "");
    assert_eq!(changed.rejections.iter().collect::<Vec<_>>(), [&key("blue")]);
    assert!(changed.halves.is_empty() && !changed.is_empty());
    assert_eq!(local.rejection(&key("blue")).map(|it| &it.key), Some(&key("blue")));
    assert_eq!(origin(&local, &key("blue")), Some("a.toml"));
    // Said again, it is no change; broken, the last good version stands.
    assert!(local.apply(all([peerings("a.toml", &rejection_text("blue"))])).is_empty());
    assert!(local.apply(some([peerings("a.toml", "project = ")])).is_empty());
    assert_eq!(local.rejections().count(), 1);
    let changed = local.apply(without([FileId::peerings("a.toml")]));
    assert_eq!(changed.rejections.len(), 1);
    assert_eq!(local.rejections().count(), 0);
}

#[test]
fn two_files_may_not_say_it_both_but_the_second_takes_over() {
    let mut local = local();
    let text = rejection_text("blue");
    local.apply(all([peerings("a.toml", &text), peerings("b.toml", &text)]));
    assert!(
        told(&local).contains(
            "b.toml:5:16: error: the rejection of red/scan by blue/web is already declared at \
         peerings.d/a.toml:5:16"
        ),
        "{}",
        told(&local)
    );
    let changed = local.apply(without([FileId::peerings("a.toml")]));
    assert_eq!((changed.rejections.len(), told(&local).as_str()), (1, ""));
    assert_eq!(origin(&local, &key("blue")), Some("b.toml"));
}

#[test]
fn yes_and_no_in_one_file_is_an_error_across_files_both_are_kept() {
    let half = "[[peering]]\nname = \"p\"\nnetwork = \"web\"\ntarget_project = \"red\"\ntarget_network = \"scan\"\n";
    let both = format!("project = \"blue\"\n{half}{REJECTION}");
    assert!(faults(&both).contains(
        "a.toml:10:16: error: the half blue/web/p on line 3 asks red/scan to peer, and this rejects it"
    ), "{}", faults(&both));
    let mut local = local();
    local.apply(all([
        peerings("a.toml", &format!("project = \"blue\"\n{half}")),
        peerings("b.toml", &rejection_text("blue")),
    ]));
    assert_eq!(told(&local), "");
    assert_eq!((local.halves().count(), local.rejections().count()), (1, 1));
}

#[test]
fn faulty_rejections_are_reported() {
    let told = faults(
        "project = \"b\"\n[[rejection]]\nname = \"x\"\nnetwork = \"w\"\nfrom_projet = \"r\"\ntarget_network = \"n\"\n",
    );
    for words in [
        ":2:1: error: [[rejection]] has no `from_project`, which is required",
        "has no `from_network`",
        ":3:1: error: a rejection has no name",
        "did you mean `from_project`?",
        ":6:1: error: a rejection names who asked",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let own = "project = \"red\"\n[[rejection]]\nnetwork = \"w\"\nfrom_project = \"red\"\nfrom_network = \"w\"\n";
    assert!(faults(own).contains("network red/w is to reject itself"));
    let twice = format!("{}{REJECTION}", rejection_text("blue"));
    assert!(
        faults(&twice).contains(
            ":9:16: error: the rejection of red/scan by blue/web is already declared on line 5"
        ),
        "{}",
        faults(&twice)
    );
    let refused = faults("project = \"b\"\nrejection = 7\n");
    assert!(refused.contains("write [[rejection]] once for each"), "{refused}");
}

#[test]
fn rejections_survive_that_the_northbound_remembers_later() {
    let mut local = local();
    local.apply(all([peerings("a.toml", &rejection_text("blue"))]));
    local.remember(Remembered::new());
    assert_eq!(local.rejections().count(), 1);
}

#[test]
fn a_renewal_is_a_moment() {
    let half = |requested: &str| format!("{}requested = {requested}\n", many("blue", "p", 1));
    for (written, expected) in [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01 14:00:00.5+02:00", "2026-03-01T12:00:00.5Z"),
    ] {
        let mut local = local();
        local.apply(all([peerings("a.toml", &half(written))]));
        assert_eq!(told(&local), "");
        let expected: Timestamp = expected.parse().unwrap();
        let requested = local.halves().next().unwrap().requested;
        assert_eq!(requested, Some(expected));
    }
    for (written, words) in [
        ("2026-03-01T12:00:00", "is not an instant: it has no date, no time or no offset from UTC"),
        ("2026-03-01", "is not an instant"),
        ("12:00:00", "is not an instant"),
        ("\"2026-03-01T12:00:00Z\"", "`requested` must be a datetime, not a string"),
        ("1", "write requested = 2026-03-01T12:00:00Z, without quotes"),
        ("9999-12-31T23:59:59-23:59", "is out of range"),
    ] {
        let told = faults(&half(written));
        assert!(told.contains("a.toml:7:13: error: ") && told.contains(words), "{told}");
    }
}

#[test]
fn the_policy_has_defaults_and_takes_everything() {
    let policy = settings("").policy;
    assert_eq!(policy.auto_accept, AutoAccept::Never);
    assert_eq!(policy.request_expiry, Some(SignedDuration::from_hours(168)));
    assert_eq!(policy.history, SignedDuration::from_hours(1));
    assert_eq!(policy.address_space, AddressSpace::Follow);
    assert_eq!((policy.require_workload, policy.quotas), (false, Quotas::default()));
    assert_eq!(policy.max_mesh_depth, 89);
    let policy = settings(
        "[policy]\nauto_accept = \"same-project\"\nrequest_expiry = \"1d 12h\"\nhistory = \"90m\"\n\
         address_space = \"freeze\"\nrequire_workload = true\nmax_halves_per_network = 3\n\
         max_halves_per_project = 9\nmax_rejections_per_project = 5\nmax_mesh_depth = 40\n",
    )
    .policy;
    assert_eq!(policy.auto_accept, AutoAccept::SameProject);
    assert_eq!(policy.request_expiry, Some(SignedDuration::from_hours(36)));
    assert_eq!(policy.history, SignedDuration::from_mins(90));
    assert_eq!(policy.address_space, AddressSpace::Freeze);
    assert!(policy.require_workload);
    assert_eq!(policy.max_mesh_depth, 40);
    let quotas =
        Quotas { per_network: Some(3), per_project: Some(9), rejections_per_project: Some(5) };
    assert_eq!(policy.quotas, quotas);
    for never in ["0", "\"0\"", "\"never\"", "\"0s\""] {
        assert_eq!(
            settings(&format!("[policy]\nrequest_expiry = {never}\n")).policy.request_expiry,
            None
        );
    }
    assert_eq!(settings("[policy]\nhistory = 0\n").policy.history, SignedDuration::ZERO);
}

#[test]
fn a_bad_policy_is_reported_with_its_place() {
    let cases = [
        ("auto_accept = \"always\"", "write \"never\" or \"same-project\""),
        ("auto_accept = true", "must be a string, not a boolean"),
        ("request_expiry = 7", "must be a duration in quotes, not an integer"),
        ("request_expiry = \"7\"", "is \"7\", which is not a duration"),
        ("request_expiry = \"1 month\"", "write a number and a unit of weeks or less"),
        ("request_expiry = \"-1d\"", "0 to 36500 days are allowed"),
        ("history = \"400000d\"", "0 to 36500 days are allowed"),
        ("history = \"never\"", "which is not a duration"),
        ("address_space = \"frozen\"", "write \"follow\" or \"freeze\""),
        ("require_workload = 1", "must be true or false"),
        ("max_halves_per_network = -1", "0 to 4294967295 are allowed"),
        ("max_halves_per_project = \"9\"", "must be a whole number"),
        ("max_rejections_per_project = true", "must be a whole number"),
        ("max_mesh_depth = 101", "0 to 100 are allowed"),
        ("quota = 3", "unknown key `quota`"),
    ];
    for (line, words) in cases {
        let text = format!("[policy]\n{line}\n");
        let (read, diagnostics) = Settings::parse(std::path::Path::new("c.toml"), &text);
        let told = diagnostics.iter().map(ToString::to_string).collect::<String>();
        assert!(told.starts_with("c.toml:2:") && told.contains(words), "{line}: {told}");
        assert_eq!(read.policy, settings("").policy, "{line}: the default holds");
    }
}

#[test]
fn what_a_record_must_carry_is_bounded() {
    let with = |line: &str| format!("{}{line}\n", many("blue", "p", 1));
    let fits = |line: &str| {
        let mut local = local();
        local.apply(all([peerings("a.toml", &with(line))]));
        assert_eq!(told(&local), "");
    };
    fits(&format!("description = \"{}\"", "ä".repeat(1024)));
    fits(&format!("config = {{ \"user.a\" = \"{}\" }}", "x".repeat(4090)));
    let long = with(&format!("description = \"{}\"", "ä".repeat(1025)));
    assert!(faults(&long).contains(
        "a.toml:7:15: error: `description` has 1025 characters; at most 1024 are allowed"
    ));
    let long = with(&format!("config = {{ \"user.a\" = \"{}\" }}", "x".repeat(4091)));
    assert!(
        faults(&long)
            .contains("a.toml:7:10: error: `config` has 4097 bytes; at most 4096 are allowed")
    );
    let prefixes: Vec<String> = (0..=256).map(|n| format!("\"fd00:{n:x}::/32\"")).collect();
    let text = format!(
        "[[network]]\nproject = \"b\"\nname = \"w\"\nrouter = \"r\"\nmay_export = [{}]\n",
        prefixes.join(", ")
    );
    let mut local = local();
    local.apply(all([networks("a.toml", &text)]));
    assert!(
        told(&local).contains("a.toml:5:14: error: `may_export` has 257 prefixes; at most 256"),
        "{}",
        told(&local)
    );
}
