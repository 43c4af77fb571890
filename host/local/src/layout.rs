//! Tillhold's own tables in the two files. A change here is a new layout number and a migration, never an edit.
//!
//! * `tillhold_log` is the register's one ordered log: `seq` is commit order, because SQLite has one writer at a time.
//! * `tillhold_applying` is filled and emptied inside one transaction, so no other connection ever sees a row in it, and a
//!   crash leaves it empty.
//! * `tillhold_kept` and `tillhold_kept_row` remember which rows a transaction made after its log is gone, so that they
//!   can go together once they are old.
//! * `tillhold_late` says which rows of the last sale the log still lacks ([`crate::deferred_log`]).
//! * `tillhold_displaced` keeps the row that another program's INSERT OR REPLACE is about to push out: SQLite fires no
//!   delete trigger for it, and without it the log would lose the base row.

/// "TILL", so that `file` and we know our own.
pub(crate) const APPLICATION_ID: i32 = 0x5449_4C4C;
/// The layout that this program writes and reads.
pub(crate) const LAYOUT: i32 = 14;

/// What brings an older file to the next layout; the triggers of the journal's tables are made anew in any case.
pub(crate) struct Migration {
    pub(crate) both_files: &'static str,
    pub(crate) journal_only: &'static [&'static str],
}

/// The first is from layout 1 to 2.
pub(crate) const MIGRATIONS: [Migration; 13] = [
    Migration {
        both_files: "
ALTER TABLE tillhold_table ADD COLUMN mark TEXT;
ALTER TABLE tillhold_table ADD COLUMN load_mark TEXT;
",
        journal_only: &[],
    },
    Migration { both_files: "", journal_only: &[SIZE] },
    Migration { both_files: "", journal_only: &[DECIDED_BY_PEOPLE] },
    Migration {
        both_files: "
ALTER TABLE tillhold_table ADD COLUMN filter TEXT;
ALTER TABLE tillhold_table ADD COLUMN load_filter TEXT;
",
        journal_only: &[],
    },
    Migration { both_files: SELECTION, journal_only: &[] },
    Migration {
        both_files: "ALTER TABLE tillhold_table ADD COLUMN reread TEXT;",
        journal_only: &[],
    },
    Migration { both_files: "", journal_only: &[AUDIT] },
    Migration { both_files: "", journal_only: &[RELEASED] },
    Migration { both_files: "", journal_only: &[LOG_ASIDE, LOG, LOG_BACK] },
    Migration { both_files: "", journal_only: &[LAST_SEQ] },
    Migration {
        both_files: "",
        journal_only: &[LATE, TRANSACTIONS_ASIDE, TRANSACTIONS, TRANSACTIONS_BACK],
    },
    Migration {
        both_files: "",
        journal_only: &["ALTER TABLE tillhold_again ADD COLUMN as_of INTEGER;"],
    },
    Migration { both_files: "", journal_only: &[REFUSED_AS_OF] },
];

/// Of layout 14. Of which version the register has a row that was refused before is not known.
const REFUSED_AS_OF: &str = "
ALTER TABLE tillhold_row_aside ADD COLUMN as_of INTEGER;
UPDATE tillhold_row_aside SET as_of = 0 WHERE table_name IN (SELECT name FROM tillhold_table);
";

