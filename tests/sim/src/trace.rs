//! What happened, in order: a line each, and one hash of all of them, by which two runs are told apart.

use std::fmt::Display;
use std::hash::Hasher as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use tillhold_env::Locked as _;
use tokio::time::Instant;

/// The lines that are shown of a run that was not asked to keep all.
const KEPT: usize = 60;

pub struct Trace {
    opening: Instant,
    /// The run's folder, whose name is no part of what happened.
    folder: String,
    /// Each line is shown when it is written: also those before a run that never ends.
    shows: bool,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    hash: u64,
}

impl Trace {
    pub fn new(opening: Instant, folder: &Path, shows: bool) -> Trace {
        Trace { opening, folder: folder.display().to_string(), shows, written: Mutex::default() }
    }

    pub fn line(&self, who: &str, what: impl Display) {
        let at = self.opening.elapsed();
        let line = format!("{:>4}.{:06} {who:<8} {what}", at.as_secs(), at.subsec_micros());
        let line = line.replace(&self.folder, "FOLDER");
        let mut written = self.written();
        // The library's own hash with fixed keys: equal lines give equal hashes in every process.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(written.hash);
        hasher.write(line.as_bytes());
        written.hash = hasher.finish();
        if self.shows {
            println!("{line}");
        }
        written.lines.push(line);
        if written.lines.len() > 2 * KEPT {
            written.lines.drain(..KEPT);
        }
    }

    pub fn hash(&self) -> u64 {
        self.written().hash
    }

    pub fn lines(&self) -> Vec<String> {
        self.written().lines.clone()
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.locked()
    }
}
