//! The settings of [`super::plugin_fields`]: what the operator says of a plugin, wherever it is used.

use super::effective::{Given, Origin, did_you_mean};
use super::plugin_fields as fields;
use super::reader::{Mistake, Placed, Section};
use std::path::Path;
use tillhold_core::grant::{Grant, Grants};
use tillhold_core::profile::{PluginTerms, PluginUse};
use tillhold_core::table::TableName;

#[derive(Clone, Debug)]
pub struct PluginEntry {
    pub name: Given<String>,
    pub digest: Option<Given<String>>,
    /// `None`: it gets what it declares.
    pub grants: Option<Vec<Given<Grant>>>,
}

impl PluginEntry {
    pub(super) fn read(section: &Section<'_>) -> PluginEntry {
        let here = Origin::File { line: section.line() };
        let line = |key: &str| section.line_of(key).unwrap_or_else(|| section.line());
        let digest = section.text(&fields::DIGEST).map(|value| {
            let from = Origin::File { line: line(fields::DIGEST.key) };
            Given { value, from }
        });
        let grants = section.sections(&fields::GRANTS);
        let grants = grants.iter().filter_map(|inner| {
            Some(Given { value: grant(inner)?, from: Origin::File { line: inner.line() } })
        });
        let grants = grants.collect();
        PluginEntry {
            name: Given { value: section.required_text(&fields::NAME), from: here },
            digest,
            grants: section.has(fields::GRANTS.key).then_some(grants),
        }
    }

    pub fn terms(&self) -> PluginTerms {
        let grants = |all: &Vec<Given<Grant>>| all.iter().map(|one| one.value.clone()).collect();
        PluginTerms {
            name: self.name.value.clone(),
            digest: self.digest.as_ref().map(|digest| digest.value.clone()),
            grants: self.grants.as_ref().map(|all| Grants(grants(all))),
        }
    }
}

fn grant(section: &Section<'_>) -> Option<Grant> {
    let names = |list: Option<Vec<Placed>>| -> Vec<String> {
        list.unwrap_or_default().into_iter().map(|name| name.text).collect()
    };
    let (reads, writes) = (section.texts(&fields::READS), section.texts(&fields::WRITES));
    let said = section.required_text(&fields::TABLE);
    let table = TableName::parse(&said);
    if table.is_none() && !said.is_empty() {
        section.wrong(fields::TABLE.key, &format!("is '{said}', which is not schema.TABLE"));
    }
    Some(Grant { table: table?, reads: names(reads), writes: names(writes) })
}

/// Entries for what no scope uses, which would be meant for another name, and digests that contradict each other.
pub(super) fn mistakes(
    entries: &[PluginEntry],
    uses: &[Given<PluginUse>],
    file: &Path,
) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut wrong = |from: Origin, message: String| {
        let line = Some(from.line()).filter(|line| *line > 0);
        found.push(Mistake { file: file.to_path_buf(), line, message });
    };
    let names = || uses.iter().map(|used| used.value.name.as_str());
    for entry in entries.iter().filter(|entry| !entry.name.value.is_empty()) {
        let name = &entry.name.value;
        if !names().any(|used| used == name) {
            let hint = did_you_mean(name, names());
            wrong(entry.name.from, format!("no scope uses the plugin {name}{hint}"));
        }
        let Some(pinned) = &entry.digest else { continue };
        for used in uses.iter().filter(|used| used.value.name == *name) {
            let other = used.value.digest.as_ref();
            if other.is_some_and(|other| !other.eq_ignore_ascii_case(&pinned.value)) {
                let line = pinned.from.line();
                let message = format!("plugin {name}: its digest is another one on line {line}");
                wrong(used.from, message);
            }
        }
    }
    found
}
