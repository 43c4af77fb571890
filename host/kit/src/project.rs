//! `plugin new`: a project that builds, and whose own test and cases pass at once.
//!
//! ```text
//! guest/templates/LANGUAGE, carried in the program --my-plugin becomes NAME, what is not of its kind is left out--> NAME/
//! the language's kit, carried too ------------------------------------------------------> NAME/sdk/ (Python: tillhold_sdk/)
//! ```
//! * The kit is written into the project: it is in no registry, it has no dependencies, and so the project builds
//!   without a network and stays with the version of the contract that it was made for.
//! * Nothing is overwritten: the folder must not be there.

use crate::KitError;
use crate::schema::{Schema, schema_text};
use std::fs;
use std::path::{Path, PathBuf};
use tillhold_core::table::Table;
use tillhold_toolchain::{Language, World};

#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    pub language: Language,
    pub transforms: bool,
    pub resolves: bool,
    /// A kit for Rust that lies elsewhere, instead of one in the project.
    pub sdk: Option<PathBuf>,
}

/// What the template is called before it has a name.
const UNNAMED: &str = "my-plugin";
/// The table of the template's rules.
const TABLE: &str = "ax.RETAILCUSTTABLE";
const NAME_LETTERS_MAX: usize = 64;

/// Which kind of plugin a file belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    Transform,
    Resolve,
}

/// A language's template: place in its folder, place in the project, kind and text; a test holds the lists against the
/// folders.
type Template = &'static [(&'static str, &'static str, Of, &'static str)];

macro_rules! template {
    ($folder:literal: $($of:ident $path:literal as $place:literal)*) => {
        &[$((
            $path,
            $place,
            Of::$of,
            include_str!(concat!("../../../guest/templates/", $folder, "/", $path)),
        )),*]
    };
}

const RUST: Template = template!["rust":
    All "Cargo.toml" as "Cargo.toml"
    All "README.md" as "README.md"
    Resolve "cases/the-till-knows-the-address/case.toml" as "cases/the-till-knows-the-address/case.toml"
    Resolve "cases/the-till-knows-the-address/conflict.json" as "cases/the-till-knows-the-address/conflict.json"
    Resolve "cases/the-till-knows-the-address/expected.json" as "cases/the-till-knows-the-address/expected.json"
    Transform "cases/tidies-addresses/case.toml" as "cases/tidies-addresses/case.toml"
    Transform "cases/tidies-addresses/expected.csv" as "cases/tidies-addresses/expected.csv"
    Transform "cases/tidies-addresses/input.csv" as "cases/tidies-addresses/input.csv"
    All "gitignore" as ".gitignore"
    All "src/lib.rs" as "src/lib.rs"
    Resolve "src/resolve.rs" as "src/resolve.rs"
    Transform "src/transform.rs" as "src/transform.rs"
];

const PYTHON: Template = template!["python":
    All "README.md" as "README.md"
    All "gitignore" as ".gitignore"
    All "plugin.py" as "plugin.py"
    All "pyproject.toml" as "pyproject.toml"
    Resolve "resolve.py" as "resolve.py"
    Resolve "test_resolve.py" as "test_resolve.py"
    Transform "test_transform.py" as "test_transform.py"
    Transform "transform.py" as "transform.py"
];

const JAVASCRIPT: Template = template!["javascript":
    All "README.md" as "README.md"
    All "gitignore" as ".gitignore"
    All "package.json" as "package.json"
    All "plugin.js" as "plugin.js"
    Resolve "resolve.js" as "resolve.js"
    Resolve "resolve.test.js" as "resolve.test.js"
    Transform "transform.js" as "transform.js"
    Transform "transform.test.js" as "transform.test.js"
];

const C: Template = template!["c":
    All "Makefile" as "Makefile"
    All "README.md" as "README.md"
    All "gitignore" as ".gitignore"
    All "plugin.toml" as "plugin.toml"
    Resolve "src/resolve.c" as "src/resolve.c"
    Transform "src/transform.c" as "src/transform.c"
    Resolve "tests/test_resolve.c" as "tests/test_resolve.c"
    Transform "tests/test_transform.c" as "tests/test_transform.c"
];

