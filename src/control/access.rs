//! Who may ask what: the kernel says who the client is, the settings give it its rights.
//!
//! Everybody can connect; the settings of the moment decide on each request, so that a reload
//! grants and revokes rights at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::unix::UCred;
use tokio::sync::OnceCell;
use tokio::task;
use tokio::time::{self, Instant};

use super::Refusal;
use crate::declare::{OperatorEntry, Owner, ProjectPin, Settings};
use crate::view::Viewer;

/// How long an answer of the user database stays valid.
const KNOWN_TIME: Duration = Duration::from_secs(2);
/// How long the user database may take to answer.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// Who is an operator, and who owns which projects, by the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    operators: Vec<OperatorEntry>,
    projects: Vec<ProjectPin>,
}

impl Access {
    /// The rights by `[control] operators` and `[[project]]`.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self { operators: settings.control.operators.clone(), projects: settings.projects.clone() }
    }

    /// Admits or refuses a client.
    ///
    /// # Errors
    ///
    /// [`Refusal::Stranger`], if it is neither an operator nor the owner of a project.
    pub(super) fn admit(&self, client: &Caller) -> Result<Viewer, Refusal> {
        if client.privileged || self.operators.iter().any(|entry| client.is(entry)) {
            return Ok(Viewer::Operator);
        }
        let own = self.projects.iter().filter(|pin| client.account.is(&pin.owner));
        let own: BTreeSet<Arc<str>> = own.map(|pin| pin.name.as_str().into()).collect();
        if own.is_empty() {
            return Err(Refusal::Stranger(client.account.clone()));
        }
        Ok(Viewer::Tenant(Arc::new(own)))
    }
}

/// Root, the daemon's own user and the members of the socket's group: they are always operators.
#[derive(Clone, Copy, Debug)]
pub(super) struct Privileged {
    daemon: Uid,
    group: Gid,
}

impl Privileged {
    pub(super) fn of_group(group: u32) -> Self {
        Self { daemon: Uid::effective(), group: Gid::from_raw(group) }
    }

    /// Whether the credentials alone show it, without the user database.
    pub(super) fn includes(self, peer: UCred) -> bool {
        let uid = Uid::from_raw(peer.uid());
        uid.is_root() || uid == self.daemon || Gid::from_raw(peer.gid()) == self.group
    }
}

/// The account at the other end of a connection, as it was when it connected.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    account: Owner,
    groups: Vec<UnixGroup>,
    privileged: bool,
}

#[derive(Clone, Debug)]
struct UnixGroup {
    gid: u32,
    name: Option<String>,
}

/// A short-lived cache of the user database: a user that connects again and again does not cost a
/// look-up each time, and a slow look-up delays only its own user.
///
/// Further groups come from the user database, not from the process. The kernel knows those of the
/// process (`SO_PEERGROUPS`), but no maintained crate reads them without unsafe code of ours; and
/// another process may have the number in /proc by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts(Arc<Mutex<BTreeMap<(u32, u32), Known>>>);

/// One account, looked up or being looked up.
#[derive(Clone, Debug)]
struct Known {
    since: Instant,
    found: Arc<OnceCell<(Option<String>, Vec<UnixGroup>)>>,
}

impl Accounts {
    /// The process at the other end (unix(7), `SO_PEERCRED`) with the user database's entry. If the
    /// user database does not answer in time, the name and further groups count as unknown.
    pub(super) async fn identify(&self, peer: UCred, privileged: Privileged) -> Caller {
        if privileged.includes(peer) {
            let account = Owner { uid: peer.uid(), name: None };
            return Caller { account, groups: Vec::new(), privileged: true };
        }
        let (uid, gid) = (Uid::from_raw(peer.uid()), Gid::from_raw(peer.gid()));
        let cell = self.cell(peer);
        // The user database may be a directory server: so look it up off the event loop, and once
        // at a time.
        let found = cell.get_or_init(|| async move {
            let found = task::spawn_blocking(move || look_up(uid, gid)).await;
            found.unwrap_or((None, Vec::new()))
        });
        let found = time::timeout(LOOK_UP_TIME, found).await.ok().cloned();
        let (name, groups) = found.unwrap_or((None, Vec::new()));
        let privileged = groups.iter().any(|group| group.gid == privileged.group.as_raw());
        Caller { account: Owner { uid: peer.uid(), name }, groups, privileged }
    }

