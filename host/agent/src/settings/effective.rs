//! The profile that counts: what the file says over what the channel's tables say over the defaults, each value
//! with where it came from.
//!
//! With `source = "channel"` the scopes, directions, frequencies and tables come from ax.RETAILOFFLINE*; the file's
//! scopes of the same name then say what AX cannot (plugins, policies, excluded columns), and further ones are added.
//! AX keeps no order of scopes: without `order`, its numbered scheduler jobs come in the order of
//! [`CHANNEL_ORDER`], others after them by name, and upload scopes last.

use super::conduct::ConductSettings;
use super::plugin_settings::{self, PluginEntry};
use super::profile_fields as fields;
use super::profile_file::{ProfileFile, ProfileSource, ScopeEntry, TableEntry};
use super::reader::{Mistake, Mistakes, Placed, nearest};
use super::selection_settings::SelectionSettings;
use std::path::PathBuf;
use std::time::Duration;
use tillhold_channel::profile::{ChannelProfile, ChannelScope};
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

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Given<T> {
    pub value: T,
    pub from: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// A line of the profile's file.
    File {
        line: usize,
    },
    /// A column or table of the channel.
    Channel(&'static str),
}

/// The whole profile.
#[derive(Clone, Debug)]
pub struct Effective {
    pub file: PathBuf,
    pub name: Given<String>,
    pub description: Given<String>,
    pub offline_timeout: Given<Duration>,
    pub reconnect_interval: Given<Duration>,
    pub dwell: Given<Duration>,
    pub write_path: Given<WritePath>,
    pub capture: Given<Capture>,
    pub conduct: ConductSettings,
    pub selections: SelectionSettings,
    pub scopes: Vec<EffectiveScope>,
    pub plugins: Vec<PluginEntry>,
    pub plugin_keys: Vec<Given<String>>,
}

#[derive(Clone, Debug)]
pub struct EffectiveScope {
    pub name: Given<String>,
    pub direction: Given<Direction>,
    pub frequency: Given<Duration>,
    pub tables: Vec<TableEntry>,
    /// In their order.
    pub transformers: Vec<Given<PluginUse>>,
    pub resolver: Given<Resolver>,
    pub on_plugin_failure: Given<OnPluginFailure>,
}

impl<T> Given<T> {
    pub fn default_of(value: T) -> Given<T> {
        Given { value, from: Origin::Default }
    }
}

impl Given<String> {
    pub fn placed(text: Placed) -> Given<String> {
        Given { value: text.text, from: Origin::File { line: text.line } }
    }
}

impl Origin {
    /// The line in the file; 0 for what does not stand there.
    pub fn line(self) -> usize {
        match self {
            Origin::File { line } => line,
            Origin::Default | Origin::Channel(_) => 0,
        }
    }
}

impl ProfileFile {
    /// The typed profile, from the file and what the channel's tables hold.
    pub fn complete(&self, channel: Option<&ChannelProfile>) -> Result<Profile, Mistakes> {
        let (effective, mistakes) = self.effective(channel);
        if mistakes.is_empty() { Ok(effective.profile()) } else { Err(Mistakes(mistakes)) }
    }

    /// The same with its origins, as far as it goes, and everything that is wrong with it. Without the channel that
    /// it refers to, what the channel would say is not missed.
    pub fn effective(&self, channel: Option<&ChannelProfile>) -> (Effective, Vec<Mistake>) {
        let is_partial = self.source == ProfileSource::Channel && channel.is_none();
        let mut mistakes = Vec::new();
        let mut entries: Vec<ScopeEntry> = channel
            .map(|channel| channel.scopes.iter().map(|s| of_channel(s, &mut mistakes)).collect())
            .unwrap_or_default();
        let published: Vec<String> = entries.iter().map(|s| s.name.value.clone()).collect();
        for entry in &self.scopes {
            match entries.iter_mut().find(|scope| scope.name.value == entry.name.value) {
                Some(scope) => scope.amend(entry),
                None => entries.push(entry.clone()),
            }
        }
        if !is_partial {
            self.refuse_unknown_order(&entries, &mut mistakes);
        }
        self.sort(&mut entries);
        self.refuse_table_twice(&entries, &mut mistakes);
        mistakes.extend(plugin_settings::mistakes(&self.plugins, &uses(&entries), &self.file));
        let mut scopes = Vec::new();
        for entry in entries {
            if !is_partial {
                self.refuse_incomplete(&entry, &published, &mut mistakes);
            }
            self.refuse_filtered_upload(&entry, &mut mistakes);
            scopes.extend(entry.complete());
        }
        if scopes.is_empty() && mistakes.is_empty() && !is_partial {
            let message = "the profile has no scope: nothing would be synchronised";
            mistakes.push(self.mistake(None, message.to_string()));
        }
        (self.whole(channel, scopes), mistakes)
    }

    fn whole(&self, channel: Option<&ChannelProfile>, scopes: Vec<EffectiveScope>) -> Effective {
        let published = |text: fn(&ChannelProfile) -> &String, column| {
            channel.map(|c| Given { value: text(c).clone(), from: Origin::Channel(column) })
        };
        let name = published(|c| &c.name, "ax.RETAILOFFLINEPROFILE.NAME");
        let description = published(|c| &c.description, "ax.RETAILOFFLINEPROFILE.DESCRIPTION");
        let or = |text: &str| Given::default_of(text.to_string());
        Effective {
            file: self.file.clone(),
            name: self.name.clone().or(name).unwrap_or_else(|| or(fields::NAME.default())),
            description: self
                .description
                .clone()
                .or(description)
                .unwrap_or_else(|| or(fields::DESCRIPTION.default())),
            offline_timeout: self.offline_timeout.clone(),
            reconnect_interval: self.reconnect_interval.clone(),
            dwell: self.dwell.clone(),
            write_path: self.write_path.clone(),
            capture: self.capture.clone(),
            conduct: self.conduct.clone(),
            selections: self.selections.clone(),
            scopes,
            plugins: self.plugins.clone(),
            plugin_keys: self.plugin_keys.clone(),
        }
    }

    fn refuse_unknown_order(&self, scopes: &[ScopeEntry], mistakes: &mut Vec<Mistake>) {
        for name in &self.order {
            let names = || scopes.iter().map(|scope| scope.name.value.as_str());
            if !names().any(|scope| scope == name.text) {
                let hint = did_you_mean(&name.text, names());
                let message = format!("order names {}, which is no scope{hint}", name.text);
                mistakes.push(self.mistake(Some(name.line), message));
            }
        }
    }

    fn sort(&self, scopes: &mut [ScopeEntry]) {
        if self.source == ProfileSource::Channel {
            scopes.sort_by_cached_key(|scope| {
                let number = scope.name.value.split(' ').next().unwrap_or_default();
                let place = CHANNEL_ORDER.iter().position(|known| *known == number);
                let direction = scope.direction.as_ref().map(|direction| direction.value);
                let uploads = direction == Some(Direction::Upload);
                (uploads, place.unwrap_or(CHANNEL_ORDER.len()), scope.name.value.clone())
            });
        }
        let given =
            |scope: &ScopeEntry| self.order.iter().position(|name| name.text == scope.name.value);
        scopes.sort_by_key(|scope| given(scope).unwrap_or(usize::MAX));
    }

    fn refuse_incomplete(
        &self,
        entry: &ScopeEntry,
        published: &[String],
        mistakes: &mut Vec<Mistake>,
    ) {
        let name = &entry.name.value;
        let hint = did_you_mean(name, published.iter().map(String::as_str));
        let mut wrong = |what: &str| {
            let line = Some(entry.name.from.line()).filter(|line| *line > 0);
            mistakes.push(self.mistake(line, format!("scope {name}: {what}{hint}")));
        };
        if entry.tables.is_empty() && !entry.has_tables {
            wrong("has no tables");
        }
        if entry.direction.is_none() {
            wrong("has no direction: say download, upload or bidirectional");
        }
    }

    /// Nothing of an upload scope is pulled: its filter would never be asked.
    fn refuse_filtered_upload(&self, entry: &ScopeEntry, mistakes: &mut Vec<Mistake>) {
        let direction = entry.direction.as_ref().map(|direction| direction.value);
        let filtered =
            entry.tables.iter().filter_map(|table| Some((table, table.filter.as_ref()?)));
        for (table, filter) in filtered.filter(|_| direction == Some(Direction::Upload)) {
            let message = format!(
                "{}: a filter says which rows come to the register, and scope {} is only uploaded",
                table.name.value, entry.name.value
            );
            mistakes.push(self.mistake(Some(filter.from.line()), message));
        }
    }

    fn refuse_table_twice(&self, scopes: &[ScopeEntry], mistakes: &mut Vec<Mistake>) {
        let mut owners: Vec<(&TableEntry, &str)> = Vec::new();
        for (table, scope) in scopes.iter().flat_map(|s| s.tables.iter().map(move |t| (t, s))) {
            let scope = scope.name.value.as_str();
            let name = &table.name.value;
            match owners.iter().find(|(owned, _)| same_table(&owned.name.value, name)) {
                Some((first, owner)) => {
                    let line = table.name.from.line().max(first.name.from.line());
                    let message = match *owner == scope {
                        true => format!("{name} is in scope {scope} twice"),
                        false => format!(
                            "{name} is in scope {owner} and in scope {scope}: a table belongs to one"
                        ),
                    };
                    mistakes.push(self.mistake(Some(line).filter(|line| *line > 0), message));
                }
                None => owners.push((table, scope)),
            }
        }
    }

    fn mistake(&self, line: Option<usize>, message: String) -> Mistake {
        Mistake { file: self.file.clone(), line, message }
    }
}

/// SQL Server compares names blind to case.
pub fn same_table(one: &TableName, other: &TableName) -> bool {
    one.is_same(other)
}

/// Every place where a scope names a plugin.
fn uses(scopes: &[ScopeEntry]) -> Vec<Given<PluginUse>> {
    let of_scope = |scope: &ScopeEntry| {
        let resolver = scope.resolver.as_ref().and_then(|given| match &given.value {
            Resolver::Plugin(plugin) => Some(Given { value: plugin.clone(), from: given.from }),
            Resolver::BuiltIn(_) => None,
        });
        scope.transformers.clone().unwrap_or_default().into_iter().chain(resolver)
    };
    scopes.iter().flat_map(of_scope).collect()
}

pub fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    nearest(name, known).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

impl ScopeEntry {
    /// What the file says goes over what the channel says; its tables bring their excluded columns.
    fn amend(&mut self, file: &ScopeEntry) {
        self.name.from = file.name.from;
        self.direction = file.direction.clone().or(self.direction.take());
        self.frequency = file.frequency.clone().or(self.frequency.take());
        self.transformers = file.transformers.clone().or(self.transformers.take());
        self.resolver = file.resolver.clone().or(self.resolver.take());
        self.on_plugin_failure = file.on_plugin_failure.clone().or(self.on_plugin_failure.take());
        let of_channel = self.tables.len();
        for table in &file.tables {
            let published = &mut self.tables[..of_channel];
            match published.iter_mut().find(|p| same_table(&p.name.value, &table.name.value)) {
                Some(known) => {
                    known.excluded.extend(table.excluded.iter().cloned());
                    known.columns = table.columns.clone().or(known.columns.take());
                    known.filter = table.filter.clone().or(known.filter.take());
                }
                None => self.tables.push(table.clone()),
            }
        }
    }

    fn complete(self) -> Option<EffectiveScope> {
        let policy = Resolver::BuiltIn(Policy::ChannelWins);
        let frequency = Duration::from_secs_f64(fields::FREQUENCY.default());
        let failure = fields::ON_PLUGIN_FAILURE.default();
        Some(EffectiveScope {
            name: self.name,
            direction: self.direction?,
            frequency: self.frequency.unwrap_or_else(|| Given::default_of(frequency)),
            tables: self.tables,
            transformers: self.transformers.unwrap_or_default(),
            resolver: self.resolver.unwrap_or_else(|| Given::default_of(policy)),
            on_plugin_failure: self.on_plugin_failure.unwrap_or_else(|| Given::default_of(failure)),
        })
    }
}

fn of_channel(scope: &ChannelScope, mistakes: &mut Vec<Mistake>) -> ScopeEntry {
    let tables = scope.tables.iter().filter_map(|table| {
        let columns = table.columns.iter().map(|column| Given {
            value: column.clone(),
            from: Origin::Channel("ax.RETAILOFFLINETABLECOLUMNS.SYNCCOLUMNNAME"),
        });
        let Some(name) = TableName::parse(&table.name) else {
            let what =
                format!("'{}' of scope {} is no table's name", table.name, scope.description);
            let file = PathBuf::from("ax.RETAILOFFLINETABLE");
            mistakes.push(Mistake { file, line: None, message: what });
            return None;
        };
        Some(TableEntry {
            name: Given { value: name, from: Origin::Channel("ax.RETAILOFFLINETABLE.TABLENAME") },
            columns: (!table.columns.is_empty()).then(|| columns.collect()),
            excluded: Vec::new(),
            filter: None,
        })
    });
    // AX writes 0 where nobody set a frequency.
    let frequency = (scope.frequency_s > 0).then(|| Given {
        value: Duration::from_secs(u64::from(scope.frequency_s)),
        from: Origin::Channel("ax.RETAILOFFLINESCOPE.SYNCFREQUENCY"),
    });
    ScopeEntry {
        tables: tables.collect(),
        name: Given {
            value: scope.description.clone(),
            from: Origin::Channel("ax.RETAILOFFLINESCOPE.DESCRIPTION"),
        },
        direction: Some(Given {
            value: scope.direction,
            from: Origin::Channel("ax.RETAILOFFLINESCOPE.SYNCDIRECTION"),
        }),
        frequency,
        has_tables: false,
        transformers: None,
        resolver: None,
        on_plugin_failure: None,
    }
}

impl Effective {
    /// A use with what holds for its plugin everywhere.
    pub fn governed(&self, of: &PluginUse) -> PluginUse {
        plugin_settings::governed(&self.plugins, &self.plugin_keys, of)
    }

    pub fn profile(&self) -> Profile {
        Profile {
            name: self.name.value.clone(),
            description: self.description.value.clone(),
            offline_timeout: self.offline_timeout.value,
            reconnect_interval: self.reconnect_interval.value,
            dwell: self.dwell.value,
            write_path: self.write_path.value,
            capture: self.capture.value,
            conduct: self.conduct.conduct(),
            selections: self.selections.selections(),
            scopes: self.scopes.iter().map(|scope| scope.scope(self)).collect(),
            plugins: self.plugins.iter().map(PluginEntry::terms).collect(),
            plugin_keys: self.plugin_keys.iter().map(|key| key.value.clone()).collect(),
        }
    }
}

impl EffectiveScope {
    /// Every plugin that it names: its transformers in their order, then its resolver.
    pub fn plugins(&self) -> Vec<Given<PluginUse>> {
        let resolver = match &self.resolver.value {
            Resolver::Plugin(plugin) => {
                Some(Given { value: plugin.clone(), from: self.resolver.from })
            }
            Resolver::BuiltIn(_) => None,
        };
        self.transformers.iter().cloned().chain(resolver).collect()
    }

    fn scope(&self, profile: &Effective) -> Scope {
        let governed = |plugin: &Given<PluginUse>| profile.governed(&plugin.value);
        Scope {
            name: self.name.value.clone(),
            direction: self.direction.value,
            frequency: self.frequency.value,
            tables: self.tables.iter().map(TableEntry::scope_table).collect(),
            transformers: self.transformers.iter().map(governed).collect(),
            resolver: match &self.resolver.value {
                Resolver::Plugin(plugin) => Resolver::Plugin(profile.governed(plugin)),
                policy => policy.clone(),
            },
            on_plugin_failure: self.on_plugin_failure.value,
        }
    }
}

impl TableEntry {
    pub fn scope_table(&self) -> ScopeTable {
        let all = |list: &Vec<Given<String>>| list.iter().map(|c| c.value.clone()).collect();
        ScopeTable {
            name: self.name.value.clone(),
            only_columns: self.columns.as_ref().map(all),
            excluded_columns: all(&self.excluded),
            filter: self.filter.as_ref().map(|filter| filter.value.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
