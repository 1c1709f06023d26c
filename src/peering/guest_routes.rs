//! The routes to peers that a network's guests get: in which cells, and how many fit there.
//!
//! Guests get the prefixes that their subnet's route table routes over links, aggregated to as few
//! as possible. If not all of them fit, none is added, and the guests keep their routes that are
//! still valid. So no new peering takes routes away from an older one. Owners' own routes come
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::declare::Cover;
use crate::northbound::borrowed::{BorrowedRecord, Field, Kind};
use crate::northbound::guest_routes::{
    CLASSLESS, Entry, MS_CLASSLESS, PREFERENCE, ROUTE_INFO, Syntax,
};
use crate::northbound::tables::{DHCP_OPTIONS, ROUTER_PORT, dhcp_options, router_port};
use crate::northbound::{Connected, DhcpOptions, End, Northbound, PORT_KEY};

use super::local::Ready;
use super::outcome::Link;

/// The room of a DHCP option, in bytes: its length field is one byte (RFC 2132 section 2). OVN does
/// not check it: with more, guests get no lease at all.
const OPTION_ROOM: usize = 255;
/// The most bytes of routes that we repeat in option 249. With the usual other options, both fit
/// into the 312 bytes of options that every client accepts (RFC 2131 section 2). With 253 bytes in
/// each, busybox's udhcpc 1.35 accepts no offer at all. Windows reads option 121 since Vista.
const MS_ROOM: usize = 120;
/// The room for routes in a router advertisement, in bytes. With its other parts it fits into 1280
/// bytes, the least MTU of IPv6. It must not be fragmented (RFC 6980).
const ADVERTISEMENT_ROOM: usize = 960;

/// The routes that a network's guests get, and those that they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestRoutes {
    /// The desired values of cells.
    pub cells: Vec<RouteCell>,
    /// Prefixes that they get by DHCP.
    pub dhcp: BTreeSet<IpNet>,
    /// Prefixes that they get by router advertisements.
    pub ra: BTreeSet<IpNet>,
    /// The routes that they do not get, and why.
    pub omitted: Vec<Omitted>,
}

/// A cell with routes for guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCell {
    /// The cell: one key of a map.
    pub cell: Field,
    /// The syntax of its text.
    pub syntax: Syntax,
    /// The owner's value.
    pub before: Option<String>,
    /// The value that we add.
    pub routes: Vec<Entry>,
}

/// Why guests do not get all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// In a sentence.
    pub text: String,
    /// Whether the cause is in the operator's rows.
    pub of_operator: bool,
}

/// The fewest prefixes that have exactly these addresses, in order.
#[must_use]
pub fn aggregate(prefixes: &[IpNet]) -> Vec<IpNet> {
    let mut fewest = IpNet::aggregate(&prefixes.to_vec());
    fewest.sort_unstable();
    fewest
}

/// The routes for the guests of a router with these links, each with the router's own end.
#[must_use]
pub fn guest_routes(
    ready: &Ready,
    links: &[(&Link, End)],
    records: &BTreeMap<Field, BorrowedRecord>,
    northbound: &Northbound,
) -> GuestRoutes {
    let routes = routes_by_table(links);
    let none: &[IpNet] = &[];
    let means = ready.network.tell_guests;
    let mut collector = Collector { records, northbound, found: GuestRoutes::default() };
    let mut ports = BTreeSet::new();
    for own in &ready.router.inward {
        let table = ready.router.table_of_subnet(&own.prefix).unwrap_or_default();
        let routes = routes.get(&table).map_or(none, Vec::as_slice);
        match own.prefix {
            IpNet::V4(subnet) if means.dhcp => collector.by_dhcp(own, subnet, routes),
            IpNet::V6(_) if means.ra && ports.insert(&own.port) => collector.by_ra(own, routes),
            IpNet::V4(_) | IpNet::V6(_) => {}
        }
    }
    collector.found
}

