//! `plugin bench`: what a plugin costs a row, beside handing the same rows on without one.
//!
//! * Medians: a busy machine must not decide.
//! * "Doing nothing" is the same rows copied natively, cell by cell: what even a rule that is no plugin could not save.

use crate::KitError;
use crate::fuzz::passing;
use crate::generate;
use crate::schema::Schema;
use std::hint::black_box;
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::draw::Draw;
use tillhold_core::row::Row;
use tillhold_core::table::{Table, TableName};
use tillhold_env::Clock;
use tillhold_plugin::{BatchContext, Plugin, Role};

pub struct Bench<'a> {
    pub clock: &'a dyn Clock,
    pub plugin: &'a Plugin,
    pub context: BatchContext,
}

/// What was measured of one table and role.
pub struct Cost {
    pub table: TableName,
    pub role: Role,
    /// Rows or conflicts.
    pub rows: usize,
    pub row_ns: u64,
    /// The same rows copied natively.
    pub nothing_ns: u64,
    /// A call with one row, whole: a fresh instance, the row in, the answer out.
    pub call_ns: u64,
    /// The most that one call had.
    pub memory_bytes: usize,
}

/// Odd, so that the median is one that was measured.
const REPEATS: usize = 9;
const CALLS: usize = 101;

impl Bench<'_> {
    /// Invented rows for each table that the plugin names.
    pub fn invented(&self, schema: &Schema, seed: u64, rows: usize) -> Result<Vec<Cost>, KitError> {
        let mut costs = Vec::new();
        for used in self.plugin.uses() {
            let table = schema.find(&used.table.to_string())?.travelling(&[]);
            let shape = Arc::new(passing(self.plugin, used, &table));
            let mut draw = Draw::of(seed, &shape.name.to_string(), 0);
            costs.push(match used.role {
                Role::Transform => {
                    let rows: Vec<Row> =
                        (0..rows).map(|_| generate::row(&mut draw, &shape)).collect();
                    self.transform(&shape, &rows)?
                }
                Role::Resolve => {
                    let count = rows.div_ceil(10);
                    let conflicts: Vec<Conflict> =
                        (0..count).map(|_| generate::conflict(&mut draw, &shape)).collect();
                    self.resolve(&shape, &conflicts)?
                }
            });
        }
        Ok(costs)
    }

    pub fn transform(&self, shape: &Table, rows: &[Row]) -> Result<Cost, KitError> {
        let ask = |rows: &[Row]| self.plugin.transform(&self.context, shape, rows).map(drop);
        self.cost(shape, Role::Transform, rows, |rows| Ok(ask(rows)?))
    }

    fn resolve(&self, shape: &Table, conflicts: &[Conflict]) -> Result<Cost, KitError> {
        let ask = |asked: &[Conflict]| self.plugin.resolve(&self.context, asked).map(drop);
        self.cost(shape, Role::Resolve, conflicts, |asked| Ok(ask(asked)?))
    }

    fn cost<T: Clone>(
        &self,
        shape: &Table,
        role: Role,
        asked: &[T],
        ask: impl Fn(&[T]) -> Result<(), KitError>,
    ) -> Result<Cost, KitError> {
        let one = &asked[..asked.len().min(1)];
        // Once unmeasured: the first call finds nothing in the processor's caches.
        ask(asked)?;
        let whole = self.median(REPEATS, || ask(asked))?;
        let call = self.median(CALLS, || ask(one))?;
        let nothing = self.median(REPEATS, || {
            black_box(asked.to_vec());
            Ok(())
        })?;
        let each = asked.len().max(1) as u64;
        Ok(Cost {
            table: shape.name.clone(),
            role,
            rows: asked.len(),
            row_ns: whole * 1_000 / each,
            nothing_ns: nothing * 1_000 / each,
            call_ns: call * 1_000,
            memory_bytes: self.plugin.memory_peak_bytes(),
        })
    }

    /// In microseconds.
    fn median(
        &self,
        times: usize,
        mut work: impl FnMut() -> Result<(), KitError>,
    ) -> Result<u64, KitError> {
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let start = self.clock.monotonic_us();
            work()?;
            took.push(self.clock.monotonic_us() - start);
        }
        took.sort_unstable();
        Ok(took[times / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::Bench;
    use crate::Schema;
    use crate::fixtures::{component, context, sandbox};
    use std::sync::atomic::{AtomicU64, Ordering};
    use tillhold_core::limits::PLUGIN_MEMORY_BYTES_MAX;
    use tillhold_env::Clock;
    use tillhold_plugin::Role;

    /// Each look at it finds it later by one more: 0, 1, 3, 6, …
    #[derive(Default)]
    struct Slowing(AtomicU64);

    impl Clock for Slowing {
        fn wall_ms(&self) -> i64 {
            0
        }

        fn monotonic_us(&self) -> u64 {
            let looks = self.0.fetch_add(1, Ordering::Relaxed);
            looks * (looks + 1) / 2
        }
    }

    #[test]
    fn each_table_and_role_has_its_cost() {
        let schema = Schema::published().expect("the published schema");
        for (package, role, tables, rows) in [
            ("store-customers", Role::Transform, 3, 1_500),
            ("customer-merge", Role::Resolve, 4, 150),
        ] {
            let plugin = sandbox().load(&component(package), "").expect("it loads");
            let clock = Slowing::default();
            let bench = Bench { clock: &clock, plugin: &plugin, context: context() };
            let costs = bench.invented(&schema, 1, 1_500).expect("costs");
            assert_eq!(costs.len(), tables, "{package}");
            // Nine measurements: looks 0 and 1, 2 and 3, …: 1, 3, 5, …, 17, the median 9.
            assert_eq!(costs[0].row_ns, 9 * 1_000 / rows as u64);
            assert!(costs[0].call_ns > costs[0].row_ns, "the clock slows");
            for cost in costs {
                assert!(cost.role == role && cost.rows == rows, "{package}: {}", cost.table);
                assert!((65_536..PLUGIN_MEMORY_BYTES_MAX).contains(&cost.memory_bytes));
            }
        }
    }
}
