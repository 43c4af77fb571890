//! The pictures on this register's disk.
//!
//! ```text
//! FOLDER/objects/HASH                 a picture, by the SHA-256 of its bytes; its time stamp is its last use
//! FOLDER/names/HASH-OF-NAME.json      a name, which picture it has, and when that was fetched
//! ```

use super::fault::ImageError;
use crate::snapshot::place;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};
use tillhold_core::picture::{Kept, PictureName, content_type, evict};
use tillhold_core::text;
use tillhold_env::Locked as _;

/// A picture as it is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub hash: String,
    pub content_type: &'static str,
}

pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    index: Mutex<Option<Index>>,
}

/// What the folder holds, read once.
#[derive(Default)]
struct Index {
    objects: BTreeMap<String, Kept>,
    names: BTreeMap<PictureName, Named>,
}

#[derive(Clone)]
struct Named {
    hash: String,
    fetched_ms: i64,
}

/// What a cache holds, and what a pruning took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub pictures: u64,
    pub names: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub damaged: u64,
    pub evicted: u64,
    pub names: u64,
}

/// A time stamp on the disk is renewed no oftener than this.
const USE_GRAIN_MS: i64 = 10 * 60 * 1_000;

impl Cache {
    pub fn new(folder: PathBuf, bytes_max: u64) -> Cache {
        Cache { folder, bytes_max, index: Mutex::new(None) }
    }

    /// The picture, if it is here and whole. One that is damaged goes.
    pub fn find(&self, name: &PictureName, now_ms: i64) -> Result<Option<Picture>, ImageError> {
        let mut held = self.index()?;
        let index = held.get_or_insert_default();
        let Some(Named { hash, .. }) = index.names.get(name).cloned() else { return Ok(None) };
        let file = self.object(&hash);
        let whole = fs::read(&file).ok().filter(|bytes| hash_of(bytes) == hash);
        let Some((bytes, content_type)) = whole.and_then(|b| content_type(&b).map(|of| (b, of)))
        else {
            index.objects.remove(&hash);
            place::remove(&file)?;
            return Ok(None);
        };
        if let Some(kept) = index.objects.get_mut(&hash) {
            if now_ms.saturating_sub(kept.used_ms) >= USE_GRAIN_MS {
                touch(&file, now_ms);
            }
            kept.used_ms = now_ms.max(kept.used_ms);
        }
        Ok(Some(Picture { bytes, hash, content_type }))
    }

    /// When the name's picture was fetched, if it is here.
    pub fn fetched_ms(&self, name: &PictureName) -> Result<Option<i64>, ImageError> {
        let mut held = self.index()?;
        let index = held.get_or_insert_default();
        let named = index.names.get(name).filter(|named| index.objects.contains_key(&named.hash));
        Ok(named.map(|named| named.fetched_ms))
    }

    /// Keeps a picture under a name, and makes room for it.
    pub fn keep(
        &self,
        name: &PictureName,
        bytes: Vec<u8>,
        now_ms: i64,
    ) -> Result<Picture, ImageError> {
        let no_picture = || ImageError::NoPicture { name: name.as_str().to_string() };
        let content_type = content_type(&bytes).ok_or_else(no_picture)?;
        let hash = hash_of(&bytes);
        let mut held = self.index()?;
        let index = held.get_or_insert_default();
        let is_new = !index.objects.contains_key(&hash);
        if is_new {
            self.make_room(index, name, bytes.len() as u64)?;
            place::write_whole(&self.object(&hash), &bytes)?;
            touch(&self.object(&hash), now_ms);
        }
        let size = bytes.len() as u64;
        let kept = Kept { hash: hash.clone(), bytes: size, used_ms: now_ms };
        index.objects.insert(hash.clone(), kept);
        let said = json!({ "name": name.as_str(), "sha256": hash, "fetched_at_ms": now_ms });
        place::write_whole(&self.name_file(name), said.to_string().as_bytes())?;
        index.names.insert(name.clone(), Named { hash: hash.clone(), fetched_ms: now_ms });
        Ok(Picture { bytes, hash, content_type })
    }

    pub fn extent(&self) -> Result<Extent, ImageError> {
        let mut held = self.index()?;
        let index = held.get_or_insert_default();
        Ok(Extent {
            pictures: index.objects.len() as u64,
            names: index.names.len() as u64,
            bytes: index.objects.values().map(|kept| kept.bytes).sum(),
        })
    }

