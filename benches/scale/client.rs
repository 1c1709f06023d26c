//! Processor time of the client for the first dump, against a bare socket that reads and types the
//! same rows, and keeps them likewise.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ovn_peerd::northbound::tables::{DATABASE, WANTED};
use ovn_peerd::ovsdb::{
    self, Config, DatabaseSchema, Event, Layout, MonitorMethod, MonitorReply, Remote, Replica,
};
use serde_json::json;

use super::say;
use super::server::Server;
use super::statistics::{median, own_cpu};
use super::table::{Table, time};
use super::wire::Connection;

const ROUNDS: usize = 9;

/// Reads everything, in turns with the client and without.
pub(crate) fn measure(full: &Path, dir: &Path, table: &mut Table) {
    say("reading everything");
    let server = Server::on_copy(dir, full);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (theirs, rows) = timed(|| on_a_thread(|| read_bare(&server.socket())));
        bare.push(theirs);
        let (mine, read) = timed(|| read_by_client(&server.socket()));
        ours.push(mine);
        assert_eq!(count(&read), count(&rows), "both read the same");
        say(&format!("{} rows: {mine:?} with the client, {theirs:?} without", count(&rows)));
    }
    let work = "client's processor time for the first dump";
    let reference = ("bare socket, the same framing and typing", time(median(&bare)));
    table.at_most(work, time(median(&ours)), reference, 1.1);
}

/// What came, and the processor time that it took without dropping it.
fn timed<T>(read: impl Fn() -> T) -> (Duration, T) {
    let before = own_cpu();
    let updates = read();
    (own_cpu() - before, updates)
}

/// The client's rows are read on a thread of their own: what memory costs there, it costs here.
fn on_a_thread<T: Send>(read: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(read).join()).expect("the rows can be read")
}

fn count(replica: &Replica) -> usize {
    replica.layout().table_ids().map(|table| replica.len(table)).sum()
}

fn read_by_client(socket: &Path) -> Replica {
    let remote: Remote = format!("unix:{}", socket.display()).parse().expect("a remote");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let client = ovsdb::connect::<Replica>(Config::new(vec![remote], DATABASE, WANTED));
        let mut client = client.expect("a thread can be had");
        loop {
            match client.next().await.expect("the client lives") {
                Event::Snapshot { rows, .. } => return *rows,
                Event::Disconnected { error, .. } => panic!("{error}"),
                Event::Connected { .. }
                | Event::Certificates(_)
                | Event::Resumed
                | Event::Update { .. }
                | Event::Lock { .. }
                | Event::Identity { .. }
                | Event::Transacted { .. } => {}
            }
        }
    })
}

fn read_bare(socket: &Path) -> Replica {
    let mut connection = Connection::open(socket);
    let schema = connection.call("get_schema", &json!([DATABASE]));
    let schema: DatabaseSchema = serde_json::from_value(schema).expect("a schema");
    let layout = Arc::new(Layout::new(WANTED, &schema));
    let method = MonitorMethod::MonitorCondSince;
    let nil = "00000000-0000-0000-0000-000000000000";
    let params = (DATABASE, DATABASE, layout.monitor_requests(true), nil);
    let request = json!({"method": method.as_str(), "params": params, "id": 2});
    connection.send(request.to_string().as_bytes());
    let frame = connection.frame();
    let reply = MonitorReply::decode_message(&layout, method, &frame).expect("a monitor reply");
    drop(frame);
    let mut replica = Replica::new(layout);
    replica.extend(reply.updates).expect("each row comes once");
    replica
}
