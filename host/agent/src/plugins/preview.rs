//! What a new version of a plugin would do, before it is put to work: rows through it in the very sandbox, held against what
//! is or would be there without it. Nothing is written.
//!
//! ```text
//! offline: the register's rows as they are now ─────────────────────────┐
//!          the same rows ─► the new version ────────────────────────────┤
//!                                                                       ├─► row by row, cell by cell ─► counts, examples
//! channel: the channel's rows ─► the scope's transformers as they are ──┤
//!          the same rows ─► with the new version in its place ──────────┘
//! ```
//!
//! * What lies on the register has been through the rule that is at work: what that one masked or dropped cannot be seen
//!   from here. From the channel it can.
//! * A failure of the new version is told as a refusal of the guilty rows, and is in no book.
//! * What it writes for the operator is told here too. None of it is in the agent's log, where it would read as written at
//!   work; what the others write during a trial is not written anywhere.

use super::stats::Book;
use super::{Plugins, named_by};
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use crate::rules::{self, RowOutcome};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tillhold_channel::Link;
use tillhold_channel::read::read;
use tillhold_core::filter::Filter;
use tillhold_core::limits;
use tillhold_core::profile::{OnPluginFailure, PluginUse, Profile, Scope};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_env::Locked as _;
use tillhold_kit::cells;
use tillhold_plugin::{ComponentSource, Flow, LogLine, Plugin, PluginSource};

pub struct Asked {
    pub file: PathBuf,
    /// The plugin in whose place it would come; `None` is the file's name without its ending.
    pub name: Option<String>,
    /// `None` is the scopes that the plugin of this name is in; where it is in none, every scope with a table that it
    /// works on.
    pub scope: Option<String>,
    /// `None` is what the profile says to the plugin of this name.
    pub config: Option<String>,
    /// Of each table.
    pub examples: usize,
    pub from: Side,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Offline,
    Channel,
}

pub async fn preview(register: &Register, asked: &Asked) -> Result<Json, FlowError> {
    let of_file = || asked.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = asked.name.clone().or_else(of_file).unwrap_or_default();
    let said = Arc::new(Mutex::new(Heard::default()));
    let mut link = (asked.from == Side::Channel).then(|| register.link());
    let (mut tables, mut digest, mut total) = (Vec::new(), Json::Null, Counts::default());
    let is_asked = |run: &&ScopeRun| is_asked(asked, &name, &register.profile, &run.scope);
    for run in register.scopes.iter().filter(is_asked) {
        let source = source(asked, &name, &register.profile, &run.scope);
        let candidate = register.plugins.candidate(source, said.clone()).await?;
        digest = json!(candidate.digest());
        let trial = Trial::of(register, run, &candidate, asked);
        let used = run.tables.iter().filter(|table| candidate.works_on(table));
        for table in used.filter(|_| run.is_pulled() && candidate.kind().transforms) {
            let (told, counts) = trial.table(link.as_mut(), table).await?;
            tables.push(told);
            total.add(&counts);
        }
    }
    let from = if link.is_some() { "channel" } else { "offline" };
    let mut whole = total.told();
    whole.insert("plugin".to_string(), json!(name));
    whole.insert("in_profile".to_string(), json!(is_named(&register.profile, &name)));
    whole.insert("digest".to_string(), digest);
    whole.insert("from".to_string(), json!(from));
    whole.insert("tables".to_string(), json!(tables));
    whole.extend(said.locked().told());
    Ok(Json::Object(whole))
}

/// Whether the profile says anything of a plugin of this name: otherwise it is tried without grants and limits of its own.
fn is_named(profile: &Profile, name: &str) -> bool {
    profile.plugins.iter().any(|terms| terms.name == name)
        || profile.scopes.iter().any(|scope| used_in(scope, name).is_some())
}

fn used_in<'s>(scope: &'s Scope, name: &str) -> Option<&'s PluginUse> {
    named_by(scope).find(|plugin| plugin.name == name)
}

/// A new version comes where the old one is. Elsewhere it would be given a config that is not meant for it.
fn is_asked(asked: &Asked, name: &str, profile: &Profile, scope: &Scope) -> bool {
    match &asked.scope {
        Some(wanted) => *wanted == scope.name,
        None => {
            let is_nowhere = profile.scopes.iter().all(|scope| used_in(scope, name).is_none());
            is_nowhere || used_in(scope, name).is_some()
        }
    }
}

