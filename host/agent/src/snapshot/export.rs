//! A snapshot written into the export folder.
//!
//! 1. The catalogue's tables are copied into a file that nobody looks for yet, and hashed.
//! 2. The file gets its name; then its signed manifest; then the manifest that always names the newest one.
//! 3. What is more than `keep_last` of the same kind goes, the manifest first.
//!
//! Killed anywhere, the newest manifest names a whole file.

use super::fault::SnapshotError;
use super::fetch::hash_range;
use super::kind::{self, Kind};
use super::manifest::{Manifest, ManifestTable};
use super::place;
use super::signing::Signer;
use crate::fault::FlowError;
use crate::register::Register;
use crate::settings::device::ExportSettings;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tillhold_core::limits;
use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_local::CatalogueCopy;

#[derive(Clone, Debug)]
pub enum Exported {
    Made {
        manifest: Manifest,
        folder: PathBuf,
    },
    /// No row has changed since this one.
    Unchanged {
        manifest: Manifest,
    },
}

/// `is_forced`: also when nothing has changed.
pub async fn export(
    register: &Register,
    is_forced: bool,
    stop: Arc<AtomicBool>,
) -> Result<Exported, FlowError> {
    let settings = &register.file.export;
    let tables = kind::tables(register);
    if tables.is_empty() {
        return Err(SnapshotError::NothingToExport.into());
    }
    refuse_rows_aside(register, &tables).await?;
    let kind = Kind::of(register);
    place::make_folder(&settings.folder)?;
    let created_ms = register.env.clock.wall_ms();
    let name = format!("catalogue-{}-{}.db", kind.short(), stamp(created_ms));
    let aside = settings.folder.join(format!(".{name}.aside"));
    remove_leftovers(&settings.folder)?;
    let copied = register.local.copy_catalogue(aside.clone(), tables, stop).await;
    let done = match copied {
        Ok(copy) => finish(register, kind, &aside, name, copy, is_forced, created_ms).await,
        Err(error) => Err(error.into()),
    };
    // Renamed when all went well.
    place::remove(&aside)?;
    done
}

async fn refuse_rows_aside(
    register: &Register,
    tables: &[tillhold_core::table::TableName],
) -> Result<(), FlowError> {
    let rows = register.local.count_rows_aside(tables.to_vec()).await?;
    if rows == 0 { Ok(()) } else { Err(SnapshotError::RowsAside { rows }.into()) }
}

async fn finish(
    register: &Register,
    kind: Kind,
    aside: &Path,
    name: String,
    copy: CatalogueCopy,
    is_forced: bool,
    created_ms: i64,
) -> Result<Exported, FlowError> {
    let settings = register.file.export.clone();
    let latest = latest(&settings, &kind);
    let made_by = register.file.register.clone();
    let (env, aside) = (register.env.clone(), aside.to_path_buf());
    let work = move || {
        let manifest = manifest(&aside, kind, made_by, name, copy, created_ms)?;
        if let Some(before) = latest.filter(|before| !is_forced && is_unchanged(before, &manifest))
        {
            return Ok(Exported::Unchanged { manifest: before });
        }
        let signer = Signer::open(&env, &settings.key_file)?;
        publish(&settings, &manifest, &aside, &manifest.signed(&signer))?;
        Ok(Exported::Made { manifest, folder: settings.folder })
    };
    let done = register.env.blocking("hashing of a snapshot", work).await;
    done.ok_or(FlowError::BrokeOff("an export"))?.map_err(FlowError::Snapshot)
}

/// The newest manifest of the kind in the folder; one that cannot be read counts for none.
pub fn latest(settings: &ExportSettings, kind: &Kind) -> Option<Manifest> {
    let text = std::fs::read_to_string(settings.folder.join(kind.latest())).ok()?;
    let manifest = Manifest::read(&text, "", &[]).ok()?;
    settings.folder.join(&manifest.file).exists().then_some(manifest)
}

