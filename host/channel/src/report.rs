//! What a register tells its channel about itself: how it stands, what it holds unsent, what it synchronised.
//!
//! * One round trip for a round of scopes: the register's standing in [tillhold].[register_status], and, where AX's own
//!   tables are there and may be written, RETAILOFFLINESYNCLOG and RETAILTERMINALSYNCSTATUS.
//! * Moments are sent as ages and put on the channel's clock: a till's own may be wrong.

use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use serde_json::{Value as Json, json};
use tillhold_core::version::Incarnation;

/// How a register stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterStanding {
    pub store: String,
    pub terminal: String,
    pub incarnation: Incarnation,
    pub state: String,
    pub state_age_s: u64,
    pub is_offline: bool,
    /// Everything that the channel does not have, what waits for a person among it.
    pub unsent: Unsent,
    pub quarantined: u64,
    pub conflicts: u64,
    pub rows_aside: u64,
    /// Since the last push or pull that went well.
    pub synchronised_age_s: Option<u64>,
    /// Code and words of what stands still.
    pub fault: Option<(String, String)>,
    pub program: String,
    pub profile: String,
}

/// Sales that are on the register only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    pub transactions: u64,
    pub rows: u64,
    pub oldest_age_s: Option<u64>,
    /// Currency and amount, as canonical text.
    pub amounts: Vec<(String, String)>,
}

/// One synchronisation of one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSync {
    pub scope: String,
    pub downloaded: Moved,
    pub uploaded: Moved,
    pub started_age_ms: u64,
    pub took_ms: u64,
    /// RECID of the row in AX's log, from a range where head office never comes.
    pub record: u64,
}

/// Rows of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub total: u64,
    pub ok: u64,
    pub errors: u64,
}

/// Tells both in one transaction.
pub async fn report(
    link: &mut Link,
    standing: &RegisterStanding,
    syncs: &[ScopeSync],
) -> Result<(), ChannelError> {
    let syncs: Vec<Json> = syncs.iter().map(sync_json).collect();
    let text = json!({ "s": [standing_json(standing)], "l": syncs }).to_string();
    let parameters = [
        Parameter::Text(format!("{}-{}", standing.store, standing.terminal)),
        Parameter::Text(standing.terminal.clone()),
        Parameter::Text(text),
        Parameter::Number(i64::from(standing.is_offline)),
    ];
    let told = link.ask(Ask::query("take a register's report", REPORT_SQL, &parameters)).await;
    if told.is_err() {
        link.undo().await;
    }
    told.map(drop)
}

fn standing_json(standing: &RegisterStanding) -> Json {
    let cut = |text: &str, most| text.chars().take(most).collect::<String>();
    let (code, words) = match &standing.fault {
        Some((code, words)) => (Some(cut(code, 64)), Some(cut(words, 1_000))),
        None => (None, None),
    };
    let unsent = &standing.unsent;
    json!({
        "store": standing.store,
        "terminal": standing.terminal,
        "incarnation": standing.incarnation.to_string(),
        "state": standing.state,
        "state_age": seconds(standing.state_age_s),
        "transactions": unsent.transactions,
        "rows": unsent.rows,
        "oldest_age": unsent.oldest_age_s.map(seconds),
        "amounts": amounts_text(&unsent.amounts),
        "quarantined": standing.quarantined,
        "conflicts": standing.conflicts,
        "aside": standing.rows_aside,
        "sync_age": standing.synchronised_age_s.map(seconds),
        "code": code,
        "fault": words,
        "program": cut(&standing.program, 40),
        "profile": cut(&standing.profile, 128),
    })
}

/// A till takes a few; the column has room for 400 characters.
const CURRENCIES_MAX: usize = 8;

/// `USD 12.50; EUR 3.00`, as a person reads it in the table.
pub(crate) fn amounts_text(amounts: &[(String, String)]) -> String {
    let one = |(currency, amount): &(String, String)| format!("{currency} {amount}");
    amounts.iter().take(CURRENCIES_MAX).map(one).collect::<Vec<_>>().join("; ")
}

pub(crate) fn read_amounts(text: &str) -> Vec<(String, String)> {
    let one = |part: &str| {
        let (currency, amount) = part.trim().rsplit_once(' ').unwrap_or(("", part.trim()));
        (currency.trim().to_string(), amount.to_string())
    };
    text.split(';').filter(|part| !part.trim().is_empty()).map(one).collect()
}

