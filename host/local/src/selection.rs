//! The choice of products and customers that a file's rows stand under: kept with them, replaced with them.
//!
//! ```text
//! nothing loaded yet:  keep_selection
//! later:               stage what changed and who joined ─► land_selected: rows, positions, choice, and who left goes
//! ```
//!
//! * [`LocalDatabase::land_selected`] is one transaction a file: a POS never sees an item without its price, whichever
//!   scope brings it. The journal goes first; the catalogue's choice is the one that counts, so a crash between the two
//!   repeats the landing, from what both files have ([`LocalDatabase::landed_selection`]).
//! * A row with unsent changes stays, whatever the choice says, until it was sent.
//! * What is withheld is overwritten in the file, and the write-ahead log is emptied.

use crate::apply;
use crate::database::LocalDatabase;
use crate::error::LocalError;
use crate::file::{Kind, Trouble};
use crate::registry::{Entry, StoredPosition};
use crate::schema::{folded, quoted};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tillhold_core::row::fold;
use tillhold_core::selection::{Dependence, Domain, MemberKind, Members, Restriction};
use tillhold_core::stage::Tally;
use tillhold_core::table::TableName;
use tillhold_core::version::Position;

/// What is kept of a choice beside its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSelection {
    pub domain: Domain,
    /// The rule that it was computed by.
    pub rule: String,
    /// What its tables were restricted to.
    pub tables: BTreeMap<TableName, Restriction>,
    /// What the agent tells about it; kept as it is.
    pub told: String,
    pub computed_ms: i64,
}

/// A landing in which the choice changes, over all scopes that hang on it.
pub struct SelectedLanding {
    pub selection: KeptSelection,
    pub members: Members,
    pub positions: Vec<(TableName, Position)>,
    pub epoch: [u8; 16],
}

/// What such a landing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectedTally {
    pub landed: Tally,
    /// Rows of those who left.
    pub left: u64,
}

impl LocalDatabase {
    /// The choice that the catalogue's rows stand under; `None`: everyone is there.
    pub async fn selection(&self, domain: Domain) -> Result<Option<KeptSelection>, LocalError> {
        self.readers(Kind::Catalogue).run(move |conn| selection(conn, domain)).await
    }

    pub async fn members(&self, domain: Domain) -> Result<Members, LocalError> {
        self.readers(Kind::Catalogue).run_long(move |conn| members(conn, domain)).await
    }

    /// What the next landing goes on from: the choice that counts, with those of its members alone whose rows are in both
    /// files. A crash between two landings leaves the journal under a newer choice, for which some have left it.
    pub async fn landed_selection(
        &self,
        domain: Domain,
    ) -> Result<Option<(KeptSelection, Members)>, LocalError> {
        let kept = move |conn: &Connection| match selection(conn, domain)? {
            Some(kept) => Ok(Some((kept, members(conn, domain)?))),
            None => Ok(None),
        };
        let counted = self.readers(Kind::Catalogue).run_long(kept).await?;
        let registry = self.registry();
        let is_there =
            |table: &TableName| registry.get(table).is_ok_and(|entry| entry.kind == Kind::Journal);
        let journal = self.readers(Kind::Journal).run_long(kept).await?;
        // A choice without a table there passes the journal by, and leaves it with an earlier one.
        let journal = journal.filter(|(kept, _)| kept.tables.keys().any(is_there));
        Ok(match (counted, journal) {
            (Some((mut kept, members)), Some((newer, there))) => {
                let tables = newer.tables.into_iter().filter(|(table, _)| is_there(table));
                for (table, restriction) in tables {
                    kept.tables.entry(table).or_insert(restriction);
                }
                let members = members.beyond(&members.beyond(&there));
                Some((kept, members))
            }
            // Of a first choice that came to the journal alone, the catalogue has everyone.
            (counted, journal) => counted.or(journal),
        })
    }

    /// The first choice, before anything was loaded by it.
    pub async fn keep_selection(
        &self,
        selection: KeptSelection,
        members: Members,
    ) -> Result<(), LocalError> {
        let landing = SelectedLanding { selection, members, positions: Vec::new(), epoch: [0; 16] };
        self.land_selected(landing).await.map(drop)
    }

