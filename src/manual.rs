//! The manual pages in `docs/man` know all that the code knows, and nothing else.
//!
//! What follows from the code stands in them between `.\" generated: NAME` and `.\" end`:
//! UPDATE_GOLDEN=1 writes it anew. The rest is written by hand; the keys in it are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::{Arg, Command};

use crate::declare::known_keys;
use crate::{ctl, daemon};

/// A line longer than this is broken.
const WIDTH: usize = 78;
/// Where the states stand.
const STATES: &str = "docs/states.md";

#[test]
fn the_pages_of_the_programs_have_every_command_option_and_exit_code() {
    let mut peerctl = ctl::command_line();
    peerctl.build();
    compare(
        "ovn-peerctl.1",
        &[
            ("commands", commands(&peerctl)),
            ("options", options(&peerctl)),
            ("exit codes", exit_codes(&peerctl)),
            ("environment", environment(&peerctl)),
        ],
    );
    let mut peerd = daemon::command_line();
    peerd.build();
    compare("ovn-peerd.8", &[("commands", commands(&peerd)), ("options", options(&peerd))]);
}

#[test]
fn the_page_of_the_declarations_has_every_state_and_reason() {
    compare("ovn-peerd-peerings.5", &[("states", states())]);
}

#[test]
fn the_pages_of_the_files_have_every_key_and_no_other() {
    for (page, known) in [
        ("ovn-peerd.toml.5", [known_keys::settings(), known_keys::networks()].concat()),
        ("ovn-peerd-peerings.5", known_keys::peerings()),
    ] {
        let text = read(page);
        for (section, keys) in known {
            let keys: BTreeSet<&str> = keys.into_iter().collect();
            let told = documented(&text).remove(section).unwrap_or_default();
            let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
            let missing: Vec<_> = keys.difference(&told).collect();
            let invented: Vec<_> = told.difference(&keys).collect();
            assert!(missing.is_empty(), "docs/man/{page}, {section}: no {missing:?}");
            assert!(invented.is_empty(), "docs/man/{page}, {section}: {invented:?} is no key");
        }
    }
}

fn path(page: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man").join(page)
}

fn read(page: &str) -> String {
    fs::read_to_string(path(page)).unwrap()
}

/// Compares the generated parts of a page with what follows from the code.
#[track_caller]
fn compare(page: &str, parts: &[(&str, String)]) {
    let written = read(page);
    let mut wanted = written.clone();
    for (name, text) in parts {
        let (before, rest) = wanted.split_once(&format!(".\\\" generated: {name}\n")).unwrap();
        let (_, after) = rest.split_once(".\\\" end\n").unwrap();
        wanted = format!("{before}.\\\" generated: {name}\n{text}.\\\" end\n{after}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        // Whole, as another test may read it.
        let beside = path(&format!("{page}.new"));
        fs::write(&beside, &wanted).unwrap();
        fs::rename(beside, path(page)).unwrap();
        return;
    }
    for (line, (written, wanted)) in (1..).zip(written.lines().zip(wanted.lines())) {
        assert!(
            written == wanted,
            "docs/man/{page}:{line} is not what the code says: read it, and write it anew by \
             UPDATE_GOLDEN=1 cargo test --lib manual\n  is     {written}\n  wanted {wanted}"
        );
    }
    assert_eq!(written, wanted, "docs/man/{page}");
}

/// The keys of a page by their sections: `.SS`, and in it the first word after each `.TP`.
fn documented(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sections = BTreeMap::<String, BTreeSet<String>>::new();
    let mut section = String::new();
    let mut tagged = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix(".SS ").or_else(|| line.strip_prefix(".SH ")) {
            heading.trim_matches('"').clone_into(&mut section);
        } else if tagged {
            let tag = line.split_whitespace().nth(1).unwrap_or_default();
            sections.entry(section.clone()).or_default().insert(tag.replace("\\-", "-"));
        }
        tagged = line == ".TP";
    }
    sections
}

fn commands(root: &Command) -> String {
    let mut page = String::new();
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for command in root.get_subcommands().filter(shown) {
        page += &match command.has_subcommands() {
            true => commands(command),
            false => self::command(command),
        };
    }
    page
}

