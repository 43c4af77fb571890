//! VERIFY: the offline database held against the channel, table by table, and every difference named.
//!
//! ```text
//! channel/snapshot ─► rules ─► sums of ranges ─► rows of the ranges that differ ─► keys in doubt
//! local, in its own order ─► keys that no range had ──────────────────────────────► keys in doubt
//! keys in doubt ─► one pass of the channel ─► behind | unsent | set aside | deferred | different
//! ```
//!
//! * Expected is what pull would bring: the same filter, columns, offline choice and rule.
//! * Nothing is written, neither here nor there. It has a connection of its own, and its reads of the offline database are
//!   short: sales, push and pull go on meanwhile.
//! * Memory is bounded whatever the table's size; what is past a bound is counted, and then the answer is not "equal".
//! * Uploaded tables are not compared: the channel's ledger answers for what was sent, and it is asked for the last sales
//!   that it took.

mod report;
mod table;

use crate::fault::FlowError;
use crate::pull::{Pull, Unwatched};
use crate::register::{Register, ScopeRun};
use crate::resend;
use crate::selecting::{self, InForce};
pub use report::{Report, Standing, TableReport};
use table::Comparing;
use tillhold_channel::Link;
use tillhold_core::selection::Restriction;
use tillhold_core::table::TableName;
use tillhold_local::{Load, TableState};

/// Under this name what keeps the ledger from being asked is told, beside the scopes.
const LEDGER: &str = "the ledger";

/// What is to be compared; `None` is all.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub scope: Option<String>,
    pub table: Option<TableName>,
}

impl Asked {
    fn has(&self, run: &ScopeRun) -> bool {
        let is_named = self.scope.as_ref().is_none_or(|name| *name == run.scope.name);
        let mut tables = run.tables.iter();
        is_named && run.is_pulled() && tables.any(|table| self.names(&table.name))
    }

    fn is_all(&self) -> bool {
        self.scope.is_none() && self.table.is_none()
    }

    fn names(&self, table: &TableName) -> bool {
        self.table.as_ref().is_none_or(|name| name == table)
    }
}

/// Compares what is asked for. Trouble with the channel ends it; a scope that fails for a reason of its own is told as
/// that, and the others are compared.
pub async fn verify(register: &Register, asked: &Asked) -> Result<Report, FlowError> {
    let mut link = register.link();
    let mut report = Report::default();
    for run in register.scopes.iter().filter(|run| asked.has(run)) {
        let Err(error) = verify_scope(register, &mut link, run, asked, &mut report).await else {
            continue;
        };
        register.forget_filters(run);
        if error.is_channel_trouble() {
            return Err(error);
        }
        report.faults.push((run.scope.name.clone(), error));
    }
    if asked.is_all() {
        match resend::missing(&register.local, &mut link).await {
            Ok(sales) => report.sales_lost = sales,
            Err(error) if error.is_channel_trouble() => return Err(error),
            Err(error) => report.faults.push((LEDGER.to_string(), error)),
        }
    }
    Ok(report)
}

async fn verify_scope(
    register: &Register,
    link: &mut Link,
    run: &ScopeRun,
    asked: &Asked,
    report: &mut Report,
) -> Result<(), FlowError> {
    let force = selecting::in_force(register).await?;
    let pull = Pull::new(register, run, force.clone(), &Unwatched).filtered(link).await?;
    let mut states = pull.states().await?;
    states.retain(|state| asked.names(&state.table.name));
    pull.verify(link, &states).await?;
    let epochs = register.local.epochs_of(&run.scope.name).await?;
    let followed = pull.followed().await?;
    for state in states {
        let name = &state.table.name;
        let standing = standing(&pull, &force, &state);
        let followed = followed.iter().find(|one| one.table.name == *name);
        let (Standing::Compared, Some(followed)) = (standing, followed) else {
            report.add(TableReport::of(&run.scope.name, name, standing));
            continue;
        };
        report.add(Comparing::of(register, &pull, followed.clone(), &epochs).run(link).await?);
    }
    Ok(())
}

fn standing(pull: &Pull<'_>, force: &InForce, state: &TableState) -> Standing {
    let restriction = force.get(&state.table.name).map(|restricted| &restricted.restriction);
    if restriction == Some(&Restriction::Withheld) {
        return Standing::Withheld;
    }
    match state.load == Load::Loaded && state.ready && pull.is_filtered_so(state) {
        true => Standing::Compared,
        false => Standing::NotLoaded,
    }
}
