//! Every statement that this crate sends, as text on disk: a change of one is seen in review, and other
//! parsers of T-SQL can be run over the folder.

use crate::capture::statement as pass;
use crate::filtering::tests::bound;
use crate::link::keeping_sql;
use crate::prepare::{PrepareOptions, Prepared};
use crate::selection::criteria as sql;
use crate::selection::{Narrowing, Set, fill_sql};
use crate::upload::statement::{Part, upload_sql};
use crate::*;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_core::filter::Filter;
use tillhold_core::profile::{Capture, Direction};
use tillhold_core::row::{Key, Row};
use tillhold_core::selection::{MemberKind, Restriction};
use tillhold_core::table::Table;
use tillhold_core::value::Value;

/// File name, parameters, text.
pub(crate) type Golden = (&'static str, &'static str, String);

fn travelling(table: Table) -> Arc<Table> {
    Arc::new(table.travelling(&[]))
}

/// Once: catalogue, profile, preparing, and the probe.
fn setting_up() -> Vec<Golden> {
    let (barcode, payment) = (sample::barcode(), sample::payment());
    let (whole, fewer) =
        (barcode.travelling(&[]), payment.travelling(&["PAYMENTAUTHORIZATION".to_string()]));
    let prepared = [
        Prepared { table: &barcode, travelling: &whole, direction: Direction::Download },
        Prepared { table: &payment, travelling: &fewer, direction: Direction::Upload },
    ];
    let options = PrepareOptions { members: vec!["till".to_string()], ..PrepareOptions::default() };
    let triggers = PrepareOptions { capture: Capture::Triggers, ..options.clone() };
    let check = |capture| {
        let questions = prepare::check::questions(capture, &prepared);
        prepare::check::check_sql(&questions)
    };
    let check_published = prepare::check::check_sql(&prepare::check::questions_of_published());
    let profile = "@P1 bigint profile RECID";
    vec![
        ("schema_columns", "@P1, @P2: schema.NAME", schema::columns_sql(2)),
        ("schema_names", "no parameters", schema::NAMES_SQL.to_string()),
        ("probe", "no parameters", probe::PROBE_SQL.to_string()),
        ("profile", "@P1 store number", profile::PROFILE_SQL.to_string()),
        ("profile_scopes", profile, profile::SCOPES_SQL.to_string()),
        ("profile_tables", profile, profile::TABLES_SQL.to_string()),
        ("profile_columns", profile, profile::COLUMNS_SQL.to_string()),
        (
            "publish",
            "@P1 JSON, @P2 name, @P3 description, @P4 store, @P5 shared, @P6 keep",
            publish::PUBLISH_SQL.to_string(),
        ),
        ("check", "no parameters", check(Capture::ChangeTracking)),
        ("check_triggers", "no parameters", check(Capture::Triggers)),
        ("check_published", "no parameters", check_published),
        ("prepare", "plain batches, without the GO", prepare::script(&prepared, &options)),
        (
            "prepare_published",
            "plain batches, without the GO",
            prepare::script_of_published(&options),
        ),
        (
            "prepare_triggers",
            "plain batches, without the GO",
            prepare::script(&prepared, &triggers),
        ),
        ("trigger", "alone in its batch", prepare::triggers::trigger_sql(&payment)),
    ]
}

fn loading() -> Vec<Golden> {
    let of =
        |table: Table, after| snapshot::page_sql(&travelling(table), after, Narrowing::Not, None);
    let first = "@P1 bigint rows";
    let next = "@P1 bigint rows, @P2 and on: the last key";
    vec![
        ("first_page", first, of(sample::barcode(), false)),
        ("next_page_bigint_key", next, of(sample::barcode(), true)),
        ("next_page_text_key", next, of(sample::currency(), true)),
        ("next_page_six_column_key", next, of(sample::tax(), true)),
        ("next_page_every_type", next, of(sample::every_type(), true)),
        ("next_page_cast_types", next, of(sample::cast_types(), true)),
        ("text_as_bytes", "@P1 key", text_as_bytes(&travelling(sample::currency()))),
    ]
}

fn text_as_bytes(table: &Table) -> String {
    let (key, damaged) = (Value::Text("EUR".to_string()), Value::Text("\u{FFFD}".to_string()));
    let row = Row(vec![key, damaged, Value::Null]);
    let sql = surrogate::doubts(table, std::iter::once(&row)).next().map(|doubt| doubt.sql());
    sql.expect("one doubt")
}

