//! A journal that is about to be replaced, shut to every other program: what was looked for in it stays as it was found.
//!
//! ```text
//! closed by ourselves -> its log folded in, which SQLite refuses while another program has it open
//!                     -> locked as a whole -> looked through -> moved away under the lock, or let go as it is
//! ```
//!
//! * Whoever else writes into it commits before the look, which then finds it, or not at all.
//! * Another program that has it open keeps it ([`LocalError::Locked`]): nothing is replaced under its feet.

use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::exchange::fold_log_in;
use crate::file::{Kind, OfflineFile, Trouble};
use crate::listing::{self, Counts};
use crate::registry::Registry;
use crate::unsent_sales::{self, SaleColumns, UnsentSales};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use tillhold_env::Env;

/// What the channel does not have of an offline database, or does not have decided.
#[derive(Clone, Debug)]
pub struct OnlyHere {
    pub sales: UnsentSales,
    pub counts: Counts,
}

impl OnlyHere {
    pub fn is_nothing(&self) -> bool {
        self.sales.transactions == 0 && self.counts.quarantined == 0 && self.counts.conflicts == 0
    }
}

impl LocalDatabase {
    /// As it stands now: another program may add to it at any moment.
    pub async fn only_here(&self, of: &SaleColumns) -> Result<OnlyHere, LocalError> {
        Ok(OnlyHere { sales: self.unsent_sales(of).await?, counts: self.counts().await? })
    }
}

/// Let go when it is dropped.
pub(crate) struct ShutJournal {
    file: OfflineFile,
    conn: Connection,
}

impl ShutJournal {
    /// Whoever calls has the folder's lock, and no connection of ours is open.
    pub(crate) fn take(env: &Env, folder: &Path) -> Result<ShutJournal, LocalError> {
        let file = OfflineFile::new(env, folder, Kind::Journal);
        match locked(&file) {
            Ok(conn) => Ok(ShutJournal { file, conn }),
            Err(trouble) => Err(trouble.at(&file.path)),
        }
    }

    /// Without a registry, or a table of sales in it, nobody can tell for how much.
    pub(crate) fn only_here(
        &self,
        amounts_of: Option<(&Registry, &SaleColumns)>,
    ) -> Result<OnlyHere, LocalError> {
        let place = amounts_of.and_then(|(registry, of)| unsent_sales::place(registry, of));
        let look = || {
            let sales = unsent_sales::told(&self.conn, place.as_ref())?;
            Ok(OnlyHere { sales, counts: listing::counts(&self.conn)? })
        };
        look().map_err(|trouble: Trouble| trouble.at(&self.file.path))
    }
}

/// From here to the connection's end nobody else reads or writes it.
fn locked(file: &OfflineFile) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = file.connect(flags)?;
    fold_log_in(&conn, file)?;
    conn.execute_batch("BEGIN EXCLUSIVE")?;
    Ok(conn)
}
