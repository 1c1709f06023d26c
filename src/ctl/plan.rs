//! `plan`: what would change, by half.

use std::collections::BTreeMap;

use super::list::state_words;
use super::render::{listing, with_lines};
use super::table::{Cell, Kind, Table};
use super::take_over::links;
use super::text::{count, plain, wrap};
use crate::view::{PlanView, PlannedAction, PlannedHalf, PlannedPrefix, PlannedRow, State};

/// Indents what belongs to a half.
const INDENT: &str = "  ";

/// What would change of a half, or of a network: its state, and its rows.
#[derive(Default)]
struct Group<'a> {
    half: Option<&'a PlannedHalf>,
    rows: Vec<&'a PlannedRow>,
}

/// A project, a network, and a half; rows of others come last.
type Place<'a> = (bool, &'a str, &'a str, Option<&'a str>);

/// The page; `rows` asks for the rows as the northbound has them.
pub(super) fn plan(plan: &PlanView, rows: bool, width: Option<usize>) -> String {
    let mut text = String::new();
    for (place, group) in groups(plan) {
        text.push_str(&heading(place, group.half, width));
        for row in group.rows {
            let line = format!("{INDENT}{} {}", sign(row.action), plain(&row.row.means));
            text.push_str(&with_lines(&line.replace('\n', " "), width, INDENT.len() * 2));
        }
    }
    if rows {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table(&plan.rows));
        prefixes(&mut text, "Prefixes gained:", "+", &plan.gained, width);
        prefixes(&mut text, "Prefixes lost:", "-", &plan.lost, width);
    }
    if !plan.links.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&links(&plan.links, width));
    }
    let held = "Held until `ovn-peerctl confirm`, because they are too many at once:";
    listing(&mut text, held, &plan.held, width);
    listing(&mut text, "Problems in the declarations:", &plan.diagnostics, width);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&totals(plan, width));
    text
}

fn groups(plan: &PlanView) -> BTreeMap<Place<'_>, Group<'_>> {
    let mut groups: BTreeMap<Place<'_>, Group<'_>> = BTreeMap::new();
    for half in &plan.halves {
        let place = (false, &*half.project, &*half.network, Some(&*half.name));
        groups.entry(place).or_default().half = Some(half);
    }
    for row in &plan.rows {
        let place = match &row.serves {
            Some(served) => (false, &*served.project, &*served.network, served.name.as_deref()),
            None => (true, "", "", None),
        };
        groups.entry(place).or_default().rows.push(row);
    }
    for group in groups.values_mut() {
        group.rows.sort_by_key(|row| (row.action, &row.row.means));
    }
    groups
}

/// `blue/web/to-db: active -> disconnected`.
fn heading(place: Place<'_>, half: Option<&PlannedHalf>, width: Option<usize>) -> String {
    let (is_of_others, project, network, name) = place;
    if is_of_others {
        return "rows of others, and rows that nobody declares any more\n".to_owned();
    }
    let mut text = format!("{project}/{network}");
    if let Some(name) = name {
        text.push_str(&format!("/{name}"));
    }
    if let Some(half) = half {
        let before = half.before.map_or("new", State::as_str);
        text.push_str(&format!(": {before} -> {}", state_words(half.after, half.reason)));
    }
    with_lines(&plain(&text).replace('\n', " "), width, INDENT.len())
}

fn sign(action: PlannedAction) -> &'static str {
    match action {
        PlannedAction::Insert => "+",
        PlannedAction::Update => "~",
        PlannedAction::Delete => "-",
    }
}

/// The rows with their UUIDs, which are wider than most terminals.
fn table(rows: &[PlannedRow]) -> String {
    let mut table = Table::new(["", "TABLE", "UUID", "ROW"].map(|heading| (heading, Kind::Word)));
    for planned in rows {
        let uuid = planned.row.uuid.as_deref().unwrap_or("-");
        let cells = [sign(planned.action), &planned.row.table, uuid, &planned.row.summary];
        table.row(cells.map(Cell::new));
    }
    if rows.is_empty() { String::new() } else { table.lines(true, None) }
}

fn prefixes(
    text: &mut String,
    title: &str,
    sign: &str,
    prefixes: &[PlannedPrefix],
    width: Option<usize>,
) {
    let lines: Vec<_> = prefixes
        .iter()
        .map(|planned| format!("{sign} {}  {}", planned.router, planned.prefix))
        .collect();
    listing(text, title, &lines, width);
}

fn totals(plan: &PlanView, width: Option<usize>) -> String {
    if plan.is_empty() {
        return "Nothing would change.\n".to_owned();
    }
    let of = |action| plan.rows.iter().filter(|row| row.action == action).count();
    let (inserted, updated, deleted) =
        (of(PlannedAction::Insert), of(PlannedAction::Update), of(PlannedAction::Delete));
    let text = format!(
        "{} would change state. Rows: {inserted} to insert, {updated} to update, {deleted} to \
         delete. Withdrawals held: {}.",
        count(plan.halves.len(), "half"),
        plan.held.len()
    );
    wrap(&text, width).join("\n") + "\n"
}
