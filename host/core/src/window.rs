//! How many transactions go up at once: as many as the channel takes quickly, and no more than go through.
//!
//! * A store's registers come back together. Were each to send all that it may, the sales of those that are back already
//!   would wait behind dozens of full uploads: each makes its own smaller until it is answered soon.
//! * A row that is contested once is often contested again in the next sale, and what waits for it was sent in vain.

use crate::limits::{UPLOAD_TIME_WANTED, UPLOAD_TRANSACTIONS_FIRST, UPLOAD_TRANSACTIONS_SLOW};
use std::time::Duration;

/// What one upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub transactions: usize,
    /// Of them those that wait for an earlier one.
    pub held: usize,
    pub took: Duration,
}

/// The number of transactions in the next upload, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    size: usize,
    most: usize,
}

impl Window {
    /// `most` is at least 1.
    pub fn new(most: usize) -> Window {
        Window { size: UPLOAD_TRANSACTIONS_FIRST.min(most), most }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn adapt(&mut self, sent: Sent) {
        let grown = (self.size * 2).min(self.most);
        self.size = match sent.took {
            _ if sent.held > 0 => sent.transactions.saturating_sub(sent.held).max(1),
            // Where it is the way to the channel that takes long, few in each would only make it more of them.
            took if took > UPLOAD_TIME_WANTED => {
                (sent.transactions / 2).max(UPLOAD_TRANSACTIONS_SLOW.min(grown))
            }
            took if took > UPLOAD_TIME_WANTED / 2 => self.size,
            _ => grown,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Sent, Window};
    use crate::limits::{
        UPLOAD_TIME_WANTED, UPLOAD_TRANSACTIONS_FIRST, UPLOAD_TRANSACTIONS_MAX,
        UPLOAD_TRANSACTIONS_SLOW,
    };
    use std::time::Duration;

    const MOST: usize = UPLOAD_TRANSACTIONS_MAX;
    const SLOW: usize = UPLOAD_TRANSACTIONS_SLOW;
    const QUICK: Duration = Duration::from_millis(1);

    fn after(size: usize, transactions: usize, held: usize, took: Duration) -> usize {
        let mut window = Window { size, most: MOST };
        window.adapt(Sent { transactions, held, took });
        window.size()
    }

    #[test]
    fn what_waited_in_an_upload_makes_the_next_one_small() {
        for (size, transactions, held, next) in [
            (MOST, MOST, 0, MOST),
            (MOST, MOST, MOST - 1, 1),
            (MOST, 40, 10, 30),
            (1, 1, 0, 2),
            (8, 3, 0, 16),
            (MOST - 1, MOST - 1, 0, MOST),
            // Cannot be, and must not stand still.
            (4, 4, 4, 1),
        ] {
            let found = after(size, transactions, held, QUICK);
            assert_eq!(found, next, "{size} {transactions} {held}");
        }
    }

    #[test]
    fn an_upload_that_took_long_makes_the_next_one_smaller_but_not_without_end() {
        let (long, fair) = (UPLOAD_TIME_WANTED * 2, UPLOAD_TIME_WANTED);
        for (size, transactions, took, next) in [
            (MOST, MOST, long, MOST / 2),
            // The limit in rows was what counted.
            (MOST, 90, long, 45),
            (45, 45, fair, 45),
            (45, 45, QUICK, 90),
            (SLOW, SLOW, long, SLOW),
            // One sale on a slow way is no reason for fewer.
            (MOST, 1, long, SLOW),
            // Held ones have made it small: on a slow way too it grows again.
            (1, 1, long, 2),
        ] {
            assert_eq!(after(size, transactions, 0, took), next, "{size} {transactions} {took:?}");
        }
    }

    #[test]
    fn the_first_upload_is_a_small_one_and_none_is_larger_than_allowed() {
        assert_eq!(Window::new(MOST).size(), UPLOAD_TRANSACTIONS_FIRST);
        let mut window = Window::new(3);
        for took in [QUICK, UPLOAD_TIME_WANTED * 2, QUICK] {
            assert_eq!(window.size(), 3);
            window.adapt(Sent { transactions: 3, held: 0, took });
        }
    }
}
