//! docs/first-plugin.md, walked from its first line to its last: the page cannot say what does not happen.
//!
//! ```text
//! ```console        $ command, `> ` goes on with it; below it what it prints, `…` for what differs or is left out
//! ```rust PLACE     a file that the reader writes; of profile.toml one scope
//! ```
//! The demonstration's shop is a smaller one, made of the same parts.

use crate::door::{READ_ONLY, ask, token};
use crate::harness::{PROGRAM, Stage, proof};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tillhold_toolchain::{Finder, cache_folder};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/first-plugin.md");
/// Between the outputs of two commands.
const MARK: &str = "@@ the next command";

enum Block<'p> {
    Console(Vec<Step<'p>>),
    File { place: &'p str, text: String },
}

struct Step<'p> {
    command: String,
    prints: Vec<&'p str>,
}

/// Where a reader sits.
struct Desk {
    folder: TempDir,
    here: PathBuf,
    /// What `tillhold plugin build` said last.
    digest: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.split_once(' ') {
            Some((_, place)) => {
                let text = body.iter().map(|line| format!("{line}\n")).collect();
                blocks.push(Block::File { place, text });
            }
            None if info == "console" => blocks.push(Block::Console(steps(&body))),
            None => panic!("a block of the page that nobody reads: {info}"),
        }
    }
    blocks
}

fn steps<'p>(body: &[&'p str]) -> Vec<Step<'p>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in body {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_string(), prints: Vec::new() });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        match line.strip_prefix("> ") {
            Some(more) if step.prints.is_empty() => step.command += &format!("\n{more}"),
            _ => step.prints.push(line),
        }
    }
    steps
}

impl Desk {
    fn beside(shop: &Path) -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().canonicalize().expect("a folder");
        std::os::unix::fs::symlink(shop, here.join("shop")).expect("the shop beside");
        fs::create_dir(here.join("bin")).expect("a folder");
        std::os::unix::fs::symlink(PROGRAM, here.join("bin/tillhold")).expect("the program");
        Desk { folder, here, digest: String::new() }
    }

    fn write(&self, place: &str, text: &str) {
        let file = self.here.join(place);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        let text = text.replace("sha256:…", &self.digest);
        let text = match place.ends_with("profile.toml") {
            true => with_scope(&fs::read_to_string(&file).expect("the profile"), &text),
            false => text,
        };
        fs::write(file, text).expect("a file of the page");
    }

    /// All commands of a block in one shell, each held against what the page says that it prints.
    fn walk(&mut self, steps: &[Step]) {
        let mut script = "exec 2>&1\n".to_string();
        for step in steps {
            script += &format!("{}\necho \"{MARK} $?\"\n", step.command);
        }
        script += &format!("pwd > '{}'\n", self.folder.path().join("here").display());
        let run = self.shell(&script);
        // `--nocapture` is how the page gets what it shows.
        println!("{run}");
        let mut rest = run.as_str();
        for step in steps {
            let (printed, after) = rest.split_once(MARK).unwrap_or_else(|| panic!("{run}"));
            let (status, after) = after.split_once('\n').expect("a line");
            rest = after;
            let printed: Vec<&str> = printed.lines().collect();
            assert!(
                status == " 0" && is_alike(&step.prints, &printed),
                "$ {}\nprints, with status{status}:\n{}\nand the page says:\n{}",
                step.command,
                printed.join("\n"),
                step.prints.join("\n"),
            );
            let built = printed.iter().find_map(|line| line.split_once("\tsha256:"));
            if let Some((_, digits)) = built {
                self.digest = format!("sha256:{digits}");
            }
        }
        let here = fs::read_to_string(self.folder.path().join("here")).expect("a place");
        self.here = PathBuf::from(here.trim_end());
    }

    fn shell(&self, script: &str) -> String {
        let finder = Finder::new(&cache_folder().expect("a cache folder"));
        let cargo = finder.machine.cargo.expect("cargo is on this machine");
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.folder.path().join("bin");
        let cargo = cargo.parent().expect("a folder").display().to_string();
        let mut command = Command::new("/bin/sh");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("CARGO") && name != "CARGO_HOME" || name.starts_with("RUSTFLAGS") {
                command.env_remove(name);
            }
        }
        command.env("PATH", format!("{}:{cargo}:{path}", bin.display()));
        command.env("LC_ALL", "C").env("NO_COLOR", "1").env("CARGO_TERM_COLOR", "never");
        command.args(["-c", script]).current_dir(&self.here).stdin(Stdio::null());
        let output = command.output().expect("a shell");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The profile with one scope in the place of the one of the same name.
