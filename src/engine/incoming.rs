//! A first dump that is under way: folded part by part, while the server composes the next one. Nothing is told or written by it
//! before it is whole.

use std::sync::Arc;

use crate::northbound::{Northbound, Touched};
use crate::ovsdb::{Inconsistent, Layout, Replica, Updates};

/// What has come of it.
#[derive(Debug, Default)]
pub(super) enum Incoming {
    /// No part.
    #[default]
    Nothing,
    /// Some part did not fit those before it: what is left of this dump is good for nothing.
    Spoiled,
    /// The first one of all, with its index.
    First(Box<Northbound>),
    /// A later one, to be compared with what was known before: only what differs is news.
    Aside(Replica),
}

impl Incoming {
    /// Folds a part; tells what it touched of the first one of all.
    ///
    /// # Errors
    /// It does not fit the parts before it: none of this dump is good for anything.
    pub(super) fn extend(
        &mut self,
        layout: Arc<Layout>,
        part: Updates,
        first: bool,
    ) -> Result<Touched, Inconsistent> {
        if matches!(self, Self::Nothing) {
            *self = if first {
                Self::First(Box::new(Northbound::new(layout)))
            } else {
                Self::Aside(Replica::new(layout))
            };
        }
        match self {
            Self::First(northbound) => northbound.extend(part),
            Self::Aside(replica) => replica.extend(part).map(|_| Touched::default()),
            Self::Nothing | Self::Spoiled => Ok(Touched::default()),
        }
    }

    /// The first one of all, as far as it has come.
    pub(super) fn northbound(&self) -> Option<&Northbound> {
        match self {
            Self::First(northbound) => Some(northbound),
            Self::Nothing | Self::Spoiled | Self::Aside(_) => None,
        }
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
