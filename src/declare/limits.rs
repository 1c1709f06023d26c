//! The limits of one file.
//!
//! A tenant may write anything to its file. These limits bound the cost to all others (time to
//! parse, memory, lines in the log) for any content. A tenant that needs more writes a second file.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Largest file that the daemon reads, in bytes. All declarations that a file may have fit into a
/// fraction of it; the rest is room for comments.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// Most halves of one file: each of them takes the event loop some microseconds, without a pause,
/// because a file counts as a whole.
pub const MAX_HALVES: usize = 1000;

/// Most rejections of one file, for the same reason.
pub const MAX_REJECTIONS: usize = 1000;

/// Most faults of one file that are reported one by one; for the others there is a count. Nobody
/// reads more.
pub const MAX_FAULTS: usize = 100;

/// Longest message or hint, in characters: a misplaced text that it quotes may be as long as the
/// file.
pub(super) const MAX_MESSAGE_CHARS: usize = 400;

/// Most tokens (keys, values, signs, ends of lines) of one file. The parser keeps all of them, and
/// each may become a fault: up to 200 bytes per token. A file with the maximum of halves and
/// rejections has half as many.
const MAX_TOKENS: usize = 150_000;

/// Most parts of a dotted key. The parser makes nested tables of them and visits these by
/// recursion, which needs stack.
const MAX_KEY_PARTS: usize = 32;

/// Why the daemon does not parse a text at all, and what to do.
pub(super) fn excess(text: &str) -> Option<(String, &'static str)> {
    let (mut tokens, mut parts) = (0, 0);
    for token in Source::new(text).lex() {
        tokens += 1;
        if tokens > MAX_TOKENS {
            let message = format!(
                "the file has more than {MAX_TOKENS} words and signs, the most that one file may have"
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

/// A text of a message, shortened if it is too long.
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
