//! Which stores and registers head office knows, as far as the account may see them: what a person typed is compared with it.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};

/// Ids as the channel spells them, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// RETAILSTORETABLE.STORENUMBER
    pub stores: Vec<String>,
    /// RETAILTERMINALTABLE.TERMINALID of the one store.
    pub registers: Vec<String>,
}

const WHAT: &str = "tell which stores and registers there are";

/// `None` where the account may not see them, or the tables are not there.
pub async fn known(link: &mut Link, store: &str) -> Result<Option<Known>, ChannelError> {
    let parameters = [Parameter::Text(store.to_string())];
    let mut sets = link.ask(Ask::query(WHAT, KNOWN_SQL, &parameters)).await?.into_iter();
    let may = sets.next().unwrap_or_default().into_iter().next().unwrap_or_default();
    if !Cells::new(WHAT, may).flag("may")? {
        return Ok(None);
    }
    let mut ids = || -> Result<Vec<String>, ChannelError> {
        let rows = sets.next().unwrap_or_default().into_iter();
        let id = |row| Ok(Cells::new(WHAT, row).text("id")?.trim_end().to_string());
        rows.map(id).collect()
    };
    Ok(Some(Known { stores: ids()?, registers: ids()? }))
}

/// @P1 store. Terminals belong to stores by RETAILTERMINALTABLE.STORERECID.
pub(crate) const KNOWN_SQL: &str = "\
SET NOCOUNT ON;
DECLARE @may int;
SET @may = CASE WHEN HAS_PERMS_BY_NAME(N'[ax].[RETAILTERMINALTABLE]', N'OBJECT', N'SELECT', N'STORERECID', N'COLUMN') = 1 AND HAS_PERMS_BY_NAME(N'[ax].[RETAILSTORETABLE]', N'OBJECT', N'SELECT', N'STORENUMBER', N'COLUMN') = 1 THEN 1 ELSE 0 END;
SELECT @may AS [may];
IF @may = 1 SELECT s.[STORENUMBER] AS [id] FROM [ax].[RETAILSTORETABLE] AS s ORDER BY s.[STORENUMBER];
IF @may = 1 SELECT t.[TERMINALID] AS [id] FROM [ax].[RETAILTERMINALTABLE] AS t INNER JOIN [ax].[RETAILSTORETABLE] AS s ON s.[RECID] = t.[STORERECID] WHERE s.[STORENUMBER] = @P1 ORDER BY t.[TERMINALID];
";
