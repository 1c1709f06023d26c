//! One `ovsdb-server` with a northbound in a file of its own: started, frozen, killed, started again.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::lab::command::{poll, run};
use crate::lab::netns::Netns;
use crate::lab::service::{Launch, Service};

pub(crate) const DATABASE: &str = "OVN_Northbound";
pub(crate) const SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";

/// How long a server may take to answer, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server and its files `<dir>/<name>.{db,sock,ctl}`.
#[derive(Debug)]
pub(crate) struct Server {
    dir: PathBuf,
    name: String,
    pub(crate) service: Service,
}

impl Server {
    /// On an empty standalone database.
    #[track_caller]
    pub(crate) fn standalone(dir: &Path, more: &[String]) -> Server {
        let server = Server::prepare(dir, "nb", None, more);
        server.create();
        server.start();
        server
    }

    /// Not started, and without a file yet.
    pub(crate) fn prepare(
        dir: &Path,
        name: &str,
        netns: Option<&Netns>,
        more: &[String],
    ) -> Server {
        // A file that may not grow is an error to be told of, not a signal that kills.
        let launch = Launch::new("env", dir).args(["--ignore-signal=XFSZ", "ovsdb-server"]);
        let launch = match netns {
            Some(netns) => launch.inside(netns.name()),
            None => launch,
        };
        Server::of(dir, name, launch, more)
    }

    /// The same files under the server of another release that is in a directory; not started. Loader and libraries are
    /// named, so that it needs no chroot.
    pub(crate) fn of_release(&self, root: &Path) -> Server {
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let loaders = ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1"];
        let loader = loaders.iter().map(|path| root.join(path)).find(|path| path.exists());
        let launch = Launch::new(loader.expect("a loader"), &self.dir)
            .arg("--library-path")
            .arg(root.join("usr/lib").join(triplet))
            .arg(root.join("usr/sbin/ovsdb-server"));
        Server::of(&self.dir, &self.name, launch, &[])
    }

    fn of(dir: &Path, name: &str, launch: Launch, more: &[String]) -> Server {
        let path = |suffix: &str| format!("{}/{name}.{suffix}", dir.display());
        let launch = launch
            .arg(format!("--remote=punix:{}", path("sock")))
            .arg(format!("--unixctl={}", path("ctl")))
            .args(["-vconsole:info", "-vfile:off", "-vsyslog:off"])
            .args(more)
            .arg(path("db"));
        Server {
            dir: dir.to_owned(),
            name: name.to_owned(),
            service: Service::stopped(&format!("{name}-server"), launch),
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("{}.{suffix}", self.name))
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        self.path("db")
    }

    /// As an OVSDB remote.
    pub(crate) fn remote(&self) -> String {
        format!("unix:{}", self.path("sock").display())
    }

    /// Makes the database anew, and empty, while the server does not run.
    #[track_caller]
    pub(crate) fn create(&self) {
        let _ = std::fs::remove_file(self.file());
        run("ovsdb-tool", [Path::new("create"), &self.file(), Path::new(SCHEMA)]);
    }

    /// Starts it, and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.service.start_again();
        poll(&format!("{} listens", self.name), START_LIMIT, || {
            assert!(self.service.is_running(), "{} has ended:\n{}", self.name, self.service.log());
            UnixStream::connect(self.path("sock")).map_err(|e| e.to_string())
        });
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        self.service.kill9();
    }

    /// Ends it as a crash would, and starts it on what it has written.
    #[track_caller]
    pub(crate) fn crash(&self) {
        self.kill();
        self.start();
    }

    /// Whether its files may grow beyond what the database has now (prlimit(1), setrlimit(2)).
    #[track_caller]
    pub(crate) fn let_grow(&self, may: bool) {
        let size = std::fs::metadata(self.file()).expect("a file").len();
        let limit = if may { "unlimited".to_owned() } else { size.to_string() };
        let process = self.service.pid().to_string();
        run("prlimit", ["--pid", process.as_str(), &format!("--fsize={limit}:unlimited")]);
    }

    /// Runs a command of its control socket.
    #[track_caller]
    pub(crate) fn appctl(&self, arguments: &[&str]) -> String {
        run("ovs-appctl", self.appctl_arguments(arguments))
    }

    /// The same; `None` when it does not answer within a second, or refuses.
    pub(crate) fn try_appctl(&self, arguments: &[&str]) -> Option<String> {
        let mut command = std::process::Command::new("ovs-appctl");
        command.arg("--timeout=1").args(self.appctl_arguments(arguments));
        let output = command.output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn appctl_arguments(&self, arguments: &[&str]) -> Vec<String> {
        let control = self.path("ctl").display().to_string();
        ["-t", &control].iter().chain(arguments).map(|&word| word.to_owned()).collect()
    }
}

/// Runs `ovn-nbctl` against a northbound, the leader's if it is a cluster.
#[track_caller]
pub(crate) fn nbctl(remotes: &str, arguments: &[&str]) -> String {
    let database = format!("--db={remotes}");
    run(
        "ovn-nbctl",
        [&database, "--timeout=30"].into_iter().map(AsRef::as_ref).chain(arguments.iter().copied()),
    )
}
