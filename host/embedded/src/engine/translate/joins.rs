//! FROM: sources and the joins between them.
//!
//! SQLite has no statistics of temporary tables and would scan a big table to look rows up in a small one. So where
//! inner joins mix both, the temporary ones come first and the order is fixed (`CROSS JOIN`).

use super::scope::{Label, Scope, Shown, Typed, Visible};
use super::{Bound, Fact, Translated, Translator};
use crate::answer::SqlError;
use crate::engine::catalogue::{Relation, fold, quote};
use crate::engine::refusal;
use crate::engine::syntax::{Expr, Hints, JoinKind, JsonColumn, ObjectName, Query, Source};
use crate::engine::types::{Family, family};
use crate::engine::views;
use std::sync::Arc;
use tillhold_core::types::SqlType;

pub(super) struct From {
    pub sql: String,
    /// Conditions of inner joins: they belong to WHERE.
    pub conditions: Vec<String>,
}

struct Link {
    kind: JoinKind,
    sql: String,
    on: Option<String>,
    small: bool,
}

impl<'q> Translator<'_, 'q> {
    pub(super) fn from(
        &mut self,
        sources: &'q [Source],
        scope: &mut Scope<'_>,
    ) -> Translated<From> {
        let mut links = Vec::new();
        for source in sources {
            self.chain(source, JoinKind::Cross, scope, &mut links)?;
        }
        Ok(joined(links))
    }

    /// Adds a source and everything joined to it, left to right.
    fn chain(
        &mut self,
        source: &'q Source,
        kind: JoinKind,
        scope: &mut Scope<'_>,
        links: &mut Vec<Link>,
    ) -> Translated<()> {
        let Source::Join { kind: join, left, right, on } = source else {
            return self.link(source, kind, scope, links);
        };
        self.chain(left, kind, scope, links)?;
        if matches!(**right, Source::Join { .. }) {
            return Err(refusal::unsupported("a join in parentheses on the right of another"));
        }
        self.link(right, *join, scope, links)?;
        if let Some(on) = on {
            let on = self.predicate(on, scope)?;
            if let Some(link) = links.last_mut() {
                link.on = Some(on);
            }
        }
        Ok(())
    }

    fn link(
        &mut self,
        source: &'q Source,
        kind: JoinKind,
        scope: &mut Scope<'_>,
        links: &mut Vec<Link>,
    ) -> Translated<()> {
        let apply = matches!(kind, JoinKind::CrossApply | JoinKind::OuterApply);
        let (sql, visible, small) = match source {
            Source::Version { table, keys, values, alias } => {
                // One row for each row before it: no join at all, its columns are looked up where they are named.
                let visible = self.version(table, keys, values, alias, scope)?;
                return scope.add(visible);
            }
            _ if apply => {
                return Err(refusal::unsupported("APPLY of anything but CHANGETABLE(VERSION …)"));
            }
            Source::Table { name, alias, hints } => {
                self.table_source(name, alias.as_deref(), *hints)?
            }
            Source::Derived { query, alias, columns } => {
                self.derived(query, alias, columns, scope)?
            }
            Source::Rows { rows, alias, columns } => self.rows(rows, alias, columns, scope)?,
            Source::Changes { table, since, alias } => self.changes(table, since, alias)?,
            Source::OpenJson { json, path, columns, alias } => {
                self.open_json(json, path.clone(), columns, alias)?
            }
            Source::Join { .. } => return Err(refusal::unsupported("this join")),
        };
        scope.add(visible)?;
        scope.pad(kind);
        links.push(Link { kind, sql, on: None, small });
        Ok(())
    }

    fn table_source(
        &mut self,
        name: &'q ObjectName,
        alias: Option<&str>,
        hints: Hints,
    ) -> Translated<(String, Visible, bool)> {
        if let Some(cte) = self.cte(name, alias)? {
            return Ok(cte);
        }
        if let Some(view) = views::find(name) {
            self.uses.database = true;
            let source = self.alias();
            let columns = view.columns.iter().map(|column| column.shown(&source)).collect();
            let visible = Visible {
                alias: alias.unwrap_or(&name.name).to_string(),
                schema: if alias.is_some() { None } else { name.schema.clone() },
                columns,
                table: None,
                source: source.clone(),
            };
            return Ok((format!("({}) AS {source}", view.sql), visible, false));
        }
        if let Some(table) = self.pseudo(name) {
            let source = self.alias();
            let level = self.fact(Fact::TriggerLevel).sql;
            let visible = visible_table(&table, Some(alias.unwrap_or(&name.name)), source.clone());
            let rows = format!("SELECT * FROM {} WHERE \"~level\" = {level}", table.quoted());
            return Ok((format!("({rows}) AS {source}"), visible, true));
        }
        let table = self.table(name)?;
        self.uses.locks |= hints.locks && !table.temporary;
        let source = self.alias();
        let visible = self.readable_table(&table, alias, source.clone())?;
        Ok((format!("{} AS {source}", table.quoted()), visible, table.temporary))
    }

    /// A table's columns; those that the user may not read are marked, and with none to read it is error 229.
    pub(super) fn readable_table(
        &self,
        table: &Arc<Relation>,
        alias: Option<&str>,
        source: String,
    ) -> Translated<Visible> {
        let mut visible = visible_table(table, alias, source);
        let Err(denied) = self.allow("SELECT", table) else { return Ok(visible) };
        let may = |id| self.around.may_column("SELECT", table, id);
        if !table.fields.iter().any(|field| may(field.id)) {
            return Err(denied);
        }
        for (column, field) in visible.columns.iter_mut().zip(&table.fields) {
            if !may(field.id) {
                let message = format!(
                    "The SELECT permission was denied on the column '{}' of the object '{}', database '{}', schema '{}'.",
                    field.name, table.name.name, self.around.catalogue.database, table.name.schema
                );
                column.denied = Some(SqlError::new(230, message).with_severity(14));
            }
        }
        Ok(visible)
    }

    /// A common table expression by name: its query in place of it.
    fn cte(
        &mut self,
        name: &'q ObjectName,
        alias: Option<&str>,
    ) -> Translated<Option<(String, Visible, bool)>> {
        if name.schema.is_some() {
            return Ok(None);
        }
        let Some(at) = self.ctes.iter().rposition(|cte| fold(&cte.name) == fold(&name.name)) else {
            return Ok(None);
        };
        let cte = self.ctes[at];
        // It sees only those before it; itself it does not see (no recursion).
        let later = self.ctes.split_off(at);
        let grouping = self.grouping.take();
        let rendered = self.query(&cte.query, None);
        self.grouping = grouping;
        self.ctes.extend(later);
        let rendered = rendered?;
        let source = self.alias();
        let columns = renamed(rendered.columns, &cte.columns, &source)?;
        let alias = alias.unwrap_or(&name.name).to_string();
        let visible = Visible { alias, schema: None, columns, table: None, source: source.clone() };
        Ok(Some((format!("({}) AS {source}", rendered.sql), visible, false)))
    }

    fn derived(
        &mut self,
        query: &'q Query,
        alias: &str,
        names: &[String],
        scope: &Scope<'_>,
    ) -> Translated<(String, Visible, bool)> {
        // A derived table sees what is around the query, not its neighbours.
        let rendered = match scope.around {
            Some(around) => self.subquery(query, around)?,
            None => self.subquery(query, &Scope::empty())?,
        };
        let source = self.alias();
        let columns = renamed(rendered.columns, names, &source)?;
        let visible = Visible {
            alias: alias.to_string(),
            schema: None,
            columns,
            table: None,
            source: source.clone(),
        };
        Ok((format!("({}) AS {source}", rendered.sql), visible, false))
    }

    fn rows(
        &mut self,
        rows: &'q [Vec<Expr>],
        alias: &str,
        names: &[String],
        scope: &Scope<'_>,
    ) -> Translated<(String, Visible, bool)> {
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(SqlError::new(
                10709,
                "The number of columns for each row in a table value constructor must be the same.",
            ));
        }
        let mut cells: Vec<Vec<Typed>> = Vec::new();
        for at in 0..width {
            let mut column = Vec::new();
            for row in rows {
                column.push(self.value(&row[at], scope)?);
            }
            cells.push(column);
        }
        let (mut shown, mut texts) = (Vec::new(), vec![Vec::new(); rows.len()]);
        for column in cells {
            let nullable = column.iter().any(|cell| cell.nullable);
            let (column, of, label) = self.unified(column)?;
            for (row, cell) in texts.iter_mut().zip(&column) {
                row.push(cell.sql.clone());
            }
            let value =
                Typed::new(format!("column{}", shown.len() + 1), of, nullable).with_label(label);
            shown.push(Shown::new("", value));
        }
        let source = self.alias();
        let rows: Vec<String> = texts.iter().map(|row| format!("({})", row.join(", "))).collect();
        let columns = renamed(shown, names, &source)?;
        let visible = Visible {
            alias: alias.to_string(),
            schema: None,
            columns,
            table: None,
            source: source.clone(),
        };
        Ok((format!("(VALUES {}) AS {source}", rows.join(", ")), visible, true))
    }

    fn open_json(
        &mut self,
        json: &Expr,
        path: Option<String>,
        columns: &[JsonColumn],
        alias: &str,
    ) -> Translated<(String, Visible, bool)> {
        if self.around.catalogue.compatibility < 130 {
            return Err(refusal::unknown_object("OPENJSON"));
        }
        let Expr::Variable(name) = json else {
            return Err(refusal::unsupported("OPENJSON of anything but a variable"));
        };
        let of = self.variable_type(name)?;
        if family(of) != Family::Text {
            return Err(SqlError::new(
                8116,
                "Argument data type is invalid for argument 1 of OpenJson function.",
            ));
        }
        let storage = self.json_table(Bound::Variable(name.clone()), path, columns);
        let source = self.alias();
        let shown = columns.iter().enumerate().map(|(at, column)| {
            let value = Typed::new(format!("{source}.c{at}"), column.of, true);
            Shown::new(column.name.clone(), value)
        });
        let columns = shown.collect();
        let visible = Visible {
            alias: alias.to_string(),
            schema: None,
            columns,
            table: None,
            source: source.clone(),
        };
        Ok((format!("temp.{} AS {source}", quote(&storage)), visible, true))
    }
}

