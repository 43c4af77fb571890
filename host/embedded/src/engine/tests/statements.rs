//! Every statement that host/channel emits, as its golden files have them, run with parameters as it sends them.

use super::{Bench, bench, executed, parameter, shown};
use crate::answer::Parameter;
use crate::engine::EngineSession;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../channel/statements");

/// A golden file without its comment on parameters.
pub fn golden(name: &str) -> String {
    let text = std::fs::read_to_string(format!("{FOLDER}/{name}.sql")).expect("a golden statement");
    text.lines().filter(|line| !line.starts_with("-- ")).collect::<Vec<_>>().join("\n")
}

/// `NAME type [null] [identity] [collate:X]`, and the key's columns.
pub fn table(name: &str, columns: &str, key: &str) -> Table {
    let one = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let of = SqlType::parse(words[1]).expect("a type of the test");
        let by_channel = of == SqlType::RowVersion || words.contains(&"identity");
        Column {
            name: words[0].to_string(),
            of,
            nullable: words.contains(&"null"),
            assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
            default: words
                .iter()
                .find_map(|word| word.strip_prefix("default:"))
                .map(str::to_string),
            collation: words
                .iter()
                .find_map(|word| word.strip_prefix("collate:"))
                .map(str::to_string),
        }
    };
    let columns: Vec<Column> = columns.split(';').map(|text| one(text.trim())).collect();
    let at =
        |key: &str| columns.iter().position(|column| column.name == key).expect("a key column");
    let key = key.split_whitespace().map(at).collect();
    Table { name: TableName::parse(name).expect("a name"), columns, key }
}

/// `name | columns | key`, a table a line.
fn channel_tables() -> Vec<Table> {
    let lines =
        include_str!("cases/channel_tables.txt").lines().filter(|line| !line.starts_with('#'));
    let one = |line: &str| {
        let parts: Vec<&str> = line.split(" | ").collect();
        table(parts[0], parts[1], parts[2])
    };
    lines.map(one).collect()
}

/// A channel that `prepare.sql` was run on, with every table of the goldens tracked.
pub fn prepared() -> Bench {
    let bench = bench();
    bench.engine.create_tables(&channel_tables()).expect("the channel's tables");
    bench.engine.create_login("till", "till", false).expect("the register's login");
    let mut session = bench.session();
    for block in golden("prepare").split("\nGO") {
        let answer = shown(&mut session, block);
        assert!(!answer.contains("ended") && !answer.contains("error"), "{block}\n{answer}");
    }
    for name in ["ax.TAXDATA", "ax.CURRENCY", "ax.RETAILPOSSEEDDATA", "dbo.EVERYTYPE"] {
        let sql =
            format!("ALTER TABLE {name} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)");
        assert_eq!(shown(&mut session, &sql), "()");
    }
    bench
}

fn int(name: &str, number: i64) -> Parameter {
    parameter(name, "bigint", Some(&number.to_string()))
}

fn text(name: &str, value: &str) -> Parameter {
    parameter(name, "nvarchar(4000)", Some(value))
}

fn json(name: &str, value: &str) -> Parameter {
    parameter(name, "nvarchar(max)", Some(value))
}

/// The rows of an answer; a failed one panics.
fn rows(answer: &str) -> Vec<&str> {
    assert!(
        !answer.lines().any(|line| line.starts_with("ended") || line.starts_with("error")),
        "{answer}"
    );
    let plain = |line: &&str| !line.starts_with('[') && !line.starts_with('(') && !line.is_empty();
    answer.lines().filter(plain).collect()
}

#[test]
fn preparing_twice_changes_nothing_more() {
    let bench = prepared();
    let mut session = bench.session();
    for block in golden("prepare").split("\nGO") {
        // The role's member and rights may be given again; everything else is guarded by the script itself.
        let answer = shown(&mut session, block);
        assert!(!answer.contains("ended") && !answer.contains("error"), "{block}\n{answer}");
    }
    let epochs = shown(&mut session, "SELECT COUNT(*) FROM [tillhold].[epoch]");
    assert_eq!(rows(&epochs), ["1"]);
}

