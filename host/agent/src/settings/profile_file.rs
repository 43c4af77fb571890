//! `profile.toml`: the offline profile, whole or as additions to the one that the channel's own tables hold.
//!
//! Here it is read as it is written; [`super::effective`] puts it together with what the channel says.

use super::conduct::ConductSettings;
use super::effective::{Given, Origin, did_you_mean};
use super::field::{Field, Kind, Number, Word};
use super::plugin_fields::PLUGINS;
use super::plugin_settings::{self, PluginEntry, governed};
use super::profile_fields as fields;
use super::reader::{Mistake, Mistakes, Parsed, Placed, Section, Source, TextOrSection, nearest};
use super::selection_settings::SelectionSettings;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_core::condition::Condition;
use tillhold_core::conflict::Policy;
use tillhold_core::limits;
use tillhold_core::profile::{
    Capture, Direction, OnPluginFailure, PluginTerms, PluginUse, Resolver, WritePath,
};
use tillhold_core::table::TableName;

/// The profile that this program carries.
pub const DEFAULT_PROFILE: &str = include_str!("default_profile.toml");

/// Which profile a register follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileChoice {
    File(PathBuf),
    /// The store's own, from the channel's ax.RETAILOFFLINE* tables and nowhere else.
    Channel,
    /// [`DEFAULT_PROFILE`]
    Default,
}

impl ProfileChoice {
    /// `channel`, `default`, or a file; one of these names is given as `./channel`.
    pub fn named(text: &str, base: &Path) -> ProfileChoice {
        match text {
            "channel" => ProfileChoice::Channel,
            "default" => ProfileChoice::Default,
            file => ProfileChoice::File(base.join(file)),
        }
    }
}

#[derive(Clone, Debug)]
pub struct ProfileFile {
    pub file: PathBuf,
    pub source: ProfileSource,
    pub(super) name: Option<Given<String>>,
    pub(super) description: Option<Given<String>>,
    pub(super) offline_timeout: Given<Duration>,
    pub(super) reconnect_interval: Given<Duration>,
    pub(super) dwell: Given<Duration>,
    pub(super) write_path: Given<WritePath>,
    pub(super) capture: Given<Capture>,
    pub(super) conduct: ConductSettings,
    pub(super) selections: SelectionSettings,
    pub(super) order: Vec<Placed>,
    pub(super) scopes: Vec<ScopeEntry>,
    pub(super) plugins: Vec<PluginEntry>,
    pub(super) plugin_keys: Vec<Given<String>>,
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
pub(super) struct ScopeEntry {
    pub name: Given<String>,
    pub direction: Option<Given<Direction>>,
    pub frequency: Option<Given<Duration>>,
    pub tables: Vec<TableEntry>,
    /// Tables were named, although perhaps wrongly.
    pub has_tables: bool,
    /// In their order; `None` when the file does not say.
    pub transformers: Option<Vec<Given<PluginUse>>>,
    pub resolver: Option<Given<Resolver>>,
    pub on_plugin_failure: Option<Given<OnPluginFailure>>,
}

/// A table of a scope.
#[derive(Clone, Debug, PartialEq)]
pub struct TableEntry {
    pub name: Given<TableName>,
    /// The columns that may travel; `None` is all of them.
    pub columns: Option<Vec<Given<String>>>,
    pub excluded: Vec<Given<String>>,
    /// Which rows the register has; `None` is all of them.
    pub filter: Option<Given<Condition>>,
}

impl ProfileFile {
    pub fn open(choice: &ProfileChoice) -> Result<ProfileFile, Mistakes> {
        let parsed = ProfileFile::open_anyway(choice)?;
        match parsed.mistakes.is_empty() {
            true => Ok(parsed.built),
            false => Err(Mistakes(parsed.mistakes)),
        }
    }

