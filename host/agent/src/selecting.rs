//! Offline products and customers: who is chosen, and what follows for the register's rows.
//!
//! ```text
//! begin    for tables that no choice was kept for, before their first load: it then reads members only
//! refresh  nothing loaded yet: choose, keep
//!          otherwise one pass over all scopes that hang on the choice:
//!          changes ─► rows of who joined ─► stage ─► one landing with positions; who left goes
//! ```
//!
//! * Between two refreshes pull goes by the choice that its rows stand under ([`in_force`]), whatever the profile says now.
//! * A choice changes only when no table that hangs on it is half loaded.
//! * While a choice cannot be computed, tables that wait for it are not loaded ([`without_waiting`]); all others are.
//! * A table that hangs on it in another way than before, or not any more, is loaded anew beside its rows and flipped in
//!   the same landing.
//! * No personal data: nothing of those tables is read from then on, and what is there goes once it was sent.

mod refresh;

use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use refresh::Refresh;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tillhold_channel::Link;
use tillhold_channel::selection::{Choice, choose};
use tillhold_core::limits;
use tillhold_core::moment::Timestamp;
use tillhold_core::selection::{Domain, MemberKind, Members, Restricted, Restriction};
use tillhold_core::table::{Table, TableName};
use tillhold_env::Locked as _;
use tillhold_local::{Counts, KeptSelection, Load, TableState};

/// The members that were read last, by when they were computed: a pull every half minute need not read them again.
pub type Cache = Mutex<BTreeMap<Domain, (i64, Arc<Members>)>>;

/// What this run has seen of each choice.
#[derive(Default)]
pub struct ChoicesSeen {
    ages: Mutex<BTreeMap<Domain, Seen>>,
    left: Mutex<BTreeMap<Domain, Left>>,
}

/// What is there of withheld tables, and what it may wait for.
type Left = (Vec<u64>, Counts);

/// When a choice was seen first, and how old it was then.
struct Seen {
    computed_ms: i64,
    age_ms: u64,
    /// By the monotonic clock.
    at_ms: u64,
}

/// Which rows of which tables are the register's.
pub type InForce = BTreeMap<TableName, Restricted>;

/// What a refresh did, where it came to something.
#[derive(Clone, Copy, Debug)]
pub struct Refreshed {
    pub domain: Domain,
    pub rows: u64,
    pub left: u64,
}

/// What the register's rows stand under; what is withheld counts at once.
pub async fn in_force(register: &Register) -> Result<InForce, FlowError> {
    let mut all = InForce::new();
    for domain in Domain::ALL {
        if register.profile.selections.withholds(domain) {
            let withheld = wanted(register, domain).into_iter();
            all.extend(withheld.map(|(table, restriction)| {
                (table, Restricted { restriction, members: Arc::default() })
            }));
            continue;
        }
        let Some(kept) = register.local.selection(domain).await? else { continue };
        let members = members(register, &kept).await?;
        all.extend(kept.tables.into_iter().map(|(table, restriction)| {
            (table, Restricted { restriction, members: members.clone() })
        }));
    }
    Ok(all)
}

async fn members(register: &Register, kept: &KeptSelection) -> Result<Arc<Members>, FlowError> {
    let cache = || register.chosen.locked();
    let known = cache().get(&kept.domain).cloned();
    if let Some((_, members)) = known.filter(|(computed_ms, _)| *computed_ms == kept.computed_ms) {
        return Ok(members);
    }
    let members = Arc::new(register.local.members(kept.domain).await?);
    cache().insert(kept.domain, (kept.computed_ms, members.clone()));
    Ok(members)
}

/// What the profile asks of the register's tables.
fn wanted(register: &Register, domain: Domain) -> BTreeMap<TableName, Restriction> {
    let pulled = register.scopes.iter().filter(|run| run.is_pulled());
    let tables = pulled.flat_map(|run| run.tables.iter());
    let of_domain = |table: &Arc<Table>| {
        let (of, restriction) = register.profile.selections.restriction(&table.name)?;
        (of == domain).then(|| (table.name.clone(), restriction))
    };
    tables.filter_map(of_domain).collect()
}

/// Tables whose first load waits for a choice: the kept one, if any, does not say which of their rows are the register's.
async fn waiting_of(register: &Register, domain: Domain) -> Result<Vec<TableName>, FlowError> {
    let mut tables = wanted(register, domain);
    if tables.is_empty() || register.profile.selections.withholds(domain) {
        return Ok(Vec::new());
    }
    if let Some(kept) = register.local.selection(domain).await? {
        tables.retain(|table, _| !kept.tables.contains_key(table));
    }
    let mut states = states_of(register, &tables).await?;
    states.retain(|state| state.load == Load::NotStarted);
    Ok(states.into_iter().map(|state| state.table.name.clone()).collect())
}

