//! Waiting for a moment.

use std::future::pending;

use tokio::time::{self, Instant};

/// Waits until a moment; forever if there is none.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment).await,
        None => pending().await,
    }
}
