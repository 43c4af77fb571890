//! The channel's view of a store's registers: what each said about itself last, and which never said anything.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::report::{Unsent, read_amounts};
use std::collections::BTreeMap;

/// One register of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetRegister {
    pub terminal: String,
    /// RETAILTERMINALTABLE.NAME; `None` when the store's table does not have it, or may not be read.
    pub name: Option<String>,
    /// RETAILTERMINALSYNCSTATUS.ISOFFLINE
    pub is_offline: Option<bool>,
    /// `None` for one that never reported.
    pub said: Option<Said>,
}

/// What a register said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// By the channel's clock.
    pub silent_s: u64,
    pub state: String,
    pub state_age_s: u64,
    pub unsent: Unsent,
    pub quarantined: u64,
    pub conflicts: u64,
    pub rows_aside: u64,
    pub synchronised_age_s: Option<u64>,
    pub fault: Option<(String, String)>,
    pub program: String,
    pub profile: String,
}

const WHAT: &str = "tell how a store's registers stand";

/// Every register of the store, by its number.
pub async fn fleet(link: &mut Link, store: &str) -> Result<Vec<FleetRegister>, ChannelError> {
    let parameters = [Parameter::Text(store.to_string())];
    let mut sets = link.ask(Ask::query(WHAT, FLEET_SQL, &parameters)).await?.into_iter();
    let may = sets.next().unwrap_or_default().into_iter().next().unwrap_or_default();
    let mut may = Cells::new(WHAT, may);
    let (terminals, offline) = (may.flag("terminals")?, may.flag("offline")?);
    let mut registers: BTreeMap<String, FleetRegister> = BTreeMap::new();
    for row in sets.next().unwrap_or_default() {
        let (terminal, said) = said(Cells::new(WHAT, row))?;
        of(&mut registers, terminal).said = Some(said);
    }
    if terminals {
        for row in sets.next().unwrap_or_default() {
            let mut cells = Cells::new(WHAT, row);
            let terminal = cells.text("terminal")?;
            of(&mut registers, terminal).name = Some(cells.text("name")?);
        }
    }
    if offline {
        for row in sets.next().unwrap_or_default() {
            let mut cells = Cells::new(WHAT, row);
            let (terminal, is_offline) = (cells.text("terminal")?, cells.flag("offline")?);
            // The table is of all stores.
            if let Some(known) = registers.get_mut(terminal.trim_end()) {
                known.is_offline = Some(is_offline);
            }
        }
    }
    Ok(registers.into_values().collect())
}

fn of(registers: &mut BTreeMap<String, FleetRegister>, terminal: String) -> &mut FleetRegister {
    let terminal = terminal.trim_end().to_string();
    let new = FleetRegister { terminal: terminal.clone(), ..FleetRegister::default() };
    registers.entry(terminal).or_insert(new)
}

fn said(mut cells: Cells) -> Result<(String, Said), ChannelError> {
    let terminal = cells.text("terminal")?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let silent_s = unsigned(cells.number("silent_s")?);
    let (state, state_age_s) = (cells.text("state")?, unsigned(cells.number("state_age_s")?));
    let unsent = Unsent {
        transactions: unsigned(cells.number("transactions")?),
        rows: unsigned(cells.number("rows")?),
        oldest_age_s: cells.optional_number("oldest_age_s")?.map(unsigned),
        amounts: read_amounts(&cells.text("amounts")?),
    };
    let said = Said {
        silent_s,
        state,
        state_age_s,
        unsent,
        quarantined: unsigned(cells.number("quarantined")?),
        conflicts: unsigned(cells.number("conflicts")?),
        rows_aside: unsigned(cells.number("rows_aside")?),
        synchronised_age_s: cells.optional_number("synchronised_age_s")?.map(unsigned),
        fault: cells.optional_text("fault_code")?.zip(cells.optional_text("fault")?),
        program: cells.text("program")?,
        profile: cells.text("profile")?,
    };
    Ok((terminal, said))
}

/// @P1 store. Terminals belong to stores by RETAILTERMINALTABLE.STORERECID.
pub(crate) const FLEET_SQL: &str = "\
SET NOCOUNT ON;
DECLARE @terminals int, @offline int;
SET @terminals = CASE WHEN HAS_PERMS_BY_NAME(N'[ax].[RETAILTERMINALTABLE]', N'OBJECT', N'SELECT', N'STORERECID', N'COLUMN') = 1 AND HAS_PERMS_BY_NAME(N'[ax].[RETAILSTORETABLE]', N'OBJECT', N'SELECT', N'STORENUMBER', N'COLUMN') = 1 THEN 1 ELSE 0 END;
SET @offline = ISNULL(HAS_PERMS_BY_NAME(N'[dbo].[RETAILTERMINALSYNCSTATUS]', N'OBJECT', N'SELECT'), 0);
SELECT @terminals AS [terminals], @offline AS [offline];
SELECT r.[terminal], DATEDIFF(SECOND, r.[reported_at], SYSUTCDATETIME()) AS [silent_s], r.[state], DATEDIFF(SECOND, r.[state_since], SYSUTCDATETIME()) AS [state_age_s], r.[unsent_transactions] AS [transactions], r.[unsent_rows] AS [rows], DATEDIFF(SECOND, r.[unsent_oldest_at], SYSUTCDATETIME()) AS [oldest_age_s], r.[unsent_amounts] AS [amounts], r.[quarantined], r.[conflicts], r.[rows_aside], DATEDIFF(SECOND, r.[synchronised_at], SYSUTCDATETIME()) AS [synchronised_age_s], r.[fault_code], r.[fault], r.[program], r.[profile] FROM [tillhold].[register_status] AS r WHERE r.[store] = @P1;
IF @terminals = 1 SELECT t.[TERMINALID] AS [terminal], t.[NAME] AS [name] FROM [ax].[RETAILTERMINALTABLE] AS t INNER JOIN [ax].[RETAILSTORETABLE] AS s ON s.[RECID] = t.[STORERECID] WHERE s.[STORENUMBER] = @P1;
IF @offline = 1 SELECT t.[TERMINALID] AS [terminal], t.[ISOFFLINE] AS [offline] FROM [dbo].[RETAILTERMINALSYNCSTATUS] AS t;
";
