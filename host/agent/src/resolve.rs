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

mod contested_row;

use crate::fault::FlowError;
use crate::register::Register;
use crate::rules;
use contested_row::ContestedRow;
use std::collections::BTreeMap;
use tillhold_channel::Link;
use tillhold_channel::read::read;
use tillhold_channel::upload::Outgoing;
use tillhold_core::conflict::{BY_PERSON, Conflict, Decision, Policy, Resolution};
use tillhold_core::filter::Filter;
use tillhold_core::row::{Change, Key};
use tillhold_core::table::TableName;
use tillhold_core::transaction::{Contest, Transaction, Write};
use tillhold_local::{ConflictRecord, Deferred, Settlement};

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

fn built_in(policy: &Policy) -> Rule {
    Rule { name: policy.name().to_string(), ..Rule::default() }
}
