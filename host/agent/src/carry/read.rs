//! An export of unsent sales read and checked, every byte, before anything is made of it.

use super::fault::CarryError;
use super::{FORMAT, PURPOSE, line};
use crate::snapshot::signing::is_signed;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use tillhold_core::limits;
use tillhold_core::table::TableName;
use tillhold_core::text;
use tillhold_core::version::{ChannelVersion, Incarnation};

/// Whose sales they are, and who vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub store: String,
    pub register: String,
    pub incarnation: Incarnation,
    pub exported_at_ms: i64,
    /// How far the register had seen the channel, by table, and in which life of it. Older exports do not say.
    pub seen: BTreeMap<TableName, Seen>,
    pub transactions: u64,
    /// The public key of whoever signed.
    pub key: String,
}

/// What changes of a table stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub version: ChannelVersion,
    pub epoch: [u8; 16],
}

impl Seen {
    fn of(json: &Json) -> Option<Seen> {
        let version = ChannelVersion(json["version"].as_str()?.parse().ok()?);
        Some(Seen { version, epoch: text::parse_guid(json["epoch"].as_str()?)? })
    }

    /// Whether the channel that has come to `reached` in its life `epoch` counts anew since.
    pub fn is_former(&self, epoch: [u8; 16], reached: ChannelVersion) -> bool {
        self.epoch != epoch || self.version > reached
    }
}

/// Reads a whole file for its soundness; with `key`, only that one may have signed it.
pub fn check(file: &Path, key: Option<&str>) -> Result<Origin, CarryError> {
    let mut lines = Lines::open(file)?;
    let head = lines.next()?.ok_or(CarryError::Cut)?;
    let mut origin = origin(&head.json).map_err(|reason| CarryError::Line { line: 1, reason })?;
    loop {
        let before = line::hexadecimal(&lines.hash.clone().finalize());
        let Some(next) = lines.next()? else { return Err(CarryError::Cut) };
        let end = &next.json["end"];
        if end.is_null() {
            if !line::is_whole(&next.json) {
                return Err(CarryError::Changed { line: next.number });
            }
            origin.transactions += 1;
            continue;
        }
        origin.key = end["key"].as_str().unwrap_or_default().to_ascii_lowercase();
        let signature = end["ed25519"].as_str().unwrap_or_default();
        let is_right = end["sha256"] == before
            && end["transactions"] == origin.transactions
            && is_signed(&origin.key, PURPOSE, before.as_bytes(), signature);
        if !is_right || lines.next()?.is_some() {
            return Err(CarryError::Signature);
        }
        return match key.map(|key| key.trim().to_ascii_lowercase()) {
            Some(expected) if expected != origin.key => {
                Err(CarryError::OtherKey { found: origin.key, expected })
            }
            _ => Ok(origin),
        };
    }
}

fn origin(json: &Json) -> Result<Origin, String> {
    let text = |name: &str| {
        let text = json[name].as_str().map(str::to_string);
        text.ok_or_else(|| format!("it says no {name}"))
    };
    if json[FORMAT.0] != FORMAT.1 {
        return Err("it does not begin as one".to_string());
    }
    let incarnation =
        text::parse_guid(&text("incarnation")?).ok_or("its incarnation is no guid")?;
    let place = |(table, place): (&String, &Json)| {
        let place = TableName::parse(table).zip(Seen::of(place));
        place.ok_or_else(|| format!("how far {table} was seen cannot be read"))
    };
    let seen = json["seen"].as_object().into_iter().flatten();
    Ok(Origin {
        seen: seen.map(place).collect::<Result<_, _>>()?,
        store: text("store")?,
        register: text("register")?,
        incarnation: Incarnation(incarnation),
        exported_at_ms: json["exported_at_ms"].as_i64().unwrap_or_default(),
        transactions: 0,
        key: String::new(),
    })
}

/// The lines of a file, one after another.
pub struct Lines {
    reader: BufReader<File>,
    path: std::path::PathBuf,
    number: usize,
    /// Of all bytes that were read.
    hash: Sha256,
}

pub struct Line {
    pub number: usize,
    pub json: Json,
}

impl Lines {
    pub fn open(file: &Path) -> Result<Lines, CarryError> {
        let failed = |cause| CarryError::File { file: file.to_path_buf(), cause };
        let reader = BufReader::new(File::open(file).map_err(failed)?);
        Ok(Lines { reader, path: file.to_path_buf(), number: 0, hash: Sha256::new() })
    }

    pub fn next(&mut self) -> Result<Option<Line>, CarryError> {
        let failed = |cause| CarryError::File { file: self.path.clone(), cause };
        let mut bytes = Vec::new();
        // A line has what a body of the front door may have, twice: before and after.
        let most = 4 * limits::BODY_BYTES_MAX as u64;
        let mut bounded = (&mut self.reader).take(most);
        let count = bounded.read_until(b'\n', &mut bytes).map_err(failed)?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if bytes.last() != Some(&b'\n') {
            return Err(CarryError::Cut);
        }
        self.hash.update(&bytes);
        let json = serde_json::from_slice(&bytes);
        let wrong =
            |error: serde_json::Error| CarryError::Line { line: number, reason: error.to_string() };
        Ok(Some(Line { number, json: json.map_err(wrong)? }))
    }
}