/// The prefixes that each route table routes over links, and what guests reach there besides,
/// aggregated to as few as possible.
fn routes_by_table(links: &[(&Link, End)]) -> BTreeMap<Arc<str>, Vec<IpNet>> {
    let mut routes: BTreeMap<Arc<str>, Vec<IpNet>> = BTreeMap::new();
    for (link, end) in links {
        let (local, remote) = (link.end(*end), link.end(end.other()));
        let mut tables = BTreeSet::new();
        for (table, prefix) in local.routes_to(remote).chain(link.reached_by_table(*end)) {
            routes.entry(Arc::clone(table)).or_default().push(prefix);
            tables.insert(table);
        }
        for table in tables {
            routes.entry(Arc::clone(table)).or_default().extend(local.beyond(remote));
        }
    }
    routes.into_iter().map(|(table, prefixes)| (table, aggregate(&prefixes))).collect()
}

struct Collector<'a> {
    records: &'a BTreeMap<Field, BorrowedRecord>,
    northbound: &'a Northbound,
    found: GuestRoutes,
}

impl Collector<'_> {
    fn by_dhcp(&mut self, own: &Connected, subnet: Ipv4Net, routes: &[IpNet]) {
        let IpAddr::V4(address) = own.address else { return };
        let wanted = wanted(routes, |prefix| matches!(prefix, IpNet::V4(_)), &address.to_string());
        let rows = self.northbound.dhcp_options(&own.port, subnet, address);
        if rows.is_empty() && !wanted.is_empty() {
            self.omit_for_operator(format!(
                "DHCP gives guests of {subnet} no routes: no row of DHCP_Options with this cidr is \
                 known to be theirs alone, with an address as `router`; if there is one, name its router port \
                 there: external_ids:{PORT_KEY}={}",
                own.port
            ));
        }
        for options in rows {
            let cell = |key| Field {
                table: DHCP_OPTIONS,
                row: options.row,
                column: dhcp_options::OPTIONS,
                kind: Kind::Key(key),
            };
            let default = default_of(&options);
            let full = self.add(cell(CLASSLESS), &wanted, default.as_ref(), OPTION_ROOM);
            if let Some(bytes) = full {
                self.omit(format!(
                    "dhcp-options-full: guests of {subnet} do not get all routes: these take {bytes} bytes \
                     of DHCP option 121, which holds {OPTION_ROOM}; the routes that they have stay. Let `export` \
                     or `import` pass fewer and shorter prefixes"
                ));
                continue;
            }
            // If the owner has routes only in option 121, an option 249 with only our routes would
            // take them from its clients.
            if self.owners(&cell(CLASSLESS)).is_none() || self.owners(&cell(MS_CLASSLESS)).is_some()
            {
                self.add(cell(MS_CLASSLESS), &wanted, default.as_ref(), MS_ROOM);
            }
        }
    }

    fn by_ra(&mut self, own: &Connected, routes: &[IpNet]) {
        let wanted = wanted(routes, |prefix| matches!(prefix, IpNet::V6(_)), PREFERENCE);
        let Some(row) = self.northbound.advertiser(&own.port) else {
            if !wanted.is_empty() {
                self.omit_for_operator(format!(
                    "router advertisements give guests of {} no routes: {} sends none, as it has no \
                     ipv6_ra_configs:address_mode",
                    own.prefix, own.port
                ));
            }
            return;
        };
        let (column, kind) = (router_port::IPV6_RA_CONFIGS, Kind::Key(ROUTE_INFO));
        let cell = Field { table: ROUTER_PORT, row, column, kind };
        if let Some(bytes) = self.add(cell, &wanted, None, ADVERTISEMENT_ROOM) {
            self.omit(format!(
                "router-advertisement-full: guests of {} do not get all routes: these take {bytes} bytes of a \
                 router advertisement, which has room for {ADVERTISEMENT_ROOM}; the routes that they have stay. \
                 Let `export` or `import` pass fewer prefixes",
                own.prefix
            ));
        }
    }

    /// The owner's value of a cell.
    fn owners(&self, cell: &Field) -> Option<String> {
        let syntax = cell.key().and_then(Syntax::of_key)?;
        syntax.owners(cell.text(self.northbound), self.records.get(cell).map(BorrowedRecord::past))
    }

    /// The desired value of a cell, if any; or the number of bytes, if they are too many.
    fn add(
        &mut self,
        cell: Field,
        wanted: &[Entry],
        default: Option<&Entry>,
        room: usize,
    ) -> Option<usize> {
        let syntax = cell.key().and_then(Syntax::of_key)?;
        let record = self.records.get(&cell);
        let before = self.owners(&cell);
        let Some(theirs) = syntax.entries(before.as_deref().unwrap_or_default()) else {
            if !wanted.is_empty() {
                self.omit_for_operator(format!("{cell} cannot be read, and is left alone"));
            }
            return None;
        };
        // An owner with routes there has also decided on the default route.
        let default = default.filter(|_| theirs.is_empty());
        let standing = record.and_then(|record| syntax.entries(&record.ours)).unwrap_or_default();
        let fitting = fit(wanted, default, &theirs, &standing, room);
        let (routes, full) = match fitting {
            Fitting::All(routes) => (routes, None),
            Fitting::Standing(routes, bytes) => (routes, Some(bytes)),
        };
        if routes.is_empty() {
            return full;
        }
        let prefixes = routes.iter().filter(|entry| !entry.is_default()).map(|entry| entry.prefix);
        match syntax {
            Syntax::Classless => self.found.dhcp.extend(prefixes),
            Syntax::RouteInfo => self.found.ra.extend(prefixes),
        }
        self.found.cells.push(RouteCell { cell, syntax, before, routes });
        full
    }

    fn omit(&mut self, text: String) {
        self.found.omitted.push(Omitted { text, of_operator: false });
    }

    fn omit_for_operator(&mut self, text: String) {
        self.found.omitted.push(Omitted { text, of_operator: true });
    }
}

