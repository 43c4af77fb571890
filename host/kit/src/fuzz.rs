//! `plugin fuzz`: rows and conflicts made from the schema, until the plugin breaks its contract.
//!
//! ```text
//! each table that it names -> batches of invented rows -> twice and in halves through the sandbox
//!   -> trap, deadline, memory, wrong answer, refused batch, unsteady answer -> made small -> a case folder
//! ```
//! * Everything follows from the seed: the same seed finds the same.
//! * One finding a table, role and code: a rule that traps at every NULL is told once.

mod shrink;

use crate::KitError;
use crate::case;
use crate::conflicts;
use crate::determinism;
use crate::generate;
use crate::rows::{Entry, Format, RowWriter, shape};
use crate::schema::Schema;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::draw::Draw;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_plugin::{BatchContext, EVERY_COLUMN, Flow, Plugin, Role, TableUse, Verdict};

pub struct Fuzz<'a> {
    pub plugin: &'a Plugin,
    pub config: &'a str,
    pub schema: &'a Schema,
    pub seed: u64,
    /// How many rows each table gets, and a tenth as many conflicts.
    pub rows: u64,
}

/// One way in which the plugin breaks its contract, made small.
pub struct Found {
    pub code: &'static str,
    pub message: String,
    pub asked: Asked,
    pub context: BatchContext,
    shape: Arc<Table>,
    config: String,
}

/// What a rule said to the invented rows where it kept its contract. One that refuses them all was hardly tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub rows: u64,
    pub dropped: u64,
    pub refused: u64,
}

impl Answers {
    fn note(&mut self, verdicts: &[Verdict]) {
        let count = |is: fn(&Verdict) -> bool| verdicts.iter().filter(|one| is(one)).count() as u64;
        self.rows += verdicts.len() as u64;
        self.dropped += count(|one| matches!(one, Verdict::Drop));
        self.refused += count(|one| matches!(one, Verdict::Refuse(_)));
    }
}

pub enum Asked {
    Rows(Vec<Row>),
    Conflicts(Vec<Conflict>),
}

impl Fuzz<'_> {
    /// `each` is told of every table and role with what was found there; of a resolver without answers.
    pub fn run(
        &self,
        mut each: impl FnMut(&TableUse, &[Found], Option<Answers>),
    ) -> Result<Vec<Found>, KitError> {
        let mut all = Vec::new();
        for used in self.plugin.uses() {
            let table = self.schema.find(&used.table.to_string())?.travelling(&[]);
            if let Some(mistake) = self.plugin.mistakes_against(&table).into_iter().next() {
                return Err(mistake.into());
            }
            let shape = Arc::new(passing(self.plugin, used, &table));
            let (found, answers) = match used.role {
                Role::Transform => {
                    let mut answers = Answers::default();
                    (self.transform(&shape, &mut answers), Some(answers))
                }
                Role::Resolve => (self.resolve(&shape), None),
            };
            each(used, &found, answers);
            all.extend(found);
        }
        Ok(all)
    }

    fn transform(&self, shape: &Arc<Table>, answers: &mut Answers) -> Vec<Found> {
        let (mut found, mut known, mut asked, mut batch) = (Vec::new(), BTreeSet::new(), 0, 0);
        while asked < self.rows {
            let mut draw = Draw::of(self.seed, &shape.name.to_string(), batch);
            let context = context(&mut draw);
            // Small batches first: what they find is small already.
            let most = (self.rows - asked).min(4u64.saturating_pow(batch.min(5) as u32));
            let count = most.min(PULL_PAGE_ROWS_MAX as u64);
            let rows: Vec<Row> = (0..count).map(|_| generate::row(&mut draw, shape)).collect();
            (asked, batch) = (asked + count, batch + 1);
            let ask = |rows: &[Row]| determinism::transform(self.plugin, &context, shape, rows);
            let error = match ask(&rows) {
                Ok(verdicts) => {
                    answers.note(&verdicts);
                    continue;
                }
                Err(error) => error,
            };
            let trouble = |rows: &[Row]| ask(rows).err();
            if known.insert(error.code()) {
                let rows = shrink::rows(rows, shape, error.code(), trouble);
                let message = trouble(&rows).unwrap_or(error);
                found.push(self.found(message, Asked::Rows(rows), context.clone(), shape));
            }
        }
        found
    }

    fn resolve(&self, shape: &Arc<Table>) -> Vec<Found> {
        let (mut found, mut known) = (Vec::new(), BTreeSet::new());
        for batch in 0..self.rows.div_ceil(10 * CONFLICTS) {
            let mut draw = Draw::of(self.seed, &format!("conflict {}", shape.name), batch);
            let context = context(&mut draw);
            let count = if batch < CONFLICTS { batch + 1 } else { CONFLICTS };
            let conflicts: Vec<Conflict> =
                (0..count).map(|_| generate::conflict(&mut draw, shape)).collect();
            let trouble = |conflicts: &[Conflict]| {
                determinism::resolve(self.plugin, &context, conflicts).err()
            };
            let Some(error) = trouble(&conflicts) else { continue };
            if known.insert(error.code()) {
                let conflicts = shrink::conflicts(conflicts, error.code(), trouble);
                let message = trouble(&conflicts).unwrap_or(error);
                let asked = Asked::Conflicts(conflicts);
                found.push(self.found(message, asked, context.clone(), shape));
            }
        }
        found
    }

    fn found(
        &self,
        error: KitError,
        asked: Asked,
        context: BatchContext,
        shape: &Arc<Table>,
    ) -> Found {
        Found {
            code: error.code(),
            message: error.to_string(),
            asked,
            context,
            shape: shape.clone(),
            config: self.config.to_string(),
        }
    }
}

