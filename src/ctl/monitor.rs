//! `monitor`: a line for each event, until somebody ends it.

use std::io::{self, ErrorKind, Write};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::client::ControlClient;
use super::error::CtlError;
use super::follow::{Follower, News};
use super::format::{Format, Records};
use super::list::state_words;
use super::names::{HalfName, OptionalHalf};
use super::output::Output;
use super::text::plain;
use crate::view::{EventKind, EventView, PrefixesView, State};

/// What to show.
#[derive(Clone, Debug, Args)]
pub(super) struct MonitorArguments {
    #[command(flatten)]
    half: OptionalHalf,
    /// Only events of these types, with commas between.
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = kinds())]
    r#type: Vec<EventKind>,
}

/// Reads the word of a kind.
fn kinds() -> impl TypedValueParser<Value = EventKind> {
    let words = PossibleValuesParser::new(EventKind::ALL.map(EventKind::as_str));
    words.try_map(|word| {
        let mut kinds = EventKind::ALL.into_iter();
        kinds.find(|kind| kind.as_str() == word).ok_or("no such type")
    })
}

/// What is shown of all events.
struct Selection {
    half: Option<HalfName>,
    kinds: Vec<EventKind>,
}

impl Selection {
    /// Whether to show an event. A gap concerns all of them.
    fn admits(&self, event: &EventView) -> bool {
        let kind = event.event.kind;
        kind == EventKind::Gap
            || self.half.as_ref().is_none_or(|half| half.is_of(event))
                && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// Shows events as they happen. When the daemon goes away, it waits for it, and goes on where it
/// was.
pub(super) async fn monitor(
    client: &ControlClient,
    output: &Output,
    arguments: MonitorArguments,
) -> Result<(), CtlError> {
    let MonitorArguments { half, r#type: kinds } = arguments;
    let selection = Selection { half: half.resolve(client).await?, kinds };
    let mut printer = Printer { output, is_first: true };
    let mut follower = Follower::start(client).await?;
    loop {
        match follower.next().await? {
            News::Event(event) if selection.admits(&event) => match printer.print(&event) {
                // Nobody reads what is printed.
                Err(CtlError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(());
                }
                printed => printed?,
            },
            News::Lost => drop(writeln!(
                io::stderr().lock(),
                "ovn-peerctl: the daemon has ended the stream; waiting for it"
            )),
            News::Event(_) | News::Back => {}
        }
    }
}

struct Printer<'a> {
    output: &'a Output,
    is_first: bool,
}

impl Printer<'_> {
    fn print(&mut self, event: &EventView) -> Result<(), CtlError> {
        let headings = std::mem::take(&mut self.is_first);
        let text = match self.output.format {
            Format::Table => plain(&line(event)).replace('\n', " "),
            Format::Json => serde_json::to_string(event).map_err(CtlError::Encode)?,
            Format::Yaml => {
                format!("---\n{}", yaml_serde::to_string(event).map_err(CtlError::Yaml)?)
            }
            Format::Csv => record(event, headings).into_text().map_err(CtlError::Csv)?,
        };
        self.output.piece(&text).map_err(CtlError::Output)
    }
}

/// `blue/web/to-db`, or as much of it as the event has.
fn subject(view: &EventView) -> Option<String> {
    let event = &view.event;
    let parts = [&event.project, &event.network, &event.name];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// An event for people.
pub(super) fn line(view: &EventView) -> String {
    let event = &view.event;
    let text = format!("{:.0}  {:<16} ", view.time, event.kind.as_str());
    // A command names its project itself.
    let subject = subject(view).filter(|_| event.kind != EventKind::Write);
    let subject = subject.map(|subject| format!(" {subject}:")).unwrap_or_default();
    let over = if event.over { " over:" } else { "" };
    let said = match (event.kind, event.state) {
        (EventKind::HalfState, Some(state)) => {
            let before = event.previous.map_or("new", State::as_str);
            let why = event.reason.map(|_| format!(": {}", event.message)).unwrap_or_default();
            format!("{before} -> {}{why}", state_words(state, event.reason))
        }
        (EventKind::Prefixes, _) => {
            let parts = [("exported", &event.exported), ("imported", &event.imported)];
            let part = |(word, of): (&str, &Option<PrefixesView>)| {
                of.as_ref().map(|of| format!("{word} {}", signs(of)))
            };
            parts.into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
        }
        _ => event.message.clone(),
    };
    format!("{text}{subject}{over} {said}")
}

/// `+10.2.0.0/24 -10.3.0.0/24`.
fn signs(prefixes: &PrefixesView) -> String {
    let gained = prefixes.gained.iter().map(|prefix| format!("+{prefix}"));
    let lost = prefixes.lost.iter().map(|prefix| format!("-{prefix}"));
    let more = (prefixes.more > 0).then(|| format!("and {} more", prefixes.more));
    gained.chain(lost).chain(more).collect::<Vec<_>>().join(" ")
}

/// An event for spreadsheets.
fn record(view: &EventView, headings: bool) -> Records {
    let event = &view.event;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let state = |state: Option<State>| state.map(|it| it.to_string()).unwrap_or_default();
    let columns = [
        ("id", view.id.clone()),
        ("time", view.time.to_string()),
        ("type", event.kind.to_string()),
        ("project", text(&event.project)),
        ("network", text(&event.network)),
        ("name", text(&event.name)),
        ("state", state(event.state)),
        ("reason", event.reason.map(|it| it.to_string()).unwrap_or_default()),
        ("previous", state(event.previous)),
        ("over", event.over.to_string()),
        ("actor", text(&event.actor)),
        ("message", event.message.clone()),
    ];
    let (names, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let names = names.into_iter().map(str::to_owned).collect();
    Records { headings: headings.then_some(names), records: vec![values] }
}
