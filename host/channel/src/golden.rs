//! Every statement that this crate sends, as text on disk: a change of one is seen in review, and other parsers of
//! T-SQL can be run over the folder.

use crate::prepare::{PrepareOptions, Prepared};
use crate::upload::statement::{Part, upload_sql};
use crate::*;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_core::filter::Filter;
use tillhold_core::profile::Direction;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// `NAME type [null]` one a line; `key` names the primary key's columns.
pub(crate) fn table(name: &str, columns: &[&str], key: &[&str]) -> Table {
    let one = |text: &&str| {
        let mut words = text.split(' ');
        let (name, of) = (words.next().expect("a name"), words.next().expect("a type"));
        let rest: Vec<&str> = words.collect();
        let of = SqlType::parse(of).expect("a type of the test");
        let by_channel = of == SqlType::RowVersion || rest.contains(&"identity");
        let collation = rest.iter().find_map(|word| word.strip_prefix("collate:"));
        Column {
            name: name.to_string(),
            of,
            nullable: rest.contains(&"null"),
            assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
            default: None,
            collation: of
                .is_text()
                .then(|| collation.unwrap_or("SQL_Latin1_General_CP1_CI_AS").to_string()),
        }
    };
    let columns: Vec<Column> = columns.iter().map(one).collect();
    let at = |key: &&str| columns.iter().position(|c| c.name == *key).expect("a key column");
    let key = key.iter().map(at).collect();
    Table { name: TableName::parse(name).expect("a table name"), columns, key }
}

