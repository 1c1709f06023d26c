//! The OVSDB client: its configuration, and what the engine wants of its connection.

use std::path::PathBuf;

use crate::declare::Settings;
use crate::engine::Engine;
use crate::northbound::Northbound;
use crate::northbound::owner::host_lock;
use crate::northbound::tables::{DATABASE, LOCK, WANTED};
use crate::ovsdb::client::RemoteError;
use crate::ovsdb::{Client, Config, Remote, TlsFiles};

/// The client's configuration; every instance waits for the one lock, and the writer holds it.
pub(super) fn client_config(settings: &Settings, host: &str) -> Result<Config, RemoteError> {
    let northbound = &settings.northbound;
    let remotes: Vec<Remote> =
        northbound.remotes.iter().map(|remote| remote.parse()).collect::<Result<_, _>>()?;
    let files = (&northbound.ca_cert, &northbound.certificate, &northbound.private_key);
    let tls = match files {
        (Some(ca_cert), Some(certificate), Some(private_key)) => Some(TlsFiles {
            ca_cert: ca_cert.clone(),
            certificate: certificate.clone(),
            private_key: private_key.clone(),
            verify_name: northbound.verify_name,
        }),
        // The settings require all of these files or none.
        _ => None,
    };
    let (lock, identity) = (Some(LOCK.to_owned()), Some(host_lock(host)));
    let leader_only = northbound.leader_only;
    Ok(Config { tls, lock, identity, leader_only, ..Config::new(remotes, DATABASE, WANTED) })
}

/// The files of certificates and keys, of the northbound and of what listens on the network.
pub(super) fn watched_files(settings: &Settings) -> Vec<PathBuf> {
    let northbound = &settings.northbound;
    let files = [&northbound.ca_cert, &northbound.certificate, &northbound.private_key];
    let listeners = [&settings.api.listener, &settings.metrics.listener];
    let clients = listeners.map(|of| [&of.certificate, &of.private_key, &of.client_ca]);
    files.into_iter().chain(clients.into_iter().flatten()).flatten().cloned().collect()
}

/// Asks the client for what the engine wants of the connection: rows anew, and locks.
pub(super) fn serve_wants(engine: &mut Engine, client: &Client<Northbound>) {
    if engine.wants_resync() {
        client.resync();
    }
    client.contend(engine.contends());
    if engine.wants_lock() {
        client.steal();
    }
    if engine.wants_identity() {
        client.claim();
    }
}

/// The system's name; `None` if it is a name that every system has.
pub(super) fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let is_nameless = ["", "localhost", "localhost.localdomain", "(none)"].contains(&name.as_str());
    (!is_nameless).then_some(name)
}
