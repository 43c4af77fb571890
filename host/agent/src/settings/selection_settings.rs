//! The settings of [`super::selection_fields`], as they are read, shown and compared; and the shipped list of tables
//! that hang on a choice.

use super::conduct::ConductEntry;
use super::effective::Origin;
use super::field::{Field, Number, Texts};
use super::reader::{Placed, Section};
use super::selection_fields as fields;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_core::selection::{
    Dependent, Domain, OfflineCustomers, OfflineProducts, REFRESH_DEFAULT, Restriction, Selections,
};
use tillhold_core::table::TableName;

const SHIPPED: &str = include_str!("selection_tables.txt");

#[derive(Clone, Debug, Default)]
pub struct SelectionSettings {
    products: OfflineProducts,
    customers: OfflineCustomers,
    /// The profile's own lines over the shipped list.
    tables: Vec<(Domain, Dependent)>,
    lines: Vec<(Domain, &'static str, usize)>,
}

impl SelectionSettings {
    pub(super) fn read(top: &Section<'_>) -> SelectionSettings {
        let mut read = SelectionSettings::default();
        if let Some(section) = top.section(&fields::OFFLINE_PRODUCTS) {
            read.read_products(&section);
        }
        if let Some(section) = top.section(&fields::OFFLINE_CUSTOMERS) {
            read.read_customers(&section);
        }
        read
    }

    fn read_products(&mut self, section: &Section<'_>) {
        let fresh = OfflineProducts::default();
        self.products = OfflineProducts {
            sold_top: whole(section, &fields::SOLD_TOP),
            sold_by: section.word(&fields::SOLD_BY).unwrap_or(fresh.sold_by),
            sold_days: whole(section, &fields::SOLD_DAYS),
            newest: whole(section, &fields::NEWEST),
            categories: texts(section, &fields::CATEGORIES),
            items: texts(section, &fields::ITEMS),
            refresh: hours(section),
        };
        self.read_tables(section, Domain::Products);
        self.note_lines(section, Domain::Products, fields::PRODUCTS_SHAPE.fields);
    }

    fn read_customers(&mut self, section: &Section<'_>) {
        let fresh = OfflineCustomers::default();
        self.customers = OfflineCustomers {
            top: whole(section, &fields::TOP),
            top_by: section.word(&fields::TOP_BY).unwrap_or(fresh.top_by),
            days: whole(section, &fields::DAYS),
            of_store: section.word(&fields::OF_STORE).unwrap_or(fresh.of_store),
            accounts: texts(section, &fields::ACCOUNTS),
            personal_data: section.flag(&fields::PERSONAL_DATA).unwrap_or(fresh.personal_data),
            refresh: hours(section),
        };
        self.read_tables(section, Domain::Customers);
        self.note_lines(section, Domain::Customers, fields::CUSTOMERS_SHAPE.fields);
    }

    fn read_tables(&mut self, section: &Section<'_>, domain: Domain) {
        for Placed { text, line } in section.texts(&fields::TABLES).unwrap_or_default() {
            match dependent(&text, domain) {
                Some(read) => self.tables.push((domain, read)),
                None => section.wrong_at(line, &format!(
                    "tables takes \"ax.T COLUMN KEY\", \"ax.T COLUMN KEY CODE=0\" or \"ax.T whole\", with a KEY of {}; not '{text}'",
                    domain.name()
                )),
            }
        }
    }

