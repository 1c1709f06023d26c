//! The text that a scraper reads, as a scraper understands it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::running::run;

/// A value, with its name and labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// All series of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) samples: Vec<Sample>,
    /// Name -> type, of all that are announced.
    pub(crate) types: BTreeMap<String, String>,
}

impl Series {
    /// Those that an operator reads on the control socket.
    pub(crate) fn read(socket: &Path) -> Self {
        let socket = socket.to_str().unwrap();
        Self::parse(&run(
            "curl",
            &["-sS", "--fail", "--unix-socket", socket, "http://localhost/metrics"],
        ))
    }

    /// Of Prometheus' own format.
    pub(crate) fn parse(text: &str) -> Self {
        let mut series = Self { samples: Vec::new(), types: BTreeMap::new() };
        for line in text.lines() {
            if let Some(announced) = line.strip_prefix("# TYPE ") {
                let (name, kind) = announced.split_once(' ').unwrap();
                let before = series.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is announced once");
            } else if !line.starts_with('#') {
                series.samples.push(sample(line));
            }
        }
        series
    }

    /// The values of one name.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The value of one name with these labels, and any others.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &&Sample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|it| it == value))
        };
        let mut found = self.of(name).filter(fits);
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "several of {name} {labels:?}");
        value
    }

    /// The names, those of a histogram as one.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let announced = |name: &str| self.types.contains_key(name);
        let family = |sample: &'_ Sample| {
            let name = &sample.name;
            let cut = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            match cut.filter(|name| announced(name)) {
                Some(cut) => cut.len(),
                None => name.len(),
            }
        };
        self.samples.iter().map(|sample| &sample.name[..family(sample)]).collect()
    }
}

/// `name{key="value",...} 1`, with the quoting of the format.
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            let (value, after) = quoted(after);
            labels.insert(key.trim_start_matches(',').to_owned(), value);
            rest = after;
        }
        rest = &rest[1..];
    }
    let value = rest.trim().parse().unwrap_or_else(|_| panic!("no number: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// A value up to its closing quote, and what follows that.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match letters.next().expect("an escape").1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    panic!("no closing quote: {text}")
}
