//! A tenant that asks without pause keeps neither other tenants, nor the operator, nor the northbound waiting. Latencies are
//! printed; only gross failure is judged.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::site::{BLUE, GREEN, STRANGER, Site, half, is_answer, user};
use crate::targets::{of_green, world};

/// What nobody may have to wait for.
const GROSS: Duration = Duration::from_secs(10);
const ROUNDS: usize = 12;

/// Asks for the list on as many connections as it gets, again and again, until its standard input ends; then prints how
/// many answers it had.
const GREEDY: &str = r#"use IO::Socket::UNIX; use IO::Select;
    $SIG{PIPE} = 'IGNORE';
    my ($path, $count) = @ARGV;
    my $request = "GET /v1/halves HTTP/1.1\r\nHost: x\r\n\r\n";
    my $all = IO::Select->new(\*STDIN);
    sub another { my $s = IO::Socket::UNIX->new(Peer => $path) or return; $all->add($s); syswrite $s, $request }
    another() for 1..$count;
    my $answers = 0;
    while (1) {
        another() while $all->count <= $count;
        for my $s ($all->can_read) {
            if ($s == \*STDIN) { print "$answers\n"; exit }
            if (sysread $s, my $answer, 65536) { $answers++; syswrite $s, $request }
            else { $all->remove($s); close $s }
        }
    }"#;

struct Greedy(Option<Child>);

impl Greedy {
    fn start(site: &Site, uid: u32, connections: usize) -> Self {
        let mut command = user(uid, "perl");
        command.args(["-e", GREEDY]).arg(site.socket()).arg(connections.to_string());
        Self(Some(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()))
    }

    fn answers(mut self) -> usize {
        let mut child = self.0.take().unwrap();
        drop(child.stdin.take());
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Greedy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_tenant_and_a_stranger_that_ask_without_pause_keep_nobody_waiting() {
    let site = world();
    let quiet = latencies(&site);
    let begun = Instant::now();
    let greedy =
        [(BLUE.uid, 16), (STRANGER, 32)].map(|(uid, count)| Greedy::start(&site, uid, count));
    let under_load = latencies(&site);
    let seconds = begun.elapsed().as_secs_f64();
    let answers = greedy.map(Greedy::answers);
    println!("requests answered per second: {:?}", answers.map(|count| count as f64 / seconds));
    println!("worst of {ROUNDS}, quiet and under load:");
    for ((what, quiet), (_, loaded)) in quiet.into_iter().zip(under_load) {
        println!("{quiet:>10.1?} {loaded:>10.1?}  {what}");
        assert!(loaded < GROSS, "{what}: {loaded:?}");
    }
    assert!(answers[0] > 100, "the load was one: {answers:?}");
}

/// The worst of some rounds, as the operator and another tenant meet it.
fn latencies(site: &Site) -> [(&'static str, Duration); 3] {
    let mut worst = [Duration::ZERO; 3];
    let mut round = |kind: usize, action: &dyn Fn()| {
        let begun = Instant::now();
        action();
        worst[kind] = worst[kind].max(begun.elapsed());
    };
    let others = of_green();
    for _ in 0..ROUNDS {
        round(0, &|| assert!(is_answer(&site.ctl(0, &["status"]))));
        round(1, &|| assert!(site.ctl(GREEN.uid, &["list"]).status.success()));
        round(2, &|| {
            site.declare(GREEN, &(others.clone() + &half("more", "silent", "red/y")));
            site.wait_state("green/silent/more", "pending-peer");
        });
        site.declare(GREEN, &others);
        site.wait_gone("green/silent/more");
    }
    let [status, list, declared] = worst;
    [
        ("the operator's status", status),
        ("another tenant's list", list),
        ("another tenant's half, from its file to its state", declared),
    ]
}
