//! What can go wrong between the register and the channel, as facts.
//!
//! * [`ChannelError::class`] says what a flow does about it, [`ChannelError::code`] names it for
//!   people and scripts, [`ChannelError::hint`] says what to do next.
//! * `Lost`, `Silent` and `Timeout` leave a doubt: the request may have taken effect. An upload
//!   asks the ledger, by simply being sent again.

use crate::numbers::{self, Meaning};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tillhold_core::alteration::Alteration;
use tillhold_core::fault::Class;
use tillhold_core::table::TableName;
use tillhold_core::version::ChannelVersion;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    #[error("the channel at {host}:{port} cannot be reached: {cause}")]
    Unreachable { host: String, port: u16, cause: String },
    #[error("the channel did not {what} within {} ms", limit.as_millis())]
    Timeout { what: &'static str, limit: Duration },
    #[error("the connection to the channel broke while it was to {what}: {cause}")]
    Lost { what: &'static str, cause: String },
    #[error(
        "the channel said nothing for too long when it was to {what}, and answers on another connection"
    )]
    Silent { what: &'static str },
    #[error("the channel is busy (message {number}): {message}")]
    Busy { number: u32, message: String },
    #[error("the channel has no room (message {number}): {message}")]
    Full { number: u32, message: String },
    #[error("the channel refused the login of {user} (message {number}): {message}")]
    LoginRefused { user: String, number: u32, message: String },
    #[error(
        "the channel does not open the database {database} for this login (message {number}): {message}"
    )]
    DatabaseRefused { database: String, number: u32, message: String },
    #[error("no encrypted connection to {host}: {message}")]
    Tls { host: String, message: String },
    #[error("the certificate of {host} is not trusted: {fault}")]
    Certificate { host: String, fault: CertificateFault },
    #[error("the {what} in {} cannot be used: {cause}", path.display())]
    LoginFile { what: &'static str, path: PathBuf, cause: String },
    /// Told by the place where the password is kept, with that place's own code.
    #[error("{message}")]
    PasswordUnread { code: &'static str, message: String, hint: Option<String> },
    #[error("this build cannot log in as the account it runs as")]
    NoIntegratedLogin,
    #[error("the channel refused to {what} (message {number}): {message}")]
    Sql { what: &'static str, number: u32, message: String },
    #[error(
        "asked to {what}, the channel has other tables or columns than before (message {number}): {message}"
    )]
    SchemaMoved { what: &'static str, number: u32, message: String },
    #[error("the account lacks a right: {message}")]
    NoRight { message: String },
    #[error("change tracking is off{}", of_table(table))]
    TrackingOff { table: Option<TableName> },
    #[error("the trigger that notes the changes of {table} {trouble}")]
    TriggersOff { table: TableName, trouble: TriggerTrouble },
    #[error("{table} was altered at the channel: {}", listed(alterations))]
    Altered { table: TableName, alterations: Vec<Alteration> },
    #[error("the database does not allow snapshot isolation")]
    SnapshotIsolationOff,
    #[error("the channel is not prepared: {what}")]
    NotPrepared { what: String },
    #[error("this offline database does not speak for the register")]
    Unclaimed,
    #[error("the database {database} only takes reads{}", told(*number))]
    ReadOnly { database: String, number: Option<u32> },
    #[error("the channel has no table {table}")]
    UnknownTable { table: TableName, nearest: Option<TableName> },
    #[error("{table} has no primary key that travels, so its rows cannot be told apart")]
    NoPrimaryKey { table: TableName },
    #[error("{table}: {column} is of a type that does not travel: {of}")]
    Uncarried { table: TableName, column: String, of: String },
    #[error(
        "the changes of {table} since version {from} are no longer kept (the oldest is {oldest})"
    )]
    Outdated { table: TableName, from: ChannelVersion, oldest: ChannelVersion },
    #[error("the channel database was restored or replaced: {reason}")]
    ChannelRestored { reason: String },
    #[error("{table}: column {column} holds a value that cannot be carried: {reason}")]
    Undecodable { table: TableName, column: String, reason: String },
    #[error("{table}: {} cannot be written: {reason}", column)]
    Unwritable { table: TableName, column: String, reason: String },
    #[error("an upload of {bytes} bytes is too large for one statement")]
    TooLarge { bytes: usize },
    #[error("more than {most} of a kind are chosen ({what})")]
    ChoiceTooLarge { what: &'static str, most: usize },
    #[error("no store has the number {store}")]
    UnknownStore { store: String },
    #[error("the store {store} uses no offline profile")]
    NoProfile { store: String },
    #[error("the channel's answer is not what was asked for: {what}")]
    Unexpected { what: String },
}

