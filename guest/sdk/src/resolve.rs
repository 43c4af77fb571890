//! A resolver: decisions by table.

use crate::conflict::{Conflict, Resolution};
use crate::context::{Check, Context, Settings};
use crate::generated::resolver::exports::tillhold::plugin::resolve as exported;
use crate::generated::transformer::tillhold::plugin::types as wire;

/// What [`resolver!`](crate::resolver) makes: the whole plugin, callable in a test as in production.
pub struct Resolver {
    pub settings: &'static [&'static str],
    /// What is wrong with the values of the settings, told when the plugin is loaded; at most one.
    pub checks: &'static [Check],
    pub decisions: &'static [Decision],
}

/// How one table's conflicts are decided.
pub struct Decision {
    pub table: &'static str,
    /// `["*"]` is every column that travels.
    pub reads: &'static [&'static str],
    pub writes: &'static [&'static str],
    pub decide: fn(&Context, &Conflict) -> Resolution,
}

impl Resolver {
    /// Whether a register would take this config; the error is what it would say at its start.
    pub fn accepts(&self, config: &str) -> Result<(), String> {
        let settings = Settings::parse(config, self.settings)?;
        self.checks.iter().try_for_each(|check| check(&settings))
    }

    #[doc(hidden)]
    pub fn describe(&self, config: &str) -> Result<Vec<wire::TableUse>, String> {
        self.accepts(config)?;
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let used = |decision: &Decision| wire::TableUse {
            table: decision.table.to_string(),
            reads: owned(decision.reads),
            writes: owned(decision.writes),
        };
        Ok(self.decisions.iter().map(used).collect())
    }

    #[doc(hidden)]
    pub fn resolve(
        &self,
        context: wire::Context,
        conflicts: Vec<exported::Conflict>,
    ) -> Result<Vec<exported::Resolution>, String> {
        let context = Context::new(context, self.settings)?;
        let decide = |conflict: exported::Conflict| {
            let conflict = Conflict::new(conflict);
            Ok(self.decide(&context, &conflict)?.into_wire())
        };
        conflicts.into_iter().map(decide).collect()
    }

    pub(crate) fn decide(
        &self,
        context: &Context,
        conflict: &Conflict,
    ) -> Result<Resolution, String> {
        let table = conflict.table();
        let found = self.decisions.iter().find(|d| d.table.eq_ignore_ascii_case(table));
        let decision = found.ok_or_else(|| format!("there is no decision for {table}"))?;
        Ok((decision.decide)(context, conflict))
    }
}
