//! Labelled lines: one thing in full.

use std::fmt::Display;

use super::text::{plain, wrap};

/// Labelled lines.
pub(super) struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn line(&mut self, label: &'static str, value: impl Display) {
        self.0.push((label, plain(&value.to_string())));
    }

    pub(super) fn optional(&mut self, label: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(label, value);
        }
    }

    /// One line each; the label is on the first.
    pub(super) fn several(&mut self, label: &'static str, values: &[impl Display]) {
        for (index, value) in values.iter().enumerate() {
            self.line(if index == 0 { label } else { "" }, value);
        }
    }

    /// Its lines, none wider than `width`.
    pub(super) fn into_text(self, width: Option<usize>) -> String {
        let labels = self.0.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
        let room = width.map(|width| width.saturating_sub(labels + 2));
        let mut text = String::new();
        for (label, value) in &self.0 {
            let mut label = *label;
            for line in wrap(value, room) {
                text.push_str(format!("{label:labels$}  {line}").trim_end());
                text.push('\n');
                label = "";
            }
        }
        text
    }
}
