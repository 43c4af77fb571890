//! `tillhold plugin new`: a project that builds, and whose own test and cases pass at once.

use crate::cli::Done;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use tillhold_env::{errln, outln};
use tillhold_kit::Project;

#[derive(Args)]
pub struct NewArgs {
    /// The plugin's name, and its folder's: lower-case letters, digits and hyphens
    name: String,
    /// The language that it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// What it is asked for: rows on their way, rows that both sides changed, or both
    #[arg(long, value_enum, default_value_t = Kind::Transform)]
    kind: Kind,
    /// Rust: depend on the kit in this folder instead of one that is written into the project
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Python,
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    C,
}

impl Language {
    fn of_the_toolchain(self) -> tillhold_toolchain::Language {
        match self {
            Language::Rust => tillhold_toolchain::Language::Rust,
            Language::Python => tillhold_toolchain::Language::Python,
            Language::JavaScript => tillhold_toolchain::Language::JavaScript,
            Language::C => tillhold_toolchain::Language::C,
        }
    }

    /// What runs the rules as they are.
    fn test(self) -> &'static str {
        match self {
            Language::Rust => "cargo test",
            Language::Python => "python3 -m unittest",
            Language::JavaScript => "npm test",
            Language::C => "make test",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Transform,
    Resolve,
    Both,
}

pub fn new(args: &NewArgs) -> anyhow::Result<Done> {
    let project = Project {
        name: args.name.clone(),
        language: args.lang.of_the_toolchain(),
        transforms: args.kind != Kind::Resolve,
        resolves: args.kind != Kind::Transform,
        sdk: args.sdk.as_deref().map(std::path::absolute).transpose()?,
    };
    let made = project.make(Path::new(""))?;
    outln!("{}", made.display());
    errln!("next: cd {}", made.display());
    for (command, what) in [
        (args.lang.test(), "the rules as they are"),
        ("tillhold plugin test", "the cases, in the sandbox of a register"),
        ("tillhold plugin build", "the component"),
    ] {
        errln!("      {command:<22} {what}");
    }
    Ok(Done::Yes)
}