/// What the profile says in this scope; in one that it is to come into anew, what it says in the first that has it.
fn config(asked: &Asked, name: &str, profile: &Profile, scope: &Scope) -> String {
    let elsewhere = || profile.scopes.iter().find_map(|scope| used_in(scope, name));
    let said = || used_in(scope, name).or_else(elsewhere).map(|used| used.config.clone());
    asked.config.clone().or_else(said).unwrap_or_default()
}

/// As the profile trusts, grants and bounds it; which digest is pinned is no question before it is pinned.
fn source(asked: &Asked, name: &str, profile: &Profile, scope: &Scope) -> PluginSource {
    let config = config(asked, name, profile, scope);
    let terms = profile.plugins.iter().find(|terms| terms.name == name);
    let component = ComponentSource::File(asked.file.clone());
    PluginSource {
        keys: profile.plugin_keys.clone(),
        grants: terms.and_then(|terms| terms.grants.clone()),
        bounds: terms.map(|terms| terms.bounds.clone()).unwrap_or_default(),
        ..PluginSource::plain(name, component, &config)
    }
}

/// What the new version wrote for the operator, so many lines of it.
#[derive(Default)]
struct Heard {
    lines: Vec<LogLine>,
    more: u64,
}

impl Heard {
    fn hear(&mut self, line: LogLine) {
        match self.lines.len() < limits::PLUGIN_LOG_LINES_MAX as usize {
            true => self.lines.push(line),
            false => self.more += 1,
        }
    }

    fn told(&self) -> [(String, Json); 2] {
        let line = |line: &LogLine| json!({ "is_warning": line.is_warning, "text": line.text });
        let lines: Vec<Json> = self.lines.iter().map(line).collect();
        [("said".to_string(), json!(lines)), ("said_more".to_string(), json!(self.more))]
    }
}

impl Plugins {
    /// Loaded for the preview alone.
    async fn candidate(
        &self,
        source: PluginSource,
        said: Arc<Mutex<Heard>>,
    ) -> Result<Arc<Plugin>, FlowError> {
        let hear = move |line| said.locked().hear(line);
        let (host, log) = (self.host.clone(), Arc::new(hear));
        let load = move || host.load_heard_by(&source, log);
        let loaded = self.env.blocking("preview plugin", load).await;
        let loaded = loaded.ok_or(FlowError::BrokeOff("loading a plugin"))?;
        Ok(Arc::new(loaded.map_err(FlowError::Plugin)?))
    }
}

/// One scope's.
struct Trial<'r> {
    register: &'r Register,
    run: &'r ScopeRun,
    candidate: &'r Plugin,
    /// Without transformers where rows are compared as they are.
    before: ScopeRun,
    after: ScopeRun,
    examples: usize,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    rows: u64,
    same: u64,
    changed: u64,
    dropped: u64,
    comes: u64,
    refused: u64,
}

/// What the new version makes of one row, beside what is there without it.
#[derive(Debug, PartialEq)]
enum Outcome {
    Same,
    /// Positions with the cell before and after.
    Changed(Vec<usize>, Row, Row),
    Dropped,
    /// It is dropped or refused as it is.
    Comes,
    Refused(String),
}

