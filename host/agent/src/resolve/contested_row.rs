//! One contested row as the scope's policy or plugin is asked about it, and what its answer makes of both sides.

use super::{Rule, built_in};
use crate::fault::FlowError;
use crate::numbers;
use crate::plugins::stats::{ConflictCounts, Place, Work};
use crate::register::{Register, ScopeRun};
use crate::rules::{self, RowOutcome};
use std::sync::Arc;
use tillhold_channel::Link;
use tillhold_channel::keyed::passing;
use tillhold_core::conflict::{self, Conflict, Policy, Resolution};
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::Resolver;
use tillhold_core::row::{Change, Row};
use tillhold_core::transaction::{Contest, Operation, Write};
use tillhold_core::value::Value;
use tillhold_plugin::Flow;

/// One contested row: the conflict as rules see it, and the channel's row as it really is.
pub(super) struct ContestedRow {
    pub(super) conflict: Conflict,
    raw_channel: Option<Row>,
    /// Why the scope's rule does not let the channel's row onto the register.
    pub(super) refused: Option<String>,
    /// The sale's own: a rule that is asked again is told the same.
    time: Timestamp,
}

impl ContestedRow {
    pub(super) async fn new(
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

    pub(super) fn is_of(&self, shown: &Conflict) -> bool {
        let Conflict { table, key, .. } = &self.conflict;
        table.name == shown.table.name && key.folded(table) == shown.key.folded(table)
    }

    /// Nobody has changed what the register knew: the row was resolved before and not pulled since, or a trigger or a
    /// column that does not travel was written.
    pub(super) fn is_undisputed(&self) -> bool {
        self.conflict.base.is_some() && self.conflict.base == self.conflict.channel
    }

    pub(super) async fn ask(&self, register: &Register) -> Result<(Resolution, Rule), FlowError> {
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
    pub(super) fn outgoing(
        &self,
        write: &Write,
        contest: &Contest,
        resolution: &Resolution,
    ) -> Option<Write> {
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
    pub(super) fn on_register(&self, resolution: &Resolution) -> Change {
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
