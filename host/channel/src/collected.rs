//! Every statement that this crate can emit, for the tables of the tests and for all 548 of the
//! published channel schema, written to a file that Microsoft's own parser is run over (tests/grammar).
//!
//! No statement escapes the collection:
//!
//! 1. Everything that is sent goes through [`crate::link::Ask`]; only `link` names the client, and
//!    only `Ask`'s own functions make one ([`source`] reads the code for it).
//! 2. In tests `Ask` shows what it is given to [`assert_known`]: a statement whose shape (names,
//!    numbers, types and the length of lists folded away, [`shape`]) is not collected ends the test
//!    that sent it. A test's own statements say so by `Ask::of_a_test`.
//! 3. What no test sends is found by name: each function and constant that makes T-SQL is called
//!    `…_sql` or `…_SQL`, and each of them is named here or among the golden statements ([`source`]).

mod published;
mod shape;
mod source;

use crate::capture::statement as pass;
use crate::filtering::tests::bound;
use crate::prepare::{PrepareOptions, Prepared};
use crate::selection::{self, Narrowing, Set};
use crate::upload::statement::{Part, upload_sql};
use crate::{altered, golden, keyed, link, prepare, read, sample, schema, snapshot, surrogate};
use shape::shapes;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tillhold_core::filter::Filter;
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::row::{Key, Row};
use tillhold_core::selection::{MemberKind, Restriction};
use tillhold_core::table::Table;
use tillhold_core::value::Value;

const CAPTURES: [Capture; 2] = [Capture::ChangeTracking, Capture::Triggers];

/// What it is, and its text.
type Named = (String, String);

/// Ends the test that sends a statement which is not collected.
pub(crate) fn assert_known(what: &str, sql: &str) {
    static KNOWN: OnceLock<HashSet<String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| shapes_of(&of_samples()));
    let unknown: Vec<String> = shapes(sql).into_iter().filter(|one| !known.contains(one)).collect();
    assert!(
        unknown.is_empty(),
        "a statement to '{what}' is not collected for the grammar gate: add it to src/collected.rs \
         (a test's own statements are made by Ask::of_a_test)\n{sql}\nits shape: {unknown:#?}"
    );
}

fn shapes_of(statements: &[Named]) -> HashSet<String> {
    statements.iter().flat_map(|(_, sql)| shapes(sql)).collect()
}

fn of_samples() -> Vec<Named> {
    let tables = [
        sample::barcode(),
        sample::seed(),
        sample::currency(),
        sample::tax(),
        sample::payment(),
        sample::every_type(),
        key_alone(),
    ];
    let mut list = of_no_table();
    list.extend(golden::all().into_iter().map(|(name, _, sql)| (format!("golden/{name}"), sql)));
    list.extend(tables.iter().flat_map(of_table));
    let travelling = tables.map(|table| Arc::new(table.travelling(&[])));
    list.extend(travelling.iter().filter(|table| !table.key.is_empty()).flat_map(of_members));
    list.extend(of_several(&travelling));
    list.extend(of_filters());
    list.extend(CAPTURES.map(|capture| upload_of_several(capture, &travelling)));
    list
}

/// Nothing to update in it.
fn key_alone() -> Table {
    sample::table("dbo.KEYALONE", &["ID int", "LINE smallint"], &["ID", "LINE"])
}

fn of_no_table() -> Vec<Named> {
    let mut list = vec![
        ("session".to_string(), link::SESSION_SQL.to_string()),
        ("undo".to_string(), link::UNDO_SQL.to_string()),
    ];
    let names = |count| (format!("schema_columns/{count}"), schema::columns_sql(count));
    list.extend([1, 2, 500].map(names));
    for kind in MemberKind::ALL {
        for set in [Set::Members, Set::Joined] {
            let of = |what: &str| format!("set/{what}/{}", kind.name());
            list.extend([
                (of("make"), selection::make_sql(set, kind)),
                (of("fill"), selection::fill_sql(set, kind, 1)),
                (of("drop"), selection::drop_sql(set, kind)),
            ]);
        }
    }
    list
}

