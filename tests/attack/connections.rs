//! Connections to the control socket, held by users who have nothing to say.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::ground::{Ground, VICTIM};
use crate::site::{OPERATOR, Site, user};

/// Users who own nothing.
const STRANGERS: std::ops::Range<u32> = 20200..20206;
/// Connections that each of them holds, all the time.
const HELD: usize = 32;

/// A user that opens connections, says nothing on them, and opens another where one is closed.
struct Hoarder(Child);

impl Hoarder {
    fn start(site: &Site, uid: u32) -> Self {
        let script = r#"use IO::Socket::UNIX; use IO::Select;
            my ($path, $most) = @ARGV;
            my $held = IO::Select->new;
            $| = 1;
            for (my $round = 0; ; $round++) {
                while ($held->count < $most) {
                    my $one = IO::Socket::UNIX->new(Peer => $path) or last;
                    $held->add($one);
                }
                print "held\n" if $round == 0;
                for ($held->can_read(0.05)) {
                    next if sysread($_, my $text, 4096);
                    $held->remove($_);
                    close $_;
                }
            }"#;
        let mut perl = user(uid, "perl");
        perl.args(["-e", script]).arg(site.socket()).arg(HELD.to_string());
        let mut child = perl.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 5];
        child.stdout.take().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"held\n");
        Self(child)
    }
}

impl Drop for Hoarder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An operator by the settings is known only once its account is looked at: by then strangers had all the places.
#[test]
fn idle_connections_of_strangers_keep_neither_operators_nor_tenants_out() {
    let ground = Ground::new();
    let site = &ground.site;
    let hoarders: Vec<Hoarder> = STRANGERS.map(|uid| Hoarder::start(site, uid)).collect();
    for _ in 0..10 {
        for (uid, arguments) in [(OPERATOR, &["status"][..]), (VICTIM.uid, &["list"])] {
            let begun = Instant::now();
            let output = site.ctl(uid, arguments);
            assert!(output.status.success(), "{uid}: {output:?}");
            assert!(begun.elapsed() < Duration::from_secs(8), "{uid}: {:?}", begun.elapsed());
        }
    }
    let stranger = site.ctl(STRANGERS.start + 100, &["list"]);
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    let said = String::from_utf8(stranger.stderr).unwrap();
    assert!(said.contains("may not ask"), "{said}");
    drop(hoarders);
}

/// Who could open the lock could hold it, and no daemon would start again.
#[test]
fn nobody_but_the_daemon_opens_the_lock() {
    let ground = Ground::new();
    let lock = format!("{}.lock", ground.site.socket().display());
    let mut flock = user(VICTIM.uid, "flock");
    let output = flock.args(["--nonblock", &lock, "true"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Permission denied"), "{said}");
}
