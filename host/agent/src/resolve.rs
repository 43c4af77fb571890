//! Contested rows decided: the three sides put together, the scope's policy or plugin asked, its answer turned
//! into what the channel gets and what the register keeps.
//!
//! * A conflict shows rows as the register sees them: the channel's row goes through the scope's transformer first,
//!   so that a masked cell never looks like a change.
//! * What goes up is the channel's own row with the decided cells changed: a cell that the register never saw
//!   unmasked is never written back.
//! * A channel's row that the rule refuses is not gone: the conflict waits for a person, and the register keeps its row.
//! * A row that nobody has changed as the register sees it is no conflict: no rule is asked, the register's row goes up.
//! * One deferred row defers its whole transaction, which is never split.
//! * What a person chose holds for the rows that they were shown: when either has changed, they are asked again.

use crate::fault::FlowError;
use crate::numbers;
use crate::plugins::stats::{ConflictCounts, Place, Work};
use crate::register::{Register, ScopeRun};
use crate::rules::{self, RowOutcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_channel::Link;
use tillhold_channel::keyed::passing;
use tillhold_channel::read::read;
use tillhold_channel::upload::Outgoing;
use tillhold_core::conflict::{self, BY_PERSON, Conflict, Decision, Policy, Resolution};
use tillhold_core::filter::Filter;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::Resolver;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Contest, Operation, Transaction, Write};
use tillhold_core::value::Value;
use tillhold_local::{ConflictRecord, Deferred, Settlement};
use tillhold_plugin::Flow;

/// One contested transaction while its conflicts are decided, as often as the channel's rows move.
pub struct Case<'a> {
    original: &'a PreparedTransaction,
    /// What a person chose about rows of it.
    chosen: Vec<ConflictRecord>,
    /// By position in the original.
    fates: BTreeMap<usize, Fate>,
    /// Which write of the original each write of the last upload was: contests name those.
    sent: Vec<usize>,
}

/// What becomes of one contested row.
enum Fate {
    /// It was written at the channel, but not so that the register could see it: nothing to decide.
    Undisputed(Write),
    Decided {
        /// `None` when the channel keeps what it has.
        outgoing: Option<Write>,
        on_register: Change,
        decision: Box<Decision>,
    },
}

/// A transaction as it goes to the channel, under the id and hash of the one that the register has.
pub struct PreparedTransaction {
    pub transaction: Transaction,
    /// Positions of the writes that a rule or a resolution made of it.
    pub altered: Vec<usize>,
}

impl PreparedTransaction {
    pub fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { altered: &self.altered, ..Outgoing::plain(&self.transaction) }
    }
}

impl<'a> Case<'a> {
    pub fn new(original: &'a PreparedTransaction, mut chosen: Vec<ConflictRecord>) -> Case<'a> {
        chosen.retain(|record| record.chosen.is_some());
        let sent = (0..original.transaction.writes.len()).collect();
        Case { original, chosen, fates: BTreeMap::new(), sent }
    }

    /// Decides the rows about which a person chose, before anything is sent: a row that has gone at the channel would
    /// not be contested, and the choice would be passed over.
    pub async fn decide_chosen(
        &mut self,
        register: &Register,
        link: &mut Link,
    ) -> Result<Vec<Deferred>, FlowError> {
        let mut contests = Vec::new();
        for record in &self.chosen {
            let Conflict { table, key, .. } = &record.deferred.conflict;
            let same = |write: &Write| {
                write.table.name == table.name && write.key.folded(table) == key.folded(table)
            };
            // A later transaction may have written all that this one did to the row.
            let Some(write) = self.original.transaction.writes.iter().position(same) else {
                continue;
            };
            let equals = table.key.iter().copied().zip(key.0.iter().cloned()).collect();
            let filter = Filter { equals, limit: 1, ..Filter::default() };
            let channel = read(link, table, &filter, None).await?.pop();
            contests.push(Contest { write, channel, version: record.deferred.version });
        }
        self.decide(register, link, &contests).await
    }

    pub fn original(&self) -> &'a PreparedTransaction {
        self.original
    }

