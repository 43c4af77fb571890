//! A profile as the text of a `profile.toml`, that reads back as the same profile.

use super::conduct::ConductEntry;
use super::effective::{Effective, EffectiveScope, Given, Origin};
use super::field::{Field, Number};
use super::plugin_fields;
use super::plugin_settings::{PluginEntry, bounds_told};
use super::profile_fields::{self as fields, PolicyWord};
use super::profile_file::TableEntry;
use std::fmt::Write as _;
use std::time::Duration;
use tillhold_core::conflict::Policy;
use tillhold_core::profile::{PluginTerms, PluginUse, Resolver};

/// Where a comment begins, when the value before it is short enough.
const COMMENT_COLUMN: usize = 44;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Everything, defaults too, each value with where it came from.
    Origins,
    /// What differs from the defaults.
    Needed,
}

pub fn text(profile: &Effective, told: Told) -> String {
    let mut page = Page { text: String::new(), told, file: profile.file.display().to_string() };
    page.entry(fields::NAME.key, &profile.name, |name| quoted(name));
    if told == Told::Origins || !profile.description.value.is_empty() {
        page.entry(fields::DESCRIPTION.key, &profile.description, |words| quoted(words));
    }
    page.seconds(&fields::OFFLINE_TIMEOUT, &profile.offline_timeout, 1.0);
    page.seconds(&fields::RECONNECT_INTERVAL, &profile.reconnect_interval, 60.0);
    page.seconds(&fields::DWELL, &profile.dwell, 1.0);
    let path = &profile.write_path;
    if page.tells(path.value == fields::WRITE_PATH.default()) {
        page.entry(fields::WRITE_PATH.key, path, |path| quoted(fields::WRITE_PATH.spelled(path)));
    }
    if !profile.plugin_keys.is_empty() {
        page.list(plugin_fields::PLUGIN_KEYS.key, &profile.plugin_keys, |key| quoted(key));
    }
    let capture = &profile.capture;
    if page.tells(capture.value == fields::CAPTURE_METHOD.default()) {
        let _ = writeln!(page.text, "\n[{}]", fields::CAPTURE.key);
        page.entry(fields::CAPTURE_METHOD.key, capture, |of| {
            quoted(fields::CAPTURE_METHOD.spelled(of))
        });
    }
    page.sections(profile.conduct.entries());
    page.sections(profile.selections.entries());
    for scope in &profile.scopes {
        page.scope(scope);
    }
    for plugin in &profile.plugins {
        page.plugin(plugin);
    }
    page.text
}

struct Page {
    text: String,
    told: Told,
    file: String,
}

impl Page {
    fn tells(&self, is_default: bool) -> bool {
        self.told == Told::Origins || !is_default
    }

    fn entry<T>(&mut self, key: &str, given: &Given<T>, value: impl Fn(&T) -> String) {
        let line = format!("{key} = {}", value(&given.value));
        self.line(&line, given.from);
    }

    fn line(&mut self, line: &str, from: Origin) {
        if self.told == Told::Needed {
            let _ = writeln!(self.text, "{line}");
            return;
        }
        let from = from.told(&self.file);
        let _ = writeln!(self.text, "{line:COMMENT_COLUMN$} # {from}");
    }

    fn seconds(&mut self, field: &Field<Number>, given: &Given<Duration>, unit: f64) {
        if self.tells(given.value == Duration::from_secs_f64(field.default() * unit)) {
            self.entry(field.key, given, |value| number(value.as_secs_f64() / unit));
        }
    }

    /// A line for each.
    fn list<T>(&mut self, key: &str, items: &[Given<T>], value: impl Fn(&T) -> String) {
        let _ = writeln!(self.text, "{key} = [");
        for item in items {
            self.line(&format!("    {},", value(&item.value)), item.from);
        }
        self.text.push_str("]\n");
    }

    fn sections(&mut self, entries: Vec<ConductEntry>) {
        let mut open = "";
        for entry in entries {
            if !self.tells(entry.is_default) {
                continue;
            }
            if open != entry.section {
                let _ = writeln!(self.text, "\n[{}]", entry.section);
                open = entry.section;
            }
            self.line(&format!("{} = {}", entry.key, entry.value), entry.from);
        }
    }

    fn scope(&mut self, scope: &EffectiveScope) {
        self.text.push_str("\n[[scope]]\n");
        self.entry(fields::SCOPE_NAME.key, &scope.name, |name| quoted(name));
        self.entry(fields::DIRECTION.key, &scope.direction, |direction| {
            quoted(fields::DIRECTION.spelled(direction))
        });
        self.seconds(&fields::FREQUENCY, &scope.frequency, 1.0);
        self.text.push_str("tables = [\n");
        for table in &scope.tables {
            self.line(&format!("    {},", table_text(table)), last_word(table));
        }
        self.text.push_str("]\n");
        self.transformers(&scope.transformers);
        if self.tells(scope.resolver.value == Resolver::BuiltIn(Policy::ChannelWins)) {
            self.entry(fields::RESOLVER.key, &scope.resolver, resolver_text);
        }
        let failure = &scope.on_plugin_failure;
        if self.tells(failure.value == fields::ON_PLUGIN_FAILURE.default()) {
            self.entry(fields::ON_PLUGIN_FAILURE.key, failure, |failure| {
                quoted(fields::ON_PLUGIN_FAILURE.spelled(failure))
            });
        }
    }
}

