//! A plugin that does harm on request, so that the host's defences are tested against real components. Never shipped.
//!
//! The config says which harm: one word each, listed in [`describe`] and [`answer`]. It goes beneath the kit's rows,
//! straight to the contract, because the kit would not let it. `HARM@SCHEMA.TABLE/COLUMN` does it to another table than
//! the tests' own, of which it reads that one column, a text.
#![cfg(target_arch = "wasm32")]

use std::cell::Cell;
use std::collections::HashMap;
use tillhold_sdk::generated::resolver::exports::tillhold::plugin::resolve;
use tillhold_sdk::generated::transformer::exports::tillhold::plugin::transform;
use tillhold_sdk::generated::transformer::tillhold::plugin::types;
use tillhold_sdk::{generated, log};
use transform::{Answer, Change, Verdict};
use types::{ColumnData, DecimalColumn, PackedColumn, TableUse};

struct Hostile;

const TABLE: &str = "ax.VICTIM";

/// Of [`mirror`]'s table, one a type; the host's test builds it.
const MIRRORED: [&str; 12] =
    ["BIT", "INT", "FLT", "DEC", "TXT", "BIN", "DAT", "TIM", "MOM", "OFS", "GUI", "MON"];

fn used(table: &str, reads: &[&str], writes: &[&str]) -> TableUse {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    TableUse { table: table.to_string(), reads: owned(reads), writes: owned(writes) }
}

fn describe(config: &str) -> Result<Vec<TableUse>, String> {
    if let Some((_, place)) = config.split_once('@') {
        let (table, column) = place.split_once('/').ok_or("no column")?;
        return Ok(vec![used(table, &[column], &[])]);
    }
    let usual =
        || used(TABLE, &["NUMBER", "NAME"], &["NUMBER", "NAME", "AMOUNT", "MOMENT", "KIND"]);
    match config {
        "describe-refuses" => Err("line 1: no such setting\nline 2: forged".to_string()),
        "describe-loops" => spin(),
        "describe-hoards" => hoard(),
        "describe-panics" => panic!("I do not know what I am"),
        "describe-huge" => Ok(vec![used(TABLE, &[&"x".repeat(16 << 20)], &[])]),
        "describe-key" => Ok(vec![used(TABLE, &[], &["ID"])]),
        "describe-unknown" => Ok(vec![used(TABLE, &["NOWHERE"], &[])]),
        "describe-twice" => Ok(vec![usual(), usual()]),
        "describe-nonsense" => Ok(vec![used("no table", &[], &[])]),
        "describe-every" => Ok(vec![used(TABLE, &["*"], &[])]),
        "mirrors" => Ok(vec![used("ax.EVERYTYPE", &MIRRORED, &MIRRORED)]),
        _ => Ok(vec![usual()]),
    }
}

impl transform::Guest for Hostile {
    fn describe(config: String) -> Result<Vec<TableUse>, String> {
        describe(&config)
    }

    fn transform(
        context: types::Context,
        _table: String,
        rows: u32,
        columns: Vec<types::Column>,
    ) -> Result<Answer, String> {
        log::speak_when_panicking();
        let elsewhere = context.config.split_once('@').map(|(harm, _)| harm);
        if let Some(text) = elsewhere.and_then(|harm| harm.strip_prefix("panics-at-")) {
            return panic_at(text, rows, &columns[0]);
        }
        let harm = elsewhere.unwrap_or(&context.config);
        if context.config == "mirrors" {
            return Ok(mirror(rows, columns));
        }
        if context.config == "tells-what-it-sees" {
            return Err(format!("{columns:?}"));
        }
        if context.config == "panics-at-emoji" {
            return panic_at_emoji(rows, &columns);
        }
        match harm {
            "keeps" => return Ok(keep(rows)),
            "iterates" => return Err(iterate()),
            "counts-its-rows" => return Ok(count_rows(rows)),
            "doubles" => return renumber(&columns, |number| 2 * number),
            "adds-one" => return renumber(&columns, |number| number + 1),
            "obeys" => return obey(&columns),
            _ => {}
        }
        answer(harm, rows as usize)
    }
}

