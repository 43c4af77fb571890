//! What can go wrong in a flow, as facts: which part said it, of which class it is, what to do next.

use crate::carry::fault::CarryError;
use crate::images::fault::ImageError;
use crate::numbers::NumbersDoubt;
use crate::resend::Hindrance;
use crate::settings::reader::Mistakes;
use crate::snapshot::fault::SnapshotError;
use crate::stored_profile::KeptError;
use std::time::Duration;
use tillhold_channel::ChannelError;
use tillhold_core::claim::Doubt;
use tillhold_core::condition::Complaint;
use tillhold_core::fault::Class;
use tillhold_core::freshness::Age;
use tillhold_core::stage::Unbalanced;
use tillhold_core::table::TableName;
use tillhold_core::version::Sequence;
use tillhold_local::LocalError;
use tillhold_plugin::PluginError;

/// An error of pull, push or of a request at the front door.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Carry(#[from] CarryError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Settings(#[from] Mistakes),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("a batch of {stage} does not balance: {cause}")]
    Unbalanced { stage: &'static str, cause: Unbalanced },
    #[error(
        "scope {scope} was loaded anew again and again: the channel forgets its changes faster"
    )]
    Outrun { scope: String },
    #[error("{table}: {}", .complaints.iter().map(Complaint::to_string).collect::<Vec<_>>().join("; "))]
    Filter { table: TableName, complaints: Vec<Complaint> },
    #[error("the work of {0} broke off inside the agent")]
    BrokeOff(&'static str),
    #[error("this register was never synchronised: of its scopes {scopes} never came")]
    Unsynchronised { scopes: usize },
    #[error("the data of {scope} are {}, and stale from {} on", aged(*age), spelled(*bound))]
    Stale { scope: String, age: Age, bound: Duration },
    #[error("the register was never synchronised and its channel cannot be reached: {0}")]
    NeverSynchronised(ChannelError),
    #[error(
        "the offline database was restored from a backup: the channel has its transactions up to {arrived} of the log"
    )]
    RegisterRestored { arrived: Sequence },
    #[error(
        "a copy of this offline database was used; the channel heard of this incarnation {silent_s} s ago"
    )]
    RegisterCopied { silent_s: u64 },
    #[error(
        "another offline database speaks for this register now; this one was heard {silent_s} s ago"
    )]
    RegisterSuperseded { silent_s: u64 },
    #[error("the channel lacks the last {sales} sales that it took from this register")]
    SalesLost { sales: usize, why: Hindrance },
    #[error("which numbers of sales are used was never read from the channel")]
    NumbersUnread,
    #[error("the register's number seeds have not come from the channel yet")]
    NumbersUnloaded,
    #[error(
        "the last number of a sale is {seed} here, but {mark} is used, and it cannot be raised"
    )]
    NumbersBehind { seed: u64, mark: u64 },
}

impl FlowError {
    /// Why a register may not send.
    pub fn doubted(doubt: &Doubt) -> FlowError {
        match *doubt {
            Doubt::Restored { arrived } => FlowError::RegisterRestored { arrived },
            Doubt::Copied { silent_s } => FlowError::RegisterCopied { silent_s },
            Doubt::Superseded { silent_s } => FlowError::RegisterSuperseded { silent_s },
        }
    }

    /// Why a register could give a number twice.
    pub fn numbers(doubt: NumbersDoubt) -> FlowError {
        match doubt {
            NumbersDoubt::Unread => FlowError::NumbersUnread,
            NumbersDoubt::SeedUnloaded => FlowError::NumbersUnloaded,
            NumbersDoubt::Behind { seed, mark } => FlowError::NumbersBehind { seed, mark },
        }
    }

    pub fn class(&self) -> Class {
        match self {
            FlowError::Channel(error) => error.class(),
            FlowError::Local(error) => error.class(),
            FlowError::Plugin(error) => error.class(),
            FlowError::Snapshot(error) => error.class(),
            FlowError::Carry(error) => error.class(),
            FlowError::Image(error) => error.class(),
            FlowError::Unbalanced { .. } | FlowError::BrokeOff(_) => Class::Stop,
            FlowError::RegisterRestored { .. }
            | FlowError::RegisterCopied { .. }
            | FlowError::RegisterSuperseded { .. }
            | FlowError::SalesLost { .. } => Class::Reconfigure,
            FlowError::NumbersUnread
            | FlowError::NumbersUnloaded
            | FlowError::NumbersBehind { .. }
            | FlowError::Unsynchronised { .. }
            | FlowError::Stale { .. } => Class::Retry,
            FlowError::NeverSynchronised(_) => Class::Retry,
            FlowError::Outrun { .. }
            | FlowError::Filter { .. }
            | FlowError::Settings(_)
            | FlowError::Kept(_) => Class::Reconfigure,
        }
    }