    /// Reads every picture for damage, keeps the cap, and forgets names whose picture is gone.
    pub fn prune(&self) -> Result<Pruned, ImageError> {
        let mut held = self.index()?;
        *held = Some(self.read()?);
        let index = held.get_or_insert_default();
        let mut pruned = Pruned::default();
        let hashes: Vec<String> = index.objects.keys().cloned().collect();
        for hash in hashes {
            let file = self.object(&hash);
            if !fs::read(&file).is_ok_and(|bytes| hash_of(&bytes) == hash) {
                place::remove(&file)?;
                index.objects.remove(&hash);
                pruned.damaged += 1;
            }
        }
        pruned.evicted = self.evict(index, 0)?.unwrap_or_default();
        let gone = |named: &Named| !index.objects.contains_key(&named.hash);
        let names: Vec<PictureName> =
            index.names.iter().filter(|(_, named)| gone(named)).map(|(n, _)| n.clone()).collect();
        for name in names {
            place::remove(&self.name_file(&name))?;
            index.names.remove(&name);
            pruned.names += 1;
        }
        Ok(pruned)
    }

    fn make_room(
        &self,
        index: &mut Index,
        name: &PictureName,
        bytes: u64,
    ) -> Result<(), ImageError> {
        match self.evict(index, bytes)? {
            Some(_) => Ok(()),
            None => {
                let (name, bytes_max) = (name.as_str().to_string(), self.bytes_max);
                Err(ImageError::TooLarge { name, bytes_max })
            }
        }
    }

    fn evict(&self, index: &mut Index, incoming: u64) -> Result<Option<u64>, ImageError> {
        let kept = index.objects.values().cloned().collect();
        let Some(gone) = evict(kept, self.bytes_max, incoming) else { return Ok(None) };
        for one in &gone {
            place::remove(&self.object(&one.hash))?;
            index.objects.remove(&one.hash);
        }
        Ok(Some(gone.len() as u64))
    }

    fn index(&self) -> Result<MutexGuard<'_, Option<Index>>, ImageError> {
        let mut index = self.index.locked();
        if index.is_none() {
            *index = Some(self.read()?);
        }
        Ok(index)
    }

    fn read(&self) -> Result<Index, ImageError> {
        let mut index = Index::default();
        for file in files(&self.folder.join("objects"))? {
            let hash = file_name(&file);
            let Ok(metadata) = fs::metadata(&file) else { continue };
            let used_ms = metadata.modified().ok().and_then(since_1970).unwrap_or_default();
            index.objects.insert(hash.clone(), Kept { hash, bytes: metadata.len(), used_ms });
        }
        for file in files(&self.folder.join("names"))? {
            match fs::read_to_string(&file).ok().and_then(|text| named(&text)) {
                Some((name, named)) => drop(index.names.insert(name, named)),
                // Another program's, or damaged: it is fetched again.
                None => place::remove(&file)?,
            }
        }
        Ok(index)
    }

    fn object(&self, hash: &str) -> PathBuf {
        self.folder.join("objects").join(hash)
    }

    fn name_file(&self, name: &PictureName) -> PathBuf {
        self.folder.join("names").join(format!("{}.json", hash_of(name.as_str().as_bytes())))
    }
}

fn named(text: &str) -> Option<(PictureName, Named)> {
    let json: Json = serde_json::from_str(text).ok()?;
    let name = PictureName::parse(json["name"].as_str()?)?;
    let hash = json["sha256"].as_str().filter(|hash| text::parse_hexadecimal(hash).is_some())?;
    Some((name, Named { hash: hash.to_string(), fetched_ms: json["fetched_at_ms"].as_i64()? }))
}

fn hash_of(bytes: &[u8]) -> String {
    text::hexadecimal(&Sha256::digest(bytes)).to_ascii_lowercase()
}

/// Files of a folder; what a write that was killed has left behind goes.
fn files(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    place::make_folder(folder)?;
    let failed = |cause| ImageError::file(folder, cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        match file_name(&file).ends_with(".aside") {
            true => place::remove(&file)?,
            false => files.push(file),
        }
    }
    Ok(files)
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn since_1970(moment: SystemTime) -> Option<i64> {
    moment.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_millis() as i64)
}

/// A time stamp that cannot be set costs an order of eviction, nothing else.
fn touch(file: &Path, now_ms: i64) {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms.max(0) as u64);
    if let Ok(file) = File::options().write(true).open(file) {
        let _ = file.set_modified(moment);
    }
}