    /// As far as it can be read; fails only for a file that cannot be read at all.
    pub fn open_anyway(choice: &ProfileChoice) -> Result<Parsed<ProfileFile>, Mistakes> {
        let source = match choice {
            ProfileChoice::File(file) => Source::read(file)?,
            ProfileChoice::Channel => {
                Source::new(Path::new("channel"), "source = \"channel\"".to_string())
            }
            ProfileChoice::Default => {
                Source::new(Path::new("default"), DEFAULT_PROFILE.to_string())
            }
        };
        Ok(ProfileFile::of(&source))
    }

    /// Those that its scopes name, as often as they do, each with what holds for it everywhere.
    pub fn plugins(&self) -> impl Iterator<Item = PluginUse> {
        self.named_plugins().map(|plugin| governed(&self.plugins, &self.plugin_keys, plugin))
    }

    /// What the profile says of a plugin, where a scope uses it: the digest is any use's.
    pub fn plugin(&self, name: &str) -> Result<PluginUse, Mistakes> {
        let mut uses: Vec<PluginUse> = self.plugins().filter(|used| used.name == name).collect();
        let pinned = uses.iter().position(|used| used.pinned().is_some()).unwrap_or_default();
        if uses.is_empty() {
            let hint = did_you_mean(name, self.named_plugins().map(|used| used.name.as_str()));
            let message = format!("no scope uses the plugin {name}{hint}");
            return Err(Mistakes(vec![Mistake { file: self.file.clone(), line: None, message }]));
        }
        Ok(uses.swap_remove(pinned))
    }

    fn named_plugins(&self) -> impl Iterator<Item = &PluginUse> {
        self.scopes.iter().flat_map(|scope| {
            let resolver = match scope.resolver.as_ref().map(|resolver| &resolver.value) {
                Some(Resolver::Plugin(plugin)) => Some(plugin),
                _ => None,
            };
            let transformers = scope.transformers.iter().flatten().map(|plugin| &plugin.value);
            transformers.chain(resolver)
        })
    }

    pub fn of(source: &Source) -> Parsed<ProfileFile> {
        let mut parsed = source.parse_anyway(|top| ProfileFile::build(source.file(), top));
        let twice = parsed.built.named_twice();
        parsed.mistakes.extend(twice);
        parsed
    }

    fn build(file: &Path, top: &Section<'_>) -> ProfileFile {
        ProfileFile {
            file: file.to_path_buf(),
            source: top.word(&fields::SOURCE).unwrap_or(fields::SOURCE.default()),
            name: given(top, &fields::NAME, top.text(&fields::NAME)),
            description: given(top, &fields::DESCRIPTION, top.text(&fields::DESCRIPTION)),
            offline_timeout: duration(top, &fields::OFFLINE_TIMEOUT, 1.0),
            reconnect_interval: duration(top, &fields::RECONNECT_INTERVAL, 60.0),
            dwell: duration(top, &fields::DWELL, 1.0),
            write_path: word(top, &fields::WRITE_PATH),
            capture: capture(top),
            conduct: ConductSettings::read(top),
            selections: SelectionSettings::read(top),
            order: top.texts(&fields::ORDER).unwrap_or_default(),
            scopes: top.sections(&fields::SCOPES).iter().map(scope_entry).collect(),
            plugins: top.sections(&PLUGINS).iter().map(PluginEntry::read).collect(),
            plugin_keys: plugin_settings::keys(top),
        }
    }