    /// Stable: documented in docs/errors.md, never re-used for something else.
    pub fn code(&self) -> &'static str {
        match self {
            FlowError::Channel(error) => error.code(),
            FlowError::Local(error) => error.code(),
            FlowError::Plugin(error) => error.code(),
            FlowError::Snapshot(error) => error.code(),
            FlowError::Carry(error) => error.code(),
            FlowError::Image(error) => error.code(),
            FlowError::Settings(mistakes) => mistakes.code(),
            FlowError::Kept(error) => error.code(),
            FlowError::Unbalanced { .. } => "flow-unbalanced",
            FlowError::Outrun { .. } => "flow-outrun",
            FlowError::Filter { .. } => "filter-misfit",
            FlowError::BrokeOff(_) => "flow-broke-off",
            FlowError::NeverSynchronised(_) => "register-never-synchronised",
            FlowError::Unsynchronised { .. } => "never-synchronised",
            FlowError::Stale { .. } => "data-stale",
            FlowError::RegisterRestored { .. } => "register-restored",
            FlowError::RegisterCopied { .. } => "register-copied",
            FlowError::RegisterSuperseded { .. } => "register-superseded",
            FlowError::SalesLost { .. } => "sales-lost",
            FlowError::NumbersUnread => "numbers-unread",
            FlowError::NumbersUnloaded => "numbers-unloaded",
            FlowError::NumbersBehind { .. } => "numbers-behind",
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            FlowError::Channel(error) => error.hint(),
            FlowError::Local(error) => error.hint(),
            FlowError::Plugin(error) => error.hint(),
            FlowError::Snapshot(error) => error.hint(),
            FlowError::Carry(error) => error.hint(),
            FlowError::Image(error) => error.hint(),
            FlowError::Settings(mistakes) => mistakes.hint(),
            FlowError::Kept(error) => error.hint(),
            FlowError::Unbalanced { .. } => {
                Some("nothing was written; keep the log and report it as a defect".to_string())
            }
            FlowError::BrokeOff(_) => Some(
                "it may have been done or not: look before you ask again; keep the log and report it as a defect"
                    .to_string(),
            ),
            FlowError::Outrun { .. } => {
                Some("let the channel keep its changes longer (CHANGE_RETENTION)".to_string())
            }
            FlowError::Filter { .. } => Some(
                "mend the filter in the profile; `tillhold profile check` shows its line".to_string(),
            ),
            FlowError::RegisterRestored { .. }
            | FlowError::RegisterCopied { .. }
            | FlowError::RegisterSuperseded { .. } => Some(
                "nothing is sent until a person decides: make sure that no other copy of the register's \
                 files is in use, then `tillhold incarnation renew --why REASON`"
                    .to_string(),
            ),
            FlowError::SalesLost { why: Hindrance::AnotherChannel, .. } => Some(
                "if it is the register's own channel, `tillhold sync --resend` sends them once more; if not, mend \
                 [channel] in register.toml"
                    .to_string(),
            ),
            FlowError::SalesLost { why: Hindrance::FullDisk, .. } => Some(
                "free space on the disk, then `tillhold sync --resend` sends them once more".to_string(),
            ),
            FlowError::NumbersUnread => Some(
                "bring the channel within reach once; the marks are kept from then on".to_string(),
            ),
            FlowError::NumbersUnloaded => Some(
                "the scope with ax.RETAILPOSSEEDDATA has to be loaded: `tillhold sync` says what it waits for"
                    .to_string(),
            ),
            FlowError::NumbersBehind { .. } => Some(
                "let head office make this register's row in ax.RETAILPOSSEEDDATA, then `tillhold sync`"
                    .to_string(),
            ),
            FlowError::Unsynchronised { .. } => Some(
                "bring the channel within reach: the first load is done by itself; `tillhold status` says what a scope \
                 waits for, `[staleness] never_synchronised` in the profile what is done meanwhile"
                    .to_string(),
            ),
            FlowError::Stale { .. } => Some(
                "`tillhold reconnect` tries the channel now; `tillhold status` says which scope stands still and why, \
                 `[staleness] stale` in the profile what is done meanwhile"
                    .to_string(),
            ),
            FlowError::NeverSynchronised(_) => Some(
                "bring the channel database within reach once; `tillhold provision` then fills the \
                 offline database"
                    .to_string(),
            ),
        }
    }

    /// Whether a table at the channel is no more what the register knows.
    pub fn is_alteration(&self) -> bool {
        matches!(self, FlowError::Channel(ChannelError::Altered { .. }))
    }

    /// Whether the channel itself failed or keeps the register out, which is the failover's business.
    pub fn is_channel_trouble(&self) -> bool {
        matches!(self, FlowError::Channel(error) if error.class() == Class::Retry || error.is_kept_out())
    }

    pub fn is_full_disk(&self) -> bool {
        matches!(self, FlowError::Local(LocalError::DiskFull { .. }))
    }

    /// Not waited for any more on a line as it was: the channel answers, and what was asked is asked again.
    pub fn is_given_up(&self) -> bool {
        matches!(self, FlowError::Channel(ChannelError::Silent { .. }))
    }
}

fn aged(age: Age) -> String {
    match age.known() {
        Some(age) => format!("{} old", spelled(age)),
        None => "of an age that the clock has lost".to_string(),
    }
}

/// In the two largest units that say something.
fn spelled(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
