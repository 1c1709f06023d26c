//! Declarations, parsed once into types that cannot hold invalid values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::terms::{DEFAULT, Terms};
use super::tool_network::ToolNetwork;

/// A host's name, from its settings or its system.
pub type Host = Arc<str>;

/// A network's identity: unique in one deployment. It is one pointer, because every pair, claim and
/// index holds some. Records have the two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "(String, String)", into = "(String, String)")]
pub struct NetworkKey(Arc<NetworkName>);

/// The content of a [`NetworkKey`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkName {
    /// The beginning of both names as a number: it sorts as the names do, and distinguishes nearly
    /// all keys.
    head: u128,
    /// The project (tenant) that owns the network.
    pub project: Arc<str>,
    /// The network's name within its project.
    pub name: Arc<str>,
}

impl NetworkKey {
    /// Joins a project and a network name.
    #[must_use]
    pub fn new(project: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        let (project, name) = (project.into(), name.into());
        Self(Arc::new(NetworkName { head: head(&project, &name), project, name }))
    }
}

impl NetworkKey {
    /// Stands for the network with this UUID, whichever it is. No network has an empty project.
    #[must_use]
    pub fn of_uuid(uuid: Uuid) -> Self {
        Self::new("", uuid.to_string())
    }

    /// The UUID, if it stands for the network with that.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        if self.project.is_empty() { self.name.parse().ok() } else { None }
    }
}

impl From<(String, String)> for NetworkKey {
    fn from((project, name): (String, String)) -> Self {
        Self::new(project, name)
    }
}

impl From<NetworkKey> for (String, String) {
    fn from(key: NetworkKey) -> Self {
        (key.project.to_string(), key.name.to_string())
    }
}

/// The first bytes of both names, with a NUL between them, which no name contains. So a project
/// whose name is the beginning of another one sorts first, as among strings.
fn head(project: &str, name: &str) -> u128 {
    let mut head = [0; size_of::<u128>()];
    let bytes = project.bytes().chain([0]).chain(name.bytes());
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = byte;
    }
    u128::from_be_bytes(head)
}

impl Deref for NetworkKey {
    type Target = NetworkName;

    fn deref(&self) -> &NetworkName {
        &self.0
    }
}

impl Ord for NetworkKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most comparisons in an index are with the same pointer.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for NetworkKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.project.is_empty() {
            true => write!(f, "the network with UUID {}", self.name),
            false => write!(f, "{}/{}", self.project, self.name),
        }
    }
}

/// A half's identity: its network and the name its owner chose. It is one pointer, as a network's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HalfKey(Arc<HalfName>);

/// The content of a [`HalfKey`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HalfName {
    /// The local network.
    pub network: NetworkKey,
    /// The half's name, unique in its network.
    pub name: Arc<str>,
}

impl HalfKey {
    /// Joins a network and a half's name.
    #[must_use]
    pub fn new(network: NetworkKey, name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(HalfName { network, name: name.into() }))
    }
}

impl Deref for HalfKey {
    type Target = HalfName;

    fn deref(&self) -> &HalfName {
        &self.0
    }
}

impl Ord for HalfKey {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for HalfKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for HalfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.name)
    }
}

/// How the operator names a Logical_Router.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterRef {
    /// By its `name` column; must be unambiguous in the northbound.
    Name(Arc<str>),
    /// By its row UUID.
    Uuid(Uuid),
    /// By a tool's network, whose router is not known yet.
    Tool(Arc<ToolNetwork>),
}

impl RouterRef {
    /// By a name, or by a UUID in the form of one.
    #[must_use]
    pub fn named(text: &str) -> Self {
        Uuid::try_parse(text).map_or_else(|_| Self::Name(text.into()), Self::Uuid)
    }
}

impl fmt::Display for RouterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Tool(network) => network.fmt(f),
        }
    }
}

/// A network's type; only private networks may peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkType {
    /// The default.
    Private,
    /// Any other word the operator's platform uses, such as `public` or `utility`.
    Other(Arc<str>),
}

