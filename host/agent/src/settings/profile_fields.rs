//! Every setting of `profile.toml`, described once (see [`super::field`]).

use super::conduct_fields::{
    FAILOVER, INCARNATION, NUMBERS, SIZE, STALENESS, SYNCHRONIZATION, UPLOAD,
};
use super::field::{
    Field, Kind, Number, Presence, Shape, TableOrTables, Tables, Text, Texts, TextsOrTables, Word,
};
use super::plugin_fields::{PLUGIN_KEYS, PLUGINS};
use super::profile_file::ProfileSource;
use super::selection_fields::{OFFLINE_CUSTOMERS, OFFLINE_PRODUCTS};
use serde_json::{Value as Json, json};
use tillhold_core::profile::{Capture, Direction, OnPluginFailure, WritePath};

pub static PROFILE: Shape = Shape {
    fields: &[
        &NAME,
        &DESCRIPTION,
        &SOURCE,
        &OFFLINE_TIMEOUT,
        &RECONNECT_INTERVAL,
        &DWELL,
        &WRITE_PATH,
        &ORDER,
        &PLUGIN_KEYS,
        &CAPTURE,
        &SYNCHRONIZATION,
        &FAILOVER,
        &STALENESS,
        &UPLOAD,
        &NUMBERS,
        &INCARNATION,
        &SIZE,
        &OFFLINE_PRODUCTS,
        &OFFLINE_CUSTOMERS,
        &SCOPES,
        &PLUGINS,
    ],
};

pub const NAME: Field<Text> = Field {
    key: "name",
    kind: Text::or("Default"),
    meaning: "What the profile is called; with `source = \"channel\"` RETAILOFFLINEPROFILE.NAME unless it is said here. \
              AX holds ten characters: `profile publish` refuses more.",
};

pub const DESCRIPTION: Field<Text> = Field {
    key: "description",
    kind: Text::or(""),
    meaning: "Words for people; with `source = \"channel\"` RETAILOFFLINEPROFILE.DESCRIPTION unless it is said here.",
};

pub const SOURCE: Field<Word<ProfileSource>> = Field {
    key: "source",
    kind: Word {
        choices: &[("file", ProfileSource::File), ("channel", ProfileSource::Channel)],
        default: Presence::Default(0),
    },
    meaning: "`channel`: name, scopes, directions, frequencies and tables come from the channel's ax.RETAILOFFLINE* tables, \
              by the store's RETAILSTORETABLE.OFFLINEPROFILE, and this file adds to them. `file`: this file says everything.",
};

pub const OFFLINE_TIMEOUT: Field<Number> = Field {
    key: "offline_timeout_s",
    kind: Number { least: 0.1, most: 3_600.0, is_whole: false, default: 5.0 },
    meaning: "Seconds without an answer of the channel after which the register sells on its offline database.",
};

pub const RECONNECT_INTERVAL: Field<Number> = Field {
    key: "reconnect_interval_min",
    kind: Number { least: 0.001, most: 1_440.0, is_whole: false, default: 1.0 },
    meaning: "Minutes between two attempts to reach the channel again; jittered, so that a store's registers do not \
              come back as one herd. Fractions are allowed.",
};

pub const DWELL: Field<Number> = Field {
    key: "dwell_s",
    kind: Number { least: 0.0, most: 3_600.0, is_whole: false, default: 10.0 },
    meaning: "The least seconds Offline before a return begins, so that a flapping link does not flap the till.",
};

pub const WRITE_PATH: Field<Word<WritePath>> = Field {
    key: "write_path",
    kind: Word {
        choices: &[
            ("channel-first", WritePath::ChannelFirst),
            ("local-first", WritePath::LocalFirst),
        ],
        default: Presence::Default(0),
    },
    meaning: "`channel-first`: a sale goes to the channel while it is reachable, as AX 2012 R3 does it. `local-first`: \
              every sale commits to the offline database and is pushed at once, so no network is in the cashier's way.",
};

pub const ORDER: Field<Texts> = Field {
    key: "order",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Names of scopes that come first, in this order. The others follow as the file has them; with \
              `source = \"channel\"`, AX's numbered scheduler jobs in an order that makes sense without foreign keys, \
              upload scopes last.",
};

