//! An offline profile into AX's own tables: what [`crate::profile`] reads, written.
//!
//! 1. One statement, one transaction, all of it or nothing; a rehearsal does the same work and rolls it back.
//! 2. The profile is known by its name, a scope by its description (AX holds both to be unique). Scopes that the
//!    profile had and no other one uses are removed; those that stay keep their RECID, since the log of
//!    synchronisations refers to it.
//! 3. New rows get RECIDs from 2^62 on. Head office counts up from 5637144576 and never comes there, so that its
//!    next scheduler job does not take our row for one of its own.
//!
//! * A scope that another profile uses too is not changed unless the caller says so: nothing is written, and the
//!   other profiles are named.
//! * Refuses what AX's columns cannot hold before anything is asked ([`Publication::misfits`]).

use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::profile::{ChannelProfile, ChannelScope};
use serde_json::{Value as Json, json};
use std::fmt;
use tillhold_core::profile::Direction;

/// What is to be written, and how.
#[derive(Clone, Debug)]
pub struct Publication<'p> {
    pub profile: &'p ChannelProfile,
    /// The store that is to use the profile from now on.
    pub store: Option<&'p str>,
    /// Change scopes that other profiles use too.
    pub changes_shared: bool,
    /// Do it all, then roll it back.
    pub is_rehearsal: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Effect),
    /// Nothing was written: these scopes belong to these other profiles too.
    Shared(Vec<(String, String)>),
}

/// Rows, by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub is_new_profile: bool,
    pub scopes_added: u64,
    pub scopes_kept: u64,
    pub scopes_removed: u64,
    pub tables_before: u64,
    pub tables_after: u64,
    pub columns_before: u64,
    pub columns_after: u64,
    pub stores: u64,
}

/// A text that is too long for AX's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub column: &'static str,
    pub text: String,
    pub most: usize,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misfit { column, text, most } = self;
        let count = text.chars().count();
        write!(f, "'{text}' has {count} characters, {column} holds {most}")
    }
}

impl Publication<'_> {
    /// Texts that would not fit; nvarchar counts UTF-16 units.
    pub fn misfits(&self) -> Vec<Misfit> {
        let mut found = Vec::new();
        let mut hold = |column, text: &str, most| {
            if text.encode_utf16().count() > most {
                found.push(Misfit { column, text: text.to_string(), most });
            }
        };
        hold("RETAILOFFLINEPROFILE.NAME", &self.profile.name, 10);
        hold("RETAILOFFLINEPROFILE.DESCRIPTION", &self.profile.description, 256);
        for scope in &self.profile.scopes {
            hold("RETAILOFFLINESCOPE.DESCRIPTION", &scope.description, 256);
            for table in &scope.tables {
                hold("RETAILOFFLINETABLE.TABLENAME", &table.name, 50);
                for column in &table.columns {
                    hold("RETAILOFFLINETABLECOLUMNS.SYNCCOLUMNNAME", column, 40);
                }
            }
        }
        found
    }
}

const WHAT: &str = "take an offline profile";

pub async fn publish(
    link: &mut Link,
    publication: &Publication<'_>,
) -> Result<Outcome, ChannelError> {
    let profile = publication.profile;
    let parameters = [
        Parameter::Text(payload(profile).to_string()),
        Parameter::Text(profile.name.clone()),
        Parameter::Text(profile.description.clone()),
        Parameter::Text(publication.store.unwrap_or_default().to_string()),
        Parameter::Number(i64::from(publication.changes_shared)),
        Parameter::Number(i64::from(!publication.is_rehearsal)),
    ];
    let sets = link.ask(Ask::query(WHAT, PUBLISH_SQL, &parameters)).await;
    if sets.is_err() {
        link.undo().await;
    }
    let mut sets = sets?.into_iter();
    let mut shared = Vec::new();
    for row in sets.next().unwrap_or_default() {
        let mut cells = Cells::new(WHAT, row);
        shared.push((cells.text("scope")?, cells.text("profile")?));
    }
    let counts = sets.flatten().next().unwrap_or_default();
    if !shared.is_empty() && !publication.changes_shared {
        return Ok(Outcome::Shared(shared));
    }
    let effect = effect(profile, Cells::new(WHAT, counts))?;
    match publication.store {
        Some(store) if effect.stores == 0 => {
            Err(ChannelError::UnknownStore { store: store.to_string() })
        }
        _ => Ok(Outcome::Done(effect)),
    }
}

fn effect(profile: &ChannelProfile, mut cells: Cells) -> Result<Effect, ChannelError> {
    let mut count = |name| Ok::<u64, ChannelError>(u64::try_from(cells.number(name)?).unwrap_or(0));
    let tables = profile.scopes.iter().flat_map(|scope| &scope.tables);
    Ok(Effect {
        is_new_profile: count("profiles")? == 0,
        scopes_added: count("added")?,
        scopes_kept: count("kept")?,
        scopes_removed: count("removed")?,
        tables_before: count("tables")?,
        tables_after: tables.clone().count() as u64,
        columns_before: count("columns")?,
        columns_after: tables.map(|table| table.columns.len() as u64).sum(),
        stores: count("stores")?,
    })
}

