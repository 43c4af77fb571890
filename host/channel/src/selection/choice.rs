//! Who is chosen now: the criteria asked one after the other, their union completed by what the members need, and the
//! keys by which other tables know them.
//!
//! ```text
//! sold, newest, categories, listed, needed ─► items ─► + linked items ─► item, item-record, product (+ variants)
//! best, of the store, listed, needed ─► accounts ─► party (+ everyone else's) ─► location, party-location, card
//! ```
//!
//! * All of it reads only tables of the profile, under the register's own rights.
//! * More than [`SELECTION_MEMBERS_MAX`] of a kind are refused, not cut: a till must not lack every tenth price.

use super::criteria as sql;
use super::keys_json;
use crate::cells::Cells;
use crate::convert::Parameter;
use crate::error::ChannelError;
use crate::link::{Ask, Link, ResultSet};
use std::collections::BTreeSet;
use tillhold_core::limits::{SELECTION_LEVELS_MAX, SELECTION_MEMBERS_MAX};
use tillhold_core::moment::Date;
use tillhold_core::selection::{
    Domain, MemberKind, Members, OfStore, OfflineCustomers, OfflineProducts, RankedBy, Selections,
    SoldBy,
};
use tillhold_core::table::TableName;
use tillhold_core::text::canonical;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    pub selections: &'a Selections,
    pub domain: Domain,
    pub store: &'a str,
    pub today: Date,
    /// Members for this register's own sake: what its kept sales name.
    pub own: &'a BTreeSet<String>,
    /// The keys that the profile's tables need.
    pub kinds: &'a [MemberKind],
    /// The profile's tables: what completes a choice is looked for only in these.
    pub tables: &'a BTreeSet<TableName>,
}

/// Who is chosen, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    pub members: Members,
    pub criteria: Vec<Criterion>,
    /// What the profile names and the channel does not know.
    pub unknown: Vec<String>,
}

/// How many a criterion found; one member may be found by several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    pub name: &'static str,
    pub found: usize,
}

/// All criteria in one snapshot.
pub async fn choose(link: &mut Link, choice: &Choice<'_>) -> Result<Chosen, ChannelError> {
    link.ask(Ask::batch(WHAT, sql::CHOICE_BEGIN_SQL)).await?;
    let chosen = choose_here(link, choice).await;
    match &chosen {
        Ok(_) => {
            link.ask(Ask::batch(WHAT, sql::CHOICE_END_SQL)).await?;
        }
        // Half a transaction is never used again.
        Err(_) => link.disconnect(),
    }
    chosen
}

/// The same within a transaction that is open already.
pub(crate) async fn choose_here(
    link: &mut Link,
    choice: &Choice<'_>,
) -> Result<Chosen, ChannelError> {
    let mut choosing = Choosing { link, choice, chosen: Chosen::default(), found: BTreeSet::new() };
    match choice.domain {
        Domain::Products => choosing.products(&choice.selections.products).await?,
        Domain::Customers => choosing.customers(&choice.selections.customers).await?,
    }
    Ok(choosing.chosen)
}

const WHAT: &str = "say who is chosen";

struct Choosing<'l, 'c> {
    link: &'l mut Link,
    choice: &'c Choice<'c>,
    chosen: Chosen,
    /// The union so far.
    found: BTreeSet<String>,
}

impl Choosing<'_, '_> {
    async fn products(&mut self, rule: &OfflineProducts) -> Result<(), ChannelError> {
        if rule.sold_top > 0 {
            let best = match rule.sold_by {
                SoldBy::Amount => sql::SOLD_AMOUNT_SQL,
                SoldBy::Quantity => sql::SOLD_QUANTITY_SQL,
            };
            let keys = self.best(best, rule.sold_top, rule.sold_days).await?;
            self.add("sold", keys);
        }
        if rule.newest > 0 {
            let keys =
                self.texts(sql::NEWEST_SQL, vec![Parameter::Number(rule.newest.into())]).await?;
            self.add("newest", keys);
        }
        if !rule.categories.is_empty() {
            let keys = self.of_categories(&rule.categories).await?;
            self.add("categories", keys);
        }
        if !rule.items.is_empty() {
            self.add("listed", rule.items.iter().cloned().collect());
        }
        let mut needed = self.choice.own.clone();
        if self.has("RETAILPARAMETERS") {
            needed.extend(self.texts(sql::GIFT_CARD_ITEM_SQL, vec![most()]).await?);
        }
        self.add("needed", needed);
        if self.has("RETAILINVENTLINKEDITEM") {
            let linked = self.linked_items().await?;
            self.add("linked", linked);
        }
        self.items_and_products(&rule.items).await
    }

