//! How much one file may say.
//!
//! A tenant writes its file as it likes. These bounds keep what that costs all others (time to parse, memory, lines in the
//! log) the same whatever is in it. Whoever needs more writes a second file.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Largest file that is read, in bytes. All that a file may say fits into a fraction of it; the rest is room for comments.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// Most halves of one file: with each of them the event loop is busy for some microseconds, in one go, as a file counts as a
/// whole.
pub const MAX_HALVES: usize = 1000;

/// Most rejections of one file, for the same reason.
pub const MAX_REJECTIONS: usize = 1000;

/// Most faults of one file that are reported one by one; of the others their number is. More of them nobody reads.
pub const MAX_FAULTS: usize = 100;

/// Longest message or hint, in characters: what a file says in a wrong place may be as long as the file.
pub(super) const MAX_MESSAGE_CHARS: usize = 400;

/// Most tokens (keys, values, signs, ends of lines) of one file. The parser keeps all of them, and each may become a fault:
/// that is up to 200 bytes a token. A file of as many halves and rejections as may be has half as many.
const MAX_TOKENS: usize = 150_000;

/// Most parts of a dotted key. The parser makes a table of each, inside the one before, and goes down into them by
/// recursion, for which the stack has to suffice.
const MAX_KEY_PARTS: usize = 32;

/// Why a text is not parsed at all, and what to do.
pub(super) fn excess(text: &str) -> Option<(String, &'static str)> {
    let (mut tokens, mut parts) = (0, 0);
    for token in Source::new(text).lex() {
        tokens += 1;
        if tokens > MAX_TOKENS {
            let message = format!(
                "the file has more than {MAX_TOKENS} words and signs, which is all that is read of one"
            );
            return Some((message, "move some of its halves to a file of their own"));
        }
        let kind = token.kind();
        if kind == TokenKind::Dot {
            parts += 1;
        } else if matches!(kind, TokenKind::Newline | TokenKind::Equals | TokenKind::Comma) {
            parts = 0;
        }
        if parts > MAX_KEY_PARTS {
            let message = format!("the file has a key of more than {MAX_KEY_PARTS} parts");
            return Some((message, "keys of a declaration have one part, those of `config` a few"));
        }
    }
    None
}

/// A text of a message, cut where it is too long.
pub(super) fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE_CHARS) {
        text.truncate(end);
        text.push('\u{2026}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_not_parsed() {
        assert_eq!(excess("a = 1\n[[b]]\nc.d = '...'\n"), None);
        let deep = |parts: usize| format!("{} = 1\n", vec!["a"; parts].join("."));
        assert_eq!(excess(&deep(MAX_KEY_PARTS)), None);
        assert!(excess(&deep(2 * MAX_KEY_PARTS)).is_some());
        assert!(excess(&format!("[{}]", vec!["a"; 2 * MAX_KEY_PARTS].join("."))).is_some());
        assert!(excess(&"\n".repeat(MAX_TOKENS + 1)).is_some());
        assert_eq!(excess(&format!("# {}\n", "a.b, ".repeat(MAX_TOKENS))), None, "a comment");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("\u{e4}b".to_owned()), "\u{e4}b");
        let cut = shortened("\u{e4}".repeat(2 * MAX_MESSAGE_CHARS));
        assert_eq!(cut.chars().count(), MAX_MESSAGE_CHARS + 1);
    }
}
