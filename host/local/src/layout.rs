//! Tillhold's own tables in the two files. A change here is a new layout number and a migration, never an edit.
//!
//! * `tillhold_log` is the register's one ordered log: `seq` is commit order, because SQLite has one writer at a time.
//! * `tillhold_applying` and `tillhold_current` are filled and emptied inside one transaction, so no other connection
//!   ever sees a row in them, and a crash leaves them empty.
//! * `tillhold_kept` and `tillhold_kept_row` remember which rows a transaction made after its log is gone, so that they
//!   can go together once they are old.
//! * `tillhold_displaced` keeps the row that another program's INSERT OR REPLACE is about to push out: SQLite fires no
//!   delete trigger for it, and without it the log would lose the base row.

/// "TILL", so that `file` and we know our own.
pub(crate) const APPLICATION_ID: i32 = 0x5449_4C4C;
/// The layout that this program writes and reads.
pub(crate) const LAYOUT: i32 = 3;

/// What brings an older file to the next layout.
pub(crate) struct Migration {
    pub(crate) both_files: &'static str,
    pub(crate) journal_only: &'static str,
}

/// The first is from layout 1 to 2.
pub(crate) const MIGRATIONS: [Migration; 2] = [
    Migration {
        both_files: "
ALTER TABLE tillhold_table ADD COLUMN mark TEXT;
ALTER TABLE tillhold_table ADD COLUMN load_mark TEXT;
",
        journal_only: "",
    },
    Migration { both_files: "", journal_only: SIZE },
];

/// Of layout 3: whose rows the rows of settled transactions are, and how large the files were.
const SIZE: &str = "
-- aged_from_ms: when the transaction, or the last one that changed a row of it, was settled.
CREATE TABLE tillhold_kept (
  kept_no INTEGER PRIMARY KEY,
  transaction_id BLOB NOT NULL,
  aged_from_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tillhold_kept_age ON tillhold_kept (aged_from_ms, kept_no);
CREATE TABLE tillhold_kept_row (
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  kept_no INTEGER NOT NULL,
  PRIMARY KEY (table_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tillhold_kept_row_owner ON tillhold_kept_row (kept_no);
CREATE TABLE tillhold_size (day INTEGER PRIMARY KEY, used_bytes INTEGER NOT NULL) STRICT;
";

pub(crate) const BOTH_FILES: &str = "
CREATE TABLE tillhold_meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;
-- load_state: none, table (first load under way), stage (reload under way), staged (reload waits to land), loaded.
CREATE TABLE tillhold_table (
  table_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('download', 'upload', 'bidirectional')),
  shape TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  version INTEGER,
  epoch BLOB,
  positioned_ms INTEGER,
  ready INTEGER NOT NULL DEFAULT 0,
  load_state TEXT NOT NULL CHECK (load_state IN ('none', 'table', 'stage', 'staged', 'loaded')),
  load_from INTEGER,
  load_epoch BLOB,
  load_after TEXT,
  -- What the table was at the channel when version (load_mark: load_from) was taken; NULL before layout 2.
  mark TEXT,
  load_mark TEXT
) STRICT;
";

/// What only the journal has; first what it has had from the beginning.
pub(crate) const JOURNAL_ONLY: [&str; 2] = [LOG, SIZE];

const LOG: &str = "
CREATE TABLE tillhold_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  transaction_id BLOB,
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  operation TEXT NOT NULL CHECK (operation IN ('insert', 'update', 'delete')),
  old_row TEXT,
  new_row TEXT,
  base_version INTEGER NOT NULL
) STRICT;
CREATE INDEX tillhold_log_key ON tillhold_log (table_id, key);
CREATE INDEX tillhold_log_transaction ON tillhold_log (transaction_id);
CREATE TABLE tillhold_current (transaction_id BLOB NOT NULL) STRICT;
CREATE TABLE tillhold_applying (one INTEGER NOT NULL CHECK (one = 1)) STRICT;
CREATE TABLE tillhold_displaced (table_id INTEGER NOT NULL, key TEXT NOT NULL, old_row TEXT NOT NULL) STRICT;
CREATE TABLE tillhold_transaction (
  transaction_id BLOB PRIMARY KEY NOT NULL CHECK (length(transaction_id) = 16),
  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),
  first_seq INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'settled', 'quarantined', 'deferred')),
  received_at_ms INTEGER NOT NULL,
  committed_where TEXT NOT NULL CHECK (committed_where IN ('offline', 'channel')),
  settled_no INTEGER,
  settled_at_ms INTEGER,
  reason_code TEXT,
  reason TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX tillhold_transaction_state ON tillhold_transaction (state, first_seq);
CREATE INDEX tillhold_transaction_settled ON tillhold_transaction (settled_no) WHERE settled_no IS NOT NULL;
CREATE TABLE tillhold_conflict (
  conflict_id INTEGER PRIMARY KEY,
  transaction_id BLOB NOT NULL,
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  base_row TEXT,
  channel_row TEXT,
  offline_row TEXT,
  reason TEXT NOT NULL,
  deferred_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tillhold_conflict_transaction ON tillhold_conflict (transaction_id);
CREATE TABLE tillhold_row_aside (
  table_name TEXT NOT NULL,
  folded_key TEXT NOT NULL,
  key TEXT NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (table_name, folded_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE tillhold_decision (
  decision_id INTEGER PRIMARY KEY AUTOINCREMENT,
  transaction_id BLOB NOT NULL,
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  base_row TEXT,
  channel_row TEXT,
  offline_row TEXT,
  decided_row TEXT,
  rule TEXT NOT NULL,
  plugin TEXT,
  decided_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE tillhold_sync (
  sync_id INTEGER PRIMARY KEY AUTOINCREMENT,
  flow TEXT NOT NULL CHECK (flow IN ('pull', 'push')),
  scope TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL,
  rows_in INTEGER NOT NULL,
  applied INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  quarantined INTEGER NOT NULL,
  version INTEGER,
  error_code TEXT,
  error TEXT
) STRICT;
CREATE TABLE tillhold_fact (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;
";
