//! Points that were earned and spent on both sides: the balance gets both changes.
//!
//! A customer spends 300 points at a register without a connection, and in the web shop 200 on the same day. Either
//! side's balance is wrong; the one before, less both, is right. So is a balance that both sides changed to the same
//! number: each took ten.
//!
//! AX 2012 R3 itself keeps points as entries (`RETAILTRANSACTIONLOYALTYREWARDPOINTTRANS`), which only ever come in
//! addition and need no resolver. A balance as one number is what retailers and their partners added to
//! `RETAILLOYALTYCARD`; here it is `POINTSBALANCE numeric(32,16)`. Put your column's name in its place.
//!
//! | what both sides changed | |
//! |---|---|
//! | the balance | both changes; a person, if it fell below `floor` or would not fit |
//! | whether the card is blocked | blocked, whoever said so |
//! | until when a tier holds | the later day |
//! | anything else, and a card that one side deleted | a person |
//!
//! Config: `floor = 0`, the least balance that is settled without a person.

use tillhold_sdk::{
    Changed, Conflict, Context, Decimal, Resolution, Settings, Side, Winner, resolver,
};

const BALANCE: &str = "POINTSBALANCE";
/// LoyaltyCardTenderType in AX 2012 R3: 0 card tender, 1 contact tender, 2 no tender, 3 blocked.
const BLOCKED: i64 = 3;
/// numeric(32,16)
const SCALE: u8 = 16;
const UNSCALED_END: i128 = 10i128.pow(32);

resolver! {
    settings: ["floor"],
    check: readable,

    "ax.RETAILLOYALTYCARD" {
        reads: ["POINTSBALANCE", "CARDTENDERTYPE", "PARTY"],
        writes: ["POINTSBALANCE", "CARDTENDERTYPE", "PARTY"],
        decide: card,
    }
    "ax.RETAILLOYALTYCARDTIER" { reads: *, writes: *, decide: tier }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let floor = settings.get("floor").unwrap_or("0");
    match widened(Decimal::parse(floor)) {
        Some(_) => Ok(()),
        None => Err(format!("floor: '{floor}' is no balance")),
    }
}

fn card(context: &Context, conflict: &Conflict) -> Resolution {
    let merged = conflict.merge(|column| match column {
        "CARDTENDERTYPE" => blocked(conflict),
        // Put right below; where nothing is known of the balance before, it is a person's.
        BALANCE if conflict.base().is_some() => Winner::Offline,
        _ => Winner::Person,
    });
    let (Some(base), Some(channel), Some(offline)) =
        (conflict.base(), conflict.channel(), conflict.offline())
    else {
        return merged;
    };
    if !matches!(conflict.changed(BALANCE), Changed::Both | Changed::Alike) {
        return merged;
    }
    let Some(sum) = with_both_changes(base, channel, offline) else {
        return Resolution::defer(format!("the sum of both changes does not fit {BALANCE}"));
    };
    let floor = widened(context.setting("floor").and_then(Decimal::parse)).unwrap_or(0);
    if sum < floor {
        return Resolution::defer("both sides spent points, together more than there were");
    }
    merged.set(BALANCE, Decimal::new(sum, SCALE))
}

/// No balance is one of nothing.
fn with_both_changes(base: Side, channel: Side, offline: Side) -> Option<i128> {
    let of = |side: Side| widened(Some(side.decimal(BALANCE).unwrap_or(Decimal::new(0, SCALE))));
    let sum = of(channel)?.checked_add(of(offline)?)?.checked_sub(of(base)?)?;
    (sum.abs() < UNSCALED_END).then_some(sum)
}

fn widened(decimal: Option<Decimal>) -> Option<i128> {
    let unscaled = decimal?.rounded(SCALE)?.unscaled;
    (unscaled.abs() < UNSCALED_END).then_some(unscaled)
}

fn blocked(conflict: &Conflict) -> Winner {
    let is_blocked =
        |side: Option<Side>| side.and_then(|side| side.integer("CARDTENDERTYPE")) == Some(BLOCKED);
    match (is_blocked(conflict.channel()), is_blocked(conflict.offline())) {
        (true, _) => Winner::Channel,
        (_, true) => Winner::Offline,
        _ => Winner::Person,
    }
}

fn tier(_: &Context, conflict: &Conflict) -> Resolution {
    conflict.merge(|column| match column {
        "VALIDTO" => Winner::Later,
        _ => Winner::Person,
    })
}

#[cfg(test)]
mod tests {
    use super::RESOLVER;
    use tillhold_sdk::testing::context;
    use tillhold_sdk::{Decimal, Resolution, Value};

    type Cells<'a> = &'a [(&'a str, Value)];

    fn points(points: i128) -> Value {
        Decimal::new(points * 10i128.pow(16), 16).into()
    }

    fn decide(config: &str, channel: Option<Cells>, offline: Option<Cells>) -> Resolution {
        let before: [(&str, Value); 3] =
            [("POINTSBALANCE", points(500)), ("CARDTENDERTYPE", 0.into()), ("PARTY", 7.into())];
        let context = context().config(config);
        RESOLVER.judge(&context, "ax.RETAILLOYALTYCARD", &before, channel, offline)
    }

    fn balances(config: &str, channel: i128, offline: i128) -> Resolution {
        let cell = |balance| [("POINTSBALANCE", points(balance))];
        decide(config, Some(&cell(channel)), Some(&cell(offline)))
    }

    #[test]
    fn both_changes_count() {
        for (channel, offline, sum) in [(300, 200, 0), (490, 490, 480), (600, 450, 550)] {
            let expected = Resolution::nothing().set("POINTSBALANCE", points(sum));
            assert_eq!(balances("", channel, offline), expected);
        }
    }

    #[test]
    fn who_spent_more_than_there_was_is_a_persons_to_judge() {
        assert!(matches!(balances("", 200, 250), Resolution::Defer(_)));
        let expected = Resolution::nothing().set("POINTSBALANCE", points(-50));
        assert_eq!(balances("floor = -100", 200, 250), expected);
        let widest = 10i128.pow(16) - 1;
        assert!(matches!(balances("", widest, widest), Resolution::Defer(_)));
    }

    #[test]
    fn a_blocked_card_stays_blocked() {
        let cells = |kind: i32, balance| {
            [("CARDTENDERTYPE", kind.into()), ("POINTSBALANCE", points(balance))]
        };
        let decided = decide("", Some(&cells(1, 450)), Some(&cells(3, 500)));
        assert_eq!(decided, Resolution::nothing().set("CARDTENDERTYPE", 3));
        let decided = decide("", Some(&cells(3, 450)), Some(&cells(2, 400)));
        assert_eq!(decided, Resolution::nothing().set("POINTSBALANCE", points(350)));
        let decided = decide("", Some(&cells(1, 500)), Some(&cells(2, 500)));
        assert_eq!(decided, Resolution::defer("both sides changed CARDTENDERTYPE"));
    }

    #[test]
    fn a_deleted_card_waits_for_a_person() {
        let spent: Cells = &[("POINTSBALANCE", points(400))];
        assert!(matches!(decide("", None, Some(spent)), Resolution::Defer(_)));
        assert!(matches!(decide("", Some(spent), None), Resolution::Defer(_)));
    }

    #[test]
    fn a_floor_that_is_no_balance_is_told_at_the_start() {
        assert_eq!(RESOLVER.accepts("floor = -100.5"), Ok(()));
        assert!(RESOLVER.accepts("floor = low").is_err());
    }
}
