//! Files that are made to cost time, memory and lines in the log: the event loop goes on, the watchdog is fed, and nobody else
//! notices.

use std::time::Duration;

use serde_json::Value;

use crate::ground::{ATTACKER, Ground};
use crate::site::is_answer;

/// Longest that one file may keep the event loop from coming round, in an optimised build.
const MOST_TIME: Duration = Duration::from_millis(20);
/// What an unoptimised build, as tests are by default, takes instead.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 30 } else { 1 };
/// Longest silence of the watchdog: half of what the unit allows, as a busy machine counts here, too.
const MOST_SILENCE: Duration = Duration::from_secs(15);
/// Most memory that a tenant's files may cost, in bytes.
const MOST_MEMORY: usize = 60 << 20;
/// Largest file that is read, in bytes.
const SIZE: usize = 4 << 20;

/// As many pieces as a file of the greatest size has room for.
fn filled(piece: impl Fn(usize) -> String) -> String {
    let mut text = String::from("project = \"blue\"\n");
    for number in 0.. {
        let piece = piece(number);
        if text.len() + piece.len() > SIZE {
            break;
        }
        text += &piece;
    }
    text
}

fn half(number: usize) -> String {
    crate::site::half(&format!("h{number}"), "web", &format!("red/n{number}"))
}

fn rejection(number: usize) -> String {
    format!("[[rejection]]\nnetwork = \"web\"\nfrom_project = \"r\"\nfrom_network = \"{number}\"\n")
}

/// What is in the files, by what it tries.
fn shapes() -> Vec<(&'static str, String)> {
    let up_to = |most: usize, piece: fn(usize) -> String| (0..most).map(piece).collect::<String>();
    let project = "project = \"blue\"\n";
    vec![
        ("halves", filled(half)),
        ("as many halves as may be", project.to_owned() + &up_to(1000, half)),
        ("rejections", filled(rejection)),
        (
            "halves and rejections, as many as may be",
            project.to_owned() + &up_to(1000, half) + &up_to(1000, rejection),
        ),
        ("broken lines", filled(|_| "x\n".to_owned())),
        ("fewer broken lines", "x\n".repeat(70_000)),
        ("unknown keys", (0..35_000).map(|number| format!("k{number} = 1\n")).collect()),
        ("broken headers", "[x\ny = 1\n".repeat(12_000)),
        ("a deep key", format!("{}x = 1\n", "a.".repeat(SIZE / 2 - 8))),
        ("a deep header", format!("[{}x]\n", "a.".repeat(SIZE / 2 - 8))),
        ("deep arrays", format!("a = {}\n", "[".repeat(140_000))),
        ("a long key", format!("{} = 1\n", "k".repeat(SIZE - 8))),
        ("a long string", format!("project = \"{}\"\n", "p".repeat(SIZE - 16))),
        ("an endless string", format!("project = \"\"\"{}\n", "p\n".repeat(SIZE / 2 - 16))),
        ("NULs", "\0".repeat(SIZE - 1)),
        ("a comment", format!("# {}\n", "a".repeat(SIZE - 8))),
    ]
}

impl Ground {
    /// Puts a text in the attacker's place and waits until it was read; how long the event loop did not come round, by the
    /// clock and by what it computed.
    #[track_caller]
    pub(crate) fn feed(&self, text: &str) -> (Duration, Duration) {
        self.manager.begin(self.site.pid());
        self.site.write_as(ATTACKER, "halves.toml", text);
        let reload = self.site.ctl(0, &["reload", "--format", "json"]);
        assert!(is_answer(&reload), "{reload:?}");
        self.manager.longest()
    }
}

#[test]
fn no_file_stops_the_loop_or_takes_the_memory() {
    let ground = Ground::new();
    let (before, settled) = (ground.standing(), ground.memory());
    for (what, text) in shapes() {
        let (silence, took) = ground.feed(&text);
        let memory = ground.most_memory() - settled;
        println!(
            "{what}: {} KiB, {took:?} of the loop, silent for {silence:?}, {} MiB",
            text.len() >> 10,
            memory >> 20
        );
        assert!(took < MOST_TIME * UNOPTIMISED, "{what}: {took:?}");
        assert!(silence < MOST_SILENCE, "{what}: {silence:?}");
        assert!(memory < MOST_MEMORY, "{what}: {} MiB", memory >> 20);
        let told = ground.site.json(ATTACKER.uid, &["diagnostics"]);
        let told = told["diagnostics"].as_array().map(Vec::len).unwrap();
        assert!(told <= 101, "{what}: {told} diagnostics");
        assert_eq!(ground.standing(), before, "{what}");
    }
}

/// All of them at once, in files of their own: with the quota's halves, declared twice.
#[test]
fn no_set_of_files_takes_the_memory() {
    let ground = Ground::new();
    let (before, settled) = (ground.standing(), ground.memory());
    ground.manager.begin(ground.site.pid());
    for (number, (_, text)) in shapes().iter().enumerate() {
        ground.further(number, text);
    }
    assert!(is_answer(&ground.site.ctl(0, &["reload", "--format", "json"])));
    ground.site.settle();
    let (silence, took) = ground.manager.longest();
    let memory = ground.most_memory() - settled;
    println!("at once: {took:?} of the loop, silent for {silence:?}, {} MiB", memory >> 20);
    assert!(silence < MOST_SILENCE, "{silence:?}");
    assert!(memory < MOST_MEMORY, "{} MiB", memory >> 20);
    assert_eq!(ground.standing(), before);
}

/// Ten thousand faults are a few lines in the log, and a number in what is answered.
#[test]
fn ten_thousand_faults_are_a_few_lines() {
    let ground = Ground::new();
    let lines = || ground.site.log().lines().filter(|line| line.contains("blue.toml")).count();
    let before = lines();
    ground.feed(&"x\n".repeat(10_000));
    let lines = lines() - before;
    assert!((1..=4).contains(&lines), "{lines} lines: {}", ground.site.log());
    let told = ground.site.json(ATTACKER.uid, &["diagnostics"]);
    let first = &told["diagnostics"][0];
    assert_eq!(first["message"], "10000 errors; the first 100 are reported", "{first}");
    assert_eq!((&first["code"], first.get("line")), (&"over-limit".into(), None), "{first}");
    assert_eq!(told["diagnostics"].as_array().map(Vec::len), Some(101));
    // Asked again and again, it is the same, and nothing is kept of it.
    let ask = || ground.site.json(ATTACKER.uid, &["diagnostics"]);
    (0..20).for_each(|_| assert_eq!(ask(), told));
    let memory = ground.memory();
    (0..100).for_each(|_| assert_eq!(ask(), told));
    let grown = ground.memory().saturating_sub(memory);
    assert!(grown < 2 << 20, "{grown} bytes more");
    let status: Value = ground.site.json(0, &["status"]);
    assert!(status["diagnostics"].as_array().unwrap().len() <= 101);
}
