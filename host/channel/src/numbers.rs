//! SQL Server's error numbers, all in one place: what each says about the work that met it.
//!
//! * Numbers and their texts: `sys.messages`, and Microsoft's lists of the transient errors of
//!   Azure SQL Database and of availability groups.
//! * A number that is not here stops its flow and is shown with its text: what nobody has thought
//!   about is neither repeated for ever nor taken for the fault of a sale.

use Meaning::{
    Busy, Full, MissingObject, MovedSchema, NoRight, NoSnapshot, NoTracking, OfARow, ReadOnly,
    Unclaimed,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Another session, or a server on its way up or down: the same again later, with the same id.
    Busy,
    /// Memory, log or files are full: the same again later, and somebody has to make room.
    Full,
    ReadOnly,
    /// The account lacks a right: no sale is to blame, so none is set aside for it.
    NoRight,
    NoSnapshot,
    NoTracking,
    /// No such table: one of ours was never made, one of theirs is gone.
    MissingObject,
    /// A table has other columns, or other kinds of them, than when it was looked at.
    MovedSchema,
    /// Our own: this offline database has not claimed the register, or lost its claim.
    Unclaimed,
    /// One row causes it and repeating does not cure it: its transaction is found and refused.
    OfARow,
}

const fn one(number: u32, meaning: Meaning) -> (u32, u32, Meaning) {
    (number, number, meaning)
}

/// First, last and meaning; the first that fits counts.
#[rustfmt::skip]
pub(crate) const MEANINGS: &[(u32, u32, Meaning)] = &[
    one(1204, Busy),          // no more locks
    one(1205, Busy),          // deadlock victim
    one(1222, Busy),          // lock time-out
    one(3960, Busy),          // snapshot: another changed the row
    one(3961, Busy),          // snapshot: the table was altered
    one(50001, Busy),         // our own: the register's upload lock
    one(50005, Unclaimed),    // our own: another offline database, or none yet, speaks
    one(921, Busy),           // not recovered yet
    one(922, Busy),           // is being recovered
    one(924, Busy),           // single user
    one(927, Busy),           // is being restored
    one(942, Busy),           // offline
    one(952, Busy),           // in transition
    one(976, Busy),           // availability group: not the primary
    (978, 983, Busy),         // availability group: role, read intent, resolving
    one(988, Busy),           // availability group: no quorum
    one(3908, Busy),          // emergency mode, or damaged
    one(4221, Busy),          // a replica that is not ready for logins
    one(6005, Busy),          // shutting down
    one(8628, Busy),          // no time left to optimise
    one(8645, Busy),          // no time left to wait for memory
    one(8651, Busy),          // low memory
    (10928, 10929, Busy),     // Azure: too many requests of this database
    one(17142, Busy),         // paused
    one(17809, Busy),         // no more connections
    one(40143, Busy),         // Azure: moving
    one(40197, Busy),         // Azure: failing over
    one(40501, Busy),         // Azure: the service is busy
    one(40540, Busy),         // Azure: moving
    one(40613, Busy),         // Azure: the database is not available now
    one(41302, Busy),         // memory-optimised: another changed the row
    one(41305, Busy),         // memory-optimised: repeatable read
    one(41325, Busy),         // memory-optimised: serializable
    one(41301, Busy),         // memory-optimised: a transaction it stood on failed
    one(41839, Busy),         // memory-optimised: too many dependent transactions
    (49918, 49920, Busy),     // Azure: no resources for the request

    one(701, Full),           // memory
    one(802, Full),           // buffer pool
    one(1101, Full),          // a file group
    one(1105, Full),
    one(3967, Full),          // tempdb's versions
    one(3958, Full),          // tempdb's versions, of this transaction
    one(3966, Full),          // tempdb's versions
    one(5149, Full),          // a file cannot grow
    one(9002, Full),          // the log
    one(40544, Full),         // Azure: the quota
    (40549, 40553, Full),     // Azure: a session that takes too much
    one(41805, Full),         // memory-optimised tables
    one(41822, Full),         // memory-optimised: the quota of versions
    one(41823, Full),         // memory-optimised: the quota of the database

    one(3906, ReadOnly),
    one(3952, NoSnapshot),
    (22105, 22108, NoTracking),

    one(229, NoRight),        // object
    one(230, NoRight),        // column
    one(262, NoRight),        // statement
    one(297, NoRight),        // action
    one(300, NoRight),        // server state
    one(916, NoRight),        // no user in the database
    one(15151, NoRight),      // cannot find it, or no right to it
    one(15247, NoRight),

    one(208, MissingObject),
    one(2812, MissingObject), // a procedure
    one(1088, MissingObject),
    one(4902, MissingObject),

    one(207, MovedSchema),    // a column is gone
    one(213, MovedSchema),    // the number of columns
    one(271, MovedSchema),    // a column became computed
    one(272, MovedSchema),    // ... a rowversion
    one(273, MovedSchema),
    one(544, MovedSchema),    // ... an identity
    one(8102, MovedSchema),
    one(206, MovedSchema),    // types do not go together any more
    one(257, MovedSchema),
    one(402, MovedSchema),
    one(468, MovedSchema),    // nor do collations
    one(4413, MovedSchema),   // a view over a changed table
    one(4502, MovedSchema),

    one(220, OfARow),         // overflow
    one(232, OfARow),
    one(8115, OfARow),
    one(241, OfARow),         // conversion: date and time
    one(242, OfARow),
    one(296, OfARow),
    one(245, OfARow),         // ... numbers and text
    one(248, OfARow),
    one(244, OfARow),
    one(295, OfARow),
    one(8114, OfARow),
    one(8169, OfARow),        // ... uniqueidentifier
    one(8152, OfARow),        // too long
    one(2628, OfARow),
    one(515, OfARow),         // NULL
    one(547, OfARow),         // a reference or a check
    one(550, OfARow),         // a view's check
    one(2601, OfARow),        // a key that is there already
    one(2627, OfARow),
    one(512, OfARow),         // a trigger's subquery
    one(3609, OfARow),        // a trigger ended the transaction
    one(3616, OfARow),
    one(8134, OfARow),        // division by zero
    one(3623, OfARow),        // an invalid floating point operation
    one(6522, OfARow),        // a routine of the common language runtime
    (9400, 9459, OfARow),     // texts that are no XML
    one(511, OfARow),         // a row too long for a page
    one(13608, OfARow),       // JSON
    one(13609, OfARow),
    // What triggers and checks of the channel's owner raise: its own rule against this sale. Our
    // guards against lost letters (50003) and keys (50004) are among them.
    (50_000, u32::MAX, OfARow),
];

pub(crate) fn meaning(number: u32) -> Option<Meaning> {
    let fits = |(first, last, _): &&(u32, u32, Meaning)| (*first..=*last).contains(&number);
    MEANINGS.iter().find(fits).map(|(_, _, meaning)| *meaning)
}

pub(crate) fn belongs_to_a_row(number: u32) -> bool {
    meaning(number) == Some(OfARow)
}
