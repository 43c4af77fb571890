//! Every bound of the product, in one place, each with its reason. Nothing is unbounded.

use std::time::Duration;

/// Rows in a pulled page: the measured sweet spot of a plugin batch, and a few MB of memory at most.
pub const PULL_PAGE_ROWS_MAX: usize = 1_000;
/// Rows of a first load that SQLite commits at once: a commit every thousand rows costs a fifth of a load's time.
pub const LOAD_PAGE_ROWS_MAX: usize = 5_000;
/// Such a page's bytes: one of pictures is cut earlier. Five pages or so are on their way at once.
pub const LOAD_PAGE_BYTES_MAX: usize = 4 << 20;
/// Pages that wait between reading, ruling and writing: one each, so that no side waits for another without need.
pub const LOAD_PAGES_WAITING_MAX: usize = 1;
/// Rows and bytes that one statement of a first load asks for: until it ends, the channel keeps old row versions for it.
pub const LOAD_STATEMENT_ROWS_MAX: usize = 50_000;
pub const LOAD_STATEMENT_BYTES_MAX: usize = 64 << 20;
/// Transactions in one upload, which is one round trip: a real sale has some twenty rows, so that the limit in rows is the
/// one that counts; of small sales no more than this wait for one lost answer.
pub const UPLOAD_TRANSACTIONS_MAX: usize = 200;
/// In the first upload of a push: a store's registers come back together, and the channel takes them one after the other.
pub const UPLOAD_TRANSACTIONS_FIRST: usize = 25;
/// No upload is made smaller than this because it takes long: on a line of 600 ms these are 33 sales a second.
pub const UPLOAD_TRANSACTIONS_SLOW: usize = 20;
/// An upload that is answered later makes the next one smaller: cashiers whose sales the channel takes at once wait for other
/// registers' uploads to end, and go on offline after the offline timeout, some seconds.
pub const UPLOAD_TIME_WANTED: Duration = Duration::from_millis(400);
/// Rows in one upload: OPENJSON is best below some thousands, a deadlock victim repeats all of them, and from 5,000 locks on
/// SQL Server locks the whole table, which would stop the store's other registers.
pub const UPLOAD_ROWS_MAX: usize = 2_000;
/// Text of one upload's JSON parameter: 2,000 rows of a wide table; whatever is longer goes in halves.
pub const UPLOAD_BYTES_MAX: usize = 2 << 20;

/// Statements that one connection has the channel keep: a register's sales have a handful of shapes, each of some tens of
/// kilobytes.
pub const KEPT_STATEMENTS_MAX: usize = 32;

/// Ranges of used numbers that are remembered of a register: gaps are numbers that the till drew and never used. Past it
/// the lowest two become one, and what lies between counts as used.
pub const NUMBER_RANGES_KEPT: usize = 1_000;
/// Pulls that a quiet register has saved up: the scopes of a profile mostly come due together.
pub const PULL_BURST: Duration = Duration::from_secs(60);
/// Starts of the agent that its journal remembers, to know its own from a copy's: two a day for a year.
pub const RUNS_KEPT: usize = 750;
/// Synchronisations that wait to be told to the channel; past it the oldest is told to the offline database only.
pub const SYNC_REPORTS_WAITING_MAX: usize = 200;

/// How far a clock may have been set back over a stop and still count it as no time: a day is more than a wrong zone, a
/// wrong hour of summer and a correction together; a clock that lost its battery is years back.
pub const CLOCK_SET_BACK_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How often the ages of the data are kept: what is lost in a crash makes data at most so much older than they are, and a
/// commit a minute wears no disk.
pub const AGES_KEPT_INTERVAL: Duration = Duration::from_secs(60);

