//! Reading everything again, on SIGHUP and on an operator's request.
//!
//! Invariant: a reload is over once a reading that began after it was asked for is folded in.

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::control::{Access, Reloaded};
use crate::declare::Settings;

use super::command::load;
use super::events::Shell;
use super::log;

/// Reloads under way. Bounded: the control socket bounds its questions, and signals coalesce.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    /// The last one asked of the watch.
    last: Option<u64>,
    waiting: Vec<(u64, oneshot::Sender<Reloaded>)>,
}

impl Shell {
    /// Reads everything again: the policy now, the files as soon as they come.
    pub(super) fn reload(&mut self, reply: Option<oneshot::Sender<Reloaded>>) {
        self.service.reloading();
        match load(&self.config) {
            Ok(settings) => {
                warn_of_restart(&self.settings, &settings);
                self.engine.configure(&settings);
                self.settings.policy = settings.policy;
                self.settings.projects = settings.projects;
                self.settings.control.operators = settings.control.operators;
                self.access.send_replace(Access::of(&self.settings));
                self.service.configure(&self.settings);
            }
            Err(cause) => {
                error!("the settings stay as they were: {}", log::chain(&cause));
            }
        }
        self.client.renew();
        let number = self.watch.reread();
        self.reloads.last = Some(number);
        self.reloads.waiting.extend(reply.map(|reply| (number, reply)));
    }

    /// Answers the reloads whose files have been folded in.
    pub(super) fn finish_reloads(&mut self) {
        let answered = self.watch.answered();
        let done = self.reloads.waiting.extract_if(.., |(number, _)| *number <= answered);
        let done: Vec<_> = done.collect();
        let over = self.reloads.last.is_some_and(|number| number <= answered);
        if done.is_empty() && !over {
            return;
        }
        let status = self.engine.status();
        if over {
            self.reloads.last = None;
            self.service.ready(&status);
            info!("every file was read again");
        }
        let reloaded = Reloaded {
            halves: status.halves.values().sum(),
            diagnostics: status.diagnostics,
            held: status.held,
        };
        for (_, reply) in done {
            // Whoever has left meanwhile does not want to know.
            let _ = reply.send(reloaded.clone());
        }
    }
}

/// What a reload does not take over is said, so that nobody waits for it.
fn warn_of_restart(old: &Settings, new: &Settings) {
    let sections = [
        ("northbound", old.northbound == new.northbound),
        ("paths", old.paths == new.paths),
        ("control", old.control.socket == new.control.socket),
        ("daemon", old.daemon == new.daemon),
    ];
    for (section, _) in sections.iter().filter(|(_, same)| !same) {
        warn!("the changes in [{section}] take effect with the next restart of ovn-peerd");
    }
}
