//! What a folder's manifest says of the plugin in it: its language, its name, its world.
//!
//! | manifest | language | name | world |
//! |---|---|---|---|
//! | Cargo.toml | Rust | `[package] name` | the macros that it calls |
//! | pyproject.toml | Python | `[project] name` | `[tool.tillhold] world` |
//! | package.json | JavaScript | `name` | `world` of `tillhold` |
//! | plugin.toml | C | `name` | `world` |

use crate::settings::reader::{Mistake, Mistakes, Source};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use tillhold_toolchain::{Language, Project, ToolchainError, World};

/// In this order: the first that is there says what the project is.
const MANIFESTS: [(&str, Language); 4] = [
    ("Cargo.toml", Language::Rust),
    ("pyproject.toml", Language::Python),
    ("package.json", Language::JavaScript),
    ("plugin.toml", Language::C),
];

pub fn is_project(folder: &Path) -> bool {
    MANIFESTS.iter().any(|(name, _)| folder.join(name).is_file())
}

/// As the person named the folder.
pub fn check_project(folder: &Path) -> Result<(), ToolchainError> {
    match is_project(folder) {
        true => Ok(()),
        false => {
            Err(ToolchainError::NoProject { folder: folder.to_path_buf(), manifests: names() })
        }
    }
}

fn names() -> String {
    MANIFESTS.map(|(name, _)| name).join(", ")
}

pub fn project(folder: &Path) -> Result<Project, Mistakes> {
    let there = MANIFESTS.iter().find(|(name, _)| folder.join(name).is_file());
    let Some((name, language)) = there else {
        let message = format!("is no plugin's project: it has none of {}", names());
        return Err(mistake(folder, message));
    };
    let manifest = Manifest::read(folder.join(name))?;
    let (name, world) = match language {
        Language::Rust => (manifest.text(&["package", "name"])?, World::Both),
        Language::Python => {
            (manifest.text(&["project", "name"])?, manifest.world(&["tool", "tillhold", "world"])?)
        }
        Language::JavaScript => {
            (manifest.text(&["name"])?, manifest.world(&["tillhold", "world"])?)
        }
        Language::C => (manifest.text(&["name"])?, manifest.world(&["world"])?),
    };
    Ok(Project { folder: folder.to_path_buf(), name, language: *language, world })
}

struct Manifest {
    file: PathBuf,
    /// As JSON, whatever the manifest is written in.
    values: Json,
}

impl Manifest {
    fn read(file: PathBuf) -> Result<Manifest, Mistakes> {
        let source = Source::read(&file)?;
        let unread = |reason: String| mistake(&file, reason);
        let values = if file.extension().is_some_and(|ending| ending == "json") {
            serde_json::from_str(source.text()).map_err(|error| unread(error.to_string()))?
        } else {
            toml::from_str(source.text()).map_err(|error| unread(error.message().to_string()))?
        };
        Ok(Manifest { file, values })
    }

    fn text(&self, place: &[&str]) -> Result<String, Mistakes> {
        let value = place.iter().try_fold(&self.values, |table, name| table.get(name));
        let text = value.and_then(Json::as_str).map(str::to_string);
        text.ok_or_else(|| {
            let (name, tables) = place.split_last().expect("a place has a name");
            let table = match tables {
                [] => String::new(),
                tables => format!("[{}] ", tables.join(".")),
            };
            mistake(&self.file, format!("says no {table}{name}: give a plugin's own project"))
        })
    }

    fn world(&self, place: &[&str]) -> Result<World, Mistakes> {
        let name = self.text(place)?;
        let known = World::ALL.map(World::name).join(", ");
        World::named(&name)
            .ok_or_else(|| mistake(&self.file, format!("world = \"{name}\": there are {known}")))
    }
}

fn mistake(file: &Path, message: String) -> Mistakes {
    Mistakes(vec![Mistake { file: file.to_path_buf(), line: None, message }])
}

#[cfg(test)]
mod tests {
    use super::{Language, World, project};

    #[track_caller]
    fn check(file: &str, text: &str, expected: Result<(Language, World), &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(file), text).expect("a manifest");
        match (project(folder.path()), expected) {
            (Ok(project), Ok(expected)) => {
                assert_eq!(project.name, "price-rules");
                assert_eq!((project.language, project.world), expected);
            }
            (Err(mistakes), Err(part)) => {
                assert!(mistakes.to_string().contains(part), "{mistakes}");
            }
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_manifest_says_what_the_project_is() {
        let rust = "[package]\nname = \"price-rules\"\n";
        check("Cargo.toml", rust, Ok((Language::Rust, World::Both)));
        check("Cargo.toml", "[workspace]\n", Err("says no [package] name"));
        let python = "[project]\nname = \"price-rules\"\n[tool.tillhold]\nworld = \"resolver\"\n";
        check("pyproject.toml", python, Ok((Language::Python, World::Resolver)));
        let wrong = python.replace("resolver", "resolve");
        check("pyproject.toml", &wrong, Err("there are transformer, resolver, both"));
        check("pyproject.toml", "[project", Err("pyproject.toml"));
        let javascript = "{\"name\": \"price-rules\", \"tillhold\": {\"world\": \"both\"}}";
        check("package.json", javascript, Ok((Language::JavaScript, World::Both)));
        check("package.json", "{\"name\": \"price-rules\"}", Err("says no [tillhold] world"));
        check("package.json", "{", Err("package.json"));
        let c = "name = \"price-rules\"\nworld = \"transformer\"\n";
        check("plugin.toml", c, Ok((Language::C, World::Transformer)));
        check("plugin.toml", "name = \"price-rules\"\n", Err("says no world"));
        check("setup.py", "", Err("none of Cargo.toml, pyproject.toml"));
    }
}