fn command(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let (program, name) = command.get_bin_name().unwrap().split_once(' ').unwrap();
    let arguments = usage.strip_prefix(&format!("{program} {name}")).unwrap_or_default();
    let arguments = code(arguments.trim()).replace('<', "\\fI").replace('>', "\\fR");
    let mut page = format!(".SS \"{}\"\n", code(name));
    page += &format!("\\fB{} {}\\fR {arguments}\n", code(program), code(name));
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    for paragraph in about.split("\n\n") {
        page += &format!(".PP\n{}", text(paragraph));
    }
    let aliases: Vec<_> = command.get_visible_aliases().map(|it| format!("`{it}`")).collect();
    if !aliases.is_empty() {
        page += &text(&format!("Also {}.", aliases.join(", ")));
    }
    page + &options(command)
}

/// The arguments of one command, without those of all commands.
fn options(command: &Command) -> String {
    let own = command.get_arguments().filter(|argument| {
        let every = matches!(argument.get_id().as_str(), "help" | "version");
        let inherited = argument.is_global_set() && command.get_name() != "ovn-peerctl";
        !argument.is_hide_set() && !every && !inherited
    });
    own.map(option).collect()
}

fn option(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).cloned();
    let value = value.map(|it| it.to_string()).unwrap_or_default();
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let named: Vec<_> = names.iter().map(|name| format!("\\fB{}\\fR", code(name))).collect();
    let tag = match (named.is_empty(), argument.get_action().takes_values()) {
        (true, _) => format!("\\fI{value}\\fR"),
        (false, true) if argument.is_require_equals_set() => {
            format!("{}[=\\fI{value}\\fR]", named.join(", "))
        }
        (false, true) => format!("{} \\fI{value}\\fR", named.join(", ")),
        (false, false) => named.join(", "),
    };
    let help = argument.get_long_help().or(argument.get_help());
    let mut page = format!(".TP\n{tag}\n{}", text(&help.unwrap().to_string()));
    let default: Vec<_> = argument.get_default_values().iter().map(|it| it.display()).collect();
    let possible: Vec<_> = argument.get_possible_values();
    let possible: Vec<_> = possible.iter().filter(|value| !value.is_hide_set()).collect();
    if argument.get_action().takes_values() && !possible.is_empty() {
        page += ".RS\n";
        for value in possible {
            page += &format!(".TP\n\\fB{}\\fR\n", code(value.get_name()));
            page += &value.get_help().map_or_else(String::new, |help| text(&help.to_string()));
        }
        page += ".RE\n";
    }
    if let (true, [default]) = (argument.get_action().takes_values(), &default[..]) {
        page += &format!(".IP\nDefault: \\fB{}\\fR.\n", code(&default.to_string()));
    }
    page
}

/// docs/operate.md has a table of them, too; and `ovn-peerctl` returns these alone.
#[test]
fn the_documentation_has_every_exit_code_and_no_other() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operate.md"));
    let page = page.unwrap();
    let table = page.split("| exit code of").nth(1).unwrap().split("\n\n").next().unwrap();
    let told = table.lines().skip(2).map(|row| row.split('|').nth(1).unwrap().trim().to_owned());
    let codes = exit_codes(&ctl::command_line());
    let known = codes.lines().filter_map(|line| line.strip_prefix(".B ")).map(str::to_owned);
    let known: Vec<String> = known.collect();
    assert_eq!(told.collect::<Vec<_>>(), known);
    let known: BTreeSet<u8> = known.iter().map(|code| code.parse().unwrap()).collect();
    assert_eq!(returned_codes(), known);
}

/// The constants of `src/ctl` that are exit codes, and 0. What completes words for a shell is
/// hidden, and has a code of its own.
fn returned_codes() -> BTreeSet<u8> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ctl")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let paths = paths.filter(|path| path.is_file() && !path.ends_with("complete.rs"));
    let text: String = paths.map(|path| fs::read_to_string(path).unwrap()).collect();
    let constants = text.lines().filter_map(|line| line.split_once(": u8 = "));
    let codes = constants.map(|(_, code)| code.trim_end_matches(';').parse().unwrap());
    codes.chain([0]).collect()
}

