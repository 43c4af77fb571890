//! `profile.toml`: the offline profile, whole or as additions to the one that the channel's own tables hold.
//!
//! With `source = "channel"` the scopes, directions, frequencies and tables come from ax.RETAILOFFLINE*; the file's
//! scopes of the same name then say what AX cannot (plugins, policies, excluded columns), and further ones are added.
//! AX keeps no order of scopes: without `order`, its numbered scheduler jobs come in the order of
//! [`CHANNEL_ORDER`], others after them by name, and upload scopes last.

use super::reader::{Mistake, Mistakes, Section, Source, TextOrSection};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_channel::profile::ChannelProfile;
use tillhold_core::conflict::Policy;
use tillhold_core::profile::{
    Capture, Direction, OnPluginFailure, PluginUse, Profile, Resolver, Scope, ScopeTable, WritePath,
};
use tillhold_core::table::TableName;

/// The order in which AX's numbered scopes make sense: no foreign keys exist, so the order carries the meaning.
const CHANNEL_ORDER: [&str; 15] = [
    "1110", "1115", "1000", "1070", "1090", "1060", "1080", "1095", "1030", "1040", "1130", "1020",
    "1150", "1050", "1010",
];

const DIRECTIONS: [(&str, Direction); 3] = [
    ("download", Direction::Download),
    ("upload", Direction::Upload),
    ("bidirectional", Direction::Bidirectional),
];

#[derive(Clone, Debug)]
pub struct ProfileFile {
    file: PathBuf,
    pub source: ProfileSource,
    name: Option<String>,
    description: Option<String>,
    offline_timeout: Duration,
    reconnect_interval: Duration,
    dwell: Duration,
    write_path: WritePath,
    capture: Capture,
    order: Vec<String>,
    scopes: Vec<ScopeEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileSource {
    /// The file says everything.
    File,
    /// The channel's ax.RETAILOFFLINE* tables, by the store's RETAILSTORETABLE.OFFLINEPROFILE.
    Channel,
}

/// A scope as the file names it: everything but the name may be left to the channel.
#[derive(Clone, Debug)]
struct ScopeEntry {
    name: String,
    direction: Option<Direction>,
    frequency: Option<Duration>,
    tables: Vec<ScopeTable>,
    transformer: Option<PluginUse>,
    resolver: Option<Resolver>,
    on_plugin_failure: Option<OnPluginFailure>,
}

impl ProfileFile {
    pub fn read(file: &Path) -> Result<ProfileFile, Mistakes> {
        let source = Source::read(file)?;
        source.parse(|top| ProfileFile::build(file, top))
    }

    fn build(file: &Path, top: &Section<'_>) -> ProfileFile {
        let seconds = |key, most| top.number(key, 0.0..=most).map(Duration::from_secs_f64);
        let minutes = top.number("reconnect_interval_min", 0.001..=1_440.0);
        let sources = [("file", ProfileSource::File), ("channel", ProfileSource::Channel)];
        let paths =
            [("channel-first", WritePath::ChannelFirst), ("local-first", WritePath::LocalFirst)];
        ProfileFile {
            file: file.to_path_buf(),
            source: top.word("source", &sources).unwrap_or(ProfileSource::File),
            name: top.text("name"),
            description: top.text("description"),
            offline_timeout: top
                .number("offline_timeout_s", 0.1..=3_600.0)
                .map_or(Duration::from_secs(5), Duration::from_secs_f64),
            reconnect_interval: Duration::from_secs_f64(minutes.unwrap_or(1.0) * 60.0),
            dwell: seconds("dwell_s", 3_600.0).unwrap_or(Duration::from_secs(10)),
            write_path: top.word("write_path", &paths).unwrap_or(WritePath::ChannelFirst),
            capture: capture(top),
            order: top.texts("order").unwrap_or_default(),
            scopes: top.sections("scope").iter().map(scope_entry).collect(),
        }
    }

