//! `requests`, `networks`, `projects` and `whoami`.

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::client::ControlClient;
use super::error::CtlError;
use super::format::Records;
use super::output::Output;
use super::table::{Cell, Kind, Table};
use super::text::{age, count};
use crate::view::{NetworkView, ProjectView, RequestView, WhoamiView};

/// What to list.
#[derive(Debug, Subcommand)]
pub(super) enum CatalogCommand {
    /// List the halves of others that ask one of your networks to peer, and have no answer.
    Requests,
    /// List the networks that are bound to routers.
    Networks,
    /// List the projects.
    Projects,
    /// Show who you are to the daemon, and which projects are yours.
    Whoami,
}

impl CatalogCommand {
    /// Whether its answer is a list.
    pub(super) fn lists(&self) -> bool {
        match self {
            Self::Requests | Self::Networks | Self::Projects => true,
            Self::Whoami => false,
        }
    }
}

pub(super) async fn obey(
    client: &ControlClient,
    output: &Output,
    command: CatalogCommand,
    now: Timestamp,
) -> Result<(), CtlError> {
    match command {
        CatalogCommand::Requests => {
            let requests: Vec<RequestView> = client.get("/v1/requests").await?;
            output.list(
                &requests,
                |all| records(all),
                |requests, width| requests_table(requests, width, now),
            )
        }
        CatalogCommand::Networks => {
            let networks: Vec<NetworkView> = client.get("/v1/networks").await?;
            output.list(
                &networks,
                |all| records(all),
                |networks, width| networks_table(networks, width),
            )
        }
        CatalogCommand::Projects => {
            let projects: Vec<ProjectView> = client.get("/v1/projects").await?;
            output.list(
                &projects,
                |all| records(all),
                |projects, width| projects_table(projects, width),
            )
        }
        CatalogCommand::Whoami => {
            let whoami: WhoamiView = client.get("/v1/whoami").await?;
            output.show(&whoami, |whoami, _| whoami_text(whoami))
        }
    }
}

/// A list for spreadsheets: the fields in the order of their names, as in JSON.
pub(super) fn records<T: Serialize>(all: &[T]) -> Records {
    let value = |value: &Json| match value {
        Json::Null => String::new(),
        Json::Array(all) => all.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => value.to_string(),
    };
    let rows = all.iter().filter_map(|it| match serde_json::to_value(it) {
        Ok(Json::Object(fields)) => Some(fields),
        Ok(_) | Err(_) => None,
    });
    let rows: Vec<_> = rows.collect();
    Records {
        headings: rows.first().map(|row| row.keys().cloned().collect()),
        records: rows.iter().map(|row| row.values().map(value).collect()).collect(),
    }
}

pub(super) fn requests_table(
    requests: &[RequestView],
    width: Option<usize>,
    now: Timestamp,
) -> String {
    if requests.is_empty() {
        return "Nobody asks for a peering.\n".to_owned();
    }
    let mut table = Table::new([
        ("NETWORK", Kind::Name),
        ("FROM", Kind::Name),
        ("AGE", Kind::Word),
        ("DESCRIPTION", Kind::Text),
    ]);
    for request in requests {
        table.row([
            Cell::new(&format!("{}/{}", request.project, request.network)),
            Cell::new(&format!("{}/{}", request.from_project, request.from_network)),
            Cell::new(&age(request.since, now)),
            Cell::new(&request.description),
        ]);
    }
    let answer = "`ovn-peerctl accept NETWORK FROM` answers one, `ovn-peerctl reject NETWORK FROM` \
                  rejects it.";
    let lines = super::text::wrap(answer, width).join("\n");
    format!("{}\n{}\n{lines}\n", table.lines(true, width), count(requests.len(), "request"))
}

pub(super) fn networks_table(networks: &[NetworkView], width: Option<usize>) -> String {
    if networks.is_empty() {
        return "No networks are bound.\n".to_owned();
    }
    let mut table = Table::new([
        ("NETWORK", Kind::Name),
        ("ROUTER", Kind::Name),
        ("HALVES", Kind::Number),
        ("UUID", Kind::Word),
    ]);
    for network in networks {
        table.row([
            Cell::new(&format!("{}/{}", network.project, network.network)),
            Cell::new(&network.router),
            Cell::new(&network.halves.to_string()),
            Cell::new(&network.uuid.to_string()),
        ]);
    }
    table.lines(true, width)
}

pub(super) fn projects_table(projects: &[ProjectView], width: Option<usize>) -> String {
    if projects.is_empty() {
        return "No project has networks or halves.\n".to_owned();
    }
    let mut table = Table::new([
        ("PROJECT", Kind::Name),
        ("NETWORKS", Kind::Number),
        ("HALVES", Kind::Number),
        ("MAX-HALVES", Kind::Number),
    ]);
    for project in projects {
        let most = project.max_halves.map_or_else(|| "-".to_owned(), |most| most.to_string());
        table.row([
            Cell::new(&project.project),
            Cell::new(&project.networks.to_string()),
            Cell::new(&project.halves.to_string()),
            Cell::new(&most),
        ]);
    }
    table.lines(true, width)
}

pub(super) fn whoami_text(whoami: &WhoamiView) -> String {
    let projects = whoami.projects.join(", ");
    let (role, projects) = match whoami.operator {
        true => ("operator", "all"),
        false => ("tenant", &*projects),
    };
    format!("Account   {}\nRole      {role}\nProjects  {projects}\n", whoami.account)
}
