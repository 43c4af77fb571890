//! The settings of `profile.toml` about how a register conducts itself beside its scopes, described once (see
//! [`super::field`]).

use super::field::{Field, Number, Presence, Shape, Table, Word};
use tillhold_core::freshness::Reaction;
use tillhold_core::limits;
use tillhold_core::profile::InDoubt;

pub const SYNCHRONIZATION: Field<Table> = Field {
    key: "synchronization",
    kind: Table { shape: &SYNCHRONIZATION_SHAPE, is_required: false },
    meaning: "How much a register may ask of its channel, over all scopes.",
};

pub static SYNCHRONIZATION_SHAPE: Shape =
    Shape { fields: &[&SESSIONS, &ROWS_RATE, &JITTER, &REPORT_INTERVAL] };

pub const SESSIONS: Field<Number> = Field {
    key: "sessions_max_per_min",
    kind: whole(1.0, 6_000.0, 60.0),
    meaning: "Pulls of a scope by frequency, over all scopes, on average; a quiet minute is saved up. What is asked for by \
              hand, and the return after an outage, do not wait.",
};

pub const ROWS_RATE: Field<Number> = Field {
    key: "rows_per_second_max",
    kind: whole(0.0, 1_000_000.0, 0.0),
    meaning: "Rows that pulls by frequency bring, on average: after a large one the next waits. 0: as many as come. No pull \
              is slowed down in its middle, since the channel would keep old row versions for it meanwhile.",
};

pub const JITTER: Field<Number> = Field {
    key: "jitter_percent",
    kind: whole(0.0, 50.0, 10.0),
    meaning: "By how much of its frequency a scope may be pulled earlier, each time by another part, so that a store's \
              registers do not pull in step.",
};

pub const REPORT_INTERVAL: Field<Number> = Field {
    key: "report_interval_s",
    kind: Number { least: 1.0, most: 86_400.0, is_whole: false, default: 60.0 },
    meaning: "Seconds between two reports of how the register stands (`tillhold fleet`, AX's RETAILOFFLINESYNCLOG); one is \
              also made at each change between online and offline.",
};

pub const FAILOVER: Field<Table> = Field {
    key: "failover",
    kind: Table { shape: &FAILOVER_SHAPE, is_required: false },
    meaning: "When a channel that answers is left all the same, and how a flapping one is kept from flapping the till.",
};

pub static FAILOVER_SHAPE: Shape =
    Shape { fields: &[&SLOW, &SLOW_ANSWERS, &QUICK_ANSWERS, &STEADY, &DWELL_MAX] };

pub const SLOW: Field<Number> = Field {
    key: "slow_ms",
    kind: whole(0.0, 60_000.0, 0.0),
    meaning: "A probe that is answered later than this is slow. 0: no answer is. A probe's deadline is half of \
              `offline_timeout_s`, at most 4000: more than that says nothing.",
};

pub const SLOW_ANSWERS: Field<Number> = Field {
    key: "slow_answers",
    kind: whole(1.0, 1_000.0, 3.0),
    meaning: "So many slow answers in a row, and the register goes offline.",
};

pub const QUICK_ANSWERS: Field<Number> = Field {
    key: "quick_answers",
    kind: whole(1.0, 1_000.0, 3.0),
    meaning: "So many answers in a row that are not slow, a second apart, and it comes back to a channel that was.",
};

pub const STEADY: Field<Number> = Field {
    key: "steady_s",
    kind: Number { least: 0.0, most: 86_400.0, is_whole: false, default: 60.0 },
    meaning: "A channel that is lost sooner than this after a return is a flapping one: `dwell_s` counts twice, then four \
              times, and so on.",
};

pub const DWELL_MAX: Field<Number> = Field {
    key: "dwell_max_s",
    kind: Number { least: 0.0, most: 86_400.0, is_whole: false, default: 60.0 },
    meaning: "What the dwell grows to at most; it is never less than `dwell_s`.",
};

pub const STALENESS: Field<Table> = Field {
    key: "staleness",
    kind: Table { shape: &STALENESS_SHAPE, is_required: false },
    meaning: "What a register does that has no data to sell from, or old ones.",
};

pub static STALENESS_SHAPE: Shape = Shape { fields: &[&NEVER_SYNCHRONISED, &STALE_AFTER, &STALE] };

pub const NEVER_SYNCHRONISED: Field<Word<Reaction>> = Field {
    key: "never_synchronised",
    kind: Word { choices: REACTIONS, default: Presence::Default(0) },
    meaning: "While not every pulled scope has come once: `refuse` sales, `warn` with every answer, or `allow` them without a \
              word.",
};

pub const STALE_AFTER: Field<Number> = Field {
    key: "stale_after_s",
    kind: Number { least: 0.0, most: 31_536_000.0, is_whole: false, default: 0.0 },
    meaning: "A scope's data are stale so many seconds after its next pull was due, which is `frequency_s` and this after its \
              last complete one. 0: never.",
};

pub const STALE: Field<Word<Reaction>> = Field {
    key: "stale",
    kind: Word { choices: REACTIONS, default: Presence::Default(1) },
    meaning: "While the data of a scope that is read from the offline database are stale: the same choice.",
};

