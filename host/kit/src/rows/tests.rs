//! Rows read and written, and everything that is wrong with them.

use super::{Entry, Format, RowReader, RowWriter, Said};
use crate::{KitError, Schema};
use std::sync::Arc;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

const SCHEMA: &str = r#"{ "ax.T": { "columns": [
    ["ID", "bigint", "not null"], ["NAME", "nvarchar(9)", "not null"], ["NOTE", "nvarchar(9)", "null"],
    ["PRICE", "numeric(32,16)", "null"], ["AT", "datetime", "null"], ["RAW", "varbinary(8)", "null"],
    ["FLAG", "bit", "null"], ["ROWVERSION", "timestamp", "not null"]],
    "keys": [{ "kind": "PK", "cols": ["ID"] }] } }"#;

fn table() -> Arc<Table> {
    let schema = Schema::read("schema.json", SCHEMA).expect("a schema");
    Arc::new(schema.find("T").expect("the table").travelling(&[]))
}

fn read(text: &str, verdicts: bool) -> Result<(Arc<Table>, Vec<Entry>), KitError> {
    let mut reader = RowReader::open("f", text.as_bytes(), None, &table(), verdicts)?;
    let entries = reader.all()?;
    Ok((reader.shape().clone(), entries))
}

/// The problems of a file that is refused, a line each.
fn refused(text: &str, verdicts: bool) -> String {
    let error = read(text, verdicts).expect_err("it was taken");
    assert_eq!(error.code(), "kit-rows", "{error}");
    error.to_string()
}

#[test]
fn csv_knows_nothing_from_an_empty_text() {
    let text = "NOTE,id,NAME\r\n,1,\r\n\"\",2,\"\"\r\n\"a, \"\"b\"\"\",3,x\r\n";
    let (shape, entries) = read(text, false).expect("rows");
    let names: Vec<&str> = shape.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((&names[..], &shape.key[..]), (&["NOTE", "ID", "NAME"][..], &[1][..]));
    let text = |text: &str| Value::Text(text.to_string());
    let rows: Vec<Row> = entries.into_iter().map(|entry| entry.row).collect();
    assert_eq!(
        rows,
        [
            Row(vec![Value::Null, Value::Int(1), text("")]),
            Row(vec![text(""), Value::Int(2), text("")]),
            Row(vec![text("a, \"b\""), Value::Int(3), text("x")]),
        ]
    );
}