/// Of layout 6: which products and customers the file's rows are of.
pub(crate) const SELECTION: &str = "
CREATE TABLE tillhold_selection (
  domain TEXT PRIMARY KEY NOT NULL,
  rule TEXT NOT NULL,
  tables TEXT NOT NULL,
  told TEXT NOT NULL,
  computed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- folded: the key as a table's column is compared with it, a number or a text.
CREATE TABLE tillhold_member (kind TEXT NOT NULL, key TEXT NOT NULL, folded ANY NOT NULL, PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID;
CREATE INDEX tillhold_member_folded ON tillhold_member (kind, folded);
";

/// Of layout 8: what people did by hand.
pub(crate) const AUDIT: &str = "
CREATE TABLE tillhold_audit (
  audit_id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  action TEXT NOT NULL,
  subject TEXT,
  who TEXT,
  why TEXT,
  -- Whose token it was.
  role TEXT NOT NULL
) STRICT;
";

/// Of layout 9: what people let go of. Nothing was ever written to the older `tillhold_release`.
const RELEASED: &str = "
UPDATE tillhold_row_aside SET id = randomblob(16) WHERE id IS NULL;
ALTER TABLE tillhold_transaction ADD COLUMN released_at_ms INTEGER;
ALTER TABLE tillhold_decision ADD COLUMN table_name TEXT;
DROP TABLE tillhold_release;
CREATE TABLE tillhold_release (
  of_id BLOB PRIMARY KEY NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('sale', 'row')),
  id BLOB NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  asked_at_ms INTEGER NOT NULL,
  table_name TEXT NOT NULL,
  key TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

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

/// Of layout 4: conflicts and quarantine for people: names that can be typed, who decided what and why, what is asked for again.
const DECIDED_BY_PEOPLE: &str = "
ALTER TABLE tillhold_transaction ADD COLUMN reason_since_ms INTEGER;
ALTER TABLE tillhold_transaction ADD COLUMN reason_table TEXT;
ALTER TABLE tillhold_transaction ADD COLUMN reason_key TEXT;
ALTER TABLE tillhold_transaction ADD COLUMN reason_circumstances TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN id BLOB;
UPDATE tillhold_conflict SET id = randomblob(16);
ALTER TABLE tillhold_conflict ADD COLUMN channel_version INTEGER;
ALTER TABLE tillhold_conflict ADD COLUMN rule TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN plugin TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN choice TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN who TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN why TEXT;
ALTER TABLE tillhold_conflict ADD COLUMN chosen_at_ms INTEGER;
CREATE UNIQUE INDEX tillhold_conflict_id ON tillhold_conflict (id);
ALTER TABLE tillhold_row_aside ADD COLUMN id BLOB;
UPDATE tillhold_row_aside SET id = randomblob(16);
ALTER TABLE tillhold_row_aside ADD COLUMN code TEXT NOT NULL DEFAULT 'rule-refused';
ALTER TABLE tillhold_row_aside ADD COLUMN circumstances TEXT;
CREATE UNIQUE INDEX tillhold_row_aside_id ON tillhold_row_aside (id);
ALTER TABLE tillhold_decision ADD COLUMN id BLOB;
UPDATE tillhold_decision SET id = randomblob(16);
ALTER TABLE tillhold_decision ADD COLUMN state TEXT NOT NULL DEFAULT 'made' CHECK (state IN ('sent', 'made'));
ALTER TABLE tillhold_decision ADD COLUMN who TEXT;
ALTER TABLE tillhold_decision ADD COLUMN why TEXT;
ALTER TABLE tillhold_decision ADD COLUMN released TEXT;
CREATE UNIQUE INDEX tillhold_decision_id ON tillhold_decision (id);
CREATE INDEX tillhold_decision_sent ON tillhold_decision (transaction_id) WHERE state = 'sent';
CREATE TABLE tillhold_release (
  transaction_id BLOB PRIMARY KEY NOT NULL,
  id BLOB NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  asked_at_ms INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tillhold_again (
  table_name TEXT NOT NULL,
  folded_key TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (table_name, folded_key)
) STRICT, WITHOUT ROWID;
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
  load_mark TEXT,
  -- The row filter under which version (load_filter: load_from) stands; NULL passes every row, and before layout 5.
  filter TEXT,
  load_filter TEXT,
  -- Why a loaded table is to be read once more.
  reread TEXT
) STRICT;
";

/// What only the journal has; first what it has had from the beginning.
pub(crate) const JOURNAL_ONLY: [&str; 6] = [LOG, LATE, TRANSACTIONS, SALES, SIZE, AUDIT];

/// `IN` with three words would build an index of them for each row that is written: a seventh of a sale's time.
const LOG: &str = "
CREATE TABLE tillhold_log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  transaction_id BLOB,
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  operation TEXT NOT NULL CHECK (operation = 'insert' OR operation = 'update' OR operation = 'delete'),
  old_row TEXT,
  new_row TEXT,
  base_version INTEGER NOT NULL
) STRICT;
CREATE INDEX tillhold_log_key ON tillhold_log (table_id, key);
CREATE INDEX tillhold_log_unadopted ON tillhold_log (seq) WHERE transaction_id IS NULL;
";

/// Of layout 10: the log with a check that costs a sale less. Its numbers go on where they were.
const LOG_ASIDE: &str = "
CREATE TABLE tillhold_log_aside AS SELECT * FROM tillhold_log;
CREATE TABLE tillhold_log_number AS SELECT seq FROM sqlite_sequence WHERE name = 'tillhold_log';
DROP TABLE tillhold_log;
";

const LOG_BACK: &str = "
INSERT INTO tillhold_log (seq, transaction_id, table_id, key, operation, old_row, new_row, base_version)
  SELECT seq, transaction_id, table_id, key, operation, old_row, new_row, base_version FROM tillhold_log_aside;
DELETE FROM sqlite_sequence WHERE name = 'tillhold_log';
INSERT INTO sqlite_sequence (name, seq) SELECT 'tillhold_log', seq FROM tillhold_log_number;
DROP TABLE tillhold_log_aside;
DROP TABLE tillhold_log_number;
";

/// Of layout 11: a transaction's rows in the log by their first and last number instead of by an index.
const LAST_SEQ: &str = "
ALTER TABLE tillhold_transaction ADD COLUMN last_seq INTEGER NOT NULL DEFAULT 0;
UPDATE tillhold_transaction SET last_seq = first_seq;
UPDATE tillhold_transaction SET last_seq = its.last FROM
  (SELECT transaction_id AS id, max(seq) AS last FROM tillhold_log WHERE transaction_id IS NOT NULL GROUP BY transaction_id) AS its
  WHERE its.id = transaction_id;
DROP INDEX IF EXISTS tillhold_log_transaction;
CREATE INDEX IF NOT EXISTS tillhold_log_unadopted ON tillhold_log (seq) WHERE transaction_id IS NULL;
";

/// Of layout 12: rows first_row to last_row of a table get the log's numbers from first_seq on.
const LATE: &str = "
CREATE TABLE tillhold_late (
  first_seq INTEGER PRIMARY KEY,
  transaction_id BLOB NOT NULL,
  table_id INTEGER NOT NULL,
  first_row INTEGER NOT NULL,
  last_row INTEGER NOT NULL
) STRICT;
";

/// As in the log, no `IN`.
const TRANSACTIONS: &str = "
CREATE TABLE tillhold_transaction (
  transaction_id BLOB PRIMARY KEY NOT NULL CHECK (length(transaction_id) = 16),
  content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),
  -- Its rows in the log are those of first_seq to last_seq that have its id.
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state = 'pending' OR state = 'settled' OR state = 'quarantined' OR state = 'deferred'),
  received_at_ms INTEGER NOT NULL,
  committed_where TEXT NOT NULL CHECK (committed_where = 'offline' OR committed_where = 'channel'),
  settled_no INTEGER,
  settled_at_ms INTEGER,
  reason_code TEXT,
  reason TEXT,
  reason_since_ms INTEGER,
  -- The refused row, as far as it is known: its table's name, its key.
  reason_table TEXT,
  reason_key TEXT,
  -- What the refusal hangs on: shapes and plugins. When they are others, it is tried again.
  reason_circumstances TEXT,
  -- A settled one that a person let go of: the channel never gets it.
  released_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tillhold_transaction_state ON tillhold_transaction (state, first_seq);
