//! Change tracking, rule by rule of Microsoft's text: each test is one of them and fails without it.

use super::{Bench, bench, shown};
use crate::answer::SqlSession;
use crate::engine::EngineSession;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tillhold_core::value::Value;
use tillhold_env::{Clock, Env};

const TABLE: &str = "CREATE TABLE T (A nvarchar(5) NOT NULL, B int NOT NULL, V int NULL, W nvarchar(5) NULL, CONSTRAINT PK_T PRIMARY KEY (A, B))";

fn tracked(columns: &str) -> (Bench, EngineSession) {
    let bench = bench();
    let mut session = bench.session();
    shown(&mut session, TABLE);
    shown(
        &mut session,
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 14 DAYS, AUTO_CLEANUP = ON)",
    );
    shown(&mut session, "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON");
    let enable =
        format!("ALTER TABLE T ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = {columns})");
    assert_eq!(shown(&mut session, &enable), "()");
    (bench, session)
}

fn run(session: &mut EngineSession, statements: &[&str]) {
    for sql in statements {
        let answer = shown(session, sql);
        assert!(!answer.contains("ended") && !answer.contains("error"), "{sql}: {answer}");
    }
}

/// `version operation key` of each change since a version.
fn changes(session: &mut EngineSession, since: i64) -> Vec<String> {
    let sql = format!(
        "DECLARE @v bigint = {since}; SELECT c.SYS_CHANGE_VERSION, c.SYS_CHANGE_OPERATION, c.A, c.B FROM CHANGETABLE(CHANGES T, @v) AS c ORDER BY \
         c.SYS_CHANGE_VERSION, c.A, c.B"
    );
    lines(&shown(session, &sql))
}

fn lines(answer: &str) -> Vec<String> {
    answer.lines().filter(|line| !line.starts_with(['[', '('])).map(str::to_string).collect()
}

fn one(session: &mut EngineSession, sql: &str) -> String {
    lines(&shown(session, sql)).join("; ")
}

#[test]
fn versions_are_in_commit_order_whoever_began_first() {
    let (bench, mut early) = tracked("OFF");
    let mut late = bench.session();
    run(&mut early, &["BEGIN TRAN; SELECT COUNT(*) FROM T"]);
    run(&mut late, &["INSERT INTO T (A, B) VALUES (N'late', 1)"]);
    run(&mut early, &["INSERT INTO T (A, B) VALUES (N'early', 1)", "COMMIT"]);
    assert_eq!(changes(&mut late, 0), ["1 | I | late | 1", "2 | I | early | 1"]);
}

#[test]
fn a_transaction_has_one_version_and_an_uncommitted_one_is_not_seen() {
    let (bench, mut session) = tracked("OFF");
    let mut other = bench.session();
    run(
        &mut session,
        &[
            "BEGIN TRAN",
            "INSERT INTO T (A, B) VALUES (N'a', 1)",
            "INSERT INTO T (A, B) VALUES (N'b', 1)",
        ],
    );
    assert_eq!(changes(&mut other, 0), Vec::<String>::new());
    assert_eq!(changes(&mut session, 0), Vec::<String>::new(), "not even by its own transaction");
    assert_eq!(one(&mut other, "SELECT CHANGE_TRACKING_CURRENT_VERSION()"), "0");
    run(&mut session, &["COMMIT"]);
    assert_eq!(changes(&mut other, 0), ["1 | I | a | 1", "1 | I | b | 1"]);
    assert_eq!(one(&mut other, "SELECT CHANGE_TRACKING_CURRENT_VERSION()"), "1");
}

#[test]
fn what_rolled_back_was_never_a_change() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "BEGIN TRAN",
            "INSERT INTO T (A, B) VALUES (N'a', 1)",
            "ROLLBACK",
            "INSERT INTO T (A, B) VALUES (N'b', 1)",
        ],
    );
    assert_eq!(changes(&mut session, 0), ["1 | I | b | 1"]);
}

#[test]
fn operations_are_relative_to_the_baseline() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B) VALUES (N'a', 1)",
            "INSERT INTO T (A, B) VALUES (N'x', 1)",
            "UPDATE T SET V = 1 WHERE A = N'a'",
            "UPDATE T SET V = 2 WHERE A = N'a'",
            "DELETE FROM T WHERE A = N'x'",
        ],
    );
    assert_eq!(
        changes(&mut session, 0),
        ["4 | I | a | 1", "5 | D | x | 1"],
        "one row a key, however often it changed"
    );
    assert_eq!(
        changes(&mut session, 1),
        ["4 | U | a | 1", "5 | D | x | 1"],
        "inserted before the baseline: an update"
    );
    assert_eq!(changes(&mut session, 4), ["5 | D | x | 1"]);
    assert_eq!(changes(&mut session, 5), Vec::<String>::new());
}

