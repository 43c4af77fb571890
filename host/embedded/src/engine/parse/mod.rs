//! T-SQL by recursive descent: our own grammar, so that what it does not name is error 102 and never a guess.
//!
//! A general SQL parser was tried and left: it refuses most of what this product says (CHANGETABLE, TRY/CATCH, EXEC
//! with results) and accepts much that SQL Server refuses (LIMIT, ON CONFLICT, `::int`).

mod change;
mod definition;
mod expression;
mod procedure;
mod query;
mod security;
mod statement;
mod trigger;

use super::lexer::{Kind, Token, tokens};
use super::refusal;
use super::syntax::{Batch, CreateTrigger, Declared, Expr, ObjectName};
use crate::answer::SqlError;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tillhold_core::types::SqlType;

/// Words that cannot be names or aliases without brackets (Transact-SQL reference, "Reserved Keywords"), and the
/// few unreserved ones that would swallow the next clause if they were taken as an alias.
const RESERVED: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "AUTHORIZATION",
    "BACKUP",
    "BEGIN",
    "BETWEEN",
    "BREAK",
    "BROWSE",
    "BULK",
    "BY",
    "CASCADE",
    "CASE",
    "CHECK",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTERED",
    "COALESCE",
    "COLLATE",
    "COLUMN",
    "COMMIT",
    "COMPUTE",
    "CONSTRAINT",
    "CONTAINS",
    "CONTINUE",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURRENT",
    "CURSOR",
    "DATABASE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DEFAULT",
    "DELETE",
    "DENY",
    "DESC",
    "DISTINCT",
    "DISTRIBUTED",
    "DROP",
    "ELSE",
    "END",
    "ERRLVL",
    "ESCAPE",
    "EXCEPT",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "EXIT",
    "FETCH",
    "FOR",
    "FOREIGN",
    "FROM",
    "FULL",
    "FUNCTION",
    "GOTO",
    "GRANT",
    "GROUP",
    "HAVING",
    "HOLDLOCK",
    "IDENTITY",
    "IDENTITY_INSERT",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "KILL",
    "LEFT",
    "LIKE",
    "MERGE",
    "NOCHECK",
    "NONCLUSTERED",
    "NOT",
    "NULL",
    "NULLIF",
    "OF",
    "OFF",
    "OFFSETS",
    "ON",
    "OPEN",
    "OPENQUERY",
    "OPENROWSET",
    "OPENXML",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "OUTPUT",
    "OVER",
    "PERCENT",
    "PIVOT",
    "PLAN",
    "PRIMARY",
    "PRINT",
    "PROC",
    "PROCEDURE",
    "PUBLIC",
    "RAISERROR",
    "READ",
    "READTEXT",
    "RECONFIGURE",
    "REFERENCES",
    "REPLICATION",
    "RESTORE",
    "RESTRICT",
    "RETURN",
    "REVERT",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "ROWCOUNT",
    "ROWGUIDCOL",
    "RULE",
    "SAVE",
    "SCHEMA",
    "SELECT",
    "SESSION_USER",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "SOME",
    "STATISTICS",
    "SYSTEM_USER",
    "TABLE",
    "TABLESAMPLE",
    "TEXTSIZE",
    "THEN",
    "TO",
    "TOP",
    "TRAN",
    "TRANSACTION",
    "TRIGGER",
    "TRUNCATE",
    "TRY_CONVERT",
    "TSEQUAL",
    "UNION",
    "UNIQUE",
    "UNPIVOT",
    "UPDATE",
    "UPDATETEXT",
    "USE",
    "USER",
    "VALUES",
    "VARYING",
    "VIEW",
    "WAITFOR",
    "WHEN",
    "WHERE",
    "WHILE",
    "WITH",
    "WITHIN",
    "WRITETEXT",
];

/// Statements within statements and parentheses within parentheses; past it the text is refused (SQL Server: 191).
const DEPTH_MAX: usize = 60;

static NEXT_STATEMENT: AtomicU64 = AtomicU64::new(1);

type Parsed<T> = Result<T, SqlError>;

