//! What can go wrong with the offline database, as facts; each with its class, its stable code and a next step.

use rusqlite::ErrorCode;
use std::path::PathBuf;
use tillhold_core::fault::Class;
use tillhold_core::stage::Unbalanced;
use tillhold_core::table::TableName;
use tillhold_core::transaction::TransactionId;

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("the folder {} of the offline database cannot be used: {source}", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("another agent works on the offline database in {}", folder.display())]
    InUse { folder: PathBuf },
    #[error("{} is no SQLite database or is damaged: {detail}", file.display())]
    Damaged { file: PathBuf, detail: String },
    #[error("{} is another program's database (application id {application_id:#010x})", file.display())]
    Foreign { file: PathBuf, application_id: i32 },
    #[error("{} was written by a newer Tillhold (layout {found}; this one knows {known})", file.display())]
    Newer { file: PathBuf, found: i32, known: i32 },
    #[error("{} belongs to register {found}, not to {expected}", file.display())]
    OtherRegister { file: PathBuf, found: String, expected: String },
    #[error("{} is no catalogue for this register: {detail}", file.display())]
    NoCatalogue { file: PathBuf, detail: String },
    #[error("{} has no write-ahead log: its file system or VFS does not allow one", file.display())]
    NoWriteAheadLog { file: PathBuf },

    #[error("{table} is not in the offline database")]
    UnknownTable { table: TableName },
    #[error("{table} is not ready: its first load has not landed")]
    NotReady { table: TableName },
    #[error("{table} has just got other columns")]
    Reshaped { table: TableName },
    #[error("{table} is only pulled: this register may not write it")]
    ReadOnly { table: TableName },
    #[error("{table} is only pushed: nothing is pulled into it")]
    NotPulled { table: TableName },

    #[error("{table}.{column}: {reason}")]
    Misfit { table: TableName, column: String, reason: String },
    #[error("a row of {table} has {given} values; the table has {expected} columns")]
    Width { table: TableName, given: usize, expected: usize },
    #[error("{table} already has a row {key}")]
    RowExists { table: TableName, key: String },
    #[error("{table} has no row {key}")]
    RowMissing { table: TableName, key: String },
    #[error("the offline database holds a value that {table}.{column} cannot have: {reason}")]
    Unreadable { table: TableName, column: String, reason: String },

    #[error("transaction {id} is not in the offline database")]
    UnknownTransaction { id: TransactionId },
    #[error("transaction {id} is {state} and cannot be {wanted}")]
    WrongState { id: TransactionId, state: &'static str, wanted: &'static str },

    #[error("no load of {table} has begun")]
    NoLoad { table: TableName },
    #[error("a load of {table} is not finished, so its scope cannot land")]
    LoadUnfinished { table: TableName },
    #[error("{table} hangs on the chosen by {column}, which does not travel")]
    ChoiceColumn { table: TableName, column: String },
    #[error("{table} is not in scope {scope}")]
    OutsideScope { table: TableName, scope: String },
    #[error(
        "two rows of {table} have one key as this register compares keys (blind to case and trailing blanks)"
    )]
    KeyTwice { table: TableName },
    #[error(transparent)]
    Unbalanced(#[from] Unbalanced),

    #[error("the writer of {} has {queued} pieces of work waiting", file.display())]
    Busy { file: PathBuf, queued: usize },
    #[error("another program holds {} locked", file.display())]
    Locked { file: PathBuf },
    #[error("the log of {} lacks rows of the last sale, which are in their tables: they could not be written to it yet", file.display())]
    LogBehind { file: PathBuf },
    #[error("a read of {} took longer than {limit_ms} ms", file.display())]
    ReadTooLong { file: PathBuf, limit_ms: u64 },
    #[error("the disk under {} is full", file.display())]
    DiskFull { file: PathBuf },
    #[error("the disk under {} is nearly full: what is left of it is kept for sales", file.display())]
    KeptForSales { file: PathBuf },
    #[error(
        "the offline database holds {used_bytes} bytes, its limit is {limit_bytes}: nothing more is loaded"
    )]
    SizeLimit { used_bytes: u64, limit_bytes: u64 },
    #[error("the disk under {} failed: {source}", file.display())]
    Disk { file: PathBuf, source: rusqlite::Error },
    #[error("the offline database is closed")]
    Closed,
    #[error("SQLite refused work on {}: {source}", file.display())]
    Sqlite { file: PathBuf, source: rusqlite::Error },
}

