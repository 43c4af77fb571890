//! The author's commands through the program, in folders where there is no register: new, build, check, test, run.

use crate::harness::PROGRAM;
use serde_json::Value as Json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tillhold_toolchain::{Finder, cache_folder, shipped};

/// An author's folder.
struct Desk {
    folder: TempDir,
}

/// What a run of the program gave.
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().expect("a folder") }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    fn tillhold(&self, words: &[&str]) -> Ran {
        self.piped(words, "")
    }

    fn piped(&self, words: &[&str], stdin: &str) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(words).current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a run of the program");
        let mut pipe = child.stdin.take().expect("its stdin");
        // One that does not read its stdin has closed it by now.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("its output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            status: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// With a plugin that ships, built, and the schema of its tables.
    fn with_plugin() -> Desk {
        let desk = Desk::new();
        let cache = cache_folder().expect("a cache folder");
        let built = shipped("store-customers", &cache, &mut |_| {}).expect("a plugin");
        std::fs::write(desk.at("rule.wasm"), &built.component).expect("a component");
        let tables = "CUSTTABLE,RETAILCUSTTABLE,LOGISTICSELECTRONICADDRESS";
        let schema = desk.tillhold(&["channel", "schema", "--published", "--tables", tables]);
        std::fs::write(desk.at("schema.json"), schema.ends(0).stdout).expect("a schema");
        desk
    }
}