thread_local!(static CALLS: Cell<u32> = const { Cell::new(0) });

fn answer(config: &str, rows: usize) -> Result<Answer, String> {
    let keep = |changes| Answer { verdicts: vec![Verdict::Keep; rows], reasons: vec![], changes };
    let one = |column, row, values| Ok(keep(vec![change(column, vec![row], values)]));
    match config {
        "loops" => spin(),
        "hoards" => hoard(),
        "recurses" => Err(recurse(u64::MAX).to_string()),
        "panics" => panic!("I cannot go on with row {rows}"),
        "refuses" => Err("not today\nforged line".to_string()),
        "huge-refusal" => Err("x".repeat(16 << 20)),
        "huge-answer" => one(1, 0, texts(vec![vec![b'x'; 16 << 20]])),
        "remembers" => remember(rows),
        "chatters" => {
            (0..1_000).for_each(|_| log::info(&format!("one\ntwo {}", "\u{e9}".repeat(2_000))));
            Ok(keep(vec![]))
        }
        "forgets-a-row" => {
            Ok(Answer { verdicts: vec![Verdict::Keep; rows - 1], reasons: vec![], changes: vec![] })
        }
        "gives-no-reason" => {
            Ok(Answer { verdicts: vec![Verdict::Refuse; rows], reasons: vec![], changes: vec![] })
        }
        "gives-a-reason-too-many" => Ok(Answer { reasons: vec!["why not".into()], ..keep(vec![]) }),
        "undeclared-column" => one(5, 0, ColumnData::Integers(vec![1])),
        "changes-twice" => {
            let again = || change(0, vec![0], ColumnData::Integers(vec![1]));
            Ok(keep(vec![again(), again()]))
        }
        "row-out-of-range" => one(0, rows as u32, ColumnData::Integers(vec![1])),
        "rows-descend" => Ok(keep(vec![change(0, vec![1, 0], ColumnData::Integers(vec![1, 2]))])),
        "row-twice" => Ok(keep(vec![change(0, vec![0, 0], ColumnData::Integers(vec![1, 2]))])),
        "changes-a-dropped-row" => {
            let changes = vec![change(0, vec![0], ColumnData::Integers(vec![1]))];
            Ok(Answer { verdicts: vec![Verdict::Drop; rows], ..keep(changes) })
        }
        "too-few-values" => Ok(keep(vec![change(0, vec![0, 1], ColumnData::Integers(vec![1]))])),
        "wrong-shape" => one(0, 0, texts(vec![b"1".to_vec()])),
        "out-of-range" => one(0, 0, ColumnData::Integers(vec![1 << 40])),
        "too-long" => one(1, 0, texts(vec![b"four and more".to_vec()])),
        "not-utf8" => one(1, 0, texts(vec![vec![0xC3, 0x28]])),
        "crooked-offsets" => {
            let crooked = PackedColumn { offsets: vec![0, 9], bytes: b"abc".to_vec() };
            one(1, 0, ColumnData::Texts(crooked))
        }
        "no-offsets" => {
            one(1, 0, ColumnData::Texts(PackedColumn { offsets: vec![], bytes: vec![] }))
        }
        "null-in-not-null" => {
            let mut changed = change(0, vec![0], ColumnData::Integers(vec![0]));
            changed.values.validity = vec![0];
            Ok(keep(vec![changed]))
        }
        "crooked-validity" => {
            let mut changed = change(0, vec![0], ColumnData::Integers(vec![0]));
            changed.values.validity = vec![7];
            Ok(keep(vec![changed]))
        }
        "39-digits" => one(2, 0, decimal(0, i64::MAX, 0)),
        "halves-differ" => {
            let column = DecimalColumn { scale: 2, low: vec![1], high: vec![] };
            one(2, 0, ColumnData::Decimals(column))
        }
        "rounded-decimal" => one(2, 0, decimal(12_345, 0, 3)),
        "decimal-as-text" => one(2, 0, others("-3.14")),
        "nonsense-as-text" => one(2, 0, others("a lot")),
        "year-10000" => one(3, 0, ColumnData::Timestamps(vec![i64::MAX])),
        "not-a-number" => one(4, 0, ColumnData::Floats(vec![f64::NAN])),
        other => Err(format!("no such harm: {other}")),
    }
}

