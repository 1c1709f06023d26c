//! `list`: which halves, in which columns and order, and a footer of what needs attention.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::client;
use super::format::Records;
use super::table::{Cell, Kind, Table};
use super::text::{age, count, wrap};
use crate::control::state_of;
use crate::view::{AttentionView, HalfView, Reason, State};

/// What failed, and what is degraded.
const FAILED: Style = AnsiColor::Red.on_default();
const DEGRADED: Style = AnsiColor::Yellow.on_default();

/// Which halves, and how.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ListArguments {
    /// Only halves of this project.
    #[arg(long)]
    pub(super) project: Option<String>,
    /// Only halves of networks of this name.
    #[arg(long)]
    pub(super) network: Option<String>,
    /// Only halves in this state; several with commas between, or by several --state.
    #[arg(long, value_parser = state_of, value_delimiter = ',')]
    pub(super) state: Vec<State>,
    /// Only halves that are degraded.
    #[arg(long)]
    pub(super) degraded: bool,
    /// Only halves with this target: PROJECT/NETWORK, or NETWORK of the half's own project.
    #[arg(long)]
    pub(super) target: Option<String>,
    /// More columns, and no cell is cut on a terminal.
    #[arg(long)]
    pub(super) wide: bool,
    /// No headings and no footer.
    #[arg(long)]
    pub(super) no_headers: bool,
    /// These columns, with commas between.
    #[arg(long, value_enum, value_name = "COLUMN", value_delimiter = ',')]
    pub(super) columns: Vec<Column>,
    /// In the order of these columns, with commas between; a `-` before one reverses it.
    #[arg(long, value_name = "[-]COLUMN", value_delimiter = ',', allow_hyphen_values = true)]
    pub(super) sort: Vec<Order>,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    column: Column,
    reversed: bool,
}

impl std::str::FromStr for Order {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (reversed, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
        let column = Column::from_str(name, false).map_err(|_| {
            let known = Column::value_variants().iter().map(|column| column.name());
            format!("no such column; there are {}", known.collect::<Vec<_>>().join(", "))
        })?;
        Ok(Self { column, reversed })
    }
}

/// A column of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Column {
    /// PROJECT/NETWORK/NAME.
    Half,
    /// The owner's project.
    Project,
    /// The local network.
    Network,
    /// The half's name.
    Name,
    /// PROJECT/NETWORK, or a UUID.
    Target,
    /// The half's UUID.
    Uuid,
    /// The state; for people also whether it is degraded, and why it failed or is provisioning.
    State,
    /// Why it is not active.
    Reason,
    /// What is degraded.
    Degraded,
    /// How many prefixes of this side the other side accepts.
    Out,
    /// How many prefixes of the other side this side accepts.
    In,
    /// How long it has been in this state.
    Age,
    /// Since when.
    Since,
    /// Since when the network's guests get their present routes.
    Guests,
    /// The hosts that declare it.
    Hosts,
    /// Free text.
    Description,
}

/// What fits in 80 columns.
const USUAL: [Column; 6] =
    [Column::Half, Column::Target, Column::State, Column::Out, Column::In, Column::Age];
/// For spreadsheets: each value by itself.
const SINGLE: [Column; 13] = [
    Column::Project,
    Column::Network,
    Column::Name,
    Column::Target,
    Column::State,
    Column::Reason,
    Column::Since,
    Column::Out,
    Column::In,
    Column::Degraded,
    Column::Hosts,
    Column::Guests,
    Column::Description,
];
/// With `--wide`.
const MORE: [Column; 3] = [Column::Hosts, Column::Degraded, Column::Description];

impl ListArguments {
    /// The path of the question, with its query.
    pub(super) fn path(&self) -> String {
        let states: Vec<&str> = self.state.iter().map(|state| state.as_str()).collect();
        let query = client::query(&[
            ("project", self.project.clone()),
            ("network", self.network.clone()),
            ("target", self.target.clone()),
            ("state", Some(states.join(",")).filter(|words| !words.is_empty())),
            ("degraded", self.degraded.then(|| "true".to_owned())),
        ]);
        format!("/v1/halves{query}")
    }

