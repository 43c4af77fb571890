//! The offline profile as AX 2012 R3 stores it in the channel: the RETAILOFFLINE* tables, as they
//! are.

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use std::collections::HashMap;
use tillhold_core::profile::Direction;

/// What the tables hold for one store; names are as AX wrote them, not checked against the
/// catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelProfile {
    /// At most ten characters: AX cuts it ("Default pr").
    pub name: String,
    pub description: String,
    /// In the order of their assignment to the profile; AX keeps no other.
    pub scopes: Vec<ChannelScope>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelScope {
    pub description: String,
    pub direction: Direction,
    pub frequency_s: u32,
    pub tables: Vec<ChannelScopeTable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelScopeTable {
    pub name: String,
    /// The columns to synchronise; empty means all.
    pub columns: Vec<String>,
}

pub async fn read_profile(link: &mut Link, store: &str) -> Result<ChannelProfile, ChannelError> {
    let rows = rows(link, PROFILE_SQL, Parameter::Text(store.to_string())).await?;
    let unknown = || ChannelError::UnknownStore { store: store.to_string() };
    let mut cells = rows.into_iter().next().ok_or_else(unknown)?;
    let Some(id) = cells.optional_number("RECID")? else {
        return Err(ChannelError::NoProfile { store: store.to_string() });
    };
    let (name, description) = (cells.text("NAME")?, cells.text("DESCRIPTION")?);
    let columns = columns(link, id).await?;
    let tables = tables(link, id, columns).await?;
    Ok(ChannelProfile { name, description, scopes: scopes(link, id, tables).await? })
}

const WHAT: &str = "give the store's offline profile";

async fn rows(
    link: &mut Link,
    sql: &str,
    parameter: Parameter,
) -> Result<Vec<Cells>, ChannelError> {
    let sets = link.ask(Ask::query(WHAT, sql, &[parameter])).await?;
    Ok(sets.into_iter().flatten().map(|cells| Cells::new(WHAT, cells)).collect())
}

/// Columns by table.
async fn columns(link: &mut Link, id: i64) -> Result<HashMap<i64, Vec<String>>, ChannelError> {
    let mut columns: HashMap<i64, Vec<String>> = HashMap::new();
    for mut cells in rows(link, COLUMNS_SQL, Parameter::Number(id)).await? {
        let table = cells.number("SYNCTABLE")?;
        columns.entry(table).or_default().push(cells.text("SYNCCOLUMNNAME")?);
    }
    Ok(columns)
}

/// Tables by scope.
async fn tables(
    link: &mut Link,
    id: i64,
    mut columns: HashMap<i64, Vec<String>>,
) -> Result<HashMap<i64, Vec<ChannelScopeTable>>, ChannelError> {
    let mut tables: HashMap<i64, Vec<ChannelScopeTable>> = HashMap::new();
    for mut cells in rows(link, TABLES_SQL, Parameter::Number(id)).await? {
        let (scope, table) = (cells.number("SCOPEID")?, cells.number("RECID")?);
        let name = cells.text("TABLENAME")?;
        let columns = columns.remove(&table).unwrap_or_default();
        tables.entry(scope).or_default().push(ChannelScopeTable { name, columns });
    }
    Ok(tables)
}

async fn scopes(
    link: &mut Link,
    id: i64,
    mut tables: HashMap<i64, Vec<ChannelScopeTable>>,
) -> Result<Vec<ChannelScope>, ChannelError> {
    let mut scopes = Vec::new();
    for mut cells in rows(link, SCOPES_SQL, Parameter::Number(id)).await? {
        let scope = cells.number("RECID")?;
        let description = cells.text("DESCRIPTION")?;
        let direction = direction(cells.number("SYNCDIRECTION")?, &description)?;
        let frequency = cells.number("SYNCFREQUENCY")?;
        scopes.push(ChannelScope {
            description,
            direction,
            frequency_s: u32::try_from(frequency).unwrap_or(0),
            tables: tables.remove(&scope).unwrap_or_default(),
        });
    }
    Ok(scopes)
}

/// AX's enumeration.
fn direction(number: i64, scope: &str) -> Result<Direction, ChannelError> {
    match number {
        0 => Ok(Direction::Download),
        1 => Ok(Direction::Upload),
        2 => Ok(Direction::Bidirectional),
        _ => Err(ChannelError::Unexpected {
            what: format!("scope {scope} has the unknown SYNCDIRECTION {number}"),
        }),
    }
}

/// @P1 the store's number.
pub(crate) const PROFILE_SQL: &str = "SELECT p.[RECID], p.[NAME], p.[DESCRIPTION] FROM [ax].[RETAILSTORETABLE] AS s LEFT OUTER JOIN [ax].[RETAILOFFLINEPROFILE] AS p ON p.[RECID] = s.[OFFLINEPROFILE] WHERE s.[STORENUMBER] = @P1;\n";

/// @P1 the profile's RECID.
pub(crate) const SCOPES_SQL: &str = "SELECT s.[RECID], s.[DESCRIPTION], s.[SYNCDIRECTION], s.[SYNCFREQUENCY] FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS p INNER JOIN [ax].[RETAILOFFLINESCOPE] AS s ON s.[RECID] = p.[SCOPEID] WHERE p.[PROFILEID] = @P1 ORDER BY p.[RECID];\n";

/// @P1 the profile's RECID.
pub(crate) const TABLES_SQL: &str = "SELECT x.[SCOPEID], t.[RECID], t.[TABLENAME] FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS p INNER JOIN [ax].[RETAILOFFLINESCOPETABLES] AS x ON x.[SCOPEID] = p.[SCOPEID] INNER JOIN [ax].[RETAILOFFLINETABLE] AS t ON t.[RECID] = x.[SYNCTABLEID] WHERE p.[PROFILEID] = @P1 ORDER BY p.[RECID], x.[RECID];\n";

/// @P1 the profile's RECID.
pub(crate) const COLUMNS_SQL: &str = "SELECT c.[SYNCTABLE], c.[SYNCCOLUMNNAME] FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS p INNER JOIN [ax].[RETAILOFFLINESCOPETABLES] AS x ON x.[SCOPEID] = p.[SCOPEID] INNER JOIN [ax].[RETAILOFFLINETABLECOLUMNS] AS c ON c.[SYNCTABLE] = x.[SYNCTABLEID] WHERE p.[PROFILEID] = @P1 ORDER BY c.[SYNCTABLE], c.[RECID];\n";
