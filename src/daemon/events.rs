//! The event loop.

use std::future::pending;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{error, info};

use crate::control::{
    self, Candidate, CandidateContent, CandidateDirectory, Confirmed, MAX_QUESTIONS, Question,
    Reloaded, Socket,
};
use crate::declare::{Directory, FileId, Owner, Reading, Settings, SourceFile};
use crate::engine::{Engine, Event};
use crate::northbound::tables::{DATABASE, LOCK, WANTED};
use crate::now::Now;
use crate::ovsdb::{self, Client, Config, Remote, TlsFiles};

use super::command::{DaemonError, load};
use super::files::Files;
use super::log;
use super::service::Service;
use super::watch::{Pace, Watch};

/// Northbound events taken in a row before a transaction is considered: bursts become one batch.
const MOST_DRAINED: usize = 1024;
/// How long leaving waits for the transaction under way.
const LAST_REPLY: Duration = Duration::from_secs(1);
/// How often the status line is made anew while things change.
const STATUS_PACE: Duration = Duration::from_millis(500);

/// Everything that wakes the loop.
enum Happening {
    Reading(Option<Reading>),
    Northbound(Option<ovsdb::Event>),
    Question(Option<Question>),
    Hangup,
    Terminate,
    Deadline,
    Watchdog,
    Status,
}

/// The daemon, running.
pub(super) struct Shell {
    config: PathBuf,
    settings: Settings,
    started: Instant,
    engine: Engine,
    client: Client,
    northbound: mpsc::Receiver<ovsdb::Event>,
    watch: Watch,
    questions: mpsc::Receiver<Question>,
    server: JoinHandle<()>,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    service: Service,
    feed_at: Option<time::Instant>,
    status_at: Option<time::Instant>,
    ready: bool,
    reloading: Vec<Option<oneshot::Sender<Reloaded>>>,
    under_way: Option<u64>,
}

impl Shell {
    /// Starts everything that the loop listens to.
    pub(super) fn start(
        config: PathBuf,
        settings: Settings,
        socket: Socket,
    ) -> Result<Self, DaemonError> {
        let listen = |kind: SignalKind| {
            let what = "listen for signals";
            signal(kind).map_err(|source| DaemonError::System { what, source })
        };
        let (hangup, terminate, interrupt) = (
            listen(SignalKind::hangup())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
        );
        let started = Instant::now();
        let host = settings.daemon.host.clone().unwrap_or_else(host_name);
        let engine = Engine::new(&settings, host);
        let (client, northbound) = ovsdb::connect(client_config(&settings)?);
        let watch = Watch::start(&settings.paths, Pace::default())
            .map_err(|source| DaemonError::System { what: "watch the declarations", source })?;
        let (ask, questions) = mpsc::channel(MAX_QUESTIONS);
        let server = tokio::spawn(control::serve(socket, ask));
        let service = Service::new();
        let feed_at = service.watchdog.map(|every| time::Instant::now() + every);
        let status_at = Some(time::Instant::now());
        let (ready, reloading, under_way) = (false, Vec::new(), None);
        Ok(Self {
            config,
            settings,
            started,
            engine,
            client,
            northbound,
            watch,
            questions,
            server,
            hangup,
            terminate,
            interrupt,
            service,
            feed_at,
            status_at,
            ready,
            reloading,
            under_way,
        })
    }

    /// Runs until told to leave.
    pub(super) async fn run(mut self) -> Result<(), DaemonError> {
        info!(version = env!("CARGO_PKG_VERSION"), config = %self.config.display(), "starting");
        loop {
            let happening = self.next().await;
            if matches!(happening, Happening::Terminate) {
                break;
            }
            self.take(happening)?;
            self.drain();
            self.submit();
            self.tell();
        }
        self.leave().await;
        Ok(())
    }

