//! Makes the files hold the profile's tables: what is missing is created, what has changed is migrated in place, what
//! the profile no longer names leaves, and no unsent row is lost on the way.
//!
//! ```text
//! held + wanted ─► plan ─► journal: new, changed, moved in ─► catalogue: all of it ─► journal: moved out
//! ```
//!
//! * Each file is changed in one transaction. Cut off between them, the next installation plans from what is there.
//! * Whatever is taken away is looked at for unsent rows once more in the transaction that takes it.
//! * What a removed column or table held is gone from the file itself ([`LocalDatabase::purge`]).

use crate::capture;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, LoadState, Registry, direction_name};
use crate::reshape;
use crate::schema::{self, Names};
use crate::shape;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_core::alteration::Alteration;
use tillhold_core::migration::{self, Action, HeldTable, InstalledTable, Place, Plan, Step};
use tillhold_core::table::TableName;

/// What an installation did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstallReport {
    /// As it was carried out.
    pub plan: Plan,
    /// Tables that cannot be synchronised, with the reason; the others are installed all the same.
    pub left_out: Vec<(TableName, String)>,
    /// Lookups of tables or columns that are not there.
    pub lookups_left_out: Vec<(TableName, Vec<String>)>,
}

impl InstallReport {
    /// Names of the tables with which this was done.
    pub fn tables(&self, action: Action) -> Vec<TableName> {
        let those = self.plan.steps.iter().filter(|step| step.action == action);
        those.map(|step| step.name.clone()).collect()
    }
}

impl LocalDatabase {
    /// Installs `tables` and an index for each of `lookups`. Repeating it changes nothing.
    pub async fn install(
        &self,
        tables: Vec<InstalledTable>,
        lookups: Vec<(TableName, Vec<String>)>,
    ) -> Result<InstallReport, LocalError> {
        let mut report = InstallReport::default();
        let (tables, keyless): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|wanted| !wanted.table.key.is_empty());
        for wanted in keyless {
            let reason = "it has no primary key that travels, so its rows cannot be told apart";
            report.left_out.push((wanted.table.name.clone(), reason.to_string()));
        }
        report.plan = self.plan(&tables).await?;
        if report.plan.changes() {
            self.carry_out(&report.plan, &Phase::ALL).await?;
        }
        report.lookups_left_out = self.install_lookups(lookups).await?;
        Ok(report)
    }

    /// What an installation of `tables` would do.
    pub async fn plan(&self, tables: &[InstalledTable]) -> Result<Plan, LocalError> {
        let registry = self.registry();
        let mut held = Vec::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            let known = registry.clone();
            held.extend(self.readers(kind).run(move |conn| held_in(conn, &known, kind)).await?);
        }
        Ok(migration::plan(&held, tables))
    }

    /// What removed columns and tables held is overwritten in the files of these places, which become as small as what is
    /// in them. Does nothing when nothing was removed; what another connection keeps it from is done by the next call.
    /// No sale is written to the journal meanwhile.
    pub async fn overwrite_removed(&self, places: &[Place]) -> Result<(), LocalError> {
        let kinds = [Kind::Journal, Kind::Catalogue];
        for kind in kinds.into_iter().filter(|kind| places.contains(&kind.place())) {
            if self.readers(kind).run(is_purge_due).await? {
                self.writer(kind).run(overwrite).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn carry_out(&self, plan: &Plan, phases: &[Phase]) -> Result<(), LocalError> {
        let plan = Arc::new(plan.clone());
        for phase in phases.iter().copied() {
            let work = Work {
                phase,
                plan: plan.clone(),
                registry: self.registry(),
                now_ms: self.env().clock.wall_ms(),
                other: self
                    .path(if phase == Phase::Catalogue { Kind::Journal } else { Kind::Catalogue })
                    .to_path_buf(),
            };
            if work.has_any() {
                self.writer(phase.kind()).run(move |conn| work.carry_out(conn)).await?;
            }
        }
        self.refresh_registry().await
    }

    async fn install_lookups(
        &self,
        lookups: Vec<(TableName, Vec<String>)>,
    ) -> Result<Vec<(TableName, Vec<String>)>, LocalError> {
        let registry = self.registry();
        let mut left_out = Vec::new();
        for (name, columns) in lookups {
            let found = registry.get(&name).ok();
            let position = |entry: &Entry, column: &String| entry.table.position(column);
            let positions: Option<Vec<usize>> =
                found.and_then(|entry| columns.iter().map(|c| position(entry, c)).collect());
            let (Some(entry), Some(positions)) = (found, positions) else {
                left_out.push((name, columns));
                continue;
            };
            let sql = schema::create_lookup(&entry.table, &positions);
            self.writer(entry.kind).run(move |conn| Ok(conn.execute_batch(&sql)?)).await?;
        }
        Ok(left_out)
    }
}

fn is_purge_due(conn: &Connection) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_meta WHERE name = 'purge')";
    Ok(conn.query_row(sql, (), |row| row.get(0))?)
}