#[test]
fn questions_before_a_pass() {
    let bench = prepared();
    let mut session = bench.session();
    assert_eq!(rows(&executed(&mut session, &golden("probe"), &[])).len(), 1);
    assert_eq!(rows(&executed(&mut session, &golden("pass_right"), &[])), ["1"]);
    assert_eq!(rows(&executed(&mut session, &golden("pass_minima"), &[])), ["0 | 0"]);
    let altered = executed(&mut session, &golden("altered"), &[]);
    assert_eq!(rows(&altered).len(), 2, "{altered}");
    let version = executed(&mut session, &golden("version"), &[]);
    assert!(rows(&version)[0].starts_with("0 | "), "{version}");
    let standing = executed(&mut session, &golden("pass_standing"), &[]);
    assert!(rows(&standing)[0].ends_with(" | 0 | 0"), "{standing}");
    let names = executed(&mut session, &golden("schema_names"), &[]);
    assert_eq!(rows(&names).len(), channel_tables().len() + 5, "{names}");
    let columns = [text("@P1", "ax.CURRENCY"), text("@P2", "ax.TAXDATA")];
    let columns = executed(&mut session, &golden("schema_columns"), &columns);
    assert_eq!(rows(&columns).len(), 4 + 9);
    assert!(columns.contains("ax | CURRENCY | CURRENCYCODE | nvarchar | 6 | 0 | 0 | 0 | 0 | 0 | 0 | SQL_Latin1_General_CP1_CI_AS | NULL | 1"));
    let check = executed(&mut session, &golden("check"), &[]);
    // Version, compatibility level, snapshot isolation, change version, minutes of retention; then rights.
    assert!(rows(&check)[0].starts_with("15 | 150 | 1 | 0 | 20160 | 1 | 1"), "{check}");
}

#[test]
fn the_register_s_account_has_its_rights_and_no_more() {
    let bench = prepared();
    let mut till = bench.engine.login("till", "till", "", "register").expect("the register");
    let check = executed(&mut till, &golden("check"), &[]);
    let answers: Vec<&str> = rows(&check)[0].split(" | ").collect();
    assert!(answers[2..].iter().all(|answer| *answer != "NULL"), "{check}");
    // The zeros are the change version and two smallest valid versions; every right is a 1.
    assert_eq!(answers[3..].iter().filter(|answer| **answer == "0").count(), 3, "{check}");
    let denied = shown(&mut till, "SELECT * FROM ax.CURRENCY");
    assert!(denied.starts_with("ended 229"), "{denied}");
    let column =
        shown(&mut till, "SELECT PAYMENTAUTHORIZATION FROM ax.RETAILTRANSACTIONPAYMENTTRANS");
    assert!(column.starts_with("ended 230"), "{column}");
    assert!(shown(&mut till, "UPDATE tillhold.ledger SET [rows] = 1").starts_with("ended 229"));
    assert!(shown(&mut till, "CREATE TABLE x (a int)").contains("15247"));
    assert_eq!(
        rows(&shown(&mut till, "SELECT AMOUNTCUR FROM ax.RETAILTRANSACTIONPAYMENTTRANS")),
        Vec::<&str>::new()
    );
}

