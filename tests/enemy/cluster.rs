//! A RAFT cluster: members in network namespaces of their own, so that any two can be parted while all clients still reach
//! both (the daemon and the tools use Unix sockets).

use std::time::Duration;

use crate::lab::command::{poll, run};
use crate::lab::netns::Netns;
use crate::lab::scope::Scope;
use crate::server::{DATABASE, SCHEMA, Server};

/// Where members listen for each other.
const RAFT_PORT: u16 = 6643;
/// Where they listen for clients, if they do by TCP.
const CLIENT_PORT: u16 = 6641;
/// How long an election may take on a busy machine.
const ELECTION_LIMIT: Duration = Duration::from_secs(40);

/// One of them.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) server: Server,
    netns: Netns,
    address: String,
}

impl Member {
    /// Whether it says that it leads, and is in the cluster at all.
    pub(crate) fn leads(&self) -> bool {
        let status = self.server.try_appctl(&["cluster/status", DATABASE]);
        status.is_some_and(|status| {
            status.contains("Role: leader") && status.contains("Status: cluster member")
        })
    }

    /// Where it listens by TCP.
    pub(crate) fn tcp(&self) -> String {
        format!("tcp:{}:{CLIENT_PORT}", self.address)
    }

    fn raft(&self) -> String {
        format!("tcp:{}:{RAFT_PORT}", self.address)
    }

    /// The short id by which the others know it.
    fn id(&self) -> String {
        let id = self.server.appctl(&["cluster/sid", DATABASE]);
        id.trim().get(..4).expect("a UUID").to_owned()
    }
}

/// The members and the wire between them.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    wire: Netns,
    client: Netns,
    born: usize,
    /// Arguments for every member.
    more: Vec<String>,
}

impl Cluster {
    /// Three members, joined, with a leader.
    #[track_caller]
    pub(crate) fn start(scope: &Scope) -> Cluster {
        Cluster::of(scope, vec![])
    }

    /// The same, whose members listen by TCP as well.
    #[track_caller]
    pub(crate) fn listening(scope: &Scope) -> Cluster {
        Cluster::of(scope, vec![format!("--remote=ptcp:{CLIENT_PORT}:0.0.0.0")])
    }

    fn of(scope: &Scope, more: Vec<String>) -> Cluster {
        let wire = Netns::new(scope, "wire");
        wire.ip(&["link add br0 type bridge".to_owned(), "link set br0 up".to_owned()]);
        let client = Netns::new(scope, "client");
        connect(&wire, &client, "client", "192.0.2.2");
        let mut cluster = Cluster { members: vec![], wire, client, born: 0, more };
        for _ in 0..3 {
            cluster.add(scope);
        }
        cluster.leader();
        cluster
    }

    /// Adds a member: the first creates the cluster, the others join it.
    #[track_caller]
    pub(crate) fn add(&mut self, scope: &Scope) {
        let number = self.born;
        self.born += 1;
        let name = format!("m{number}");
        let netns = Netns::new(scope, &name);
        let address = format!("192.0.2.{}", 11 + number);
        connect(&self.wire, &netns, &name, &address);
        let server = Server::prepare(scope.dir(), &name, Some(&netns), &self.more);
        let member = Member { server, netns, address };
        let file = member.server.file().display().to_string();
        let own = member.raft();
        if self.members.is_empty() {
            run("ovsdb-tool", ["create-cluster", &file, SCHEMA, &own]);
        } else {
            let others: Vec<_> = self.members.iter().map(Member::raft).collect();
            let words = ["join-cluster", &file, DATABASE, &own];
            run("ovsdb-tool", words.into_iter().chain(others.iter().map(String::as_str)));
        }
        member.server.start();
        poll(&format!("{name} has joined"), ELECTION_LIMIT, || {
            // There is no such database in it before it has joined.
            let status = member.server.try_appctl(&["cluster/status", DATABASE]);
            let status = status.unwrap_or_default();
            if status.contains("Status: cluster member") { Ok(()) } else { Err(status) }
        });
        self.members.push(member);
    }

