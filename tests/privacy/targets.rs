//! Every output that a tenant can get, for every kind of target that has not agreed: the bytes are equal but for the names
//! that the tenant wrote.

use std::collections::BTreeMap;
use std::process::Output;

use jiff::Timestamp;

use crate::site::{BLUE, BROWN, GREEN, Site, half};

/// What may stand behind a name. All names are of one length, as is each with its project.
pub(crate) const TARGETS: [(&str, &str); 14] = [
    ("an unknown project", "nobdy/unknwn"),
    ("an unknown network of a project", "green/unknwn"),
    ("a project that has an owner and nothing else", "ochre/unknwn"),
    ("a network that is silent", "green/silent"),
    ("one that has asked others, in vain", "green/others"),
    ("one that peers with a third", "green/peered"),
    ("one that has said no to others", "green/nosays"),
    ("one that overlaps the asker", "green/overlp"),
    ("one that overlaps the asker's peer", "green/overlt"),
    ("one whose router is missing", "green/norout"),
    ("one on a gateway router", "green/gatewy"),
    ("one that may not peer", "green/public"),
    ("one in another zone", "green/zoned2"),
    ("one whose owner's half for the asker is in a refused file", "olive/forged"),
];

/// A host on which blue/web peers with brown/lab already, and all of [`TARGETS`] are what they are said to be.
#[track_caller]
pub(crate) fn world() -> Site {
    let site = Site::new();
    for (router, prefixes) in [
        ("blueweb", "10.1.0.0/24 fd01::/64"),
        ("brownlab", "10.9.0.0/24 fd09::/64"),
        ("silent", "10.2.0.0/24 fd02::/64"),
        ("others", "10.3.0.0/24 fd03::/64"),
        ("peered", "10.5.0.0/24 fd05::/64"),
        ("nosays", "10.10.0.0/24 fd10::/64"),
        ("overlp", "10.1.0.0/25 fd01::/64"),
        ("overlt", "10.9.0.0/25 fd09::/64"),
        ("gatewy", "10.4.0.0/24 fd04::/64"),
        ("public", "10.6.0.0/24 fd06::/64"),
        ("zoned2", "10.7.0.0/24 fd07::/64"),
        ("forged", "10.8.0.0/24 fd08::/64"),
    ] {
        site.lab.add_network(router, &[prefixes]);
    }
    site.lab.nbctl(&["set", "Logical_Router", "gatewy", "options:chassis=hv1"]);
    let bind = |project: &str, name: &str, router: &str, more: &str| {
        format!(
            "[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n{more}"
        )
    };
    let mut networks = bind("blue", "web", "blueweb", "zone = \"az1\"\n");
    networks += &bind("brown", "lab", "brownlab", "");
    networks += &bind("olive", "forged", "forged", "");
    for name in ["silent", "others", "peered", "nosays", "overlp", "overlt", "norout", "gatewy"] {
        networks += &bind("green", name, name, "");
    }
    networks += &bind("green", "public", "public", "type = \"public\"\n");
    networks += &bind("green", "zoned2", "zoned2", "zone = \"az2\"\n");
    site.operator_writes("networks.d/all.toml", &networks);
    // Green's file does not speak for olive, though olive is pinned to nobody's name: it is no file of its owner.
    let settings = std::fs::read_to_string(site.root().join("etc/ovn-peerd.toml")).unwrap();
    let pin = "[[project]]\nname = \"olive\"\nowner = \"20077\"\n";
    site.operator_writes("ovn-peerd.toml", &format!("{settings}{pin}"));
    assert!(site.ctl(0, &["reload"]).status.success());
    let forged = format!("project = \"olive\"\n{}", half("back", "forged", "blue/web"));
    site.operator_writes("peerings.d/olive.toml", &forged);
    site.declare(
        BROWN,
        &(half("to-web", "lab", "blue/web") + &half("to-peered", "lab", "green/peered")),
    );
    site.declare(GREEN, &of_green());
    site.declare(BLUE, &half("to-lab", "web", "brown/lab"));
    site.wait_state("blue/web/to-lab", "active");
    site.wait_state("green/peered/to-lab", "active");
    site.wait_state("green/others/up", "pending-peer");
    site
}

/// Green's file: what its networks say to others.
pub(crate) fn of_green() -> String {
    half("up", "others", "red/x")
        + &half("to-lab", "peered", "brown/lab")
        + "[[rejection]]\nnetwork = \"nosays\"\nfrom_project = \"red\"\nfrom_network = \"x\"\n"
}

/// Blue's file with a half for this target beside the one that stands.
pub(crate) fn asking(target: &str) -> String {
    half("to-lab", "web", "brown/lab") + &half("asked", "web", target)
}

