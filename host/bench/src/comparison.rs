//! Two collections side by side: how each figure has changed.

use crate::figure::Figure;
use crate::record::Record;
use crate::report::{aligned, with_unit};

/// Of the figures that both have, in the order of the newer one. A figure that only one of them has is said below.
pub fn table(older: &Record, newer: &Record) -> String {
    let heads = ["figure", "before", "now", "change", ""].map(String::from);
    let mut rows = vec![heads];
    let mut alone = Vec::new();
    for figure in &newer.figures {
        match older.figure(&figure.name) {
            Some(before) => rows.push(row(before, figure)),
            None => alone.push(format!("only now: {}\n", figure.name)),
        }
    }
    let gone = older.figures.iter().filter(|figure| newer.figure(&figure.name).is_none());
    alone.extend(gone.map(|figure| format!("only before: {}\n", figure.name)));
    let mut told =
        format!("before: {}\nnow:    {}\n\n", older.machine.told(), newer.machine.told());
    told += &aligned(&rows);
    if older.is_quick != newer.is_quick {
        told += "one of them was made with small sizes: they do not compare\n";
    }
    told + &alone.concat()
}

fn row(before: &Figure, now: &Figure) -> [String; 5] {
    let of = |figure: &Figure| with_unit(figure.value, &figure.unit);
    let (change, word) = change(before, now);
    [now.name.clone(), of(before), of(now), change, word.to_string()]
}

/// In percent of the older one, and whether that is good.
fn change(before: &Figure, now: &Figure) -> (String, &'static str) {
    let difference = now.value - before.value;
    let word = match (difference > 0.0) == now.is_rate() {
        _ if difference == 0.0 => "",
        true => "better",
        false => "worse",
    };
    match before.value == 0.0 {
        true if difference == 0.0 => ("0.0 %".to_string(), word),
        true => ("from nothing".to_string(), word),
        false => (format!("{:+.1} %", difference / before.value * 100.0), word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::tests::figure;

    #[test]
    fn a_change_is_told_in_percent_and_judged() {
        let cases = [
            ("ms", 2.0, 3.0, "+50.0 %", "worse"),
            ("ms", 2.0, 1.0, "-50.0 %", "better"),
            ("rows/s", 2.0, 3.0, "+50.0 %", "better"),
            ("rows/s", 2.0, 2.0, "+0.0 %", ""),
            ("sales", 0.0, 0.0, "0.0 %", ""),
            ("sales", 0.0, 1.0, "from nothing", "worse"),
        ];
        for (unit, before, now, percent, word) in cases {
            let told = change(&figure("a", before, unit, None), &figure("a", now, unit, None));
            assert_eq!(told, (percent.to_string(), word), "{unit} {before} {now}");
        }
    }

    #[test]
    fn what_only_one_has_is_said() {
        let record = |names: &[&str]| Record {
            figures: names.iter().map(|name| figure(name, 1.0, "s", None)).collect(),
            ..Record::default()
        };
        let told = table(&record(&["a", "b"]), &record(&["b", "c"]));
        assert!(told.contains("only now: c\nonly before: a\n"), "{told}");
        assert_eq!(told.matches("+0.0 %").count(), 1);
    }
}
