//! Plugins at work in a running register: what they did and how they failed is shown, and no sale waits for one.

use crate::door::{READ_ONLY, ask, token};
use crate::harness::{Stage, proof};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tillhold_toolchain::{GuestSource, cache_folder, find};

const LIMIT: Duration = Duration::from_secs(120);
/// As the demonstration's profile has them.
const PLAIN: &str = "transformer = { plugin = \"store-customers\" }";
const SCOPE: &str = "1010 Customers";

/// The plugin that does harm on request, built once a run.
pub fn hostile() -> &'static [u8] {
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

pub fn component(stage: &Stage, name: &str) -> PathBuf {
    stage.rehearsal.folder().join("plugins").join(format!("{name}.wasm"))
}

/// Does `harm` to customers, by their accounts.
fn harming(harm: &str) -> String {
    format!("transformer = {{ plugin = \"hostile\", config = \"{harm}@ax.CUSTTABLE/ACCOUNTNUM\" }}")
}

pub fn rewrite(stage: &Stage, before: &str, now: &str) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    assert!(text.contains(before), "{text}");
    std::fs::write(&path, text.replace(before, now)).expect("another profile");
}

/// A register with the hostile plugin on its customers, not started.
pub async fn with_hostile(harm: &str, on_failure: &str) -> Stage {
    let stage = Stage::prepared(20).await;
    std::fs::write(component(&stage, "hostile"), hostile()).expect("a component");
    rewrite(&stage, PLAIN, &harming(harm));
    rewrite(&stage, "\"halt\"", &format!("\"{on_failure}\""));
    stage
}

pub async fn until(stage: &Stage, what: &'static str, wanted: impl Fn(&Json) -> bool) -> Json {
    let seen = stage.rehearsal.until(what, LIMIT, wanted).await;
    seen.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()))
}

pub fn plugin<'s>(status: &'s Json, name: &str) -> &'s Json {
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

/// The same plugin under another digest: a custom section that says nothing.
pub fn another_build(bytes: &[u8], note: &[u8; 4]) -> Vec<u8> {
    [bytes, &[0, 5, 4], note].concat()
}

