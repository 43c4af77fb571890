//! The components that were at work before, kept by digest, and the way back to one of them.
//!
//! * A component is kept when it is put to work: in `plugins-kept/NAME` of the offline folder, so many of each name. Each is
//!   hashed again whenever it is loaded from there.
//! * Its signature is kept with it, and asked anew under the profile's keys of the day: a key that is trusted no more takes
//!   what it signed with it.
//! * The profile stays the authority. A pinned component is taken from the plugins' folder, or from here when another file
//!   lies there: whoever pins the earlier digest has it back.
//! * Without a pin a person goes back. Their word holds against the file that they went back from, over restarts too;
//!   another file is news, and ends it.

use super::{Plugins, roles_in};
use crate::fault::FlowError;
use crate::register::{ScopeRun, ids_of};
use crate::report;
use crate::settings::register_file::RegisterFile;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};
use tillhold_core::limits;
use tillhold_core::profile::{PluginUse, Scope};
use tillhold_core::table::Table;
use tillhold_env::Locked as _;
use tillhold_local::LocalDatabase;
use tillhold_plugin::{ComponentSource, PluginId, PluginSource, digest_of, signature_file};

/// The fact's name in the offline database.
const FACT: &str = "plugins-rolled-back";

/// A person's word, by the plugin's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Of the file that they went back from; empty where none could be read.
    pub from: String,
    pub to: String,
    pub who: String,
    pub why: String,
    pub at_ms: i64,
}

/// Where a register's components are: those that its profile names, and those that were at work.
#[derive(Clone)]
pub struct Folders {
    pub plugins: PathBuf,
    pub kept: PathBuf,
}

impl Folders {
    pub fn of(file: &RegisterFile) -> Folders {
        let (plugins, kept) = (file.plugin_folder.clone(), file.folder.join("plugins-kept"));
        Folders { plugins, kept }
    }

    pub fn places(&self, name: &str) -> Places {
        let file = self.plugins.join(format!("{name}.wasm"));
        Places { folder: self.plugins.clone(), file, kept: self.kept.join(name) }
    }
}

/// Where a plugin's components are.
#[derive(Clone)]
pub struct Places {
    pub folder: PathBuf,
    pub file: PathBuf,
    /// Of this name.
    pub kept: PathBuf,
}

impl Places {
    /// What is loaded for an entry of the profile, and the digest of the file that is passed over for a kept one: empty
    /// where a start found none to be read.
    pub fn choose(&self, of: &PluginUse, back: Option<&WayBack>) -> (PluginSource, Option<String>) {
        let source = |file: PathBuf, digest: Option<String>| PluginSource {
            component: ComponentSource::File(file),
            digest,
            ..super::source(of, &self.folder)
        };
        let there = digest_at(&self.file);
        let wanted = match (of.pinned(), back) {
            (Some(pinned), _) => Some(pinned.to_ascii_lowercase()),
            (None, Some(back)) if there.as_deref().unwrap_or_default() == back.from => {
                Some(back.to.clone())
            }
            (None, _) => None,
        };
        match wanted.filter(|wanted| there.as_ref() != Some(wanted)) {
            Some(wanted) if self.kept_file(&wanted).is_file() => {
                let passed_over = match of.pinned() {
                    Some(_) => there,
                    None => Some(there.unwrap_or_default()),
                };
                (source(self.kept_file(&wanted), Some(wanted)), passed_over)
            }
            _ => (source(self.file.clone(), of.pinned().cloned()), None),
        }
    }

    /// What a start loads for an entry of the profile, when it is not the file that lies in the folder.
    pub fn kept_instead(&self, of: &PluginUse) -> Option<PluginSource> {
        let source = self.choose(of, None).0;
        let is_file =
            matches!(&source.component, ComponentSource::File(file) if *file == self.file);
        (!is_file).then_some(source)
    }

    fn kept_file(&self, digest: &str) -> PathBuf {
        self.kept.join(format!("{}.wasm", digest.trim_start_matches("sha256:")))
    }

