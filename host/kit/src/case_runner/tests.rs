//! Cases on disk, through plugins of the repository.

use super::{End, Ended, Trial};
use crate::diff::Paint;
use crate::fixtures::{component, sandbox};
use crate::{KitError, Schema, Terms};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tillhold_core::grant::Grants;
use tillhold_core::profile::PluginBounds;

/// A folder of cases, each given as its files.
struct Cases {
    folder: TempDir,
    plugin: &'static str,
}

const RETAIL: &str = "table = \"ax.RETAILCUSTTABLE\"\n";
const CUSTOMERS: &str = "table = \"custtable\"\n";
const MAILS: &str = "ACCOUNTNUM,DATAAREAID,RECEIPTEMAIL\nC1,usrt,anna@example.org\nC2,usrt,\n";
const MASKED: &str =
    "verdict,ACCOUNTNUM,DATAAREAID,RECEIPTEMAIL\nkeep,C1,usrt,a***@example.org\nkeep,C2,usrt,\n";

impl Cases {
    fn of(plugin: &'static str) -> Cases {
        Cases { folder: tempfile::tempdir().expect("a folder"), plugin }
    }

    fn with(self, name: &str, files: &[(&str, &str)]) -> Cases {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a case");
        for (file, text) in files {
            fs::write(folder.join(file), text).expect("a file of the case");
        }
        self
    }

    fn try_run(&self, bless: bool) -> Result<Vec<Ended>, KitError> {
        let schema = Schema::published().expect("the published schema");
        let (sandbox, component) = (sandbox(), component(self.plugin));
        let trial = Trial { sandbox: &sandbox, component: &component, schema: &schema, bless };
        let mut told = Vec::new();
        let all = trial.run(self.folder.path(), |ended| told.push(ended.name.clone()))?;
        assert!(all.iter().map(|ended| &ended.name).eq(&told), "each is told as it ends");
        Ok(all)
    }

    /// How each ended, in words.
    fn run(&self, bless: bool) -> Vec<String> {
        let word = |ended: &Ended| match &ended.end {
            End::Passed => "passed".to_string(),
            End::Blessed => "blessed".to_string(),
            End::Failed(differences) => differences.iter().map(|d| d.told(Paint(false))).collect(),
            End::Broken(error) => format!("{} {error}", error.code()),
        };
        self.try_run(bless).expect("the cases run").iter().map(word).collect()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).expect("a file of a case")
    }
}