impl<'r> Trial<'r> {
    fn of(
        register: &'r Register,
        run: &'r ScopeRun,
        candidate: &'r Arc<Plugin>,
        asked: &Asked,
    ) -> Trial<'r> {
        let with = |transformers| ScopeRun {
            scope: Scope { on_plugin_failure: OnPluginFailure::Quarantine, ..run.scope.clone() },
            transformers,
            book: Arc::new(Book::silent()),
            ..run.clone()
        };
        let unheard = |plugin: &Arc<Plugin>| Arc::new(plugin.heard_by(Arc::new(|_| {})));
        let at_work: Vec<Arc<Plugin>> = run.transformers.iter().map(unheard).collect();
        let (before, after) = match asked.from {
            Side::Offline => (Vec::new(), vec![candidate.clone()]),
            Side::Channel => (at_work.clone(), replaced(&at_work, candidate)),
        };
        let (before, after) = (with(before), with(after));
        Trial { register, run, candidate, before, after, examples: asked.examples }
    }

    /// What is wrong with one table does not keep the others from their turn.
    async fn table(
        &self,
        link: Option<&mut Link>,
        table: &Arc<Table>,
    ) -> Result<(Json, Counts), FlowError> {
        let mut told = Told::default();
        let result = match self.candidate.check_against(table) {
            Ok(()) => self.rows(link, table, &mut told).await,
            Err(error) => Err(FlowError::Plugin(error)),
        };
        let fault = match result {
            Ok(()) => Json::Null,
            Err(error) if error.is_channel_trouble() => return Err(error),
            Err(error) => json!({
                "code": error.code(),
                "message": error.to_string(),
                "hint": error.hint(),
            }),
        };
        let mut whole = told.counts.told();
        whole.insert("scope".to_string(), json!(self.run.scope.name));
        whole.insert("table".to_string(), json!(table.name.to_string()));
        whole.insert("columns".to_string(), json!(told.columns));
        whole.insert("examples".to_string(), json!(told.examples));
        whole.insert("fault".to_string(), fault);
        Ok((Json::Object(whole), told.counts))
    }

    async fn rows(
        &self,
        mut link: Option<&mut Link>,
        table: &Arc<Table>,
        told: &mut Told,
    ) -> Result<(), FlowError> {
        let (identity, env) = (self.register.file.identity(), &self.register.env);
        let scope = &self.run.scope.name;
        let context = rules::context(&identity, scope, Flow::Pull, rules::now(env));
        let mut after = None;
        loop {
            let filter = Filter { after, limit: limits::READ_ROWS_MAX, ..Filter::default() };
            let rows = match link.as_deref_mut() {
                None => self.register.local.read(table, &filter).await?,
                Some(link) => {
                    let condition = self.register.filter(link, self.run, &table.name).await?;
                    read(link, table, &filter, condition.as_deref()).await?
                }
            };
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key(table));
            let is_last = rows.len() < filter.limit;
            let keys: Vec<Key> = rows.iter().map(|row| row.key(table)).collect();
            let before = rules::transform(env, &self.before, &context, table, rows.clone()).await?;
            let after = rules::transform(env, &self.after, &context, table, rows).await?;
            for (key, (before, after)) in keys.iter().zip(before.into_iter().zip(after)) {
                told.note(table, key, outcome(before, after), self.examples);
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// In the place of the one of its name; behind the others where there is none.
fn replaced(transformers: &[Arc<Plugin>], candidate: &Arc<Plugin>) -> Vec<Arc<Plugin>> {
    let mut all = transformers.to_vec();
    match all.iter().position(|plugin| plugin.name() == candidate.name()) {
        Some(at) => all[at] = candidate.clone(),
        None => all.push(candidate.clone()),
    }
    all
}

fn outcome(before: RowOutcome, after: RowOutcome) -> Outcome {
    match (before, after) {
        (RowOutcome::Kept(before), RowOutcome::Kept(after)) => {
            let differs = |at: &usize| before.0[*at] != after.0[*at];
            let cells: Vec<usize> = (0..before.0.len()).filter(differs).collect();
            match cells.is_empty() {
                true => Outcome::Same,
                false => Outcome::Changed(cells, before, after),
            }
        }
        (RowOutcome::Dropped(_), RowOutcome::Dropped(_))
        | (RowOutcome::Quarantined(..), RowOutcome::Quarantined(..)) => Outcome::Same,
        (_, RowOutcome::Dropped(_)) => Outcome::Dropped,
        (_, RowOutcome::Quarantined(_, reason)) => Outcome::Refused(reason),
        (_, RowOutcome::Kept(_)) => Outcome::Comes,
    }
}

/// One table's counts, how often each column would change, and the first rows of each kind.
#[derive(Default)]
struct Told {
    counts: Counts,
    columns: BTreeMap<String, u64>,
    examples: Vec<Json>,
    /// By kind: a thousand changed rows must not hide the one that would be refused.
    shown: BTreeMap<&'static str, usize>,
}

impl Told {
    fn note(&mut self, table: &Table, key: &Key, outcome: Outcome, examples: usize) {
        self.counts.rows += 1;
        let (kind, count) = match &outcome {
            Outcome::Same => return self.counts.same += 1,
            Outcome::Changed(..) => ("changed", &mut self.counts.changed),
            Outcome::Dropped => ("dropped", &mut self.counts.dropped),
            Outcome::Comes => ("comes", &mut self.counts.comes),
            Outcome::Refused(_) => ("refused", &mut self.counts.refused),
        };
        *count += 1;
        if let Outcome::Changed(cells, ..) = &outcome {
            for at in cells {
                *self.columns.entry(table.columns[*at].name.clone()).or_default() += 1;
            }
        }
        let shown = self.shown.entry(kind).or_default();
        if *shown < examples {
            *shown += 1;
            self.examples.push(example(table, key, kind, &outcome));
        }
    }
}

fn example(table: &Table, key: &Key, kind: &str, outcome: &Outcome) -> Json {
    let cell = |(at, before, after): (usize, &Row, &Row)| {
        let column = &table.columns[at];
        let of = |row: &Row| cells::to_json(&row.0[at], column);
        json!({ "column": column.name, "before": of(before), "after": of(after) })
    };
    let changed: Vec<Json> = match outcome {
        Outcome::Changed(cells, before, after) => {
            cells.iter().map(|at| cell((*at, before, after))).collect()
        }
        _ => Vec::new(),
    };
    let reason = match outcome {
        Outcome::Refused(reason) => Some(reason),
        _ => None,
    };
    let key = key.named(table).to_string();
    json!({ "key": key, "outcome": kind, "reason": reason, "cells": changed })
}

impl Counts {
    fn add(&mut self, more: &Counts) {
        self.rows += more.rows;
        self.same += more.same;
        self.changed += more.changed;
        self.dropped += more.dropped;
        self.comes += more.comes;
        self.refused += more.refused;
    }

    fn told(&self) -> Map<String, Json> {
        let Counts { rows, same, changed, dropped, comes, refused } = *self;
        let counts = [
            ("rows", rows),
            ("same", same),
            ("changed", changed),
            ("dropped", dropped),
            ("comes", comes),
            ("refused", refused),
        ];
        counts.into_iter().map(|(name, count)| (name.to_string(), json!(count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Outcome, Side, config, is_asked, outcome};
    use crate::rules::RowOutcome;
    use crate::settings::profile_file::ProfileFile;
    use crate::settings::reader::Source;
    use std::path::Path;
    use tillhold_core::row::{Key, Row};
    use tillhold_core::value::Value;

    /// Every pair of what is and what would be, once.
    #[test]
    fn what_a_new_version_does_to_a_row_has_one_name() {
        let row = |number| Row(vec![Value::Int(1), Value::Int(number)]);
        let key = || Key(vec![Value::Int(1)]);
        let kept = |number| RowOutcome::Kept(row(number));
        let dropped = || RowOutcome::Dropped(key());
        let refused = |why: &str| RowOutcome::Quarantined(key(), why.to_string());
        let why = || Outcome::Refused("new".to_string());
        for (before, after, expected) in [
            (kept(1), kept(1), Outcome::Same),
            (kept(1), kept(2), Outcome::Changed(vec![1], row(1), row(2))),
            (kept(1), dropped(), Outcome::Dropped),
            (kept(1), refused("new"), why()),
            (dropped(), kept(1), Outcome::Comes),
            (dropped(), dropped(), Outcome::Same),
            (dropped(), refused("new"), why()),
            (refused("old"), kept(1), Outcome::Comes),
            (refused("old"), dropped(), Outcome::Dropped),
            (refused("old"), refused("new"), Outcome::Same),
        ] {
            let told = format!("{before:?} and {after:?}");
            assert_eq!(outcome(before, after), expected, "{told}");
        }
    }
    const PROFILE: &str = r#"
        name = "one"
        [[scope]]
        name = "Customers"
        direction = "bidirectional"
        tables = ["ax.CUSTTABLE"]
        transformer = { plugin = "credit-cap", config = "most=500" }
        [[scope]]
        name = "Prices"
        direction = "download"
        tables = ["ax.PRICEDISCTABLE"]
    "#;

    /// A plugin that must have a config was given none for the scopes that it is not in, and refused for it.
    #[test]
    fn a_new_version_is_tried_where_the_old_one_is_with_its_config() {
        let profile = ProfileFile::of(&Source::new(Path::new("p"), PROFILE.to_string()));
        let profile = profile.built.complete(None).expect("a profile");
        let tried = |name: &str, scope: Option<&str>, with: Option<&str>| {
            let (scope, with) = (scope.map(str::to_string), with.map(str::to_string));
            let (file, from) = (format!("{name}.wasm").into(), Side::Offline);
            let asked = Asked { file, name: None, scope, config: with, examples: 1, from };
            let scopes = profile.scopes.iter();
            let scopes = scopes.filter(|scope| is_asked(&asked, name, &profile, scope));
            let told = |scope| config(&asked, name, &profile, scope);
            scopes.map(|scope| format!("{}: {}", scope.name, told(scope))).collect::<Vec<_>>()
        };
        assert_eq!(tried("credit-cap", None, None), ["Customers: most=500"]);
        assert_eq!(tried("credit-cap", None, Some("most=9")), ["Customers: most=9"]);
        assert_eq!(tried("credit-cap", Some("Prices"), None), ["Prices: most=500"]);
        assert_eq!(tried("unnamed", None, None), ["Customers: ", "Prices: "]);
    }
}
