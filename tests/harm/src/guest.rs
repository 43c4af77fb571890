//! Guests: components that are none, and answers that no honest one gives.
//!
//! Of an answer the first byte says whether it is a resolver's (odd) or a transformer's.
//!
//! * A component is taken or refused with a code.
//! * Of an answer that is taken each verdict changes only columns that the plugin may write, to values that these columns
//!   hold, once each; the same answer is judged the same.

use crate::channel::every_type;
use crate::outside::{Outside, folder};
use std::sync::Arc;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::fit::fit;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_core::text;
use tillhold_core::value::Value;
use tillhold_plugin::outside::{resolution, verdicts};
use tillhold_plugin::{ComponentSource, PluginHost, PluginLimits, PluginSource, Verdict};

const ROWS: usize = 3;

pub fn component(input: &[u8]) {
    let (outside, folder) = (Outside::new(), folder());
    let env = outside.env.clone();
    let limits = PluginLimits { ticks_max: 20, ..PluginLimits::default() };
    let source = PluginSource::plain("harm", ComponentSource::Bytes(input.to_vec()), "");
    outside.run(async {
        let host = PluginHost::new(&env, &folder.path().join("cache"), limits).expect("a host");
        if let Err(error) = host.load(&source) {
            assert!(!error.code().is_empty() && !error.to_string().is_empty());
        }
    });
}

pub fn answer(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else { return };
    let table = Arc::new(every_type());
    // All but the key and one column.
    let writes: Vec<usize> = (2..table.columns.len()).collect();
    if which % 2 == 1 {
        return resolver(&table, &writes, bytes);
    }
    let judged = verdicts(&table, &writes, ROWS, bytes);
    // NaN is refused, so that equal answers are equal.
    assert_eq!(judged, verdicts(&table, &writes, ROWS, bytes));
    let Ok(judged) = judged else { return };
    assert_eq!(judged.len(), ROWS);
    for verdict in judged {
        if let Verdict::Replace(cells) = verdict {
            check(&table, &writes, &cells);
        }
    }
}

fn resolver(table: &Arc<Table>, writes: &[usize], bytes: &[u8]) {
    let row = |number: i64| {
        let mut cells = vec![Value::Null; table.columns.len()];
        (cells[0], cells[1]) = (Value::Int(1), Value::Bool(number == 2));
        cells[4] = Value::Int(number);
        Some(Row(cells))
    };
    for channel in [row(2), None] {
        let conflict = Conflict {
            table: table.clone(),
            key: Key(vec![Value::Int(1)]),
            base: row(1),
            channel,
            offline: row(3),
        };
        if let Ok(Resolution::Merge(cells)) = resolution(&conflict, writes, writes, bytes) {
            // What the plugin does not see may be merged by the host itself.
            let all: Vec<usize> = (1..table.columns.len()).collect();
            check(table, &all, &cells);
        }
    }
}

fn check(table: &Table, writes: &[usize], cells: &[(usize, Value)]) {
    for (number, (at, value)) in cells.iter().enumerate() {
        assert!(writes.contains(at), "column {at} is changed");
        assert!(cells[..number].iter().all(|(other, _)| other != at), "{at} is changed twice");
        let of = table.columns[*at].of;
        assert_eq!(fit(value.clone(), of).as_ref(), Ok(value), "{at}");
        if let Some(said) = text::canonical(value, of) {
            assert_eq!(text::parse(&said, of).as_ref(), Ok(value), "{at}: '{said}'");
        }
    }
}
