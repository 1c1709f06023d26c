//! Random runs on a server that takes its time, with so few groups in a transaction that a second one is under
//! way beside it half of the time: it comes to the same as one at a time, whatever fails or changes meanwhile.

use jiff::SignedDuration;
use ovn_peerd::declare::PolicySettings;
use proptest::prelude::*;

use crate::late::Late;
use crate::random::{Action, act, action, begin_anew, policy, prepared_on, rest, run};
use crate::world::NETWORKS;

/// Most networks ask for most others, so that much is to be done at once.
fn mesh() -> impl Strategy<Value = Vec<Action>> {
    let pairs = (0..NETWORKS).flat_map(|a| (a + 1..NETWORKS).map(move |b| (a, b)));
    let pairs: Vec<_> = pairs.collect();
    prop::sample::subsequence(pairs.clone(), 0..pairs.len()).prop_map(|pairs| {
        let both = pairs.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]);
        both.map(|(a, b)| Action::Declare(a, b, true)).collect()
    })
}

/// So the runs below are about what they say that they are about.
#[test]
fn with_one_group_in_a_transaction_a_second_one_is_under_way_half_of_the_time() {
    let mut world = prepared_on(Some(Late::new(1, 7, 0)), &PolicySettings::default());
    for (a, b) in (0..NETWORKS).flat_map(|a| (0..NETWORKS).map(move |b| (a, b))) {
        act(&mut world, &Action::Declare(a, b, true));
    }
    rest(&mut world, "the mesh");
    let before = (world.late().sent, world.late().beside);
    for _ in 0..20 {
        (0..8).for_each(|_| world.alter_any());
        rest(&mut world, "altered");
    }
    let (sent, beside) = (world.late().sent - before.0, world.late().beside - before.1);
    assert!(sent > 40 && 2 * beside > sent, "{beside} of {sent} were sent beside another");
}

/// A network that was refused goes along with the next pair that stands on it.
#[test]
fn a_pair_is_written_together_with_its_network_that_was_refused() {
    let policy = PolicySettings {
        history: SignedDuration::ZERO,
        request_expiry: None,
        ..Default::default()
    };
    for seed in (0..32).map(|at| 15_939_212_405_402_202_944 + 2 * at) {
        let pairs = [(0, 2), (2, 0), (0, 3), (3, 0)];
        let mut actions = pairs.map(|(a, b)| Action::Declare(a, b, true)).to_vec();
        actions.push(Action::Bind(0, 0));
        run(prepared_on(Some(Late::new(1, seed, 60)), &policy), &actions);
    }
}

/// The network writes that it has ended, and the pair what was declared before.
#[test]
fn a_half_that_ends_while_its_pair_is_under_way_is_written_after_it() {
    let policy = PolicySettings { history: SignedDuration::from_secs(7), ..Default::default() };
    for seed in 0..8 {
        let mut world = prepared_on(Some(Late::new(1, 2 * seed, 0)), &policy);
        act(&mut world, &Action::Declare(1, 0, false));
        rest(&mut world, "declared");
        act(&mut world, &Action::Renew(1, 0, 0));
        act(&mut world, &Action::Declare(0, 1, false));
        world.step_late();
        act(&mut world, &Action::Withdraw(1, 0));
        rest(&mut world, "ended");
        begin_anew(&mut world);
    }
}

proptest! {
    // Each of them is slow: much is under way, and all of it is looked at.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn two_transactions_under_way_come_to_the_same(
        mesh in mesh(),
        actions in prop::collection::vec(action(), 1..40),
        policy in policy(),
        groups in 1..3usize,
        seed in any::<u64>(),
        faults in prop::sample::select(vec![0, 0, 60]),
    ) {
        let late = Late::new(groups, seed, faults);
        let actions: Vec<Action> = mesh.into_iter().chain(actions).collect();
        run(prepared_on(Some(late), &policy), &actions);
    }

    #[test]
    fn what_changes_while_two_transactions_are_under_way_is_written_in_the_end(
        mesh in mesh(),
        script in prop::collection::vec((action(), 0..3usize), 1..60),
        policy in policy(),
        groups in prop::sample::select(vec![1, 1, 2, 256]),
        seed in any::<u64>(),
        faults in prop::sample::select(vec![0, 0, 60]),
    ) {
        let mut world = prepared_on(Some(Late::new(groups, seed, faults)), &policy);
        mesh.iter().for_each(|action| act(&mut world, action));
        for (number, (action, steps)) in script.iter().enumerate() {
            world.pass(1);
            act(&mut world, action);
            world.publish();
            for _ in 0..*steps {
                world.alter_any();
                world.publish();
                world.step_late();
            }
            if number % 16 == 15 {
                rest(&mut world, &format!("step {number}, {action:?}"));
            }
        }
        rest(&mut world, "the end");
        begin_anew(&mut world);
    }
}
