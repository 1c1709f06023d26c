//! A control socket by itself, and clients of any. In the place of the event loop, fixed views answer; a whole daemon is
//! `running`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ovn_peerd::control::{self, Access, Confirmed, Events, Question, Refusal, Reloaded, Socket};
use ovn_peerd::declare::{Diagnostic, DiagnosticCode, HalfKey, NetworkKey, NotStored, Settings};
use ovn_peerd::metrics::Recorder;
use ovn_peerd::view::{
    AttentionView, Counters, DiagnosticsView, HalfDetail, HalfSample, HalfSamples, HalfView,
    HeldView, MetricsView, NorthboundView, Passes, PerHalf, PlanView, Reason, State, StatusView,
    StoreView, TakeOverView, VerifyView, Viewer, WhyView,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

fn half(project: &str, name: &str, state: State) -> HalfView {
    HalfView {
        project: project.into(),
        network: "web".into(),
        name: name.into(),
        target_project: "green".into(),
        target_network: "db".into(),
        target_uuid: None,
        uuid: Uuid::from_u128(1),
        state,
        reason: (state == State::PendingPeer).then_some(Reason::AwaitingPeer),
        explanation: None,
        since: Some(Timestamp::now() - SignedDuration::from_mins(125)),
        next_step: None,
        degraded: Vec::new(),
        description: String::new(),
        hosts: vec!["hv1".into()],
        exported: 2,
        imported: 1,
        guests_since: None,
    }
}

fn halves() -> Vec<HalfView> {
    vec![
        half("blue", "to-db", State::Active),
        half("blue", "a/b c", State::PendingPeer),
        half("red", "to-db", State::Active),
    ]
}

fn detail(half: HalfView) -> HalfDetail {
    HalfDetail {
        half,
        configured_status: "active".into(),
        config: BTreeMap::new(),
        file: None,
        path: None,
        line: None,
        stored: None,
        declaration: None,
        network_uuid: Uuid::from_u128(2),
        router: None,
        local_prefixes: Vec::new(),
        remote_prefixes: Vec::new(),
        terms: ovn_peerd::declare::Terms::default().shown(),
        filtered: Vec::new(),
        traffic: None,
        gateway_in_use: None,
        through: None,
        manual_routes: Vec::new(),
        virtual_addresses: Vec::new(),
        names: None,
        guests: None,
        address_sets: Vec::new(),
        rows: Vec::new(),
    }
}

fn status() -> StatusView {
    StatusView {
        version: "0".into(),
        host: "hv1".into(),
        northbound: NorthboundView::default(),
        halves: BTreeMap::from([(State::Active, 2)]),
        errors: 0,
        diagnostics: Vec::new(),
        more_diagnostics: 0,
        held: Vec::new(),
        more_held: 0,
        held_seen: None,
        newer_version: None,
        damped: vec![],
        host_name_in_use: false,
        host_problems: Vec::new(),
        more_host_problems: 0,
        counters: Counters::default(),
    }
}

fn measured() -> MetricsView {
    MetricsView {
        at: Timestamp::now(),
        status: status(),
        failed: BTreeMap::new(),
        degraded: 0,
        contested_units: 0,
        northd_lag: Duration::ZERO,
        hosts: 1,
        networks: 2,
        mesh_depth: 0,
        mesh_depth_limit: 89,
        certificates: Vec::new(),
        per_half: PerHalf::All,
    }
}

/// One half in each part.
fn sample(viewer: &Viewer, after: Option<&HalfKey>) -> HalfSamples {
    let seen = halves().into_iter().filter(|half| viewer.sees(&half.project));
    let samples = seen.map(|half| {
        let network = NetworkKey::new(half.project, half.network);
        HalfSample {
            half: HalfKey::new(network, half.name),
            state: half.state,
            reason: half.reason,
            degraded: false,
            since: half.since,
            expires: None,
            prefixes: Some((half.exported, half.imported)),
        }
    });
    let mut samples: Vec<HalfSample> = samples.collect();
    samples.sort_by(|one, other| one.half.cmp(&other.half));
    let behind = |it: &HalfSample| after.is_none_or(|after| it.half > *after);
    let mut behind = samples.into_iter().filter(behind);
    let found = behind.next();
    let last = found.as_ref().map(|it| it.half.clone());
    HalfSamples { samples: found.into_iter().collect(), last, more: behind.next().is_some() }
}

fn answer(question: Question) {
    match question {
        Question::List(viewer, answer) => {
            let seen = halves().into_iter().filter(|half| viewer.sees(&half.project));
            drop(answer.send(seen.collect()));
        }
        Question::Show(viewer, key, answer) => {
            let found = halves().into_iter().find(|half| {
                *half.project == *key.network.project
                    && *half.name == *key.name
                    && viewer.sees(&half.project)
            });
            drop(answer.send(found.map(detail)));
        }
        Question::Diagnostics(viewer, answer) => {
            let all = ["a/1.toml", "b/1.toml"].map(|file| {
                Diagnostic::whole(&file.into(), DiagnosticCode::Unreadable, "=x, \"y\"", "z")
            });
            let told = all.into_iter().filter(|it| viewer.sees(&it.file[..1]));
            drop(answer.send(DiagnosticsView {
                errors: 0,
                diagnostics: told.collect(),
                more_diagnostics: 0,
            }));
        }
        Question::Attention(_, answer) => drop(answer.send(AttentionView::default())),
        Question::Status(answer) => drop(answer.send(status())),
        Question::Metrics(answer) => drop(answer.send(measured())),
        Question::HalfSamples(viewer, _, after, answer) => {
            drop(answer.send(sample(&viewer, after.as_ref())));
        }
        Question::Plan(candidate, answer) => {
            let held = candidate.iter().flat_map(|c| &c.peerings.files).map(|f| f.name.clone());
            drop(answer.send(Ok(PlanView { held: held.collect(), ..PlanView::default() })));
        }
        Question::Held(_, answer) => drop(answer.send(HeldView::default())),
        Question::Confirm(_, _, answer) => drop(answer.send(Ok(Confirmed::default()))),
        Question::Hosts(answer) => drop(answer.send(Vec::new())),
        Question::Forget(_, name, answer) => drop(answer.send(Err(Refusal::NoSuchHost(name)))),
        Question::Networks(_, answer) => drop(answer.send(Vec::new())),
        Question::Projects(_, answer) => drop(answer.send(Vec::new())),
        Question::Requests(_, answer) => drop(answer.send(Vec::new())),
        Question::Why(_, question, answer) => {
            drop(answer.send(Ok(WhyView {
                from: question.from,
                to: question.to,
                opens: question.opens,
                passes: Passes::No,
                state: None,
                reason: None,
                stopped_by: None,
                next_step: None,
                there: Vec::new(),
                back: Vec::new(),
                reserves: Vec::new(),
                in_ovn: None,
                trace: None,
            })));
        }
        Question::Verify(sample, answer) => {
            drop(answer.send(Ok(VerifyView { must_not: sample, ..VerifyView::default() })));
        }
        Question::Peerings(_, _, answer) => drop(answer.send(None)),
        Question::OwnNetworks(_, _, answer) => drop(answer.send(None)),
        Question::Tokens(answer) => drop(answer.send(Vec::new())),
        Question::Stored(project, answer) => {
            drop(answer.send(StoreView { project, declarations: String::new() }))
        }
        Question::Store(_, answer) => {
            drop(answer.send(Err(Refusal::NotStored(NotStored::NotSynced(None)))))
        }
        Question::TakeOver(_, request, answer) => {
            let dry_run = request.dry_run;
            drop(answer.send(Ok(TakeOverView { dry_run, links: Vec::new() })));
        }
        Question::Refused(_) => {}
        Question::Reload(_, answer) => {
            drop(answer.send(Reloaded { halves: 3, ..Reloaded::default() }))
        }
    }
}

/// Of operators and tenants, as a settings file says it.
pub(crate) fn access(settings: &str) -> Access {
    let (settings, wrong) = Settings::parse(Path::new("/etc/ovn-peerd/ovn-peerd.toml"), settings);
    assert!(wrong.is_empty(), "{wrong:?}");
    Access::of(&settings)
}

/// uid 20001 owns project blue; uid 20003 is an operator.
const SETTINGS: &str = "[control]\noperators = [\"20003\", \"%20009\"]\n\
    [[project]]\nname = \"blue\"\nowner = \"20001\"\n";

/// A served socket; dropping it stops the server.
pub(crate) struct Served {
    pub(crate) directory: TempDir,
    pub(crate) access: watch::Sender<Access>,
    pub(crate) events: Events,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        // A client of another user must be able to reach the socket to be refused by it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("run/control.sock");
        let (stop, stopped) = oneshot::channel();
        let (access, current) = watch::channel(access(SETTINGS));
        let (bound, wait) = std::sync::mpsc::channel();
        let events = Events::new(Timestamp::now());
        let published = events.clone();
        let recorder = Recorder::new();
        let thread = thread::spawn(move || {
            runtime().block_on(async {
                let socket = Socket::bind(&path).await.unwrap();
                bound.send(()).unwrap();
                let (questions, mut asked) = mpsc::channel(control::MAX_QUESTIONS);
                let answers = async {
                    while let Some(question) = asked.recv().await {
                        answer(question);
                    }
                };
                tokio::select! {
                    () = control::serve(socket, questions, current, published, recorder) => {}
                    () = answers => {}
                    _ = stopped => {}
                }
            });
        });
        wait.recv().unwrap();
        Self { directory, access, events, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("run/control.sock")
    }

    /// Status code and body.
    pub(crate) fn curl(&self, arguments: &[&str], path: &str) -> (u16, Value) {
        parse(&curl(&self.socket(), arguments, path).output().unwrap())
    }

    /// The same, as another user.
    pub(crate) fn curl_as(
        &self,
        uid: &str,
        gid: &str,
        arguments: &[&str],
        path: &str,
    ) -> (u16, Value) {
        parse(&as_user(uid, gid, &curl(&self.socket(), arguments, path)).output().unwrap())
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        ctl(&self.socket(), arguments).output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn curl(socket: &Path, arguments: &[&str], path: &str) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "-w", "\n%{http_code}"]);
    command.arg("--unix-socket").arg(socket).args(arguments);
    command.arg(format!("http://localhost{path}"));
    command
}

/// The operators' tool, which asks at that socket.
pub(crate) fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    command.arg("--socket").arg(socket).args(arguments);
    command
}

/// The command as another user, who is in that group alone.
pub(crate) fn as_user(uid: &str, gid: &str, command: &Command) -> Command {
    let mut other = Command::new("setpriv");
    other.args(["--reuid", uid, "--regid", gid, "--clear-groups", "--"]);
    other.arg(command.get_program()).args(command.get_args());
    other
}

pub(crate) fn parse(output: &Output) -> (u16, Value) {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")))
}
