//! The numbers of sales, used once: the marks of register and channel put together, the seed row raised to them, and a
//! sale refused whose number was used.
//!
//! 1. At the start the kept marks count, with what the register's own tables hold.
//! 2. With the channel in reach its marks are read and kept: the seed row and every number of this register's sales.
//! 3. A seed below the mark is raised, as a change that is pushed; one that cannot be raised stops the selling.
//!
//! A register that keeps no sales ([`tillhold_core::numbering::AX`]) has nothing to count.

use crate::agent::Agent;
use crate::fault::FlowError;
use crate::register::Register;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use std::sync::Mutex;
use tillhold_channel::Link;
use tillhold_channel::marks::{Marks, marks};
use tillhold_core::filter::Filter;
use tillhold_core::numbering::{AX, UsedNumbers, sequence};
use tillhold_core::profile::InDoubt;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::transaction::{ContentHash, Contest, Operation, TransactionId, Write};
use tillhold_core::value::Value;
use tillhold_env::Locked as _;
use tillhold_local::{LocalDatabase, RowWrite};

/// The fact's name in the offline database.
const KEPT: &str = "numbers";

/// What the running agent knows.
#[derive(Default)]
pub struct Numbers(Mutex<Known>);

#[derive(Clone, Default)]
struct Known {
    used: UsedNumbers,
    /// The highest number that is known to be used or given out.
    mark: u64,
    doubt: Option<NumbersDoubt>,
    company: Option<String>,
}

/// Why a register could give a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumbersDoubt {
    /// The channel's marks were never read.
    Unread,
    /// The seed rows have not come yet.
    SeedUnloaded,
    /// The seed is below the mark and cannot be raised.
    Behind { seed: u64, mark: u64 },
}

impl Numbers {
    fn known(&self) -> Known {
        self.0.locked().clone()
    }

    fn set(&self, known: Known) {
        let mut now = self.0.locked();
        // Sales that came in meanwhile.
        let used = std::mem::take(&mut now.used);
        *now = known;
        now.used.merge(&used);
    }

    /// Asked for each sale: no copy of all the numbers.
    pub fn doubt(&self) -> Option<NumbersDoubt> {
        self.0.locked().doubt
    }

    pub fn is_used(&self, number: u64) -> bool {
        self.0.locked().used.contains(number)
    }

    /// A sale was recorded under it.
    pub fn note(&self, number: u64) {
        let mut known = self.0.locked();
        known.used.add(number, number);
        known.mark = known.mark.max(number);
    }

    pub fn shown(&self) -> Json {
        let known = self.known();
        let fault = known.doubt.map(FlowError::numbers);
        json!({
            "mark": known.mark,
            "fault": fault.map(|error| json!({
                "code": error.code(), "message": error.to_string(), "hint": error.hint(),
            })),
        })
    }
}

/// The sequence of a sale that is inserted by this register, if the row is its header.
pub fn sequence_of(register: &Register, table: &Table, cells: &[Option<Value>]) -> Option<u64> {
    if table.name != AX.header() {
        return None;
    }
    let number = cells.get(table.position(AX.header_number)?)?.as_ref()?;
    let Value::Text(number) = number else { return None };
    sequence(number, &register.file.store, &register.file.register)
}

/// Why a sale is not taken now.
pub fn refusal(agent: &Agent, register: &Register) -> Option<FlowError> {
    let conduct = &register.profile.conduct;
    let numbers = agent.numbers.doubt().filter(|_| conduct.numbers_in_doubt == InDoubt::Refuse);
    let claim = agent.claim.doubt().filter(|_| conduct.incarnation_in_doubt == InDoubt::Refuse);
    numbers.map(FlowError::numbers).or(claim.map(|doubt| FlowError::doubted(&doubt)))
}

/// Whether sales are counted here at all.
fn is_counted(register: &Register) -> bool {
    register.table(&AX.header()).is_some_and(|(run, _)| run.is_pushed())
}

/// What an earlier run kept, with what the tables hold now.
pub async fn begin(agent: &Agent) -> Result<(), FlowError> {
    let register = agent.register();
    if !is_counted(&register) {
        return Ok(());
    }
    let kept = register.local.fact(KEPT).await?;
    let known = settled_with(&register, kept.as_deref(), None).await?;
    agent.numbers.set(known);
    Ok(())
}

/// Reads the channel's marks, keeps them, and raises the seed where it is below.
pub async fn refresh(agent: &Agent, register: &Register, link: &mut Link) -> Result<(), FlowError> {
    if let Some(known) = read(register, link).await? {
        if agent.numbers.doubt() != known.doubt
            && let Some(doubt) = known.doubt
        {
            agent.say(&FlowError::numbers(doubt).to_string());
        }
        agent.numbers.set(known);
    }
    Ok(())
}

