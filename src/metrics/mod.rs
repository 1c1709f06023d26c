//! Metrics: the series that a scraper reads, and how they are written.
//!
//! Owns every series and its labels. Gauges come from views ([`MetricsView`](crate::view::MetricsView),
//! [`HalfSample`](crate::view::HalfSample)) that the event loop gives; counters and histograms from one
//! [`Recorder`], which is fed by the same changes and results as the log and the events. May not touch the inside
//! of the engine, sockets or the clock.
//!
//! Invariants: no prefix, address, UUID or text of an error is a label, and nothing that a client sends is one; what
//! a half adds is bounded ([`MOST_HALVES`]); a scrape leaves no trace.

mod exposition;
mod halves;
mod recorder;
mod requests;

pub use exposition::{Exposition, Format};
pub use halves::{MOST_HALVES, MOST_NAME_BYTES, fits, selection};
pub use recorder::Recorder;
pub use requests::{Requests, Via};
