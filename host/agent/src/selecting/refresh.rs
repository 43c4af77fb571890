//! One domain's choice, computed anew and landed with the rows that come and go by it.

use super::{InForce, Refreshed, choice, in_force, kinds, names, own, states_of, wanted};
use crate::fault::FlowError;
use crate::pull::{Pull, Unwatched};
use crate::register::{Register, ScopeRun};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tillhold_channel::capture::{Captured, Followed, Page, Pass, Standing, own_context};
use tillhold_channel::selection::{Choice, Chosen, choose};
use tillhold_channel::{ChannelError, Link, snapshot};
use tillhold_core::row::Change;
use tillhold_core::selection::{Domain, Members, Restricted, Restriction};
use tillhold_core::table::{Table, TableName};
use tillhold_core::version::Position;
use tillhold_local::{KeptSelection, Load, SelectedLanding};

/// One domain's choice, computed anew and landed.
pub(super) struct Refresh<'r> {
    register: &'r Register,
    domain: Domain,
    before: Option<KeptSelection>,
    /// Those of before whose rows are there, whatever a crash has left.
    members: Members,
    wanted: BTreeMap<TableName, Restriction>,
}

impl<'r> Refresh<'r> {
    pub(super) async fn of(
        register: &'r Register,
        domain: Domain,
    ) -> Result<Refresh<'r>, FlowError> {
        let (before, members) = register.local.landed_selection(domain).await?.unzip();
        let (members, wanted) = (members.unwrap_or_default(), wanted(register, domain));
        Ok(Refresh { register, domain, before, members, wanted })
    }

    fn restriction_before(&self, table: &TableName) -> Option<&Restriction> {
        self.before.as_ref().and_then(|kept| kept.tables.get(table))
    }

    /// Rows that the register does not have because of what it stood under, and cannot find by their keys.
    fn is_loaded_anew(&self, table: &TableName) -> bool {
        let (before, now) = (self.restriction_before(table), self.wanted.get(table));
        before.is_some() && before != now && now != Some(&Restriction::Withheld)
    }

    pub(super) async fn run(&self, link: &mut Link) -> Result<Option<Refreshed>, FlowError> {
        let selections = &self.register.profile.selections;
        let mut all = self.wanted.clone();
        all.extend(self.before.iter().flat_map(|kept| kept.tables.clone()));
        let states = states_of(self.register, &all).await?;
        if states.iter().any(|state| matches!(state.load, Load::Loading { .. })) {
            return Ok(None);
        }
        if selections.withholds(self.domain) {
            return self.withhold().await;
        }
        let own = own(self.register, self.domain).await?;
        let (tables, kinds) = (names(self.register), kinds(&self.wanted));
        let choice = choice(self.register, self.domain, &own, &kinds, &tables);
        let is_all = selections.is_all(self.domain);
        let is_first = !states.is_empty() && states.iter().all(|s| s.load == Load::NotStarted);
        if is_first && !is_all {
            return self.keep_first(choose(link, &choice).await?).await.map(Some);
        }
        let anew: Vec<TableName> =
            all.keys().filter(|table| self.is_loaded_anew(table)).cloned().collect();
        let mut chosen = None;
        if is_all {
            chosen = Some(Chosen::default());
        } else if !anew.is_empty() {
            chosen = Some(choose(link, &choice).await?);
        }
        if let Some(chosen) = &chosen {
            self.load_anew(link, &anew, &chosen.members).await?;
        }
        self.pass(link, &all, chosen, &choice).await
    }

    /// Nothing was loaded yet, so nothing comes or goes.
    async fn keep_first(&self, chosen: Chosen) -> Result<Refreshed, FlowError> {
        let (kept, members) = kept(self.register, self.domain, self.wanted.clone(), chosen);
        self.register.local.keep_selection(kept, members).await?;
        Ok(Refreshed { domain: self.domain, rows: 0, left: 0 })
    }

    /// Done once more only for what could not go before: when that cannot go yet, nothing was done.
    async fn withhold(&self) -> Result<Option<Refreshed>, FlowError> {
        let (selection, members) =
            kept(self.register, self.domain, self.wanted.clone(), Chosen::default());
        let stood = |before: &KeptSelection| {
            (&before.rule, &before.tables) == (&selection.rule, &selection.tables)
        };
        let is_news = !self.before.as_ref().is_some_and(stood);
        let landing = SelectedLanding { selection, members, positions: Vec::new(), epoch: [0; 16] };
        let left = self.register.local.land_selected(landing).await?.left;
        Ok((is_news || left > 0).then_some(Refreshed { domain: self.domain, rows: 0, left }))
    }

    /// What pull is to go by when these members are chosen.
    async fn force(&self, members: &Members) -> Result<InForce, FlowError> {
        let mut force = in_force(self.register).await?;
        if let Some(before) = &self.before {
            force.retain(|table, _| !before.tables.contains_key(table));
        }
        let members = Arc::new(members.clone());
        force.extend(self.wanted.iter().map(|(table, restriction)| {
            let restriction = restriction.clone();
            (table.clone(), Restricted { restriction, members: members.clone() })
        }));
        Ok(force)
    }

    async fn load_anew(
        &self,
        link: &mut Link,
        anew: &[TableName],
        members: &Members,
    ) -> Result<(), FlowError> {
        for run in self.register.scopes.iter().filter(|run| run.is_pulled()) {
            let force = self.force(members).await?;
            let pull = Pull::new(self.register, run, force, &Unwatched).filtered(link).await?;
            for table in run.tables.iter().filter(|table| anew.contains(&table.name)) {
                pull.reload(link, table).await?;
            }
        }
        Ok(())
    }

    /// Of the scopes with a table that hangs on the choice, or did.
    async fn pulls_of(
        &self,
        link: &mut Link,
        all: &BTreeMap<TableName, Restriction>,
    ) -> Result<Vec<Pull<'r>>, FlowError> {
        let force = self.force(&Members::default()).await?;
        let hangs = |run: &&ScopeRun| run.tables.iter().any(|table| all.contains_key(&table.name));
        let runs = self.register.scopes.iter().filter(|run| run.is_pulled()).filter(hangs);
        let mut pulls = Vec::new();
        for run in runs {
            let pull = Pull::new(self.register, run, force.clone(), &Unwatched);
            pulls.push(pull.filtered(link).await?);
        }
        Ok(pulls)
    }

    async fn pass(
        &self,
        link: &mut Link,
        all: &BTreeMap<TableName, Restriction>,
        chosen: Option<Chosen>,
        choice: &Choice<'_>,
    ) -> Result<Option<Refreshed>, FlowError> {
        let (register, local) = (self.register, &self.register.local);
        let pulls = self.pulls_of(link, all).await?;
        let (mut tables, mut places, mut epochs) = (Vec::new(), Vec::new(), Vec::new());
        for (at, pull) in pulls.iter().enumerate() {
            epochs.extend(local.epochs_of(&pull.run.scope.name).await?);
            local.discard_staged(&pull.run.scope.name).await?;
            let loaded = pull.followed().await?;
            places.extend(loaded.iter().map(|_| at));
            tables.extend(loaded);
        }
        if pulls.is_empty() {
            return Ok(None);
        }
        let (own, method) = (own_context(local.incarnation()), register.profile.capture);
        let mut pass = match Pass::begin_choosing(link, method, &epochs, own, &tables).await {
            // The next pull loads everything anew; the choice waits for it.
            Err(ChannelError::ChannelRestored { .. }) => return Ok(None),
            begun => begun?,
        };
        if (0..tables.len()).any(|at| pass.standing(at) == Standing::Outdated) {
            pass.finish().await?;
            return Ok(None);
        }
        let chosen = match chosen {
            Some(chosen) => chosen,
            None => pass.choose(choice).await?,
        };
        let joined = match &self.before {
            // Everyone was there.
            None => Members::default(),
            Some(_) => chosen.members.beyond(&self.members),
        };
        let has_joined = !joined.is_empty();
        pass.go_by(&chosen.members, joined);
        let mut rows = 0;
        for (at, followed) in tables.iter().enumerate() {
            let (pull, table) = (&pulls[places[at]], &followed.table);
            while let Some(page) = pass.page(at).await? {
                rows += page.changes.len() as u64;
                pull.stage(table, page).await?;
            }
            let before = self.restriction_before(&table.name);
            if has_joined && before.is_some() && before == self.wanted.get(&table.name) {
                rows += bring_joined(&mut pass, at, pull, table).await?;
            }
        }
        let epoch = pass.epoch();
        let position = |(at, followed): (usize, &Followed)| {
            let mark = Some(pass.mark(at).clone());
            (followed.table.name.clone(), Position { version: pass.reached(), mark })
        };
        let positions = tables.iter().enumerate().map(position).collect();
        pass.finish().await?;
        let (selection, members) = kept(register, self.domain, self.wanted.clone(), chosen);
        let landing = SelectedLanding { selection, members, positions, epoch };
        let tally = local.land_selected(landing).await?;
        Ok(Some(Refreshed { domain: self.domain, rows, left: tally.left }))
    }
}

