//! Every setting of `register.toml`, described once (see [`super::field`]).

use super::device_fields::{EXPORT, IMAGES, NEW_DATABASE};
use super::field::{Field, Flag, Number, Presence, Shape, Table, Text, Word};
use tillhold_channel::Encryption;

/// AX's store and terminal numbers are nvarchar(10).
const AX_NUMBER: Text = Text { presence: Presence::Required, longest: Some(10) };

pub static REGISTER: Shape = Shape {
    fields: &[
        &STORE,
        &REGISTER_ID,
        &PROFILE,
        &FOLDER,
        &CHANNEL,
        &FRONT_DOOR,
        &PLUGINS,
        &EXPORT,
        &NEW_DATABASE,
        &IMAGES,
    ],
};

pub const STORE: Field<Text> =
    Field { key: "store", kind: AX_NUMBER, meaning: "RETAILSTORETABLE.STORENUMBER" };

pub const REGISTER_ID: Field<Text> =
    Field { key: "register", kind: AX_NUMBER, meaning: "RETAILTERMINALTABLE.TERMINALID" };

pub const PROFILE: Field<Text> = Field {
    key: "profile",
    kind: Text::OPTIONAL,
    meaning: "Which offline profile: a file; `channel` for the one that the store uses there \
              (RETAILSTORETABLE.OFFLINEPROFILE); `default` for the one that this program carries. Left out: \
              `profile.toml` beside this file if it is there, otherwise `channel`.",
};

pub const FOLDER: Field<Text> = Field {
    key: "folder",
    kind: Text::or("offline"),
    meaning: "Where the offline database's files live.",
};

pub const CHANNEL: Field<Table> = Field {
    key: "channel",
    kind: Table { shape: &CHANNEL_SHAPE, is_required: true },
    meaning: "The way to the channel database.",
};

pub const FRONT_DOOR: Field<Table> = Field {
    key: "front_door",
    kind: Table { shape: &FRONT_DOOR_SHAPE, is_required: false },
    meaning: "Where the point of sale asks.",
};

pub const PLUGINS: Field<Table> = Field {
    key: "plugins",
    kind: Table { shape: &PLUGINS_SHAPE, is_required: false },
    meaning: "Where the profile's plugins are.",
};

pub static CHANNEL_SHAPE: Shape = Shape {
    fields: &[
        &HOST,
        &PORT,
        &DATABASE,
        &AUTHENTICATION,
        &USER,
        &PASSWORD_FILE,
        &PASSWORD_ENV,
        &PASSWORD_CREDENTIAL,
        &PASSWORD_KEYRING,
        &PASSWORD,
        &PASSWORD_IN_CLEAR,
        &ACCESS_TOKEN_FILE,
        &ENCRYPTION,
        &CERTIFICATE,
        &CERTIFICATE_NAME,
        &TRUST,
    ],
};

pub const HOST: Field<Text> = Field {
    key: "host",
    kind: Text::REQUIRED,
    meaning: "The server's name or address; a named instance is reached by its port.",
};

pub const PORT: Field<Number> = Field {
    key: "port",
    kind: Number { least: 1.0, most: 65_535.0, is_whole: true, default: 1_433.0 },
    meaning: "Its port.",
};

pub const DATABASE: Field<Text> =
    Field { key: "database", kind: Text::REQUIRED, meaning: "The channel database's name." };

pub const AUTHENTICATION: Field<Word<Method>> = Field {
    key: "authentication",
    kind: Word {
        choices: &[("sql", Method::Sql), ("token", Method::Token), ("windows", Method::Windows)],
        default: Presence::Default(0),
    },
    meaning: "What the register shows: a SQL login, a Microsoft Entra access token, or the account that it runs as.",
};

/// What `authentication` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Sql,
    Token,
    Windows,
}

pub const USER: Field<Text> = Field {
    key: "user",
    kind: Text::OPTIONAL,
    meaning: "The SQL login of the register; required with `sql`.",
};

pub const PASSWORD_FILE: Field<Text> = Field {
    key: "password_file",
    kind: Text::OPTIONAL,
    meaning: "The password is the first line of this file, which only its owner may read; read at each login. With `sql` \
              exactly one of `password_file`, `password_env`, `password_credential`, `password_keyring` and `password` is required.",
};

pub const PASSWORD_ENV: Field<Text> = Field {
    key: "password_env",
    kind: Text::OPTIONAL,
    meaning: "The password is in this environment variable of the agent.",
};

