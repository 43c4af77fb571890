//! A transformer: rules by table, run over a batch.

use crate::cells::{Cells, column_of};
use crate::context::{Context, Settings};
use crate::generated::transformer::exports::tillhold::plugin::transform as exported;
use crate::generated::transformer::tillhold::plugin::types as wire;
use crate::row::{Row, Verdict};
use crate::value::Value;

/// What [`transformer!`](crate::transformer) makes: the whole plugin, callable in a test as in production.
pub struct Transformer {
    /// The names that the config may set; with none the config is not read.
    pub settings: &'static [&'static str],
    pub rules: &'static [Rule],
}

/// One table's rule.
pub struct Rule {
    pub table: &'static str,
    pub reads: &'static [&'static str],
    pub writes: &'static [&'static str],
    pub rule: fn(&Context, &mut Row) -> Verdict,
}

impl Transformer {
    #[doc(hidden)]
    pub fn describe(&self, config: &str) -> Result<Vec<wire::TableUse>, String> {
        Settings::parse(config, self.settings)?;
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let used = |rule: &Rule| wire::TableUse {
            table: rule.table.to_string(),
            reads: owned(rule.reads),
            writes: owned(rule.writes),
        };
        Ok(self.rules.iter().map(used).collect())
    }

    #[doc(hidden)]
    pub fn transform(
        &self,
        context: wire::Context,
        table: &str,
        rows: u32,
        columns: &[wire::Column],
    ) -> Result<exported::Answer, String> {
        let context = Context::new(context, self.settings)?;
        let rule = self.rule(table)?;
        let rows = rows as usize;
        let columns: Vec<Cells> =
            columns.iter().map(|column| Cells::new(column, rows)).collect::<Result<_, _>>()?;
        if columns.len() != rule.reads.len() {
            return Err(format!("{} columns of {table}", columns.len()));
        }
        rule.answer(&context, rows, &columns)
    }

    pub(crate) fn rule(&self, table: &str) -> Result<&Rule, String> {
        let found = self.rules.iter().find(|rule| rule.table.eq_ignore_ascii_case(table));
        found.ok_or_else(|| format!("there is no rule for {table}"))
    }
}

impl Rule {
    fn answer(
        &self,
        context: &Context,
        rows: usize,
        columns: &[Cells],
    ) -> Result<exported::Answer, String> {
        let mut verdicts = Vec::with_capacity(rows);
        let mut reasons = Vec::new();
        let mut changed: Vec<(Vec<u32>, Vec<Value>)> = vec![Default::default(); self.writes.len()];
        let mut changes = Vec::new();
        for at in 0..rows {
            let Rule { table, reads, writes, .. } = *self;
            let mut row = Row { table, reads, writes, columns, at, changes: &mut changes };
            match (self.rule)(context, &mut row) {
                Verdict::Keep => {
                    verdicts.push(exported::Verdict::Keep);
                    for (column, value) in changes.drain(..) {
                        changed[column].0.push(at as u32);
                        changed[column].1.push(value);
                    }
                }
                Verdict::Drop => verdicts.push(exported::Verdict::Drop),
                Verdict::Refuse(reason) => {
                    verdicts.push(exported::Verdict::Refuse);
                    reasons.push(reason);
                }
            }
            changes.clear();
        }
        Ok(exported::Answer { verdicts, reasons, changes: self.changes(changed)? })
    }

    /// Only columns in which something changed.
    fn changes(
        &self,
        changed: Vec<(Vec<u32>, Vec<Value>)>,
    ) -> Result<Vec<exported::Change>, String> {
        let numbered = changed.into_iter().enumerate().filter(|(_, (rows, _))| !rows.is_empty());
        let change = |(column, (rows, values)): (usize, (Vec<u32>, Vec<Value>))| {
            let named = |what| format!("{} of {}: {what}", self.writes[column], self.table);
            let values = column_of(values).map_err(named)?;
            Ok(exported::Change { column: column as u32, rows, values })
        };
        numbered.map(change).collect()
    }
}
