//! Compiled plugins on disk, so that a component is compiled once in its life on a register.
//!
//! * A file's name holds the component's digest and the engine's compatibility hash: another component, another
//!   wasmtime, other settings or another processor never meet each other's code.
//! * Compiled code is machine code, so each file opens with an HMAC-SHA256 over its name and content under a key that
//!   only the agent's account can read. What fails the check is compiled anew and overwritten, never loaded.
//! * A cache that cannot be written to costs time, not selling: the plugin runs, and [`Stored`] says what happened.
//! * After each compile what nobody needs any more leaves: code of another engine, and all but the last used of this
//!   one's. Several programs may use the folder at once: a file that is gone is compiled again.

use crate::trusted;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tillhold_core::limits;
use tillhold_core::text::hexadecimal;
use tillhold_env::{Clock, Env};
use wasmtime::Engine;
use wasmtime::component::Component;

const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
const KEY_FILE: &str = "cache.key";
/// In a file's name: of the component's SHA-256, and of the engine's hash.
const DIGEST_DIGITS: usize = 64;
const ENGINE_DIGITS: usize = 16;

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
    clock: Arc<dyn Clock>,
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
        let (folder, clock) = (folder.to_path_buf(), env.clock.clone());
        Ok(Cache { folder, key, engine_hash: compatibility(engine), clock })
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
            self.note_use(&name);
            return Ok((component, Stored::Found));
        }
        let component = Component::from_binary(engine, wasm)?;
        let stored = match self.keep(&name, &component.serialize()?) {
            Ok(()) => Stored::Kept,
            Err(reason) => Stored::NotKept(reason.to_string()),
        };
        // Also when it was not kept: the disk may be full of what nobody needs.
        self.prune(&name);
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

    fn note_use(&self, name: &str) {
        let now = Duration::from_millis(self.clock.wall_ms().unsigned_abs());
        let file = File::options().append(true).open(self.folder.join(name));
        // Without it the file only looks older than it is, or another program has just removed it.
        let _ = file.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + now));
    }

    /// Removes what another engine compiled, and all but the last used of this one's. `new` stays whatever its time
    /// says: the clock may have been set back since the others were used.
    fn prune(&self, new: &str) {
        let (mut leaving, mut used) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            match name.to_str().and_then(engine_hash_of) {
                Some(engine) if engine != self.engine_hash => leaving.push(entry.path()),
                Some(_) if name != new => {
                    let modified = entry.metadata().and_then(|about| about.modified());
                    used.extend(modified.ok().map(|modified| (modified, entry.path())));
                }
                _ => {}
            }
        }
        used.sort_by(|one, other| other.cmp(one));
        let others_max = limits::PLUGINS_COMPILED_KEPT - 1;
        leaving.extend(used.into_iter().skip(others_max).map(|(_, path)| path));
        for path in leaving {
            // One that cannot be removed costs its bytes, not the load; the next compile tries again.
            let _ = fs::remove_file(path);
        }
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

/// Of a file of compiled code, or of one that a crash left aside. `None`: the key, or what is not the cache's at all.
fn engine_hash_of(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".new").unwrap_or(name);
    let (digest, engine) = name.strip_suffix(".cwasm")?.split_once('-')?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_ours = |part: &str, digits| part.len() == digits && part.bytes().all(is_digit);
    (is_ours(digest, DIGEST_DIGITS) && is_ours(engine, ENGINE_DIGITS)).then_some(engine)
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

/// Hexadecimal digits that change whenever this engine could not load another's code.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = ShaHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hexadecimal(&hasher.0.finalize()[..ENGINE_DIGITS / 2]).to_ascii_lowercase()
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