    /// Brings the halves in order.
    pub(super) fn sort(&self, halves: &mut [HalfView]) {
        let by = |order: &Order, one: &HalfView, other: &HalfView| {
            let ordering = order.column.compare(one, other);
            if order.reversed { ordering.reverse() } else { ordering }
        };
        halves.sort_by(|one, other| {
            let mut orders = self.sort.iter().map(|order| by(order, one, other));
            orders.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    fn columns(&self) -> Vec<Column> {
        if !self.columns.is_empty() {
            return self.columns.clone();
        }
        let more = MORE.iter().filter(|_| self.wide);
        USUAL.iter().chain(more).copied().collect()
    }
}

impl Column {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Half => "HALF",
            Self::Project => "PROJECT",
            Self::Network => "NETWORK",
            Self::Name => "NAME",
            Self::Target => "TARGET",
            Self::Uuid => "UUID",
            Self::State => "STATE",
            Self::Reason => "REASON",
            Self::Degraded => "DEGRADED",
            Self::Out => "OUT",
            Self::In => "IN",
            Self::Age => "AGE",
            Self::Since => "SINCE",
            Self::Guests => "GUESTS",
            Self::Hosts => "HOSTS",
            Self::Description => "DESCRIPTION",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Half | Self::Project | Self::Network | Self::Name | Self::Target => Kind::Name,
            Self::Out | Self::In => Kind::Number,
            Self::Age | Self::Since | Self::Guests | Self::Uuid => Kind::Word,
            Self::State | Self::Reason | Self::Degraded | Self::Hosts | Self::Description => {
                Kind::Text
            }
        }
    }

    /// What a program reads; empty if there is nothing.
    pub(super) fn value(self, half: &HalfView) -> String {
        let moment = |it: Option<Timestamp>| it.map(|it| it.to_string()).unwrap_or_default();
        match self {
            Self::Half => format!("{}/{}/{}", half.project, half.network, half.name),
            Self::Project => half.project.clone(),
            Self::Network => half.network.clone(),
            Self::Name => half.name.clone(),
            Self::Target => half.target(),
            Self::Uuid => half.uuid.to_string(),
            Self::State => half.state.to_string(),
            Self::Reason => half.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            Self::Degraded => half.degraded.join("; "),
            Self::Out => half.exported.to_string(),
            Self::In => half.imported.to_string(),
            Self::Age | Self::Since => moment(half.since),
            Self::Guests => moment(half.guests_since),
            Self::Hosts => half.hosts.join(", "),
            Self::Description => half.description.clone(),
        }
    }

    fn cell(self, half: &HalfView, now: Timestamp) -> Cell {
        let text = match self {
            Self::State => return Cell::styled(&state(half), style(half)),
            Self::Age => age(half.since, now),
            Self::Out | Self::In if half.exported == 0 && half.imported == 0 => String::new(),
            Self::Half
            | Self::Project
            | Self::Network
            | Self::Name
            | Self::Target
            | Self::Uuid
            | Self::Reason
            | Self::Degraded
            | Self::Out
            | Self::In
            | Self::Since
            | Self::Guests
            | Self::Hosts
            | Self::Description => self.value(half),
        };
        Cell::new(if text.is_empty() { "-" } else { &text })
    }

    fn compare(self, one: &HalfView, other: &HalfView) -> Ordering {
        match self {
            Self::Out => one.exported.cmp(&other.exported),
            Self::In => one.imported.cmp(&other.imported),
            Self::Since => one.since.cmp(&other.since),
            // The youngest first.
            Self::Age => other.since.cmp(&one.since),
            Self::Guests => one.guests_since.cmp(&other.guests_since),
            Self::State => state(one).cmp(&state(other)),
            Self::Half
            | Self::Project
            | Self::Network
            | Self::Name
            | Self::Target
            | Self::Uuid
            | Self::Reason
            | Self::Degraded
            | Self::Hosts
            | Self::Description => self.value(one).cmp(&self.value(other)),
        }
    }
}

/// The halves for spreadsheets.
pub(super) fn records(halves: &[HalfView], arguments: &ListArguments) -> Records {
    let columns = match arguments.columns.as_slice() {
        [] => &SINGLE,
        chosen => chosen,
    };
    let values = |half| columns.iter().map(|column| column.value(half)).collect();
    let headings = || columns.iter().map(|column| column.name()).collect();
    Records {
        headings: (!arguments.no_headers).then(headings),
        records: halves.iter().map(values).collect(),
    }
}

/// The halves, and what needs attention.
pub(super) fn table(
    halves: &[HalfView],
    attention: &AttentionView,
    arguments: &ListArguments,
    width: Option<usize>,
    now: Timestamp,
) -> String {
    let columns = arguments.columns();
    let mut table = Table::new(columns.iter().map(|column| (column.heading(), column.kind())));
    for half in halves {
        table.row(columns.iter().map(|column| column.cell(half, now)));
    }
    let of_table = width.filter(|_| !arguments.wide);
    if arguments.no_headers {
        return table.lines(false, of_table);
    }
    let mut text = if halves.is_empty() {
        "No halves are declared that match.\n".to_owned()
    } else {
        table.lines(true, of_table) + "\n" + &lines(&totals(halves), width)
    };
    for line in needs(attention, now) {
        text.push_str(&lines(&line, width));
    }
    text
}

fn lines(text: &str, width: Option<usize>) -> String {
    wrap(text, width).join("\n") + "\n"
}

/// The state in one cell.
fn state(half: &HalfView) -> String {
    let mut text = state_words(half.state, half.reason);
    if !half.degraded.is_empty() {
        text.push_str(", degraded");
    }
    text
}

/// A state with its reason, where it has several.
pub(super) fn state_words(state: State, reason: Option<Reason>) -> String {
    let has_several = match state {
        State::Failed | State::Provisioning | State::Active => true,
        State::PendingPeer
        | State::Disabled
        | State::PeerDisabled
        | State::Disconnected
        | State::Rejected
        | State::Expired
        | State::Deleted => false,
    };
    match reason.filter(|_| has_several) {
        Some(reason) => format!("{state}: {reason}"),
        None => state.to_string(),
    }
}

fn style(half: &HalfView) -> Style {
    if half.state == State::Failed {
        FAILED
    } else if half.degraded.is_empty() {
        Style::new()
    } else {
        DEGRADED
    }
}

/// `3 halves: 2 active, 1 failed; 1 of them is degraded`.
fn totals(halves: &[HalfView]) -> String {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for half in halves {
        *states.entry(half.state.as_str()).or_default() += 1;
    }
    let states: Vec<_> = states.iter().map(|(state, number)| format!("{number} {state}")).collect();
    let degraded = match halves.iter().filter(|half| !half.degraded.is_empty()).count() {
        0 => String::new(),
        1 => "; 1 of them is degraded".to_owned(),
        number => format!("; {number} of them are degraded"),
    };
    format!("{}: {}{degraded}", count(halves.len(), "half"), states.join(", "))
}

/// A line for each thing that needs attention.
fn needs(attention: &AttentionView, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(since) = attention.northbound_away_since {
        let age = age(Some(since), now);
        lines.push(format!("The northbound has been out of reach since {since:.0}, for {age}."));
    }
    if attention.host_name_in_use {
        let text = "Another ovn-peerd declares by this host's name; this one writes nothing.";
        lines.push(text.to_owned());
    }
    match attention.held {
        0 => {}
        1 => lines.push("1 withdrawal is held until an operator confirms it.".to_owned()),
        held => lines.push(format!("{held} withdrawals are held until an operator confirms them.")),
    }
    if attention.errors > 0 {
        let errors = count(attention.errors, "error");
        lines.push(format!("The files have {errors}: see `ovn-peerctl diagnostics`."));
    }
    lines
}
