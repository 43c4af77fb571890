//! What can go wrong with a snapshot or an export, as facts.

use std::path::{Path, PathBuf};
use tillhold_client::web::WebError;
use tillhold_core::fault::Class;
use tillhold_core::table::TableName;

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("{} cannot be used: {cause}", file.display())]
    File { file: PathBuf, cause: std::io::Error },
    #[error("{} holds no key: it takes 64 hexadecimal digits", file.display())]
    Key { file: PathBuf },
    #[error("{place} cannot be looked into: {cause}")]
    Unreachable { place: String, cause: std::io::Error },
    #[error("there is no snapshot for this register in {place}{}", for_others(others))]
    Missing { place: String, others: Vec<String> },
    #[error("the manifest {place} cannot be read: {reason}")]
    Manifest { place: String, reason: String },
    #[error("the manifest is not signed by any key that is trusted here: {reason}")]
    Signature { reason: String },
    #[error("the snapshot is for {found}, not for {expected}")]
    OtherKind { found: String, expected: String },
    #[error("the snapshot has {bytes} bytes; at most {bytes_max} are fetched")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("the snapshot's bytes {from} to {to} are not those of its manifest")]
    Piece { from: u64, to: u64 },
    #[error("the snapshot ends after {found} of its {expected} bytes")]
    Short { found: u64, expected: u64 },
    #[error("the snapshot's hash is not that of its manifest")]
    Hash,
    #[error("the snapshot does not hold what its manifest says: {reason}")]
    OtherContent { reason: String },
    #[error("{table} is older in the snapshot than on this register")]
    Older { table: TableName },
    #[error("{table} has another shape in the snapshot, or is not in both")]
    OtherShape { table: TableName },
    #[error("the snapshot was made under another life of the channel database")]
    OtherEpoch,
    #[error("the channel no longer keeps the changes of {table} since the snapshot was made")]
    Outdated { table: TableName },
    #[error("{rows} rows are set aside by rules: a snapshot would hide that they are missing")]
    RowsAside { rows: u64 },
    #[error("the tables stand under different lives of the channel database")]
    MixedEpochs,
    #[error("the profile has no downloaded table, so there is nothing to export")]
    NothingToExport,
    #[error(transparent)]
    Web(#[from] WebError),
}

impl SnapshotError {
    pub fn file(file: &Path, cause: std::io::Error) -> SnapshotError {
        SnapshotError::File { file: file.to_path_buf(), cause }
    }

    pub fn class(&self) -> Class {
        use SnapshotError::*;
        match self {
            Web(error) => error.class(),
            Unreachable { .. } | Missing { .. } | Short { .. } => Class::Retry,
            RowsAside { .. } | MixedEpochs => Class::Retry,
            Manifest { .. } | Signature { .. } | OtherKind { .. } | Piece { .. } | Hash => {
                Class::Park
            }
            OtherContent { .. } | Older { .. } | OtherShape { .. } | OtherEpoch => Class::Park,
            Outdated { .. } => Class::Park,
            File { .. } | Key { .. } | TooLarge { .. } | NothingToExport => Class::Reconfigure,
        }
    }

    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        use SnapshotError::*;
        match self {
            Web(error) => error.code(),
            File { .. } => "snapshot-file",
            Key { .. } => "export-key",
            Unreachable { .. } => "snapshot-source",
            Missing { .. } => "snapshot-missing",
            Manifest { .. } => "snapshot-manifest",
            Signature { .. } => "snapshot-signature",
            OtherKind { .. } => "snapshot-other-kind",
            TooLarge { .. } => "snapshot-too-large",
            Piece { .. } => "snapshot-piece",
            Short { .. } => "snapshot-short",
            Hash => "snapshot-hash",
            OtherContent { .. } => "snapshot-content",
            Older { .. } => "snapshot-older",
            OtherShape { .. } => "snapshot-shape",
            OtherEpoch => "snapshot-epoch",
            Outdated { .. } => "snapshot-outdated",
            RowsAside { .. } => "snapshot-rows-aside",
            MixedEpochs => "snapshot-mixed-epochs",
            NothingToExport => "snapshot-nothing",
        }
    }

    pub fn hint(&self) -> Option<String> {
        use SnapshotError::*;
        let hint = match self {
            Web(error) => return error.hint(),
            File { .. } => "give the agent's account its rights there, and room on the disk",
            Key { .. } => "put the key back from its backup, or remove the file: a new one is made",
            Unreachable { .. } => {
                "mount the share or make the folder, or name another: `--from`, or `source` in [new_database]"
            }
            Missing { .. } => {
                "run `tillhold export snapshot` on a register of the same store and profile"
            }
            Manifest { .. } | OtherContent { .. } | Hash | Piece { .. } => {
                "export the snapshot again; if it comes back, somebody changes the files on their way"
            }
            Signature { .. } => {
                "add the exporter's key (`tillhold export key`) to trusted_keys, if it is yours"
            }
            OtherKind { .. } | OtherShape { .. } => {
                "export it with the store, profile, rules and version of this register"
            }
            TooLarge { .. } => "raise [new_database] size_max_mb if that is meant",
            Short { .. } => "the next look fetches on from there",
            Older { .. } => "nothing is to be done: this register is further",
            OtherEpoch | Outdated { .. } => {
                "export a new snapshot from a register that is up to date"
            }
            RowsAside { .. } => "mend the rule or the rows (`tillhold status`), then export again",
            MixedEpochs => "synchronise (`tillhold sync`), then export again",
            NothingToExport => "give the profile a scope with direction download",
        };
        Some(hint.to_string())
    }
}

/// Where there are snapshots, but none for this register, the place may well be right and the profile another.
fn for_others(others: &[String]) -> String {
    match others {
        [] => String::new(),
        others => format!("; there is one for {}", others.join(", one for ")),
    }
}