impl Ran {
    #[track_caller]
    fn ends(self, status: i32) -> Ran {
        assert_eq!(self.status, Some(status), "stdout:\n{}stderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn tells(self, parts: &[&str]) -> Ran {
        for part in parts {
            let told = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(told, "no '{part}' in:\n{}{}", self.stdout, self.stderr);
        }
        self
    }
}

/// The project's own unit tests, with the compiler that builds guests: it is there whenever a guest can be built.
fn cargo_test(project: &Path) {
    let finder = Finder::new(&cache_folder().expect("a cache folder"));
    let cargo = finder.machine.cargo.clone().expect("cargo is on this machine");
    let mut command = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO") && name != "CARGO_HOME" || name.starts_with("RUSTFLAGS") {
            command.env_remove(name);
        }
    }
    let run = command.args(["test", "--offline"]).current_dir(project).output().expect("cargo");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}{stderr}");
    assert!(told.contains("3 passed"), "{told}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

#[test]
fn a_new_project_builds_and_its_tests_pass_at_once() {
    let desk = Desk::new();
    let made = desk.tillhold(&["plugin", "new", "price-rules", "--lang", "rust", "--kind", "both"]);
    assert_eq!(made.ends(0).tells(&["cargo test", "plugin test"]).stdout, "price-rules\n");
    desk.tillhold(&["plugin", "new", "price-rules"]).ends(2).tells(&["kit-project-there"]);
    desk.tillhold(&["plugin", "new", "Price"]).ends(2).tells(&["kit-project-name", "price-rules"]);
    let tested = desk.tillhold(&["plugin", "test", "price-rules"]).ends(0);
    tested.tells(&[
        "ok      the-till-knows-the-address\n",
        "ok      tidies-addresses\n",
        "2 cases: 2 passed, 0 failed\n",
    ]);
    desk.tillhold(&["plugin", "build", "price-rules"]).ends(0).tells(&["price-rules.wasm"]);
    let schema = "price-rules/schema.json";
    let checked = desk.tillhold(&["plugin", "check", "price-rules.wasm", "--schema", schema]);
    checked.ends(0).tells(&["a register would load it", "nvarchar(80)", "resolve"]);
    cargo_test(&desk.at("price-rules"));
}

#[test]
fn each_kind_of_project_stands_alone() {
    let desk = Desk::new();
    for (kind, exports) in [("transform", "plugin/transform@"), ("resolve", "plugin/resolve@")] {
        desk.tillhold(&["plugin", "new", kind, "--kind", kind]).ends(0);
        let tested = desk.tillhold(&["plugin", "test", kind]);
        tested.ends(0).tells(&["1 cases: 1 passed, 0 failed\n"]);
        desk.tillhold(&["plugin", "build", kind]).ends(0);
        let json = desk.tillhold(&["plugin", "check", &format!("{kind}.wasm"), "--json"]).ends(0);
        let json: Json = serde_json::from_str(&json.stdout).expect("JSON");
        let exported = json["exports"].as_array().expect("exports");
        assert_eq!(exported.len(), 1, "{json}");
        assert!(exported[0].as_str().is_some_and(|name| name.contains(exports)), "{json}");
    }
}

#[test]
fn a_check_says_what_a_register_would_say() {
    let desk = Desk::with_plugin();
    let checked = desk.tillhold(&["plugin", "check", "rule.wasm", "--schema", "schema.json"]);
    checked.ends(0).tells(&[
        "sha256:",
        "tillhold:plugin/transform@0.1.0",
        "ax.RETAILCUSTTABLE             transform  RECEIPTEMAIL    nvarchar(80)   reads, writes",
        "64 MiB",
        "a register would load it",
    ]);
    let wrong = desk.tillhold(&["plugin", "check", "rule.wasm", "--config", "stores=1", "--json"]);
    let json: Json = serde_json::from_str(&wrong.ends(1).stdout).expect("JSON");
    assert_eq!(json["findings"][0]["code"], "plugin-config");
    assert_eq!(json["limits"]["deadline_ms"], 2_000);
    std::fs::write(desk.at("core.wasm"), wat::parse_str("(module)").expect("a module"))
        .expect("a file");
    let core = desk.tillhold(&["plugin", "check", "core.wasm"]).ends(1);
    core.tells(&["refused[plugin-not-a-component]", "next: ", "wasm-tools component new"]);
    desk.tillhold(&["plugin", "check", "none.wasm"]).ends(2).tells(&["error[kit-file]"]);
    let text = std::fs::read_to_string(desk.at("schema.json")).expect("the schema");
    let other = text.replace("\"LOCATOR\"", "\"LOCATION\"");
    std::fs::write(desk.at("schema.json"), other).expect("another schema");
    let wrong = desk.tillhold(&["plugin", "check", "rule.wasm", "--schema", "schema.json"]).ends(1);
    wrong.tells(&["refused[plugin-column-unknown]", "did you mean LOCATION?"]);
}

#[test]
fn a_failed_case_is_shown_cell_by_cell_and_can_be_blessed() {
    let desk = Desk::with_plugin();
    let case = desk.at("cases/masks");
    std::fs::create_dir_all(&case).expect("a case");
    let write = |file: &str, text: &str| std::fs::write(case.join(file), text).expect("a file");
    write("case.toml", "table = \"ax.RETAILCUSTTABLE\"\n");
    write("input.csv", "ACCOUNTNUM,RECEIPTEMAIL\nC1,anna@example.org\n");
    write("expected.csv", "verdict,ACCOUNTNUM,RECEIPTEMAIL\nkeep,C1,anna@example.org\n");
    let failed = desk.tillhold(&["plugin", "test"]).ends(1);
    let expected = "FAILED  masks\n  row 1 (ACCOUNTNUM=C1): RECEIPTEMAIL\n    - \"anna@example.org\"\n    \
                    + \"a***@example.org\"\n1 cases: 0 passed, 1 failed\n";
    assert_eq!(failed.stdout, expected, "no colours where no terminal looks on");
    let blessed = desk.tillhold(&["plugin", "test", "--bless"]).ends(0);
    blessed.tells(&["written masks", "1 cases: 0 passed, 1 written, 0 failed"]);
    desk.tillhold(&["plugin", "test", "."]).ends(0).tells(&["1 cases: 1 passed, 0 failed"]);
    std::fs::copy(desk.at("rule.wasm"), desk.at("other.wasm")).expect("another component");
    desk.tillhold(&["plugin", "test"]).ends(2).tells(&["kit-which-plugin", "--plugin"]);
    desk.tillhold(&["plugin", "test", "--plugin", "other.wasm"]).ends(0);
}

/// A rule that fails where its operator gives it less, in every command that runs one.
#[test]
fn a_plugin_is_tried_under_the_limits_that_an_operator_gives_it() {
    let desk = Desk::with_plugin();
    let case = desk.at("cases/masks");
    std::fs::create_dir_all(&case).expect("a case");
    let write = |file: &str, text: &str| std::fs::write(desk.at(file), text).expect("a file");
    write("cases/masks/case.toml", "table = \"ax.RETAILCUSTTABLE\"\n");
    write("cases/masks/input.csv", "ACCOUNTNUM,RECEIPTEMAIL\nC1,anna@example.org\n");
    write(
        "cases/masks/expected.csv",
        "verdict,ACCOUNTNUM,RECEIPTEMAIL\nkeep,C1,a***@example.org\n",
    );
    let scope = "[[scope]]\nname = 'S'\ndirection = 'download'\ntables = ['CUSTTABLE']\n\
                 transformer = { plugin = 'rule' }\n[[plugin]]\nname = 'rule'\n";
    write("small.toml", &format!("{scope}memory_max_mb = 1\n"));
    write("pinned.toml", &format!("{scope}digest = 'sha256:00'\ngrants = []\n"));
    let commands: [&[&str]; 5] = [
        &["plugin", "check", "rule.wasm"],
        &["plugin", "test", "--plugin", "rule.wasm"],
        &["plugin", "run", "rule.wasm", "--schema", "schema.json", "--table", "CUSTTABLE"],
        &["plugin", "bench", "rule.wasm", "--schema", "schema.json", "--rows", "10"],
        &["plugin", "fuzz", "rule.wasm", "--schema", "schema.json", "--rows", "10"],
    ];
    for words in commands {
        let run = |more: &[&str]| {
            let ran = desk.piped(&[words, more].concat(), "INVENTLOCATION\nS0001\n");
            let code = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_string());
            let told = ran.stdout + &ran.stderr;
            (ran.status == Some(0), told.lines().find_map(code).unwrap_or_default(), told)
        };
        let (holds, _, told) = run(&[]);
        assert!(holds, "{words:?}: {told}");
        for more in [&["--memory-max-mb", "1"][..], &["--profile", "small.toml"]] {
            let (holds, code, told) = run(more);
            assert_eq!((holds, &*code), (false, "plugin-memory"), "{words:?}: {told}");
        }
        // A word here goes over the profile's.
        let (holds, _, told) = run(&["--profile", "small.toml", "--memory-max-mb", "2"]);
        assert!(holds, "{words:?}: {told}");
        // A register would refuse another digest; the others try what nobody can have pinned yet.
        let expected = if words[1] == "check" { "plugin-digest" } else { "plugin-not-granted" };
        let (holds, code, told) = run(&["--profile", "pinned.toml"]);
        assert_eq!((holds, &*code), (false, expected), "{words:?}: {told}");
    }
    let checked = desk.tillhold(&["plugin", "check", "rule.wasm", "--deadline-ms", "50"]).ends(0);
    checked.tells(&["50 ms and 64 MiB of memory"]);
    desk.tillhold(&["plugin", "check", "rule.wasm", "--memory-max-mb", "0"])
        .ends(64)
        .tells(&["1..=512"]);
    write("other.toml", &scope.replace("'rule'", "'rules'"));
    let other = ["plugin", "check", "rule.wasm", "--profile", "other.toml"];
    desk.tillhold(&other).ends(2).tells(&["no scope uses the plugin rule; did you mean rules?"]);
}

