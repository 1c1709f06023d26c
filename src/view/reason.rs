//! The reasons that halves are shown with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a half is not active, in one word a program can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The other side has not declared its half.
    AwaitingPeer,
    /// The other side withdrew its half.
    PeerWithdrew,
    /// The other side rejects the request.
    PeerRejected,
    /// The request was not answered in time.
    RequestExpired,
    /// This side withdrew its half.
    Withdrawn,
    /// This side is administratively down.
    AdministrativelyDown,
    /// The other side is administratively down.
    PeerAdministrativelyDown,
    /// The rows are not committed yet.
    AwaitingCommit,
    /// The rows are committed; ovn-northd has not acted on them yet.
    AwaitingNorthd,
    /// The northbound is out of reach.
    NorthboundUnreachable,
    /// Another instance holds the lock and writes.
    Standby,
    /// The northbound refused the rows.
    NorthboundRefused,
    /// Another instance speaks for this host.
    HostNameInUse,
    /// Somebody else undoes the rows again and again.
    Contested,
    /// The declaration changes again and again.
    Flapping,
    /// A newer version of the daemon has written to the northbound: this one writes nothing.
    NewerVersion,
    /// The address spaces overlap, or one overlaps what is in use on a router.
    ConflictSubnet,
    /// The local network is not bound to a router, or the router is not there.
    MissingLocalRouter,
    /// The other network's router is not there.
    MissingPeerRouter,
    /// A network is not of type `private` (S3.4).
    TypeNotPrivate,
    /// A router without a subnet, or two networks without a common address family.
    NoSubnet,
    /// Ports of somebody else link the two routers already.
    ForeignLink,
    /// A port of somebody else has a name that ours must have.
    NameInUse,
    /// Linked routers would make a path too deep for OVN.
    MeshTooDeep,
    /// The zones differ (S3.6).
    ZoneMismatch,
    /// The regions differ (S1.8).
    RegionMismatch,
    /// Another half of this network already targets the same network (S1.5).
    PeeringConflict,
    /// A half's `export` names a prefix that its network does not own.
    ExportNotOwned,
    /// The filters leave no address family in which both sides announce something.
    NothingExchanged,
    /// One side announces more prefixes than `max_prefixes` of the other side allows.
    TooManyPrefixes,
    /// A network has no VM's port, and the policy asks for one (S1.10).
    NoWorkload,
    /// Two hosts declare the half differently.
    ConflictingDeclarations,
    /// The network, or the project, has more halves than the policy allows.
    Quota,
    /// A router of a kind that this version cannot link.
    UnsupportedRouter,
}

impl Reason {
    /// The word users read, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPeer => "awaiting-peer",
            Self::PeerWithdrew => "peer-withdrew",
            Self::PeerRejected => "peer-rejected",
            Self::RequestExpired => "request-expired",
            Self::Withdrawn => "withdrawn",
            Self::AdministrativelyDown => "administratively-down",
            Self::PeerAdministrativelyDown => "peer-administratively-down",
            Self::AwaitingCommit => "awaiting-commit",
            Self::AwaitingNorthd => "awaiting-northd",
            Self::NorthboundUnreachable => "northbound-unreachable",
            Self::Standby => "standby",
            Self::NorthboundRefused => "northbound-refused",
            Self::HostNameInUse => "host-name-in-use",
            Self::Contested => "contested",
            Self::Flapping => "flapping",
            Self::NewerVersion => "newer-version",
            Self::ConflictSubnet => "conflict-subnet",
            Self::MissingLocalRouter => "missing-local-router",
            Self::MissingPeerRouter => "missing-peer-router",
            Self::TypeNotPrivate => "type-not-private",
            Self::NoSubnet => "no-subnet",
            Self::ForeignLink => "foreign-link",
            Self::NameInUse => "name-in-use",
            Self::MeshTooDeep => "mesh-too-deep",
            Self::ZoneMismatch => "zone-mismatch",
            Self::RegionMismatch => "region-mismatch",
            Self::PeeringConflict => "peering-conflict",
            Self::ExportNotOwned => "export-not-owned",
            Self::NothingExchanged => "nothing-exchanged",
            Self::TooManyPrefixes => "too-many-prefixes",
            Self::NoWorkload => "no-workload",
            Self::ConflictingDeclarations => "conflicting-declarations",
            Self::Quota => "quota",
            Self::UnsupportedRouter => "unsupported-router",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
