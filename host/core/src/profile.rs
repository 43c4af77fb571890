//! The offline profile: what is synchronised, in which order, by which rules. Plain data; the agent reads it from
//! a file or from the channel's own ax.RETAILOFFLINE* tables, and both end here.

use crate::condition::Condition;
use crate::conflict::Policy;
use crate::failover::Steadiness;
use crate::freshness::FreshnessRules;
use crate::grant::Grants;
use crate::pace::Pace;
use crate::selection::Selections;
use crate::table::{Table, TableName};
use std::time::Duration;

/// An offline profile with everything that it leaves out filled in: what a register does, scope by scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub name: String,
    pub description: String,
    /// After it the register sells on the offline database.
    pub offline_timeout: Duration,
    /// Between two attempts to reach the channel again (jittered).
    pub reconnect_interval: Duration,
    /// The least time Offline before a return begins, so that a flapping link does not flap the till.
    pub dwell: Duration,
    pub write_path: WritePath,
    pub capture: Capture,
    pub conduct: Conduct,
    /// Which products and customers come; all of them by default.
    pub selections: Selections,
    /// In the order in which they are pulled.
    pub scopes: Vec<Scope>,
    /// What holds for plugins wherever they are used; for one that is not named here, what is usual.
    pub plugins: Vec<PluginTerms>,
    /// Public keys as minisign writes them: where there are any, one of them must have signed each plugin.
    pub plugin_keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePath {
    /// The channel while it is reachable, the offline database otherwise: as AX 2012 R3 does it.
    ChannelFirst,
    /// Every sale commits to the offline database and is pushed at once: no network in the cashier's way.
    LocalFirst,
}

/// How a register conducts itself beside its scopes.
#[derive(Clone, Debug, PartialEq)]
pub struct Conduct {
    pub pace: Pace,
    /// Between two reports to the channel of how the register stands.
    pub report_interval: Duration,
    /// What keeps a slow or flapping channel from flapping the till.
    pub steadiness: Steadiness,
    pub upload: UploadBatches,
    /// When it does not know which numbers are used.
    pub numbers_in_doubt: InDoubt,
    /// RETAILPOSSEEDDATA.DATATYPE of the numbers of sales.
    pub seed_kind: u32,
    /// When its database was restored, or runs twice.
    pub incarnation_in_doubt: InDoubt,
    pub size: SizeRules,
    /// What is done when it was never synchronised, or its data are stale.
    pub freshness: FreshnessRules,
}

/// How large the offline database may become, and what leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRules {
    pub limit_bytes: u64,
    /// After so many days settled sales leave the register.
    pub keep_settled_days: u32,
    /// Kept beside the journal for a full disk.
    pub reserve_bytes: u64,
}

/// How sales are sent: whole, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadBatches {
    /// Zero is at once.
    pub interval: Duration,
    pub transactions_max: usize,
    pub rows_max: usize,
}

/// What a register does whose word may not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    Sell,
    Refuse,
}

/// How the channel database notes which rows changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Capture {
    /// SQL Server's own change tracking: versions in the order of commits, kept by the server.
    #[default]
    ChangeTracking,
    /// A trigger and a tracking table for each table, for owners who cannot have change tracking.
    Triggers,
}

impl Capture {
    /// As the profile spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Capture::ChangeTracking => "change-tracking",
            Capture::Triggers => "triggers",
        }
    }

    pub fn parse(name: &str) -> Option<Capture> {
        [Capture::ChangeTracking, Capture::Triggers].into_iter().find(|of| of.name() == name)
    }
}

/// An offline scope: tables that are synchronised together, in one direction, by one frequency and under one set of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub name: String,
    pub direction: Direction,
    /// Between two synchronisations of the scope.
    pub frequency: Duration,
    pub tables: Vec<ScopeTable>,
    /// In the order in which a row passes them, down and up.
    pub transformers: Vec<PluginUse>,
    pub resolver: Resolver,
    pub on_plugin_failure: OnPluginFailure,
}

