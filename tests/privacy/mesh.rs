//! How deep a mesh is follows from peerings of others: their owner reads that it is deep, and not how deep.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ovn_peerd::declare::{Directory, FileId, HalfKey, NetworkKey, SourceFile};
use ovn_peerd::northbound::tables::{LOGICAL_ROUTER, ROUTER_PORT, logical_router, router_port};
use ovn_peerd::view::{HalfDetail, Reason, State, Viewer};

use crate::world::{World, settings};

/// Projects `p0` to `p<routers-1>`, each of which peers with the next one.
fn chain(routers: usize) -> World {
    let mut world = World::bare(&settings());
    let mut networks = String::new();
    for at in 0..routers {
        let (name, port) = (format!("r{at}"), format!("r{at}-in"));
        let cells = [(logical_router::NAME, name.as_str().into())];
        let router = world.database.insert(LOGICAL_ROUTER, &cells);
        let subnet = format!("10.{at}.0.1/24");
        let cells = [
            (router_port::NAME, port.as_str().into()),
            (router_port::NETWORKS, subnet.as_str().into()),
        ];
        let port = world.database.insert(ROUTER_PORT, &cells);
        world.database.refer(router, logical_router::PORTS, port, true);
        write!(networks, "[[network]]\nproject = \"p{at}\"\nname = \"n\"\nrouter = \"r{at}\"\n")
            .unwrap();
    }
    world.connect();
    read(&mut world, Directory::Networks, "networks.toml", networks);
    for at in 0..routers {
        let mut text = format!("project = \"p{at}\"\n");
        let others = at.checked_sub(1).into_iter().chain((at + 1 < routers).then_some(at + 1));
        for to in others {
            write!(
                text,
                "[[peering]]\nname = \"to-{to}\"\nnetwork = \"n\"\ntarget_project = \"p{to}\"\ntarget_network = \"n\"\n"
            )
            .unwrap();
        }
        read(&mut world, Directory::Peerings, &format!("p{at}.toml"), text);
    }
    assert_eq!(world.rest(), 0, "it comes to rest");
    world
}

fn read(world: &mut World, directory: Directory, name: &str, text: String) {
    world.read(SourceFile {
        id: FileId { directory, name: name.into() },
        path: name.into(),
        text: Ok(text),
        owner: None,
    });
}

/// A half of the network before the last one, which both chains have, as somebody sees it.
fn shown(world: &World, viewer: &Viewer, from: usize, to: usize) -> HalfDetail {
    let key = HalfKey::new(NetworkKey::new(format!("p{from}"), "n"), format!("to-{to}"));
    world.engine.show_for(viewer, &key).unwrap()
}

fn tenant(network: usize) -> Viewer {
    let project: BTreeSet<_> = [format!("p{network}").as_str().into()].into();
    Viewer::Tenant(project.into())
}

#[test]
fn a_tenant_reads_the_same_of_a_deep_mesh_and_of_a_deeper_one() {
    let (deep, deeper) = (chain(50), chain(89));
    let own = |world: &World| {
        let viewer = tenant(0);
        let list = serde_json::to_string(&world.engine.list_for(&viewer)).unwrap();
        let shown = serde_json::to_string(&shown(world, &viewer, 0, 1)).unwrap();
        (list, shown)
    };
    assert_eq!(own(&deep), own(&deeper));
    let half = shown(&deeper, &tenant(0), 0, 1).half;
    assert_eq!(half.state, State::Active);
    let [text] = &half.degraded[..] else { panic!("{half:?}") };
    assert!(text.contains("too deep") && !text.contains(|it: char| it.is_ascii_digit()), "{text}");
    // An operator reads how deep.
    for (world, depth) in [(&deep, "50"), (&deeper, "89")] {
        let half = shown(world, &Viewer::Operator, 0, 1).half;
        let [text] = &half.degraded[..] else { panic!("{half:?}") };
        assert!(text.contains(&format!("up to {depth} datapaths")), "{text}");
    }
    // A shallow one is not reported at all.
    assert_eq!(shown(&chain(49), &tenant(0), 0, 1).half.degraded, [""; 0]);
}

#[test]
fn a_tenant_that_is_refused_for_it_reads_no_number() {
    let world = chain(90);
    let half = shown(&world, &tenant(89), 89, 88).half;
    assert_eq!(half.reason, Some(Reason::MeshTooDeep));
    for text in half.explanation.iter().chain(&half.next_step).chain(&half.degraded) {
        assert!(!text.contains(|it: char| it.is_ascii_digit()), "{text}");
    }
}