#[test]
fn rows_are_piped_through_a_plugin() {
    let desk = Desk::with_plugin();
    let run = |stdin: &str, more: &[&str]| {
        let words = ["plugin", "run", "rule.wasm", "--schema", "schema.json", "--table"];
        desk.piped(&[&words[..], more].concat(), stdin)
    };
    let csv = "ACCOUNTNUM,INVENTLOCATION\nC1,S0001\nC2,S0002\nC3,\n";
    let ran = run(csv, &["CUSTTABLE"]).ends(0);
    assert_eq!(ran.stdout, "ACCOUNTNUM,INVENTLOCATION\nC1,S0001\nC3,\n");
    assert_eq!(ran.stderr, "2 rows go on, 0 of them changed; 1 dropped, 0 refused\n");
    let ran = run(csv, &["CUSTTABLE", "--store", "S0002", "--verdicts"]).ends(0);
    assert!(ran.stdout.contains("\ndrop,C1,S0001\nkeep,C2,S0002\n"), "{}", ran.stdout);
    let lines = "{\"RECEIPTEMAIL\":\"anna@example.org\"}\n";
    let down = run(lines, &["RETAILCUSTTABLE"]).ends(0).tells(&["1 of them changed"]);
    assert_eq!(down.stdout, "{\"RECEIPTEMAIL\":\"a***@example.org\"}\n");
    assert_eq!(run(lines, &["RETAILCUSTTABLE", "--flow", "push"]).ends(0).stdout, lines);
    let wrong = run("ACCOUNTNUM,INVENTLOCATIO\n", &["CUSTTABLE"]).ends(2);
    wrong.tells(&["error[kit-rows]", "did you mean INVENTLOCATION?"]);
    run(csv, &["CUSTTABEL"]).ends(2).tells(&["error[kit-table]", "did you mean ax.CUSTTABLE?"]);
}

