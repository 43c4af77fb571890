//! CREATE, ALTER, DROP, ENABLE and DISABLE TRIGGER.

use super::EngineSession;
use crate::answer::SqlError;
use crate::engine::catalogue::{Catalogue, Relation, Trigger, fold, kept};
use crate::engine::refusal;
use crate::engine::syntax::{CreateTrigger, Making, ObjectName};
use std::sync::Arc;

impl EngineSession {
    pub(super) fn create_trigger(&mut self, given: &CreateTrigger) -> Result<(), SqlError> {
        if given.table.is_temporary() {
            return Err(refusal::unsupported("a trigger on a temporary table"));
        }
        self.redefine(|session, catalogue| {
            let missing = |_| {
                SqlError::new(
                    8197,
                    format!(
                        "The object '{}' does not exist or is invalid for this operation.",
                        given.table
                    ),
                )
            };
            let mut table = (**catalogue.find(&given.table).map_err(missing)?).clone();
            let schema = given.name.schema.as_deref().unwrap_or("dbo");
            if fold(schema) != fold(&table.name.schema) {
                return Err(SqlError::new(
                    2103,
                    format!(
                        "Cannot create trigger '{}' because its schema is different from the schema of the target table or view.",
                        given.name
                    ),
                ));
            }
            let (id, disabled) = identified(catalogue, given, &table)?;
            let trigger = Arc::new(Trigger {
                id,
                name: given.name.name.clone(),
                events: given.events,
                disabled,
                definition: given.definition.clone(),
                body: given.body.clone(),
            });
            session.keep_trigger(&table, &trigger)?;
            match table.triggers.iter_mut().find(|known| known.id == id) {
                Some(known) => *known = trigger,
                None => table.triggers.push(trigger),
            }
            catalogue.put(table);
            Ok(())
        })
    }

    fn keep_trigger(&self, table: &Relation, trigger: &Trigger) -> Result<(), SqlError> {
        let now_ms = self.engine.env.clock.wall_ms();
        self.kept(kept::write_trigger(&self.connection, table.id, trigger, now_ms))
    }

    pub(super) fn drop_trigger(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        if if_exists && self.catalogue.trigger(name).is_none() {
            return Ok(());
        }
        self.redefine(|session, catalogue| {
            let Some((table, trigger)) = catalogue.trigger(name) else {
                return Err(refusal::no_trigger("drop", &name.to_string()));
            };
            let (mut table, id) = ((**table).clone(), trigger.id);
            session.kept(kept::erase_trigger(&session.connection, id))?;
            table.triggers.retain(|trigger| trigger.id != id);
            catalogue.put(table);
            Ok(())
        })
    }

    /// ENABLE and DISABLE, of one trigger or of all that the table has.
    pub(super) fn switch_trigger(
        &mut self,
        name: Option<&str>,
        table: &ObjectName,
        on: bool,
    ) -> Result<(), SqlError> {
        self.redefine(|session, catalogue| {
            let mut table = (**catalogue.find(table)?).clone();
            let meant =
                |trigger: &Trigger| name.is_none_or(|name| fold(name) == fold(&trigger.name));
            if let Some(name) = name
                && !table.triggers.iter().any(|trigger| meant(trigger))
            {
                return Err(refusal::no_trigger("alter", name));
            }
            for at in 0..table.triggers.len() {
                if meant(&table.triggers[at]) {
                    let changed = Trigger { disabled: !on, ..(*table.triggers[at]).clone() };
                    session.keep_trigger(&table, &changed)?;
                    table.triggers[at] = Arc::new(changed);
                }
            }
            catalogue.put(table);
            Ok(())
        })
    }
}

/// The trigger's number, an old one's when it is altered, and whether that one is disabled.
fn identified(
    catalogue: &mut Catalogue,
    given: &CreateTrigger,
    table: &Relation,
) -> Result<(i32, bool), SqlError> {
    let known = catalogue.trigger(&given.name).map(|(on, trigger)| (on.id, trigger.clone()));
    match (known, given.making) {
        (Some(_), Making::Create) => Err(refusal::object_exists(&given.name.name)),
        (None, Making::Alter) => Err(refusal::unknown_object(&given.name.to_string())),
        (None, _) if catalogue.find(&given.name).is_ok() => {
            Err(refusal::object_exists(&given.name.name))
        }
        (None, _) => Ok((catalogue.next_id(), false)),
        (Some((on, _)), _) if on != table.id => Err(SqlError::new(
            2110,
            format!(
                "Cannot alter trigger '{}' on '{}' because this trigger does not belong to this object.",
                given.name, table.name
            ),
        )),
        (Some((_, trigger)), _) => Ok((trigger.id, trigger.disabled)),
    }
}