/// Why a table's changes are not noted by its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerTrouble {
    Missing,
    Disabled,
    /// Nothing keeps the table from being truncated, which no trigger sees.
    Unguarded,
}

impl fmt::Display for TriggerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TriggerTrouble::Missing => "is not there, or its tracking table is not",
            TriggerTrouble::Disabled => "is disabled",
            TriggerTrouble::Unguarded => "has lost the guard that refuses TRUNCATE TABLE",
        })
    }
}

fn listed(alterations: &[Alteration]) -> String {
    alterations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What is wrong with a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    #[error("nobody whom this register trusts has signed it")]
    Unknown,
    #[error("it is made out to another name")]
    OtherName,
    #[error("it has expired")]
    Expired,
    #[error("{0}")]
    Other(String),
}

impl CertificateFault {
    fn hint(&self, host: &str) -> String {
        match self {
            CertificateFault::Unknown => {
                "name the server's certificate or its issuer's in [channel]: certificate = \"FILE\"".to_string()
            }
            CertificateFault::OtherName => format!(
                "connect by a name that the certificate holds, or say in [channel] which it holds \
                 instead of {host}: certificate_name = \"NAME\""
            ),
            CertificateFault::Expired => {
                "let the server have a new certificate, and check this computer's date".to_string()
            }
            CertificateFault::Other(_) => {
                "let the server have a certificate of today's form (X.509 version 3), or name it in [channel]: certificate = \"FILE\"".to_string()
            }
        }
    }
}

/// A probe finds out before SQL Server has to say it.
fn told(number: Option<u32>) -> String {
    number.map(|number| format!(" (message {number})")).unwrap_or_default()
}

fn of_table(table: &Option<TableName>) -> String {
    table.as_ref().map(|t| format!(" for {t}")).unwrap_or_default()
}

impl ChannelError {
    pub fn class(&self) -> Class {
        use ChannelError::*;
        match self {
            Unreachable { .. }
            | Timeout { .. }
            | Lost { .. }
            | Silent { .. }
            | Busy { .. }
            | Full { .. }
            | ReadOnly { .. } => Class::Retry,
            Undecodable { .. } | Unwritable { .. } | TooLarge { .. } => Class::Park,
            LoginRefused { .. }
            | DatabaseRefused { .. }
            | Tls { .. }
            | Certificate { .. }
            | LoginFile { .. }
            | PasswordUnread { .. }
            | NoIntegratedLogin
            | NoRight { .. }
            | SchemaMoved { .. }
            | TrackingOff { .. }
            | TriggersOff { .. }
            | Altered { .. }
            | SnapshotIsolationOff
            | NotPrepared { .. }
            | UnknownTable { .. }
            | NoPrimaryKey { .. }
            | Uncarried { .. }
            | ChoiceTooLarge { .. }
            | UnknownStore { .. }
            | NoProfile { .. } => Class::Reconfigure,
            Sql { .. }
            | Outdated { .. }
            | ChannelRestored { .. }
            | Unclaimed
            | Unexpected { .. } => Class::Stop,
        }
    }

    /// The channel, or what guards it, does not let this register in at all.
    pub fn is_of_the_way_in(&self) -> bool {
        use ChannelError::*;
        matches!(
            self,
            LoginRefused { .. }
                | DatabaseRefused { .. }
                | Tls { .. }
                | Certificate { .. }
                | LoginFile { .. }
                | PasswordUnread { .. }
                | NoIntegratedLogin
        )
    }

