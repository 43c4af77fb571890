//! Wire and engine together: tiberius logs in, makes tables, writes and reads them back.

use super::raw::{Raw, Seen};
use super::toy::TYPED;
use super::{TestClient, count_rows, number, received};
use crate::{Engine, Fault, Gate, Server, ServerOptions};
use futures_util::StreamExt as _;
use std::time::Duration;
use tiberius::numeric::Numeric;
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel, IsolationLevel};
use tiberius::{Command, Query, TokenRow};
use tillhold_core::types::SqlType;
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::TokioAsyncReadCompatExt;

struct Shop {
    env: Env,
    gate: Gate,
    options: ServerOptions,
    _server: Server,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Shop {
        let env = Env::real();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("channel.db");
        let engine = Engine::open(&env, &file).expect("an engine");
        engine.create_login("sa", "right", true).expect("a login");
        let options = ServerOptions::beside(&file).expect("an identity");
        let server = Server::start(&env, engine, options.clone());
        let gate = server.listen(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        Shop { env, gate, options, _server: server, _folder: folder }
    }

    async fn connect(&self, password: &str, database: &str) -> tiberius::Result<TestClient> {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.authentication(AuthMethod::sql_server("sa", password));
        config.database(database);
        config.encryption(EncryptionLevel::Required);
        let identity = self.options.tls.as_ref().expect("an identity");
        config.trust_cert_ca(identity.certificate().display());
        Client::connect(config, self.stream().await?.compat()).await
    }

    async fn stream(&self) -> std::io::Result<BoxStream> {
        self.env.network.connect("127.0.0.1", self.gate.address().port()).await
    }

    async fn office(&self) -> TestClient {
        self.connect("right", "").await.expect("a login")
    }
}

async fn run(client: &mut TestClient, sql: &str) {
    client.simple_query(sql).await.expect(sql).into_results().await.expect(sql);
}

async fn integer(client: &mut TestClient, sql: &str) -> Option<i32> {
    let rows = client.simple_query(sql).await.expect(sql).into_first_result().await.expect(sql);
    rows.first().and_then(|row| row.get(0))
}

/// The types of the table that a statement can write: rowversion is the channel's own, and tiberius reads money as
/// a float.
fn writable() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let all = TYPED.iter().enumerate().map(|(at, (declaration, given))| (at, *declaration, *given));
    all.filter(|(_, declaration, _)| !["rowversion", "smallmoney"].contains(declaration))
}

#[tokio::test]
async fn logins_are_the_engine_s() {
    let shop = Shop::open().await;
    assert_eq!(number(shop.connect("wrong", "").await.map(drop)), Some(18_456));
    assert_eq!(number(shop.connect("right", "nowhere").await.map(drop)), Some(4_060));
    assert!(shop.connect("right", "Channel").await.is_ok());
}

#[tokio::test]
async fn every_type_is_written_and_read_back() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    let columns: Vec<_> = writable().map(|(at, of, _)| format!("c{at} {of} NULL")).collect();
    let sql =
        format!("CREATE TABLE dbo.Typed (id int NOT NULL PRIMARY KEY, {})", columns.join(", "));
    run(&mut client, &sql).await;
    let literals: Vec<_> = writable()
        .map(|(_, of, given)| match SqlType::parse(of).expect("a type") {
            of if of.is_binary() => format!("0x{given}"),
            SqlType::Float | SqlType::Real => given.to_string(),
            _ => format!("N'{given}'"),
        })
        .collect();
    run(&mut client, &format!("INSERT INTO dbo.Typed VALUES (1, {})", literals.join(", "))).await;
    run(&mut client, "INSERT INTO dbo.Typed (id) VALUES (2)").await;
    let rows = client.simple_query("SELECT * FROM dbo.Typed ORDER BY id").await.expect("a result");
    let rows = rows.into_first_result().await.expect("rows");
    for (row, is_null) in rows.iter().zip([false, true]) {
        for ((_, cell), (_, declaration, given)) in row.cells().skip(1).zip(writable()) {
            let of = SqlType::parse(declaration).expect("a type");
            let expected = tillhold_core::text::parse(given, of).expect("a value");
            let expected = tillhold_core::text::canonical(&expected, of).filter(|_| !is_null);
            assert_eq!(received(cell, of), expected, "{declaration}");
        }
    }
}

