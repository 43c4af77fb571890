//! docs/speed.svg: every figure as the part of its ceiling that it reaches, and as the part of its bar that it uses.
//!
//! * Left panel, linear: 1 is the ceiling, further right is better; a mark where the bar is a multiple of the ceiling.
//! * Right panel, logarithmic: the line is the bar, beyond it is missed. Shape and colour both say so.
//! * It brings its own background, so that it can be read on a light page and on a dark one.

use crate::catalogue::Run;
use crate::figure::Bar;
use crate::record::Record;
use crate::report::{Entry, entries};
use std::fmt::Write as _;

const WIDTH: f64 = 1_080.0;
const ROW: f64 = 19.0;
const GROUP: f64 = 34.0;
const HEAD: f64 = 92.0;
const FOOT: f64 = 40.0;
/// Where the labels end, and the two panels begin and end.
const LABEL: f64 = 420.0;
const REACHED: (f64, f64) = (436.0, 676.0);
const USED: (f64, f64) = (724.0, 936.0);
const MEASURED: f64 = 950.0;
/// Of the right panel: powers of ten.
const USED_MIN: f64 = -3.0;
const USED_MAX: f64 = 1.0;

const STYLE: &str = "\
svg { color-scheme: light dark; font: 12px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif }
.page { fill: #ffffff } text { fill: #24292f } .dim { fill: #57606a } .grid { stroke: #d8dee4 }
.bar { stroke: #24292f; stroke-width: 1.5 } .reached { fill: #54aeff } .met { fill: #1a7f37 } .missed { fill: #cf222e }
.stem { stroke: #afb8c1 } .head { font-weight: 600 } .title { font-size: 16px; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } text { fill: #e6edf3 } .dim { fill: #9198a1 } .grid { stroke: #30363d }
.bar { stroke: #e6edf3 } .reached { fill: #1f6feb } .met { fill: #3fb950 } .missed { fill: #ff7b72 } .stem { stroke: #484f58 }
}
";

pub fn plot(runs: &[&Run], record: &Record) -> String {
    let groups = groups(runs, record);
    let rows: usize = groups.iter().map(|(_, entries)| entries.len()).sum();
    let body = rows as f64 * ROW + groups.len() as f64 * GROUP;
    let height = HEAD + body + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Each figure beside its ceiling and its bar\">\n<style>\n{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    head(&mut svg, record, HEAD + body);
    let mut y = HEAD;
    for (group, entries) in &groups {
        text(&mut svg, (LABEL, y + GROUP - 10.0), "end", "head", group);
        y += GROUP;
        for entry in entries {
            row(&mut svg, y, entry);
            y += ROW;
        }
    }
    svg + "</svg>\n"
}

/// What can be drawn: a figure with a ceiling or a bar.
fn groups<'a>(runs: &[&'a Run], record: &'a Record) -> Vec<(&'a str, Vec<Entry<'a>>)> {
    let mut groups: Vec<(&str, Vec<Entry<'_>>)> = Vec::new();
    for run in runs {
        let drawn = |entry: &Entry<'_>| {
            let Some(figure) = entry.figure else { return false };
            figure.reached().is_some() || entry.line.bar.used(figure).is_some()
        };
        let mut drawn: Vec<Entry<'_>> = entries(run, record).into_iter().filter(drawn).collect();
        match groups.last_mut() {
            Some((group, all)) if *group == run.group => all.append(&mut drawn),
            _ => groups.push((run.group, drawn)),
        }
    }
    groups.retain(|(_, entries)| !entries.is_empty());
    groups
}

/// Title, the panels' titles and their grids down to `bottom`.
fn head(svg: &mut String, record: &Record, bottom: f64) {
    let sizes =
        if record.is_quick { " (small sizes: the bars are not meant for them)" } else { "" };
    text(svg, (24.0, 30.0), "start", "title", &format!("How fast it is{sizes}"));
    text(svg, (24.0, 48.0), "start", "dim", &record.machine.told());
    text(svg, (REACHED.0, 74.0), "start", "head", "part of its ceiling that is reached");
    text(svg, (USED.0, 74.0), "start", "head", "part of its bar that is used");
    text(svg, (MEASURED, 74.0), "start", "head", "measured");
    for percent in [0, 25, 50, 75, 100] {
        let x = along(REACHED, f64::from(percent) / 100.0);
        grid(svg, x, bottom, "grid");
        text(svg, (x, bottom + 16.0), "middle", "dim", &format!("{percent} %"));
    }
    for (power, told) in
        [(-3.0, "0.1 %"), (-2.0, "1 %"), (-1.0, "10 %"), (0.0, "bar"), (1.0, "10 ×")]
    {
        let x = along(USED, (power - USED_MIN) / (USED_MAX - USED_MIN));
        grid(svg, x, bottom, if power == 0.0 { "bar" } else { "grid" });
        text(svg, (x, bottom + 16.0), "middle", "dim", told);
    }
}

fn row(svg: &mut String, y: f64, entry: &Entry<'_>) {
    let Some(figure) = entry.figure else { return };
    let (middle, base) = (y + ROW / 2.0, y + ROW / 2.0 + 4.0);
    let target = match entry.line.target {
        "" => String::new(),
        target => format!("{target}  "),
    };
    text(svg, (LABEL, base), "end", "", &format!("{target}{}", entry.line.what));
    if let Some(reached) = figure.reached() {
        let (x, width) = (REACHED.0, along(REACHED, reached.min(1.0)) - REACHED.0);
        let top = middle - 5.0;
        put(
            svg,
            &format!(
                "<rect class=\"reached\" x=\"{x}\" y=\"{top}\" width=\"{width:.1}\" height=\"10\" rx=\"2\"/>"
            ),
        );
    }
    if let Bar::TimesAtMost(times) = entry.line.bar {
        let (x, top, bottom) = (along(REACHED, 1.0 / times), middle - 8.0, middle + 8.0);
        put(svg, &format!("<path class=\"bar\" d=\"M{x:.1} {top}V{bottom}\"/>"));
    }
    if let Some(used) = entry.line.bar.used(figure) {
        point(svg, middle, used);
    }
    text(svg, (MEASURED, base), "start", "dim", &entry.measured());
}

/// A dot within the bar, a cross-wise square beyond it.
fn point(svg: &mut String, y: f64, used: f64) {
    // A growth may be less than nothing, of which there is no logarithm.
    let part = (used.max(0.0).log10().clamp(USED_MIN, USED_MAX) - USED_MIN) / (USED_MAX - USED_MIN);
    let (x, from) = (along(USED, part), USED.0);
    put(svg, &format!("<path class=\"stem\" d=\"M{from} {y}H{x:.1}\"/>"));
    match used <= 1.0 {
        true => put(svg, &format!("<circle class=\"met\" cx=\"{x:.1}\" cy=\"{y}\" r=\"5\"/>")),
        false => {
            put(svg, &format!("<path class=\"missed\" d=\"M{:.1} {y}l7 -7 7 7 -7 7z\"/>", x - 7.0))
        }
    }
}

fn along((from, to): (f64, f64), part: f64) -> f64 {
    from + (to - from) * part
}

fn grid(svg: &mut String, x: f64, bottom: f64, class: &str) {
    let top = HEAD - 8.0;
    put(svg, &format!("<path class=\"{class}\" d=\"M{x:.1} {top}V{bottom}\"/>"));
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put(
        svg,
        &format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>"
        ),
    );
}

fn put(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{RUN, record};

    #[test]
    fn a_missed_bar_has_another_shape_than_a_met_one() {
        let svg = plot(&[&RUN], &record());
        // Of the four lines one misses its bar, one meets it, and of two there is nothing to draw.
        assert_eq!(svg.matches("class=\"missed\"").count(), 1);
        assert_eq!(svg.matches("class=\"met\"").count(), 1);
        assert_eq!(svg.matches("class=\"reached\"").count(), 2);
        assert!(svg.contains(">B3  a sale</text>") && !svg.contains("processor"));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn a_point_stays_in_its_panel_whatever_its_value() {
        for used in [-1.0, 0.0, 1e-9, 1e9, f64::INFINITY] {
            let mut svg = String::new();
            point(&mut svg, 10.0, used);
            let end: f64 = svg
                .split('H')
                .nth(1)
                .and_then(|rest| rest.split('"').next()?.parse().ok())
                .unwrap();
            assert!((USED.0..=USED.1).contains(&end), "{used}: {svg}");
        }
    }
}