/// AX stores it as 0, 1, 2 in RETAILOFFLINESCOPE.SYNCDIRECTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Download,
    Upload,
    Bidirectional,
}

impl Direction {
    pub fn is_pulled(self) -> bool {
        self != Direction::Upload
    }

    pub fn is_pushed(self) -> bool {
        self != Direction::Download
    }
}

/// A table of a scope, and what of it travels.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeTable {
    pub name: TableName,
    /// The columns that may travel, by name; `None` is all of them.
    pub only_columns: Option<Vec<String>>,
    /// Columns that never travel, by name.
    pub excluded_columns: Vec<String>,
    /// Which rows the register has; `None` is all of them.
    pub filter: Option<Condition>,
}

impl ScopeTable {
    /// Every column that can travel does.
    pub fn whole(name: TableName) -> ScopeTable {
        ScopeTable { name, only_columns: None, excluded_columns: Vec::new(), filter: None }
    }

    /// `table` as it travels under this profile.
    pub fn travelling(&self, table: &Table) -> Table {
        table.travelling(&self.left_out(table))
    }

    /// The columns of `table` that must stay where they are.
    pub fn left_out(&self, table: &Table) -> Vec<String> {
        let names = table.columns.iter().map(|column| &column.name);
        names.filter(|name| self.leaves_out(name)).cloned().collect()
    }

    /// Whether the profile says that the column stays where it is.
    pub fn leaves_out(&self, column: &str) -> bool {
        let among = |names: &[String]| names.iter().any(|n| n.eq_ignore_ascii_case(column));
        let admitted = self.only_columns.as_ref().is_none_or(|only| among(only));
        !admitted || among(&self.excluded_columns)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct PluginUse {
    /// The component's file name without `.wasm`, in the register's plugin folder.
    pub name: String,
    /// `sha256:…` of the component; another component of that name is refused.
    pub digest: Option<String>,
    /// Handed to the plugin's `describe`, as it is.
    pub config: String,
    /// What holds for the plugin in every use.
    pub terms: PluginTerms,
    /// As [`Profile::plugin_keys`].
    pub keys: Vec<String>,
}

impl PluginUse {
    /// The digest that this use is held to: its own, or the one that holds for the plugin.
    pub fn pinned(&self) -> Option<&String> {
        self.digest.as_ref().or(self.terms.digest.as_ref())
    }
}

/// What the operator says of a plugin, wherever it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginTerms {
    /// As [`PluginUse::name`].
    pub name: String,
    /// `sha256:…`, for uses that do not say one themselves.
    pub digest: Option<String>,
    /// `None`: it gets what it declares.
    pub grants: Option<Grants>,
    pub bounds: PluginBounds,
}

/// What a plugin may use, where it is another than every plugin's (`limits`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginBounds {
    pub memory_bytes: Option<usize>,
    /// For one batch.
    pub deadline: Option<Duration>,
    /// Of what it hands back for one batch.
    pub answer_bytes: Option<usize>,
    /// Of one batch.
    pub log_lines: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Resolver {
    BuiltIn(Policy),
    Plugin(PluginUse),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPluginFailure {
    /// The scope stops until someone acts. The default: a rule that masks data must never let it through unmasked.
    Halt,
    /// Rows go on unchanged.
    Pass,
    /// The batch's rows are set aside with the reason; the others go on.
    Quarantine,
}

impl Profile {
    pub fn scope_of(&self, table: &TableName) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.tables.iter().any(|t| t.name == *table))
    }

    /// Whether the column of that table stays where it is.
    pub fn leaves_out(&self, table: &TableName, column: &str) -> bool {
        let entry = self.scopes.iter().flat_map(|s| &s.tables).find(|t| t.name == *table);
        entry.is_some_and(|entry| entry.leaves_out(column))
    }
}
