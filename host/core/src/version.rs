//! Positions. A channel version is never a local sequence number, so each has its own type; all are 64 bits wide
//! (a 32-bit cast of a 64-bit version lost rows for the incumbent: KB 2703853).

use std::fmt;

/// A version of SQL Server change tracking: commit order in the channel database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChannelVersion(pub u64);

/// A position in the register's own log: commit order in the offline database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// One life of an offline database. A restored or cloned file is told apart from the one that went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl fmt::Display for ChannelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::guid_text(&self.0))
    }
}
