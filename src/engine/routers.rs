//! What bindings by a tool's names need to know of the northbound's routers.

use crate::declare::RouterRef;

use super::Engine;

/// The routers, as far as the northbound was read.
#[derive(Debug)]
pub struct Routers<'e>(pub(super) &'e Engine);

impl Routers<'_> {
    /// How often some came, went or got other names.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.router_changes
    }

    /// Whether a reference names one.
    #[must_use]
    pub fn has(&self, reference: &RouterRef) -> bool {
        let northbound = self.0.northbound.as_deref();
        northbound.is_some_and(|it| it.routers(reference).next().is_some())
    }
}
