//! Where snapshots come from: a folder or a web server; a manifest, and the file that it names beside it.

use super::fault::SnapshotError;
use super::manifest::Manifest;
use crate::settings::device::NewDatabaseSettings;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_client::web::{WebAddress, WebError, WebFile, WebTrust};
use tillhold_core::limits;
use tillhold_env::Env;

#[derive(Clone, Debug)]
pub enum Source {
    Folder(PathBuf),
    Web(WebAddress, WebTrust),
}

/// A file that is being read, from some byte on.
pub enum Incoming {
    File(std::fs::File, PathBuf),
    Web(Box<WebFile>),
}

/// What a folder's file is read by.
const READ_BYTES: usize = 256 << 10;
/// So many kinds of other registers are told: they show what the folder is, and need not be all.
const KINDS_TOLD_MAX: usize = 5;
/// One wait for a web server; a silent one is tried again at the next look.
const WAIT_MAX: Duration = Duration::from_secs(30);

impl Source {
    pub fn of(settings: &NewDatabaseSettings) -> Result<Source, SnapshotError> {
        let trust = WebTrust {
            certificate: settings.certificate.clone(),
            is_plain_allowed: settings.is_plain_allowed,
        };
        Source::parse(&settings.source, trust)
    }

    /// An address of the web, or a path.
    pub fn parse(text: &str, trust: WebTrust) -> Result<Source, SnapshotError> {
        match WebAddress::is_meant(text) {
            true => Ok(Source::Web(WebAddress::parse(text)?, trust)),
            false => Ok(Source::Folder(PathBuf::from(text))),
        }
    }

    /// A source that names a manifest itself, as its folder and the manifest's name.
    pub fn split_manifest(self) -> (Source, Option<String>) {
        let is_manifest = |name: &str| name.ends_with(".json");
        match self {
            Source::Folder(path) => {
                let name =
                    path.file_name().and_then(|name| name.to_str()).filter(|n| is_manifest(n));
                match name.map(str::to_string) {
                    Some(name) => {
                        let folder = path.parent().unwrap_or(Path::new(""));
                        (Source::Folder(folder.to_path_buf()), Some(name))
                    }
                    None => (Source::Folder(path), None),
                }
            }
            Source::Web(address, trust) => {
                let path = address.path.split('?').next().unwrap_or_default();
                let name = path.rsplit('/').next().filter(|name| is_manifest(name));
                let name = name.map(str::to_string);
                (Source::Web(address, trust), name)
            }
        }
    }

    pub fn place(&self, name: &str) -> String {
        match self {
            Source::Folder(folder) => folder.join(name).display().to_string(),
            Source::Web(address, _) => address.beside(name).to_string(),
        }
    }

    /// A small file whole; `None` when there is none.
    pub async fn text(
        &self,
        env: &Env,
        name: &str,
        bytes_max: usize,
    ) -> Result<Option<String>, SnapshotError> {
        let mut incoming = match self.open(env, name, 0).await {
            Ok((_, incoming)) => incoming,
            Err(SnapshotError::Web(WebError::Missing { .. })) => return Ok(None),
            Err(SnapshotError::File { cause, .. }) if is_absent(&cause) => {
                self.reach(env).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        while let Some(part) = incoming.next(env).await? {
            bytes.extend_from_slice(&part);
            if bytes.len() > bytes_max {
                let (bytes, bytes_max) = (bytes.len() as u64, bytes_max as u64);
                return Err(SnapshotError::TooLarge { bytes, bytes_max });
            }
        }
        let wrong = |reason: String| SnapshotError::Manifest { place: self.place(name), reason };
        String::from_utf8(bytes).map(Some).map_err(|error| wrong(error.to_string()))
    }

    /// A folder that is not there, as that of a share that is not mounted, is no folder without snapshots.
    async fn reach(&self, env: &Env) -> Result<(), SnapshotError> {
        let Source::Folder(folder) = self else { return Ok(()) };
        let looked = folder_here(folder);
        let look = move || std::fs::read_dir(looked).map(drop);
        let found = env.blocking("looking into a folder", look).await;
        let place = folder.display().to_string();
        let unreachable = |cause| SnapshotError::Unreachable { place, cause };
        found.unwrap_or_else(|| Err(broke_off())).map_err(unreachable)
    }

    /// Whom the newest snapshots in a folder are for, as far as can be told; a web server does not list what it has.
    pub async fn kinds(&self, env: &Env) -> Vec<String> {
        let Source::Folder(folder) = self else { return Vec::new() };
        let folder = folder_here(folder);
        let kinds =
            env.blocking("looking into a folder", move || kinds_in(&folder).unwrap_or_default());
        kinds.await.unwrap_or_default()
    }

    /// Opens a file from byte `from` on; the answer says where it really begins.
    pub async fn open(
        &self,
        env: &Env,
        name: &str,
        from: u64,
    ) -> Result<(u64, Incoming), SnapshotError> {
        match self {
            Source::Folder(folder) => {
                let path = folder.join(name);
                let opened = path.clone();
                let open = move || {
                    let mut file = std::fs::File::open(&opened)?;
                    file.seek(SeekFrom::Start(from))?;
                    Ok(file)
                };
                let file = env.blocking("opening of a file", open).await;
                let file = file.unwrap_or_else(|| Err(broke_off()));
                let file = file.map_err(|cause| SnapshotError::file(&path, cause))?;
                Ok((from, Incoming::File(file, path)))
            }
            Source::Web(address, trust) => {
                let address = address.beside(name);
                let file = WebFile::open(env, &address, trust, from, WAIT_MAX).await?;
                Ok((file.start, Incoming::Web(Box::new(file))))
            }
        }
    }
}

impl Incoming {
    /// The next bytes; `None` behind the last.
    pub async fn next(&mut self, env: &Env) -> Result<Option<Vec<u8>>, SnapshotError> {
        match self {
            Incoming::Web(file) => Ok(file.next().await?.map(|bytes| bytes.to_vec())),
            Incoming::File(file, path) => {
                let shared = file.try_clone();
                let read = move || {
                    let mut bytes = vec![0; READ_BYTES];
                    let count = shared?.read(&mut bytes)?;
                    bytes.truncate(count);
                    Ok(bytes)
                };
                let read = env.blocking("reading of a file", read).await;
                let bytes = read.unwrap_or_else(|| Err(broke_off()));
                let bytes = bytes.map_err(|cause| SnapshotError::file(path, cause))?;
                Ok((!bytes.is_empty()).then_some(bytes))
            }
        }
    }
}

fn is_absent(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Of a manifest that is named without a folder.
fn folder_here(folder: &Path) -> PathBuf {
    match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_path_buf(),
    }
}

/// Of each manifest that names the newest of its kind.
fn kinds_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut kinds = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = name.to_string_lossy();
        if name.starts_with("latest-") && name.ends_with(".json") {
            kinds.extend(kind_of(&path, &name));
        }
        if kinds.len() == KINDS_TOLD_MAX {
            break;
        }
    }
    Ok(kinds.into_iter().collect())
}

/// One that cannot be read tells nothing.
fn kind_of(path: &Path, name: &str) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MANIFEST_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
    Manifest::read(&text, name, &[]).ok().map(|manifest| manifest.of)
}

fn broke_off() -> std::io::Error {
    std::io::Error::other("the work broke off")
}

/// What a manifest may be long.
pub const MANIFEST_BYTES_MAX: usize = limits::MANIFEST_BYTES_MAX;