/// The same once the seed rows are there that were not when the marks were read: their scope stood still on the way back.
pub async fn refresh_if_seeds_came(
    agent: &Agent,
    register: &Register,
    link: &mut Link,
) -> Result<(), FlowError> {
    if agent.numbers.doubt() != Some(NumbersDoubt::SeedUnloaded) {
        return Ok(());
    }
    match register.table(&AX.seeds()) {
        Some((_, table)) if register.local.state_of(&table.name).await?.ready => {
            refresh(agent, register, link).await
        }
        _ => Ok(()),
    }
}

/// The same without an agent, for the first filling.
pub async fn provisioned(register: &Register, link: &mut Link) -> Result<(), FlowError> {
    read(register, link).await.map(drop)
}

/// What an offline database knows of used numbers, given to the one that takes its place.
pub async fn carry(old: &LocalDatabase, register: &Register) -> Result<(), FlowError> {
    let (store, register_id) = (&register.file.store, &register.file.register);
    let kept = old.fact(KEPT).await?;
    let mut known = kept.as_deref().map(parsed).unwrap_or_default();
    known.used.merge(&old.used_numbers(&AX, store, register_id).await?);
    known.mark = known.mark.max(known.used.highest().unwrap_or(0));
    Ok(register.local.set_fact(KEPT, &written(&known)).await?)
}

fn written(known: &Known) -> String {
    let text = json!({
        "mark": known.mark, "used": known.used.text(), "company": known.company,
    });
    text.to_string()
}

async fn read(register: &Register, link: &mut Link) -> Result<Option<Known>, FlowError> {
    if !is_counted(register) {
        return Ok(None);
    }
    let (store, register_id) = (&register.file.store, &register.file.register);
    let there = marks(link, store, register_id, register.profile.conduct.seed_kind).await?;
    let kept = register.local.fact(KEPT).await?;
    let known = settled_with(register, kept.as_deref(), Some(there)).await?;
    register.local.set_fact(KEPT, &written(&known)).await?;
    Ok(Some(known))
}

async fn settled_with(
    register: &Register,
    kept: Option<&str>,
    there: Option<Marks>,
) -> Result<Known, FlowError> {
    let (store, register_id) = (&register.file.store, &register.file.register);
    let is_read = kept.is_some() || there.is_some();
    let mut known = kept.map(parsed).unwrap_or_default();
    known.used.merge(&register.local.used_numbers(&AX, store, register_id).await?);
    if let Some(there) = there {
        known.used.merge(&there.used.unwrap_or_default());
        let seed = there.seeds.and_then(|seed| seed.0).unwrap_or(0);
        known.mark = known.mark.max(seed);
        known.company = there.company.or(known.company);
    }
    known.mark = known.mark.max(known.used.highest().unwrap_or(0));
    known.doubt =
        if is_read { raised(register, &mut known).await? } else { Some(NumbersDoubt::Unread) };
    Ok(known)
}

fn parsed(text: &str) -> Known {
    let json: Json = serde_json::from_str(text).unwrap_or_default();
    Known {
        used: UsedNumbers::parse(json["used"].as_str().unwrap_or_default()).unwrap_or_default(),
        mark: json["mark"].as_u64().unwrap_or(0),
        company: json["company"].as_str().map(str::to_string),
        doubt: None,
    }
}

/// Raises the register's own seed row to the mark; what stands in the way.
async fn raised(register: &Register, known: &mut Known) -> Result<Option<NumbersDoubt>, FlowError> {
    let Some((run, table)) = register.table(&AX.seeds()) else { return Ok(None) };
    if !run.is_pushed() {
        return Ok(None);
    }
    if !register.local.state_of(&table.name).await?.ready {
        return Ok(Some(NumbersDoubt::SeedUnloaded));
    }
    let own = own_seed(register, table, register.profile.conduct.seed_kind);
    let row = register.local.read(table, &own).await?.into_iter().next();
    let (at, mark) = (table.position(AX.seed_value), known.mark);
    let seed = row.as_ref().and_then(|row| number(row, at));
    known.mark = mark.max(seed.unwrap_or(0));
    if seed.unwrap_or(0) >= mark {
        return Ok(None);
    }
    let behind = NumbersDoubt::Behind { seed: seed.unwrap_or(0), mark };
    let write = match (row, at) {
        (Some(row), Some(at)) => {
            let (table_name, key) = (table.name.clone(), row.key(table));
            let cells = vec![(at, Value::Int(mark as i64))];
            RowWrite::Amend { table: table_name, key, cells }
        }
        (None, Some(_)) => match new_seed(register, table, known) {
            Some(row) => RowWrite::Insert { table: table.name.clone(), row },
            None => return Ok(Some(behind)),
        },
        (_, None) => return Ok(Some(behind)),
    };
    let id = TransactionId(register.env.random.uuid());
    let hash = Sha256::digest(format!("seed {mark} {id}"));
    let now = register.env.clock.wall_ms();
    register.local.record(id, ContentHash(hash.into()), vec![write], now).await?;
    crate::report::line(
        &register.env,
        &format!("the seed of sale numbers was {}; it is raised to {mark}", seed.unwrap_or(0)),
    );
    Ok(None)
}