    /// Rows, positions and the new choice, whole.
    pub async fn land_selected(
        &self,
        landing: SelectedLanding,
    ) -> Result<SelectedTally, LocalError> {
        // The catalogue's choice counts, so it comes last.
        let mut parts = [Part::new(Kind::Journal), Part::new(Kind::Catalogue)];
        let number = |kind: Kind| usize::from(kind == Kind::Catalogue);
        for (table, position) in landing.positions {
            let entry = self.pulled(&table)?;
            let position = entry.stored(position)?;
            parts[number(entry.kind)].positions.push((entry, position));
        }
        for (table, restriction) in &landing.selection.tables {
            let entry = self.pulled(table)?;
            let prune = prune_sql(&entry, restriction)?;
            parts[number(entry.kind)].prunes.push(prune);
        }
        let now_ms = self.env().clock.wall_ms();
        let shared = Arc::new((landing.selection, landing.members));
        let mut tally = SelectedTally::default();
        for part in parts {
            if part.kind == Kind::Journal && part.positions.is_empty() && part.prunes.is_empty() {
                continue;
            }
            let (kind, shared) = (part.kind, shared.clone());
            let land = move |conn: &mut Connection| {
                let (selection, members) = &*shared;
                let is_thorough = selection.tables.values().any(|r| *r == Restriction::Withheld);
                thoroughly(conn, is_thorough, |conn| {
                    part.land(conn, selection, members, landing.epoch, now_ms)
                })
            };
            let landed = self.writer(kind).run(land).await?;
            tally.landed += landed.landed;
            tally.left += landed.left;
        }
        Ok(tally)
    }

    /// The values of a text column of one table, each once; none when there is no such table or column.
    pub async fn texts_of(
        &self,
        table: &TableName,
        column: &str,
        most: usize,
    ) -> Result<BTreeSet<String>, LocalError> {
        let registry = self.registry();
        let found = registry.get(table).ok();
        let Some((entry, at)) = found.and_then(|e| Some((e, e.table.position(column)?))) else {
            return Ok(BTreeSet::new());
        };
        let (rows, column) =
            (quoted(&entry.table.name.to_string()), quoted(&entry.table.columns[at].name));
        let sql = format!(
            "SELECT DISTINCT {column} FROM {rows} WHERE typeof({column}) = 'text' \
             AND {column} <> '' LIMIT {most}"
        );
        let read = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map((), |row| row.get::<_, String>(0))?;
            Ok(rows.collect::<Result<BTreeSet<String>, rusqlite::Error>>()?)
        };
        self.readers(entry.kind).run_long(read).await
    }
}

/// One file's share of a landing.
struct Part {
    kind: Kind,
    positions: Vec<(Arc<Entry>, StoredPosition)>,
    /// Statements that take away the rows of who is no member.
    prunes: Vec<String>,
}

impl Part {
    fn new(kind: Kind) -> Part {
        Part { kind, positions: Vec::new(), prunes: Vec::new() }
    }

    fn land(
        &self,
        conn: &mut Connection,
        selection: &KeptSelection,
        members: &Members,
        epoch: [u8; 16],
        now_ms: i64,
    ) -> Result<SelectedTally, Trouble> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tally = apply::quietly(&transaction, self.kind, |conn| {
            let landed = apply::land_tables(conn, &self.positions, epoch, now_ms)?;
            keep(conn, selection, members)?;
            let mut left = 0;
            for prune in &self.prunes {
                left += conn.execute(prune, ())? as u64;
            }
            Ok(SelectedTally { landed, left })
        })?;
        tally.landed.balanced().map_err(LocalError::from)?;
        transaction.commit()?;
        Ok(tally)
    }
}

