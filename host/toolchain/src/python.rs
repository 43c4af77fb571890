//! Plugins in Python: componentize-py puts CPython and the author's modules into one component.
//!
//! * The tool comes from PyPI into the cache folder, by the pip of the Python that is on this machine.
//! * All WASI imports are replaced by stubs: the component asks its host for nothing but the log.
//! * What `plugin.py` imports is in the component; afterwards there is nothing left to import from.

use crate::child::build;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::kept_tools::Tool;
use crate::progress::Listener;
use crate::project::{Builds, Project};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const TOOL: Tool = Tool {
    name: "componentize-py-0.25.1",
    what: "componentize-py 0.25.1 from PyPI (18 MB)",
    usual: Duration::from_secs(15),
};
const PACKAGE: &str = "componentize-py==0.25.1";
const USUAL: Duration = Duration::from_secs(15);
/// Not the world's name: the tool makes a module of that.
const ENTRY: &str = "tillhold_component";

pub(crate) struct Builder {
    python: PathBuf,
    /// The folder that the tool's module lies in.
    tool: PathBuf,
}

impl Builder {
    pub fn find(finder: &Finder, listener: Listener<'_>) -> Result<Self, ToolchainError> {
        let python = finder.machine.program(&["python3", "python"]);
        let python = python.ok_or(ToolchainError::NoProgram {
            what: "Python, 3.10 or later",
            install: "python3 and python3-pip (Debian: apt-get install python3 python3-pip)",
        })?;
        let fetch = |folder: &std::path::Path| {
            let mut command = Command::new(&python);
            command
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-input", "--only-binary", ":all:", "--target"])
                .arg(folder)
                .arg(PACKAGE);
            Ok(command)
        };
        let tool = TOOL.folder(&finder.cache, fetch, listener)?;
        Ok(Self { python, tool })
    }
}

impl Builds for Builder {
    fn tool(&self) -> String {
        PACKAGE.to_owned()
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".py", ".wit", "pyproject.toml"]
    }

    fn usual(&self) -> Duration {
        USUAL
    }

    fn component(
        &self,
        project: &Project,
        listener: Listener<'_>,
    ) -> Result<Vec<u8>, ToolchainError> {
        let folder = project.build_folder();
        let entry = folder.join("entry");
        fs::create_dir_all(&entry).map_err(ToolchainError::io("make", &entry))?;
        let file = entry.join(format!("{ENTRY}.py"));
        fs::write(&file, entry_text(project)).map_err(ToolchainError::io("write", &file))?;
        let made = folder.join("made.wasm");
        let mut command = Command::new(&self.python);
        command
            .args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())", "-d"])
            .arg(project.kit_folder().join("wit"))
            .args(["-w", project.world.name(), "componentize", "--stub-wasi", ENTRY, "-p"])
            .arg(&entry)
            .arg("-p")
            .arg(&project.folder)
            .arg("-o")
            .arg(&made)
            .env("PYTHONPATH", &self.tool)
            // The author's own packages are in the project; a virtual environment around us is not looked into.
            .env_remove("VIRTUAL_ENV")
            .env_remove("RUST_BACKTRACE");
        build(&project.name, &mut command, listener, told)?;
        fs::read(&made).map_err(ToolchainError::io("read", &made))
    }
}

/// The exported classes, and a check that the world is the one that the rules need.
fn entry_text(project: &Project) -> String {
    let world = project.world;
    let mut text = String::from("import plugin\nfrom tillhold_sdk import registry\n");
    for (exported, class, entries, decorator) in [
        (world.transforms(), "Transform", "RULES", "@transform"),
        (world.resolves(), "Resolve", "DECISIONS", "@resolve"),
    ] {
        let name = world.name();
        if exported {
            text.push_str(&format!("from tillhold_sdk.component import {class}\n"));
            text.push_str(&format!(
                "if not registry.{entries}:\n    raise ValueError('pyproject.toml says world = \
                 \"{name}\", but nothing that plugin.py imports has a {decorator}')\n"
            ));
        } else {
            text.push_str(&format!(
                "if registry.{entries}:\n    raise ValueError('there is a {decorator}, but \
                 pyproject.toml says world = \"{name}\"')\n"
            ));
        }
    }
    text
}

/// The author's own traceback: the tool repeats it, with its own around it.
fn told(stderr: &str) -> String {
    let end = stderr.find("\nCaused by:").unwrap_or(stderr.len());
    let own = |line: &&str| !line.contains("File \"<string>\"") && !line.trim().is_empty();
    stderr[..end].lines().filter(own).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn the_authors_own_traceback_is_told_once() {
        let stderr = "Traceback (most recent call last):\n  File \"<string>\", line 1, in <module>\n\
            AssertionError: Traceback (most recent call last):\n  File \"/1/plugin.py\", line 6\n    x\n\
            NameError: x\n\n\nCaused by:\n    NameError: x\n";
        assert_eq!(
            told(stderr),
            "Traceback (most recent call last):\nAssertionError: Traceback (most recent call last):\n  \
             File \"/1/plugin.py\", line 6\n    x\nNameError: x\n"
        );
    }
}
