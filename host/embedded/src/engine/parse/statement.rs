//! Statements: control flow, variables, transactions, EXECUTE and SET options.

use super::{Parsed, Parser};
use crate::answer::SqlError;
use crate::engine::lexer::Kind;
use crate::engine::refusal;
use crate::engine::syntax::{
    Argument, Declaration, Execute, Expr, Level, SetOption, Statement, StatementKind,
};
use tillhold_core::types::SqlType;

use StatementKind as S;

/// SET options whose ON (or OFF) is the only behaviour that the embedded channel has: what clients send at login.
const FIXED: &[(&str, bool)] = &[
    ("ANSI_NULLS", true),
    ("ANSI_PADDING", true),
    ("ANSI_WARNINGS", true),
    ("ANSI_NULL_DFLT_ON", true),
    ("ANSI_DEFAULTS", true),
    ("ARITHABORT", true),
    ("CONCAT_NULL_YIELDS_NULL", true),
    ("QUOTED_IDENTIFIER", true),
    ("NUMERIC_ROUNDABORT", false),
    ("NOEXEC", false),
    ("PARSEONLY", false),
    ("SHOWPLAN_ALL", false),
];

impl Parser<'_> {
    pub(super) fn statements(&mut self, ended: impl Fn(&Self) -> bool) -> Parsed<Vec<Statement>> {
        let mut found = Vec::new();
        loop {
            while self.accept(";") {}
            if ended(self) {
                return Ok(found);
            }
            if self.at_end() {
                return Err(self.unexpected());
            }
            found.push(self.statement()?);
        }
    }

    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        let (id, line, start) = (self.next_id(), self.line(), self.tokens[self.at].start);
        let kind = self.deeper(Self::statement_kind)?;
        let place = start..self.tokens[self.at - 1].end;
        self.accept(";");
        Ok(Statement { id, line, place, kind })
    }

    fn statement_kind(&mut self) -> Parsed<StatementKind> {
        if self.starts_query() {
            return self.with_or_select();
        }
        let Kind::Word(word) = self.kind() else { return Err(self.unexpected()) };
        let word = word.to_ascii_uppercase();
        self.step();
        match word.as_str() {
            "DECLARE" => Ok(S::Declare(self.commas(Self::declaration)?)),
            "SET" => self.set(),
            "IF" => self.branch(),
            "WHILE" => {
                let condition = self.expr()?;
                Ok(S::While { condition, body: Box::new(self.statement()?) })
            }
            "BREAK" => Ok(S::Break),
            "CONTINUE" => Ok(S::Continue),
            "BEGIN" => self.begin(),
            "COMMIT" => {
                self.transaction_word();
                self.optional_name()?;
                Ok(S::Commit)
            }
            "ROLLBACK" => {
                self.transaction_word();
                Ok(S::Rollback { savepoint: self.optional_name()? })
            }
            "SAVE" => {
                if !self.accept_word("TRAN") {
                    self.expect_word("TRANSACTION")?;
                }
                Ok(S::Save { savepoint: self.name()? })
            }
            "THROW" => self.throw(),
            "RAISERROR" => self.raise_error(),
            "RETURN" => {
                let status = self.starts_value().then(|| self.expr()).transpose()?;
                Ok(S::Return(status))
            }
            "PRINT" => self.expr().map(S::Print),
            "WAITFOR" => {
                self.expect_word("DELAY")?;
                self.expr().map(S::WaitDelay)
            }
            "USE" => self.name().map(S::Use),
            "EXEC" | "EXECUTE" => self.execute(),
            "INSERT" if self.is_word("BULK") => Err(self.unsupported("BULK")),
            "INSERT" => self.insert(None),
            "UPDATE" => self.update(None),
            "DELETE" => self.delete(None),
            "TRUNCATE" => self.truncate(),
            "CREATE" => self.create(),
            "DROP" => self.drop(),
            "ALTER" => self.alter(),
            "GRANT" | "DENY" | "REVOKE" => self.permission(&word),
            "ENABLE" | "DISABLE" if self.accept_word("TRIGGER") => {
                self.switch_trigger(word == "ENABLE")
            }
            _ => {
                self.at -= 1;
                self.bare_execute(&word)
            }
        }
    }

    /// The first statement of a batch may call a procedure without EXEC.
    fn bare_execute(&mut self, word: &str) -> Parsed<StatementKind> {
        if self.at != 0 || super::is_reserved(word) {
            return Err(self.unexpected());
        }
        self.execute()
    }

    /// WITH begins a common table expression or carries a change tracking context for the next change.
    fn with_or_select(&mut self) -> Parsed<StatementKind> {
        if !(self.is_word("WITH") && self.is_word_at(1, "CHANGE_TRACKING_CONTEXT")) {
            return self.query().map(S::Query);
        }
        self.at += 2;
        self.expect("(")?;
        let context = Some(self.expr()?);
        self.expect(")")?;
        if self.is(",") {
            return Err(self.unsupported("a common table expression after CHANGE_TRACKING_CONTEXT"));
        }
        if self.accept_word("INSERT") {
            return self.insert(context);
        }
        if self.accept_word("UPDATE") {
            return self.update(context);
        }
        if self.accept_word("DELETE") {
            return self.delete(context);
        }
        if self.is_word("MERGE") {
            return Err(self.unsupported("MERGE"));
        }
        Err(self.unexpected())
    }

    fn starts_value(&self) -> bool {
        match self.kind() {
            Kind::Number(_) | Kind::Variable(_) | Kind::Symbol("(" | "-") => true,
            Kind::Word(word) => self.is_at(1, "(") && !super::is_reserved(word),
            _ => false,
        }
    }

    fn declaration(&mut self) -> Parsed<Declaration> {
        let line = self.line();
        let name = self.variable()?;
        if !self.declared.insert(name.clone()) {
            return Err(SqlError { line, ..refusal::declared_twice(&name) });
        }
        self.accept_word("AS");
        if self.is_word("TABLE") {
            return Err(self.unsupported("DECLARE with TABLE"));
        }
        let of = self.data_type()?;
        let value = if self.accept("=") { Some(self.expr()?) } else { None };
        Ok(Declaration { name, of, value })
    }

    fn branch(&mut self) -> Parsed<StatementKind> {
        let condition = self.expr()?;
        let then = Box::new(self.statement()?);
        let otherwise =
            if self.accept_word("ELSE") { Some(Box::new(self.statement()?)) } else { None };
        Ok(S::If { condition, then, otherwise })
    }

    fn begin(&mut self) -> Parsed<StatementKind> {
        if self.accept_word("TRAN") || self.accept_word("TRANSACTION") {
            self.optional_name()?;
            return Ok(S::Begin);
        }
        if self.accept_word("TRY") {
            let body = self.statements(|parser| parser.is_word("END"))?;
            self.expect_words(&["END", "TRY"])?;
            self.accept(";");
            self.expect_words(&["BEGIN", "CATCH"])?;
            let catch = self.statements(|parser| parser.is_word("END"))?;
            self.expect_words(&["END", "CATCH"])?;
            return Ok(S::Try { body, catch });
        }
        let body = self.statements(|parser| parser.is_word("END"))?;
        self.expect_word("END")?;
        if body.is_empty() {
            return Err(self.unexpected());
        }
        Ok(S::Block(body))
    }

    fn transaction_word(&mut self) {
        let _word = ["TRAN", "TRANSACTION", "WORK"].iter().any(|word| self.accept_word(word));
    }

    /// A transaction's or savepoint's name; the word after it on the next statement is reserved, so it is none.
    fn optional_name(&mut self) -> Parsed<Option<String>> {
        if self.is_name() { self.name().map(Some) } else { Ok(None) }
    }

    fn throw(&mut self) -> Parsed<StatementKind> {
        if !matches!(self.kind(), Kind::Number(_) | Kind::Variable(_)) {
            return Ok(S::Throw(None));
        }
        let number = self.expr()?;
        self.expect(",")?;
        let message = self.expr()?;
        self.expect(",")?;
        let state = self.expr()?;
        Ok(S::Throw(Some([number, message, state])))
    }

    fn raise_error(&mut self) -> Parsed<StatementKind> {
        self.expect("(")?;
        let message = self.expr()?;
        self.expect(",")?;
        let severity = self.expr()?;
        self.expect(",")?;
        let state = self.expr()?;
        if self.is(",") {
            return Err(self.unsupported("RAISERROR with arguments"));
        }
        self.expect(")")?;
        if self.is_word("WITH") {
            return Err(self.unsupported("RAISERROR WITH"));
        }
        Ok(S::RaiseError { message, severity, state })
    }

    fn execute(&mut self) -> Parsed<StatementKind> {
        if self.accept("(") {
            let text = self.expr()?;
            self.expect(")")?;
            return Ok(S::ExecuteText(text));
        }
        let mut into = None;
        if matches!(self.kind(), Kind::Variable(_)) {
            into = Some(self.variable()?);
            self.expect("=")?;
        }
        let name = self.object_name()?;
        let mut arguments = Vec::new();
        if self.starts_argument() {
            arguments = self.commas(Self::argument)?;
        }
        Ok(S::Execute(Execute { into, name, arguments }))
    }

    fn starts_argument(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Variable(_) | Kind::Text(_) | Kind::National(_) | Kind::Number(_) | Kind::Hex(_)
        ) || self.is("-")
            || self.is_any_word(&["NULL", "DEFAULT"])
            || matches!(self.kind(), Kind::Quoted(_))
    }

    /// An argument is a constant, a variable or a bare word that counts as text; never an expression.
    fn argument(&mut self) -> Parsed<Argument> {
        let mut name = None;
        if matches!(self.kind(), Kind::Variable(_)) && self.is_at(1, "=") {
            name = Some(self.variable()?);
            self.expect("=")?;
        }
        let value = match self.kind() {
            Kind::Variable(_)
            | Kind::Text(_)
            | Kind::National(_)
            | Kind::Number(_)
            | Kind::Hex(_)
            | Kind::Symbol("-") => self.signed_constant()?,
            Kind::Word(word) if word.eq_ignore_ascii_case("NULL") => self.signed_constant()?,
            Kind::Word(_) | Kind::Quoted(_) => Expr::Text { text: self.name()?, national: true },
            _ => return Err(self.unexpected()),
        };
        let output = self.accept_word("OUTPUT") || self.accept_word("OUT");
        Ok(Argument { name, value, output })
    }

    fn set(&mut self) -> Parsed<StatementKind> {
        if matches!(self.kind(), Kind::Variable(_)) {
            let name = self.variable()?;
            let operator = self.assignment_operator().ok_or_else(|| self.unexpected())?;
            return Ok(S::SetVariable { name, operator, value: self.expr()? });
        }
        if self.accept_words(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
            return self.isolation().map(|level| S::SetOption(SetOption::Isolation(level)));
        }
        if self.accept_word("IDENTITY_INSERT") {
            let table = self.object_name()?;
            let on = self.on_or_off()?;
            return Ok(S::SetOption(SetOption::IdentityInsert { table, on }));
        }
        let Kind::Word(word) = self.kind() else { return Err(self.unexpected()) };
        let mut names = vec![word.to_ascii_uppercase()];
        self.step();
        while self.accept(",") {
            let Kind::Word(word) = self.kind() else { return Err(self.unexpected()) };
            names.push(word.to_ascii_uppercase());
            self.step();
        }
        match names.as_slice() {
            [name] => self.set_option(name),
            _ => self.fixed_options(&names),
        }
    }

    fn set_option(&mut self, name: &str) -> Parsed<StatementKind> {
        let option = match name {
            "NOCOUNT" => SetOption::NoCount(self.on_or_off()?),
            "XACT_ABORT" => SetOption::XactAbort(self.on_or_off()?),
            "LOCK_TIMEOUT" => SetOption::LockTimeout(self.integer()?),
            "FMTONLY" => SetOption::FormatOnly(self.on_or_off()?),
            "IMPLICIT_TRANSACTIONS" => SetOption::ImplicitTransactions(self.on_or_off()?),
            // There are no cursors to close.
            "CURSOR_CLOSE_ON_COMMIT" => {
                self.on_or_off()?;
                SetOption::Accepted
            }
            // Advice about memory, language and text sizes: read and left.
            "TEXTSIZE"
            | "DATEFIRST"
            | "ROWCOUNT"
            | "DEADLOCK_PRIORITY"
            | "QUERY_GOVERNOR_COST_LIMIT" => {
                if name == "ROWCOUNT" && self.kind() != &Kind::Number("0".to_string()) {
                    return Err(self.unsupported("SET ROWCOUNT"));
                }
                if name == "DEADLOCK_PRIORITY" && matches!(self.kind(), Kind::Word(_)) {
                    self.step();
                } else {
                    self.integer()?;
                }
                SetOption::Accepted
            }
            "LANGUAGE" | "DATEFORMAT" => {
                let usual = self.is_any_word(&["us_english", "mdy", "ymd"])
                    || matches!(self.kind(), Kind::Text(t) | Kind::National(t) if t.eq_ignore_ascii_case("us_english"));
                if !usual {
                    return Err(self.unsupported(name));
                }
                self.step();
                SetOption::Accepted
            }
            _ => return self.fixed_options(&[name.to_string()]),
        };
        Ok(S::SetOption(option))
    }

    fn fixed_options(&mut self, names: &[String]) -> Parsed<StatementKind> {
        let on = self.on_or_off()?;
        for name in names {
            match FIXED.iter().find(|(fixed, _)| fixed == name) {
                Some((_, only)) if *only == on => {}
                _ => return Err(self.unsupported(&format!("SET {name}"))),
            }
        }
        Ok(S::SetOption(SetOption::Accepted))
    }

    pub(super) fn on_or_off(&mut self) -> Parsed<bool> {
        if self.accept_word("ON") {
            return Ok(true);
        }
        self.expect_word("OFF")?;
        Ok(false)
    }

    fn isolation(&mut self) -> Parsed<Level> {
        if self.accept_words(&["READ", "UNCOMMITTED"]) {
            return Ok(Level::ReadUncommitted);
        }
        if self.accept_words(&["READ", "COMMITTED"]) {
            return Ok(Level::ReadCommitted);
        }
        if self.accept_words(&["REPEATABLE", "READ"]) {
            return Ok(Level::RepeatableRead);
        }
        if self.accept_word("SNAPSHOT") {
            return Ok(Level::Snapshot);
        }
        self.expect_word("SERIALIZABLE")?;
        Ok(Level::Serializable)
    }

    /// CAST and CONVERT give character and binary types without a length 30, declarations 1.
    pub(super) fn data_type_of_cast(&mut self) -> Parsed<SqlType> {
        let bare = !self.is_at(1, "(");
        let of = self.data_type()?;
        let long = Some(30);
        Ok(match of {
            SqlType::VarChar { length: Some(1) } if bare => SqlType::VarChar { length: long },
            SqlType::NVarChar { length: Some(1) } if bare => SqlType::NVarChar { length: long },
            SqlType::VarBinary { length: Some(1) } if bare => SqlType::VarBinary { length: long },
            SqlType::Char { length: 1 } if bare => SqlType::Char { length: 30 },
            SqlType::NChar { length: 1 } if bare => SqlType::NChar { length: 30 },
            SqlType::Binary { length: 1 } if bare => SqlType::Binary { length: 30 },
            other => other,
        })
    }
}
