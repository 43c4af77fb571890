//! One connection to the channel that is either in a known state or gone.
//!
//! * The client leaves its slot for the whole of a call and comes back only after the answer was
//!   read to its end. A dropped future, a time-out or a broken stream therefore drops the socket,
//!   the server rolls back, and the next call connects anew. (A client whose half-read answer is
//!   read on by the next call is how answers get mixed up.)
//! * Every wait has a bound of ours on our clock; the client's own time-outs are off, so that a
//!   simulated clock rules. A wait on a silent connection can be ended earlier ([`Line`]).
//! * One request at a time: two flows have two links.
//! * A long statement that is said again and again is said by its name ([`kept`]).
//! * A long answer is read a portion at a time ([`streaming`]), by the same rule.

mod kept;
mod line;
mod login;
pub(crate) mod streaming;

#[cfg(test)]
pub(crate) use kept::keeping_sql;

use crate::cells::Cells;
use crate::config::ChannelConfig;
use crate::convert::Parameter;
use crate::error::{ChannelError, from_server};
use crate::surrogate::{Refused, doubts};
use kept::Kept;
pub use line::Line;
use std::sync::Arc;
use std::time::Duration;
use tiberius::{Client, ColumnData, ToSql};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::Compat;

type TdsClient = Client<Compat<BoxStream>>;

/// Rows of one result set, each as the client's own cells.
pub(crate) type ResultSet = Vec<Vec<ColumnData<'static>>>;

/// What every statement of ours relies on; isolation is set back after a pass.
pub(crate) const SESSION_SQL: &str = "SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;";
pub(crate) const UNDO_SQL: &str = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;";

const DOUBT: &str = "show a text as bytes";

pub struct Link {
    env: Env,
    config: Arc<ChannelConfig>,
    line: Arc<Line>,
    session: Option<Session>,
}

/// A connection, with what the channel keeps for it.
struct Session {
    client: TdsClient,
    kept: Kept,
}

/// A statement with its parameters, or a plain batch: the one way to the channel, so that in tests
/// each statement is shown to be among the collected ones.
pub(crate) struct Ask<'a> {
    /// Completes "the channel did not …".
    pub what: &'static str,
    pub sql: &'a str,
    pub parameters: &'a [Parameter],
    form: Form<'a>,
}

#[derive(Clone, Copy)]
enum Form<'a> {
    Batch,
    Query,
    /// A query that a connection says again and again; `declared` are its parameters.
    Kept {
        declared: &'a str,
    },
}

impl<'a> Ask<'a> {
    pub(crate) fn query(what: &'static str, sql: &'a str, parameters: &'a [Parameter]) -> Ask<'a> {
        #[cfg(test)]
        crate::collected::assert_known(what, sql);
        Ask { what, sql, parameters, form: Form::Query }
    }

    /// The same for a long text that is said again and again, with `@P1 type, …` for its parameters.
    pub(crate) fn kept(
        what: &'static str,
        sql: &'a str,
        declared: &'a str,
        parameters: &'a [Parameter],
    ) -> Ask<'a> {
        Ask { form: Form::Kept { declared }, ..Ask::query(what, sql, parameters) }
    }

    /// For what must outlive the statement: session settings, temporary tables, transactions.
    pub(crate) fn batch(what: &'static str, sql: &'a str) -> Ask<'a> {
        #[cfg(test)]
        crate::collected::assert_known(what, sql);
        Ask { what, sql, parameters: &[], form: Form::Batch }
    }

    /// A plain batch that only a test says.
    #[cfg(test)]
    pub(crate) fn of_a_test(sql: &'a str) -> Ask<'a> {
        Ask { what: "run a test's batch", sql, parameters: &[], form: Form::Batch }
    }
}

impl Link {
    pub fn new(env: &Env, config: Arc<ChannelConfig>) -> Link {
        Link { env: env.clone(), config, line: Line::new(&env.clock), session: None }
    }

    /// In the place of another link, seen by whoever looks at that one's line.
    pub fn in_place_of(self, other: &Link) -> Link {
        Link { line: other.line.clone(), ..self }
    }

    /// What passes between this link and the channel, whoever has the link meanwhile.
    pub fn line(&self) -> Arc<Line> {
        self.line.clone()
    }

    pub fn config(&self) -> &ChannelConfig {
        &self.config
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    pub fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// Statements that the channel keeps for this connection.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.session.as_ref().map_or(0, |session| session.kept.count())
    }

