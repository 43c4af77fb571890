//! A person who decides a register's conflicts that wait, and sees that what was decided stays decided.

use crate::entropy::Dice;
use crate::machine::Machine;
use crate::world::World;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Now and then, until the run ends.
pub async fn decides(world: Rc<World>, machine: Rc<Machine>) {
    let who = format!("person {}", machine.number);
    let (mut dice, mut decided) = (Dice::of(world.plan.seed, &who), BTreeSet::new());
    loop {
        sleep(Duration::from_millis(dice.between(200, 3_000))).await;
        let Some(client) = world.client(&machine, &who) else { continue };
        let Ok(listed) = client.get("/v1/conflicts", ANSWER_LIMIT).await else { continue };
        for conflict in listed.body["conflicts"].as_array().into_iter().flatten() {
            let Some(id) = waiting(conflict) else { continue };
            // What a backup does not know of is decided once more.
            if decided.contains(id) && !machine.was_restored.get() {
                let what = format!("FORGOTTEN: a decision of T{}: {conflict}", machine.number);
                world.break_promise(what);
            }
            let path = format!("/v1/conflicts/{id}/resolve");
            let answer = client.post(&path, &choice(&mut dice), ANSWER_LIMIT).await;
            let told = match &answer {
                Ok(answer) if answer.is_success() => "decided".to_string(),
                Ok(answer) => answer.reason(),
                Err(error) => error.to_string(),
            };
            world.trace.line(&who, format_args!("conflict {id}: {told}"));
            // One that is not answered may have been kept: then it is refused as decided, and no longer waits.
            if answer.is_ok_and(|answer| answer.is_success()) {
                decided.insert(id.to_string());
            }
        }
    }
}

fn waiting(conflict: &Json) -> Option<&str> {
    if conflict["state"] == "waiting" { conflict["id"].as_str() } else { None }
}

fn choice(dice: &mut Dice) -> Json {
    let mut choice = json!({ "who": "Ann", "take": dice.word(&["channel", "channel", "offline"]) });
    if dice.one_in(3) {
        choice["set"] = json!({ "PHONE": format!("m{}", dice.between(1, 99_999)) });
    }
    choice
}
