//! Prices of the store's own zone, and none of the others'.
//!
//! A chain that sells at other prices in the north than in the south keeps a price group a zone, and a trade agreement
//! (`PRICEDISCTABLE`) a zone and item. A register needs one of each; one that finds a price of another
//! zone by mistake sells at it.
//!
//! On the way down, sales prices and discounts that are agreed for a zone of other stores are dropped. All else comes:
//! prices for everyone, for one customer, and for groups that are no zone, which a customer or a loyalty tier may bring
//! along.
//!
//! On the way up nothing is touched.
//!
//! Config: `zones = NORTH: S0001 S0002, SOUTH: S0003`, each a price group and the stores where it holds. A store may be
//! in several.

use tillhold_sdk::{Context, Flow, Row, Settings, Verdict, transformer};

/// PriceType in AX 2012: 4 sales price, 5 line, 6 multiline, 7 total discount of sales; below are purchases.
const SALES: std::ops::RangeInclusive<i64> = 4..=7;
/// TableGroupAll in AX 2012: 0 one account, 1 a group, 2 everyone.
const OF_GROUP: i64 = 1;

transformer! {
    settings: ["zones"],
    check: readable,

    "ax.PRICEDISCTABLE" {
        reads: ["RELATION", "ACCOUNTCODE", "ACCOUNTRELATION"],
        writes: [],
        rule: of_own_zone,
    }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let written = settings.get("zones").unwrap_or_default();
    if written.is_empty() {
        return Err("zones is not set: zones = NORTH: S0001 S0002, SOUTH: S0003".to_string());
    }
    let mut seen: Vec<&str> = Vec::new();
    for zone in written.split(',') {
        let Some((group, stores)) = zone.split_once(':') else {
            return Err(format!("zones: '{}' is not GROUP: STORE STORE", zone.trim()));
        };
        let group = group.trim();
        if group.is_empty() || stores.trim().is_empty() {
            return Err(format!("zones: '{}' lacks its group or its stores", zone.trim()));
        }
        if seen.iter().any(|other| is_same(other, group)) {
            return Err(format!("zones: {group} is there twice"));
        }
        seen.push(group);
    }
    Ok(())
}

fn of_own_zone(context: &Context, row: &mut Row) -> Verdict {
    let is_of_group = row.integer("ACCOUNTCODE") == Some(OF_GROUP);
    let is_sales = row.integer("RELATION").is_some_and(|relation| SALES.contains(&relation));
    if context.flow == Flow::Push || !is_of_group || !is_sales {
        return Verdict::Keep;
    }
    let group = row.text("ACCOUNTRELATION").unwrap_or_default();
    let Some(zone) = zones(context).find(|zone| is_same(zone.group, group)) else {
        return Verdict::Keep;
    };
    if zone.has(context) {
        return Verdict::Keep;
    }
    if zones(context).any(|zone| zone.has(context)) {
        return Verdict::Drop;
    }
    // A new store that nobody put into a zone would sell without any zone's price, and look well.
    Verdict::refuse(format!("store {} is in no zone: add it to `zones`", context.store.trim_end()))
}

struct Zone<'a> {
    group: &'a str,
    stores: &'a str,
}

fn zones(context: &Context) -> impl Iterator<Item = Zone<'_>> {
    let written = context.setting("zones").unwrap_or_default();
    let zones = written.split(',').filter_map(|zone| zone.split_once(':'));
    zones.map(|(group, stores)| Zone { group: group.trim(), stores })
}

impl Zone<'_> {
    fn has(&self, context: &Context) -> bool {
        self.stores.split_whitespace().any(|store| context.is_own_store(store))
    }
}

/// As SQL Server compares: blind to case and trailing blanks.
fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    a.eq_ignore_ascii_case(b) || !a.is_ascii() && a.to_lowercase() == b.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::TRANSFORMER;
    use tillhold_sdk::testing::context;
    use tillhold_sdk::{Flow, Value, Verdict};

    const ZONES: &str = "zones = NORTH: S0001 S0002, S\u{dc}D: S0003, AIRPORT: s0001";

    fn judge(store: &str, relation: i32, code: i32, group: &str) -> Verdict {
        let row: [(&str, Value); 3] = [
            ("RELATION", relation.into()),
            ("ACCOUNTCODE", code.into()),
            ("ACCOUNTRELATION", group.into()),
        ];
        let context = context().store(store).config(ZONES);
        let up = TRANSFORMER.judge(&context.clone().flow(Flow::Push), "ax.PRICEDISCTABLE", &row);
        assert_eq!(up.verdict, Verdict::Keep);
        TRANSFORMER.judge(&context, "ax.PRICEDISCTABLE", &row).verdict
    }

    #[test]
    fn a_store_has_its_zones_prices() {
        for (store, group, expected) in [
            ("S0001", "NORTH", Verdict::Keep),
            ("S0001", "north  ", Verdict::Keep),
            ("S0001", "AIRPORT", Verdict::Keep),
            ("S0001", "S\u{dc}D", Verdict::Drop),
            ("S0002 ", "AIRPORT", Verdict::Drop),
            ("S0003", "s\u{fc}d", Verdict::Keep),
            ("S0003", "GOLD", Verdict::Keep),
            ("S0003", "", Verdict::Keep),
        ] {
            for relation in 4..=7 {
                assert_eq!(judge(store, relation, 1, group), expected, "{store} {group}");
            }
        }
    }

    #[test]
    fn only_what_is_agreed_for_a_zone_is_looked_at() {
        assert_eq!(judge("S0003", 4, 2, "NORTH"), Verdict::Keep, "everyone's");
        assert_eq!(judge("S0003", 4, 0, "NORTH"), Verdict::Keep, "a customer of that number");
        assert_eq!(judge("S0003", 0, 1, "NORTH"), Verdict::Keep, "a purchase");
    }

    #[test]
    fn a_store_without_a_zone_is_told() {
        assert!(matches!(judge("S0009", 4, 1, "NORTH"), Verdict::Refuse(_)));
        assert_eq!(judge("S0009", 4, 1, "GOLD"), Verdict::Keep);
    }

    #[test]
    fn zones_that_cannot_be_meant_are_told_at_the_start() {
        assert_eq!(TRANSFORMER.accepts(ZONES), Ok(()));
        for wrong in [
            "",
            "zones=",
            "zones=NORTH",
            "zones=NORTH:",
            "zones=:S1",
            "zones=A:S1,a:S2",
            "zones=A:S1,",
        ] {
            assert!(TRANSFORMER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
