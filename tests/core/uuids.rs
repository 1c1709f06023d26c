//! Targets by UUID: a half that names its target so comes where one comes that has its names, and learns nothing before.

use std::collections::BTreeSet;

use ovn_peerd::declare::{Directory, NetworkKey, default_of_network};
use ovn_peerd::view::{HalfView, Reason, State, Viewer};
use proptest::prelude::*;
use uuid::Uuid;

use crate::random::{Action, action, policy, prepared_on, run};
use crate::texts::source;
use crate::world::{NETWORKS, World};

/// Which halves name their target by its UUID.
fn by_uuid() -> impl Strategy<Value = BTreeSet<(usize, usize)>> {
    prop::collection::btree_set((0..NETWORKS, 0..NETWORKS), 0..NETWORKS * NETWORKS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// The model knows of no UUID. A network without a router is not found by its UUID: so none is unbound here.
    #[test]
    fn by_uuid_or_by_names_is_the_same(
        actions in prop::collection::vec(action(), 1..60),
        policy in policy(),
        by_uuid in by_uuid(),
    ) {
        let mut world = prepared_on(None, &policy);
        world.by_uuid = by_uuid;
        let bound = |action: &&Action| !matches!(action, Action::Unbind(_));
        let actions: Vec<Action> = actions.iter().filter(bound).cloned().collect();
        run(world, &actions);
    }
}

/// Networks p0/n, p1/n and p2/n on routers of their own.
fn three() -> World {
    let mut world = World::new();
    world.add_networks(&[(0, 0), (1, 4), (2, 5)]);
    world
}

fn uuid_of(network: usize) -> Uuid {
    default_of_network(&NetworkKey::new(format!("p{network}"), "n"))
}

fn half(name: &str, uuid: Uuid) -> String {
    format!("[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_uuid = \"{uuid}\"\n")
}

fn declare(world: &mut World, network: usize, halves: &[String]) {
    let text = format!("project = \"p{network}\"\n{}", halves.concat());
    world.read(source(Directory::Peerings, network, text));
    world.rest();
}

fn bind(world: &mut World, network: usize, uuid: Option<Uuid>) {
    let uuid = uuid.map(|uuid| format!("uuid = \"{uuid}\"\n")).unwrap_or_default();
    let text = format!(
        "[[network]]\nproject = \"p{network}\"\nname = \"n\"\nrouter = \"r{network}\"\n{uuid}"
    );
    world.read(source(Directory::Networks, network, text));
    world.rest();
}

/// What the owner of p0 reads of its halves.
fn seen(world: &World) -> Vec<HalfView> {
    let own = Viewer::Tenant(BTreeSet::from(["p0".into()]).into());
    world.engine.list_for(&own)
}

fn states(world: &World) -> Vec<(String, State)> {
    let halves = world.engine.list().into_iter();
    halves.map(|half| (format!("{}/{}", half.project, half.name), half.state)).collect()
}

/// S3.3, S3.28: until the target answers, it is as if there were no such network, and no other half tells that there is.
#[test]
fn a_uuid_leads_to_no_name_before_consent() {
    let mut world = three();
    let nobody = Uuid::from_u128(0x1234);
    let names = "[[peering]]\nname = \"named\"\nnetwork = \"n\"\ntarget_project = \"p1\"\ntarget_network = \"n\"\n";
    let mut read = Vec::new();
    for uuid in [uuid_of(1), nobody] {
        declare(&mut world, 0, &[half("asks", uuid), names.to_owned()]);
        let halves = seen(&world);
        assert!(halves.iter().all(|half| half.reason == Some(Reason::AwaitingPeer)), "{halves:#?}");
        assert_eq!(halves[0].target_uuid, Some(uuid));
        assert_eq!((&*halves[0].target_project, &*halves[0].target_network), ("", ""));
        let text = serde_json::to_string(&halves[0]).unwrap();
        assert!(!text.contains("p1"), "{text}");
        let mut half = halves[0].clone();
        half.since = None;
        read.push(serde_json::to_string(&half).unwrap().replace(&uuid.to_string(), "UUID"));
    }
    assert_eq!(read[0], read[1]);
}

/// S3.3, S3.10: each side may name the other by its UUID, in any order; the answer, and its end, count.
#[test]
fn a_target_by_uuid_peers_once_it_answers() {
    let mut world = three();
    let (pending, up) = (State::PendingPeer, State::Active);
    declare(&mut world, 0, &[half("asks", uuid_of(1))]);
    assert_eq!(states(&world), [("p0/asks".to_owned(), pending)]);
    // Its owner sees the request, with the names of who asks.
    let own = Viewer::Tenant(BTreeSet::from(["p1".into()]).into());
    let requests = world.engine.requests(&own);
    assert_eq!((requests.len(), &*requests[0].from_project, &*requests[0].network), (1, "p0", "n"));
    declare(&mut world, 1, &[half("answers", uuid_of(0))]);
    world.northd();
    world.rest();
    let all = |state| vec![("p0/asks".to_owned(), state), ("p1/answers".to_owned(), state)];
    assert_eq!(states(&world), all(up));
    assert!(world.engine.requests(&own).is_empty());
    // A network that gets a UUID of its own is found by that, and no more by the other one.
    bind(&mut world, 1, Some(Uuid::from_u128(7)));
    assert!(world.own_rows().is_empty() || states(&world) != all(up));
    declare(&mut world, 0, &[half("asks", Uuid::from_u128(7))]);
    world.northd();
    world.rest();
    assert_eq!(states(&world), all(up));
    // A UUID that two networks have is of none.
    bind(&mut world, 2, Some(Uuid::from_u128(7)));
    assert_eq!(states(&world)[0].1, State::Disconnected);
    bind(&mut world, 2, None);
    world.northd();
    world.rest();
    assert_eq!(states(&world), all(up));
    declare(&mut world, 1, &[]);
    assert_eq!(states(&world)[0], ("p0/asks".to_owned(), State::Disconnected));
    assert!(world.engine.plan(None, world.now()).is_empty());
}
