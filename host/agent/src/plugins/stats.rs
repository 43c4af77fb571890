//! The book on plugins: what each did since the agent started, failures first of all.
//!
//! * One account a component: a name with its digest. What another component of the same name did stays in the name's
//!   sums, so that counters only grow.
//! * Of a batch, rows in = kept + dropped + refused + passed + aside + halted.
//! * A component that was refused is noted too, beside the one that stays at work in its place.
//! * A failure is counted every time. It is said once, and again when another came between or the plugin had a success.

use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use tillhold_core::limits;
use tillhold_core::profile::PluginUse;
use tillhold_env::Locked as _;
use tillhold_plugin::{PluginError, PluginId};

#[derive(Default)]
pub struct Book {
    names: Mutex<BTreeMap<String, Named>>,
    push: OnTheWayUp,
    is_silent: bool,
}

/// Sales wait for push, so what rules do to it has to be known at any moment.
#[derive(Default)]
struct OnTheWayUp {
    calls_under_way: AtomicUsize,
    last_has_failed: AtomicBool,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    pub rows_in: u64,
    pub kept: u64,
    pub dropped: u64,
    /// By the plugin, with its reason.
    pub refused: u64,
    /// Unruled, because the plugin failed.
    pub passed: u64,
    /// Set aside, because the plugin failed at them.
    pub aside: u64,
    /// They wait with their scope, because the plugin failed.
    pub halted: u64,
}

/// What became of conflicts that a resolver was asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConflictCounts {
    pub asked: u64,
    pub decided: u64,
    pub deferred: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Batches of rows, halves of them and conflicts, each with a fresh instance.
    pub calls: u64,
    pub rows: RowCounts,
    pub conflicts: ConflictCounts,
}

/// Where a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub scope: String,
    pub table: String,
    /// Where one row is guilty.
    pub key: Option<String>,
}

/// What went wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at_ms: i64,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub place: Place,
}

/// All components of one name.
#[derive(Default)]
struct Named {
    accounts: Vec<Account>,
    /// Why what lies in the folder is not at work, by the config that it would have.
    refused: BTreeMap<String, Refusal>,
    refusals: BTreeMap<&'static str, u64>,
    /// Of components whose accounts are not kept any more.
    earlier: Sums,
}

/// Why a component was not put to work.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    at_ms: i64,
    /// Of one that could be read.
    digest: Option<String>,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// One component's.
struct Account {
    digest: String,
    /// When it was put to work last; `None` while another is.
    since_ms: Option<i64>,
    sums: Sums,
    last: Option<Failure>,
    /// The last failure was said, and nothing else came since.
    is_said: bool,
}

/// Of one component, or of all of a name.
#[derive(Clone, Default)]
pub struct Sums {
    pub work: Work,
    pub failures: BTreeMap<&'static str, u64>,
}

impl Book {
    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Named>> {
        self.names.locked()
    }

    /// For trials: nothing is said of a failure.
    pub fn silent() -> Book {
        Book { is_silent: true, ..Book::default() }
    }