    async fn next(&mut self) -> Happening {
        let deadline = self
            .engine
            .deadline()
            .map(|deadline| time::Instant::from_std(self.started + deadline.at));
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Happening::Terminate,
            _ = self.interrupt.recv() => Happening::Terminate,
            () = until(self.feed_at) => Happening::Watchdog,
            event = self.northbound.recv() => Happening::Northbound(event),
            reading = self.watch.next() => Happening::Reading(reading),
            question = self.questions.recv() => Happening::Question(question),
            _ = self.hangup.recv() => Happening::Hangup,
            () = until(deadline) => Happening::Deadline,
            () = until(self.status_at) => Happening::Status,
        }
    }

    fn take(&mut self, happening: Happening) -> Result<(), DaemonError> {
        let ended = |what| {
            let source = std::io::Error::other("it has ended unexpectedly");
            DaemonError::System { what, source }
        };
        match happening {
            Happening::Reading(reading) => {
                let reading = reading.ok_or_else(|| ended("watch the declarations"))?;
                self.read(reading);
            }
            Happening::Northbound(event) => {
                let event = event.ok_or_else(|| ended("use the northbound client"))?;
                self.northbound_event(event);
            }
            Happening::Question(question) => {
                self.answer(question.ok_or_else(|| ended("serve the control socket"))?);
            }
            Happening::Hangup => self.reload(None),
            Happening::Deadline => self.handle(Event::Tick),
            Happening::Watchdog => {
                self.service.alive();
                self.feed_at = self.service.watchdog.map(|every| time::Instant::now() + every);
            }
            Happening::Status => {
                self.status_at = None;
                self.service.status(&self.engine.status());
            }
            Happening::Terminate => {}
        }
        Ok(())
    }

    /// The programme's only clock.
    fn now(&self) -> Now {
        // Milliseconds are what people read and what records need.
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        Now { wall, since_start: self.started.elapsed() }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.engine.handle(event, now);
    }

    fn northbound_event(&mut self, event: ovsdb::Event) {
        if let ovsdb::Event::Transacted { id, .. } = &event
            && self.under_way == Some(*id)
        {
            self.under_way = None;
        }
        self.handle(Event::Northbound(event));
    }

    /// Takes what has come meanwhile, so that a burst becomes one batch.
    fn drain(&mut self) {
        for _ in 0..MOST_DRAINED {
            let Ok(event) = self.northbound.try_recv() else { break };
            self.northbound_event(event);
        }
        if self.engine.wants_resync() {
            self.client.resync();
        }
    }

    fn submit(&mut self) {
        let now = self.now();
        let Some(submission) = self.engine.poll(now) else { return };
        let id = submission.id;
        self.under_way = Some(id);
        if self.client.submit(id, submission.operations).is_err() {
            let result = Err(ovsdb::TransactError::NotConnected);
            self.northbound_event(ovsdb::Event::Transacted { id, result });
        }
    }

    fn tell(&mut self) {
        let notices = self.engine.notices();
        for notice in &notices {
            log::notice(notice);
        }
        if !notices.is_empty() && self.status_at.is_none() {
            self.status_at = Some(time::Instant::now() + STATUS_PACE);
        }
    }

    fn read(&mut self, reading: Reading) {
        let complete = reading.complete;
        self.handle(Event::Reading(reading));
        if !complete {
            return;
        }
        if !self.ready {
            self.ready = true;
            self.service.ready();
        }
        let reloading = std::mem::take(&mut self.reloading);
        if reloading.is_empty() {
            return;
        }
        self.service.ready();
        for reply in reloading.into_iter().flatten() {
            // Whoever has left meanwhile does not want to know.
            let _ = reply.send(self.reloaded());
        }
    }

    fn reloaded(&self) -> Reloaded {
        let status = self.engine.status();
        Reloaded {
            halves: status.halves.values().sum(),
            diagnostics: status.diagnostics,
            held: status.held,
        }
    }

    /// Reads everything again: the policy now, the files as soon as they come.
    fn reload(&mut self, reply: Option<oneshot::Sender<Reloaded>>) {
        self.service.reloading();
        match load(&self.config) {
            Ok(settings) => {
                self.engine.configure(&settings);
                self.settings.policy = settings.policy;
                self.settings.projects = settings.projects;
            }
            Err(cause) => {
                error!(error = %log::chain(&cause), "the settings stay as they were");
            }
        }
        self.reloading.push(reply);
        self.watch.reread();
    }

    fn answer(&mut self, question: Question) {
        // A client that has left meanwhile is no error, here and below.
        match question {
            Question::List(reply) => drop(reply.send(self.engine.list())),
            Question::Show(half, reply) => drop(reply.send(self.engine.show(&half))),
            Question::Status(reply) => drop(reply.send(self.engine.status())),
            Question::Plan(candidate, reply) => {
                let reading = match candidate {
                    Some(candidate) => reading_of(candidate),
                    None => Files::new(&self.settings.paths).read_all(|_| ()),
                };
                drop(reply.send(Ok(self.engine.plan(Some(reading), self.now()))));
            }
            Question::Confirm(reply) => {
                let released = self.engine.status().held;
                self.handle(Event::Confirm);
                drop(reply.send(Confirmed { released }));
            }
            Question::Reload(reply) => self.reload(Some(reply)),
        }
    }

    /// The data plane stays as it is; only a transaction under way is waited for.
    async fn leave(mut self) {
        self.service.stopping();
        info!("leaving; the data plane stays as it is");
        let last = async {
            while self.under_way.is_some() {
                let Some(event) = self.northbound.recv().await else { break };
                self.northbound_event(event);
            }
        };
        let _ = time::timeout(LAST_REPLY, last).await;
        self.server.abort();
        // Its socket is removed before the process ends.
        let _ = self.server.await;
    }
}

/// Waits until a moment; for ever if there is none.
async fn until(moment: Option<time::Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment).await,
        None => pending().await,
    }
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

fn client_config(settings: &Settings) -> Result<Config, DaemonError> {
    let northbound = &settings.northbound;
    let remotes: Result<Vec<Remote>, _> =
        northbound.remotes.iter().map(|remote| remote.parse()).collect();
    let files = (&northbound.ca_cert, &northbound.certificate, &northbound.private_key);
    let tls = match files {
        (Some(ca_cert), Some(certificate), Some(private_key)) => Some(TlsFiles {
            ca_cert: ca_cert.clone(),
            certificate: certificate.clone(),
            private_key: private_key.clone(),
            verify_name: northbound.verify_name,
        }),
        // The settings are refused where only some of them are given.
        _ => None,
    };
    let lock = Some(LOCK.to_owned());
    let leader_only = northbound.leader_only;
    Ok(Config { tls, lock, leader_only, ..Config::new(remotes?, DATABASE, WANTED) })
}

/// A candidate's files as if they had been read.
fn reading_of(candidate: Candidate) -> Reading {
    let mut reading = Reading { complete: true, ..Reading::default() };
    let directories =
        [(Directory::Networks, candidate.networks), (Directory::Peerings, candidate.peerings)];
    for (directory, CandidateDirectory { files, error }) in directories {
        reading.directories.push((directory, error.map_or(Ok(()), Err)));
        reading.files.extend(files.into_iter().map(|file| SourceFile {
            id: FileId { directory, name: file.name.into() },
            path: file.path.into(),
            text: match file.content {
                CandidateContent::Text(text) => Ok(text),
                CandidateContent::Error(why) => Err(why),
            },
            owner: file.owner_uid.map(|uid| Owner { uid, name: file.owner_name }),
        }));
    }
    reading
}