/// The operator's binding of a network to a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Who it is.
    pub key: NetworkKey,
    /// The Logical_Router behind it.
    pub router: RouterRef,
    /// The tool's network that it is bound to, if it is not bound to a router by name.
    pub of: Option<Arc<ToolNetwork>>,
    /// Must match the other side's to peer, where both are given.
    pub zone: Option<Arc<str>>,
    /// Must match the other side's to peer, where both are given.
    pub region: Option<Arc<str>>,
    /// Only [`NetworkType::Private`] may peer.
    pub kind: NetworkType,
    /// Prefixes beyond its own subnets that it may announce.
    pub may_export: Vec<IpNet>,
    /// The MTU of its guests' interfaces, in bytes.
    pub mtu: Option<u16>,
    /// How its guests learn the routes to its peers.
    pub tell_guests: TellGuests,
    /// Its UUID, if the operator has given one.
    pub uuid: Option<Uuid>,
}

impl Network {
    /// Whether its router is known by now.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self.router, RouterRef::Tool(_))
    }

    /// Whether both are the same but for what they are bound by.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        *self == Self { of: self.of.clone(), ..other.clone() }
    }
}

/// How a network's guests learn the routes to its peers; by default they do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TellGuests {
    /// By DHCP: options 121 and 249 (RFC 3442).
    pub dhcp: bool,
    /// By router advertisements: Route Information (RFC 4191).
    pub ra: bool,
}

impl TellGuests {
    /// The words for these in declarations, in order.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        let words = [(self.dhcp, Self::DHCP), (self.ra, Self::RA)];
        words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect()
    }

    /// Adds the one of this word; `None` if the word is unknown.
    #[must_use]
    pub fn and(mut self, word: &str) -> Option<Self> {
        match word {
            Self::DHCP => self.dhcp = true,
            Self::RA => self.ra = true,
            _ => return None,
        }
        Some(self)
    }

    const DHCP: &'static str = "dhcp";
    const RA: &'static str = "ra";
    /// All the words.
    pub const WORDS: [&'static str; 2] = [Self::DHCP, Self::RA];
}

/// Administratively up or down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfiguredStatus {
    /// Up: the default.
    #[default]
    Active,
    /// Down: kept, but not linked.
    Disabled,
}

/// A rejection's identity: who rejects whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RejectionKey {
    /// The local network, whose owner does not want the peering.
    pub network: NetworkKey,
    /// The network whose requests are rejected.
    pub from: NetworkKey,
}

impl fmt::Display for RejectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} by {}", self.from, self.network)
    }
}

/// The rejection of a request, without a half of one's own. A half towards the same network
/// overrides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Who rejects whom; it has nothing else.
    pub key: RejectionKey,
}

/// One side's declaration of a peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// Who it is.
    pub key: HalfKey,
    /// The network it wants to reach, as it was declared: by names or by UUID.
    pub target: NetworkKey,
    /// Free text.
    pub description: String,
    /// Up or down.
    pub configured_status: ConfiguredStatus,
    /// `user.*` keys.
    pub config: BTreeMap<String, String>,
    /// When it was requested (again): renews an expired request and a frozen address space. A time
    /// in the future counts from then on.
    pub requested: Option<Timestamp>,
    /// Its terms; `None` for the default: all prefixes cross, and routes are automatic.
    pub terms: Option<Arc<Terms>>,
    /// Its UUID, if its owner has given one.
    pub uuid: Option<Uuid>,
}

impl Half {
    /// The terms: what crosses the peering.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        self.terms.as_deref().unwrap_or(&DEFAULT)
    }

    /// Whether its owner makes the routes.
    #[must_use]
    pub fn has_manual_routes(&self) -> bool {
        self.terms().routes.is_manual()
    }

    /// Whether its owner has enabled it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.configured_status == ConfiguredStatus::Active
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn networks_are_in_order_of_their_projects_and_names(
            names in prop::collection::vec(("[ab]{0,20}", "[ab]{0,20}"), 2),
        ) {
            let key = |(project, name): &(String, String)| NetworkKey::new(&**project, &**name);
            let keys: Vec<NetworkKey> = names.iter().map(key).collect();
            prop_assert_eq!(keys[0].cmp(&keys[1]), names[0].cmp(&names[1]));
            prop_assert_eq!(keys[0] == keys[1], names[0] == names[1]);
        }
    }
}
