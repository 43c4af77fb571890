//! A plugin of the contract 0.1.0 that uses all of it: every type both ways, every verdict, every resolution, log lines.
//!
//! Its config says what it does: `mirror`, `judge`, `tell`; `wrong` is refused. It goes beneath the kit's rows, straight
//! to the contract, because what it keeps watch over is the contract.
#![cfg(target_arch = "wasm32")]

use tillhold_sdk::generated::resolver::exports::tillhold::plugin::resolve;
use tillhold_sdk::generated::transformer::exports::tillhold::plugin::transform;
use tillhold_sdk::generated::transformer::tillhold::plugin::types;
use tillhold_sdk::{generated, log};
use transform::{Answer, Change, Verdict};
use types::TableUse;

struct Released;

const TABLE: &str = "ax.EVERYTYPE";
const COLUMNS: [&str; 12] =
    ["BIT", "INT", "FLT", "DEC", "TXT", "BIN", "DAT", "TIM", "MOM", "OFS", "GUI", "MON"];

fn describe(config: &str) -> Result<Vec<TableUse>, String> {
    let columns: Vec<String> = COLUMNS.iter().map(|name| name.to_string()).collect();
    match config {
        "wrong" => Err("no such config".to_string()),
        _ => Ok(vec![TableUse { table: TABLE.to_string(), reads: columns.clone(), writes: columns }]),
    }
}

impl transform::Guest for Released {
    fn describe(config: String) -> Result<Vec<TableUse>, String> {
        describe(&config)
    }

    fn transform(
        context: types::Context,
        table: String,
        rows: u32,
        columns: Vec<types::Column>,
    ) -> Result<Answer, String> {
        log::info(&format!("{rows} rows of {table}"));
        log::warning("a warning");
        let keep = vec![Verdict::Keep; rows as usize];
        match &*context.config {
            "mirror" => {
                let numbered = (0..).zip(columns);
                let changes = numbered
                    .map(|(column, values)| Change { column, rows: (0..rows).collect(), values });
                Ok(Answer { verdicts: keep, reasons: vec![], changes: changes.collect() })
            }
            "judge" => {
                let verdict = |row| match row % 3 {
                    0 => Verdict::Keep,
                    1 => Verdict::Drop,
                    _ => Verdict::Refuse,
                };
                let reasons = (0..rows).filter(|row| row % 3 == 2);
                let reasons = reasons.map(|row| format!("row {row}")).collect();
                let verdicts = (0..rows).map(verdict).collect();
                Ok(Answer { verdicts, reasons, changes: vec![] })
            }
            _ => Err(format!("{context:?}")),
        }
    }
}

impl resolve::Guest for Released {
    fn describe(config: String) -> Result<Vec<TableUse>, String> {
        describe(&config)
    }

    fn resolve(
        context: types::Context,
        conflicts: Vec<resolve::Conflict>,
    ) -> Result<Vec<resolve::Resolution>, String> {
        if context.config == "tell" {
            return Err(format!("{context:?}"));
        }
        Ok(conflicts.into_iter().zip(0..).map(|(one, number)| decide(one, number)).collect())
    }
}

fn decide(conflict: resolve::Conflict, number: u32) -> resolve::Resolution {
    match number % 4 {
        0 => resolve::Resolution::TakeChannel,
        1 => resolve::Resolution::TakeOffline,
        2 => resolve::Resolution::Deferred(conflict.columns.join(",")),
        // The channel's cells, each as it came.
        _ => {
            let cells = conflict.columns.into_iter().zip(conflict.channel.unwrap_or_default());
            let cells = cells.map(|(column, value)| types::Cell { column, value });
            resolve::Resolution::Merged(cells.collect())
        }
    }
}

generated::transformer::export_transformer!(Released with_types_in generated::transformer);
generated::resolver::export_resolver!(Released with_types_in generated::resolver);
