//! Long statements that a connection says again and again, kept at the channel as temporary procedures of its session.
//!
//! ```text
//! first time   the text
//! second       CREATE PROCEDURE #tillhold_1 … AS the text, then #tillhold_1
//! from then on #tillhold_1
//! ```
//!
//! * A sale's upload is a text of tens of thousands of characters and some rows: the text goes over
//!   the line once for each connection. SQL Server keeps the temporary tables and plans of a
//!   procedure for its next call, and of a text it does not.
//! * Anybody who may connect may make a temporary procedure, and it ends with its session. A channel
//!   that makes none, or has lost it, is told the text from then on.

use super::{Ask, Form, TdsClient, told};
use std::collections::HashMap;
use tiberius::Command;
use tiberius::error::Error;
use tillhold_core::limits::KEPT_STATEMENTS_MAX;

/// SQL Server's number for a procedure that there is not.
const NO_PROCEDURE: u32 = 2_812;

/// What one connection has said, and what the channel keeps of it.
#[derive(Default)]
pub(super) struct Kept {
    statements: HashMap<String, Standing>,
    last: u32,
}

#[derive(Clone, Copy)]
enum Standing {
    /// Said once.
    Told,
    Kept(u32),
    /// The channel makes no procedure of it, or has lost it.
    Refused,
}

impl Kept {
    /// The procedure that says this text, made now if it is said for the second time.
    async fn procedure(
        &mut self,
        client: &mut TdsClient,
        sql: &str,
        declared: &str,
    ) -> tiberius::Result<Option<u32>> {
        match self.statements.get(sql) {
            Some(Standing::Kept(number)) => return Ok(Some(*number)),
            Some(Standing::Refused) => return Ok(None),
            Some(Standing::Told) => {}
            None => {
                self.note_told(sql);
                return Ok(None);
            }
        }
        self.last += 1;
        let text = keeping_sql(self.last, declared, sql);
        let ask = Ask::batch("keep a statement", &text);
        let standing = match told(client, &ask).await {
            Ok(_) => Standing::Kept(self.last),
            Err(Error::Server(error)) if error.class() < 20 => Standing::Refused,
            Err(error) => return Err(error),
        };
        self.statements.insert(sql.to_string(), standing);
        Ok(match standing {
            Standing::Kept(number) => Some(number),
            Standing::Told | Standing::Refused => None,
        })
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.statements.values().filter(|standing| matches!(standing, Standing::Kept(_))).count()
    }

    /// What was said once makes room for what is said now.
    fn note_told(&mut self, sql: &str) {
        if self.statements.len() >= KEPT_STATEMENTS_MAX {
            self.statements.retain(|_, standing| !matches!(standing, Standing::Told));
        }
        if self.statements.len() < KEPT_STATEMENTS_MAX {
            self.statements.insert(sql.to_string(), Standing::Told);
        }
    }

    /// Says it by its procedure, where there is one; `None` is to be told the text.
    pub(super) async fn call(
        &mut self,
        client: &mut TdsClient,
        ask: &Ask<'_>,
    ) -> tiberius::Result<Option<Vec<Vec<tiberius::Row>>>> {
        let Form::Kept { declared } = ask.form else { return Ok(None) };
        let Some(number) = self.procedure(client, ask.sql, declared).await? else {
            return Ok(None);
        };
        let mut command = Command::new(name(number));
        for (at, parameter) in ask.parameters.iter().enumerate() {
            command.bind_param(format!("@P{}", at + 1), parameter);
        }
        let called = match command.exec(client).await {
            Ok(stream) => stream.into_command_result().await,
            Err(error) => Err(error),
        };
        match called {
            Ok(answer) => Ok(Some(answer.into_iter().collect())),
            // Made anew it might be lost anew: this connection is told the text from now on.
            Err(Error::Server(error)) if error.code() == NO_PROCEDURE => {
                self.statements.insert(ask.sql.to_string(), Standing::Refused);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn name(number: u32) -> String {
    format!("#tillhold_{number}")
}

pub(crate) fn keeping_sql(number: u32, declared: &str, sql: &str) -> String {
    format!("CREATE PROCEDURE {} {declared} AS\n{sql}", name(number))
}
