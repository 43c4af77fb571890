//! Figures for a program that collects them (`cargo run --release -p tillhold-bench`): each is a line of JSON at the end
//! of the file that `TILLHOLD_FIGURES` names. Without it nothing is written.

use serde_json::{Value as Json, json};
use std::fs::OpenOptions;
use std::io::{Result, Write as _};

const FILE: &str = "TILLHOLD_FIGURES";

/// Of rates more is better (their units end with `/s`), of everything else less.
pub fn tell(name: &str, value: f64, unit: &str) -> Result<()> {
    append(&json!({ "name": name, "value": value, "unit": unit }))
}

/// With what bounds it: measured in the same run, in the same unit.
pub fn tell_beside(name: &str, value: f64, unit: &str, (what, most): (&str, f64)) -> Result<()> {
    let ceiling = json!({ "what": what, "value": most });
    append(&json!({ "name": name, "value": value, "unit": unit, "ceiling": ceiling }))
}

fn append(figure: &Json) -> Result<()> {
    match std::env::var_os(FILE) {
        Some(file) => {
            let mut file = OpenOptions::new().create(true).append(true).open(file)?;
            writeln!(file, "{figure}")
        }
        None => Ok(()),
    }
}