pub(crate) fn barcode() -> Table {
    table(
        "ax.INVENTITEMBARCODE",
        &[
            "RECID bigint",
            "BARCODESETUPID nvarchar(10)",
            "BLOCKED int",
            "DESCRIPTION nvarchar(60)",
            "INVENTDIMID nvarchar(20)",
            "ITEMBARCODE nvarchar(80)",
            "ITEMID nvarchar(20)",
            "QTY numeric(32,16)",
            "RETAILSHOWFORITEM int",
            "RETAILVARIANTID nvarchar(10)",
            "UNITID nvarchar(10)",
            "USEFORINPUT int",
            "USEFORPRINTING int",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["RECID"],
    )
}

pub(crate) fn seed() -> Table {
    table(
        "ax.RETAILPOSSEEDDATA",
        &[
            "DATATYPE int",
            "DATAVALUE bigint",
            "STORENUMBER nvarchar(10)",
            "TERMINALID nvarchar(10)",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["DATATYPE", "STORENUMBER", "TERMINALID", "DATAAREAID"],
    )
}

pub(crate) fn language() -> Table {
    table(
        "ax.CURRENCY",
        &[
            "CURRENCYCODE nvarchar(3)",
            "TXT nvarchar(120)",
            "SYMBOL nvarchar(5)",
            "ROWVERSION timestamp",
        ],
        &["CURRENCYCODE"],
    )
}

pub(crate) fn tax() -> Table {
    table(
        "ax.TAXDATA",
        &[
            "RECID bigint",
            "TAXCODE nvarchar(10)",
            "TAXFROMDATE date",
            "TAXTODATE date",
            "TAXLIMITMIN numeric(32,16)",
            "TAXLIMITMAX numeric(32,16)",
            "TAXVALUE numeric(32,16)",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["TAXCODE", "TAXFROMDATE", "TAXTODATE", "TAXLIMITMIN", "RECID", "DATAAREAID"],
    )
}

pub(crate) fn payment() -> Table {
    table(
        "ax.RETAILTRANSACTIONPAYMENTTRANS",
        &[
            "AMOUNTCUR numeric(32,16)",
            "BUSINESSDATE date",
            "CHANNEL bigint",
            "LINENUM numeric(32,16)",
            "PAYMENTAUTHORIZATION nvarchar(max) null",
            "REPLICATIONCOUNTERFROMORIGIN int identity",
            "STORE nvarchar(10)",
            "TENDERTYPE nvarchar(10)",
            "TERMINAL nvarchar(10)",
            "TRANSACTIONID nvarchar(44)",
            "CREATEDDATETIME datetime",
            "DATAAREAID nvarchar(4)",
            "ROWVERSION timestamp",
        ],
        &["STORE", "TERMINAL", "TRANSACTIONID", "LINENUM", "CHANNEL", "DATAAREAID"],
    )
}

/// A column of every type that travels.
pub(crate) fn every_type() -> Table {
    table(
        "dbo.EVERYTYPE",
        &[
            "ID int",
            "CODE varchar(20) collate:Latin1_General_100_CI_AS_SC_UTF8",
            "MOMENT datetime",
            "A_BIT bit null",
            "A_TINYINT tinyint null",
            "A_SMALLINT smallint null",
            "A_BIGINT bigint null",
            "A_DECIMAL decimal(38,10) null",
            "A_MONEY money null",
            "A_SMALLMONEY smallmoney null",
            "A_FLOAT float null",
            "A_REAL real null",
            "A_DATE date null",
            "A_TIME time(3) null",
            "A_SMALLDATETIME smalldatetime null",
            "A_DATETIME2 datetime2(7) null",
            "AN_OFFSET datetimeoffset(7) null",
            "A_GUID uniqueidentifier null",
            "A_CHAR char(4) null",
            "AN_NCHAR nchar(4) null",
            "A_VARCHAR varchar(30) null",
            "A_VARCHAR_MAX varchar(max) null",
            "AN_NVARCHAR nvarchar(30) null",
            "AN_NVARCHAR_MAX nvarchar(max) null",
            "A_TEXT text null",
            "AN_NTEXT ntext null",
            "AN_XML xml null",
            "A_BINARY binary(4) null",
            "A_VARBINARY varbinary(30) null",
            "A_VARBINARY_MAX varbinary(max) null",
            "AN_IMAGE image null",
        ],
        &["ID", "CODE", "MOMENT"],
    )
}

fn travelling(table: Table) -> Arc<Table> {
    Arc::new(table.travelling(&[]))
}

fn statements() -> Vec<(&'static str, &'static str, String)> {
    let (barcode, seed, currency, tax, payment, every) = (
        travelling(barcode()),
        travelling(seed()),
        travelling(language()),
        travelling(tax()),
        travelling(payment()),
        travelling(every_type()),
    );
    let (barcode_full, payment_full) = (self::barcode(), self::payment());
    let fewer = payment_full.travelling(&["PAYMENTAUTHORIZATION".to_string()]);
    let prepared = [
        Prepared { table: &barcode_full, travelling: &barcode, direction: Direction::Download },
        Prepared { table: &payment_full, travelling: &fewer, direction: Direction::Upload },
    ];
    let options = PrepareOptions { members: vec!["till".to_string()], ..PrepareOptions::default() };
    let only_inserts = |table| Part { table, inserts: true, updates: false, deletes: false };
    let all = |table| Part { table, inserts: true, updates: true, deletes: true };
    let tables = [barcode.clone(), tax.clone()];
    let by_key = Filter { equals: vec![(0, Value::Int(1))], limit: 1, ..Filter::default() };
    let filtered = Filter {
        equals: vec![(6, Value::Text("0001".to_string())), (9, Value::Null)],
        prefix: Some((5, "40".to_string())),
        after: Some(Key(vec![Value::Int(1)])),
        limit: 10,
    };
    let mut list = vec![
        ("schema_columns", "@P1, @P2: schema.NAME", schema::columns_sql(2)),
        ("schema_names", "no parameters", schema::NAMES_SQL.to_string()),
        ("probe", "no parameters", probe::PROBE_SQL.to_string()),
        ("version", "no parameters", snapshot::VERSION_SQL.to_string()),
        ("first_page", "@P1 bigint rows", snapshot::page_sql(&barcode, false)),
        (
            "next_page_bigint_key",
            "@P1 bigint rows, @P2 last key",
            snapshot::page_sql(&barcode, true),
        ),
        (
            "next_page_text_key",
            "@P1 bigint rows, @P2 last key",
            snapshot::page_sql(&currency, true),
        ),
        (
            "next_page_six_column_key",
            "@P1 bigint rows, @P2-@P7 last key",
            snapshot::page_sql(&tax, true),
        ),
        (
            "next_page_every_type",
            "@P1 bigint rows, @P2-@P4 last key",
            snapshot::page_sql(&every, true),
        ),
        ("pass_begin", "a plain batch", capture::statement::begin_sql(&tables)),
        ("pass_standing", "no parameters", capture::statement::standing_sql(&tables)),
        (
            "pass_keys",
            "@P1 bigint reached, @P2 and @P3 bigint from",
            capture::statement::keys_sql(&[(0, barcode.clone()), (1, tax.clone())]),
        ),
        (
            "pass_page",
            "@P1 bigint last row number, @P2 bigint last of page",
            capture::statement::page_sql(0, &barcode),
        ),
        (
            "pass_page_six",
            "@P1 bigint last row number, @P2 bigint last of page",
            capture::statement::page_sql(1, &tax),
        ),
        ("pass_minima", "no parameters", capture::statement::minima_sql(&tables)),
        ("pass_right", "no parameters", capture::statement::right_sql(&barcode)),
        ("pass_end", "a plain batch", capture::statement::end_sql(2)),
        (
            "upload_two_tables",
            "@P1 register, @P2 incarnation, @P3 JSON, @P4 varbinary context, @P5 varbinary own context",
            upload_sql(&[only_inserts(payment.as_ref()), all(seed.as_ref())]),
        ),
        ("upload_every_type", "as upload_two_tables", upload_sql(&[all(every.as_ref())])),
        ("text_as_bytes", "@P1 key", doubt(&currency)),
        ("ledger", "@P1 JSON", ledger::LEDGER_SQL.to_string()),
        ("decision", "@P1 JSON", decision::DECISION_SQL.to_string()),
        ("profile", "@P1 store number", profile::PROFILE_SQL.to_string()),
        ("profile_scopes", "@P1 bigint profile RECID", profile::SCOPES_SQL.to_string()),
        ("profile_tables", "@P1 bigint profile RECID", profile::TABLES_SQL.to_string()),
        ("profile_columns", "@P1 bigint profile RECID", profile::COLUMNS_SQL.to_string()),
        ("read_by_key", "@P1 bigint rows, @P2 value", read::read_sql(&barcode, &by_key)),
        (
            "read_filtered",
            "@P1 bigint rows, @P2 value, @P3 pattern, @P4 last key",
            read::read_sql(&barcode, &filtered),
        ),
    ];
    list.push(("check", "no parameters", prepare::check_sql(&prepare::questions(&prepared))));
    let sql = prepare::script(&prepared, &options);
    list.push(("prepare", "batches, GO between them is the script's, not sent", sql));
    list
}

fn doubt(table: &Table) -> String {
    let row =
        Row(vec![Value::Text("EUR".to_string()), Value::Text("\u{FFFD}".to_string()), Value::Null]);
    let sql = surrogate::doubts(table, std::iter::once(&row)).first().map(|doubt| doubt.sql());
    sql.expect("one doubt")
}

#[test]
fn every_statement_is_as_reviewed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("statements");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        std::fs::create_dir_all(&folder).expect("the golden folder");
    }
    for (name, parameters, sql) in statements() {
        let path = folder.join(format!("{name}.sql"));
        let text = format!("-- {parameters}\n{sql}");
        if update {
            std::fs::write(&path, &text).expect("a golden file");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: review it, then run with UPDATE_GOLDEN=1");
    }
}