pub const CAPTURE: Field<super::field::Table> = Field {
    key: "capture",
    kind: super::field::Table { shape: &CAPTURE_SHAPE, is_required: false },
    meaning: "How the channel notes which rows changed.",
};

pub static CAPTURE_SHAPE: Shape = Shape { fields: &[&CAPTURE_METHOD] };

pub const CAPTURE_METHOD: Field<Word<Capture>> = Field {
    key: "method",
    kind: Word {
        choices: &[
            (Capture::ChangeTracking.name(), Capture::ChangeTracking),
            (Capture::Triggers.name(), Capture::Triggers),
        ],
        default: Presence::Default(0),
    },
    meaning: "`change-tracking`: SQL Server's own. `triggers`: a trigger and a tracking table for each table, for \
              owners who cannot have change tracking. `tillhold channel prepare` sets up the one that is named.",
};

pub const SCOPES: Field<Tables> = Field {
    key: "scope",
    kind: Tables { shape: &SCOPE },
    meaning: "An offline scope: tables that are synchronised together, in one direction, by the same rules.",
};

pub static SCOPE: Shape = Shape {
    fields: &[
        &SCOPE_NAME,
        &DIRECTION,
        &FREQUENCY,
        &TABLES,
        &TRANSFORMER,
        &RESOLVER,
        &ON_PLUGIN_FAILURE,
    ],
};

pub const SCOPE_NAME: Field<Text> = Field {
    key: "name",
    kind: Text::REQUIRED,
    meaning: "The scope's name; with `source = \"channel\"` the RETAILOFFLINESCOPE.DESCRIPTION of the scope that this \
              one adds to, or a new one.",
};

pub const DIRECTION: Field<Word<Direction>> = Field {
    key: "direction",
    kind: Word {
        choices: &[
            ("download", Direction::Download),
            ("upload", Direction::Upload),
            ("bidirectional", Direction::Bidirectional),
        ],
        default: Presence::Optional,
    },
    meaning: "`download`: from the channel to the register. `upload`: from the register to the channel. \
              `bidirectional`: both. Must be said unless the channel says it.",
};

pub const FREQUENCY: Field<Number> = Field {
    key: "frequency_s",
    kind: Number { least: 1.0, most: 604_800.0, is_whole: false, default: 300.0 },
    meaning: "Seconds between two synchronisations of the scope.",
};

pub const TABLES: Field<TextsOrTables> = Field {
    key: "tables",
    kind: TextsOrTables { shape: &TABLE },
    meaning: "The tables, each as `\"schema.NAME\"` (`ax` without a schema) or as a table of settings. A table is in one \
              scope only. One without a primary key that travels cannot be tracked: it is named at the start and left out.",
};

pub static TABLE: Shape = Shape { fields: &[&TABLE_NAME, &EXCLUDE, &COLUMNS, &FILTER] };

pub const TABLE_NAME: Field<Text> =
    Field { key: "name", kind: Text::REQUIRED, meaning: "`schema.NAME`; `ax` without a schema." };

pub const EXCLUDE: Field<Texts> = Field {
    key: "exclude",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Columns that never travel. Columns of the primary key always do, and those that the channel assigns \
              (identity, rowversion, computed) never.",
};

pub const COLUMNS: Field<Texts> = Field {
    key: "columns",
    kind: Texts { presence: Presence::Optional },
    meaning: "The columns that may travel, as RETAILOFFLINETABLECOLUMNS lists them; all of them by default.",
};

pub const FILTER: Field<Text> = Field {
    key: "filter",
    kind: Text::OPTIONAL,
    meaning: "Which rows the register has, by the row's own columns: `STORE = @store AND BLOCKED = 0`; all of them by \
              default. A row that leaves the filter leaves the register. See [row filters](#row-filters).",
};

pub const TRANSFORMER: Field<TableOrTables> = Field {
    key: "transformer",
    kind: TableOrTables { shape: &PLUGIN },
    meaning: "A plugin that sees the scope's rows on their way, down and up; or a list of at most 8, which a row passes in \
              their order.",
};