#[tokio::test]
async fn parameters_errors_and_counts() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY, a decimal(10,2) NULL, n nvarchar(50) NULL)")
        .await;
    let sql = "INSERT INTO dbo.T (id, a, n) VALUES (@P1, @P2, @P3)";
    for id in 0..3i32 {
        let amount = Numeric::new_with_scale(i128::from(id) * 125 - 100, 2);
        let done = client.execute(sql, &[&id, &amount, &"日本"]).await.expect("inserted");
        assert_eq!(done.total(), 1);
    }
    let nothing: Option<&str> = None;
    let twice = client.execute(sql, &[&1i32, &None::<Numeric>, &nothing]).await;
    assert_eq!(number(twice), Some(2_627));
    assert_eq!(number(count_rows(&mut client, "SELECT * FROM dbo.Missing").await), Some(208));
    assert_eq!(number(count_rows(&mut client, "SELECT (1").await), Some(102));
    let rows = client.query("SELECT a, n FROM dbo.T WHERE id > @P1 ORDER BY id", &[&0i32]).await;
    let rows = rows.expect("a result").into_first_result().await.expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get::<Numeric, _>(0).map(|n| n.to_string()).as_deref(), Some("0.25"));
    assert_eq!(rows[0].get::<&str, _>(1), Some("日本"));
}

#[tokio::test]
async fn a_statement_gives_values_back() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    let asks = |declarations: &'static str| {
        let mut call = Command::new("sp_executesql");
        call.bind_param("@stmt", "SET @b = @a * 2; SET @t = @t + N'!'; SELECT @a AS a");
        call.bind_param("@params", declarations);
        call.bind_param("@a", 21i32);
        call.bind_out_param("@b", 0i64);
        call.bind_out_param("@t", "日本");
        call
    };
    let call = asks("@a int, @b bigint OUTPUT, @t nvarchar(40) OUT").exec(&mut client).await;
    let result = call.expect("a call").into_command_result().await.expect("a result");
    assert_eq!(result.try_return_value::<i64>("@b").expect("a bigint"), Some(42));
    assert_eq!(result.try_return_value::<&str>("@t").expect("a text"), Some("日本!"));
    assert_eq!((result.return_code(), result.return_values_len()), (0, 2));
    let call = asks("@a int, @b bigint, @t nvarchar(40) OUT").exec(&mut client).await;
    assert_eq!(number(call.expect("a call").into_command_result().await), Some(8_162));
}

