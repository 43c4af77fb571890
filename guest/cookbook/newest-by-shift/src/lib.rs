//! Where a shift stands: what was done last holds, and a closed shift stays closed.
//!
//! A cashier suspends a shift at one register and takes it up at another, while the first has no connection
//! (`crt.RETAILSHIFTSTAGINGTABLE`, the bidirectional scope "Shift staging"). Column by column the shift would end up with
//! one register's state and the other's cashier; so what says where it stands is taken from one side, whole.
//!
//! | the two sides | who wins |
//! |---|---|
//! | one has closed it | that one: nothing that is sold later belongs to it |
//! | one has it no longer | that one: the row of a closed shift is removed |
//! | both changed it at different times (`STATUSDATETIMEUTC`) | the later |
//! | at most `within` seconds apart, and not alike | a person: two machines' clocks are not that exact |
//! | cashier who opened it, drawer number, day of opening | a person: they never change, so two shifts have one number |
//!
//! Config: `within = 5`, seconds.

use tillhold_sdk::{Conflict, Context, Resolution, Settings, Side, Winner, resolver};

/// What together says where a shift stands.
const STANDING: [&str; 5] =
    ["STATUS", "STATUSDATETIMEUTC", "CURRENTSTAFFID", "CURRENTTERMINALID", "CASHDRAWER"];
/// ShiftStatus in AX 2012 R3: 1 open, 2 closed, 3 blind closed (counted later), 4 suspended.
const CLOSED: i64 = 2;
const WITHIN_SECONDS: i64 = 5;
const WITHIN_SECONDS_MAX: i64 = 86_400;
/// Of 100 ns.
const TICKS_A_SECOND: i64 = 10_000_000;

resolver! {
    settings: ["within"],
    check: readable,

    "crt.RETAILSHIFTSTAGINGTABLE" { reads: *, writes: *, decide: shift }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let Some(within) = settings.get("within") else { return Ok(()) };
    match within.parse::<i64>() {
        Ok(seconds) if (0..=WITHIN_SECONDS_MAX).contains(&seconds) => Ok(()),
        _ => Err(format!("within: '{within}' is not a number from 0 to {WITHIN_SECONDS_MAX}")),
    }
}

fn shift(context: &Context, conflict: &Conflict) -> Resolution {
    let (channel, offline) = match (conflict.channel(), conflict.offline()) {
        (Some(channel), Some(offline)) => (channel, offline),
        (None, _) => return Resolution::TakeChannel,
        (_, None) => return Resolution::TakeOffline,
    };
    let winner = match latest(context, channel, offline) {
        Winner::Person if STANDING.iter().all(|one| channel.value(one) == offline.value(one)) => {
            Winner::Channel
        }
        Winner::Person => {
            return Resolution::defer("both sides changed the shift at the same time");
        }
        winner => winner,
    };
    let merged = conflict.merge(|column| match STANDING.contains(&column) {
        true => winner,
        false => Winner::Person,
    });
    match (merged, winner) {
        (Resolution::Merge(cells), Winner::Offline) => whole(cells, channel, offline),
        (Resolution::Merge(cells), _) => whole(cells, channel, channel),
        (other, _) => other,
    }
}

/// The merge of all other columns, with where the shift stands from one side.
fn whole(cells: Vec<(String, tillhold_sdk::Value)>, channel: Side, from: Side) -> Resolution {
    let others = cells.into_iter().filter(|(column, _)| !STANDING.contains(&column.as_str()));
    let merged = Resolution::Merge(others.collect());
    let changed = STANDING.iter().filter(|one| channel.value(one) != from.value(one));
    changed.fold(merged, |merged, one| merged.set(one, from.value(one).clone()))
}

/// `Person`: it cannot be told.
fn latest(context: &Context, channel: Side, offline: Side) -> Winner {
    let is_closed = |side: Side| side.integer("STATUS") == Some(CLOSED);
    match (is_closed(channel), is_closed(offline)) {
        (true, false) => return Winner::Channel,
        (false, true) => return Winner::Offline,
        _ => {}
    }
    let within = context.setting("within").and_then(|within| within.parse().ok());
    let ticks = within.unwrap_or(WITHIN_SECONDS) * TICKS_A_SECOND;
    match (moment(channel), moment(offline)) {
        (Some(there), Some(here)) if there.abs_diff(here) <= ticks.unsigned_abs() => Winner::Person,
        (Some(there), Some(here)) if here > there => Winner::Offline,
        (Some(_), _) => Winner::Channel,
        (None, Some(_)) => Winner::Offline,
        (None, None) => Winner::Person,
    }
}