/// By each kind of member alone, by two together, and withheld; each with and without a code.
fn of_members(table: &Arc<Table>) -> Vec<Named> {
    let column = &table.columns[table.key[0]].name;
    let alone = MemberKind::ALL.map(|kind| format!("{column} {}", kind.name()));
    let coded = MemberKind::ALL.map(|kind| format!("{column} {} {column}=1", kind.name()));
    let both = format!("{column} item; {column} product");
    let texts = alone.into_iter().chain(coded).chain([both, "withheld".to_string()]);
    let one = std::slice::from_ref(table);
    let mut list = Vec::new();
    for text in texts {
        let of = Restriction::parse(&text).expect("a restriction");
        list.push(named("pass_page_of_members", pass::page_sql(0, table, Some(&of), None)));
        // The form of a code beside it is the same as in a page.
        if !text.contains('=') {
            let sql = keyed::keyed_rows_sql(table, None, Some(&of));
            list.push(named("keyed_rows_of_members", sql));
        }
        for after in [false, true] {
            for narrowing in [Narrowing::Loading(&of), Narrowing::Joining(&of)] {
                list.push(named(
                    "page_of_members",
                    snapshot::page_sql(table, after, narrowing, None),
                ));
            }
        }
        let sets = |wanted: &[Set]| -> Vec<(Set, MemberKind)> {
            let kinds = selection::kinds(std::iter::once(&of));
            kinds.iter().flat_map(|kind| wanted.iter().map(|set| (*set, *kind))).collect()
        };
        for wanted in [&[Set::Members][..], &[Set::Members, Set::Joined]] {
            let sets = sets(wanted);
            for capture in CAPTURES {
                let begin = pass::begin_sql(capture, one, &sets);
                list.push(named("pass_begin_of_members", begin));
            }
            list.push(named("pass_end_of_members", pass::end_sql(1, &sets)));
        }
    }
    list
}

/// Everything that is said about one table, alone.
fn of_table(whole: &Table) -> Vec<Named> {
    let table = Arc::new(whole.travelling(&[]));
    let mut list = Vec::new();
    // Without a key a table is neither prepared nor read nor written.
    if !table.key.is_empty() {
        list.extend(of_preparing(whole));
        list.extend(of_pull(&table));
        list.extend(of_push(&table));
        list.extend(of_reads(&table));
    }
    let name = whole.name.to_string();
    list.into_iter().map(|(kind, sql)| (format!("{name}/{kind}"), sql)).collect()
}

fn named(kind: &str, sql: String) -> Named {
    (kind.to_string(), sql)
}

fn of_pull(table: &Arc<Table>) -> Vec<Named> {
    let one = std::slice::from_ref(table);
    let mut list = vec![
        named("first_page", snapshot::page_sql(table, false, Narrowing::Not, None)),
        named("next_page", snapshot::page_sql(table, true, Narrowing::Not, None)),
        named("pass_page", pass::page_sql(0, table, None, None)),
        named("keyed_rows", keyed::keyed_rows_sql(table, None, None)),
        named("keyed_presence", keyed::keyed_presence_sql(table, None)),
        named("altered", altered::altered_sql(&[table.as_ref()])),
        named("pass_minima", pass::minima_sql(one)),
        named("pass_right", pass::right_sql(table)),
        named("pass_end", pass::end_sql(1, &[])),
    ];
    for capture in CAPTURES {
        list.extend([
            named("pass_begin", pass::begin_sql(capture, one, &[])),
            named("pass_standing", pass::standing_sql(capture, one)),
            named("pass_keys", pass::keys_sql(capture, &[(0, table.clone())])),
        ]);
    }
    let is_text = |at: usize| table.columns[at].of.is_text();
    let damaged = |at| if is_text(at) { Value::Text("\u{FFFD}".to_string()) } else { Value::Null };
    let row = Row((0..table.columns.len()).map(damaged).collect());
    let doubts = surrogate::doubts(table, std::iter::once(&row));
    list.extend(doubts.map(|doubt| named("text_as_bytes", doubt.sql())));
    list
}

/// Row filters of every form, alone and together, in every statement that takes one.
fn of_filters() -> Vec<Named> {
    let currency = sample::currency().travelling(&[]);
    let filter = bound("CURRENCYCODE >= 'A'", &currency);
    let table = Arc::new(sample::every_type().travelling(&[]));
    let one_key = |after| {
        named("one_key", snapshot::page_sql(&currency, after, Narrowing::Not, Some(&filter)))
    };
    let mut list = vec![one_key(false), one_key(true)];
    for (at, text) in FILTERS.iter().enumerate() {
        let filter = bound(text, &table);
        let asked = Filter { equals: vec![(0, Value::Int(1))], limit: 10, ..Filter::default() };
        let statements = [
            ("first_page", snapshot::page_sql(&table, false, Narrowing::Not, Some(&filter))),
            ("next_page", snapshot::page_sql(&table, true, Narrowing::Not, Some(&filter))),
            ("pass_page", pass::page_sql(0, &table, None, Some(&filter))),
            ("read", read::read_sql(&table, &Filter::default(), Some(&filter))),
            ("read_asked", read::read_sql(&table, &asked, Some(&filter))),
            ("keyed_rows", keyed::keyed_rows_sql(&table, Some(&filter), None)),
            ("keyed_presence", keyed::keyed_presence_sql(&table, Some(&filter))),
        ];
        // Where the condition stands is one matter, its form another.
        let few = if at < 2 || at + 1 == FILTERS.len() { statements.len() } else { 1 };
        let statements = statements.into_iter().take(few);
        list.extend(statements.map(|(kind, sql)| (format!("filter{at}/{kind}"), sql)));
    }
    list
}

