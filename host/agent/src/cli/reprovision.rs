//! `tillhold reprovision`: the register's offline database made anew from the channel, when nothing of it is unsent.
//!
//! ```text
//! the old one opened, locked -> nothing unsent? -> the next one filled beside it, as `provision` does
//!                            -> the numbers carried over -> both closed
//!                            -> the old one shut to other programs -> still nothing unsent?
//!                            -> renamed into place, the old one kept
//! ```
//!
//! * Until the renaming the register has its old database, whatever is killed; from then on the new one, unless a kill lets
//!   another program write into the old one first.
//! * What another program writes into the old one while the next one is filled is found by the second look, and kept.
//! * No number of a sale that the old one knows as used is given again.
//! * The new one is a new incarnation: its first upload ends the old one's, so a copy of it cannot send any more.

use super::provision::{Filling, fill};
use super::{Done, Settings};
use crate::channel_report::{amounts, sale_columns};
use crate::numbers;
use crate::register::Register;
use crate::report;
use crate::resend;
use crate::settings::register_file::RegisterFile;
use clap::Args;
use std::path::PathBuf;
use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;
use tillhold_local::{Hold, LastLook, LocalDatabase, OnlyHere, Shut};

#[derive(Args)]
pub struct ReprovisionArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    filling: Filling,
    /// Remove the old database once the new one is in its place, instead of keeping it beside it
    #[arg(long)]
    remove_old: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ReprovisionError {
    #[error("there is no offline database in {}", .folder.display())]
    Nothing { folder: PathBuf },
    #[error("{0}")]
    Unsent(Held),
    #[error(
        "the channel does not have the last {sales} sales that it took from this offline database"
    )]
    Lost { sales: usize },
    #[error("the old database {} cannot be removed: {cause}", .folder.display())]
    Kept { folder: PathBuf, cause: std::io::Error },
}

/// What the channel does not have.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    pub transactions: u64,
    /// Currency and amount.
    pub amounts: Vec<(String, String)>,
    pub quarantined: u64,
    pub conflicts: u64,
}

impl Held {
    fn of(found: &OnlyHere) -> Held {
        Held {
            transactions: found.sales.transactions,
            amounts: amounts(&found.sales),
            quarantined: found.counts.quarantined,
            conflicts: found.counts.conflicts,
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = |(currency, amount): &(String, String)| format!("{amount} {currency}");
        let amounts: Vec<String> = self.amounts.iter().map(one).collect();
        let amounts = match amounts.is_empty() {
            true => String::new(),
            false => format!(" ({})", amounts.join(", ")),
        };
        write!(
            f,
            "the channel does not have {} transactions{amounts} of this offline database; {} of them are quarantined, \
             and {} contested rows wait for a person",
            self.transactions, self.quarantined, self.conflicts
        )
    }
}

impl ReprovisionError {
    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            ReprovisionError::Nothing { .. } => "reprovision-nothing",
            ReprovisionError::Unsent(_) | ReprovisionError::Lost { .. } => "reprovision-unsent",
            ReprovisionError::Kept { .. } => "reprovision-kept",
        }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ReprovisionError::Nothing { .. } => "`tillhold provision` makes one".to_string(),
            ReprovisionError::Kept { .. } => {
                "the new database is in its place; remove the folder by hand".to_string()
            }
            ReprovisionError::Lost { .. } => {
                "start the agent, which sends them once more; `tillhold sync --resend` where its log says so"
                    .to_string()
            }
            ReprovisionError::Unsent(held) => {
                let mut steps = Vec::new();
                if held.transactions > held.quarantined {
                    steps.push("`tillhold sync` sends what is unsent");
                }
                if held.quarantined > 0 {
                    steps.push("`tillhold quarantine list` and `retry` for what was refused");
                }
                if held.conflicts > 0 {
                    steps.push("`tillhold conflicts list` and `resolve` for contested rows");
                }
                steps.push("what cannot be sent from here: `tillhold export unsent`, and `import unsent` elsewhere");
                steps.join("; ")
            }
        })
    }
}