#[test]
fn deleted_and_inserted_again_is_an_update_of_all_columns() {
    let (_bench, mut session) = tracked("ON");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B, V) VALUES (N'a', 1, 1)",
            "DELETE FROM T",
            "INSERT INTO T (A, B, V) VALUES (N'A', 1, 2)",
            "UPDATE T SET V = 3",
        ],
    );
    assert_eq!(
        changes(&mut session, 1),
        ["4 | U | A | 1"],
        "the key compares as the table's collation does"
    );
    assert_eq!(changes(&mut session, 2), ["4 | I | A | 1"]);
    let mask = "SELECT c.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES T, 1) AS c";
    assert_eq!(one(&mut session, mask), "NULL");
}

#[test]
fn a_changed_key_is_a_delete_and_an_insert() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B, V) VALUES (N'a', 1, 1)",
            "UPDATE T SET B = 2",
            "UPDATE T SET A = N'A' WHERE A = N'a'",
        ],
    );
    assert_eq!(changes(&mut session, 1), ["2 | D | a | 1", "3 | I | A | 2"]);
}

#[test]
fn the_mask_names_the_columns_that_were_set() {
    let (_bench, mut session) = tracked("ON");
    run(&mut session, &["INSERT INTO T (A, B, V) VALUES (N'a', 1, 1)", "UPDATE T SET V = 1"]);
    let in_mask = |column: &str, since: i64| {
        format!(
            "SELECT CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID(N'dbo.T'), N'{column}', N'ColumnId'), c.SYS_CHANGE_COLUMNS) \
                 FROM CHANGETABLE(CHANGES T, {since}) AS c"
        )
    };
    assert_eq!(one(&mut session, &in_mask("V", 1)), "1", "set to what it was is set all the same");
    assert_eq!(one(&mut session, &in_mask("W", 1)), "0");
    assert_eq!(one(&mut session, &in_mask("W", 0)), "1", "an insert has no mask: every column");
    run(&mut session, &["UPDATE T SET W = N'x'"]);
    assert_eq!(
        one(&mut session, "SELECT c.SYS_CHANGE_COLUMNS FROM CHANGETABLE(CHANGES T, 1) AS c"),
        "NULL",
        "both of both columns: all"
    );
    assert_eq!(one(&mut session, &in_mask("V", 2)), "0");
}

#[test]
fn the_context_is_the_last_change_s() {
    let (_bench, mut session) = tracked("OFF");
    let context = "SELECT c.SYS_CHANGE_CONTEXT FROM CHANGETABLE(CHANGES T, 0) AS c";
    run(
        &mut session,
        &[
            "DECLARE @c varbinary(128) = 0xAB; WITH CHANGE_TRACKING_CONTEXT (@c) INSERT INTO T (A, B) VALUES (N'a', 1)",
        ],
    );
    assert_eq!(one(&mut session, context), "AB");
    run(&mut session, &["WITH CHANGE_TRACKING_CONTEXT (0xCD) UPDATE T SET V = 1"]);
    assert_eq!(one(&mut session, context), "CD");
    run(&mut session, &["UPDATE T SET V = 2"]);
    assert_eq!(one(&mut session, context), "NULL", "it does not stick to the session");
    run(&mut session, &["WITH CHANGE_TRACKING_CONTEXT (0xCD) UPDATE T SET V = 3"]);
    session.bulk_target("INSERT BULK T (A nvarchar(5), B int)").expect("a target");
    let row = vec![Value::Text("z".to_string()), Value::Int(1)];
    assert_eq!(session.bulk_rows(vec![row]), Ok(1));
    assert_eq!(one(&mut session, &format!("{context} WHERE c.A = N'z'")), "NULL");
    let null = shown(
        &mut session,
        "DECLARE @c varbinary(128); WITH CHANGE_TRACKING_CONTEXT (@c) DELETE FROM T",
    );
    assert!(null.contains("22103"), "{null}");
}