/// A table's columns under a source name.
pub(super) fn visible_table(table: &Arc<Relation>, alias: Option<&str>, source: String) -> Visible {
    let columns = table
        .fields
        .iter()
        .map(|field| {
            let label = match &field.collation {
                Some(collation) => Label::Implicit(collation.clone()),
                None => Label::Default,
            };
            let sql = format!("{source}.{}", quote(&field.name));
            let native = field.sqlite_collation();
            let value =
                Typed { native, ..Typed::new(sql, field.of, field.nullable).with_label(label) };
            Shown::new(field.name.clone(), value)
        })
        .collect();
    Visible {
        alias: alias.unwrap_or(&table.name.name).to_string(),
        schema: alias.is_none().then(|| table.name.schema.clone()),
        columns,
        table: Some(table.clone()),
        source,
    }
}

/// A derived table's columns under its own names; every one must have a name.
fn renamed(columns: Vec<Shown>, names: &[String], source: &str) -> Translated<Vec<Shown>> {
    if !names.is_empty() && names.len() != columns.len() {
        return Err(SqlError::new(
            8158,
            "A derived table has more columns than were specified in the column list.",
        ));
    }
    let one = |(at, mut shown): (usize, Shown)| {
        if let Some(name) = names.get(at) {
            shown.name.clone_from(name);
        }
        if shown.name.is_empty() {
            return Err(SqlError::new(
                8155,
                format!("No column name was specified for column {} of a derived table.", at + 1),
            ));
        }
        shown.value.sql = format!("{source}.{}", shown.value.sql);
        Ok(shown)
    };
    columns.into_iter().enumerate().map(one).collect()
}

