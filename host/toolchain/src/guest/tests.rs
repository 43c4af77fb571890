//! Small guests without dependencies, built by this machine's own compiler for guests.

use super::{Built, GuestSource, Toolchain};
use crate::error::{Step, ToolchainError};
use crate::{cache_folder, component, find};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const WIT: &str = "package tillhold:proof@0.1.0; world proof { export answer: func() -> u32; }";

/// The library of a guest that keeps the contract, up to what a case adds.
const ANSWER: &str = "
#[unsafe(link_section = \"component-type:proof\")]
pub static CONTRACT: [u8; include_bytes!(\"contract\").len()] = *include_bytes!(\"contract\");

#[unsafe(no_mangle)]
pub extern \"C\" fn answer() -> u32 { QUESTION }
";

struct Case {
    story: &'static str,
    crate_type: &'static str,
    library: String,
    /// The error's code and a part of its text; none when a component comes out.
    error: Option<(&'static str, &'static str)>,
}

fn cases() -> [Case; 5] {
    let answer = |question: &str| ANSWER.replace("QUESTION", question);
    let outside =
        "#[link(wasm_import_module = \"env\")] unsafe extern \"C\" { fn now() -> u32; }\n";
    let case = |story, crate_type, library, error| Case { story, crate_type, library, error };
    [
        case("a plugin", "cdylib", answer("42"), None),
        case(
            "a mistake in it",
            "cdylib",
            answer("\"42\""),
            Some(("guest-build", "expected `u32`, found `&str`")),
        ),
        case("not a dynamic library", "rlib", answer("42"), Some(("guest-module", "proof"))),
        case(
            "no contract",
            "cdylib",
            "#[unsafe(no_mangle)] pub extern \"C\" fn answer() -> u32 { 42 }".to_owned(),
            Some(("guest-contract", "proof")),
        ),
        case(
            "an import from outside the contract",
            "cdylib",
            outside.to_owned() + &answer("unsafe { now() }"),
            Some(("guest-component", "now")),
        ),
    ]
}

#[test]
fn a_guest_becomes_a_component_or_its_author_reads_why_not() {
    let target = tempfile::tempdir().expect("a target folder for all cases");
    for case in cases() {
        let guest = guest(&case);
        let built = build(&GuestSource::new(guest.path(), "proof"), target.path());
        match (built, case.error) {
            (Ok(built), None) => assert_is_component(&built),
            (Err(error), Some((code, part))) => {
                assert_eq!(error.code(), code, "{}: {error}", case.story);
                assert!(error.to_string().contains(part), "{}: {error}", case.story);
                assert!(error.hint().is_some(), "{}", case.story);
            }
            (built, _) => panic!("{}: {built:?}", case.story),
        }
    }
}

/// Cargo tells a test its package's folder; the same way it would tell the guest the host's flags.
#[test]
fn the_cargo_around_us_says_nothing_to_the_guests_build() {
    let toolchain =
        Toolchain { cargo: "cargo".into(), rustc: "rustc".into(), step: Step::Installed };
    let command = toolchain.command(&GuestSource::new("guest", "proof"), Path::new("target"));
    let settings: Vec<_> = command.get_envs().collect();
    for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        assert!(std::env::var_os(name).is_some(), "cargo sets {name}");
        assert!(settings.contains(&(name.as_ref(), None)), "{name} is handed on");
    }
    assert!(settings.contains(&("RUSTC".as_ref(), Some("rustc".as_ref()))));
}

#[test]
fn a_folder_without_a_crate_is_named() {
    let folder = tempfile::tempdir().expect("an empty folder");
    let error = build(&GuestSource::new(folder.path(), "proof"), folder.path());
    let error = error.expect_err("nothing is there to build");
    assert_eq!(error.code(), "guest-folder");
    assert!(error.to_string().contains(&folder.path().display().to_string()));
}

/// A build script's output lies in the target folder, and its panics would name that folder.
#[test]
fn the_same_guest_has_the_same_digest_in_every_folder() {
    let library = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));".to_owned()
        + &ANSWER.replace("QUESTION", "made()");
    let case = Case { story: "", crate_type: "cdylib", library, error: None };
    let build_anew = || {
        let (guest, target) = (guest(&case), tempfile::tempdir().expect("a folder of its own"));
        fs::write(guest.path().join("build.rs"), MAKES_A_PANIC).expect("writable");
        build(&GuestSource::new(guest.path(), "proof"), target.path()).expect("it builds")
    };
    let (one, other) = (build_anew(), build_anew());
    assert_eq!(one.digest, other.digest);
    let text = String::from_utf8_lossy(&one.component);
    assert!(text.contains("target/wasm32-unknown-unknown"), "the panic names its place, shortened");
}

const MAKES_A_PANIC: &str = r#"
fn main() {
    let folder = std::env::var("OUT_DIR").unwrap();
    let made = "fn made() -> u32 { std::env::args().next().unwrap().len() as u32 }";
    std::fs::write(format!("{folder}/made.rs"), made).unwrap();
}
"#;

fn build(source: &GuestSource, target: &Path) -> Result<Built, ToolchainError> {
    let cache = cache_folder().expect("a folder for caches");
    find(&cache, &mut |_| {}).expect("a compiler for guests").build(source, target, &mut |_| {})
}

fn guest(case: &Case) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for the guest");
    let manifest = format!(
        "[package]\nname = \"proof\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"{}\"]\n\n[workspace]\n",
        case.crate_type
    );
    fs::create_dir(folder.path().join("src")).expect("writable");
    let files: [(&str, &[u8]); 3] = [
        ("Cargo.toml", manifest.as_bytes()),
        ("src/lib.rs", case.library.as_bytes()),
        ("src/contract", &contract()),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("writable");
    }
    folder
}

/// What wit-bindgen would put into the module.
pub(crate) fn contract() -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("proof.wit", WIT).expect("it parses");
    let world = resolve.select_world(&[package], Some("proof")).expect("it is there");
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::metadata::encode(&resolve, world, encoding, None, false).expect("it encodes")
}

fn assert_is_component(built: &Built) {
    assert_eq!(fs::read(&built.path).expect("it was written"), built.component);
    assert_eq!(built.size, built.component.len());
    assert_eq!(built.digest, component::digest(&built.component));
    let decoded = wit_component::decode(&built.component).expect("a component");
    let worlds = decoded.resolve().worlds.iter();
    let ports: Vec<_> =
        worlds.map(|(_, world)| (world.imports.len(), world.exports.len())).collect();
    assert_eq!(ports, [(0, 1)], "nothing comes in, one function goes out");
}