/// The same of all choices.
pub async fn waiting(register: &Register) -> Result<Vec<TableName>, FlowError> {
    let mut all = Vec::new();
    for domain in Domain::ALL {
        all.extend(waiting_of(register, domain).await?);
    }
    Ok(all)
}

/// The scope with the tables of it that can be pulled now: one that waits for its choice would come whole.
pub async fn without_waiting(register: &Register, run: &ScopeRun) -> Result<ScopeRun, FlowError> {
    let waiting = waiting(register).await?;
    let mut run = run.clone();
    run.tables.retain(|table| !waiting.contains(&table.name));
    Ok(run)
}

/// Before a first load: who is chosen, so that only their rows are read.
pub async fn begin(register: &Register, link: &mut Link) -> Result<(), FlowError> {
    let mut stands = Ok(());
    for domain in Domain::ALL {
        if !waiting_of(register, domain).await?.is_empty() {
            let chosen = Refresh::of(register, domain).await?.run(link).await;
            stands = stands.and(or_trouble(chosen)?.map(drop));
        }
    }
    stands
}

/// Computes anew what is due, or everything when `is_forced`.
pub async fn refresh(
    register: &Register,
    link: &mut Link,
    is_forced: bool,
) -> Result<Vec<Refreshed>, FlowError> {
    let (mut done, mut stands) = (Vec::new(), Ok(()));
    for domain in Domain::ALL {
        if is_due(register, domain, is_forced).await? {
            let chosen = Refresh::of(register, domain).await?.run(link).await;
            stands = stands.and(or_trouble(chosen)?.map(|one| done.extend(one)));
        }
    }
    stands.map(|()| done)
}

/// What is wrong with one choice is told when the other one was computed too; trouble with the channel is both's.
fn or_trouble<T>(result: Result<T, FlowError>) -> Result<Result<T, FlowError>, FlowError> {
    match result {
        Err(error) if error.is_channel_trouble() => Err(error),
        result => Ok(result),
    }
}

async fn is_due(register: &Register, domain: Domain, is_forced: bool) -> Result<bool, FlowError> {
    let selections = &register.profile.selections;
    let wanted = wanted(register, domain);
    let Some(kept) = register.local.selection(domain).await? else {
        return Ok(!wanted.is_empty());
    };
    if (&kept.rule, &kept.tables) != (&selections.rule(domain), &wanted) {
        return Ok(true);
    }
    if wanted.is_empty() {
        return Ok(false);
    }
    let age_ms = age_ms(register, &kept);
    let refresh_ms = selections.refresh(domain).as_millis();
    let is_old = age_ms.is_none_or(|age_ms| u128::from(age_ms) >= refresh_ms);
    if selections.withholds(domain) {
        return is_anything_left(register, domain, &wanted, is_old).await;
    }
    Ok(is_forced || is_old)
}

/// How old the choice is. By the wall clock when this run sees it first, from then on by the monotonic one: a clock that is
/// set while the register runs makes no choice late or early. One that comes from the future is of a clock that was
/// set back since, and nobody knows its age.
fn age_ms(register: &Register, kept: &KeptSelection) -> Option<u64> {
    let clock = &register.env.clock;
    let now_ms = clock.monotonic_us() / 1_000;
    let mut seen = register.choices_seen.ages.locked();
    if let Some(seen) = seen.get(&kept.domain).filter(|seen| seen.computed_ms == kept.computed_ms) {
        return Some(seen.age_ms + (now_ms - seen.at_ms));
    }
    let age_ms = u64::try_from(clock.wall_ms() - kept.computed_ms).ok()?;
    seen.insert(kept.domain, Seen { computed_ms: kept.computed_ms, age_ms, at_ms: now_ms });
    Some(age_ms)
}

/// What was unsent when it was withheld goes as soon as it was sent. What waits for a person's decision may wait for days:
/// as long as nothing has changed since the last look, that is asked for again only by the age of the choice.
async fn is_anything_left(
    register: &Register,
    domain: Domain,
    wanted: &BTreeMap<TableName, Restriction>,
    is_old: bool,
) -> Result<bool, FlowError> {
    let counts = register.local.counts().await?;
    if counts.pending_rows > 0 {
        return Ok(false);
    }
    let mut rows = Vec::new();
    for table in wanted.keys() {
        rows.push(register.local.count(table).await?);
    }
    if rows.iter().all(|rows| *rows == 0) {
        return Ok(false);
    }
    let left = (rows, counts);
    let mut seen = register.choices_seen.left.locked();
    let before = seen.insert(domain, left.clone());
    Ok(is_old || before != Some(left))
}