#[test]
fn a_case_holds_what_comes_out_against_what_is_expected() {
    let cases = Cases::of("store-customers")
        .with("a-right", &[("case.toml", RETAIL), ("input.csv", MAILS), ("expected.csv", MASKED)])
        .with(
            "b-up",
            &[
                ("case.toml", &format!("{RETAIL}flow = \"push\"\n")),
                ("input.csv", MAILS),
                ("expected.csv", MASKED),
            ],
        )
        .with(
            "c-other-store",
            &[
                ("case.toml", &format!("{CUSTOMERS}config = \"store = S0002\"\n")),
                ("input.json", r#"[{"INVENTLOCATION": "S0001"}, {"INVENTLOCATION": ""}]"#),
                ("expected.csv", "verdict,INVENTLOCATION\nkeep,S0001\nkeep,\nkeep,\n"),
            ],
        )
        .with(
            "d-no-store",
            &[
                ("case.toml", &format!("{CUSTOMERS}store = \"\"\n")),
                ("input.csv", "INVENTLOCATION\nS0001\n"),
                ("expected.json", r#"{"verdict": "refuse", "reason": "this register has no store number: set `store=` in the config", "row": {"INVENTLOCATION": "S0001"}}"#),
            ],
        );
    let ends = cases.run(false);
    assert_eq!(ends[0], "passed");
    assert_eq!(
        ends[1],
        "  row 1 (ACCOUNTNUM=C1, DATAAREAID=usrt): RECEIPTEMAIL\n    - \"a***@example.org\"\n    + \"anna@example.org\"\n"
    );
    let other = "  the case: rows\n    - 3\n    + 2\n  row 1: verdict\n    - keep\n    + drop\n";
    assert_eq!(ends[2..], [other, "passed"]);
}

#[test]
fn colours_are_for_terminals() {
    let cases = Cases::of("store-customers").with(
        "up",
        &[
            ("case.toml", &format!("{RETAIL}flow = \"push\"\n")),
            ("input.csv", MAILS),
            ("expected.csv", MASKED),
        ],
    );
    let all = cases.try_run(false).expect("it runs");
    let End::Failed(differences) = &all[0].end else { panic!("it passed") };
    let told = differences[0].told(Paint(true));
    assert!(told.contains("\x1b[31m- \"a***@example.org\"\x1b[0m\n"), "{told:?}");
    assert!(told.contains("\x1b[32m+ \"anna@example.org\"\x1b[0m\n"), "{told:?}");
}

#[test]
fn blessing_writes_what_came_out_and_then_it_passes() {
    let cases = Cases::of("store-customers")
        .with("csv", &[("case.toml", RETAIL), ("input.csv", MAILS)])
        .with(
            "json",
            &[("case.toml", CUSTOMERS), ("input.json", r#"[{"INVENTLOCATION": "S0009"}]"#)],
        );
    assert!(cases.run(false)[0].starts_with("kit-case"), "nothing is expected yet");
    assert_eq!(cases.run(true), ["blessed", "blessed"]);
    assert_eq!(cases.text("csv/expected.csv"), MASKED);
    let json = "[\n{\"verdict\":\"drop\",\"row\":{\"INVENTLOCATION\":\"S0009\"}}\n]\n";
    assert_eq!(cases.text("json/expected.json"), json);
    assert_eq!(cases.run(true), ["passed", "passed"]);
    assert_eq!(cases.run(false), ["passed", "passed"]);
}

const CONFLICTS: &str = r#"[
    {"base": {"ACCOUNTNUM": "C1", "DATAAREAID": "usrt", "VATNUM": "", "CREDITMAX": 100, "CURRENCY": "EUR"},
     "channel": {"VATNUM": "DE1", "CREDITMAX": "500.00"}, "offline": {"VATNUM": "DE2", "CREDITMAX": 900}},
    {"base": {"ACCOUNTNUM": "C2", "DATAAREAID": "usrt", "VATNUM": "", "CREDITMAX": 100, "CURRENCY": "EUR"},
     "channel": null, "offline": {"VATNUM": "DE2"}}
]"#;

#[test]
fn resolvers_are_tried_with_their_three_sides() {
    let expected = r#"[{"merge": {"VATNUM": "DE1", "CURRENCY": "EUR"}}, {"take": "channel"}]"#;
    let cases = Cases::of("customer-merge")
        .with("blessed", &[("case.toml", CUSTOMERS), ("conflict.json", CONFLICTS)])
        .with(
            "wrong",
            &[("case.toml", CUSTOMERS), ("conflict.json", CONFLICTS), ("expected.json", expected)],
        );
    let ends = cases.run(false);
    let place = "(ACCOUNTNUM=C1, DATAAREAID=usrt)";
    let deferred = "{\"defer\":\"the channel deleted the row, the other side changed it\"}";
    let told = [
        format!("  conflict 1 {place}: VATNUM\n    - \"DE1\"\n    + \"DE2\"\n"),
        format!("  conflict 1 {place}: CURRENCY\n    - \"EUR\"\n    + not merged\n"),
        "  conflict 2 (ACCOUNTNUM=C2, DATAAREAID=usrt): resolution\n".to_string(),
        format!("    - {{\"take\":\"channel\"}}\n    + {deferred}\n"),
    ];
    assert_eq!(ends[1], told.concat());
    assert_eq!(cases.run(true), ["blessed", "blessed"]);
    let written = "[\n{\"merge\":{\"VATNUM\":\"DE2\"}},\n{\"defer\":\"the channel deleted the row, the other side changed it\"}\n]\n";
    assert_eq!(cases.text("blessed/expected.json"), written);
    assert_eq!(cases.run(false), ["passed", "passed"]);
}

#[test]
fn what_a_register_would_stop_is_stopped_here() {
    let input = "ID,NUMBER,NAME,AMOUNT,MOMENT,KIND\n1,1,a,1,2026-01-01 00:00:00,1\n";
    let victim = |more: &str| format!("table = \"ax.VICTIM\"\n{more}");
    let schema = r#"{"ax.VICTIM": {"columns": [["ID", "bigint", "not null"], ["NUMBER", "int", "not null"],
        ["NAME", "nvarchar(8)", "not null"], ["AMOUNT", "numeric(32,2)", "not null"],
        ["MOMENT", "datetime", "not null"], ["KIND", "float", "not null"]],
        "keys": [{"kind": "PK", "cols": ["ID"]}]}}"#;
    let schema = Schema::read("schema.json", schema).expect("a schema");
    let (sandbox, component) = (sandbox(), component("hostile"));
    let trial = Trial { sandbox: &sandbox, component: &component, schema: &schema, bless: false };
    for (config, fails, end) in [
        ("loops", "", "plugin-deadline"),
        ("hoards", "", "plugin-memory"),
        ("out-of-range", "", "plugin-bad-answer"),
        ("refuses", "", "plugin-refused"),
        ("refuses", "fails = \"plugin-refused\"\n", "passed"),
        ("refuses", "fails = \"plugin-trap\"\n", "- plugin-trap"),
        ("refuses", "fails = \"plugin-trap\"\n", "+ plugin-refused: "),
        ("rounded-decimal", "fails = \"plugin-trap\"\n", "+ none: it answered"),
        ("describe-key", "", "plugin-key-written"),
    ] {
        let case = victim(&format!("config = \"{config}\"\n{fails}"));
        let cases = Cases::of("hostile").with("one", &[("case.toml", &case), ("input.csv", input)]);
        let all = trial.run(cases.folder.path(), |_| {}).expect("it runs");
        let told = match &all[0].end {
            End::Passed | End::Blessed => "passed".to_string(),
            End::Failed(differences) => differences[0].told(Paint(false)),
            End::Broken(error) => error.code().to_string(),
        };
        assert!(told.contains(end), "{config}: {told}");
    }
}