    /// Digests, the last at work first.
    fn digests(&self) -> Vec<String> {
        let files = fs::read_dir(&self.kept).into_iter().flatten().flatten();
        let of = |file: fs::DirEntry| {
            let path = file.path();
            let digits = path.file_stem()?.to_str()?.to_string();
            let is_kept = path.extension().is_some_and(|ending| ending == "wasm");
            is_kept.then_some((file.metadata().ok()?.modified().ok()?, format!("sha256:{digits}")))
        };
        let mut all: Vec<(SystemTime, String)> = files.filter_map(of).collect();
        all.sort_by(|one, other| other.cmp(one));
        all.into_iter().map(|(_, digest)| digest).collect()
    }

    /// Keeps what lies in the folder, or notes that it was at work again; the oldest leave.
    fn keep(&self, digest: &str, now_ms: i64) -> io::Result<()> {
        let kept = self.kept_file(digest);
        if !kept.is_file() {
            let bytes = fs::read(&self.file)?;
            // Replaced since it was loaded: it cannot be had any more.
            if digest_of(&bytes) != digest {
                return Ok(());
            }
            fs::create_dir_all(&self.kept)?;
            let aside = kept.with_extension("new");
            fs::write(&aside, bytes)?;
            fs::rename(&aside, &kept)?;
        }
        self.keep_signature(digest, &kept)?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms.unsigned_abs());
        File::options().append(true).open(&kept)?.set_modified(now)?;
        for old in self.digests().iter().skip(limits::PLUGIN_FILES_KEPT) {
            let old = self.kept_file(old);
            fs::remove_file(&old)?;
            match fs::remove_file(signature_file(&old)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The one that lies in the folder, where it lies beside this component: it may have been signed anew since.
    fn keep_signature(&self, digest: &str, kept: &Path) -> io::Result<()> {
        let (there, kept) = (signature_file(&self.file), signature_file(kept));
        // Without one the component was taken unsigned, by a profile without keys.
        let Ok(signature) = fs::read(there) else { return Ok(()) };
        let is_known = fs::read(&kept).is_ok_and(|known| known == signature);
        if is_known || digest_at(&self.file).as_deref() != Some(digest) {
            return Ok(());
        }
        let aside = kept.with_extension("new");
        fs::write(&aside, signature)?;
        fs::rename(&aside, &kept)
    }
}

fn digest_at(file: &Path) -> Option<String> {
    let is_small = fs::metadata(file).ok()?.len() <= limits::PLUGIN_FILE_BYTES_MAX;
    let bytes = is_small.then(|| fs::read(file).ok()).flatten()?;
    Some(digest_of(&bytes))
}

impl Plugins {
    fn ways_back(&self) -> MutexGuard<'_, BTreeMap<String, WayBack>> {
        self.ways_back.locked()
    }

    pub(super) fn places(&self, name: &str) -> Places {
        self.folders.places(name)
    }

    fn stand_ins(&self) -> MutexGuard<'_, BTreeMap<String, WayBack>> {
        self.stand_ins.locked()
    }

    pub(super) fn has_stand_in(&self, name: &str) -> bool {
        self.stand_ins().contains_key(name)
    }

    /// A person's word, else the stand-in of a start.
    pub fn way_back(&self, name: &str) -> Option<WayBack> {
        let said = self.ways_back().get(name).cloned();
        said.or_else(|| self.stand_ins().get(name).cloned())
    }

    /// For a start with what was in force: a component that cannot be used gives way to the one of its name that was at
    /// work last, until another file comes. What cannot be mended so is met by whoever equips the scopes.
    pub async fn stand_in(&self, scopes: &[Scope], tables: &[Arc<Table>]) {
        for scope in scopes {
            let of_scope = |table: &&Arc<Table>| scope.tables.iter().any(|t| t.name == table.name);
            let tables: Vec<Arc<Table>> = tables.iter().filter(of_scope).cloned().collect();
            for (role, plugin) in roles_in(scope) {
                if self.load(plugin, &[role], &tables).await.is_err() {
                    self.call_stand_in(&plugin.name).await;
                }
            }
        }
    }