/// A row of one POS transaction at the front door; the longest real basket has 168 lines, each with tax rows.
pub const TRANSACTION_ROWS_MAX: usize = 5_000;
/// A file or a line with a password; SQL Server's longest has 128 characters.
pub const PASSWORD_BYTES_MAX: u64 = 4 << 10;
/// A line that a person types at `setup`.
pub const SETUP_ANSWER_BYTES_MAX: u64 = 4 << 10;
/// A front-door body: 5,000 rows of a few columns fit; anything larger is a mistake or harm.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Rows in one front-door read; more come by paging.
pub const READ_ROWS_MAX: usize = 1_000;
/// Requests in work at once, without sales; past it the front door answers 503 with Retry-After.
pub const REQUESTS_MAX: usize = 64;
/// Sales in work at once, whose places nothing else takes: more than a register has cashiers, and each may have a full body.
pub const SALES_IN_WORK_MAX: usize = 32;
/// Listeners to the event stream at once: the point of sale, a dashboard, and what comes back before it was missed.
pub const EVENT_LISTENERS_MAX: usize = 32;
/// Connections at once, at the loopback address and again at the socket: as many as sales, other requests and listeners can
/// be in work together. Those that points of sale keep for their next question make room for them.
pub const DOOR_CONNECTIONS_MAX: usize = SALES_IN_WORK_MAX + REQUESTS_MAX + EVENT_LISTENERS_MAX;
/// Connections past those that are told so; what comes beyond is closed without a word.
pub const DOOR_REFUSALS_MAX: usize = 16;
/// How long a new connection waits for the place of one that was idle, and a refused one to take its answer.
pub const DOOR_ADMISSION_TIME_MAX: Duration = Duration::from_millis(1_000);
/// From a connection's opening, or from the answer before, to the end of a request's head.
pub const DOOR_HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// A request's head; browsers and libraries send below 2 KB.
pub const DOOR_HEAD_BYTES_MAX: usize = 64 << 10;
/// From a request's head to its body's end: 8 MiB take a tenth of a second on this machine.
pub const DOOR_BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// What is taken of a body that was refused: twice the largest one, within a fifth of its time.
pub const DOOR_REST_BYTES_MAX: usize = 16 << 20;
pub const DOOR_REST_TIME_MAX: Duration = Duration::from_secs(2);
/// After so long without a byte of its answer taken a caller is gone.
pub const DOOR_WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// A question's time at the front door: three times what a till's user waits before trying again.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(15);
/// Of it, the wait for a channel that does not answer: the rest is for the offline database, and for a rule over its rows.
pub const CHANNEL_READ_TIME_MAX: Duration = Duration::from_secs(8);
/// A sale's way to the disk, beside its wait for the channel: a checkpoint of a slow disk and a purge's step fit.
pub const SALE_WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// Requests that a role may make: so many a second, and as a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorRate {
    pub per_second: u64,
    pub burst: u64,
}

/// Without a token: probes of a service manager ask once a second; whoever tries tokens is stopped early.
pub const DOOR_RATE_ANYONE: DoorRate = DoorRate { per_second: 20, burst: 100 };
/// Dashboards: a wild one must not cost the till its disk and cores.
pub const DOOR_RATE_READ_ONLY: DoorRate = DoorRate { per_second: 50, burst: 200 };
/// Points of sale: twice the 20,000 price lookups that the fastest register is built for; past it something runs in a
/// circle, and synchronisation shall still have its share.
pub const DOOR_RATE_POS: DoorRate = DoorRate { per_second: 40_000, burst: 40_000 };
/// The operator's token was every point of sale's before there were roles, so it has no less.
pub const DOOR_RATE_OPERATOR: DoorRate = DOOR_RATE_POS;

/// Rows of a range that `verify` sums up and, where the sums differ, compares: a read of the offline database of some
/// milliseconds, so that no snapshot there gets old.
pub const VERIFY_RANGE_ROWS_MAX: usize = 1_000;
/// Keys of one table that are looked at a second time, under one snapshot of the channel; further ones are counted as
/// not examined. A table that differs in more places is loaded anew, not mended row by row.
pub const VERIFY_CANDIDATES_MAX: usize = 10_000;
/// Keys of one table that are held while their rows are looked for at the channel: some 20 MB.
pub const VERIFY_OPEN_KEYS_MAX: usize = 100_000;
/// Named differences in one answer, half of what a client takes; what is beyond is counted by table.
pub const VERIFY_ANSWER_BYTES_MAX: usize = 8 << 20;
/// Of one named value; a longer one differs somewhere, and both whole are in their databases.
pub const VERIFY_VALUE_CHARS_MAX: usize = 1_000;

/// Members of one kind of an offline selection: half the products of the largest store. Their keys are held in memory (20 MB)
/// and travel with each statement that reads by them (4 MB); who wants more wants all.
pub const SELECTION_MEMBERS_MAX: usize = 250_000;
/// Different items (customers) of this register's own kept sales that are members for that reason: months of them.
pub const SELECTION_OWN_MAX: usize = 50_000;
/// Who would join or leave, as far as they are named: a person reads no more at once.
pub const SELECTION_SHOWN_MAX: usize = 20;
/// Levels of categories below a chosen one, and of items linked to items: AX has five at most.
pub const SELECTION_LEVELS_MAX: usize = 20;
/// A row filter's text: a page of a screen; more is a list that belongs into a table.
pub const FILTER_CHARACTERS_MAX: usize = 4_000;
/// How deep a filter's parentheses and NOTs go: nobody reads deeper, and the parser's stack is bounded.
pub const FILTER_DEPTH_MAX: usize = 16;
/// Values of a filter: each is a parameter of its statement, of which SQL Server takes 2,100.
pub const FILTER_VALUES_MAX: usize = 500;

