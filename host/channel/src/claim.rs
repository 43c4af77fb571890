//! Which offline database speaks for a register: looked at, claimed for a run of the agent, disputed.
//!
//! * An upload by a run that has not claimed is refused before anything is written (50005, see
//!   [`crate::upload`]); the rules of what to do then are in [`tillhold_core::claim`].
//! * A claim only succeeds against what was looked at: between the two nobody else can have claimed.
//! * It takes the upload's lock, so that a claim never comes in the middle of an upload.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use tillhold_core::claim::{Claimed, Head};
use tillhold_core::transaction::TransactionId;
use tillhold_core::version::{Incarnation, Run, Sequence};

/// Who speaks: one start of the agent on one offline database of one register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// `STORE-REGISTER`, as the ledger has it.
    pub register: String,
    pub incarnation: Incarnation,
    pub run: Run,
}

const LOOK: &str = "tell who speaks for this register";
const CLAIM: &str = "take a register's claim";

/// What the channel keeps of the speaker's incarnation; `None` when it does not know it.
pub async fn look(link: &mut Link, speaker: &Speaker) -> Result<Option<Claimed>, ChannelError> {
    let parameters = [
        Parameter::Text(speaker.register.clone()),
        Parameter::Text(speaker.incarnation.to_string()),
    ];
    let sets = link.ask(Ask::query(LOOK, CLAIM_LOOK_SQL, &parameters)).await?;
    let row = sets.into_iter().flatten().next();
    row.map(|row| claimed(Cells::new(LOOK, row))).transpose()
}

fn claimed(mut cells: Cells) -> Result<Claimed, ChannelError> {
    let missing = || ChannelError::Unexpected { what: "a claim has no run".to_string() };
    let run = Run(cells.optional_guid("run")?.ok_or_else(missing)?);
    let sequence = Sequence(cells.number("sequence")?.try_into().unwrap_or(0));
    let id = cells.optional_guid("transaction_id")?;
    Ok(Claimed {
        run,
        head: id.map(|id| Head { sequence, id: TransactionId(id) }),
        is_superseded: cells.flag("superseded")?,
        is_disputed: cells.flag("disputed")?,
        silent_s: cells.number("silent_s")?.try_into().unwrap_or(0),
    })
}

/// Takes over from the run that was looked at, or begins a new incarnation when there was none; whether it succeeded.
/// Beginning ends earlier incarnations of the register.
pub async fn claim(
    link: &mut Link,
    speaker: &Speaker,
    seen: Option<Run>,
    why: &str,
) -> Result<bool, ChannelError> {
    let parameters = [
        Parameter::Text(speaker.register.clone()),
        Parameter::Text(speaker.incarnation.to_string()),
        Parameter::Text(speaker.run.to_string()),
        Parameter::Text(seen.map(|run| run.to_string()).unwrap_or_default()),
        Parameter::Text(why.chars().take(WHY_CHARS_MAX).collect()),
    ];
    let sets = link.ask(Ask::query(CLAIM, CLAIM_SQL, &parameters)).await;
    if sets.is_err() {
        link.undo().await;
    }
    let row = sets?.into_iter().flatten().next().unwrap_or_default();
    Cells::new(CLAIM, row).flag("done")
}

/// Of [tillhold].[register].[why].
const WHY_CHARS_MAX: usize = 400;

/// Says that two databases of this incarnation were seen, so that the other one stops as well.
pub async fn dispute(link: &mut Link, speaker: &Speaker) -> Result<(), ChannelError> {
    let parameters = [
        Parameter::Text(speaker.register.clone()),
        Parameter::Text(speaker.incarnation.to_string()),
    ];
    link.ask(Ask::query("note that a register runs twice", CLAIM_DISPUTE_SQL, &parameters)).await?;
    Ok(())
}

/// @P1 register, @P2 incarnation.
pub(crate) const CLAIM_LOOK_SQL: &str = "SELECT r.[run], r.[sequence], r.[transaction_id], CASE WHEN r.[superseded_at] IS NULL THEN 0 ELSE 1 END AS [superseded], CASE WHEN r.[disputed_at] IS NULL THEN 0 ELSE 1 END AS [disputed], DATEDIFF(SECOND, r.[seen_at], SYSUTCDATETIME()) AS [silent_s] FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier);\n";

/// @P1 register, @P2 incarnation, @P3 run, @P4 the run that was looked at or nothing, @P5 why.
pub(crate) const CLAIM_SQL: &str = "\
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @rc int, @done int, @lock nvarchar(255);
SET @lock = N'tillhold.upload:' + @P1;
SET @done = 0;
BEGIN TRY
BEGIN TRANSACTION;
EXEC @rc = sp_getapplock @Resource = @lock, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 5000;
IF @rc < 0 THROW 50001, N'another session holds the upload lock of this register', 1;
IF @P4 <> N''
BEGIN
UPDATE r SET r.[run] = CAST(@P3 AS uniqueidentifier), r.[seen_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND r.[run] = CAST(@P4 AS uniqueidentifier) AND r.[superseded_at] IS NULL AND r.[disputed_at] IS NULL;
SET @done = @@ROWCOUNT;
END;
IF @P4 = N'' AND NOT EXISTS (SELECT 1 FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier))
BEGIN
UPDATE r SET r.[superseded_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[superseded_at] IS NULL;
INSERT INTO [tillhold].[register] ([register], [incarnation], [run], [why]) VALUES (@P1, CAST(@P2 AS uniqueidentifier), CAST(@P3 AS uniqueidentifier), @P5);
SET @done = 1;
END;
SELECT @done AS [done];
COMMIT TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";

/// @P1 register, @P2 incarnation.
pub(crate) const CLAIM_DISPUTE_SQL: &str = "UPDATE r SET r.[disputed_at] = SYSUTCDATETIME() FROM [tillhold].[register] AS r WHERE r.[register] = @P1 AND r.[incarnation] = CAST(@P2 AS uniqueidentifier) AND r.[disputed_at] IS NULL;\n";