CREATE INDEX tillhold_transaction_settled ON tillhold_transaction (settled_no) WHERE settled_no IS NOT NULL;
";

/// Of layout 12: the same table with checks that cost a sale less. Triggers asked `tillhold_current` whose row it was.
const TRANSACTIONS_ASIDE: &str = "
DROP TABLE tillhold_current;
CREATE TABLE tillhold_transaction_aside AS SELECT * FROM tillhold_transaction;
DROP TABLE tillhold_transaction;
";

const TRANSACTIONS_BACK: &str = "
INSERT INTO tillhold_transaction (transaction_id, content_hash, first_seq, last_seq, state, received_at_ms, committed_where, settled_no, settled_at_ms,
  reason_code, reason, reason_since_ms, reason_table, reason_key, reason_circumstances, released_at_ms)
  SELECT transaction_id, content_hash, first_seq, last_seq, state, received_at_ms, committed_where, settled_no, settled_at_ms,
  reason_code, reason, reason_since_ms, reason_table, reason_key, reason_circumstances, released_at_ms FROM tillhold_transaction_aside;
DROP TABLE tillhold_transaction_aside;
";

const SALES: &str = "
CREATE TABLE tillhold_applying (one INTEGER NOT NULL CHECK (one = 1)) STRICT;
CREATE TABLE tillhold_displaced (table_id INTEGER NOT NULL, key TEXT NOT NULL, old_row TEXT NOT NULL) STRICT;
CREATE TABLE tillhold_conflict (
  conflict_id INTEGER PRIMARY KEY,
  transaction_id BLOB NOT NULL,
  table_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  base_row TEXT,
  channel_row TEXT,
  offline_row TEXT,
  reason TEXT NOT NULL,
  deferred_at_ms INTEGER NOT NULL,
  -- What people type; the decision gets it too. Another channel row is another conflict with another id.
  id BLOB,
  channel_version INTEGER,
  -- Which policy or plugin left it to a person.
  rule TEXT,
  plugin TEXT,
  -- A person's, as JSON: take (channel, offline) and set (column, text or null).
  choice TEXT,
  who TEXT,
  why TEXT,
  chosen_at_ms INTEGER
) STRICT;
CREATE INDEX tillhold_conflict_transaction ON tillhold_conflict (transaction_id);
CREATE UNIQUE INDEX tillhold_conflict_id ON tillhold_conflict (id);
CREATE TABLE tillhold_row_aside (
  table_name TEXT NOT NULL,
  folded_key TEXT NOT NULL,
  key TEXT NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  id BLOB,
  code TEXT NOT NULL DEFAULT 'rule-refused',
  circumstances TEXT,
  -- The channel's version of which the register has the row; NULL where it cannot write such a row.
  as_of INTEGER,
  PRIMARY KEY (table_name, folded_key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tillhold_row_aside_id ON tillhold_row_aside (id);
-- Pulled rows that the next pull of their table brings again, changed or not.
CREATE TABLE tillhold_again (
  table_name TEXT NOT NULL,
  folded_key TEXT NOT NULL,
  key TEXT NOT NULL,
  -- The channel's version of which the register has the row, where that is not its table's: a later one was not taken.
  as_of INTEGER,
  PRIMARY KEY (table_name, folded_key)
) STRICT, WITHOUT ROWID;
-- What a person lets go of, until both sides have it on record: a sale, or a row that was set aside.
CREATE TABLE tillhold_release (
  of_id BLOB PRIMARY KEY NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('sale', 'row')),
  id BLOB NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  asked_at_ms INTEGER NOT NULL,
  table_name TEXT NOT NULL,
  key TEXT NOT NULL,
  document TEXT NOT NULL
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
  decided_at_ms INTEGER NOT NULL,
  id BLOB,
  -- 'sent' until it is known that the channel has it with the transaction's rows.
  state TEXT NOT NULL DEFAULT 'made' CHECK (state IN ('sent', 'made')),
  who TEXT,
  why TEXT,
  -- Of what was let go of: its document, as it stands in the file.
  released TEXT,
  -- The table, where table_id does not say: what is let go of may be of the other file.
  table_name TEXT
) STRICT;
CREATE UNIQUE INDEX tillhold_decision_id ON tillhold_decision (id);
CREATE INDEX tillhold_decision_sent ON tillhold_decision (transaction_id) WHERE state = 'sent';
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
