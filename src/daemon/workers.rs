//! The threads on which the engine compares many units at a time.

use std::io;
use std::num::NonZero;

use rayon::ThreadPoolBuilder;

/// A start is soon limited by the memory's speed, and the processors are there for the guests.
const MOST: usize = 4;

/// Starts them; they sleep until there is something to compare.
pub(super) fn start() -> io::Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = ThreadPoolBuilder::new().num_threads(processors.min(MOST));
    workers.thread_name(|_| "compare".to_owned()).build_global().map_err(io::Error::other)
}
