//! What is kept of the channel's profile in the offline database, so that a register starts without the channel.

use serde_json::{Value as Json, json};
use tillhold_channel::profile::{ChannelProfile, ChannelScope, ChannelScopeTable};
use tillhold_core::profile::Direction;

/// The fact's name in the offline database.
pub const PROFILE: &str = "channel-profile";
/// The whole profile that the register took last, held against the channel's tables, as the text of a `profile.toml`: a
/// start goes back to it.
pub const PROFILE_TEXT: &str = "profile-text";

#[derive(Debug, thiserror::Error)]
#[error("the kept channel profile cannot be read: {0}")]
pub struct KeptError(String);

impl KeptError {
    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        "profile-kept"
    }

    pub fn hint(&self) -> Option<String> {
        Some("start once with the channel in reach: it is read and kept anew".to_string())
    }
}

pub fn write(profile: &ChannelProfile) -> String {
    let scope = |scope: &ChannelScope| {
        json!({
            "description": scope.description,
            "direction": scope.direction as u8,
            "frequency_s": scope.frequency_s,
            "tables": scope.tables.iter().map(table_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "name": profile.name,
        "description": profile.description,
        "scopes": profile.scopes.iter().map(scope).collect::<Vec<_>>(),
    })
    .to_string()
}

fn table_json(table: &ChannelScopeTable) -> Json {
    json!({ "name": table.name, "columns": table.columns })
}

pub fn read(text: &str) -> Result<ChannelProfile, KeptError> {
    let json: Json = serde_json::from_str(text).map_err(|error| KeptError(error.to_string()))?;
    profile(&json).ok_or_else(|| KeptError("a part is missing".to_string()))
}

fn profile(json: &Json) -> Option<ChannelProfile> {
    Some(ChannelProfile {
        name: json["name"].as_str()?.to_string(),
        description: json["description"].as_str()?.to_string(),
        scopes: json["scopes"].as_array()?.iter().map(scope).collect::<Option<_>>()?,
    })
}

fn scope(json: &Json) -> Option<ChannelScope> {
    let direction = match json["direction"].as_u64()? {
        0 => Direction::Download,
        1 => Direction::Upload,
        2 => Direction::Bidirectional,
        _ => return None,
    };
    Some(ChannelScope {
        description: json["description"].as_str()?.to_string(),
        direction,
        frequency_s: u32::try_from(json["frequency_s"].as_u64()?).ok()?,
        tables: json["tables"].as_array()?.iter().map(table).collect::<Option<_>>()?,
    })
}

fn table(json: &Json) -> Option<ChannelScopeTable> {
    let columns = json["columns"].as_array()?.iter().map(|c| c.as_str().map(str::to_string));
    Some(ChannelScopeTable {
        name: json["name"].as_str()?.to_string(),
        columns: columns.collect::<Option<_>>()?,
    })
}