#[tokio::test]
async fn text_under_a_utf_8_collation_goes_as_utf_16() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    let of = "varchar(40) COLLATE Latin1_General_100_CI_AS_SC_UTF8";
    let columns =
        format!("id int NOT NULL PRIMARY KEY, n {of} NULL, m {} NULL", of.replace("40", "max"));
    run(&mut client, &format!("CREATE TABLE dbo.U ({columns})")).await;
    let mut load = client.bulk_insert("dbo.U").await.expect("a bulk load");
    for (id, text) in [(1, "Зал 日本 😀"), (2, "plain")] {
        let mut row = TokenRow::new();
        row.push(ColumnData::I32(Some(id)));
        row.push(ColumnData::String(Some(text.into())));
        row.push(ColumnData::String(Some(text.into())));
        load.send(row).await.expect("sent");
    }
    assert_eq!(load.finalize().await.expect("loaded").total(), 2);
    let changed = "UPDATE dbo.U SET n = N'für 日本' OUTPUT inserted.n, inserted.m WHERE id = 1";
    for (sql, n, m) in [
        ("SELECT n, m FROM dbo.U WHERE id = 1", "Зал 日本 😀", "Зал 日本 😀"),
        (changed, "für 日本", "Зал 日本 😀"),
        ("SELECT UPPER(n), m + N'!' FROM dbo.U WHERE id = 1", "FÜR 日本", "Зал 日本 😀!"),
    ] {
        let rows = client.simple_query(sql).await.expect(sql).into_first_result().await;
        let rows = rows.expect(sql);
        assert_eq!(
            (rows[0].get::<&str, _>(0), rows[0].get::<&str, _>(1)),
            (Some(n), Some(m)),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn transactions_by_request_keep_their_promises() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY)").await;
    client.begin_transaction().await.expect("begun");
    run(&mut client, "INSERT INTO dbo.T VALUES (1)").await;
    client.rollback_transaction().await.expect("rolled back");
    assert_eq!(integer(&mut client, "SELECT COUNT(*) FROM dbo.T").await, Some(0));
    client.begin_transaction_with_isolation(IsolationLevel::ReadCommitted).await.expect("begun");
    run(&mut client, "INSERT INTO dbo.T VALUES (2)").await;
    client.commit_transaction().await.expect("committed");
    run(&mut client, "BEGIN TRANSACTION; INSERT INTO dbo.T VALUES (3)").await;
    drop(client);
    let mut client = shop.office().await;
    assert_eq!(integer(&mut client, "SELECT COUNT(*) FROM dbo.T").await, Some(1));
    assert_eq!(number(client.commit_transaction().await), Some(3_902));
}

#[tokio::test]
async fn a_bulk_load_goes_into_a_table_and_a_temporary_one() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    for table in ["dbo.Loaded", "#bulk"] {
        let columns = "id int NOT NULL PRIMARY KEY, n nvarchar(40) NULL, a decimal(20,4) NULL, v varbinary(max) NULL";
        run(&mut client, &format!("CREATE TABLE {table} ({columns})")).await;
        let mut load = client.bulk_insert(table).await.expect("a bulk load");
        for id in 0..2_500i32 {
            let mut row = TokenRow::new();
            row.push(ColumnData::I32(Some(id)));
            row.push(ColumnData::String((id % 3 != 0).then(|| format!("row {id}").into())));
            row.push(ColumnData::Numeric(Some(Numeric::new_with_scale(id.into(), 4))));
            row.push(ColumnData::Binary(Some(vec![id as u8; 3].into())));
            load.send(row).await.expect("sent");
        }
        assert_eq!(load.finalize().await.expect("loaded").total(), 2_500);
        let count = format!("SELECT COUNT(*) FROM {table} WHERE n IS NOT NULL OR id % 3 = 0");
        assert_eq!(integer(&mut client, &count).await, Some(2_500));
    }
}

#[tokio::test]
async fn a_failed_bulk_load_leaves_the_table_as_it_was() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    for table in ["dbo.Loaded"] {
        run(&mut client, &format!("CREATE TABLE {table} (id int NOT NULL PRIMARY KEY)")).await;
        run(&mut client, &format!("INSERT INTO {table} VALUES (7)")).await;
        let mut load = client.bulk_insert(table).await.expect("a bulk load");
        for id in (100..2_000).chain([7i32]) {
            let mut row = TokenRow::new();
            row.push(ColumnData::I32(Some(id)));
            load.send(row).await.expect("sent");
        }
        assert_eq!(number(load.finalize().await), Some(2_627));
        let count = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(integer(&mut client, &count).await, Some(1), "half a load stayed in {table}");
    }
}

