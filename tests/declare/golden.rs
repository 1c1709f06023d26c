//! The offline check against recorded outcomes: each folder of `golden/` is a configuration with
//! the text and the JSON that `check` gives for it. `UPDATE_GOLDEN=1` records them anew.

use std::fs;
use std::path::{Path, PathBuf};

use ovn_peerd::daemon::check::check_config;
use ovn_peerd::declare::Severity;

const GOLDEN: &str = "tests/declare/golden";

fn folders(of: &str) -> Vec<PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn compare(path: &Path, actual: &str, differing: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != actual {
        differing.push(format!("{}:\n--- expected\n{expected}--- got\n{actual}", path.display()));
    }
}

#[test]
fn each_configuration_is_judged_as_recorded() {
    let mut differing = Vec::new();
    let cases = folders(GOLDEN);
    assert!(!cases.is_empty());
    for case in cases {
        // Relative, so that the recorded paths are the same everywhere.
        let report = check_config(&case.join("ovn-peerd.toml"));
        compare(&case.join("expected.txt"), &report.to_text(), &mut differing);
        compare(&case.join("expected.json"), &report.to_json().unwrap(), &mut differing);
        let good = case.file_name().unwrap().to_string_lossy().starts_with("good-");
        assert_eq!(report.exit_code(), u8::from(!good), "{}", case.display());
    }
    assert!(differing.is_empty(), "UPDATE_GOLDEN=1 records them anew\n{}", differing.join("\n"));
}

/// What is shipped is good as it stands, and with every example taken up.
#[test]
fn the_shipped_configuration_is_good() {
    let report = check_config(Path::new("config/ovn-peerd.toml"));
    assert!(report.ok && report.diagnostics.is_empty(), "{}", report.to_text());

    let root = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("ovn-peerd.toml", "ovn-peerd.toml"),
        ("networks.d/example.toml.sample", "networks.d/example.toml"),
        ("peerings.d/example.toml.sample", "peerings.d/example.toml"),
    ] {
        let text = fs::read_to_string(Path::new("config").join(from)).unwrap();
        // Every commented key is a real one: `#key`, where prose has `# prose`.
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|first: char| first == '[' || first.is_lowercase()) => key,
            Some(_) | None => line,
        });
        let owner = nix::unistd::getuid().to_string();
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let to = root.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text.replace("owner = \"alice\"", &format!("owner = \"{owner}\""))).unwrap();
    }
    let report = check_config(&root.path().join("ovn-peerd.toml"));
    assert!(report.diagnostics.is_empty(), "{}", report.to_text());
    assert_eq!((report.networks, report.halves), (2, 1));
}

/// The settings file shows the defaults: taking all of them up changes nothing.
#[test]
fn the_shipped_settings_show_the_defaults() {
    use ovn_peerd::declare::Settings;
    let path = Path::new("/etc/ovn-peerd/ovn-peerd.toml");
    let text = fs::read_to_string("config/ovn-peerd.toml").unwrap();
    let without = [
        "ca_cert",
        "certificate",
        "private_key",
        "host",
        "max_halves_per_",
        "[[project]]",
        "name",
        "owner",
        "listen",
        "client_ca",
        "lxd",
        "incus",
    ];
    let lines = text.lines().filter_map(|line| {
        let key = line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line);
        (!without.iter().any(|skip| key.starts_with(skip))).then_some(key)
    });
    let (settings, diagnostics) = Settings::parse(path, &lines.collect::<Vec<_>>().join("\n"));
    assert!(diagnostics.iter().all(|it| it.severity == Severity::Warning), "{diagnostics:#?}");
    assert_eq!(settings, Settings::defaults(path.parent().unwrap()));
}

#[test]
fn settings_that_are_not_there_are_an_error() {
    let report = check_config(Path::new("no/such/ovn-peerd.toml"));
    assert_eq!(report.exit_code(), 1);
    let text = report.to_text();
    assert!(
        text.starts_with("no/such/ovn-peerd.toml: error: the settings cannot be read"),
        "{text}"
    );
}
