//! Capture: every write of every program, with whole rows, in order, as whole transactions.

use super::{House, customers, hash, id, key, lines, row, shown, table};
use crate::RowWrite;
use std::sync::Arc;
use tillhold_core::draw::Draw;
use tillhold_core::migration::InstalledTable;
use tillhold_core::profile::Direction;
use tillhold_core::table::Table;
use tillhold_core::transaction::{Operation, Transaction};
use tillhold_core::version::ChannelVersion;

/// A transaction's writes as `operation key: base -> offline @version`.
fn told(transaction: &Transaction) -> Vec<String> {
    let one = |write: &tillhold_core::transaction::Write| {
        let side = |row: &Option<tillhold_core::row::Row>| match row {
            Some(row) => shown(&write.table, row),
            None => "-".to_string(),
        };
        let letter = match write.operation {
            Operation::Insert => "I",
            Operation::Update => "U",
            Operation::Delete => "D",
        };
        let (base, offline) = (side(&write.base), side(&write.offline));
        let key = write.key.named(&write.table);
        format!("{letter} {key}: {base} -> {offline} @{}", write.base_version)
    };
    transaction.writes.iter().map(one).collect()
}

fn notes() -> Arc<Table> {
    table("NOTES", "ID nvarchar(10) key, NOTE nvarchar(20) null")
}

async fn house_with_notes() -> House {
    let house = House::new().await;
    let notes =
        InstalledTable { scope: "notes".into(), direction: Direction::Upload, table: notes() };
    house
        .db
        .install([super::plan(), vec![notes]].concat(), Vec::new())
        .await
        .expect("an installation");
    house
}

/// SQL of another program, commit by commit, and the net writes that must come of it.
async fn check(commits: &[&str], expected: &[&[&str]]) {
    let house = house_with_notes().await;
    let other = house.another_program();
    other
        .execute_batch("INSERT INTO \"ax.NOTES\" VALUES ('old', 'was'), ('k', 'v')")
        .expect("rows");
    house.pending().await;
    for transaction in house.pending().await {
        house.db.settle(transaction.id, crate::Settlement::Accepted).await.expect("settled");
    }
    for commit in commits {
        let sql = format!("BEGIN; {commit}; COMMIT;");
        other.execute_batch(&sql).unwrap_or_else(|error| panic!("{commit}: {error}"));
    }
    let pending = house.pending().await;
    let all: Vec<Vec<String>> = pending.iter().map(told).collect();
    assert_eq!(all, expected, "{commits:?}");
    assert!(pending.iter().all(|t| t.hash.0 != [0; 32]));
}

#[tokio::test]
async fn another_programs_writes_are_captured_as_they_net_out() {
    let insert = "INSERT INTO \"ax.NOTES\" VALUES ('a', 'x')";
    check(&[insert], &[&["I ID=a: - -> a|x @0"]]).await;
    check(
        &[insert, "UPDATE \"ax.NOTES\" SET NOTE = 'y' WHERE ID = 'a'"],
        &[&["I ID=a: - -> a|y @0"]],
    )
    .await;
    check(&[insert, "DELETE FROM \"ax.NOTES\" WHERE ID = 'a'"], &[]).await;
    check(&["UPDATE \"ax.NOTES\" SET NOTE = 'v'"], &[&["U ID=old: old|was -> old|v @0"]]).await;
    check(
        &["UPDATE \"ax.NOTES\" SET NOTE = NULL WHERE ID = 'k'"],
        &[&["U ID=k: k|v -> k|NULL @0"]],
    )
    .await;
    check(&["DELETE FROM \"ax.NOTES\" WHERE ID = 'k'"], &[&["D ID=k: k|v -> - @0"]]).await;
    check(
        &["DELETE FROM \"ax.NOTES\" WHERE ID = 'k'; INSERT INTO \"ax.NOTES\" VALUES ('K ', 'w')"],
        &[&["U ID=K : k|v -> K |w @0"]],
    )
    .await;
    check(
        &["UPDATE \"ax.NOTES\" SET ID = 'new' WHERE ID = 'k'"],
        &[&["D ID=k: k|v -> - @0", "I ID=new: - -> new|v @0"]],
    )
    .await;
    check(&["UPDATE \"ax.NOTES\" SET ID = 'K' WHERE ID = 'k'"], &[&["U ID=K: k|v -> K|v @0"]])
        .await;
}

