//! Changed component files are noticed, loaded and checked beside the work, so that nothing waits for a compiler: no sale,
//! no pull, no push.
//!
//! * A signature that comes later, or goes, is a change too.
//! * A file that is still being written is left until two looks in a row find it the same.
//! * The plugins of a changed profile are loaded here too, before the renewal takes the profile.
//! * Nothing is exchanged here: the renewal does that, between two passes.

use super::{Plugins, Stamp, Stamps, named_by, roles_in};
use crate::agent::Agent;
use crate::register::Register;
use crate::settings::profile_file::{ProfileChoice, ProfileFile};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::profile::PluginUse;
use tillhold_env::Locked as _;
use tillhold_plugin::Role;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the last finished look was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub profile: Option<Stamp>,
    /// Counts those that loaded something.
    pub number: u64,
}

/// What a look finds.
#[derive(PartialEq)]
struct Found {
    profile: Option<Stamp>,
    files: BTreeMap<String, Stamps>,
}

impl Plugins {
    /// `None` where nobody looks in the background.
    pub fn prepared(&self) -> Option<Prepared> {
        *self.prepared.locked()
    }

    fn note_prepared(&self, profile: Option<Stamp>) {
        let mut prepared = self.prepared.locked();
        let number = prepared.map_or(0, |before| before.number + 1);
        *prepared = Some(Prepared { profile, number });
    }

    /// Refusals are noted where they are met; the renewal meets them too.
    async fn prepare(&self, register: &Register, wanted: &[PluginUse]) {
        for plugin in wanted {
            let (mut roles, mut tables) = (Vec::new(), Vec::new());
            for run in &register.scopes {
                let of_scope = roles_in(&run.scope).filter(|(_, named)| *named == plugin);
                let of_scope: Vec<Role> = of_scope.map(|(role, _)| role).collect();
                if !of_scope.is_empty() {
                    roles.extend(of_scope);
                    tables.extend(run.tables.iter().cloned());
                }
            }
            // What is wrong is said there.
            let _ = self.load(plugin, &roles, &tables).await;
        }
    }
}

/// Of the profile's file; `None` where there is none.
pub fn profile_stamp(register: &Register) -> Option<Stamp> {
    let ProfileChoice::File(file) = &register.file.profile else { return None };
    Stamp::of(file)
}

/// Runs until the agent stops, in every state.
pub async fn keep_looking(agent: Arc<Agent>) {
    let register = agent.register();
    let plugins = register.plugins.clone();
    let mut wanted = wanted(&register);
    let mut found = look(&plugins, &register, &wanted);
    // The register was opened with these.
    plugins.note_prepared(found.profile);
    let mut is_prepared = true;
    drop(register);
    loop {
        tokio::select! {
            biased;
            () = agent.stopped() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let register = agent.register();
        let is_other_profile = profile_stamp(&register) != found.profile;
        if is_other_profile {
            wanted = self::wanted(&register);
        }
        let now = look(&plugins, &register, &wanted);
        let is_still = now == found;
        is_prepared &= is_still;
        found = now;
        if !is_prepared && (is_still || is_other_profile) {
            plugins.prepare(&register, &wanted).await;
            plugins.note_prepared(found.profile);
            is_prepared = true;
        }
    }
}

fn look(plugins: &Plugins, register: &Register, wanted: &[PluginUse]) -> Found {
    let stamps =
        |plugin: &PluginUse| (plugin.name.clone(), Stamps::of(&plugins.file_of(&plugin.name)));
    Found { profile: profile_stamp(register), files: wanted.iter().map(stamps).collect() }
}

/// What the profile's file names now: plugins stand nowhere else.
fn wanted(register: &Register) -> Vec<PluginUse> {
    let mut wanted: Vec<PluginUse> = match ProfileFile::open(&register.file.profile) {
        Ok(file) => file.plugins().collect(),
        // The renewal's to refuse; the register goes on with what it has.
        Err(_) => register.scopes.iter().flat_map(|run| named_by(&run.scope)).cloned().collect(),
    };
    wanted.sort_by(|one, other| (&one.name, &one.config).cmp(&(&other.name, &other.config)));
    wanted.dedup();
    wanted
}
