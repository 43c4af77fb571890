//! What `register.toml` says about exports, new databases and pictures.

use super::device_fields as fields;
use super::field::{Field, Text};
use super::reader::Section;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_client::web::WebAddress;
use tillhold_core::schedule::{Blackout, Schedule};
use tillhold_core::table::TableName;

#[derive(Clone, Debug)]
pub struct ExportSettings {
    pub folder: PathBuf,
    pub schedule: Option<Schedule>,
    pub blackouts: Vec<Blackout>,
    pub utc_offset_min: i64,
    pub keep_last: usize,
    pub is_unchanged_skipped: bool,
    pub key_file: PathBuf,
}

#[derive(Clone, Debug)]
pub struct NewDatabaseSettings {
    pub source: String,
    pub check_interval: Duration,
    pub bytes_max: u64,
    /// Public keys, in hexadecimal.
    pub trusted_keys: Vec<String>,
    pub certificate: Option<PathBuf>,
    pub is_plain_allowed: bool,
}

#[derive(Clone, Debug)]
pub struct ImageSettings {
    pub folder: PathBuf,
    pub source: String,
    pub bytes_max: u64,
    /// Tables, and the columns that hold names.
    pub prefetch: Vec<(TableName, String)>,
    pub interval: Duration,
    pub per_minute: f64,
    pub refresh: Duration,
    pub certificate: Option<PathBuf>,
    pub is_plain_allowed: bool,
}

/// Hexadecimal digits of an Ed25519 public key.
const KEY_DIGITS: usize = 64;

pub fn export(top: &Section<'_>, base: &Path) -> ExportSettings {
    let section = top.section(&fields::EXPORT);
    let section = section.as_ref();
    let text = |field| {
        let said = section.and_then(|section| section.text(field));
        base.join(said.unwrap_or_else(|| field.default().to_string()))
    };
    let number =
        |field| section.and_then(|section| section.number(field)).unwrap_or(field.default());
    let skips = section.and_then(|section| section.word(&fields::SKIP_UNCHANGED));
    ExportSettings {
        folder: text(&fields::EXPORT_FOLDER),
        schedule: section.and_then(schedule),
        blackouts: section.map(blackouts).unwrap_or_default(),
        utc_offset_min: number(&fields::UTC_OFFSET) as i64,
        keep_last: number(&fields::KEEP_LAST) as usize,
        is_unchanged_skipped: skips.unwrap_or(fields::SKIP_UNCHANGED.default()),
        key_file: text(&fields::KEY_FILE),
    }
}

fn schedule(section: &Section<'_>) -> Option<Schedule> {
    let text = section.text(&fields::SCHEDULE)?;
    match Schedule::parse(&text) {
        Ok(schedule) => Some(schedule),
        Err(wrong) => {
            section.wrong(fields::SCHEDULE.key, &wrong.to_string());
            None
        }
    }
}

fn blackouts(section: &Section<'_>) -> Vec<Blackout> {
    let mut spans = Vec::new();
    for placed in section.texts(&fields::BLACKOUT).unwrap_or_default() {
        match Blackout::parse(&placed.text) {
            Some(span) => spans.push(span),
            None => {
                let wrong = format!("blackout '{}' is no span such as 08:00-20:30", placed.text);
                section.wrong_at(placed.line, &wrong);
            }
        }
    }
    if tillhold_core::schedule::outside(&spans, 0).is_none() {
        section.wrong(fields::BLACKOUT.key, "leaves nothing of the day");
    }
    spans
}

pub fn new_database(top: &Section<'_>, base: &Path) -> Option<NewDatabaseSettings> {
    let section = top.section(&fields::NEW_DATABASE)?;
    let source = source(&section, &fields::NEW_SOURCE, base);
    let number = |field| section.number(field).unwrap_or(field.default());
    let mut trusted_keys = Vec::new();
    for placed in section.texts(&fields::TRUSTED_KEYS).unwrap_or_default() {
        let key = placed.text.trim().to_ascii_lowercase();
        if key.len() != KEY_DIGITS || !key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            section.wrong_at(placed.line, "trusted_keys takes keys of 64 hexadecimal digits");
        }
        trusted_keys.push(key);
    }
    Some(NewDatabaseSettings {
        source,
        check_interval: Duration::from_secs_f64(number(&fields::CHECK_INTERVAL) * 60.0),
        bytes_max: (number(&fields::SIZE_MAX) as u64) << 20,
        trusted_keys,
        certificate: section.text(&fields::NEW_CERTIFICATE).map(|file| base.join(file)),
        is_plain_allowed: section
            .word(&fields::NEW_INSECURE)
            .unwrap_or(fields::NEW_INSECURE.default()),
    })
}

/// A path from the file's folder on, or an address of the web as it is.
fn source(section: &Section<'_>, field: &Field<Text>, base: &Path) -> String {
    let said = section.required_text(field);
    if !WebAddress::is_meant(&said) {
        return base.join(said).display().to_string();
    }
    if let Err(wrong) = WebAddress::parse(&said) {
        section.wrong(field.key, &wrong.to_string());
    }
    said
}

pub fn images(top: &Section<'_>, base: &Path) -> Option<ImageSettings> {
    let section = top.section(&fields::IMAGES)?;
    let number = |field| section.number(field).unwrap_or(field.default());
    let folder = section.text(&fields::IMAGE_FOLDER);
    let folder = folder.unwrap_or_else(|| fields::IMAGE_FOLDER.default().to_string());
    let insecure = section.word(&fields::IMAGE_INSECURE);
    let mut prefetch = Vec::new();
    for placed in section.texts(&fields::PREFETCH).unwrap_or_default() {
        let split = placed.text.rsplit_once('.');
        match split.and_then(|(table, column)| Some((TableName::parse(table)?, column))) {
            Some((table, column)) => prefetch.push((table, column.to_string())),
            None => {
                let wrong = format!("prefetch '{}' is no schema.TABLE.COLUMN", placed.text);
                section.wrong_at(placed.line, &wrong);
            }
        }
    }
    Some(ImageSettings {
        folder: base.join(folder),
        source: source(&section, &fields::IMAGE_SOURCE, base),
        bytes_max: (number(&fields::IMAGE_SIZE_MAX) as u64) << 20,
        prefetch,
        interval: Duration::from_secs_f64(number(&fields::PREFETCH_INTERVAL) * 60.0),
        per_minute: number(&fields::PREFETCH_PACE),
        refresh: Duration::from_secs_f64(number(&fields::REFRESH) * 3_600.0),
        certificate: section.text(&fields::IMAGE_CERTIFICATE).map(|file| base.join(file)),
        is_plain_allowed: insecure.unwrap_or(fields::IMAGE_INSECURE.default()),
    })
}
