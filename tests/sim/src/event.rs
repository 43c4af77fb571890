//! What can happen to a store while it sells, and of what kind it is.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One thing that happens, whole: what it begins it also ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub at_ms: u64,
    pub what: Event,
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    /// At the so-manieth step of one of its tasks: between two awaits.
    Step(u64),
    /// At the so-manieth write, sync, truncation or deletion of SQLite's.
    FileOperation(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Kill {
        register: u64,
        when: When,
        dark: bool,
        down_ms: u64,
    },
    Stop {
        register: u64,
        down_ms: u64,
    },
    /// Another agent is started on the files of the one that runs.
    SecondAgent {
        register: u64,
    },
    Cut {
        register: u64,
        ms: u64,
    },
    Reset {
        register: u64,
    },
    Silence {
        register: u64,
        up: bool,
        down: bool,
        ms: u64,
    },
    Slow {
        register: u64,
        most_ms: u64,
        ms: u64,
    },
    Trickle {
        register: u64,
        bytes_per_ms: u64,
        ms: u64,
    },
    CutAfter {
        register: u64,
        bytes: u64,
    },
    LoseAnswer {
        register: u64,
        commits: u64,
    },
    HalfRow {
        register: u64,
        rows: u64,
    },
    RefuseLogins {
        register: u64,
        number: u32,
        keeps_sessions: bool,
        /// The agent is started again meanwhile.
        restarts: bool,
        ms: u64,
    },
    RefuseRequests {
        register: u64,
        number: u32,
        ms: u64,
    },
    Stall {
        register: u64,
        ms: u64,
    },
    /// Head office holds a lock on what requests with this text want; all others are answered.
    Lock {
        text: &'static str,
        ms: u64,
    },
    /// The channel's process dies with all its sessions.
    ChannelDies {
        down_ms: u64,
    },
    ReadOnly {
        ms: u64,
    },
    /// A statement with this word in it fails once.
    FailStatement {
        word: &'static str,
        number: u32,
    },
    /// Retention passes over the changes of the channel so far.
    ForgetChanges,
    /// The channel is taken down and comes back as another life of itself: what registers know of its versions is of the
    /// former one.
    AnotherLife,
    /// A backup of the channel is made now, and put in its place a while later: what came to it in between is lost there.
    ChannelRestored {
        after_ms: u64,
    },
    DiskFull {
        register: u64,
        ms: u64,
    },
    FailWrite {
        register: u64,
        number: u64,
    },
    FailSync {
        register: u64,
        number: u64,
    },
    SetClock {
        register: u64,
        by_ms: i64,
    },
    /// A backup is made now, and put in place of the register's files a while later.
    Restore {
        register: u64,
        after_ms: u64,
    },
    /// The plugin of the prices does harm for a while, in a run that has one.
    Harm {
        register: u64,
        harm: &'static str,
        ms: u64,
    },
    /// The profile's text changes under way.
    OtherProfile {
        register: u64,
        frequency_s: u64,
        batch: u64,
    },
    /// From now on a second cashier of the register pays in the very moment in which the first does, now and then.
    SecondTill {
        register: u64,
    },
    /// The store has more barcodes than a page of a pull holds: from the first day on, or head office brings them now.
    Assortment {
        barcodes: u64,
        from_the_first_day: bool,
    },
    /// From now on a conflict over a customer waits for a person.
    AskPerson {
        register: u64,
    },
}

/// What kind of trouble an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    Crash,
    PowerCut,
    Stop,
    Network,
    Channel,
    Answer,
    Disk,
    Clock,
    Retention,
    Profile,
    Restore,
    Plugin,
    /// No trouble, but sales that meet.
    Crowd,
    /// No trouble either: more than a page of rows.
    Bulk,
    /// Conflicts that wait for a person.
    Person,
}

impl Kind {
    /// What goes wrong.
    pub const ALL: [Kind; 12] = [
        Kind::Crash,
        Kind::PowerCut,
        Kind::Stop,
        Kind::Network,
        Kind::Channel,
        Kind::Answer,
        Kind::Disk,
        Kind::Clock,
        Kind::Retention,
        Kind::Profile,
        Kind::Restore,
        Kind::Plugin,
    ];
}

impl Event {
    pub fn kind(&self) -> Kind {
        match self {
            Event::Kill { dark: true, .. } => Kind::PowerCut,
            Event::Kill { .. } => Kind::Crash,
            Event::Stop { .. } | Event::SecondAgent { .. } => Kind::Stop,
            Event::Cut { .. }
            | Event::Reset { .. }
            | Event::Silence { .. }
            | Event::Slow { .. }
            | Event::Trickle { .. }
            | Event::CutAfter { .. } => Kind::Network,
            Event::LoseAnswer { .. } | Event::HalfRow { .. } => Kind::Answer,
            Event::RefuseLogins { .. }
            | Event::RefuseRequests { .. }
            | Event::Stall { .. }
            | Event::Lock { .. }
            | Event::ChannelDies { .. }
            | Event::ReadOnly { .. }
            | Event::FailStatement { .. } => Kind::Channel,
            Event::ForgetChanges | Event::AnotherLife => Kind::Retention,
            Event::DiskFull { .. } | Event::FailWrite { .. } | Event::FailSync { .. } => Kind::Disk,
            Event::SetClock { .. } => Kind::Clock,
            Event::OtherProfile { .. } => Kind::Profile,
            Event::Restore { .. } | Event::ChannelRestored { .. } => Kind::Restore,
            Event::Harm { .. } => Kind::Plugin,
            Event::SecondTill { .. } => Kind::Crowd,
            Event::Assortment { .. } => Kind::Bulk,
            Event::AskPerson { .. } => Kind::Person,
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_millis(self.at_ms);
        write!(f, "{:>4}.{:03} s  {:?}", at.as_secs(), at.subsec_millis(), self.what)
    }
}
