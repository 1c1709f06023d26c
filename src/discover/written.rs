//! What was found, as a file of `networks.d`.

use std::fmt::Write as _;

use super::found::{Found, FoundLink, FoundNetwork, LinkEnd};

/// Lines are as wide as this at most, where words allow it.
const WIDTH: usize = 78;

/// The text of a file that binds all that was found: to its router, or, if that is to follow a network that
/// is made again, by the tool's name for it.
#[must_use]
pub fn written(found: &Found, follow: bool) -> String {
    let guessed = found.networks.iter().filter(|network| !network.guesses.is_empty()).count();
    let mut text = format!(
        "# Found by ovn-peerctl discover: {}.\n",
        counted(found.networks.len(), "network", "networks")
    );
    if guessed > 0 {
        comment(
            &mut text,
            "",
            &format!(
                "{guessed} of them with a \"guess\": something that the northbound does not say. Correct \
                 what is wrong before you use this."
            ),
        );
    }
    for (tool, why) in &found.faults {
        comment(&mut text, "", &format!("{} does not answer: {why}", tool.title()));
    }
    for network in &found.networks {
        text += "\n";
        self::network(&mut text, found, network, follow);
    }
    if !found.links.is_empty() {
        text += "\n# Links between these that ovn-peerd has not made:\n";
        for link in &found.links {
            comment(&mut text, "  ", &self::link(link));
        }
    }
    text
}

fn network(text: &mut String, found: &Found, network: &FoundNetwork, follow: bool) {
    let prefixes: Vec<String> = network.prefixes.iter().map(ToString::to_string).collect();
    let prefixes = match &prefixes[..] {
        [] => "no subnet".to_owned(),
        all => all.join(" "),
    };
    comment(text, "", &format!("{}: {prefixes}", network.tool));
    // What the binding does not say.
    match found.binding(network) {
        Some(_) if follow => comment(text, "", &format!("router {}", network.router)),
        Some(of) => comment(text, "", &format!("{of}")),
        None => {}
    }
    if !network.description.trim().is_empty() {
        comment(text, "", &network.description);
    }
    *text += "[[network]]\n";
    for (key, value) in [("project", &network.project), ("name", &network.name)] {
        guesses(text, network, key);
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
    guesses(text, network, "router");
    let _ = writeln!(text, "{}", router(found, network, follow));
}

/// The line that binds a network.
pub(super) fn router(found: &Found, network: &FoundNetwork, follow: bool) -> String {
    match found.binding(network).filter(|_| follow) {
        Some(of) => format!("router = {{ {} = {} }}", of.tool.word(), quoted(&of.name)),
        None => format!("router = {}", quoted(&network.router)),
    }
}

fn guesses(text: &mut String, network: &FoundNetwork, key: &str) {
    for guess in network.guesses.iter().filter(|guess| guess.key == key) {
        comment(text, "", &format!("guess: {}", guess.why));
    }
}

fn link(link: &FoundLink) -> String {
    let [near, far] = &link.ends;
    let name = |end: &LinkEnd| format!("{}/{}", end.project, end.network);
    let mut text = format!("{} <-> {}: {}", name(near), name(far), link.tool);
    let peers: Vec<&str> = [near, far].iter().filter_map(|end| end.peer.as_deref()).collect();
    if !peers.is_empty() {
        let _ = write!(text, ", peer {}", peers.join(" and "));
    }
    if let Some(through) = &link.through {
        let _ = write!(text, ", through {through}");
    }
    let routes = near.routes.len() + far.routes.len();
    let _ = write!(text, ", {}", counted(routes, "route", "routes"));
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A comment, in lines. What tools and their users have written cannot end it.
fn comment(text: &mut String, indent: &str, said: &str) {
    let said: String = said.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    let mut line = format!("#{indent}");
    let mut is_empty = true;
    for word in said.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            *text += &line;
            *text += "\n";
            line = format!("#{indent}  ");
        }
        line += " ";
        line += word;
        is_empty = false;
    }
    *text += &line;
    *text += "\n";
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