/// What the tests of this crate filter by has one of these shapes.
const FILTERS: [&str; 9] = [
    "ID = 1",
    "ID >= 1",
    "AN_NVARCHAR IN ('a', 'b', 'c')",
    "NOT A_DATE BETWEEN '2026-01-01' AND '2026-12-31'",
    "AN_NVARCHAR LIKE '10[%]%'",
    "A_VARCHAR IS NULL",
    "A_BIT <> 1 OR A_BIT IS NULL",
    "A_MONEY > 0 AND A_FLOAT < 1.5 AND A_GUID = '6f9619ff-8b86-d011-b42d-00c04fc964ff'",
    "(AN_NVARCHAR = @store OR AN_NVARCHAR = '') AND NOT (A_DATETIME2 <= '2026-02-28' OR A_TIME IS NOT NULL)",
];

fn of_push(table: &Table) -> Vec<Named> {
    let part = |inserts, updates, deletes| Part { inserts, updates, deletes, ..Part::of(table) };
    let chained = Part { is_chained: true, revives: true, ..part(true, true, true) };
    let altered = Part { has_altered: true, ..part(true, true, true) };
    let triggers = |part: Part<'_>| {
        let part = Part { capture: Capture::Triggers, ..part };
        named("upload", upload_sql(&[part], false))
    };
    vec![
        triggers(part(true, false, false)),
        triggers(part(false, true, false)),
        triggers(part(false, false, true)),
        triggers(Part { revives: false, ..chained }),
        triggers(altered),
        triggers(Part { has_altered: true, ..chained }),
        triggers(chained),
        triggers(part(true, true, true)),
        named("upload", upload_sql(&[part(true, false, false)], false)),
        named("upload", upload_sql(&[part(false, true, false)], false)),
        named("upload", upload_sql(&[part(false, false, true)], false)),
        named("upload", upload_sql(&[Part { revives: false, ..chained }], false)),
        named("upload", upload_sql(&[altered], false)),
        named("upload", upload_sql(&[Part { has_altered: true, ..chained }], false)),
        named("upload", upload_sql(&[chained], false)),
        named("upload", upload_sql(&[part(true, true, true)], false)),
    ]
}

/// Conditions of every kind, one by one and together.
fn of_reads(table: &Table) -> Vec<Named> {
    let text = (0..table.columns.len()).find(|at| table.columns[*at].of.is_text());
    let key: Vec<(usize, Value)> = table.key.iter().map(|at| (*at, Value::Int(1))).collect();
    let first = key[..1].to_vec();
    let two = vec![key[0].clone(), (table.columns.len() - 1, Value::Int(1))];
    let mut list = Vec::new();
    for equals in [Vec::new(), first, two, vec![(key[0].0, Value::Null)], key.clone()] {
        for prefix in [None, text.map(|at| (at, "a".to_string()))] {
            for after in [None, Some(Key(key.iter().map(|(_, value)| value.clone()).collect()))] {
                let (equals, prefix) = (equals.clone(), prefix.clone());
                let filter = Filter { equals, prefix, after, limit: 10 };
                list.push(named("read", read::read_sql(table, &filter, None)));
            }
        }
    }
    list
}

/// Both directions, with and without a column left out; batch by batch, as they are sent.
fn of_preparing(whole: &Table) -> Vec<Named> {
    let spare = (0..whole.columns.len()).find(|at| !whole.is_key(*at));
    let spare: Vec<String> = spare.map(|at| whole.columns[at].name.clone()).into_iter().collect();
    let mut list = Vec::new();
    for direction in [Direction::Download, Direction::Bidirectional] {
        for travelling in [whole.travelling(&[]), whole.travelling(&spare)] {
            let prepared = [Prepared { table: whole, travelling: &travelling, direction }];
            for capture in CAPTURES {
                let members = vec!["till".to_string()];
                let options =
                    PrepareOptions { capture, members, is_restored: true, ..Default::default() };
                let script = prepare::script(&prepared, &options);
                let steps = script.split_terminator("GO\n").enumerate();
                list.extend(steps.map(|(at, sql)| named(&format!("step{at}"), sql.to_string())));
                let questions = prepare::check::questions(capture, &prepared);
                list.push(named("check", prepare::check::check_sql(&questions)));
            }
            list.push(named("trigger", prepare::triggers::trigger_sql(whole)));
        }
    }
    list
}

