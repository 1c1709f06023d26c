//! Two real directories, a watch on them, and local declarations that apply what it delivers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ovn_peerd::daemon::watch::{Pace, Watch};
use ovn_peerd::declare::{LocalDeclarations, ParsedFile, PathSettings, Reading, Settings};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Long enough for a busy machine; nothing waits for it that works.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Ground {
    pub(crate) watch: Watch,
    pub(crate) local: LocalDeclarations,
    runtime: Runtime,
    root: TempDir,
}

/// Directories that are not watched yet.
pub(crate) fn directories() -> (TempDir, PathSettings) {
    let root = tempfile::tempdir().unwrap();
    let paths = Settings::defaults(root.path()).paths;
    fs::create_dir(&paths.networks).unwrap();
    fs::create_dir(&paths.peerings).unwrap();
    (root, paths)
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self::paced(Pace::default())
    }

    /// With waits so long that a busy machine cannot reach them by accident.
    pub(crate) fn paced(pace: Pace) -> Self {
        let (root, _) = directories();
        Self::on(root, |paths| Watch::start(paths, pace).unwrap())
    }

    /// Watches directories that are there already.
    pub(crate) fn on(root: TempDir, start: impl FnOnce(&PathSettings) -> Watch) -> Self {
        let settings = Settings::defaults(root.path());
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let watch = start(&settings.paths);
        let mut ground = Self { watch, local: LocalDeclarations::new(&settings), runtime, root };
        let first = ground.next();
        assert!(first.complete);
        ground.local.apply(first);
        ground
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn peerings(&self, name: &str) -> PathBuf {
        self.root().join("peerings.d").join(name)
    }

    pub(crate) fn next(&mut self) -> Reading<ParsedFile> {
        let watch = &mut self.watch;
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, watch.next()).await })
            .expect("a reading in time")
            .expect("a watch that runs")
    }

    /// Folds readings until the local is as it should be; returns them.
    pub(crate) fn until(
        &mut self,
        what: &str,
        so: impl Fn(&LocalDeclarations) -> bool,
    ) -> Vec<Reading<ParsedFile>> {
        let mut readings = Vec::new();
        while !so(&self.local) {
            let watch = &mut self.watch;
            let next = async { tokio::time::timeout(DEADLINE, watch.next()).await };
            let Ok(Some(reading)) = self.runtime.block_on(next) else {
                panic!("not reached: {what}; delivered: {readings:#?}");
            };
            readings.push(reading.clone());
            self.local.apply(reading);
        }
        readings
    }

    /// Waits for this many halves.
    pub(crate) fn until_halves(&mut self, halves: usize) -> Vec<Reading<ParsedFile>> {
        self.until(&format!("{halves} halves"), |local| local.halves().count() == halves)
    }

    /// Puts another file there and waits until it is read: all notices before it were seen.
    /// Returns what was delivered up to and with it.
    pub(crate) fn mark(&mut self, name: &str) -> Vec<Reading<ParsedFile>> {
        let file = format!("{name}.toml");
        let path = self.peerings(&file);
        place(&path, "# a mark\n");
        let mut readings = Vec::new();
        loop {
            let reading = self.next();
            let seen = reading.files.iter().any(|found| *found.id.name == *file);
            readings.push(reading.clone());
            self.local.apply(reading);
            if seen {
                return readings;
            }
        }
    }
}

/// Writes beside and renames over, as `install` and most programs do.
pub(crate) fn place(path: &Path, text: &str) {
    let beside = path.with_extension("toml.tmp");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// The names of the files that the readings tell of, read or removed.
pub(crate) fn names(readings: &[Reading<ParsedFile>]) -> Vec<String> {
    let files = readings.iter().flat_map(|reading| {
        let read = reading.files.iter().map(|found| &found.id);
        read.chain(&reading.removed).map(|id| id.name.to_string())
    });
    files.collect()
}
