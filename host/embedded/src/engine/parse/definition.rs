//! CREATE, ALTER and DROP of tables, indexes and schemas, and the database's change tracking.

use super::{Parsed, Parser};
use crate::engine::lexer::Kind;
use crate::engine::syntax::{
    ColumnDefinition, ComputedDefinition, Constraint, ConstraintKind, CreateIndex, CreateTable,
    DatabaseChange, DefaultDefinition, Expr, Making, StatementKind, TableChange,
};
use std::sync::Arc;
use tillhold_core::types::SqlType;

use StatementKind as S;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Parsed<StatementKind> {
        if self.accept_word("TABLE") {
            return self.create_table();
        }
        if self.accept_word("SCHEMA") {
            let name = self.name()?;
            if self.accept_word("AUTHORIZATION") {
                self.name()?;
            }
            return Ok(S::CreateSchema { name });
        }
        if self.is_any_word(&["LOGIN", "USER", "ROLE"]) {
            return self.create_principal();
        }
        if self.accept_word("TRIGGER") {
            return self.create_trigger(Making::Create);
        }
        if self.accept_word("PROCEDURE") || self.accept_word("PROC") {
            return self.create_procedure();
        }
        if self.accept_words(&["OR", "ALTER", "TRIGGER"]) {
            return self.create_trigger(Making::CreateOrAlter);
        }
        let unique = self.accept_word("UNIQUE");
        let clustered = self.clustered()?.unwrap_or(false);
        self.expect_word("INDEX")?;
        let name = self.name()?;
        self.expect_word("ON")?;
        let table = self.object_name()?;
        let columns = self.key_columns()?;
        if self.is_any_word(&["INCLUDE", "WHERE"]) {
            return Err(self.unsupported("INCLUDE and WHERE of an index"));
        }
        self.with_options()?;
        Ok(S::CreateIndex(CreateIndex { name, table, unique, clustered, columns }))
    }

    fn create_table(&mut self) -> Parsed<StatementKind> {
        let name = self.object_name()?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        self.expect("(")?;
        loop {
            self.element(&mut columns, &mut constraints)?;
            if !self.accept(",") {
                break;
            }
            // A trailing comma before the parenthesis is allowed by SQL Server too.
            if self.is(")") {
                break;
            }
        }
        self.expect(")")?;
        if self.accept_word("ON") {
            self.name_or_primary()?;
        }
        Ok(S::CreateTable(CreateTable { name, columns, constraints }))
    }

    fn name_or_primary(&mut self) -> Parsed<()> {
        if !self.accept_word("PRIMARY") {
            self.name()?;
        }
        Ok(())
    }

    fn element(
        &mut self,
        columns: &mut Vec<ColumnDefinition>,
        constraints: &mut Vec<Constraint>,
    ) -> Parsed<()> {
        if self.is_any_word(&["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "INDEX"]) {
            constraints.push(self.table_constraint()?);
            return Ok(());
        }
        columns.push(self.column_definition(constraints)?);
        Ok(())
    }

    fn table_constraint(&mut self) -> Parsed<Constraint> {
        let name = if self.accept_word("CONSTRAINT") { Some(self.name()?) } else { None };
        let kind = if self.accept_words(&["PRIMARY", "KEY"]) {
            let clustered = self.clustered()?.unwrap_or(true);
            ConstraintKind::Primary { clustered, columns: self.key_columns()? }
        } else if self.accept_word("UNIQUE") {
            let clustered = self.clustered()?.unwrap_or(false);
            ConstraintKind::Unique { clustered, columns: self.key_columns()? }
        } else if self.accept_words(&["FOREIGN", "KEY"]) {
            let columns = self.names()?;
            self.references(columns)?
        } else if self.accept_word("CHECK") {
            self.check(None)?
        } else {
            return Err(self.unsupported("this constraint"));
        };
        self.with_options()?;
        if self.accept_word("ON") {
            self.name_or_primary()?;
        }
        Ok(Constraint { name, kind })
    }

    fn references(&mut self, columns: Vec<String>) -> Parsed<ConstraintKind> {
        self.expect_word("REFERENCES")?;
        let table = self.object_name()?;
        let to = if self.is("(") { self.names()? } else { Vec::new() };
        let mut cascade = false;
        while self.accept_word("ON") {
            let on_delete = self.accept_word("DELETE");
            if !on_delete {
                self.expect_word("UPDATE")?;
            }
            if self.accept_word("CASCADE") && on_delete {
                cascade = true;
            } else if !self.accept_words(&["NO", "ACTION"]) && !cascade {
                return Err(self.unsupported("this referential action"));
            }
        }
        Ok(ConstraintKind::Foreign { columns, table, to, cascade })
    }

    /// `(a, b DESC)`
    fn key_columns(&mut self) -> Parsed<Vec<(String, bool)>> {
        self.list(|parser| {
            let name = parser.name()?;
            let descending = parser.accept_word("DESC");
            if !descending {
                parser.accept_word("ASC");
            }
            Ok((name, descending))
        })
    }

    fn clustered(&mut self) -> Parsed<Option<bool>> {
        if self.accept_word("CLUSTERED") {
            return Ok(Some(true));
        }
        Ok(self.accept_word("NONCLUSTERED").then_some(false))
    }

    /// `WITH (PAD_INDEX = OFF, ...)`: how SQL Server lays pages out; read and left, except what changes meaning.
    fn with_options(&mut self) -> Parsed<()> {
        if !(self.is_word("WITH") && self.is_at(1, "(")) {
            return Ok(());
        }
        self.at += 2;
        while !self.accept(")") {
            if self.accept_words(&["IGNORE_DUP_KEY"]) {
                self.expect("=")?;
                if self.on_or_off()? {
                    return Err(self.unsupported("IGNORE_DUP_KEY"));
                }
            } else {
                if self.at_end() {
                    return Err(self.unexpected());
                }
                self.step();
            }
        }
        Ok(())
    }

    fn column_definition(&mut self, constraints: &mut Vec<Constraint>) -> Parsed<ColumnDefinition> {
        let name = self.name()?;
        if self.accept_word("AS") {
            return self.computed_column(name);
        }
        // `x timestamp` may stand as the bare word `timestamp`, which then names the column too: refused.
        let of = self.data_type()?;
        let mut column = ColumnDefinition {
            name,
            of,
            collation: None,
            nullable: None,
            identity: None,
            default: None,
            computed: None,
        };
        while self.column_property(&mut column, constraints)? {}
        Ok(column)
    }

    fn computed_column(&mut self, name: String) -> Parsed<ColumnDefinition> {
        let (value, text) = self.kept_expression()?;
        let persisted = self.accept_word("PERSISTED");
        let not_null = persisted && self.accept_words(&["NOT", "NULL"]);
        let nullable = not_null.then_some(false);
        let computed = Some(ComputedDefinition { text, value, persisted });
        let (of, collation, identity, default) = (SqlType::Int, None, None, None);
        Ok(ColumnDefinition { name, of, collation, nullable, identity, default, computed })
    }

    /// An expression with its text in parentheses, as the catalogue shows it.
    fn kept_expression(&mut self) -> Parsed<(Arc<Expr>, String)> {
        let start = self.tokens[self.at].start;
        let value = Arc::new(self.expr()?);
        let text = self.sql[start..self.tokens[self.at - 1].end].trim();
        let whole = text.starts_with('(') && text.ends_with(')') && !text[1..].contains('(');
        Ok((value, if whole { text.to_string() } else { format!("({text})") }))
    }

    fn check(&mut self, column: Option<&str>) -> Parsed<ConstraintKind> {
        let _replication = self.accept_words(&["NOT", "FOR", "REPLICATION"]);
        self.expect("(")?;
        let (condition, text) = self.kept_expression()?;
        self.expect(")")?;
        Ok(ConstraintKind::Check { column: column.map(str::to_string), text, condition })
    }

    fn altered_column(&mut self) -> Parsed<ColumnDefinition> {
        let mut none = Vec::new();
        let column = self.column_definition(&mut none)?;
        if !none.is_empty()
            || column.identity.is_some()
            || column.default.is_some()
            || column.computed.is_some()
        {
            return Err(self.unsupported("ALTER COLUMN with a constraint"));
        }
        Ok(column)
    }

    fn column_property(
        &mut self,
        column: &mut ColumnDefinition,
        constraints: &mut Vec<Constraint>,
    ) -> Parsed<bool> {
        if self.accept_word("COLLATE") {
            let Kind::Word(collation) = self.kind() else { return Err(self.unexpected()) };
            column.collation = Some(collation.clone());
            self.step();
            return Ok(true);
        }
        if self.accept_words(&["NOT", "NULL"]) {
            column.nullable = Some(false);
            return Ok(true);
        }
        if self.accept_word("NULL") {
            column.nullable = Some(true);
            return Ok(true);
        }
        if self.accept_word("ROWGUIDCOL") {
            return Ok(true);
        }
        if self.accept_word("IDENTITY") {
            column.identity = Some(self.identity()?);
            return Ok(true);
        }
        let name = if self.accept_word("CONSTRAINT") { Some(self.name()?) } else { None };
        if self.accept_word("DEFAULT") {
            column.default = Some(self.default_definition(name)?);
            return Ok(true);
        }
        match self.column_constraint(&column.name)? {
            Some(kind) => {
                constraints.push(Constraint { name, kind });
                Ok(true)
            }
            None if name.is_some() => Err(self.unexpected()),
            None => Ok(false),
        }
    }

    fn column_constraint(&mut self, column: &str) -> Parsed<Option<ConstraintKind>> {
        let columns = vec![(column.to_string(), false)];
        if self.accept_words(&["PRIMARY", "KEY"]) {
            let clustered = self.clustered()?.unwrap_or(true);
            self.with_options()?;
            return Ok(Some(ConstraintKind::Primary { clustered, columns }));
        }
        if self.accept_word("UNIQUE") {
            let clustered = self.clustered()?.unwrap_or(false);
            self.with_options()?;
            return Ok(Some(ConstraintKind::Unique { clustered, columns }));
        }
        if self.accept_words(&["FOREIGN", "KEY"]) || self.is_word("REFERENCES") {
            return self.references(vec![column.to_string()]).map(Some);
        }
        if self.accept_word("CHECK") {
            return self.check(Some(column)).map(Some);
        }
        Ok(None)
    }

    fn identity(&mut self) -> Parsed<(i64, i64)> {
        if !self.accept("(") {
            return Ok((1, 1));
        }
        let seed = self.integer()?;
        self.expect(",")?;
        let step = self.integer()?;
        self.expect(")")?;
        Ok((seed, step))
    }

    /// The default's text is kept as SQL Server shows it: in parentheses, numbers in two pairs.
    fn default_definition(&mut self, name: Option<String>) -> Parsed<DefaultDefinition> {
        let start = self.tokens[self.at].start;
        let value = Arc::new(self.default_value()?);
        let end = self.tokens[self.at - 1].end;
        let mut text = self.sql[start..end].trim().to_string();
        if !text.starts_with('(') {
            text = format!("({text})");
        }
        Ok(DefaultDefinition { name, text, value })
    }

    /// A default is a value, not a comparison: `DEFAULT 0 NOT NULL` must leave the NOT alone.
    fn default_value(&mut self) -> Parsed<Expr> {
        self.signed_constant()
    }

    pub(super) fn drop(&mut self) -> Parsed<StatementKind> {
        if self.accept_word("TRIGGER") {
            return self.drop_trigger();
        }
        if self.accept_word("PROCEDURE") || self.accept_word("PROC") {
            return self.drop_procedure();
        }
        if self.accept_word("INDEX") {
            let if_exists = self.accept_words(&["IF", "EXISTS"]);
            let index = self.name()?;
            self.expect_word("ON")?;
            let table = self.object_name()?;
            return Ok(S::DropIndex { index, table, if_exists });
        }
        self.expect_word("TABLE")?;
        let if_exists = self.accept_words(&["IF", "EXISTS"]);
        let names = self.commas(Self::object_name)?;
        Ok(S::DropTable { names, if_exists })
    }

    pub(super) fn alter(&mut self) -> Parsed<StatementKind> {
        if self.accept_word("DATABASE") {
            return self.alter_database();
        }
        if self.accept_word("ROLE") {
            return self.alter_role();
        }
        if self.accept_word("TRIGGER") {
            return self.create_trigger(Making::Alter);
        }
        self.expect_word("TABLE")?;
        let table = self.object_name()?;
        for (word, on) in [("ENABLE", true), ("DISABLE", false)] {
            if self.accept_words(&[word, "TRIGGER"]) {
                let trigger = if self.accept_word("ALL") { None } else { Some(self.name()?) };
                return Ok(S::SwitchTrigger { trigger, table, on });
            }
        }
        let change = self.table_change()?;
        Ok(S::AlterTable { table, change })
    }

    fn table_change(&mut self) -> Parsed<TableChange> {
        if self.accept_words(&["ENABLE", "CHANGE_TRACKING"]) {
            let mut columns = false;
            if self.accept_word("WITH") {
                self.expect("(")?;
                self.expect_word("TRACK_COLUMNS_UPDATED")?;
                self.expect("=")?;
                columns = self.on_or_off()?;
                self.expect(")")?;
            }
            return Ok(TableChange::EnableTracking { columns });
        }
        if self.accept_words(&["DISABLE", "CHANGE_TRACKING"]) {
            return Ok(TableChange::DisableTracking);
        }
        if self.accept_words(&["ALTER", "COLUMN"]) {
            return self.altered_column().map(TableChange::AlterColumn);
        }
        if self.accept_words(&["DROP", "COLUMN"]) {
            return self.name().map(TableChange::DropColumn);
        }
        self.expect_word("ADD")?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        loop {
            self.element(&mut columns, &mut constraints)?;
            if !self.accept(",") {
                return Ok(TableChange::AddColumns(columns, constraints));
            }
        }
    }

    fn alter_database(&mut self) -> Parsed<StatementKind> {
        let database = if self.accept_word("CURRENT") { None } else { Some(self.name()?) };
        self.expect_word("SET")?;
        let change = self.database_change()?;
        let _at_once = self.accept_words(&["WITH", "ROLLBACK", "IMMEDIATE"]);
        Ok(S::AlterDatabase { database, change })
    }

    fn database_change(&mut self) -> Parsed<DatabaseChange> {
        if self.accept_word("ALLOW_SNAPSHOT_ISOLATION") {
            return self.on_or_off().map(DatabaseChange::SnapshotIsolation);
        }
        if self.accept_word("READ_ONLY") {
            return Ok(DatabaseChange::ReadOnly(true));
        }
        if self.accept_word("READ_WRITE") {
            return Ok(DatabaseChange::ReadOnly(false));
        }
        if self.accept_word("COMPATIBILITY_LEVEL") {
            self.expect("=")?;
            return self.integer().map(DatabaseChange::Compatibility);
        }
        if self.accept_word("READ_COMMITTED_SNAPSHOT") {
            return if self.on_or_off()? {
                Ok(DatabaseChange::Accepted)
            } else {
                Err(self.unsupported("READ_COMMITTED_SNAPSHOT OFF"))
            };
        }
        self.expect_word("CHANGE_TRACKING")?;
        let (mut retention_minutes, mut auto_cleanup) = (None, None);
        if self.accept("=") && !self.on_or_off()? {
            return Ok(DatabaseChange::TrackingOff);
        }
        if self.accept("(") {
            loop {
                if self.accept_word("CHANGE_RETENTION") {
                    self.expect("=")?;
                    retention_minutes = Some(self.retention()?);
                } else {
                    self.expect_word("AUTO_CLEANUP")?;
                    self.expect("=")?;
                    auto_cleanup = Some(self.on_or_off()?);
                }
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        Ok(DatabaseChange::TrackingOn { retention_minutes, auto_cleanup })
    }

    fn retention(&mut self) -> Parsed<i64> {
        let count = self.integer()?;
        let unit = [("MINUTES", 1), ("HOURS", 60), ("DAYS", 1440)]
            .into_iter()
            .find(|(word, _)| self.is_word(word));
        let Some((_, minutes)) = unit else { return Err(self.unexpected()) };
        self.step();
        Ok(count.saturating_mul(minutes))
    }
}