    /// Stable: scripts and documentation refer to it.
    pub fn code(&self) -> &'static str {
        use ChannelError::*;
        match self {
            Unreachable { .. } => "channel-unreachable",
            Timeout { .. } => "channel-timeout",
            Lost { .. } | Silent { .. } => "channel-lost",
            Busy { .. } => "channel-busy",
            Full { .. } => "channel-full",
            LoginRefused { .. } => "channel-login",
            DatabaseRefused { .. } => "channel-database",
            Tls { .. } => "channel-tls",
            Certificate { .. } => "channel-certificate",
            LoginFile { .. } => "channel-login-file",
            PasswordUnread { code, .. } => code,
            NoIntegratedLogin => "channel-integrated",
            Sql { .. } => "channel-sql",
            NoRight { .. } => "channel-right",
            SchemaMoved { .. } => "channel-schema",
            TrackingOff { .. } => "channel-tracking",
            TriggersOff { .. } => "channel-triggers",
            Altered { .. } => "channel-altered",
            SnapshotIsolationOff => "channel-snapshot",
            NotPrepared { .. } => "channel-unprepared",
            Unclaimed => "channel-unclaimed",
            ReadOnly { .. } => "channel-read-only",
            UnknownTable { .. } => "channel-table",
            NoPrimaryKey { .. } => "channel-key",
            Uncarried { .. } => "channel-column",
            Outdated { .. } => "channel-outdated",
            ChannelRestored { .. } => "channel-restored",
            Undecodable { .. } => "channel-value",
            Unwritable { .. } => "channel-unwritable",
            TooLarge { .. } => "channel-too-large",
            ChoiceTooLarge { .. } => "channel-choice",
            UnknownStore { .. } => "channel-store",
            NoProfile { .. } => "channel-profile",
            Unexpected { .. } => "channel-answer",
        }
    }

    /// What to do next; `None` when the register does it by itself.
    pub fn hint(&self) -> Option<String> {
        use ChannelError::*;
        Some(match self {
            Unreachable { host, port, .. } => {
                format!("check that SQL Server listens on port {port} of {host} and no firewall is in between")
            }
            LoginRefused { user, .. } => format!("check the password of {user}, and that SQL Server takes SQL logins"),
            DatabaseRefused { database, .. } => {
                format!("check that {database} is the database's name and that the login has a user in it")
            }
            Tls { .. } => "check that both sides want the same encryption, and that the server knows TLS 1.2".to_string(),
            Certificate { host, fault } => fault.hint(host),
            LoginFile { .. } => "check the path in [channel], and that the agent's account may read the file".to_string(),
            PasswordUnread { hint, .. } => return hint.clone(),
            NoIntegratedLogin => "build with `--features integrated`, or log in with authentication = \"sql\" or \"token\"".to_string(),
            SnapshotIsolationOff => "let a database administrator run ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON, the first step of `tillhold channel prepare --print`; without it nothing is read, because tables would come from different moments".to_string(),
            Altered { .. } => "selling and the other scopes go on; `tillhold sync` sends what is unsent, then `tillhold reprovision`".to_string(),
            NoRight { .. } | TrackingOff { .. } | TriggersOff { .. } | NotPrepared { .. } => {
                "let a database administrator run `tillhold channel prepare --print`'s script".to_string()
            }
            Full { .. } => "make room at the channel: its log, files or memory are full; unsent sales are kept and sent then".to_string(),
            SchemaMoved { .. } => "start the register again, so that it looks at the channel's tables anew; if it still says so, compare the profile with the channel".to_string(),
            ReadOnly { .. } => "connect to the primary replica, or set the database to READ_WRITE".to_string(),
            Unclaimed => "nothing: the register claims its place again, and says what stands against it".to_string(),
            UnknownTable { nearest: Some(nearest), .. } => format!("did you mean {nearest}?"),
            UnknownTable { nearest: None, .. } => "check the profile's table names; the login must be allowed to see the table".to_string(),
            NoPrimaryKey { .. } => "give the table a primary key that writers assign, or take it out of the profile".to_string(),
            Uncarried { column, .. } => format!("name {column} among the columns that the profile leaves out of this table"),
            Outdated { .. } => "the table is loaded afresh; unsent sales are kept".to_string(),
            ChannelRestored { .. } => "all tables are loaded afresh and unsent sales are sent again; the ledger tells which arrived".to_string(),
            Undecodable { column, .. } => format!("correct the value at the channel, or leave {column} out in the profile"),
            Unwritable { .. } => "the transaction is set aside; correct what is wrong, then send it again: `tillhold quarantine retry`".to_string(),
            ChoiceTooLarge { what, .. } => format!("choose fewer {what}s in [offline_products] or [offline_customers] of the profile, or take all"),
            UnknownStore { .. } => "check the store number: `store` in the register's settings, or the one that the command names".to_string(),
            NoProfile { .. } => "give the store an offline profile (RETAILSTORETABLE.OFFLINEPROFILE), or name a profile file".to_string(),
            Sql { .. } | Unexpected { .. } => "please report it with the message above".to_string(),
            Timeout { .. } | Lost { .. } | Silent { .. } | Busy { .. } | TooLarge { .. } => {
                return None;
            }
        })
    }

    /// The connection broke while `what` was asked.
    pub(crate) fn lost(what: &'static str, cause: &dyn std::error::Error) -> ChannelError {
        ChannelError::Lost { what, cause: in_short(cause) }
    }

    /// SQL Server's own number of it, where it said one.
    pub fn number(&self) -> Option<u32> {
        use ChannelError::*;
        match self {
            Busy { number, .. }
            | Full { number, .. }
            | Sql { number, .. }
            | SchemaMoved { number, .. }
            | LoginRefused { number, .. }
            | DatabaseRefused { number, .. } => Some(*number),
            ReadOnly { number, .. } => *number,
            _ => None,
        }
    }

    /// Whether there was no session to ask in: whatever somebody has to change, no sale arrives meanwhile.
    pub fn is_kept_out(&self) -> bool {
        use ChannelError::*;
        matches!(
            self,
            Unreachable { .. }
                | LoginRefused { .. }
                | DatabaseRefused { .. }
                | Tls { .. }
                | Certificate { .. }
                | LoginFile { .. }
                | PasswordUnread { .. }
                | NoIntegratedLogin
        )
    }

    /// Whether the channel might have done what was asked although no answer came.
    pub fn is_in_doubt(&self) -> bool {
        use ChannelError::*;
        matches!(self, Lost { .. } | Silent { .. } | Timeout { .. })
    }
}