pub static PLUGIN: Shape = Shape { fields: &[&PLUGIN_NAME, &DIGEST, &CONFIG] };

pub const PLUGIN_NAME: Field<Text> = Field {
    key: "plugin",
    kind: Text::REQUIRED,
    meaning: "The component's file name without `.wasm`, in the folder that `register.toml` names.",
};

pub const DIGEST: Field<Text> = Field {
    key: "digest",
    kind: Text::OPTIONAL,
    meaning: "`sha256:…` of the component: another one of that name is refused. Without it any is taken.",
};

pub const CONFIG: Field<Text> =
    Field { key: "config", kind: Text::or(""), meaning: "Handed to the plugin as it is." };

pub const RESOLVER: Field<Resolving> = Field {
    key: "resolver",
    kind: Resolving,
    meaning: "Who decides when a row was changed on both sides: a built-in policy by its word, a policy with settings of \
              its own, or a plugin.",
};

/// The built-in policies, by their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyWord {
    ChannelWins,
    OfflineWins,
    ColumnMerge,
    Defer,
    Newest,
    Delta,
}

pub const POLICY: Field<Word<PolicyWord>> = Field {
    key: "policy",
    kind: Word {
        choices: &[
            ("channel-wins", PolicyWord::ChannelWins),
            ("offline-wins", PolicyWord::OfflineWins),
            ("column-merge", PolicyWord::ColumnMerge),
            ("defer", PolicyWord::Defer),
            ("newest", PolicyWord::Newest),
            ("delta", PolicyWord::Delta),
        ],
        default: Presence::Default(0),
    },
    meaning: "`column-merge` takes each side's changed columns and leaves overlapping ones to a person; `defer` leaves \
              everything to a person.",
};

pub const NEWEST_COLUMN: Field<Text> = Field {
    key: "column",
    kind: Text::OPTIONAL,
    meaning: "Only with `newest`, which needs it: the column that says which row is newer.",
};

pub const DELTA_COLUMNS: Field<Texts> = Field {
    key: "columns",
    kind: Texts { presence: Presence::Optional },
    meaning: "Only with `delta`, which needs it: numeric columns that get the sum of both sides' changes; others are \
              merged as by `column-merge`.",
};

pub const ON_PLUGIN_FAILURE: Field<Word<OnPluginFailure>> = Field {
    key: "on_plugin_failure",
    kind: Word {
        choices: &[
            ("halt", OnPluginFailure::Halt),
            ("pass", OnPluginFailure::Pass),
            ("quarantine", OnPluginFailure::Quarantine),
        ],
        default: Presence::Default(0),
    },
    meaning: "What becomes of rows when a plugin fails. `halt`: the scope stops until someone acts. `pass`: they go on \
              unchanged. `quarantine`: they are set aside with the reason, the others go on.",
};

/// `resolver = "channel-wins"`, `{ policy = …, … }` or `{ plugin = … }`.
pub struct Resolving;

impl PolicyWord {
    /// Whether the word alone says it all.
    pub fn is_plain(self) -> bool {
        !matches!(self, PolicyWord::Newest | PolicyWord::Delta)
    }
}

impl Kind for Resolving {
    fn schema(&self) -> Json {
        let choices = POLICY.kind.choices.iter();
        let plain: Vec<&str> = choices.filter(|(_, of)| of.is_plain()).map(|(w, _)| *w).collect();
        let policy = |fields: &'static [&'static dyn super::field::Described], policy: Json| {
            let mut schema = Shape { fields }.schema();
            schema["required"] = fields.iter().map(|field| field.key()).collect();
            schema["properties"]["policy"] = policy;
            schema
        };
        json!({ "anyOf": [
            { "enum": plain },
            policy(&[&POLICY], json!({ "enum": plain })),
            policy(&[&POLICY, &NEWEST_COLUMN], json!({ "const": "newest" })),
            policy(&[&POLICY, &DELTA_COLUMNS], json!({ "const": "delta" })),
            PLUGIN.schema(),
        ] })
    }

    fn takes(&self) -> String {
        "a policy's word or a table".to_string()
    }

    fn presence(&self) -> Presence<Json> {
        Presence::Default(json!(POLICY.kind.choices[0].0))
    }
}
