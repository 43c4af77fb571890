//! Bytes of a server against what Tillhold asks the channel, through the client library and our own decoding of rows.
//!
//! The first byte is the question ([`QUESTIONS`]), the second how the rest is sent:
//! * `R`: as it is, from the first byte of a connection on.
//! * `A`: answers, each behind its length in two bytes (little-endian), to a client that is logged in.
//!
//! Beyond that nothing panics:
//! * The question ends, with an error that has a code and a text, or with an answer.
//! * A row has the columns of its table, and each value is one of its column's type: its text reads back as itself.

use crate::outside::Outside;
use crate::tds::{ANSWER, login_answers, message, prelogin_answer};
use std::sync::Arc;
use std::time::Duration;
use tillhold_channel::capture::{Followed, Pass, own_context, start};
use tillhold_channel::claim::{Speaker, look};
use tillhold_channel::fleet::fleet;
use tillhold_channel::known::known;
use tillhold_channel::marks::marks;
use tillhold_channel::probe::probe;
use tillhold_channel::profile::read_profile;
use tillhold_channel::read::read;
use tillhold_channel::snapshot::page;
use tillhold_channel::upload::upload;
use tillhold_channel::{ChannelConfig, ChannelError, Encryption, Link, Secret, schema};
use tillhold_core::filter::Filter;
use tillhold_core::profile::{Capture, ScopeTable};
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::text;
use tillhold_core::transaction::{ContentHash, Operation, Transaction, TransactionId, Write};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_core::version::{ChannelVersion, Incarnation, Position, Run, Sequence};
use tillhold_env::Env;
use tokio::io::{AsyncWriteExt as _, DuplexStream, copy, sink, split};

/// Longer than any answer out of memory takes.
const LIMIT: Duration = Duration::from_secs(30);
const INCARNATION: Incarnation = Incarnation([7; 16]);

/// What is asked, by the first byte: its position here.
pub const QUESTIONS: [&str; 12] = [
    "probe", "names", "shapes", "read", "page", "pass", "known", "fleet", "profile", "upload",
    "marks", "claim",
];

pub fn harm(input: &[u8]) {
    let Some(Err(error)) = asked(input) else { return };
    assert!(!error.code().is_empty() && !error.to_string().is_empty());
}

/// How the question ends; `None` when there is none in the input.
pub fn asked(input: &[u8]) -> Option<Result<(), ChannelError>> {
    let [question, how, bytes @ ..] = input else { return None };
    let said = match how {
        b'A' => answers(bytes),
        _ => bytes.to_vec(),
    };
    let outside = Outside::new();
    let cable = outside.cable.clone();
    let mut link = link(&outside.env);
    let question = QUESTIONS[usize::from(*question) % QUESTIONS.len()];
    outside.run(async move {
        let server = async {
            loop {
                serve(cable.accept().await, &said).await;
            }
        };
        tokio::select! {
            asked = ask(&mut link, question) => Some(asked),
            () = server => None,
        }
    })
}

/// The bytes of a server that lets everybody in, and then answers so.
fn answers(mut bytes: &[u8]) -> Vec<u8> {
    let mut said = prelogin_answer();
    said.extend(login_answers());
    while let [low, high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (answer, rest) = rest.split_at(length);
        said.extend(message(ANSWER, answer));
        bytes = rest;
    }
    said
}

/// Says everything at once and hangs up; what the client says is not listened to.
async fn serve(stream: DuplexStream, said: &[u8]) {
    let (mut read, mut write) = split(stream);
    let saying = async {
        if write.write_all(said).await.is_ok() {
            let _ = write.shutdown().await;
        }
    };
    let mut unheard = sink();
    let _ = tokio::join!(saying, copy(&mut read, &mut unheard));
}

pub fn link(env: &Env) -> Link {
    let mut config = ChannelConfig::new("channel", 1_433, "Channel", "till", Secret::new("till"));
    config.encryption = Encryption::Off;
    (config.connect_timeout, config.statement_timeout) = (LIMIT, LIMIT);
    Link::new(env, Arc::new(config))
}

pub async fn ask(link: &mut Link, question: &str) -> Result<(), ChannelError> {
    let table = every_type();
    match question {
        "probe" => drop(probe(link, LIMIT).await?),
        "names" => drop(schema::all_table_names(link).await?),
        "shapes" => {
            let names = [table.name.clone(), counted().name];
            for table in schema::tables(link, &names).await? {
                let columns = table.columns.len();
                assert!(table.key.iter().all(|at| *at < columns), "a key beside {columns} columns");
            }
        }
        "read" => {
            let filter = Filter { limit: 100, ..Filter::default() };
            check(&table, &read(link, &table, &filter, None).await?);
        }
        "page" => check(&table, &page(link, &table, None, 100).await?.rows),
        "pass" => pass(link, Arc::new(table)).await?,
        "known" => drop(known(link, "S1").await?),
        "fleet" => drop(fleet(link, "S1").await?),
        "profile" => drop(read_profile(link, "S1").await?),
        "upload" => push(link).await?,
        "marks" => drop(marks(link, "S1", "1", 9).await?),
        _ => {
            let run = Run([3; 16]);
            let register = "S1-1".to_string();
            let speaker = Speaker { register, incarnation: INCARNATION, run };
            let _claimed = look(link, &speaker).await?;
        }
    }
    Ok(())
}

