//! What the first statements of a pass answer: where the channel is, how far back each table's
//! changes are kept, and what each table is now.
//!
//! * A table's mark names all that its history hangs on. Change tracking: the table and the version
//!   tracking began at (it moves when tracking is switched off and on, and at TRUNCATE; the oldest
//!   valid version alone would not tell, where nothing else was committed meanwhile). Triggers: the
//!   table, its trigger, when that was last altered, the tracking table and the guard.
//! * Refuses by name: a trigger that is missing or disabled, and a guard that is missing.

use super::statement::{guard_table, tracking_table};
use crate::cells::Cells;
use crate::error::{ChannelError, TriggerTrouble};
use crate::link::ResultSet;
use crate::schema::folded;
use std::collections::HashMap;
use std::sync::Arc;
use tillhold_core::profile::Capture;
use tillhold_core::table::{Table, TableName};
use tillhold_core::version::{ChannelVersion, TableMark};

pub(crate) struct Standings {
    pub epoch: [u8; 16],
    /// By triggers the bound comes from a statement before.
    pub current: Option<ChannelVersion>,
    /// One a table, in their order.
    pub tables: Vec<TableStanding>,
}

pub(crate) struct TableStanding {
    /// `None` where the server gives none: no tracking, no right, no table.
    pub oldest: Option<ChannelVersion>,
    /// `None` when there is no such table.
    pub mark: Option<TableMark>,
}

/// Reads the answer of [`super::statement::standing_sql`].
pub(crate) fn read(
    what: &'static str,
    capture: Capture,
    sets: Vec<ResultSet>,
    tables: &[Arc<Table>],
) -> Result<Standings, ChannelError> {
    let mut sets = sets.into_iter().map(|set| {
        let rows = set.into_iter().map(move |row| Cells::new(what, row));
        rows.collect::<Vec<Cells>>()
    });
    let mut next = || sets.next().unwrap_or_default();
    let first = next().into_iter().next();
    let mut first = first.ok_or_else(|| ChannelError::Unexpected {
        what: "no row tells where the channel is".to_string(),
    })?;
    match capture {
        Capture::ChangeTracking => tracked(&mut first, next(), tables),
        Capture::Triggers => triggered(&mut first, next(), next(), next(), tables),
    }
}

type Name = (String, String);

fn tracked(
    first: &mut Cells,
    marks: Vec<Cells>,
    tables: &[Arc<Table>],
) -> Result<Standings, ChannelError> {
    let current = first.optional_version("current")?;
    let current = Some(current.ok_or(ChannelError::TrackingOff { table: None })?);
    let epoch = epoch(first)?;
    let mut known: HashMap<Name, TableMark> = HashMap::new();
    for mut cells in marks {
        let (name, object) = object(&mut cells)?;
        let altered = cells.text("altered")?;
        let begun = cells.optional_number("begin_version")?.unwrap_or_default();
        let history = format!("{object}/{begun}");
        known.insert(name, TableMark { capture: Capture::ChangeTracking, history, altered });
    }
    let one = |table: &Arc<Table>| {
        let oldest = first.optional_version("min")?;
        Ok(TableStanding { oldest, mark: known.get(&folded(&table.name)).cloned() })
    };
    let tables: Result<Vec<TableStanding>, ChannelError> = tables.iter().map(one).collect();
    Ok(Standings { epoch, current, tables: tables? })
}

fn triggered(
    first: &mut Cells,
    horizons: Vec<Cells>,
    marks: Vec<Cells>,
    own: Vec<Cells>,
    tables: &[Arc<Table>],
) -> Result<Standings, ChannelError> {
    let epoch = epoch(first)?;
    let mut oldest: HashMap<String, ChannelVersion> = HashMap::new();
    for mut cells in horizons {
        oldest.insert(cells.text("table_name")?.to_lowercase(), cells.version("oldest")?);
    }
    let mut objects: HashMap<String, i64> = HashMap::new();
    for mut cells in own {
        objects.insert(cells.text("table_name")?.to_lowercase(), cells.number("object_id")?);
    }
    let mut known: HashMap<Name, (i64, String, Trigger)> = HashMap::new();
    for mut cells in marks {
        let (name, object) = object(&mut cells)?;
        known.insert(name, (object, cells.text("altered")?, Trigger::read(&mut cells)?));
    }
    let one = |table: &Arc<Table>| {
        let horizon = oldest.get(&table.name.to_string().to_lowercase());
        let mark = match known.get(&folded(&table.name)) {
            Some((object, altered, trigger)) => {
                let history = trigger.history(*object, &table.name, &objects)?;
                let altered = altered.clone();
                Some(TableMark { capture: Capture::Triggers, history, altered })
            }
            None => None,
        };
        Ok(TableStanding { oldest: Some(horizon.copied().unwrap_or_default()), mark })
    };
    let tables: Result<Vec<TableStanding>, ChannelError> = tables.iter().map(one).collect();
    Ok(Standings { epoch, current: None, tables: tables? })
}

pub(crate) fn epoch(cells: &mut Cells) -> Result<[u8; 16], ChannelError> {
    let no_epoch = || ChannelError::NotPrepared { what: "tillhold.epoch is empty".to_string() };
    cells.optional_guid("epoch")?.ok_or_else(no_epoch)
}

fn object(cells: &mut Cells) -> Result<(Name, i64), ChannelError> {
    let name = TableName::new(cells.text("schema_name")?, cells.text("table_name")?);
    Ok((folded(&name), cells.number("object_id")?))
}

/// A table's trigger as the catalogue has it.
struct Trigger {
    id: Option<i64>,
    altered: Option<String>,
    disabled: Option<i64>,
}

impl Trigger {
    fn read(cells: &mut Cells) -> Result<Trigger, ChannelError> {
        let id = cells.optional_number("trigger_id")?;
        let altered = cells.optional_text("trigger_altered")?;
        Ok(Trigger { id, altered, disabled: cells.optional_number("is_disabled")? })
    }

    fn history(
        &self,
        object: i64,
        table: &TableName,
        objects: &HashMap<String, i64>,
    ) -> Result<String, ChannelError> {
        let off = |trouble| ChannelError::TriggersOff { table: table.clone(), trouble };
        let own = |name: String| {
            let name = name.trim_start_matches("[tillhold].").trim_matches(['[', ']']);
            objects.get(&name.to_lowercase()).copied()
        };
        let (id, altered) = match (self.id, &self.altered, self.disabled) {
            (Some(id), Some(altered), Some(0)) => (id, altered),
            (Some(_), _, Some(_)) => return Err(off(TriggerTrouble::Disabled)),
            _ => return Err(off(TriggerTrouble::Missing)),
        };
        let tracking = own(tracking_table(table)).ok_or(off(TriggerTrouble::Missing))?;
        let guard = own(guard_table(table)).ok_or(off(TriggerTrouble::Unguarded))?;
        Ok(format!("{object}/{id}@{altered}/{tracking}/{guard}"))
    }
}