async fn states_of(
    register: &Register,
    tables: &BTreeMap<TableName, Restriction>,
) -> Result<Vec<TableState>, FlowError> {
    let mut states = register.local.tables().await?;
    states.retain(|state| tables.contains_key(&state.table.name));
    Ok(states)
}

fn kinds(tables: &BTreeMap<TableName, Restriction>) -> Vec<MemberKind> {
    let all: BTreeSet<MemberKind> = tables.values().flat_map(Restriction::kinds).collect();
    all.into_iter().collect()
}

fn names(register: &Register) -> BTreeSet<TableName> {
    let tables = register.scopes.iter().flat_map(|run| run.tables.iter());
    tables.map(|table| table.name.clone()).collect()
}

/// What this register's own kept sales name: returns find it whatever the choice says.
async fn own(register: &Register, domain: Domain) -> Result<BTreeSet<String>, FlowError> {
    let (table, column) = match domain {
        Domain::Products => ("RETAILTRANSACTIONSALESTRANS", "ITEMID"),
        Domain::Customers => ("RETAILTRANSACTIONTABLE", "CUSTACCOUNT"),
    };
    let table = TableName::new("ax", table);
    Ok(register.local.texts_of(&table, column, limits::SELECTION_OWN_MAX).await?)
}

fn choice<'a>(
    register: &'a Register,
    domain: Domain,
    own: &'a BTreeSet<String>,
    kinds: &'a [MemberKind],
    tables: &'a BTreeSet<TableName>,
) -> Choice<'a> {
    let today = Timestamp::from_unix_ms(register.env.clock.wall_ms()).date();
    let selections = &register.profile.selections;
    Choice { selections, domain, store: &register.file.store, today, own, kinds, tables }
}

/// For the operator: what is chosen, and when it was computed.
pub async fn shown(register: &Register) -> Result<Json, FlowError> {
    let mut all = serde_json::Map::new();
    for domain in Domain::ALL {
        let selections = &register.profile.selections;
        let kept = register.local.selection(domain).await?;
        let wanted = wanted(register, domain);
        let is_in_force = match &kept {
            Some(kept) => (&kept.rule, &kept.tables) == (&selections.rule(domain), &wanted),
            None => wanted.is_empty(),
        };
        let told = kept.as_ref().and_then(|kept| serde_json::from_str::<Json>(&kept.told).ok());
        let told = told.unwrap_or_default();
        all.insert(
            domain.name().to_string(),
            json!({
                "chosen": match () {
                    () if selections.withholds(domain) => "none",
                    () if selections.is_all(domain) => "all",
                    () => "some",
                },
                "in_force": is_in_force,
                "computed_at_ms": kept.as_ref().map(|kept| kept.computed_ms),
                "refresh_h": selections.refresh(domain).as_secs_f64() / 3_600.0,
                "criteria": told["criteria"],
                "members": told["members"],
                "unknown": told["unknown"],
            }),
        );
    }
    Ok(Json::Object(all))
}

/// Who would join and who would leave if it were computed now; nothing is changed.
pub async fn would_change(register: &Register, link: &mut Link) -> Result<Json, FlowError> {
    let mut all = serde_json::Map::new();
    for domain in Domain::ALL {
        let selections = &register.profile.selections;
        let wanted = wanted(register, domain);
        if selections.is_all(domain) || selections.withholds(domain) || wanted.is_empty() {
            continue;
        }
        let own = own(register, domain).await?;
        let (tables, kinds) = (names(register), kinds(&wanted));
        let now = choose(link, &choice(register, domain, &own, &kinds, &tables)).await?.members;
        let before = match register.local.selection(domain).await? {
            Some(kept) => members(register, &kept).await?,
            None => Arc::default(),
        };
        let kind = match domain {
            Domain::Products => MemberKind::Item,
            Domain::Customers => MemberKind::Account,
        };
        let (join, leave) = (now.beyond(&before), before.beyond(&now));
        let list = |of: &Members| {
            let keys = of.of(kind).into_iter().flatten().take(limits::SELECTION_SHOWN_MAX);
            json!({ "count": of.count(kind), "first": keys.collect::<Vec<_>>() })
        };
        all.insert(
            domain.name().to_string(),
            json!({ "would_join": list(&join), "would_leave": list(&leave) }),
        );
    }
    Ok(Json::Object(all))
}