fn overwrite(conn: &mut Connection) -> Result<(), Trouble> {
    conn.execute_batch("VACUUM;")?;
    // The log has the old pages until it is begun anew, which a reader with an old snapshot prevents.
    let is_hindered: bool =
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    if !is_hindered {
        conn.execute("DELETE FROM tillhold_meta WHERE name = 'purge'", ())?;
    }
    Ok(())
}

/// What a file holds, with what is unsent of it.
pub(crate) fn held_in(
    conn: &Connection,
    registry: &Registry,
    kind: Kind,
) -> Result<Vec<HeldTable>, Trouble> {
    let unsent = match kind {
        Kind::Journal => unsent_rows(conn)?,
        Kind::Catalogue => BTreeMap::new(),
    };
    let mut held = Vec::new();
    for entry in registry.everything().filter(|entry| entry.kind == kind) {
        held.push(HeldTable {
            table: entry.table.clone(),
            scope: entry.scope.clone(),
            direction: entry.direction,
            place: kind.place(),
            is_ready: entry.progress(conn)?.ready,
            unsent_rows: unsent.get(&entry.id).copied().unwrap_or_default(),
        });
    }
    Ok(held)
}

fn unsent_rows(conn: &Connection) -> Result<BTreeMap<i64, u64>, Trouble> {
    let mut statement =
        conn.prepare_cached("SELECT table_id, count(*) FROM tillhold_log GROUP BY table_id")?;
    let found = statement.query_map((), |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Journal,
    Catalogue,
    /// The journal again: what the catalogue has by now.
    MovedOut,
}

impl Phase {
    pub(crate) const ALL: [Phase; 3] = [Phase::Journal, Phase::Catalogue, Phase::MovedOut];

    fn kind(self) -> Kind {
        if self == Phase::Catalogue { Kind::Catalogue } else { Kind::Journal }
    }
}

/// One transaction's part of a plan.
struct Work {
    phase: Phase,
    plan: Arc<Plan>,
    registry: Arc<Registry>,
    now_ms: i64,
    /// The file that tables are moved from.
    other: std::path::PathBuf,
}

/// What is done with one table in one file.
enum Part<'a> {
    Create(&'a InstalledTable),
    Reshape(&'a HeldTable, &'a InstalledTable),
    /// From the other file.
    MoveIn(&'a HeldTable, &'a InstalledTable),
    Drop(&'a HeldTable),
}

impl Work {
    fn parts(&self) -> Vec<(&Step, Part<'_>)> {
        self.plan.steps.iter().filter_map(|step| Some((step, self.part(step)?))).collect()
    }

    fn part<'s>(&self, step: &'s Step) -> Option<Part<'s>> {
        let place = self.phase.kind().place();
        let (held, target) = (step.held.as_ref(), step.target.as_ref());
        let held_here = held.filter(|held| held.place == place);
        let comes_here = target.filter(|target| Place::of(target.direction) == place);
        if step.action == Action::Move && held_here.is_some() {
            // Only when the other file has it.
            return held_here.filter(|_| self.phase != Phase::Journal).map(Part::Drop);
        }
        if self.phase == Phase::MovedOut {
            return None;
        }
        match step.action {
            Action::Keep => None,
            Action::Add => comes_here.map(Part::Create),
            Action::Move => Some(Part::MoveIn(held?, comes_here?)),
            Action::Change => Some(Part::Reshape(held_here?, target?)),
            Action::Remove => held_here.map(Part::Drop),
        }
    }

    fn has_any(&self) -> bool {
        !self.parts().is_empty() || (self.phase == Phase::Journal && self.forgets_marks())
    }

    /// Rows set aside are marked in the journal, whichever file holds their table.
    fn forgets_marks(&self) -> bool {
        self.plan.steps.iter().any(outdates_marks)
    }

    fn carry_out(&self, conn: &mut Connection) -> Result<(), Trouble> {
        let parts = self.parts();
        let takes_away = parts.iter().any(|(step, part)| takes_away(step, part));
        let moves = parts.iter().any(|(_, part)| matches!(part, Part::MoveIn(..)));
        if moves {
            conn.execute("ATTACH ?1 AS other", [self.other.display().to_string()])?;
        }
        if takes_away {
            conn.pragma_update(None, "secure_delete", "ON")?;
        }
        let done = self.in_one_transaction(conn, &parts, takes_away);
        if takes_away {
            conn.pragma_update(None, "secure_delete", "FAST")?;
        }
        if moves {
            conn.execute_batch("DETACH other;")?;
        }
        done
    }

    fn in_one_transaction(
        &self,
        conn: &mut Connection,
        parts: &[(&Step, Part<'_>)],
        takes_away: bool,
    ) -> Result<(), Trouble> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (step, part) in parts {
            self.one(&transaction, step, part)?;
        }
        if self.phase == Phase::Journal {
            for step in self.plan.steps.iter().filter(|step| outdates_marks(step)) {
                for sql in [
                    "DELETE FROM tillhold_row_aside WHERE table_name = ?1",
                    "DELETE FROM tillhold_again WHERE table_name = ?1",
                ] {
                    transaction.execute(sql, [step.name.to_string()])?;
                }
            }
        }
        if takes_away {
            let sql = "INSERT OR REPLACE INTO tillhold_meta VALUES ('purge', '1')";
            transaction.execute(sql, ())?;
        }
        Ok(transaction.commit()?)
    }

    fn one(&self, conn: &Connection, step: &Step, part: &Part<'_>) -> Result<(), Trouble> {
        match part {
            Part::Create(target) => {
                let table_id = create_rows(conn, target)?;
                capture_writes(conn, target, table_id)
            }
            Part::Reshape(held, target) => match self.entry(held) {
                Some(entry) => reshape::reshape(conn, entry, target, &step.rereads, self.now_ms),
                None => Ok(()),
            },
            Part::MoveIn(held, target) => self.move_in(conn, held, target),
            Part::Drop(held) => match self.entry(held) {
                Some(entry) if !has_unsent(conn, entry)? => reshape::drop_table(conn, entry),
                _ => Ok(()),
            },
        }
    }

    fn entry(&self, held: &HeldTable) -> Option<&Arc<Entry>> {
        let same = |entry: &&Arc<Entry>| {
            entry.kind.place() == held.place && entry.table.name == held.table.name
        };
        self.registry.everything().find(same)
    }

    /// With its rows and how far they have been pulled, when it was pulled and a till reads it; otherwise it is loaded.
    fn move_in(
        &self,
        conn: &Connection,
        held: &HeldTable,
        target: &InstalledTable,
    ) -> Result<(), Trouble> {
        let here = HeldTable { place: self.phase.kind().place(), ..held.clone() };
        if let Some(copy) = self.entry(&here) {
            reshape::drop_table(conn, copy)?;
        }
        let keeps = held.is_ready && held.direction.is_pulled() && target.direction.is_pulled();
        let table_id = create_rows(conn, target)?;
        if keeps {
            let source = format!("other.{}", Names::of(&held.table).rows);
            reshape::copy_rows(conn, (&source, &held.table), &target.table, self.now_ms)?;
            take_position(conn, &held.table.name, table_id)?;
            if self.phase.kind() == Kind::Journal {
                // Of its refused rows nobody noted what the register has: nobody could write them.
                let sql = "UPDATE tillhold_row_aside SET as_of = 0 WHERE table_name = ?1 AND as_of IS NULL";
                conn.execute(sql, [target.table.name.to_string()])?;
            }
        }
        capture_writes(conn, target, table_id)
    }
}

fn outdates_marks(step: &Step) -> bool {
    let changes_keys = |alteration: &Alteration| {
        matches!(alteration, Alteration::Changed { .. } | Alteration::Key { .. })
    };
    step.action == Action::Remove || step.alterations.iter().any(changes_keys)
}

fn takes_away(step: &Step, part: &Part<'_>) -> bool {
    let drops = |alteration: &Alteration| matches!(alteration, Alteration::Dropped { .. });
    match part {
        Part::Drop(_) => true,
        Part::Reshape(..) => step.alterations.iter().any(drops),
        Part::Create(_) | Part::MoveIn(..) => false,
    }
}

fn has_unsent(conn: &Connection, entry: &Entry) -> Result<bool, Trouble> {
    if entry.kind == Kind::Catalogue {
        return Ok(false);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM tillhold_log WHERE table_id = ?1)";
    Ok(conn.query_row(sql, [entry.id], |row| row.get(0))?)
}

/// The table, which nothing watches yet; its number.
fn create_rows(conn: &Connection, wanted: &InstalledTable) -> Result<i64, Trouble> {
    let table = &wanted.table;
    let pulled = wanted.direction.is_pulled();
    let state = if pulled { LoadState::NotStarted } else { LoadState::Loaded };
    conn.prepare_cached(
        "INSERT INTO tillhold_table \
         (name, scope, direction, shape, fingerprint, ready, load_state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        table.name.to_string(),
        &wanted.scope,
        direction_name(wanted.direction),
        shape::encode(table),
        shape::fingerprint(table),
        !pulled,
        state.name(),
    ))?;
    let table_id = conn.last_insert_rowid();
    conn.execute_batch(&schema::create(table, pulled))?;
    Ok(table_id)
}

fn capture_writes(
    conn: &Connection,
    wanted: &InstalledTable,
    table_id: i64,
) -> Result<(), Trouble> {
    if wanted.direction.is_pushed() {
        conn.execute_batch(&capture::create(&wanted.table, table_id))?;
    }
    Ok(())
}

/// How far the other file's table of this name has come. A load that was under way there has ended with it.
fn take_position(conn: &Connection, name: &TableName, table_id: i64) -> Result<(), Trouble> {
    conn.execute(
        "UPDATE tillhold_table SET ready = 1, load_state = 'loaded', \
         (version, epoch, positioned_ms, mark, filter, reread) = \
         (SELECT version, epoch, positioned_ms, mark, filter, reread FROM other.tillhold_table WHERE name = ?2) \
         WHERE table_id = ?1",
        (table_id, name.to_string()),
    )?;
    Ok(())
}
