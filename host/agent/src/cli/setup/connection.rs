//! The connection tested before anything is written: with the questions of `tillhold channel prepare --check`.

use super::dialogue::Dialogue;
use super::fault::SetupError;
use crate::cli::channel;
use crate::settings::reader::Mistakes;
use crate::settings::register_file::RegisterFile;
use std::sync::Arc;
use tillhold_channel::known::{Known, known};
use tillhold_channel::prepare::Missing;
use tillhold_channel::{ChannelError, Link, Secret};
use tillhold_core::fault::Class;
use tillhold_env::Env;

/// Ids that a warning lists.
const IDS_SHOWN: usize = 20;
/// Missing things that are listed; `prepare --check` lists all.
const MISSING_SHOWN: usize = 3;

/// What the test found.
pub enum Found {
    /// The register can work.
    Prepared { known: Option<Known>, tables: usize },
    /// It can log in, but something is not there yet.
    Unprepared { known: Option<Known>, missing: Vec<String> },
    /// It can log in, and its profile cannot be read.
    NoProfile { known: Option<Known>, error: anyhow::Error },
    /// The channel was not reached, or did not let the register in.
    Failed(anyhow::Error),
}

pub async fn test(env: &Env, file: &RegisterFile, password: Option<Secret>) -> Found {
    let config = match password {
        Some(password) => Ok(file.channel_config_with(password.into())),
        None => file.channel_config(),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => return Found::Failed(error.into()),
    };
    let mut link = Link::new(env, Arc::new(config));
    let known = match known(&mut link, &file.store).await {
        Ok(known) => known,
        Err(error) => return Found::Failed(error.into()),
    };
    match channel::missing(&mut link, file).await {
        Ok((tables, missing)) => {
            let missing: Vec<String> =
                missing.iter().filter(|one| !one.is_advice()).map(Missing::to_string).collect();
            match missing.is_empty() {
                true => Found::Prepared { known, tables },
                false => Found::Unprepared { known, missing },
            }
        }
        Err(error) if error.is::<Mistakes>() => Found::NoProfile { known, error },
        Err(error) => match error.downcast_ref::<ChannelError>() {
            Some(channel) if channel.class() == Class::Retry => Found::Failed(error),
            _ => Found::Unprepared { known, missing: vec![error.to_string()] },
        },
    }
}

impl Found {
    /// The command that has to come next, and what for; none where the register can work.
    pub fn next(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Found::Prepared { .. } => None,
            Found::NoProfile { .. } => Some(("profile check", "what is wrong with the profile")),
            Found::Unprepared { .. } | Found::Failed(_) => Some((
                "channel prepare --print",
                "the script that a database administrator runs once",
            )),
        }
    }

    pub fn tell(&self, dialogue: &mut Dialogue, file: &RegisterFile) -> Result<(), SetupError> {
        let way = &file.channel;
        let place = format!("{} at {}:{}", way.database, way.host, way.port);
        match self {
            Found::Failed(error) => dialogue.say(&format!("No connection to {place}: {error:#}")),
            Found::Prepared { known, tables } => {
                dialogue.say(&format!("Connected to {place}."))?;
                tell_ids(dialogue, file, known.as_ref())?;
                dialogue.say(&format!("The channel is prepared: {tables} tables, nothing missing."))
            }
            Found::NoProfile { known, error } => {
                dialogue.say(&format!("Connected to {place}."))?;
                tell_ids(dialogue, file, known.as_ref())?;
                dialogue.say(&format!("The profile cannot be used: {error:#}"))
            }
            Found::Unprepared { known, missing } => {
                dialogue.say(&format!("Connected to {place}."))?;
                tell_ids(dialogue, file, known.as_ref())?;
                dialogue.say("The channel is not prepared for this register yet:")?;
                for one in missing.iter().take(MISSING_SHOWN) {
                    dialogue.say(&format!("  {one}"))?;
                }
                match missing.len().saturating_sub(MISSING_SHOWN) {
                    0 => Ok(()),
                    more => dialogue.say(&format!("  and {more} more")),
                }
            }
        }
    }
}

/// Unknown ids are no error: a store may be set up before head office sends its records.
fn tell_ids(
    dialogue: &mut Dialogue,
    file: &RegisterFile,
    known: Option<&Known>,
) -> Result<(), SetupError> {
    let (store, register) = (&file.store, &file.register);
    let Some(known) = known else {
        return dialogue.say("Whether it knows the store and the register may not be seen yet.");
    };
    let has = |ids: &[String], id: &str| ids.iter().any(|known| known.eq_ignore_ascii_case(id));
    if !has(&known.stores, store) {
        let list = listed(&known.stores);
        return dialogue.say(&format!("warning: it knows no store {store}; it knows {list}"));
    }
    if !has(&known.registers, register) {
        let list = listed(&known.registers);
        let warning = format!("warning: it knows no register {register} of store {store}");
        return dialogue.say(&format!("{warning}; it knows {list}"));
    }
    dialogue.say(&format!("It knows store {store} and its register {register}."))
}

fn listed(ids: &[String]) -> String {
    let shown = ids.iter().take(IDS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (ids.len(), ids.len().saturating_sub(IDS_SHOWN)) {
        (0, _) => "none".to_string(),
        (_, 0) => shown,
        (_, more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let ids = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&ids(0)), "none");
        assert_eq!(listed(&ids(2)), "1, 2");
        assert!(listed(&ids(25)).ends_with(", 20 and 5 more"));
    }
}
