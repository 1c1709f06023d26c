//! A first dump that is under way: folded part by part, while the server composes the next one. Nothing is decided by it
//! before it is whole.

use std::sync::Arc;

use crate::northbound::Northbound;
use crate::ovsdb::{Inconsistent, Layout, Replica, Updates};

/// What has come of it.
#[derive(Debug, Default)]
pub(super) enum Incoming {
    /// No part, or none that is good for anything.
    #[default]
    Nothing,
    /// The first one of all, with its index.
    First(Box<Northbound>),
    /// A later one, to be compared with what was known before: only what differs is news.
    Aside(Replica),
}

impl Incoming {
    /// Folds a part.
    ///
    /// # Errors
    /// It does not fit the parts before it: all of them are dropped.
    pub(super) fn extend(
        &mut self,
        layout: Arc<Layout>,
        part: Updates,
        first: bool,
    ) -> Result<(), Inconsistent> {
        let mut incoming = match self.take() {
            Self::Nothing if first => Self::First(Box::new(Northbound::new(layout))),
            Self::Nothing => Self::Aside(Replica::new(layout)),
            under_way @ (Self::First(_) | Self::Aside(_)) => under_way,
        };
        match &mut incoming {
            Self::First(northbound) => northbound.extend(part)?,
            Self::Aside(replica) => drop(replica.extend(part)?),
            Self::Nothing => {}
        }
        *self = incoming;
        Ok(())
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