fn passing() -> Vec<Golden> {
    let tables = [travelling(sample::barcode()), travelling(sample::tax())];
    let cast = [travelling(sample::cast_types())];
    let numbered: Vec<(usize, Arc<Table>)> = tables.iter().cloned().enumerate().collect();
    let bounds = "@P1 bigint last row number, @P2 bigint last of page";
    let from = "@P1 bigint reached, @P2 and @P3 bigint from";
    let (tracking, triggers) = (Capture::ChangeTracking, Capture::Triggers);
    vec![
        ("pass_begin", "a plain batch", pass::begin_sql(tracking, &tables, &[])),
        ("pass_begin_cast_types", "a plain batch", pass::begin_sql(tracking, &cast, &[])),
        ("pass_standing", "no parameters", pass::standing_sql(tracking, &tables)),
        ("pass_keys", from, pass::keys_sql(tracking, &numbered)),
        ("pass_page", bounds, pass::page_sql(0, &tables[0], None, None)),
        ("pass_page_six", bounds, pass::page_sql(1, &tables[1], None, None)),
        ("pass_page_cast_types", bounds, pass::page_sql(0, &cast[0], None, None)),
        ("altered", "no parameters", altered::altered_sql(&[&*tables[0], &*tables[1]])),
        ("pass_minima", "no parameters", pass::minima_sql(&tables)),
        ("pass_right", "no parameters", pass::right_sql(&tables[0])),
        ("pass_end", "a plain batch", pass::end_sql(2, &[])),
        ("version", "no parameters", pass::VERSION_SQL.to_string()),
        ("triggers_bound", "no parameters", pass::BOUND_SQL.to_string()),
        ("triggers_begin", "a plain batch", pass::begin_sql(triggers, &tables, &[])),
        ("triggers_standing", "no parameters", pass::standing_sql(triggers, &tables)),
        ("triggers_keys", from, pass::keys_sql(triggers, &numbered)),
    ]
}

fn pushing() -> Vec<Golden> {
    let (payment, seed, every) = (
        travelling(sample::payment()),
        travelling(sample::seed()),
        travelling(sample::every_type()),
    );
    let cast = travelling(sample::cast_types());
    let inserts = Part { inserts: true, ..Part::of(&payment) };
    let all = |table| Part { inserts: true, updates: true, deletes: true, ..Part::of(table) };
    let chained = Part { is_chained: true, revives: true, ..all(seed.as_ref()) };
    let altered = Part { has_altered: true, ..all(seed.as_ref()) };
    let by_triggers = Part { capture: Capture::Triggers, ..altered };
    let parameters = "@P1 register, @P2 incarnation, @P3 JSON, @P4 own context, @P5 context of altered rows, @P6 run";
    vec![
        ("upload_two_tables", parameters, upload_sql(&[inserts, all(seed.as_ref())], false)),
        (
            "upload_kept",
            "a plain batch; called with the same parameters",
            keeping_sql(1, upload::DECLARED, &upload_sql(&[], false)),
        ),
        ("upload_triggers", parameters, upload_sql(&[by_triggers], false)),
        ("upload_chained", parameters, upload_sql(&[inserts, chained], false)),
        ("upload_altered", parameters, upload_sql(&[inserts, altered], false)),
        ("upload_every_type", parameters, upload_sql(&[all(every.as_ref())], false)),
        ("upload_cast_types", parameters, upload_sql(&[all(cast.as_ref())], false)),
        ("upload_no_rows", parameters, upload_sql(&[], false)),
        ("upload_decided", parameters, upload_sql(&[altered], true)),
        ("ledger", "@P1 JSON", ledger::LEDGER_SQL.to_string()),
        ("decision", "@P1 JSON", decision::DECISION_SQL.to_string()),
        ("claim_look", "@P1 register, @P2 incarnation", claim::CLAIM_LOOK_SQL.to_string()),
        (
            "claim",
            "@P1 register, @P2 incarnation, @P3 run, @P4 run looked at, @P5 why",
            claim::CLAIM_SQL.to_string(),
        ),
        ("claim_dispute", "@P1 register, @P2 incarnation", claim::CLAIM_DISPUTE_SQL.to_string()),
        ("marks", "@P1 store, @P2 terminal, @P3 prefix, @P4 kind", marks::MARKS_SQL.to_string()),
        (
            "report",
            "@P1 register, @P2 terminal, @P3 JSON, @P4 whether offline",
            report::REPORT_SQL.to_string(),
        ),
        ("fleet", "@P1 store", fleet::FLEET_SQL.to_string()),
        ("known", "@P1 store", known::KNOWN_SQL.to_string()),
        ("decisions_recorded", "@P1 JSON", decision::RECORDED_SQL.to_string()),
    ]
}