/// SQLite fires no delete trigger for a row that REPLACE pushes out; its base must not be lost all the same.
#[tokio::test]
async fn rows_pushed_out_by_replace_keep_their_base() {
    check(
        &["INSERT OR REPLACE INTO \"ax.NOTES\" VALUES ('K', 'w')"],
        &[&["U ID=K: k|v -> K|w @0"]],
    )
    .await;
    check(
        &["INSERT INTO \"ax.NOTES\" VALUES ('k', 'w') \
           ON CONFLICT (lower(rtrim(\"ID\"))) DO UPDATE SET NOTE = excluded.NOTE"],
        &[&["U ID=k: k|v -> k|w @0"]],
    )
    .await;
    check(
        &["UPDATE OR REPLACE \"ax.NOTES\" SET ID = 'k' WHERE ID = 'old'"],
        &[&["D ID=old: old|was -> - @0", "U ID=k: k|v -> k|was @0"]],
    )
    .await;
    check(
        &[
            "INSERT OR IGNORE INTO \"ax.NOTES\" VALUES ('k', 'ignored')",
            "DELETE FROM \"ax.NOTES\" WHERE ID = 'k'",
        ],
        &[&["D ID=k: k|v -> - @0"]],
    )
    .await;
}

#[tokio::test]
async fn an_ignored_insert_leaves_no_trace_in_a_later_sale() {
    let house = house_with_notes().await;
    let other = house.another_program();
    other.execute_batch("INSERT INTO \"ax.NOTES\" VALUES ('k', 'v')").expect("a row");
    other.execute_batch("INSERT OR IGNORE INTO \"ax.NOTES\" VALUES ('k', 'x')").expect("no row");
    let delete = vec![RowWrite::Delete { table: notes().name.clone(), key: key(&notes(), &["k"]) }];
    house.db.record(id(1), hash(1), delete, 1).await.expect("a delete");
    house.insert(2, &notes(), &["k", "new"]).await;
    let pending = house.pending().await;
    assert_eq!(told(&pending[1]), vec!["D ID=k: k|v -> - @0"]);
    assert_eq!(told(&pending[2]), vec!["I ID=k: - -> k|new @0"]);
}

