//! OVN's central part: the northbound and southbound databases and ovn-northd.
//!
//! Invariant: everything is reached by paths inside the lab's directory, never by OVN's default ones.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{poll, run};
use super::service::{Launch, Service};

const START_LIMIT: Duration = Duration::from_secs(10);
const NB_SCHEMA: &str = "/usr/share/ovn/ovn-nb.ovsschema";
const SB_SCHEMA: &str = "/usr/share/ovn/ovn-sb.ovsschema";

/// The central processes. Stopping or pausing one is a fault that a test injects.
#[derive(Debug)]
pub struct Databases {
    dir: PathBuf,
    /// The northbound's ovsdb-server.
    pub nb: Service,
    /// The southbound's ovsdb-server.
    pub sb: Service,
    /// ovn-northd; absent in a lab that is without.
    pub northd: Option<Service>,
}

/// Where the central processes run, and how chassis on other nodes reach them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placement<'a> {
    /// The network namespace; `None` is the test's own.
    pub namespace: Option<&'a str>,
    /// An OVSDB listener for the southbound besides its Unix socket, such as `ptcp:6642:192.0.2.2`.
    pub sb_listen: Option<&'a str>,
}

impl Databases {
    /// Creates and starts both databases, and northd when asked.
    #[track_caller]
    pub fn start(dir: &Path, place: Placement<'_>, with_northd: bool) -> Databases {
        let nb = server(dir, "nb", NB_SCHEMA, place.namespace, None);
        let sb = server(dir, "sb", SB_SCHEMA, place.namespace, place.sb_listen);
        wait_for_socket(&nb, &dir.join("nb.sock"));
        wait_for_socket(&sb, &dir.join("sb.sock"));
        run("ovn-nbctl", [&format!("--db=unix:{}/nb.sock", dir.display()), "init"]);
        run("ovn-sbctl", [&format!("--db=unix:{}/sb.sock", dir.display()), "init"]);
        let northd = with_northd.then(|| Service::start("northd", northd(dir, place.namespace)));
        Databases { dir: dir.to_owned(), nb, sb, northd }
    }

    /// The northbound's Unix socket.
    pub fn nb_socket(&self) -> PathBuf {
        self.dir.join("nb.sock")
    }

    /// The southbound's Unix socket.
    pub fn sb_socket(&self) -> PathBuf {
        self.dir.join("sb.sock")
    }

    /// The northbound's database file: a log of its transactions (ovsdb(5)).
    pub fn nb_file(&self) -> PathBuf {
        self.dir.join("nb.db")
    }

    /// Starts the northbound's server again and waits until it answers.
    #[track_caller]
    pub fn start_nb_again(&self) {
        self.nb.start_again();
        wait_for_socket(&self.nb, &self.nb_socket());
    }

    /// Starts the southbound's server again and waits until it answers.
    #[track_caller]
    pub fn start_sb_again(&self) {
        self.sb.start_again();
        wait_for_socket(&self.sb, &self.sb_socket());
    }

    /// ovn-northd; panics in a lab that is without.
    #[track_caller]
    pub fn northd(&self) -> &Service {
        self.northd.as_ref().expect("this lab was built with ovn-northd")
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        [&self.nb, &self.sb].into_iter().chain(&self.northd)
    }
}

/// Starts an ovsdb-server on a new database `<dir>/<name>.db`, listening on `<dir>/<name>.sock`.
#[track_caller]
pub(super) fn server(
    dir: &Path,
    name: &str,
    schema: &str,
    namespace: Option<&str>,
    listen: Option<&str>,
) -> Service {
    let file = dir.join(format!("{name}.db"));
    run("ovsdb-tool", [Path::new("create").as_os_str(), file.as_os_str(), schema.as_ref()]);
    let path = |suffix: &str| format!("{}/{name}.{suffix}", dir.display());
    let mut launch = Launch::new("ovsdb-server", dir)
        .arg(file)
        .arg(format!("--remote=punix:{}", path("sock")))
        .arg(format!("--unixctl={}", path("ctl")))
        .args(["-vconsole:info", "-vfile:off", "-vsyslog:off"]);
    launch = launch.args(listen.map(|l| format!("--remote={l}")));
    if let Some(namespace) = namespace {
        launch = launch.inside(namespace);
    }
    Service::start(&format!("{name}-server"), launch)
}

fn northd(dir: &Path, namespace: Option<&str>) -> Launch {
    let path = |file: &str| format!("{}/{file}", dir.display());
    let launch = Launch::new("ovn-northd", dir)
        .arg(format!("--ovnnb-db=unix:{}", path("nb.sock")))
        .arg(format!("--ovnsb-db=unix:{}", path("sb.sock")))
        .arg(format!("--unixctl={}", path("northd.ctl")))
        .args(["-vconsole:info", "-vfile:off", "-vsyslog:off"]);
    match namespace {
        Some(namespace) => launch.inside(namespace),
        None => launch,
    }
}

/// Waits until a server accepts connections on its Unix socket.
#[track_caller]
pub(super) fn wait_for_socket(server: &Service, socket: &Path) {
    poll(&format!("{} listens", server.name()), START_LIMIT, || {
        assert!(server.is_running(), "{} has ended:\n{}", server.name(), server.log());
        UnixStream::connect(socket).map_err(|e| format!("{}: {e}", socket.display()))
    });
}
