//! The settings of `profile.toml` about plugins wherever they are used, described once (see [`super::field`]).

use super::field::{Field, Number, Presence, Shape, Tables, Text, Texts};
use tillhold_core::limits::{
    PLUGIN_ANSWER_BYTES_MAX, PLUGIN_ANSWER_BYTES_MOST, PLUGIN_DEADLINE_MOST, PLUGIN_LOG_LINES_MAX,
    PLUGIN_LOG_LINES_MOST, PLUGIN_MEMORY_BYTES_MAX, PLUGIN_MEMORY_BYTES_MOST, PLUGIN_TICK,
    PLUGIN_TICKS_MAX,
};

pub const PLUGINS: Field<Tables> = Field {
    key: "plugin",
    kind: Tables { shape: &PLUGIN_TERMS },
    meaning: "What holds for a plugin in every scope that uses it: the columns that it is granted, and \
              what it may use. See [plugins](plugins.md#grant-columns).",
};

pub const PLUGIN_KEYS: Field<Texts> = Field {
    key: "plugin_keys",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Public keys of minisign (`RW…`), of which one must have signed each plugin; `[]` asks for no signature. See \
              [plugins](plugins.md#signed-plugins).",
};

pub static PLUGIN_TERMS: Shape =
    Shape { fields: &[&NAME, &DIGEST, &GRANTS, &MEMORY, &DEADLINE, &ANSWER, &LOG_LINES] };

pub const NAME: Field<Text> = Field {
    key: "name",
    kind: Text::REQUIRED,
    meaning: "The plugin, as `transformer` and `resolver` name it. A scope must use it.",
};

pub const DIGEST: Field<Text> = Field {
    key: "digest",
    kind: Text::OPTIONAL,
    meaning: "`sha256:…` of the component, for all uses that do not say it themselves.",
};

pub const GRANTS: Field<Tables> = Field {
    key: "grants",
    kind: Tables { shape: &GRANT },
    meaning: "The tables and columns that the plugin may see and change; a plugin that asks for more is refused. Without it \
              a plugin gets what it declares; `[]` grants nothing.",
};

const MIB: usize = 1 << 20;

pub const MEMORY: Field<Number> = Field {
    key: "memory_max_mb",
    kind: whole(PLUGIN_MEMORY_BYTES_MOST / MIB, PLUGIN_MEMORY_BYTES_MAX / MIB),
    meaning: "Megabytes of memory for one batch. A plugin in a scripted language may need more; a batch that needs more fails \
              (`plugin-memory`).",
};

pub const DEADLINE: Field<Number> = Field {
    key: "deadline_ms",
    kind: Number {
        least: PLUGIN_TICK.as_millis() as f64,
        ..whole(PLUGIN_DEADLINE_MOST.as_millis() as usize, PLUGIN_TICKS_MAX as usize * TICK_MS)
    },
    meaning: "Milliseconds for one batch, in whole ticks of 10; then the plugin is stopped (`plugin-deadline`).",
};

const TICK_MS: usize = PLUGIN_TICK.as_millis() as usize;

pub const ANSWER: Field<Number> = Field {
    key: "answer_max_mb",
    kind: whole(PLUGIN_ANSWER_BYTES_MOST / MIB, PLUGIN_ANSWER_BYTES_MAX / MIB),
    meaning: "Megabytes that it may hand back for one batch, which bounds how much longer it makes rows; more is refused \
              (`plugin-answer-too-large`).",
};

pub const LOG_LINES: Field<Number> = Field {
    key: "log_lines_max",
    kind: Number {
        least: 0.0,
        ..whole(PLUGIN_LOG_LINES_MOST as usize, PLUGIN_LOG_LINES_MAX as usize)
    },
    meaning: "Log lines of one batch; the rest is counted and dropped.",
};

/// What a plugin may use, in the order in which it is written.
pub static BOUNDS: [&Field<Number>; 4] = [&MEMORY, &DEADLINE, &ANSWER, &LOG_LINES];

const fn whole(most: usize, default: usize) -> Number {
    Number { least: 1.0, most: most as f64, is_whole: true, default: default as f64 }
}

pub static GRANT: Shape = Shape { fields: &[&TABLE, &READS, &WRITES] };

pub const TABLE: Field<Text> = Field {
    key: "table",
    kind: Text::REQUIRED,
    meaning: "`schema.NAME`; `ax` without a schema. Several grants of one table add up.",
};

pub const READS: Field<Texts> = Field {
    key: "reads",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "The columns whose values the plugin gets; `*` for all that travel. A resolver also needs the columns of the key.",
};

pub const WRITES: Field<Texts> = Field {
    key: "writes",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "The columns that the plugin may change; `*` for all but the key.",
};