    /// Has a member leave for good, and ends it.
    #[track_caller]
    pub(crate) fn remove(&mut self, index: usize) {
        let member = self.members.remove(index);
        let id = member.id();
        let leader = self.leader_among_all(&member);
        leader.appctl(&["cluster/kick", DATABASE, &id]);
        poll("the member is gone", ELECTION_LIMIT, || {
            let status = self.members[0].server.appctl(&["cluster/status", DATABASE]);
            if status.contains(&format!("{id} ({id}")) { Err(status) } else { Ok(()) }
        });
        member.server.kill();
    }

    fn leader_among_all<'a>(&'a self, leaving: &'a Member) -> &'a Server {
        poll("a leader", ELECTION_LIMIT, || {
            let all = self.members.iter().chain([leaving]);
            all.map(|member| (member.leads(), &member.server))
                .find_map(|(leads, server)| leads.then_some(server))
                .ok_or_else(|| "nobody leads".to_owned())
        })
    }

    /// The member that leads, once one does.
    #[track_caller]
    pub(crate) fn leader(&self) -> usize {
        poll("a leader", ELECTION_LIMIT, || {
            self.members.iter().position(Member::leads).ok_or_else(|| "nobody leads".to_owned())
        })
    }

    /// One that leads and is none of these.
    #[track_caller]
    pub(crate) fn leader_but(&self, not: &[usize]) -> usize {
        poll("another leader", ELECTION_LIMIT, || {
            (0..self.members.len())
                .filter(|index| !not.contains(index))
                .find(|index| self.members[*index].leads())
                .ok_or_else(|| "nobody else leads".to_owned())
        })
    }

    /// Some member that does not lead.
    #[track_caller]
    pub(crate) fn follower(&self) -> usize {
        (self.leader() + 1) % self.members.len()
    }

    /// Parts a member from all others, both ways; clients reach it still.
    #[track_caller]
    pub(crate) fn isolate(&self, index: usize) {
        self.routes("add", index);
    }

    /// Undoes [`Cluster::isolate`].
    #[track_caller]
    pub(crate) fn heal(&self, index: usize) {
        self.routes("del", index);
    }

    fn routes(&self, verb: &str, index: usize) {
        let route = |to: &Member| format!("route {verb} blackhole {}/32", to.address);
        for (other, member) in self.members.iter().enumerate().filter(|(i, _)| *i != index) {
            self.members[index].netns.ip(&[route(member)]);
            self.members[other].netns.ip(&[route(&self.members[index])]);
        }
    }

    /// All members as `ovn-nbctl --db` takes them.
    pub(crate) fn remotes(&self) -> String {
        let remotes: Vec<_> = self.members.iter().map(|member| member.server.remote()).collect();
        remotes.join(",")
    }

    /// For `[northbound]` of a daemon.
    pub(crate) fn settings(&self) -> String {
        let remotes: Vec<_> = self.members.iter().map(|member| member.server.remote()).collect();
        format!("remotes = {remotes:?}\n")
    }

    /// The same by TCP, for a daemon in [`Cluster::client`].
    pub(crate) fn tcp_settings(&self) -> String {
        let remotes: Vec<_> = self.members.iter().map(Member::tcp).collect();
        format!("remotes = {remotes:?}\n")
    }

    /// The network namespace that reaches the members by TCP.
    pub(crate) fn client(&self) -> &str {
        self.client.name()
    }

    /// The remote of the member that leads.
    #[track_caller]
    pub(crate) fn leading_remote(&self) -> String {
        self.members[self.leader()].server.remote()
    }
}
#[track_caller]
fn connect(wire: &Netns, node: &Netns, port: &str, address: &str) {
    wire.ip(&[
        format!("link add {port} type veth peer name eth1 netns {}", node.name()),
        format!("link set {port} master br0 up"),
    ]);
    node.ip(&[format!("address add {address}/24 dev eth1"), "link set eth1 up".to_owned()]);
}