    /// The typed profile, from the file and what the channel's tables hold.
    pub fn complete(&self, channel: Option<&ChannelProfile>) -> Result<Profile, Mistakes> {
        let mut mistakes = Vec::new();
        let mut scopes: Vec<ScopeEntry> =
            channel.map(|channel| channel_scopes(channel, &mut mistakes)).unwrap_or_default();
        for entry in &self.scopes {
            match scopes.iter_mut().find(|scope| scope.name == entry.name) {
                Some(scope) => scope.amend(entry),
                None => scopes.push(entry.clone()),
            }
        }
        self.sort(&mut scopes, &mut mistakes);
        let scopes: Vec<Scope> = scopes
            .into_iter()
            .filter_map(|entry| entry.complete(&self.file, &mut mistakes))
            .collect();
        refuse_table_in_two_scopes(&self.file, &scopes, &mut mistakes);
        if scopes.is_empty() && mistakes.is_empty() {
            mistakes.push(self.mistake("the profile has no scope: nothing would be synchronised"));
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let of_channel = |pick: fn(&ChannelProfile) -> &String| channel.map(pick).cloned();
        Ok(Profile {
            name: self
                .name
                .clone()
                .or(of_channel(|c| &c.name))
                .unwrap_or_else(|| "Default".to_string()),
            description: self
                .description
                .clone()
                .or(of_channel(|c| &c.description))
                .unwrap_or_default(),
            offline_timeout: self.offline_timeout,
            reconnect_interval: self.reconnect_interval,
            dwell: self.dwell,
            write_path: self.write_path,
            capture: self.capture,
            scopes,
        })
    }

    fn sort(&self, scopes: &mut [ScopeEntry], mistakes: &mut Vec<Mistake>) {
        for name in &self.order {
            if !scopes.iter().any(|scope| scope.name == *name) {
                mistakes.push(self.mistake(&format!("order names {name}, which is no scope")));
            }
        }
        if self.source == ProfileSource::Channel {
            scopes.sort_by_cached_key(|scope| {
                let number = scope.name.split(' ').next().unwrap_or_default();
                let place = CHANNEL_ORDER.iter().position(|known| *known == number);
                let uploads = scope.direction == Some(Direction::Upload);
                (uploads, place.unwrap_or(CHANNEL_ORDER.len()), scope.name.clone())
            });
        }
        let given = |scope: &ScopeEntry| self.order.iter().position(|name| *name == scope.name);
        scopes.sort_by_key(|scope| given(scope).unwrap_or(usize::MAX));
    }

    fn mistake(&self, message: &str) -> Mistake {
        Mistake { file: self.file.clone(), line: None, message: message.to_string() }
    }
}

impl ScopeEntry {
    /// What the file says goes over what the channel says; its tables bring their excluded columns.
    fn amend(&mut self, file: &ScopeEntry) {
        self.direction = file.direction.or(self.direction);
        self.frequency = file.frequency.or(self.frequency);
        self.transformer = file.transformer.clone().or(self.transformer.take());
        self.resolver = file.resolver.clone().or(self.resolver.take());
        self.on_plugin_failure = file.on_plugin_failure.or(self.on_plugin_failure);
        for table in &file.tables {
            match self.tables.iter_mut().find(|known| known.name == table.name) {
                Some(known) => {
                    known.excluded_columns.extend(table.excluded_columns.iter().cloned())
                }
                None => self.tables.push(table.clone()),
            }
        }
    }

