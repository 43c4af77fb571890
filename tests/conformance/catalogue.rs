//! Steps about the catalogue and the preparation.
//!
//! ```text
//! == shop
//! == schema dbo.A, dbo.B                     columns, keys, what cannot travel
//! == names                                   every table that the till sees
//! == prepare dbo.A both, dbo.B down without NOTE OTHER
//! == check                                   as the till, for all tables prepared or read so far
//! ```

use crate::session::Session;
use crate::values::shown;
use crate::world::{Answer, Known, World, listed, refusal};
use std::sync::Arc;
use tillhold_channel::prepare::{self, PrepareOptions, Prepared};
use tillhold_channel::schema::{self, Described};
use tillhold_core::profile::{Capture, Direction, ScopeTable};
use tillhold_core::table::{Assigned, Column, TableName};

const SHOP_SQL: &str = include_str!("shop.sql");

pub async fn shop(world: &mut World<'_>) -> Answer {
    let ground = world.ground;
    let session = Session::open(&ground.env, &ground.address, &ground.office).await;
    let answer = session.map_err(|e| e.to_string())?.run(SHOP_SQL, false).await;
    if !answer.is_empty() {
        return Ok(answer);
    }
    let prepared = prepare(world, "dbo.CARDS both, dbo.PRICES both").await?;
    let marked = crate::reading::mark(world, "start").await?;
    Ok(format!("{prepared}{marked}"))
}

pub async fn schema(world: &mut World<'_>, rest: &str) -> Answer {
    let mut names = Vec::new();
    for name in listed(rest) {
        names.push(TableName::parse(name).ok_or(format!("{name} is no table's name"))?);
    }
    let described = match schema::described(world.link("till"), &names).await {
        Ok(described) => described,
        Err(error) => return Ok(refusal(&error)),
    };
    let lines: Vec<String> = described.iter().map(described_text).collect();
    for one in described {
        learn(world, one, Direction::Bidirectional, &[]);
    }
    Ok(lines.join("\n"))
}

fn described_text(described: &Described) -> String {
    let table = &described.table;
    let key: Vec<&str> = table.key_columns().map(|c| c.name.as_str()).collect();
    let mut lines = vec![format!("{} key ({})", table.name, key.join(", "))];
    lines.extend(table.columns.iter().map(column_text));
    lines.extend(described.uncarried.iter().map(|uncarried| {
        format!(
            "  {} stays: {}",
            uncarried.column,
            uncarried.of.as_deref().unwrap_or("no base type")
        )
    }));
    lines.join("\n")
}

fn column_text(column: &Column) -> String {
    let null = if column.nullable { "null" } else { "not null" };
    let by_channel = if column.assigned == Assigned::ByChannel { " by channel" } else { "" };
    let default = column.default.as_ref().map(|d| format!(" default {d}")).unwrap_or_default();
    let collation = column.collation.as_ref().map(|c| format!(" {c}")).unwrap_or_default();
    format!("  {} {} {null}{by_channel}{default}{collation}", shown(&column.name), column.of)
}

pub async fn names(world: &mut World<'_>) -> Answer {
    match schema::all_table_names(world.link("till")).await {
        Ok(names) => Ok(names.iter().map(TableName::to_string).collect::<Vec<_>>().join("\n")),
        Err(error) => Ok(refusal(&error)),
    }
}

pub async fn prepare(world: &mut World<'_>, rest: &str) -> Answer {
    let mut wanted = Vec::new();
    for part in listed(rest) {
        let mut words = part.split_whitespace();
        let name = words.next().and_then(TableName::parse).ok_or(format!("{part}: no name"))?;
        let direction = match words.next() {
            Some("both") => Direction::Bidirectional,
            Some("down") => Direction::Download,
            Some("up") => Direction::Upload,
            _ => return Err(format!("{part}: say both, down or up")),
        };
        let without: Vec<String> = words.skip(1).map(str::to_string).collect();
        wanted.push((name, direction, without));
    }
    let names: Vec<TableName> = wanted.iter().map(|(name, ..)| name.clone()).collect();
    let described = match schema::described(world.link("office"), &names).await {
        Ok(described) => described,
        Err(error) => return Ok(refusal(&error)),
    };
    for (one, (_, direction, without)) in described.into_iter().zip(&wanted) {
        learn(world, one, *direction, without);
    }
    let options =
        PrepareOptions { members: vec![world.ground.till.user.clone()], ..Default::default() };
    let mut office = world.ground.link("office");
    let mut prepared = Vec::new();
    for name in &names {
        prepared.push(as_prepared(world.known(&name.to_string())?));
    }
    match prepare::prepare(&mut office, &prepared, &options).await {
        Ok(()) => Ok(String::new()),
        Err(error) => Ok(refusal(&error)),
    }
}

fn as_prepared(known: &Known) -> Prepared<'_> {
    Prepared { table: &known.full, travelling: &known.travelling, direction: known.direction }
}

fn learn(world: &mut World<'_>, described: Described, direction: Direction, without: &[String]) {
    let full = described.table;
    let travelling = Arc::new(full.travelling(without));
    let mut entry = ScopeTable::whole(full.name.clone());
    entry.excluded_columns = without.to_vec();
    let name = full.name.to_string().to_lowercase();
    world.tables.insert(name, Known { full, travelling, entry, direction });
}

pub async fn check(world: &mut World<'_>, rest: &str) -> Answer {
    let by = if rest.is_empty() { "till" } else { rest };
    let mut link = world.ground.link(by);
    let prepared: Vec<Prepared<'_>> = world.tables.values().map(as_prepared).collect();
    match prepare::check(&mut link, Capture::ChangeTracking, &prepared).await {
        Ok(missing) => Ok(missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        Err(error) => Ok(refusal(&error)),
    }
}