#[test]
fn pages_go_through_a_table_by_key() {
    let bench = prepared();
    let mut session = bench.session();
    shown(
        &mut session,
        "INSERT INTO ax.INVENTITEMBARCODE (RECID, BARCODESETUPID, BLOCKED, DESCRIPTION, INVENTDIMID, ITEMBARCODE, ITEMID, QTY, \
        RETAILSHOWFORITEM, UNITID, USEFORINPUT, USEFORPRINTING, DATAAREAID) VALUES (1, N'', 0, N'a', N'', N'4001', N'I1', 1, 0, N'St', 0, 0, N'usrt'), \
        (3, N'', 0, N'b', N'', N'4003', N'I1', 1.5, 0, N'St', 0, 0, N'usrt'), (2, N'', 0, N'c', N'', N'50_1', N'I2', 2, 0, N'St', 0, 0, N'usrt')",
    );
    let first = executed(&mut session, &golden("first_page"), &[int("@P1", 2)]);
    assert_eq!(rows(&first).iter().map(|row| &row[..1]).collect::<Vec<_>>(), ["1", "2"], "{first}");
    let next =
        executed(&mut session, &golden("next_page_bigint_key"), &[int("@P1", 2), text("@P2", "2")]);
    assert_eq!(
        rows(&next),
        ["3 |  | 0 | b |  | 4003 | I1 | 1.5000000000000000 | 0 | NULL | St | 0 | 0 | usrt"]
    );
    let by_key = executed(&mut session, &golden("read_by_key"), &[int("@P1", 5), text("@P2", "3")]);
    assert_eq!(rows(&by_key).len(), 1);
    let filtered = [int("@P1", 5), text("@P2", "I2"), text("@P3", "50~_%"), text("@P4", "0")];
    assert_eq!(rows(&executed(&mut session, &golden("read_filtered"), &filtered)).len(), 1);

    shown(
        &mut session,
        "INSERT INTO ax.CURRENCY (CURRENCYCODE, TXT, SYMBOL) VALUES (N'EUR', N'Euro', N'€'), (N'chf', N'Franken', N'Fr')",
    );
    let currency =
        executed(&mut session, &golden("next_page_text_key"), &[int("@P1", 9), text("@P2", "CHF")]);
    assert_eq!(rows(&currency), ["EUR | Euro | €"]);

    shown(
        &mut session,
        "INSERT INTO ax.TAXDATA (RECID, TAXCODE, TAXFROMDATE, TAXTODATE, TAXLIMITMIN, TAXLIMITMAX, TAXVALUE, DATAAREAID) VALUES \
        (1, N'A', '2020-01-01', '2020-12-31', 0, 0, 19, N'u'), (2, N'A', '2020-01-01', '2020-12-31', 9.5, 0, 19, N'u'), \
        (3, N'A', '2020-01-01', '2020-12-31', 10.25, 0, 19, N'u'), (4, N'B', '2019-01-01', '2020-12-31', 0, 0, 7, N'u')",
    );
    let last = ["A", "2020-01-01", "2020-12-31", "9.5000000000000000", "2", "u"];
    let mut parameters = vec![int("@P1", 9)];
    parameters
        .extend(last.iter().enumerate().map(|(at, last)| text(&format!("@P{}", at + 2), last)));
    let tax = executed(&mut session, &golden("next_page_six_column_key"), &parameters);
    assert_eq!(rows(&tax).iter().map(|row| &row[..1]).collect::<Vec<_>>(), ["3", "4"], "{tax}");

    let parameters =
        [int("@P1", 9), text("@P2", "1"), text("@P3", "a"), text("@P4", "2026-01-01 00:00:00.003")];
    shown(
        &mut session,
        "INSERT INTO dbo.EVERYTYPE (ID, CODE, MOMENT, A_MONEY) VALUES (1, 'A', '2026-01-01 00:00:00.003', 1.5), \
        (1, 'a', '2026-01-01 00:00:00.007', 2.5), (2, 'a', '2020-01-01', 3.5)",
    );
    let every = executed(&mut session, &golden("next_page_every_type"), &parameters);
    assert_eq!(rows(&every).len(), 2, "{every}");
    assert!(rows(&every)[0].contains("2.5000"), "{every}");
}

#[test]
fn a_pass_reads_changed_rows_in_one_moment() {
    let bench = prepared();
    let (mut session, mut other) = (bench.session(), bench.session());
    let insert = |id: i32| {
        format!(
            "INSERT INTO ax.INVENTITEMBARCODE (RECID, BARCODESETUPID, BLOCKED, DESCRIPTION, INVENTDIMID, ITEMBARCODE, ITEMID, QTY, \
        RETAILSHOWFORITEM, UNITID, USEFORINPUT, USEFORPRINTING, DATAAREAID) VALUES ({id}, N'', 0, N'a', N'', N'', N'I', 1, 0, N'St', 0, 0, N'usrt')"
        )
    };
    shown(&mut other, &insert(1));
    shown(&mut other, &insert(2));
    shown(&mut other, "DELETE FROM ax.INVENTITEMBARCODE WHERE RECID = 1");
    let begun = shown(&mut session, &golden("pass_begin"));
    assert_eq!(begun, "()\n()\nbegun\n()");
    let standing = executed(&mut session, &golden("pass_standing"), &[]);
    assert!(rows(&standing)[0].starts_with("3 | "), "{standing}");
    // What commits after the pass has begun is not of it.
    shown(&mut other, &insert(3));
    let keys = executed(
        &mut session,
        &golden("pass_keys"),
        &[int("@P1", 3), int("@P2", 0), int("@P3", 0)],
    );
    assert_eq!(rows(&keys), ["2 | 2", "0 | 0"], "{keys}");
    let page = executed(&mut session, &golden("pass_page"), &[int("@P1", 0), int("@P2", 1000)]);
    let page: Vec<Vec<&str>> =
        rows(&page).iter().map(|row| row.split(" | ").take(5).collect()).collect();
    assert_eq!(page, [["1", "2", "NULL", "1", "2"], ["2", "3", "NULL", "0", "1"]]);
    let six = executed(&mut session, &golden("pass_page_six"), &[int("@P1", 0), int("@P2", 1000)]);
    assert!(rows(&six).is_empty());
    assert_eq!(shown(&mut session, &golden("pass_end")), "committed\n()\n()\n()");
    assert!(shown(&mut session, "SELECT * FROM #k0").starts_with("ended 208"));
}