    /// Decides the contested rows of the last upload; what it cannot decide waits for a person.
    pub async fn decide(
        &mut self,
        register: &Register,
        link: &mut Link,
        contests: &[Contest],
    ) -> Result<Vec<Deferred>, FlowError> {
        let mut deferred = Vec::new();
        let time = rules::time_of(register, self.original.transaction.id).await?;
        for contest in contests {
            let unknown = FlowError::BrokeOff("an upload that contests a row it did not get");
            let at = self.sent.get(contest.write).copied().ok_or(unknown)?;
            let transaction = &self.original.transaction;
            let write = &transaction.writes[at];
            let side = ContestedRow::new(register, link, (write, time), contest).await?;
            let chosen = self.chosen.iter().find(|record| side.is_of(&record.deferred.conflict));
            if chosen.is_none() && side.is_undisputed() {
                let outgoing = side.outgoing(write, contest, &Resolution::TakeOffline);
                self.fates.extend(outgoing.map(|outgoing| (at, Fate::Undisputed(outgoing))));
                continue;
            }
            let (resolution, rule) = match (chosen, &side.refused) {
                (Some(record), _) => by_person(&side.conflict, record),
                (None, Some(why)) => (Resolution::Defer(why.clone()), built_in(&Policy::Defer)),
                (None, None) => side.ask(register).await?,
            };
            if let Resolution::Defer(reason) = resolution {
                let id = register.env.random.uuid();
                let (conflict, version) = (side.conflict, contest.version);
                let Rule { name, digest, .. } = rule;
                deferred.push(Deferred {
                    id,
                    conflict,
                    reason,
                    rule: name,
                    plugin: digest,
                    version,
                });
                continue;
            }
            let outgoing = side.outgoing(write, contest, &resolution);
            let on_register = side.on_register(&resolution);
            let decision = decision(register, transaction, side.conflict, resolution, rule);
            let decision = Box::new(decision);
            self.fates.insert(at, Fate::Decided { outgoing, on_register, decision });
        }
        Ok(deferred)
    }

    /// The transaction as it stands decided now.
    pub fn prepared(&mut self) -> PreparedTransaction {
        let original = &self.original.transaction;
        let mut transaction = Transaction { writes: Vec::new(), ..original.clone() };
        let mut altered = Vec::new();
        self.sent.clear();
        for (at, write) in original.writes.iter().enumerate() {
            let by_rule = self.original.altered.contains(&at);
            let (outgoing, is_altered) = match self.fates.get(&at) {
                None => (write, by_rule),
                Some(Fate::Undisputed(outgoing)) => (outgoing, by_rule),
                Some(Fate::Decided { outgoing: Some(outgoing), .. }) => (outgoing, true),
                Some(Fate::Decided { outgoing: None, .. }) => continue,
            };
            if is_altered {
                altered.push(transaction.writes.len());
            }
            self.sent.push(at);
            transaction.writes.push(outgoing.clone());
        }
        PreparedTransaction { transaction, altered }
    }

    pub fn decisions(&self) -> Vec<Decision> {
        let decided = |fate: &Fate| match fate {
            Fate::Undisputed(_) => None,
            Fate::Decided { decision, .. } => Some(decision.as_ref().clone()),
        };
        self.fates.values().filter_map(decided).collect()
    }

    /// The same for the register's own record, with the row that both sides have afterwards.
    pub fn kept_decisions(&self) -> Vec<tillhold_local::Decision> {
        let kept = |fate: &Fate| match fate {
            Fate::Undisputed(_) => None,
            Fate::Decided { on_register, decision, .. } => Some(kept(decision, on_register)),
        };
        self.fates.values().filter_map(kept).collect()
    }

    /// The register's end of the matter: its rows and the decisions. Rows that do not pass their filter any more, `left`,
    /// are gone however they were decided.
    pub fn settlement(self, left: Vec<(TableName, Key)>) -> Settlement {
        let decisions = self.kept_decisions();
        let row = |fate: Fate| match fate {
            Fate::Undisputed(_) => None,
            Fate::Decided { on_register, decision, .. } => {
                Some((decision.conflict.table.name.clone(), on_register))
            }
        };
        let mut rows: Vec<_> = self.fates.values().filter_map(spelled_otherwise).collect();
        rows.extend(self.fates.into_values().filter_map(row));
        rows.extend(left.into_iter().map(|(table, key)| (table, Change::Gone(key))));
        Settlement::Resolved { rows, decisions }
    }
}

