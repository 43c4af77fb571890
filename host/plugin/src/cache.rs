//! Compiled plugins on disk, so that a component is compiled once in its life on a register.
//!
//! * A file's name holds the component's digest and the engine's compatibility hash: another component, another
//!   wasmtime, other settings or another processor never meet each other's code.
//! * Compiled code is machine code, so each file opens with an HMAC-SHA256 over its name and content under a key that
//!   only the agent's account can read. What fails the check is compiled anew and overwritten, never loaded.
//! * A cache that cannot be written to costs time, not selling: the plugin runs, and [`Stored`] says what happened.

use crate::trusted;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use tillhold_core::text::hexadecimal;
use tillhold_env::Env;
use wasmtime::Engine;
use wasmtime::component::Component;

const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
const KEY_FILE: &str = "cache.key";

/// How a plugin's compiled code came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It was there from an earlier run.
    Found,
    /// Compiled just now, and kept for the next run.
    Kept,
    /// Compiled just now; it could not be kept for this reason.
    NotKept(String),
}

pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    engine_hash: String,
}

impl Cache {
    /// Makes the folder and its key when they are not there yet.
    pub(crate) fn open(env: &Env, folder: &Path, engine: &Engine) -> io::Result<Cache> {
        create_private_folder(folder)?;
        let key = match read_key(folder)? {
            Some(key) => key,
            None => match write_key(env, folder) {
                // Another program of this account makes its own at this moment: a key of ours alone costs a compile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fresh_key(env),
                written => written?,
            },
        };
        Ok(Cache { folder: folder.to_path_buf(), key, engine_hash: compatibility(engine) })
    }

    /// The compiled component, from the folder or from `wasm` by compiling it now.
    pub(crate) fn compiled(
        &self,
        engine: &Engine,
        digest: &str,
        wasm: &[u8],
    ) -> wasmtime::Result<(Component, Stored)> {
        let name = self.file_name(digest);
        if let Some(component) = self.find(engine, &name) {
            return Ok((component, Stored::Found));
        }
        let component = Component::from_binary(engine, wasm)?;
        let stored = match self.keep(&name, &component.serialize()?) {
            Ok(()) => Stored::Kept,
            Err(reason) => Stored::NotKept(reason.to_string()),
        };
        Ok((component, stored))
    }

    fn file_name(&self, digest: &str) -> String {
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        format!("{digest}-{}.cwasm", self.engine_hash)
    }

    /// `None` for anything but a file that this agent wrote: then compiling is the answer.
    fn find(&self, engine: &Engine, name: &str) -> Option<Component> {
        let file = fs::read(self.folder.join(name)).ok()?;
        let (mac, code) = file.split_at_checked(MAC_BYTES)?;
        self.mac(name, code).verify_slice(mac).ok()?;
        trusted::component(engine, code).ok()
    }

    /// Written aside and renamed, so that a crash leaves no half file under the name.
    fn keep(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mac = self.mac(name, code).finalize().into_bytes();
        let aside = self.folder.join(format!("{name}.new"));
        let mut content = Vec::with_capacity(MAC_BYTES + code.len());
        content.extend_from_slice(&mac);
        content.extend_from_slice(code);
        fs::write(&aside, &content)?;
        fs::rename(&aside, self.folder.join(name))
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("HMAC takes keys of any length (RFC 2104)");
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(code);
        mac
    }
}

/// `None`: there is none, or one that another account could have read or written, which is then worth nothing.
fn read_key(folder: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let path = folder.join(KEY_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !is_private(&path)? {
        return Ok(None);
    }
    Ok(bytes.try_into().ok())
}

fn write_key(env: &Env, folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = folder.join(KEY_FILE);
    let key = fresh_key(env);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` after the removal: whoever slips a file of his own in between gets an error, not our key.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(&path)?, &key)?;
    Ok(key)
}

fn fresh_key(env: &Env) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    env.random.fill(&mut key);
    key
}

#[cfg(unix)]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// On Windows the folder inherits the rights of the agent's own data folder.
#[cfg(not(unix))]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// 16 hexadecimal digits that change whenever this engine could not load another's code.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = ShaHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hexadecimal(&hasher.0.finalize()[..8]).to_ascii_lowercase()
}

/// std's own hasher may change from release to release; this one does not.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