/// Between two probes of a channel that answers: however long the offline timeout is, a shop knows within seconds.
pub const PROBE_INTERVAL_MAX: Duration = Duration::from_millis(2_000);
/// Doubts that end well, without a steady time Online between them, before the next one is Offline at once: a link that
/// loses one probe in four is worse than none.
pub const DOUBTS_MAX: u32 = 3;
/// Between the quick answers that a slow channel owes before a return: further apart than one burst of a full line.
pub const QUICK_PROBE_PAUSE: Duration = Duration::from_millis(1_000);

/// Work waiting for a file's one writer thread; past it the caller is told to slow down.
pub const WRITER_QUEUE_MAX: usize = 256;
/// How long a statement waits for another connection's lock on an offline file (nothing should hold one).
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(5_000);

/// TCP connect, and TLS with login, each.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(5_000);
/// How long the channel should remember changes at least: a register that is off over a long weekend needs no load anew.
pub const RETENTION_DAYS_ADVISED: u16 = 4;
/// One page or one upload; a longer silence counts as a dead link.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_millis(30_000);

/// A plugin's linear memory: compiled guests need under 1 MB for a batch of 1,000 rows.
pub const PLUGIN_MEMORY_BYTES_MAX: usize = 64 << 20;
/// What goes into a plugin at once, beside the limit in rows: a batch of pictures must fit its memory with room to work.
pub const PLUGIN_BATCH_BYTES_MAX: usize = 8 << 20;
/// Tables that a plugin may say it works on: AX's schema `ax` has 349. What is done with them is the host's own
/// work, which no deadline ends.
pub const PLUGIN_TABLES_DESCRIBED_MAX: usize = 1_000;
/// Columns of one of them, and the letters of a name: SQL Server has tables of 1,024 columns and identifiers of 128.
pub const PLUGIN_COLUMNS_DESCRIBED_MAX: usize = 1_024;
pub const PLUGIN_NAME_CHARS_MAX: usize = 128;
/// Table elements, core instances, tables and memories of one plugin: the largest scripted engines need 8,000, 40, 10, 1.
pub const PLUGIN_TABLE_ELEMENTS_MAX: usize = 20_000;
pub const PLUGIN_INSTANCES_MAX: usize = 64;
pub const PLUGIN_TABLES_MAX: usize = 16;
pub const PLUGIN_MEMORIES_MAX: usize = 4;
/// Calls of plugins at once, over all of them: a call more waits for one to end. A flow makes one at a time, and there are a
/// pull, a push, and a few trials at the front door.
pub const PLUGIN_CALLS_MAX: u32 = 32;
/// Memories that are kept for the next call, each with so many bytes of it, when nothing runs.
pub const PLUGIN_MEMORIES_WARM: u32 = 4;
pub const PLUGIN_MEMORY_BYTES_WARM: usize = 2 << 20;
/// Transformers in a row of one scope: each may take [`PLUGIN_TICKS_MAX`] for a batch, so eight make a page wait a
/// quarter of a minute at the very worst.
pub const PLUGINS_IN_A_ROW_MAX: usize = 8;
/// The most that a profile may allow one plugin. Memory: a register has 4 GB, and sells meanwhile.
pub const PLUGIN_MEMORY_BYTES_MOST: usize = 512 << 20;
/// Its scope waits so long for every batch; a page may have several.
pub const PLUGIN_DEADLINE_MOST: Duration = Duration::from_secs(30);
/// Every value of a full batch ([`PLUGIN_BATCH_BYTES_MAX`]) eight times as long.
pub const PLUGIN_ANSWER_BYTES_MOST: usize = 64 << 20;
/// Ten for each row of a batch: an author looks for something.
pub const PLUGIN_LOG_LINES_MOST: u32 = 10_000;
/// A plugin's own call stack; Rust's shadow stack lies in its memory.
pub const PLUGIN_STACK_BYTES_MAX: usize = 256 << 10;
/// A plugin's time for one batch, in epoch ticks of [`PLUGIN_TICK`]: 2 s, a hundred times what the slowest kit needs.
pub const PLUGIN_TICKS_MAX: u64 = 200;
pub const PLUGIN_TICK: Duration = Duration::from_millis(10);
/// What a plugin may hand back for one batch (wasmtime's own default of 128 MiB lets a 64 MiB error text through).
pub const PLUGIN_ANSWER_BYTES_MAX: usize = 8 << 20;
/// A component's file: componentize-py's 18 MB must fit.
pub const PLUGIN_FILE_BYTES_MAX: u64 = 32 << 20;
/// A plugin's signature: four lines of text, 300 bytes with the comments that minisign itself writes.
pub const PLUGIN_SIGNATURE_BYTES_MAX: u64 = 4_096;
/// Failing calls of one plugin on one batch ([`PULL_PAGE_ROWS_MAX`]) while the guilty rows are looked for by halving: three
/// rows among a thousand are found. Past it nothing is halved any more: of the halves that wait, ten at most, each is asked
/// about once and set aside whole where that fails. So a looping plugin holds its scope for 42 calls of 2 s, a minute and a
/// half, for each batch; a page of a first load ([`LOAD_PAGE_ROWS_MAX`]) has five, which are seven minutes.
pub const PLUGIN_FAILURES_MAX: u32 = 32;
/// Components of one name whose accounts are kept apart in the book on plugins; older ones only count in the sums.
pub const PLUGIN_ACCOUNTS_KEPT: usize = 8;
/// Loaded components that are kept: what the scopes use, and what waits to be exchanged.
pub const PLUGINS_LOADED_MAX: usize = 64;
/// How long the program's end waits for work on other threads that nobody waits for any more: a plugin's call is over
/// by its deadline, but the halves of its batch would each have one.
pub const LEFT_BEHIND_END_MAX: Duration = Duration::from_secs(5);
/// Components of one name that are kept beside the one at work, to go back to.
pub const PLUGIN_FILES_KEPT: usize = 5;
/// Compiled components that stay on the disk that sales are on: five names with the one at work and all that are kept beside
/// it. One from Rust has 0.4 MB, one from Python 37; one that has left is compiled again when it is next loaded.
pub const PLUGINS_COMPILED_KEPT: usize = 32;
/// Letters of a guilty row's key in the log and in status: a long text column must not flood either.
pub const PLUGIN_KEY_LETTERS_MAX: usize = 200;
/// A line of rows that an author tries a plugin with, and a file that is read whole: eight times a full batch.
pub const KIT_FILE_BYTES_MAX: u64 = 64 << 20;
/// Log lines a batch, and the length of one; the rest is counted and dropped.
pub const PLUGIN_LOG_LINES_MAX: u32 = 100;
pub const PLUGIN_LOG_LINE_BYTES_MAX: usize = 1_024;

