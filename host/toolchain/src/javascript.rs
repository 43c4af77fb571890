//! Plugins in JavaScript: componentize-js puts an engine and the author's modules into one component.
//!
//! * The engine is StarlingMonkey, because its 64-bit integers are BigInts: what a table holds comes in and goes out whole.
//!   QuickJS is ten times smaller, but has numbers there, and a numeric(32,16) above 0.9 is past 2^53.
//! * The tool comes from npm into the cache folder, by the npm that is on this machine.
//! * All of WASI is switched off: the component asks its host for nothing but the log.

use crate::child::build;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::kept_tools::Tool;
use crate::progress::Listener;
use crate::project::{Builds, Project};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TOOL: Tool = Tool {
    name: "componentize-js-0.22.0",
    what: "componentize-js 0.22.0 from npm (210 MB unpacked)",
    usual: Duration::from_secs(40),
};
const PACKAGE: &str = "componentize-js 0.22.0";
/// The whole of what is fetched, by versions: its own wishes are open at the upper end.
const MANIFEST: &str = include_str!("javascript/package.json");
const USUAL: Duration = Duration::from_secs(25);
/// Calls the tool as its documentation does; the command line of another package would bring that package.
const CALL: &str = include_str!("javascript/call.mjs");

pub(crate) struct Builder {
    node: PathBuf,
    tool: PathBuf,
}

impl Builder {
    pub fn find(finder: &Finder, listener: Listener<'_>) -> Result<Self, ToolchainError> {
        let machine = &finder.machine;
        let missing = || ToolchainError::NoProgram {
            what: "Node.js, 20 or later, with npm",
            install: "Node.js from https://nodejs.org, with its npm",
        };
        let node = machine.program(&["node"]).ok_or_else(missing)?;
        let npm = machine.program(&["npm", "npm.cmd"]).ok_or_else(missing)?;
        let fetch = |folder: &Path| {
            let write = |name: &str, text: &str| {
                let file = folder.join(name);
                fs::write(&file, text).map_err(ToolchainError::io("write", &file))
            };
            write("package.json", MANIFEST)?;
            write("call.mjs", CALL)?;
            let mut command = Command::new(&npm);
            command
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--no-package-lock",
                    "--loglevel=error",
                ])
                .current_dir(folder);
            Ok(command)
        };
        let tool = TOOL.folder(&finder.cache, fetch, listener)?;
        Ok(Self { node, tool })
    }
}

impl Builds for Builder {
    fn tool(&self) -> String {
        PACKAGE.to_owned()
    }

    fn endings(&self) -> &'static [&'static str] {
        &[".js", ".mjs", ".wit", "package.json"]
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
        let entry = folder.join("entry.js");
        fs::write(&entry, entry_text(project)).map_err(ToolchainError::io("write", &entry))?;
        let made = folder.join("made.wasm");
        let mut command = Command::new(&self.node);
        command
            .arg(self.tool.join("call.mjs"))
            .args(["build/entry.js", project.world.name()])
            .arg(project.kit_folder().join("wit"))
            .arg(&made)
            // Where this machine keeps the project is not for the component to know.
            .current_dir(&project.folder)
            .env_remove("NODE_OPTIONS");
        build(&project.name, &mut command, listener, str::to_owned)?;
        fs::read(&made).map_err(ToolchainError::io("read", &made))
    }
}

/// The exports, and a check that the world is the one that the rules need.
fn entry_text(project: &Project) -> String {
    let world = project.world;
    let mut text = String::from(
        "import \"../plugin.js\";\nimport { decisions, rules } from \"../sdk/registry.js\";\n",
    );
    for (exported, name, entries) in
        [(world.transforms(), "transform", "rules"), (world.resolves(), "resolve", "decisions")]
    {
        let world = world.name();
        let (wrong, told) = if exported {
            text.push_str(&format!("export {{ {name} }} from \"../sdk/component.js\";\n"));
            ("=== 0", format!("nothing that plugin.js imports calls {name}()"))
        } else {
            ("> 0", format!("there is a call of {name}()"))
        };
        text.push_str(&format!(
            "if ({entries}.size {wrong}) throw new Error('package.json says world \"{world}\", but {told}');\n"
        ));
    }
    text
}