fn reading() -> Vec<Golden> {
    let barcode = travelling(sample::barcode());
    let by_key = Filter { equals: vec![(0, Value::Int(1))], limit: 1, ..Filter::default() };
    let filtered = Filter {
        equals: vec![(6, Value::Text("0001".to_string())), (9, Value::Null)],
        prefix: Some((5, "40".to_string())),
        after: Some(Key(vec![Value::Int(1)])),
        limit: 10,
    };
    let parameters = "@P1 bigint rows, @P2 value, @P3 pattern, @P4 last key";
    vec![
        ("read_by_key", "@P1 bigint rows, @P2 value", read::read_sql(&barcode, &by_key, None)),
        ("read_filtered", parameters, read::read_sql(&barcode, &filtered, None)),
    ]
}

/// A restriction of barcodes by their items, and one with a code beside it.
pub(crate) fn restrictions() -> [Restriction; 2] {
    ["ITEMID item", "RECID product; ITEMID item BLOCKED=0"]
        .map(|text| Restriction::parse(text).expect("a restriction"))
}

fn choosing() -> Vec<Golden> {
    let barcode = travelling(sample::barcode());
    let [items, both] = restrictions();
    let sets: Vec<(Set, MemberKind)> = [MemberKind::Item, MemberKind::Product]
        .into_iter()
        .flat_map(|kind| [(Set::Members, kind), (Set::Joined, kind)])
        .collect();
    let of = |after, narrowing| snapshot::page_sql(&barcode, after, narrowing, None);
    let tables = std::slice::from_ref(&barcode);
    let mut list = vec![
        (
            "first_page_of_members",
            "@P1 bigint rows, @P2 JSON items",
            of(false, Narrowing::Loading(&items)),
        ),
        (
            "next_page_of_members",
            "@P1 bigint rows, @P2 last key, @P3 JSON items, @P4 JSON products",
            of(true, Narrowing::Loading(&both)),
        ),
        ("joined_first_page", "@P1 bigint rows", of(false, Narrowing::Joining(&items))),
        ("joined_next_page", "@P1 bigint rows, @P2 key", of(true, Narrowing::Joining(&both))),
        (
            "pass_begin_choosing",
            "a plain batch",
            pass::begin_sql(Capture::ChangeTracking, tables, &sets),
        ),
        ("pass_fill_items", "@P1 JSON", fill_sql(Set::Members, MemberKind::Item, 1)),
        ("pass_fill_products", "@P1 JSON", fill_sql(Set::Joined, MemberKind::Product, 1)),
        (
            "pass_page_of_members",
            "@P1 bigint last row number, @P2 bigint last of page",
            pass::page_sql(0, &barcode, Some(&both), None),
        ),
        (
            "pass_page_withheld",
            "@P1 bigint last row number, @P2 bigint last of page",
            pass::page_sql(0, &barcode, Some(&Restriction::Withheld), None),
        ),
        ("pass_end_choosing", "a plain batch", pass::end_sql(1, &sets)),
    ];
    let choices = choices().into_iter();
    list.extend(choices.map(|(name, parameters, sql)| (name, parameters, sql.to_string())));
    list
}