    fn cell(&self, peer: UCred) -> Arc<OnceCell<(Option<String>, Vec<UnixGroup>)>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.retain(|_, account| {
            // Somebody waits for a look-up that takes longer: the next one waits with them.
            let is_looked_up =
                account.found.get().is_none() && Arc::strong_count(&account.found) > 1;
            is_looked_up || now.duration_since(account.since) < KNOWN_TIME
        });
        let fresh = || Known { since: now, found: Arc::default() };
        Arc::clone(&known.entry((peer.uid(), peer.gid())).or_insert_with(fresh).found)
    }
}

/// Who asks, in one word for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub Arc<str>);

impl Caller {
    /// Its account's name, if it is known.
    pub(super) fn actor(&self) -> Actor {
        let Owner { uid, name } = &self.account;
        Actor(match name {
            Some(name) => name.as_str().into(),
            None if *uid == 0 => "root".into(),
            None => format!("uid {uid}").into(),
        })
    }

    fn is(&self, entry: &OperatorEntry) -> bool {
        match entry {
            OperatorEntry::User(user) => self.account.is(user),
            OperatorEntry::Group(group) => self.groups.iter().any(|found| found.is(group)),
        }
    }
}

impl UnixGroup {
    fn is(&self, group: &str) -> bool {
        match group.parse::<u32>() {
            Ok(gid) => self.gid == gid,
            Err(_) => self.name.as_deref() == Some(group),
        }
    }
}

fn look_up(uid: Uid, gid: Gid) -> (Option<String>, Vec<UnixGroup>) {
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let c_name = name.as_ref().and_then(|name| CString::new(name.as_str()).ok());
    let gids = c_name.and_then(|name| getgrouplist(&name, gid).ok()).unwrap_or_else(|| vec![gid]);
    let group = |gid: Gid| UnixGroup {
        gid: gid.as_raw(),
        name: Group::from_gid(gid).ok().flatten().map(|group| group.name),
    };
    (name, gids.into_iter().map(group).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Access, Caller, UnixGroup};
    use crate::declare::{Owner, Settings};
    use crate::view::Viewer;

    const SETTINGS: &str = "[control]\noperators = [\"olga\", \"4711\", \"%netops\", \"%500\"]\n\
        [[project]]\nname = \"blue\"\nowner = \"alice\"\n\
        [[project]]\nname = \"teal\"\nowner = \"alice\"\n\
        [[project]]\nname = \"green\"\nowner = \"20002\"\n";

    fn client(uid: u32, name: Option<&str>, groups: &[(u32, &str)]) -> Caller {
        let account = Owner { uid, name: name.map(str::to_owned) };
        let group = |(gid, name): &(u32, &str)| UnixGroup { gid: *gid, name: Some((*name).into()) };
        Caller { account, groups: groups.iter().map(group).collect(), privileged: false }
    }

    fn seen_by(client: &Caller) -> String {
        let (settings, wrong) = Settings::parse(Path::new("/etc/ovn-peerd.toml"), SETTINGS);
        assert!(wrong.is_empty(), "{wrong:?}");
        match Access::of(&settings).admit(client) {
            Ok(Viewer::Operator) => "all".to_owned(),
            Ok(Viewer::Tenant(projects)) => {
                projects.iter().map(|it| &**it).collect::<Vec<_>>().join(" ")
            }
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    #[test]
    fn operators_tenants_and_strangers_are_distinguished_by_account_and_group() {
        for (uid, name, groups, expected) in [
            (1, Some("olga"), &[][..], "all"),
            (4711, None, &[], "all"),
            (2, Some("erin"), &[(300, "netops")], "all"),
            (2, None, &[(500, "x")], "all"),
            (3, Some("alice"), &[(300, "users")], "blue teal"),
            (20_002, None, &[], "green"),
            (20_003, None, &[], "not-operator"),
            // A group's name is no account, and an account's is no group.
            (5, Some("netops"), &[], "not-operator"),
            (5, Some("eve"), &[(7, "olga"), (8, "alice")], "not-operator"),
        ] {
            assert_eq!(seen_by(&client(uid, name, groups)), expected, "{uid} {name:?}");
        }
    }

    #[test]
    fn the_privileged_see_all_whatever_the_settings_say() {
        let root = Caller { privileged: true, ..client(0, None, &[]) };
        assert_eq!(seen_by(&root), "all");
        assert_eq!(Access::default().admit(&root).unwrap(), Viewer::Operator);
    }
}
