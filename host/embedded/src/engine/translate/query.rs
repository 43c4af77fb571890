//! SELECT: its sources, items, groups, order and paging, into one SQLite SELECT whose columns are `c0`, `c1`…

use super::scope::{Label, Scope, Shown, Typed, Visible};
use super::{Plan, Translated, Translator, collate};
use crate::answer::{ResultColumn, SqlError};
use crate::engine::refusal;
use crate::engine::syntax::{Body, Expr, Item, Order, Query, Select};
use crate::engine::types::{Family, family};
use tillhold_core::types::SqlType;

/// The longest nchar and nvarchar that are not `max`.
const NATIONAL_LENGTH_MAX: u16 = 4_000;

pub struct Rendered {
    pub sql: String,
    pub columns: Vec<Shown>,
    /// Certainly no more than one row.
    pub at_most_one: bool,
}

/// A key of GROUP BY: as its expression is written, and with the collation that it groups under.
struct GroupKey {
    sql: String,
    term: String,
}

/// What may stand after a query's body.
#[derive(Clone, Copy)]
struct Paging<'q> {
    order: &'q [Order],
    offset: Option<&'q Expr>,
    fetch: Option<&'q Expr>,
}

impl<'q> Paging<'q> {
    const NONE: Paging<'static> = Paging { order: &[], offset: None, fetch: None };

    fn of(query: &'q Query) -> Paging<'q> {
        Paging { order: &query.order, offset: query.offset.as_ref(), fetch: query.fetch.as_ref() }
    }
}

impl<'q> Translator<'_, 'q> {
    /// A whole SELECT statement.
    pub fn statement(mut self, query: &'q Query) -> Translated<Plan> {
        if let Some(select) = assigning(query) {
            return self.assigning(query, select);
        }
        let rendered = self.query(query, None)?;
        let into = match &query.body {
            Body::Select(select) => select.into.clone(),
            _ => None,
        };
        self.uses.writes_temporary |= into.is_some();
        let column = if into.is_some() { result_column } else { sent_column };
        let columns = rendered.columns.iter().map(column).collect();
        let mut plan = self.plan(rendered.sql, columns);
        plan.into = into;
        Ok(plan)
    }

    /// ORDER BY and paging of a query that neither groups nor aggregates.
    pub(super) fn tail(
        &mut self,
        query: &'q Query,
        select: &'q Select,
        scope: &Scope<'_>,
    ) -> Translated<String> {
        let order = self.order(&query.order, &[], scope, &None)?;
        Ok(order + &self.limit(select.top.as_ref(), Paging::of(query), scope)?)
    }

    pub(super) fn subquery(&mut self, query: &'q Query, scope: &Scope<'_>) -> Translated<Rendered> {
        self.saw_subquery = true;
        // A subquery groups and aggregates by itself.
        let grouping = self.grouping.take();
        let in_aggregate = std::mem::take(&mut self.in_aggregate);
        let saw = self.saw_aggregate;
        let rendered = self.query(query, Some(scope));
        self.grouping = grouping;
        self.in_aggregate = in_aggregate;
        self.saw_aggregate = saw;
        rendered
    }

    pub(super) fn query(
        &mut self,
        query: &'q Query,
        around: Option<&Scope<'_>>,
    ) -> Translated<Rendered> {
        let visible = self.ctes.len();
        self.ctes.extend(query.ctes.iter());
        let rendered = match &query.body {
            Body::Select(select) => self.select(select, Paging::of(query), around),
            body => self.ordered_set(body, query, around),
        };
        self.ctes.truncate(visible);
        rendered
    }

