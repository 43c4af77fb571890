//! Filters as text: what is read, what is refused and where, and that nothing of a value gets out of it.

use super::{Bound, Condition, Parameters, Term};
use crate::draw::Draw;
use crate::limits::{FILTER_CHARACTERS_MAX, FILTER_DEPTH_MAX, FILTER_VALUES_MAX};
use crate::table::{Assigned, Column, Table, TableName};
use crate::types::SqlType;
use crate::value::Value;

fn table() -> Table {
    let column = |declared: &str| {
        let (name, of) = declared.split_once(' ').expect("a name and a type");
        Column {
            name: name.to_string(),
            of: SqlType::parse(of).expect("a type of the test"),
            nullable: true,
            assigned: Assigned::ByWriter,
            default: None,
            collation: None,
        }
    };
    let columns = [
        "STORE nvarchar(10)",
        "NUMBER int",
        "BLOCKED bit",
        "AMOUNT decimal(10,2)",
        "RATE float",
        "DAY date",
        "AT datetime2(0)",
        "ID uniqueidentifier",
        "NOTE ntext",
        "PICTURE varbinary(max)",
        "ORDER nvarchar(5)",
    ];
    let columns = columns.map(column).into();
    Table { name: TableName::new("ax", "T"), columns, key: vec![0] }
}

const GIVEN: Parameters<'_> = Parameters { store: "S0343", register: "17" };

