//! Names of projects, networks and halves: which are possible.

/// Longest name of a project, network or half, in characters (as LXD and Outscale have it).
const MAX_NAME_CHARS: usize = 255;

/// What is wrong with a name of a project, network or half, and perhaps what to do about it.
#[must_use]
pub fn name_fault(name: &str) -> Option<(String, Option<&'static str>)> {
    let length = name.chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&length) {
        return Some((format!("has {length} characters; 1 to {MAX_NAME_CHARS} are allowed"), None));
    }
    if let Some(control) = name.chars().find(|letter| letter.is_control()) {
        return Some((format!("contains the control character {}", control.escape_debug()), None));
    }
    if let Some(unseen) = name.chars().find(|letter| is_unseen(*letter)) {
        return Some((
            format!("contains the character U+{:04X}, which is invisible", u32::from(unseen)),
            Some("write the name without it"),
        ));
    }
    let trimmed = name.trim();
    (trimmed.len() != name.len()).then(|| {
        let what = if trimmed.is_empty() { "is blank" } else { "begins or ends with a space" };
        (what.to_owned(), Some("write a name that readers can distinguish from others"))
    })
}

/// Whether a character is invisible or changes how others are shown: format characters, line
/// separators, fillers (Unicode, `Default_Ignorable_Code_Point`, `Zl` and `Zp`).
fn is_unseen(letter: char) -> bool {
    UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// The ranges of invisible characters, which no name contains.
pub const UNSEEN: [(char, char); 18] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];
