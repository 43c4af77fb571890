//! What a session knows of itself: `@@ROWCOUNT`, `ERROR_NUMBER()`, the time of the statement.

use tillhold_core::types::SqlType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    RowCount,
    TransactionCount,
    Error,
    Session,
    Version,
    Identity,
    TransactionState,
    ErrorNumber,
    ErrorSeverity,
    ErrorState,
    ErrorLine,
    ErrorMessage,
    NowUtc(SqlType),
    Application,
    User,
    Database,
    LockTimeout,
    ServerName,
    ScopeIdentity,
    TriggerLevel,
    LastRowVersion,
    MinActiveRowVersion,
}

impl Fact {
    /// `@@name`, in lower case.
    pub fn global(name: &str) -> Option<Fact> {
        Some(match name {
            "@@rowcount" => Fact::RowCount,
            "@@trancount" => Fact::TransactionCount,
            "@@error" => Fact::Error,
            "@@spid" => Fact::Session,
            "@@version" => Fact::Version,
            "@@identity" => Fact::Identity,
            "@@lock_timeout" => Fact::LockTimeout,
            "@@dbts" => Fact::LastRowVersion,
            "@@servername" => Fact::ServerName,
            _ => return None,
        })
    }

    /// A function of no arguments, in capitals. Local time is UTC here.
    pub fn function(name: &str) -> Option<Fact> {
        let moment = SqlType::DateTime2 { scale: 7 };
        Some(match name {
            "XACT_STATE" => Fact::TransactionState,
            "SCOPE_IDENTITY" => Fact::ScopeIdentity,
            "MIN_ACTIVE_ROWVERSION" => Fact::MinActiveRowVersion,
            "TRIGGER_NESTLEVEL" => Fact::TriggerLevel,
            "ERROR_NUMBER" => Fact::ErrorNumber,
            "ERROR_SEVERITY" => Fact::ErrorSeverity,
            "ERROR_STATE" => Fact::ErrorState,
            "ERROR_LINE" => Fact::ErrorLine,
            "ERROR_MESSAGE" => Fact::ErrorMessage,
            "GETUTCDATE" | "GETDATE" | "CURRENT_TIMESTAMP" => Fact::NowUtc(SqlType::DateTime),
            "SYSUTCDATETIME" | "SYSDATETIME" => Fact::NowUtc(moment),
            "SYSDATETIMEOFFSET" => Fact::NowUtc(SqlType::DateTimeOffset { scale: 7 }),
            "APP_NAME" => Fact::Application,
            "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "SYSTEM_USER" | "USER_NAME"
            | "USER" | "CURRENT_USER" | "SESSION_USER" => Fact::User,
            "DB_NAME" => Fact::Database,
            "ROWCOUNT_BIG" => Fact::RowCount,
            _ => return None,
        })
    }

    pub fn of(self) -> SqlType {
        match self {
            Fact::RowCount
            | Fact::TransactionCount
            | Fact::Error
            | Fact::ErrorNumber
            | Fact::ErrorSeverity
            | Fact::ErrorState
            | Fact::ErrorLine
            | Fact::TriggerLevel
            | Fact::LockTimeout => SqlType::Int,
            Fact::LastRowVersion => SqlType::VarBinary { length: Some(8) },
            Fact::MinActiveRowVersion => SqlType::Binary { length: 8 },
            Fact::Session | Fact::TransactionState => SqlType::SmallInt,
            Fact::Version => SqlType::NVarChar { length: Some(300) },
            Fact::Identity | Fact::ScopeIdentity => SqlType::Decimal { precision: 38, scale: 0 },
            Fact::ErrorMessage => SqlType::NVarChar { length: Some(4000) },
            Fact::NowUtc(of) => of,
            Fact::Application | Fact::User | Fact::Database | Fact::ServerName => {
                SqlType::NVarChar { length: Some(128) }
            }
        }
    }

    pub fn nullable(self) -> bool {
        matches!(
            self,
            Fact::Identity
                | Fact::ScopeIdentity
                | Fact::ErrorNumber
                | Fact::ErrorSeverity
                | Fact::ErrorState
                | Fact::ErrorLine
                | Fact::ErrorMessage
        )
    }
}
