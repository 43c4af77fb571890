//! What one session can do to another, and what can be done to a session: cancelling, deadlocks, ordered errors,
//! prepared statements, resetting, and the bound on their number.

use super::{bench, parameter, shown};
use crate::answer::{Answer, Flow, SqlError, SqlSession};
use tillhold_env::Env;

/// Runs in another thread while the test goes on; its answer comes by the channel.
fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::sync::mpsc::Receiver<T> {
    let (told, answer) = std::sync::mpsc::channel();
    let run = move || {
        let _told = told.send(work());
    };
    Env::real().tasks.thread("aside".to_string(), Box::new(run)).expect("a thread");
    answer
}

#[test]
fn a_running_call_is_cancelled_and_the_session_lives_on() {
    let bench = bench();
    for endless in [
        "BEGIN TRAN; WAITFOR DELAY '01:00:00'",
        "BEGIN TRAN; DECLARE @i int = 0; WHILE 1 = 1 SET @i = 1",
        "BEGIN TRAN; WITH a AS (SELECT x.v FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) AS x (v)) SELECT COUNT(*) FROM a, a AS b, a AS c, \
         a AS d, a AS e, a AS f, a AS g, a AS h, a AS i, a AS j, a AS k, a AS l",
    ] {
        let mut session = bench.session();
        let interrupt = session.interrupter();
        interrupt();
        assert!(
            shown(&mut session, "SELECT 1").starts_with('['),
            "without effect when nothing runs"
        );
        let (begun, started) = std::sync::mpsc::channel();
        let answer = aside(move || {
            let ended = session.batch(endless, &mut |answer| {
                if matches!(answer, Answer::TransactionBegun(_)) {
                    let _told = begun.send(());
                }
                Flow::Continue
            });
            (ended, shown(&mut session, "SELECT @@TRANCOUNT AS t"))
        });
        started.recv().expect("the transaction's begin");
        let ended = loop {
            interrupt();
            match answer.recv_timeout(std::time::Duration::from_millis(5)) {
                Ok(ended) => break ended,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(gone) => panic!("{endless}: {gone}"),
            }
        };
        assert_eq!(ended.0.map_err(|error| error.number), Err(0), "{endless}");
    }
}

#[test]
fn a_receiver_that_stops_ends_the_call() {
    let bench = bench();
    let mut session = bench.session();
    let mut rows = 0;
    let ended = session.batch("SELECT x.v FROM (VALUES (1),(2),(3)) AS x (v)", &mut |answer| {
        rows += u32::from(matches!(answer, Answer::Row(_)));
        if rows == 2 { Flow::Stop } else { Flow::Continue }
    });
    assert_eq!((ended.map_err(|error| error.number), rows), (Err(0), 2));
}

#[test]
fn two_transactions_that_wait_for_each_other_are_a_deadlock() {
    let bench = bench();
    let (mut one, mut other) = (bench.session(), bench.session());
    shown(&mut one, "CREATE TABLE T (ID int NOT NULL PRIMARY KEY); INSERT INTO T VALUES (1)");
    let lock = "DECLARE @rc int; EXEC @rc = sp_getapplock N'x', N'Exclusive', N'Transaction', 60000; SELECT @rc";
    shown(&mut one, "BEGIN TRAN; INSERT INTO T VALUES (2)");
    assert!(shown(&mut other, &format!("BEGIN TRAN; {lock}")).contains("\n0\n"));
    let theirs = aside(move || {
        let answer = shown(&mut other, "SET LOCK_TIMEOUT 60000; INSERT INTO T VALUES (3); COMMIT");
        (answer, other)
    });
    let mine = shown(&mut one, lock);
    shown(&mut one, "ROLLBACK");
    let (theirs, mut other) = theirs.recv().expect("an answer");
    shown(&mut other, "IF @@TRANCOUNT > 0 ROLLBACK");
    let victims = usize::from(mine.contains("\n-3\n")) + usize::from(theirs.contains("ended 1205"));
    assert_eq!(victims, 1, "mine: {mine}\ntheirs: {theirs}");
}