/// Sales that wait for the writer and share a commit: the first of them waits for the work of all, about half a millisecond
/// each, where the disk alone can take 60.
pub const SALES_AT_ONCE: usize = 32;
/// Settlements in one commit: a cashier's sale waits behind one such commit, up to 25 ms were seen for 16 on two busy cores,
/// and an upload of 200 sales costs two dozen syncs more.
pub const SETTLED_AT_ONCE: usize = 8;
/// Settled transactions that the channel is asked for at once, when it lacks the last one: some 50 kB of ids.
pub const ARRIVED_ASKED_MAX: usize = 1_000;
/// Settled transactions that are remembered for a repeated PUT, the longest a POS keeps retrying one, and for a channel that was
/// restored from a backup.
pub const SETTLED_TRANSACTIONS_KEPT: u64 = 20_000;
/// Changes of the failover state that a listener may lag behind or come back to; and the supervisor's queue.
pub const EVENTS_KEPT: usize = 256;

/// `rustup target add` downloads some 20 MB; a closed network hangs instead of refusing.
pub const RUSTUP_TIMEOUT: Duration = Duration::from_secs(120);
/// One apt-get command; 137 MB come down and 745 MB are unpacked.
pub const APT_TIMEOUT: Duration = Duration::from_secs(1_200);
/// Rust's standard library for guests: 90 s of one core when nothing else runs.
pub const STD_BUILD_TIMEOUT: Duration = Duration::from_secs(2_400);
/// One guest, with all its dependencies: 75 s of one core when nothing else runs.
pub const GUEST_BUILD_TIMEOUT: Duration = Duration::from_secs(1_800);
/// Fetching a tool of another language from its registry: at most 120 MB.
pub const TOOL_FETCH_TIMEOUT: Duration = Duration::from_secs(900);
/// A question to a compiler (its version, a folder), which it answers in milliseconds.
pub const COMPILER_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Waiting for another program that builds into the same cache folder: its longest build.
pub const BUILD_LOCK_TIMEOUT: Duration = STD_BUILD_TIMEOUT;
/// Lines of a failed build that an error repeats: one compiler error with its excerpt and notes.
pub const BUILD_LINES_KEPT: usize = 40;
/// What a build tool may print before the rest is not read: cargo's messages for 200 crates are under 1 MB.
pub const BUILD_OUTPUT_BYTES_MAX: u64 = 16 << 20;