#[test]
fn json_is_an_array_or_an_object_a_line() {
    let array = r#"[{"ID": 1, "NAME": "a"}, {"name": "b", "ID": "9223372036854775807"}]"#;
    let lines = "{\"ID\": 1, \"NAME\": \"a\"}\n\n{\"name\": \"b\", \"ID\": 9223372036854775807}\n";
    let (shape, of_array) = read(array, false).expect("rows");
    let (_, of_lines) = read(lines, false).expect("rows");
    let rows = |entries: &[Entry]| entries.iter().map(|e| e.row.clone()).collect::<Vec<_>>();
    assert_eq!(rows(&of_array), rows(&of_lines));
    assert_eq!(of_array[1].row.0[0], Value::Int(i64::MAX));
    assert_eq!((of_array[1].line, of_lines[1].line), (2, 3));
    assert_eq!(shape.columns.len(), 2);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_together() {
    let csv = "ID,NAME\n1,a\n2,far too long\nx,b\n3\n";
    let told = refused(csv, false);
    for part in [
        "line 3: NAME: 12 characters do not fit nvarchar(9)",
        "line 4: ID: 'x' is not a whole number",
        "line 5: 1 fields instead of 2",
    ] {
        assert!(told.contains(part), "{told}");
    }
    for (text, verdicts, part) in [
        ("", false, "there are no rows"),
        ("ID,NAMES\n", false, "did you mean NAME?"),
        ("ID,id\n", false, "id is named twice"),
        ("ID,ROWVERSION\n", false, "has no column 'ROWVERSION'"),
        ("ID,NAME\n1,\"a\n", false, "line 2: a quote is opened and never closed"),
        ("ID\n1\n", true, "line 1: its first column is not verdict"),
        ("verdict,ID\nkeep,1\nhold,2\n", true, "line 3: 'hold' is no verdict"),
        ("[{\"ID\": 1}, {\"NAME\": \"a\"}]", false, "line 2: NAME is not among"),
        ("[{\"ID\": 1, \"NAME\": \"a\"}, {\"ID\": 1}]", false, "line 2: NAME has no value"),
        ("{\"ID\": null}", false, "line 1: ID: must not be null"),
        ("{\"ID\": 1}\n{\"ID\"\n", false, "line 2: EOF while parsing an object, at letter"),
        ("{\"ID\": 1}\n{\"ID\": x}\n", false, "line 2: expected value, at letter 8"),
        ("[{\"ID\": 1},\n{\"ID\": x}]", false, "line 2: expected value, at letter 8"),
        (
            "ID;NAME\n1;a\n",
            false,
            "line 1: fields are separated by commas, and here are semicolons",
        ),
        ("ID\tNAME\n1\ta\n", false, "line 1: fields are separated by commas, and here are tabs"),
        ("ID,NAME\n1,5\" bolt\n2,6\" bolt\n", false, "line 3: a quote inside an unquoted field"),
        ("[1]", false, "it is not an object"),
        ("{\"ID\": 1}", true, "{\"verdict\": …, \"row\": {…}}"),
    ] {
        let told = refused(text, verdicts);
        assert!(told.contains(part), "{text}: {told}");
    }
}

/// The words were "cannot be read", and "check that it is there".
#[test]
fn another_encoding_is_named() {
    let utf16 = |order: fn(u16) -> [u8; 2]| "\u{FEFF}ID,NAME\n".encode_utf16().flat_map(order);
    let unmarked = "ID,NAME\n".encode_utf16().flat_map(u16::to_le_bytes);
    for (bytes, part) in [
        (utf16(u16::to_le_bytes).collect::<Vec<u8>>(), "line 1: it is not UTF-8 but UTF-16"),
        (utf16(u16::to_be_bytes).collect(), "line 1: it is not UTF-8 but UTF-16"),
        (unmarked.collect(), "line 1: it is not UTF-8 but UTF-16"),
        (b"ID,NAME\n1,M\xFCller\n".to_vec(), "line 2: it is not UTF-8, but probably Windows-1252"),
    ] {
        let rows = RowReader::open("f", &bytes[..], None, &table(), false);
        let error = rows.and_then(|mut rows| rows.all()).map(|_| ()).expect_err("refused");
        assert!(error.code() == "kit-rows" && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn what_is_written_reads_back_whole() {
    let cells = |texts: [Option<&str>; 7]| {
        let of = [
            "bigint",
            "nvarchar(9)",
            "nvarchar(9)",
            "numeric(32,16)",
            "datetime",
            "varbinary(8)",
            "bit",
        ];
        let cell = |(text, of): (&Option<&str>, &str)| match text {
            Some(text) => text::parse(text, SqlType::parse(of).expect("a type")).expect("a value"),
            None => Value::Null,
        };
        Row(texts.iter().zip(of).map(cell).collect())
    };
    let full = [
        "-1",
        "a,\"b\"\n",
        "",
        "1234567890123456.0000000000000001",
        "2026-02-28 23:59:59.997",
        "00FF",
        "1",
    ];
    let rows = [
        (Said::Keep, cells(full.map(Some))),
        (Said::Drop, cells([Some("9007199254740993"), Some(""), None, None, None, None, None])),
        (Said::Refuse("why, \"not\": x".to_string()), cells(full.map(Some))),
    ];
    for (format, with_verdicts) in
        [Format::Csv, Format::Json].into_iter().flat_map(|f| [(f, true), (f, false)])
    {
        let writer = RowWriter { format, shape: table(), with_verdicts };
        let mut written = writer.header();
        for (said, row) in &rows {
            let entry = Entry { line: 0, said: Some(said.clone()), row: row.clone() };
            written.push_str(&writer.line(&entry));
        }
        let (_, entries) =
            read(&written, with_verdicts).unwrap_or_else(|e| panic!("{e}\n{written}"));
        let again = entries.into_iter().map(|entry| (entry.said, entry.row));
        let expected =
            rows.iter().map(|(said, row)| (with_verdicts.then(|| said.clone()), row.clone()));
        assert!(again.eq(expected), "{written}");
    }
}

#[test]
fn one_column_of_nothing_is_still_rows() {
    let (_, entries) = read("NOTE\n\nx\n", false).expect("rows");
    let cells: Vec<&Value> = entries.iter().map(|entry| &entry.row.0[0]).collect();
    assert_eq!(cells, [&Value::Null, &Value::Text("x".to_string())]);
}