pub const PASSWORD_CREDENTIAL: Field<Text> = Field {
    key: "password_credential",
    kind: Text::OPTIONAL,
    meaning: "The password is the systemd credential of this name, a file in the folder that CREDENTIALS_DIRECTORY names.",
};

pub const PASSWORD_KEYRING: Field<Text> = Field {
    key: "password_keyring",
    kind: Text::OPTIONAL,
    meaning: "The password is in the operating system's keyring, as service `tillhold` and this user.",
};

pub const PASSWORD: Field<Text> = Field {
    key: "password",
    kind: Text::OPTIONAL,
    meaning: "The password itself, for all who may read this file; only together with `password_in_clear = true`.",
};

pub const PASSWORD_IN_CLEAR: Field<Flag> = Field {
    key: "password_in_clear",
    kind: Flag { default: false },
    meaning: "Says that `password` stands in this file on purpose.",
};

pub const ACCESS_TOKEN_FILE: Field<Text> = Field {
    key: "token_file",
    kind: Text::OPTIONAL,
    meaning: "A file with the access token, read at each login: whoever renews the token only writes the file. Required \
              with `token`.",
};

pub const ENCRYPTION: Field<Word<Encryption>> = Field {
    key: "encryption",
    kind: Word {
        choices: &[
            ("required", Encryption::Required),
            ("login-only", Encryption::LoginOnly),
            ("off", Encryption::Off),
        ],
        default: Presence::Default(0),
    },
    meaning: "`login-only` and `off` are for old servers and for tests.",
};

pub const CERTIFICATE: Field<Text> = Field {
    key: "certificate",
    kind: Text::OPTIONAL,
    meaning: "A file with the certificate to trust, the server's or its issuer's, instead of `trust`; read at each login.",
};

pub const CERTIFICATE_NAME: Field<Text> = Field {
    key: "certificate_name",
    kind: Text::OPTIONAL,
    meaning: "The name in the server's certificate where it is not `host`.",
};

pub const TRUST: Field<Word<Trusted>> = Field {
    key: "trust",
    kind: Word {
        choices: &[("system", Trusted::System), ("any", Trusted::Any)],
        default: Presence::Default(0),
    },
    meaning: "Whose certificates are trusted: the operating system's, or any, which keeps nobody out.",
};

/// What `trust` alone can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    System,
    Any,
}

pub static FRONT_DOOR_SHAPE: Shape = Shape {
    fields: &[
        &LISTEN,
        &TOKEN_FILE,
        &POS_TOKEN_FILE,
        &READ_ONLY_TOKEN_FILE,
        &SOCKET,
        &SOCKET_RIGHTS,
    ],
};

pub const LISTEN: Field<Text> = Field {
    key: "listen",
    kind: Text::or("127.0.0.1:7465"),
    meaning: "A loopback address with a port; port 0 takes a free one.",
};

pub const TOKEN_FILE: Field<Text> = Field {
    key: "token_file",
    kind: Text::or("front-door.token"),
    meaning: "The operator's bearer token, which may do everything; made at the first start.",
};

pub const POS_TOKEN_FILE: Field<Text> = Field {
    key: "pos_token_file",
    kind: Text::or("front-door.pos.token"),
    meaning: "The points of sale's bearer token: sells and reads; made at the first start.",
};

pub const READ_ONLY_TOKEN_FILE: Field<Text> = Field {
    key: "read_only_token_file",
    kind: Text::or("front-door.read-only.token"),
    meaning: "A bearer token that reads and changes nothing, such as a dashboard's; made at the first start.",
};

pub const SOCKET: Field<Text> = Field {
    key: "socket",
    kind: Text::OPTIONAL,
    meaning: "A Unix socket at which the front door listens too; not on Windows.",
};

pub const SOCKET_RIGHTS: Field<Word<SocketRights>> = Field {
    key: "socket_rights",
    kind: Word {
        choices: &[("owner", SocketRights::Owner), ("group", SocketRights::Group)],
        default: Presence::Default(0),
    },
    meaning: "Who may open the socket: the agent's account (0600), or its group as well (0660).",
};

/// What `socket_rights` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRights {
    Owner,
    Group,
}

pub static PLUGINS_SHAPE: Shape = Shape { fields: &[&PLUGIN_FOLDER] };

pub const PLUGIN_FOLDER: Field<Text> = Field {
    key: "folder",
    kind: Text::or("plugins"),
    meaning: "Holds NAME.wasm of each plugin that the profile names.",
};
