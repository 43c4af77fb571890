//! What a person sees meanwhile: bars on a terminal, a readable line each time when piped. All of it on stderr;
//! stdout gets the summary alone.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use tillhold_env::Env;

#[derive(Clone)]
pub(crate) struct Stage {
    env: Env,
    started_us: u64,
    /// `None` when nobody looks at a terminal.
    bars: Option<MultiProgress>,
}

/// The progress of one piece of work over a known number of rows.
pub(crate) struct Bar {
    name: String,
    shown: Option<ProgressBar>,
}

impl Stage {
    pub(crate) fn new(env: &Env) -> Stage {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Stage { env: env.clone(), started_us: env.clock.monotonic_us(), bars }
    }

    /// One line with the seconds since the beginning.
    pub(crate) fn line(&self, text: &str) {
        let seconds = (self.env.clock.monotonic_us() - self.started_us) as f64 / 1e6;
        let line = format!("{seconds:7.1} s  {text}");
        let shown = match &self.bars {
            Some(bars) => bars.println(line),
            None => writeln!(std::io::stderr(), "{line}"),
        };
        // A closed stderr is no reason to stop.
        drop(shown);
    }

    pub(crate) fn bar(&self, name: &str, rows: u64) -> Bar {
        let shown = self.bars.as_ref().map(|bars| {
            let template = "           {prefix:34!} {bar:28} {human_pos:>10} / {human_len} {msg}";
            let style =
                ProgressStyle::with_template(template).expect("the template above is well-formed");
            bars.add(ProgressBar::new(rows).with_style(style)).with_prefix(name.to_string())
        });
        Bar { name: name.to_string(), shown }
    }

    /// Ends a bar; without a terminal it becomes a line.
    pub(crate) fn finish(&self, bar: &Bar, rows: u64) {
        match &bar.shown {
            Some(shown) => {
                shown.set_length(rows);
                shown.set_position(rows);
                shown.finish();
            }
            None => self.line(&format!("{}: {} rows", bar.name, grouped(rows))),
        }
    }
}

impl Bar {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn set(&self, rows: u64) {
        if let Some(shown) = &self.shown {
            shown.set_position(rows);
        }
    }
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
