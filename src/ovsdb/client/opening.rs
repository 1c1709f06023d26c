//! How a session begins: from an address to the first dump, in the order of OVS's own client.
//!
//! Owns the requests before the first dump: is this server the one to speak to, what is its schema, what
//! rows are there, may this client write, is the lock held. The first dump is asked for table by table, as one monitor,
//! so that what others write meanwhile is told in order; a table is decoded while the server composes the next one.
//! May not touch any table's name but those of `_Server`, the protocol's own database (ovsdb-server(5)).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Wishes;
use super::backlog::Backlog;
use super::config::Config;
use super::error::SessionError;
use super::keys::Material;
use super::link::Link;
use super::remote::Remote;
use super::rpc::Wire;
use super::socket::{self, Opened};
use super::transport::Heard;
use crate::ovsdb::layout::{ColumnId, Layout, TableId};
use crate::ovsdb::operation::Operation;
use crate::ovsdb::outcome::{Expected, OutcomeError};
use crate::ovsdb::replica::Replica;
use crate::ovsdb::schema::DatabaseSchema;
use crate::ovsdb::update::{MonitorMethod, MonitorReply, UpdateParams};
use crate::ovsdb::wanted::Wanted;

/// The database about databases (ovsdb-server(5)).
pub(super) const SERVER: &str = "_Server";
/// Without `index`, which changes with every transaction.
const SERVER_WANTED: &[Wanted] =
    &[Wanted { table: "Database", columns: &["name", "connected", "leader"], condition: None }];
const DATABASE: TableId = TableId(0);
const NAME: ColumnId = ColumnId(0);
const CONNECTED: ColumnId = ColumnId(1);
const LEADER: ColumnId = ColumnId(2);

/// Where the last session ended.
#[derive(Debug, Default)]
pub(super) struct Resume {
    pub(super) layout: Option<Arc<Layout>>,
    pub(super) last_id: Uuid,
    /// Whether everything is to be read in one piece: something did not fit before.
    pub(super) whole: bool,
}

/// A session that can begin.
pub(super) struct Opening {
    pub(super) link: Link,
    /// `None` with a server that has no `_Server` database (before OVS 2.9).
    pub(super) server: Option<Replica>,
    pub(super) schema: Arc<DatabaseSchema>,
    pub(super) layout: Arc<Layout>,
    pub(super) first: First,
    /// Whether the configured locks are held.
    pub(super) locks: Locks,
    /// Until when the server's certificate is valid.
    pub(super) server_until: Option<jiff::Timestamp>,
}

/// Which of the configured locks are held; none of one that was not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Locks {
    /// The one that says who this client is.
    pub(super) identity: Option<bool>,
    /// The other one.
    pub(super) lock: Option<bool>,
}

/// The rows that a session begins with.
pub(super) enum First {
    /// What came after the last transaction of the last session.
    Missed(MonitorReply),
    /// Everything.
    Everything { replica: Replica, last_id: Uuid },
}

/// A monitor's id, as JSON text: the database's name.
pub(super) fn monitor_id(database: &str) -> String {
    serde_json::Value::from(database).to_string()
}

/// Connects and asks all that is asked once.
///
/// # Errors
/// If the server is not there, does not answer, is not the one to speak to, or has not what is wanted.
pub(super) async fn open(
    config: &Config,
    remote: &Remote,
    resume: &Resume,
    material: Option<&Material>,
    (heard, backlog): (&Heard, &Backlog),
    wishes: &Wishes,
) -> Result<Opening, SessionError> {
    let opened = connected(config, remote, material).await?;
    let server_until = opened.server_until;
    let mut link = Link::new(opened.halves, config, heard, backlog);
    let limit = config.handshake_timeout;
    let (server, schema, layout) =
        tokio::time::timeout(limit, handshake(&mut link, config, resume, wishes)).await.map_err(
            |_| SessionError::Timeout { what: "all that is asked before the first dump", limit },
        )??;
    let since = if resume.layout.as_ref() == Some(&layout) { resume.last_id } else { Uuid::nil() };
    let first = monitor(&mut link, &layout, since, resume.whole).await?;
    // Last, so that of many clients one that can write at once becomes the one that does.
    let locks = locks(&mut link, config, wishes.contends()).await?;
    Ok(Opening { link, server, schema, layout, first, locks, server_until })
}

