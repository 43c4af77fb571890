//! How large the two files are, table by table, how they grew, and where loading stops.
//!
//! * The limit counts pages in use and the write-ahead logs, not pages that are free for the next rows.
//! * Past the limit, and while the space that is kept for sales is gone, the catalogue takes no more rows. The journal
//!   is never refused anything: a sale comes before a limit.

use crate::database::LocalDatabase;
use crate::disk_reserve::Reserve;
use crate::error::LocalError;
use crate::file::{self, CATALOGUE, JOURNAL, Kind, Trouble};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use tillhold_core::limits;
use tillhold_core::size::DaySize;

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSize {
    pub name: &'static str,
    /// The file itself.
    pub bytes: u64,
    /// Its pages that hold something.
    pub used_bytes: u64,
    /// Its pages that are free for the next rows.
    pub free_bytes: u64,
    /// Its write-ahead log.
    pub log_bytes: u64,
    /// Whether free pages go back to the disk; not in a file of an earlier layout until it is compacted.
    pub can_shrink: bool,
}

impl FileSize {
    /// What counts against the limit.
    pub fn counted_bytes(&self) -> u64 {
        self.used_bytes + self.log_bytes
    }
}

/// One table with its indexes and, for a pulled one, its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    pub file: &'static str,
    /// `ax.CUSTTABLE`, or one of Tillhold's own (`tillhold_log`).
    pub table: String,
    pub bytes: u64,
    pub rows: u64,
}

/// What the files may hold, and what the journal was last seen to hold.
pub(crate) struct Bounds {
    limit_bytes: AtomicU64,
    journal_bytes: AtomicU64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { limit_bytes: AtomicU64::new(u64::MAX), journal_bytes: AtomicU64::new(0) }
    }
}

/// What there is for the rows that a piece of work brings.
pub(crate) struct Room {
    kind: Kind,
    limit_bytes: u64,
    journal_bytes: u64,
    reserve: Reserve,
    file: PathBuf,
}

impl Room {
    pub(crate) fn refuse_full(&self, conn: &Connection) -> Result<(), Trouble> {
        if self.kind == Kind::Journal {
            return Ok(());
        }
        if self.reserve == Reserve::Gone {
            return Err(LocalError::KeptForSales { file: self.file.clone() }.into());
        }
        let used_bytes = self.journal_bytes + Pages::of(conn)?.used_bytes();
        match used_bytes >= self.limit_bytes {
            true => Err(LocalError::SizeLimit { used_bytes, limit_bytes: self.limit_bytes }.into()),
            false => Ok(()),
        }
    }
}

struct Pages {
    size: u64,
    all: u64,
    free: u64,
}

impl Pages {
    fn of(conn: &Connection) -> Result<Pages, Trouble> {
        let number = |pragma: &str| -> Result<u64, Trouble> {
            Ok(conn.prepare_cached(pragma)?.query_row((), |row| row.get::<_, i64>(0))? as u64)
        };
        Ok(Pages {
            size: number("PRAGMA page_size")?,
            all: number("PRAGMA page_count")?,
            free: number("PRAGMA freelist_count")?,
        })
    }

    fn used_bytes(&self) -> u64 {
        (self.all - self.free) * self.size
    }
}

impl LocalDatabase {
    /// What both files together may hold from now on.
    pub fn limit_size(&self, limit_bytes: u64) {
        self.bounds().limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }

    /// Takes or gives back the space that is kept for sales on a full disk; see [`Reserve`].
    pub async fn keep_reserve(&self, bytes: u64) -> Result<Reserve, LocalError> {
        let ballast = self.ballast().clone();
        let keep = move || ballast.keep(bytes);
        self.env().blocking("space kept for sales", keep).await.ok_or(LocalError::Closed)?
    }

    /// Gives up the space that is kept for sales, for what they cannot do without on a full disk.
    pub fn give_up_reserve(&self) {
        self.ballast().let_go();
    }

    /// Whether neither the disk nor what is kept on it has room for a sale.
    pub fn is_without_room(&self) -> bool {
        self.reserve() != Reserve::Kept && self.ballast().has_less_than(limits::SALE_ROOM_BYTES)
    }

    pub fn reserve(&self) -> Reserve {
        self.ballast().reserve()
    }

    pub(crate) fn room(&self, kind: Kind) -> Room {
        Room {
            kind,
            limit_bytes: self.bounds().limit_bytes.load(Ordering::Relaxed),
            journal_bytes: self.bounds().journal_bytes.load(Ordering::Relaxed),
            reserve: self.reserve(),
            file: self.path(kind).to_path_buf(),
        }
    }

