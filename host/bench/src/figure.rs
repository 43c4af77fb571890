//! A figure that a bench told, what bounds it, and the bar that it is held against.

use serde_json::{Value as Json, json};

/// As a bench tells it: a line of JSON. The name has the run's in front once it is collected.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: String,
    pub ceiling: Option<Ceiling>,
    /// Of the sources that were measured; the collection's to say.
    pub commit: String,
}

/// The best that could be, measured in the same run and in the same unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    pub what: String,
    pub value: f64,
}

impl Figure {
    /// `None` for what is no figure, and for one that could not be measured (NaN is `null` in JSON).
    pub fn read(told: &Json) -> Option<Figure> {
        let ceiling = told["ceiling"].as_object().and_then(|ceiling| {
            let what = ceiling.get("what")?.as_str()?.to_string();
            Some(Ceiling { what, value: ceiling.get("value")?.as_f64()? })
        });
        let text = |key: &str| Some(told[key].as_str()?.to_string());
        Some(Figure {
            name: text("name")?,
            value: told["value"].as_f64()?,
            unit: text("unit")?,
            ceiling,
            commit: text("commit").unwrap_or_default(),
        })
    }

    pub fn json(&self) -> Json {
        let Figure { name, value, unit, commit, .. } = self;
        let mut told = json!({ "name": name, "value": value, "unit": unit, "commit": commit });
        if let Some(Ceiling { what, value }) = &self.ceiling {
            told["ceiling"] = json!({ "what": what, "value": value });
        }
        told
    }

    /// Whose it is.
    pub fn run(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(run, _)| run)
    }

    /// Of rates more is better, of everything else less.
    pub fn is_rate(&self) -> bool {
        self.unit.ends_with("/s")
    }

    /// How many times its ceiling the figure is; `None` without one.
    pub fn ratio(&self) -> Option<f64> {
        let ceiling = self.ceiling.as_ref()?.value;
        (ceiling > 0.0).then(|| self.value / ceiling)
    }

    /// The part of what was possible that is reached: 1 at the ceiling, whichever way is better.
    pub fn reached(&self) -> Option<f64> {
        let ratio = self.ratio()?;
        match self.is_rate() {
            true => Some(ratio),
            false => (ratio > 0.0).then(|| 1.0 / ratio),
        }
    }
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// It is told, nothing more.
    None,
    AtMost(f64),
    AtLeast(f64),
    /// So many times the ceiling, of a figure of which less is better.
    TimesAtMost(f64),
}

impl Bar {
    /// How much of the allowance is used: 1 at the bar, more beyond it. `None` where there is nothing to hold it against.
    pub fn used(self, figure: &Figure) -> Option<f64> {
        match self {
            Bar::None => None,
            // Nothing is allowed, so that anything is too much.
            Bar::AtMost(0.0) => Some(if figure.value > 0.0 { f64::INFINITY } else { 0.0 }),
            Bar::AtMost(most) => Some(figure.value / most),
            Bar::AtLeast(least) => Some(least / figure.value),
            Bar::TimesAtMost(times) => Some(figure.ratio()? / times),
        }
    }

    pub fn is_met(self, figure: &Figure) -> Option<bool> {
        Some(self.used(figure)? <= 1.0)
    }

    pub fn told(self, unit: &str) -> String {
        let of = |number: f64| format!("{} {unit}", plain(number)).trim_end().to_string();
        match self {
            Bar::None => String::new(),
            Bar::AtMost(most) => format!("≤ {}", of(most)),
            Bar::AtLeast(least) => format!("≥ {}", of(least)),
            Bar::TimesAtMost(times) => format!("≤ {times} times"),
        }
    }
}

/// Three digits that say something, the thousands grouped.
pub fn plain(number: f64) -> String {
    let size = number.abs();
    if size >= 100.0 {
        return grouped(number.round());
    }
    let digits = match size {
        size if size == size.trunc() => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
}

fn grouped(whole: f64) -> String {
    let digits = format!("{:.0}", whole.abs());
    let mut told = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    if whole < 0.0 { format!("-{told}") } else { told }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn figure(name: &str, value: f64, unit: &str, ceiling: Option<f64>) -> Figure {
        let ceiling = ceiling.map(|value| Ceiling { what: "bare".to_string(), value });
        let (name, unit, commit) = (name.to_string(), unit.to_string(), "abc".to_string());
        Figure { name, value, unit, ceiling, commit }
    }

    #[test]
    fn what_is_told_is_read_again() {
        for told in [figure("a.b", 1.5, "ms", Some(0.5)), figure("c", 3.0, "rows/s", None)] {
            assert_eq!(Figure::read(&told.json()), Some(told));
        }
        assert_eq!(Figure::read(&json!({ "name": "a", "value": f64::NAN, "unit": "s" })), None);
        assert_eq!(Figure::read(&json!("a")), None);
    }

    #[test]
    fn a_ceiling_is_one_whichever_way_is_better() {
        let cases = [("ms", 2.0, 1.0, 2.0, 0.5), ("rows/s", 50.0, 200.0, 0.25, 0.25)];
        for (unit, value, ceiling, ratio, reached) in cases {
            let figure = figure("a", value, unit, Some(ceiling));
            assert_eq!((figure.ratio(), figure.reached()), (Some(ratio), Some(reached)));
        }
        assert_eq!(figure("a", 1.0, "ms", Some(0.0)).ratio(), None);
    }

    #[test]
    fn each_bar_is_met_at_it_and_missed_beyond() {
        let cases = [
            (Bar::AtMost(5.0), 5.0, 5.01),
            (Bar::AtMost(0.0), 0.0, 1.0),
            (Bar::AtLeast(20.0), 20.0, 19.9),
            (Bar::TimesAtMost(1.25), 2.5, 2.6),
        ];
        for (bar, met, missed) in cases {
            assert_eq!(bar.is_met(&figure("a", met, "s", Some(2.0))), Some(true), "{bar:?}");
            assert_eq!(bar.is_met(&figure("a", missed, "s", Some(2.0))), Some(false), "{bar:?}");
        }
        assert_eq!(Bar::None.is_met(&figure("a", 1.0, "s", None)), None);
        assert_eq!(Bar::TimesAtMost(1.0).is_met(&figure("a", 1.0, "s", None)), None);
    }

    #[test]
    fn numbers_are_told_in_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.012"),
            (3.456, "3.46"),
            (60.0, "60"),
            (12.34, "12.3"),
            (1_234_567.8, "1,234,568"),
            (-1_000.0, "-1,000"),
        ];
        for (number, told) in cases {
            assert_eq!(plain(number), told);
        }
        assert_eq!(Bar::AtLeast(20_000.0).told("requests/s"), "≥ 20,000 requests/s");
    }
}
