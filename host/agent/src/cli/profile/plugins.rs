//! The profile's plugins, tried as a register loads them: its digests, configs and grants, against the channel's tables. A
//! pinned one that is not in the folder is taken from what is kept, as at a start.
//!
//! * Compiled code is kept in the cache folder of this account, not in the register's.
//! * What a plugin without grants gets is told as the text that would grant just that.

use crate::plugins::earlier::Folders;
use crate::plugins::source;
use crate::settings::checks::{Catalogue, Findings, place};
use crate::settings::effective::{Effective, EffectiveScope, Given};
use tillhold_core::profile::PluginUse;
use tillhold_core::table::Table;
use tillhold_env::Env;
use tillhold_kit::Sandbox;
use tillhold_plugin::{Plugin, PluginError, Role};

/// Those whose files are not there or have another digest were told already.
pub(super) fn load(
    env: &Env,
    profile: &Effective,
    folders: &Folders,
    catalogue: Option<&Catalogue>,
    found: &mut Findings,
) {
    let uses: Vec<(&EffectiveScope, Role, Given<PluginUse>)> = profile
        .scopes
        .iter()
        .flat_map(|scope| roles_in(scope).map(move |(role, used)| (scope, role, used)))
        .filter(|(.., used)| !used.value.name.is_empty())
        .collect();
    let Some((.., first)) = uses.first() else { return };
    let sandbox = match Sandbox::open(env) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let message = format!("the plugins were not tried: {error}");
            return found.note(place(profile, first.from), message);
        }
    };
    for (scope, role, used) in &uses {
        let governed = profile.governed(&used.value);
        let tables = travelling(scope, catalogue);
        let tables: Vec<&Table> = tables.iter().collect();
        let mut told = |error: &PluginError| {
            let hint = error.hint().map_or(String::new(), |hint| format!("; {hint}"));
            found.mistake(place(profile, used.from), format!("{error}{hint}"));
        };
        let kept = folders.places(&governed.name).kept_instead(&governed);
        let is_kept = kept.is_some();
        match sandbox.load_as(&kept.unwrap_or_else(|| source(&governed, &folders.plugins))) {
            Err(PluginError::Unreadable { .. } | PluginError::DigestMismatch { .. })
                if !is_kept => {}
            Err(error) => told(&error),
            Ok(plugin) => {
                if let Err(error) = plugin.check_role(*role) {
                    told(&error);
                }
                let misfits = tables.iter().filter_map(|table| plugin.check_against(table).err());
                misfits.for_each(|error| told(&error));
                if let Some(words) = ungoverned(&governed, &plugin, &tables) {
                    found.note(place(profile, used.from), words);
                }
            }
        }
    }
}

/// Its plugins, each with what it is there for.
fn roles_in(scope: &EffectiveScope) -> impl Iterator<Item = (Role, Given<PluginUse>)> {
    let transformers = scope.transformers.len();
    let role = move |at| if at < transformers { Role::Transform } else { Role::Resolve };
    scope.plugins().into_iter().enumerate().map(move |(at, used)| (role(at), used))
}

/// The scope's tables, as far as the channel was asked.
fn travelling(scope: &EffectiveScope, catalogue: Option<&Catalogue>) -> Vec<Table> {
    let tables = scope.tables.iter().filter_map(|entry| {
        let described = catalogue?.table(&entry.name.value)?;
        Some(entry.scope_table().travelling(&described.table))
    });
    tables.collect()
}

fn ungoverned(of: &PluginUse, plugin: &Plugin, tables: &[&Table]) -> Option<String> {
    if of.terms.grants.is_some() {
        return None;
    }
    let needed: Vec<String> =
        plugin.grants_needed(tables).iter().map(ToString::to_string).collect();
    Some(format!(
        "plugin {}: no grants are written, so it gets what it declares; under [[plugin]] grants = [{}] would grant just that",
        plugin.name(),
        needed.join(", ")
    ))
}
