//! Is the channel there, and does it take sales?

use crate::cells::Cells;
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// From asking to the whole answer, without connecting: a connection that had to be made anew says nothing about
    /// how the next sale will fare.
    pub took: Duration,
    /// The database the login landed in.
    pub database: String,
    /// What the server calls itself; the embedded channel says so here.
    pub server: String,
}

/// One small question within `limit`. A database that only takes reads is an error: no sale would
/// arrive there.
pub async fn probe(link: &mut Link, limit: Duration) -> Result<ProbeAnswer, ChannelError> {
    let clock = link.env().clock.clone();
    let question = async {
        if !link.is_connected() {
            link.connect().await?;
        }
        let asked_us = clock.monotonic_us();
        let sets = link.ask_within(limit, Ask::query(WHAT, PROBE_SQL, &[])).await?;
        let took = Duration::from_micros(clock.monotonic_us().saturating_sub(asked_us));
        Ok::<_, ChannelError>((sets, took))
    };
    // Connecting has bounds of its own; together they must not exceed what the caller can wait.
    let (sets, took) = tokio::time::timeout(limit, question)
        .await
        .map_err(|_| ChannelError::Timeout { what: WHAT, limit })??;
    let cells = sets.into_iter().flatten().next();
    let missing = || ChannelError::Unexpected { what: "a probe has one row".to_string() };
    let mut cells = Cells::new(WHAT, cells.ok_or_else(missing)?);
    let updateability = cells.optional_text("updateability")?;
    let (database, server) = (cells.text("database")?, cells.text("version")?);
    if updateability.as_deref() == Some("READ_ONLY") {
        return Err(ChannelError::ReadOnly { database, number: None });
    }
    Ok(ProbeAnswer { took, database, server })
}

/// The same where nobody waits for the answer: a connection that has to be made has the time that connecting may take, and
/// the question `limit`. On a line of 600 ms a connection alone takes some four seconds.
pub async fn probe_unhurried(
    link: &mut Link,
    limit: Duration,
) -> Result<ProbeAnswer, ChannelError> {
    if !link.is_connected() {
        link.connect().await?;
    }
    probe(link, limit).await
}

const WHAT: &str = "answer a probe";

/// No parameters. `Updateability` tells a read-only replica or a database set read-only from one
/// that takes sales.
pub(crate) const PROBE_SQL: &str = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) AS [updateability], DB_NAME() AS [database], @@VERSION AS [version];\n";
