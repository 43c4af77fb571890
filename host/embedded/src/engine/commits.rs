//! What was committed since the oldest open snapshot began: which tables, and which definitions.
//!
//! SQLite has one writer, and a snapshot cannot write once anything else was committed. But when none of what the
//! transaction has looked at was changed, its view may be moved to the present without anybody seeing it. This is the
//! book that tells.
//!
//! * A snapshot is entered before SQLite's begins: a commit in between counts as later, never the other way round.
//! * Only what an open snapshot may ask for is kept, and no more than [`COMMITS_MAX`] commits.

use super::running::locked;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

/// Commits kept one by one; past it the oldest are taken together, which can only make a conflict more.
const COMMITS_MAX: usize = 1000;

/// The change version and the logs of change tracking, as if they were a table.
pub const TRACKING: i32 = 0;

/// Tables by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub rows: BTreeSet<i32>,
    pub definitions: BTreeSet<i32>,
}

impl Touched {
    fn add(&mut self, other: &Touched) {
        self.rows.extend(&other.rows);
        self.definitions.extend(&other.definitions);
    }
}

#[derive(Debug, Default)]
pub struct Commits {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    last: u64,
    later: VecDeque<(u64, Touched)>,
    /// Session -> the last commit before its snapshot.
    open: BTreeMap<u32, u64>,
}

impl Commits {
    pub fn open_snapshot(&self, session: u32) {
        let mut book = locked(&self.book);
        let last = book.last;
        book.open.insert(session, last);
    }

    pub fn close_snapshot(&self, session: u32) {
        let mut book = locked(&self.book);
        if book.open.remove(&session).is_some() {
            book.prune();
        }
    }

    /// After SQLite's commit, before the writer lets go.
    pub fn add(&self, touched: Touched) {
        let mut book = locked(&self.book);
        book.last += 1;
        if book.open.is_empty() {
            return;
        }
        let number = book.last;
        book.later.push_back((number, touched));
        if book.later.len() > COMMITS_MAX
            && let Some((_, oldest)) = book.later.pop_front()
            && let Some((_, next)) = book.later.front_mut()
        {
            next.add(&oldest);
        }
    }

    /// All that was committed since the session's snapshot began.
    pub fn since(&self, session: u32) -> Touched {
        let book = locked(&self.book);
        let mut all = Touched::default();
        if let Some(began) = book.open.get(&session) {
            for (_, touched) in book.later.iter().filter(|(number, _)| number > began) {
                all.add(touched);
            }
        }
        all
    }
}

impl Book {
    fn prune(&mut self) {
        let oldest = self.open.values().min().copied().unwrap_or(u64::MAX);
        while self.later.front().is_some_and(|(number, _)| *number <= oldest) {
            self.later.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMITS_MAX, Commits, Touched};

    fn rows(table: i32) -> Touched {
        Touched { rows: [table].into(), ..Touched::default() }
    }

    #[test]
    fn a_snapshot_hears_of_what_came_after_it_and_of_nothing_else() {
        let commits = Commits::default();
        commits.add(rows(1));
        commits.open_snapshot(7);
        assert_eq!(commits.since(7), Touched::default());
        commits.add(rows(2));
        commits.open_snapshot(8);
        commits.add(rows(3));
        assert_eq!(commits.since(7).rows, [2, 3].into());
        assert_eq!(commits.since(8).rows, [3].into());
        commits.close_snapshot(7);
        assert_eq!(commits.since(7), Touched::default());
        assert_eq!(commits.since(8).rows, [3].into());
    }

    #[test]
    fn what_is_kept_is_bounded_and_forgets_no_table() {
        let commits = Commits::default();
        commits.open_snapshot(1);
        let many = COMMITS_MAX as i32 + 50;
        (0..many).for_each(|table| commits.add(rows(table)));
        assert_eq!(commits.since(1).rows.len(), many as usize);
        assert!(super::locked(&commits.book).later.len() <= COMMITS_MAX);
        commits.close_snapshot(1);
        assert!(super::locked(&commits.book).later.is_empty());
    }
}
