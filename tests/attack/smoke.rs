//! The ground itself: what is measured there is there.

use std::time::Duration;

use crate::ground::{ATTACKER, Ground};
use crate::site::half;

#[test]
fn what_a_tenant_does_is_seen_and_moves_nobody_else() {
    let ground = Ground::new();
    let (site, before) = (&ground.site, ground.standing());
    assert_eq!(before.as_array().map(Vec::len), Some(2), "{before}");
    ground.manager.begin();
    let computed = ground.computed();
    site.declare(ATTACKER, &half("to-shop", "web", "ochre/shop"));
    site.wait_state("blue/web/to-shop", "pending-peer");
    assert!(ground.computed() > computed);
    assert!(ground.manager.longest_silence() < Duration::from_secs(1));
    assert!(ground.memory() > 1 << 20 && ground.most_memory() >= ground.memory());
    assert_eq!(ground.standing(), before);
}
