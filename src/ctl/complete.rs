//! `complete`: what a shell may offer for the word at the cursor. The scripts in `completions` call it.
//!
//! Owns: which words are possible. Commands, options and their values come from the definition of
//! the command line, so a new one is offered as soon as it exists; names come from the daemon. May
//! not: report an error, or keep a person waiting: a daemon that does not answer gives no names.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, Command, ValueEnum, ValueHint};
use tokio::time;

use super::client::ControlClient;
use super::list::{Column, Order};
use super::names::{WrittenHalf, WrittenNetwork, WrittenTarget, written};
use super::store_arguments::Setting;
use super::text::plain;
use super::why::WrittenEnd;
use crate::declare::peering_keys;
use crate::view::{HalfView, HostView, NetworkView, Opens, ProjectView, RequestView, State};

/// The exit code that asks the shell to offer its files.
const FILES: u8 = 10;
/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// A word that may stand at the cursor, and what it means.
type Candidate = (String, String);

/// What may stand at the cursor.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Words(Vec<Candidate>),
    Names(Names),
    Files,
}

/// Names that the daemon knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// PROJECT/NETWORK/NAME.
    Halves,
    /// PROJECT/NETWORK.
    Networks,
    Projects,
    Hosts,
}

/// Prints the candidates for the last of these words after the program's name, one a line, with
/// their meaning after a tab.
pub(super) async fn complete(mut root: Command, words: &[String], client: &ControlClient) -> u8 {
    root.build();
    let line = Line::read(&root, words);
    let candidates = match line.wanted() {
        Wanted::Files => return FILES,
        Wanted::Words(words) => words,
        Wanted::Names(names) => {
            let other = line.socket.map(|socket| ControlClient::new(PathBuf::from(socket)));
            let client = other.as_ref().unwrap_or(client);
            let found = time::timeout(PATIENCE, ask(client, names)).await;
            let names = found.ok().flatten().unwrap_or_default();
            names.into_iter().map(|name| (name, String::new())).collect()
        }
    };
    let mut stdout = io::stdout().lock();
    for (word, meaning) in candidates {
        let word = format!("{}{word}", line.head);
        // A name with a control character cannot be typed.
        if word.starts_with(line.last) && plain(&word) == word {
            drop(writeln!(stdout, "{word}\t{meaning}"));
        }
    }
    0
}

/// A command line up to the cursor.
struct Line<'c, 'w> {
    command: &'c Command,
    /// How many arguments without a name stand before the cursor.
    position: usize,
    /// The option whose value is at the cursor.
    option: Option<&'c Arg>,
    /// Whether `--` ends the options.
    options_end: bool,
    /// The value of `--socket`, if it stands before the cursor.
    socket: Option<&'w str>,
    /// The word at the cursor.
    last: &'w str,
    /// The part of it that is complete: `--state=` or `--state failed,`.
    head: &'w str,
}

impl<'c, 'w> Line<'c, 'w> {
    fn read(root: &'c Command, words: &'w [String]) -> Self {
        let (last, before) = words.split_last().map_or(("", &[][..]), |(l, b)| (l.as_str(), b));
        let mut line = Line {
            command: root,
            position: 0,
            option: None,
            options_end: false,
            socket: None,
            last,
            head: "",
        };
        for word in before {
            line.pass(word);
        }
        if let (None, false, Some((option, _))) =
            (line.option, line.options_end, last.split_once('='))
            && let Some(name) = option.strip_prefix("--")
        {
            line.option = line.long(name);
            line.head = &last[..=option.len()];
        }
        if let Some(delimiter) = line.argument().and_then(Arg::get_value_delimiter)
            && let Some(end) = last.rfind(delimiter)
        {
            line.head = &last[..end + delimiter.len_utf8()];
        }
        line
    }

    /// Passes a word before the cursor.
    fn pass(&mut self, word: &'w str) {
        if let Some(option) = self.option.take() {
            self.value(option, word);
        } else if self.options_end || !word.starts_with('-') || word == "-" {
            match self.command.find_subcommand(word) {
                Some(command) if self.position == 0 => self.command = command,
                _ => self.position += 1,
            }
        } else if word == "--" {
            self.options_end = true;
        } else if let Some(long) = word.strip_prefix("--") {
            match long.split_once('=') {
                Some((name, value)) => {
                    if let Some(option) = self.long(name) {
                        self.value(option, value);
                    }
                }
                // The value of `--wait` stands in its own word, or nowhere.
                None => self.option = self.long(long).filter(|it| !it.is_require_equals_set()),
            }
        } else {
            let short = word.chars().last();
            let mut options = self.command.get_arguments();
            self.option = options.find(|it| it.get_short() == short && takes_value(it));
        }
    }

    fn value(&mut self, option: &Arg, value: &'w str) {
        if option.get_long() == Some("socket") {
            self.socket = Some(value);
        }
    }