/// Deletions leave nothing readable in the file or its log.
fn thoroughly<T>(
    conn: &mut Connection,
    is_thorough: bool,
    work: impl FnOnce(&mut Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    if !is_thorough {
        return work(conn);
    }
    conn.pragma_update(None, "secure_delete", "ON")?;
    let answer = work(conn);
    conn.pragma_update(None, "secure_delete", "FAST")?;
    let answer = answer?;
    // A reader may hold an older state: then the log is emptied by a later checkpoint.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    Ok(answer)
}

fn clear(conn: &Connection, domain: Domain) -> Result<(), Trouble> {
    let mut clear = conn.prepare_cached("DELETE FROM tillhold_member WHERE kind = ?1")?;
    for kind in MemberKind::ALL.into_iter().filter(|kind| kind.domain() == domain) {
        clear.execute([kind.name()])?;
    }
    conn.execute("DELETE FROM tillhold_selection WHERE domain = ?1", [domain.name()])?;
    Ok(())
}

fn keep(conn: &Connection, selection: &KeptSelection, members: &Members) -> Result<(), Trouble> {
    clear(conn, selection.domain)?;
    let mut add =
        conn.prepare_cached("INSERT INTO tillhold_member (kind, key, folded) VALUES (?1, ?2, ?3)")?;
    for kind in members.kinds() {
        for key in members.of(kind).into_iter().flatten() {
            match key.parse::<i64>() {
                Ok(number) if !kind.is_text() => add.execute((kind.name(), key, number))?,
                _ => add.execute((kind.name(), key, fold(key)))?,
            };
        }
    }
    let line =
        |(table, restriction): (&TableName, &Restriction)| format!("{table}\t{restriction}\n");
    let tables: String = selection.tables.iter().map(line).collect();
    conn.execute(
        "INSERT INTO tillhold_selection (domain, rule, tables, told, computed_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (selection.domain.name(), &selection.rule, tables, &selection.told, selection.computed_ms),
    )?;
    Ok(())
}

fn selection(conn: &Connection, domain: Domain) -> Result<Option<KeptSelection>, Trouble> {
    let sql = "SELECT rule, tables, told, computed_ms FROM tillhold_selection WHERE domain = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([domain.name()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let tables: String = row.get(1)?;
    let line = |line: &str| {
        let (table, restriction) = line.split_once('\t')?;
        Some((TableName::parse(table)?, Restriction::parse(restriction)?))
    };
    let damaged = || LocalError::Damaged {
        file: Kind::Catalogue.name().into(),
        detail: "tillhold_selection.tables has a value that no Tillhold writes".to_string(),
    };
    let tables: Option<BTreeMap<TableName, Restriction>> = tables.lines().map(line).collect();
    let tables = tables.ok_or_else(damaged)?;
    let (rule, told, computed_ms) = (row.get(0)?, row.get(2)?, row.get(3)?);
    Ok(Some(KeptSelection { domain, rule, tables, told, computed_ms }))
}

fn members(conn: &Connection, domain: Domain) -> Result<Members, Trouble> {
    let mut statement = conn.prepare_cached("SELECT key FROM tillhold_member WHERE kind = ?1")?;
    let mut members = Members::default();
    for kind in MemberKind::ALL.into_iter().filter(|kind| kind.domain() == domain) {
        let keys = statement.query_map([kind.name()], |row| row.get::<_, String>(0))?;
        let keys = keys.collect::<Result<BTreeSet<String>, rusqlite::Error>>()?;
        if !keys.is_empty() {
            members.insert(kind, keys);
        }
    }
    Ok(members)
}

/// What the channel's condition keeps is kept here: the two go by the same lines.
fn prune_sql(entry: &Entry, restriction: &Restriction) -> Result<String, LocalError> {
    let rows = quoted(&entry.table.name.to_string());
    let unsent = &entry.sql.unsent;
    let Restriction::Members(list) = restriction else {
        return Ok(format!("DELETE FROM {rows} WHERE NOT {unsent}"));
    };
    let column = |name: &str| match entry.table.position(name) {
        Some(at) => Ok(quoted(&entry.table.columns[at].name)),
        None => Err(LocalError::ChoiceColumn {
            table: entry.table.name.clone(),
            column: name.to_string(),
        }),
    };
    let one = |on: &Dependence| -> Result<String, LocalError> {
        let named = column(&on.column)?;
        let (compared, nobody) = match on.kind.is_text() {
            true => (folded(&named), "''"),
            false => (named.clone(), "0"),
        };
        let other = match &on.only {
            Some(code) => format!("{} IS NOT {} OR ", column(&code.column)?, code.value),
            None => String::new(),
        };
        Ok(format!(
            "({other}{named} IS NULL OR {compared} = {nobody} OR EXISTS (SELECT 1 FROM \
             tillhold_member AS m WHERE m.kind = '{}' AND m.folded = {compared}))",
            on.kind.name()
        ))
    };
    let conditions: Vec<String> = list.iter().map(one).collect::<Result<_, _>>()?;
    Ok(format!("DELETE FROM {rows} WHERE NOT ({}) AND NOT {unsent}", conditions.join(" AND ")))
}