#[test]
fn an_ordered_error_comes_once_and_rolls_back_what_it_would() {
    let bench = bench();
    let mut session = bench.session();
    shown(
        &mut session,
        "CREATE TABLE T (ID int NOT NULL PRIMARY KEY); BEGIN TRAN; INSERT INTO T VALUES (1)",
    );
    bench.engine.fail_next("COUNT", SqlError::new(1205, "").with_severity(13));
    assert!(shown(&mut session, "SELECT 1").starts_with('['), "another statement goes through");
    let victim = shown(&mut session, "SELECT COUNT(*) FROM T");
    assert!(victim.starts_with("rolled back\nended 1205 Transaction (Process ID"), "{victim}");
    assert!(
        shown(&mut session, "SELECT COUNT(*) FROM T").contains("\n0\n"),
        "once, and what was written is gone"
    );
}

#[test]
fn an_ordered_deadlock_strikes_within_the_batch_as_a_real_one_does() {
    let bench = bench();
    let mut session = bench.session();
    shown(&mut session, "CREATE TABLE T (ID int NOT NULL PRIMARY KEY)");
    let batch = "SET XACT_ABORT ON; BEGIN TRY BEGIN TRAN; INSERT INTO T VALUES (1); UPDATE T SET ID = 2; COMMIT END TRY \
                 BEGIN CATCH SELECT ERROR_NUMBER() AS e, ERROR_SEVERITY() AS s, XACT_STATE() AS x, @@TRANCOUNT AS t; \
                 IF @@TRANCOUNT > 0 ROLLBACK END CATCH";
    bench.engine.fail_next("UPDATE T", SqlError::new(1205, ""));
    let victim = shown(&mut session, batch);
    assert!(victim.contains("\n1205 | 13 | -1 | 1\n"), "{victim}");
    assert!(victim.contains("(1)") && victim.contains("rolled back"), "{victim}");
    assert!(shown(&mut session, batch).ends_with("committed\n()"), "once");
    // Nobody catches it: the batch ends, and with it the transaction.
    bench.engine.fail_next("DELETE", SqlError::new(1205, ""));
    let victim =
        shown(&mut session, "BEGIN TRAN; INSERT INTO T VALUES (7); DELETE FROM T; SELECT 1");
    assert!(victim.contains("(1)\nrolled back\nended 1205 Transaction (Process ID"), "{victim}");
    assert!(shown(&mut session, "SELECT COUNT(*) FROM T WHERE ID = 7").contains("\n0\n"));
    // A procedure's name and a client's commit are no statement of a batch.
    bench.engine.fail_next("COMMIT", SqlError::new(1205, ""));
    shown(&mut session, "BEGIN TRAN; INSERT INTO T VALUES (7)");
    assert_eq!(session.commit(&mut |_| Flow::Continue).map_err(|error| error.number), Err(1205));
    assert!(shown(&mut session, "SELECT @@TRANCOUNT").contains("\n0\n"));
}

#[test]
fn prepared_statements_run_by_their_number() {
    let bench = bench();
    let mut session = bench.session();
    let id = session.prepare("SELECT @a + 1 AS b", "@a int").expect("a number");
    let mut rows = Vec::new();
    for given in ["1", "41"] {
        let run =
            session.execute_prepared(id, &[parameter("@a", "int", Some(given))], &mut |answer| {
                if let Answer::Row(row) = answer {
                    rows.push(row);
                }
                Flow::Continue
            });
        assert_eq!(run, Ok(()));
    }
    assert_eq!(
        rows,
        [[tillhold_core::value::Value::Int(2)], [tillhold_core::value::Value::Int(42)]]
    );
    assert_eq!(session.unprepare(id), Ok(()));
    let gone = session.execute_prepared(id, &[], &mut |_| Flow::Continue);
    assert_eq!(gone.map_err(|error| error.number), Err(8179));
    assert_eq!(session.prepare("SELEC", "@a nosuch").map_err(|error| error.number), Err(2715));
}

#[test]
fn a_reset_session_is_as_new() {
    let bench = bench();
    let mut session = bench.session();
    shown(&mut session, "CREATE TABLE T (ID int NOT NULL PRIMARY KEY); CREATE TABLE #t (a int)");
    shown(
        &mut session,
        "SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRAN; INSERT INTO T VALUES (1)",
    );
    session.reset();
    assert_eq!(shown(&mut session, "SELECT @@TRANCOUNT AS t"), "[t int]\n0\n(1)");
    assert!(shown(&mut session, "SELECT * FROM #t").starts_with("ended 208"));
    let mut other = bench.session();
    assert_eq!(shown(&mut other, "INSERT INTO T VALUES (1)"), "(1)", "its lock is gone too");
}