/// The entries for these routes in this kind of cell.
fn wanted(routes: &[IpNet], family: impl Fn(&IpNet) -> bool, by: &str) -> Vec<Entry> {
    routes.iter().filter(|prefix| family(prefix)).map(|prefix| Entry::new(*prefix, by)).collect()
}

/// Clients that get classless routes ignore the default gateway (RFC 3442), so it is one of these
/// routes.
fn default_of(options: &DhcpOptions) -> Option<Entry> {
    Some(Entry::new(Ipv4Net::default().into(), options.gateway?.to_string()))
}

/// The routes that fit together with the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// All wanted routes.
    All(Vec<Entry>),
    /// Not all of them: those that are present already, and the number of bytes of all.
    Standing(Vec<Entry>, usize),
}

/// The wanted routes, followed by a default route, that fit into `room` bytes together with the
/// owner's. For a prefix that the owner routes, the owner's route counts. `standing` has all routes
/// that are present now.
#[must_use]
pub fn fit(
    wanted: &[Entry],
    default: Option<&Entry>,
    theirs: &[Entry],
    standing: &[Entry],
    room: usize,
) -> Fitting {
    let own = |entry: &&Entry| !theirs.iter().any(|it| it.prefix == entry.prefix);
    let with_default = |mut routes: Vec<Entry>| {
        if !routes.is_empty() {
            routes.extend(default.cloned());
        }
        routes
    };
    let bytes = |routes: &[Entry]| -> usize { theirs.iter().chain(routes).map(Entry::bytes).sum() };
    let all = with_default(wanted.iter().filter(own).cloned().collect());
    if all.is_empty() || bytes(&all) <= room {
        return Fitting::All(all);
    }
    let needs = bytes(&all);
    let prefixes: Vec<IpNet> = wanted.iter().map(|entry| entry.prefix).collect();
    let cover = Cover::of(&prefixes);
    let by = wanted.first().map(|entry| &entry.by);
    let still = |entry: &&Entry| {
        !entry.is_default() && Some(&entry.by) == by && cover.contains(&entry.prefix)
    };
    let kept = with_default(standing.iter().filter(own).filter(still).cloned().collect());
    Fitting::Standing(if bytes(&kept) <= room { kept } else { Vec::new() }, needs)
}
