//! How a session begins: from an address to the first dump, in the order of OVS's own client.
//!
//! Owns the requests up to the first dump: whether this is the right server, what its schema is,
//! whether this client may write, which rows there are, and whether this client holds the locks. It
//! asks for the first dump table by table, as one monitor, so that changes of others come in order
//! meanwhile; it decodes a table while the server composes the next one. May not touch any table's
//! name but those of `_Server`, the protocol's own database (ovsdb-server(5)).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Wishes;
use super::backlog::Backlog;
use super::config::Config;
use super::connection::Connection;
use super::error::SessionError;
use super::keys::Material;
use super::remote::Remote;
use super::rpc::Wire;
use super::socket::{self, Opened};
use super::transport::Heard;
use crate::ovsdb::layout::Layout;
use crate::ovsdb::operation::Operation;
use crate::ovsdb::outcome::{Expected, OutcomeError};
use crate::ovsdb::replica::{Replica, Store};
use crate::ovsdb::schema::DatabaseSchema;
use crate::ovsdb::update::{MonitorMethod, MonitorReply, UpdateParams};
use crate::ovsdb::wanted::{ColumnId, TableId, Wanted};

/// The database that describes the server's databases (ovsdb-server(5)).
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
    /// Whether to read everything in one piece, because an update contradicted the rows before.
    pub(super) whole: bool,
}

/// A session that can begin.
pub(super) struct Opening<S> {
    pub(super) connection: Connection,
    /// `None` with a server that has no `_Server` database (before OVS 2.9).
    pub(super) server: Option<Replica>,
    pub(super) schema: Arc<DatabaseSchema>,
    pub(super) layout: Arc<Layout>,
    pub(super) first: First<S>,
    /// Whether the configured locks are held.
    pub(super) locks: Locks,
    /// Until when the server's certificate is valid.
    pub(super) server_until: Option<jiff::Timestamp>,
}

/// Which of the configured locks this client holds; `None` for a lock that it did not ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Locks {
    /// The lock that identifies this client.
    pub(super) identity: Option<bool>,
    /// The other one.
    pub(super) lock: Option<bool>,
}

/// The rows that a session begins with.
pub(super) enum First<S> {
    /// The changes after the last transaction of the last session.
    Missed(MonitorReply),
    /// Everything.
    Everything { rows: S, last_id: Uuid },
}

/// A monitor's id, as JSON text: the database's name.
pub(super) fn monitor_id(database: &str) -> String {
    serde_json::Value::from(database).to_string()
}

/// Connects and sends the requests that each session sends once.
///
/// # Errors
/// If the server is not there, does not answer, is not the right one, or lacks the database.
pub(super) async fn open<S: Store>(
    config: &Config,
    remote: &Remote,
    resume: &Resume,
    material: Option<&Material>,
    (heard, backlog): (&Heard, &Backlog),
    wishes: &Wishes,
) -> Result<Opening<S>, SessionError> {
    let opened = connected(config, remote, material).await?;
    let server_until = opened.server_until;
    let mut connection = Connection::new(opened.streams, config, heard, backlog);
    let limit = config.handshake_timeout;
    let (server, schema, layout) =
        tokio::time::timeout(limit, handshake(&mut connection, config, resume, wishes))
            .await
            .map_err(|_| SessionError::Timeout {
                what: "the requests before the first dump",
                limit,
            })??;
    let since = if resume.layout.as_ref() == Some(&layout) { resume.last_id } else { Uuid::nil() };
    let first = monitor(&mut connection, &layout, since, resume.whole).await?;
    // Last, so that of many clients one that is ready to write gets the lock.
    let locks = locks(&mut connection, config, wishes.contends()).await?;
    Ok(Opening { connection, server, schema, layout, first, locks, server_until })
}

