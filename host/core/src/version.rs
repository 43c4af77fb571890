//! Positions. A channel version is never a local sequence number, so each has its own type; all are 64 bits wide
//! (a 32-bit cast of a 64-bit version lost rows for the incumbent: KB 2703853).

use crate::profile::Capture;
use std::fmt;

/// The capture method's own position in the channel database. Change tracking: its version, which is commit order.
/// Triggers: the highest rowversion below which no transaction was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChannelVersion(pub u64);

/// A position in the register's own log: commit order in the offline database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// One life of an offline database. A restored or cloned file is told apart from the one that went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub [u8; 16]);

/// One start of an agent on an offline database: what tells a copy of the files from the one that went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run(pub [u8; 16]);

/// What a table was at the channel when its position was taken: a position counts only under its own mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMark {
    pub capture: Capture,
    /// Which table it is and since when its changes are noted, in the channel's numbers. Another one has another
    /// history, and nothing that was read before is of any use.
    pub history: String,
    /// When the table was last altered, as the channel says it. Another moment asks for a look at the shape; it moves
    /// for harmless reasons too. Empty: nobody has looked yet.
    pub altered: String,
}

impl TableMark {
    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<TableMark> {
        let mut parts = text.split(' ');
        let capture = Capture::parse(parts.next()?)?;
        let (history, altered) = (parts.next()?.to_string(), parts.next()?.to_string());
        parts.next().is_none().then_some(TableMark { capture, history, altered })
    }

    pub fn is_same_history(&self, other: &TableMark) -> bool {
        (self.capture, &self.history) == (other.capture, &other.history)
    }
}

/// One line without spaces but the two between its parts.
impl fmt::Display for TableMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.capture.name(), self.history, self.altered)
    }
}

/// How far one table was read, and what it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub version: ChannelVersion,
    /// `None` in a file of before marks were kept: the shape is looked at, and the position counts.
    pub mark: Option<TableMark>,
}

impl From<ChannelVersion> for Position {
    fn from(version: ChannelVersion) -> Position {
        Position { version, mark: None }
    }
}

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

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::guid_text(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::TableMark;
    use crate::profile::Capture;

    #[test]
    fn a_mark_survives_its_text() {
        for altered in ["2026-11-22T01:02:03.123", ""] {
            let mark = TableMark {
                capture: Capture::Triggers,
                history: "11/12".to_string(),
                altered: altered.to_string(),
            };
            assert_eq!(TableMark::parse(&mark.to_string()), Some(mark));
        }
        for text in ["", "change-tracking", "other 1 2", "triggers 1 2 3"] {
            assert_eq!(TableMark::parse(text), None, "{text}");
        }
    }
}