pub fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[test]
fn a_changed_file_is_exchanged_while_the_register_runs_and_a_refused_one_is_not() {
    proof(async {
        let mut stage = with_hostile("keeps", "halt").await;
        stage.start().await;
        let at_work =
            |status: &Json| plugin(status, "hostile")["digest"].as_str().map(str::to_owned);
        let first = until(&stage, "at work", |s| at_work(s) == Some(digest(hostile()))).await;
        stage.rehearsal.sell(1).await.expect("a sale before");

        // Another file alone.
        let (second, third) =
            (another_build(hostile(), b"two "), another_build(hostile(), b"thre"));
        std::fs::write(component(&stage, "hostile"), &second).expect("a component");
        let taken = until(&stage, "exchanged", |s| at_work(s) == Some(digest(&second))).await;
        for same in ["profile_taken_at_ms", "started_at_ms"] {
            assert_eq!(taken[same], first[same], "{same}");
        }
        let log = stage.rehearsal.log();
        let line = format!("plugin hostile ({}) took the place of", &digest(&second)[..19]);
        assert!(log.contains(&line), "{log}");

        // One that no register takes: the old one stays, and both are told.
        std::fs::write(component(&stage, "hostile"), b"no component").expect("a file");
        let refused =
            until(&stage, "refused", |s| plugin(s, "hostile")["refused"].is_object()).await;
        let shown = plugin(&refused, "hostile");
        assert_eq!(shown["refused"]["code"], "plugin-not-a-component", "{shown:#}");
        assert_eq!(shown["refused"]["digest"], digest(b"no component"));
        assert_eq!(at_work(&refused), Some(digest(&second)));
        let series =
            "tillhold_plugin_refused_total{plugin=\"hostile\",code=\"plugin-not-a-component\"}";
        assert_eq!(number(&metrics(&stage).await, series), 1);
        let listed = stage.tillhold(&["plugin", "list"]);
        assert_eq!(listed.status, Some(1), "{}", listed.stdout);
        assert!(listed.stdout.contains("[plugin-not-a-component]"), "{}", listed.stdout);
        assert!(listed.stdout.contains(&digest(&second)[..19]), "{}", listed.stdout);
        let log = stage.rehearsal.log();
        assert_eq!(
            log.matches("[plugin-not-a-component]; the one at work stays").count(),
            1,
            "{log}"
        );
        stage.rehearsal.sell(1).await.expect("a sale meanwhile");

        // A file that the profile does not pin waits for the profile.
        std::fs::write(component(&stage, "hostile"), &second).expect("a component");
        until(&stage, "nothing refused", |s| plugin(s, "hostile")["refused"].is_null()).await;
        let pinned = |bytes: &[u8]| format!("plugin = \"hostile\", digest = \"{}\"", digest(bytes));
        rewrite(&stage, "plugin = \"hostile\"", &pinned(&second));
        until(&stage, "the pin taken", |status| {
            status["profile_taken_at_ms"].as_i64() > first["profile_taken_at_ms"].as_i64()
        })
        .await;
        std::fs::write(component(&stage, "hostile"), &third).expect("a component");
        let refused =
            until(&stage, "refused", |s| plugin(s, "hostile")["refused"].is_object()).await;
        assert_eq!(plugin(&refused, "hostile")["refused"]["code"], "plugin-digest");
        assert_eq!(at_work(&refused), Some(digest(&second)));
        rewrite(&stage, &pinned(&second), &pinned(&third));
        let taken = until(&stage, "the new pin", |s| at_work(s) == Some(digest(&third))).await;
        assert!(plugin(&taken, "hostile")["refused"].is_null(), "{taken:#}");
        assert!(taken["profile_fault"].is_null(), "{taken:#}");
        stage.rehearsal.sell(1).await.expect("a sale after");
        stage.rehearsal.settle().await.expect("a synchronisation");
        assert_eq!(stage.tillhold(&["plugin", "list"]).status, Some(0));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Each file with the bytes of the other: a rule where a resolver is to be, and the reverse.
#[test]
fn a_new_build_without_its_role_is_refused_before_the_first_row() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        stage.start().await;
        let names = ["store-customers", "customer-merge"];
        let bytes = names.map(|name| std::fs::read(component(&stage, name)).expect("a component"));
        for (at, lacks) in [(0, "has no transform: it exports"), (1, "has no resolve: it exports")]
        {
            let (name, own, other) = (names[at], &bytes[at], &bytes[1 - at]);
            std::fs::write(component(&stage, name), other).expect("a component");
            let refused =
                until(&stage, "refused", |s| plugin(s, name)["refused"].is_object()).await;
            let shown = plugin(&refused, name);
            assert_eq!(shown["refused"]["code"], "plugin-role", "{shown:#}");
            assert_eq!(shown["refused"]["digest"], digest(other), "{shown:#}");
            assert_eq!(shown["digest"], digest(own), "the old one is at work: {shown:#}");
            let checked = stage.tillhold(&["profile", "check"]);
            assert_eq!(checked.status, Some(1), "{}", checked.stdout);
            assert!(checked.stdout.contains(lacks), "{}", checked.stdout);
            std::fs::write(component(&stage, name), own).expect("a component");
            until(&stage, "nothing refused", |s| plugin(s, name)["refused"].is_null()).await;
        }
        stage.rehearsal.close().await.expect("an end");
    });
}

