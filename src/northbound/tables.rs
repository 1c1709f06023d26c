//! The tables and columns of OVN's northbound that we read, as ovn-nb(5) names them.
//!
//! Positions in [`WANTED`], in the order of the first dump, are the identities used everywhere: a table or column
//! that a server's schema lacks reads as empty, so no other place asks which OVN version is there.

use std::ops::RangeInclusive;

use crate::ovsdb::{Clause, Condition, Constant, Function, TableId, Wanted};

use super::owner::{OWNER_KEY, OWNER_VALUE};
use super::priority;

/// The database's name.
pub const DATABASE: &str = "OVN_Northbound";

/// The OVSDB lock that the one programming instance holds (RFC 7047 section 4.1.8); an `<id>`, so
/// without hyphens.
pub const LOCK: &str = "ovn_peerd";

/// Writes each table once: its position, its name, its columns in order, and what is asked for.
macro_rules! tables {
    (@early) => { &[] };
    (@early $early:expr) => { $early };
    ($($(#[$meta:meta])* $table:ident = $id:literal, $module:ident, $name:literal,
       $condition:expr, $(early $early:expr,)? { $($(#[$column_meta:meta])* $column:ident = $position:literal, $text:literal;)* })*) => {
        $(
            $(#[$meta])*
            pub const $table: TableId = TableId($id);
            #[doc = concat!("Columns of `", $name, "`.")]
            pub mod $module {
                use crate::ovsdb::ColumnId;
                $($(#[$column_meta])* pub const $column: ColumnId = ColumnId($position);)*
            }
        )*
        /// What is asked of the server: nothing that no rule needs. Column selection is the
        /// largest lever on start-up time and memory.
        pub const WANTED: &[Wanted] = &[
            $(Wanted {
                table: $name, columns: &[$($text),*], condition: $condition,
                early: tables!(@early $($early)?),
            }),*
        ];
    };
}

/// What there is time for at a start, once the rows of a table, or of one behind it, are there, too, while the server composes
/// the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Declarations go to the rules.
    Declare,
    /// These look at the networks: nearly all is there that a network's own state is read from.
    Survey,
    /// Peerings are decided, and what is there of theirs is compared. All is there that decisions are made from; unless
    /// somebody makes routes by hand, and for policies of others that come late, which add a word to what is said at the most.
    Decide,
}

/// When: each takes us about as long as the server needs for what comes next, for which the order of tables is made.
pub const STEPS: &[(TableId, Step)] =
    &[(LOGICAL_SWITCH, Step::Declare), (SWITCH_PORT, Step::Survey), (STATIC_ROUTE, Step::Decide)];

/// The priorities of policies that come last: those of ours, which are the most rows of all, and the longest.
pub const LATE_PRIORITIES: RangeInclusive<i64> = priority::OURS;
const FIRST_LATE: i64 = *LATE_PRIORITIES.start();
const LAST_LATE: i64 = *LATE_PRIORITIES.end();

const fn of_priority(function: Function, priority: i64) -> Clause {
    Clause { column: "priority", function, value: Constant::Integer(priority) }
}

/// All other policies; and with those the last, which have the longest texts.
const EARLY_POLICIES: &[Condition] = &[
    Condition(&[
        of_priority(Function::Less, FIRST_LATE),
        of_priority(Function::Greater, LAST_LATE),
    ]),
    Condition(&[
        of_priority(Function::Less, FIRST_LATE),
        of_priority(Function::GreaterOrEqual, LAST_LATE),
    ]),
];

/// Rows that carry our tag.
const OURS: Clause = Clause {
    column: "external_ids",
    function: Function::Includes,
    value: Constant::Map(&[(OWNER_KEY, OWNER_VALUE)]),
};

tables! {
    /// One row: the configuration sequence numbers.
    NB_GLOBAL = 0, nb_global, "NB_Global", None, {
        /// Incremented with each change whose arrival in the southbound is awaited.
        NB_CFG = 0, "nb_cfg";
        /// The last `nb_cfg` that ovn-northd has acted on.
        SB_CFG = 1, "sb_cfg";
        /// `ic-route-adv` among others.
        OPTIONS = 2, "options";
    }
    /// Address sets: only those of ours are read, of whatever version.
    ADDRESS_SET = 1, address_set, "Address_Set", Some(Condition(&[OURS])), {
        /// Tags, and what must last.
        EXTERNAL_IDS = 0, "external_ids";
        /// Unique in the northbound.
        NAME = 1, "name";
        /// Addresses and prefixes.
        ADDRESSES = 2, "addresses";
    }
    /// Router policies.
    ROUTER_POLICY = 2, router_policy, "Logical_Router_Policy", None, early EARLY_POLICIES, {
        /// Tags.
        EXTERNAL_IDS = 0, "external_ids";
        /// 0 to 32767; the highest that matches applies.
        PRIORITY = 1, "priority";
        /// An OVN expression; one that does not parse is silently absent.
        MATCH = 2, "match";
        /// `allow`, `drop` or `reroute` (newer: `jump`).
        ACTION = 3, "action";
        /// Next hop of a reroute (deprecated by `nexthops`).
        NEXTHOP = 4, "nexthop";
        /// Next hops of a reroute.
        NEXTHOPS = 5, "nexthops";
        /// `pkt_mark` among others.
        OPTIONS = 6, "options";
    }
    /// Router ports.
    ROUTER_PORT = 3, router_port, "Logical_Router_Port", None, {
        /// Tags.
        EXTERNAL_IDS = 0, "external_ids";
        /// Unique in the northbound.
        NAME = 1, "name";
        /// Addresses with their prefix lengths.
        NETWORKS = 2, "networks";
        /// Ethernet address.
        MAC = 3, "mac";
        /// The name of the router port at the other end of a direct link.
        PEER = 4, "peer";
        /// Makes it a distributed gateway port.
        GATEWAY_CHASSIS = 5, "gateway_chassis";
        /// Makes it a distributed gateway port.
        HA_CHASSIS_GROUP = 6, "ha_chassis_group";
        /// `route_table` among others.
        OPTIONS = 7, "options";
        /// Administratively up, also when unset.
        ENABLED = 8, "enabled";
        /// What router advertisements say; none are sent without `address_mode`.
        IPV6_RA_CONFIGS = 9, "ipv6_ra_configs";
    }
    /// Logical routers.
    LOGICAL_ROUTER = 4, logical_router, "Logical_Router", None, {
        /// Not unique in OVN.
        NAME = 0, "name";
        /// Strong references to `Logical_Router_Port`.
        PORTS = 1, "ports";
        /// Strong references to `Logical_Router_Static_Route`.
        STATIC_ROUTES = 2, "static_routes";
        /// Strong references to `Logical_Router_Policy`.
        POLICIES = 3, "policies";
        /// `chassis` makes it a gateway router.
        OPTIONS = 4, "options";
        /// Strong references to `NAT`.
        NAT = 5, "nat";
        /// Administratively up, also when unset.
        ENABLED = 6, "enabled";
    }
    /// Address translation: what translates sources. All of these rows are somebody else's.
    NAT = 5, nat, "NAT", Some(Condition(&[Clause {
        column: "type",
        function: Function::NotEqual,
        value: Constant::String("dnat"),
    }])), {
        /// `snat` or `dnat_and_snat`.
        TYPE = 0, "type";
        /// The sources: an address or a prefix.
        LOGICAL_IP = 1, "logical_ip";
        /// What they become.
        EXTERNAL_IP = 2, "external_ip";
        /// The Address_Set of destinations that alone are translated for; OVN 20.03 and later.
        ALLOWED_EXT_IPS = 3, "allowed_ext_ips";
        /// The Address_Set of destinations that are not translated for; OVN 20.06 and later.
        EXEMPTED_EXT_IPS = 4, "exempted_ext_ips";
        /// What packets alone are translated; OVN 24.09 and later.
        MATCH = 5, "match";
    }
    /// What guests of a subnet are told by DHCP. All of these rows are somebody else's. Which of them
    /// a switch port refers to is not asked: that would be a cell of every VM's port.
    DHCP_OPTIONS = 6, dhcp_options, "DHCP_Options", None, {
        /// Whose row it is, as its owner tells.
        EXTERNAL_IDS = 0, "external_ids";
        /// The subnet.
        CIDR = 1, "cidr";
        /// Options by their names.
        OPTIONS = 2, "options";
    }
    /// Logical switches: for which ports are theirs, and which are ours.
    LOGICAL_SWITCH = 7, logical_switch, "Logical_Switch", None, {
        /// Tags.
        EXTERNAL_IDS = 0, "external_ids";
        /// Strong references to `Logical_Switch_Port`.
        PORTS = 1, "ports";
        /// Not unique in OVN.
        NAME = 2, "name";
    }
    /// Switch ports: all but those of VMs, whose type is empty; and ours, whatever somebody makes
    /// of them. A port of a switch that is not among these is a VM's: that one is there is known
    /// without reading any.
    SWITCH_PORT = 8, switch_port, "Logical_Switch_Port", Some(Condition(&[
        Clause { column: "type", function: Function::NotEqual, value: Constant::String("") },
        OURS,
    ])), {
        /// Tags.
        EXTERNAL_IDS = 0, "external_ids";
        /// `router`, `localnet` and others.
        TYPE = 1, "type";
        /// `router-port` names the router port at the other end.
        OPTIONS = 2, "options";
        /// Unique in the northbound.
        NAME = 3, "name";
        /// `router` stands for those of the router port.
        ADDRESSES = 4, "addresses";
        /// Administratively up, also when unset.
        ENABLED = 5, "enabled";
        /// The name of the port at the other end, of a port of type `switch`; OVN 25.03 and later.
        PEER = 6, "peer";
    }
    /// Static routes.
    STATIC_ROUTE = 9, static_route, "Logical_Router_Static_Route", None, {
        /// Tags.
        EXTERNAL_IDS = 0, "external_ids";
        /// The prefix that is matched.
        IP_PREFIX = 1, "ip_prefix";
        /// An address, or `discard`.
        NEXTHOP = 2, "nexthop";
        /// The router port to send through.
        OUTPUT_PORT = 3, "output_port";
        /// `dst-ip`, also when unset, or `src-ip`.
        POLICY = 4, "policy";
        /// The route table; empty for the main one.
        ROUTE_TABLE = 5, "route_table";
        /// The BFD session that gates the route.
        BFD = 6, "bfd";
        /// `ecmp_symmetric_reply` among others.
        OPTIONS = 7, "options";
    }
}
