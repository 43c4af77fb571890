//! Steps that read: first loads, reads of the front door, passes over changes.
//!
//! ```text
//! == mark start                                          keeps the channel's version (and epoch)
//! == snapshot dbo.A by 2 after x | 1                     pages of that size, `--` between them
//! == load dbo.A filter POINTS = 1                        the whole of it, as a register loads it; what passes
//! == keyed dbo.A x; y filter POINTS = 1                  rows by their keys, in the order of the keys
//! == read dbo.A where POINTS=1; NOTE=NULL; CARD~10; after x; limit 3
//! == pull dbo.A, dbo.B since start reach next as other   a whole pass; `as other` is another register; then `filter`
//! == begin dbo.A, dbo.B since start / page dbo.A / finish reach next      the same, step by step
//! ```

use crate::values::{key_text, read_key, read_value, row_text};
use crate::world::{Answer, INCARNATION, Open, World, listed, named, refusal};
use std::sync::Arc;
use tillhold_channel::capture::{Captured, Followed, Page, Pass, Standing, current, own_context};
use tillhold_channel::keyed::Found;
use tillhold_channel::{ChannelError, keyed as by_keys, read as front, snapshot as first};
use tillhold_core::condition::{Bound, Condition, Parameters};
use tillhold_core::filter::Filter;
use tillhold_core::profile::Capture;
use tillhold_core::row::{Change, Key};
use tillhold_core::table::Table;
use tillhold_core::version::{ChannelVersion, Incarnation};

const PAGE: usize = 1_000;
/// More pages than any case has rows: a load that turns in a circle ends.
const PAGES_MAX: usize = 10_000;

pub async fn mark(world: &mut World<'_>, rest: &str) -> Answer {
    match current(world.link("till"), Capture::ChangeTracking).await {
        Ok((epoch, version)) => {
            world.epochs = vec![epoch];
            world.marks.insert(rest.to_string(), version);
            Ok(String::new())
        }
        Err(error) => Ok(refusal(&error)),
    }
}

pub async fn snapshot(world: &mut World<'_>, rest: &str) -> Answer {
    let (name, options) = rest.split_once(' ').unwrap_or((rest, ""));
    let table = world.known(name)?.travelling.clone();
    let size = named(options, "by").map_or(Ok(PAGE), str::parse).map_err(|_| "by how many?")?;
    let after = options.split_once("after ").map(|(_, key)| read_key(key, &table)).transpose()?;
    let mut lines = Vec::new();
    match pages(world, &table, after, size, &mut lines).await {
        Ok(()) => {}
        Err(error) => lines.push(refusal(&error)),
    }
    Ok(lines.join("\n"))
}

async fn pages(
    world: &mut World<'_>,
    table: &Table,
    mut after: Option<Key>,
    size: usize,
    lines: &mut Vec<String>,
) -> Result<(), ChannelError> {
    for number in 0..PAGES_MAX {
        let page = first::page(world.link("till"), table, after.as_ref(), size).await?;
        if page.last_key.is_none() {
            break;
        }
        if number > 0 {
            lines.push("--".to_string());
        }
        after = page.last_key.clone();
        lines.extend(loaded_lines(page, table));
    }
    Ok(())
}

/// As the register loads a table: pages of the agent's own size, and what could not be carried.
pub async fn load(world: &mut World<'_>, rest: &str) -> Answer {
    let (name, filter) = with_filter(world, rest)?;
    let table = world.known(name)?.travelling.clone();
    let (give, mut take) = tokio::sync::mpsc::channel(1);
    let collect = async {
        let mut lines = Vec::new();
        while let Some(page) = take.recv().await {
            lines.extend(loaded_lines(page, &table));
        }
        lines
    };
    let (done, mut lines) = tokio::join!(
        first::pages(world.link("till"), &table, filter.as_deref(), None, None, give),
        collect
    );
    if let Err(error) = done {
        lines.push(refusal(&error));
    }
    Ok(lines.join("\n"))
}