/// What is asked before the first dump: replies are small, and there is an end to waiting for them.
async fn handshake(
    link: &mut Link,
    config: &Config,
    resume: &Resume,
    wishes: &Wishes,
) -> Result<(Option<Replica>, Arc<DatabaseSchema>, Arc<Layout>), SessionError> {
    let server = server_monitor(link, config).await?;
    if let Some(server) = &server {
        check_server(server, config)?;
    }
    change_aware(link, config).await?;
    let schema = Arc::new(schema(link, config, config.database).await?);
    let layout = layout(&schema, config, resume);
    if wishes.contends() {
        check_writable(link, config, &layout).await?;
    }
    Ok((server, schema, layout))
}

/// A connection, secured if it shall be.
///
/// # Errors
/// If there is nobody, TLS cannot be agreed on, or either takes too long.
pub(super) async fn connected(
    config: &Config,
    remote: &Remote,
    material: Option<&Material>,
) -> Result<Opened, SessionError> {
    let limit = config.connect_timeout;
    let stream = tokio::time::timeout(limit, socket::connect(remote))
        .await
        .map_err(|_| SessionError::Timeout { what: "the attempt to connect", limit })??;
    // The system accepts a connection; the server itself, which may be busy, has to answer.
    let limit = config.answer_timeout.unwrap_or(config.silence());
    tokio::time::timeout(limit, socket::secure(stream, remote, material))
        .await
        .map_err(|_| SessionError::Timeout { what: "the TLS handshake", limit })?
        .map_err(SessionError::from)
}

/// The layout for this schema; the last session's own where it is the same, so that users can tell.
fn layout(schema: &DatabaseSchema, config: &Config, resume: &Resume) -> Arc<Layout> {
    let layout = Layout::new(config.wanted, schema);
    match &resume.layout {
        Some(last) if **last == layout => Arc::clone(last),
        _ => Arc::new(layout),
    }
}

async fn schema(
    link: &mut Link,
    config: &Config,
    database: &'static str,
) -> Result<DatabaseSchema, SessionError> {
    link.call("get_schema", [database], config.answer_timeout).await
}

