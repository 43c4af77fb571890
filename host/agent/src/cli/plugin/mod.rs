//! `tillhold plugin …`: for authors of rules, with no database and no agent running, and for operators of a register.

mod bench;
mod build;
mod check;
mod fuzz;
mod list;
mod manifest;
mod new;
mod preview;
mod rollback;
mod run;
mod subject;
mod terms;
mod test;

use super::Done;
use clap::Subcommand;
use tillhold_env::Env;

#[derive(Subcommand)]
pub enum PluginCommand {
    /// Begin a plugin: a project that builds, with a rule, its test and a case
    New(new::NewArgs),
    /// Build a project into a component, with tools that are found or fetched
    Build(build::BuildArgs),
    /// Say whether a register would load a component, what it works on, and what would have to change
    Check(check::CheckArgs),
    /// Try the cases of a project: rows in, and what is expected to come out
    Test(test::TestArgs),
    /// Invent rows from the schema until it traps, changes its mind or answers wrongly; what is found becomes a case
    Fuzz(fuzz::FuzzArgs),
    /// Measure what it costs a row, beside handing the same rows on without it
    Bench(bench::BenchArgs),
    /// Which plugins are at work on the running register, and why a newer file is not
    List(list::ListArgs),
    /// What a new version would do to the rows of this register; nothing is written
    Preview(preview::PreviewArgs),
    /// Put the component that was at work before back to work
    Rollback(rollback::RollbackArgs),
    /// Pipe rows through a transformer: CSV or JSON lines in and out
    Run(run::RunArgs),
}

pub async fn plugin(env: &Env, command: PluginCommand) -> anyhow::Result<Done> {
    match command {
        PluginCommand::New(args) => new::new(&args),
        PluginCommand::Build(args) => build::build(args),
        PluginCommand::Check(args) => check::check(env, &args),
        PluginCommand::Test(args) => test::test(env, &args),
        PluginCommand::Fuzz(args) => fuzz::fuzz(env, &args),
        PluginCommand::Bench(args) => bench::bench(env, &args),
        PluginCommand::List(args) => list::list(env, &args).await,
        PluginCommand::Preview(args) => preview::preview(env, &args).await,
        PluginCommand::Rollback(args) => rollback::rollback(env, args).await,
        PluginCommand::Run(args) => run::run(env, &args),
    }
}
