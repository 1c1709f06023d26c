//! Standard output: how wide it is, whether it shows colours, and answers in the format asked for.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::arguments::Format;
use super::error::CtlError;

/// The width of a terminal that does not say its own.
const USUAL_WIDTH: usize = 80;

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) format: Format,
    color: ColorChoice,
    /// The terminal's width; `None` if the reader is a file or a program, for which nothing is cut.
    pub(super) width: Option<usize>,
}

impl Output {
    pub(super) fn new(format: Format, color: clap::ColorChoice) -> Self {
        let color = match color {
            clap::ColorChoice::Auto => ColorChoice::Auto,
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| match rustix::termios::tcgetwinsize(&stdout) {
            Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
            Ok(_) | Err(_) => USUAL_WIDTH,
        });
        Self { format, color, width }
    }

    /// Prints an answer: for people as the text, with its colours where they are wanted.
    pub(super) fn show<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&T, Option<usize>) -> String,
    ) -> Result<(), CtlError> {
        match self.format {
            Format::Table => self.print(&text(answer, self.width)),
            Format::Json => {
                let json = serde_json::to_string_pretty(answer).map_err(CtlError::Encode)?;
                written(write_line(&mut io::stdout().lock(), &json))
            }
        }
    }

    /// Whether answers are for people, not for programs.
    pub(super) fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    fn print(&self, text: &str) -> Result<(), CtlError> {
        written(write_line(&mut AutoStream::new(io::stdout().lock(), self.color), text))
    }
}

fn write_line(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        to.write_all(b"\n")?;
    }
    to.flush()
}

/// A reader that closes early, such as `head`, is no failure.
fn written(result: io::Result<()>) -> Result<(), CtlError> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(CtlError::Output),
    }
}