/// The register's own row, where the channel's has taken its place under a key that only SQLite tells from it.
fn spelled_otherwise(fate: &Fate) -> Option<(TableName, Change)> {
    let Fate::Decided { on_register: Change::Present(row), decision, .. } = fate else {
        return None;
    };
    let Conflict { table, key, .. } = &decision.conflict;
    let is_other = row.key(table).folded(table) != key.folded(table);
    is_other.then(|| (table.name.clone(), Change::Gone(key.clone())))
}

fn kept(decision: &Decision, on_register: &Change) -> tillhold_local::Decision {
    tillhold_local::Decision {
        id: decision.id,
        conflict: decision.conflict.clone(),
        decided: match on_register {
            Change::Present(row) => Some(row.clone()),
            Change::Gone(_) => None,
        },
        rule: decision.rule.clone(),
        plugin: decision.plugin_digest.clone(),
        who: decision.who.clone(),
        why: decision.why.clone(),
    }
}

/// What decides: a policy, a plugin or a person.
#[derive(Default)]
struct Rule {
    name: String,
    digest: Option<String>,
    /// A person's decision has the id of the conflict that they were shown.
    id: Option<[u8; 16]>,
    who: Option<String>,
    why: Option<String>,
}

/// A person chose about the rows that they were shown, and about no others.
fn by_person(conflict: &Conflict, record: &ConflictRecord) -> (Resolution, Rule) {
    let shown = &record.deferred;
    let Some(chosen) = &record.chosen else {
        return (Resolution::Defer(shown.reason.clone()), Rule::default());
    };
    let choice = &chosen.choice;
    let moved = match (
        conflict.channel == shown.conflict.channel,
        conflict.offline == shown.conflict.offline,
    ) {
        (true, true) => {
            choice.resolution(conflict).map_err(|_| "the row that it starts from is gone")
        }
        (false, _) => Err("the channel's row has changed since"),
        (true, false) => Err("the register's row has changed since"),
    };
    match moved {
        Ok(resolution) => {
            let (who, why) = (Some(choice.who.clone()), choice.why.clone());
            let name = BY_PERSON.to_string();
            (resolution, Rule { name, digest: None, id: Some(shown.id), who, why })
        }
        Err(what) => {
            let reason = format!("{} chose {}, but {what}", choice.who, choice.take.name());
            let (name, digest) = (shown.rule.clone(), shown.plugin.clone());
            (Resolution::Defer(reason), Rule { name, digest, ..Rule::default() })
        }
    }
}

fn decision(
    register: &Register,
    transaction: &Transaction,
    conflict: Conflict,
    resolution: Resolution,
    rule: Rule,
) -> Decision {
    Decision {
        id: rule.id.unwrap_or_else(|| register.env.random.uuid()),
        decided_at_ms: register.env.clock.wall_ms(),
        register: register.file.identity().channel_name(),
        transaction: transaction.id,
        conflict,
        rule: rule.name,
        plugin_digest: rule.digest,
        who: rule.who,
        why: rule.why,
        resolution,
    }
}

/// One contested row: the conflict as rules see it, and the channel's row as it really is.
struct ContestedRow {
    conflict: Conflict,
    raw_channel: Option<Row>,
    /// Why the scope's rule does not let the channel's row onto the register.
    refused: Option<String>,
    /// The sale's own: a rule that is asked again is told the same.
    time: Timestamp,
}

impl ContestedRow {
    async fn new(
        register: &Register,
        link: &mut Link,
        (write, time): (&Write, Timestamp),
        contest: &Contest,
    ) -> Result<ContestedRow, FlowError> {
        let seen = match (&contest.channel, register.scope_of(&write.table.name)) {
            (Some(row), Some(run)) => {
                seen_by_register(register, link, (run, time), write, row).await?
            }
            (Some(row), None) => ChannelRow::Seen(row.clone()),
            (None, _) => ChannelRow::NotHere,
        };
        let (seen, refused) = match seen {
            ChannelRow::Seen(row) => (Some(row), None),
            ChannelRow::NotHere => (None, None),
            ChannelRow::Refused(why) => (None, Some(why)),
        };
        let conflict = Conflict {
            table: write.table.clone(),
            key: write.key.clone(),
            base: write.base.clone(),
            channel: seen,
            offline: write.offline.clone(),
        };
        Ok(ContestedRow { conflict, raw_channel: contest.channel.clone(), refused, time })
    }