fn bound(text: &str) -> Result<Bound, Vec<String>> {
    let parsed = Condition::parse(text).map_err(|complaint| vec![complaint.to_string()])?;
    let told = |complaints: Vec<super::Complaint>| {
        complaints.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    parsed.bind(&table(), GIVEN).map_err(told)
}

#[track_caller]
fn check(text: &str, normal: &str) {
    let parsed = Condition::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
    assert_eq!(parsed.to_string(), normal, "{text}");
    let again = Condition::parse(normal).expect("the normal spelling is a filter");
    assert_eq!(again.to_string(), normal, "its spelling is no other filter");
    bound(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
}

#[test]
fn every_form_is_read_and_has_one_spelling() {
    for (text, normal) in [
        ("STORE = @store", "[STORE] = @store"),
        ("store=@STORE and blocked=0", "[STORE] = @store AND [BLOCKED] = 0"),
        ("(((NUMBER <> 1)))", "[NUMBER] <> 1"),
        ("NUMBER >= -1 OR NUMBER<=+2", "[NUMBER] >= -1 OR [NUMBER] <= 2"),
        ("NUMBER < 1 AND NUMBER > 2", "[NUMBER] < 1 AND [NUMBER] > 2"),
        ("NUMBER IN (1,2 , 3)", "[NUMBER] IN (1, 2, 3)"),
        ("NUMBER NOT IN (1)", "NOT [NUMBER] IN (1)"),
        ("NUMBER = @register", "[NUMBER] = @register"),
        (
            "DAY BETWEEN '2026-01-01' AND '2026-12-31' AND AMOUNT = 1.5",
            "[DAY] BETWEEN '2026-01-01' AND '2026-12-31' AND [AMOUNT] = 1.5",
        ),
        ("STORE LIKE '10[%]a[_][[]%'", "[STORE] LIKE '10[%]a[_][[]%'"),
        ("STORE IS NULL OR NOTE IS NOT NULL", "[STORE] IS NULL OR NOT [NOTE] IS NULL"),
        ("NOT (STORE = 'a' OR STORE = 'b')", "NOT ([STORE] = 'a' OR [STORE] = 'b')"),
        (
            "STORE = 'a' OR STORE = 'b' AND NOT BLOCKED = 1",
            "[STORE] = 'a' OR ([STORE] = 'b' AND NOT [BLOCKED] = 1)",
        ),
        ("STORE = 'it''s'", "[STORE] = 'it''s'"),
        ("STORE = ''", "[STORE] = ''"),
        ("[ORDER] = 'x'", "[ORDER] = 'x'"),
        (
            "ID = '6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "[ID] = '6f9619ff-8b86-d011-b42d-00c04fc964ff'",
        ),
        ("RATE > 0.1", "[RATE] > 0.1"),
        ("AT >= '2026-02-28T23:59:59'", "[AT] >= '2026-02-28T23:59:59'"),
    ] {
        check(text, normal);
    }
}

/// Texts that are no filters, and what is said of each.
const MISREAD: &[(&str, &str)] = &[
    ("", "column 1: expected a column, found the end"),
    ("STORE == 'a'", "column 7: write ="),
    ("STORE != 'a'", "column 7: write <>"),
    ("STORE = \"a\"", "column 9: texts stand in single quotes, names in [ ]"),
    ("STORE = N'a'", "column 9: write 'text' without the N"),
    ("STORE = 'a", "column 9: this text has no end: a ' is missing"),
    ("[STORE = 'a'", "column 1: this name has no end: a ] is missing"),
    ("STORE = 'a'; DROP TABLE ax.T", "column 12: a filter is one condition"),
    ("STORE = 'a' -- all", "column 13: a filter has no comments"),
    ("STORE = 'a' OR 1 = 1", "column 16: a column stands first, then what it is compared with"),
    ("STORE = NUMBER", "column 9: a column is compared with a value, not with another column"),
    ("STORE = NULL", "column 9: nothing compares with NULL: write IS NULL or IS NOT NULL"),
    ("NUMBER IN (1, NULL)", "column 15: nothing compares with NULL"),
    ("NUMBER IN (SELECT 1)", "column 12: a filter has no subqueries: list the values"),
    ("UPPER(STORE) = 'A'", "column 1: UPPER is no column: a filter has no functions"),
    (
        "STORE 'a'",
        "column 7: expected =, <>, <, <=, >, >=, IN, BETWEEN, LIKE or IS after STORE, found 'a'",
    ),
    ("(STORE = 'a'", "column 13: expected a ) for the ( in column 1, found the end"),
    ("STORE = 'a')", "column 12: expected nothing: no ( is open, found )"),
    ("STORE = 'a' STORE = 'b'", "column 13: expected AND, OR or the end, found STORE"),
    ("NUMBER BETWEEN 1 OR 2", "column 18: expected AND and the upper bound of BETWEEN, found OR"),
    ("STORE LIKE 'abc'", "column 12: a pattern is a beginning: end it with %"),
    ("STORE LIKE '%abc%'", "column 12: only a % at the end is a wildcard here; [%] stands"),
    ("STORE LIKE 'a_c%'", "column 12: only a % at the end is a wildcard here; [_] stands"),
    ("STORE LIKE @store", "column 12: expected a 'text%' after LIKE, found @store"),
    (
        "STORE = @stroe",
        "column 9: unknown parameter @stroe: there are @store and @register; did you mean @store?",
    ),
    ("NUMBER = 1x", "column 10: '1x' is no number such as 12 or -0.50"),
    ("NUMBER = 1.2.3", "column 10: '1.2.3' is no number"),
    ("STORE = 'ü' AND ß % 1", "column 19: '%' has no meaning in a filter"),
    ("ax.T.STORE = 'a'", "column 3: '.' has no meaning in a filter"),
];

/// Filters that do not fit the table, and what is said of each.
const MISFITTING: &[(&str, &str)] = &[
    ("STOR = 'a'", "column 1: ax.T has no column STOR; did you mean STORE?"),
    ("STORE = 1", "column 9: STORE is nvarchar(10): write '1' in quotes"),
    ("NUMBER = '1'", "column 10: NUMBER is int: write a number, without quotes"),
    ("NUMBER = 1.5", "column 10: this does not fit NUMBER, int: '1.5' is not a whole number"),
    ("NUMBER = 2147483648", "column 10: this does not fit NUMBER, int: 2147483648 is outside int"),
    (
        "NUMBER = @store",
        "column 10: @store does not fit NUMBER, int: 'S0343' is not a whole number",
    ),
    ("BLOCKED = 2", "column 11: this does not fit BLOCKED, bit: '2' is not a bit: give 0 or 1"),
    (
        "AMOUNT >= 9.995",
        "column 11: this does not fit AMOUNT, decimal(10,2): 9.995 has more decimals than it holds",
    ),
    ("STORE = 'longer than ten'", "column 9: this does not fit STORE, nvarchar(10): "),
    (
        "DAY = '28.02.2026'",
        "column 7: this does not fit DAY, date: '28.02.2026' is not a date such as 2026-02-28",
    ),
    (
        "NOTE = 'a'",
        "column 1: NOTE is ntext, which a filter cannot compare: only IS NULL and IS NOT NULL",
    ),
    ("PICTURE > 'a'", "column 1: PICTURE is varbinary(max), which a filter cannot compare"),
    ("NUMBER LIKE '1%'", "column 1: LIKE goes by text, and NUMBER is int"),
];

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
    for (text, told) in MISREAD.iter().chain(MISFITTING) {
        let wrong = bound(text).expect_err(text);
        assert!(wrong[0].starts_with(&format!("filter, {told}")), "{text}: {wrong:?}");
    }
}

#[test]
fn everything_that_does_not_fit_the_table_is_told_at_once() {
    let wrong = bound("STOR = 'a' OR (NUMBER = 'b' AND BLOCKED IN (0, 2, 3))").expect_err("four");
    assert_eq!(wrong.len(), 4, "{wrong:?}");
}

/// The same words at another register pass other rows.
#[test]
fn what_is_remembered_has_the_parameters_values() {
    let filter = Condition::parse("STORE in (@store,'x') AND NOT number = @register").expect("one");
    let told = "[STORE] IN ('S0343', 'x') AND NOT [NUMBER] = '17'";
    assert_eq!(filter.under(GIVEN), told);
    assert_ne!(filter.under(Parameters { register: "18", ..GIVEN }), told);
}

#[test]
fn a_filter_is_bounded_in_length_depth_and_values() {
    let long = format!("STORE = '{}'", "x".repeat(FILTER_CHARACTERS_MAX));
    assert!(bound(&long).expect_err("too long")[0].contains("at most 4000 characters"));
    let nested = |depth| format!("{}NUMBER = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(bound(&nested(FILTER_DEPTH_MAX)).is_ok());
    assert!(bound(&nested(FILTER_DEPTH_MAX + 1)).expect_err("too deep")[0].contains("16 deep"));
    let nots = format!("{}NUMBER = 1", "NOT ".repeat(FILTER_DEPTH_MAX + 1));
    assert!(bound(&nots).expect_err("too deep")[0].contains("16 deep"));
    let values = |count| format!("NUMBER IN ({})", vec!["1"; count].join(","));
    assert!(bound(&values(FILTER_VALUES_MAX)).is_ok());
    assert!(bound(&values(FILTER_VALUES_MAX + 1)).expect_err("too many")[0].contains("500 values"));
}

/// Random texts from the letters that mean something: whatever is accepted has its spelling as itself, and every text
/// value of it is one value of the tree.
#[test]
fn hostile_texts_never_leave_their_literal() {
    const PIECES: [&str; 24] = [
        "'",
        "''",
        "[",
        "]",
        "--",
        "/*",
        "*/",
        ";",
        "@store",
        "@",
        "%",
        "_",
        "~",
        "\0",
        "\n",
        "\u{2019}",
        "\u{FF07}",
        " OR 1=1",
        "');DROP TABLE T;--",
        "N'",
        "\"",
        "\\",
        "0x27",
        "\u{1F600}",
    ];
    let mut draw = Draw::of(0, "hostile texts", 0);
    let mut wide = table();
    wide.columns[0].of = SqlType::NVarChar { length: None };
    for _ in 0..20_000 {
        let hostile: String = (0..draw.below(6)).map(|_| *draw.pick(&PIECES)).collect();
        let text = format!("NUMBER = 1 AND STORE = {}", super::parse::quoted(&hostile));
        let parsed = Condition::parse(&text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        let bound = parsed.bind(&wide, GIVEN).expect("any text fits nvarchar(max)");
        let Term::All(parts) = bound.root() else { panic!("two parts: {text}") };
        let Term::Compare { to, .. } = &parts[1] else { panic!("a comparison: {text}") };
        assert_eq!((parts.len(), to), (2, &Value::Text(hostile.clone())), "{text}");
        let like = format!("STORE LIKE {}", super::parse::quoted(&super::parse::pattern(&hostile)));
        let parsed = Condition::parse(&like).unwrap_or_else(|wrong| panic!("{like}: {wrong}"));
        assert_eq!(
            parsed.bind(&wide, GIVEN).expect("a beginning").root(),
            &Term::Begins { column: wide.columns[0].clone(), start: hostile },
            "{like}"
        );
        // Raw noise is refused or is a filter, and never brings the parser down.
        let noise: String = (0..draw.below(9)).map(|_| *draw.pick(&PIECES)).collect();
        if let Ok(taken) = Condition::parse(&format!("STORE = {noise}")) {
            assert!(Condition::parse(&taken.to_string()).is_ok(), "{noise}");
        }
    }
}
