//! ALTER DATABASE, and change tracking's clean-up on command.

use super::EngineSession;
use super::definition::WRITES;
use crate::answer::SqlError;
use crate::engine::EngineError;
use crate::engine::catalogue::kept::set_state;
use crate::engine::catalogue::{Catalogue, DatabaseTracking, fold};
use crate::engine::commits::TRACKING;
use crate::engine::refusal;
use crate::engine::syntax::DatabaseChange;
use crate::engine::tracking;

impl EngineSession {
    pub(super) fn alter_database(
        &mut self,
        database: Option<&str>,
        change: &DatabaseChange,
    ) -> Result<(), SqlError> {
        if database.is_some_and(|name| fold(name) != fold(&self.catalogue.database)) {
            return Err(refusal::no_database(database.unwrap_or_default()));
        }
        if self.transaction.open().is_some() {
            return Err(SqlError::new(
                226,
                "ALTER DATABASE statement not allowed within multi-statement transaction.",
            ));
        }
        self.owning(|session| {
            // Taken back is what forbids every other change.
            session.opens_database = matches!(change, DatabaseChange::ReadOnly(_));
            let answer = session.changed_database(change);
            session.opens_database = false;
            answer
        })
    }

    fn changed_database(&mut self, change: &DatabaseChange) -> Result<(), SqlError> {
        self.redefine(|session, catalogue| {
                let answer = match change {
                    DatabaseChange::Accepted => Ok(()),
                    DatabaseChange::Compatibility(level) => {
                        if !matches!(level, 100 | 110 | 120 | 130 | 140 | 150 | 160) {
                            return Err(SqlError::new(
                                15_048,
                                "Valid values of the database compatibility level are 100, 110, 120, 130, 140, 150, or 160.",
                            ));
                        }
                        catalogue.compatibility = *level;
                        set_state(&session.connection, "compatibility", *level)
                    }
                    DatabaseChange::SnapshotIsolation(on) => {
                        catalogue.snapshot_allowed = *on;
                        set_state(&session.connection, "snapshot_allowed", i64::from(*on))
                    }
                    DatabaseChange::ReadOnly(on) => {
                        catalogue.read_only = *on;
                        set_state(&session.connection, "read_only", i64::from(*on))
                    }
                    DatabaseChange::TrackingOn { retention_minutes, auto_cleanup } => {
                        return session.tracking_on(catalogue, *retention_minutes, *auto_cleanup);
                    }
                    DatabaseChange::TrackingOff => {
                        if catalogue.by_id.values().any(|table| table.tracking.is_some()) {
                            return Err(SqlError::new(
                                22115,
                                format!(
                                    "Change tracking is enabled for one or more tables in database '{}'. Disable change tracking on \
                                     each table before disabling it for the database.",
                                    catalogue.database
                                ),
                            ));
                        }
                        catalogue.tracking = None;
                        set_state(&session.connection, "tracking", 0)
                    }
                };
                session.kept(answer)
            })
    }

    fn tracking_on(
        &mut self,
        catalogue: &mut Catalogue,
        retention_minutes: Option<i64>,
        auto_cleanup: Option<bool>,
    ) -> Result<(), SqlError> {
        if retention_minutes.is_some_and(|minutes| minutes < 1) {
            return Err(SqlError::new(
                22118,
                "The change tracking retention period must be at least one minute.",
            ));
        }
        let before = catalogue.tracking.clone();
        let tracking = DatabaseTracking {
            retention_minutes: retention_minutes
                .or(before.as_ref().map(|tracking| tracking.retention_minutes))
                .unwrap_or(2 * 1440),
            auto_cleanup: auto_cleanup
                .or(before.map(|tracking| tracking.auto_cleanup))
                .unwrap_or(true),
        };
        self.kept(set_state(&self.connection, "tracking", 1))?;
        self.kept(set_state(&self.connection, "retention_minutes", tracking.retention_minutes))?;
        self.kept(set_state(&self.connection, "auto_cleanup", i64::from(tracking.auto_cleanup)))?;
        catalogue.tracking = Some(tracking);
        Ok(())
    }

    /// Clean-up on command: forgets what is older than the retention, of one table or of all. How many rows went.
    pub(in crate::engine) fn clean_up_tracking(
        &mut self,
        only: Option<i32>,
    ) -> Result<usize, SqlError> {
        let Some(tracking) = self.catalogue.tracking.clone() else { return Ok(0) };
        let before = self.engine.env.clock.wall_ms() - tracking.retention_minutes * 60_000;
        let version = tracking::version_before(&self.connection, before)
            .map_err(|error| self.refused(error, None))?;
        version.map_or(Ok(0), |version| self.forget_up_to(version, only))
    }

    fn forget_up_to(&mut self, version: i64, only: Option<i32>) -> Result<usize, SqlError> {
        self.transaction.changed.insert(TRACKING);
        self.within_write(WRITES, |session| {
            let mut gone = 0;
            for table in session.catalogue.by_id.values().filter(|table| table.tracking.is_some()) {
                if only.is_none_or(|id| id == table.id) {
                    gone += tracking::forget(&session.connection, table, version)
                        .map_err(|error| session.refused(error, None))?;
                }
            }
            if only.is_none() {
                let forgotten = session
                    .connection
                    .execute("DELETE FROM tsql_commit WHERE version <= ?1", [version]);
                session.kept(forgotten.map(|_| ()))?;
            }
            Ok(gone)
        })
    }

    pub(in crate::engine) fn forget_changes(&mut self, version: u64) -> Result<u64, EngineError> {
        self.refresh();
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        Ok(self.forget_up_to(version, None)? as u64)
    }
}
