//! The store in fleets at random: hosts that start, stop and are outrun, transactions whose replies are lost or that come late,
//! registrations that somebody deletes. What is acknowledged is stored, and nothing else.

use proptest::prelude::*;

use crate::clients::{Fault, Wish};
use crate::fleet::{Fleet, HOSTS, NETWORKS, STORE};
use crate::hosts;

#[derive(Clone, Debug)]
enum Action {
    /// At a host.
    Ask(usize, Wish),
    /// Of the next change of the store by a host.
    Fault(usize, Fault),
    /// What hosts and their files do.
    Hosts(hosts::Action),
    /// Time for a few transactions, not for all.
    Steps(usize),
    /// Who may declare for a project: hosts by bits, at least one, and whether the store.
    Name(usize, Option<(usize, bool)>),
    Rest,
}

fn wish() -> impl Strategy<Value = Wish> {
    let network = || 0..NETWORKS;
    let halves = prop::collection::btree_map(network(), any::<bool>(), 0..3);
    let rejected = prop::collection::btree_set(network(), 0..2);
    let wish = prop_oneof![
        6 => (network(), network(), prop::bool::weighted(0.9)).prop_map(|(a, b, on)| Wish::Create(a, b, on)),
        3 => (network(), network(), prop::bool::weighted(0.7)).prop_map(|(a, b, on)| Wish::Set(a, b, on)),
        4 => (network(), network()).prop_map(|(a, b)| Wish::Delete(a, b)),
        2 => (network(), network()).prop_map(|(a, b)| Wish::Reject(a, b)),
        3 => (network(), network()).prop_map(|(a, b)| Wish::Accept(a, b)),
        2 => (network(), network()).prop_map(|(a, b)| Wish::Rename(a, b)),
        2 => (network(), halves, rejected).prop_map(|(a, halves, no)| Wish::Apply(a, halves, no)),
    ];
    (wish, prop::bool::weighted(0.05))
        .prop_map(|(wish, tries)| if tries { Wish::Try(Box::new(wish)) } else { wish })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Outrun),
        Just(Fault::Unanswered),
        Just(Fault::Lost),
        Just(Fault::Late),
        Just(Fault::Dies),
        any::<usize>().prop_map(Fault::Deletes),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let host = || 0..HOSTS;
    prop_oneof![
        16 => (host(), wish()).prop_map(|(host, wish)| Action::Ask(host, wish)),
        4 => (host(), fault()).prop_map(|(host, fault)| Action::Fault(host, fault)),
        8 => hosts::action().prop_map(Action::Hosts),
        1 => (0..NETWORKS, prop::option::weighted(0.6, (1..1_usize << HOSTS, any::<bool>())))
            .prop_map(|(project, hosts)| Action::Name(project, hosts)),
        6 => (1..4_usize).prop_map(Action::Steps),
        3 => Just(Action::Rest),
    ]
}

/// Whether a host dies of its next change of the store.
fn somebody_dies(fleet: &Fleet) -> bool {
    fleet.hosts.iter().any(|it| it.fault == Some(Fault::Dies))
}

fn act(fleet: &mut Fleet, action: &Action) {
    match action {
        Action::Ask(_, wish) if wish.is_of_itself() => {}
        Action::Ask(host, wish) => fleet.ask(*host, wish),
        // The only host that may bind a network takes that with it if it dies at once.
        Action::Fault(_, Fault::Dies) if !fleet.named.is_empty() => {}
        Action::Name(..) if somebody_dies(fleet) => {}
        Action::Fault(host, fault) => {
            if *fault == Fault::Dies {
                fleet.settle();
            }
            fleet.hosts[*host].fault = Some(*fault);
        }
        Action::Hosts(hosts::Action::Name(..)) => {}
        // What counts for nobody is put back by nobody.
        Action::Hosts(hosts::Action::Delete(_) | hosts::Action::Restore(_))
            if fleet.has_stored_what_may_not_be() => {}
        // What no host but the one that dies next remembers cannot be put back.
        Action::Hosts(action @ (hosts::Action::Delete(_) | hosts::Action::Restore(_))) => {
            fleet.tell_all();
            hosts::act(fleet, action);
            fleet.settle();
        }
        // What a file says that its host has not written when it dies, nobody else knows.
        Action::Hosts(action) if somebody_dies(fleet) => {
            fleet.settle();
            hosts::act(fleet, action);
            fleet.settle();
        }
        // Nor what a host that stops has not written of its files.
        Action::Hosts(action @ (hosts::Action::Kill(_) | hosts::Action::Freeze(_))) => {
            fleet.settle();
            hosts::act(fleet, action);
        }
        Action::Hosts(action) => hosts::act(fleet, action),
        Action::Name(project, hosts) => {
            hosts::wake_all(fleet);
            fleet.settle();
            fleet.named.remove(project);
            let named = |(hosts, store): (usize, bool)| {
                let of = (0..HOSTS).filter(|host| hosts & (1 << host) != 0);
                of.chain(store.then_some(STORE)).collect()
            };
            fleet.named.extend(hosts.map(|hosts| (*project, named(hosts))));
            fleet.configure();
            fleet.settle();
        }
        Action::Steps(steps) => {
            for _ in 0..*steps {
                fleet.pass();
            }
        }
        Action::Rest => fleet.check(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_acknowledged_is_stored_and_nothing_else(
        actions in prop::collection::vec(action(), 1..80),
        remembers in any::<bool>(),
    ) {
        let mut fleet = Fleet::new();
        if !remembers {
            // Registrations end with their last half.
            fleet.forget_at_once();
        }
        fleet.check();
        let foreign = fleet.world.foreign();
        for action in &actions {
            act(&mut fleet, action);
        }
        hosts::wake_all(&mut fleet);
        fleet.check();
        prop_assert_eq!(fleet.clients.open(), 0, "somebody has no answer");
        prop_assert_eq!(foreign, fleet.world.foreign());
    }
}