fn choices() -> [(&'static str, &'static str, &'static str); 23] {
    let (best, keys, most) = ("@P1 rows, @P2 store, @P3 day", "@P1 rows, @P2 JSON", "@P1 rows");
    [
        ("choice_begin", "a plain batch", sql::CHOICE_BEGIN_SQL),
        ("choice_end", "a plain batch", sql::CHOICE_END_SQL),
        ("choice_sold_amount", best, sql::SOLD_AMOUNT_SQL),
        ("choice_sold_quantity", best, sql::SOLD_QUANTITY_SQL),
        ("choice_newest", most, sql::NEWEST_SQL),
        ("choice_category", "@P1 rows, @P2 name", sql::CATEGORY_SQL),
        ("choice_categories_below", keys, sql::CATEGORIES_BELOW_SQL),
        ("choice_category_items", keys, sql::CATEGORY_ITEMS_SQL),
        ("choice_gift_card_item", most, sql::GIFT_CARD_ITEM_SQL),
        ("choice_linked_items", keys, sql::LINKED_ITEMS_SQL),
        ("choice_items", keys, sql::ITEMS_SQL),
        ("choice_variants", keys, sql::VARIANTS_SQL),
        ("choice_best_by_sales", best, sql::BEST_BY_SALES_SQL),
        ("choice_best_by_visits", best, sql::BEST_BY_VISITS_SQL),
        ("choice_address_book", "@P1 rows, @P2 store", sql::ADDRESS_BOOK_SQL),
        ("choice_warehouse", "@P1 rows, @P2 store", sql::WAREHOUSE_SQL),
        ("choice_default_accounts", most, sql::DEFAULT_ACCOUNTS_SQL),
        ("choice_accounts", keys, sql::ACCOUNTS_SQL),
        ("choice_other_parties", most, sql::OTHER_PARTIES_SQL),
        ("choice_locations", keys, sql::LOCATIONS_SQL),
        ("choice_other_locations", most, sql::OTHER_LOCATIONS_SQL),
        ("choice_party_locations", keys, sql::PARTY_LOCATIONS_SQL),
        ("choice_cards", keys, sql::CARDS_SQL),
    ]
}

/// What a row filter adds.
fn filtered() -> Vec<Golden> {
    let (barcode, tax) = (travelling(sample::barcode()), travelling(sample::tax()));
    let filter = bound(FILTER, &barcode);
    let [items, _] = restrictions();
    let asked = Filter { limit: 10, ..Filter::default() };
    let page = |after| snapshot::page_sql(&barcode, after, Narrowing::Not, Some(&filter));
    vec![
        ("filtered_first_page", "@P1 bigint rows, @P2 and on: the filter's values", page(false)),
        ("filtered_next_page", "@P1 bigint rows, @P2 the last key, @P3 and on: values", page(true)),
        (
            "filtered_pass_page",
            "@P1 bigint last row number, @P2 bigint last of page, @P3 and on: values",
            pass::page_sql(0, &barcode, None, Some(&filter)),
        ),
        (
            "filtered_next_page_of_members",
            "@P1 bigint rows, @P2 the last key, @P3 and on: values, then JSON items",
            snapshot::page_sql(&barcode, true, Narrowing::Loading(&items), Some(&filter)),
        ),
        (
            "filtered_pass_page_of_members",
            "@P1 bigint last row number, @P2 bigint last of page, @P3 and on: values",
            pass::page_sql(0, &barcode, Some(&items), Some(&filter)),
        ),
        (
            "filtered_read",
            "@P1 bigint rows, @P2 and on: values",
            read::read_sql(&barcode, &asked, Some(&filter)),
        ),
        (
            "filtered_keyed_rows",
            "@P1 JSON, @P2 and on: values",
            keyed::keyed_rows_sql(&barcode, Some(&filter), None),
        ),
        (
            "filtered_keyed_rows_of_members",
            "@P1 JSON, @P2 and on: values",
            keyed::keyed_rows_sql(&barcode, Some(&filter), Some(&items)),
        ),
        ("keyed_rows_six", "@P1 JSON", keyed::keyed_rows_sql(&tax, None, None)),
        ("keyed_presence", "@P1 JSON", keyed::keyed_presence_sql(&barcode, None)),
    ]
}

const FILTER: &str = "(ITEMID LIKE '10%' OR ITEMID IN (@store, '')) AND NOT BLOCKED = 1 AND RETAILSHOWFORITEM BETWEEN 0 AND 1";

pub(crate) fn all() -> Vec<Golden> {
    [setting_up(), loading(), passing(), pushing(), reading(), choosing(), filtered()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn every_statement_is_as_reviewed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("statements");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (name, parameters, sql) in all() {
        let path = folder.join(format!("{name}.sql"));
        let text = format!("-- {parameters}\n{sql}");
        if update {
            std::fs::write(&path, &text).expect("a golden file");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: review it, then run with UPDATE_GOLDEN=1");
    }
}
