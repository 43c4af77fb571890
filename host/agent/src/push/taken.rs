//! A row of a sale under a key that the channel has given to another row: two rows that are not versions of one.
//!
//! * A sale's header under another sale's number, always.
//! * Any row that was made on the register, in a scope that is only uploaded and left to `channel-wins`: nobody ever saw the
//!   channel's row there, so the register did not change it, and a sale without one of its lines would be another sale.

use crate::numbers;
use crate::register::Register;
use tillhold_core::conflict::Policy;
use tillhold_core::profile::{Direction, Resolver};
use tillhold_core::transaction::{Contest, Operation, Write};

/// Why a transaction must not be put together with the channel's rows.
pub struct Taken {
    pub code: &'static str,
    pub reason: String,
}

pub fn taken(register: &Register, writes: &[Write], contests: &[Contest]) -> Option<Taken> {
    if numbers::is_taken(writes, contests) {
        let reason = "the channel has another sale of this number; nothing was overwritten";
        return Some(Taken { code: "number-taken", reason: reason.to_string() });
    }
    let is_another = |contest: &Contest, write: &Write| {
        let is_there = contest.channel.is_some() && contest.channel != write.offline;
        write.operation == Operation::Insert && is_there && is_kept_apart(register, write)
    };
    let write = contests
        .iter()
        .find_map(|contest| writes.get(contest.write).filter(|write| is_another(contest, write)))?;
    let row = write.key.named(&write.table);
    let reason = format!(
        "{}: the channel has another row under {row}; nothing was overwritten",
        write.table.name
    );
    Some(Taken { code: "row-taken", reason })
}

fn is_kept_apart(register: &Register, write: &Write) -> bool {
    register.scope_of(&write.table.name).is_some_and(|run| {
        run.scope.direction == Direction::Upload
            && run.scope.resolver == Resolver::BuiltIn(Policy::ChannelWins)
    })
}
