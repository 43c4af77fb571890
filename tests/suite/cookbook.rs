//! The cookbook: every recipe builds, and every case of it passes in the very sandbox of a register.
//!
//! * What is proven is the folder as it is copied: its code, its schema file, its cases.
//! * docs/cookbook.md names each recipe, and none that is not there.

mod at_work;

use crate::harness::PROGRAM;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tillhold_env::Env;
use tillhold_kit::{Component, End, Ended, Paint, Sandbox, Schema, Trial};
use tillhold_plugin::Beside;
use tillhold_toolchain::{GuestSource, Toolchain, cache_folder, find};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The two that ship are recipes too.
const SHIPPED: [&str; 2] = ["store-customers", "customer-merge"];
/// A column that retailers add themselves: there is a recipe for it, and Microsoft never published it.
const OF_RETAILERS: (&str, &str) = ("ax.RETAILLOYALTYCARD", "POINTSBALANCE");

struct Recipe {
    name: String,
    folder: PathBuf,
}

fn recipes() -> Vec<Recipe> {
    let guests = Path::new(ROOT).join("guest").canonicalize().expect("the guests");
    let recipe = |folder: PathBuf| {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        Recipe { name, folder }
    };
    let cookbook = fs::read_dir(guests.join("cookbook")).expect("the cookbook");
    let cookbook = cookbook.map(|entry| entry.expect("an entry").path());
    let folders = cookbook.filter(|path| path.join("Cargo.toml").is_file());
    let mut all: Vec<Recipe> = folders.map(recipe).collect();
    all.extend(SHIPPED.iter().map(|name| recipe(guests.join(name))));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all.len(), 10);
    all
}

/// All into one folder, the one of the other guests: the kit is compiled once.
fn built(toolchain: &Toolchain, recipe: &Recipe) -> Component {
    let test = std::env::current_exe().expect("a test knows its own file");
    let target = test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("guests");
    let source = GuestSource::new(&recipe.folder, &recipe.name);
    let built = toolchain.build(&source, &target, &mut |_| {});
    let built = built.unwrap_or_else(|error| panic!("{}: {error}", recipe.name));
    let (name, wasm) = (recipe.name.clone(), built.component);
    Component { name, wasm, signature: Beside::Nothing }
}

fn failure(recipe: &Recipe, ended: &Ended) -> Option<String> {
    let why = match &ended.end {
        End::Passed => return None,
        End::Blessed => "written".to_string(),
        End::Failed(all) => all.iter().map(|one| one.told(Paint(false))).collect(),
        End::Broken(error) => error.to_string(),
    };
    Some(format!("{} {}:\n{why}", recipe.name, ended.name))
}

#[test]
fn every_recipe_builds_and_every_case_of_it_passes() {
    let toolchain = find(&cache_folder().expect("a cache folder"), &mut |_| {});
    let toolchain = toolchain.expect("a compiler for guests");
    let sandbox = Sandbox::open(&Env::real()).expect("the sandbox");
    let (mut failures, mut cases) = (Vec::new(), 0);
    for recipe in recipes() {
        let component = built(&toolchain, &recipe);
        let schema = Schema::open(&recipe.folder.join("schema.json")).expect("a schema file");
        let trial =
            Trial { sandbox: &sandbox, component: &component, schema: &schema, bless: false };
        let all = trial.run(&recipe.folder.join("cases"), |_| {}).expect("cases");
        cases += all.len();
        failures.extend(all.iter().filter_map(|ended| failure(&recipe, ended)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases >= 72, "only {cases} cases ran");
}

/// A rule for the way down is told what comes up; a resolver, rows that one side no longer has.
#[test]
fn every_recipe_is_asked_about_the_other_flow() {
    for recipe in recipes() {
        let mut texts = String::new();
        for case in fs::read_dir(recipe.folder.join("cases")).expect("cases") {
            let case = case.expect("an entry").path();
            for file in ["case.toml", "conflict.json"] {
                texts += &fs::read_to_string(case.join(file)).unwrap_or_default();
            }
        }
        let resolves = texts.contains("\"base\"");
        let asked = match resolves {
            true => texts.contains("\"channel\": null") && texts.contains("\"offline\": null"),
            false => texts.contains("flow = \"push\""),
        };
        assert!(asked, "{} has no such case", recipe.name);
    }
}

#[test]
fn the_tables_of_the_recipes_are_the_published_ones() {
    let published = Schema::published().expect("the published schema");
    for recipe in recipes() {
        let own = Schema::open(&recipe.folder.join("schema.json")).expect("a schema file");
        for table in &own.tables {
            let name = table.name.to_string();
            let known = published.find(&name).expect("a published table");
            let mut columns = table.columns.clone();
            columns.retain(|column| (name.as_str(), column.name.as_str()) != OF_RETAILERS);
            assert_eq!(columns, known.columns, "{name} of {}", recipe.name);
        }
    }
}

#[test]
fn the_cookbook_names_every_recipe() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/cookbook.md")).expect("the page");
    let guests = Path::new(ROOT).join("guest");
    let links = page.split("](../guest/").skip(1).filter_map(|rest| rest.split_once(')'));
    let linked: BTreeSet<&str> = links.map(|(place, _)| place).collect();
    for recipe in recipes() {
        let place = match SHIPPED.contains(&recipe.name.as_str()) {
            true => recipe.name.clone(),
            false => format!("cookbook/{}", recipe.name),
        };
        assert!(linked.contains(place.as_str()), "docs/cookbook.md does not link {place}");
        assert!(page.contains(&format!("## {}", recipe.name)), "no section on {}", recipe.name);
    }
    for place in linked {
        assert!(guests.join(place).exists(), "docs/cookbook.md links {place}");
    }
}

/// As docs/cookbook.md says that a recipe becomes one's own.
#[test]
fn a_recipe_that_is_copied_out_is_a_project() {
    let desk = tempfile::tempdir().expect("a folder");
    let tillhold = |words: &[&str]| {
        let run = Command::new(PROGRAM).args(words).current_dir(desk.path()).output();
        let run = run.expect("a run of the program");
        let told = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(run.status.success(), "{}{}", told[0], told[1]);
        told[0].clone()
    };
    tillhold(&["plugin", "new", "our-zones"]);
    let recipe = Path::new(ROOT).join("guest/cookbook/price-zones");
    let own = desk.path().join("our-zones");
    for part in ["src", "cases"] {
        fs::remove_dir_all(own.join(part)).expect("the template's own");
        copy(&recipe.join(part), &own.join(part));
    }
    fs::copy(recipe.join("schema.json"), own.join("schema.json")).expect("a schema file");
    let tested = tillhold(&["plugin", "test", "our-zones"]);
    assert!(tested.contains("6 cases: 6 passed, 0 failed\n"), "{tested}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of the recipe") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