fn with_scope(profile: &str, scope: &str) -> String {
    const HEAD: &str = "[[scope]]\n";
    let name = scope.lines().nth(1).expect("a scope begins with its name");
    let is_it = |part: &&str| part.lines().next() == Some(name);
    let parts: Vec<&str> = profile.split(HEAD).collect();
    assert_eq!(parts.iter().filter(|part| is_it(part)).count(), 1, "{name} of {profile}");
    let now = scope.strip_prefix(HEAD).expect("a scope").to_string() + "\n";
    let parts: Vec<&str> =
        parts.iter().map(|part| if is_it(part) { &now } else { *part }).collect();
    parts.join(HEAD)
}

/// `…` alone on a line stands for any lines, within a line for any letters.
fn is_alike(page: &[&str], printed: &[&str]) -> bool {
    match page {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|at| is_alike(rest, &printed[at..])),
        [line, rest @ ..] => printed
            .split_first()
            .is_some_and(|(first, after)| is_line_alike(line, first) && is_alike(rest, after)),
    }
}

fn is_line_alike(page: &str, printed: &str) -> bool {
    let mut parts = page.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        is_open = true;
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || is_open && page.ends_with('…')
}

#[test]
fn what_differs_is_seen() {
    for (page, printed, expected) in [
        ("a\nb", "a\nb", true),
        ("a\n…\nb", "a\nb", true),
        ("a\n…\nb", "a\n1\n2\nb", true),
        ("a\n…\nb", "a\n1\nb\nc", false),
        ("a … c", "a b c", true),
        ("a … c", "a b c d", false),
        ("a…", "a b", true),
        ("a", "a b", false),
        ("a\nb", "a", false),
        ("…", "", true),
    ] {
        let (page, printed): (Vec<&str>, Vec<&str>) =
            (page.lines().collect(), printed.lines().collect());
        assert_eq!(is_alike(&page, &printed), expected, "{page:?} {printed:?}");
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

#[test]
fn the_page_is_walked_from_nothing_to_a_plugin_at_work() {
    proof(async {
        let mut stage = Stage::prepared_whole(20, |profile| profile).await;
        stage.start().await;
        let shop = stage.rehearsal.folder().parent().expect("the shop's folder").to_path_buf();
        let mut desk = Desk::beside(&shop);
        let mut walked = 0;
        let page = fs::read_to_string(PAGE).expect("the page");
        for block in blocks(&page) {
            let steps = match block {
                Block::File { place, text } => {
                    desk.write(place, &text);
                    continue;
                }
                Block::Console(steps) => steps,
            };
            let asks_for = |what: &str| steps.iter().any(|step| step.command.contains(what));
            // The shop is there; the front door is asked below too, where there is no curl.
            if asks_for("tillhold demo") || asks_for("curl ") && !is_there("curl") {
                continue;
            }
            tokio::task::block_in_place(|| desk.walk(&steps));
            walked += steps.len();
        }
        assert!(walked > 18, "only {walked} commands were walked");
        let question = "GET /v1/tables/ax.CUSTTABLE/rows?limit=1000";
        let answer = ask(&stage, question, &token(&stage, READ_ONLY)).await;
        let rows: Json = serde_json::from_str(&answer.text).expect("JSON");
        let rows = rows["rows"].as_array().expect("rows");
        let credit = |row: &Json| row["CREDITMAX"].as_str().and_then(|text| text.parse().ok());
        let credits: Vec<f64> = rows.iter().filter_map(credit).collect();
        assert_eq!(credits.iter().copied().reduce(f64::max), Some(500.0), "{credits:?}");
        stage.rehearsal.close().await.expect("an end");
    });
}