pub fn upload(session: &mut EngineSession, name: &str, document: &str) -> String {
    let context = |name: &str| Parameter {
        name: name.to_string(),
        of: SqlType::VarBinary { length: Some(8000) },
        value: Value::Bytes(b"tillhold:0123456789abcdef".to_vec()),
    };
    let parameters = [
        text("@P1", "S0001-T01"),
        text("@P2", "11111111-2222-3333-4444-555555555555"),
        json("@P3", document),
        context("@P4"),
        context("@P5"),
        // No run: nobody's claim is asked.
        text("@P6", ""),
    ];
    executed(session, &golden(name), &parameters)
}

const FIRST: &str = r#"{"t":[{"s":0,"q":1,"id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","h":"00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF","n":2}],
 "r0":[{"t":0,"w":0,"o":"I","b":0,"k0":"S0001","k1":"T01","k2":"S0001-T01-1","k3":"1.0000000000000000","k4":"5637144592","k5":"usrt","c0":"12.5000000000000000","c1":"2026-01-02","c6":"1","c9":"2026-01-02 10:00:00.003"}],
 "r1":[{"t":0,"w":1,"o":"I","b":0,"k0":"1","k1":"S0001","k2":"T01","k3":"usrt","c1":"41"}]}"#;

#[test]
fn an_upload_lands_whole_and_once() {
    let bench = prepared();
    let mut session = bench.session();
    let answer = upload(&mut session, "upload_two_tables", FIRST);
    assert_eq!(rows(&answer), ["begun", "0 | 0", "committed"], "{answer}");
    let sale = "SELECT AMOUNTCUR, CREATEDDATETIME, REPLICATIONCOUNTERFROMORIGIN FROM ax.RETAILTRANSACTIONPAYMENTTRANS";
    assert_eq!(
        rows(&shown(&mut session, sale)),
        ["12.5000000000000000 | 2026-01-02 10:00:00.003 | 1"]
    );
    let ledger = "SELECT register, transaction_id, [rows] FROM tillhold.ledger";
    assert_eq!(
        rows(&shown(&mut session, ledger)),
        ["S0001-T01 | 6f9619ff-8b86-d011-b42d-00c04fc964ff | 2"]
    );
    let own = "SELECT SYS_CHANGE_OPERATION, CAST(SYS_CHANGE_CONTEXT AS varchar(30)) FROM CHANGETABLE(CHANGES ax.RETAILPOSSEEDDATA, 0) AS c";
    assert_eq!(rows(&shown(&mut session, own)), ["I | tillhold:0123456789abcdef"]);

    let again = upload(&mut session, "upload_two_tables", FIRST);
    assert_eq!(rows(&again), ["begun", "0 | 1", "committed"], "already there");
    let clash = upload(&mut session, "upload_two_tables", &FIRST.replace("0011", "1100"));
    assert_eq!(rows(&clash), ["begun", "0 | 2", "committed"], "another content");
    assert_eq!(
        rows(&shown(&mut session, "SELECT COUNT(*) FROM ax.RETAILTRANSACTIONPAYMENTTRANS")),
        ["1"]
    );
    let known = executed(
        &mut session,
        &golden("ledger"),
        &[json("@P1", r#"[{"id":"6F9619FF-8B86-D011-B42D-00C04FC964FF"}]"#)],
    );
    assert_eq!(rows(&known).len(), 1);
}

#[test]
fn a_contested_row_holds_its_transaction_back_and_no_other() {
    let bench = prepared();
    let mut session = bench.session();
    upload(&mut session, "upload_two_tables", FIRST);
    shown(&mut session, "UPDATE ax.RETAILPOSSEEDDATA SET DATAVALUE = 77");
    let second = r#"{"t":[{"s":0,"q":1,"id":"00000000-0000-0000-0000-000000000001","h":"AA","n":2},{"s":1,"q":2,"id":"00000000-0000-0000-0000-000000000002","h":"BB","n":1}],
     "r0":[{"t":0,"w":0,"o":"I","b":1,"k0":"S0001","k1":"T01","k2":"X","k3":"1","k4":"1","k5":"usrt","c0":"1","c1":"2026-01-02","c6":"1","c9":"2026-01-02 10:00:00.000"},
           {"t":1,"w":0,"o":"I","b":1,"k0":"S0001","k1":"T01","k2":"Y","k3":"1","k4":"1","k5":"usrt","c0":"1","c1":"2026-01-02","c6":"1","c9":"2026-01-02 10:00:00.000"}],
     "r1":[{"t":0,"w":1,"o":"U","b":1,"m":"01000","k0":"1","k1":"S0001","k2":"T01","k3":"usrt","c1":"42"}]}"#;
    let answer = upload(&mut session, "upload_two_tables", second);
    assert_eq!(
        rows(&answer),
        ["begun", "0 | 3", "1 | 0", "0 | 1 | 2 | 1 | 1 | 77 | S0001 | T01 | usrt", "committed"],
        "{answer}"
    );
    let landed =
        "SELECT TRANSACTIONID FROM ax.RETAILTRANSACTIONPAYMENTTRANS ORDER BY TRANSACTIONID";
    assert_eq!(rows(&shown(&mut session, landed)), ["S0001-T01-1", "Y"]);

    // With the version that it now knows, the same update goes through, and only the masked column changes.
    let third = r#"{"t":[{"s":0,"q":1,"id":"00000000-0000-0000-0000-000000000003","h":"CC","n":1}],"r0":[],
     "r1":[{"t":0,"w":0,"o":"U","b":2,"m":"01000","k0":"1","k1":"s0001","k2":"T01","k3":"usrt","c1":"42"}]}"#;
    assert_eq!(
        rows(&upload(&mut session, "upload_two_tables", third)),
        ["begun", "0 | 0", "committed"]
    );
    let seed = "SELECT DATAVALUE, STORENUMBER FROM ax.RETAILPOSSEEDDATA";
    assert_eq!(rows(&shown(&mut session, seed)), ["42 | S0001"]);
}