fn joined(mut links: Vec<Link>) -> From {
    let outer = |kind| matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full);
    let both_ways = links.iter().any(|link| matches!(link.kind, JoinKind::Right | JoinKind::Full));
    let leading = links.iter().position(|link| outer(link.kind)).unwrap_or(links.len());
    let mixed = links[..leading].iter().any(|link| link.small)
        && links[..leading].iter().any(|link| !link.small);
    let mut conditions = Vec::new();
    if !both_ways {
        for link in links[..leading].iter_mut() {
            conditions.extend(link.on.take());
        }
        links[..leading].sort_by_key(|link| !link.small);
    }
    let mut sql = String::new();
    for (at, link) in links.iter().enumerate() {
        if at > 0 {
            sql += match link.kind {
                JoinKind::Left => " LEFT JOIN ",
                JoinKind::Right => " RIGHT JOIN ",
                JoinKind::Full => " FULL JOIN ",
                _ if mixed && at < leading && !both_ways => " CROSS JOIN ",
                _ => " JOIN ",
            };
        }
        sql += &link.sql;
        if let Some(on) = &link.on {
            sql += &format!(" ON {on}");
        }
    }
    From { sql, conditions }
}

/// A type for messages about what CHANGETABLE compares.
pub(super) const VERSION: SqlType = SqlType::BigInt;
