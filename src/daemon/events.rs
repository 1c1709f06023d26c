//! The event loop: everything that happens comes through here, one thing at a time.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{info, warn};

use crate::control::{self, Access, Actor, MAX_QUESTIONS, Question, Socket};
use crate::declare::{Diagnostic, ParsedFile, Reading, Settings};
use crate::engine::{Engine, Event};
use crate::now::Now;
use crate::ovsdb::{self, Client};

use super::command::DaemonError;
use super::log::Log;
use super::northbound::{client_config, tls_files};
use super::plans::{FreshReading, Plans};
use super::reload::Reloads;
use super::service::Service;
use super::signals::{Request, Signals};
use super::watch::{Pace, Watch};

/// Northbound events taken in a row before a transaction is considered: bursts become one batch.
const MOST_DRAINED: usize = 1024;
/// How long leaving waits for the transaction under way.
const LAST_REPLY: Duration = Duration::from_secs(1);
/// How long leaving waits for the northbound client's thread.
const LAST_WORK: Duration = Duration::from_secs(1);
/// How often the status line is made anew while things change.
const STATUS_PACE: Duration = Duration::from_millis(500);

/// Everything that wakes the loop.
enum Happening {
    Signal(Request),
    Watchdog,
    Reading(Option<Reading<ParsedFile>>),
    Certificates,
    FreshReading(FreshReading),
    Northbound(Option<ovsdb::Event>),
    Question(Option<Question>),
    Deadline,
    /// The log has lines that were counted for long enough.
    CatchUp,
    Status,
}

/// The daemon, running.
pub(super) struct Shell {
    pub(super) config: PathBuf,
    pub(super) settings: Settings,
    pub(super) engine: Engine,
    pub(super) watch: Watch,
    pub(super) plans: Plans,
    pub(super) reloads: Reloads,
    pub(super) service: Service,
    log: Log,
    started: Instant,
    pub(super) client: Client,
    questions: mpsc::Receiver<Question>,
    pub(super) access: watch::Sender<Access>,
    server: JoinHandle<()>,
    signals: Signals,
    feed_at: Option<time::Instant>,
    status_at: Option<time::Instant>,
    /// Whether all files were read once.
    complete: bool,
    ready: bool,
    under_way: BTreeSet<u64>,
}

impl Shell {
    /// Starts everything that the loop listens to.
    pub(super) fn start(
        config: PathBuf,
        (settings, warnings): (Settings, Vec<Diagnostic>),
        socket: Socket,
    ) -> Result<Self, DaemonError> {
        let system = |what| move |source| DaemonError::System { what, source };
        let signals = Signals::listen().map_err(system("listen for signals"))?;
        let host = settings.daemon.host.clone().or_else(host_name);
        let host =
            host.ok_or_else(|| DaemonError::NoHost { path: config.display().to_string() })?;
        // The server composes its rows while the files are read.
        let client = ovsdb::connect(client_config(&settings, &host)?)
            .map_err(system("start the northbound client"))?;
        let mut engine = Engine::new(&settings, host);
        engine.note_settings(warnings);
        let watch = Watch::start_beside(&settings.paths, &tls_files(&settings), Pace::default())
            .map_err(system("watch the declarations"))?;
        let (ask, questions) = mpsc::channel(MAX_QUESTIONS);
        let (access, current) = watch::channel(Access::of(&settings));
        let server = tokio::spawn(control::serve(socket, ask, current));
        let mut service = Service::new();
        service.configure(&settings);
        Ok(Self {
            config,
            settings,
            engine,
            watch,
            plans: Plans::new(),
            reloads: Reloads::default(),
            feed_at: service.watchdog.map(|every| time::Instant::now() + every),
            service,
            log: Log::default(),
            started: Instant::now(),
            client,
            questions,
            access,
            server,
            signals,
            status_at: None,
            complete: false,
            ready: false,
            under_way: BTreeSet::new(),
        })
    }

    /// Runs until told to leave.
    pub(super) async fn run(mut self) -> Result<(), DaemonError> {
        info!(version = env!("CARGO_PKG_VERSION"), config = %self.config.display(), "starting");
        loop {
            match self.next().await {
                Happening::Signal(Request::Leave) => break,
                Happening::Signal(Request::Reload) => self.reload(&Actor("SIGHUP".into()), None),
                Happening::Watchdog => self.feed(),
                Happening::Reading(reading) => self.read(
                    reading
                        .ok_or(DaemonError::Ended("the thread that watches the declarations"))?,
                ),
                Happening::Certificates => self.client.renew(),
                Happening::FreshReading(fresh) => self.plan(fresh),
                Happening::Northbound(event) => {
                    self.northbound_event(event.ok_or(DaemonError::Ended("the northbound client"))?)
                }
                Happening::Question(question) => {
                    self.answer(question.ok_or(DaemonError::Ended("the control socket's server"))?)
                }
                // It is looked after below, as after everything.
                Happening::CatchUp => {}
                Happening::Deadline => self.handle(Event::Tick),
                Happening::Status => self.report(),
            }
            self.drain();
            self.submit();
            self.finish_readings();
            self.publish();
            // Nobody who started it by hand would look at its status.
            if self.engine.is_host_taken() && !self.service.is_managed() {
                let host = self.engine.status().host;
                self.leave().await;
                return Err(DaemonError::HostNameInUse { host });
            }
        }
        self.leave().await;
        Ok(())
    }

