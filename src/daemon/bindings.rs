//! Networks that are bound to a tool's network, by its names there: their routers are looked up, and again
//! when a router is gone or new ones have come.
//!
//! A file with such networks is handed on with the names of the routers, as if the operator had written
//! these; when one differs, it is handed on again. Invariants: the event loop never waits for a tool; one
//! look-up is under way at a time; a tool that does not answer changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use super::discover::look;
use super::moment::until;
use crate::declare::{FileId, ParsedFile, Reading, RouterRef, Tool, ToolNetwork, ToolSettings};
use crate::discover::resolve;
use crate::engine::Engine;
use crate::ovsdb::Config;

/// A tool makes several rows for a network, and is asked after the last one.
const SETTLE: Duration = Duration::from_millis(50);
/// The pause after a look-up that has not found everything; it doubles up to the next one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// So long after routers came or went, a tool may still be at work on them: the pause does not double.
const AT_WORK: Duration = Duration::from_secs(5);
/// How often routers that come and go are reason to look whether names have moved, while all are found.
const CALM: Duration = Duration::from_secs(60);

/// What became of the look-up of each.
type Looked = BTreeMap<Arc<ToolNetwork>, Result<Arc<str>, String>>;

/// The files with such networks, and their routers.
#[derive(Debug)]
pub(super) struct Bindings {
    northbound: Config,
    tools: ToolSettings,
    /// As read: without routers.
    files: BTreeMap<FileId, ParsedFile>,
    routers: BTreeMap<Arc<ToolNetwork>, Arc<str>>,
    /// What was said of those that are not found.
    told: BTreeMap<Arc<ToolNetwork>, String>,
    under_way: Option<oneshot::Receiver<Looked>>,
    due: Option<Instant>,
    pause: Duration,
    /// How often routers had come and gone when they were last looked at.
    seen: u64,
    looked: Option<Instant>,
    /// When the last look-up began, and how long it took.
    began: Option<Instant>,
    /// When routers came or went.
    stirred: Option<Instant>,
    took: Duration,
}

impl Bindings {
    pub(super) fn new(northbound: Config, tools: ToolSettings) -> Self {
        Self {
            northbound,
            tools,
            files: BTreeMap::new(),
            routers: BTreeMap::new(),
            told: BTreeMap::new(),
            under_way: None,
            due: None,
            pause: FIRST_PAUSE,
            seen: 0,
            looked: None,
            began: None,
            stirred: None,
            took: Duration::ZERO,
        }
    }

    /// Notes the files of a reading that have such networks, and writes the routers into them.
    pub(super) fn read(&mut self, reading: &mut Reading<ParsedFile>) {
        if reading.complete {
            let listed: BTreeSet<&FileId> = reading.files.iter().map(|file| &file.id).collect();
            self.files.retain(|id, _| listed.contains(id));
        }
        for id in &reading.removed {
            self.files.remove(id);
        }
        for file in &mut reading.files {
            if file.tool_networks().next().is_none() {
                self.files.remove(&file.id);
                continue;
            }
            self.files.insert(file.id.clone(), file.clone());
            file.bind(|of| self.routers.get(of).cloned());
            // Also if all are known: an operator who has a file read again wants to know.
            self.look_after(Duration::ZERO);
        }
        let wanted = self.wanted();
        self.routers.retain(|of, _| wanted.contains(of));
        self.told.retain(|of, _| wanted.contains(of));
    }

    fn wanted(&self) -> BTreeSet<Arc<ToolNetwork>> {
        self.files.values().flat_map(ParsedFile::tool_networks).cloned().collect()
    }

    /// The least pause between two look-ups.
    fn least(&self) -> Duration {
        FIRST_PAUSE.max(self.took * 3).min(LAST_PAUSE)
    }

    fn look_after(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        self.pause = FIRST_PAUSE;
    }