/// They named neither line nor key, and of a wrong answer the row's number in its batch, from nought.
#[test]
fn the_row_that_a_rule_fails_at_is_named() {
    let case = "table = \"CUSTTABLE\"\nconfig = \"panics-at-C2@ax.CUSTTABLE/ACCOUNTNUM\"\n";
    let csv = "ACCOUNTNUM,DATAAREAID\nC1,usrt\nC2,usrt\nC3,usrt\n";
    let json = r#"[{"ACCOUNTNUM": "C1"}, {"ACCOUNTNUM": "C2"}]"#;
    let cases = Cases::of("hostile")
        .with("csv", &[("case.toml", case), ("input.csv", csv)])
        .with("json", &[("case.toml", case), ("input.json", json)]);
    let ends = cases.run(false);
    let csv = "plugin-trap input.csv:3 (ACCOUNTNUM=C2, DATAAREAID=usrt): plugin hostile";
    assert!(ends[0].starts_with(csv), "{}", ends[0]);
    assert!(
        ends[1].starts_with("plugin-trap row 2 (ACCOUNTNUM=C2): plugin hostile"),
        "{}",
        ends[1]
    );
}

/// It was blessed as a rule that keeps everything.
#[test]
fn a_table_without_a_rule_is_no_case() {
    let rows = ("input.csv", "CUSTGROUP\n10\n");
    let conflict =
        ("conflict.json", r#"{"channel": {"CUSTGROUP": "a"}, "offline": {"CUSTGROUP": "a"}}"#);
    let table = ("case.toml", "table = \"CUSTGROUP\"\n");
    for (plugin, input, words) in [
        ("store-customers", rows, "store-customers has no rule for ax.CUSTGROUP"),
        ("customer-merge", conflict, "customer-merge has no decision for ax.CUSTGROUP"),
    ] {
        let cases = Cases::of(plugin).with("one", &[table, input]);
        let end = cases.run(true).concat();
        assert!(end.starts_with("kit-case") && end.ends_with(words), "{end}");
    }
}

#[test]
fn a_broken_case_is_told_and_the_others_have_their_turn() {
    let right = [("case.toml", RETAIL), ("input.csv", MAILS), ("expected.csv", MASKED)];
    let broken: [(&[(&str, &str)], &str); 9] = [
        (&[("case.toml", "tabel = \"ax.CUSTTABLE\"\n")], "unknown field `tabel`"),
        (&[("case.toml", "table = \"ax.CUSTTABEL\"\n")], "kit-table"),
        (&[("case.toml", RETAIL)], "it has no input.csv"),
        (
            &[("case.toml", RETAIL), ("input.csv", MAILS), ("input.json", "[]")],
            "more than one input",
        ),
        (
            &[("case.toml", RETAIL), ("input.csv", "ACCOUNTNUM\nC1\n")],
            "its input lacks RECEIPTEMAIL",
        ),
        (
            &[("case.toml", RETAIL), ("input.csv", "RECEIPTEMAIL\na,b\n")],
            "line 2: 2 fields instead of 1",
        ),
        (
            &[
                ("case.toml", RETAIL),
                ("input.csv", MAILS),
                ("expected.csv", "verdict,RECEIPTEMAIL\n"),
            ],
            "has not all columns",
        ),
        (
            &[
                ("case.toml", "table = \"CUSTTABLE\"\ntime = \"noon\"\n"),
                ("input.csv", "INVENTLOCATION\n\n"),
            ],
            "'noon' is not a moment",
        ),
        (
            &[("case.toml", RETAIL), ("conflict.json", "{\"base\": {\"RECEIPTEMAIL\": \"\"}}")],
            "channel is not an object",
        ),
    ];
    for (files, part) in broken {
        let cases = Cases::of("store-customers").with("a", files).with("b", &right);
        let ends = cases.run(false);
        assert!(ends[0].contains(part), "{files:?}: {}", ends[0]);
        assert_eq!(ends[1], "passed");
    }
}

/// A rule that passes under the limits of every plugin, and not where its operator gives it less.
#[test]
fn a_case_runs_under_the_limits_and_grants_of_one_plugin() {
    let files = [("case.toml", RETAIL), ("input.csv", MAILS), ("expected.csv", MASKED)];
    let cases = Cases::of("store-customers").with("masks", &files);
    let schema = Schema::published().expect("the published schema");
    let component = component("store-customers");
    let run = |terms: Terms| {
        let sandbox = sandbox().under(terms);
        let trial =
            Trial { sandbox: &sandbox, component: &component, schema: &schema, bless: false };
        let all = trial.run(cases.folder.path(), |_| {}).expect("the cases run");
        match &all[0].end {
            End::Broken(error) => error.code(),
            End::Passed => "passed",
            _ => "failed",
        }
    };
    let bounded = |bounds: PluginBounds| Terms { bounds, ..Terms::default() };
    let (usual, mb) = (PluginBounds::default(), 1 << 20);
    assert_eq!(run(bounded(usual.clone())), "passed");
    let memory = PluginBounds { memory_bytes: Some(mb), ..usual.clone() };
    assert_eq!(run(bounded(memory)), "plugin-memory");
    let answer = PluginBounds { answer_bytes: Some(16), ..usual };
    assert_eq!(run(bounded(answer)), "plugin-answer-too-large");
    let nothing = Terms { grants: Some(Grants::default()), ..Terms::default() };
    assert_eq!(run(nothing), "plugin-not-granted");
}

#[test]
fn a_folder_without_cases_is_refused() {
    let cases = Cases::of("store-customers");
    let error = cases.try_run(false).map(|_| ()).expect_err("no case");
    assert_eq!(error.code(), "kit-no-cases");
    let nowhere = sandbox();
    let schema = Schema::published().expect("the published schema");
    let component = component("store-customers");
    let trial = Trial { sandbox: &nowhere, component: &component, schema: &schema, bless: false };
    let error = trial.run(Path::new("/nowhere/cases"), |_| {}).map(|_| ()).expect_err("no folder");
    assert_eq!(error.code(), "kit-file");
}
