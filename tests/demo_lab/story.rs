//! How the demo tells: numbered steps with the time since the start, and what was typed and printed, indented.
//!
//! May not: know what it tells of.

use std::time::Instant;

/// A narration on standard output.
#[derive(Debug)]
pub(crate) struct Story {
    start: Instant,
    steps: u32,
}

impl Story {
    /// The clock starts.
    pub(crate) fn begin() -> Story {
        Story { start: Instant::now(), steps: 0 }
    }

    /// A new step.
    pub(crate) fn step(&mut self, text: &str) {
        self.steps += 1;
        println!("\n{}. [{:.1} s] {text}", self.steps, self.start.elapsed().as_secs_f64());
    }

    /// A sentence of the step.
    pub(crate) fn tell(&mut self, text: &str) {
        println!("   {text}");
    }

    /// A command that prints nothing.
    pub(crate) fn command(&mut self, line: &str) {
        println!("   $ {line}");
    }

    /// A command and what it printed.
    pub(crate) fn output(&mut self, line: &str, printed: &str) {
        self.command(line);
        self.block(printed);
    }

    /// A file and what is in it.
    pub(crate) fn file(&mut self, path: &str, text: &str) {
        println!("   {path}:");
        self.block(text);
    }

    /// The last line.
    pub(crate) fn end(&self) {
        println!("\nAll of it was as told, in {:.1} s.", self.start.elapsed().as_secs_f64());
    }

    fn block(&self, text: &str) {
        for line in text.lines() {
            println!("     {}", line.trim_end());
        }
    }
}