#[test]
fn a_version_is_looked_up_by_key() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B) VALUES (N'a', 1), (N'b', 2)",
            "WITH CHANGE_TRACKING_CONTEXT (0xEE) UPDATE T SET V = 1 WHERE A = N'b'",
            "CREATE TABLE #k (A nvarchar(9) COLLATE DATABASE_DEFAULT NOT NULL, B bigint NOT NULL); INSERT INTO #k VALUES (N'A', 1), (N'b', 2), (N'c', 3)",
        ],
    );
    let sql = "SELECT k.A, c.SYS_CHANGE_VERSION, c.SYS_CHANGE_CONTEXT, c.B FROM #k AS k CROSS APPLY CHANGETABLE(VERSION T, (B, A), (k.B, k.A)) AS c ORDER BY k.A";
    assert_eq!(
        lines(&shown(&mut session, sql)),
        ["A | 1 | NULL | 1", "b | 2 | EE | 2", "c | NULL | NULL | 3"]
    );
    let alone = "SELECT c.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, (A, B), (N'b', 2)) AS c";
    assert_eq!(one(&mut session, alone), "2");
    for (wrong, number) in [
        ("(A), (N'a')", "22110"),
        ("(A, V), (N'a', 1)", "22111"),
        ("(A, A), (N'a', N'a')", "22112"),
    ] {
        let answer = shown(
            &mut session,
            &format!("SELECT c.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, {wrong}) AS c"),
        );
        assert!(answer.contains(number), "{wrong}: {answer}");
    }
}

#[test]
fn the_smallest_valid_version_is_each_table_s_own() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B) VALUES (N'a', 1)",
            "CREATE TABLE S (ID int NOT NULL PRIMARY KEY)",
            "ALTER TABLE S ENABLE CHANGE_TRACKING",
        ],
    );
    let minima = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'T')), CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'S')), \
                  CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'sys.nothing')), CHANGE_TRACKING_MIN_VALID_VERSION(NULL)";
    assert_eq!(one(&mut session, minima), "0 | 1 | NULL | NULL");
    run(&mut session, &["ALTER TABLE T DISABLE CHANGE_TRACKING"]);
    assert_eq!(one(&mut session, minima), "NULL | 1 | NULL | NULL");
    assert!(shown(&mut session, "SELECT * FROM CHANGETABLE(CHANGES T, 0) AS c").contains("22105"));
    run(&mut session, &["ALTER TABLE T ENABLE CHANGE_TRACKING"]);
    assert_eq!(one(&mut session, minima), "1 | 1 | NULL | NULL");
    assert_eq!(changes(&mut session, 0), Vec::<String>::new(), "what was before is forgotten");
}

#[test]
fn a_truncated_table_outdates_every_cursor() {
    let (_bench, mut session) = tracked("OFF");
    run(&mut session, &["INSERT INTO T (A, B) VALUES (N'a', 1)", "TRUNCATE TABLE T"]);
    let standing = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'T')), CHANGE_TRACKING_CURRENT_VERSION()";
    assert_eq!(one(&mut session, standing), "2 | 2", "who has reached 1 is behind");
    assert_eq!(changes(&mut session, 0), Vec::<String>::new(), "no row says so");
}

#[test]
fn clean_up_forgets_and_raises_the_minimum() {
    let (bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &[
            "INSERT INTO T (A, B) VALUES (N'a', 1)",
            "UPDATE T SET V = 1",
            "INSERT INTO T (A, B) VALUES (N'b', 1)",
        ],
    );
    let none = shown(&mut session, "EXEC sp_flush_CT_internal_table_on_demand N'dbo.T'");
    assert_eq!(none, "info: Total rows deleted: 0.", "nothing is older than the retention");
    assert_eq!(bench.engine.forget_changes(2).expect("a clean-up"), 2);
    assert_eq!(one(&mut session, "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'T'))"), "2");
    assert_eq!(changes(&mut session, 2), ["3 | I | b | 1"]);
    let version = "SELECT c.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION T, (A, B), (N'a', 1)) AS c";
    assert_eq!(one(&mut session, version), "NULL", "unchanged within what is known");
}

#[test]
fn a_snapshot_stays_at_one_moment_over_all_tables() {
    let (bench, mut session) = tracked("OFF");
    let mut other = bench.session();
    run(&mut other, &["INSERT INTO T (A, B) VALUES (N'a', 1)"]);
    run(&mut session, &["SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN"]);
    assert_eq!(one(&mut session, "SELECT CHANGE_TRACKING_CURRENT_VERSION()"), "1");
    run(&mut other, &["UPDATE T SET V = 9", "INSERT INTO T (A, B) VALUES (N'b', 1)"]);
    bench.engine.forget_changes(1).expect("a clean-up");
    assert_eq!(
        changes(&mut session, 0),
        ["1 | I | a | 1"],
        "neither later changes nor a clean-up reach it"
    );
    assert_eq!(one(&mut session, "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'T'))"), "0");
    assert_eq!(one(&mut session, "SELECT COUNT(*), MAX(V) FROM T"), "1 | NULL");
    run(&mut session, &["COMMIT; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"]);
    assert_eq!(changes(&mut session, 1), ["2 | U | a | 1", "3 | I | b | 1"]);
}

