//! The ground itself: what is measured there is there.

use std::time::Duration;

use crate::ground::{ATTACKER, Ground};
use crate::manager::computed;
use crate::site::half;

#[test]
fn what_a_tenant_does_is_seen_and_moves_nobody_else() {
    let ground = Ground::new();
    let (site, before) = (&ground.site, ground.standing());
    assert_eq!(before.as_array().map(Vec::len), Some(2), "{before}");
    let process = site.pid();
    ground.manager.begin(process);
    let before_that = computed(process);
    site.declare(ATTACKER, &half("to-shop", "web", "ochre/shop"));
    site.wait_state("blue/web/to-shop", "pending-peer");
    let (silence, work) = ground.manager.longest();
    assert!(silence > Duration::ZERO && silence < Duration::from_secs(10), "{silence:?}");
    assert!(work > Duration::ZERO && work <= computed(process) - before_that, "{work:?}");
    assert!(ground.memory() > 1 << 20 && ground.most_memory() >= ground.memory());
    assert_eq!(ground.standing(), before);
}