/// Room on the disk without which a sale is not sure to be written: its pages in the write-ahead log, some of them new.
pub const SALE_ROOM_BYTES: u64 = 256 << 10;

/// Read connections an offline file: two cores, and a register has one screen.
pub const OFFLINE_READERS_MAX: usize = 4;
/// Of them, for reads that take long: one is left for the lookups that every sale needs.
pub const OFFLINE_LONG_READS_MAX: usize = OFFLINE_READERS_MAX - 1;
/// A read's longest life: an old reader keeps the write-ahead log from being reused, and it grows without end.
pub const OFFLINE_READ_TIME_MAX: Duration = Duration::from_millis(2_000);
/// A catalogue up to this size is checked whole at open (0.2 s); a larger one later, beside the selling.
pub const CATALOGUE_CHECK_BYTES_MAX: u64 = 64 << 20;
/// Synchronisations that the offline database remembers: a week at one a minute.
pub const SYNC_LOG_ENTRIES_KEPT: u64 = 10_000;
/// Decided conflicts that the offline database remembers; the channel keeps them too.
pub const DECISIONS_KEPT: u64 = 50_000;
/// Deeds of people that the audit log remembers: twenty a day for ten years.
pub const ACTS_KEPT: u64 = 50_000;
/// Without a sale for so long the till is taken to be quiet, and the journal may be rewritten for a second or two.
pub const QUIET_TILL: Duration = Duration::from_secs(15 * 60);
/// Between two looks at a profile that the channel holds: four small questions.
pub const PROFILE_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Between two passes over a scope of a channel on which nothing was committed: until then a table that was truncated or
/// altered, and nothing else, goes unnoticed by a pull by frequency.
pub const PASS_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// Per cent of the size limit from which on there is a warning: weeks before the end in an ordinary shop.
pub const SIZE_WARNING_PERCENT: u64 = 80;
/// Days that a forecast needs at least; two could be any two.
pub const SIZE_FORECAST_DAYS_MIN: usize = 3;
/// The newest days that a forecast looks at: a season's pace, not last year's.
pub const SIZE_FORECAST_DAYS_LOOKED_AT: usize = 30;
/// Past ten years a forecast says nothing.
pub const SIZE_FORECAST_DAYS_MAX: u64 = 3_650;
/// Days whose sizes are remembered: a year and a month, for who compares with last year.
pub const SIZE_DAYS_KEPT: u64 = 400;
/// Between two tries to write the front door's address on a full disk: a POS that looks for it waits no longer than this.
pub const ADDRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Before a loop of the agent that panicked is begun again: a fault that comes back at once shall not fill the log.
pub const LOOP_RESTART_DELAY: Duration = Duration::from_secs(10);

/// Between two looks at the size of the files, each of which reads a few pages.
pub const SIZE_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Between two purges of settled sales; the days that they are kept are counted in whole days anyway.
pub const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Rows that a purge deletes in one go: a sale that comes meanwhile waits some milliseconds. A single larger POS
/// transaction goes whole all the same.
pub const PURGE_ROWS_MAX: u64 = 500;
/// Pages of an offline file that one idle moment gives back to the disk: 1 MB to read and to write.
pub const SHRINK_PAGES_MAX: i64 = 256;
/// Free pages that a file keeps for its next rows (10 MB), or a tenth of it where that is more: what is given back
/// today would be asked for again tomorrow.
pub const FREE_PAGES_KEPT: i64 = 2_560;
/// A file of a layout that cannot give free pages back is rewritten for it at open, up to this size (0.3 s).
pub const REWRITE_AT_OPEN_BYTES_MAX: u64 = 64 << 20;
/// Decisions kept of a transaction whose answers were lost: two attempts at one with the most rows.
pub const SENT_DECISIONS_KEPT: u64 = 2 * TRANSACTION_ROWS_MAX as u64;
/// Refused sales that go up again at once after what stood in their way has changed: one upload's.
pub const SALES_RETRIED_MAX: usize = UPLOAD_TRANSACTIONS_MAX;
/// Pulled rows of a table that one pull asks for again: one page.
pub const ROWS_AGAIN_MAX: usize = PULL_PAGE_ROWS_MAX;
/// Releases that one push tells the channel of: each is a round trip with a whole sale.
pub const RELEASES_SENT_MAX: usize = 100;
/// Rows of one listing (quarantine, conflicts, decisions): a person reads no more at once.
pub const LISTING_ROWS_MAX: usize = 1_000;

