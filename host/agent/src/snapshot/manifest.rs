//! What a snapshot says of itself, as JSON, and who vouches for it.
//!
//! The signature is over the manifest's own compact text without it: reading and writing JSON keeps order and digits.

use super::fault::SnapshotError;
use super::signing::{self, Signer};
use serde_json::{Value as Json, json};
use tillhold_core::chunk::Chunks;
use tillhold_core::snapshot::TableAt;
use tillhold_core::table::TableName;
use tillhold_core::text;
use tillhold_core::version::{ChannelVersion, TableMark};

const FORMAT: u64 = 1;
const PURPOSE: &str = "tillhold snapshot manifest 1";

#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Whom it serves, as a fingerprint and in words.
    pub fingerprint: String,
    pub of: String,
    pub made_by_register: String,
    pub made_by_version: String,
    pub created_ms: i64,
    pub layout: i32,
    pub epoch: [u8; 16],
    /// A plain file name, beside the manifest.
    pub file: String,
    pub bytes: u64,
    pub sha256: String,
    pub chunk_bytes: u64,
    /// Hashes of the pieces.
    pub chunks: Vec<String>,
    pub tables: Vec<ManifestTable>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ManifestTable {
    pub at: TableAt,
    pub mark: Option<TableMark>,
    pub rows: u64,
    /// Of all rows; equal while none has changed.
    pub digest: String,
}

impl Manifest {
    pub fn signed(&self, signer: &Signer) -> String {
        let mut json = self.json();
        let signature = signer.sign(PURPOSE, json.to_string().as_bytes());
        json["signature"] = json!({ "key": signer.key(), "ed25519": signature });
        format!("{json:#}\n")
    }

    /// Reads a manifest; with any `trusted` keys, one of them must have signed it.
    pub fn read(text: &str, place: &str, trusted: &[String]) -> Result<Manifest, SnapshotError> {
        let unreadable =
            |reason: String| SnapshotError::Manifest { place: place.to_string(), reason };
        let mut json: Json =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        let signature = json.as_object_mut().and_then(|members| members.shift_remove("signature"));
        check_signature(&json, &signature.unwrap_or_default(), trusted)?;
        if json["format"] != FORMAT {
            return Err(unreadable(format!("its format is {}, not {FORMAT}", json["format"])));
        }
        let manifest = manifest(&json);
        let manifest = manifest.ok_or_else(|| unreadable("a part is missing or wrong".into()))?;
        match manifest.is_sound() {
            true => Ok(manifest),
            false => Err(unreadable("its parts contradict each other".to_string())),
        }
    }

    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    pub fn pieces(&self) -> Option<Chunks> {
        Chunks::new(self.bytes, self.chunk_bytes)
    }

    pub fn positions(&self) -> Vec<TableAt> {
        self.tables.iter().map(|table| table.at.clone()).collect()
    }

    fn is_sound(&self) -> bool {
        let is_plain = |name: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
        };
        let is_hash = |text: &String| signing::bytes(text).is_some_and(|hash| hash.len() == 32);
        let count = self.pieces().map(Chunks::count);
        is_plain(&self.file)
            && count == Some(self.chunks.len() as u64)
            && self.chunks.iter().chain([&self.sha256, &self.fingerprint]).all(is_hash)
    }

    fn json(&self) -> Json {
        let table = |one: &ManifestTable| {
            json!({
                "name": one.at.table.to_string(),
                "shape": one.at.shape,
                "version": one.at.version.map(|version| version.to_string()),
                "mark": one.mark.as_ref().map(ToString::to_string),
                "rows": one.rows,
                "digest": one.digest,
            })
        };
        json!({
            "format": FORMAT,
            "for": self.of,
            "fingerprint": self.fingerprint,
            "made_by": { "register": self.made_by_register, "version": self.made_by_version },
            "created_at_ms": self.created_ms,
            "layout": self.layout,
            "channel_epoch": text::hexadecimal(&self.epoch).to_ascii_lowercase(),
            "file": self.file,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "chunk_bytes": self.chunk_bytes,
            "tables": self.tables.iter().map(table).collect::<Vec<_>>(),
            "chunks": self.chunks,
        })
    }
}

fn check_signature(json: &Json, signature: &Json, trusted: &[String]) -> Result<(), SnapshotError> {
    if trusted.is_empty() {
        return Ok(());
    }
    let refused = |reason: &str| SnapshotError::Signature { reason: reason.to_string() };
    let member = |name: &str| signature[name].as_str();
    let (Some(key), Some(signature)) = (member("key"), member("ed25519")) else {
        return Err(refused("it has no signature"));
    };
    if !trusted.iter().any(|known| known.eq_ignore_ascii_case(key)) {
        return Err(refused(&format!("key {key} is none of them")));
    }
    match signing::is_signed(key, PURPOSE, json.to_string().as_bytes(), signature) {
        true => Ok(()),
        false => Err(refused("it was changed after it was signed")),
    }
}

fn manifest(json: &Json) -> Option<Manifest> {
    let text = |name: &str| json[name].as_str().map(str::to_string);
    let epoch = signing::bytes(json["channel_epoch"].as_str()?)?.try_into().ok()?;
    let chunks = json["chunks"].as_array()?.iter().map(|hash| hash.as_str().map(str::to_string));
    let table = |one: &Json| {
        let version = one["version"].as_str()?.parse().ok()?;
        let mark = match &one["mark"] {
            Json::Null => None,
            mark => Some(TableMark::parse(mark.as_str()?)?),
        };
        let at = TableAt {
            table: TableName::parse(one["name"].as_str()?)?,
            shape: one["shape"].as_str()?.to_string(),
            version: Some(ChannelVersion(version)),
            epoch: Some(epoch),
        };
        let digest = one["digest"].as_str()?.to_string();
        Some(ManifestTable { at, mark, rows: one["rows"].as_u64()?, digest })
    };
    Some(Manifest {
        fingerprint: text("fingerprint")?,
        of: text("for")?,
        made_by_register: json["made_by"]["register"].as_str()?.to_string(),
        made_by_version: json["made_by"]["version"].as_str()?.to_string(),
        created_ms: json["created_at_ms"].as_i64()?,
        layout: i32::try_from(json["layout"].as_i64()?).ok()?,
        epoch,
        file: text("file")?,
        bytes: json["bytes"].as_u64()?,
        sha256: text("sha256")?,
        chunk_bytes: json["chunk_bytes"].as_u64()?,
        chunks: chunks.collect::<Option<_>>()?,
        tables: json["tables"].as_array()?.iter().map(table).collect::<Option<_>>()?,
    })
}