    async fn call_stand_in(&self, name: &str) {
        let places = self.places(name);
        let find = move || {
            let from = digest_at(&places.file).unwrap_or_default();
            let to = places.digests().into_iter().find(|digest| *digest != from)?;
            Some((from, to))
        };
        let found = self.env.blocking("find plugin", find).await.flatten();
        let Some((from, to)) = found else { return };
        let (who, why) = (String::new(), String::new());
        let at_ms = self.env.clock.wall_ms();
        self.stand_ins().insert(name.to_string(), WayBack { from, to, who, why, at_ms });
    }

    /// What people said before the agent started.
    pub async fn remember(&self, local: &LocalDatabase) -> Result<(), FlowError> {
        let Some(text) = local.fact(FACT).await? else { return Ok(()) };
        let all: Json = serde_json::from_str(&text).unwrap_or_else(|error| {
            let lost = "who went back to which plugin cannot be read, so the plugins' files hold";
            report::line(&self.env, &format!("{lost}: {error}; `tillhold plugin rollback` again"));
            Json::Null
        });
        for (name, one) in all.as_object().into_iter().flatten() {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_string();
            let at_ms = one["at_ms"].as_i64().unwrap_or_default();
            let back = WayBack {
                from: text("from"),
                to: text("to"),
                who: text("who"),
                why: text("why"),
                at_ms,
            };
            self.ways_back().insert(name.clone(), back);
        }
        Ok(())
    }

    /// Keeps what is at work now. A full disk costs the way back, not the sale.
    pub async fn keep(&self, scopes: &[ScopeRun]) {
        let now_ms = self.env.clock.wall_ms();
        let at_work: Vec<PluginId> = ids_of(scopes).cloned().collect();
        let places: Vec<_> = at_work.into_iter().map(|id| (self.places(&id.name), id)).collect();
        let keep = move || {
            let kept = places.iter().map(|(places, id)| (id, places.keep(&id.digest, now_ms)));
            let failed =
                kept.filter_map(|(id, kept)| Some(format!("{id} is not kept: {}", kept.err()?)));
            failed.collect::<Vec<String>>()
        };
        for line in self.env.blocking("keep plugins", keep).await.unwrap_or_default() {
            report::line(&self.env, &line);
        }
    }

    /// Where a person may go back to: `to`, or what was at work last before `now`. `None`: nothing is kept.
    pub async fn find_way_back(
        &self,
        name: &str,
        now: &str,
        to: Option<String>,
    ) -> Option<(String, String)> {
        let (places, now) = (self.places(name), now.to_string());
        let find = move || {
            let from = digest_at(&places.file)?;
            let mut kept = places.digests().into_iter().chain([from.clone()]);
            let to = match to {
                Some(to) => kept.find(|digest| *digest == to)?,
                None => kept.find(|digest| *digest != now)?,
            };
            Some((from, to))
        };
        self.env.blocking("find plugin", find).await.flatten()
    }

    /// A person's word: holds until another file comes, or the profile pins. Back to the file itself, or `None`, takes
    /// it away.
    pub async fn go_back(
        &self,
        local: &LocalDatabase,
        name: &str,
        back: Option<WayBack>,
    ) -> Result<(), FlowError> {
        let told = {
            let mut all = self.ways_back();
            match back.filter(|back| back.from != back.to) {
                Some(back) => drop(all.insert(name.to_string(), back)),
                None => drop(all.remove(name)),
            }
            let told = all.iter().map(|(name, back)| (name.clone(), back.told()));
            Json::Object(told.collect()).to_string()
        };
        Ok(local.set_fact(FACT, &told).await?)
    }

    /// For status: what is kept, and who went back to the one at work.
    pub(super) fn told_of_earlier(&self, plugin: &PluginId) -> (Vec<String>, Json) {
        let said = self.ways_back().get(&plugin.name).cloned();
        let back = said.filter(|back| back.to == plugin.digest);
        let kept = self.places(&plugin.name).digests();
        (kept, back.map_or(Json::Null, |back| back.told()))
    }
}

