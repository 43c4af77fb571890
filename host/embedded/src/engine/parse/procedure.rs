//! CREATE and DROP PROCEDURE of temporary ones. A procedure's body is the rest of its batch.

use super::{Parsed, Parser};
use crate::answer::SqlError;
use crate::engine::syntax::{Batch, CreateProcedure, Declared, StatementKind};
use std::sync::Arc;

use StatementKind as S;

impl Parser<'_> {
    /// After the word PROCEDURE.
    pub(super) fn create_procedure(&mut self) -> Parsed<StatementKind> {
        if self.at != 2 {
            let message = "'CREATE/ALTER PROCEDURE' must be the first statement in a query batch.";
            let error = SqlError::new(111, message).with_severity(15);
            return Err(SqlError { line: self.line(), ..error });
        }
        let name = self.object_name()?;
        if !name.is_temporary() {
            return Err(self.unsupported("a procedure that outlives its session"));
        }
        let parameters = match self.is_word("AS") {
            true => Vec::new(),
            false => self.commas(Self::parameter)?,
        };
        self.expect_word("AS")?;
        let statements = self.statements(|parser| parser.at_end())?;
        if statements.is_empty() {
            return Err(self.unexpected());
        }
        // Places of the body's statements are those in the whole text.
        let body = Batch { text: Arc::from(self.sql), statements };
        Ok(S::CreateProcedure(Arc::new(CreateProcedure { name, parameters, body })))
    }

    pub(super) fn drop_procedure(&mut self) -> Parsed<StatementKind> {
        let if_exists = self.accept_words(&["IF", "EXISTS"]);
        let names = self.commas(Self::object_name)?;
        Ok(S::DropProcedure { names, if_exists })
    }

    /// `@P1 nvarchar(max) OUTPUT`
    pub(super) fn parameter(&mut self) -> Parsed<Declared> {
        let name = self.variable()?;
        self.accept_word("AS");
        let of = self.data_type()?;
        let output = self.accept_word("OUTPUT") || self.accept_word("OUT");
        Ok(Declared { name, of, output })
    }
}
