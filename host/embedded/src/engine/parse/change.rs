//! INSERT, UPDATE, DELETE, TRUNCATE and INSERT BULK, with OUTPUT and CHANGE_TRACKING_CONTEXT.

use super::{Parsed, Parser};
use crate::engine::lexer::Kind;
use crate::engine::syntax::{
    Assignment, BinaryOperator, Delete, Expr, Insert, InsertRows, ObjectName, Output,
    StatementKind, Update,
};

impl Parser<'_> {
    pub(super) fn insert(&mut self, context: Option<Expr>) -> Parsed<StatementKind> {
        let top = self.top()?;
        self.accept_word("INTO");
        let table = self.object_name()?;
        let hinted = self.is_word("WITH") && self.is_at(1, "(");
        if hinted {
            self.hints()?;
        }
        // `INSERT t (SELECT ...)` has a query in its parentheses, not columns.
        let columns = if self.is("(") && !self.starts_query() { self.names()? } else { Vec::new() };
        let output = self.output()?;
        let rows = self.insert_rows()?;
        Ok(StatementKind::Insert(Insert { context, top, table, columns, output, rows }))
    }

    fn insert_rows(&mut self) -> Parsed<InsertRows> {
        if self.accept_words(&["DEFAULT", "VALUES"]) {
            return Ok(InsertRows::Defaults);
        }
        if self.accept_word("VALUES") {
            let rows = self.commas(|parser| parser.list(Self::value_or_default))?;
            if rows.len() > 1000 {
                return Err(crate::answer::SqlError::new(
                    10738,
                    "The number of row value expressions in the INSERT statement exceeds the maximum allowed number \
                     of 1000 row values.",
                ));
            }
            return Ok(InsertRows::Values(rows));
        }
        if self.is_any_word(&["EXEC", "EXECUTE"]) {
            return Err(self.unsupported("INSERT with EXECUTE"));
        }
        if !self.starts_query() {
            return Err(self.unexpected());
        }
        Ok(InsertRows::Query(Box::new(self.query()?)))
    }

    fn value_or_default(&mut self) -> Parsed<Option<Expr>> {
        if self.accept_word("DEFAULT") { Ok(None) } else { self.expr().map(Some) }
    }

    fn output(&mut self) -> Parsed<Option<Output>> {
        if !self.accept_word("OUTPUT") {
            return Ok(None);
        }
        let items = self.commas(Self::item)?;
        let into = if self.accept_word("INTO") {
            let table = self.object_name()?;
            Some((table, if self.is("(") { self.names()? } else { Vec::new() }))
        } else {
            None
        };
        Ok(Some(Output { items, into }))
    }

    pub(super) fn update(&mut self, context: Option<Expr>) -> Parsed<StatementKind> {
        let top = self.top()?;
        let target = self.object_name()?;
        if self.is_word("WITH") {
            self.hints()?;
        }
        self.expect_word("SET")?;
        let assignments = self.commas(Self::assignment)?;
        let output = self.output()?;
        let from = if self.accept_word("FROM") { self.commas(Self::source)? } else { Vec::new() };
        let filter = if self.accept_word("WHERE") { Some(self.expr()?) } else { None };
        self.query_option()?;
        let update = Update { context, top, target, assignments, output, from, filter };
        Ok(StatementKind::Update(update))
    }

    fn assignment(&mut self) -> Parsed<Assignment> {
        if matches!(self.kind(), Kind::Variable(_)) {
            return Err(self.unsupported("a variable in UPDATE SET"));
        }
        let mut column = self.name()?;
        while self.accept(".") {
            column = self.name()?;
        }
        let operator = self.assignment_operator().ok_or_else(|| self.unexpected())?;
        let value = self.value_or_default()?;
        Ok(Assignment { column, operator, value })
    }

    /// `=` or `+=` and its kin; `None` when there is neither.
    pub(super) fn assignment_operator(&mut self) -> Option<Option<BinaryOperator>> {
        let operator = match self.kind() {
            Kind::Symbol("=") => None,
            Kind::Symbol("+=") => Some(BinaryOperator::Add),
            Kind::Symbol("-=") => Some(BinaryOperator::Subtract),
            Kind::Symbol("*=") => Some(BinaryOperator::Multiply),
            Kind::Symbol("/=") => Some(BinaryOperator::Divide),
            Kind::Symbol("%=") => Some(BinaryOperator::Modulo),
            Kind::Symbol("&=") => Some(BinaryOperator::BitAnd),
            Kind::Symbol("|=") => Some(BinaryOperator::BitOr),
            Kind::Symbol("^=") => Some(BinaryOperator::BitXor),
            _ => return None,
        };
        self.step();
        Some(operator)
    }

    pub(super) fn delete(&mut self, context: Option<Expr>) -> Parsed<StatementKind> {
        let top = self.top()?;
        self.accept_word("FROM");
        let target = self.object_name()?;
        if self.is_word("WITH") {
            self.hints()?;
        }
        let output = self.output()?;
        let from = if self.accept_word("FROM") { self.commas(Self::source)? } else { Vec::new() };
        let filter = if self.accept_word("WHERE") { Some(self.expr()?) } else { None };
        self.query_option()?;
        Ok(StatementKind::Delete(Delete { context, top, target, output, from, filter }))
    }

    pub(super) fn truncate(&mut self) -> Parsed<StatementKind> {
        self.expect_word("TABLE")?;
        self.object_name().map(StatementKind::Truncate)
    }

    /// `INSERT BULK name (column type [COLLATE x], ...) [WITH (option, ...)]`
    pub(super) fn bulk(&mut self) -> Parsed<(ObjectName, Vec<String>, Vec<String>)> {
        self.expect_words(&["INSERT", "BULK"])?;
        let table = self.object_name()?;
        let columns = self.list(|parser| {
            let name = parser.name()?;
            parser.data_type()?;
            if parser.accept_word("COLLATE") {
                parser.name()?;
            }
            Ok(name)
        })?;
        let mut options = Vec::new();
        if self.accept_word("WITH") {
            self.expect("(")?;
            while !self.accept(")") {
                if let Kind::Word(word) = self.kind() {
                    options.push(word.to_ascii_uppercase());
                }
                if self.at_end() {
                    return Err(self.unexpected());
                }
                self.step();
            }
        }
        Ok((table, columns, options))
    }
}
