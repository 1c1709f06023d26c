//! Routers that no tool has made: by ovn-nbctl, or by one that is not known here.

use super::found::{Claim, Maker, Named};
use super::rows::Router;

pub(super) fn claim(router: &Router) -> Claim {
    let named = Named::new(Maker::Plain, "ovn", &*router.name)
        .guess("project", "the northbound does not say whose this router is");
    Claim::Network(Box::new(named))
}
