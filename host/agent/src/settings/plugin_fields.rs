//! The settings of `profile.toml` about plugins wherever they are used, described once (see [`super::field`]).

use super::field::{Field, Presence, Shape, Tables, Text, Texts};

pub const PLUGINS: Field<Tables> = Field {
    key: "plugin",
    kind: Tables { shape: &PLUGIN_TERMS },
    meaning: "What holds for a plugin in every scope that uses it: the columns that it is granted. See \
              [plugins](plugins.md#grant-columns).",
};

pub static PLUGIN_TERMS: Shape = Shape { fields: &[&NAME, &DIGEST, &GRANTS] };

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
