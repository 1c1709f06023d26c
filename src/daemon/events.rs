//! The event loop: every event comes through here, one at a time.

use std::collections::BTreeSet;
use std::future::ready;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{info, warn};

use crate::control::{self, Actor, Events, MAX_QUESTIONS, Question, Refusal, Reloaded, Socket};
use crate::declare::{Diagnostic, ParsedFile, Reading, Settings};
use crate::engine::{Engine, Event, published};
use crate::northbound::Northbound;
use crate::now::Now;
use crate::ovsdb::{self, Client};

use super::answers;
use super::bindings::Bindings;
use super::candidate::reading_of;
use super::error::DaemonError;
use super::files::Files;
use super::log::Log;
use super::metrics::Metrics;
use super::moment::until;
use super::network::Network;
use super::northbound::{client_config, host_name, serve_wants, watched_files};
use super::plans::{FreshReading, Plans};
use super::reload::{Configuration, Reloads};
use super::service::Service;
use super::signals::{Request, Signals};
use super::waiting::Waiting;
use super::watch::{Pace, Watch};
use super::workers;

/// Northbound events handled in a row before the loop considers a transaction: bursts become one
/// batch.
const MOST_DRAINED: usize = 1024;
/// How long the exit waits for the transaction under way, and for the northbound client's thread.
const LAST_WORK: Duration = Duration::from_secs(1);
/// How often the status line is renewed while things change.
const STATUS_PACE: Duration = Duration::from_millis(500);

/// An event that wakes the loop.
enum LoopEvent {
    Signal(Request),
    Watchdog,
    Reading(Option<Reading<ParsedFile>>),
    Certificates,
    /// Files whose networks have other routers by now.
    Rebound(Reading<ParsedFile>),
    FreshReading(FreshReading),
    Northbound(Option<ovsdb::Event<Northbound>>),
    Question(Option<Question>),
    Deadline,
    /// The log has counted lines whose window has ended.
    CatchUp,
    /// The last turn has left work undone.
    Behind,
    Status,
}

/// The daemon, running.
pub(super) struct Shell {
    configuration: Configuration,
    engine: Engine,
    watch: Watch,
    bindings: Bindings,
    plans: Plans,
    reloads: Reloads,
    service: Service,
    log: Log,
    events: Events,
    metrics: Metrics,
    started: Instant,
    client: Client<Northbound>,
    questions: mpsc::Receiver<Question>,
    server: JoinHandle<()>,
    network: Network,
    signals: Signals,
    feed_at: Option<time::Instant>,
    status_at: Option<time::Instant>,
    /// Whether all files were read once.
    complete: bool,
    ready: bool,
    waiting: Waiting,
    under_way: BTreeSet<u64>,
    /// Whether the next turn publishes more of what has changed, and sends nothing.
    publishes: bool,
    /// Whether another turn is to follow at once.
    is_behind: bool,
}