#[cfg(test)]
mod tests {
    use super::{Cache, KEY_FILE, Stored, engine_hash_of};
    use crate::run;
    use std::collections::BTreeSet;
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};
    use tempfile::TempDir;
    use tillhold_core::limits::PLUGINS_COMPILED_KEPT;
    use tillhold_env::Env;
    use wasmtime::Engine;

    struct Bench {
        engine: Engine,
        cache: Cache,
        folder: TempDir,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().expect("a folder");
            let engine = run::engine().expect("an engine");
            let cache = Cache::open(&Env::real(), folder.path(), &engine).expect("a cache");
            Bench { engine, cache, folder }
        }

        /// A component that does nothing, under another digest for each number.
        fn compiled(&self, number: usize) -> Stored {
            let wasm = wat::parse_str("(component)").expect("a component");
            let compiled = self.cache.compiled(&self.engine, &digest(number), &wasm);
            compiled.expect("it compiles").1
        }

        fn name(&self, number: usize) -> String {
            self.cache.file_name(&digest(number))
        }

        /// A file, last used so many seconds after 1970.
        fn lay(&self, name: &str, second: u64) {
            fs::write(self.folder.path().join(name), "code").expect("a file");
            self.set_used(name, second);
        }

        fn set_used(&self, name: &str, second: u64) {
            let file = File::options().append(true).open(self.folder.path().join(name));
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.and_then(|file| file.set_modified(used)).expect("a time");
        }

        fn names(&self) -> BTreeSet<String> {
            let files = fs::read_dir(self.folder.path()).expect("the folder");
            let name = |file: fs::DirEntry| file.file_name().into_string().expect("text");
            files.map(|file| name(file.expect("a file"))).collect()
        }
    }

    fn digest(number: usize) -> String {
        format!("sha256:{number:064x}")
    }

    fn set_of(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        names.into_iter().collect()
    }

    /// Each new build and each previewed file left its compiled code for ever, on the disk that sales are on.
    #[test]
    fn the_last_used_stay_and_the_others_leave() {
        let bench = Bench::new();
        for number in 0..PLUGINS_COMPILED_KEPT + 2 {
            bench.lay(&bench.name(number), 1_000 + number as u64);
        }
        // What a crash left aside is as old as it is.
        let aside = format!("{}.new", bench.name(0));
        bench.lay(&aside, 1);
        let new = PLUGINS_COMPILED_KEPT + 2;
        assert_eq!(bench.compiled(new), Stored::Kept);
        let stay = (3..=new).map(|number| bench.name(number));
        assert_eq!(bench.names(), set_of(stay.chain([KEY_FILE.to_string()])));
        assert_eq!(bench.compiled(new), Stored::Found);
    }

    #[test]
    fn what_is_found_counts_as_used() {
        let bench = Bench::new();
        assert_eq!(bench.compiled(0), Stored::Kept);
        bench.set_used(&bench.name(0), 1);
        assert_eq!(bench.compiled(0), Stored::Found);
        let a_day = Duration::from_secs(24 * 3_600);
        let about = fs::metadata(bench.folder.path().join(bench.name(0))).expect("it is there");
        assert!(about.modified().expect("a time") > SystemTime::UNIX_EPOCH + a_day);
        for number in 1..=PLUGINS_COMPILED_KEPT {
            bench.lay(&bench.name(number), 1_000);
        }
        assert_eq!(bench.compiled(PLUGINS_COMPILED_KEPT + 1), Stored::Kept);
        assert_eq!(bench.compiled(0), Stored::Found);
    }

    /// No other engine loads them. What only looks like them is somebody else's.
    #[test]
    fn code_of_another_engine_leaves_and_nothing_that_is_not_the_caches() {
        let bench = Bench::new();
        let (digits, engine) = ("0".repeat(64), "0123456789abcdef");
        let of_another = format!("{digits}-{engine}.cwasm");
        for name in [of_another.clone(), format!("{of_another}.new")] {
            assert_eq!(engine_hash_of(&name), Some(engine), "{name}");
            bench.lay(&name, 1_000);
        }
        let others = [
            KEY_FILE.to_string(),
            "notes.txt".to_string(),
            format!("{digits}-{engine}.wasm"),
            format!("{digits}-{engine}.cwasm.old"),
            format!("{digits}-{engine}0.cwasm"),
            format!("{}-{engine}.cwasm", &digits[1..]),
            format!("{}-{}.cwasm", "a".repeat(64), engine.to_uppercase()),
        ];
        for name in &others[1..] {
            bench.lay(name, 1_000);
        }
        assert_eq!(bench.compiled(1), Stored::Kept);
        assert_eq!(bench.names(), set_of(others.into_iter().chain([bench.name(1)])));
    }

    /// A clock that was set back makes whatever is new the oldest.
    #[test]
    fn what_was_just_compiled_stays_whatever_the_clock_says() {
        let bench = Bench::new();
        // In 2037: later than any clock that is right, and within what every file system can note.
        let ahead = 2_140_000_000;
        for number in 0..PLUGINS_COMPILED_KEPT {
            bench.lay(&bench.name(number), ahead);
        }
        let new = PLUGINS_COMPILED_KEPT;
        assert_eq!([bench.compiled(new), bench.compiled(new)], [Stored::Kept, Stored::Found]);
        assert_eq!(bench.names().len(), PLUGINS_COMPILED_KEPT + 1, "with the key");
    }

    #[test]
    fn what_cannot_be_removed_does_not_fail_the_load() {
        let bench = Bench::new();
        // A folder is no file to remove, whoever asks.
        let stubborn = format!("{}-0123456789abcdef.cwasm", "0".repeat(64));
        fs::create_dir(bench.folder.path().join(&stubborn)).expect("a folder");
        bench.lay(&format!("{}-0123456789abcdef.cwasm", "1".repeat(64)), 1_000);
        assert_eq!([bench.compiled(1), bench.compiled(1)], [Stored::Kept, Stored::Found]);
        assert_eq!(bench.names(), set_of([bench.name(1), KEY_FILE.to_string(), stubborn]));
    }

    /// Another program prunes the same folder.
    #[test]
    fn what_is_gone_is_compiled_again() {
        let bench = Bench::new();
        assert_eq!(bench.compiled(1), Stored::Kept);
        fs::remove_file(bench.folder.path().join(bench.name(1))).expect("it was there");
        bench.cache.note_use(&bench.name(1));
        assert!(!bench.names().contains(&bench.name(1)), "nothing is made where nothing is");
        assert_eq!([bench.compiled(1), bench.compiled(1)], [Stored::Kept, Stored::Found]);
    }
}