async fn server_monitor(link: &mut Link, config: &Config) -> Result<Option<Replica>, SessionError> {
    let schema = match schema(link, config, SERVER).await {
        Ok(schema) => schema,
        Err(SessionError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let layout = Arc::new(Layout::new(SERVER_WANTED, &schema));
    // A server that has this database knows this method.
    let method = MonitorMethod::MonitorCond;
    let params = (SERVER, SERVER, layout.monitor_requests(false));
    let message = link.monitor(method.as_str(), params, config.answer_timeout).await?;
    let reply = MonitorReply::decode_message(&layout, method, &message.frame)?;
    let mut server = Replica::new(layout);
    server.extend(reply.updates)?;
    Ok(Some(server))
}

/// Whether this is the server to speak to, by what it says of itself.
///
/// # Errors
/// If it lacks the database, has lost its cluster, or does not lead it and only the leader will do.
pub(super) fn check_server(server: &Replica, config: &Config) -> Result<(), SessionError> {
    let mut present = Vec::new();
    for (_, row) in server.rows(DATABASE) {
        let name = row.get(NAME).string();
        if name != config.database {
            present.push(name.into_owned());
            continue;
        }
        let says = |column| row.get(column).boolean();
        if says(CONNECTED) == Some(false) {
            return Err(SessionError::NotInCluster);
        }
        if config.leader_only && says(LEADER) == Some(false) {
            return Err(SessionError::NotLeader);
        }
        return Ok(());
    }
    present.sort();
    Err(SessionError::NoDatabase { database: config.database, present: present.join(", ") })
}

/// Without this a server drops its clients when a schema is converted (ovsdb-server(7) section 4.1.18).
async fn change_aware(link: &mut Link, config: &Config) -> Result<(), SessionError> {
    let limit = config.answer_timeout;
    match link.call::<Box<RawValue>>("set_db_change_aware", [true], limit).await {
        // An older server does not know it.
        Ok(_) | Err(SessionError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a client that means to write (it wants a lock) may. The lock does not tell: from OVS 3.3 on a backup server grants
/// it, and refuses each transaction (ovsdb(7), "Active-Backup Database Service Model"). So it is asked to delete a row that
/// there cannot be, before it has to compose a dump.
async fn check_writable(
    link: &mut Link,
    config: &Config,
    layout: &Layout,
) -> Result<(), SessionError> {
    let Some(table) = layout.table_ids().find(|table| layout.has_table(*table)) else {
        return Ok(());
    };
    let Some(table) = layout.table_name(table).filter(|_| config.lock.is_some()) else {
        return Ok(());
    };
    let nothing = [Operation::Delete { table, row_uuid: Uuid::nil() }];
    let params = (config.database, &nothing[0]);
    let reply: Box<RawValue> = link.call("transact", params, config.answer_timeout).await?;
    match Expected::of(&nothing).decode(reply.get().as_bytes()) {
        Err(OutcomeError::Refused(refusal)) if refusal.is_read_only() => {
            Err(SessionError::ReadOnly(refusal))
        }
        // Whatever else it refuses may be about this table alone: a role's grants, say.
        Ok(_) | Err(OutcomeError::Refused(_)) => Ok(()),
        Err(OutcomeError::Malformed { what, source }) => Err(SessionError::malformed(what, source)),
    }
}

/// The first dump, or what came after `since`; by the newest method that the server knows.
async fn monitor(
    link: &mut Link,
    layout: &Arc<Layout>,
    since: Uuid,
    whole: bool,
) -> Result<First, SessionError> {
    let mut method = MonitorMethod::MonitorCondSince;
    loop {
        let staged = method == MonitorMethod::MonitorCondSince && since.is_nil() && !whole;
        let requests = if staged {
            layout.closed_requests()
        } else {
            layout.monitor_requests(method != MonitorMethod::Monitor)
        };
        let (database, id) = (layout.database(), layout.database());
        // A server may take many seconds for a large dump. That it lives is seen to by probes.
        let reply = if method == MonitorMethod::MonitorCondSince {
            link.monitor(method.as_str(), (database, id, requests, since), None).await
        } else {
            link.monitor(method.as_str(), (database, id, requests), None).await
        };
        let reply = match (reply, method.older()) {
            (Ok(message), _) => MonitorReply::decode_message(layout, method, &message.frame)?,
            (Err(SessionError::Refused { failure, .. }), Some(older))
                if failure.error == "unknown method" =>
            {
                method = older;
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        if reply.found {
            return Ok(First::Missed(reply));
        }
        let (mut replica, mut last_id) = (Replica::new(Arc::clone(layout)), reply.last_id);
        replica.extend(reply.updates)?;
        if staged {
            last_id = widen(link, &mut replica, last_id).await?;
        }
        return Ok(First::Everything { replica, last_id });
    }
}

/// Asks for the rows of one table after the other: the server composes the next ones while the last
/// are decoded, and only their text is there at any time. All of them are one monitor, so
/// what others write meanwhile comes as changes to the rows that are there already.
async fn widen(
    link: &mut Link,
    replica: &mut Replica,
    mut last_id: Uuid,
) -> Result<Uuid, SessionError> {
    let method = MonitorMethod::MonitorCondSince;
    let layout = Arc::clone(replica.layout());
    let id = layout.database();
    let requests = layout.widenings().map(|rows| (id, id, rows));
    let layout_of = |_: &str| Some(&*layout);
    link.calls("monitor_cond_change", requests, |wire| match wire {
        // The only monitor by this method; that of `_Server` is of another.
        Wire::Notification { method: name, message }
            if MonitorMethod::of_notification(&name) == Some(method) =>
        {
            let params = UpdateParams::decode_message(&layout_of, method, &message.frame)?;
            last_id = params.last_id;
            drop(message);
            replica.extend(params.updates)?;
            Ok(None)
        }
        Wire::Notification { .. } | Wire::MonitorReply(_) | Wire::Ended(_) => Ok(Some(wire)),
    })
    .await?;
    Ok(last_id)
}

/// Asks for the configured locks: for the second one only with the first.
async fn locks(link: &mut Link, config: &Config, contends: bool) -> Result<Locks, SessionError> {
    let identity = lock(link, config.identity.as_ref(), "lock").await?;
    let wanted = config.lock.as_ref().filter(|_| contends && identity != Some(false));
    Ok(Locks { identity, lock: lock(link, wanted, "lock").await? })
}

/// Asks for a lock, if there is one, by `lock` or `steal` (RFC 7047 section 4.1.8); whether it is held now.
pub(super) async fn lock(
    link: &mut Link,
    name: Option<&String>,
    method: &'static str,
) -> Result<Option<bool>, SessionError> {
    #[derive(Deserialize)]
    struct Reply {
        locked: bool,
    }
    let Some(name) = name else { return Ok(None) };
    // To give up now would have the server compose a dump once more; probes see whether it lives.
    link.call(method, [name], None).await.map(|Reply { locked }| Some(locked))
}