    /// These are at work from now on, and no others.
    pub fn put_to_work<'p>(&self, plugins: impl IntoIterator<Item = &'p PluginId>, now_ms: i64) {
        let plugins: Vec<&PluginId> = plugins.into_iter().collect();
        let mut names = self.names();
        for (name, named) in names.iter_mut() {
            for account in &mut named.accounts {
                let is =
                    |plugin: &&PluginId| plugin.name == *name && plugin.digest == account.digest;
                if !plugins.iter().any(is) {
                    account.since_ms = None;
                }
            }
        }
        for plugin in plugins {
            let named = names.entry(plugin.name.clone()).or_default();
            named.account(&plugin.digest).since_ms.get_or_insert(now_ms);
            named.forget();
        }
        for named in names.values_mut() {
            if named.accounts.iter().all(|account| account.since_ms.is_none()) {
                named.refused.clear();
            }
        }
    }

    /// What lies in the folder cannot be used; what to say of it, if it is news.
    pub fn refuse(&self, of: &PluginUse, error: &PluginError, at_ms: i64) -> Option<String> {
        let digest = error.plugin().map(|plugin| plugin.digest.clone());
        let (code, message, hint) = (error.code(), error.to_string(), error.hint());
        let refusal = Refusal { at_ms, digest, code, message, hint };
        let mut names = self.names();
        let named = names.entry(of.name.clone()).or_default();
        let same = |known: &Refusal| {
            (known.code, &known.digest, &known.message)
                == (refusal.code, &refusal.digest, &refusal.message)
        };
        if named.refused.get(&of.config).is_some_and(same) {
            return None;
        }
        *named.refusals.entry(code).or_default() += 1;
        let stays = match named.accounts.iter().any(|account| account.since_ms.is_some()) {
            true => "; the one at work stays",
            false => "",
        };
        let said = format!("{} [{code}]{stays}", refusal.message);
        named.refused.insert(of.config.clone(), refusal);
        Some(said)
    }

    /// What lies in the folder can be used.
    pub fn accept(&self, of: &PluginUse) {
        if let Some(named) = self.names().get_mut(&of.name) {
            named.refused.remove(&of.config);
        }
    }

    /// By name and code, how many were refused.
    pub fn refusals(&self) -> Vec<(String, &'static str, u64)> {
        let names = self.names();
        let of_name = |(name, named): (&String, &Named)| -> Vec<_> {
            named.refusals.iter().map(|(code, count)| (name.clone(), *code, *count)).collect()
        };
        names.iter().flat_map(of_name).collect()
    }

    pub fn note(&self, plugin: &PluginId, work: Work) {
        let mut names = self.names();
        names.entry(plugin.name.clone()).or_default().account(&plugin.digest).sums.work += work;
    }

    /// Runs a call on the way up.
    pub fn on_the_way_up<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.push.calls_under_way.fetch_add(1, Ordering::Relaxed);
        let answer = call();
        self.push.last_has_failed.store(answer.is_err(), Ordering::Relaxed);
        self.push.calls_under_way.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    /// A rule fails on the way up, and may take its time to: no sale should wait for push.
    pub fn push_fails(&self) -> bool {
        self.push.last_has_failed.load(Ordering::Relaxed)
    }

    /// Whatever push is late with, a rule may be to blame.
    pub fn holds_push_up(&self) -> bool {
        self.push_fails() || self.push.calls_under_way.load(Ordering::Relaxed) > 0
    }

    /// The plugin gave a whole answer.
    pub fn succeed(&self, plugin: &PluginId) {
        let mut names = self.names();
        names.entry(plugin.name.clone()).or_default().account(&plugin.digest).is_said = false;
    }

    /// Counts a failure; what to say of it, if it is news.
    pub fn fail(
        &self,
        plugin: &PluginId,
        error: &PluginError,
        place: Place,
        at_ms: i64,
    ) -> Option<String> {
        let failure = Failure {
            at_ms,
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            place,
        };
        let mut names = self.names();
        let account = names.entry(plugin.name.clone()).or_default().account(&plugin.digest);
        *account.sums.failures.entry(failure.code).or_default() += 1;
        let same = |last: &Failure| (last.code, &last.place) == (failure.code, &failure.place);
        let is_news =
            !self.is_silent && (!account.is_said || !account.last.as_ref().is_some_and(same));
        account.is_said = true;
        let said = failure.said();
        account.last = Some(failure);
        is_news.then_some(said)
    }

    /// By name, over all components that had it.
    pub fn sums(&self) -> BTreeMap<String, Sums> {
        let names = self.names();
        let whole = |named: &Named| {
            let accounts = named.accounts.iter().map(|account| &account.sums);
            accounts.fold(named.earlier.clone(), |mut sums, more| {
                sums += more;
                sums
            })
        };
        names.iter().map(|(name, named)| (name.clone(), whole(named))).collect()
    }

    /// What the component that is at work did.
    pub fn shown(&self, plugin: &PluginId) -> Map<String, Json> {
        let mut names = self.names();
        let named = names.entry(plugin.name.clone()).or_default();
        let refused = named.refused.values().max_by_key(|refused| refused.at_ms);
        let refused = refused.map(Refusal::shown);
        let account = named.account(&plugin.digest);
        let Work { calls, rows, conflicts } = account.sums.work;
        let shown = json!({
            "name": plugin.name,
            "digest": plugin.digest,
            "since_ms": account.since_ms,
            "calls": calls,
            "rows": {
                "in": rows.rows_in,
                "kept": rows.kept,
                "dropped": rows.dropped,
                "refused": rows.refused,
                "passed": rows.passed,
                "aside": rows.aside,
                "halted": rows.halted,
            },
            "conflicts": {
                "asked": conflicts.asked,
                "decided": conflicts.decided,
                "deferred": conflicts.deferred,
            },
            "failures": account.sums.failures,
            "last_failure": account.last.as_ref().map(Failure::shown),
            "refused": refused,
        });
        match shown {
            Json::Object(shown) => shown,
            _ => Map::new(),
        }
    }
}

impl Named {
    fn account(&mut self, digest: &str) -> &mut Account {
        let at = self.accounts.iter().position(|account| account.digest == digest);
        let at = at.unwrap_or_else(|| {
            let (digest, sums) = (digest.to_string(), Sums::default());
            self.accounts.push(Account {
                digest,
                since_ms: None,
                sums,
                last: None,
                is_said: false,
            });
            self.accounts.len() - 1
        });
        &mut self.accounts[at]
    }

