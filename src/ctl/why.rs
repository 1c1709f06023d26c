//! `why`: whether packets pass between two networks, and what decides.

use std::net::IpAddr;
use std::str::FromStr;

use anstyle::{AnsiColor, Style};
use clap::Args;

use super::client::{self, ControlClient};
use super::error::CtlError;
use super::names::{Scope, WrittenNetwork};
use super::output::Output;
use super::trace::{self, Tools};
use super::why_words::{ending, fact, opens, reserve, traced};
use crate::view::{Opens, Passes, WhyEnd, WhyStep, WhyView};

/// It does not pass, or that is not sure.
pub(super) const FOUND: u8 = 7;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();

/// The arguments of `why`.
#[derive(Debug, Args)]
pub(super) struct WhyArguments {
    /// Who opens: PROJECT/NETWORK, with :ADDRESS for one guest.
    #[arg(value_name = "FROM")]
    from: WrittenEnd,
    /// To whom, likewise.
    #[arg(value_name = "TO")]
    to: WrittenEnd,
    /// What is opened: tcp:443, udp:53, sctp:9, tcp, udp, ping, any, or the number of a protocol.
    #[arg(value_name = "WHAT", default_value = "any")]
    opens: Opens,
    #[command(flatten)]
    scope: Scope,
    /// Also run ovn-trace, and name the first drop. Operators only; needs two addresses.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    tools: Tools,
}

/// A network with or without an address, as it is written.
#[derive(Clone, Debug)]
pub(super) struct WrittenEnd {
    network: WrittenNetwork,
    address: Option<IpAddr>,
}

impl FromStr for WrittenEnd {
    type Err = String;

    /// The address is what follows a colon and is one: `blue/web:fd01::a`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.match_indices(':').find_map(|(at, _)| {
            let (network, address) = (text.get(..at)?, text.get(at + 1..)?);
            let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            Some((network, bare.unwrap_or(address).parse::<IpAddr>().ok()?))
        });
        let (network, address) = match parts {
            Some((network, address)) => (network, Some(address)),
            None => (text, None),
        };
        if address.is_none() && text.contains(':') {
            return Err("what follows the colon is no address, as in blue/web:10.1.0.10".to_owned());
        }
        Ok(Self { network: network.parse()?, address })
    }
}

impl WrittenEnd {
    async fn resolve(self, client: &ControlClient, scope: &Scope) -> Result<WhyEnd, CtlError> {
        let named = self.network.resolve(client, scope).await?;
        Ok(WhyEnd { project: named.project, network: named.network, address: self.address })
    }
}

/// Asks, prints the answer, and gives the exit code.
pub(super) async fn obey(
    client: &ControlClient,
    output: &Output,
    arguments: WhyArguments,
) -> Result<u8, CtlError> {
    let WhyArguments { from, to, opens, scope, trace, tools } = arguments;
    let (from, to) = (from.resolve(client, &scope).await?, to.resolve(client, &scope).await?);
    if let (Some(one), Some(other)) = (from.address, to.address)
        && one.is_ipv4() != other.is_ipv4()
    {
        let message = "one address is IPv4, the other one IPv6".to_owned();
        return Err(CtlError::Usage { message });
    }
    let address = |end: &WhyEnd| end.address.map(|address| address.to_string());
    let query = client::query(&[
        ("from_project", Some(from.project.clone())),
        ("from_network", Some(from.network.clone())),
        ("from_address", address(&from)),
        ("to_project", Some(to.project.clone())),
        ("to_network", Some(to.network.clone())),
        ("to_address", address(&to)),
        ("opens", Some(opens.to_string())),
    ]);
    let mut why: WhyView = client.get(&format!("/v1/why{query}")).await?;
    if trace {
        trace::trace(&tools, &mut why)?;
    }
    output.show(&why, page)?;
    Ok(if why.passes == Passes::Yes { 0 } else { FOUND })
}

