//! Small deployments for `why`: some networks with a switch each, their halves, rows of others, and questions.

use std::path::Path;

use ovn_peerd::declare::{Directory, FileId, Owner, Reading, Settings, SourceFile};
use ovn_peerd::northbound::tables::{
    LOGICAL_ROUTER, NAT, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE, logical_router, nat,
    router_policy, router_port, static_route,
};
use ovn_peerd::ovsdb::{Atom, TableId, Value};
use ovn_peerd::view::{
    Opens, Passes, VerifyView, Viewer, WhyEnd, WhyFact, WhyQuestion, WhyStep, WhyView,
};
use uuid::Uuid;

use crate::golden::populate;
use crate::world::World;

/// Networks a, b, c, ... of projects pa, pb, pc with the router of that name, and subnets 10.1.0.0/24 and fd01::/64 for the
/// first one, and so on.
pub struct Scene {
    pub world: World,
    pub networks: Vec<&'static str>,
    halves: Vec<(String, String)>,
    /// Whether each network is in a region of its own.
    pub regions: bool,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Scene {
    pub fn new(networks: usize) -> Scene {
        Scene::with(networks, "", "")
    }

    /// With settings, and keys of each router.
    pub fn with(networks: usize, settings: &str, router_keys: &str) -> Scene {
        let (settings, wrong) = Settings::parse(Path::new("/etc/ovn-peerd.toml"), settings);
        assert_eq!(wrong, []);
        let mut world = World::bare(&settings);
        world.settings = settings;
        let mut text = String::new();
        for (at, name) in NAMES.iter().enumerate().take(networks) {
            let n = at + 1;
            text += &format!(
                "[[router]]\nname = \"{name}\"\n{router_keys}[[router.port]]\nname = \"{name}-in\"\nvm = true\n\
                 networks = [\"10.{n}.0.1/24\", \"fd0{n}::1/64\"]\n"
            );
        }
        populate(&mut world, &toml::from_str(&text).unwrap());
        world.connect();
        let networks = NAMES[..networks].to_vec();
        Scene { world, networks, halves: Vec::new(), regions: false }
    }

    /// More rows of others, as the golden folders have them.
    pub fn add(&mut self, text: &str) {
        populate(&mut self.world, &toml::from_str(text).unwrap());
    }

    /// A half of one network towards another one, with further keys.
    pub fn half(&mut self, from: &str, to: &str, keys: &str) {
        let text = format!(
            "[[peering]]\nname = \"to-{to}\"\nnetwork = \"{from}\"\ntarget_project = \"p{to}\"\ntarget_network = \"{to}\"\n{keys}\n"
        );
        let name = format!("{from} {to}");
        self.halves.retain(|(half, _)| *half != name);
        self.halves.push((name, text));
    }

    /// Both halves of a peering.
    pub fn peer(&mut self, one: &str, other: &str) {
        self.half(one, other, "");
        self.half(other, one, "");
    }

    /// More of a network's file.
    pub fn more(&mut self, from: &str, text: &str) {
        self.halves.push((format!("{from} -"), text.to_owned()));
    }

    /// Reads the files, and comes to rest.
    pub fn rest(&mut self) {
        self.read();
        self.world.rest();
    }

    pub fn read(&mut self) {
        let mut reading = Reading { complete: true, ..Reading::default() };
        reading.directories = vec![(Directory::Networks, Ok(())), (Directory::Peerings, Ok(()))];
        let bound = self.networks.iter().map(|name| {
            let region = if self.regions { format!("region = \"{name}\"\n") } else { String::new() };
            format!("[[network]]\nproject = \"p{name}\"\nname = \"{name}\"\nrouter = \"{name}\"\n{region}")
        });
        let mut files = vec![(Directory::Networks, "n.toml".to_owned(), bound.collect::<String>())];
        for name in NAMES {
            let own = |half: &&(String, String)| half.0.starts_with(&format!("{name} "));
            let texts: String =
                self.halves.iter().filter(own).map(|(_, text)| text.as_str()).collect();
            if !texts.is_empty() {
                let text = format!("project = \"p{name}\"\n{texts}");
                files.push((Directory::Peerings, format!("{name}.toml"), text));
            }
        }
        reading.files = files
            .into_iter()
            .map(|(directory, name, text)| SourceFile {
                id: FileId { directory, name: name.as_str().into() },
                path: name.as_str().into(),
                text: Ok(text),
                owner: Some(Owner { uid: 0, name: None }),
            })
            .collect();
        self.world.read_reading(reading);
        let faults = self.world.engine.diagnostics(&Viewer::Operator);
        assert_eq!(faults.errors, 0, "{faults:?}");
    }

    fn router(&self, name: &str) -> Uuid {
        let rows =
            self.world.database.rows.iter().filter(|((table, _), _)| *table == LOGICAL_ROUTER);
        let named = |row: &ovn_peerd::ovsdb::Row| row.get(logical_router::NAME).is_string(name);
        rows.into_iter().find(|(_, row)| named(row)).map(|((_, uuid), _)| *uuid).unwrap()
    }

    fn row(
        &mut self,
        router: &str,
        (table, column): (TableId, ovn_peerd::ovsdb::ColumnId),
        cells: &[(ovn_peerd::ovsdb::ColumnId, Atom)],
    ) -> Uuid {
        let router = self.router(router);
        let row = self.world.database.insert(table, cells);
        self.world.database.refer(router, column, row, true);
        self.world.hear();
        row
    }

    /// A policy of somebody else.
    pub fn policy(&mut self, router: &str, priority: i64, text: &str, action: &str) -> Uuid {
        let cells = [
            (router_policy::PRIORITY, priority.into()),
            (router_policy::MATCH, text.into()),
            (router_policy::ACTION, action.into()),
        ];
        self.row(router, (ROUTER_POLICY, logical_router::POLICIES), &cells)
    }

    pub fn reroute(&mut self, router: &str, priority: i64, text: &str, hop: &str) -> Uuid {
        let row = self.policy(router, priority, text, "reroute");
        let hops = Value::set(vec![hop.into()]);
        self.world.database.set(ROUTER_POLICY, row, router_policy::NEXTHOPS, hops);
        self.world.hear();
        row
    }

    pub fn route(&mut self, router: &str, prefix: &str, hop: &str) -> Uuid {
        let cells = [(static_route::IP_PREFIX, prefix.into()), (static_route::NEXTHOP, hop.into())];
        self.row(router, (STATIC_ROUTE, logical_router::STATIC_ROUTES), &cells)
    }

    pub fn nat(&mut self, router: &str, kind: &str, logical: &str, external: &str) -> Uuid {
        let cells = [
            (nat::TYPE, kind.into()),
            (nat::LOGICAL_IP, logical.into()),
            (nat::EXTERNAL_IP, external.into()),
        ];
        self.row(router, (NAT, logical_router::NAT), &cells)
    }

    /// Somebody removes a row from a router, ours or another one.
    pub fn remove(&mut self, router: &str, column: ovn_peerd::ovsdb::ColumnId, row: Uuid) {
        let router = self.router(router);
        self.world.database.refer(router, column, row, false);
        self.world.database.collect();
        self.world.hear();
    }

    /// Our policies of a priority on a router.
    pub fn ours(&self, router: &str, priority: i64) -> Vec<Uuid> {
        let router = self.router(router);
        let all = self.world.database.cell(LOGICAL_ROUTER, router, logical_router::POLICIES);
        let is_it = |row: &Uuid| {
            self.world.database.cell(ROUTER_POLICY, *row, router_policy::PRIORITY).integer()
                == Some(priority)
        };
        all.uuids().filter(is_it).collect()
    }

    /// Our routes on a router.
    pub fn our_routes(&self, router: &str) -> Vec<Uuid> {
        let router = self.router(router);
        self.world
            .database
            .cell(LOGICAL_ROUTER, router, logical_router::STATIC_ROUTES)
            .uuids()
            .collect()
    }

    pub fn disable_router(&mut self, router: &str) {
        let router = self.router(router);
        self.world.database.set(
            LOGICAL_ROUTER,
            router,
            logical_router::ENABLED,
            Value::from(false),
        );
        self.world.hear();
    }

    pub fn disable_port(&mut self, name: &str) {
        let rows = self.world.database.rows.iter().filter(|((table, _), _)| *table == ROUTER_PORT);
        let named = |row: &ovn_peerd::ovsdb::Row| row.get(router_port::NAME).is_string(name);
        let port =
            rows.into_iter().find(|(_, row)| named(row)).map(|((_, uuid), _)| *uuid).unwrap();
        self.world.database.set(ROUTER_PORT, port, router_port::ENABLED, Value::from(false));
        self.world.hear();
    }

    /// The answer to `a:10.1.0.10`, `b:10.2.0.10`, `tcp:22`.
    pub fn why(&self, from: &str, to: &str, opens: &str) -> WhyView {
        self.why_to(&Viewer::Operator, from, to, opens)
    }

    pub fn why_to(&self, viewer: &Viewer, from: &str, to: &str, opens: &str) -> WhyView {
        let question =
            WhyQuestion { from: end(from), to: end(to), opens: opens.parse::<Opens>().unwrap() };
        self.world.engine.why(viewer, &question).expect("an own network")
    }

    /// What its owner is told.
    pub fn why_as(&self, project: &str, from: &str, to: &str, opens: &str) -> WhyView {
        let own = [project.into()].into_iter().collect();
        self.why_to(&Viewer::Tenant(std::sync::Arc::new(own)), from, to, opens)
    }

    pub fn verify(&self) -> VerifyView {
        self.world.engine.plan_basis(self.world.now()).verify(None, 100).expect("a northbound")
    }
}

fn end(text: &str) -> WhyEnd {
    let (network, address) = match text.split_once(':') {
        Some((network, address)) => (network, Some(address.parse().unwrap())),
        None => (text, None),
    };
    WhyEnd { project: format!("p{network}"), network: network.to_owned(), address }
}

/// What stops it, as a word of the step and the text of its fields.
#[track_caller]
pub fn stopped(why: &WhyView) -> &WhyFact {
    assert_eq!(why.passes, Passes::No, "{why:#?}");
    &why.stopped_by.as_ref().unwrap_or_else(|| panic!("{why:#?}")).what
}

#[track_caller]
pub fn assert_passes(why: &WhyView) {
    assert_eq!(why.passes, Passes::Yes, "{why:#?}");
    assert!(why.stopped_by.is_none() && why.reserves.is_empty(), "{why:#?}");
    let bad = |step: &&WhyStep| step.passes != Passes::Yes;
    assert_eq!(why.there.iter().chain(&why.back).find(bad), None);
    assert!(!why.back.is_empty(), "{why:#?}");
}
