//! The ten rules by which change tracking loses nothing, and where each has its test: [`RULES`].
//!
//! * They come from Microsoft's own text ("Work with change tracking", "Manage change tracking", "CHANGETABLE"), and from
//!   what other synchronisers have lost where they did otherwise.
//! * A rule's test is named for it (`r4_…`) and fails without it; the list and the names are held together by a test.
//! * The tests below have the whole agent between a channel and its offline database; most rules are proven closer to
//!   where they are kept.

use crate::harness::{Stage, proof};
use crate::tidy::files_ending;
use std::collections::BTreeSet;

/// Number, rule, files with tests of it.
const RULES: [(u8, &str, &[&str]); 10] = [
    (
        1,
        "A position is a version in commit order with the database's epoch, one for each table of a scope; it moves in the \
         transaction that applies the rows.",
        &[HERE, PASSES, TRACKING],
    ),
    // A pass pages from a copy of the changed keys, but under the snapshot to its end, however many they are: a pass of
    // two million rows keeps it open for tens of seconds, which costs the channel row versions and blocks nobody. In
    // return no row is delivered twice, and a scope is of one moment at any size.
    (
        2,
        "A pass is one snapshot: the epoch, each table's oldest valid version, the version it reaches, then keys and rows.",
        &[PASSES],
    ),
    (
        3,
        "A first load keeps the version from before its first page, and the table is readable only after the changes since.",
        &[FIRST_LOAD, LOADING],
    ),
    (
        4,
        "A row is there when the joined row is there, whatever the operation letter says.",
        &[PASSES],
    ),
    (
        5,
        "Only what stands as this register wrote it is its own; what was merged or transformed comes back.",
        &[HERE, PASSES],
    ),
    (
        6,
        "A version that went back, or another epoch, is a restored channel: tables are loaded anew, what is unsent is kept \
         and sent, and the ledger decides what is a duplicate.",
        &[PASSES, PUSHING],
    ),
    (
        7,
        "An upload is one transaction of rows, checks and ledger; a lost answer is looked up in the ledger.",
        &[PUSHING, BATCHES],
    ),
    (
        8,
        "A table that was truncated, altered or tracked anew is loaded anew by itself, known by a mark kept with its position.",
        &[HERE, PASSES, ALTERED, LOADING],
    ),
    (
        9,
        "The register's own log is numbered in commit order, and silent only inside the transaction that applies a pull.",
        &[TRACKING],
    ),
    (
        10,
        "What changed on the register between the selection of an upload and the landing of a pull is not overwritten: it \
         goes through conflict resolution.",
        &[TRACKING],
    ),
];
const HERE: &str = "tests/suite/tracking_rules.rs";
const PASSES: &str = "host/channel/src/embedded/passes.rs";
const FIRST_LOAD: &str = "host/channel/src/embedded/first_load.rs";
const PUSHING: &str = "host/channel/src/embedded/pushing.rs";
const BATCHES: &str = "host/channel/src/embedded/batches.rs";
const ALTERED: &str = "host/channel/src/embedded/altered.rs";
const LOADING: &str = "host/local/src/tests/loading.rs";
const TRACKING: &str = "host/local/src/tests/tracking.rs";

/// The numbers of the rules that a file has tests of: `fn r4_…` directly below a `#[…test]`.
fn tested(text: &str) -> BTreeSet<u8> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let test = |pair: &[&str]| {
        let is_test = matches!(pair[0], "#[test]" | "#[tokio::test]");
        let name = pair[1].trim_start_matches("async ").strip_prefix("fn r")?;
        is_test.then(|| name.split('_').next()?.parse().ok()).flatten()
    };
    lines.windows(2).filter_map(test).collect()
}

