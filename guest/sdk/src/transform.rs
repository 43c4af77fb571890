//! A transformer: rules by table, run over a batch.

use crate::cells::{Cells, column_of};
use crate::context::{Check, Context, Settings};
use crate::generated::transformer::exports::tillhold::plugin::transform as exported;
use crate::generated::transformer::tillhold::plugin::types as wire;
use crate::row::{Row, Verdict};
use crate::value::Value;

/// What [`transformer!`](crate::transformer) makes: the whole plugin, callable in a test as in production.
pub struct Transformer {
    /// The names that the config may set; with none the config is not read.
    pub settings: &'static [&'static str],
    /// What is wrong with the values of the settings, told when the plugin is loaded; at most one.
    pub checks: &'static [Check],
    pub rules: &'static [Rule],
}

/// One table's rule.
pub struct Rule {
    /// `schema.NAME`, as the channel has it.
    pub table: &'static str,
    /// The columns that the rule is shown.
    pub reads: &'static [&'static str],
    /// The columns that it may set; another one that it sets is refused by the host.
    pub writes: &'static [&'static str],
    pub rule: fn(&Context, &mut Row) -> Verdict,
}

impl Transformer {
    /// Whether a register would take this config; the error is what it would say at its start.
    pub fn accepts(&self, config: &str) -> Result<(), String> {
        let settings = Settings::parse(config, self.settings)?;
        self.checks.iter().try_for_each(|check| check(&settings))
    }

