//! One collection of figures as a file: what `--json` writes and `--from` and `--against` read.

use crate::figure::Figure;
use crate::machine::Machine;
use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub machine: Machine,
    /// With small sizes: no bar is meant for them.
    pub is_quick: bool,
    pub figures: Vec<Figure>,
    pub failures: Vec<Failure>,
}

/// A bench that did not end well, and its last words.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub run: String,
    pub said: String,
}

impl Record {
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    pub fn load(file: &Path) -> Result<Record> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let told: Json = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        Ok(Record::read(&told))
    }

    pub fn save(&self, file: &Path) -> Result<()> {
        let text = format!("{:#}\n", self.json());
        fs::write(file, text).with_context(|| file.display().to_string())
    }

    fn read(told: &Json) -> Record {
        let list = |key: &str| told[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let failure = |told: &Json| {
            let text = |key: &str| Some(told[key].as_str()?.to_string());
            Some(Failure { run: text("run")?, said: text("said")? })
        };
        Record {
            machine: Machine::read(&told["machine"]),
            is_quick: told["quick"] == true,
            figures: list("figures").iter().filter_map(Figure::read).collect(),
            failures: list("failures").iter().filter_map(failure).collect(),
        }
    }

    fn json(&self) -> Json {
        let failure = |failure: &Failure| json!({ "run": failure.run, "said": failure.said });
        json!({
            "machine": self.machine.json(),
            "quick": self.is_quick,
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::tests::figure;

    #[test]
    fn what_is_saved_is_loaded_again() {
        let record = Record {
            machine: Machine { cores: 2, processor: "A chip".to_string(), ..Machine::default() },
            is_quick: true,
            figures: vec![figure("a.b", 1.5, "ms", Some(1.0)), figure("c", 2.0, "s", None)],
            failures: vec![Failure { run: "a".to_string(), said: "no".to_string() }],
        };
        assert_eq!(Record::read(&record.json()), record);
    }
}
