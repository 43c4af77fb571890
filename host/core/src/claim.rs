//! Which offline database speaks for a register, judged from what the channel keeps of it: whether a journal went back
//! to a backup, or runs twice.
//!
//! * The channel keeps, for each incarnation of a register, which run of the agent speaks, and the furthest transaction
//!   that has arrived from it: the head.
//! * A journal that does not know the head's transaction is not the one that sent it: it was restored.
//! * A run that this journal never began is another database of the same incarnation: a copy.
//! * Nothing here hangs on time: a register may be away for as long as it likes.

use crate::transaction::TransactionId;
use crate::version::{Run, Sequence};

/// A transaction by its place in the register's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub sequence: Sequence,
    pub id: TransactionId,
}

/// What the channel keeps of one incarnation of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub run: Run,
    /// `None` before anything has arrived.
    pub head: Option<Head>,
    /// A later incarnation speaks for the register now.
    pub is_superseded: bool,
    /// Two databases of this incarnation were seen.
    pub is_disputed: bool,
    /// Seconds, by the channel's clock, since it was last heard.
    pub silent_s: u64,
}

/// What the journal remembers, beside its transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Runs of the agent on this very journal.
    pub runs: Vec<Run>,
    /// The furthest transaction that it knew to have arrived when it last looked.
    pub head: Option<Head>,
}

/// Why a register's database may not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The channel has more of this incarnation than the journal ever gave.
    Restored { arrived: Sequence },
    /// Another database of the same incarnation has spoken, so many seconds ago.
    Copied { silent_s: u64 },
    /// A later incarnation of the register speaks.
    Superseded { silent_s: u64 },
}

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The channel does not know the incarnation: it begins, and ends earlier ones.
    Begins,
    GoesOn,
    Stops(Doubt),
}

/// `at` answers which transaction the journal has at a place of its log.
pub fn judge(
    remembered: &Remembered,
    claimed: Option<&Claimed>,
    at: impl FnOnce(Sequence) -> Option<TransactionId>,
) -> Verdict {
    let Some(claimed) = claimed else { return Verdict::Begins };
    let silent_s = claimed.silent_s;
    if claimed.is_superseded {
        return Verdict::Stops(Doubt::Superseded { silent_s });
    }
    if let Some(head) = claimed.head
        && !knows(remembered, head, at)
    {
        return Verdict::Stops(Doubt::Restored { arrived: head.sequence });
    }
    if claimed.is_disputed || !remembered.runs.contains(&claimed.run) {
        return Verdict::Stops(Doubt::Copied { silent_s });
    }
    Verdict::GoesOn
}

/// Transactions that arrived long ago are forgotten here, so only what is past the remembered head is looked up. A
/// channel that is behind it was itself restored, and says nothing about the journal.
fn knows(
    remembered: &Remembered,
    head: Head,
    at: impl FnOnce(Sequence) -> Option<TransactionId>,
) -> bool {
    match remembered.head {
        Some(known) if head.sequence < known.sequence => true,
        Some(known) if head.sequence == known.sequence => head.id == known.id,
        _ => at(head.sequence) == Some(head.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn run(number: u8) -> Run {
        Run([number; 16])
    }

    const fn id(number: u8) -> TransactionId {
        TransactionId([number; 16])
    }

    fn head(sequence: u64, number: u8) -> Option<Head> {
        Some(Head { sequence: Sequence(sequence), id: id(number) })
    }

    fn claimed(number: u8, head: Option<Head>) -> Claimed {
        Claimed { run: run(number), head, is_superseded: false, is_disputed: false, silent_s: 9 }
    }

    /// The journal: runs 1 and 2, transactions 1 to 5 at places 10 to 50, the third known to have arrived.
    fn check(what: &str, claimed: Option<Claimed>, expected: Verdict) {
        let remembered = Remembered { runs: vec![run(1), run(2)], head: head(30, 3) };
        let at = |sequence: Sequence| match sequence.0 {
            // What arrived long ago is forgotten.
            30..=50 => Some(id((sequence.0 / 10) as u8)),
            _ => None,
        };
        assert_eq!(judge(&remembered, claimed.as_ref(), at), expected, "{what}");
    }

    #[test]
    fn a_journal_goes_on_only_from_where_it_was_itself() {
        let restored = |at| Verdict::Stops(Doubt::Restored { arrived: Sequence(at) });
        let copied = Verdict::Stops(Doubt::Copied { silent_s: 9 });
        check("a new database", None, Verdict::Begins);
        check("nothing arrived yet", Some(claimed(1, None)), Verdict::GoesOn);
        check("a restart", Some(claimed(2, head(30, 3))), Verdict::GoesOn);
        check("killed before the answer came", Some(claimed(2, head(50, 5))), Verdict::GoesOn);
        check("a channel from a backup", Some(claimed(1, head(10, 9))), Verdict::GoesOn);
        check("a journal from a backup", Some(claimed(2, head(60, 6))), restored(60));
        check("... that sold on to that place", Some(claimed(2, head(40, 9))), restored(40));
        check("... from the place that it knew", Some(claimed(2, head(30, 9))), restored(30));
        check("a copy spoke", Some(claimed(7, head(30, 3))), copied.clone());
        check("a copy sent", Some(claimed(7, head(60, 6))), restored(60));
        let disputed = Claimed { is_disputed: true, ..claimed(2, head(30, 3)) };
        check("the other found out first", Some(disputed), copied);
        let superseded = Claimed { is_superseded: true, ..claimed(2, None) };
        check("an old one comes back", Some(superseded), {
            Verdict::Stops(Doubt::Superseded { silent_s: 9 })
        });
    }
}
