//! `wait` and `--wait`: until a half is in one of some states, or until time is over.

use super::change_error::ChangeError;
use super::client::ControlClient;
use super::error::CtlError;
use super::follow::{Look, look_until};
use super::names::HalfName;
use super::store_arguments::Timeout;
use crate::view::{AttentionView, HalfView, State};

/// Waits until a half is in one of these states. None is returned once it is not shown any more,
/// if `deleted` is among the states.
pub(super) async fn wait(
    client: &ControlClient,
    half: &HalfName,
    states: &[State],
    timeout: &Timeout,
) -> Result<Option<HalfView>, CtlError> {
    look_until(client, half, timeout.time(), async || look(client, half, states).await).await
}

async fn look(
    client: &ControlClient,
    half: &HalfName,
    states: &[State],
) -> Result<Look<Option<HalfView>>, CtlError> {
    match client.get::<HalfView>(&half.path()).await {
        Ok(found) if states.contains(&found.state) => Ok(Look::Found(Some(found))),
        Ok(found) => {
            let (half, wanted, found) = (half.to_string(), states.to_vec(), Box::new(found));
            Ok(Look::NotYet(ChangeError::NotInTime { half, wanted, found }.into()))
        }
        // A daemon that has not read the northbound does not know yet what is stored there.
        Err(error) if error.is_missing() && is_away(client).await? => Ok(Look::NotYet(error)),
        Err(error) if error.is_missing() && states.contains(&State::Deleted) => {
            Ok(Look::Found(None))
        }
        Err(error) => Err(error),
    }
}

/// Whether the northbound is out of the daemon's reach, or was not read yet.
async fn is_away(client: &ControlClient) -> Result<bool, CtlError> {
    let attention: AttentionView = client.get("/v1/attention").await?;
    Ok(attention.northbound_away_since.is_some())
}
