//! Which numbers of sales the channel knows to be used by a register: its seed row and the sales themselves.
//!
//! * Used numbers come as ranges, made at the channel: a register of ten years has a handful.
//! * A table that is not there, or that the account may not read, is told apart from one without rows.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use tillhold_core::numbering::{UsedNumbers, prefix};

/// What the channel says about one register's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `None` when the channel has no such table, or may not show it.
    pub seeds: Option<Seed>,
    pub used: Option<UsedNumbers>,
    /// DATAAREAID of the register's seed row or of one of its sales.
    pub company: Option<String>,
}

/// RETAILPOSSEEDDATA.DATAVALUE of the register: the last number that was used; `None` without a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub Option<u64>);

const WHAT: &str = "tell which numbers a register has used";

/// `kind` is RETAILPOSSEEDDATA.DATATYPE of the numbers of sales.
pub async fn marks(
    link: &mut Link,
    store: &str,
    terminal: &str,
    kind: u32,
) -> Result<Marks, ChannelError> {
    let parameters = [
        Parameter::Text(store.to_string()),
        Parameter::Text(terminal.to_string()),
        Parameter::Text(prefix(store, terminal)),
        Parameter::Number(i64::from(kind)),
    ];
    let sets = link.ask(Ask::query(WHAT, MARKS_SQL, &parameters)).await?;
    let mut sets = sets.into_iter();
    let may = sets.next().unwrap_or_default().into_iter().next().unwrap_or_default();
    let mut may = Cells::new(WHAT, may);
    let (seeds, used) = (may.flag("seeds")?, may.flag("sales")?);
    let mut marks = Marks::default();
    if seeds {
        let row = sets.next().unwrap_or_default().into_iter().next();
        let mut seed = Seed(None);
        if let Some(row) = row {
            let mut cells = Cells::new(WHAT, row);
            seed.0 = cells.optional_number("seed")?.map(|seed| seed.try_into().unwrap_or(0));
            marks.company = cells.optional_text("company")?;
        }
        marks.seeds = Some(seed);
    }
    if used {
        let mut numbers = UsedNumbers::default();
        for row in sets.next().unwrap_or_default() {
            let mut cells = Cells::new(WHAT, row);
            let (first, last) = (cells.number("first")?, cells.number("last")?);
            numbers.add(first.try_into().unwrap_or(0), last.try_into().unwrap_or(0));
            let company = cells.optional_text("company")?;
            marks.company = marks.company.or(company);
        }
        marks.used = Some(numbers);
    }
    Ok(marks)
}

/// @P1 store, @P2 terminal, @P3 what its numbers begin with, @P4 kind of number. The newest ranges, as many as are kept.
/// Rights are asked column by column: where columns are left out of a table, they are granted so.
pub(crate) const MARKS_SQL: &str = "\
SET NOCOUNT ON;
DECLARE @seeds int, @sales int;
SET @seeds = ISNULL(HAS_PERMS_BY_NAME(N'[ax].[RETAILPOSSEEDDATA]', N'OBJECT', N'SELECT', N'DATAVALUE', N'COLUMN'), 0);
SET @sales = ISNULL(HAS_PERMS_BY_NAME(N'[ax].[RETAILTRANSACTIONTABLE]', N'OBJECT', N'SELECT', N'TRANSACTIONID', N'COLUMN'), 0);
SELECT @seeds AS [seeds], @sales AS [sales];
IF @seeds = 1 SELECT TOP (1) s.[DATAVALUE] AS [seed], s.[DATAAREAID] AS [company] FROM [ax].[RETAILPOSSEEDDATA] AS s WHERE s.[DATATYPE] = @P4 AND s.[STORENUMBER] = @P1 AND s.[TERMINALID] = @P2 ORDER BY s.[DATAVALUE] DESC;
IF @sales = 1 SELECT TOP (1000) MIN(i.[n]) AS [first], MAX(i.[n]) AS [last], MAX(i.[c]) AS [company] FROM (SELECT u.[n], u.[c], u.[n] - ROW_NUMBER() OVER (ORDER BY u.[n]) AS [g] FROM (SELECT TRY_CAST(SUBSTRING(t.[TRANSACTIONID], LEN(@P3) + 1, 44) AS bigint) AS [n], MAX(t.[DATAAREAID]) AS [c] FROM [ax].[RETAILTRANSACTIONTABLE] AS t WHERE t.[STORE] = @P1 AND t.[TERMINAL] = @P2 AND LEFT(t.[TRANSACTIONID], LEN(@P3)) = @P3 GROUP BY TRY_CAST(SUBSTRING(t.[TRANSACTIONID], LEN(@P3) + 1, 44) AS bigint)) AS u WHERE u.[n] >= 0) AS i GROUP BY i.[g] ORDER BY MAX(i.[n]) DESC;
";