impl Page {
    fn plugin(&mut self, plugin: &PluginEntry) {
        let _ = writeln!(self.text, "\n[[{}]]", plugin_fields::PLUGINS.key);
        self.entry(plugin_fields::NAME.key, &plugin.name, |name| quoted(name));
        if let Some(digest) = &plugin.digest {
            self.entry(plugin_fields::DIGEST.key, digest, |digest| quoted(digest));
        }
        if let Some(grants) = &plugin.grants {
            self.list(plugin_fields::GRANTS.key, grants, |grant| grant.to_string());
        }
        for (field, given) in plugin_fields::BOUNDS.iter().zip(&plugin.bounds) {
            if let Some(given) = given {
                self.entry(field.key, given, |value| number(*value));
            }
        }
    }

    /// A table for one plugin, a list with a line for each of several.
    fn transformers(&mut self, plugins: &[Given<PluginUse>]) {
        match plugins {
            [] => {}
            [only] => self.entry(fields::TRANSFORMER.key, only, plugin_text),
            several => self.list(fields::TRANSFORMER.key, several, plugin_text),
        }
    }
}

impl Origin {
    /// For people; `file` is the profile's.
    pub fn told(self, file: &str) -> String {
        match self {
            Origin::Default => "default".to_string(),
            Origin::File { line } => format!("{file}:{line}"),
            Origin::Channel(place) => place.to_string(),
        }
    }
}

/// Who spoke last of a table: its columns' origin where they are limited, else its own.
fn last_word(table: &TableEntry) -> Origin {
    let filtered = table.filter.as_ref().map(|filter| filter.from);
    let excluded = table.excluded.last().map(|column| column.from);
    let listed = table.columns.iter().flatten().next().map(|column| column.from);
    filtered.or(excluded).or(listed).unwrap_or(table.name.from)
}

fn table_text(table: &TableEntry) -> String {
    let name = quoted(&table.name.value.to_string());
    let mut parts = Vec::new();
    if let Some(columns) = &table.columns {
        parts.push(format!("{} = {}", fields::COLUMNS.key, list(columns)));
    }
    if !table.excluded.is_empty() {
        parts.push(format!("{} = {}", fields::EXCLUDE.key, list(&table.excluded)));
    }
    if let Some(filter) = &table.filter {
        parts.push(format!("{} = {}", fields::FILTER.key, quoted(&filter.value.to_string())));
    }
    match parts.is_empty() {
        true => name,
        false => format!("{{ {} = {name}, {} }}", fields::TABLE_NAME.key, parts.join(", ")),
    }
}

fn list(texts: &[Given<String>]) -> String {
    texts_list(texts.iter().map(|text| text.value.as_str()))
}

fn texts_list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

pub fn plugin_text(plugin: &PluginUse) -> String {
    let mut parts = vec![format!("{} = {}", fields::PLUGIN_NAME.key, quoted(&plugin.name))];
    if !plugin.config.is_empty() {
        parts.push(format!("{} = {}", fields::CONFIG.key, quoted(&plugin.config)));
    }
    if let Some(digest) = &plugin.digest {
        parts.push(format!("{} = {}", fields::DIGEST.key, quoted(digest)));
    }
    format!("{{ {} }}", parts.join(", "))
}

/// On one line, to be compared.
pub fn terms_text(terms: &PluginTerms) -> String {
    let mut parts = vec![format!("{} = {}", plugin_fields::NAME.key, quoted(&terms.name))];
    if let Some(digest) = &terms.digest {
        parts.push(format!("{} = {}", plugin_fields::DIGEST.key, quoted(digest)));
    }
    if let Some(grants) = &terms.grants {
        let grants: Vec<String> = grants.0.iter().map(ToString::to_string).collect();
        parts.push(format!("{} = [{}]", plugin_fields::GRANTS.key, grants.join(", ")));
    }
    let bounds = bounds_told(&terms.bounds).into_iter();
    parts.extend(bounds.map(|(key, value)| format!("{key} = {value}")));
    format!("{{ {} }}", parts.join(", "))
}

pub fn resolver_text(resolver: &Resolver) -> String {
    let policy = match resolver {
        Resolver::Plugin(plugin) => return plugin_text(plugin),
        Resolver::BuiltIn(policy) => policy,
    };
    let with = |word, key: &str, value: String| {
        let word = quoted(fields::POLICY.spelled(&word));
        format!("{{ {} = {word}, {key} = {value} }}", fields::POLICY.key)
    };
    let plain = |word| quoted(fields::POLICY.spelled(&word));
    match policy {
        Policy::ChannelWins => plain(PolicyWord::ChannelWins),
        Policy::OfflineWins => plain(PolicyWord::OfflineWins),
        Policy::ColumnMerge => plain(PolicyWord::ColumnMerge),
        Policy::Defer => plain(PolicyWord::Defer),
        Policy::Newest { column } => {
            with(PolicyWord::Newest, fields::NEWEST_COLUMN.key, quoted(column))
        }
        Policy::Delta { columns } => {
            let columns = texts_list(columns.iter().map(String::as_str));
            with(PolicyWord::Delta, fields::DELTA_COLUMNS.key, columns)
        }
    }
}