/// A whole batch; nothing of it runs when any of it does not parse.
pub fn batch(sql: &str) -> Parsed<Batch> {
    let tokens = tokens(sql)?;
    let mut parser = Parser { sql, tokens, at: 0, depth: 0, declared: HashSet::new() };
    let statements = parser.statements(|parser| parser.at_end())?;
    Ok(Batch { text: Arc::from(sql), statements })
}

/// One expression and nothing after it: a default as the catalogue keeps it.
pub fn expression(text: &str) -> Parsed<Expr> {
    let tokens = tokens(text)?;
    let mut parser = Parser { sql: text, tokens, at: 0, depth: 0, declared: HashSet::new() };
    let value = parser.expr()?;
    if parser.at_end() { Ok(value) } else { Err(parser.unexpected()) }
}

/// A trigger as the catalogue keeps it.
pub fn trigger(definition: &str) -> Parsed<CreateTrigger> {
    let tokens = tokens(definition)?;
    let mut parser = Parser { sql: definition, tokens, at: 0, depth: 0, declared: HashSet::new() };
    parser.kept_trigger()
}

/// `@P1 nvarchar(max), @P2 int`: the declarations of `sp_executesql` and `sp_prepare`.
pub fn declarations(text: &str) -> Parsed<Vec<Declared>> {
    let tokens = tokens(text)?;
    let mut parser = Parser { sql: text, tokens, at: 0, depth: 0, declared: HashSet::new() };
    let mut found = Vec::new();
    while !parser.at_end() {
        found.push(parser.parameter()?);
        if !parser.accept(",") && !parser.at_end() {
            return Err(parser.unexpected());
        }
    }
    Ok(found)
}

/// The table and columns of `INSERT BULK name (column type, ...) WITH (...)`, and whether it keeps identities.
pub fn insert_bulk(text: &str) -> Parsed<(ObjectName, Vec<String>, Vec<String>)> {
    let tokens = tokens(text)?;
    let mut parser = Parser { sql: text, tokens, at: 0, depth: 0, declared: HashSet::new() };
    parser.bulk()
}