/// The requests before the first dump: their replies are small, so the wait for them has a limit.
async fn handshake(
    connection: &mut Connection,
    config: &Config,
    resume: &Resume,
    wishes: &Wishes,
) -> Result<(Option<Replica>, Arc<DatabaseSchema>, Arc<Layout>), SessionError> {
    let server = server_monitor(connection, config).await?;
    if let Some(server) = &server {
        check_server(server, config)?;
    }
    change_aware(connection, config).await?;
    let schema = Arc::new(schema(connection, config, config.database).await?);
    let layout = layout(&schema, config, resume);
    if wishes.contends() {
        check_writable(connection, config, &layout).await?;
    }
    Ok((server, schema, layout))
}

/// A connection, with TLS if the remote says so.
///
/// # Errors
/// If nobody listens, the TLS handshake fails, or either takes too long.
pub(super) async fn connected(
    config: &Config,
    remote: &Remote,
    material: Option<&Material>,
) -> Result<Opened, SessionError> {
    let limit = config.connect_timeout;
    let stream = tokio::time::timeout(limit, socket::connect(remote))
        .await
        .map_err(|_| SessionError::Timeout { what: "the attempt to connect", limit })??;
    // The system accepts a connection; the handshake needs the server itself, which may be busy.
    let limit = config.answer_timeout.unwrap_or(config.silence());
    tokio::time::timeout(limit, socket::secure(stream, remote, material))
        .await
        .map_err(|_| SessionError::Timeout { what: "the TLS handshake", limit })?
        .map_err(SessionError::from)
}

/// The layout for this schema; the last session's own `Arc` if they are equal, so that users see
/// that nothing has changed.
fn layout(schema: &DatabaseSchema, config: &Config, resume: &Resume) -> Arc<Layout> {
    let layout = Layout::new(config.wanted, schema);
    match &resume.layout {
        Some(last) if **last == layout => Arc::clone(last),
        _ => Arc::new(layout),
    }
}

async fn schema(
    connection: &mut Connection,
    config: &Config,
    database: &'static str,
) -> Result<DatabaseSchema, SessionError> {
    connection.call("get_schema", [database], config.answer_timeout).await
}

