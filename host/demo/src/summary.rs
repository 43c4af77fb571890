//! What a person reads at the end: every number was measured or counted in this run.

use crate::cashier::Waits;
use crate::head_office::Edits;
use crate::progress::grouped;
use crate::raw::RawRate;
use crate::verify::{Decision, Findings};
use std::fmt;

/// Rows moved in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
}

/// Sales by the stretch of the story in which they were rung up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sales {
    pub(crate) online: u64,
    pub(crate) offline: u64,
    pub(crate) returning: u64,
    pub(crate) after: u64,
    /// Of all of them, those that were in the channel when they were acknowledged.
    pub(crate) at_the_channel: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) sales: Sales,
    pub(crate) waits: Waits,
    pub(crate) median_online_us: u64,
    pub(crate) median_offline_us: u64,
    /// From the cut to the state Offline, from the restored line to Online.
    pub(crate) offline_after_s: f64,
    pub(crate) online_after_s: f64,
    pub(crate) down: Moved,
    pub(crate) up: Moved,
    pub(crate) filled: Moved,
    pub(crate) raw: RawRate,
    pub(crate) edits: Edits,
    pub(crate) decisions: Vec<Decision>,
    /// What remained of the customer that both sides edited.
    pub(crate) outcome: String,
    pub(crate) findings: Findings,
}

impl Summary {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("sales", self.sales_line()),
            ("longest pause", self.pause_line()),
            (
                "failover",
                format!(
                    "offline {:.1} s after the cut, online {:.1} s after the line was back",
                    self.offline_after_s, self.online_after_s
                ),
            ),
            ("head office meanwhile", self.edits_line()),
            ("channel filled", rate(self.filled)),
            ("down (first filling)", rate(self.down)),
            ("up (sales of the outage)", rate(self.up)),
            (
                "bare SQLite, same rows",
                rate(Moved { rows: self.raw.rows, seconds: self.raw.seconds }),
            ),
        ];
        for decision in &self.decisions {
            lines.push(("conflict", decision_line(decision)));
        }
        lines.push(("what remained", self.outcome.clone()));
        lines.push(("checked from outside", self.checked_line()));
        lines
    }

    fn sales_line(&self) -> String {
        let Sales { online, offline, returning, after, at_the_channel } = self.sales;
        let asked = online + offline + returning + after;
        format!(
            "{online} online, {offline} offline, {returning} during the return, {after} after it: {} of {asked} \
             acknowledged, {at_the_channel} of them by the channel itself",
            self.findings.sales
        )
    }

    fn pause_line(&self) -> String {
        format!(
            "{:.0} ms in {} requests ({} asked again); a sale's answer took {:.1} ms online, {:.1} ms offline (median)",
            self.waits.longest_us as f64 / 1e3,
            grouped(self.waits.requests),
            self.waits.repeats,
            self.median_online_us as f64 / 1e3,
            self.median_offline_us as f64 / 1e3,
        )
    }

    fn edits_line(&self) -> String {
        let Edits { prices, customers, elsewhere, deleted } = &self.edits;
        format!(
            "{prices} prices, {customers} new customers, {elsewhere} customers of another store, {deleted} barcode \
             withdrawn, 1 customer edited on both sides"
        )
    }

    fn checked_line(&self) -> String {
        let f = &self.findings;
        format!(
            "{} sales with {} rows; {} tables with {} rows, {} of them masked, {} rightly absent",
            grouped(f.sales),
            grouped(f.sale_rows),
            grouped(f.tables),
            grouped(f.rows),
            grouped(f.transformed),
            grouped(f.kept_away),
        )
    }
}

fn rate(moved: Moved) -> String {
    let each_second = if moved.seconds > 0.0 { moved.rows as f64 / moved.seconds } else { 0.0 };
    format!(
        "{} rows in {:.2} s: {} rows/s",
        grouped(moved.rows),
        moved.seconds,
        grouped(each_second as u64)
    )
}

/// `ax.CUSTTABLE ["C1989","USRT"] decided by customer-merge (plugin sha256:2570ee48f994)`
fn decision_line(decision: &Decision) -> String {
    let Decision { table, key, rule, plugin } = decision;
    let digest = |plugin: &String| plugin.chars().take("sha256:".len() + 12).collect::<String>();
    let by =
        plugin.as_ref().map(|plugin| format!(" (plugin {})", digest(plugin))).unwrap_or_default();
    format!("{table} {key} decided by {rule}{by}")
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (name, text) in self.lines() {
            writeln!(f, "  {name:<26}{text}")?;
        }
        let found = &self.findings;
        writeln!(
            f,
            "\n  lost {}   duplicated {}   differing rows {}   unsettled {}",
            found.lost, found.duplicated, found.differing, found.waiting
        )?;
        for told in &found.told {
            writeln!(f, "  ! {told}")?;
        }
        let verdict = if found.hold() { "All of it holds." } else { "It does not hold." };
        writeln!(f, "\n  {verdict}")
    }
}
