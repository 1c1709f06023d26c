//! Whether the store takes a change.
//!
//! Judged by the declarations alone. Nothing of the target network is looked at, so the answer says
//! nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::declare::{
    Declarations, Edit, Half, HalfKey, NetworkKey, NotStored, RejectionKey, STORE, StoredChange,
};
use crate::northbound::stored::etag;

use super::state::State;

/// What an edit changes now.
pub(super) fn judge(edit: &Edit, state: &State) -> Result<StoredChange, NotStored> {
    let declarations = &state.declarations;
    if !declarations.may_store(&edit.project) {
        return Err(NotStored::NotNamed(Arc::clone(&edit.project)));
    }
    let mut change = StoredChange::default();
    for half in &edit.halves {
        if check(edit, declarations, half)? {
            change.stored.push(half.key.clone());
        }
    }
    for key in &edit.remove {
        match_tag(edit, declarations, key)?;
        change.removed.push(key.clone());
    }
    let rejects = |key: &&RejectionKey| declarations.stored_rejection(key).is_some();
    for key in edit.rejections.iter().filter(|key| !rejects(key)) {
        bound(declarations, &key.network)?;
        change.rejected.push(key.clone());
    }
    change.unrejected.extend(edit.unreject.iter().filter(rejects).cloned());
    if edit.replace {
        replace(edit, state, &mut change)?;
    }
    check_targets(edit, declarations, &change)?;
    check_quota(edit, state, &change)?;
    Ok(change)
}

/// Of two halves of a network with the same target only one could ever be up, and a half counts
/// before a rejection of its target. In files that is shown as a state; here it is refused.
fn check_targets(
    edit: &Edit,
    declarations: &Declarations,
    change: &StoredChange,
) -> Result<(), NotStored> {
    let stored: BTreeSet<&HalfKey> = change.stored.iter().collect();
    let newly_targets = |half: &&Half| {
        let before = declarations.stored_half(&half.key);
        stored.contains(&half.key) && before.is_none_or(|before| before.value.target != half.target)
    };
    let new: Vec<&Half> = edit.halves.iter().filter(newly_targets).collect();
    let networks = new.iter().map(|half| &half.key.network);
    let networks: BTreeSet<&NetworkKey> =
        networks.chain(change.rejected.iter().map(|key| &key.network)).collect();
    // These go, or get a target now.
    let moving: BTreeSet<&HalfKey> =
        change.removed.iter().chain(new.iter().map(|half| &half.key)).collect();
    let targets = |key: &NetworkKey, target: &NetworkKey| (key.clone(), target.clone());
    let mut by_target: BTreeMap<(NetworkKey, NetworkKey), HalfKey> = BTreeMap::new();
    for key in networks.into_iter().flat_map(|network| declarations.halves_of_network(network)) {
        let said = declarations.half(&key, |_| false, |_| false);
        if let Some(said) = said.filter(|_| !moving.contains(&key)) {
            by_target.insert(targets(&key.network, &said.value.target), key);
        }
    }
    for half in new {
        let former = by_target.insert(targets(&half.key.network, &half.target), half.key.clone());
        if let Some(other) = former {
            return Err(NotStored::Targeted { half: other, target: half.target.clone() });
        }
    }
    for RejectionKey { network, from } in &change.rejected {
        if let Some(half) = by_target.get(&targets(network, from)) {
            return Err(NotStored::Consented { half: half.clone(), from: from.clone() });
        }
    }
    Ok(())
}

/// Whether a half that may be stored differs from the stored one.
fn check(edit: &Edit, declarations: &Declarations, half: &Half) -> Result<bool, NotStored> {
    bound(declarations, &half.key.network)?;
    not_in_file(declarations, &half.key)?;
    let stored = declarations.stored_half(&half.key);
    match stored {
        Some(_) if edit.create => return Err(NotStored::Exists(half.key.clone())),
        _ if edit.if_match.is_some() && !edit.create => {
            match_tag(edit, declarations, &half.key)?;
        }
        _ => {}
    }
    Ok(stored.is_none_or(|stored| stored.value != *half))
}

fn match_tag(edit: &Edit, declarations: &Declarations, key: &HalfKey) -> Result<(), NotStored> {
    let Some(stored) = declarations.stored_half(key) else {
        not_in_file(declarations, key)?;
        return Err(NotStored::Missing(key.clone()));
    };
    match &edit.if_match {
        Some(tag) if *tag != etag(&stored.value) => Err(NotStored::Changed(key.clone())),
        Some(_) | None => Ok(()),
    }
}

fn replace(edit: &Edit, state: &State, change: &mut StoredChange) -> Result<(), NotStored> {
    let (halves, rejections) = state.declarations.stored_of_project(&edit.project);
    let kept: BTreeSet<&HalfKey> = edit.halves.iter().map(|half| &half.key).collect();
    let removed = halves.iter().map(|stored| &stored.value.key);
    change.removed.extend(removed.filter(|key| !kept.contains(key)).cloned());
    let kept: BTreeSet<&RejectionKey> = edit.rejections.iter().collect();
    change.unrejected.extend(rejections.iter().filter(|key| !kept.contains(key)).cloned());
    let removed = change.removed.len();
    if state.policy().max_withdrawals.is_exceeded(removed, halves.len()) {
        return Err(NotStored::Withdraws(removed));
    }
    Ok(())
}

fn check_quota(edit: &Edit, state: &State, change: &StoredChange) -> Result<(), NotStored> {
    let Some(most) = state.policy().quotas.per_project else { return Ok(()) };
    let new = change.stored.iter().filter(|key| !state.declarations.declares(key)).count();
    if new == 0 {
        return Ok(());
    }
    let declared = state.declarations.halves_of_project(&edit.project).len();
    let after = (declared + new).saturating_sub(change.removed.len());
    if after > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(NotStored::TooMany(most));
    }
    Ok(())
}

fn bound(declarations: &Declarations, network: &NetworkKey) -> Result<(), NotStored> {
    match declarations.is_bound(network) {
        true => Ok(()),
        false => Err(NotStored::NoNetwork(network.clone())),
    }
}

fn not_in_file(declarations: &Declarations, half: &HalfKey) -> Result<(), NotStored> {
    let mut hosts = declarations.hosts_of_half(half);
    hosts.retain(|host| **host != *STORE);
    match hosts.is_empty() {
        true => Ok(()),
        false => {
            let place = declarations.local.place_of_half(half);
            let place = place.map(|(path, line)| format!("{path}:{line}"));
            Err(NotStored::InFile { half: half.clone(), place, hosts })
        }
    }
}
