//! Plugins under test, on the author's own machine, without WebAssembly and without a database. The same code runs as
//! in production, from the columns that come in to the answer that goes out.
//!
//! ```
//! # use tillhold_sdk::{Context, Row, Verdict, testing, transformer};
//! # transformer! { "ax.T" { reads: ["A"], writes: ["A"], rule: louder } }
//! # fn louder(_: &Context, row: &mut Row) -> Verdict {
//! #     if let Some(text) = row.text("A") { row.set("A", format!("{text}!")) }
//! #     Verdict::Keep
//! # }
//! let judged = TRANSFORMER.judge(&testing::context(), "ax.T", &[("A", "ahoi".into())]);
//! assert_eq!(judged.changed("A"), Some(&"ahoi!".into()));
//! ```

use crate::cells::{Cells, column_of};
use crate::conflict::{Conflict, Resolution};
use crate::context::Flow;
use crate::generated::resolver::exports::tillhold::plugin::resolve as resolving;
use crate::generated::transformer::exports::tillhold::plugin::transform as transforming;
use crate::generated::transformer::tillhold::plugin::types as wire;
use crate::resolve::Resolver;
use crate::row::{Verdict, position};
use crate::transform::Transformer;
use crate::value::Value;

/// The context of a test: a pull for register `000001` of store `S0001`, with an empty config.
pub fn context() -> TestContext {
    TestContext(wire::Context {
        config: String::new(),
        flow: wire::Flow::Pull,
        scope: "test".to_string(),
        store: "S0001".to_string(),
        register: "000001".to_string(),
        time: 0,
    })
}

#[derive(Clone)]
pub struct TestContext(wire::Context);

impl TestContext {
    pub fn flow(mut self, flow: Flow) -> TestContext {
        self.0.flow = match flow {
            Flow::Pull => wire::Flow::Pull,
            Flow::Push => wire::Flow::Push,
        };
        self
    }

    pub fn store(mut self, store: &str) -> TestContext {
        self.0.store = store.to_string();
        self
    }

    pub fn config(mut self, config: &str) -> TestContext {
        self.0.config = config.to_string();
        self
    }

    #[cfg(test)]
    pub(crate) fn into_wire(self) -> wire::Context {
        self.0
    }
}

/// What a transformer said to one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub verdict: Verdict,
    pub changes: Vec<(&'static str, Value)>,
}

impl Judged {
    pub fn changed(&self, column: &str) -> Option<&Value> {
        self.changes.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, v)| v)
    }
}

impl Transformer {
    /// One row through the plugin. Panics when `row` lacks a column that the plugin reads, and when the plugin refuses
    /// the whole batch: a test should see both.
    pub fn judge(&self, context: &TestContext, table: &str, row: &[(&str, Value)]) -> Judged {
        let rule = self.rule(table).expect("the plugin has a rule for the table");
        let cell = |name: &&str| {
            let given = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
            let (_, value) = given.unwrap_or_else(|| panic!("give the row a value for {name}"));
            column_of(vec![value.clone()]).expect("one value is of one shape")
        };
        let columns: Vec<wire::Column> = rule.reads.iter().map(cell).collect();
        let answer = self.transform(context.0.clone(), table, 1, &columns);
        let answer = answer.unwrap_or_else(|message| panic!("the batch was refused: {message}"));
        let verdict = match answer.verdicts[0] {
            transforming::Verdict::Keep => Verdict::Keep,
            transforming::Verdict::Drop => Verdict::Drop,
            transforming::Verdict::Refuse => Verdict::Refuse(answer.reasons[0].clone()),
        };
        let change = |change: &transforming::Change| {
            let cells = Cells::new(&change.values, 1).expect("one row was changed");
            (rule.writes[change.column as usize], cells.value(0))
        };
        Judged { verdict, changes: answer.changes.iter().map(change).collect() }
    }
}

impl Resolver {
    /// One conflict through the plugin. Each side is the cells that differ from `row`, which gives every column its
    /// value before; `None` is a side without the row.
    pub fn judge(
        &self,
        context: &TestContext,
        table: &str,
        row: &[(&str, Value)],
        channel: Option<&[(&str, Value)]>,
        offline: Option<&[(&str, Value)]>,
    ) -> Resolution {
        let side = |changes: &[(&str, Value)]| -> Vec<wire::Value> {
            let value = |(name, before): &(&str, Value)| {
                let changed = changes.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
                changed.map_or(before, |(_, value)| value).clone().into()
            };
            row.iter().map(value).collect()
        };
        let names: Vec<String> = row.iter().map(|(name, _)| name.to_string()).collect();
        for (name, _) in [channel, offline].into_iter().flatten().flatten() {
            assert!(position(&names, name).is_some(), "give the row a value for {name}");
        }
        let conflict = Conflict::new(resolving::Conflict {
            table: table.to_string(),
            key: Vec::new(),
            columns: names,
            base: Some(side(&[])),
            channel: channel.map(side),
            offline: offline.map(side),
        });
        let context = crate::Context::new(context.0.clone(), self.settings);
        let context = context.expect("the config is well written");
        self.decide(&context, &conflict).expect("the plugin has a decision for the table")
    }
}
