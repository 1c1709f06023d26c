//! The pages' fenced blocks, and their headings' anchors.
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
    /// Its page.
    pub(crate) page: String,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    /// What stands in it.
    pub(crate) text: String,
}

/// README.md, and all pages in `docs`, by their paths.
pub(crate) fn pages() -> Vec<String> {
    let docs = fs::read_dir("docs").expect("cargo runs tests in the crate's directory");
    let mut pages: Vec<String> = docs
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .filter(|path| path.ends_with(".md"))
        .collect();
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages
}

/// The pages that a reader follows from the first to the last block on a machine of their own. All others describe one
/// installation together.
pub(crate) fn is_followed(page: &str) -> bool {
    page == "README.md" || page == "docs/api.md" || page.contains("quick-start")
}

/// All blocks of the pages that describe one installation.
pub(crate) fn reference() -> Vec<Block> {
    pages().iter().filter(|page| !is_followed(page)).flat_map(|page| read(page)).collect()
}

/// All blocks of a page, in order; panics at one of no known kind.
pub(crate) fn read(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(page).unwrap_or_else(|e| panic!("{page}: {e}"));
    let mut blocks = vec![];
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.trim_start().strip_prefix("```");
        match (open.as_mut(), fence) {
            (None, Some(info)) => {
                let kind = match info {
                    "sh" => Kind::Shell,
                    "toml" => Kind::Toml,
                    "console" | "text" => Kind::Other,
                    other => panic!("{page}:{number}: what is a block of {other:?}?"),
                };
                let page = page.to_owned();
                open = Some(Block { kind, page, line: number, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block does not end");
    blocks
}

/// A `toml` block's file, relative to the configuration directory, and its text.
pub(crate) fn file_of(block: &Block) -> Option<(String, String)> {
    if block.kind != Kind::Toml {
        return None;
    }
    let first = block.text.lines().next().unwrap_or_default();
    let path = first.strip_prefix("# ").and_then(|path| path.strip_prefix(CONFIGURATION));
    let Block { page, line, .. } = block;
    let path = path.unwrap_or_else(|| panic!("{page}:{line}: the first line names no file"));
    Some((path.to_owned(), block.text.clone()))
}

/// A heading's anchor, as GitHub makes it.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}
