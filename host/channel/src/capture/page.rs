//! A page of a table's changes: the rows that the register can take, and those that it cannot.
//!
//! * A row that cannot be carried costs itself alone; only a key that cannot be carried ends the
//!   pass, since nobody could say which row it is.

use super::PAGE;
use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::ResultSet;
use crate::surrogate::Refused;
use tillhold_core::row::{Change, Key, Row};
use tillhold_core::table::Table;
use tillhold_core::version::ChannelVersion;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub changes: Vec<Captured>,
    /// Rows that cannot be carried, each with its reason.
    pub refused: Vec<(Key, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub change: Change,
    pub version: ChannelVersion,
    /// Last written by this register itself, exactly as it has it.
    pub own: bool,
    /// The channel has the row, but it is not one of the register's: gone, here.
    pub is_elsewhere: bool,
}

impl Page {
    pub(super) fn of(
        rows: ResultSet,
        table: &Table,
        own: &[u8],
        is_restricted: bool,
    ) -> Result<Page, ChannelError> {
        let mut page = Page::default();
        for cells in rows {
            match captured(Cells::new(PAGE, cells), table, own, is_restricted)? {
                Ok(captured) => page.changes.push(captured),
                Err(refused) => page.refused.push(refused.told(table)),
            }
        }
        Ok(page)
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Row> {
        self.changes.iter().filter_map(Captured::row)
    }

    /// Takes rows out, by their places in [`Page::present`].
    pub(super) fn refuse(&mut self, table: &Table, found: &[Refused]) -> Result<(), ChannelError> {
        if let Some(nameless) = found.iter().find(|refused| table.is_key(refused.column)) {
            return Err(nameless.error(table));
        }
        let mut place = 0..;
        let refused = &mut self.refused;
        self.changes.retain(|captured| {
            let at = captured.row().and_then(|_| place.next());
            let found = found.iter().find(|one| Some(one.row) == at);
            refused.extend(found.map(|one| one.told(table)));
            found.is_none()
        });
        Ok(())
    }
}

impl Captured {
    fn row(&self) -> Option<&Row> {
        match &self.change {
            Change::Present(row) => Some(row),
            Change::Gone(_) => None,
        }
    }
}

fn captured(
    mut cells: Cells,
    table: &Table,
    own: &[u8],
    is_restricted: bool,
) -> Result<Result<Captured, Refused>, ChannelError> {
    cells.number("_n")?;
    let version = cells.version("_v")?;
    let context = cells.optional_bytes("_c")?;
    let present = cells.flag("_p")?;
    let is_elsewhere = is_restricted && cells.flag("_o")? && !present;
    let key = cells.key(table)?;
    let own = context.as_deref() == Some(own);
    if !present {
        return Ok(Ok(Captured { change: Change::Gone(key), version, own, is_elsewhere }));
    }
    let (row, refused) = cells.row_or_refusal(table)?;
    let captured = Captured { change: Change::Present(row), version, own, is_elsewhere };
    Ok(refused.map_or(Ok(captured), Err))
}