/// Conflicts are few on a register; a batch of them too.
const CONFLICTS: u64 = 8;

/// The columns that the plugin is shown or may change, and the key.
pub(crate) fn passing(plugin: &Plugin, used: &TableUse, table: &Table) -> Table {
    let of_table = plugin.uses().iter().filter(|other| other.table == used.table);
    let named: BTreeSet<String> = of_table
        .flat_map(|used| used.reads.iter().chain(&used.writes))
        .map(|name| name.to_ascii_uppercase())
        .collect();
    if named.contains(EVERY_COLUMN) {
        return table.clone();
    }
    let is_wanted = |at: usize| {
        table.is_key(at) || named.contains(&table.columns[at].name.to_ascii_uppercase())
    };
    let wanted = (0..table.columns.len()).filter(|at| is_wanted(*at));
    let names: Vec<String> = wanted.map(|at| table.columns[at].name.clone()).collect();
    shape(table, &names).unwrap_or_else(|_| table.clone())
}

/// Both ways, and now and then a register that knows no store.
fn context(draw: &mut Draw) -> BatchContext {
    BatchContext {
        flow: *draw.pick(&[Flow::Pull, Flow::Push]),
        scope: "test".to_string(),
        store: draw.pick(&["S0001", "S0001", "S0001", ""]).to_string(),
        register: "000001".to_string(),
        time: Timestamp(0),
    }
}

impl Found {
    /// Writes a case below `cases`, with no word yet of what is right; its folder.
    pub fn write(&self, cases: &Path) -> Result<PathBuf, KitError> {
        let name = format!("fuzz-{}-{}", self.shape.name.name.to_lowercase(), self.code);
        let free = (1..).map(|number| match number {
            1 => cases.join(&name),
            number => cases.join(format!("{name}-{number}")),
        });
        let folder = free.into_iter().find(|folder| !folder.exists()).unwrap_or_default();
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            let unwritten = |cause| KitError::File { path: path.clone(), done: "written", cause };
            fs::create_dir_all(&folder).map_err(unwritten)?;
            fs::write(&path, text).map_err(unwritten)
        };
        file("case.toml", self.case_text())?;
        match &self.asked {
            Asked::Rows(rows) => file("input.json", self.rows_text(rows))?,
            Asked::Conflicts(all) => file("conflict.json", conflicts::text(all, &self.shape))?,
        }
        Ok(folder)
    }

    fn case_text(&self) -> String {
        let line: String = self.message.replace(|c: char| c.is_control(), " ");
        let settings = case::text(&self.shape.name, &self.config, &self.context);
        format!("# Found by fuzzing: {line}\n{settings}")
    }

    fn rows_text(&self, rows: &[Row]) -> String {
        let shape = self.shape.clone();
        let writer = RowWriter { format: Format::Json, shape, with_verdicts: false };
        let line = |row: &Row| {
            let line = writer.line(&Entry { line: 0, said: None, row: row.clone() });
            line.trim_end().to_string()
        };
        let lines: Vec<String> = rows.iter().map(line).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }
}

#[cfg(test)]
mod tests;
