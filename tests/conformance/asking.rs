//! Steps about the connection, the offline profile, and the embedded channel's faults.
//!
//! ```text
//! == probe
//! == login till password wrong database nowhere   the server's number, and what host/channel makes of it
//! == profile S0001
//! == fail 1205 sp_getapplock                      the next statement that holds the text fails so
//! == fault drop after commit
//! == forget start                                 changes up to that version are cleaned up
//! ```

use crate::place::Account;
use crate::session::{Session, refusal as server_refusal};
use crate::world::{Answer, World, named, refusal};
use std::time::Duration;
use tillhold_channel::probe::probe as ask_probe;
use tillhold_channel::profile::{ChannelScope, read_profile};
use tillhold_embedded::Fault;
use tillhold_embedded::answer::SqlError;

const PROBE_MAX: Duration = Duration::from_secs(30);

pub async fn probe(world: &mut World<'_>, rest: &str) -> Answer {
    let by = if rest.is_empty() { "till" } else { rest };
    let database = world.ground.address.database.clone();
    match ask_probe(world.link(by), PROBE_MAX).await {
        Ok(answer) if answer.database == database => Ok("takes sales".to_string()),
        Ok(answer) => Ok(format!("is in {}", answer.database)),
        Err(error) => Ok(refusal(&error)),
    }
}

pub async fn login(world: &mut World<'_>, rest: &str) -> Answer {
    let ground = world.ground;
    let known = ground.account(rest.split_whitespace().next().unwrap_or("till"));
    let account = Account {
        user: named(rest, "user").unwrap_or(&known.user).to_string(),
        password: named(rest, "password").unwrap_or(&known.password).to_string(),
    };
    let mut address = ground.address.clone();
    address.database = named(rest, "database").unwrap_or(&address.database).to_string();
    let plain = match Session::open(&ground.env, &address, &account).await {
        Ok(_) => "logged in".to_string(),
        Err(error) => server_refusal(&error),
    };
    let mut link = ground.link_of(&account, &address.database);
    let ours = match link.connect().await {
        Ok(()) => "connected".to_string(),
        Err(error) => refusal(&error),
    };
    Ok(format!("{plain}\n{ours}"))
}

pub async fn profile(world: &mut World<'_>, rest: &str) -> Answer {
    match read_profile(world.link("till"), rest).await {
        Ok(profile) => {
            let mut lines = vec![format!("{}: {}", profile.name, profile.description)];
            lines.extend(profile.scopes.iter().map(scope_text));
            Ok(lines.join("\n"))
        }
        Err(error) => Ok(refusal(&error)),
    }
}

fn scope_text(scope: &ChannelScope) -> String {
    let tables: Vec<String> = scope
        .tables
        .iter()
        .map(|table| match table.columns.is_empty() {
            true => table.name.clone(),
            false => format!("{} ({})", table.name, table.columns.join(", ")),
        })
        .collect();
    let (direction, every) = (scope.direction, scope.frequency_s);
    format!("{} {direction:?} {every} s: {}", scope.description, tables.join(", "))
}

pub fn order(world: &mut World<'_>, verb: &str, rest: &str) -> Answer {
    let embedded =
        world.ground.embedded.as_ref().ok_or("only the embedded channel takes orders")?;
    match verb {
        "fail" => {
            let (number, text) = rest.split_once(' ').ok_or("fail with what, where?")?;
            let number = number.parse().map_err(|_| format!("{number} is no error"))?;
            embedded.engine.fail_next(text, SqlError::new(number, "ordered by the case"));
        }
        "fault" if rest == "drop after commit" => {
            embedded.gate.inject(Fault::DropAfterCommit { commits: 1 });
        }
        "forget" => {
            let version = world.mark(rest)?;
            embedded.engine.forget_changes(version.0).map_err(|e| e.to_string())?;
        }
        _ => return Err(format!("no order {verb} {rest}")),
    }
    Ok(String::new())
}