/// Pages that a snapshot copies at once: 1 MiB, after which a stopping agent is heard.
pub const SNAPSHOT_STEP_PAGES: i32 = 256;
/// A snapshot's pieces, each with its hash: a broken transfer loses at most one of them.
pub const SNAPSHOT_CHUNK_BYTES: u64 = 4 << 20;
/// A manifest: a hash for each of 2,500 pieces (10 GB), and a line for each of some hundred tables.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// How old a snapshot without a changed row may become before it is made anew all the same: its positions must stay
/// within what SQL Server remembers, two days unless someone said otherwise.
pub const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// One picture: a till's screen shows no larger ones, and each is read whole.
pub const PICTURE_BYTES_MAX: usize = 16 << 20;
/// A picture's name; AX's columns hold 1,999 characters, file systems far less.
pub const PICTURE_NAME_CHARS_MAX: usize = 400;
/// Pictures fetched at once: a till shows a page of buttons, and the line is the shop's.
pub const PICTURE_FETCHES_MAX: usize = 4;
/// Names that one prefetch looks at, all in memory.
pub const PICTURES_PREFETCHED_MAX: usize = 50_000;

/// Sessions of the embedded channel at once: thirty registers of a store with four links each, and eight people. Each
/// has its own connection to the file and up to 16 MB of its pages: 2 GB at the very worst.
pub const TDS_SESSIONS_MAX: usize = 128;
/// Connections past those: who comes too late is told so (17809) instead of being cut off.
pub const TDS_DOOR_MAX: usize = 16;
/// PRELOGIN, TLS and LOGIN7 together; tiberius gives a server fifteen seconds too.
pub const TDS_LOGIN_TIMEOUT: Duration = Duration::from_millis(15_000);
/// A PRELOGIN message of a client that nobody knows yet; real ones are below 200 bytes.
pub const TDS_PRELOGIN_BYTES_MAX: usize = 4 << 10;
/// LOGIN7 is below 128 KiB (MS-TDS 2.2.6.4).
pub const TDS_LOGIN_BYTES_MAX: usize = 128 << 10;
/// A batch or a call with its parameters: an upload's JSON is 8 MiB in UTF-16, and some room.
pub const TDS_MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Packet sizes that a client may ask for (MS-TDS 2.2.6.4), and the one it gets without asking.
pub const TDS_PACKET_BYTES_MIN: usize = 512;
pub const TDS_PACKET_BYTES_MAX: usize = 32_767;
pub const TDS_PACKET_BYTES_DEFAULT: usize = 4_096;
/// An answer travels from the engine's thread to the socket in such pieces; so many wait before the engine does.
pub const TDS_CHUNK_BYTES: usize = 32 << 10;
pub const TDS_CHUNKS_WAITING_MAX: usize = 4;
/// Parameters of one call, as in SQL Server.
pub const TDS_PARAMETERS_MAX: usize = 2_100;
/// Prepared statements that one connection may hold.
pub const TDS_PREPARED_MAX: usize = 1_000;
/// Bulk rows are given to the engine in such portions, whichever is reached first.
pub const TDS_BULK_ROWS_MAX: usize = 1_000;
pub const TDS_BULK_BYTES_MAX: usize = 1 << 20;
/// How long a listener tries to get its own port back.
pub const TDS_REBIND_TIMEOUT: Duration = Duration::from_millis(10_000);
/// How long a stopping server waits for requests in work before it drops them.
pub const TDS_STOP_TIMEOUT: Duration = Duration::from_millis(10_000);
/// An order to the embedded channel's faults: a line with a piece of a statement.
pub const TDS_ORDER_BYTES_MAX: usize = 4 << 10;
/// How long an answer may be held back on order; longer is a stall.
pub const TDS_DELAY_MAX: Duration = Duration::from_secs(600);
