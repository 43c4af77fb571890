//! `tillhold profile show`: the profile that counts, each value with where it came from.
//!
//! The text is a `profile.toml` that says the same; origins stand in its comments.

use super::Which;
use crate::cli::Done;
use crate::settings::effective::{Effective, EffectiveScope, Given, Origin};
use crate::settings::plugin_fields;
use crate::settings::plugin_settings::PluginEntry;
use crate::settings::profile_fields as fields;
use crate::settings::profile_file::TableEntry;
use crate::settings::profile_text::{Told, resolver_text, text};
use clap::Args;
use serde_json::{Value as Json, json};
use tillhold_core::grant::Grant;
use tillhold_env::{Env, out, outln};

#[derive(Args)]
pub struct ShowArgs {
    #[command(flatten)]
    which: Which,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn show(env: &Env, args: ShowArgs) -> anyhow::Result<Done> {
    let profile = super::effective(env, &args.which).await?;
    match args.json {
        true => outln!("{}", serde_json::to_string_pretty(&as_json(&profile))?),
        false => out!("{}", text(&profile, Told::Origins)),
    }
    Ok(Done::Yes)
}

fn as_json(profile: &Effective) -> Json {
    let file = profile.file.display().to_string();
    let said = |value: Json, from: Origin| json!({ "value": value, "from": from.told(&file) });
    let seconds = |given: &Given<std::time::Duration>, unit: f64| {
        said(json!(given.value.as_secs_f64() / unit), given.from)
    };
    let (path, capture) = (&profile.write_path, &profile.capture);
    let mut shown = json!({
        "file": file,
        (fields::NAME.key): said(json!(profile.name.value), profile.name.from),
        (fields::DESCRIPTION.key): said(json!(profile.description.value), profile.description.from),
        (fields::OFFLINE_TIMEOUT.key): seconds(&profile.offline_timeout, 1.0),
        (fields::RECONNECT_INTERVAL.key): seconds(&profile.reconnect_interval, 60.0),
        (fields::DWELL.key): seconds(&profile.dwell, 1.0),
        (fields::WRITE_PATH.key): said(json!(fields::WRITE_PATH.spelled(&path.value)), path.from),
        (fields::CAPTURE.key):
            said(json!(fields::CAPTURE_METHOD.spelled(&capture.value)), capture.from),
        (fields::SCOPES.key): profile.scopes.iter().map(|s| scope(s, &file)).collect::<Vec<_>>(),
    });
    for entry in profile.conduct.entries() {
        shown[entry.section][entry.key] = said(entry.value, entry.from);
    }
    let plugins = profile.plugins.iter().map(|of| plugin(of, &file));
    shown[plugin_fields::PLUGINS.key] = plugins.collect();
    shown
}

fn scope(scope: &EffectiveScope, file: &str) -> Json {
    let said = |value: Json, from: Origin| json!({ "value": value, "from": from.told(file) });
    let (direction, failure) = (&scope.direction, &scope.on_plugin_failure);
    let transformers = scope.transformers.iter().map(|plugin| {
        let of = &plugin.value;
        let value = json!({ "plugin": of.name, "digest": of.digest, "config": of.config });
        said(value, plugin.from)
    });
    json!({
        (fields::SCOPE_NAME.key): said(json!(scope.name.value), scope.name.from),
        (fields::DIRECTION.key):
            said(json!(fields::DIRECTION.spelled(&direction.value)), direction.from),
        (fields::FREQUENCY.key):
            said(json!(scope.frequency.value.as_secs_f64()), scope.frequency.from),
        (fields::TABLES.key): scope.tables.iter().map(|t| table(t, file)).collect::<Vec<_>>(),
        (fields::TRANSFORMER.key): transformers.collect::<Vec<_>>(),
        (fields::RESOLVER.key):
            said(json!(resolver_text(&scope.resolver.value)), scope.resolver.from),
        (fields::ON_PLUGIN_FAILURE.key):
            said(json!(fields::ON_PLUGIN_FAILURE.spelled(&failure.value)), failure.from),
    })
}

fn plugin(plugin: &PluginEntry, file: &str) -> Json {
    let said = |value: &str, from: Origin| json!({ "value": value, "from": from.told(file) });
    let grant = |given: &Given<Grant>| {
        json!({
            (plugin_fields::TABLE.key): given.value.table.to_string(),
            (plugin_fields::READS.key): given.value.reads,
            (plugin_fields::WRITES.key): given.value.writes,
            "from": given.from.told(file),
        })
    };
    let grants = plugin.grants.as_ref().map(|all| all.iter().map(grant).collect::<Vec<_>>());
    let mut shown = json!({
        (plugin_fields::NAME.key): said(&plugin.name.value, plugin.name.from),
        (plugin_fields::DIGEST.key):
            plugin.digest.as_ref().map(|digest| said(&digest.value, digest.from)),
        (plugin_fields::GRANTS.key): grants,
    });
    for (field, given) in plugin_fields::BOUNDS.iter().zip(&plugin.bounds) {
        let bound = |given: &Given<f64>| json!({ "value": given.value as u64, "from": given.from.told(file) });
        shown[field.key] = given.as_ref().map(bound).into();
    }
    shown
}

fn table(table: &TableEntry, file: &str) -> Json {
    let texts = |list: &[Given<String>]| list.iter().map(|t| t.value.clone()).collect::<Vec<_>>();
    json!({
        (fields::TABLE_NAME.key): table.name.value.to_string(),
        "from": table.name.from.told(file),
        (fields::COLUMNS.key): table.columns.as_ref().map(|columns| texts(columns)),
        (fields::EXCLUDE.key): texts(&table.excluded),
        (fields::FILTER.key): table.filter.as_ref().map(|filter| filter.value.to_string()),
    })
}
