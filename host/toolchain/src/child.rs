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
use tillhold_core::limits::{BUILD_LINES_KEPT, BUILD_OUTPUT_BYTES_MAX, GUEST_BUILD_TIMEOUT};

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

/// Runs what makes the guest `package`. Where it fails, the error tells what `told` leaves of its words.
pub(crate) fn build(
    package: &str,
    command: &mut Command,
    listener: Listener<'_>,
    told: impl Fn(&str) -> String,
) -> Result<Ended, ToolchainError> {
    let bound = Bound::new(format!("building {package}"), GUEST_BUILD_TIMEOUT);
    let ended = run(command, &bound, listener)?;
    if ended.ok() {
        return Ok(ended);
    }
    let said = last_lines(&told(&ended.stderr));
    Err(ToolchainError::GuestBuild { package: package.to_owned(), said })
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (Result<Ended, ToolchainError>, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let ended = run(&mut command, &Bound::new("the script", limit), &mut |progress| {
            if let Progress::Line(line) = progress {
                lines.push(line);
            }
        });
        (ended, lines)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn each_line_is_said_once_whatever_its_bytes_and_the_output_is_kept_whole() {
        let script = r"echo out; printf 'one\n\ntwo \377\nthr' >&2; printf 'ee\nrest' >&2; exit 3";
        let (ended, lines) = shell(script, LONG);
        let ended = ended.expect("it ends");
        assert_eq!(lines, ["one", "two \u{FFFD}", "three"]);
        assert_eq!((ended.stdout.as_str(), ended.ok()), ("out\n", false));
        let error = ended.expect_ok().map(|_| ()).expect_err("it failed").to_string();
        assert_eq!(error, "the script failed (exit 3)\none\n\ntwo \u{FFFD}\nthree\nrest");
    }

    #[test]
    fn a_program_that_prints_more_than_a_pipe_holds_still_ends() {
        let (ended, _) = shell("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2", LONG);
        assert_eq!(ended.expect("it ends").stdout.len(), 300_000);
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_what_it_said_is_told() {
        let (ended, _) = shell("echo $$ >&2; exec sleep 600", Duration::from_millis(300));
        let error = ended.map(|_| ()).expect_err("its time is up");
        let ToolchainError::TimedOut { said, .. } = &error else { panic!("{error}") };
        assert!(!std::path::Path::new("/proc").join(said).exists(), "it still runs as {said}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut command = Command::new("/nowhere/cargo");
        let ended = run(&mut command, &Bound::new("cargo", LONG), &mut |_| {});
        let error = ended.map(|_| ()).expect_err("there is none").to_string();
        assert!(error.starts_with("cannot start /nowhere/cargo"), "{error}");
    }

    #[test]
    fn an_error_is_repeated_from_its_first_line_on() {
        let many = (0..100).map(|line| format!("line {line}\n")).collect::<String>();
        let end = last_lines(&many);
        assert_eq!((end.lines().count(), end.lines().next()), (BUILD_LINES_KEPT, Some("line 60")));
        let failed = format!("   Compiling a v1\nerror[E0308]: mismatched types\n --> b\n{many}");
        let error = last_lines(&failed);
        assert!(error.starts_with("error[E0308]: mismatched types\n --> b\nline 0"), "{error}");
        assert_eq!(error.lines().count(), BUILD_LINES_KEPT);
    }
}
