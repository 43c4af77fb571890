//! Tools of other languages, fetched once and kept in the cache folder.
//!
//! * A tool is pinned to one version, and its folder is named for it: another version lies beside it.
//! * Fetched aside and renamed: a killed download leaves a scratch folder, never half a tool.
//! * One program fetches at a time; whoever waited finds it ready.

use crate::child::{Bound, run};
use crate::error::ToolchainError;
use crate::lock::Lock;
use crate::progress::{Listener, Progress};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_core::limits::TOOL_FETCH_TIMEOUT;

/// A tool with its version, and how long it usually takes to fetch.
pub(crate) struct Tool {
    /// As its folder is called: name and version.
    pub name: &'static str,
    /// For a person: what is fetched from where, and how much.
    pub what: &'static str,
    pub usual: Duration,
}

impl Tool {
    /// Its folder, where `fetch` put it when it was not there yet; `fetch` gets a folder of its own and the command
    /// that fills it.
    pub fn folder(
        &self,
        cache: &Path,
        fetch: impl FnOnce(&Path) -> Result<Command, ToolchainError>,
        listener: Listener<'_>,
    ) -> Result<PathBuf, ToolchainError> {
        let tools = cache.join("tools");
        let folder = tools.join(self.name);
        if folder.is_dir() {
            return Ok(folder);
        }
        let _lock = Lock::take(tools.join("fetch.lock"), self.what, listener)?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let aside = tempfile::tempdir_in(&tools).map_err(ToolchainError::io("write in", &tools))?;
        listener(Progress::Begin { what: self.what.to_owned(), usual: self.usual });
        let mut command = fetch(aside.path())?;
        let bound = Bound::new(format!("fetching {}", self.what), TOOL_FETCH_TIMEOUT);
        run(&mut command, &bound, listener)?.expect_ok()?;
        fs::rename(aside.keep(), &folder).map_err(ToolchainError::io("rename to", &folder))?;
        listener(Progress::End { what: self.what.to_owned() });
        Ok(folder)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const TOOL: Tool =
        Tool { name: "hammer-1.0", what: "the hammer 1.0", usual: Duration::from_secs(1) };

    fn shell(script: &str, folder: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(folder);
        command
    }

    #[test]
    fn a_tool_is_fetched_once_and_half_a_one_is_not_kept() {
        let cache = tempfile::tempdir().expect("a cache folder");
        let half = |folder: &Path| Ok(shell("echo half > handle; echo no net >&2; exit 1", folder));
        let failed = TOOL.folder(cache.path(), half, &mut |_| {}).expect_err("it failed");
        assert!(failed.to_string().contains("no net"), "{failed}");
        let whole = |folder: &Path| Ok(shell("echo whole > handle", folder));
        let folder = TOOL.folder(cache.path(), whole, &mut |_| {}).expect("a tool");
        let handle = fs::read_to_string(folder.join("handle")).expect("a file");
        assert_eq!((handle.as_str(), folder.ends_with("tools/hammer-1.0")), ("whole\n", true));
        let again = TOOL.folder(cache.path(), |_| panic!("it is there"), &mut |_| {});
        assert_eq!(again.expect("a tool"), folder);
    }
}
