//! Parses `--log-level` and RUST_LOG: levels in the words that people use, and an error for an
//! unknown word, so that a typing error never silences the log.

use tracing_subscriber::filter::EnvFilter;

/// The level where none is given.
const DEFAULT: &str = "info";
/// Levels by the accepted words.
const LEVELS: [(&str, &str); 9] = [
    ("off", "off"),
    ("error", "error"),
    ("err", "error"),
    ("warn", "warn"),
    ("warning", "warn"),
    ("info", "info"),
    ("notice", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
];

/// Reads a level, or directives of tracing-subscriber's `EnvFilter`, separated by commas. If only
/// targets have a level, all others keep the default.
pub(super) fn parse(text: &str) -> Result<EnvFilter, String> {
    let mut directives = Vec::new();
    let mut has_default = false;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (target, level) = match word.rsplit_once('=') {
            Some((target, level)) => (Some(target.trim()), level.trim()),
            None => (None, word),
        };
        let known = LEVELS.iter().find(|(name, _)| level.eq_ignore_ascii_case(name));
        let (_, level) = known.ok_or_else(|| {
            format!("`{level}` is no level: use error, warning, info, debug, trace or off")
        })?;
        has_default |= target.is_none();
        directives.push(target.map_or((*level).to_owned(), |target| format!("{target}={level}")));
    }
    if !has_default {
        directives.insert(0, DEFAULT.to_owned());
    }
    EnvFilter::try_new(directives.join(",")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn levels_are_read_in_the_words_of_people_and_nothing_else_is() {
        for (text, expected) in [
            ("warning", "warn"),
            ("WARN", "warn"),
            ("debug", "debug"),
            ("off", "off"),
            ("", "info"),
            ("ovn_peerd::engine=warning", "ovn_peerd::engine=warn,info"),
            ("hyper=debug, error", "hyper=debug,error"),
        ] {
            let mut found: Vec<_> =
                parse(text).unwrap().to_string().split(',').map(str::to_owned).collect();
            let mut expected: Vec<_> = expected.split(',').map(str::to_owned).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{text}");
        }
        for text in ["warnings", "verbose", "ovn_peerd", "daemon=nonsense", "info,x", "a="] {
            assert!(parse(text).unwrap_err().contains("is no level"), "{text}");
        }
    }
}