pub const UPLOAD: Field<Table> = Field {
    key: "upload",
    kind: Table { shape: &UPLOAD_SHAPE, is_required: false },
    meaning: "AX's option Upload transactions: how sales are sent; always whole, oldest first.",
};

pub static UPLOAD_SHAPE: Shape =
    Shape { fields: &[&UPLOAD_INTERVAL, &UPLOAD_TRANSACTIONS, &UPLOAD_ROWS] };

pub const UPLOAD_INTERVAL: Field<Number> = Field {
    key: "interval_s",
    kind: Number { least: 0.0, most: 86_400.0, is_whole: false, default: 0.0 },
    meaning: "Seconds between two uploads; 0 sends at once. With `write_path = \"channel-first\"` a sale waits for its own \
              upload, so each is sent at once whatever stands here.",
};

pub const UPLOAD_TRANSACTIONS: Field<Number> = Field {
    key: "transactions_max",
    kind: whole(1.0, MOST_TRANSACTIONS, MOST_TRANSACTIONS),
    meaning: "Sales in one batch at most, which is one round trip and one transaction of the channel. The first batch has 25; while the \
              channel is slow to answer they are smaller.",
};

pub const UPLOAD_ROWS: Field<Number> = Field {
    key: "rows_max",
    kind: whole(1.0, MOST_ROWS, MOST_ROWS),
    meaning: "Rows in one batch. A sale that has more goes alone, whole.",
};

const MOST_TRANSACTIONS: f64 = limits::UPLOAD_TRANSACTIONS_MAX as f64;
const MOST_ROWS: f64 = limits::UPLOAD_ROWS_MAX as f64;

pub const NUMBERS: Field<Table> = Field {
    key: "numbers",
    kind: Table { shape: &NUMBERS_SHAPE, is_required: false },
    meaning: "The numbers of sales, Store-Terminal-Sequence, counted in RETAILPOSSEEDDATA.",
};

pub static NUMBERS_SHAPE: Shape = Shape { fields: &[&NUMBERS_IN_DOUBT, &SEED_KIND] };

pub const NUMBERS_IN_DOUBT: Field<Word<InDoubt>> = Field {
    key: "when_in_doubt",
    kind: Word { choices: IN_DOUBT, default: Presence::Default(1) },
    meaning: "What a register does that does not know which numbers are used, and so could give one twice: `refuse` sales, \
              or `sell` and say so.",
};

pub const SEED_KIND: Field<Number> = Field {
    key: "seed_type",
    kind: whole(0.0, 1_000.0, 8.0),
    meaning: "RETAILPOSSEEDDATA.DATATYPE of the numbers of sales.",
};

pub const INCARNATION: Field<Table> = Field {
    key: "incarnation",
    kind: Table { shape: &INCARNATION_SHAPE, is_required: false },
    meaning: "An offline database that was restored from a backup, or that runs twice.",
};

pub static INCARNATION_SHAPE: Shape = Shape { fields: &[&INCARNATION_IN_DOUBT] };

pub const INCARNATION_IN_DOUBT: Field<Word<InDoubt>> = Field {
    key: "when_in_doubt",
    kind: Word { choices: IN_DOUBT, default: Presence::Default(0) },
    meaning: "It sends nothing until `tillhold incarnation renew`; meanwhile it may `sell` on its offline database, or \
              `refuse` sales.",
};

pub const SIZE: Field<Table> = Field {
    key: "size",
    kind: Table { shape: &SIZE_SHAPE, is_required: false },
    meaning: "How large the offline database may become, and what leaves it.",
};

pub static SIZE_SHAPE: Shape = Shape { fields: &[&LIMIT, &KEEP_SETTLED, &RESERVE] };

pub const LIMIT: Field<Number> = Field {
    key: "limit_mb",
    kind: whole(1.0, 16_777_216.0, 10_240.0),
    meaning: "Megabytes that `journal.db` and `catalogue.db` may hold together. At 80 % there is a warning; at the limit \
              downloads stop, sales go on.",
};

pub const KEEP_SETTLED: Field<Number> = Field {
    key: "keep_settled_days",
    kind: whole(1.0, 36_500.0, 60.0),
    meaning: "Days that a sale stays on the register, for returns, after the channel has it. Only rows of upload scopes go.",
};

pub const RESERVE: Field<Number> = Field {
    key: "reserve_mb",
    kind: whole(0.0, 65_536.0, 64.0),
    meaning: "Megabytes of the disk that are kept beside `journal.db`, so that a shift can be sold to its end when the disk \
              is full; 0 keeps none.",
};

const IN_DOUBT: &[(&str, InDoubt)] = &[("sell", InDoubt::Sell), ("refuse", InDoubt::Refuse)];

const REACTIONS: &[(&str, Reaction)] =
    &[("refuse", Reaction::Refuse), ("warn", Reaction::Warn), ("allow", Reaction::Allow)];

const fn whole(least: f64, most: f64, default: f64) -> Number {
    Number { least, most, is_whole: true, default }
}
