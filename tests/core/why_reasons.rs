//! `why` names every reason of docs/states.md. A reason without a case here fails to compile or to be found.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ovn_peerd::ovsdb::{self, TransactError};
use ovn_peerd::view::{HalfView, Passes, Reason, State, Viewer, WhyEnd, WhyFact, WhyQuestion};

use crate::golden;
use crate::why_scene::Scene;
use crate::world::World;

/// How a world with a reason comes about.
enum Case {
    /// A golden folder has it.
    Golden,
    /// The scene that this makes.
    Made(fn() -> World),
}

/// The case of each reason: a new one needs a line here.
fn case(reason: Reason) -> Case {
    use Case::{Golden, Made};
    match reason {
        Reason::AwaitingPeer
        | Reason::PeerWithdrew
        | Reason::PeerRejected
        | Reason::RequestExpired
        | Reason::Withdrawn
        | Reason::AdministrativelyDown
        | Reason::PeerAdministrativelyDown
        | Reason::ConflictSubnet
        | Reason::MissingLocalRouter
        | Reason::MissingPeerRouter
        | Reason::TypeNotPrivate
        | Reason::NoSubnet
        | Reason::ForeignLink
        | Reason::NameInUse
        | Reason::MeshTooDeep
        | Reason::ZoneMismatch
        | Reason::PeeringConflict
        | Reason::ExportNotOwned
        | Reason::NothingExchanged
        | Reason::FilterTooComplex
        | Reason::TooManyPrefixes
        | Reason::NoWorkload
        | Reason::ConflictingDeclarations
        | Reason::Quota
        | Reason::UnsupportedRouter => Golden,
        Reason::RegionMismatch => Made(regions),
        Reason::AwaitingCommit => Made(|| two(|scene| scene.read())),
        Reason::AwaitingNorthd => Made(|| {
            two(|scene| {
                scene.read();
                scene.world.settle();
            })
        }),
        Reason::NorthboundUnreachable => Made(|| {
            let mut scene = Scene::new(2);
            let (error, retry_in) = ("the server went away".to_owned(), Duration::from_secs(1));
            scene.world.client(ovsdb::Event::Disconnected { error, read_only: false, retry_in });
            scene.peer("a", "b");
            scene.read();
            scene.world
        }),
        Reason::Standby => Made(|| {
            two(|scene| {
                scene.world.client(ovsdb::Event::Lock { held: false });
                scene.read();
                scene.world.settle();
            })
        }),
        Reason::HostNameInUse => Made(taken),
        Reason::Contested => Made(contested),
        Reason::Flapping => Made(flapping),
        Reason::NewerVersion => Made(|| {
            two(|scene| {
                scene.rest();
                newer(scene);
            })
        }),
        Reason::NorthboundRefused => Made(|| {
            two(|scene| {
                scene.world.refuse_all = Some("constraint violation".to_owned());
                scene.read();
                scene.world.settle();
            })
        }),
        Reason::UntrustedHost => Made(|| {
            let named = "[[project]]\nname = \"pa\"\nowner = \"0\"\nhosts = [\"hv9\"]\n";
            let mut scene = Scene::with(2, named, "");
            scene.peer("a", "b");
            scene.read();
            scene.world
        }),
    }
}

fn two(make: impl Fn(&mut Scene)) -> World {
    let mut scene = Scene::new(2);
    scene.peer("a", "b");
    make(&mut scene);
    scene.world
}

fn regions() -> World {
    let mut scene = Scene::new(2);
    scene.peer("a", "b");
    scene.regions = true;
    scene.rest();
    scene.world
}

/// Another daemon of this host's name lives.
fn taken() -> World {
    two(|scene| {
        scene.world.client(ovsdb::Event::Identity { held: false });
        scene.read();
        for _ in 0..60 {
            if scene.world.engine.wants_identity() {
                // It takes the name back at once.
                scene.world.client(ovsdb::Event::Identity { held: true });
                scene.world.client(ovsdb::Event::Identity { held: false });
            }
            scene.world.pass(1);
        }
        assert!(scene.world.engine.is_host_taken());
    })
}

/// One transaction, without waiting; `meddle` comes before the engine hears of it.
fn one(world: &mut World, meddle: impl FnOnce(&mut World)) {
    world.hear();
    let now = world.now();
    let Some(submission) = world.engine.poll(now) else { return };
    let result = world.database.transact(&submission.operations);
    meddle(world);
    world.hear();
    let result: Result<_, TransactError> =
        result.map(|()| Vec::new()).map_err(|why| panic!("{why}"));
    world.client(ovsdb::Event::Transacted { id: submission.id, result });
}

/// Whether a half has a reason.
fn has(world: &World, reason: Reason) -> bool {
    world.engine.list().iter().any(|half| half.reason == Some(reason))
}