/// By a raw client: SQL Server ends the cancelled answer and acknowledges in a message of its own, which tiberius's
/// `cancel_query` does not await.
#[tokio::test]
async fn a_running_statement_can_be_cancelled() {
    let shop = Shop::open().await;
    let mut raw = Raw::log_in(shop.stream().await.expect("a connection")).await;
    let endless = "DECLARE @x int = 0; WHILE 1 = 1 SET @x = @x + 1 - 1";
    for batch in ["WAITFOR DELAY '00:10:00'", endless] {
        raw.send_batch(0, batch).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        raw.send(6, 0, &[]).await;
        raw.answer().await.expect("an answer cut short");
        raw.answer().await.expect("an acknowledgement");
        assert_eq!(raw.batch(0, "PRINT 'x'").await[0], Seen::Other(0xAB), "{batch}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_result_frees_its_locks() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.Big (id int NOT NULL PRIMARY KEY, n nvarchar(40) NOT NULL)")
        .await;
    let mut load = client.bulk_insert("dbo.Big").await.expect("a bulk load");
    for id in 0..100_000i32 {
        let mut row = TokenRow::new();
        row.push(ColumnData::I32(Some(id)));
        row.push(ColumnData::String(Some(format!("row number {id}").into())));
        load.send(row).await.expect("sent");
    }
    load.finalize().await.expect("loaded");
    client.begin_transaction().await.expect("a transaction");
    run(&mut client, "UPDATE dbo.Big SET n = N'changed' WHERE id = 1").await;
    let rows = client.simple_query("SELECT * FROM dbo.Big").await.expect("a result");
    let mut rows = rows.into_row_stream();
    for _ in 0..10 {
        rows.next().await.expect("more").expect("a row");
    }
    drop(rows);
    drop(client);
    let mut client = shop.office().await;
    run(&mut client, "SET LOCK_TIMEOUT 30000; UPDATE dbo.Big SET n = N'mine' WHERE id = 2").await;
    let changed = "SELECT COUNT(*) FROM dbo.Big WHERE n = N'changed'";
    assert_eq!(integer(&mut client, changed).await, Some(0));
    assert_eq!(count_rows(&mut client, "SELECT * FROM dbo.Big").await.ok(), Some(100_000));
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_there() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY)").await;
    shop.gate.inject(Fault::DropAfterCommit { commits: 1 });
    let upload = "BEGIN TRANSACTION; INSERT INTO dbo.T VALUES (@P1); COMMIT TRANSACTION; SELECT 1";
    let mut query = Query::new(upload);
    query.bind(5i32);
    assert!(query.query(&mut client).await.is_err(), "the answer was not lost");
    assert_eq!(integer(&mut shop.office().await, "SELECT id FROM dbo.T").await, Some(5));
}

#[tokio::test]
async fn a_cut_rolls_back_what_was_not_committed() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY)").await;
    run(&mut client, "BEGIN TRANSACTION; INSERT INTO dbo.T VALUES (1)").await;
    shop.gate.cut().await.expect("cut");
    shop.gate.restore().await.expect("restored");
    let mut client = shop.office().await;
    run(&mut client, "SET LOCK_TIMEOUT 30000; INSERT INTO dbo.T VALUES (1)").await;
    assert_eq!(integer(&mut client, "SELECT COUNT(*) FROM dbo.T").await, Some(1));
}

/// With its transactions, their locks and its temporary tables.
#[tokio::test]
async fn a_restarted_server_has_no_sessions_left() {
    let shop = Shop::open().await;
    let mut client = shop.office().await;
    run(&mut client, "CREATE TABLE dbo.T (id int NOT NULL PRIMARY KEY); CREATE TABLE #t (id int)")
        .await;
    for _ in 0..5 {
        run(&mut client, "BEGIN TRANSACTION; INSERT INTO dbo.T VALUES (1)").await;
        shop.gate.restart().await.expect("a restart");
        assert_eq!(shop.gate.connections(), 0);
        assert!(client.simple_query("SELECT 1").await.is_err(), "a connection outlived its server");
        client = shop.office().await;
        run(&mut client, "SET LOCK_TIMEOUT 0; INSERT INTO dbo.T VALUES (1); DELETE FROM dbo.T")
            .await;
    }
    assert_eq!(number(count_rows(&mut client, "SELECT * FROM #t").await), Some(208));
}