fn sync_json(sync: &ScopeSync) -> Json {
    let (down, up) = (&sync.downloaded, &sync.uploaded);
    let count = |rows: u64| rows.min(i32::MAX as u64);
    json!({
        "scope": sync.scope,
        "r": sync.record,
        "d": count(down.total), "dok": count(down.ok), "derr": count(down.errors),
        "u": count(up.total), "uok": count(up.ok), "uerr": count(up.errors),
        "from": sync.started_age_ms.min(i32::MAX as u64),
        "to": sync.started_age_ms.saturating_sub(sync.took_ms).min(i32::MAX as u64),
    })
}

/// DATEADD takes an int.
fn seconds(age: u64) -> u64 {
    age.min(i32::MAX as u64)
}

/// @P1 register, @P2 terminal, @P3 JSON, @P4 whether it sells offline.
pub(crate) const REPORT_SQL: &str = "\
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
BEGIN TRY
BEGIN TRANSACTION;
CREATE TABLE #s ([store] nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL, [terminal] nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL, [incarnation] uniqueidentifier NOT NULL, [state] nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, [state_age] int NOT NULL, [transactions] bigint NOT NULL, [rows] bigint NOT NULL, [oldest_age] int NULL, [amounts] nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, [quarantined] bigint NOT NULL, [conflicts] bigint NOT NULL, [aside] bigint NOT NULL, [sync_age] int NULL, [code] nvarchar(64) COLLATE DATABASE_DEFAULT NULL, [fault] nvarchar(1000) COLLATE DATABASE_DEFAULT NULL, [program] nvarchar(40) COLLATE DATABASE_DEFAULT NOT NULL, [profile] nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL);
INSERT INTO #s ([store], [terminal], [incarnation], [state], [state_age], [transactions], [rows], [oldest_age], [amounts], [quarantined], [conflicts], [aside], [sync_age], [code], [fault], [program], [profile]) SELECT j.[store], j.[terminal], CAST(j.[incarnation] AS uniqueidentifier), j.[state], j.[state_age], j.[transactions], j.[rows], j.[oldest_age], j.[amounts], j.[quarantined], j.[conflicts], j.[aside], j.[sync_age], j.[code], j.[fault], j.[program], j.[profile] FROM OPENJSON(@P3, N'$.s') WITH ([store] nvarchar(10) N'$.store', [terminal] nvarchar(10) N'$.terminal', [incarnation] nvarchar(36) N'$.incarnation', [state] nvarchar(20) N'$.state', [state_age] int N'$.state_age', [transactions] bigint N'$.transactions', [rows] bigint N'$.rows', [oldest_age] int N'$.oldest_age', [amounts] nvarchar(400) N'$.amounts', [quarantined] bigint N'$.quarantined', [conflicts] bigint N'$.conflicts', [aside] bigint N'$.aside', [sync_age] int N'$.sync_age', [code] nvarchar(64) N'$.code', [fault] nvarchar(1000) N'$.fault', [program] nvarchar(40) N'$.program', [profile] nvarchar(128) N'$.profile') AS j;
IF NOT EXISTS (SELECT 1 FROM [tillhold].[register_status] AS r WITH (UPDLOCK, HOLDLOCK) WHERE r.[register] = @P1) INSERT INTO [tillhold].[register_status] ([register], [store], [terminal], [incarnation], [state], [program], [profile]) SELECT @P1, s.[store], s.[terminal], s.[incarnation], s.[state], s.[program], s.[profile] FROM #s AS s;
UPDATE r SET r.[reported_at] = SYSUTCDATETIME(), r.[store] = s.[store], r.[terminal] = s.[terminal], r.[incarnation] = s.[incarnation], r.[state] = s.[state], r.[state_since] = DATEADD(SECOND, -s.[state_age], SYSUTCDATETIME()), r.[unsent_transactions] = s.[transactions], r.[unsent_rows] = s.[rows], r.[unsent_oldest_at] = DATEADD(SECOND, -s.[oldest_age], SYSUTCDATETIME()), r.[unsent_amounts] = s.[amounts], r.[quarantined] = s.[quarantined], r.[conflicts] = s.[conflicts], r.[rows_aside] = s.[aside], r.[synchronised_at] = DATEADD(SECOND, -s.[sync_age], SYSUTCDATETIME()), r.[fault_code] = s.[code], r.[fault] = s.[fault], r.[program] = s.[program], r.[profile] = s.[profile] FROM [tillhold].[register_status] AS r CROSS JOIN #s AS s WHERE r.[register] = @P1;
CREATE TABLE #l ([scope] nvarchar(256) COLLATE DATABASE_DEFAULT NOT NULL, [id] bigint NOT NULL, [r] bigint NOT NULL, [d] int NOT NULL, [dok] int NOT NULL, [derr] int NOT NULL, [u] int NOT NULL, [uok] int NOT NULL, [uerr] int NOT NULL, [from] int NOT NULL, [to] int NOT NULL);
INSERT INTO #l ([scope], [id], [r], [d], [dok], [derr], [u], [uok], [uerr], [from], [to]) SELECT j.[scope], 0, j.[r], j.[d], j.[dok], j.[derr], j.[u], j.[uok], j.[uerr], j.[from], j.[to] FROM OPENJSON(@P3, N'$.l') WITH ([scope] nvarchar(256) N'$.scope', [r] bigint N'$.r', [d] int N'$.d', [dok] int N'$.dok', [derr] int N'$.derr', [u] int N'$.u', [uok] int N'$.uok', [uerr] int N'$.uerr', [from] int N'$.from', [to] int N'$.to') AS j;
IF HAS_PERMS_BY_NAME(N'[ax].[RETAILOFFLINESCOPE]', N'OBJECT', N'SELECT') = 1 UPDATE l SET l.[id] = o.[RECID] FROM #l AS l INNER JOIN [ax].[RETAILOFFLINESCOPE] AS o ON o.[DESCRIPTION] = l.[scope] COLLATE DATABASE_DEFAULT;
IF HAS_PERMS_BY_NAME(N'[dbo].[RETAILOFFLINESYNCLOG]', N'OBJECT', N'INSERT') = 1 INSERT INTO [dbo].[RETAILOFFLINESYNCLOG] ([RECID], [LOGTIME], [SCOPEID], [TOTALDOWNLOADED], [TOTALDOWNLOADEDOK], [TOTALDOWNLOADEDERR], [TOTALUPLOADED], [TOTALUPLOADEDOK], [TOTALUPLOADEDERR], [SYNCSTARTTIME], [SYNCSTOPTIME], [TERMINAL]) SELECT l.[r], GETUTCDATE(), l.[id], l.[d], l.[dok], l.[derr], l.[u], l.[uok], l.[uerr], DATEADD(MILLISECOND, -l.[from], GETUTCDATE()), DATEADD(MILLISECOND, -l.[to], GETUTCDATE()), @P2 FROM #l AS l;
IF HAS_PERMS_BY_NAME(N'[dbo].[RETAILTERMINALSYNCSTATUS]', N'OBJECT', N'SELECT') = 1 AND HAS_PERMS_BY_NAME(N'[dbo].[RETAILTERMINALSYNCSTATUS]', N'OBJECT', N'UPDATE') = 1 AND HAS_PERMS_BY_NAME(N'[dbo].[RETAILTERMINALSYNCSTATUS]', N'OBJECT', N'INSERT') = 1
BEGIN
UPDATE t SET t.[ISOFFLINE] = @P4 FROM [dbo].[RETAILTERMINALSYNCSTATUS] AS t WHERE t.[TERMINALID] = @P2;
IF @@ROWCOUNT = 0 INSERT INTO [dbo].[RETAILTERMINALSYNCSTATUS] ([TERMINALID], [ISOFFLINE]) VALUES (@P2, @P4);
END;
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";

#[cfg(test)]
mod tests {
    use super::{amounts_text, read_amounts};

    #[test]
    fn amounts_survive_their_text() {
        let amounts = [("USD", "12.50"), ("EUR", "-3.00"), ("", "1.00")]
            .map(|(currency, amount)| (currency.to_string(), amount.to_string()));
        assert_eq!(amounts_text(&amounts), "USD 12.50; EUR -3.00;  1.00");
        assert_eq!(read_amounts(&amounts_text(&amounts)), amounts);
        assert_eq!(read_amounts(""), []);
    }
}