pub(super) struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Variables that the batch has declared so far.
    declared: HashSet<String>,
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    /// The kind `ahead` tokens further; the end repeats.
    fn kind_at(&self, ahead: usize) -> &Kind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    fn at_end(&self) -> bool {
        *self.kind() == Kind::End
    }

    fn step(&mut self) {
        if !self.at_end() {
            self.at += 1;
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Symbol(found) if *found == symbol)
    }

    fn is_at(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.kind_at(ahead), Kind::Symbol(found) if *found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.kind_at(ahead), Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        if found {
            self.step();
        }
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.step();
        }
        found
    }

    /// All of them, or none is consumed.
    fn accept_words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word));
        if found {
            self.at += words.len();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_words(&mut self, words: &[&str]) -> Parsed<()> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    /// Error 102 at the present token.
    fn unexpected(&self) -> SqlError {
        let token = &self.tokens[self.at.min(self.tokens.len() - 1)];
        let near = match &token.kind {
            Kind::End => self.sql[..token.start].split_whitespace().next_back().unwrap_or(""),
            _ => &self.sql[token.start..token.end],
        };
        let near: String = near.chars().take(60).collect();
        SqlError { line: token.line, ..refusal::syntax(&near) }
    }

    fn unsupported(&self, what: &str) -> SqlError {
        SqlError { line: self.line(), ..refusal::unsupported(what) }
    }

    /// Runs a rule one level deeper.
    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let answer = rule(self);
        self.depth -= 1;
        answer
    }

    fn too_deep(&self) -> SqlError {
        let message = "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into \
                       smaller queries.";
        SqlError { line: self.line(), ..SqlError::new(191, message) }
    }

    /// `( rule, rule, ... )`
    fn list<T>(&mut self, rule: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect("(")?;
        let found = self.commas(rule)?;
        self.expect(")")?;
        Ok(found)
    }

    fn commas<T>(&mut self, mut rule: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut found = vec![rule(self)?];
        while self.accept(",") {
            found.push(rule(self)?);
        }
        Ok(found)
    }

    fn is_name(&self) -> bool {
        match self.kind() {
            Kind::Quoted(_) => true,
            Kind::Word(word) => !is_reserved(word),
            _ => false,
        }
    }

    fn name(&mut self) -> Parsed<String> {
        if !self.is_name() {
            return Err(self.unexpected());
        }
        let (Kind::Word(name) | Kind::Quoted(name)) = self.kind() else {
            return Err(self.unexpected());
        };
        let name = name.clone();
        self.step();
        Ok(name)
    }

    /// An alias after AS, or without it where a name follows.
    fn alias(&mut self) -> Parsed<Option<String>> {
        if self.accept_word("AS") {
            return self.name().map(Some);
        }
        if self.is_name() { self.name().map(Some) } else { Ok(None) }
    }

    fn names(&mut self) -> Parsed<Vec<String>> {
        self.list(Self::name)
    }

    fn variable(&mut self) -> Parsed<String> {
        match self.kind() {
            Kind::Variable(name) if !name.starts_with("@@") => {
                let name = name.clone();
                self.step();
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn object_name(&mut self) -> Parsed<ObjectName> {
        let mut parts = vec![Some(self.name()?)];
        while self.accept(".") {
            // `tempdb..#t`: an empty middle part is the default schema.
            let empty = self.is(".");
            parts.push(if empty { None } else { Some(self.name()?) });
        }
        if parts.len() > 3 {
            return Err(self.unsupported("a name with a server part"));
        }
        let name = parts.pop().flatten().ok_or_else(|| self.unexpected())?;
        let schema = parts.pop().flatten();
        let database = parts.pop().flatten();
        Ok(ObjectName { database, schema, name })
    }

    fn data_type(&mut self) -> Parsed<SqlType> {
        let line = self.line();
        let mut name = match self.kind() {
            Kind::Word(name) | Kind::Quoted(name) => name.clone(),
            _ => return Err(self.unexpected()),
        };
        self.step();
        if name.eq_ignore_ascii_case("sys") && self.accept(".") {
            name = self.name()?;
        }
        if name.eq_ignore_ascii_case("national") || name.eq_ignore_ascii_case("double") {
            return Err(SqlError { line, ..refusal::unknown_type(&name) });
        }
        let mut declaration = name;
        if self.accept("(") {
            declaration.push('(');
            while !self.is(")") {
                match self.kind() {
                    Kind::Number(text) | Kind::Word(text) => declaration.push_str(text),
                    Kind::Symbol(",") => declaration.push(','),
                    _ => return Err(self.unexpected()),
                }
                self.step();
            }
            self.expect(")")?;
            declaration.push(')');
        }
        SqlType::parse(&declaration)
            .filter(valid_type)
            .ok_or_else(|| SqlError { line, ..refusal::unknown_type(&declaration) })
    }

    fn next_id(&self) -> u64 {
        NEXT_STATEMENT.fetch_add(1, Ordering::Relaxed)
    }

    /// A whole number constant, with an optional minus.
    fn integer(&mut self) -> Parsed<i64> {
        let negative = self.accept("-");
        match self.kind() {
            Kind::Number(text) => {
                let number: i64 = text.parse().map_err(|_| self.unexpected())?;
                self.step();
                Ok(if negative { -number } else { number })
            }
            _ => Err(self.unexpected()),
        }
    }
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// The bounds that SQL Server puts on declared lengths, precisions and scales.
fn valid_type(of: &SqlType) -> bool {
    match *of {
        SqlType::Decimal { precision, scale } => {
            (1..=38).contains(&precision) && scale <= precision
        }
        SqlType::Time { scale }
        | SqlType::DateTime2 { scale }
        | SqlType::DateTimeOffset { scale } => scale <= 7,
        SqlType::Char { length } | SqlType::Binary { length } => (1..=8000).contains(&length),
        SqlType::NChar { length } => (1..=4000).contains(&length),
        SqlType::VarChar { length: Some(length) } | SqlType::VarBinary { length: Some(length) } => {
            (1..=8000).contains(&length)
        }
        SqlType::NVarChar { length: Some(length) } => (1..=4000).contains(&length),
        // hierarchyid and its kin: the embedded channel does not have them.
        SqlType::Cast(_) => false,
        _ => true,
    }
}
