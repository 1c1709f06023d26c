//! Where a half stands, and why: one enum of states, one of reasons, as users read them.
//!
//! A reason belongs to one state ([`Reason::state`]), so the rules name the reason alone. Of a half
//! that is to be linked they give none: whether it is `provisioning` or `active` is seen from the
//! northbound. The words are a public interface: they are added, never renamed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a half, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The other side has not declared, or does not exist: the same to the owner.
    PendingPeer,
    /// Mutual; the northbound does not hold it yet, or OVN has not caught up.
    Provisioning,
    /// Committed, and OVN has acted on it.
    Active,
    /// `configured_status = "disabled"` on this side.
    Disabled,
    /// `configured_status = "disabled"` on the other side only.
    PeerDisabled,
    /// It was up and the other side withdrew.
    Disconnected,
    /// The other side said no.
    Rejected,
    /// Nobody answered for longer than the policy waits; stays so until it is renewed.
    Expired,
    /// Its declaration is gone; shown for a while yet.
    Deleted,
    /// Cannot be linked, for a [`Reason`]; leaves by itself once the cause is gone.
    Failed,
}

impl State {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 10] = [
        Self::Active,
        Self::PendingPeer,
        Self::Expired,
        Self::Rejected,
        Self::Deleted,
        Self::Disconnected,
        Self::Disabled,
        Self::PeerDisabled,
        Self::Provisioning,
        Self::Failed,
    ];

    /// The word users read, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingPeer => "pending-peer",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::PeerDisabled => "peer-disabled",
            Self::Disconnected => "disconnected",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    /// A network is not of type `private`.
    TypeNotPrivate,
    /// A router without a subnet, or two networks without a common address family.
    NoSubnet,
    /// Ports of somebody else link the two routers already.
    ForeignLink,
    /// A port of somebody else has a name that ours must have.
    NameInUse,
    /// Linked routers would make a path too deep for OVN.
    MeshTooDeep,
    /// The zones differ.
    ZoneMismatch,
    /// The regions differ.
    RegionMismatch,
    /// Another half of this network already targets the same network.
    PeeringConflict,
    /// A half's `export` names a prefix that its network does not own.
    ExportNotOwned,
    /// The prefix filters leave no address family in which both sides announce something.
    NothingExchanged,
    /// The traffic filters need more policies than a router can have.
    FilterTooComplex,
    /// One side announces more prefixes than `max_prefixes` of the other side allows.
    TooManyPrefixes,
    /// A network has no VM's port, and the policy asks for one.
    NoWorkload,
    /// Two hosts declare the half differently.
    ConflictingDeclarations,
    /// Only hosts declare the half that may not declare for its project.
    UntrustedHost,
    /// The network, or the project, has more halves than the policy allows.
    Quota,
    /// A router of a kind that this version cannot link.
    UnsupportedRouter,
}

impl Reason {
    /// All of them, in the order of their definition.
    pub const ALL: [Self; 36] = [
        Self::AwaitingPeer,
        Self::PeerWithdrew,
        Self::PeerRejected,
        Self::RequestExpired,
        Self::Withdrawn,
        Self::AdministrativelyDown,
        Self::PeerAdministrativelyDown,
        Self::AwaitingCommit,
        Self::AwaitingNorthd,
        Self::NorthboundUnreachable,
        Self::Standby,
        Self::NorthboundRefused,
        Self::HostNameInUse,
        Self::Contested,
        Self::Flapping,
        Self::NewerVersion,
        Self::ConflictSubnet,
        Self::MissingLocalRouter,
        Self::MissingPeerRouter,
        Self::TypeNotPrivate,
        Self::NoSubnet,
        Self::ForeignLink,
        Self::NameInUse,
        Self::MeshTooDeep,
        Self::ZoneMismatch,
        Self::RegionMismatch,
        Self::PeeringConflict,
        Self::ExportNotOwned,
        Self::NothingExchanged,
        Self::FilterTooComplex,
        Self::TooManyPrefixes,
        Self::NoWorkload,
        Self::ConflictingDeclarations,
        Self::UntrustedHost,
        Self::Quota,
        Self::UnsupportedRouter,
    ];

    /// The state of a half that is not active for this reason.
    #[must_use]
    pub fn state(self) -> State {
        match self {
            Self::AwaitingPeer => State::PendingPeer,
            Self::PeerWithdrew => State::Disconnected,
            Self::PeerRejected => State::Rejected,
            Self::RequestExpired => State::Expired,
            Self::Withdrawn => State::Deleted,
            Self::AdministrativelyDown => State::Disabled,
            Self::PeerAdministrativelyDown => State::PeerDisabled,
            Self::AwaitingCommit
            | Self::AwaitingNorthd
            | Self::NorthboundUnreachable
            | Self::Standby
            | Self::HostNameInUse
            | Self::Contested
            | Self::Flapping
            | Self::NewerVersion => State::Provisioning,
            Self::NorthboundRefused
            | Self::ConflictSubnet
            | Self::MissingLocalRouter
            | Self::MissingPeerRouter
            | Self::TypeNotPrivate
            | Self::NoSubnet
            | Self::ForeignLink
            | Self::NameInUse
            | Self::MeshTooDeep
            | Self::ZoneMismatch
            | Self::RegionMismatch
            | Self::PeeringConflict
            | Self::ExportNotOwned
            | Self::NothingExchanged
            | Self::FilterTooComplex
            | Self::TooManyPrefixes
            | Self::NoWorkload
            | Self::ConflictingDeclarations
            | Self::UntrustedHost
            | Self::Quota
            | Self::UnsupportedRouter => State::Failed,
        }
    }

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
            Self::FilterTooComplex => "filter-too-complex",
            Self::TooManyPrefixes => "too-many-prefixes",
            Self::NoWorkload => "no-workload",
            Self::ConflictingDeclarations => "conflicting-declarations",
            Self::UntrustedHost => "untrusted-host",
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
