//! The newest first, a page at a time: `?limit=`, and `?before=` the number that the last page gave as `next`.

use super::problem::Problem;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use tillhold_core::limits;

/// Unless the caller says otherwise.
const ROWS: usize = 50;

pub struct Page {
    pub before: Option<u64>,
    pub limit: usize,
}

impl Page {
    /// `wrong` refuses the member of that name.
    pub fn of(
        asked: &BTreeMap<String, String>,
        wrong: fn(&str) -> Problem,
    ) -> Result<Page, Problem> {
        let number = |name: &str| match asked.get(name) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| wrong(name)),
        };
        let (limit, before) = (number("limit")?, number("before")?);
        let limit = limit.map_or(ROWS, |limit| limit as usize);
        match (1..=limits::LISTING_ROWS_MAX).contains(&limit) {
            true => Ok(Page { before, limit }),
            false => Err(wrong("limit")),
        }
    }

    /// What the next page is asked with; null after the last one.
    pub fn next(&self, found: usize, last: Option<u64>) -> Json {
        last.filter(|_| found == self.limit).map_or(Json::Null, Json::from)
    }
}

/// What a listing takes.
pub fn hint() -> String {
    let most = limits::LISTING_ROWS_MAX;
    format!("limit is from 1 to {most}; before is the last page's next")
}