/// What it says of the first row depends on the others.
fn count_rows(rows: u32) -> Answer {
    let changes = vec![change(0, vec![0], ColumnData::Integers(vec![rows.into()]))];
    Answer { verdicts: vec![Verdict::Keep; rows as usize], reasons: vec![], changes }
}

/// A rule whose effect shows in which order rules ran.
fn renumber(columns: &[types::Column], rule: fn(i64) -> i64) -> Result<Answer, String> {
    let ColumnData::Integers(numbers) = &columns[0].data else { return Err("none".to_string()) };
    let changed = numbers.iter().map(|number| rule(*number)).collect();
    let all = (0..numbers.len() as u32).collect();
    let changes = vec![change(0, all, ColumnData::Integers(changed))];
    Ok(Answer { verdicts: vec![Verdict::Keep; numbers.len()], reasons: vec![], changes })
}

/// Does with a row what its NAME says; `emoji` becomes one.
fn obey(columns: &[types::Column]) -> Result<Answer, String> {
    let ColumnData::Texts(names) = &columns[1].data else { return Err("no names".to_string()) };
    let name = |at: &[u32]| &names.bytes[at[0] as usize..at[1] as usize];
    let names: Vec<&[u8]> = names.offsets.windows(2).map(name).collect();
    let verdicts: Vec<Verdict> = names
        .iter()
        .map(|name| match *name {
            b"drop" => Verdict::Drop,
            b"refuse" => Verdict::Refuse,
            _ => Verdict::Keep,
        })
        .collect();
    let refused = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Refuse));
    let reasons = refused.map(|_| "it asked for it".to_string()).collect();
    let marked = (0u32..).zip(&names).filter(|(_, name)| **name == b"emoji");
    let marked: Vec<u32> = marked.map(|(row, _)| row).collect();
    let emoji = texts(marked.iter().map(|_| "\u{1F600}".as_bytes().to_vec()).collect());
    Ok(Answer { verdicts, reasons, changes: vec![change(1, marked, emoji)] })
}

/// As a rule does that counts letters as bytes.
fn panic_at_emoji(rows: u32, columns: &[types::Column]) -> Result<Answer, String> {
    let ColumnData::Texts(names) = &columns[1].data else { return Err("no names".to_string()) };
    assert!(!names.bytes.contains(&0xF0), "a letter of four bytes");
    Ok(Answer { verdicts: vec![Verdict::Keep; rows as usize], reasons: vec![], changes: vec![] })
}

/// As a rule does that has not thought of one row.
fn panic_at(text: &str, rows: u32, column: &types::Column) -> Result<Answer, String> {
    let ColumnData::Texts(PackedColumn { offsets, bytes }) = &column.data else {
        return Err("no texts".to_string());
    };
    for ends in offsets.windows(2) {
        let cell = &bytes[ends[0] as usize..ends[1] as usize];
        assert_ne!(cell, text.as_bytes(), "a row that the author did not think of");
    }
    Ok(keep(rows))
}

/// Gives back every cell, as if it had changed it: what went in must come out, to the last bit.
fn mirror(rows: u32, columns: Vec<types::Column>) -> Answer {
    let numbered = (0..).zip(columns);
    let changes =
        numbered.map(|(column, values)| Change { column, rows: (0..rows).collect(), values });
    let verdicts = vec![Verdict::Keep; rows as usize];
    Answer { verdicts, reasons: vec![], changes: changes.collect() }
}