/// In double quotes, as a basic string of TOML on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", control as u32);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// To the nanosecond, without trailing zeros.
pub fn number(value: f64) -> String {
    let text = format!("{value:.9}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::{Told, text};
    use crate::settings::profile_file::ProfileFile;
    use crate::settings::reader::Source;
    use std::path::Path;

    /// Everything that can be said, awkward letters among it.
    const WHOLE: &str = r#"
name = "A \"b\"\\ \u0007 ü"
description = "words"
offline_timeout_s = 0.25
reconnect_interval_min = 0.02
dwell_s = 0
write_path = "local-first"
order = ["Two"]
plugin_keys = [
    "RWRTfMJGyFtm3C73E5FC8pVSYwkPctortB4baRphAoVV50tkJiul8PYe",
    "RWR3HVZrZs/2re5w58BIi34d1WBw2VfZEd0lSJZtsXuXXB+JC8/5ftY7",
]

[capture]
method = "triggers"

[synchronization]
sessions_max_per_min = 6
rows_per_second_max = 1000
jitter_percent = 0
report_interval_s = 2.5

[failover]
slow_ms = 400
slow_answers = 4
quick_answers = 5
steady_s = 2.5
dwell_max_s = 120

[staleness]
never_synchronised = "allow"
stale_after_s = 0.5
stale = "refuse"

[upload]
interval_s = 0.5
transactions_max = 10
rows_max = 500

[numbers]
when_in_doubt = "sell"
seed_type = 9

[incarnation]
when_in_doubt = "refuse"

[offline_products]
sold_top = 500
sold_by = "quantity"
categories = ["DAIRY", "a \"b\""]
refresh_h = 0.5
tables = ["ax.RETAILKIT whole", "ax.PRICEDISCTABLE ITEMRELATION item"]

[offline_customers]
of_store = "warehouse"
personal_data = false

[[scope]]
name = "One"
direction = "upload"
frequency_s = 10
tables = ["ax.A", { name = "dbo.B", exclude = ["X"], columns = ["X", "Y"] }]
transformer = { plugin = "p", config = "a = 'b'", digest = "sha256:00" }
resolver = { policy = "delta", columns = ["POINTS"] }
on_plugin_failure = "quarantine"

[[scope]]
name = "Two"
direction = "bidirectional"
tables = [{ name = "ax.C", filter = "NAME LIKE '\"[%]%' OR STORE = @store" }]
resolver = { policy = "newest", column = "MODIFIED" }

[[scope]]
name = "Three"
direction = "download"
tables = ["ax.D"]
transformer = [{ plugin = "q" }, { plugin = "p", config = "x" }, { plugin = "q" }]
resolver = { plugin = "q" }

[[plugin]]
name = "q"
memory_max_mb = 128
deadline_ms = 5000
answer_max_mb = 16
log_lines_max = 0

[[plugin]]
name = "p"
digest = "sha256:00"
grants = [
    { table = "C", reads = ["A", "a b"], writes = ["A"] },
    { table = "dbo.D" },
    { table = "ax.C", reads = ["*"] },
]
"#;

    fn read(text: &str) -> super::Effective {
        let source = Source::new(Path::new("p.toml"), text.to_string());
        let parsed = ProfileFile::of(&source);
        assert_eq!(parsed.mistakes, [], "{text}");
        let (effective, mistakes) = parsed.built.effective(None);
        assert_eq!(mistakes, [], "{text}");
        effective
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_profile() {
        let profile = read(WHOLE);
        for told in [Told::Needed, Told::Origins] {
            let written = text(&profile, told);
            assert_eq!(read(&written).profile(), profile.profile(), "{written}");
        }
    }

    #[test]
    fn defaults_are_left_out_unless_origins_are_asked_for() {
        let profile =
            read("[[scope]]\nname = \"S\"\ndirection = \"upload\"\ntables = [\"ax.A\"]\n");
        let needed = "name = \"Default\"\n\n[[scope]]\nname = \"S\"\ndirection = \"upload\"\ntables = [\n    \"ax.A\",\n]\n";
        assert_eq!(text(&profile, Told::Needed), needed);
        let told = text(&profile, Told::Origins);
        let line = |key: &str| told.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        assert!(line("dwell_s = 10 ").ends_with("# default"), "{told}");
        assert!(line("direction = \"upload\" ").ends_with("# p.toml:3"), "{told}");
        assert!(line("    \"ax.A\", ").ends_with("# p.toml:4"), "{told}");
    }
}
