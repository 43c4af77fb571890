//! One collection of figures as a file: what `--json` writes and `--from` and `--against` read.

use crate::figure::Figure;
use crate::machine::Machine;
use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
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

    /// With what an earlier collection has of runs that this one has nothing of.
    pub fn beside(mut self, earlier: Record) -> Record {
        let figures = self.figures.iter().map(|figure| figure.run().to_string());
        let failures = self.failures.iter().map(|failure| failure.run.clone());
        let runs: BTreeSet<String> = figures.chain(failures).collect();
        let is_other = |figure: &Figure| !runs.contains(figure.run());
        self.figures.extend(earlier.figures.into_iter().filter(is_other));
        self.failures.extend(earlier.failures.into_iter().filter(|f| !runs.contains(&f.run)));
        self
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
    fn what_was_not_measured_again_stays() {
        let record = |value, names: &[&str], failed: &[&str]| Record {
            figures: names.iter().map(|name| figure(name, value, "s", None)).collect(),
            failures: failed
                .iter()
                .map(|run| Failure { run: run.to_string(), said: value.to_string() })
                .collect(),
            ..Record::default()
        };
        let earlier = record(1.0, &["a.x", "a.y", "b.x"], &["a", "c"]);
        let whole = record(2.0, &["a.x"], &[]).beside(earlier);
        assert_eq!(whole.figures, [figure("a.x", 2.0, "s", None), figure("b.x", 1.0, "s", None)]);
        assert_eq!(whole.failures, [Failure { run: "c".to_string(), said: "1".to_string() }]);
    }

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