/// A shift that nobody touched since it was opened has no time of its state yet.
fn moment(side: Side) -> Option<i64> {
    let at = side.value("STATUSDATETIMEUTC").as_timestamp();
    at.or_else(|| side.value("STARTDATETIMEUTC").as_timestamp())
}

#[cfg(test)]
mod tests {
    use super::{RESOLVER, TICKS_A_SECOND};
    use tillhold_sdk::testing::context;
    use tillhold_sdk::{Resolution, Value};

    type Cells<'a> = &'a [(&'a str, Value)];

    fn at(second: i64) -> Value {
        Value::Timestamp(second * TICKS_A_SECOND)
    }

    fn decide(config: &str, channel: Option<Cells>, offline: Option<Cells>) -> Resolution {
        let before: [(&str, Value); 9] = [
            ("CHANNEL", 5637144577i64.into()),
            ("TERMINALID", "000001".into()),
            ("SHIFTID", 12.into()),
            ("STAFFID", "Ann".into()),
            ("STARTDATETIMEUTC", at(0)),
            ("STATUS", 1.into()),
            ("STATUSDATETIMEUTC", Value::Null),
            ("CURRENTSTAFFID", "Ann".into()),
            ("CASHDRAWER", "".into()),
        ];
        let before = [&before[..], &[("CURRENTTERMINALID", Value::from("000001"))]].concat();
        let context = context().config(config);
        RESOLVER.judge(&context, "crt.RETAILSHIFTSTAGINGTABLE", &before, channel, offline)
    }

    fn state(status: i32, second: i64) -> [(&'static str, Value); 2] {
        [("STATUS", status.into()), ("STATUSDATETIMEUTC", at(second))]
    }

    #[test]
    fn the_later_state_is_taken_whole() {
        let suspended = state(4, 100);
        let resumed = [&state(1, 200)[..], &[("CURRENTSTAFFID", "Bob".into())]].concat();
        let decided = decide("", Some(&suspended), Some(&resumed));
        let expected = Resolution::nothing()
            .set("STATUS", 1)
            .set("STATUSDATETIMEUTC", at(200))
            .set("CURRENTSTAFFID", "Bob");
        assert_eq!(decided, expected);
        // Bob is only on the register's side; of a state that is not taken nothing is.
        assert_eq!(decide("", Some(&resumed), Some(&suspended)), Resolution::nothing());
        let early = [&state(1, 50)[..], &[("CURRENTSTAFFID", "Bob".into())]].concat();
        assert_eq!(decide("", Some(&suspended), Some(&early)), Resolution::nothing());
    }

    #[test]
    fn a_closed_shift_stays_closed() {
        let (closed, later) = (state(2, 100), state(1, 900));
        assert_eq!(decide("", Some(&closed), Some(&later)), Resolution::nothing());
        let expected = Resolution::nothing().set("STATUS", 2).set("STATUSDATETIMEUTC", at(100));
        assert_eq!(decide("", Some(&later), Some(&closed)), expected);
        assert_eq!(decide("", None, Some(&later)), Resolution::TakeChannel);
        assert_eq!(decide("", Some(&later), None), Resolution::TakeOffline);
    }

    #[test]
    fn clocks_are_not_that_exact() {
        let (there, here) = (state(4, 100), state(3, 104));
        assert!(matches!(decide("", Some(&there), Some(&here)), Resolution::Defer(_)));
        assert!(matches!(decide("within = 0", Some(&there), Some(&here)), Resolution::Merge(_)));
        assert_eq!(decide("", Some(&there), Some(&there)), Resolution::nothing(), "alike");
    }

    #[test]
    fn two_shifts_of_one_number_wait_for_a_person() {
        let there = [&state(4, 100)[..], &[("STAFFID", "Bob".into())]].concat();
        let here = [&state(4, 300)[..], &[("STAFFID", "Cid".into())]].concat();
        let expected = Resolution::defer("both sides changed STAFFID");
        assert_eq!(decide("", Some(&there), Some(&here)), expected);
    }

    #[test]
    fn a_time_that_is_no_number_is_told_at_the_start() {
        assert_eq!(RESOLVER.accepts("within = 60"), Ok(()));
        for wrong in ["within = soon", "within = -1", "within = 86401"] {
            assert!(RESOLVER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