#[test]
fn no_output_tells_targets_apart() {
    let site = world();
    let answers = TARGETS.map(|(_, target)| (target, ask(&site, target)));
    let (first, expected) = &answers[0];
    assert!(expected.len() >= 50, "only {} outputs", expected.len());
    let events = &expected["events"];
    assert!(events.contains("half-declared") && events.contains("pending-peer"), "{events}");
    assert!(!events.contains("request"), "who asks, and nobody else, is told: {events}");
    let list = &expected["ovn-peerctl list"];
    assert!(list.contains("pending-peer") && list.contains("active"), "{list}");
    for (target, answer) in &answers {
        for (output, text) in answer {
            assert_eq!(text, &expected[output], "{output}: {target} differs from {first}");
        }
        assert_eq!(answer.len(), expected.len());
    }
    // The comparison can tell: to an operator, a network that is there is another matter.
    let plain = String::from_utf8(site.ctl(0, &["plan"]).stdout).unwrap();
    assert!(plain.contains("Nothing would change"), "{plain}");
    println!("{} outputs for {} targets: equal", expected.len(), TARGETS.len());
}

/// Every output for a half with this target, by what gave it; names and times made neutral.
fn ask(site: &Site, target: &str) -> BTreeMap<String, String> {
    let begin = position(site);
    site.declare(BLUE, &asking(target));
    site.wait_state("blue/web/asked", "pending-peer");
    site.settle();
    let mut answers = BTreeMap::new();
    let mut keep = |what: String, output: Output| {
        let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).join("\n--\n");
        let text = format!("{:?}\n{said}", output.status.code());
        assert!(answers.insert(neutral(&what, target), neutral(&text, target)).is_none(), "{what}");
    };
    commands(site, target, &mut keep);
    routes(site, target, &mut keep);
    checks(site, &asking(target), &mut keep);
    keep("events".into(), listen(site, &begin));
    // A daemon that has just started has read the same.
    site.restart();
    site.settle();
    keep("list after a restart".into(), site.ctl(BLUE.uid, &["list", "--format", "json"]));
    site.declare(BLUE, &half("to-lab", "web", "brown/lab"));
    site.wait_gone("blue/web/asked");
    keep("list after withdrawal".into(), site.ctl(BLUE.uid, &["list", "--format", "json"]));
    keep("show after withdrawal".into(), site.ctl(BLUE.uid, &["show", "blue", "web", "asked"]));
    keep("events over a restart".into(), listen(site, &begin));
    answers
}

/// What blue gets behind an event, within a moment.
fn listen(site: &Site, last: &str) -> Output {
    let last = format!("Last-Event-ID: {last}");
    let output = site.curl(BLUE.uid, &["-N", "--max-time", "0.5", "-H", &last], "/v1/events");
    // There, curl says how long it has waited.
    Output { stderr: Vec::new(), ..output }
}

/// Where blue's events end now.
fn position(site: &Site) -> String {
    let output = site.curl(BLUE.uid, &["-N", "--max-time", "0.5"], "/v1/events");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let id = text.lines().find_map(|line| line.strip_prefix("id:"));
    id.unwrap_or_else(|| panic!("no id: {text}")).trim().to_owned()
}