#[test]
fn an_added_column_is_no_change() {
    let (_bench, mut session) = tracked("OFF");
    run(
        &mut session,
        &["INSERT INTO T (A, B) VALUES (N'a', 1)", "ALTER TABLE T ADD N int NOT NULL DEFAULT (5)"],
    );
    assert_eq!(changes(&mut session, 1), Vec::<String>::new());
    assert_eq!(one(&mut session, "SELECT N FROM T"), "5");
}

#[test]
fn tracking_needs_a_key_and_a_database_that_tracks() {
    let bench = bench();
    let mut session = bench.session();
    run(&mut session, &[TABLE, "CREATE TABLE H (A int NULL)"]);
    assert_eq!(one(&mut session, "SELECT CHANGE_TRACKING_CURRENT_VERSION()"), "NULL");
    assert!(shown(&mut session, "ALTER TABLE T ENABLE CHANGE_TRACKING").contains("5088"));
    run(&mut session, &["ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"]);
    assert!(shown(&mut session, "ALTER TABLE H ENABLE CHANGE_TRACKING").contains("4997"));
    run(&mut session, &["ALTER TABLE T ENABLE CHANGE_TRACKING"]);
    assert!(shown(&mut session, "ALTER TABLE T ENABLE CHANGE_TRACKING").contains("4996"));
    assert!(
        shown(&mut session, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF").contains("22115")
    );
}

#[test]
fn versions_and_values_go_on_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let env = tillhold_env::Env::real();
    let file = folder.path().join("channel.db");
    let open = || {
        let engine = crate::engine::Engine::open(&env, &file).expect("an engine");
        engine.create_login("sa", "x", true).expect("a login");
        engine.login("sa", "x", "", "").expect("a session")
    };
    let mut session = open();
    run(
        &mut session,
        &[
            "CREATE TABLE T (A nvarchar(5) NOT NULL, B int IDENTITY NOT NULL, RV rowversion, CONSTRAINT PK_T PRIMARY KEY (A, B))",
            "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE T ENABLE CHANGE_TRACKING",
            "INSERT INTO T (A) VALUES (N'a')",
        ],
    );
    drop(session);
    let mut session = open();
    run(&mut session, &["INSERT INTO T (A) VALUES (N'b')"]);
    assert_eq!(changes(&mut session, 0), ["1 | I | a | 1", "2 | I | b | 2"]);
    assert_eq!(one(&mut session, "SELECT COUNT(DISTINCT RV) FROM T"), "2");
}

/// A clock that stands where the test puts it.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_us(&self) -> u64 {
        0
    }
}

#[test]
fn what_is_older_than_the_retention_goes_on_command_and_at_opening() {
    const DAY_MS: i64 = 86_400_000;
    let folder = tempfile::tempdir().expect("a folder");
    let hands = Arc::new(Hands(AtomicI64::new(1_000 * DAY_MS)));
    let env = Env { clock: hands.clone(), ..Env::real() };
    let open =
        || crate::engine::Engine::open(&env, &folder.path().join("channel.db")).expect("an engine");
    let engine = open();
    engine.create_login("sa", "x", true).expect("a login");
    let mut session = engine.login("sa", "x", "", "").expect("a session");
    run(
        &mut session,
        &[
            TABLE,
            "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS)",
            "ALTER TABLE T ENABLE CHANGE_TRACKING",
        ],
    );
    let minimum = "SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'T'))";
    run(&mut session, &["INSERT INTO T (A, B) VALUES (N'a', 1)"]);
    hands.0.fetch_add(DAY_MS, Ordering::Relaxed);
    run(&mut session, &["INSERT INTO T (A, B) VALUES (N'b', 1)"]);
    hands.0.fetch_add(DAY_MS + 1, Ordering::Relaxed);
    assert_eq!(
        shown(&mut session, "EXEC sp_flush_CT_internal_table_on_demand"),
        "info: Total rows deleted: 1."
    );
    assert_eq!(one(&mut session, minimum), "1");
    drop(session);
    drop(engine);
    hands.0.fetch_add(DAY_MS, Ordering::Relaxed);
    let mut session = open().login("sa", "x", "", "").expect("a session");
    assert_eq!(
        one(&mut session, minimum),
        "2",
        "the second change is past its time at the next opening"
    );
    assert_eq!(changes(&mut session, 1), Vec::<String>::new());
}