    #[doc(hidden)]
    pub fn describe(&self, config: &str) -> Result<Vec<wire::TableUse>, String> {
        self.accepts(config)?;
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

#[cfg(test)]
mod tests {
    use crate::testing::{Judged, context};
    use crate::{Context, Decimal, Row, Value, Verdict};

    crate::transformer! {
        settings: ["word"],
        "ax.T" { reads: ["WHAT", "PRICE", "NOTE"], writes: ["NOTE", "PRICE"], rule: as_told }
    }

    fn as_told(context: &Context, row: &mut Row) -> Verdict {
        match row.text("WHAT").unwrap_or("null") {
            "twice" => {
                row.set("NOTE", "first");
                row.set("note", "second");
                // A row reads as it came.
                assert_eq!(row.text("NOTE"), Some("before"));
            }
            "nulls" => row.set("NOTE", None::<String>),
            "word" => row.set("NOTE", context.setting("word").unwrap_or("none")),
            "round" => {
                let rounded = row.decimal("PRICE").and_then(|price| price.rounded(1));
                row.set("PRICE", rounded);
            }
            "drop" => {
                row.set("NOTE", "lost");
                return Verdict::Drop;
            }
            "refuse" => {
                row.set("NOTE", "lost");
                return Verdict::refuse("why not");
            }
            "read" => drop(row.value("SECRET")),
            "write" => row.set("WHAT", "else"),
            _ => {}
        }
        Verdict::Keep
    }

    fn judge(what: impl Into<Value>) -> Judged {
        let price = Decimal::new(125, 2).into();
        let row = [("WHAT", what.into()), ("PRICE", price), ("NOTE", "before".into())];
        TRANSFORMER.judge(&context().config("word = ahoi"), "AX.t", &row)
    }

    #[test]
    fn a_rule_changes_what_it_sets_and_nothing_else() {
        let changed: [(&str, &[(&str, Value)]); 5] = [
            ("nothing", &[]),
            ("twice", &[("NOTE", "second".into())]),
            ("nulls", &[("NOTE", Value::Null)]),
            ("word", &[("NOTE", "ahoi".into())]),
            ("round", &[("PRICE", Decimal::new(13, 1).into())]),
        ];
        for (what, changes) in changed {
            assert_eq!(judge(what), Judged { verdict: Verdict::Keep, changes: changes.to_vec() });
        }
        assert_eq!(judge(None::<String>).changes, [], "NULL reads as None");
    }

    #[test]
    fn every_shape_is_read_by_its_name() {
        crate::transformer! {
            "ax.S" { reads: ["BIT", "FLT", "AT"], writes: ["FLT"], rule: shapes }
        }
        fn shapes(_: &Context, row: &mut Row) -> Verdict {
            let read = (row.boolean("BIT"), row.float("FLT"), row.timestamp("AT"));
            assert_eq!(
                (row.boolean("AT"), row.float("BIT"), row.timestamp("FLT")),
                Default::default()
            );
            if read == (Some(true), Some(0.5), Some(7)) { Verdict::Drop } else { Verdict::Keep }
        }
        let judge = |at| {
            let row = [("BIT", true.into()), ("FLT", 0.5.into()), ("AT", at)];
            TRANSFORMER.judge(&context(), "ax.S", &row).verdict
        };
        assert_eq!(judge(Value::Timestamp(7)), Verdict::Drop);
        assert_eq!(judge(Value::Null), Verdict::Keep);
    }

    #[test]
    fn wrong_values_of_settings_are_told_when_the_plugin_is_loaded() {
        crate::transformer! {
            settings: ["digits"],
            check: digits_are_a_number,
            "ax.T" { reads: [], writes: [], rule: keep }
        }
        fn digits_are_a_number(settings: &crate::Settings) -> Result<(), String> {
            let digits = settings.get("digits").unwrap_or("0");
            digits.parse::<u8>().map(|_| ()).map_err(|_| format!("digits: '{digits}'"))
        }
        fn keep(_: &Context, _: &mut Row) -> Verdict {
            Verdict::Keep
        }
        assert_eq!(TRANSFORMER.accepts("digits = 2"), Ok(()));
        for (config, told) in [("digits = two", "digits: 'two'"), ("digit = 2", "no setting")] {
            let error = TRANSFORMER.describe(config).map(|_| ()).expect_err("it is wrong");
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_not_kept_is_not_changed() {
        for (what, verdict) in [("drop", Verdict::Drop), ("refuse", Verdict::refuse("why not"))] {
            assert_eq!(judge(what), Judged { verdict, changes: vec![] });
        }
    }

    #[test]
    #[should_panic = "SECRET of ax.T is not declared under `reads`"]
    fn an_undeclared_column_cannot_be_read() {
        judge("read");
    }

    #[test]
    #[should_panic = "WHAT of ax.T is not declared under `writes`"]
    fn an_undeclared_column_cannot_be_written() {
        judge("write");
    }

    /// The last words named this kit's line.
    #[test]
    fn an_undeclared_column_is_told_at_the_rules_own_line() {
        use std::cell::RefCell;
        use std::panic;
        thread_local!(static FILE: RefCell<String> = RefCell::default());
        let usual = panic::take_hook();
        panic::set_hook(Box::new(|panic| {
            let file = panic.location().map_or("", |place| place.file());
            FILE.with_borrow_mut(|known| *known = file.to_string());
        }));
        let files = ["read", "write"].map(|what| {
            panic::catch_unwind(|| judge(what)).expect_err("the column is not declared");
            FILE.take()
        });
        panic::set_hook(usual);
        assert!(files.iter().all(|file| file.ends_with("transform.rs")), "{files:?}");
    }

    #[test]
    fn rows_of_a_batch_keep_their_numbers() {
        use super::exported::Verdict as Said;
        let words = ["nothing", "twice", "drop", "refuse", "word"].map(Value::from);
        let columns = [
            crate::cells::column_of(words.to_vec()),
            crate::cells::column_of(vec![Decimal::new(1, 0).into(); 5]),
            crate::cells::column_of(vec!["before".into(); 5]),
        ]
        .map(|column| column.expect("one shape a column"));
        let answer = TRANSFORMER.transform(context().into_wire(), "ax.T", 5, &columns);
        let answer = answer.expect("a well formed batch");
        assert_eq!(answer.verdicts, [Said::Keep, Said::Keep, Said::Drop, Said::Refuse, Said::Keep]);
        assert_eq!(answer.reasons, ["why not"]);
        assert_eq!(answer.changes.len(), 1);
        assert_eq!((answer.changes[0].column, &answer.changes[0].rows[..]), (0, &[1, 4][..]));
    }
}