    /// Signals and the watchdog come first; the rest take turns by chance, so that a busy
    /// northbound keeps neither files nor questions waiting.
    async fn next(&mut self) -> Happening {
        let at = |moment| time::Instant::from_std(self.started + moment);
        let deadline = self.engine.deadline().map(|deadline| at(deadline.at));
        let catch_up = self.log.deadline().map(at);
        let decided = !self.engine.is_deciding();
        let others = async {
            tokio::select! {
                event = self.client.next() => Happening::Northbound(event),
                happening = watched(&mut self.watch) => happening,
                fresh = self.plans.next() => Happening::FreshReading(fresh),
                question = self.questions.recv(), if decided => Happening::Question(question),
                () = until(deadline) => Happening::Deadline,
                () = until(catch_up) => Happening::CatchUp,
                () = until(self.status_at) => Happening::Status,
            }
        };
        tokio::select! {
            biased;
            request = self.signals.next() => Happening::Signal(request),
            () = until(self.feed_at) => Happening::Watchdog,
            happening = others => happening,
        }
    }

    /// The programme's only clock.
    pub(super) fn now(&self) -> Now {
        // Milliseconds are what people read and what records need.
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        Now { wall, since_start: self.started.elapsed() }
    }

    pub(super) fn handle(&mut self, event: Event) {
        let now = self.now();
        self.engine.handle(event, now);
    }

    fn northbound_event(&mut self, event: ovsdb::Event) {
        if let ovsdb::Event::Transacted { id, .. } = &event {
            self.under_way.remove(id);
        }
        self.handle(Event::Northbound(event));
    }

    fn read(&mut self, reading: Reading<ParsedFile>) {
        self.complete |= reading.complete;
        self.handle(Event::Reading(reading));
    }

    /// Reports what was read, once all of it is decided.
    fn finish_readings(&mut self) {
        if self.engine.is_deciding() {
            return;
        }
        if self.complete && !self.ready {
            self.ready = true;
            self.service.ready(&self.engine.status());
        }
        self.finish_reloads();
    }

    fn feed(&mut self) {
        self.service.alive();
        self.feed_at = self.service.watchdog.map(|every| time::Instant::now() + every);
    }

    fn report(&mut self) {
        self.status_at = None;
        self.service.status(&self.engine.status());
    }

    /// Takes what has come meanwhile, so that a burst becomes one batch.
    fn drain(&mut self) {
        for _ in 0..MOST_DRAINED {
            if self.engine.is_deciding() {
                break;
            }
            let Some(event) = self.client.try_next() else { break };
            self.northbound_event(event);
        }
        if self.engine.wants_resync() {
            self.client.resync();
        }
        self.client.contend(self.engine.contends());
        if self.engine.wants_lock() {
            self.client.steal();
        }
        if self.engine.wants_identity() {
            self.client.claim();
        }
    }

    /// Sends all that the engine wants sent now: the client sends the first while the second is made.
    fn submit(&mut self) {
        while let Some(submission) = self.engine.poll(self.now()) {
            let id = submission.id;
            self.under_way.insert(id);
            if self.client.submit(id, submission.operations).is_err() {
                let result = Err(ovsdb::TransactError::NotConnected);
                return self.northbound_event(ovsdb::Event::Transacted { id, result });
            }
        }
    }

    /// Hands what has changed to all who subscribe to it.
    fn publish(&mut self) {
        let changes = self.engine.changes();
        let now = self.started.elapsed();
        self.log.catch_up(now);
        for change in &changes {
            self.log.take(change, now);
        }
        if self.ready && !changes.is_empty() && self.status_at.is_none() {
            self.status_at = Some(time::Instant::now() + STATUS_PACE);
        }
    }

    /// The data plane stays as it is; only transactions under way are waited for.
    async fn leave(mut self) {
        self.service.stopping();
        info!("leaving; the data plane stays as it is");
        let last = async {
            while !self.under_way.is_empty() {
                let Some(event) = self.client.next().await else { break };
                self.northbound_event(event);
            }
        };
        // Whether it ended in time or not: the rows will tell the next instance.
        let _ = time::timeout(LAST_REPLY, last).await;
        if !self.client.close(LAST_WORK).await {
            warn!("the northbound client did not end in time; leaving without it");
        }
        self.server.abort();
        // Its socket is removed before the process ends.
        let _ = self.server.await;
    }
}

/// The next that the watching thread has to tell.
async fn watched(watch: &mut Watch) -> Happening {
    let beside = watch.beside_notify();
    tokio::select! {
        reading = watch.next() => Happening::Reading(reading),
        () = beside.notified() => Happening::Certificates,
    }
}

/// Waits until a moment; for ever if there is none.
async fn until(moment: Option<time::Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment).await,
        None => pending().await,
    }
}

/// The system's name; none where that is what every system is called.
fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let is_nameless = ["", "localhost", "localhost.localdomain", "(none)"].contains(&name.as_str());
    (!is_nameless).then_some(name)
}