    /// The oldest accounts of components that are not at work go into one sum.
    fn forget(&mut self) {
        while self.accounts.len() > limits::PLUGIN_ACCOUNTS_KEPT {
            let idle = self.accounts.iter().position(|account| account.since_ms.is_none());
            let Some(at) = idle else { return };
            self.earlier += &self.accounts.remove(at).sums;
        }
    }
}

impl Refusal {
    fn shown(&self) -> Json {
        let Refusal { at_ms, digest, code, message, hint } = self;
        json!({ "at_ms": at_ms, "digest": digest, "code": code, "message": message, "hint": hint })
    }
}

impl Failure {
    fn said(&self) -> String {
        let Place { scope, table, key } = &self.place;
        let row = key.as_ref().map(|key| format!(", row {key}")).unwrap_or_default();
        format!("{} [{}] (scope {scope}, {table}{row})", self.message, self.code)
    }

    fn shown(&self) -> Json {
        let Failure { at_ms, code, message, hint, place } = self;
        json!({
            "at_ms": at_ms,
            "code": code,
            "message": message,
            "hint": hint,
            "scope": place.scope,
            "table": place.table,
            "key": place.key,
        })
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Work) {
        self.calls += more.calls;
        self.rows.rows_in += more.rows.rows_in;
        self.rows.kept += more.rows.kept;
        self.rows.dropped += more.rows.dropped;
        self.rows.refused += more.rows.refused;
        self.rows.passed += more.rows.passed;
        self.rows.aside += more.rows.aside;
        self.rows.halted += more.rows.halted;
        self.conflicts.asked += more.conflicts.asked;
        self.conflicts.decided += more.conflicts.decided;
        self.conflicts.deferred += more.conflicts.deferred;
    }
}

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, more: &Sums) {
        self.work += more.work;
        for (code, count) in &more.failures {
            *self.failures.entry(code).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, Place, RowCounts, Work};
    use std::sync::Arc;
    use tillhold_core::limits;
    use tillhold_plugin::{PluginError, PluginId};

    fn plugin(digest: &str) -> PluginId {
        PluginId { name: "mask".to_string(), digest: digest.to_string() }
    }

    fn trap(plugin: &PluginId) -> PluginError {
        let plugin = Arc::new(plugin.clone());
        PluginError::Trap { plugin, call: "transform", what: "unreachable".into(), said: None }
    }

    fn place(key: &str) -> Place {
        Place { scope: "S".into(), table: "ax.T".into(), key: Some(key.to_string()) }
    }

    #[test]
    fn every_failure_is_counted_and_each_is_said_once() {
        let (book, one) = (Book::default(), plugin("sha256:00112233445566778899"));
        let fail = |key| book.fail(&one, &trap(&one), place(key), 7);
        let said = fail("ID=1").expect("news");
        assert!(said.contains("plugin mask (sha256:001122334455)"), "{said}");
        assert!(said.contains("[plugin-trap] (scope S, ax.T, row ID=1)"), "{said}");
        assert_eq!(fail("ID=1"), None, "the same again");
        assert!(fail("ID=2").is_some(), "another row");
        assert!(fail("ID=1").is_some(), "another came between");
        book.succeed(&one);
        assert!(fail("ID=1").is_some(), "it had worked meanwhile");
        let shown = book.shown(&one);
        assert_eq!(shown["failures"]["plugin-trap"], 5);
        assert_eq!(shown["last_failure"]["key"], "ID=1");
    }

    #[test]
    fn counters_of_a_name_only_grow_whatever_replaces_what() {
        let book = Book::default();
        let versions = limits::PLUGIN_ACCOUNTS_KEPT as u64 + 5;
        for version in 1..=versions {
            let one = plugin(&format!("sha256:{version}"));
            book.put_to_work([&one], version as i64);
            let rows = RowCounts { rows_in: 2, kept: 2, ..RowCounts::default() };
            book.note(&one, Work { calls: 1, rows, ..Work::default() });
            book.fail(&one, &trap(&one), place("ID=1"), 7);
            let sums = &book.sums()["mask"];
            assert_eq!((sums.work.calls, sums.work.rows.kept), (version, 2 * version));
            assert_eq!(sums.failures["plugin-trap"], version);
        }
        assert_eq!(book.names()["mask"].accounts.len(), limits::PLUGIN_ACCOUNTS_KEPT);
    }

    #[test]
    fn since_when_begins_anew_with_each_time_at_work() {
        let (book, one, two) = (Book::default(), plugin("sha256:1"), plugin("sha256:2"));
        let since = |plugin: &PluginId| book.shown(plugin)["since_ms"].as_i64();
        book.put_to_work([&one], 10);
        book.put_to_work([&one], 20);
        assert_eq!(since(&one), Some(10), "it never stopped");
        book.put_to_work([&two], 30);
        assert_eq!((since(&one), since(&two)), (None, Some(30)));
        book.put_to_work([&one], 40);
        assert_eq!((since(&one), since(&two)), (Some(40), None));
    }
}
