//! The manual pages are well-formed for both programs that show them.

use std::fs;
use std::process::Command;

#[test]
fn the_manual_pages_are_clean() {
    let pages = fs::read_dir("docs/man").unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = pages.collect();
    assert!(pages.len() >= 4, "{pages:?}");
    for page in pages {
        let mut lint = Command::new("mandoc");
        let lint = lint.args(["-T", "lint", "-W", "style"]).arg(&page);
        let lint = lint.output().unwrap();
        let told = String::from_utf8_lossy(&lint.stdout).into_owned();
        assert!(lint.status.success() && told.is_empty(), "{told}");
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
        let man = man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").output().unwrap();
        let told = String::from_utf8_lossy(&man.stderr).into_owned();
        assert!(man.status.success() && told.is_empty(), "{}: {told}", page.display());
    }
}