impl Shell {
    /// Starts all sources of events.
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
        // First, so that the server composes its rows while this host reads the files.
        let northbound = client_config(&settings, &host)?;
        let bindings = Bindings::new(northbound.clone(), settings.tools.clone());
        let client = ovsdb::connect(northbound).map_err(system("start the northbound client"))?;
        workers::start().map_err(system("start threads"))?;
        let listeners = Network::bind(&settings)?;
        let mut engine = Engine::new(&settings, host);
        engine.note_settings(warnings);
        let watch =
            Watch::start_with_extra(&settings.paths, &watched_files(&settings), Pace::default())
                .map_err(system("watch the declarations"))?;
        let (ask, questions) = mpsc::channel(MAX_QUESTIONS);
        let mut service = Service::new();
        service.configure(&settings);
        let (configuration, access, tokens) = Configuration::new(config, settings);
        let events = Events::new(Timestamp::now());
        events.keep_for(&configuration.owned());
        let metrics = Metrics::start(&configuration.settings.metrics, &ask, tokens.clone())?;
        let network = Network::serve(listeners, &ask, tokens, &metrics.recorder)
            .map_err(system("serve clients on the network"))?;
        let recorder = metrics.recorder.clone();
        let server = control::serve(socket, ask, access, events.clone(), recorder);
        let server = tokio::spawn(server);
        let mut shell = Self {
            configuration,
            engine,
            watch,
            bindings,
            plans: Plans::new(),
            reloads: Reloads::default(),
            feed_at: service.watchdog.map(|every| time::Instant::now() + every),
            service,
            log: Log::default(),
            events,
            metrics,
            started: Instant::now(),
            client,
            questions,
            server,
            network,
            signals,
            status_at: None,
            complete: false,
            ready: false,
            waiting: Waiting::default(),
            under_way: BTreeSet::new(),
            publishes: false,
            is_behind: false,
        };
        // From now on the northbound is away until it is read.
        shell.handle(Event::Tick);
        Ok(shell)
    }

    /// Runs until a signal ends it.
    pub(super) async fn run(mut self) -> Result<(), DaemonError> {
        let config = self.configuration.path.display();
        info!(version = env!("CARGO_PKG_VERSION"), %config, "starting");
        loop {
            let event = self.next().await;
            let reads = matches!(event, LoopEvent::Reading(_) | LoopEvent::Rebound(_));
            let computes = self.engine.is_deciding() || reads;
            match event {
                LoopEvent::Signal(Request::Leave) => break,
                LoopEvent::Signal(Request::Reload) => self.reload(&Actor("SIGHUP".into()), None),
                LoopEvent::Watchdog => self.feed(),
                LoopEvent::Reading(reading) => self.read(
                    reading
                        .ok_or(DaemonError::Ended("the thread that watches the declarations"))?,
                ),
                LoopEvent::Certificates => self.renew(),
                LoopEvent::Rebound(reading) => self.handle(Event::Reading(reading)),
                LoopEvent::FreshReading(fresh) => self.plan(fresh),
                LoopEvent::Northbound(event) => {
                    self.northbound_event(event.ok_or(DaemonError::Ended("the northbound client"))?)
                }
                LoopEvent::Question(question) => {
                    self.answer(question.ok_or(DaemonError::Ended("the control socket's server"))?)
                }
                LoopEvent::CatchUp => self.log.catch_up(self.started.elapsed()),
                // The code after every event handles it, below.
                LoopEvent::Behind => {}
                LoopEvent::Deadline => self.handle(Event::Tick),
                LoopEvent::Status => self.report(),
            }
            if !self.publishes {
                self.drain();
            }
            self.work(computes);
            // A person who started it by hand would not look at its status.
            if self.engine.is_host_taken() && !self.service.is_managed() {
                let host = self.engine.status().host;
                self.leave().await;
                return Err(DaemonError::HostNameInUse { host });
            }
        }
        self.leave().await;
        Ok(())
    }

    /// Waits for the next event. Signals, the watchdog and what the last turn has left undone come
    /// first; the others take turns at random, so that a busy northbound delays neither files nor questions.
    async fn next(&mut self) -> LoopEvent {
        if self.is_behind {
            // Timers and sockets are looked at only while the loop yields.
            tokio::task::yield_now().await;
        }
        let at = |moment| time::Instant::from_std(self.started + moment);
        let deadline = self.engine.deadline().map(|deadline| at(deadline.at));
        let catch_up = self.log.deadline().map(at);
        let decided = !self.engine.is_deciding();
        let others = async {
            tokio::select! {
                event = self.client.next() => LoopEvent::Northbound(event),
                event = watched(&mut self.watch) => event,
                rebound = self.bindings.next() => LoopEvent::Rebound(rebound),
                fresh = self.plans.next() => LoopEvent::FreshReading(fresh),
                question = self.questions.recv(), if decided => LoopEvent::Question(question),
                () = until(deadline) => LoopEvent::Deadline,
                () = until(catch_up) => LoopEvent::CatchUp,
                () = until(self.status_at) => LoopEvent::Status,
            }
        };
        tokio::select! {
            biased;
            request = self.signals.next() => LoopEvent::Signal(request),
            () = until(self.feed_at) => LoopEvent::Watchdog,
            () = ready(()), if self.is_behind => LoopEvent::Behind,
            event = others => event,
        }
    }

    /// The program's only clock.
    fn now(&self) -> Now {
        // People and records need no more than milliseconds.
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        Now { wall, since_start: self.started.elapsed() }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.engine.handle(event, now);
    }

    fn northbound_event(&mut self, event: ovsdb::Event<Northbound>) {
        if let ovsdb::Event::Transacted { id, .. } = &event {
            self.under_way.remove(id);
        } else if matches!(event, ovsdb::Event::Disconnected { .. }) {
            self.service.lost(&self.configuration.settings.northbound.remotes);
        }
        self.handle(Event::Northbound(event));
    }

    fn read(&mut self, mut reading: Reading<ParsedFile>) {
        self.bindings.read(&mut reading);
        self.complete |= reading.complete;
        let changed = self.watch.changed().saturating_duration_since(self.started);
        self.engine.meter().files_changed(changed);
        self.handle(Event::Reading(reading));
    }

    /// Reports the readings that the engine has decided.
    fn finish_readings(&mut self) {
        if self.complete && !self.ready {
            self.ready = true;
            self.service.ready(&self.engine.status());
        }
        let answered = self.watch.answered();
        self.reloads.finish(answered, &self.configuration, &mut self.engine, &mut self.service);
    }

    fn answer(&mut self, question: Question) {
        let engine = &mut self.engine;
        match question {
            Question::List(viewer, reply) => drop(reply.send(engine.list_for(&viewer))),
            Question::Show(viewer, half, reply) => {
                drop(reply.send(engine.show_for(&viewer, &half)));
            }
            Question::Diagnostics(viewer, reply) => drop(reply.send(engine.diagnostics(&viewer))),
            Question::Attention(viewer, reply) => drop(reply.send(engine.attention(&viewer))),
            Question::Networks(viewer, reply) => drop(reply.send(engine.networks(&viewer))),
            Question::Projects(viewer, reply) => drop(reply.send(engine.projects(&viewer))),
            Question::Requests(viewer, reply) => drop(reply.send(engine.requests(&viewer))),
            Question::Peerings(viewer, query, reply) => {
                drop(reply.send(engine.peerings(&viewer, &query)));
            }
            Question::OwnNetworks(viewer, only, reply) => {
                drop(reply.send(engine.own_networks(&viewer, only)));
            }
            Question::Tokens(reply) => drop(reply.send(self.configuration.tokens())),
            Question::Stored(project, reply) => drop(reply.send(engine.stored(&project))),
            Question::Status(reply) => {
                drop(reply.send(answers::status(engine, self.client.heard_ago())));
            }
            Question::Metrics(reply) => {
                let now = self.now();
                let per_half = self.configuration.settings.metrics.per_half;
                let status = answers::status(&self.engine, self.client.heard_ago());
                let view = self.engine.meter().view(status, per_half, now);
                drop(reply.send(self.metrics.complete(view, self.network.api())));
            }
            Question::HalfSamples(viewer, selection, after, reply) => {
                drop(reply.send(engine.meter().halves(&viewer, selection, after.as_ref())));
            }
            Question::Plan(Some(candidate), reply) => {
                self.plans.read(move || reading_of(candidate).parse(), reply);
            }
            Question::Plan(None, reply) => {
                let paths = self.configuration.settings.paths.clone();
                self.plans
                    .read(move || Files::new(&paths).read_all(|found| found.source.parse()), reply);
            }
            Question::Held(project, reply) => {
                drop(reply.send(engine.held_view(project.as_deref())));
            }
            Question::Confirm(actor, confirmation, reply) => {
                let now = self.now();
                let confirmed = answers::confirm(&mut self.engine, &actor, &confirmation, now);
                drop(reply.send(confirmed));
            }
            Question::Hosts(reply) => drop(reply.send(engine.hosts())),
            Question::Forget(actor, host, reply) => {
                drop(reply.send(answers::forget(engine, &actor, host)));
            }
            Question::Store(edit, reply) => {
                let now = self.now();
                self.waiting.store(&mut self.engine, edit, reply, now);
            }
            Question::TakeOver(actor, request, reply) => {
                let now = self.now();
                self.waiting.take_over(&mut self.engine, actor, request, reply, now);
            }
            Question::Why(viewer, question, reply) => {
                drop(reply.send(answers::why(engine, &viewer, question)));
            }
            Question::Verify(sample, reply) => {
                let now = self.now();
                let basis = self.engine.plan_basis(now);
                self.plans.verify(basis, sample, reply);
            }
            Question::Refused(refused) => answers::refused(engine, refused),
            Question::Reload(actor, reply) => self.reload(&actor, Some(reply)),
        }
    }

    /// Handles the files of a plan once they are read.
    fn plan(&mut self, fresh: FreshReading) {
        if self.engine.is_synced() {
            self.plans.decide(self.engine.plan_basis(self.now()), fresh);
        } else {
            drop(fresh.reply.send(Err(Refusal::NotSynced)));
        }
    }

    /// Reads everything again: applies the policy now, and the files once they are read.
    fn reload(&mut self, actor: &Actor, reply: Option<oneshot::Sender<Reloaded>>) {
        self.service.reloading();
        let result = self.configuration.reload(&mut self.engine, &mut self.service);
        answers::written(&mut self.engine, actor, "reload".to_owned(), result);
        self.events.keep_for(&self.configuration.owned());
        self.renew();
        self.reloads.begin(self.watch.reread(), reply);
    }

    /// Has all certificates read again.
    fn renew(&mut self) {
        self.client.renew();
        self.network.renew();
        self.metrics.renew();
    }

    fn feed(&mut self) {
        self.service.alive();
        self.feed_at = self.service.watchdog.map(|every| time::Instant::now() + every);
    }

    fn report(&mut self) {
        self.status_at = None;
        self.service.status(&self.engine.status());
    }

    /// Handles the events that have come meanwhile, so that a burst becomes one batch.
    fn drain(&mut self) {
        for _ in 0..MOST_DRAINED {
            if self.engine.is_deciding() {
                break;
            }
            let Some(event) = self.client.try_next() else { break };
            self.northbound_event(event);
        }
        serve_wants(&mut self.engine, &self.client);
        self.bindings.watch(&self.engine);
    }

    /// Reading, deciding, sending and publishing take long where much has changed. Then each is done in
    /// turns of its own, so that the watchdog is fed between them; `computes` says that this turn has
    /// read or decided. No other event comes between: what is decided is compared and sent before
    /// anybody sees it.
    fn work(&mut self, computes: bool) {
        if self.engine.is_deciding() {
            // The engine asks for the next turn itself.
            (self.is_behind, self.publishes) = (false, false);
            return;
        }
        self.is_behind = true;
        if !self.publishes {
            if computes || self.submit() {
                return;
            }
            self.finish_readings();
            self.waiting.answer(&mut self.engine);
        }
        self.publish();
        self.publishes = self.engine.has_changes();
        self.is_behind = self.publishes;
    }

    /// Sends the next transaction, if the engine has one now: the client sends it while the engine
    /// composes another one. Returns whether there was any.
    fn submit(&mut self) -> bool {
        let Some(submission) = self.engine.poll(self.now()) else { return false };
        let id = submission.id;
        self.under_way.insert(id);
        if self.client.submit(id, submission.operations).is_err() {
            let result = Err(ovsdb::TransactError::NotConnected);
            self.northbound_event(ovsdb::Event::Transacted { id, result });
        }
        true
    }

    /// Passes changes to all subscribers.
    fn publish(&mut self) {
        self.network.set_ready(self.engine.is_synced());
        let changes = self.engine.changes();
        let now = self.started.elapsed();
        self.log.catch_up(now);
        for change in &changes {
            self.log.take(change, now);
            self.metrics.recorder.change(change);
        }
        for measured in self.engine.meter().measured() {
            self.metrics.recorder.measured(&measured);
        }
        self.events.publish(changes.iter().flat_map(published).collect(), self.now().wall);
        if self.ready && !changes.is_empty() && self.status_at.is_none() {
            self.status_at = Some(time::Instant::now() + STATUS_PACE);
        }
    }

    /// The data plane stays as it is; the exit waits only for transactions under way.
    async fn leave(mut self) {
        self.service.stopping();
        info!("leaving; the data plane stays as it is");
        let last = async {
            while !self.under_way.is_empty() {
                let Some(event) = self.client.next().await else { break };
                self.northbound_event(event);
            }
        };
        // The next instance sees from the rows whether the server did it.
        let _ = time::timeout(LAST_WORK, last).await;
        if !self.client.close(LAST_WORK).await {
            warn!("the northbound client did not end in time; leaving without it");
        }
        self.server.abort();
        // Its socket is removed before the process ends.
        let _ = self.server.await;
    }
}

/// The next report of the watcher.
async fn watched(watch: &mut Watch) -> LoopEvent {
    let extra = watch.extra_notify();
    tokio::select! {
        reading = watch.next() => LoopEvent::Reading(reading),
        () = extra.notified() => LoopEvent::Certificates,
    }
}
