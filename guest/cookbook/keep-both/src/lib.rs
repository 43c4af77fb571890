//! Two answers to one question: keep both, and mark the row for the office.
//!
//! The till learned that Anna is now called Miller, the office that she is called Meyer. One may be a typing error;
//! neither must be lost, and the sale must not wait for somebody to ask her.
//!
//! A resolver cannot add a row, so there is no second customer. What wins stands in its own column; what lost stands
//! behind a flag in a column beside it, where the office finds it: `WHERE KNOWNAS LIKE 'CHECK:%'`.
//!
//! | table | both changed | what lost goes to |
//! |---|---|---|
//! | `DIRPARTYTABLE` | `NAME` | `KNOWNAS` |
//! | `LOGISTICSELECTRONICADDRESS` | `LOCATOR` | `DESCRIPTION` |
//!
//! What one side changed is taken, the time of the last change is the later. A person decides where the column beside it
//! has no room for both, bears a flag already or was changed by both, where what lost is a mask that would hide the
//! real one for good, and about all other columns that both changed.
//!
//! Config: `first = till` or `office`, whose answer stands in the column (`till`); `flag = CHECK:`.

use tillhold_sdk::{Changed, Conflict, Context, Resolution, Settings, Winner, resolver};

const FLAG: &str = "CHECK:";
const FLAG_UNITS_MAX: usize = 20;
/// What a transformer leaves of an address.
const MASK: &str = "***";

resolver! {
    settings: ["first", "flag"],
    check: readable,

    "ax.DIRPARTYTABLE" { reads: *, writes: *, decide: name }
    "ax.LOGISTICSELECTRONICADDRESS" { reads: *, writes: *, decide: contact }
}

/// A column, and one beside it that has room, in UTF-16 units as SQL Server counts them.
struct Pair {
    column: &'static str,
    beside: &'static str,
    units: usize,
}

fn readable(settings: &Settings) -> Result<(), String> {
    let first = settings.get("first").unwrap_or("till");
    if !["till", "office"].contains(&first) {
        return Err(format!("first: '{first}' is neither till nor office"));
    }
    let flag = settings.get("flag").unwrap_or(FLAG);
    if flag.is_empty() || flag.encode_utf16().count() > FLAG_UNITS_MAX {
        return Err(format!("flag: '{flag}' is empty or longer than {FLAG_UNITS_MAX}"));
    }
    Ok(())
}

fn name(context: &Context, conflict: &Conflict) -> Resolution {
    keep_both(context, conflict, &Pair { column: "NAME", beside: "KNOWNAS", units: 100 })
}

fn contact(context: &Context, conflict: &Conflict) -> Resolution {
    keep_both(context, conflict, &Pair { column: "LOCATOR", beside: "DESCRIPTION", units: 60 })
}

fn keep_both(context: &Context, conflict: &Conflict, pair: &Pair) -> Resolution {
    let first = match context.setting("first") {
        Some("office") => Winner::Channel,
        _ => Winner::Offline,
    };
    let merged = conflict.merge(|column| match column {
        "MODIFIEDDATETIME" => Winner::Later,
        column if column == pair.column => first,
        _ => Winner::Person,
    });
    if !conflict.changed_by_both(pair.column) || matches!(merged, Resolution::Defer(_)) {
        return merged;
    }
    match note(context, conflict, pair, first) {
        Ok(note) => merged.set(pair.beside, note),
        Err(reason) => Resolution::defer(reason),
    }
}