    fn is_of(&self, shown: &Conflict) -> bool {
        let Conflict { table, key, .. } = &self.conflict;
        table.name == shown.table.name && key.folded(table) == shown.key.folded(table)
    }

    /// Nobody has changed what the register knew: the row was resolved before and not pulled since, or a trigger or a
    /// column that does not travel was written.
    fn is_undisputed(&self) -> bool {
        self.conflict.base.is_some() && self.conflict.base == self.conflict.channel
    }

    async fn ask(&self, register: &Register) -> Result<(Resolution, Rule), FlowError> {
        let name = &self.conflict.table.name;
        let Some(run) = register.scope_of(name) else {
            let reason = format!("{name} is in no scope of the profile any more");
            return Ok((Resolution::Defer(reason), built_in(&Policy::Defer)));
        };
        let (channel, offline) = (&self.conflict.channel, &self.conflict.offline);
        if let Some(further) =
            numbers::further(&self.conflict.table, channel.as_ref(), offline.as_ref())
        {
            let taken = if further { Resolution::TakeOffline } else { Resolution::TakeChannel };
            return Ok((taken, Rule { name: "higher number".to_string(), ..Rule::default() }));
        }
        match (&run.scope.resolver, &run.resolver) {
            (Resolver::BuiltIn(policy), _) => {
                Ok((conflict::decide(policy, &self.conflict), built_in(policy)))
            }
            (Resolver::Plugin(_), Some(plugin)) => {
                let (name, digest) = (plugin.name().to_string(), plugin.digest().to_string());
                let rule = Rule { name, digest: Some(digest), ..Rule::default() };
                Ok((self.ask_plugin(register, run, plugin.clone()).await?, rule))
            }
            (Resolver::Plugin(plugin), None) => {
                let reason = format!("the resolver {} is not loaded", plugin.name);
                Ok((Resolution::Defer(reason), built_in(&Policy::Defer)))
            }
        }
    }

    /// A resolver that fails decides nothing: the conflict waits for a person, with the failure as its reason.
    async fn ask_plugin(
        &self,
        register: &Register,
        run: &ScopeRun,
        plugin: Arc<tillhold_plugin::Plugin>,
    ) -> Result<Resolution, FlowError> {
        let identity = register.file.identity();
        let context = rules::context(&identity, &run.scope.name, Flow::Push, self.time);
        let conflicts = vec![self.conflict.clone()];
        let id = plugin.id().clone();
        let answer = register
            .env
            .blocking("resolve", move || plugin.resolve(&context, &conflicts))
            .await
            .ok_or(FlowError::BrokeOff("a resolver"))?;
        let resolution = match answer.map(|resolutions| resolutions.into_iter().next()) {
            Ok(resolution) => {
                run.book.succeed(&id);
                let silent = || Resolution::Defer("the resolver gave no answer".to_string());
                resolution.unwrap_or_else(silent)
            }
            Err(error) => {
                let reason = error.to_string();
                rules::note_failure(&register.env, &run.book, &id, &error, self.place(run));
                Resolution::Defer(reason)
            }
        };
        let deferred = u64::from(matches!(resolution, Resolution::Defer(_)));
        let conflicts = ConflictCounts { asked: 1, decided: 1 - deferred, deferred };
        run.book.note(&id, Work { calls: 1, conflicts, ..Work::default() });
        Ok(resolution)
    }

    fn place(&self, run: &ScopeRun) -> Place {
        let Conflict { table, key, .. } = &self.conflict;
        Place {
            scope: run.scope.name.clone(),
            table: table.name.to_string(),
            key: Some(rules::key_text(key, table)),
        }
    }

