//! The catalogue's lines with their figures: the table that is printed and the one of the page.

use crate::catalogue::{Line, Run};
use crate::figure::{Bar, Figure, plain};
use crate::record::Record;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub line: &'a Line,
    /// `None`: it was not measured.
    pub figure: Option<&'a Figure>,
}

impl Entry<'_> {
    pub fn measured(&self) -> String {
        self.figure
            .map_or("not measured".to_string(), |figure| with_unit(figure.value, &figure.unit))
    }

    pub fn ceiling(&self) -> String {
        let ceiling = self.figure.and_then(|figure| Some((figure, figure.ceiling.as_ref()?)));
        let told = |(figure, ceiling): (&Figure, &crate::figure::Ceiling)| {
            format!("{}: {}", with_unit(ceiling.value, &figure.unit), ceiling.what)
        };
        ceiling.map_or(String::new(), told)
    }

    pub fn ratio(&self) -> String {
        self.figure.and_then(Figure::ratio).map_or(String::new(), |ratio| match ratio {
            // The ends say enough, and three digits of them would not.
            0.0..0.01 => format!("{ratio:.4}"),
            0.01..10.0 => format!("{ratio:.2}"),
            _ => plain(ratio),
        })
    }

    pub fn bar(&self) -> String {
        let unit = self.figure.map_or("", |figure| figure.unit.as_str());
        self.line.bar.told(unit)
    }

    pub fn is_met(&self) -> Option<bool> {
        self.line.bar.is_met(self.figure?)
    }

    pub fn verdict(&self) -> &'static str {
        match (self.line.bar, self.is_met()) {
            (Bar::None, _) => "",
            (_, Some(true)) => "met",
            (_, Some(false)) => "missed",
            (_, None) => "not told",
        }
    }
}

pub fn with_unit(value: f64, unit: &str) -> String {
    format!("{} {unit}", plain(value)).trim_end().to_string()
}

/// A run's lines, in the catalogue's order.
pub fn entries<'a>(run: &'a Run, record: &'a Record) -> Vec<Entry<'a>> {
    let entry = |line: &'a Line| Entry {
        line,
        figure: record.figure(&format!("{}.{}", run.name, line.figure)),
    };
    run.lines.iter().map(entry).collect()
}

pub const HEADS: [&str; 7] =
    ["", "what", "measured", "ceiling in the same run", "ratio", "bar", ""];

pub fn cells(entry: &Entry<'_>) -> [String; 7] {
    let Line { target, what, .. } = entry.line;
    let what = what.to_string();
    let verdict = entry.verdict().to_string();
    [
        target.to_string(),
        what,
        entry.measured(),
        entry.ceiling(),
        entry.ratio(),
        entry.bar(),
        verdict,
    ]
}

/// For a terminal: columns as wide as what is in them.
pub fn table(runs: &[&Run], record: &Record) -> String {
    let mut rows = vec![HEADS.map(String::from)];
    for run in runs {
        rows.extend(entries(run, record).iter().map(cells));
    }
    aligned(&rows)
}

pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut told = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        told += cells.join("  ").trim_end();
        told.push('\n');
    }
    told
}

/// What is not as it should be, a line each: benches that failed, and missed bars where the sizes are those of the bars.
pub fn troubles(runs: &[&Run], record: &Record) -> Vec<String> {
    let mut told = Vec::new();
    let judged = runs.iter().filter(|_| !record.is_quick);
    for run in judged {
        let missed = |entry: &Entry<'_>| {
            let (what, measured, bar) = (entry.line.what, entry.measured(), entry.bar());
            (entry.is_met() == Some(false))
                .then(|| format!("missed: {what}: {measured}, wanted {bar}"))
        };
        told.extend(entries(run, record).iter().filter_map(missed));
    }
    told.extend(record.failures.iter().map(|f| format!("failed: {}: {}", f.run, f.said)));
    told
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::catalogue::Program;
    use crate::figure::tests::figure;
    use crate::record::Failure;

    pub const RUN: Run = Run {
        name: "sale",
        group: "Selling",
        program: Program::Bench("sale"),
        full: &[],
        quick: &[],
        lines: &[
            Line { figure: "p50", what: "a sale", bar: Bar::TimesAtMost(1.3), target: "B3" },
            Line { figure: "rate", what: "sales", bar: Bar::AtLeast(10.0), target: "" },
            Line { figure: "lost", what: "lost sales", bar: Bar::AtMost(0.0), target: "" },
            Line { figure: "cpu", what: "processor", bar: Bar::None, target: "" },
        ],
    };

    pub fn record() -> Record {
        Record {
            figures: vec![
                figure("sale.p50", 3.0, "ms", Some(2.0)),
                figure("sale.rate", 20.0, "sales/s", Some(40.0)),
                figure("sale.cpu", 91.0, "µs", None),
            ],
            failures: vec![Failure { run: "cuts".to_string(), said: "no".to_string() }],
            ..Record::default()
        }
    }

    #[test]
    fn each_line_of_the_catalogue_has_its_row() {
        let told = table(&[&RUN], &record());
        let rows: Vec<&str> = told.lines().skip(1).collect();
        assert_eq!(rows.len(), 4);
        let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(rows[0]), "B3 a sale 3 ms 2 ms: bare 1.50 ≤ 1.3 times missed");
        assert_eq!(words(rows[1]), "sales 20 sales/s 40 sales/s: bare 0.50 ≥ 10 sales/s met");
        assert_eq!(words(rows[2]), "lost sales not measured ≤ 0 not told");
        assert_eq!(words(rows[3]), "processor 91 µs");
    }

    #[test]
    fn what_missed_and_what_failed_is_said() {
        let told = troubles(&[&RUN], &record());
        assert_eq!(told, ["missed: a sale: 3 ms, wanted ≤ 1.3 times", "failed: cuts: no"]);
        let quick = Record { is_quick: true, ..record() };
        assert_eq!(troubles(&[&RUN], &quick), ["failed: cuts: no"]);
    }
}