fn own_seed(register: &Register, table: &Table, kind: u32) -> Filter {
    let text = |text: &str| Value::Text(text.to_string());
    let wanted = [
        (AX.seed_kind, Value::Int(i64::from(kind))),
        (AX.seed_store, text(&register.file.store)),
        (AX.seed_terminal, text(&register.file.register)),
    ];
    let equals =
        wanted.into_iter().filter_map(|(name, value)| Some((table.position(name)?, value)));
    Filter { equals: equals.collect(), limit: 1, ..Filter::default() }
}

/// The row that AX would make; `None` where the table has a column that is not known here.
fn new_seed(register: &Register, table: &Table, known: &Known) -> Option<Row> {
    let company = known.company.clone()?;
    let cell = |name: &str| match name {
        _ if name == AX.seed_kind => Some(Value::Int(register.profile.conduct.seed_kind.into())),
        _ if name == AX.seed_store => Some(Value::Text(register.file.store.clone())),
        _ if name == AX.seed_terminal => Some(Value::Text(register.file.register.clone())),
        _ if name == AX.seed_value => Some(Value::Int(known.mark as i64)),
        _ if name == AX.company => Some(Value::Text(company.clone())),
        _ => None,
    };
    table.columns.iter().map(|column| cell(&column.name)).collect::<Option<_>>().map(Row)
}

fn number(row: &Row, at: Option<usize>) -> Option<u64> {
    match row.0.get(at?)? {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A number never goes back: of this register's own seed rows, what the register has stays where it is higher.
pub async fn keep_seeds(
    register: &Register,
    table: &Table,
    rows: &mut [Row],
) -> Result<(), FlowError> {
    if table.name != AX.seeds() {
        return Ok(());
    }
    let (store, register_id) = (table.position(AX.seed_store), table.position(AX.seed_terminal));
    let is = |row: &Row, at: Option<usize>, text: &str| {
        let cell = at.and_then(|at| row.0.get(at));
        matches!(cell, Some(Value::Text(found)) if found.trim_end().eq_ignore_ascii_case(text))
    };
    if !register.local.state_of(&table.name).await?.ready {
        return Ok(());
    }
    let at = table.position(AX.seed_value);
    for row in rows {
        if !is(row, store, &register.file.store) || !is(row, register_id, &register.file.register) {
            continue;
        }
        let equals = table.key.iter().map(|at| (*at, row.0[*at].clone())).collect();
        let filter = Filter { equals, limit: 1, ..Filter::default() };
        let here = register.local.read(table, &filter).await?.into_iter().next();
        let here = here.as_ref().and_then(|row| number(row, at));
        if let (Some(at), Some(here)) = (at, here)
            && number(row, Some(at)).is_some_and(|there| there < here)
        {
            row.0[at] = Value::Int(here as i64);
        }
    }
    Ok(())
}

/// Whether a contested row is a sale's header under a number that another sale has at the channel. Such a sale must not be
/// put together with the other one's rows.
pub fn is_taken(writes: &[Write], contests: &[Contest]) -> bool {
    let is_another = |contest: &Contest, write: &Write| {
        let is_sale = write.operation == Operation::Insert && write.table.name == AX.header();
        is_sale && contest.channel.is_some() && contest.channel != write.offline
    };
    let of = |contest: &Contest| writes.get(contest.write).is_some_and(|w| is_another(contest, w));
    contests.iter().any(of)
}

/// Whether nothing is contested but rows that count sales, of which each side says how far.
pub fn only_count(writes: &[Write], contests: &[Contest]) -> bool {
    contests.iter().all(|contest| counts(writes, contest))
}

/// Whether what is contested is such a row.
pub fn counts(writes: &[Write], contest: &Contest) -> bool {
    writes.get(contest.write).is_some_and(|write| {
        further(&write.table, contest.channel.as_ref(), write.offline.as_ref()).is_some()
    })
}

/// For a contested seed row: which side counts further. `None` for any other row.
pub fn further(table: &Table, channel: Option<&Row>, offline: Option<&Row>) -> Option<bool> {
    if table.name != AX.seeds() {
        return None;
    }
    let at = table.position(AX.seed_value);
    let (channel, offline) = (number(channel?, at)?, number(offline?, at)?);
    Some(offline >= channel)
}
