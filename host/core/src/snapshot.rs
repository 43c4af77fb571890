//! Whether a prebuilt catalogue is worth taking: compared with what the register has, table by table.

use crate::table::TableName;
use crate::version::ChannelVersion;
use std::collections::BTreeMap;

/// How far one table was pulled, and what it looked like then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAt {
    pub table: TableName,
    /// Of the shape as the offline database stores it.
    pub shape: String,
    /// `None` before a first load.
    pub version: Option<ChannelVersion>,
    pub epoch: Option<[u8; 16]>,
}

/// What a snapshot is to a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Nothing here is newer, and something there is.
    Newer,
    /// Every table is as far here.
    Known,
    /// This table is further here.
    Older(TableName),
    /// This table is missing there or here, or has another shape.
    OtherShape(TableName),
    /// This table stands under another life of the channel: only the channel can say which one counts.
    OtherEpoch(TableName),
}

/// Compares what is offered with what is there. The first reason against it counts, in this order: shapes, epochs, ages.
pub fn worth(offered: &[TableAt], here: &[TableAt]) -> Worth {
    let mut own: BTreeMap<&TableName, &TableAt> =
        here.iter().map(|one| (&one.table, one)).collect();
    let mut pairs = Vec::with_capacity(offered.len());
    for one in offered {
        match own.remove(&one.table) {
            Some(known) if known.shape == one.shape && one.version.is_some() => {
                pairs.push((one, known));
            }
            _ => return Worth::OtherShape(one.table.clone()),
        }
    }
    if let Some((table, _)) = own.pop_first() {
        return Worth::OtherShape(table.clone());
    }
    let is_other = |(offered, known): &&(&TableAt, &TableAt)| {
        known.version.is_some() && known.epoch != offered.epoch
    };
    if let Some((one, _)) = pairs.iter().find(is_other) {
        return Worth::OtherEpoch(one.table.clone());
    }
    if let Some((one, _)) = pairs.iter().find(|(one, known)| one.version < known.version) {
        return Worth::Older(one.table.clone());
    }
    match pairs.iter().any(|(one, known)| one.version > known.version) {
        true => Worth::Newer,
        false => Worth::Known,
    }
}

#[cfg(test)]
mod tests {
    use super::{TableAt, Worth, worth};
    use crate::table::TableName;
    use crate::version::ChannelVersion;

    /// `"A 5 e"`: table, version or `-`, epoch; a fourth word is another shape.
    fn tables(text: &str) -> Vec<TableAt> {
        let one = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            TableAt {
                table: TableName::new("ax", words[0]),
                shape: words.get(3).unwrap_or(&"shape").to_string(),
                version: words[1].parse().ok().map(ChannelVersion),
                epoch: (words[1] != "-").then(|| [words[2].as_bytes()[0]; 16]),
            }
        };
        text.split(',').filter(|line| !line.trim().is_empty()).map(one).collect()
    }

    #[test]
    fn the_first_reason_against_it_counts() {
        let a = || TableName::new("ax", "A");
        let b = || TableName::new("ax", "B");
        for (offered, here, expected) in [
            ("A 5 e, B 5 e", "A 4 e, B 5 e", Worth::Newer),
            ("A 5 e, B 5 e", "A - e, B - e", Worth::Newer),
            ("A 5 e, B 5 e", "A 5 e, B - e", Worth::Newer),
            ("A 5 e, B 5 e", "A 5 e, B 5 e", Worth::Known),
            ("A 5 e, B 5 e", "A 4 e, B 6 e", Worth::Older(b())),
            ("A 5 e, B 5 e", "A 4 f, B 4 e", Worth::OtherEpoch(a())),
            ("A 5 e, B 5 e", "A 4 e, B 9 f", Worth::OtherEpoch(b())),
            ("A 5 e", "A 4 e, B 4 e", Worth::OtherShape(b())),
            ("A 5 e, B 5 e", "A 4 e", Worth::OtherShape(b())),
            ("A 5 e other, B 5 e", "A 4 e, B 4 f", Worth::OtherShape(a())),
            ("A - e, B 5 e", "A 4 e, B 4 e", Worth::OtherShape(a())),
            ("", "", Worth::Known),
        ] {
            assert_eq!(worth(&tables(offered), &tables(here)), expected, "{offered} to {here}");
        }
    }
}
