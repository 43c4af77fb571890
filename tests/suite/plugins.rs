//! Plugins at work in a running register: what they did and how they failed is shown, and no sale waits for one.

use crate::door::{READ_ONLY, ask, token};
use crate::harness::{Stage, proof};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tillhold_toolchain::{GuestSource, cache_folder, find};

const LIMIT: Duration = Duration::from_secs(120);
/// As the demonstration's profile has them.
const PLAIN: &str = "transformer = { plugin = \"store-customers\" }";
const SCOPE: &str = "1010 Customers";

/// The plugin that does harm on request, built once a run.
fn hostile() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let toolchain = find(&cache_folder().expect("a cache folder"), &mut |_| {});
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/hostile");
        let test = std::env::current_exe().expect("a test knows its own file");
        let target = test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("guests");
        let guest = GuestSource::new(folder, "hostile");
        let built = toolchain.expect("a compiler").build(&guest, &target, &mut |_| {});
        built.expect("a guest").component
    })
}

fn component(stage: &Stage, name: &str) -> PathBuf {
    stage.rehearsal.folder().join("plugins").join(format!("{name}.wasm"))
}

/// Does `harm` to customers, by their accounts.
fn harming(harm: &str) -> String {
    format!("transformer = {{ plugin = \"hostile\", config = \"{harm}@ax.CUSTTABLE/ACCOUNTNUM\" }}")
}

fn rewrite(stage: &Stage, before: &str, now: &str) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    assert!(text.contains(before), "{text}");
    std::fs::write(&path, text.replace(before, now)).expect("another profile");
}

/// A register with the hostile plugin on its customers, not started.
async fn with_hostile(harm: &str, on_failure: &str) -> Stage {
    let stage = Stage::prepared(20).await;
    std::fs::write(component(&stage, "hostile"), hostile()).expect("a component");
    rewrite(&stage, PLAIN, &harming(harm));
    rewrite(&stage, "\"halt\"", &format!("\"{on_failure}\""));
    stage
}

async fn until(stage: &Stage, what: &'static str, wanted: impl Fn(&Json) -> bool) -> Json {
    let seen = stage.rehearsal.until(what, LIMIT, wanted).await;
    seen.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()))
}

fn plugin<'s>(status: &'s Json, name: &str) -> &'s Json {
    let plugins = status["plugins"].as_array().expect("plugins");
    plugins.iter().find(|one| one["name"] == name).unwrap_or(&Json::Null)
}

async fn metrics(stage: &Stage) -> String {
    ask(stage, "GET /metrics", &token(stage, READ_ONLY)).await.text
}

fn number(metrics: &str, series: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series}:\n{metrics}"))
}

/// Every row that went in came out once.
fn balanced(plugin: &Json) {
    let rows = plugin["rows"].as_object().expect("rows");
    let counts = rows.iter().filter(|(name, _)| *name != "in");
    let sum: u64 = counts.map(|(_, count)| count.as_u64().expect("a count")).sum();
    assert_eq!(rows["in"].as_u64(), Some(sum), "{plugin:#}");
}

#[test]
fn each_failure_of_a_plugin_is_counted_said_and_shown() {
    proof(async {
        let mut stage = with_hostile("keeps", "pass").await;
        let account = stage.rehearsal.contested_account().to_string();
        rewrite(&stage, "keeps@", &format!("panics-at-{account}@"));
        stage.start().await;
        let passed = until(&stage, "rows that passed unruled", |status| {
            plugin(status, "hostile")["rows"]["passed"].as_u64() > Some(0)
        });
        let passed = passed.await;
        let shown = plugin(&passed, "hostile");
        balanced(shown);
        assert_eq!(shown["scopes"], serde_json::json!([SCOPE]));
        let failures = shown["failures"]["plugin-trap"].as_u64().expect("traps");
        assert_eq!(shown["last_failure"]["table"], "ax.CUSTTABLE", "{shown:#}");
        assert!(shown["since_ms"].is_i64() && shown["calls"].as_u64() >= Some(failures));
        let series = "tillhold_plugin_failures_total{plugin=\"hostile\",code=\"plugin-trap\"}";
        let page = metrics(&stage).await;
        assert_eq!(number(&page, series), failures);
        let unruled = "tillhold_plugin_rows_total{plugin=\"hostile\",outcome=\"passed\"}";
        assert_eq!(number(&page, unruled), shown["rows"]["passed"].as_u64().expect("a count"));
        let digest = shown["digest"].as_str().expect("a digest").to_string();
        let told = stage.tillhold(&["status"]).stdout;
        assert!(told.contains("[plugin-trap]") && told.contains(&digest[..19]), "{told}");
        assert!(stage.rehearsal.log().contains(&digest[..19]), "{}", stage.rehearsal.log());

        // With quarantine the guilty row stands alone, and is named.
        rewrite(&stage, "\"pass\"", "\"quarantine\"");
        until(&stage, "the profile taken", |status| {
            status["profile_taken_at_ms"].as_i64() > passed["profile_taken_at_ms"].as_i64()
        })
        .await;
        let sql = "UPDATE [ax].[CUSTTABLE] SET [ORGID] = N'x';";
        assert!(stage.rehearsal.office(sql).expect("an edit") > 1);
        // Counted when it is ruled, aside when the page has landed.
        let aside = until(&stage, "a row set aside", |status| {
            plugin(status, "hostile")["rows"]["aside"] == 1 && status["rows_aside"] == 1
        })
        .await;
        let shown = plugin(&aside, "hostile");
        balanced(shown);
        let key = shown["last_failure"]["key"].as_str().expect("a key");
        assert!(key.contains(&format!("ACCOUNTNUM={account}")), "{shown:#}");
        assert!(shown["failures"]["plugin-trap"].as_u64() > Some(failures), "counted on");
        assert_eq!(shown["since_ms"], plugin(&passed, "hostile")["since_ms"], "the very same");
        let log = stage.rehearsal.log();
        assert!(log.contains(&format!("row {key}")), "{log}");
        stage.rehearsal.close().await.expect("an end");
    });
}
