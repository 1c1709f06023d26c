//! Answers to clients of the control socket: views of the engine, and commands to it.

use std::sync::Arc;
use std::time::Duration;

use crate::control::{self, Actor, Confirmation, Confirmed, Refusal, Refused};
use crate::declare::{Edit, NotStored, StoredChange};
use crate::engine::{Change, Engine, HeldElse, NeitherOwn, NotForgotten, StoreResult};
use crate::now::Now;
use crate::ovsdb::client::ASK_INTERVAL;
use crate::view::{HostView, StatusView, Viewer, WhyQuestion, WhyView};

/// The engine's state, with the state of the connection: how long ago the server was heard.
pub(super) fn status(engine: &Engine, heard_ago: Duration) -> StatusView {
    let mut status = engine.status();
    let northbound = &mut status.northbound;
    northbound.heard_seconds_ago = northbound.synced.then_some(heard_ago.as_secs());
    // While there is no session, the error of the last one says more.
    let open = northbound.synced || northbound.error.is_none();
    if open && heard_ago >= ASK_INTERVAL * 2 {
        let seconds = heard_ago.as_secs();
        northbound.error =
            Some(format!("the server has not answered for {seconds} s: it is busy, or hangs"));
    }
    status
}

/// Reports an operator's command, who gave it, and its result.
pub(super) fn written(
    engine: &mut Engine,
    actor: &Actor,
    what: String,
    result: Result<String, String>,
) {
    let actor = actor.0.to_string();
    engine.report(Change::Written { actor, what, result, fault: false, project: None });
}

/// Reports a request that was refused before it was asked here.
pub(super) fn refused(engine: &mut Engine, refused: Refused) {
    let Refused { actor, what, why, project } = refused;
    let (actor, result) = (actor.0.to_string(), Err(why));
    engine.report(Change::Written { actor, what, result, fault: false, project });
}

pub(super) fn forget(
    engine: &mut Engine,
    actor: &Actor,
    host: String,
) -> Result<HostView, Refusal> {
    let what = format!("host forget {host}");
    let forgotten = engine.forget(&host).map_err(|why| match why {
        NotForgotten::Own => Refusal::OwnHost(host),
        NotForgotten::Store => Refusal::NotAHost,
        NotForgotten::Unknown => Refusal::NoSuchHost(host),
        NotForgotten::NotSynced => Refusal::NotSynced,
        NotForgotten::Newer => Refusal::NewerVersion,
    });
    let result = forgotten.as_ref().map_err(ToString::to_string);
    let result = result.map(|host| format!("{} halves, {} networks", host.halves, host.networks));
    written(engine, actor, what, result);
    forgotten
}

/// Why packets pass between two networks, or do not.
pub(super) fn why(
    engine: &Engine,
    viewer: &Viewer,
    question: WhyQuestion,
) -> Result<WhyView, Refusal> {
    engine.why(viewer, &question).map_err(|NeitherOwn| Refusal::NotOwner(question.from.project))
}

/// Who wants a change of the store, and what.
pub(super) struct StoreCommand {
    actor: String,
    what: String,
    project: Arc<str>,
}

pub(super) fn store_command(edit: &Edit) -> StoreCommand {
    StoreCommand {
        actor: edit.by.clone(),
        what: control::command(&edit.project, edit.replace, edit.dry_run),
        project: Arc::clone(&edit.project),
    }
}

/// Reports what became of a change of the store.
pub(super) fn stored(
    engine: &mut Engine,
    command: StoreCommand,
    result: StoreResult,
) -> Result<StoredChange, Refusal> {
    let StoreCommand { actor, what, project } = command;
    let text = result.as_ref().map_err(ToString::to_string).map(|change| change.to_string());
    let fault = result.as_ref().is_err_and(NotStored::is_fault);
    engine.report(Change::Written { actor, what, result: text, fault, project: Some(project) });
    result.map_err(Refusal::NotStored)
}

pub(super) fn confirm(
    engine: &mut Engine,
    actor: &Actor,
    confirmation: &Confirmation,
    now: Now,
) -> Result<Confirmed, Refusal> {
    let Confirmation { project, seen } = confirmation;
    let of = project.as_ref().map(|project| format!(" --project {project}"));
    let what = format!("confirm{} {seen}", of.unwrap_or_default());
    let confirmed = engine.confirm(project.as_deref(), seen, now);
    let confirmed = confirmed.map_err(|HeldElse| Refusal::HeldElse);
    let result = confirmed.as_ref().map_err(ToString::to_string);
    let result = result.map(|released| format!("withdrawals released: {}", released.len()));
    written(engine, actor, what, result);
    confirmed.map(|released| Confirmed { released })
}
