//! `take-over`: peerings in the place of links that another tool made.

use super::FAILURE;
use super::client::ControlClient;
use super::error::CtlError;
use super::names::OptionalHalf;
use super::output::Output;
use super::render::listing;
use super::text::{plain, wrap};
use crate::control::TakeOver;
use crate::view::{TakeOverLink, TakeOverOutcome, TakeOverView};

/// Asks for it, and prints what became of it.
pub(super) async fn obey(
    client: &ControlClient,
    output: &Output,
    half: OptionalHalf,
    all: bool,
    dry_run: bool,
) -> Result<u8, CtlError> {
    let half = half.resolve(client).await?;
    let message = match (&half, all) {
        (Some(_), true) => Some("name a half, or say --all: not both"),
        (None, false) => Some("name the half whose link is to be taken over, or say --all"),
        (Some(_), false) | (None, true) => None,
    };
    if let Some(message) = message {
        return Err(CtlError::Usage { message: message.to_owned() });
    }
    let half = half.map(|half| [half.project, half.network, half.name]);
    let view: TakeOverView = client.post_json("/v1/take-over", &TakeOver { half, dry_run }).await?;
    output.show(&view, page)?;
    Ok(if view.is_well() { 0 } else { FAILURE })
}

/// What became of each link, and what is left to do.
fn page(view: &TakeOverView, width: Option<usize>) -> String {
    if view.links.is_empty() {
        return "No link of another tool is in the way of a peering.".to_owned();
    }
    let mut text = links(&view.links, width);
    let forget: Vec<&String> = view.links.iter().flat_map(|link| &link.forget).collect();
    let title = if view.dry_run {
        "After that, have the tool forget the links that it made:"
    } else {
        "Have the tool forget the links that it made:"
    };
    // A command is never cut: it is to be copied.
    listing(&mut text, title, &forget, None);
    text
}

/// A paragraph for each link.
pub(super) fn links(links: &[TakeOverLink], width: Option<usize>) -> String {
    let mut text = String::new();
    for link in links {
        let halves = link.halves.join(", ");
        let state = match link.outcome {
            TakeOverOutcome::Ready => "another tool's link can be taken over",
            TakeOverOutcome::NoParity => "another tool's link cannot be taken over",
            TakeOverOutcome::TakenOver => "taken over",
            TakeOverOutcome::NotTakenOver => "not taken over",
        };
        let rows = link.rows.iter().map(|row| format!("- {} {}", row.table, row.summary));
        let goes = match link.outcome {
            TakeOverOutcome::Ready | TakeOverOutcome::TakenOver => rows.collect(),
            TakeOverOutcome::NoParity | TakeOverOutcome::NotTakenOver => Vec::new(),
        };
        let steps = link.next_steps.iter().map(|step| format!("next: {step}"));
        let lines: Vec<String> =
            link.explanations.iter().cloned().chain(goes).chain(steps).collect();
        let title = plain(&format!("{halves}: {state}"));
        if lines.is_empty() {
            text.push_str(&(wrap(&title, width).join("\n") + "\n"));
        } else {
            listing(&mut text, &title, &lines, width);
        }
    }
    text
}