    async fn customers(&mut self, rule: &OfflineCustomers) -> Result<(), ChannelError> {
        if rule.top > 0 {
            let best = match rule.top_by {
                RankedBy::Sales => sql::BEST_BY_SALES_SQL,
                RankedBy::Visits => sql::BEST_BY_VISITS_SQL,
            };
            let keys = self.best(best, rule.top, rule.days).await?;
            self.add("best", keys);
        }
        let of_store = match rule.of_store {
            OfStore::No => None,
            OfStore::AddressBook => Some(sql::ADDRESS_BOOK_SQL),
            OfStore::Warehouse => Some(sql::WAREHOUSE_SQL),
        };
        if let Some(of_store) = of_store {
            let store = Parameter::Text(self.choice.store.to_string());
            let keys = self.texts(of_store, vec![most(), store]).await?;
            self.add("store", keys);
        }
        if !rule.accounts.is_empty() {
            self.add("listed", rule.accounts.iter().cloned().collect());
        }
        let mut needed = self.choice.own.clone();
        if self.has("RETAILCHANNELTABLE") {
            needed.extend(self.texts(sql::DEFAULT_ACCOUNTS_SQL, vec![most()]).await?);
        }
        self.add("needed", needed);
        self.accounts_and_parties(&rule.accounts).await
    }

    fn add(&mut self, name: &'static str, keys: BTreeSet<String>) {
        self.chosen.criteria.push(Criterion { name, found: keys.len() });
        self.found.extend(keys);
    }

    fn has(&self, table: &str) -> bool {
        self.choice.tables.contains(&TableName::new("ax", table))
    }

    fn needs(&self, kind: MemberKind) -> bool {
        self.choice.kinds.contains(&kind)
    }

    async fn best(
        &mut self,
        sql: &'static str,
        top: u32,
        days: u32,
    ) -> Result<BTreeSet<String>, ChannelError> {
        let first = Date(self.choice.today.0 - i32::try_from(days).unwrap_or_default());
        let day = canonical(&Value::Date(first), SqlType::Date).unwrap_or_default();
        let store = Parameter::Text(self.choice.store.to_string());
        self.texts(sql, vec![Parameter::Number(top.into()), store, Parameter::Text(day)]).await
    }

    /// A category by its name or code, and every one below it.
    async fn of_categories(&mut self, named: &[String]) -> Result<BTreeSet<String>, ChannelError> {
        let mut categories = BTreeSet::new();
        for name in named {
            let parameters = vec![most(), Parameter::Text(name.clone())];
            let found = self.numbers(sql::CATEGORY_SQL, parameters).await?;
            if found.is_empty() {
                self.chosen.unknown.push(format!("category {name}"));
            }
            categories.extend(found);
        }
        let mut level = categories.clone();
        for _ in 0..SELECTION_LEVELS_MAX {
            if level.is_empty() {
                break;
            }
            let above = keys_json(MemberKind::Product, level.iter());
            let below = self.numbers(sql::CATEGORIES_BELOW_SQL, vec![most(), above]).await?;
            // A category that is its own ancestor is met once.
            level = below.difference(&categories).cloned().collect();
            categories.extend(level.iter().cloned());
        }
        let categories = keys_json(MemberKind::Product, categories.iter());
        self.texts(sql::CATEGORY_ITEMS_SQL, vec![most(), categories]).await
    }

    async fn linked_items(&mut self) -> Result<BTreeSet<String>, ChannelError> {
        let mut all = BTreeSet::new();
        let mut level = self.found.clone();
        for _ in 0..SELECTION_LEVELS_MAX {
            if level.is_empty() {
                break;
            }
            let of = keys_json(MemberKind::Item, level.iter());
            let linked = self.texts(sql::LINKED_ITEMS_SQL, vec![most(), of]).await?;
            let is_new = |item: &&String| !self.found.contains(*item) && !all.contains(*item);
            level = linked.iter().filter(is_new).cloned().collect();
            all.extend(level.iter().cloned());
        }
        Ok(all)
    }

