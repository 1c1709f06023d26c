//! `wait` and `--wait`: until a half is in one of some states, or until time is over.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::change_error::ChangeError;
use super::client::ControlClient;
use super::error::CtlError;
use super::names::HalfName;
use super::store_arguments::Timeout;
use crate::view::{HalfView, State};

/// The pauses between two looks: short at first, as most waits are.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Waits until a half is in one of these states. None is returned once it is not shown any more,
/// if `deleted` is among the states.
pub(super) async fn wait(
    client: &ControlClient,
    half: &HalfName,
    states: &[State],
    timeout: &Timeout,
) -> Result<Option<HalfView>, CtlError> {
    let time = Duration::try_from(timeout.timeout).unwrap_or_default();
    let until = Instant::now().checked_add(time);
    let mut pause = FIRST_PAUSE;
    loop {
        let found = match client.get::<HalfView>(&half.path()).await {
            Ok(found) if states.contains(&found.state) => return Ok(Some(found)),
            Err(error) if error.is_missing() && states.contains(&State::Deleted) => {
                return Ok(None);
            }
            found => found?,
        };
        if until.is_some_and(|until| Instant::now() + pause > until) {
            let (half, wanted, found) = (half.to_string(), states.to_vec(), Box::new(found));
            return Err(ChangeError::NotInTime { half, wanted, found }.into());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