    /// Scopes and plugins that the file describes twice, and names that its order has twice.
    fn named_twice(&self) -> Vec<Mistake> {
        let mut found = Vec::new();
        let scopes: Vec<(&str, usize)> =
            self.scopes.iter().map(|s| (s.name.value.as_str(), s.name.from.line())).collect();
        let order: Vec<(&str, usize)> =
            self.order.iter().map(|name| (name.text.as_str(), name.line)).collect();
        let plugins: Vec<(&str, usize)> =
            self.plugins.iter().map(|p| (p.name.value.as_str(), p.name.from.line())).collect();
        for (what, list) in [("scope", scopes), ("order names", order), ("plugin", plugins)] {
            for (at, (name, line)) in list.iter().enumerate() {
                // The channel keeps scopes under names that differ in more than case.
                let first = list[..at].iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
                if let Some((_, first)) = first.filter(|_| !name.is_empty()) {
                    let message = format!("{what} {name} twice: it stands on line {first} already");
                    found.push(Mistake { file: self.file.clone(), line: Some(*line), message });
                }
            }
        }
        found
    }
}

/// A value with its line.
fn given<K, T>(section: &Section<'_>, field: &Field<K>, value: Option<T>) -> Option<Given<T>> {
    let line = section.line_of(field.key).unwrap_or_else(|| section.line());
    value.map(|value| Given { value, from: Origin::File { line } })
}

fn duration(top: &Section<'_>, field: &Field<Number>, seconds: f64) -> Given<Duration> {
    let of = |number: f64| Duration::from_secs_f64(number * seconds);
    let said = given(top, field, top.number(field).map(of));
    said.unwrap_or_else(|| Given::default_of(of(field.default())))
}

fn word<T: Clone>(top: &Section<'_>, field: &Field<Word<T>>) -> Given<T>
where
    Word<T>: Kind,
{
    given(top, field, top.word(field)).unwrap_or_else(|| Given::default_of(field.default()))
}

fn capture(top: &Section<'_>) -> Given<Capture> {
    match top.section(&fields::CAPTURE) {
        Some(section) => word(&section, &fields::CAPTURE_METHOD),
        None => Given::default_of(fields::CAPTURE_METHOD.default()),
    }
}

fn scope_entry(section: &Section<'_>) -> ScopeEntry {
    let frequency = section.number(&fields::FREQUENCY).map(Duration::from_secs_f64);
    // A wrong word is a mistake already, and no missing direction beside it.
    let stand_in = || section.has(fields::DIRECTION.key).then(|| fields::DIRECTION.default());
    let direction = section.word(&fields::DIRECTION).or_else(stand_in);
    let failure = section.word(&fields::ON_PLUGIN_FAILURE);
    let name = section.required_text(&fields::SCOPE_NAME);
    ScopeEntry {
        name: Given { value: name, from: Origin::File { line: section.line() } },
        direction: given(section, &fields::DIRECTION, direction),
        frequency: given(section, &fields::FREQUENCY, frequency),
        tables: tables(section),
        has_tables: section.has(fields::TABLES.key),
        transformers: transformers(section),
        resolver: given(section, &fields::RESOLVER, resolver(section)),
        on_plugin_failure: given(section, &fields::ON_PLUGIN_FAILURE, failure),
    }
}

fn transformers(section: &Section<'_>) -> Option<Vec<Given<PluginUse>>> {
    let inner = section.section_or_sections(&fields::TRANSFORMER)?;
    if let Some(one_too_many) = inner.get(limits::PLUGINS_IN_A_ROW_MAX) {
        let most = limits::PLUGINS_IN_A_ROW_MAX;
        section.wrong_at(one_too_many.line(), &format!("transformer takes at most {most} plugins"));
    }
    let placed = |inner: &Section<'_>| Given {
        value: plugin_use(inner),
        from: Origin::File { line: inner.line() },
    };
    Some(inner.iter().map(placed).collect())
}

fn tables(section: &Section<'_>) -> Vec<TableEntry> {
    let mut tables = Vec::new();
    for item in section.texts_or_sections(&fields::TABLES) {
        let (name, columns, excluded, filter) = match item {
            TextOrSection::Text(name) => (name, None, Vec::new(), None),
            TextOrSection::Section(inner) => (
                Placed { text: inner.required_text(&fields::TABLE_NAME), line: inner.line() },
                inner.texts(&fields::COLUMNS),
                inner.texts(&fields::EXCLUDE).unwrap_or_default(),
                filter(&inner),
            ),
        };
        let all = |list: Vec<Placed>| list.into_iter().map(Given::placed).collect::<Vec<_>>();
        match TableName::parse(&name.text) {
            Some(table) => tables.push(TableEntry {
                name: Given { value: table, from: Origin::File { line: name.line } },
                columns: columns.map(all),
                excluded: all(excluded),
                filter,
            }),
            None if name.text.is_empty() => {}
            None => section.wrong_at(
                name.line,
                &format!("tables names '{}', which is not schema.TABLE", name.text),
            ),
        }
    }
    tables
}

fn filter(section: &Section<'_>) -> Option<Given<Condition>> {
    let text = section.text(&fields::FILTER)?;
    match Condition::parse(&text) {
        Ok(condition) => given(section, &fields::FILTER, Some(condition)),
        Err(complaint) => {
            let line = section.line_of(fields::FILTER.key).unwrap_or_else(|| section.line());
            section.wrong_at(line, &complaint.to_string());
            None
        }
    }
}

fn resolver(section: &Section<'_>) -> Option<Resolver> {
    let inner = match section.text_or_section(&fields::RESOLVER)? {
        TextOrSection::Text(word) => return plain_policy(section, &word),
        TextOrSection::Section(inner) => inner,
    };
    if !inner.has(fields::POLICY.key) {
        return Some(Resolver::Plugin(plugin_use(&inner)));
    }
    let policy = match inner.word(&fields::POLICY)? {
        fields::PolicyWord::Newest => {
            Policy::Newest { column: inner.required_text(&fields::NEWEST_COLUMN) }
        }
        fields::PolicyWord::Delta => {
            let columns = inner.texts(&fields::DELTA_COLUMNS);
            if columns.as_ref().is_none_or(Vec::is_empty) {
                inner.missing(fields::DELTA_COLUMNS.key);
            }
            let columns = columns.unwrap_or_default();
            Policy::Delta { columns: columns.into_iter().map(|column| column.text).collect() }
        }
        plain => policy(plain)?,
    };
    Some(Resolver::BuiltIn(policy))
}

fn plain_policy(section: &Section<'_>, word: &Placed) -> Option<Resolver> {
    let choices = fields::POLICY.kind.choices;
    let known = choices.iter().find(|(name, _)| *name == word.text).and_then(|(_, of)| policy(*of));
    if known.is_none() {
        let names = choices.iter().filter(|(_, of)| of.is_plain()).map(|(name, _)| *name);
        let hint = nearest(&word.text, names.clone())
            .map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        let names = names.collect::<Vec<_>>().join(", ");
        section.wrong(
            fields::RESOLVER.key,
            &format!(
                "'{}'{hint} is none of: {names}, {{ policy = \"newest\", column = … }}, \
                 {{ policy = \"delta\", columns = […] }}, {{ plugin = … }}",
                word.text
            ),
        );
    }
    known.map(Resolver::BuiltIn)
}

/// The policy that needs nothing but its word.
fn policy(word: fields::PolicyWord) -> Option<Policy> {
    match word {
        fields::PolicyWord::ChannelWins => Some(Policy::ChannelWins),
        fields::PolicyWord::OfflineWins => Some(Policy::OfflineWins),
        fields::PolicyWord::ColumnMerge => Some(Policy::ColumnMerge),
        fields::PolicyWord::Defer => Some(Policy::Defer),
        fields::PolicyWord::Newest | fields::PolicyWord::Delta => None,
    }
}

fn plugin_use(section: &Section<'_>) -> PluginUse {
    PluginUse {
        name: section.required_text(&fields::PLUGIN_NAME),
        digest: section.text(&fields::DIGEST),
        config: section.text(&fields::CONFIG).unwrap_or_default(),
        terms: PluginTerms::default(),
        keys: Vec::new(),
    }
}