/// Somebody removes the routes whenever they come, so that the rows are never all there.
fn contested() -> World {
    use ovn_peerd::northbound::tables::STATIC_ROUTE;
    two(|scene| {
        scene.read();
        for _ in 0..60 {
            one(&mut scene.world, |world| {
                world.database.rows.retain(|(table, _), _| *table != STATIC_ROUTE);
                world.database.collect();
            });
            if has(&scene.world, Reason::Contested) {
                return;
            }
        }
        panic!("{:#?} {:#?}", scene.world.engine.list(), scene.world.engine.status().damped);
    })
}

/// A newer version has written a registration.
fn newer(scene: &mut Scene) {
    use ovn_peerd::northbound::registration::NETWORK_KEY;
    use ovn_peerd::northbound::tables::{ADDRESS_SET, address_set::EXTERNAL_IDS};
    let rows = scene.world.database.rows.keys().copied();
    let sets: Vec<_> = rows.filter(|(table, _)| *table == ADDRESS_SET).collect();
    for (table, row) in sets {
        let record = scene.world.database.cell(table, row, EXTERNAL_IDS);
        let Some(record) = record.get(NETWORK_KEY) else { continue };
        let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
        record["version"] = 70.into();
        crate::versions::set_entry(&mut scene.world, table, row, NETWORK_KEY, &record.to_string());
    }
    scene.world.settle();
}

fn flapping() -> World {
    two(|scene| {
        scene.rest();
        for round in 0..60 {
            scene.half(
                "a",
                "b",
                if round % 2 == 0 { "configured_status = \"disabled\"" } else { "" },
            );
            scene.read();
            for _ in 0..4 {
                one(&mut scene.world, |_| {});
            }
            let halves = scene.world.engine.list();
            if halves.iter().any(|half| half.reason == Some(Reason::Flapping)) {
                return;
            }
        }
        panic!("{:#?}", scene.world.engine.list());
    })
}

/// All reasons that the documentation has.
fn documented() -> BTreeSet<Reason> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/states.md")).unwrap();
    let words = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.split('|').nth(2));
    let words = words.map(|cell| cell.trim().trim_matches('`').to_owned());
    let reasons = words.filter_map(|word| serde_json::from_value(word.into()).ok());
    reasons.collect()
}

/// Asks about a half, and gives the reasons that the answer has.
fn named(world: &World, half: &HalfView) -> Option<BTreeSet<Reason>> {
    let end = |project: &str, network: &str| WhyEnd {
        project: project.to_owned(),
        network: network.to_owned(),
        address: None,
    };
    if half.target_uuid.is_some() {
        return None;
    }
    let target = end(&half.target_project, &half.target_network);
    let own = std::sync::Arc::new([half.project.as_str().into()].into_iter().collect());
    let mut all: Option<BTreeSet<Reason>> = None;
    for viewer in [Viewer::Operator, Viewer::Tenant(own)] {
        let from = end(&half.project, &half.network);
        let question = WhyQuestion { from, to: target.clone(), opens: Default::default() };
        let why = world.engine.why(&viewer, &question).unwrap();
        let steps = why.there.iter().filter_map(|step| match &step.what {
            WhyFact::Half { half: name, reason, state, .. }
                if *name == format!("{}/{}/{}", half.project, half.network, half.name) =>
            {
                assert_eq!(*state, half.state);
                *reason
            }
            _ => None,
        });
        let mut reasons: BTreeSet<Reason> = steps.collect();
        if half.reason.is_some()
            && half.state != State::Active
            && half.reason != Some(Reason::PeeringConflict)
        {
            assert!(why.passes != Passes::Yes, "{why:#?}");
            assert!(why.reason.is_some() && why.next_step.is_some(), "{why:#?}");
        }
        if half.project == half.target_project && half.network == half.target_network {
            reasons.extend(half.reason);
        }
        all = Some(match all {
            None => reasons,
            Some(before) => before.intersection(&reasons).copied().collect(),
        });
    }
    all
}

#[test]
fn why_names_every_reason_to_operators_and_to_owners() {
    let mut found = BTreeSet::new();
    let mut check = |world: &World, what: &str| {
        for half in world.engine.list() {
            let Some(reasons) = named(world, &half) else { continue };
            assert_eq!(reasons, half.reason.into_iter().collect(), "{what}: {half:#?}");
            found.extend(reasons);
        }
    };
    golden::each(|case, world, _| check(&world, &case.display().to_string()));
    let documented = documented();
    assert!(documented.len() >= 36, "{documented:?}");
    for reason in &documented {
        if let Case::Made(make) = case(*reason) {
            check(&make(), reason.as_str());
        }
    }
    let missing: Vec<_> = documented.difference(&found).collect();
    assert!(missing.is_empty(), "no answer names {missing:?}");
}