/// While a rule loops for ever in a scope, whole sales reach the channel; the file of its successor waits until the page
/// is over. What came first is told by counts.
#[test]
fn no_sale_and_no_other_scope_waits_for_a_rule_that_loops_for_ever() {
    const ROWS: u64 = 6;
    // Six rows, halved down to each: 6, 3, 3 and so on.
    const CALLS: u64 = 11;
    proof(async {
        let mut stage = with_hostile("keeps", "quarantine").await;
        stage.start().await;
        stage.rehearsal.settle().await.expect("a synchronisation");
        let before = stage.rehearsal.ledger_count().expect("a count");
        let before_rewrite = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        rewrite(&stage, "keeps@", "loops@");
        let failures =
            |status: &Json| plugin(status, "hostile")["failures"]["plugin-deadline"].clone();
        let first = before_rewrite["profile_taken_at_ms"].as_i64();
        until(&stage, "the looping rule", |s| s["profile_taken_at_ms"].as_i64() > first).await;
        let sql = format!(
            "UPDATE [ax].[CUSTTABLE] SET [ORGID] = N'x' WHERE [RECID] IN \
             (SELECT TOP ({ROWS}) [RECID] FROM [ax].[CUSTTABLE] ORDER BY [RECID]);"
        );
        assert_eq!(stage.rehearsal.office(&sql).expect("an edit"), ROWS);
        until(&stage, "the first of its calls over", |s| failures(s).is_u64()).await;
        stage.rehearsal.sell(5).await.expect("sales");
        // Every one is in the channel, with its answer, while the page is still being ruled.
        assert_eq!(stage.rehearsal.ledger_count().expect("a count"), before + 5);
        let during = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert!(failures(&during).as_u64() < Some(CALLS), "{during:#}");
        assert_eq!(plugin(&during, "hostile")["rows"]["aside"], 0, "{during:#}");
        assert_eq!(during["state"], "online");
        let next = another_build(hostile(), b"next");
        std::fs::write(component(&stage, "hostile"), &next).expect("a component");
        until(&stage, "the page over", |s| s["rows_aside"] == ROWS).await;
        until(&stage, "the next", |s| plugin(s, "hostile")["digest"] == digest(&next)).await;
        // The page was ruled to its last row by the one that had begun it.
        let log = stage.rehearsal.log();
        let (ruled, later) = log.split_once(" took the place of ").expect("an exchange");
        let guilty = |log: &str| {
            let of_old =
                |line: &&str| line.contains(&digest(hostile())[..19]) && line.contains(", row ");
            log.lines().filter(of_old).count() as u64
        };
        assert_eq!((guilty(ruled), guilty(later)), (ROWS, 0), "{log}");
        let series = "tillhold_plugin_failures_total{plugin=\"hostile\",code=\"plugin-deadline\"}";
        assert!(number(&metrics(&stage).await, series) >= CALLS);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A rule that loops on the way up: sales are taken, and their answers do not wait for it.
#[test]
fn a_rule_that_fails_on_the_way_up_is_no_trouble_of_the_channel() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        std::fs::write(component(&stage, "hostile"), hostile()).expect("a component");
        let path = stage.rehearsal.folder().join("profile.toml");
        let text = std::fs::read_to_string(&path).expect("the profile");
        let looping = "\n[[scope]]\nname = \"P-0001 Channel transactions (upload)\"\non_plugin_failure = \"pass\"\n\
            transformer = { plugin = \"hostile\", config = \"loops@ax.RETAILTRANSACTIONTABLE/STORE\" }\n";
        std::fs::write(&path, text + looping).expect("another profile");
        stage.start().await;
        let before = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        stage.rehearsal.sell(4).await.expect("sales");
        let passed = until(&stage, "all sent", |status| {
            plugin(status, "hostile")["rows"]["passed"] == 4
                && status["unsent"]["transactions"] == 0
        });
        let passed = passed.await;
        assert_eq!(passed["since_ms"], before["since_ms"], "it left no state: {passed:#}");
        let sum = plugin(&passed, "hostile")["failures"]["plugin-deadline"].as_u64();
        assert_eq!(sum, Some(4));
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Our own store's customers, as the channel has them and as they are here.
#[test]
fn a_preview_says_what_a_new_version_would_do_and_does_nothing() {
    proof(async {
        let mut stage = Stage::prepared(20).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("a synchronisation");
        let before = stage.rehearsal.get("/v1/plugins").await.expect("plugins").body;
        let file = component(&stage, "store-customers").display().to_string();
        let preview = |more: &[&str]| {
            let words = ["plugin", "preview", &file, "--scope", SCOPE, "--json"];
            let ran = stage.tillhold(&[&words[..], more].concat());
            (ran.status, ran.json())
        };
        let table = |told: &Json, name: &str| {
            let tables = told["tables"].as_array().expect("tables");
            tables.iter().find(|table| table["table"] == name).expect("a table").clone()
        };
        // The very same version: nothing, from either side.
        for side in ["offline", "channel"] {
            let (status, same) = preview(&["--from", side]);
            assert_eq!((status, &same["same"]), (Some(0), &same["rows"]), "{side}: {same:#}");
            assert!(same["rows"].as_u64() > Some(0), "{side}: {same:#}");
        }
        // Another store: our customers would go, and from the channel others would come.
        let (status, other) = preview(&["--with-config", "store=S9999", "--limit", "1"]);
        let here = table(&other, "ax.CUSTTABLE");
        assert_eq!(status, Some(0), "{other:#}");
        assert!(here["dropped"].as_u64() > Some(1), "{here:#}");
        assert_eq!(
            (&here["comes"], here["examples"].as_array().map(Vec::len)),
            (&0.into(), Some(1))
        );
        let (_, other) = preview(&["--with-config", "store=S9999", "--from", "channel"]);
        assert_eq!(table(&other, "ax.CUSTTABLE")["dropped"], here["dropped"], "{other:#}");
        // A version that fails at each row: told as refused, with its code, and in no book.
        std::fs::write(stage.rehearsal.folder().join("hostile.wasm"), hostile()).expect("a file");
        let file = stage.rehearsal.folder().join("hostile.wasm").display().to_string();
        let words = ["plugin", "preview", &file, "--with-config", "panics@ax.CUSTTABLE/ACCOUNTNUM"];
        let ran = stage.tillhold(&words);
        assert_eq!(ran.status, Some(1), "{}", ran.stderr);
        assert!(ran.stdout.contains("refused: plugin hostile"), "{}", ran.stdout);
        std::fs::write(&file, b"no component").expect("a file");
        let ran = stage.tillhold(&words);
        assert!(ran.stderr.contains("plugin-not-a-component"), "{}", ran.stderr);
        let after = stage.rehearsal.get("/v1/plugins").await.expect("plugins").body;
        assert_eq!(before, after, "nothing is written, counted or exchanged");
        let log = stage.rehearsal.log();
        assert!(!log.contains("[plugin-trap]"), "no failure of a plugin at work: {log}");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn an_earlier_component_comes_back_by_a_persons_word_or_by_the_profile() {
    proof(async {
        let mut stage = with_hostile("keeps", "halt").await;
        stage.start().await;
        let (first, second) = (hostile().to_vec(), another_build(hostile(), b"two "));
        let third = another_build(hostile(), b"thre");
        let at_work = |status: &Json, bytes: &[u8]| {
            plugin(status, "hostile")["digest"].as_str() == Some(&digest(bytes))
        };
        let words = ["plugin", "rollback", "hostile", "--why", "wrong prices", "--who", "Ann"];
        let nothing = stage_command(&stage, &words).1;
        assert!(nothing.contains("plugin-no-earlier"), "{nothing}");
        std::fs::write(component(&stage, "hostile"), &second).expect("a component");
        until(&stage, "the second", |status| at_work(status, &second)).await;
        let (code, told) = stage_command(&stage, &words);
        assert_eq!(code, Some(0), "{told}");
        let back = until(&stage, "the first", |status| at_work(status, &first)).await;
        let word = &plugin(&back, "hostile")["rolled_back"];
        assert_eq!((&word["who"], &word["from"]), (&"Ann".into(), &digest(&second).into()));
        let audit = stage.tillhold(&["audit", "list", "--json"]).json();
        assert_eq!(audit["acts"][0]["action"], "plugin-rollback", "{audit:#}");
        assert_eq!(audit["acts"][0]["why"], "wrong prices");

        // The second file still lies there. A start remembers.
        stage.rehearsal.kill();
        stage.start().await;
        until(&stage, "still the first", |status| at_work(status, &first)).await;
        // Another file is news.
        std::fs::write(component(&stage, "hostile"), &third).expect("a component");
        let third_there = until(&stage, "the third", |status| at_work(status, &third)).await;
        assert!(plugin(&third_there, "hostile")["rolled_back"].is_null());

        // A pin takes what it names out of what is kept, and lets nobody go elsewhere.
        let pinned = format!("plugin = \"hostile\", digest = \"{}\"", digest(&second));
        rewrite(&stage, "plugin = \"hostile\"", &pinned);
        let seen = until(&stage, "the pinned one", |status| at_work(status, &second)).await;
        assert_eq!(plugin(&seen, "hostile")["refused"]["code"], "plugin-digest", "{seen:#}");
        assert!(stage_command(&stage, &words).1.contains("plugin-pinned"));
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.close().await.expect("an end");
    });
}

fn stage_command(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let ran = stage.tillhold(words);
    (ran.status, ran.stdout + &ran.stderr)
}