/// The rows that hang on who joined, as changes of the same pass.
async fn bring_joined(
    pass: &mut Pass<'_>,
    at: usize,
    pull: &Pull<'_>,
    table: &Arc<Table>,
) -> Result<u64, FlowError> {
    let (mut after, mut rows) = (None, 0);
    loop {
        let snapshot::Page { rows: found, refused, last_key } =
            pass.joined_page(at, after.as_ref()).await?;
        let version = pass.reached();
        let present = |row| {
            let change = Change::Present(row);
            Captured { change, version, own: false, is_elsewhere: false }
        };
        rows += found.len() as u64;
        let changes = found.into_iter().map(present).collect();
        pull.stage(table, Page { changes, refused }).await?;
        match last_key {
            Some(key) => after = Some(key),
            None => return Ok(rows),
        }
    }
}

fn kept(
    register: &Register,
    domain: Domain,
    tables: BTreeMap<TableName, Restriction>,
    chosen: Chosen,
) -> (KeptSelection, Members) {
    let found: serde_json::Map<String, Json> =
        chosen.criteria.iter().map(|one| (one.name.to_string(), json!(one.found))).collect();
    let counts: serde_json::Map<String, Json> = chosen
        .members
        .kinds()
        .map(|kind| (kind.name().to_string(), json!(chosen.members.count(kind))))
        .collect();
    let told = json!({ "criteria": found, "members": counts, "unknown": chosen.unknown });
    let rule = register.profile.selections.rule(domain);
    let computed_ms = register.env.clock.wall_ms();
    (KeptSelection { domain, rule, tables, told: told.to_string(), computed_ms }, chosen.members)
}
