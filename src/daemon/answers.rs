//! Answers to clients of the control socket: views of the engine, and nothing else.

use crate::control::{Actor, Confirmation, Confirmed, Question, Refusal};
use crate::engine::{Change, HeldElse, NotForgotten};
use crate::ovsdb::client::ASK_INTERVAL;
use crate::view::{HostView, StatusView};

use super::candidate::reading_of;
use super::events::Shell;
use super::files::Files;
use super::plans::FreshReading;

impl Shell {
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::List(viewer, reply) => drop(reply.send(self.engine.list_for(&viewer))),
            Question::Show(viewer, half, reply) => {
                drop(reply.send(self.engine.show_for(&viewer, &half)));
            }
            Question::Diagnostics(viewer, reply) => {
                drop(reply.send(self.engine.diagnostics(&viewer)))
            }
            Question::Status(reply) => drop(reply.send(self.status())),
            Question::Plan(Some(candidate), reply) => {
                self.plans.read(move || reading_of(candidate).parse(), reply);
            }
            Question::Plan(None, reply) => {
                let paths = self.settings.paths.clone();
                self.plans
                    .read(move || Files::new(&paths).read_all(|found| found.source.parse()), reply);
            }
            Question::Held(project, reply) => {
                drop(reply.send(self.engine.held_view(project.as_deref())));
            }
            Question::Confirm(actor, confirmation, reply) => {
                drop(reply.send(self.confirm(&actor, &confirmation)));
            }
            Question::Hosts(reply) => drop(reply.send(self.engine.hosts())),
            Question::Forget(actor, host, reply) => {
                drop(reply.send(self.forget(&actor, host)));
            }
            Question::Reload(actor, reply) => self.reload(&actor, Some(reply)),
        }
    }

    /// The engine's state, with the state of the connection.
    fn status(&mut self) -> StatusView {
        let mut status = self.engine.status();
        let ago = self.client.heard_ago();
        let northbound = &mut status.northbound;
        northbound.heard_seconds_ago = northbound.synced.then_some(ago.as_secs());
        // While there is no session, the error of the last one says more.
        let open = northbound.synced || northbound.error.is_none();
        if open && ago >= ASK_INTERVAL * 2 {
            let seconds = ago.as_secs();
            northbound.error =
                Some(format!("the server has not answered for {seconds} s: it is busy, or hangs"));
        }
        status
    }

    /// Handles the files of a plan once they are read.
    pub(super) fn plan(&mut self, fresh: FreshReading) {
        if self.engine.is_synced() {
            self.plans.decide(self.engine.plan_basis(self.now()), fresh);
        } else {
            drop(fresh.reply.send(Err(Refusal::NotSynced)));
        }
    }

    /// Logs an operator's command, who gave it, and its result.
    pub(super) fn written(&mut self, actor: &Actor, what: String, result: Result<String, String>) {
        self.engine.report(Change::Written { actor: actor.0.to_string(), what, result });
    }

    fn forget(&mut self, actor: &Actor, host: String) -> Result<HostView, Refusal> {
        let what = format!("host forget {host}");
        let forgotten = self.engine.forget(&host).map_err(|why| match why {
            NotForgotten::Own => Refusal::OwnHost(host),
            NotForgotten::Unknown => Refusal::NoSuchHost(host),
            NotForgotten::NotSynced => Refusal::NotSynced,
            NotForgotten::Newer => Refusal::NewerVersion,
        });
        let result = forgotten.as_ref().map_err(ToString::to_string);
        let result =
            result.map(|host| format!("{} halves, {} networks", host.halves, host.networks));
        self.written(actor, what, result);
        forgotten
    }

    fn confirm(
        &mut self,
        actor: &Actor,
        confirmation: &Confirmation,
    ) -> Result<Confirmed, Refusal> {
        let Confirmation { project, seen } = confirmation;
        let of = project.as_ref().map(|project| format!(" --project {project}"));
        let what = format!("confirm{} {seen}", of.unwrap_or_default());
        let now = self.now();
        let confirmed = self.engine.confirm(project.as_deref(), seen, now);
        let confirmed = confirmed.map_err(|HeldElse| Refusal::HeldElse);
        let result = confirmed.as_ref().map_err(ToString::to_string);
        let result = result.map(|released| format!("withdrawals released: {}", released.len()));
        self.written(actor, what, result);
        confirmed.map(|released| Confirmed { released })
    }
}