#[test]
fn a_poisoned_upload_leaves_nothing() {
    let bench = prepared();
    let mut session = bench.session();
    for (broken, number) in [
        (FIRST.replace("\"S0001\",\"k1\"", "\"S00012345678\",\"k1\""), "2628"),
        (FIRST.replace("\"41\"", "\"x\""), "8114"),
        (FIRST.replace("2026-01-02 10", "2026-13-02 10"), "241"),
        (FIRST.replace(",\"c6\":\"1\"", ""), "515"),
        (FIRST.replace("12.5000000000000000", "1234567890123456789012.5"), "8115"),
    ] {
        let answer = upload(&mut session, "upload_two_tables", &broken);
        assert!(
            answer.ends_with(&answer[answer.rfind("rolled back").expect("a rollback")..]),
            "{answer}"
        );
        assert!(answer.contains(&format!("ended {number} ")), "{number}: {answer}");
        assert_eq!(
            rows(&shown(&mut session, "SELECT COUNT(*) FROM tillhold.ledger; SELECT @@TRANCOUNT")),
            ["0", "0"]
        );
    }
    assert_eq!(
        rows(&upload(&mut session, "upload_two_tables", FIRST)),
        ["begun", "0 | 0", "committed"],
        "and then it works"
    );
}

/// One value of each type that travels, in canonical text.
const EVERY_TYPE: [&str; 28] = [
    "1",
    "255",
    "-32768",
    "9223372036854775807",
    "-1234567890123456789012345678.0123456789",
    "-922337203685477.5808",
    "214748.3647",
    "0.1",
    "0.10000000149011612",
    "2026-02-28",
    "23:59:59.999",
    "2026-02-28 23:59:00",
    "2026-02-28 23:59:59.9999999",
    "2026-02-28 23:59:59.9999999 -05:30",
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "ab  ",
    "äb  ",
    "v",
    "vm",
    "nv 😀",
    "nvm",
    "t",
    "nt",
    "<a/>",
    "01020304",
    "0102",
    "010203",
    "FF",
];