impl LocalError {
    /// Names the file and tells the refusals that mean something to a person from the others.
    pub(crate) fn from_sqlite(file: &std::path::Path, source: rusqlite::Error) -> LocalError {
        let file = file.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                LocalError::Damaged { file, detail: source.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                LocalError::Locked { file }
            }
            Some(ErrorCode::DiskFull) => LocalError::DiskFull { file },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                LocalError::Disk { file, source }
            }
            Some(ErrorCode::OperationInterrupted) => {
                let limit_ms = tillhold_core::limits::OFFLINE_READ_TIME_MAX.as_millis() as u64;
                LocalError::ReadTooLong { file, limit_ms }
            }
            _ => LocalError::Sqlite { file, source },
        }
    }

    pub fn class(&self) -> Class {
        use LocalError::*;
        match self {
            Busy { .. }
            | Locked { .. }
            | ReadTooLong { .. }
            | NotReady { .. }
            | Reshaped { .. } => Class::Retry,
            LogBehind { .. } => Class::Retry,
            ReadOnly { .. }
            | UnknownTable { .. }
            | Misfit { .. }
            | Width { .. }
            | RowExists { .. }
            | RowMissing { .. }
            | Unreadable { .. }
            | UnknownTransaction { .. }
            | WrongState { .. }
            | NoCatalogue { .. } => Class::Park,
            Folder { .. }
            | InUse { .. }
            | Foreign { .. }
            | Newer { .. }
            | OtherRegister { .. }
            | NoWriteAheadLog { .. }
            | DiskFull { .. }
            | KeptForSales { .. }
            | ChoiceColumn { .. }
            | SizeLimit { .. } => Class::Reconfigure,
            Damaged { .. }
            | NotPulled { .. }
            | NoLoad { .. }
            | LoadUnfinished { .. }
            | OutsideScope { .. }
            | KeyTwice { .. }
            | Unbalanced(_)
            | Disk { .. }
            | Closed
            | Sqlite { .. } => Class::Stop,
        }
    }

    /// Stable: scripts and manuals may name it.
    pub fn code(&self) -> &'static str {
        use LocalError::*;
        match self {
            Folder { .. } => "local-folder",
            InUse { .. } => "local-in-use",
            Damaged { .. } => "local-damaged",
            Foreign { .. } => "local-foreign-file",
            Newer { .. } => "local-newer-file",
            OtherRegister { .. } => "local-other-register",
            NoCatalogue { .. } => "local-no-catalogue",
            NoWriteAheadLog { .. } => "local-no-wal",
            UnknownTable { .. } => "local-unknown-table",
            NotReady { .. } => "local-not-ready",
            Reshaped { .. } => "local-reshaped",
            ReadOnly { .. } => "local-read-only",
            NotPulled { .. } => "local-not-pulled",
            Misfit { .. } => "local-misfit",
            Width { .. } => "local-row-width",
            RowExists { .. } => "local-row-exists",
            RowMissing { .. } => "local-row-missing",
            Unreadable { .. } => "local-unreadable",
            UnknownTransaction { .. } => "local-unknown-transaction",
            WrongState { .. } => "local-wrong-state",
            NoLoad { .. } => "local-no-load",
            LoadUnfinished { .. } => "local-load-unfinished",
            OutsideScope { .. } => "local-outside-scope",
            ChoiceColumn { .. } => "local-choice-column",
            KeyTwice { .. } => "local-key-twice",
            Unbalanced(_) => "local-unbalanced",
            Busy { .. } => "local-busy",
            Locked { .. } => "local-locked",
            LogBehind { .. } => "local-log-behind",
            ReadTooLong { .. } => "local-read-too-long",
            DiskFull { .. } => "local-disk-full",
            KeptForSales { .. } => "local-kept-for-sales",
            SizeLimit { .. } => "local-size-limit",
            Disk { .. } => "local-disk",
            Closed => "local-closed",
            Sqlite { .. } => "local-sqlite",
        }
    }

    /// What a person does next; `None` where only the program can act.
    pub fn hint(&self) -> Option<String> {
        use LocalError::*;
        Some(match self {
            Folder { folder, .. } => {
                format!("give the agent's account read and write rights on {}", folder.display())
            }
            InUse { .. } => "stop the other agent, or give this one another folder".to_string(),
            Damaged { file, .. } => damaged_hint(file),
            Foreign { .. } => "name a folder of its own in the register's settings".to_string(),
            Newer { .. } => "install the newer Tillhold again: it wrote this file".to_string(),
            OtherRegister { found, .. } => {
                format!(
                    "use register {found}'s settings, or name an empty folder for this register"
                )
            }
            NoCatalogue { .. } => "export the snapshot again, with this version and profile".into(),
            NoWriteAheadLog { .. } => "put the folder on a local disk, not a network share".into(),
            UnknownTable { .. } => "add the table to a scope of the offline profile".to_string(),
            NotReady { .. } => "wait for its scope's first synchronisation".to_string(),
            Reshaped { .. } => "ask again: the profile or the channel has changed the table".to_string(),
            ReadOnly { .. } => "put the table into an upload or bidirectional scope".to_string(),
            RowExists { .. } => "give the new row a key of its own, or send an update".to_string(),
            RowMissing { .. } => "send an insert, or read the row again".to_string(),
            KeyTwice { .. } => "leave one of the two rows out by a transformer".to_string(),
            ChoiceColumn { column, .. } => format!("let {column} travel, or take the table out of the choice by the profile's `tables`"),
            Locked { .. } => "close the other program, or end its transaction".to_string(),
            DiskFull { .. } => "free space on the disk; nothing acknowledged is lost".to_string(),
            KeptForSales { .. } => "free space on the disk; selling goes on meanwhile".to_string(),
            SizeLimit { .. } => {
                "`tillhold size` shows what is large: leave tables or columns out of download scopes, keep settled sales \
                 for fewer days, or raise limit_mb in the profile's [size]"
                    .to_string()
            }
            LogBehind { .. } => {
                "free space on the disk or end what locks the file, and ask again".into()
            }
            Disk { .. } => {
                "check the disk; the last sale is looked up again after reopening".into()
            }
            Unreadable { .. } => "correct the value with the program that wrote it".to_string(),
            Misfit { .. } | Width { .. } => "send the value in the column's own form".to_string(),
            NotPulled { .. } | UnknownTransaction { .. } | WrongState { .. } | NoLoad { .. } => {
                return None;
            }
            LoadUnfinished { .. } | OutsideScope { .. } | Unbalanced(_) | Busy { .. } => {
                return None;
            }
            ReadTooLong { .. } | Closed | Sqlite { .. } => return None,
        })
    }

    /// Whether a failed commit may still have happened: then the file is opened anew and asked.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(self, LocalError::Disk { .. } | LocalError::DiskFull { .. })
    }
}

fn damaged_hint(file: &std::path::Path) -> String {
    if file.file_name().is_some_and(|name| name == crate::file::CATALOGUE) {
        return format!(
            "it holds nothing that the channel does not have: move {} away and provision again",
            file.display()
        );
    }
    format!(
        "it may hold unsent sales: copy {} with its -wal file aside before anything else, then restore a backup",
        file.display()
    )
}