/// A server's error as a fact of ours.
pub(crate) fn from_server(what: &'static str, number: u32, message: &str) -> ChannelError {
    let message = message.to_string();
    match numbers::meaning(number) {
        Some(Meaning::Busy) => ChannelError::Busy { number, message },
        Some(Meaning::Full) => ChannelError::Full { number, message },
        Some(Meaning::ReadOnly) => {
            ChannelError::ReadOnly { database: database_in(&message), number: Some(number) }
        }
        Some(Meaning::NoRight) => ChannelError::NoRight { message },
        Some(Meaning::Unclaimed) => ChannelError::Unclaimed,
        Some(Meaning::NoSnapshot) => ChannelError::SnapshotIsolationOff,
        Some(Meaning::NoTracking) => ChannelError::TrackingOff { table: table_in(&message) },
        Some(Meaning::MissingObject) if message.contains("tillhold") => {
            ChannelError::NotPrepared { what: message }
        }
        Some(Meaning::MissingObject | Meaning::MovedSchema) => {
            ChannelError::SchemaMoved { what, number, message }
        }
        Some(Meaning::OfARow) | None => ChannelError::Sql { what, number, message },
    }
}

/// A failure of the client without what its libraries put in front, each once more, and without where their authors
/// explain themselves.
pub(crate) fn in_short(cause: &dyn std::error::Error) -> String {
    let text = cause.to_string();
    let text = text.replace("An error occurred during the attempt of performing I/O: ", "");
    text.split(": https://").next().unwrap_or_default().trim().to_string()
}

/// SQL Server quotes names in its messages: `… on table 'ax.CUSTTABLE'.`
fn table_in(message: &str) -> Option<TableName> {
    let name = message.split('\'').nth(1)?;
    TableName::parse(&name.replace(['[', ']'], ""))
}