async fn server_monitor(
    connection: &mut Connection,
    config: &Config,
) -> Result<Option<Replica>, SessionError> {
    let schema = match schema(connection, config, SERVER).await {
        Ok(schema) => schema,
        Err(SessionError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let layout = Arc::new(Layout::new(SERVER_WANTED, &schema));
    // A server that has this database knows this method.
    let method = MonitorMethod::MonitorCond;
    let params = (SERVER, SERVER, layout.monitor_requests(false));
    let message = connection.monitor(method.as_str(), params, config.answer_timeout).await?;
    let reply = MonitorReply::decode_message(&layout, method, &message.frame)?;
    let mut server = Replica::new(layout);
    server.extend(reply.updates)?;
    Ok(Some(server))
}

/// Checks by the server's `_Server` database whether it is the right one.
///
/// # Errors
/// If it lacks the database, has lost its cluster, or is not the leader where only the leader may
/// be used.
pub(super) fn check_server(server: &Replica, config: &Config) -> Result<(), SessionError> {
    let mut present = Vec::new();
    for (_, row) in server.rows(DATABASE) {
        let name = row.get(NAME).string();
        if name != config.database {
            present.push(name.to_owned());
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

/// Without this a server drops its clients when a schema is converted (ovsdb-server(7) section
/// 4.1.18).
async fn change_aware(connection: &mut Connection, config: &Config) -> Result<(), SessionError> {
    let limit = config.answer_timeout;
    match connection.call::<Box<RawValue>>("set_db_change_aware", [true], limit).await {
        // An older server does not know this method.
        Ok(_) | Err(SessionError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Checks that a client with a lock may write. The lock does not show it: from OVS 3.3 on a backup
/// server grants it, and refuses each transaction (ovsdb(7), "Active-Backup Database Service
/// Model"). So the client asks to delete a row that cannot exist, before the server composes a
/// dump.
async fn check_writable(
    connection: &mut Connection,
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
    let reply: Box<RawValue> = connection.call("transact", params, config.answer_timeout).await?;
    match Expected::of(&nothing).decode(reply.get().as_bytes()) {
        Err(OutcomeError::Refused(refusal)) if refusal.is_read_only() => {
            Err(SessionError::ReadOnly(refusal))
        }
        // Any other refusal may concern only this table: the grants of a role, for example.
        Ok(_) | Err(OutcomeError::Refused(_)) => Ok(()),
        Err(OutcomeError::Malformed { what, source }) => Err(SessionError::malformed(what, source)),
    }
}

/// The first dump, or the changes after `since`; by the newest method that the server knows.
async fn monitor<S: Store>(
    connection: &mut Connection,
    layout: &Arc<Layout>,
    since: Uuid,
    whole: bool,
) -> Result<First<S>, SessionError> {
    let mut method = MonitorMethod::MonitorCondSince;
    loop {
        let staged = method == MonitorMethod::MonitorCondSince && since.is_nil() && !whole;
        let requests = if staged {
            layout.closed_requests()
        } else {
            layout.monitor_requests(method != MonitorMethod::Monitor)
        };
        let (database, id) = (layout.database(), layout.database());
        // A server may take many seconds for a large dump. Probes check that it lives.
        let reply = if method == MonitorMethod::MonitorCondSince {
            connection.monitor(method.as_str(), (database, id, requests, since), None).await
        } else {
            connection.monitor(method.as_str(), (database, id, requests), None).await
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
        let (mut rows, mut last_id) = (S::empty(Arc::clone(layout)), reply.last_id);
        rows.extend(reply.updates)?;
        if staged {
            last_id = widen(connection, layout, &mut rows, last_id).await?;
        }
        return Ok(First::Everything { rows, last_id });
    }
}

/// Asks for the rows of one table after the other: the server composes the next table while the
/// client decodes the last one, so that only the text of one table is in memory. All tables are one
/// monitor, so writes of others come meanwhile as changes to the rows that are there already.
async fn widen(
    connection: &mut Connection,
    layout: &Layout,
    rows: &mut impl Store,
    mut last_id: Uuid,
) -> Result<Uuid, SessionError> {
    let method = MonitorMethod::MonitorCondSince;
    let id = layout.database();
    let requests = layout.widenings().map(|wider| (id, id, wider));
    let layout_of = |_: &str| Some(layout);
    connection
        .calls("monitor_cond_change", requests, |wire| match wire {
            // No other monitor has this method; the one of `_Server` has another.
            Wire::Notification { method: name, message }
                if MonitorMethod::of_notification(&name) == Some(method) =>
            {
                let params = UpdateParams::decode_message(&layout_of, method, &message.frame)?;
                last_id = params.last_id;
                drop(message);
                rows.extend(params.updates)?;
                Ok(None)
            }
            Wire::Notification { .. } | Wire::MonitorReply(_) | Wire::Ended(_) => Ok(Some(wire)),
        })
        .await?;
    Ok(last_id)
}

/// Asks for the configured locks; for the second one only if it holds the first.
async fn locks(
    connection: &mut Connection,
    config: &Config,
    contends: bool,
) -> Result<Locks, SessionError> {
    let identity = lock(connection, config.identity.as_ref(), "lock").await?;
    let wanted = config.lock.as_ref().filter(|_| contends && identity != Some(false));
    Ok(Locks { identity, lock: lock(connection, wanted, "lock").await? })
}

/// Asks for a lock, if there is one, by `lock` or `steal` (RFC 7047 section 4.1.8); returns whether
/// this client holds it now.
pub(super) async fn lock(
    connection: &mut Connection,
    name: Option<&String>,
    method: &'static str,
) -> Result<Option<bool>, SessionError> {
    #[derive(Deserialize)]
    struct Reply {
        locked: bool,
    }
    let Some(name) = name else { return Ok(None) };
    // Giving up now would make the server compose a dump again; probes check whether it lives.
    connection.call(method, [name], None).await.map(|Reply { locked }| Some(locked))
}