impl WayBack {
    pub fn told(&self) -> Json {
        let WayBack { from, to, who, why, at_ms } = self;
        json!({ "from": from, "to": to, "who": who, "why": why, "at_ms": at_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, WayBack, digest_of, signature_file};
    use std::fs;
    use std::path::Path;
    use tillhold_core::limits;
    use tillhold_core::profile::{PluginTerms, PluginUse};
    use tillhold_plugin::ComponentSource;

    fn places(folder: &Path) -> Places {
        let (file, kept) = (folder.join("p.wasm"), folder.join("kept"));
        Places { folder: folder.to_path_buf(), file, kept }
    }

    /// What is loaded, by the profile, the file, a person's word and what is kept.
    #[test]
    fn the_profile_decides_and_a_word_holds_against_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(folder.path());
        let [old, new, newer] = [b"old", b"new", b"nwr"].map(|bytes| digest_of(bytes));
        fs::write(&places.file, b"old").expect("a file");
        places.keep(&old, 0).expect("kept");
        let chosen = |there: &[u8], pin: Option<&String>, back: bool| {
            fs::write(&places.file, there).expect("a file");
            let (name, digest, terms) = ("p".to_string(), pin.cloned(), PluginTerms::default());
            let (config, keys) = (String::new(), Vec::new());
            let of = PluginUse { name, digest, config, terms, keys };
            let (from, to) = (new.clone(), old.clone());
            let back = back.then(|| WayBack { from, to, who: "".into(), why: "".into(), at_ms: 0 });
            let (source, passed_over) = places.choose(&of, back.as_ref());
            let ComponentSource::File(file) = source.component else { panic!("no file") };
            (digest_of(&fs::read(file).expect("a component")), passed_over)
        };
        for (there, pin, back, expected, passed_over) in [
            (b"new", None, false, &new, None),
            (b"new", None, true, &old, Some(&new)),
            (b"nwr", None, true, &newer, None),
            (b"old", None, true, &old, None),
            (b"new", Some(&new), true, &new, None),
            (b"new", Some(&old), false, &old, Some(&new)),
            // Not kept: the file that is there is refused by its digest.
            (b"new", Some(&newer), false, &new, None),
        ] {
            let came = chosen(there, pin, back);
            assert_eq!(came, (expected.clone(), passed_over.cloned()), "{there:?} {pin:?} {back}");
        }
    }

    /// A signature that is kept is that of the kept bytes, the newest of them; what leaves takes its own with it.
    #[test]
    fn a_signature_is_kept_with_its_component() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(folder.path());
        let old = digest_of(b"old");
        let lay = |bytes: &[u8], signature: &str| {
            fs::write(&places.file, bytes).expect("a file");
            fs::write(signature_file(&places.file), signature).expect("a signature");
        };
        let kept = || fs::read_to_string(signature_file(&places.kept_file(&old))).ok();
        fs::write(&places.file, b"old").expect("a file");
        places.keep(&old, 0).expect("kept");
        assert_eq!(kept(), None, "there was none");
        for signature in ["by Ann", "by Ben"] {
            lay(b"old", signature);
            places.keep(&old, 1).expect("kept");
            assert_eq!(kept().as_deref(), Some(signature));
        }
        lay(b"new", "of the new one");
        places.keep(&old, 2).expect("at work out of what is kept");
        assert_eq!(kept().as_deref(), Some("by Ben"));
        for version in 0..limits::PLUGIN_FILES_KEPT as u8 {
            lay(&[version], "of another");
            places.keep(&digest_of(&[version]), 10 + i64::from(version)).expect("kept");
        }
        assert_eq!((places.kept_file(&old).exists(), kept()), (false, None));
    }

    #[test]
    fn so_many_are_kept_and_what_was_replaced_meanwhile_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(folder.path());
        let versions = limits::PLUGIN_FILES_KEPT as u8 + 2;
        for version in 0..versions {
            fs::write(&places.file, [version]).expect("a file");
            places.keep(&digest_of(&[version]), version.into()).expect("kept");
        }
        let last = (0..versions).rev().take(limits::PLUGIN_FILES_KEPT);
        assert_eq!(places.digests(), last.map(|version| digest_of(&[version])).collect::<Vec<_>>());
        places.keep(&digest_of(b"loaded, then replaced"), 0).expect("nothing to keep");
        assert_eq!(places.digests().len(), limits::PLUGIN_FILES_KEPT);
    }
}