    fn select(
        &mut self,
        select: &'q Select,
        paging: Paging<'q>,
        around: Option<&Scope<'_>>,
    ) -> Translated<Rendered> {
        let mut scope = Scope::within(around);
        let from = self.from(&select.from, &mut scope)?;
        let mut conditions = from.conditions;
        if let Some(filter) = &select.filter {
            conditions.push(self.predicate(filter, &scope)?);
        }
        let (items, grouped) = self.items(select, &scope)?;
        let having = match &select.having {
            Some(having) => {
                self.enter_group(&grouped);
                let sql = self.predicate(having, &scope);
                self.grouping = None;
                format!(" HAVING {}", sql?)
            }
            None => String::new(),
        };
        let order = self.order(paging.order, &items, &scope, &grouped)?;
        let limit = self.limit(select.top.as_ref(), paging, &scope)?;
        let mut sql = format!(
            "SELECT {}{}",
            if select.distinct { "DISTINCT " } else { "" },
            rendered_items(&items, select.distinct)
        );
        if !from.sql.is_empty() {
            sql += &format!(" FROM {}", from.sql);
        }
        if !conditions.is_empty() {
            sql += &format!(" WHERE {}", conditions.join(" AND "));
        }
        if let Some(keys) = grouped.as_ref().filter(|keys| !keys.is_empty()) {
            let terms: Vec<&str> = keys.iter().map(|key| key.term.as_str()).collect();
            sql += &format!(" GROUP BY {}", terms.join(", "));
        }
        sql += &having;
        sql += &order;
        sql += &limit;
        let alone = select.from.is_empty() || grouped.as_ref().is_some_and(Vec::is_empty);
        let one = matches!(&select.top, Some(Expr::Number(text)) if text == "1");
        Ok(Rendered { sql, columns: numbered(items), at_most_one: alone || one })
    }

    /// The select list; and, when the query groups or aggregates, the keys it groups by.
    fn items(
        &mut self,
        select: &'q Select,
        scope: &Scope<'_>,
    ) -> Translated<(Vec<Shown>, Option<Vec<GroupKey>>)> {
        let mut keys = Vec::new();
        for key in &select.group {
            let value = self.value(key, scope)?;
            keys.push(GroupKey {
                term: format!("{}{}", value.sql, collate(value.collation())),
                sql: value.sql,
            });
        }
        let plain: Vec<String> = keys.iter().map(|key| key.sql.clone()).collect();
        self.saw_aggregate = false;
        if !select.group.is_empty() {
            self.grouping = Some(plain.clone());
        }
        let items = self.item_list(&select.items, scope);
        self.grouping = None;
        let items = items?;
        let aggregates = self.saw_aggregate || select.having.is_some();
        if select.group.is_empty() && aggregates {
            // One group of all rows: the items are read again, with every column outside an aggregate refused.
            self.grouping = Some(Vec::new());
            let checked = self.item_list(&select.items, scope);
            self.grouping = None;
            return Ok((checked?, Some(Vec::new())));
        }
        Ok((items, (!select.group.is_empty()).then_some(keys)))
    }

    fn enter_group(&mut self, grouped: &Option<Vec<GroupKey>>) {
        self.grouping = Some(grouped.iter().flatten().map(|key| key.sql.clone()).collect());
    }

    pub(super) fn item_list(
        &mut self,
        items: &'q [Item],
        scope: &Scope<'_>,
    ) -> Translated<Vec<Shown>> {
        let mut shown = Vec::new();
        for item in items {
            match item {
                Item::All if scope.sources.is_empty() => {
                    return Err(SqlError::new(263, "Must specify table to select from."));
                }
                Item::All => {
                    for column in scope.sources.iter().flat_map(|source| source.columns.clone()) {
                        shown.push(column.allowed()?);
                    }
                }
                Item::AllOf(name) => {
                    let source =
                        scope.sources.iter().find(|source| source.alias.eq_ignore_ascii_case(name));
                    let source = source.ok_or_else(|| refusal::unknown_prefix(name))?;
                    for column in source.columns.clone() {
                        shown.push(column.allowed()?);
                    }
                }
                Item::Value { value, alias } => {
                    let typed = self.value(value, scope)?;
                    let name = match (alias, value) {
                        (Some(alias), _) => alias.clone(),
                        (None, Expr::Column(parts)) => parts.last().cloned().unwrap_or_default(),
                        _ => String::new(),
                    };
                    shown.push(Shown::new(name, typed));
                }
                Item::Assign { variable, value, .. } => {
                    let of = self.variable_type(variable)?;
                    let value = self.value(value, scope)?;
                    let value = self.assign(value, of, None)?;
                    shown.push(Shown::new("", value));
                }
            }
        }
        Ok(shown)
    }

