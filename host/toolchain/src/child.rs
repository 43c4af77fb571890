//! Runs another program with a bound on its time, and keeps what it said.
//!
//! * The program is killed when its time is up; it is never left running behind.
//! * Its output goes to files, not pipes: a chatty program cannot block on a full pipe, and no thread is needed.
//! * Time is counted in naps, so it is a little generous on a busy machine and needs no clock.

use crate::error::ToolchainError;
use crate::progress::{Listener, Progress};
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::NamedTempFile;
use tillhold_core::limits::{BUILD_LINES_KEPT, BUILD_OUTPUT_BYTES_MAX};

/// What ran, for messages, and how long it may.
pub(crate) struct Bound {
    pub what: String,
    pub limit: Duration,
}

impl Bound {
    pub fn new(what: impl Into<String>, limit: Duration) -> Self {
        Self { what: what.into(), limit }
    }
}

pub(crate) struct Ended {
    status: ExitStatus,
    what: String,
    pub stdout: String,
    pub stderr: String,
}

/// Runs to the end, whatever the end is; only not starting and not ending are errors here.
pub(crate) fn run(
    command: &mut Command,
    bound: &Bound,
    listener: Listener<'_>,
) -> Result<Ended, ToolchainError> {
    let stdout = Output::new()?;
    let mut stderr = Output::new()?;
    let started = command
        .stdin(Stdio::null())
        .stdout(stdout.sink()?)
        .stderr(stderr.sink()?)
        .spawn()
        .map_err(ToolchainError::io("start", command.get_program().as_ref()))?;
    let status = wait(started, bound, &mut || stderr.say_new_lines(listener));
    stderr.say_new_lines(listener);
    match status? {
        Some(status) => Ok(Ended {
            status,
            what: bound.what.clone(),
            stdout: stdout.text(),
            stderr: stderr.text(),
        }),
        None => Err(ToolchainError::TimedOut {
            what: bound.what.clone(),
            seconds: bound.limit.as_secs(),
            said: last_lines(&stderr.text()),
        }),
    }
}

impl Ended {
    pub fn ok(&self) -> bool {
        self.status.success()
    }

    /// The output of a program that succeeded.
    pub fn expect_ok(self) -> Result<Self, ToolchainError> {
        if self.ok() {
            return Ok(self);
        }
        let said = last_lines(&self.stderr);
        Err(ToolchainError::Failed { what: self.what, code: self.status.code(), said })
    }
}

/// `None`: it was killed because its time was up.
fn wait(
    mut child: Child,
    bound: &Bound,
    on_nap: &mut dyn FnMut(),
) -> Result<Option<ExitStatus>, ToolchainError> {
    let failed =
        |source| ToolchainError::Io { what: "wait for", path: (&bound.what).into(), source };
    let mut naps = Naps::new(bound.limit);
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(Some(status));
        }
        if !naps.take() {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Ok(None);
        }
        on_nap();
    }
}

/// Short naps first, so that quick answers are quick; then longer ones; none past the limit.
pub(crate) struct Naps {
    next: Duration,
    left: Duration,
}

impl Naps {
    const LONGEST: Duration = Duration::from_millis(100);

    pub fn new(limit: Duration) -> Self {
        Self { next: Duration::from_millis(2), left: limit }
    }

    /// False when the time is up.
    #[allow(
        clippy::disallowed_methods,
        reason = "waits for a real child process, outside the simulated system, on a thread of the command line"
    )]
    pub fn take(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        let nap = self.next.min(self.left);
        std::thread::sleep(nap);
        self.left -= nap;
        self.next = (self.next * 2).min(Self::LONGEST);
        true
    }
}

/// A file that the child writes and we read at our own place in it.
struct Output {
    file: NamedTempFile,
    said: u64,
}

impl Output {
    fn new() -> Result<Self, ToolchainError> {
        let file = NamedTempFile::new()
            .map_err(ToolchainError::io("write a temporary file in", &std::env::temp_dir()))?;
        Ok(Self { file, said: 0 })
    }

    fn sink(&self) -> Result<Stdio, ToolchainError> {
        self.file.reopen().map(Stdio::from).map_err(ToolchainError::io("open", self.file.path()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read_from(0)).into_owned()
    }

    /// What can no longer be read (a full disk) is missing from a message, not a reason to fail a build.
    fn read_from(&self, start: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(mut file) = self.file.reopen()
            && file.seek(SeekFrom::Start(start)).is_ok()
        {
            let _ = file.take(BUILD_OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        }
        bytes
    }

    fn say_new_lines(&mut self, listener: Listener<'_>) {
        let bytes = self.read_from(self.said);
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return };
        self.said += end as u64 + 1;
        for line in
            String::from_utf8_lossy(&bytes[..end]).lines().filter(|line| !line.trim().is_empty())
        {
            listener(Progress::Line(line.trim().to_owned()));
        }
    }
}

/// From the first error on if there is one, else the end; never more than a screen.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("error"));
    let kept: Vec<&str> = match first {
        Some(first) => lines[first..].iter().take(BUILD_LINES_KEPT).copied().collect(),
        None => lines[lines.len().saturating_sub(BUILD_LINES_KEPT)..].to_vec(),
    };
    kept.join("\n")
}