    fn complete(self, file: &Path, mistakes: &mut Vec<Mistake>) -> Option<Scope> {
        let mut wrong = |what: &str| {
            let message = format!("scope {}: {what}", self.name);
            mistakes.push(Mistake { file: file.to_path_buf(), line: None, message });
        };
        if self.tables.is_empty() {
            wrong("has no tables");
        }
        let Some(direction) = self.direction else {
            wrong("has no direction: say download, upload or bidirectional");
            return None;
        };
        Some(Scope {
            name: self.name,
            direction,
            frequency: self.frequency.unwrap_or(Duration::from_secs(300)),
            tables: self.tables,
            transformer: self.transformer,
            resolver: self.resolver.unwrap_or(Resolver::BuiltIn(Policy::ChannelWins)),
            on_plugin_failure: self.on_plugin_failure.unwrap_or(OnPluginFailure::Halt),
        })
    }
}

fn refuse_table_in_two_scopes(file: &Path, scopes: &[Scope], mistakes: &mut Vec<Mistake>) {
    let mut owners: Vec<(&TableName, &str)> = Vec::new();
    for (table, scope) in scopes.iter().flat_map(|s| s.tables.iter().map(move |t| (t, s))) {
        match owners.iter().find(|(name, _)| *name == &table.name) {
            Some((name, owner)) => mistakes.push(Mistake {
                file: file.to_path_buf(),
                line: None,
                message: format!(
                    "{name} is in scope {owner} and in scope {}: a table belongs to one",
                    scope.name
                ),
            }),
            None => owners.push((&table.name, &scope.name)),
        }
    }
}

fn channel_scopes(channel: &ChannelProfile, mistakes: &mut Vec<Mistake>) -> Vec<ScopeEntry> {
    let mut entries = Vec::new();
    for scope in &channel.scopes {
        let mut tables = Vec::new();
        for table in &scope.tables {
            match TableName::parse(&table.name) {
                Some(name) => tables.push(ScopeTable {
                    name,
                    only_columns: (!table.columns.is_empty()).then(|| table.columns.clone()),
                    excluded_columns: Vec::new(),
                }),
                None => mistakes.push(Mistake {
                    file: PathBuf::from("ax.RETAILOFFLINETABLE"),
                    line: None,
                    message: format!(
                        "'{}' of scope {} is no table's name",
                        table.name, scope.description
                    ),
                }),
            }
        }
        entries.push(ScopeEntry {
            name: scope.description.clone(),
            direction: Some(scope.direction),
            frequency: Some(Duration::from_secs(u64::from(scope.frequency_s))),
            tables,
            transformer: None,
            resolver: None,
            on_plugin_failure: None,
        });
    }
    entries
}

fn capture(top: &Section<'_>) -> Capture {
    let methods = [Capture::ChangeTracking, Capture::Triggers].map(|of| (of.name(), of));
    let section = top.section("capture");
    section.and_then(|section| section.word("method", &methods)).unwrap_or_default()
}

fn scope_entry(section: &Section<'_>) -> ScopeEntry {
    let failures = [
        ("halt", OnPluginFailure::Halt),
        ("pass", OnPluginFailure::Pass),
        ("quarantine", OnPluginFailure::Quarantine),
    ];
    ScopeEntry {
        name: section.required_text("name"),
        direction: section.word("direction", &DIRECTIONS),
        frequency: section.number("frequency_s", 1.0..=604_800.0).map(Duration::from_secs_f64),
        tables: tables(section),
        transformer: section.section("transformer").map(|inner| plugin_use(&inner)),
        resolver: resolver(section),
        on_plugin_failure: section.word("on_plugin_failure", &failures),
    }
}

fn tables(section: &Section<'_>) -> Vec<ScopeTable> {
    let mut tables = Vec::new();
    for item in section.texts_or_sections("tables").unwrap_or_default() {
        let (name, excluded_columns) = match item {
            TextOrSection::Text(name) => (name, Vec::new()),
            TextOrSection::Section(inner) => {
                (inner.required_text("name"), inner.texts("exclude").unwrap_or_default())
            }
        };
        match TableName::parse(&name) {
            Some(name) => {
                tables.push(ScopeTable { name, only_columns: None, excluded_columns });
            }
            None => section.wrong("tables", &format!("names '{name}', which is not schema.TABLE")),
        }
    }
    tables
}

fn resolver(section: &Section<'_>) -> Option<Resolver> {
    let (word, inner) = match section.text_or_section("resolver")? {
        TextOrSection::Text(word) => (word, None),
        TextOrSection::Section(inner) => match inner.text("policy") {
            None => return Some(Resolver::Plugin(plugin_use(&inner))),
            Some(word) => (word, Some(inner)),
        },
    };
    let policy = match (word.as_str(), inner) {
        ("channel-wins", _) => Policy::ChannelWins,
        ("offline-wins", _) => Policy::OfflineWins,
        ("column-merge", _) => Policy::ColumnMerge,
        ("defer", _) => Policy::Defer,
        ("newest", Some(inner)) => Policy::Newest { column: inner.required_text("column") },
        ("delta", Some(inner)) => {
            Policy::Delta { columns: inner.texts("columns").unwrap_or_default() }
        }
        _ => {
            section.wrong(
                "resolver",
                "is channel-wins, offline-wins, column-merge, defer, { policy = \"newest\", column = … }, \
                 { policy = \"delta\", columns = […] } or { plugin = … }",
            );
            return None;
        }
    };
    Some(Resolver::BuiltIn(policy))
}

fn plugin_use(section: &Section<'_>) -> PluginUse {
    PluginUse {
        name: section.required_text("plugin"),
        digest: section.text("digest"),
        config: section.text("config").unwrap_or_default(),
    }
}