/// Every command of `ovn-peerctl`, those that are refused too.
fn commands(site: &Site, target: &str, keep: &mut impl FnMut(String, Output)) {
    let (project, network) = target.split_once('/').unwrap();
    let json = |arguments: &[&'static str]| [arguments, &["--format", "json"]].concat();
    let answered: [&[&str]; 8] = [
        &["diagnostics"],
        &["list"],
        &["list", "--project", "blue"],
        &["list", "--state", "pending-peer"],
        &["show", "blue", "web", "asked"],
        &["show", "blue", "web", "to-lab"],
        &["show", "blue", "web", "none"],
        &["status"],
    ];
    let mut commands: Vec<Vec<&str>> = answered.iter().map(|command| command.to_vec()).collect();
    commands.extend(answered.iter().map(|command| json(command)));
    commands.extend([
        vec!["list", "--project", project],
        vec!["list", "--network", network],
        vec!["list", "--target", target],
        vec!["list", "--wide"],
        vec!["show", "blue", network, "asked"],
        vec!["show", project, network, "asked"],
        vec!["show", project, network, "back"],
        vec!["show", project, network, "up"],
        vec!["show", project, network, "to-lab"],
        vec!["plan"],
        vec!["reload"],
        vec!["confirm"],
        vec!["confirm", "--project", project],
        vec!["confirm", "--project", project, "00000000000000000000"],
    ]);
    for arguments in commands {
        keep(format!("ovn-peerctl {}", arguments.join(" ")), site.ctl(BLUE.uid, &arguments));
    }
}

/// Every route of the control socket, with every method and header.
fn routes(site: &Site, target: &str, keep: &mut impl FnMut(String, Output)) {
    let (project, network) = target.split_once('/').unwrap();
    let json = "content-type: application/json";
    let post: &[&str] = &["-X", "POST"];
    for (arguments, path) in [
        (&[][..], "/v1/halves".to_owned()),
        (&[], format!("/v1/halves?project={project}")),
        (&[], format!("/v1/halves?project={project}&network={network}")),
        (&[], format!("/v1/halves?network={network}&state=active")),
        (&[], format!("/v1/halves?target={network}")),
        (&["--head"], "/v1/halves".to_owned()),
        (&["-X", "DELETE"], format!("/v1/halves/{target}/asked")),
        (&["-X", "OPTIONS"], format!("/v1/halves/{target}/asked")),
        (&[], "/v1/halves/blue/web/asked".to_owned()),
        (&[], "/v1/halves/blue/web/to-lab".to_owned()),
        (&[], format!("/v1/halves/{target}/asked")),
        (&[], format!("/v1/halves/{target}/up")),
        (&[], format!("/v1/halves/{target}/back")),
        (&["--head"], format!("/v1/halves/{target}/up")),
        (&[], format!("/v1/halves/{target}")),
        (&[], format!("/v1/networks/{target}")),
        (&[], format!("/v1/halves?target={target}&degraded=true")),
        (&[], "/v1/attention".to_owned()),
        (&[], "/v1/status".to_owned()),
        (&[], "/v1/plan".to_owned()),
        (&["-H", json, "--data", r#"{"networks": {}, "peerings": {}}"#], "/v1/plan".to_owned()),
        (post, "/v1/reload".to_owned()),
        (&[], "/v1/hosts".to_owned()),
        (&["-X", "DELETE"], "/v1/hosts/hv2".to_owned()),
        (&[], format!("/v1/withdrawals?project={project}")),
        (post, "/v1/withdrawals/confirm".to_owned()),
    ] {
        keep(format!("curl {arguments:?} {path}"), site.curl(BLUE.uid, arguments, &path));
    }
}

/// The check: of a copy in the tenant's own directory, and of the operator's files, which are closed to it.
fn checks(site: &Site, halves: &str, keep: &mut impl FnMut(String, Output)) {
    site.write_as(BLUE, "check/ovn-peerd.toml", "");
    site.write_as(BLUE, "check/networks.d/none.toml", "# the operator's\n");
    site.write_as(BLUE, "check/peerings.d/blue.toml", &format!("project = \"blue\"\n{halves}"));
    for config in
        [site.own(BLUE).join("check/ovn-peerd.toml"), site.root().join("etc/ovn-peerd.toml")]
    {
        for format in ["text", "json"] {
            let what = format!("check {} {format}", config.display());
            keep(what, site.check(BLUE.uid, &config, format));
        }
    }
}

/// The text without the names that the tenant wrote, without times, and without the lengths that follow from times.
pub(crate) fn neutral(text: &str, target: &str) -> String {
    let (project, network) = target.split_once('/').unwrap();
    let text = text.replace(network, "NETWRK").replace(project, "PRJCT");
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let lower = line.to_lowercase();
        if !lower.starts_with("date: ") && !lower.starts_with("content-length: ") {
            lines.push(without_times(line));
        }
    }
    lines.join("\n")
}

/// Moments become `TIME`, ages `AGE`, whose column is as wide as the longest of them.
fn without_times(line: &str) -> String {
    let of_time = |letter: char| letter.is_ascii_alphanumeric() || "-:.".contains(letter);
    let mut shown = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(of_time) {
        let end = rest[start..].find(|letter| !of_time(letter)).map_or(rest.len(), |at| start + at);
        let word = &rest[start..end];
        let digits = word.trim_end_matches(['s', 'm']);
        let is_age = digits.len() + 1 == word.len() && digits.parse::<u32>().is_ok();
        shown.push_str(&rest[..start]);
        let (time, number) = word.split_once('-').unwrap_or_default();
        let is_id = time.len() == 13 && [time, number].iter().all(|it| it.parse::<u64>().is_ok());
        shown.push_str(if is_id {
            "ID"
        } else if word.parse::<Timestamp>().is_ok() {
            "TIME"
        } else if is_age {
            "AGE"
        } else {
            word
        });
        rest = &rest[end..];
        if (is_age || word == "AGE") && rest.starts_with("  ") {
            shown.push_str("  ");
            rest = rest.trim_start_matches(' ');
        }
    }
    shown + rest
}
