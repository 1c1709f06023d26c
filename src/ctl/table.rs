//! Columns for people, as wide as their terminal at the most.

use std::fmt::Write as _;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::text::{cut_at_end, cut_in_middle, plain};

/// Between two columns.
const GAP: &str = "  ";

/// Names are cut first, to this width; then other texts are cut.
const LEAST_NAME: usize = 16;

/// How the cells of a column stand, and how they are cut where the terminal is too narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers: on the right, and never cut.
    Number,
    /// Short words: never cut.
    Word,
    /// Text whose end matters least.
    Text,
    /// Names whose beginning and end distinguish them.
    Name,
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell of one line, so that a list can be searched by line.
    pub(super) fn new(text: &str) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: &str, style: Style) -> Self {
        Self { text: plain(text).replace('\n', " "), style }
    }
}

/// Rows of cells below headings.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = (&'static str, Kind)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Its lines; none is wider than `width`, as long as the columns that are never cut leave room.
    pub(super) fn lines(&self, headings: bool, width: Option<usize>) -> String {
        let widths = self.widths(headings, width);
        let mut text = String::new();
        if headings {
            let cells = self.columns.iter().map(|(heading, _)| Cell::new(heading));
            self.line(&mut text, &cells.collect::<Vec<_>>(), &widths);
        }
        for row in &self.rows {
            self.line(&mut text, row, &widths);
        }
        text
    }

    fn line(&self, text: &mut String, cells: &[Cell], widths: &[usize]) {
        // Blanks are written before the next cell, so that no line ends with them.
        let mut blanks = 0;
        for (index, ((cell, width), (_, kind))) in
            cells.iter().zip(widths).zip(&self.columns).enumerate()
        {
            let shown = match kind {
                Kind::Name => cut_in_middle(&cell.text, *width),
                Kind::Text | Kind::Word | Kind::Number => cut_at_end(&cell.text, *width),
            };
            let room = width.saturating_sub(shown.width());
            let (before, after) = if *kind == Kind::Number { (room, 0) } else { (0, room) };
            blanks += before + if index == 0 { 0 } else { GAP.len() };
            if !shown.is_empty() {
                let _ = write!(text, "{:blanks$}{}{shown}{:#}", "", cell.style, cell.style);
                blanks = 0;
            }
            blanks += after;
        }
        text.push('\n');
    }

    /// The width of each column: what it needs. If that is too much, the widest names are cut to
    /// equal widths, and if these would be too small, the widest other texts, too.
    fn widths(&self, headings: bool, width: Option<usize>) -> Vec<usize> {
        let needs = self.needs(headings);
        let gaps = GAP.len() * needs.len().saturating_sub(1);
        let Some(room) = width.map(|width| width.saturating_sub(gaps)) else { return needs };
        let capped = |names: usize, texts: usize| -> Vec<usize> {
            let each = needs.iter().zip(&self.columns);
            each.map(|(need, (heading, kind))| match kind {
                Kind::Number | Kind::Word => *need,
                Kind::Text => (*need).min(texts.max(heading.width())),
                Kind::Name => (*need).min(names.max(heading.width())),
            })
            .collect()
        };
        let widest = needs.iter().max().copied().unwrap_or_default();
        let first = (LEAST_NAME..=widest).rev().map(|names| capped(names, widest));
        let then = (LEAST_NAME..=widest).rev().map(|texts| capped(LEAST_NAME, texts));
        let last = (1..LEAST_NAME).rev().map(|both| capped(both, both));
        let fits = |widths: &Vec<usize>| widths.iter().sum::<usize>() <= room;
        let mut widths = first.chain(then).chain(last).find(fits).unwrap_or_else(|| capped(1, 1));
        // What equal widths leave over is for the first columns that need it.
        let mut left = room.saturating_sub(widths.iter().sum());
        for (width, need) in widths.iter_mut().zip(&needs) {
            if *width < *need && left > 0 {
                *width += 1;
                left -= 1;
            }
        }
        widths
    }

    fn needs(&self, headings: bool) -> Vec<usize> {
        let mut needs: Vec<usize> =
            self.columns.iter().map(|(heading, _)| heading.width().max(1)).collect();
        if !headings {
            needs.fill(1);
        }
        for row in &self.rows {
            for (need, cell) in needs.iter_mut().zip(row) {
                *need = (*need).max(cell.text.width());
            }
        }
        needs
    }
}
