//! The table: what was measured, against what, and whether the target is held.

use std::fmt;
use std::time::Duration;

/// One line.
#[derive(Clone, Debug)]
struct Line {
    cells: [String; 5],
    held: Option<bool>,
    counted: bool,
}

/// The lines so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

const HEAD: [&str; 6] = ["work", "measured", "reference", "ratio", "to reach", "held?"];

impl Table {
    /// A figure that must be at most `limit` times its reference.
    pub(crate) fn at_most(
        &mut self,
        work: &str,
        (shown, value): Figure,
        reference: Named,
        limit: f64,
    ) {
        let ratio = value / reference.1.1;
        let named = format!("{} ({})", reference.1.0, reference.0);
        let cells = [work.into(), shown, named, format!("{ratio:.2}"), format!("<= {limit}")];
        self.push(Line { cells, held: Some(ratio <= limit), counted: false });
    }

    /// A figure that must be so many times faster than its reference.
    pub(crate) fn faster(
        &mut self,
        work: &str,
        (shown, value): Figure,
        reference: Named,
        least: f64,
    ) {
        let ratio = reference.1.1 / value;
        let named = format!("{} ({})", reference.1.0, reference.0);
        let to_reach = format!("{least} x faster");
        let cells = [work.into(), shown, named, format!("{ratio:.1} x faster"), to_reach];
        self.push(Line { cells, held: Some(ratio >= least), counted: false });
    }

    /// A figure that has no reference.
    pub(crate) fn limit(&mut self, work: &str, measured: String, to_reach: &str, held: bool) {
        let cells = [work.into(), measured, "-".into(), "-".into(), to_reach.into()];
        self.push(Line { cells, held: Some(held), counted: false });
    }

    /// What was counted: the same on every machine, however busy, and in a northbound of any size.
    pub(crate) fn count(&mut self, work: &str, counted: String, to_reach: &str, held: bool) {
        self.limit(work, counted, to_reach, held);
        self.lines.iter_mut().last().expect("a line").counted = true;
    }

    /// A figure that is only stated, with what helps to judge it.
    pub(crate) fn stated(&mut self, work: &str, (shown, value): Figure, reference: Named) {
        let ratio = format!("{:.2}", value / reference.1.1);
        let named = format!("{} ({})", reference.1.0, reference.0);
        let cells = [work.into(), shown, named, ratio, "stated".into()];
        self.push(Line { cells, held: None, counted: false });
    }

    /// A line is told at once: whatever becomes of those that follow, it stands.
    fn push(&mut self, line: Line) {
        super::say(&line.to_string());
        self.lines.push(line);
    }

    /// The work of every count, and whether its target is held.
    pub(crate) fn counts(&self) -> Vec<(&str, bool)> {
        let counted = self.lines.iter().filter(|line| line.counted);
        counted.map(|line| (line.cells[0].as_str(), line.held == Some(true))).collect()
    }

    /// Whether every target is held.
    pub(crate) fn is_held(&self) -> bool {
        self.lines.iter().all(|line| line.held != Some(false))
    }
}

/// How a figure is shown, and its size for ratios.
pub(crate) type Figure = (String, f64);
/// A reference's name and figure.
pub(crate) type Named<'a> = (&'a str, Figure);

/// A time as a figure.
pub(crate) fn time(duration: Duration) -> Figure {
    let seconds = duration.as_secs_f64();
    let shown = match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} us", s * 1e6),
    };
    (shown, seconds)
}

/// Memory as a figure; given in KiB.
pub(crate) fn memory(kib: u64) -> Figure {
    let mib = kib as f64 / 1024.0;
    (format!("{mib:.1} MiB"), mib)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = match self.held {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "-",
        };
        write!(f, "| {} | {held} |", self.cells.join(" | "))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", HEAD.join(" | "))?;
        writeln!(f, "| {} |", ["---"; 6].join(" | "))?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