#[test]
fn every_type_goes_up_and_comes_down() {
    let bench = prepared();
    let mut session = bench.session();
    let values = EVERY_TYPE;
    let cells: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| format!("\"c{}\":\"{value}\"", at + 3))
        .collect();
    let row = |operation: &str, base: i64, extra: &str| {
        format!(
            "{{\"t\":[{{\"s\":0,\"q\":1,\"id\":\"00000000-0000-0000-0000-00000000000{base}\",\"h\":\"AA\",\"n\":1}}],\"r0\":[{{\"t\":0,\"w\":0,\"o\":\"{operation}\",\"b\":{base},\
             \"k0\":\"1\",\"k1\":\"A\",\"k2\":\"2026-01-01 00:00:00.003\"{extra}}}]}}"
        )
    };
    let inserted =
        upload(&mut session, "upload_every_type", &row("I", 0, &format!(",{}", cells.join(","))));
    assert_eq!(rows(&inserted), ["begun", "0 | 0", "committed"], "{inserted}");
    let read = executed(
        &mut session,
        &golden("next_page_every_type"),
        &[int("@P1", 9), text("@P2", "0"), text("@P3", ""), text("@P4", "1900-01-01 00:00:00.000")],
    );
    assert_eq!(
        rows(&read),
        [format!("1 | A | 2026-01-01 00:00:00.003 | {}", values.join(" | "))],
        "{read}"
    );

    // An update of one column (A_BIT, the fourth of the mask) leaves the others as they are.
    let mask = format!("0001{}", "0".repeat(27));
    let updated = upload(
        &mut session,
        "upload_every_type",
        &row("U", 1, &format!(",\"m\":\"{mask}\",\"c3\":\"0\"")),
    );
    assert_eq!(rows(&updated), ["begun", "0 | 0", "committed"], "{updated}");
    let read = shown(&mut session, "SELECT A_BIT, A_XML = AN_XML, A_TEXT FROM dbo.EVERYTYPE");
    assert_eq!(rows(&read), ["0 | <a/> | t"]);
    let deleted = upload(&mut session, "upload_every_type", &row("D", 2, ""));
    assert_eq!(rows(&deleted), ["begun", "0 | 0", "committed"], "{deleted}");
    assert_eq!(rows(&shown(&mut session, "SELECT COUNT(*) FROM dbo.EVERYTYPE")), ["0"]);
}

#[test]
fn text_is_read_as_its_units_and_an_empty_upload_settles() {
    let bench = prepared();
    let mut session = bench.session();
    shown(
        &mut session,
        "INSERT INTO ax.CURRENCY (CURRENCYCODE, TXT, SYMBOL) VALUES (N'EUR', N'ä€', N'')",
    );
    let bytes = executed(&mut session, &golden("text_as_bytes"), &[text("@P1", "EUR")]);
    assert_eq!(rows(&bytes), ["E400AC20"]);
    let empty =
        r#"{"t":[{"s":0,"q":1,"id":"00000000-0000-0000-0000-000000000001","h":"AA","n":0}]}"#;
    assert_eq!(
        rows(&upload(&mut session, "upload_no_rows", empty)),
        ["begun", "0 | 0", "committed"]
    );
    assert_eq!(
        rows(&upload(&mut session, "upload_no_rows", empty)),
        ["begun", "0 | 1", "committed"]
    );
}

