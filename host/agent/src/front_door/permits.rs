//! The places of requests in work: without one a request is refused at once, so that no queue grows.
//!
//! * Sales have their own: whoever only reads, and what an operator has under way, keeps no till from selling.
//! * One walk over all pages of the files at a time.

use super::problem::Problem;
use super::routes::Span;
use std::sync::Arc;
use tillhold_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub struct Places {
    sales: Arc<Semaphore>,
    others: Arc<Semaphore>,
    walk: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Places {
        Places {
            sales: Arc::new(Semaphore::new(limits::SALES_IN_WORK_MAX)),
            others: Arc::new(Semaphore::new(limits::REQUESTS_MAX)),
            walk: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Places {
    /// `None` for what needs none.
    pub fn take(&self, span: Span) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let places = match span {
            // A look at the agent must be possible when it is busy; a stream lasts for hours.
            Span::Look | Span::Stream => return Ok(None),
            Span::Sale => &self.sales,
            Span::Short | Span::Work => &self.others,
        };
        places.clone().try_acquire_owned().map(Some).map_err(|_| Problem::busy())
    }

    /// For a read of every page, which takes a reader of each file for as long as it lasts.
    pub fn walk(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.walk.clone().try_acquire_owned().map_err(|_| Problem::walking())
    }

    pub fn taken(&self) -> usize {
        let all = limits::SALES_IN_WORK_MAX + limits::REQUESTS_MAX;
        all - self.sales.available_permits() - self.others.available_permits()
    }

    /// Until nothing is in work: also changes whose callers are gone.
    pub async fn all_free(&self) {
        // They are never closed.
        let _ = self.sales.acquire_many(limits::SALES_IN_WORK_MAX as u32).await;
        let _ = self.others.acquire_many(limits::REQUESTS_MAX as u32).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, Span};
    use tillhold_core::limits;

    #[test]
    fn what_is_no_sale_takes_no_sales_place_and_a_walk_is_alone() {
        let places = Places::default();
        let spans = [Span::Short, Span::Work].into_iter().cycle();
        let taken: Vec<_> = spans.map_while(|span| places.take(span).ok()).collect();
        assert_eq!((taken.len(), places.taken()), (limits::REQUESTS_MAX, limits::REQUESTS_MAX));
        assert!(places.take(Span::Look).is_ok_and(|place| place.is_none()));
        let sale = places.take(Span::Sale).ok().flatten();
        assert!(sale.is_some());
        let walk = places.walk();
        assert!(walk.is_ok() && places.walk().is_err());
        drop(walk);
        assert!(places.walk().is_ok());
    }

    /// What a stopping door waits for.
    #[tokio::test]
    async fn places_are_all_free_when_the_last_one_is_given_back() {
        let places = Places::default();
        let held = [Span::Sale, Span::Work].map(|span| places.take(span).ok().flatten());
        for place in held {
            let mut free = Box::pin(places.all_free());
            assert!(futures_util::poll!(&mut free).is_pending());
            drop(free);
            drop(place);
        }
        places.all_free().await;
    }
}