/// `Failed to update database "Channel" because …`
fn database_in(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).to_string()
}

#[cfg(test)]
mod tests {
    use super::{ChannelError, from_server, in_short};
    use crate::numbers::{MEANINGS, belongs_to_a_row};
    use tillhold_core::fault::Class;

    /// Each number with what a flow makes of it: the code, and the class by which it acts.
    const NUMBERS: &[(&str, Class, bool, &[u32])] = &[
        (
            "channel-busy",
            Class::Retry,
            false,
            &[1204, 1205, 1222, 3960, 3961, 50001, 6005, 921, 922, 927, 942, 976, 978, 983, 988],
        ),
        ("channel-busy", Class::Retry, false, &[3908, 8645, 10928, 40197, 40501, 40613, 49918]),
        ("channel-unclaimed", Class::Stop, false, &[50005]),
        ("channel-full", Class::Retry, false, &[701, 802, 1101, 1105, 3967, 9002, 40544, 40552]),
        ("channel-read-only", Class::Retry, false, &[3906]),
        ("channel-right", Class::Reconfigure, false, &[229, 230, 262, 297, 300, 916, 15151]),
        ("channel-snapshot", Class::Reconfigure, false, &[3952]),
        ("channel-tracking", Class::Reconfigure, false, &[22105, 22106, 22107, 22108]),
        (
            "channel-schema",
            Class::Reconfigure,
            false,
            &[207, 208, 213, 271, 273, 544, 8102, 206, 468, 2812],
        ),
        (
            "channel-sql",
            Class::Stop,
            true,
            &[2601, 2627, 547, 515, 8152, 2628, 220, 232, 8115, 8114, 8169, 241, 242, 245, 248],
        ),
        (
            "channel-sql",
            Class::Stop,
            true,
            &[295, 512, 3609, 8134, 9420, 13608, 13609, 50000, 50003, 50004, 51000],
        ),
        ("channel-sql", Class::Stop, false, &[102, 137, 156, 195, 9999, 50_000 - 1]),
    ];

    #[test]
    fn each_number_has_one_meaning() {
        for (code, class, refuses_a_sale, numbers) in NUMBERS {
            for number in *numbers {
                let error = from_server("read", *number, "text");
                assert_eq!((error.code(), error.class()), (*code, *class), "{number}");
                assert_eq!(belongs_to_a_row(*number), *refuses_a_sale, "{number}");
            }
        }
        for (at, (first, last, _)) in MEANINGS.iter().enumerate() {
            assert!(first <= last, "{first}");
            // 50001 and 50005 are our own among what the channel's owner raises.
            let earlier = MEANINGS[..at].iter().find(|(a, b, _)| first <= b && a <= last);
            assert!(earlier.is_none() || *first == 50_000, "{first} has two meanings");
        }
    }

    #[test]
    fn a_message_tells_what_it_is_about() {
        let off =
            from_server("read", 22105, "Change tracking is not enabled on table 'ax.CUSTTABLE'.");
        assert_eq!(off.to_string(), "change tracking is off for ax.CUSTTABLE");
        let said = "Failed to update database \"AX\" because the database is read-only.";
        let read_only = from_server("upload", 3906, said);
        assert_eq!(read_only.to_string(), "the database AX only takes reads (message 3906)");
        assert_eq!(read_only.number(), Some(3906));
        let missing = from_server("upload", 208, "Invalid object name 'tillhold.ledger'.");
        assert!(matches!(missing, ChannelError::NotPrepared { .. }), "{missing:?}");
    }

    #[test]
    fn an_operator_is_told_the_cause_once() {
        let io = "An error occurred during the attempt of performing I/O: ";
        let closed = "peer closed connection without sending TLS close_notify";
        for (cause, expected) in [
            (format!("{io}{io}{closed}: https://docs.rs/x"), closed),
            ("reset by peer (os error 104)".to_string(), "reset by peer (os error 104)"),
        ] {
            assert_eq!(in_short(&std::io::Error::other(cause)), expected);
        }
    }
}