fn change(column: u32, rows: Vec<u32>, data: ColumnData) -> Change {
    Change { column, rows, values: types::Column { validity: vec![], data } }
}

fn texts(cells: Vec<Vec<u8>>) -> ColumnData {
    let ends = cells.iter().scan(0, |end, cell| {
        *end += cell.len() as u32;
        Some(*end)
    });
    let offsets = std::iter::once(0).chain(ends).collect();
    ColumnData::Texts(PackedColumn { offsets, bytes: cells.concat() })
}

fn others(text: &str) -> ColumnData {
    let ColumnData::Texts(texts) = texts(vec![text.as_bytes().to_vec()]) else { spin() };
    ColumnData::Others(types::OtherColumn { sql_type: String::new(), texts })
}

fn decimal(low: u64, high: i64, scale: u8) -> ColumnData {
    ColumnData::Decimals(DecimalColumn { scale, low: vec![low], high: vec![high] })
}

fn keep(rows: u32) -> Answer {
    Answer { verdicts: vec![Verdict::Keep; rows as usize], reasons: vec![], changes: vec![] }
}

/// The order of a hash map's entries, which another seed would change.
fn iterate() -> String {
    let map: HashMap<u32, u32> = (0..64).map(|number| (number, number)).collect();
    let order: Vec<String> = map.keys().map(u32::to_string).collect();
    order.join(",")
}

/// Drops every row from the second call on, if an instance lived that long.
fn remember(rows: usize) -> Result<Answer, String> {
    let calls = CALLS.replace(CALLS.get() + 1);
    let verdict = if calls == 0 { Verdict::Keep } else { Verdict::Drop };
    Ok(Answer { verdicts: vec![verdict; rows], reasons: vec![], changes: vec![] })
}

fn spin() -> ! {
    let mut number = 0u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

fn hoard() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 1 << 20]);
        std::hint::black_box(&all);
    }
}

#[allow(unconditional_recursion)]
fn recurse(number: u64) -> u64 {
    let page = std::hint::black_box([number; 512]);
    recurse(number.wrapping_sub(page[511])) + page[0]
}

impl resolve::Guest for Hostile {
    fn describe(config: String) -> Result<Vec<TableUse>, String> {
        match config.as_str() {
            every if every.ends_with("-every") => Ok(vec![used(TABLE, &["*"], &["*"])]),
            _ => Ok(vec![used(TABLE, &["NAME"], &["NAME"])]),
        }
    }

    fn resolve(
        context: types::Context,
        conflicts: Vec<resolve::Conflict>,
    ) -> Result<Vec<resolve::Resolution>, String> {
        let merged = |column: &str, value| {
            let cell = types::Cell { column: column.to_string(), value };
            resolve::Resolution::Merged(vec![cell])
        };
        let text = |text: &str| types::Value::Text(text.to_string());
        let answer = match context.config.as_str() {
            "resolve-too-few" => return Ok(vec![]),
            "resolve-refuses" => return Err("no".to_string()),
            "resolve-unseen-every" => merged("UNSEEN", text("seen")),
            "resolve-undeclared" => merged("NUMBER", types::Value::Integer(1)),
            "resolve-unknown" => merged("NOWHERE", types::Value::Null),
            "resolve-key" | "resolve-every" => merged("ID", types::Value::Integer(9)),
            "resolve-too-long" => merged("NAME", text("four and more")),
            "resolve-guid" => merged("NAME", types::Value::Guid(vec![1])),
            // Says what it was shown, for the test of what a resolver sees.
            "resolve-shown" | "resolve-shown-every" => resolve::Resolution::Deferred(
                conflicts.iter().flat_map(|c| c.columns.clone()).collect::<Vec<_>>().join(","),
            ),
            _ => merged("NAME", text("won")),
        };
        Ok(conflicts.iter().map(|_| answer.clone()).collect())
    }
}

generated::transformer::export_transformer!(Hostile with_types_in generated::transformer);
generated::resolver::export_resolver!(Hostile with_types_in generated::resolver);
