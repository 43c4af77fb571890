//! `tillhold provision --dry-run`: what a changed profile or channel would make of the offline database.

use super::Done;
use crate::register::Planned;
use serde_json::{Value as Json, json};
use tillhold_core::migration::{Action, Step};
use tillhold_env::{out, outln};

/// Exit status 0: nothing would change. 1: something would.
pub fn show(planned: &Planned, as_json: bool) -> anyhow::Result<Done> {
    if as_json {
        outln!("{}", serde_json::to_string_pretty(&told(planned))?);
    } else {
        out!("{}", text(planned));
    }
    Ok(if planned.plan.changes() { Done::No } else { Done::Yes })
}

fn is_told(step: &&Step) -> bool {
    step.action != Action::Keep || step.waits.is_some()
}

fn text(planned: &Planned) -> String {
    let mut lines = Vec::new();
    for step in planned.plan.steps.iter().filter(is_told) {
        let rows = rows(planned, step).map_or_else(String::new, |rows| format!(" ({rows} rows)"));
        lines.push(format!("{step}{rows}"));
    }
    let kept = planned.plan.steps.iter().filter(|step| step.action == Action::Keep).count();
    lines.push(format!("{kept} tables stay as they are"));
    let counts = &planned.counts;
    lines.push(format!(
        "unsent, and kept: {} transactions, {} rows; quarantined: {}; waiting for a person: {}",
        counts.pending_transactions, counts.pending_rows, counts.quarantined, counts.deferred
    ));
    lines.join("\n") + "\n"
}

/// Of a table that is here.
fn rows(planned: &Planned, step: &Step) -> Option<u64> {
    step.held.as_ref()?;
    planned.rows.get(&step.name.to_string()).copied()
}

fn told(planned: &Planned) -> Json {
    let step = |step: &Step| {
        let alterations: Vec<String> = step.alterations.iter().map(ToString::to_string).collect();
        json!({
            "table": step.name.to_string(),
            "action": step.action.name(),
            "rows": rows(planned, step),
            "alterations": alterations,
            "reread": step.rereads.iter().map(|reason| reason.name()).collect::<Vec<_>>(),
            "waits": step.waits.map(|waits| waits.to_string()),
        })
    };
    let counts = &planned.counts;
    json!({
        "steps": planned.plan.steps.iter().filter(is_told).map(step).collect::<Vec<_>>(),
        "unsent": {
            "transactions": counts.pending_transactions,
            "rows": counts.pending_rows,
            "quarantined": counts.quarantined,
            "deferred": counts.deferred,
        },
    })
}