pub async fn reprovision(env: &Env, args: ReprovisionArgs) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&args.settings.config)?;
    let folder = file.folder.clone();
    if !LocalDatabase::is_there(&folder) {
        return Err(ReprovisionError::Nothing { folder }.into());
    }
    let identity = file.identity();
    let old = LocalDatabase::open(env, &folder, &identity).await?;
    let found = old.only_here(&sale_columns()).await?;
    if !found.is_nothing() {
        old.close().await?;
        return Err(ReprovisionError::Unsent(Held::of(&found)).into());
    }
    let hold = old.hold()?;
    LocalDatabase::forget_next(&folder)?;
    let built = build(env, &file, &old, &args.filling).await;
    old.close().await?;
    let shut = match built.and_then(|()| shut(hold)) {
        Ok(shut) => shut,
        Err(error) => {
            LocalDatabase::forget_next(&folder)?;
            return Err(error.context("the old database stays as it is"));
        }
    };
    let kept = shut.replace(&stamp(env))?;
    if args.remove_old {
        let failed = |cause| ReprovisionError::Kept { folder: kept.clone(), cause };
        std::fs::remove_dir_all(&kept).map_err(failed)?;
        report::line(env, "the new database is in its place; the old one is removed");
    } else {
        let kept = kept.display();
        report::line(
            env,
            &format!("the new database is in its place; the old one is kept in {kept}"),
        );
    }
    Ok(Done::Yes)
}

/// The old one when nothing was written into it while the next one was filled, which may have taken an hour; nothing can be
/// from here on.
fn shut(hold: Hold) -> anyhow::Result<Shut> {
    match hold.shut(&sale_columns())? {
        LastLook::Nothing(shut) => Ok(*shut),
        LastLook::OnlyHere(found) => Err(ReprovisionError::Unsent(Held::of(&found)).into()),
    }
}

/// The next database, whole and closed.
async fn build(
    env: &Env,
    file: &RegisterFile,
    old: &LocalDatabase,
    filling: &Filling,
) -> anyhow::Result<()> {
    let mut beside = file.clone();
    beside.folder = LocalDatabase::next_folder(&file.folder);
    let register = Register::open(env, beside).await?;
    match carry(old, &register).await {
        Ok(()) => fill(env, register, filling).await,
        Err(error) => {
            register.local.close().await?;
            Err(error)
        }
    }
}

/// What the new one has of the old one; nothing where the channel has lost sales that the old one alone has.
async fn carry(old: &LocalDatabase, register: &Register) -> anyhow::Result<()> {
    match resend::missing(old, &mut register.link()).await? {
        0 => Ok(numbers::carry(old, register).await?),
        sales => Err(ReprovisionError::Lost { sales }.into()),
    }
}

/// The moment as a name: 20261128053118.
fn stamp(env: &Env) -> String {
    let now = Value::Timestamp(Timestamp::from_unix_ms(env.clock.wall_ms()));
    let moment = text::canonical(&now, SqlType::DateTime2 { scale: 0 }).unwrap_or_default();
    moment.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::{Held, ReprovisionError};

    #[test]
    fn each_kind_that_is_held_has_its_way_out() {
        let hint = |held| ReprovisionError::Unsent(held).hint().unwrap_or_default();
        let sync = hint(Held { transactions: 2, ..Held::default() });
        assert!(sync.starts_with("`tillhold sync`") && !sync.contains("quarantine"), "{sync}");
        let refused = hint(Held { transactions: 1, quarantined: 1, ..Held::default() });
        assert!(refused.starts_with("`tillhold quarantine list`"), "{refused}");
        let contested = hint(Held { conflicts: 1, ..Held::default() });
        assert!(contested.starts_with("`tillhold conflicts list`"), "{contested}");
    }
}