    fn note_lines(
        &mut self,
        section: &Section<'_>,
        domain: Domain,
        described: &[&'static dyn super::field::Described],
    ) {
        for field in described {
            let line = section.line_of(field.key());
            self.lines.extend(line.map(|line| (domain, field.key(), line)));
        }
    }

    /// With the shipped list; a table that the profile names goes by the profile's lines alone.
    pub fn selections(&self) -> Selections {
        let named = |table: &TableName| self.tables.iter().any(|(_, own)| own.table == *table);
        let shipped = shipped().into_iter().filter(|line| !named(&line.table));
        let own = self.tables.iter().map(|(_, own)| own.clone());
        Selections {
            products: self.products.clone(),
            customers: self.customers.clone(),
            dependents: shipped.chain(own).collect(),
        }
    }

    /// Where a section's setting was said.
    pub fn origin(&self, domain: Domain, key: &str) -> Origin {
        let said = self.lines.iter().find(|(of, name, _)| (*of, *name) == (domain, key));
        said.map_or(Origin::Default, |(_, _, line)| Origin::File { line: *line })
    }

    /// Where a section begins to say something.
    pub fn place(&self, domain: Domain) -> Origin {
        let said = self.lines.iter().filter(|(of, _, _)| *of == domain).map(|(_, _, line)| *line);
        said.min().map_or(Origin::Default, |line| Origin::File { line })
    }

    /// Section by section.
    pub fn entries(&self) -> Vec<ConductEntry> {
        let own = |domain: Domain| {
            let of_domain = self.tables.iter().filter(move |(of, _)| *of == domain);
            of_domain.map(|(_, line)| line_text(line)).collect::<Vec<_>>()
        };
        let tables = [own(Domain::Products), own(Domain::Customers)];
        let all = values(&self.products, &self.customers, tables).into_iter();
        let fresh =
            values(&OfflineProducts::default(), &OfflineCustomers::default(), Default::default());
        let entry = |((domain, key, value), (_, _, usual)): ((Domain, &'static str, Json), _)| {
            let usual: Json = usual;
            ConductEntry {
                section: section_name(domain),
                key,
                is_default: value == usual,
                from: self.origin(domain, key),
                value,
            }
        };
        all.zip(fresh).map(entry).collect()
    }
}

fn section_name(domain: Domain) -> &'static str {
    match domain {
        Domain::Products => fields::OFFLINE_PRODUCTS.key,
        Domain::Customers => fields::OFFLINE_CUSTOMERS.key,
    }
}

/// The same of a typed profile: `offline_products.newest` and its value; the lists of tables as far as they are not
/// the shipped one.
pub fn told(selections: &Selections) -> Vec<(&'static str, String)> {
    let shipped = shipped();
    let own = |domain: Domain| {
        let of_domain = selections.dependents.iter().filter(move |line| line.domain == domain);
        let further = of_domain.filter(|line| !shipped.contains(line));
        further.map(line_text).collect::<Vec<_>>()
    };
    let tables = [own(Domain::Products), own(Domain::Customers)];
    let all = values(&selections.products, &selections.customers, tables);
    all.into_iter().zip(NAMES).map(|((_, _, value), name)| (name, value.to_string())).collect()
}

const NAMES: [&str; 16] = [
    "offline_products.sold_top",
    "offline_products.sold_by",
    "offline_products.sold_days",
    "offline_products.newest",
    "offline_products.categories",
    "offline_products.items",
    "offline_products.refresh_h",
    "offline_products.tables",
    "offline_customers.top",
    "offline_customers.top_by",
    "offline_customers.days",
    "offline_customers.of_store",
    "offline_customers.accounts",
    "offline_customers.personal_data",
    "offline_customers.refresh_h",
    "offline_customers.tables",
];

/// As JSON and as TOML writes it.
fn values(
    products: &OfflineProducts,
    customers: &OfflineCustomers,
    [of_products, of_customers]: [Vec<String>; 2],
) -> Vec<(Domain, &'static str, Json)> {
    let hours = |refresh: Duration| {
        let hours = refresh.as_secs_f64() / 3_600.0;
        if hours.fract() == 0.0 { json!(hours as i64) } else { json!(hours) }
    };
    let (p, c) = (Domain::Products, Domain::Customers);
    vec![
        (p, fields::SOLD_TOP.key, json!(products.sold_top)),
        (p, fields::SOLD_BY.key, json!(products.sold_by.name())),
        (p, fields::SOLD_DAYS.key, json!(products.sold_days)),
        (p, fields::NEWEST.key, json!(products.newest)),
        (p, fields::CATEGORIES.key, json!(products.categories)),
        (p, fields::ITEMS.key, json!(products.items)),
        (p, fields::REFRESH.key, hours(products.refresh)),
        (p, fields::TABLES.key, json!(of_products)),
        (c, fields::TOP.key, json!(customers.top)),
        (c, fields::TOP_BY.key, json!(customers.top_by.name())),
        (c, fields::DAYS.key, json!(customers.days)),
        (c, fields::OF_STORE.key, json!(customers.of_store.name())),
        (c, fields::ACCOUNTS.key, json!(customers.accounts)),
        (c, fields::PERSONAL_DATA.key, json!(customers.personal_data)),
        (c, fields::REFRESH.key, hours(customers.refresh)),
        (c, fields::TABLES.key, json!(of_customers)),
    ]
}

fn line_text(line: &Dependent) -> String {
    match &line.on {
        Some(on) => format!("{} {on}", line.table),
        None => format!("{} whole", line.table),
    }
}

/// `ax.T COLUMN KEY CODE=0`, or `ax.T whole`.
fn dependent(text: &str, domain: Domain) -> Option<Dependent> {
    let (table, rest) = text.split_once(' ')?;
    let table = TableName::parse(table)?;
    if rest == "whole" {
        return Some(Dependent { table, domain, on: None });
    }
    match Restriction::parse(rest)? {
        Restriction::Members(mut list) if list.len() == 1 => {
            let on = list.remove(0);
            (on.kind.domain() == domain).then_some(Dependent { table, domain, on: Some(on) })
        }
        _ => None,
    }
}

fn shipped() -> Vec<Dependent> {
    let lines = SHIPPED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let one = |line: &str| Domain::ALL.into_iter().find_map(|domain| dependent(line, domain));
    lines.filter_map(one).collect()
}

fn whole(section: &Section<'_>, field: &Field<Number>) -> u32 {
    section.number(field).unwrap_or(field.default()) as u32
}

fn texts(section: &Section<'_>, field: &Field<Texts>) -> Vec<String> {
    section.texts(field).unwrap_or_default().into_iter().map(|text| text.text).collect()
}

fn hours(section: &Section<'_>) -> Duration {
    let said = section.number(&fields::REFRESH);
    said.map_or(REFRESH_DEFAULT, |hours| Duration::from_secs_f64(hours * 3_600.0))
}

#[cfg(test)]
mod tests {
    use super::{SHIPPED, shipped};
    use std::collections::BTreeMap;
    use tillhold_core::types::SqlType;

    const SCHEMA: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/ax2012r3_channel_schema.json");

    /// Every line is read, and its columns are in the published schema, of a type that can name such a member.
    #[test]
    fn the_shipped_list_is_of_the_published_schema() {
        let text = std::fs::read_to_string(SCHEMA).expect("the published schema");
        let schema: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&text).expect("JSON");
        let lines = shipped();
        let given = SHIPPED.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
        assert_eq!(lines.len(), given, "a line that is not read");
        assert!(given > 45, "{given}");
        for line in lines {
            let on = line.on.expect("a dependence");
            let columns = schema[&line.table.to_string()]["columns"].as_array().expect("columns");
            let of = |name: &str| {
                let found = columns.iter().find(|column| column[0] == name);
                let found = found.unwrap_or_else(|| panic!("{} has no {name}", line.table));
                SqlType::parse(found[1].as_str().expect("a type")).expect("a type")
            };
            assert!(on.kind.fits(of(&on.column)), "{} {}", line.table, on.column);
            if let Some(code) = &on.only {
                assert_eq!(of(&code.column), SqlType::Int);
            }
        }
    }
}
