//! A plugin's project in any of the languages, and its build.
//!
//! ```text
//! Project { language, name, world } --the language's own builder--> component --> build/NAME.wasm, Built
//! ```
//! * Each builder finds its tools on this machine or keeps them, pinned, in the cache folder.
//! * What was built from the same files by the same tool is taken as it is: a case that changed costs no build.
//! * The component is written aside and renamed: a reader sees the old one or the new one.

use crate::c;
use crate::component;
use crate::error::ToolchainError;
use crate::find::Finder;
use crate::guest::{Built, GuestSource};
use crate::javascript;
use crate::language::{Language, World};
use crate::progress::{Listener, Progress};
use crate::python;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub folder: PathBuf,
    pub name: String,
    pub language: Language,
    pub world: World,
}

impl Project {
    pub fn build(&self, cache: &Path, listener: Listener<'_>) -> Result<Built, ToolchainError> {
        let finder = Finder::new(cache);
        match self.language {
            Language::Rust => {
                let source = GuestSource::new(&self.folder, &self.name);
                finder.find(listener)?.build(&source, &self.folder.join("target"), listener)
            }
            Language::Python => self.build_by(&python::Builder::find(&finder, listener)?, listener),
            Language::JavaScript => {
                self.build_by(&javascript::Builder::find(&finder, listener)?, listener)
            }
            Language::C => self.build_by(&c::Builder::find(&finder, listener)?, listener),
        }
    }

    /// Where what is made of the project lies; in no one's version control.
    pub(crate) fn build_folder(&self) -> PathBuf {
        self.folder.join("build")
    }

    pub(crate) fn kit_folder(&self) -> PathBuf {
        self.folder.join(self.language.kit_folder())
    }

    fn build_by(
        &self,
        builder: &dyn Builds,
        listener: Listener<'_>,
    ) -> Result<Built, ToolchainError> {
        let folder = self.build_folder();
        let path = folder.join(format!("{}.wasm", self.name));
        let note = path.with_extension("built-from");
        let from = self.fingerprint(builder)?;
        if let Some(built) = kept(&path, &note, &from) {
            return Ok(built);
        }
        let what = format!("the plugin {}", self.name);
        listener(Progress::Begin { what: what.clone(), usual: builder.usual() });
        fs::create_dir_all(&folder).map_err(ToolchainError::io("make", &folder))?;
        let component = builder.component(self, listener)?;
        component::write(&path, &component)?;
        let built = Built::new(component, path);
        let text = format!("{from} {}", built.digest);
        fs::write(&note, text).map_err(ToolchainError::io("write", &note))?;
        listener(Progress::End { what });
        Ok(built)
    }

    /// Of the tool, the world and every source file in the project.
    fn fingerprint(&self, builder: &dyn Builds) -> Result<String, ToolchainError> {
        let mut files = Vec::new();
        sources(&self.folder, builder.endings(), &mut files)?;
        files.sort();
        let mut all = Sha256::new();
        all.update(format!("{}\n{}\n", builder.tool(), self.world.name()));
        for file in files {
            let text = fs::read(&file).map_err(ToolchainError::io("read", &file))?;
            let place = file.strip_prefix(&self.folder).unwrap_or(&file);
            all.update(format!("{} {}\n", place.display(), text.len()));
            all.update(text);
        }
        Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What a language's tools do for a project.
pub(crate) trait Builds {
    /// Name and version of what makes the component: another one makes another component.
    fn tool(&self) -> String;
    /// How source files end, the manifest's ending among them.
    fn endings(&self) -> &'static [&'static str];
    fn usual(&self) -> Duration;
    fn component(
        &self,
        project: &Project,
        listener: Listener<'_>,
    ) -> Result<Vec<u8>, ToolchainError>;
}

/// Folders that hold no source.
const PASSED_OVER: [&str; 5] = ["build", "cases", "node_modules", "target", "__pycache__"];

fn sources(
    folder: &Path,
    endings: &[&str],
    files: &mut Vec<PathBuf>,
) -> Result<(), ToolchainError> {
    for entry in fs::read_dir(folder).map_err(ToolchainError::io("read", folder))? {
        let entry = entry.map_err(ToolchainError::io("read", folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !PASSED_OVER.contains(&name.as_ref()) {
                sources(&path, endings, files)?;
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    Ok(())
}

/// What was built before, if it was built from the same and is as it was.
fn kept(path: &Path, note: &Path, from: &str) -> Option<Built> {
    let noted = fs::read_to_string(note).ok()?;
    let built = Built::new(fs::read(path).ok()?, path.to_owned());
    (noted == format!("{from} {}", built.digest)).then_some(built)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Its component is the sources' count.
    struct Counting {
        builds: Cell<u32>,
    }

    impl Builds for Counting {
        fn tool(&self) -> String {
            "counting 1".to_owned()
        }

        fn endings(&self) -> &'static [&'static str] {
            &[".py", ".toml"]
        }

        fn usual(&self) -> Duration {
            Duration::ZERO
        }

        fn component(&self, project: &Project, _: Listener<'_>) -> Result<Vec<u8>, ToolchainError> {
            self.builds.set(self.builds.get() + 1);
            Ok(format!("{} {}", project.name, self.builds.get()).into_bytes())
        }
    }

    #[test]
    fn only_a_changed_source_or_a_damaged_component_is_built_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |place: &str| folder.path().join(place);
        fs::create_dir_all(at("cases/one")).expect("a folder");
        fs::write(at("rule.py"), "a").expect("a file");
        let builder = Counting { builds: Cell::new(0) };
        let mut project = Project {
            folder: folder.path().to_owned(),
            name: "price-rules".to_owned(),
            language: Language::Python,
            world: World::Both,
        };
        let build = |project: &Project| {
            let built = project.build_by(&builder, &mut |_| {}).expect("a component");
            String::from_utf8(built.component).expect("text")
        };
        assert_eq!(build(&project), "price-rules 1");
        fs::write(at("cases/one/case.toml"), "b").expect("a file");
        fs::write(at("notes.txt"), "b").expect("a file");
        assert_eq!(build(&project), "price-rules 1");
        fs::write(at("rule.py"), "b").expect("a file");
        assert_eq!(build(&project), "price-rules 2");
        fs::write(at("build/price-rules.wasm"), "damaged").expect("a file");
        assert_eq!(build(&project), "price-rules 3");
        project.world = World::Resolver;
        assert_eq!(build(&project), "price-rules 4");
    }
}