#[test]
fn logins_are_refused_by_number_and_sessions_are_bounded() {
    let bench = bench();
    let refused = |user: &str, password: &str, database: &str| {
        bench.engine.login(user, password, database, "").map(|_| ()).map_err(|error| error.number)
    };
    assert_eq!(refused("sa", "wrong", ""), Err(18456));
    assert_eq!(refused("nobody", "secret", ""), Err(18456));
    assert_eq!(refused("sa", "secret", "elsewhere"), Err(4060));
    assert_eq!(refused("SA", "secret", "channel"), Ok(()));
    bench.engine.create_login("sa", "changed", true).expect("a new password");
    assert_eq!(refused("sa", "secret", ""), Err(18456));
    bench.engine.create_login("sa", "secret", true).expect("the old one");
    let seats: Vec<_> =
        (0..tillhold_core::limits::TDS_SESSIONS_MAX).map(|_| bench.session()).collect();
    assert_eq!(refused("sa", "secret", ""), Err(17809));
    drop(seats);
    assert_eq!(refused("sa", "secret", ""), Ok(()));
}

#[test]
fn definitions_of_one_session_are_seen_by_all() {
    let bench = bench();
    let (mut one, mut other) = (bench.session(), bench.session());
    shown(&mut one, "CREATE TABLE T (ID int NOT NULL PRIMARY KEY); INSERT INTO T VALUES (1)");
    assert_eq!(shown(&mut other, "SELECT * FROM T"), "[ID int]\n1\n(1)");
    shown(&mut one, "ALTER TABLE T ADD N nvarchar(3) NULL");
    assert_eq!(shown(&mut other, "SELECT * FROM T"), "[ID int, N nvarchar(3)]\n1 | NULL\n(1)");
    shown(&mut one, "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON");
    shown(&mut other, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT * FROM T");
    shown(&mut one, "CREATE TABLE U (ID int NOT NULL PRIMARY KEY)");
    let later = shown(&mut other, "SELECT * FROM U");
    assert!(later.contains("ended 3961"), "{later}");
}

#[test]
fn deep_texts_are_refused_before_they_break_anything() {
    let bench = bench();
    let mut session = bench.session();
    for (open, close) in
        [("(", ")"), ("~", ""), ("CASE WHEN 1 = 1 THEN ", " END"), ("(SELECT ", ")"), ("ABS(", ")")]
    {
        for depth in [20, 55, 5_000] {
            let sql = format!("SELECT {} 1 {}", open.repeat(depth), close.repeat(depth));
            let answer = shown(&mut session, &sql);
            let fine = answer.starts_with('[')
                || answer.starts_with("ended 191")
                || answer.starts_with("ended 823");
            assert!(fine && (depth > 20 || answer.starts_with('[')), "{depth} of {open}: {answer}");
        }
    }
    for nested in ["IF 1 = 1 ", "BEGIN ", "WHILE 1 = 0 ", "NOT "] {
        let answer = shown(&mut session, &format!("{}SELECT 1", nested.repeat(5_000)));
        assert!(answer.starts_with("ended"), "{nested}: {answer}");
    }
    assert!(
        shown(&mut session, &format!("SELECT 1{}", " + 1".repeat(5_000))).starts_with("ended 191")
    );
    assert!(shown(&mut session, &format!("SELECT 1{}", " + 1".repeat(90))).contains("\n91\n"));
    for repeated in [" UNION ALL SELECT 1", " CROSS JOIN sys.tables", " COLLATE a"] {
        let start =
            if repeated.contains("JOIN") { "SELECT 1 FROM sys.tables" } else { "SELECT N'a'" };
        let answer = shown(&mut session, &format!("{start}{}", repeated.repeat(5_000)));
        assert!(answer.starts_with("ended 191"), "{repeated}: {answer}");
    }
    let keys = format!("SELECT 1 WHERE 1 = 0{}", " OR 2 = 2 AND 3 = 3".repeat(2_000));
    assert!(shown(&mut session, &keys).contains("\n1\n"));
}