/// Each slip once ended with an exit status of 0, in words about something else, or without a next step.
#[test]
fn an_authors_slips_are_told_for_what_they_are() {
    let desk = Desk::with_plugin();
    let run = |stdin: &str, table: &str| {
        let words = ["plugin", "run", "rule.wasm", "--schema", "schema.json", "--table", table];
        desk.piped(&words, stdin)
    };
    let inches = "ACCOUNTNUM,INVENTLOCATION\n1,5\" bolt\n2,6\" bolt\n";
    run(inches, "CUSTTABLE").ends(2).tells(&["line 2: a quote inside", "write \"5\"\" bolt\""]);
    let lacking = run("ACCOUNTNUM\nC1\n", "CUSTTABLE").ends(2);
    lacking.tells(&["error[kit-rows]", "the input lacks INVENTLOCATION"]);
    let tables = "CUSTTABLE, CUSTGROUP";
    let schema = desk.tillhold(&["channel", "schema", "--published", "--tables", tables]).ends(0);
    std::fs::write(desk.at("schema.json"), schema.stdout).expect("a schema");
    let unruled = run("CUSTGROUP\n10\n", "CUSTGROUP").ends(0);
    assert_eq!(unruled.tells(&["rule has no rule for ax.CUSTGROUP"]).stdout, "CUSTGROUP\n10\n");
    let lost = desk.tillhold(&["channel", "schema", "--tables", "CUSTTABLE"]).ends(2);
    lost.tells(&["error[settings]: register.toml", "next: `--published` takes the tables"]);
    for command in ["build", "test"] {
        let nowhere = desk.tillhold(&["plugin", command, "nope"]).ends(2);
        nowhere.tells(&["error[guest-folder]: nope is no folder", "next: name the plugin's own"]);
    }
    desk.tillhold(&["plugin", "build"]).ends(2).tells(&["error[guest-folder]", "Cargo.toml"]);
    desk.tillhold(&["plugin", "new", "one"]).ends(0);
    let unwritten = desk.tillhold(&["plugin", "build", "one", "-o", "no folder/x.wasm"]).ends(2);
    unwritten.tells(&["error[kit-file]", "next: its folder must be there"]);
}

#[test]
fn a_bench_tells_each_table_its_cost() {
    let desk = Desk::with_plugin();
    let words = ["plugin", "bench", "rule.wasm", "--schema", "schema.json", "--rows", "100"];
    let told = desk.tillhold(&words).ends(0).tells(&["NS A ROW", "DOING NOTHING", " MB"]);
    assert_eq!(told.stdout.lines().count(), 4, "{}", told.stdout);
    std::fs::write(desk.at("rows.csv"), "INVENTLOCATION\nS0001\nS0002\n").expect("rows");
    let of_rows = ["--input", "rows.csv", "--table", "CUSTTABLE", "--json"];
    let json = desk.tillhold(&[&words[..], &of_rows].concat()).ends(0).stdout;
    let json: Json = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json[0]["table"], &json[0]["rows"]), (&"ax.CUSTTABLE".into(), &2.into()));
}

#[test]
fn what_breaks_the_contract_becomes_a_case_that_fails() {
    let desk = Desk::with_plugin();
    desk.tillhold(&["plugin", "new", "careless"]).ends(0);
    let rule = desk.at("careless/src/transform.rs");
    let text = std::fs::read_to_string(&rule).expect("the rule");
    let careless = text.replace("address.trim().to_lowercase()", "address[..1].to_lowercase()");
    assert_ne!(careless, text);
    std::fs::write(&rule, careless).expect("a careless rule");
    desk.tillhold(&["plugin", "build", "careless"]).ends(0);
    let fuzz = |file: &str, cases: &str| {
        let words = ["plugin", "fuzz", file, "--schema", "schema.json", "--seed", "1", "--rows"];
        desk.tillhold(&[&words[..], &["500", "--cases", cases]].concat())
    };
    let sound = fuzz("rule.wasm", "none").ends(0);
    let none_refused = "nothing found; of 500 rows that were answered, 0 dropped, 0 refused\n";
    sound.tells(&["seed 1\n", &format!("ax.RETAILCUSTTABLE transform: {none_refused}")]);
    assert!(!desk.at("none").exists());
    let found = fuzz("careless.wasm", "careless/cases").ends(1);
    let case = "careless/cases/fuzz-retailcusttable-plugin-trap";
    found.tells(&["found[plugin-trap]: plugin careless", &format!("  case: {case}\n")]);
    let failed = desk.tillhold(&["plugin", "test", "careless"]).ends(1);
    failed.tells(&["FAILED  fuzz-retailcusttable-plugin-trap\n  error[plugin-trap]"]);
    std::fs::write(&rule, text).expect("a careful rule");
    desk.tillhold(&["plugin", "test", "careless", "--bless"]).ends(0).tells(&["1 written"]);
    desk.tillhold(&["plugin", "test", "careless"]).ends(0).tells(&["2 cases: 2 passed"]);
}