/// The answer as a page.
pub(super) fn page(why: &WhyView, width: Option<usize>) -> String {
    let end = |end: &WhyEnd| match end.address {
        Some(address) => format!("{}/{}:{address}", end.project, end.network),
        None => format!("{}/{}", end.project, end.network),
    };
    let (word, style) = match why.passes {
        Passes::Yes => ("passes", GOOD),
        Passes::No => ("does not pass", BAD),
        Passes::Unsure => ("may pass, or not", UNSURE),
    };
    let asked = format!("{} to {}, {}", end(&why.from), end(&why.to), opens(why.opens));
    let mut text = Page::new(width);
    text.heading(&asked, word, style);
    let mut about = Vec::new();
    if let Some(step) = &why.stopped_by {
        about.push(("Stopped by", ending(step)));
    }
    about.extend(why.reserves.iter().map(|it| ("Not sure", reserve(it))));
    about.extend(why.next_step.iter().map(|step| ("Next step", step.clone())));
    if !about.is_empty() {
        text.blank();
        about.iter().for_each(|(label, value)| text.line(label, value));
    }
    for (label, steps) in [("There", &why.there), ("Back", &why.back)] {
        if !steps.is_empty() {
            text.blank();
            text.steps(label, steps);
        }
    }
    if let Some(trace) = &why.trace {
        text.blank();
        text.line("ovn-trace", &format!("there: {}", traced(&trace.there)));
        if let Some(back) = &trace.back {
            text.line("", &format!("back: {}", traced(back)));
        }
    }
    text.text
}

/// A page of labelled lines.
struct Page {
    text: String,
    width: Option<usize>,
}

/// The labels stand in a column of this width.
const LABELS: usize = 12;
/// The words for steps, likewise.
const WORDS: usize = 10;

impl Page {
    fn new(width: Option<usize>) -> Self {
        Self { text: String::new(), width }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, asked: &str, verdict: &str, style: Style) {
        let asked = super::text::plain(asked);
        let lines = super::text::wrap(&format!("{asked}: {verdict}"), self.width);
        let text = lines.join("\n");
        let head = text.strip_suffix(verdict).unwrap_or(&text);
        let verdict = text.strip_prefix(head).unwrap_or_default();
        self.text.push_str(&format!("{head}{style}{verdict}{style:#}\n"));
    }

    fn line(&mut self, label: &str, value: &str) {
        let value = super::text::plain(value);
        let room = self.width.map(|width| width.saturating_sub(LABELS));
        let mut label = label;
        for line in super::text::wrap(&value, room) {
            self.text.push_str(format!("{label:LABELS$}{line}").trim_end());
            self.text.push('\n');
            label = "";
        }
    }

    fn steps(&mut self, label: &str, steps: &[WhyStep]) {
        let mut label = label;
        for step in steps {
            let (mark, style) = match step.passes {
                Passes::Yes => ("ok", GOOD),
                Passes::No => ("no", BAD),
                Passes::Unsure => ("?", UNSURE),
            };
            let (word, value) = fact(&step.what);
            let value = super::text::plain(&value);
            let before = 7 + 4 + WORDS;
            let room = self.width.map(|width| width.saturating_sub(before));
            let mut lines = super::text::wrap(&value, room).into_iter();
            let first = lines.next().unwrap_or_default();
            let line = format!(
                "{label:7}{style}{mark}{style:#}{:pad$}{word:WORDS$}{first}",
                "",
                pad = 4 - mark.len()
            );
            self.text.push_str(line.trim_end());
            self.text.push('\n');
            for line in lines {
                self.text.push_str(format!("{:before$}{line}", "").trim_end());
                self.text.push('\n');
            }
            label = "";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_network_with_or_without_an_address() {
        let read = |text: &str| text.parse::<WrittenEnd>().map(|end| end.address);
        assert_eq!(read("blue/web").unwrap(), None);
        assert_eq!(read("web:10.1.0.10").unwrap(), Some("10.1.0.10".parse().unwrap()));
        for text in ["blue/web:fd01::a", "blue/web:[fd01::a]"] {
            assert_eq!(read(text).unwrap(), Some("fd01::a".parse().unwrap()), "{text}");
        }
        // A network's name may have a colon.
        assert!(read("blue/we:b:10.1.0.10").is_ok());
        assert!(read("blue/web:10.1.0").is_err());
    }
}