/// Positions count from one through the whole profile: they become the last digits of the RECIDs, and AX's only order.
fn payload(profile: &ChannelProfile) -> Json {
    let (mut scopes, mut tables, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for (at, scope) in profile.scopes.iter().enumerate() {
        scopes.push(scope_json(at + 1, scope));
        for table in &scope.tables {
            tables.push(json!({ "t": tables.len() + 1, "s": at + 1, "n": table.name }));
            for column in &table.columns {
                columns.push(json!({ "c": columns.len() + 1, "t": tables.len(), "n": column }));
            }
        }
    }
    json!({ "s": scopes, "t": tables, "c": columns })
}

fn scope_json(at: usize, scope: &ChannelScope) -> Json {
    let direction = match scope.direction {
        Direction::Download => 0,
        Direction::Upload => 1,
        Direction::Bidirectional => 2,
    };
    json!({ "s": at, "d": scope.description, "y": direction, "f": scope.frequency_s })
}

/// @P1 JSON, @P2 name, @P3 description, @P4 store or nothing, @P5 whether shared scopes may change, @P6 whether it is
/// kept.
pub(crate) const PUBLISH_SQL: &str = "\
SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
DECLARE @rc int, @profile bigint, @known int, @base bigint, @shared int, @stores int;
BEGIN TRY
BEGIN TRANSACTION;
EXEC @rc = sp_getapplock @Resource = N'tillhold.publish', @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 5000;
IF @rc < 0 THROW 50001, N'another session publishes an offline profile', 1;
CREATE TABLE #s ([s] int NOT NULL PRIMARY KEY, [d] nvarchar(256) COLLATE DATABASE_DEFAULT NOT NULL, [y] int NOT NULL, [f] int NOT NULL, [r] bigint NULL);
CREATE TABLE #t ([t] int NOT NULL PRIMARY KEY, [s] int NOT NULL, [n] nvarchar(50) COLLATE DATABASE_DEFAULT NOT NULL);
CREATE TABLE #c ([c] int NOT NULL PRIMARY KEY, [t] int NOT NULL, [n] nvarchar(40) COLLATE DATABASE_DEFAULT NOT NULL);
CREATE TABLE #o ([r] bigint NOT NULL PRIMARY KEY);
INSERT INTO #s ([s], [d], [y], [f]) SELECT j.[s], j.[d], j.[y], j.[f] FROM OPENJSON(@P1, N'$.s') WITH ([s] int N'$.s', [d] nvarchar(256) N'$.d', [y] int N'$.y', [f] int N'$.f') AS j;
INSERT INTO #t ([t], [s], [n]) SELECT j.[t], j.[s], j.[n] FROM OPENJSON(@P1, N'$.t') WITH ([t] int N'$.t', [s] int N'$.s', [n] nvarchar(50) N'$.n') AS j;
INSERT INTO #c ([c], [t], [n]) SELECT j.[c], j.[t], j.[n] FROM OPENJSON(@P1, N'$.c') WITH ([c] int N'$.c', [t] int N'$.t', [n] nvarchar(40) N'$.n') AS j;
UPDATE s SET s.[r] = o.[RECID] FROM #s AS s INNER JOIN [ax].[RETAILOFFLINESCOPE] AS o WITH (UPDLOCK, HOLDLOCK) ON o.[DESCRIPTION] = s.[d];
SET @known = (SELECT COUNT(*) FROM [ax].[RETAILOFFLINEPROFILE] AS p WITH (UPDLOCK, HOLDLOCK) WHERE p.[NAME] = @P2);
SET @base = (SELECT MAX(x.[r]) FROM (SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINEPROFILE] AS p UNION ALL SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS p UNION ALL SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINESCOPE] AS p UNION ALL SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINESCOPETABLES] AS p UNION ALL SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINETABLE] AS p UNION ALL SELECT MAX(p.[RECID]) AS [r] FROM [ax].[RETAILOFFLINETABLECOLUMNS] AS p) AS x);
IF @base IS NULL OR @base < 4611686018427387904 SET @base = 4611686018427387904;
SET @profile = ISNULL((SELECT MAX(p.[RECID]) FROM [ax].[RETAILOFFLINEPROFILE] AS p WHERE p.[NAME] = @P2), @base + 1);
INSERT INTO #o ([r]) SELECT DISTINCT x.[SCOPEID] FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS x WHERE x.[PROFILEID] = @profile AND NOT EXISTS (SELECT 1 FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS y WHERE y.[SCOPEID] = x.[SCOPEID] AND y.[PROFILEID] <> @profile);
INSERT INTO #o ([r]) SELECT s.[r] FROM #s AS s WHERE s.[r] IS NOT NULL AND NOT EXISTS (SELECT 1 FROM #o AS o WHERE o.[r] = s.[r]);
SET @shared = (SELECT COUNT(*) FROM #s AS s INNER JOIN [ax].[RETAILOFFLINEPROFILESCOPES] AS x ON x.[SCOPEID] = s.[r] WHERE x.[PROFILEID] <> @profile);
SET @stores = (SELECT COUNT(*) FROM [ax].[RETAILSTORETABLE] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[STORENUMBER] = @P4);
SELECT s.[d] AS [scope], ISNULL(p.[NAME], N'') AS [profile] FROM #s AS s INNER JOIN [ax].[RETAILOFFLINEPROFILESCOPES] AS x ON x.[SCOPEID] = s.[r] LEFT OUTER JOIN [ax].[RETAILOFFLINEPROFILE] AS p ON p.[RECID] = x.[PROFILEID] WHERE x.[PROFILEID] <> @profile ORDER BY s.[s], x.[RECID];
SELECT @known AS [profiles], (SELECT COUNT(*) FROM #s AS s WHERE s.[r] IS NULL) AS [added], (SELECT COUNT(*) FROM #s AS s WHERE s.[r] IS NOT NULL) AS [kept], (SELECT COUNT(*) FROM #o AS o WHERE NOT EXISTS (SELECT 1 FROM #s AS s WHERE s.[r] = o.[r])) AS [removed], (SELECT COUNT(*) FROM [ax].[RETAILOFFLINESCOPETABLES] AS x INNER JOIN #o AS o ON o.[r] = x.[SCOPEID]) AS [tables], (SELECT COUNT(*) FROM [ax].[RETAILOFFLINETABLECOLUMNS] AS c INNER JOIN [ax].[RETAILOFFLINESCOPETABLES] AS x ON x.[SYNCTABLEID] = c.[SYNCTABLE] INNER JOIN #o AS o ON o.[r] = x.[SCOPEID]) AS [columns], @stores AS [stores];
DELETE c FROM [ax].[RETAILOFFLINETABLECOLUMNS] AS c INNER JOIN [ax].[RETAILOFFLINESCOPETABLES] AS x ON x.[SYNCTABLEID] = c.[SYNCTABLE] INNER JOIN #o AS o ON o.[r] = x.[SCOPEID];
DELETE t FROM [ax].[RETAILOFFLINETABLE] AS t INNER JOIN [ax].[RETAILOFFLINESCOPETABLES] AS x ON x.[SYNCTABLEID] = t.[RECID] INNER JOIN #o AS o ON o.[r] = x.[SCOPEID];
DELETE x FROM [ax].[RETAILOFFLINESCOPETABLES] AS x INNER JOIN #o AS o ON o.[r] = x.[SCOPEID];
DELETE x FROM [ax].[RETAILOFFLINEPROFILESCOPES] AS x WHERE x.[PROFILEID] = @profile;
DELETE s FROM [ax].[RETAILOFFLINESCOPE] AS s INNER JOIN #o AS o ON o.[r] = s.[RECID] WHERE NOT EXISTS (SELECT 1 FROM #s AS n WHERE n.[r] = s.[RECID]);
UPDATE o SET o.[DESCRIPTION] = s.[d], o.[SYNCDIRECTION] = s.[y], o.[SYNCFREQUENCY] = s.[f] FROM [ax].[RETAILOFFLINESCOPE] AS o INNER JOIN #s AS s ON s.[r] = o.[RECID];
INSERT INTO [ax].[RETAILOFFLINESCOPE] ([RECID], [DESCRIPTION], [SYNCDIRECTION], [SYNCFREQUENCY]) SELECT @base + s.[s], s.[d], s.[y], s.[f] FROM #s AS s WHERE s.[r] IS NULL;
UPDATE #s SET [r] = @base + [s] WHERE [r] IS NULL;
IF @known = 0 INSERT INTO [ax].[RETAILOFFLINEPROFILE] ([RECID], [NAME], [DESCRIPTION]) VALUES (@profile, @P2, @P3);
UPDATE [ax].[RETAILOFFLINEPROFILE] SET [DESCRIPTION] = @P3 WHERE [RECID] = @profile;
INSERT INTO [ax].[RETAILOFFLINEPROFILESCOPES] ([RECID], [PROFILEID], [SCOPEID]) SELECT @base + s.[s], @profile, s.[r] FROM #s AS s;
INSERT INTO [ax].[RETAILOFFLINETABLE] ([RECID], [TABLENAME]) SELECT @base + t.[t], t.[n] FROM #t AS t;
INSERT INTO [ax].[RETAILOFFLINESCOPETABLES] ([RECID], [SCOPEID], [SYNCTABLEID]) SELECT @base + t.[t], s.[r], @base + t.[t] FROM #t AS t INNER JOIN #s AS s ON s.[s] = t.[s];
INSERT INTO [ax].[RETAILOFFLINETABLECOLUMNS] ([RECID], [SYNCCOLUMNNAME], [SYNCTABLE]) SELECT @base + c.[c], c.[n], @base + c.[t] FROM #c AS c;
UPDATE [ax].[RETAILSTORETABLE] SET [OFFLINEPROFILE] = @profile WHERE [STORENUMBER] = @P4;
IF @P6 = 1 AND (@shared = 0 OR @P5 = 1) AND (@P4 = N'' OR @stores > 0) COMMIT TRANSACTION;
ELSE ROLLBACK TRANSACTION;
END TRY
BEGIN CATCH
IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
THROW;
END CATCH;
";