#[test]
fn decisions_are_written_once() {
    let bench = prepared();
    let mut session = bench.session();
    let decision = r#"[{"id":"00000000-0000-0000-0000-000000000009","at":"2026-01-02 10:00:00.1234567","register":"S0001-T01","transaction":
      "00000000-0000-0000-0000-000000000001","table":"ax.CUSTTABLE","key":"[1]","rule":"channel-wins","digest":null,"base":null,"channel":"{}","offline":"{}","outcome":"{}"}]"#;
    for _ in 0..2 {
        let answer = executed(&mut session, &golden("decision"), &[json("@P1", decision)]);
        assert!(rows(&answer).is_empty());
    }
    assert_eq!(
        rows(&shown(&mut session, "SELECT [rule], decided_at FROM tillhold.decision")),
        ["channel-wins | 2026-01-02 10:00:00.1234567"]
    );
}

#[test]
fn the_profile_is_read_scope_by_scope() {
    let bench = prepared();
    let mut session = bench.session();
    shown(
        &mut session,
        "INSERT INTO ax.RETAILSTORETABLE VALUES (1, N'S0001', 7); INSERT INTO ax.RETAILOFFLINEPROFILE VALUES (7, N'Default pr', N'd'); \
        INSERT INTO ax.RETAILOFFLINEPROFILESCOPES VALUES (1, 7, 21), (2, 7, 20); INSERT INTO ax.RETAILOFFLINESCOPE VALUES (20, N'1000', 0, 60), (21, N'P-0001', 1, 30); \
        INSERT INTO ax.RETAILOFFLINESCOPETABLES VALUES (1, 20, 5); INSERT INTO ax.RETAILOFFLINETABLE VALUES (5, N'ax.CURRENCY'); \
        INSERT INTO ax.RETAILOFFLINETABLECOLUMNS VALUES (1, N'TXT', 5)",
    );
    assert_eq!(
        rows(&executed(&mut session, &golden("profile"), &[text("@P1", "s0001")])),
        ["7 | Default pr | d"]
    );
    let profile = [int("@P1", 7)];
    assert_eq!(
        rows(&executed(&mut session, &golden("profile_scopes"), &profile)),
        ["21 | P-0001 | 1 | 30", "20 | 1000 | 0 | 60"]
    );
    assert_eq!(
        rows(&executed(&mut session, &golden("profile_tables"), &profile)),
        ["20 | 5 | ax.CURRENCY"]
    );
    assert_eq!(rows(&executed(&mut session, &golden("profile_columns"), &profile)), ["5 | TXT"]);
}

/// No table of the database is read from end to end: its size must not matter to an upload or a page.
#[test]
fn keys_are_sought_and_big_tables_never_scanned() {
    let bench = prepared();
    let mut session = bench.session();
    upload(&mut session, "upload_two_tables", FIRST);
    executed(&mut session, &golden("next_page_bigint_key"), &[int("@P1", 2), text("@P2", "2")]);
    let mut last = vec![int("@P1", 9)];
    last.extend(
        (2..8).map(|at| text(&format!("@P{at}"), if at == 6 { "2" } else { "2020-01-01" })),
    );
    last[4] = text("@P5", "0");
    executed(&mut session, &golden("next_page_six_column_key"), &last);
    shown(&mut session, &golden("pass_begin"));
    executed(&mut session, &golden("pass_keys"), &[int("@P1", 3), int("@P2", 0), int("@P3", 0)]);
    executed(&mut session, &golden("pass_page"), &[int("@P1", 0), int("@P2", 9)]);
    shown(&mut session, "SELECT QTY FROM ax.INVENTITEMBARCODE WHERE RECID = 5637144576");
    let (mut looked, mut sought) = (0, 0);
    for (sql, plan) in session.explained() {
        let aliases =
            sql.split("main.\"ax.").skip(1).filter_map(|rest| rest.split("\" AS ").nth(1));
        for alias in aliases.filter_map(|rest| rest.split([' ', ')']).next()) {
            let scan = format!("SCAN {alias}");
            assert!(
                !plan.lines().any(|line| line.split(" USING").next() == Some(&scan)),
                "{plan}\n{sql}"
            );
            sought += usize::from(plan.contains(&format!("SEARCH {alias} ")));
        }
        looked += 1;
    }
    assert!(looked > 30 && sought > 10, "only {looked} plans with {sought} searches");
    let plain = shown(&mut session, "SELECT QTY FROM ax.INVENTITEMBARCODE");
    assert!(plain.starts_with('['));
    let scans = session.explained().iter().filter(|(_, plan)| plan.starts_with("SCAN s1")).count();
    assert!(scans > 0, "a whole table is a scan, and would have been seen");
}
