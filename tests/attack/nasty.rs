//! A tenant writes whatever comes to its mind, for a while: files of all shapes, links, FIFOs, renames, rights. Whatever it is,
//! the bounds hold and nobody else notices.

use std::time::{Duration, Instant};

use crate::ground::{ATTACKER, Ground};
use crate::site::user;

/// How long it goes on, unless `ATTACK_SECONDS` says otherwise.
const LENGTH: Duration = Duration::from_secs(10);
/// Longest silence of the watchdog: half of what the unit allows.
const MOST_SILENCE: Duration = Duration::from_secs(15);
/// Most memory that all of it may cost, in bytes.
const MOST_MEMORY: usize = 60 << 20;

/// Numbers by a seed (xorshift64*), so that a run can be had again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).unwrap() % end
    }

    fn one<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A text of pieces that mean something to the parser, or nothing.
    fn text(&mut self) -> String {
        const PIECES: &[&str] = &[
            "project = \"blue\"\n",
            "project = \"green\"\n",
            "[[peering]]\n",
            "[[rejection]]\n",
            "[[route]]\n",
            "name = \"x\"\n",
            "network = \"web\"\n",
            "target_project = \"green\"\n",
            "target_network = \"db\"\n",
            "export = [\"10.0.0.0/08\", ",
            "config = { \"user.a\" = \"",
            "a.b.c.d.",
            "[[[[",
            "{{{{",
            "\"\"\"",
            "\\u0000",
            "\0",
            "\u{200b}",
            "\u{e4}\u{20ac}",
            "= ",
            "x\n",
            "# ",
            "\n",
        ];
        let pieces = 1 + self.below(40);
        let repeated = 1 << self.below(12);
        let mut text = String::new();
        for _ in 0..pieces {
            let piece = self.one(PIECES);
            let times = if self.below(4) == 0 { repeated } else { 1 };
            text += &piece.repeat(times);
        }
        text
    }

    /// What it does to its file instead of writing it.
    fn deed(&mut self) -> &'static str {
        self.one(&[
            "rm -rf halves.toml",
            "rm -rf halves.toml; mkfifo halves.toml",
            "rm -rf halves.toml; mkdir halves.toml",
            "rm -rf halves.toml; ln -s halves.toml halves.toml",
            "ln -sfn ../20002/halves.toml new; rm -rf halves.toml; mv -T new halves.toml",
            "ln -sfn /dev/zero new; rm -rf halves.toml; mv -T new halves.toml",
            "ln -sfn / new; rm -rf halves.toml; mv -T new halves.toml",
            "chmod 000 halves.toml",
            "chmod 666 halves.toml",
            "mv halves.toml aside; mv aside halves.toml",
            "truncate -s 5M halves.toml",
            "truncate -s 0 halves.toml",
            "chmod 000 \"$PWD\"; sleep 0.05; chmod 2750 \"$PWD\"",
        ])
    }
}

#[test]
fn whatever_one_tenant_does_the_others_do_not_notice() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("ATTACK_SEED").unwrap_or_else(|| u64::from(std::process::id()) | 1 << 40);
    let length = number("ATTACK_SECONDS").map_or(LENGTH, Duration::from_secs);
    println!("ATTACK_SEED={seed}");
    let ground = Ground::new();
    let (before, settled) = (ground.standing(), ground.memory());
    let mut dice = Dice(seed);
    let (start, mut steps) = (Instant::now(), 0);
    ground.manager.begin(ground.site.pid());
    while start.elapsed() < length {
        steps += 1;
        let mut shell = user(ATTACKER.uid, "sh");
        shell.current_dir(ground.site.own(ATTACKER));
        if dice.below(3) == 0 {
            // Most of these fail now and then, by what was done before.
            let _ = shell.args(["-c", dice.deed()]).output();
        } else {
            let text = dice.text();
            shell.args(["-c", "rm -rf halves.toml"]).status().unwrap();
            ground.site.write_as(ATTACKER, "halves.toml", &text);
        }
        if steps % 10 == 0 {
            let told = ground.site.json(ATTACKER.uid, &["diagnostics"]);
            assert!(told["diagnostics"].as_array().unwrap().len() <= 101, "seed {seed}");
            assert_eq!(ground.standing(), before, "seed {seed}, step {steps}");
        }
    }
    let (silence, work) = ground.manager.longest();
    let memory = ground.most_memory().saturating_sub(settled);
    println!(
        "{steps} steps, silent for {silence:?} at the most, {work:?} of work, {} MiB",
        memory >> 20
    );
    assert!(silence < MOST_SILENCE, "seed {seed}: {silence:?}");
    assert!(memory < MOST_MEMORY, "seed {seed}: {} MiB", memory >> 20);
    assert_eq!(ground.standing(), before, "seed {seed}");
}
