//! Every promised sale is in the channel once and whole, with its own number; nothing that no till rang up, nothing in
//! halves. Every register's last number is there, and what it wrote of the customer that is its own.

use super::Rows;
use crate::store::STORE;
use crate::till::Sale;
use crate::world::World;
use std::collections::BTreeMap;
use tillhold_core::text::guid_text;

/// Promised edits of a customer whom one register alone edits, and promised numbers, are the channel's last ones.
pub(super) fn edits_hold(world: &World, tables: &BTreeMap<&'static str, Rows>) {
    for ((account, column), written) in world.books.own_customers.borrow().iter() {
        let at = if *column == "NAME" { 1 } else { 2 };
        let found = tables["CUSTTABLE"].iter().find(|row| row[0] == *account);
        if !found.is_some_and(|row| written.may_be(&row[at])) {
            let what = format!("LOST EDIT: {column} of {account} is {found:?}, not {written:?}");
            world.break_promise(what);
        }
    }
    for row in &tables["RETAILPOSSEEDDATA"] {
        let register = row[2].trim_start_matches('T').parse().unwrap_or(1);
        let promised = world.books.last_promised(register);
        if row[3].parse().is_ok_and(|number: u64| number < promised) {
            world.break_promise(format!(
                "LOST: number {promised} was promised, the channel has {row:?}"
            ));
        }
    }
}

/// Terminal and number of a sale.
type Name = (String, String);

/// What the channel has that is not accounted for yet.
struct There {
    headers: BTreeMap<Name, Vec<String>>,
    lines: BTreeMap<Name, Rows>,
    payments: BTreeMap<Name, Rows>,
    /// How often a transaction is in the ledger.
    ledger: BTreeMap<String, u64>,
}

pub(super) fn hold(world: &World, tables: &BTreeMap<&'static str, Rows>) {
    let mut there = There::of(tables);
    let sales = world.books.sales.borrow();
    let mut by_number: BTreeMap<(&str, u64), Vec<&Sale>> = BTreeMap::new();
    for sale in sales.iter().flatten() {
        by_number.entry((&sale.terminal, sale.number)).or_default().push(sale);
    }
    for ((terminal, number), rung) in by_number {
        let name = (terminal.to_string(), format!("{STORE}-{terminal}-{number}"));
        if let Some(sale) = there.header_of(world, &name, &rung) {
            there.whole(world, &name, sale);
        }
    }
    let There { headers, lines, payments, .. } = &there;
    if !headers.is_empty() || !lines.is_empty() || !payments.is_empty() {
        let (headers, lines, payments) = (headers.len(), lines.len(), payments.len());
        world.break_promise(format!(
            "nobody rang up {headers} headers, {lines} sales' lines, {payments} payments of the channel"
        ));
    }
}

impl There {
    fn of(tables: &BTreeMap<&'static str, Rows>) -> There {
        let header = |row: &Vec<String>| (name_of(row), row.clone());
        let mut ledger = BTreeMap::new();
        for row in &tables["ledger"] {
            *ledger.entry(row[0].to_ascii_lowercase()).or_default() += 1;
        }
        There {
            headers: tables["headers"].iter().map(header).collect(),
            lines: by_sale(&tables["lines"]),
            payments: by_sale(&tables["payments"]),
            ledger,
        }
    }

    /// Which of the sales that were rung up under a number has it at the channel.
    fn header_of<'s>(&mut self, world: &World, name: &Name, rung: &[&'s Sale]) -> Option<&'s Sale> {
        let promised: Vec<&Sale> =
            rung.iter().filter(|sale| sale.promised.is_some()).copied().collect();
        if promised.len() > 1 {
            world.break_promise(format!("{} was promised to {} sales", name.1, promised.len()));
        }
        let header = self.headers.remove(name);
        let is_its = |sale: &&&Sale| {
            Some(sale.amount.to_string()) == header.as_ref().map(|row| row[2].clone())
        };
        let found = rung.iter().find(is_its).copied();
        if let Some(sale) = promised.first()
            && found.is_none_or(|found| found.id != sale.id)
        {
            let (name, place) = (&name.1, &sale.promised);
            world.break_promise(format!(
                "LOST: sale {name} was promised ({place:?}), the channel has {header:?}"
            ));
        }
        if found.is_none() && header.is_some() {
            world.break_promise(format!("{} in the channel is no sale that was rung up", name.1));
        }
        found
    }

    fn whole(&mut self, world: &World, name: &Name, sale: &Sale) {
        let line = |line: u64| {
            vec![line.to_string(), format!("I{line}"), (sale.amount + line).to_string()]
        };
        let expected: Rows = (1..=sale.lines).map(line).collect();
        let mut found = self.lines.remove(name).unwrap_or_default();
        found.sort();
        let paid = self.payments.remove(name).unwrap_or_default();
        if found != expected || paid != [vec!["1".to_string(), sale.amount.to_string()]] {
            world.break_promise(format!(
                "HALF: {} has lines {found:?} and payments {paid:?}, not {expected:?}",
                name.1
            ));
        }
        match self.ledger.remove(&guid_text(&sale.id)) {
            Some(1) => {}
            other => world.break_promise(format!("{} is {other:?} times in the ledger", name.1)),
        }
    }
}

fn name_of(row: &[String]) -> Name {
    (row[0].clone(), row[1].clone())
}

/// The rest of each row by its sale.
fn by_sale(rows: &Rows) -> BTreeMap<Name, Rows> {
    let mut sales: BTreeMap<Name, Rows> = BTreeMap::new();
    for row in rows {
        sales.entry(name_of(row)).or_default().push(row[2..].to_vec());
    }
    sales
}