/// The flag, what lost, and what stood there before: `CHECK: Anna Meyer (Annie)`.
fn note(
    context: &Context,
    conflict: &Conflict,
    pair: &Pair,
    first: Winner,
) -> Result<String, String> {
    let Pair { column, beside, units } = pair;
    let (Some(channel), Some(offline)) = (conflict.channel(), conflict.offline()) else {
        return Err(format!("one side has no {column}"));
    };
    let lost = if first == Winner::Channel { offline.text(column) } else { channel.text(column) };
    let lost = lost.unwrap_or_default().trim();
    if lost.contains(MASK) {
        return Err(format!("both sides changed {column}, and one of them is masked"));
    }
    let before = match conflict.changed(beside) {
        Changed::Offline => offline.text(beside),
        _ => channel.text(beside),
    };
    let before = before.unwrap_or_default().trim();
    let flag = context.setting("flag").unwrap_or(FLAG);
    if before.starts_with(flag) {
        return Err(format!("both sides changed {column}, and {beside} is flagged already"));
    }
    let note = match before.is_empty() {
        true => format!("{flag} {lost}").trim_end().to_string(),
        false => format!("{flag} {lost} ({before})"),
    };
    match note.encode_utf16().count() <= *units {
        true => Ok(note),
        false => Err(format!("both sides changed {column}, and {beside} has no room for both")),
    }
}

#[cfg(test)]
mod tests {
    use super::RESOLVER;
    use tillhold_sdk::testing::context;
    use tillhold_sdk::{Resolution, Value};

    type Cells<'a> = &'a [(&'a str, Value)];

    fn decide(config: &str, known_as: &str, channel: Cells, offline: Cells) -> Resolution {
        let before: [(&str, Value); 4] = [
            ("NAME", "Anna Smith".into()),
            ("KNOWNAS", known_as.into()),
            ("LANGUAGEID", "en-us".into()),
            ("MODIFIEDDATETIME", Value::Timestamp(10)),
        ];
        let context = context().config(config);
        RESOLVER.judge(&context, "ax.DIRPARTYTABLE", &before, Some(channel), Some(offline))
    }

    fn names(config: &str, known_as: &str) -> Resolution {
        let changed =
            |name: &str, at| [("NAME", name.into()), ("MODIFIEDDATETIME", Value::Timestamp(at))];
        decide(config, known_as, &changed("Anna Meyer", 30), &changed("Anna Miller", 20))
    }

    #[test]
    fn both_names_are_kept() {
        let till =
            Resolution::nothing().set("NAME", "Anna Miller").set("KNOWNAS", "CHECK: Anna Meyer");
        assert_eq!(names("", ""), till);
        let office = Resolution::nothing().set("KNOWNAS", "? Anna Miller (Annie)");
        assert_eq!(names("first = office; flag = ?", "Annie"), office);
    }

    #[test]
    fn what_cannot_be_kept_waits_for_a_person() {
        for known_as in ["CHECK: Anna Schmidt", &"x".repeat(90)] {
            assert!(matches!(names("", known_as), Resolution::Defer(_)), "{known_as}");
        }
        let (masked, clear): (Cells, Cells) =
            (&[("NAME", "A***".into())], &[("NAME", "Anna Miller".into())]);
        assert!(matches!(decide("", "", masked, clear), Resolution::Defer(_)));
        let beside: (Cells, Cells) = (
            &[("NAME", "A".into()), ("KNOWNAS", "a".into())],
            &[("NAME", "B".into()), ("KNOWNAS", "b".into())],
        );
        assert_eq!(
            decide("", "", beside.0, beside.1),
            Resolution::defer("both sides changed KNOWNAS")
        );
    }

    #[test]
    fn what_one_side_changed_needs_no_flag() {
        let decided =
            decide("", "", &[("LANGUAGEID", "de".into())], &[("NAME", "Anna Miller".into())]);
        assert_eq!(decided, Resolution::nothing().set("NAME", "Anna Miller"));
        let beside = decide(
            "",
            "",
            &[("NAME", "A".into())],
            &[("NAME", "B".into()), ("KNOWNAS", "b".into())],
        );
        let expected = Resolution::nothing().set("NAME", "B").set("KNOWNAS", "CHECK: A (b)");
        assert_eq!(beside, expected);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_told_at_the_start() {
        assert_eq!(RESOLVER.accepts("first = office; flag = LOOK"), Ok(()));
        for wrong in ["first = both", "flag =", "flag = a flag that is far too long"] {
            assert!(RESOLVER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