    /// Looks at the routers of the northbound, whether a look-up is needed.
    pub(super) fn watch(&mut self, engine: &Engine) {
        let changes = engine.routers().changes();
        if changes == self.seen || self.files.is_empty() {
            self.seen = changes;
            return;
        }
        self.seen = changes;
        self.stirred = Some(Instant::now());
        let since = self.looked.map_or(CALM, |looked| looked.elapsed());
        let is_there = |router: &Arc<str>| engine.routers().has(&RouterRef::named(router));
        if self.told.is_empty() && self.routers.values().all(is_there) {
            self.look_after(CALM.saturating_sub(since).max(SETTLE));
        } else {
            // Where others make routers all the time, a quarter of it at most is spent on looking.
            self.look_after(self.least().saturating_sub(since).max(SETTLE));
        }
    }

    /// The files in which something differs by the next look-up, to be read again; begins it when it is
    /// due. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Reading<ParsedFile> {
        loop {
            if let Some(under_way) = &mut self.under_way {
                let looked = under_way.await;
                self.under_way = None;
                if let Some(reading) = looked.ok().and_then(|looked| self.take(looked)) {
                    return reading;
                }
                continue;
            }
            if self.due.is_none() {
                pending::<()>().await;
            }
            until(self.due).await;
            self.due = None;
            self.begin();
        }
    }

    fn begin(&mut self) {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return;
        }
        self.began = Some(Instant::now());
        let (reply, under_way) = oneshot::channel();
        let (northbound, settings) = (self.northbound.clone(), self.tools.clone());
        tokio::spawn(async move {
            let tools: BTreeSet<Tool> = wanted.iter().map(|of| of.tool).collect();
            let found = look(northbound, &settings, &tools, None).await;
            let resolved = wanted.into_iter().map(|of| {
                let router = match &found {
                    Ok(found) => resolve(&of, found).map(Arc::from),
                    Err(error) => Err(error.to_string()),
                };
                (of, router)
            });
            // The loop may have ended.
            let _ = reply.send(resolved.collect());
        });
        self.under_way = Some(under_way);
    }

    /// Takes over what a look-up has found; returns the files in which something differs.
    fn take(&mut self, looked: Looked) -> Option<Reading<ParsedFile>> {
        let wanted = self.wanted();
        self.looked = Some(Instant::now());
        self.took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let mut changed = BTreeSet::new();
        for (of, router) in looked.into_iter().filter(|(of, _)| wanted.contains(of)) {
            match router {
                Ok(router) => {
                    self.told.remove(&of);
                    let before = self.routers.insert(Arc::clone(&of), Arc::clone(&router));
                    if before.as_ref() != Some(&router) {
                        info!(network = %of, %router, "the router of a tool's network");
                        changed.insert(of);
                    }
                }
                Err(why) => {
                    if self.told.insert(Arc::clone(&of), why.clone()).as_ref() != Some(&why) {
                        let stays = match self.routers.get(&of) {
                            Some(router) => format!("router {router} stays bound"),
                            None => "a router that was bound before stays bound".to_owned(),
                        };
                        warn!(network = %of, "the router of a tool's network is not found: {why}; {stays}");
                    }
                }
            }
        }
        if !self.told.is_empty() || wanted.iter().any(|of| !self.routers.contains_key(of)) {
            let at = Instant::now() + self.pause.max(self.least());
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
            if self.stirred.is_none_or(|stirred| stirred.elapsed() > AT_WORK) {
                self.pause = (self.pause * 2).min(LAST_PAUSE);
            }
        }
        let is_changed = |file: &ParsedFile| file.tool_networks().any(|of| changed.contains(of));
        let files = self.files.values().filter(|file| is_changed(file)).cloned();
        let mut files: Vec<ParsedFile> = files.collect();
        for file in &mut files {
            file.bind(|of| self.routers.get(of).cloned());
        }
        (!files.is_empty()).then(|| Reading { files, ..Reading::default() })
    }
}
