//! Settings of `register.toml` for what AX calls the device configuration: exports, new databases, pictures.

use super::field::{Field, Number, Presence, Shape, Table, Text, Texts, Word};

/// A question that has two answers.
const NO_UNLESS_SAID: Word<bool> =
    Word { choices: &[("no", false), ("yes", true)], default: Presence::Default(0) };
const YES_UNLESS_SAID: Word<bool> =
    Word { choices: &[("yes", true), ("no", false)], default: Presence::Default(0) };

pub const EXPORT: Field<Table> = Field {
    key: "export",
    kind: Table { shape: &EXPORT_SHAPE, is_required: false },
    meaning: "Data export folder and Database export schedule: prebuilt catalogues for the store's other registers.",
};

pub static EXPORT_SHAPE: Shape = Shape {
    fields: &[
        &EXPORT_FOLDER,
        &SCHEDULE,
        &BLACKOUT,
        &UTC_OFFSET,
        &KEEP_LAST,
        &SKIP_UNCHANGED,
        &KEY_FILE,
    ],
};

pub const EXPORT_FOLDER: Field<Text> = Field {
    key: "folder",
    kind: Text::or("export"),
    meaning: "Where snapshots and exports of unsent sales are written; a share that the other registers read will do.",
};

pub const SCHEDULE: Field<Text> = Field {
    key: "schedule",
    kind: Text::OPTIONAL,
    meaning: "When a snapshot is made by itself, in cron's five fields: minute, hour, day of the month, month, day of the \
              week, such as `30 2 * * *`. Left out: only by hand.",
};

pub const BLACKOUT: Field<Texts> = Field {
    key: "blackout",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Hours in which none begins, such as `08:00-20:30`; one that falls into them waits for their end.",
};

pub const UTC_OFFSET: Field<Number> = Field {
    key: "utc_offset_min",
    kind: Number { least: -840.0, most: 840.0, is_whole: true, default: 0.0 },
    meaning: "Minutes by which the schedule's clock is ahead of UTC. It does not follow daylight saving time.",
};

pub const KEEP_LAST: Field<Number> = Field {
    key: "keep_last",
    kind: Number { least: 1.0, most: 1_000.0, is_whole: true, default: 3.0 },
    meaning: "How many snapshots of one kind stay in the folder.",
};

pub const SKIP_UNCHANGED: Field<Word<bool>> = Field {
    key: "skip_unchanged",
    kind: YES_UNLESS_SAID,
    meaning: "Whether a scheduled snapshot is left out when no row has changed since the last one, which is less than a \
              day old.",
};

pub const KEY_FILE: Field<Text> = Field {
    key: "key_file",
    kind: Text::or("export.key"),
    meaning: "The private key that signs exports; made at the first one, for its owner's eyes only.",
};

pub const NEW_DATABASE: Field<Table> = Field {
    key: "new_database",
    kind: Table { shape: &NEW_DATABASE_SHAPE, is_required: false },
    meaning: "Check for new database: where a newer prebuilt catalogue is looked for.",
};

pub static NEW_DATABASE_SHAPE: Shape = Shape {
    fields: &[
        &NEW_SOURCE,
        &CHECK_INTERVAL,
        &SIZE_MAX,
        &TRUSTED_KEYS,
        &NEW_CERTIFICATE,
        &NEW_INSECURE,
    ],
};

pub const NEW_SOURCE: Field<Text> = Field {
    key: "source",
    kind: Text::REQUIRED,
    meaning: "A folder, such as another register's export folder on a share, or the `https` address of one, with a slash \
              at its end.",
};

pub const CHECK_INTERVAL: Field<Number> = Field {
    key: "check_interval_min",
    kind: Number { least: 0.01, most: 10_080.0, is_whole: false, default: 60.0 },
    meaning: "Minutes between two looks.",
};

pub const SIZE_MAX: Field<Number> = Field {
    key: "size_max_mb",
    kind: Number { least: 1.0, most: 102_400.0, is_whole: true, default: 10_240.0 },
    meaning: "A larger snapshot is not fetched.",
};

pub const TRUSTED_KEYS: Field<Texts> = Field {
    key: "trusted_keys",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Public keys as `tillhold export key` shows them. With any given, a snapshot that none of them signed is \
              refused.",
};

pub const NEW_CERTIFICATE: Field<Text> = Field {
    key: "certificate",
    kind: Text::OPTIONAL,
    meaning: "A PEM file with the web server's certificate, or its issuer's, instead of the operating system's.",
};

pub const NEW_INSECURE: Field<Word<bool>> = Field {
    key: "insecure",
    kind: NO_UNLESS_SAID,
    meaning: "Whether plain `http` may go to another machine.",
};

pub const IMAGES: Field<Table> = Field {
    key: "images",
    kind: Table { shape: &IMAGES_SHAPE, is_required: false },
    meaning: "Image folder: the shop's pictures, kept on the register.",
};

pub static IMAGES_SHAPE: Shape = Shape {
    fields: &[
        &IMAGE_FOLDER,
        &IMAGE_SOURCE,
        &IMAGE_SIZE_MAX,
        &PREFETCH,
        &PREFETCH_INTERVAL,
        &PREFETCH_PACE,
        &REFRESH,
        &IMAGE_CERTIFICATE,
        &IMAGE_INSECURE,
    ],
};

pub const IMAGE_FOLDER: Field<Text> =
    Field { key: "folder", kind: Text::or("images"), meaning: "Where they are kept." };

pub const IMAGE_SOURCE: Field<Text> = Field {
    key: "source",
    kind: Text::REQUIRED,
    meaning: "Where they come from: a folder, or an `https` address with a slash at its end; names are appended to it.",
};

pub const IMAGE_SIZE_MAX: Field<Number> = Field {
    key: "size_max_mb",
    kind: Number { least: 1.0, most: 102_400.0, is_whole: true, default: 1_024.0 },
    meaning: "What all of them may take; those that nobody looked at for longest make room.",
};

pub const PREFETCH: Field<Texts> = Field {
    key: "prefetch",
    kind: Texts { presence: Presence::Default(&[]) },
    meaning: "Columns of the offline database that hold names of pictures, such as `ax.RETAILPUBCATALOGTRANSLATION.IMAGE`: \
              those pictures are brought before they are asked for.",
};

pub const PREFETCH_INTERVAL: Field<Number> = Field {
    key: "prefetch_interval_min",
    kind: Number { least: 0.01, most: 10_080.0, is_whole: false, default: 60.0 },
    meaning: "Minutes between two looks for names whose pictures are missing.",
};

pub const PREFETCH_PACE: Field<Number> = Field {
    key: "prefetch_per_min",
    kind: Number { least: 1.0, most: 60_000.0, is_whole: true, default: 60.0 },
    meaning: "At most so many are brought a minute, and only while the register is online.",
};

pub const REFRESH: Field<Number> = Field {
    key: "refresh_h",
    kind: Number { least: 0.01, most: 87_600.0, is_whole: false, default: 168.0 },
    meaning: "Hours after which a prefetch brings a picture again, in case it has changed under its name.",
};

pub const IMAGE_CERTIFICATE: Field<Text> = Field {
    key: "certificate",
    kind: Text::OPTIONAL,
    meaning: "A PEM file with the web server's certificate, or its issuer's, instead of the operating system's.",
};

pub const IMAGE_INSECURE: Field<Word<bool>> = Field {
    key: "insecure",
    kind: NO_UNLESS_SAID,
    meaning: "Whether plain `http` may go to another machine.",
};