    /// A set operation, ordered by its own columns only.
    fn ordered_set(
        &mut self,
        body: &'q Body,
        query: &'q Query,
        around: Option<&Scope<'_>>,
    ) -> Translated<Rendered> {
        let rendered = self.set(body, around)?;
        if query.order.is_empty() {
            return Ok(rendered);
        }
        let mut scope = Scope::empty();
        scope.add(Visible {
            alias: String::new(),
            schema: None,
            columns: rendered.columns.clone(),
            table: None,
            source: String::new(),
        })?;
        let order = self.order(&query.order, &rendered.columns, &scope, &None)?;
        let limit = self.limit(None, Paging::of(query), &scope)?;
        let sql = format!("SELECT * FROM ({}){order}{limit}", rendered.sql);
        Ok(Rendered { sql, ..rendered })
    }

    fn set(&mut self, body: &'q Body, around: Option<&Scope<'_>>) -> Translated<Rendered> {
        let (word, left, right) = match body {
            Body::Select(select) => {
                return self.plain_select(select, around);
            }
            Body::Union { all: true, left, right } => ("UNION ALL", left, right),
            Body::Union { all: false, left, right } => ("UNION", left, right),
            Body::Except { left, right } => ("EXCEPT", left, right),
            Body::Intersect { left, right } => ("INTERSECT", left, right),
        };
        let (left, right) = (self.set(left, around)?, self.set(right, around)?);
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of \
                 expressions in their target lists.",
            ));
        }
        let (mut columns, mut lefts, mut rights) = (Vec::new(), Vec::new(), Vec::new());
        for (a, b) in left.columns.iter().zip(&right.columns) {
            let (pair, of, label) = self.unified(vec![a.value.clone(), b.value.clone()])?;
            let at = columns.len();
            // The left side's collation decides which rows of a UNION are the same.
            let kept = Typed::new(format!("c{at}"), of, a.value.nullable || b.value.nullable)
                .with_label(label);
            lefts.push(format!("{}{} AS c{at}", pair[0].sql, collate(kept.collation())));
            rights.push(format!("{} AS c{at}", pair[1].sql));
            columns.push(Shown::new(a.name.clone(), kept));
        }
        let sql = format!(
            "SELECT {} FROM ({}) {word} SELECT {} FROM ({})",
            lefts.join(", "),
            left.sql,
            rights.join(", "),
            right.sql
        );
        Ok(Rendered { sql, columns, at_most_one: false })
    }

    fn plain_select(
        &mut self,
        select: &'q Select,
        around: Option<&Scope<'_>>,
    ) -> Translated<Rendered> {
        self.select(select, Paging::NONE, around)
    }

    fn order(
        &mut self,
        order: &'q [Order],
        items: &[Shown],
        scope: &Scope<'_>,
        grouped: &Option<Vec<GroupKey>>,
    ) -> Translated<String> {
        let mut terms = Vec::new();
        for term in order {
            let value = match self.output_column(&term.value, items)? {
                Some(value) => value,
                None => {
                    if grouped.is_some() {
                        self.enter_group(grouped);
                    }
                    let value = self.value(&term.value, scope);
                    self.grouping = None;
                    value?
                }
            };
            if family(value.of) == Family::Text {
                value.label.compared("ORDER BY")?;
            }
            let direction = if term.descending { " DESC" } else { "" };
            terms.push(format!("{}{}{direction}", value.sql, collate(value.collation())));
        }
        if terms.is_empty() {
            return Ok(String::new());
        }
        Ok(format!(" ORDER BY {}", terms.join(", ")))
    }

    /// An ORDER BY term that names an output column: by position, or by its alias.
    fn output_column(&self, term: &Expr, items: &[Shown]) -> Translated<Option<Typed>> {
        match term {
            Expr::Number(text) => {
                let at: usize = text.parse().unwrap_or(0);
                match at.checked_sub(1).and_then(|at| items.get(at)) {
                    Some(item) => Ok(Some(item.value.clone())),
                    None => Err(SqlError::new(
                        108,
                        format!(
                            "The ORDER BY position number {text} is out of range of the number of items in the select list."
                        ),
                    )),
                }
            }
            Expr::Column(parts) if parts.len() == 1 => {
                let found = items.iter().find(|item| item.name.eq_ignore_ascii_case(&parts[0]));
                Ok(found.map(|item| item.value.clone()))
            }
            _ => Ok(None),
        }
    }

    fn limit(
        &mut self,
        top: Option<&'q Expr>,
        paging: Paging<'q>,
        scope: &Scope<'_>,
    ) -> Translated<String> {
        let mut count = |value: &'q Expr, of_top: bool| -> Translated<String> {
            let value = self.value(value, scope)?;
            let value = self.convert(value, SqlType::BigInt)?;
            Ok(format!("ts_count({}, {})", value.sql, i32::from(of_top)))
        };
        let top = top.map(|top| count(top, true)).transpose()?;
        let offset = paging.offset.map(|offset| count(offset, false)).transpose()?;
        let fetch = paging.fetch.map(|fetch| count(fetch, false)).transpose()?;
        Ok(match (top, offset, fetch) {
            (Some(_), Some(_), _) => {
                return Err(SqlError::new(
                    10741,
                    "A TOP can not be used in the same query or sub-query as a OFFSET.",
                ));
            }
            (Some(top), None, _) => format!(" LIMIT {top}"),
            (None, Some(offset), Some(fetch)) => format!(" LIMIT {fetch} OFFSET {offset}"),
            (None, Some(offset), None) => format!(" LIMIT -1 OFFSET {offset}"),
            (None, None, _) => String::new(),
        })
    }
}