    /// The write that goes up; `None` when the channel keeps what it has.
    fn outgoing(&self, write: &Write, contest: &Contest, resolution: &Resolution) -> Option<Write> {
        let offline = match resolution {
            Resolution::TakeChannel | Resolution::Defer(_) => return None,
            Resolution::TakeOffline => self.offline_over_channel(write),
            Resolution::Merge(cells) => {
                Some(changed(self.raw_channel.as_ref().or(write.offline.as_ref())?, cells))
            }
        };
        let operation = match (&self.raw_channel, &offline) {
            (Some(_), Some(_)) => Operation::Update,
            (None, Some(_)) => Operation::Insert,
            (Some(_), None) => Operation::Delete,
            (None, None) => return None,
        };
        Some(Write {
            operation,
            base: self.raw_channel.clone(),
            offline,
            // What was decided upon counts as seen: only a still later change contests again.
            base_version: contest.version.unwrap_or(write.base_version),
            ..write.clone()
        })
    }

    /// The register's changed cells on the channel's row; the register's whole row where the channel has none.
    fn offline_over_channel(&self, write: &Write) -> Option<Row> {
        let offline = write.offline.as_ref()?;
        let Some(channel) = &self.raw_channel else { return Some(offline.clone()) };
        let cells: Vec<(usize, Value)> =
            write.changed().into_iter().map(|at| (at, offline.0[at].clone())).collect();
        Some(changed(channel, &cells))
    }

    /// What the register's row becomes.
    fn on_register(&self, resolution: &Resolution) -> Change {
        let Conflict { key, channel, offline, .. } = &self.conflict;
        let row = match (resolution, channel, offline) {
            (Resolution::Merge(cells), Some(row), _)
            | (Resolution::Merge(cells), None, Some(row)) => Some(changed(row, cells)),
            (Resolution::TakeOffline, Some(channel), Some(offline)) => {
                let base = self.conflict.base.as_ref();
                let differs = |at: &usize| base.is_none_or(|base| base.0[*at] != offline.0[*at]);
                let cells: Vec<(usize, Value)> = (0..offline.0.len())
                    .filter(differs)
                    .map(|at| (at, offline.0[at].clone()))
                    .collect();
                Some(changed(channel, &cells))
            }
            (Resolution::TakeOffline, None, offline) => offline.clone(),
            (Resolution::TakeOffline, Some(_), None) => None,
            // It cannot have the channel's: it stays with the last one that it could.
            (Resolution::TakeChannel, None, _) if self.refused.is_some() => {
                self.conflict.base.clone().or(offline.clone())
            }
            (_, channel, _) => channel.clone(),
        };
        row.map_or(Change::Gone(key.clone()), Change::Present)
    }
}

fn built_in(policy: &Policy) -> Rule {
    Rule { name: policy.name().to_string(), ..Rule::default() }
}

fn changed(row: &Row, cells: &[(usize, Value)]) -> Row {
    let mut row = row.clone();
    for (at, value) in cells {
        row.0[*at] = value.clone();
    }
    row
}

/// The channel's row as a pull would bring it.
enum ChannelRow {
    Seen(Row),
    /// The channel has none, or the table's filter or the scope's rule keeps it off the register.
    NotHere,
    /// By the scope's rule, for this reason: a pull leaves what the register has.
    Refused(String),
}

async fn seen_by_register(
    register: &Register,
    link: &mut Link,
    (run, time): (&ScopeRun, Timestamp),
    write: &Write,
    row: &Row,
) -> Result<ChannelRow, FlowError> {
    let table = &write.table;
    if let Some(filter) = register.filter(link, run, &table.name).await? {
        // Only the channel can say: by its collation, and by columns that do not travel.
        let keys = [write.key.clone()];
        if passing(link, table, Some(&filter), &keys).await? == [false] {
            return Ok(ChannelRow::NotHere);
        }
    }
    let context = rules::context(&register.file.identity(), &run.scope.name, Flow::Pull, time);
    let outcomes = rules::transform(&register.env, run, &context, table, vec![row.clone()]).await?;
    Ok(match outcomes.into_iter().next() {
        Some(RowOutcome::Kept(row)) => ChannelRow::Seen(row),
        Some(RowOutcome::Quarantined(_, why)) => {
            ChannelRow::Refused(format!("the scope's rule refuses the channel's row: {why}"))
        }
        Some(RowOutcome::Dropped(_)) | None => ChannelRow::NotHere,
    })
}