/// The variables that stand for options, each once.
fn environment(root: &Command) -> String {
    let mut variables = BTreeMap::new();
    let mut waiting = vec![root];
    while let Some(command) = waiting.pop() {
        waiting.extend(command.get_subcommands());
        for argument in command.get_arguments() {
            if let (Some(variable), Some(long)) = (argument.get_env(), argument.get_long()) {
                variables.insert(variable.to_string_lossy(), long);
            }
        }
    }
    let written = variables.iter().map(|(variable, option)| {
        format!(
            ".TP\n.B {variable}\n{}",
            text(&format!("Stands for `--{option}` where that is absent."))
        )
    });
    written.collect()
}

/// The lines of the help that begin with a number.
fn exit_codes(command: &Command) -> String {
    let help = command.get_after_help().unwrap().to_string();
    let (_, list) = help.split_once("Exit codes:\n").unwrap();
    let mut codes: Vec<(String, String)> = Vec::new();
    for line in list.lines().map(str::trim) {
        match line.split_once("  ") {
            Some((number, meaning)) if number.parse::<u8>().is_ok() => {
                codes.push((number.to_owned(), meaning.to_owned()));
            }
            _ => codes.last_mut().unwrap().1 += &format!(" {line}"),
        }
    }
    codes.iter().map(|(number, meaning)| format!(".TP\n.B {number}\n{}", text(meaning))).collect()
}

/// The table of states, which a test compares with the code.
fn states() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(STATES)).unwrap();
    let table = page.split("| state | reason |").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut written = String::new();
    for row in table.replace('*', "").lines().skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [state, reason, meaning, action] = cells[..] else { panic!("{row}") };
        let word = |cell: &str| code(cell.trim_matches('`'));
        if !state.is_empty() {
            written += &format!(".SS \"{}\"\n", word(state));
        }
        if reason != "-" {
            written += &format!(".TP\n.B {}\n", word(reason));
        }
        written += &text(&format!("{}.", sentence(meaning)));
        let action = action.split(" ([more](").next().unwrap();
        written += &text(&format!("Next: {action}."));
    }
    written
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// As it is to be typed.
fn code(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    text.replace('`', "\\(ga").replace('^', "\\(ha").replace('~', "\\(ti")
}

/// Prose in Markdown as lines of roff: a sentence begins a line.
fn text(markdown: &str) -> String {
    let markdown = markdown.trim().replace('\n', " ");
    let end = if markdown.ends_with(['.', ':']) { "" } else { "." };
    let mut written = String::new();
    for sentence in without_links(&format!("{markdown}{end}")).split_inclusive(". ") {
        let mut line = String::new();
        for word in words(sentence.trim()) {
            if !line.is_empty() && line.len() + word.len() >= WIDTH {
                written += &format!("{}\n", protected(&line));
                line.clear();
            }
            line += if line.is_empty() { "" } else { " " };
            line += &word;
        }
        written += &format!("{}\n", protected(&line));
    }
    written
}

/// Words, with what stands between backquotes in bold.
fn words(sentence: &str) -> Vec<String> {
    let parts = sentence.split('`').enumerate();
    let roff: String = parts
        .map(|(index, part)| match index % 2 {
            0 => part.replace('\\', "\\e"),
            _ => format!("\\fB{}\\fR", code(part)),
        })
        .collect();
    roff.split(' ')
        .map(|word| match word.starts_with("--") {
            true => format!("\\fB{}\\fR", code(word)),
            false => word.to_owned(),
        })
        .collect()
}

/// A line that begins with no request.
fn protected(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// `[text](target)` as its text.
fn without_links(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some((before, (text, after))) =
        rest.split_once('[').and_then(|(before, link)| Some((before, link.split_once("](")?)))
    {
        let after = after.split_once(')').map_or("", |(_, after)| after);
        plain += &format!("{before}{text}");
        rest = after;
    }
    plain + rest
}
