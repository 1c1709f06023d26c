//! The use of a gateway over the link of a half, for the owner of that half.

use crate::declare::HalfKey;
use crate::peering::end_of;
use crate::view::{GatewayView, TranslatedView};

use super::shown::Standings;

/// Which side leaves by the gateway of the other one, if one does. The user learns nothing of the
/// other side's router.
pub(super) fn gateway(standings: &Standings<'_>, key: &HalfKey) -> Option<GatewayView> {
    let resolver = &standings.state.resolver;
    let pair = resolver.pair_of(key)?;
    let gateway = resolver.link(pair)?.gateway.as_deref()?;
    let is_user = gateway.user == end_of(pair, &key.network);
    let translated = gateway.nat.iter().filter(|_| !is_user);
    Some(GatewayView {
        of: if is_user { "remote" } else { "local" }.to_owned(),
        destinations: gateway.listed.as_ref().map(|listed| listed.to_vec()),
        translated: translated
            .map(|nat| TranslatedView { from: nat.sources, to: nat.external })
            .collect(),
    })
}
