//! The unsent sales of a register, written into a signed file that only its owner may read.
//!
//! * Who may ask for it by the front door need not be who may write where the agent may: nothing that is there is
//!   written over, and nothing is written into the folder of the offline database.

use super::fault::CarryError;
use super::{FORMAT, PURPOSE, line};
use crate::fault::FlowError;
use crate::settings::register_file::RegisterFile;
use crate::snapshot::export::stamp;
use crate::snapshot::place;
use crate::snapshot::signing::Signer;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};
use tillhold_core::limits;
use tillhold_core::profile::Direction;
use tillhold_core::text::guid_text;
use tillhold_env::Env;
use tillhold_local::LocalDatabase;

#[derive(Clone, Debug)]
pub struct Carried {
    pub path: PathBuf,
    pub transactions: u64,
    pub rows: u64,
    pub key: String,
}

impl Carried {
    pub fn json(&self) -> Json {
        json!({
            "path": self.path.display().to_string(),
            "transactions": self.transactions,
            "rows": self.rows,
            "key": self.key,
        })
    }
}

/// Writes all unsent sales into the new file `to`, or into one of the export folder.
pub async fn write(
    env: &Env,
    local: &LocalDatabase,
    settings: &RegisterFile,
    to: Option<PathBuf>,
) -> Result<Carried, FlowError> {
    let signer = Signer::open(env, &settings.export.key_file)?;
    let now_ms = env.clock.wall_ms();
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let name = format!(
        "unsent-{}-{}-{}.jsonl",
        plain(&settings.store),
        plain(&settings.register),
        stamp(now_ms)
    );
    if let Some(to) = &to {
        refuse_inside(to, &settings.folder)?;
    }
    let path = to.unwrap_or_else(|| settings.export.folder.join(name));
    // Before the work; whoever takes the name meanwhile keeps it too.
    if path.symlink_metadata().is_ok() {
        return Err(CarryError::Exists { file: path }.into());
    }
    let aside = place::aside(&path);
    place::make_folder(path.parent().unwrap_or(Path::new("")))?;
    place::remove(&aside)?;
    let mut paper = Paper::open(&aside)?;
    paper.line(
        &json!({
            FORMAT.0: FORMAT.1,
            "store": settings.store,
            "register": settings.register,
            "incarnation": local.incarnation().to_string(),
            "exported_at_ms": now_ms,
            "seen": seen(local).await?,
        })
        .to_string(),
    )?;
    let (mut after, mut transactions, mut rows) = (None, 0, 0);
    loop {
        let page = local.unsent(after, limits::UPLOAD_TRANSACTIONS_MAX).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record.sequence);
        // One whose changes cancel each other out has nothing to carry.
        for unsent in page.iter().filter(|one| !one.writes.is_empty() || one.unreadable.is_some()) {
            paper.line(&line::line(unsent))?;
            transactions += 1;
            rows += unsent.writes.len() as u64;
        }
    }
    let hash = line::hexadecimal(&paper.hash.clone().finalize());
    let signature = signer.sign(PURPOSE, hash.as_bytes());
    let key = signer.key();
    let end =
        json!({ "transactions": transactions, "sha256": hash, "key": key, "ed25519": signature });
    paper.line(&json!({ "end": end }).to_string())?;
    paper.finish()?;
    if let Err(cause) = place::rename_to_free_name(&aside, &path) {
        place::remove(&aside)?;
        return Err(unnamed(path, cause).into());
    }
    Ok(Carried { path, transactions, rows, key })
}

fn unnamed(file: PathBuf, cause: std::io::Error) -> CarryError {
    match cause.kind() {
        ErrorKind::AlreadyExists => CarryError::Exists { file },
        _ => CarryError::File { file, cause },
    }
}

/// A folder there may mean something to the next opening, and a file to the agent.
fn refuse_inside(file: &Path, folder: &Path) -> Result<(), CarryError> {
    let folder = real(folder);
    match real(file).starts_with(&folder) {
        true => Err(CarryError::Inside { file: file.to_path_buf(), folder }),
        false => Ok(()),
    }
}

/// Where it is, or would be made, with nothing linked and no way up.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut real = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        real = std::fs::canonicalize(&real).unwrap_or(real);
    }
    real
}

/// What the changes stand on: how far each table of both directions has come, and in which life of the channel.
async fn seen(local: &LocalDatabase) -> Result<Json, FlowError> {
    let mut seen = Map::new();
    for state in local.tables().await? {
        if let (Direction::Bidirectional, Some(version), Some(epoch)) =
            (state.direction, state.version, state.epoch)
        {
            let place = json!({ "version": version.to_string(), "epoch": guid_text(&epoch) });
            seen.insert(state.table.name.to_string(), place);
        }
    }
    Ok(Json::Object(seen))
}

struct Paper {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
}

impl Paper {
    fn open(path: &Path) -> Result<Paper, CarryError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        // Sales have customers in them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let failed = |cause| CarryError::File { file: path.to_path_buf(), cause };
        let file = BufWriter::new(options.open(path).map_err(failed)?);
        Ok(Paper { path: path.to_path_buf(), file, hash: Sha256::new() })
    }

    fn line(&mut self, text: &str) -> Result<(), CarryError> {
        let line = format!("{text}\n");
        self.hash.update(line.as_bytes());
        let failed = |cause| CarryError::File { file: self.path.clone(), cause };
        self.file.write_all(line.as_bytes()).map_err(failed)
    }

    fn finish(mut self) -> Result<(), CarryError> {
        let failed = |cause| CarryError::File { file: self.path.clone(), cause };
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        written.map_err(failed)
    }
}
