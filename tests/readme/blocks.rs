//! The README's fenced blocks, and its headings' anchors.
//!
//! Owns: what a block is (CommonMark, "Fenced code blocks"). May not: run anything.

use std::fs;

use crate::CONFIGURATION;

/// What the fence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sh`: to be run.
    Shell,
    /// `toml`: to be checked.
    Toml,
    /// `console`, `text`: to be read.
    Other,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its kind.
    pub(crate) kind: Kind,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    /// What stands in it.
    pub(crate) text: String,
}

/// All blocks of README.md, in order; panics at one of no known kind.
pub(crate) fn read() -> Vec<Block> {
    let text = fs::read_to_string("README.md").expect("cargo runs tests in the crate's directory");
    let mut blocks = vec![];
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.strip_prefix("```");
        match (open.as_mut(), fence) {
            (None, Some(info)) => {
                let kind = match info {
                    "sh" => Kind::Shell,
                    "toml" => Kind::Toml,
                    "console" | "text" => Kind::Other,
                    other => panic!("README.md:{number}: what is a block of {other:?}?"),
                };
                open = Some(Block { kind, line: number, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "README.md: a block does not end");
    blocks
}

/// A `toml` block's file, relative to the configuration directory, and its text.
pub(crate) fn file_of(block: &Block) -> Option<(String, String)> {
    if block.kind != Kind::Toml {
        return None;
    }
    let first = block.text.lines().next().unwrap_or_default();
    let path = first.strip_prefix("# ").and_then(|path| path.strip_prefix(CONFIGURATION));
    let line = block.line;
    let path = path.unwrap_or_else(|| panic!("README.md:{line}: the first line names no file"));
    Some((path.to_owned(), block.text.clone()))
}

/// A heading's anchor, as GitHub makes it.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}
