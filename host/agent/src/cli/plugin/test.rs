//! `tillhold plugin test`: the cases of a project, in the sandbox of production.
//!
//! stdout: a line a case, below a failed one what differs, then the sum. Exit status 1 when a case failed.

use super::build::built;
use super::manifest::{check_project, is_project};
use super::subject::say_what_is_awaited;
use super::terms::Terms;
use crate::cli::Done;
use crate::cli::told::paint;
use clap::Args;
use std::path::{Path, PathBuf};
use tillhold_env::{Env, out, outln};
use tillhold_kit::{Component, End, Ended, KitError, Paint, Sandbox, Schema, Trial};
use tillhold_plugin::Beside;

#[derive(Args)]
pub struct TestArgs {
    /// The plugin's project
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// A component that is built already, instead of building the project
    #[arg(long, value_name = "FILE.wasm")]
    plugin: Option<PathBuf>,
    /// The tables' types; FOLDER/schema.json by default
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The folder of the cases; FOLDER/cases by default
    #[arg(long, value_name = "FOLDER")]
    cases: Option<PathBuf>,
    /// Write what comes out as what is expected from now on
    #[arg(long)]
    bless: bool,
    #[command(flatten)]
    terms: Terms,
}

pub fn test(env: &Env, args: &TestArgs) -> anyhow::Result<Done> {
    if !args.folder.is_dir() {
        check_project(&args.folder)?;
    }
    let in_folder = |name: &str| args.folder.join(name);
    let schema = Schema::open(&args.schema.clone().unwrap_or_else(|| in_folder("schema.json")))?;
    let component = component(args)?;
    let sandbox = Sandbox::open(env)?.under(args.terms.of_a_draft(&component.name)?);
    say_what_is_awaited(&sandbox, &component);
    let trial =
        Trial { sandbox: &sandbox, component: &component, schema: &schema, bless: args.bless };
    let paint = paint();
    let cases = args.cases.clone().unwrap_or_else(|| in_folder("cases"));
    let all = trial.run(&cases, |ended| out!("{}", told(ended, paint)))?;
    let count = |is: fn(&End) -> bool| all.iter().filter(|ended| is(&ended.end)).count();
    let failed = count(|end| matches!(end, End::Failed(_) | End::Broken(_)));
    let blessed = count(|end| matches!(end, End::Blessed));
    let passed = all.len() - failed - blessed;
    let blessed = if args.bless { format!(", {blessed} written") } else { String::new() };
    outln!("{} cases: {passed} passed{blessed}, {failed} failed", all.len());
    Ok(if failed == 0 { Done::Yes } else { Done::No })
}

/// Given, built from source, or the one that lies in the folder.
fn component(args: &TestArgs) -> anyhow::Result<Component> {
    if let Some(file) = &args.plugin {
        return Ok(Component::read(file)?);
    }
    if is_project(&args.folder) {
        let (name, built) = built(&args.folder)?;
        return Ok(Component { name, wasm: built.component, signature: Beside::Nothing });
    }
    match &components(&args.folder)?[..] {
        [only] => Ok(Component::read(only)?),
        found => {
            Err(KitError::WhichPlugin { folder: args.folder.clone(), found: found.len() }.into())
        }
    }
}

fn components(folder: &Path) -> Result<Vec<PathBuf>, KitError> {
    let unread = |cause| KitError::File { path: folder.to_path_buf(), done: "read", cause };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            found.push(path);
        }
    }
    Ok(found)
}

fn told(ended: &Ended, paint: Paint) -> String {
    let line = |word: String| format!("{word} {}\n", ended.name);
    let mut text = match &ended.end {
        End::Passed => return line(paint.green("ok     ")),
        End::Blessed => return line(paint.bold("written")),
        End::Failed(differences) => {
            let told: String = differences.iter().map(|one| one.told(paint)).collect();
            line(paint.red("FAILED ")) + &told
        }
        End::Broken(error) => {
            let next = error.hint().map(|hint| format!("  next: {hint}\n")).unwrap_or_default();
            let broken = format!("  error[{}]: {error}\n{next}", error.code());
            line(paint.red("FAILED ")) + &broken
        }
    };
    for line in &ended.said {
        text.push_str(&format!("  the plugin said: {}\n", line.text));
    }
    text
}