    /// Drops the connection; the server rolls back what was open on it.
    pub fn disconnect(&mut self) {
        self.session = None;
    }

    pub async fn connect(&mut self) -> Result<(), ChannelError> {
        let session = self.session().await?;
        self.session = Some(session);
        Ok(())
    }

    pub(crate) async fn ask(&mut self, ask: Ask<'_>) -> Result<Vec<ResultSet>, ChannelError> {
        let limit = self.config.statement_timeout;
        self.ask_within(limit, ask).await
    }

    pub(crate) async fn ask_within(
        &mut self,
        limit: Duration,
        ask: Ask<'_>,
    ) -> Result<Vec<ResultSet>, ChannelError> {
        let mut session = self.session().await?;
        let what = ask.what;
        match self.line.within(limit, what, Box::pin(answer(&mut session, &ask))).await? {
            Ok(sets) => {
                self.line.note_answer();
                self.session = Some(session);
                Ok(sets)
            }
            Err(tiberius::error::Error::Server(error)) => {
                let said = from_server(what, error.code(), error.message());
                match said {
                    _ if error.class() < 20 => self.session = Some(session),
                    // The server ends the connection itself; it may do so without a word that we know.
                    ChannelError::Sql { .. } => {
                        return Err(ChannelError::lost(what, &error));
                    }
                    _ => {}
                }
                Err(said)
            }
            Err(error) => Err(ChannelError::lost(what, &error)),
        }
    }

    /// Looks again at text that may not be what the channel holds; the first that is not is an
    /// error.
    pub(crate) async fn settle_doubts<'a>(
        &mut self,
        table: &'a Table,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<(), ChannelError> {
        let refused = self.look_again(table, rows).await?;
        refused.into_iter().next().map_or(Ok(()), |refused| Err(refused.error(table)))
    }

    /// The same, row by row: which of them cannot be carried.
    pub(crate) async fn look_again<'a>(
        &mut self,
        table: &'a Table,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<Vec<Refused>, ChannelError> {
        let mut refused = Vec::new();
        for doubt in doubts(table, rows) {
            let (sql, parameters) = (doubt.sql(), doubt.parameters());
            let sets = self.ask(Ask::query(DOUBT, &sql, &parameters)).await?;
            let cells = sets.into_iter().flatten().next();
            let units = cells.map(|cells| Cells::new(DOUBT, cells).optional_bytes("units"));
            refused.extend(doubt.settle(units.transpose()?.flatten()));
        }
        Ok(refused)
    }

    /// After an error inside a transaction: whatever is open is undone, or the connection goes with
    /// it.
    pub(crate) async fn undo(&mut self) {
        if self.session.is_none() {
            return;
        }
        let undo = Ask::batch("roll back", UNDO_SQL);
        if self.ask(undo).await.is_err() {
            self.disconnect();
        }
    }

    async fn session(&mut self) -> Result<Session, ChannelError> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        let client = Box::pin(login::client(&self.env, &self.config, &self.line)).await?;
        Ok(Session { client, kept: Kept::default() })
    }
}

async fn answer(session: &mut Session, ask: &Ask<'_>) -> tiberius::Result<Vec<ResultSet>> {
    let Session { client, kept } = session;
    let sets = match kept.call(client, ask).await? {
        Some(sets) => sets,
        None => told(client, ask).await?,
    };
    let cells = |row: tiberius::Row| row.into_iter().collect::<Vec<_>>();
    Ok(sets.into_iter().map(|rows| rows.into_iter().map(cells).collect()).collect())
}

/// Says the text.
async fn told(client: &mut TdsClient, ask: &Ask<'_>) -> tiberius::Result<Vec<Vec<tiberius::Row>>> {
    send(client, ask).await?.into_results().await
}

async fn send<'c>(
    client: &'c mut TdsClient,
    ask: &Ask<'_>,
) -> tiberius::Result<tiberius::QueryStream<'c>> {
    if let Form::Batch = ask.form {
        return client.simple_query(ask.sql).await;
    }
    let parameters: Vec<&dyn ToSql> = ask.parameters.iter().map(|p| p as &dyn ToSql).collect();
    client.query(ask.sql, &parameters).await
}

#[cfg(test)]
mod logins;
#[cfg(test)]
mod tests;
