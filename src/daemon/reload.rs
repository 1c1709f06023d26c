//! Reading everything again, on SIGHUP and on an operator's request.
//!
//! Invariant: a reload ends once a reading that began after the request is applied.

use tokio::sync::oneshot;

use crate::control::{Access, Actor, Reloaded};
use crate::declare::{Settings, Severity};
use crate::engine::Change;

use super::events::Shell;
use super::files::read_settings;

/// Reloads under way. Bounded: the control socket bounds its questions, and signals coalesce.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    /// The number of the last request to the watch.
    last: Option<u64>,
    /// The sections of the settings whose changes need a restart.
    restart: Vec<&'static str>,
    waiting: Vec<(u64, oneshot::Sender<Reloaded>)>,
}

impl Shell {
    /// Reads everything again: applies the policy now, and the files once they are read.
    pub(super) fn reload(&mut self, actor: &Actor, reply: Option<oneshot::Sender<Reloaded>>) {
        self.service.reloading();
        let result = self.reload_settings();
        self.written(actor, "reload".to_owned(), result);
        self.client.renew();
        let number = self.watch.reread();
        self.reloads.last = Some(number);
        self.reloads.waiting.extend(reply.map(|reply| (number, reply)));
    }

    /// Settings with an error change nothing: half of an operator's policy is none.
    fn reload_settings(&mut self) -> Result<String, String> {
        let (settings, faults) = read_settings(&self.config);
        self.engine.note_settings(faults.clone());
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            self.engine.report(Change::SettingsRejected { errors: faults });
            return Err("the settings stay as they were".to_owned());
        }
        self.reloads.restart = awaiting_restart(&self.settings, &settings);
        self.engine.configure(&settings);
        let restart = self.reloads.restart.clone();
        self.engine.report(Change::SettingsApplied { restart });
        self.settings.policy = settings.policy;
        self.settings.projects = settings.projects;
        self.settings.control.operators = settings.control.operators;
        self.access.send_replace(Access::of(&self.settings));
        self.service.configure(&self.settings);
        Ok("the settings are applied, every file is read".to_owned())
    }

    /// Answers the reloads whose files have been applied.
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
            self.engine.report(Change::Reloaded);
        }
        let reloaded = Reloaded {
            halves: status.halves.values().sum(),
            errors: status.errors,
            restart: self.reloads.restart.iter().map(|it| (*it).to_owned()).collect(),
            diagnostics: status.diagnostics,
            more_diagnostics: status.more_diagnostics,
            held: status.held,
            more_held: status.more_held,
        };
        for (_, reply) in done {
            // A client that has left meanwhile needs no answer.
            let _ = reply.send(reloaded.clone());
        }
    }
}

/// The sections whose changes a reload does not apply.
fn awaiting_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let sections = [
        ("[northbound]", old.northbound == new.northbound),
        ("[paths]", old.paths == new.paths),
        ("[control] socket", old.control.socket == new.control.socket),
        ("[daemon]", old.daemon == new.daemon),
    ];
    sections.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect()
}