/// What stands before ` filter …`, and the filter over the first table that is named there.
fn with_filter<'t>(
    world: &World<'_>,
    rest: &'t str,
) -> Result<(&'t str, Option<Arc<Bound>>), String> {
    let Some((rest, text)) = rest.split_once(" filter ") else { return Ok((rest, None)) };
    let name = rest.split([' ', ',']).next().unwrap_or_default();
    let table = &world.known(name)?.full;
    let condition = Condition::parse(text).map_err(|wrong| wrong.to_string())?;
    let given = Parameters { store: "S1", register: "1" };
    let bound = condition.bind(table, given).map_err(|wrong| format!("{wrong:?}"))?;
    Ok((rest, Some(Arc::new(bound))))
}

pub async fn keyed(world: &mut World<'_>, rest: &str) -> Answer {
    let (rest, filter) = with_filter(world, rest)?;
    let (name, keys) = rest.split_once(' ').ok_or("rows of what keys?")?;
    let table = world.known(name)?.travelling.clone();
    let keys: Result<Vec<Key>, String> =
        keys.split(';').map(|key| read_key(key.trim(), &table)).collect();
    let keys = keys?;
    let link = world.link("till");
    let found = match by_keys::rows(link, &table, filter.as_deref(), &keys).await {
        Ok(found) => found,
        Err(error) => return Ok(refusal(&error)),
    };
    let passing = by_keys::passing(link, &table, filter.as_deref(), &keys).await;
    let passing = passing.map_err(|error| error.to_string())?;
    let lines = found.iter().zip(&passing).map(|(found, passes)| match found {
        Found::Nothing if !passes => "nothing".to_string(),
        Found::Row(row) if *passes => row_text(row, &table),
        Found::Refused(reason) => format!("refused: {reason}"),
        other => format!("{other:?} and passing {passes}"),
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn loaded_lines(page: first::Page, table: &Table) -> Vec<String> {
    let rows = page.rows.iter().map(|row| row_text(row, table));
    let refused = |(key, _): &(Key, String)| format!("refused {}", key_text(key, table));
    rows.chain(page.refused.iter().map(refused)).collect()
}

pub async fn read(world: &mut World<'_>, rest: &str) -> Answer {
    let (name, conditions) = rest.split_once(" where ").unwrap_or((rest, ""));
    let (conditions, bound) = match conditions.split_once(" filter ") {
        Some((conditions, text)) => {
            (conditions, with_filter(world, &format!("{name} filter {text}"))?.1)
        }
        None => (conditions, None),
    };
    let table = world.known(name)?.travelling.clone();
    let filter = filter(conditions, &table)?;
    match front::read(world.link("till"), &table, &filter, bound.as_deref()).await {
        Ok(rows) => Ok(rows.iter().map(|row| row_text(row, &table)).collect::<Vec<_>>().join("\n")),
        Err(error) => Ok(refusal(&error)),
    }
}

fn filter(conditions: &str, table: &Table) -> Result<Filter, String> {
    let mut filter = Filter { limit: PAGE, ..Filter::default() };
    let position = |name: &str| table.position(name).ok_or(format!("no column {name}"));
    for part in conditions.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some(key) = part.strip_prefix("after ") {
            filter.after = Some(read_key(key, table)?);
        } else if let Some(limit) = part.strip_prefix("limit ") {
            filter.limit = limit.parse().map_err(|_| format!("{part}: how many?"))?;
        } else if let Some((name, start)) = part.split_once('~') {
            filter.prefix = Some((position(name)?, start.to_string()));
        } else {
            let (name, value) = part.split_once('=').ok_or(format!("{part} is no condition"))?;
            let at = position(name)?;
            filter.equals.push((at, read_value(value, table.columns[at].of)?));
        }
    }
    Ok(filter)
}

type Wanted = (Vec<String>, Vec<Followed>);

fn wanted(world: &World<'_>, rest: &str) -> Result<Wanted, String> {
    let (rest, filter) = with_filter(world, rest)?;
    let (names, options) = rest.split_once(" since ").ok_or("pull what since when?")?;
    let since = options.split_whitespace().next().ok_or("since when?")?;
    let mut tables = Vec::new();
    for name in listed(names) {
        let known = world.known(name)?;
        let (table, entry) = (known.travelling.clone(), known.entry.clone());
        let filter = filter.clone().filter(|_| tables.is_empty());
        let position = world.mark(since)?.into();
        tables.push(Followed { table, entry, filter, position, restricted: None });
    }
    Ok((listed(names).map(str::to_string).collect(), tables))
}

/// `as other` is a register that wrote none of the rows.
fn context(rest: &str) -> Vec<u8> {
    match named(rest, "as") {
        Some("other") => own_context(Incarnation([8; 16])),
        _ => own_context(INCARNATION),
    }
}

pub async fn pull(world: &mut World<'_>, rest: &str) -> Answer {
    let (names, tables) = wanted(world, rest)?;
    let (epochs, context) = (world.epochs.clone(), context(rest));
    let mut lines = Vec::new();
    let link = world.link("till");
    let reached = match Pass::begin(link, Capture::ChangeTracking, &epochs, context, &tables).await
    {
        Ok(pass) => whole(pass, &names, &tables, &mut lines).await,
        Err(error) => Err(error),
    };
    match reached {
        Ok(reached) => keep(world, rest, reached),
        Err(error) => lines.push(refusal(&error)),
    }
    Ok(lines.join("\n"))
}

async fn whole(
    mut pass: Pass<'_>,
    names: &[String],
    tables: &[Followed],
    lines: &mut Vec<String>,
) -> Result<ChannelVersion, ChannelError> {
    for (at, Followed { table, .. }) in tables.iter().enumerate() {
        if pass.standing(at) == Standing::Outdated {
            lines.push(format!("{} outdated", names[at]));
            continue;
        }
        while let Some(page) = pass.page(at).await? {
            lines.extend(page_lines(&page, table));
        }
    }
    let reached = pass.reached();
    pass.finish().await?;
    Ok(reached)
}

fn page_lines(page: &Page, table: &Table) -> Vec<String> {
    let refused = |(key, reason): &(Key, String)| {
        format!("{} refused {}: {reason}", table.name, key_text(key, table))
    };
    let changes = page.changes.iter().map(|one| captured(one, table));
    changes.chain(page.refused.iter().map(refused)).collect()
}

fn captured(captured: &Captured, table: &Table) -> String {
    let own = if captured.own { " (own)" } else { "" };
    match &captured.change {
        Change::Present(row) => format!("{} present {}{own}", table.name, row_text(row, table)),
        Change::Gone(key) => format!("{} gone {}{own}", table.name, key_text(key, table)),
    }
}

fn keep(world: &mut World<'_>, rest: &str, reached: ChannelVersion) {
    if let Some(name) = named(rest, "reach") {
        world.marks.insert(name.to_string(), reached);
    }
}

pub async fn begin(world: &mut World<'_>, rest: &str) -> Answer {
    let (names, tables) = wanted(world, rest)?;
    let link = Box::leak(Box::new(world.ground.link("till")));
    match Pass::begin(link, Capture::ChangeTracking, &world.epochs, context(rest), &tables).await {
        Ok(pass) => {
            let outdated = |at: &usize| pass.standing(*at) == Standing::Outdated;
            let lines: Vec<String> = (0..names.len())
                .filter(outdated)
                .map(|at| format!("{} outdated", names[at]))
                .collect();
            world.pass = Some(Open { pass, tables: names });
            Ok(lines.join("\n"))
        }
        Err(error) => Ok(refusal(&error)),
    }
}

pub async fn page(world: &mut World<'_>, rest: &str) -> Answer {
    let table = world.known(rest)?.travelling.clone();
    let open = world.pass.as_mut().ok_or("no pass is open")?;
    let at = open.tables.iter().position(|name| name == rest).ok_or("not in this pass")?;
    match open.pass.page(at).await {
        Ok(Some(page)) => Ok(page_lines(&page, &table).join("\n")),
        Ok(None) => Ok("no more".to_string()),
        Err(error) => Ok(refusal(&error)),
    }
}

pub async fn finish(world: &mut World<'_>, rest: &str) -> Answer {
    let open = world.pass.take().ok_or("no pass is open")?;
    let reached = open.pass.reached();
    match open.pass.finish().await {
        Ok(()) => {
            keep(world, rest, reached);
            Ok(String::new())
        }
        Err(error) => Ok(refusal(&error)),
    }
}