#[test]
fn every_rule_has_the_tests_that_are_said_of_it() {
    let mut found = BTreeSet::new();
    for (file, text) in files_ending(&[".rs"]) {
        found.extend(tested(&text).into_iter().map(|rule| (rule, file.clone())));
    }
    let said = RULES
        .iter()
        .flat_map(|(rule, _, files)| files.iter().map(|file| (*rule, file.to_string())));
    assert_eq!(found, said.collect(), "found in the code, and said in RULES");
    let numbers: Vec<u8> = RULES.iter().map(|(rule, _, _)| *rule).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
}

#[test]
fn a_rules_test_is_known_by_its_name_and_what_is_no_test_is_not() {
    let text =
        "#[test]\nfn r3_a() {}\n// Not one.\nfn r4_b() {}\n#[tokio::test]\nasync fn r12_c() {}";
    assert_eq!(tested(text), [3, 12].into());
}

/// R1, the head-to-head: head office's transaction is open while the register synchronises, and commits after it. A reader
/// that goes by a clock, or by numbers given when a row is written, has passed it by then and never looks back.
#[test]
fn r1_a_transaction_open_across_a_synchronisation_arrives_with_the_next() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        let customer = |nth: u64, vat: &str| {
            let account = &stage.rehearsal.store.customer(nth).account;
            format!(
                "UPDATE [ax].[CUSTTABLE] SET [VATNUM] = N'{vat}' WHERE [ACCOUNTNUM] = N'{account}';"
            )
        };
        let open =
            stage.rehearsal.office_begins(&customer(1, "LATE")).expect("an open transaction");
        for _ in 0..2 {
            stage.rehearsal.settle().await.expect("a synchronisation while it is open");
        }
        open.commit().expect("a commit");
        assert_eq!(stage.rehearsal.office(&customer(2, "LATER")).expect("another commit"), 1);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// R5: what the register has sent comes back in the next pass and is known as its own: nothing is applied a second time.
/// When head office has touched one of the rows since, that one is news.
#[test]
fn r5_own_rows_come_back_as_known_and_head_offices_as_news() {
    proof(async {
        let stage = Stage::online(20).await;
        stage.rehearsal.settle().await.expect("everything is there");
        let path = "/v1/transactions/6f9619ff-8b86-4011-b42d-00c04fc964f5";
        let insert = |nth: i64| {
            serde_json::json!({ "table": "ax.CUSTTABLE", "operation": "insert", "values": {
                "ACCOUNTNUM": format!("R5-{nth}"), "DATAAREAID": "USRT", "RECID": 5_799_999_990i64 + nth,
            }})
        };
        let body = serde_json::json!({ "rows": [insert(1), insert(2)] });
        let put = stage.rehearsal.put(path, &body).await.expect("an answer");
        assert_eq!((put.status, put.body["committed"].as_str()), (201, Some("channel")));
        let touched =
            "UPDATE [ax].[CUSTTABLE] SET [VATNUM] = N'NEWS' WHERE [ACCOUNTNUM] = N'R5-2';";
        assert_eq!(stage.rehearsal.office(touched).expect("head office's change"), 1);
        let answer = stage.rehearsal.post("/v1/sync").await.expect("an answer").body;
        let scopes = answer["scopes"].as_array().expect("scopes").iter();
        let rows = scopes.map(|scope| &scope["rows"]).find(|rows| rows["rows_in"] != 0);
        let rows = rows.expect("both rows are among the channel's changes");
        let told = ["rows_in", "applied", "dropped"].map(|count| rows[count].as_u64());
        assert_eq!(told, [Some(2), Some(1), Some(1)], "{answer}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// R8: TRUNCATE is in no change table. The register's rows of that table must go all the same, and what comes in
/// afterwards must come; no other table is read again.
#[test]
fn r8_a_truncated_table_ends_as_the_channel_has_it() {
    proof(async {
        let mut stage = Stage::online(20).await;
        stage.rehearsal.sell(1).await.expect("a sale");
        let truncate = "TRUNCATE TABLE [ax].[INVENTITEMBARCODE];";
        stage.rehearsal.office(truncate).expect("a truncated table");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