    /// The option of this name that takes a value.
    fn long(&self, name: &str) -> Option<&'c Arg> {
        let mut options = self.command.get_arguments();
        options.find(|option| option.get_long() == Some(name) && takes_value(option))
    }

    /// The argument whose value is at the cursor.
    fn argument(&self) -> Option<&'c Arg> {
        self.option.or_else(|| {
            let mut positions = self.command.get_positionals();
            let last = self.command.get_positionals().last();
            let repeated = last.filter(|it| it.get_num_args().is_some_and(|n| n.max_values() > 1));
            positions.nth(self.position).or(repeated)
        })
    }

    fn wanted(&self) -> Wanted {
        let free = self.option.is_none();
        if free && !self.options_end && self.last.starts_with('-') {
            return Wanted::Words(options(self.command));
        }
        if free && self.position == 0 && self.command.has_subcommands() {
            return Wanted::Words(commands(self.command));
        }
        self.argument().map_or(Wanted::Words(Vec::new()), |it| values(self.command, it))
    }
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

fn options(command: &Command) -> Vec<Candidate> {
    let options = command.get_arguments().filter(|option| !option.is_hide_set());
    let named = options.filter_map(|option| {
        Some((format!("--{}", option.get_long()?), meaning(option.get_help())))
    });
    named.collect()
}

fn commands(command: &Command) -> Vec<Candidate> {
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let named = commands.flat_map(|command| {
        let names = [command.get_name()].into_iter().chain(command.get_visible_aliases());
        names.map(|name| (name.to_owned(), meaning(command.get_about())))
    });
    named.collect()
}

/// The first line of a help text.
fn meaning(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// What an argument may be. Its type says which names; where that is a plain text, its own name.
fn values(command: &Command, argument: &Arg) -> Wanted {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        let words = shown.map(|it| (it.get_name().to_owned(), meaning(it.get_help())));
        return Wanted::Words(words.collect());
    }
    let kind = argument.get_value_parser().type_id();
    let words = |words: Vec<String>| {
        Wanted::Words(words.into_iter().map(|word| (word, String::new())).collect())
    };
    if kind == TypeId::of::<WrittenHalf>() {
        return Wanted::Names(Names::Halves);
    }
    let networks =
        [TypeId::of::<WrittenNetwork>(), TypeId::of::<WrittenTarget>(), TypeId::of::<WrittenEnd>()];
    if networks.iter().any(|it| kind == *it) {
        return Wanted::Names(Names::Networks);
    }
    let keys = |end: &str| words(peering_keys().map(|key| format!("{key}{end}")).collect());
    if kind == TypeId::of::<Setting>() {
        return keys("=");
    }
    if kind == TypeId::of::<Opens>() {
        let usual = ["tcp", "tcp:443", "udp", "udp:53", "ping", "any"];
        return words(usual.map(str::to_owned).to_vec());
    }
    if kind == TypeId::of::<State>() {
        return words(State::ALL.iter().map(ToString::to_string).collect());
    }
    if kind == TypeId::of::<Order>() {
        return words(Column::value_variants().iter().map(|column| column.name()).collect());
    }
    match (command.get_name(), argument.get_id().as_str()) {
        (_, "project") => Wanted::Names(Names::Projects),
        (_, "target") => Wanted::Names(Names::Networks),
        (_, "key" | "keys") => keys(""),
        (_, "words") => Wanted::Names(Names::Halves),
        ("forget", "name") => Wanted::Names(Names::Hosts),
        _ if argument.get_value_hint() == ValueHint::Unknown => words(Vec::new()),
        _ => Wanted::Files,
    }
}

/// The names, sorted, each once; `None` if the daemon does not give them.
async fn ask(client: &ControlClient, names: Names) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    match names {
        Names::Hosts => {
            let hosts: Vec<HostView> = client.get("/v1/hosts").await.ok()?;
            found.extend(hosts.into_iter().map(|host| host.name));
        }
        Names::Projects => {
            let projects: Vec<ProjectView> = client.get("/v1/projects").await.ok()?;
            found.extend(projects.into_iter().map(|it| it.project));
        }
        Names::Halves => {
            let mut halves: Vec<HalfView> = client.get("/v1/halves").await.ok()?;
            halves.retain(|half| half.state != State::Deleted);
            let name = |half: &HalfView| written(&[&half.project, &half.network, &half.name]);
            found.extend(halves.iter().map(name));
        }
        Names::Networks => {
            let networks: Vec<NetworkView> = client.get("/v1/networks").await.ok()?;
            found.extend(networks.iter().map(|it| written(&[&it.project, &it.network])));
            let halves: Vec<HalfView> = client.get("/v1/halves").await.ok()?;
            let both = |it: &HalfView| {
                let target = match it.target_uuid {
                    Some(uuid) => uuid.to_string(),
                    None => written(&[&it.target_project, &it.target_network]),
                };
                [written(&[&it.project, &it.network]), target]
            };
            found.extend(halves.iter().flat_map(both));
            let requests: Vec<RequestView> = client.get("/v1/requests").await.ok()?;
            let from = |it: &RequestView| written(&[&it.from_project, &it.from_network]);
            found.extend(requests.iter().map(from));
        }
    }
    Some(found)
}
