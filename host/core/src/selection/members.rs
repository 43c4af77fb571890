//! Who is chosen: sets of plain keys, by what a member is known by.

use super::Domain;
use crate::types::SqlType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a member is known by in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberKind {
    /// INVENTTABLE.ITEMID
    Item,
    /// ECORESPRODUCT.RECID of an item's product, and of its variants.
    Product,
    /// INVENTTABLE.RECID
    ItemRecord,
    /// CUSTTABLE.ACCOUNTNUM
    Account,
    /// DIRPARTYTABLE.RECID of a customer, and of everyone who is none.
    Party,
    /// LOGISTICSLOCATION.RECID of such a party, and of nobody's locations.
    Location,
    /// DIRPARTYLOCATION.RECID
    PartyLocation,
    /// RETAILLOYALTYCARD.RECID
    Card,
}

impl MemberKind {
    pub const ALL: [MemberKind; 8] = [
        MemberKind::Item,
        MemberKind::Product,
        MemberKind::ItemRecord,
        MemberKind::Account,
        MemberKind::Party,
        MemberKind::Location,
        MemberKind::PartyLocation,
        MemberKind::Card,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            MemberKind::Item => "item",
            MemberKind::Product => "product",
            MemberKind::ItemRecord => "item-record",
            MemberKind::Account => "account",
            MemberKind::Party => "party",
            MemberKind::Location => "location",
            MemberKind::PartyLocation => "party-location",
            MemberKind::Card => "card",
        }
    }

    pub fn parse(name: &str) -> Option<MemberKind> {
        MemberKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub const fn domain(self) -> Domain {
        match self {
            MemberKind::Item | MemberKind::Product | MemberKind::ItemRecord => Domain::Products,
            _ => Domain::Customers,
        }
    }

    /// Known by a text; the others by a RECID.
    pub const fn is_text(self) -> bool {
        matches!(self, MemberKind::Item | MemberKind::Account)
    }

    /// Whether a column of that type can name such a member.
    pub fn fits(self, of: SqlType) -> bool {
        match self.is_text() {
            true => matches!(of, SqlType::NVarChar { .. } | SqlType::VarChar { .. }),
            false => matches!(of, SqlType::BigInt | SqlType::Int),
        }
    }
}

/// The sets, by what their members are known by: canonical texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<MemberKind, Arc<BTreeSet<String>>>);

impl Members {
    pub fn insert(&mut self, kind: MemberKind, keys: BTreeSet<String>) {
        self.0.insert(kind, Arc::new(keys));
    }

    pub fn of(&self, kind: MemberKind) -> Option<&BTreeSet<String>> {
        self.0.get(&kind).map(Arc::as_ref)
    }

    pub fn kinds(&self) -> impl Iterator<Item = MemberKind> + '_ {
        self.0.keys().copied()
    }

    pub fn count(&self, kind: MemberKind) -> usize {
        self.of(kind).map_or(0, BTreeSet::len)
    }

    /// Takes over the other's sets, in place of one's own of the same kinds.
    pub fn merge(&mut self, other: &Members) {
        self.0.extend(other.0.iter().map(|(kind, keys)| (*kind, keys.clone())));
    }

    /// Who is here and not there.
    pub fn beyond(&self, other: &Members) -> Members {
        let nobody = BTreeSet::new();
        let rest = |(kind, keys): (&MemberKind, &Arc<BTreeSet<String>>)| {
            let known = other.of(*kind).unwrap_or(&nobody);
            (*kind, Arc::new(keys.difference(known).cloned().collect()))
        };
        Members(self.0.iter().map(rest).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(|keys| keys.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{MemberKind, Members};
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_name() {
        for kind in MemberKind::ALL {
            assert_eq!(MemberKind::parse(kind.name()), Some(kind));
        }
    }

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_joined_is_who_was_not_there() {
        let (mut new, mut old) = (Members::default(), Members::default());
        new.insert(MemberKind::Item, set(&["a", "b"]));
        new.insert(MemberKind::Product, set(&["7"]));
        old.insert(MemberKind::Item, set(&["b", "c"]));
        let joined = new.beyond(&old);
        assert_eq!(joined.of(MemberKind::Item), Some(&set(&["a"])));
        assert_eq!(joined.of(MemberKind::Product), Some(&set(&["7"])));
        assert!(new.beyond(&new).is_empty());
    }
}