    async fn items_and_products(&mut self, listed: &[String]) -> Result<(), ChannelError> {
        let given = keys_json(MemberKind::Item, self.found.iter());
        let rows = self.rows(sql::ITEMS_SQL, vec![most(), given]).await?;
        let (mut items, mut records, mut products) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for mut cells in rows {
            items.insert(cells.text("k")?);
            records.insert(cells.number("record")?.to_string());
            products.insert(cells.number("product")?.to_string());
        }
        self.note_unknown("item", listed, &items);
        if self.has("ECORESDISTINCTPRODUCTVARIANT") && self.needs(MemberKind::Product) {
            let masters = keys_json(MemberKind::Product, products.iter());
            products.extend(self.numbers(sql::VARIANTS_SQL, vec![most(), masters]).await?);
        }
        self.keep(MemberKind::Item, items)?;
        self.keep(MemberKind::ItemRecord, records)?;
        self.keep(MemberKind::Product, products)
    }

    async fn accounts_and_parties(&mut self, listed: &[String]) -> Result<(), ChannelError> {
        let given = keys_json(MemberKind::Account, self.found.iter());
        let rows = self.rows(sql::ACCOUNTS_SQL, vec![most(), given]).await?;
        let (mut accounts, mut parties) = (BTreeSet::new(), BTreeSet::new());
        for mut cells in rows {
            accounts.insert(cells.text("k")?);
            parties.insert(cells.number("party")?.to_string());
        }
        self.note_unknown("customer", listed, &accounts);
        self.keep(MemberKind::Account, accounts)?;
        if self.has("DIRPARTYTABLE") {
            parties.extend(self.numbers(sql::OTHER_PARTIES_SQL, vec![most()]).await?);
        }
        let of_parties = keys_json(MemberKind::Party, parties.iter());
        if self.needs(MemberKind::Location) {
            let of = vec![most(), of_parties.clone()];
            let mut locations = self.numbers(sql::LOCATIONS_SQL, of).await?;
            if self.has("LOGISTICSLOCATION") {
                locations.extend(self.numbers(sql::OTHER_LOCATIONS_SQL, vec![most()]).await?);
            }
            self.keep(MemberKind::Location, locations)?;
        }
        for (kind, sql) in [
            (MemberKind::PartyLocation, sql::PARTY_LOCATIONS_SQL),
            (MemberKind::Card, sql::CARDS_SQL),
        ] {
            if self.needs(kind) {
                let keys = self.numbers(sql, vec![most(), of_parties.clone()]).await?;
                self.keep(kind, keys)?;
            }
        }
        self.keep(MemberKind::Party, parties)
    }

    fn note_unknown(&mut self, what: &str, listed: &[String], known: &BTreeSet<String>) {
        let same = |one: &str, other: &str| one.trim_end().eq_ignore_ascii_case(other.trim_end());
        for key in listed {
            if !known.contains(key) && !known.iter().any(|other| same(key, other)) {
                self.chosen.unknown.push(format!("{what} {key}"));
            }
        }
    }

    fn keep(&mut self, kind: MemberKind, keys: BTreeSet<String>) -> Result<(), ChannelError> {
        if keys.len() > SELECTION_MEMBERS_MAX {
            let (what, most) = (kind.name(), SELECTION_MEMBERS_MAX);
            return Err(ChannelError::ChoiceTooLarge { what, most });
        }
        if self.needs(kind) {
            self.chosen.members.insert(kind, keys);
        }
        Ok(())
    }

    async fn texts(
        &mut self,
        sql: &'static str,
        parameters: Vec<Parameter>,
    ) -> Result<BTreeSet<String>, ChannelError> {
        self.rows(sql, parameters).await?.into_iter().map(|mut cells| cells.text("k")).collect()
    }

    async fn numbers(
        &mut self,
        sql: &'static str,
        parameters: Vec<Parameter>,
    ) -> Result<BTreeSet<String>, ChannelError> {
        let rows = self.rows(sql, parameters).await?.into_iter();
        rows.map(|mut cells| Ok(cells.number("k")?.to_string())).collect()
    }

    async fn rows(
        &mut self,
        sql: &'static str,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Cells>, ChannelError> {
        let sets: Vec<ResultSet> = self.link.ask(Ask::query(WHAT, sql, &parameters)).await?;
        let rows: Vec<Cells> =
            sets.into_iter().flatten().map(|cells| Cells::new(WHAT, cells)).collect();
        if rows.len() > SELECTION_MEMBERS_MAX {
            let (what, most) = (self.choice.domain.name(), SELECTION_MEMBERS_MAX);
            return Err(ChannelError::ChoiceTooLarge { what, most });
        }
        Ok(rows)
    }
}

/// One more than may be, so that too many are noticed.
fn most() -> Parameter {
    Parameter::Number(SELECTION_MEMBERS_MAX as i64 + 1)
}