/// From where the table stands to its changes.
async fn pass(link: &mut Link, table: Arc<Table>) -> Result<(), ChannelError> {
    let (epoch, position) = start(link, Capture::ChangeTracking, &table).await?;
    let entry = ScopeTable::whole(table.name.clone());
    // As if the register had nothing yet, so that every change is news.
    let position = Position { version: ChannelVersion(0), ..position };
    let followed =
        Followed { table: table.clone(), entry, filter: None, position, restricted: None };
    let own = own_context(INCARNATION);
    let mut pass = Pass::begin(link, Capture::ChangeTracking, &[epoch], own, &[followed]).await?;
    while let Some(page) = pass.page(0).await? {
        let row = |change: Change| match change {
            Change::Present(row) => Some(row),
            Change::Gone(_) => None,
        };
        let rows: Vec<Row> = page.changes.into_iter().filter_map(|one| row(one.change)).collect();
        check(&table, &rows);
    }
    pass.finish().await
}

async fn push(link: &mut Link) -> Result<(), ChannelError> {
    let table = Arc::new(counted());
    let write = |number: i64| Write {
        table: table.clone(),
        operation: Operation::Insert,
        key: Key(vec![Value::Int(number)]),
        base: None,
        offline: Some(Row(vec![Value::Int(number), Value::Text("sold".to_string())])),
        base_version: ChannelVersion(1),
    };
    let one = |number: u8| Transaction {
        id: TransactionId([number; 16]),
        hash: ContentHash([number; 32]),
        sequence: Sequence(u64::from(number)),
        writes: vec![write(i64::from(number)), write(i64::from(number) + 10)],
    };
    let sent = [one(1), one(2)];
    let receipts = upload(link, "S1-1", INCARNATION, &sent).await?;
    assert_eq!(receipts.len(), sent.len(), "one receipt for each");
    Ok(())
}

fn check(table: &Table, rows: &[Row]) {
    for row in rows {
        assert_eq!(row.0.len(), table.columns.len(), "{row:?}");
        for (value, column) in row.0.iter().zip(&table.columns) {
            let Some(said) = text::canonical(value, column.of) else { continue };
            let read = text::parse(&said, column.of);
            assert_eq!(read.as_ref(), Ok(value), "{} {}: '{said}'", column.name, column.of);
        }
    }
}

pub fn counted() -> Table {
    shaped("dbo.COUNTED", &[("ID", "int"), ("NAME", "nvarchar(30)")])
}

/// A column of every type that travels.
pub fn every_type() -> Table {
    const COLUMNS: [(&str, &str); 29] = [
        ("ID", "int"),
        ("A_BIT", "bit"),
        ("A_TINYINT", "tinyint"),
        ("A_SMALLINT", "smallint"),
        ("A_BIGINT", "bigint"),
        ("A_DECIMAL", "decimal(38,10)"),
        ("A_MONEY", "money"),
        ("A_SMALLMONEY", "smallmoney"),
        ("A_FLOAT", "float"),
        ("A_REAL", "real"),
        ("A_DATE", "date"),
        ("A_TIME", "time(3)"),
        ("A_MOMENT", "datetime"),
        ("A_SMALLDATETIME", "smalldatetime"),
        ("A_DATETIME2", "datetime2(7)"),
        ("AN_OFFSET", "datetimeoffset(7)"),
        ("A_GUID", "uniqueidentifier"),
        ("A_CHAR", "char(4)"),
        ("AN_NCHAR", "nchar(4)"),
        ("A_VARCHAR", "varchar(30)"),
        ("A_VARCHAR_MAX", "varchar(max)"),
        ("AN_NVARCHAR", "nvarchar(30)"),
        ("AN_NVARCHAR_MAX", "nvarchar(max)"),
        ("A_TEXT", "text"),
        ("AN_NTEXT", "ntext"),
        ("A_BINARY", "binary(4)"),
        ("A_VARBINARY", "varbinary(30)"),
        ("A_VARBINARY_MAX", "varbinary(max)"),
        ("AN_IMAGE", "image"),
    ];
    shaped("dbo.EVERYTYPE", &COLUMNS)
}

fn shaped(name: &str, columns: &[(&str, &str)]) -> Table {
    let column = |(name, of): &(&str, &str)| {
        let of = SqlType::parse(of).expect("a type");
        Column {
            name: name.to_string(),
            of,
            nullable: *name != "ID",
            assigned: Assigned::ByWriter,
            default: None,
            collation: of.is_text().then(|| "SQL_Latin1_General_CP1_CI_AS".to_string()),
        }
    };
    let columns = columns.iter().map(column).collect();
    Table { name: TableName::parse(name).expect("a name"), columns, key: vec![0] }
}
