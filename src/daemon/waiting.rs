//! Clients who wait until the northbound has answered: for a change of the store, or for links that are
//! taken over.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::control::{Actor, Refusal, TakeOver};
use crate::declare::{Edit, HalfKey, NetworkKey, StoredChange};
use crate::engine::{Engine, NotReplaced};
use crate::now::Now;
use crate::view::{TakeOverLink, TakeOverOutcome, TakeOverView};

use super::answers;

type StoreReply = oneshot::Sender<Result<StoredChange, Refusal>>;
type TakeOverReply = oneshot::Sender<Result<TakeOverView, Refusal>>;

/// Who waits, and what to log.
#[derive(Default)]
pub(super) struct Waiting {
    stores: BTreeMap<u64, (answers::StoreCommand, StoreReply)>,
    take_overs: BTreeMap<u64, (Actor, TakeOverReply)>,
}

impl Waiting {
    pub(super) fn store(
        &mut self,
        engine: &mut Engine,
        mut edit: Edit,
        reply: StoreReply,
        now: Now,
    ) {
        edit.at = now.wall;
        let command = answers::store_command(&edit);
        let id = engine.store(edit, now);
        self.stores.insert(id, (command, reply));
    }

    pub(super) fn take_over(
        &mut self,
        engine: &mut Engine,
        actor: Actor,
        TakeOver { half, dry_run }: TakeOver,
        reply: TakeOverReply,
        now: Now,
    ) {
        let half = half
            .map(|[project, network, name]| HalfKey::new(NetworkKey::new(project, network), name));
        if dry_run {
            let found = engine.take_over().look(half.as_ref()).map_err(refusal);
            return drop(reply.send(found));
        }
        match engine.take_over().begin(half.as_ref(), now) {
            Ok(id) => drop(self.take_overs.insert(id, (actor, reply))),
            Err(why) => {
                let why = refusal(why);
                let what = half.map_or_else(|| "--all".to_owned(), |half| half.to_string());
                let what = format!("take-over {what}");
                answers::written(engine, &actor, what, Err(why.to_string()));
                drop(reply.send(Err(why)));
            }
        }
    }

    /// Answers those whose result is there, once it is decided on.
    pub(super) fn answer(&mut self, engine: &mut Engine) {
        for (id, result) in engine.take_stored() {
            let Some((command, reply)) = self.stores.remove(&id) else { continue };
            drop(reply.send(answers::stored(engine, command, result)));
        }
        for (id, view) in engine.take_over().take() {
            let Some((actor, reply)) = self.take_overs.remove(&id) else { continue };
            for link in &view.links {
                answers::written(engine, &actor, command(link), result(link));
            }
            drop(reply.send(Ok(view)));
        }
    }
}

/// As one types it, of one link.
fn command(link: &TakeOverLink) -> String {
    format!("take-over {}", link.halves.first().map(String::as_str).unwrap_or("--all"))
}

/// What became of a link, with the rows of others that went.
fn result(link: &TakeOverLink) -> Result<String, String> {
    match link.outcome {
        TakeOverOutcome::TakenOver => {
            let rows = link.rows.iter().map(|row| {
                let uuid = row.uuid.as_deref().unwrap_or_default();
                format!("{} {} ({uuid})", row.table, row.summary)
            });
            Ok(format!("deleted {}", rows.collect::<Vec<_>>().join(", ")))
        }
        TakeOverOutcome::Ready | TakeOverOutcome::NoParity | TakeOverOutcome::NotTakenOver => {
            Err(link.explanations.join("; "))
        }
    }
}

fn refusal(why: NotReplaced) -> Refusal {
    match why {
        NotReplaced::NoSuchHalf(half) => Refusal::NoSuchHalf(half),
        NotReplaced::NoLink(half, state, reason) => {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            Refusal::NoForeignLink { half, standing: format!("{state}{reason}") }
        }
        NotReplaced::UnderWay(half) => Refusal::UnderWay(half),
        NotReplaced::NotSynced => Refusal::NotSynced,
        NotReplaced::Newer => Refusal::NewerVersion,
        NotReplaced::Standby => Refusal::Standby,
    }
}
