//! Standard output: how wide it is, whether it shows colours, and answers in the format asked for.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::error::CtlError;
use super::format::{Format, Records};
use super::text::plain;

/// The width of a terminal that does not say its own.
const USUAL_WIDTH: usize = 80;

/// How answers are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) format: Format,
    quiet: bool,
    color: ColorChoice,
    /// The terminal's width; `None` if the reader is a file or a program, for which nothing is cut.
    width: Option<usize>,
}

impl Output {
    pub(super) fn new(format: Format, quiet: bool, color: clap::ColorChoice) -> Self {
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
        Self { format, quiet, color, width }
    }

    /// Prints an answer that is no list: for people as the text, with its colours where they are
    /// wanted.
    pub(super) fn show<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&T, Option<usize>) -> String,
    ) -> Result<(), CtlError> {
        if self.quiet {
            return Ok(());
        }
        match self.format {
            Format::Table => {
                let mut stdout = AutoStream::new(io::stdout().lock(), self.color);
                written(write_line(&mut stdout, &text(answer, self.width)))
            }
            Format::Json => {
                self.program(&serde_json::to_string_pretty(answer).map_err(CtlError::Encode)?)
            }
            Format::Yaml => self.program(&yaml_serde::to_string(answer).map_err(CtlError::Yaml)?),
            Format::Csv => Err(CtlError::NoList),
        }
    }

    /// Prints a list.
    pub(super) fn list<T: Serialize>(
        &self,
        answer: &T,
        records: impl FnOnce(&T) -> Records,
        text: impl FnOnce(&T, Option<usize>) -> String,
    ) -> Result<(), CtlError> {
        match self.format {
            Format::Csv if self.quiet => Ok(()),
            Format::Csv => self.program(&records(answer).into_text().map_err(CtlError::Csv)?),
            Format::Table | Format::Json | Format::Yaml => self.show(answer, text),
        }
    }

    /// Whether answers are for people, not for programs.
    pub(super) fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Whether only errors are wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a part of an answer. A terminal gets no character that controls it.
    pub(super) fn piece(&self, text: &str) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match self.width {
            Some(_) => write_line(&mut stdout, &plain(text)),
            None => write_line(&mut stdout, text),
        }
    }

    /// Prints what a program reads.
    fn program(&self, text: &str) -> Result<(), CtlError> {
        written(self.piece(text))
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