/// The template, and of its lines those that only one kind of plugin has.
fn template(language: Language) -> (Template, Vec<(Of, &'static str)>) {
    match language {
        Language::Rust => {
            (RUST, vec![(Of::Resolve, "pub mod resolve;"), (Of::Transform, "pub mod transform;")])
        }
        Language::Python => {
            (PYTHON, vec![(Of::Resolve, "import resolve"), (Of::Transform, "import transform")])
        }
        Language::JavaScript => (
            JAVASCRIPT,
            vec![
                (Of::Resolve, "import \"./resolve.js\";"),
                (Of::Transform, "import \"./transform.js\";"),
            ],
        ),
        // All of its folder `src` is compiled: no file lists the others.
        Language::C => (C, Vec::new()),
    }
}

impl Project {
    /// Into `folder`/NAME; the folder that was made.
    pub fn make(&self, folder: &Path) -> Result<PathBuf, KitError> {
        if self.sdk.is_some() && self.language != Language::Rust {
            return Err(KitError::SdkElsewhere);
        }
        if !is_name(&self.name) {
            return Err(KitError::ProjectName { name: self.name.clone() });
        }
        let root = folder.join(&self.name);
        if root.exists() {
            return Err(KitError::ProjectThere { folder: root });
        }
        for (place, text) in self.files()? {
            write(&root.join(place), &text)?;
        }
        Ok(root)
    }

    fn files(&self) -> Result<Vec<(String, String)>, KitError> {
        let (template, lines) = template(self.language);
        // The cases are the same in all languages, and so they lie in one of the templates.
        let cases = RUST.iter().filter(|(path, ..)| path.starts_with("cases/"));
        let others = template.iter().filter(|(path, ..)| !path.starts_with("cases/"));
        let mut files: Vec<(String, String)> = cases
            .chain(others)
            .filter(|(_, _, of, _)| self.is(*of))
            .map(|(_, place, _, text)| (place.to_string(), self.text(place, text, &lines)))
            .collect();
        let table = Table::clone(Schema::published()?.find(TABLE)?);
        files.push(("schema.json".to_string(), schema_text(&[table])));
        if self.sdk.is_none() {
            let folder = self.language.kit_folder();
            let kit = self.language.kit().into_iter();
            files.extend(kit.map(|(path, text)| (format!("{folder}/{path}"), text.to_string())));
        }
        Ok(files)
    }

    fn is(&self, of: Of) -> bool {
        match of {
            Of::All => true,
            Of::Transform => self.transforms,
            Of::Resolve => self.resolves,
        }
    }

    fn text(&self, place: &str, text: &str, lines: &[(Of, &str)]) -> String {
        let text = text.replace(UNNAMED, &self.name).replace("\"both\"", &self.world());
        let is_left_out =
            |line: &str| lines.iter().any(|(of, of_kind)| line == *of_kind && !self.is(*of));
        let text: String = text
            .lines()
            .filter(|line| !is_left_out(line))
            .map(|line| format!("{line}\n"))
            .collect();
        match (place, &self.sdk) {
            ("Cargo.toml", Some(sdk)) => {
                let path = toml::Value::from(sdk.display().to_string()).to_string();
                text.replace("path = \"sdk\"", &format!("path = {path}"))
            }
            _ => text,
        }
    }

    fn world(&self) -> String {
        let world = match (self.transforms, self.resolves) {
            (true, false) => World::Transformer,
            (false, true) => World::Resolver,
            _ => World::Both,
        };
        format!("\"{}\"", world.name())
    }
}

/// What cargo takes for a package and a register for a plugin.
fn is_name(name: &str) -> bool {
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(plain)
        && name.len() <= NAME_LETTERS_MAX
        && !name.ends_with('-')
        && name != "tillhold-sdk"
}

fn write(file: &Path, text: &str) -> Result<(), KitError> {
    let unwritten = |cause| KitError::File { path: file.to_path_buf(), done: "written", cause };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(unwritten)?;
    }
    fs::write(file, text).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::{C, JAVASCRIPT, Language, Of, PYTHON, Project, RUST, is_name};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => walk(root, &path, files),
                false => {
                    let name = path.strip_prefix(root).expect("below the root");
                    files.push(name.to_str().expect("our names are text").replace('\\', "/"));
                }
            }
        }
        files.sort();
    }

    fn project(transforms: bool, resolves: bool, sdk: Option<PathBuf>) -> Project {
        let language = Language::Rust;
        Project { name: "price-rules".to_string(), language, transforms, resolves, sdk }
    }

    #[test]
    fn the_templates_are_the_folders() {
        for (folder, template) in
            [("rust", RUST), ("python", PYTHON), ("javascript", JAVASCRIPT), ("c", C)]
        {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/templates");
            let root = root.join(folder);
            let mut there = Vec::new();
            walk(&root, &root, &mut there);
            let listed: Vec<&str> = template.iter().map(|(path, ..)| *path).collect();
            assert_eq!(listed, there, "{folder}");
            assert!(template.iter().any(|(.., of, _)| *of == Of::Transform));
        }
    }

    #[test]
    fn a_project_in_any_language_has_its_name_its_kind_and_the_contract() {
        for (language, manifest, contract) in [
            (Language::Python, "pyproject.toml", "tillhold_sdk/wit/types.wit"),
            (Language::JavaScript, "package.json", "sdk/wit/types.wit"),
            (Language::C, "plugin.toml", "sdk/wit/types.wit"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let wanted = Project { language, ..project(true, false, None) };
            let root = wanted.make(folder.path()).expect("a project");
            let text = |file: &str| fs::read_to_string(root.join(file)).expect("a file");
            assert!(text(manifest).contains("price-rules"), "{language:?}");
            assert!(text(manifest).contains("\"transformer\""), "{language:?}");
            assert!(text(contract).starts_with("/// The contract between"), "{language:?}");
            assert!(root.join("cases/tidies-addresses/input.csv").is_file(), "{language:?}");
            assert!(!root.join("cases/the-till-knows-the-address").exists(), "{language:?}");
            let mut files = Vec::new();
            walk(&root, &root, &mut files);
            let own = |file: &&String| !file.starts_with(language.kit_folder());
            for file in files.iter().filter(own) {
                assert!(!file.contains("resolve"), "{file}");
                assert!(!text(file).contains("my-plugin"), "{file}");
            }
            let elsewhere = Some(PathBuf::from("/shared"));
            let refused =
                Project { language, name: "b".to_string(), ..project(true, true, elsewhere) };
            assert_eq!(refused.make(folder.path()).expect_err("no").code(), "kit-sdk-elsewhere");
        }
    }

    #[test]
    fn a_project_has_its_name_and_what_is_of_its_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = project(true, false, None).make(folder.path()).expect("a project");
        let text = |file: &str| fs::read_to_string(root.join(file)).expect("a file");
        assert!(text("Cargo.toml").contains("name = \"price-rules\""));
        assert!(text("src/lib.rs").contains("pub mod transform;\n"));
        assert!(!text("src/lib.rs").contains("pub mod resolve;"));
        assert!(text("schema.json").contains("\"RECEIPTEMAIL\", \"nvarchar(80)\", \"not null\""));
        assert!(text("sdk/Cargo.toml").contains("name = \"tillhold-sdk\""));
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        assert!(files.iter().all(|file| !text(file).contains("my-plugin")), "{files:?}");
        assert!(files.iter().all(|file| !file.contains("resolve.rs") || file.starts_with("sdk/")));
        let error = project(true, true, None).make(folder.path()).expect_err("it is there");
        assert_eq!(error.code(), "kit-project-there");
    }

    #[test]
    fn a_kit_that_lies_elsewhere_is_named_and_not_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = Some(PathBuf::from("/shared/a \"kit\""));
        let root = project(false, true, elsewhere).make(folder.path()).expect("a project");
        let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let path = manifest["dependencies"]["tillhold-sdk"]["path"].as_str();
        assert_eq!(path, Some("/shared/a \"kit\""));
        assert!(!root.join("sdk").exists() && root.join("src/resolve.rs").exists());
    }

    #[test]
    fn names_are_what_cargo_and_a_register_take() {
        for (name, fine) in [
            ("price-rules", true),
            ("a2", true),
            ("", false),
            ("2a", false),
            ("Price", false),
            ("a_b", false),
            ("a-", false),
            ("../a", false),
            ("tillhold-sdk", false),
        ] {
            assert_eq!(is_name(name), fine, "{name}");
        }
        assert!(!is_name(&"a".repeat(65)));
    }
}
