//! Sends a change of the store, and says what it has changed and how the half stands.

use super::client::ControlClient;
use super::error::CtlError;
use super::names::HalfName;
use super::output::Output;
use super::store_arguments::StoreOptions;
use super::text::plain;
use super::wait::wait;
use crate::control::{StoreAnswer, StoreRequest};
use crate::view::HalfView;

/// Sends a change, and prints what it has changed.
pub(super) async fn store(
    client: &ControlClient,
    output: &Output,
    request: &StoreRequest,
) -> Result<(), CtlError> {
    let answer: StoreAnswer = client.post_json("/v1/store", request).await?;
    output.show(&answer, |answer, _| changes(answer, request.dry_run))
}

/// A line for each change.
fn changes(answer: &StoreAnswer, dry_run: bool) -> String {
    if answer.is_empty() {
        return "Nothing changes.\n".to_owned();
    }
    let verbs = if dry_run {
        ["would store", "would delete", "would store the rejection", "would delete the rejection"]
    } else {
        ["stored", "deleted", "stored the rejection", "deleted the rejection"]
    };
    let all = [&answer.stored, &answer.removed, &answer.rejected, &answer.unrejected];
    let lines = verbs.into_iter().zip(all);
    let lines = lines
        .flat_map(|(verb, keys)| keys.iter().map(move |key| format!("{verb} {}\n", plain(key))));
    lines.collect()
}

/// The state of a half that was just stored, for people; after the wait, if one is asked for.
pub(super) async fn report(
    client: &ControlClient,
    output: &Output,
    half: &HalfName,
    options: &StoreOptions,
) -> Result<(), CtlError> {
    if options.dry_run {
        return Ok(());
    }
    let found = match &options.wait.wait {
        Some(states) => wait(client, half, states, &options.wait.timeout).await?,
        None if output.is_for_people() => Some(client.get(&half.path()).await?),
        None => None,
    };
    match found.filter(|_| output.is_for_people()) {
        Some(found) => output.show(&found, |found, _| state_line(found)),
        None => Ok(()),
    }
}

pub(super) fn state_line(half: &HalfView) -> String {
    let explanation = half.explanation.iter().map(|text| format!(": {}", plain(text)));
    let next = half.next_step.iter().map(|text| format!("next: {}\n", plain(text)));
    let state: String = explanation.collect();
    let next: String = next.collect();
    format!("{}{state}\n{next}", half.state)
}
