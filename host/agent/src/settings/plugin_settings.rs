//! The settings of [`super::plugin_fields`]: what the operator says of a plugin, wherever it is used.

use super::effective::{Given, Origin, did_you_mean};
use super::plugin_fields as fields;
use super::reader::{Mistake, Placed, Section};
use std::path::Path;
use std::time::Duration;
use tillhold_core::grant::{Grant, Grants};
use tillhold_core::profile::{PluginBounds, PluginTerms, PluginUse};
use tillhold_core::table::TableName;
use tillhold_plugin::key_number;

#[derive(Clone, Debug)]
pub struct PluginEntry {
    pub name: Given<String>,
    pub digest: Option<Given<String>>,
    /// `None`: it gets what it declares.
    pub grants: Option<Vec<Given<Grant>>>,
    /// As [`fields::BOUNDS`], where they are said.
    pub bounds: [Option<Given<f64>>; 4],
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
        let bounds = fields::BOUNDS.map(|field| {
            let from = Origin::File { line: line(field.key) };
            section.number(field).map(|value| Given { value, from })
        });
        PluginEntry {
            name: Given { value: section.required_text(&fields::NAME), from: here },
            digest,
            grants: section.has(fields::GRANTS.key).then_some(grants),
            bounds,
        }
    }

    pub fn terms(&self) -> PluginTerms {
        let grants = |all: &Vec<Given<Grant>>| all.iter().map(|one| one.value.clone()).collect();
        PluginTerms {
            name: self.name.value.clone(),
            digest: self.digest.as_ref().map(|digest| digest.value.clone()),
            grants: self.grants.as_ref().map(|all| Grants(grants(all))),
            bounds: self.bounds(),
        }
    }
}

impl PluginEntry {
    fn bounds(&self) -> PluginBounds {
        let [memory, deadline, answer, lines] =
            self.bounds.each_ref().map(|given| given.as_ref().map(|given| given.value));
        PluginBounds {
            memory_bytes: memory.map(|mb| (mb as usize) << 20),
            deadline: deadline.map(|ms| Duration::from_millis(ms as u64)),
            answer_bytes: answer.map(|mb| (mb as usize) << 20),
            log_lines: lines.map(|lines| lines as u32),
        }
    }
}

/// A use with what holds for its plugin everywhere.
pub(super) fn governed(
    entries: &[PluginEntry],
    keys: &[Given<String>],
    of: &PluginUse,
) -> PluginUse {
    let entry = entries.iter().find(|entry| entry.name.value == of.name);
    PluginUse {
        terms: entry.map(PluginEntry::terms).unwrap_or_default(),
        keys: keys.iter().map(|key| key.value.clone()).collect(),
        ..of.clone()
    }
}

/// Whose signatures are taken. What is no key is a mistake, not a key less: nobody else would be asked for a signature.
pub(super) fn keys(top: &Section<'_>) -> Vec<Given<String>> {
    let said = top.texts(&fields::PLUGIN_KEYS).unwrap_or_default();
    for (at, key) in said.iter().enumerate() {
        let first = said[..at].iter().find(|other| other.text == key.text);
        let what = match (key_number(&key.text), first) {
            (None, _) => {
                "is no public key of minisign: it is the line of a .pub file that begins with RW"
                    .to_string()
            }
            (Some(_), Some(first)) => format!("stands on line {} already", first.line),
            (Some(_), None) => continue,
        };
        top.wrong_at(key.line, &format!("{}: '{}' {what}", fields::PLUGIN_KEYS.key, key.text));
    }
    said.into_iter().map(Given::placed).collect()
}

/// As the profile spells them; what is not said is left out.
pub fn bounds_told(bounds: &PluginBounds) -> Vec<(&'static str, u64)> {
    let values = [
        bounds.memory_bytes.map(|bytes| (bytes >> 20) as u64),
        bounds.deadline.map(|time| time.as_millis() as u64),
        bounds.answer_bytes.map(|bytes| (bytes >> 20) as u64),
        bounds.log_lines.map(u64::from),
    ];
    let told = fields::BOUNDS.iter().zip(values);
    told.filter_map(|(field, value)| Some((field.key, value?))).collect()
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