fn is_unchanged(before: &Manifest, now: &Manifest) -> bool {
    let rows = |manifest: &Manifest| -> Vec<(String, u64, String)> {
        let one =
            |table: &ManifestTable| (table.at.table.to_string(), table.rows, table.digest.clone());
        manifest.tables.iter().map(one).collect()
    };
    let age_ms = now.created_ms.saturating_sub(before.created_ms);
    let is_young = (0..limits::SNAPSHOT_AGE_MAX.as_millis() as i64).contains(&age_ms);
    let is_same = (before.epoch, before.layout, &before.fingerprint)
        == (now.epoch, now.layout, &now.fingerprint);
    is_young && is_same && rows(before) == rows(now)
}

fn manifest(
    file: &Path,
    kind: Kind,
    made_by_register: String,
    name: String,
    copy: CatalogueCopy,
    created_ms: i64,
) -> Result<Manifest, SnapshotError> {
    let failed = |cause| SnapshotError::file(file, cause);
    let mut opened = File::open(file).map_err(failed)?;
    let bytes = opened.metadata().map_err(failed)?.len();
    let epochs = copy.content.tables.iter().map(|table| table.at.epoch);
    let epoch = epochs.clone().next().flatten().ok_or(SnapshotError::MixedEpochs)?;
    if epochs.into_iter().any(|other| other != Some(epoch)) {
        return Err(SnapshotError::MixedEpochs);
    }
    let hex = |bytes: &[u8]| text::hexadecimal(bytes).to_ascii_lowercase();
    let tables =
        copy.content.tables.into_iter().zip(copy.rows).map(|(table, rows)| ManifestTable {
            at: table.at,
            mark: table.mark,
            rows: rows.count,
            digest: hex(&rows.digest),
        });
    let mut manifest = Manifest {
        fingerprint: kind.fingerprint,
        of: kind.of,
        made_by_register,
        made_by_version: env!("CARGO_PKG_VERSION").to_string(),
        created_ms,
        layout: copy.content.layout,
        epoch,
        file: name,
        bytes,
        sha256: hex(&hash_range(&mut opened, 0, bytes).map_err(failed)?),
        chunk_bytes: limits::SNAPSHOT_CHUNK_BYTES,
        chunks: Vec::new(),
        tables: tables.collect(),
    };
    if let Some(pieces) = manifest.pieces() {
        for range in (0..pieces.count()).map(|number| pieces.range(number)) {
            let hash = hash_range(&mut opened, range.start, range.end - range.start);
            manifest.chunks.push(hex(&hash.map_err(failed)?));
        }
    }
    Ok(manifest)
}

fn publish(
    settings: &ExportSettings,
    manifest: &Manifest,
    aside: &Path,
    text: &str,
) -> Result<(), SnapshotError> {
    let folder = &settings.folder;
    place::rename(aside, &folder.join(&manifest.file))?;
    place::write_whole(&folder.join(manifest_name(&manifest.file)), text.as_bytes())?;
    let latest = format!("latest-{}.json", short(&manifest.fingerprint));
    place::write_whole(&folder.join(latest), text.as_bytes())?;
    prune(settings, short(&manifest.fingerprint))
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

fn manifest_name(file: &str) -> String {
    format!("{}.json", file.trim_end_matches(".db"))
}

/// The oldest of the kind go; names sort by the moment they were made.
fn prune(settings: &ExportSettings, short: &str) -> Result<(), SnapshotError> {
    let start = format!("catalogue-{short}-");
    let mut files = names(&settings.folder)?;
    files.retain(|name| name.starts_with(&start) && name.ends_with(".db"));
    files.sort();
    let surplus = files.len().saturating_sub(settings.keep_last);
    for file in &files[..surplus] {
        place::remove(&settings.folder.join(manifest_name(file)))?;
        place::remove(&settings.folder.join(file))?;
    }
    Ok(())
}

/// What an export that was killed has left behind.
fn remove_leftovers(folder: &Path) -> Result<(), SnapshotError> {
    for name in names(folder)? {
        if name.starts_with(".catalogue-") && name.contains(".db.aside") {
            place::remove(&folder.join(name))?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, SnapshotError> {
    let failed = |cause| SnapshotError::file(folder, cause);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

/// `20261128T023000123Z`
pub fn stamp(unix_ms: i64) -> String {
    let moment = Timestamp::from_unix_ms(unix_ms);
    let (year, month, day) = moment.date().civil();
    let of_day = unix_ms.rem_euclid(86_400_000);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{:05}Z", of_day % 60_000)
}