fn assigning(query: &Query) -> Option<&Select> {
    match &query.body {
        Body::Select(select)
            if select.items.iter().any(|item| matches!(item, Item::Assign { .. })) =>
        {
            Some(select)
        }
        _ => None,
    }
}

/// The values as `c0`, `c1`…; DISTINCT compares them under their collations.
fn rendered_items(items: &[Shown], distinct: bool) -> String {
    let one = |(at, item): (usize, &Shown)| {
        let collation = if distinct { collate(item.value.collation()) } else { String::new() };
        format!("{}{collation} AS c{at}", item.value.sql)
    };
    items.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// The same columns as the query's reader sees them.
fn numbered(items: Vec<Shown>) -> Vec<Shown> {
    let one = |(at, item): (usize, Shown)| {
        let value = Typed { sql: format!("c{at}"), constant: None, native: "", ..item.value };
        Shown::new(item.name, value)
    };
    items.into_iter().enumerate().map(one).collect()
}

pub(super) fn result_column(shown: &Shown) -> ResultColumn {
    ResultColumn { name: shown.name.clone(), of: shown.value.of, nullable: shown.value.nullable }
}

/// As a client sees it: a text under a UTF-8 collation goes as UTF-16, for no client is told that it may have UTF-8.
pub(super) fn sent_column(shown: &Shown) -> ResultColumn {
    let column = result_column(shown);
    let (Label::Implicit(collation) | Label::Explicit(collation)) = &shown.value.label else {
        return column;
    };
    if !collation.to_ascii_uppercase().ends_with("_UTF8") {
        return column;
    }
    let short = |length: &u16| *length <= NATIONAL_LENGTH_MAX;
    let of = match column.of {
        SqlType::Char { length } if short(&length) => SqlType::NChar { length },
        SqlType::VarChar { length } => SqlType::NVarChar { length: length.filter(short) },
        SqlType::Char { .. } => SqlType::NVarChar { length: None },
        other => other,
    };
    ResultColumn { of, ..column }
}