/// The fullest of every kind: what varies more than by its table was met at the samples.
fn fullest(list: Vec<Named>) -> Vec<Named> {
    let is_last = |at: &usize| list[at + 1..].iter().all(|later| later.0 != list[*at].0);
    (0..list.len()).filter(is_last).map(|at| list[at].clone()).collect()
}

/// What is said about several tables at once.
fn of_several(tables: &[Arc<Table>]) -> Vec<Named> {
    let numbered: Vec<(usize, Arc<Table>)> = tables.iter().cloned().enumerate().collect();
    let of = |capture: Capture| {
        [
            named("several/pass_begin", pass::begin_sql(capture, tables, &[])),
            named("several/pass_standing", pass::standing_sql(capture, tables)),
            named("several/pass_keys", pass::keys_sql(capture, &numbered)),
        ]
    };
    let mut list: Vec<Named> = CAPTURES.into_iter().flat_map(of).collect();
    let borrowed: Vec<&Table> = tables.iter().map(AsRef::as_ref).collect();
    list.extend([
        named("several/altered", altered::altered_sql(&borrowed)),
        named("several/pass_minima", pass::minima_sql(tables)),
        named("several/pass_end", pass::end_sql(tables.len(), &[])),
    ]);
    list
}

/// One table's operations are not another's.
fn upload_of_several(capture: Capture, tables: &[Arc<Table>]) -> Named {
    let numbered = tables.iter().enumerate();
    let parts: Vec<Part<'_>> = numbered
        .map(|(at, table)| Part {
            inserts: true,
            updates: at % 2 == 0,
            deletes: at % 3 == 0,
            is_chained: at % 4 == 0,
            capture,
            ..Part::of(table)
        })
        .collect();
    named("several/upload", upload_sql(&parts, false))
}

/// Beside the build's own folders; the grammar gate reads every `.tsv` in it.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    // target/debug/deps/test
    test.ancestors().nth(3).expect("a build's folder").join("statements")
}

/// One line each: name, tab, text with its line ends and tabs as `\n` and `\t`.
fn write(path: &Path, statements: &[Named]) {
    let escaped = |sql: &str| sql.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    let line = |(name, sql): &Named| format!("{name}\t{}\n", escaped(sql));
    std::fs::write(path, statements.iter().map(line).collect::<String>()).expect("a file to write");
}

/// The statements that bring a new shape: for parsers that are slow.
fn one_of_each_shape(statements: &[Named]) -> Vec<Named> {
    let mut met = HashSet::new();
    let mut brings_new = |(_, sql): &&Named| {
        let before = met.len();
        met.extend(shapes(sql));
        met.len() > before
    };
    statements.iter().filter(|named| brings_new(named)).cloned().collect()
}

#[test]
fn every_statement_is_collected_for_the_grammar_gate() {
    let tables = published::tables();
    assert_eq!(tables.len(), 548);
    let mut list = of_samples();
    list.extend(tables.iter().flat_map(|table| fullest(of_table(table))));
    let travelling: Vec<Arc<Table>> = tables.iter().map(|t| Arc::new(t.travelling(&[]))).collect();
    let keyed: Vec<Arc<Table>> = travelling.into_iter().filter(|t| !t.key.is_empty()).collect();
    list.extend(keyed.chunks(100).flat_map(of_several));
    let mut met = HashSet::new();
    list.retain(|(_, sql)| met.insert(sql.clone()));
    let few = one_of_each_shape(&list);
    assert!(list.len() > 6_000, "only {} statements", list.len());
    assert!(few.len() < 400, "{} shapes: what varies that need not?", few.len());
    let folder = folder();
    std::fs::create_dir_all(folder.join("shapes")).expect("a folder to write to");
    write(&folder.join("channel.tsv"), &list);
    write(&folder.join("shapes/channel.tsv"), &few);
    println!("{} statements of {} shapes in {}", list.len(), few.len(), folder.display());
}

#[test]
#[should_panic(expected = "is not collected")]
fn a_statement_that_is_not_collected_ends_its_test() {
    crate::link::Ask::batch("try", "SELECT t.[A] FROM [dbo].[T] AS t LIMIT 1;");
}
