//! CREATE, ALTER, DROP, ENABLE and DISABLE TRIGGER. A trigger's body is the rest of its batch.

use super::{Parsed, Parser};
use crate::answer::SqlError;
use crate::engine::syntax::{CreateTrigger, Events, Making, StatementKind};
use std::sync::Arc;

use StatementKind as S;

impl Parser<'_> {
    /// After the word TRIGGER.
    pub(super) fn create_trigger(&mut self, making: Making) -> Parsed<StatementKind> {
        let words = if making == Making::CreateOrAlter { 4 } else { 2 };
        if self.at != words {
            let message = "'CREATE TRIGGER' must be the first statement in a query batch.";
            let error = SqlError::new(111, message).with_severity(15);
            return Err(SqlError { line: self.line(), ..error });
        }
        let start = self.tokens[self.at - 1].start;
        let name = self.object_name()?;
        self.expect_word("ON")?;
        let table = self.object_name()?;
        self.trigger_options()?;
        if self.accept_words(&["INSTEAD", "OF"]) {
            return Err(self.unsupported("INSTEAD OF"));
        }
        if !self.accept_word("AFTER") {
            self.expect_word("FOR")?;
        }
        let events = self.events()?;
        let _replication = self.accept_words(&["NOT", "FOR", "REPLICATION"]);
        self.expect_word("AS")?;
        let body: Arc<[_]> = self.statements(|parser| parser.at_end())?.into();
        if body.is_empty() {
            return Err(self.unexpected());
        }
        // Shown as the statement that would make it anew.
        let definition = format!("CREATE {}", self.sql[start..].trim_end());
        Ok(S::CreateTrigger(CreateTrigger { making, name, table, events, body, definition }))
    }

    pub(super) fn kept_trigger(&mut self) -> Parsed<CreateTrigger> {
        self.expect_words(&["CREATE", "TRIGGER"])?;
        match self.create_trigger(Making::Create)? {
            S::CreateTrigger(trigger) => Ok(trigger),
            _ => Err(self.unexpected()),
        }
    }

    /// Every object has the same owner here, so a body may do what the table's owner may, whoever it runs as.
    fn trigger_options(&mut self) -> Parsed<()> {
        if !self.accept_word("WITH") {
            return Ok(());
        }
        self.commas(|parser| {
            if parser.accept_words(&["EXECUTE", "AS"]) || parser.accept_words(&["EXEC", "AS"]) {
                let known = ["OWNER", "CALLER", "SELF"].iter().any(|who| parser.accept_word(who));
                return if known { Ok(()) } else { Err(parser.unsupported("EXECUTE AS a user")) };
            }
            Err(parser.unsupported("this option of a trigger"))
        })
        .map(|_| ())
    }

    fn events(&mut self) -> Parsed<Events> {
        let mut events = Events::default();
        loop {
            let event = match () {
                () if self.accept_word("INSERT") => &mut events.insert,
                () if self.accept_word("UPDATE") => &mut events.update,
                () if self.accept_word("DELETE") => &mut events.delete,
                () => return Err(self.unexpected()),
            };
            if std::mem::replace(event, true) {
                let message = "Syntax error: Duplicate specification of the action in the trigger declaration.";
                return Err(SqlError { line: self.line(), ..SqlError::new(1034, message) });
            }
            if !self.accept(",") {
                return Ok(events);
            }
        }
    }

    pub(super) fn drop_trigger(&mut self) -> Parsed<StatementKind> {
        let if_exists = self.accept_words(&["IF", "EXISTS"]);
        let names = self.commas(Self::object_name)?;
        Ok(S::DropTrigger { names, if_exists })
    }

    /// `DISABLE TRIGGER name ON table`, after its first two words.
    pub(super) fn switch_trigger(&mut self, on: bool) -> Parsed<StatementKind> {
        let trigger = if self.accept_word("ALL") { None } else { Some(self.object_name()?.name) };
        self.expect_word("ON")?;
        let table = self.object_name()?;
        Ok(S::SwitchTrigger { trigger, table, on })
    }
}
