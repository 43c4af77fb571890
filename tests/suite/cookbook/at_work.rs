//! Recipes at work in a register that is filled from a channel: one after another, over the tables of a store.

use super::{Recipe, built, recipes};
use crate::harness::{Stage, proof};
use rusqlite::{Connection, OpenFlags};
use tillhold_toolchain::{cache_folder, find};

/// Zones, units, coins: the order that docs/cookbook.md recommends. Each store of the demonstration is a zone of its own.
fn scopes(zones: &str) -> String {
    format!(
        r#"
[[scope]]
name = "1020 Prices and discounts"
transformer = [
    {{ plugin = "price-zones", config = "zones = {zones}" }},
    {{ plugin = "price-units", config = "convert = EA PCS 1" }},
    {{ plugin = "price-rounding", config = "steps = USD 0.05" }},
]

[[scope]]
name = "1040 Products"
transformer = [
    {{ plugin = "languages", config = "languages = de" }},
    {{ plugin = "price-units", config = "convert = EA PCS 1" }},
    {{ plugin = "price-rounding", config = "steps = USD 0.05; base = USD; method = up" }},
]
"#
    )
}

async fn filled() -> Stage {
    let mut stage = Stage::prepared_with(60, |profile| {
        let masked = profile.replace("\"store-customers\"", "\"personal-data\"");
        assert_ne!(masked, profile, "the demonstration's customers have a transformer");
        masked
    })
    .await;
    let folder = stage.rehearsal.folder();
    let toolchain = find(&cache_folder().expect("a cache folder"), &mut |_| {});
    let toolchain = toolchain.expect("a compiler for guests");
    let wanted = ["price-zones", "price-units", "price-rounding", "languages", "personal-data"];
    let is_wanted = |recipe: &Recipe| wanted.contains(&recipe.name.as_str());
    for recipe in recipes().into_iter().filter(is_wanted) {
        let component = built(&toolchain, &recipe);
        let file = folder.join("plugins").join(format!("{}.wasm", component.name));
        std::fs::write(file, component.wasm).expect("a component");
    }
    let numbers = stage.rehearsal.store.branches.iter().map(|branch| branch.number.clone());
    let zones: Vec<String> = numbers.map(|number| format!("{number}: {number}")).collect();
    let path = folder.join("profile.toml");
    let profile = std::fs::read_to_string(&path).expect("the profile");
    std::fs::write(path, profile + &scopes(&zones.join(", "))).expect("a profile");
    stage.start().await;
    stage
}

/// A column of an offline table, as text.
fn cells(stage: &Stage, file: &str, sql: &str) -> Vec<String> {
    let path = stage.rehearsal.folder().join("offline").join(file);
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let conn = conn.expect("an offline file");
    let mut rows = conn.prepare(sql).expect("a question");
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

fn catalogue(stage: &Stage, sql: &str) -> Vec<String> {
    cells(stage, "catalogue.db", sql)
}

fn is_in_coins(amount: &str) -> bool {
    let (_, decimals) = amount.split_once('.').expect("a decimal");
    let (cents, rest) = decimals.split_at(2);
    rest.bytes().all(|digit| digit == b'0') && (cents.ends_with('0') || cents.ends_with('5'))
}

#[test]
fn rules_for_prices_texts_and_persons_hold_on_a_register() {
    proof(async {
        let stage = filled().await;
        let own = stage.rehearsal.store.own().number.clone();
        let agreed = "FROM \"ax.PRICEDISCTABLE\" WHERE ACCOUNTCODE = 1";
        let groups = catalogue(&stage, &format!("SELECT DISTINCT ACCOUNTRELATION {agreed}"));
        assert_eq!(groups, [own], "the own zone and no other");
        let others = "SELECT 1 FROM [ax].[PRICEDISCTABLE] WHERE [ACCOUNTCODE] = 1";
        let here = catalogue(&stage, &format!("SELECT 'x' {agreed}")).len();
        assert!(stage.rehearsal.count(others).expect("a count") > here, "the channel has more");
        for (table, amount) in [("PRICEDISCTABLE", "AMOUNT"), ("INVENTTABLEMODULE", "PRICE")] {
            let amounts = catalogue(&stage, &format!("SELECT {amount} FROM \"ax.{table}\""));
            let odd: Vec<&String> = amounts.iter().filter(|amount| !is_in_coins(amount)).collect();
            assert!(!amounts.is_empty() && odd.is_empty(), "{table}: {odd:?}");
            let units = catalogue(&stage, &format!("SELECT DISTINCT UNITID FROM \"ax.{table}\""));
            assert_eq!(units, ["PCS"], "{table}");
        }
        let names = catalogue(&stage, "SELECT NAME FROM \"ax.ECORESPRODUCTTRANSLATION\"");
        let all = "SELECT 1 FROM [ax].[ECORESPRODUCTTRANSLATION]";
        assert!(names.is_empty() && stage.rehearsal.count(all).expect("a count") > 0, "{names:?}");
        for (table, column) in
            [("RETAILCUSTTABLE", "RECEIPTEMAIL"), ("LOGISTICSELECTRONICADDRESS", "LOCATOR")]
        {
            let sql = format!("SELECT {column} FROM \"ax.{table}\" WHERE {column} <> ''");
            let shown = cells(&stage, "journal.db", &sql);
            let clear: Vec<&String> = shown.iter().filter(|one| !one.contains("***")).collect();
            assert!(!shown.is_empty() && clear.is_empty(), "{table}: {clear:?}");
        }
        stage.rehearsal.close().await.expect("an end");
    });
}