#[tokio::test]
async fn transactions_come_out_oldest_first_whole_and_never_torn() {
    let house = house_with_notes().await;
    let other = house.another_program();
    let foreign = |sql: &str| other.execute_batch(sql).expect("another program's write");
    foreign("INSERT INTO \"ax.NOTES\" VALUES ('f1', '1')");
    foreign("BEGIN; INSERT INTO \"ax.NOTES\" VALUES ('f2', '2'), ('f3', '3'); COMMIT;");
    house.insert(1, &notes(), &["own", "1"]).await;
    foreign("UPDATE \"ax.NOTES\" SET NOTE = '4' WHERE ID IN ('f1', 'own')");
    house.insert(2, &notes(), &["own2", "1"]).await;

    let pending = house.pending().await;
    let ids: Vec<_> = pending.iter().map(|t| t.id).collect();
    assert_eq!(pending.iter().map(|t| t.writes.len()).collect::<Vec<_>>(), vec![3, 1, 2, 1]);
    assert_eq!((ids[1], ids[3]), (id(1), id(2)));
    assert!(pending.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    let again = house.pending().await;
    assert_eq!(again, pending, "reading settles nothing, and an id once given stays");

    foreign("INSERT INTO \"ax.NOTES\" VALUES ('f4', '4')");
    assert_eq!(house.pending().await.len(), 5);
    let few = house.db.pending(2, 100).await.expect("pending");
    assert_eq!(few.iter().map(|t| t.id).collect::<Vec<_>>(), ids[..2]);
    let small = house.db.pending(100, 1).await.expect("pending");
    assert_eq!(small.len(), 1, "at least one, however large");
    assert_eq!(small[0].writes.len(), 3, "and never a part of one");
    let exact = house.db.pending(100, 4).await.expect("pending");
    assert_eq!(exact.len(), 2);
}

#[tokio::test]
async fn changes_that_cancel_out_are_settled_and_not_sent() {
    let house = house_with_notes().await;
    let table = notes().name.clone();
    let writes = vec![
        RowWrite::Insert { table: table.clone(), row: row(&notes(), &["a", "x"]) },
        RowWrite::Delete { table, key: key(&notes(), &["A"]) },
    ];
    house.db.record(id(1), hash(1), writes, 1).await.expect("a transaction");
    house.insert(2, &notes(), &["b", "x"]).await;
    let update =
        |note| RowWrite::Update { table: notes().name.clone(), row: row(&notes(), &["b", note]) };
    let there_and_back = vec![update("y"), update("x")];
    house.db.record(id(3), hash(3), there_and_back, 1).await.expect("a transaction");
    let pending = house.pending().await;
    assert_eq!(pending.iter().map(|t| t.id).collect::<Vec<_>>(), vec![id(2)]);
    assert_eq!(house.db.counts().await.expect("counts").pending_rows, 1);
}

/// What another program writes may not fit its column; it must not hold up the sales behind it.
#[tokio::test]
async fn an_unreadable_row_is_quarantined_and_blocks_nothing() {
    let house = House::new().await;
    let other = house.another_program();
    let wrong = "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('T', 1, 'i', 'many')";
    other.execute_batch(wrong).expect("SQLite takes it");
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    let pending = house.pending().await;
    assert_eq!(pending.iter().map(|t| t.id).collect::<Vec<_>>(), vec![id(1)]);
    let quarantined = house.db.quarantined(None, 10).await.expect("a listing");
    assert_eq!(quarantined.len(), 1);
    let reason = quarantined[0].transaction.reason.clone().expect("a reason");
    assert_eq!(reason.0, "local-unreadable");
    assert!(reason.1.contains("QTY"), "{reason:?}");
    assert_eq!(quarantined[0].tables, vec![lines().name.clone()]);
}

/// Ann is unsent and stands on version 5, the table by now on 9.
async fn house_with_a_customer_of_version_five() -> (House, Arc<Table>) {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    house.insert(1, &customers, &["C1", "usmf", "Ann", "0"]).await;
    let position = vec![(customers.name.clone(), ChannelVersion(9))];
    house.db.land("customers", position, super::EPOCH).await.expect("a landing");
    (house, customers)
}

#[tokio::test]
async fn a_row_stands_on_the_version_of_its_first_unsent_change() {
    let (house, customers) = house_with_a_customer_of_version_five().await;
    house.update(2, &customers, &["C1", "usmf", "Anna", "0"]).await;
    house.insert(3, &customers, &["C2", "usmf", "Bob", "0"]).await;
    let versions: Vec<u64> =
        house.pending().await.iter().map(|t| t.writes[0].base_version.0).collect();
    assert_eq!(versions, vec![5, 5, 9]);
}

/// One row a list: the extremes of every type, NULLs, and what text and JSON stumble over.
const EXTREMES: [&[&str]; 4] = [
    &[
        "1",
        "1",
        "255",
        "-2147483648",
        "9223372036854775807",
        "-12345678901234567890.123456789012345678",
        "-922337203685477.5808",
        "1.7976931348623157e308",
        "0.1",
        "0001-01-01",
        "23:59:59.9999999",
        "9999-12-31 23:59:59.997",
        "9999-12-31 23:59:59.9999999",
        "2026-03-29 23:30:00.1 -05:30",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "ab",
        "quote \" ' back\\slash \u{1F600}\n\t\u{1}é{\"a\":[1]}",
        "00FF7f",
        "",
    ],
    &[
        "2",
        "0",
        "0",
        "2147483647",
        "-9223372036854775808",
        "0.000000000000000001",
        "0.0001",
        "5e-324",
        "-3.4028234663852886e38",
        "9999-12-31",
        "00:00:00",
        "1753-01-01 00:00:00.003",
        "0001-01-01",
        "0001-01-02 00:00:00 +14:00",
        "00000000-0000-0000-0000-000000000000",
        "",
        "[1,2]",
        "",
        "0xDEADBEEF",
    ],
    &[
        "3", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL",
        "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL",
    ],
    &[
        "-4",
        "1",
        "7",
        "0",
        "0",
        "1",
        "1",
        "2.2250738585072014e-308",
        "0.3333333432674408",
        "2026-11-21",
        "12:00:00",
        "2026-11-21 12:00:00",
        "2026-11-21",
        "2026-11-21 12:00:00 +00:00",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "    ",
        "trailing and a nul \u{0} inside  ",
        "010203",
        "00",
    ],
];

async fn house_of_all_types() -> (House, Arc<Table>) {
    let house = House::new().await;
    let all = table(
        "ALLTYPES",
        "K bigint key, B bit null, T tinyint null, I int null, N bigint null, D numeric(38;18) null, M money null, \
         F float null, R real null, DA date null, TI time(7) null, DT datetime null, D2 datetime2(7) null, \
         DO datetimeoffset(7) null, G uniqueidentifier null, C nchar(4) null, V nvarchar(max) null, X binary(3) null, \
         Y varbinary(max) null",
    );
    let install =
        InstalledTable { scope: "all".into(), direction: Direction::Upload, table: all.clone() };
    let plan = [super::plan(), vec![install]].concat();
    house.db.install(plan, Vec::new()).await.expect("an installation");
    (house, all)
}

/// Columns of the log from one of its numbers on, each row as a JSON array.
async fn logged(house: &House, columns: &str, after: i64) -> Vec<String> {
    house.log_is_whole().await;
    let journal = house.another_program();
    let sql = format!("SELECT json_array({columns}) FROM tillhold_log WHERE seq > ?1 ORDER BY seq");
    let mut select = journal.prepare(&sql).expect("a question");
    let rows = select.query_map([after], |row| row.get(0)).expect("an answer");
    rows.map(|row| row.expect("a row of the log")).collect()
}

/// The register logs what it writes by statements of its own: word for word what the triggers write.
#[tokio::test]
async fn a_sale_is_logged_as_another_programs_rows_are() {
    let ((own, all), (foreign, _)) = (house_of_all_types().await, house_of_all_types().await);
    let insert = |table: &Arc<Table>, values: &[&str]| RowWrite::Insert {
        table: table.name.clone(),
        row: row(table, values),
    };
    let (first, second) = (["T9", "1", "Item ", "1"], ["t9", "2", "item", "2.5"]);
    let mut writes = vec![insert(&lines(), &first)];
    writes.extend(EXTREMES.iter().map(|values| insert(&all, values)));
    writes.push(insert(&lines(), &second));
    own.db.record(id(1), hash(1), writes, 1).await.expect("a sale");
    let other = foreign.another_program();
    let path = own.journal().display().to_string();
    other.execute("ATTACH ?1 AS own", [path]).expect("the other journal");
    let copy = "BEGIN; \
                INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" \
                SELECT * FROM own.\"ax.RETAILTRANSACTIONSALESTRANS\" WHERE LINE = 1; \
                INSERT INTO \"ax.ALLTYPES\" SELECT * FROM own.\"ax.ALLTYPES\" ORDER BY rowid; \
                INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" \
                SELECT * FROM own.\"ax.RETAILTRANSACTIONSALESTRANS\" WHERE LINE = 2; COMMIT;";
    other.execute_batch(copy).expect("the same rows");
    let whole = "table_id, key, operation, old_row, new_row, base_version";
    let own_log = logged(&own, whole, 0).await;
    assert_eq!(own_log.len(), EXTREMES.len() + 2);
    assert_eq!(own_log, logged(&foreign, whole, 0).await);

    // Each row gets the values of the one before it, the first none that are new; then two go.
    let mut changes: Vec<RowWrite> = Vec::new();
    for nth in 0..EXTREMES.len() {
        let mut values = EXTREMES[nth.saturating_sub(1)].to_vec();
        values[0] = EXTREMES[nth][0];
        changes.push(RowWrite::Update { table: all.name.clone(), row: row(&all, &values) });
    }
    let delete = |line: &str| RowWrite::Delete {
        table: lines().name.clone(),
        key: key(&lines(), &["t9", line]),
    };
    own.db.record(id(2), hash(2), changes, 2).await.expect("changes");
    let columns: Vec<_> = all.columns[1..].iter().map(|c| format!("\"{}\"", c.name)).collect();
    let columns = columns.join(", ");
    let copy = format!(
        "UPDATE \"ax.ALLTYPES\" AS t SET ({columns}) = (SELECT {columns} FROM own.\"ax.ALLTYPES\" AS o WHERE o.\"{0}\" = t.\"{0}\"); \
         DELETE FROM \"ax.RETAILTRANSACTIONSALESTRANS\" WHERE LINE = 2; \
         DELETE FROM \"ax.RETAILTRANSACTIONSALESTRANS\" WHERE LINE = 1;",
        all.columns[0].name
    );
    other.execute_batch(&copy).expect("the same changes");
    own.db.record(id(3), hash(3), vec![delete("2"), delete("1")], 3).await.expect("deletions");
    let own_log = logged(&own, whole, own_log.len() as i64).await;
    assert_eq!(own_log.len(), EXTREMES.len() - 1 + 2, "a row that is already so is not logged");
    let inserted = EXTREMES.len() as i64 + 2;
    assert_eq!(own_log, logged(&foreign, whole, inserted).await);
    assert_eq!(
        own.db.last_sequence().await.expect("a number").0,
        inserted as u64 + own_log.len() as u64
    );
}

/// Also where an earlier change of the same row waits: its base version holds.
#[tokio::test]
async fn a_row_that_comes_again_in_a_sale_keeps_the_version_of_its_first_change() {
    let (house, customers) = house_with_a_customer_of_version_five().await;
    let table = customers.name.clone();
    let again = |account: &str| RowWrite::Insert {
        table: table.clone(),
        row: row(&customers, &[account, "usmf", "Ann", "0"]),
    };
    let gone = RowWrite::Delete { table: table.clone(), key: key(&customers, &["c1", "usmf"]) };
    let writes = vec![again("C2"), gone, again("c1 "), again("C3")];
    house.db.record(id(2), hash(2), writes, 1).await.expect("a sale");
    let expected = [
        r#"["[\"c2\",\"usmf\"]","insert",9]"#,
        r#"["[\"c1\",\"usmf\"]","delete",5]"#,
        r#"["[\"c1\",\"usmf\"]","insert",5]"#,
        r#"["[\"c3\",\"usmf\"]","insert",9]"#,
    ];
    assert_eq!(logged(&house, "key, operation, base_version", 1).await, expected);
}

/// Every type at its extremes: what a trigger writes and what is read back is the value that was recorded.
#[tokio::test]
async fn every_type_comes_out_of_the_log_as_it_went_in() {
    let (house, all) = house_of_all_types().await;
    for (number, values) in EXTREMES.iter().enumerate() {
        house.insert(number as u8 + 1, &all, values).await;
    }
    for (transaction, values) in house.pending().await.iter().zip(EXTREMES) {
        let logged = transaction.writes[0].offline.as_ref().expect("an insert's row");
        assert_eq!(logged, &row(&all, values));
    }
    let filter = tillhold_core::filter::Filter { limit: 10, ..Default::default() };
    let mut read = house.db.read(&all, &filter).await.expect("a read");
    read.rotate_left(1);
    assert_eq!(read, EXTREMES.map(|values| row(&all, values)).to_vec());
}

/// printf('%!.17g') is how a float gets into the log; it must give back every bit.
#[tokio::test]
async fn floats_survive_the_log_bit_by_bit() {
    let house = House::new().await;
    let floats = table("FLOATS", "K int key, F float");
    let install =
        InstalledTable { scope: "all".into(), direction: Direction::Upload, table: floats.clone() };
    house
        .db
        .install([super::plan(), vec![install]].concat(), Vec::new())
        .await
        .expect("an installation");
    let mut draw = Draw::of(0, "floats", 0);
    let rows: Vec<_> = std::iter::from_fn(|| Some(f64::from_bits(draw.number())))
        .filter(|number| number.is_finite() && number.abs() > 1e-100 && number.abs() < 1e100)
        .take(2_000)
        .enumerate()
        .map(|(at, number)| {
            let key = tillhold_core::value::Value::Int(at as i64);
            tillhold_core::row::Row(vec![key, tillhold_core::value::Value::Float(number)])
        })
        .collect();
    let insert = |row: &tillhold_core::row::Row| RowWrite::Insert {
        table: floats.name.clone(),
        row: row.clone(),
    };
    let writes = rows.iter().map(insert).collect();
    house.db.record(id(1), hash(1), writes, 1).await.expect("a transaction");
    let pending = house.pending().await;
    for (write, row) in pending[0].writes.iter().zip(&rows) {
        assert_eq!(write.offline.as_ref(), Some(row));
    }
}

/// json_array takes 127 arguments in the SQLite of many programs; a wider row is logged in parts.
#[tokio::test]
async fn a_table_of_three_hundred_columns_is_captured_whole() {
    let house = House::new().await;
    let columns: Vec<String> = (1..300).map(|n| format!("C{n} nvarchar(10)")).collect();
    let wide = table("WIDE", &format!("K int key, {}", columns.join(", ")));
    let install =
        InstalledTable { scope: "all".into(), direction: Direction::Upload, table: wide.clone() };
    house
        .db
        .install([super::plan(), vec![install]].concat(), Vec::new())
        .await
        .expect("an installation");
    let mut values: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = values.iter().map(String::as_str).collect();
    house.insert(1, &wide, &texts).await;
    values[299] = "changed".to_string();
    let texts: Vec<&str> = values.iter().map(String::as_str).collect();
    house.update(2, &wide, &texts).await;
    let pending = house.pending().await;
    assert_eq!(pending[1].writes[0].changed(), vec![299]);
    assert_eq!(pending[1].writes[0].offline.as_ref(), Some(&row(&wide, &texts)));
}

/// Older programs' SQLite must be able to run the triggers too.
#[test]
fn the_statements_of_the_triggers_stay_within_old_limits() {
    let wide: Vec<String> = (1..300).map(|n| format!("C{n} nvarchar(10)")).collect();
    let wide = table("WIDE", &format!("K int key, {}", wide.join(", ")));
    for call in crate::capture::create(&wide, 1).split("json_array(").skip(1) {
        let arguments = call.split(')').next().expect("its end").split(',').count();
        assert!(arguments <= 127, "{arguments} arguments");
    }
}
