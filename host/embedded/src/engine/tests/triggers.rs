//! Triggers and what trigger-based capture stands on: row versions, the session context, dates of definitions.

use super::{bench, shown};
use crate::answer::SqlSession;
use crate::engine::{Engine, EngineSession};
use tillhold_core::value::Value;
use tillhold_env::Env;

#[test]
fn a_row_version_that_was_rolled_back_is_not_given_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("channel.db");
    let ask = "SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) AS low";
    let before = {
        let engine = Engine::open(&Env::real(), &file).expect("a new engine");
        engine.create_login("sa", "secret", true).expect("a login");
        let mut session = engine.login("sa", "secret", "", "test").expect("a session");
        shown(&mut session, "CREATE TABLE V (ID int PRIMARY KEY, RV rowversion)");
        shown(&mut session, "BEGIN TRAN; INSERT INTO V (ID) VALUES (1), (2), (3); ROLLBACK");
        shown(&mut session, ask)
    };
    let engine = Engine::open(&Env::real(), &file).expect("the same file");
    let mut session = engine.login("sa", "secret", "", "test").expect("a session");
    assert_eq!(shown(&mut session, ask), before);
}

#[test]
fn bulk_rows_fire_triggers_only_when_told() {
    let bench = bench();
    let mut session = bench.session();
    shown(&mut session, "CREATE TABLE T (ID int PRIMARY KEY); CREATE TABLE SEEN (ID int)");
    shown(
        &mut session,
        "CREATE TRIGGER T_seen ON T AFTER INSERT AS INSERT INTO SEEN SELECT ID FROM inserted",
    );
    for (options, id, wanted) in [("", 1, 0), (" WITH (FIRE_TRIGGERS)", 2, 1)] {
        session.bulk_target(&format!("INSERT BULK T (ID int){options}")).expect("a target");
        assert_eq!(session.bulk_rows(vec![vec![Value::Int(id)]]), Ok(1));
        let seen = shown(&mut session, "SELECT COUNT(*) FROM SEEN");
        assert!(seen.contains(&format!("\n{wanted}\n")), "{seen}");
    }
    // What a trigger refuses is not loaded.
    shown(&mut session, "ALTER TRIGGER T_seen ON T AFTER INSERT AS THROW 50001, N'no', 1");
    session.bulk_target("INSERT BULK T (ID int) WITH (FIRE_TRIGGERS)").expect("a target");
    let refused = session.bulk_rows(vec![vec![Value::Int(3)]]);
    assert_eq!(refused.map_err(|error| error.number), Err(50_001));
    assert!(shown(&mut session, "SELECT COUNT(*) FROM T").contains("\n2\n"));
}

#[test]
fn a_trigger_writes_where_its_user_may_not() {
    let bench = bench();
    let mut owner = bench.session();
    bench.engine.create_login("till", "till", false).expect("a login");
    shown(&mut owner, "CREATE TABLE T (ID int PRIMARY KEY); CREATE TABLE KEPT (ID int)");
    shown(&mut owner, "CREATE USER till FOR LOGIN till; GRANT INSERT ON T TO till");
    shown(
        &mut owner,
        "CREATE TRIGGER T_kept ON T AFTER INSERT AS INSERT INTO KEPT SELECT ID FROM inserted",
    );
    let mut till = bench.engine.login("till", "till", "", "test").expect("a session");
    assert_eq!(shown(&mut till, "INSERT INTO T VALUES (1)"), "(1)\n(1)");
    assert!(shown(&mut till, "INSERT INTO KEPT VALUES (1)").starts_with("ended 229"));
    assert!(shown(&mut till, "DROP TRIGGER T_kept").contains("15247"));
    // Its owner's rights do not reach text that it executes, nor what comes after.
    shown(
        &mut owner,
        "ALTER TRIGGER T_kept ON T AFTER INSERT AS EXEC (N'INSERT INTO KEPT VALUES (2)')",
    );
    assert!(shown(&mut till, "INSERT INTO T VALUES (2)").starts_with("ended 229"));
    assert!(shown(&mut till, "SELECT * FROM KEPT").starts_with("ended 229"));
}

#[test]
fn a_reset_forgets_the_session_context() {
    let bench = bench();
    let mut session = bench.session();
    let ask = "SELECT CONVERT(nvarchar(9), SESSION_CONTEXT(N'who')) AS w";
    shown(&mut session, "EXEC sp_set_session_context N'who', N'me', 1");
    assert!(shown(&mut session, ask).contains("\nme\n"));
    session.reset();
    assert!(shown(&mut session, ask).contains("\nNULL\n"));
}

#[test]
fn modify_date_moves_with_the_table_and_a_new_table_has_a_new_number() {
    let bench = bench();
    let mut session = bench.session();
    shown(&mut session, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON");
    let make = "CREATE TABLE T (ID int NOT NULL PRIMARY KEY, V int NULL)";
    shown(&mut session, make);
    let mut seen = std::collections::BTreeSet::new();
    let ask = "SELECT object_id, create_date, modify_date FROM sys.tables WHERE name = N'T'";
    let mut moved = |session: &mut EngineSession, sql: &str| {
        assert!(!shown(session, sql).contains("error"), "{sql}");
        seen.insert(shown(session, ask))
    };
    for sql in [
        "SELECT 1",
        "ALTER TABLE T ADD W int NULL",
        "CREATE INDEX V_of_T ON T (V)",
        "DROP INDEX V_of_T ON T",
        "ALTER TABLE T ENABLE CHANGE_TRACKING",
        "ALTER TABLE T DISABLE CHANGE_TRACKING",
        "ALTER TABLE T DROP COLUMN W",
        "DROP TABLE T",
        make,
    ] {
        assert!(moved(&mut session, sql), "{sql} moved nothing");
    }
    assert!(!moved(&mut session, "INSERT INTO T VALUES (1, 1); TRUNCATE TABLE T"));
}