    /// journal.db and catalogue.db; a few pages are read.
    pub async fn file_sizes(&self) -> Result<[FileSize; 2], LocalError> {
        let journal = self.file_size(Kind::Journal).await?;
        self.bounds().journal_bytes.store(journal.counted_bytes(), Ordering::Relaxed);
        Ok([journal, self.file_size(Kind::Catalogue).await?])
    }

    async fn file_size(&self, kind: Kind) -> Result<FileSize, LocalError> {
        let path = self.path(kind).to_path_buf();
        let look = move |conn: &Connection| {
            let pages = Pages::of(conn)?;
            let log = path.with_file_name(format!("{}-wal", kind.name()));
            let length = |path: PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
            Ok(FileSize {
                name: kind.name(),
                bytes: length(path),
                used_bytes: pages.used_bytes(),
                free_bytes: pages.free * pages.size,
                log_bytes: length(log),
                can_shrink: file::can_shrink(conn)?,
            })
        };
        self.readers(kind).run(look).await
    }

    /// Every table of both files, the largest first. Reads all pages of both: seconds for a large catalogue.
    pub async fn table_sizes(&self) -> Result<Vec<TableSize>, LocalError> {
        let mut found = Vec::new();
        for kind in [Kind::Journal, Kind::Catalogue] {
            found.extend(self.readers(kind).run_long(move |conn| table_sizes(conn, kind)).await?);
        }
        found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.table.cmp(&b.table)));
        Ok(found)
    }

    /// Remembers the size of a day, over an earlier one of the same day.
    pub async fn note_size(&self, size: DaySize) -> Result<(), LocalError> {
        let note = move |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute(
                "INSERT INTO tillhold_size VALUES (?1, ?2) \
                 ON CONFLICT (day) DO UPDATE SET used_bytes = excluded.used_bytes",
                (size.day, size.used_bytes as i64),
            )?;
            // By count, not by date: a clock that was wrong for a day must not cost the history.
            transaction.execute(
                "DELETE FROM tillhold_size WHERE day NOT IN \
                 (SELECT day FROM tillhold_size ORDER BY day DESC LIMIT ?1)",
                [limits::SIZE_DAYS_KEPT as i64],
            )?;
            Ok(transaction.commit()?)
        };
        self.writer(Kind::Journal).run(note).await
    }

    /// The sizes of the days that are remembered, oldest first.
    pub async fn day_sizes(&self) -> Result<Vec<DaySize>, LocalError> {
        let read = |conn: &Connection| {
            let sql = "SELECT day, used_bytes FROM tillhold_size ORDER BY day";
            let mut statement = conn.prepare_cached(sql)?;
            let days = statement.query_map((), |row| {
                Ok(DaySize { day: row.get(0)?, used_bytes: row.get::<_, i64>(1)? as u64 })
            })?;
            Ok(days.collect::<Result<_, _>>()?)
        };
        self.readers(Kind::Journal).run(read).await
    }

    /// Rewrites both files without their free pages, so that they can give free pages back from then on. Takes as much
    /// room again as they hold, and until it is done no sale is taken.
    pub async fn compact(&self) -> Result<(), LocalError> {
        for kind in [Kind::Journal, Kind::Catalogue] {
            self.writer(kind).run(|conn| file::rewrite(conn)).await?;
        }
        Ok(())
    }
}

fn table_sizes(conn: &Connection, kind: Kind) -> Result<Vec<TableSize>, Trouble> {
    let file = match kind {
        Kind::Journal => JOURNAL,
        Kind::Catalogue => CATALOGUE,
    };
    // A page of dbstat's "aggregate" is a whole table or index.
    let mut statement = conn.prepare(
        "SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat AS d \
         LEFT OUTER JOIN sqlite_schema AS s ON s.name = d.name WHERE d.aggregate = TRUE GROUP BY 1",
    )?;
    let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (name, size): (String, i64) = (row.get(0)?, row.get(1)?);
        let table = name.strip_prefix("tillhold_stage.").unwrap_or(&name);
        *bytes.entry(table.to_string()).or_default() += size as u64;
    }
    let one = |(table, bytes): (String, u64)| {
        let count = format!("SELECT count(*) FROM {}", crate::schema::quoted(&table));
        let rows = conn.query_row(&count, (), |row| row.get::<_, i64>(0))? as u64;
        Ok(TableSize { file, table, bytes, rows })
    };
    bytes.into_iter().map(one).collect()
}
