//! First load of a table: pages in key order, without one long transaction.
//!
//! 1. [`crate::capture::start`] first, and keep its position.
//! 2. [`pages`] from the beginning, or after the last key of an earlier load, to the table's end.
//! 3. A pass of changes from the kept position: whatever moved during the load is among them, and
//!    applying a change twice does no harm. Only then is the table as the channel has it.
//!
//! * The order is the server's: guids and collations sort there as nowhere else, so only the last
//!   key travels back.
//! * Memory is bounded whatever the table holds: rows are read while they arrive, and a page is
//!   full at a number of rows or of bytes, whichever comes first. One row is the least.
//! * A statement asks for more rows than a page has, so that the server goes on while pages are
//!   written; for how many, [`Reach`] says by what came before.
//! * A row that cannot be carried costs itself alone: it comes with its key and the reason.
//! * Of a restricted table only the rows of its members are read; the sets travel with each statement.
//! * A load that broke off resumes from (version, last key) as long as the version is still
//!   retained.

use crate::cells::Cells;
use crate::convert::{Parameter, key_parameters};
use crate::error::ChannelError;
use crate::filtering::{parameters as values, passes};
use crate::link::streaming::Portions;
use crate::link::{Ask, Link};
use crate::selection::{Narrowing, kinds, set_parameters};
use crate::statement::{after_key, key_list, select_list};
use crate::surrogate::{Refused, doubts};
use tillhold_core::condition::Bound;
use tillhold_core::limits;
use tillhold_core::row::{Key, Row};
use tillhold_core::selection::{Restricted, Restriction};
use tillhold_core::table::Table;
use tillhold_core::value::Value;
use tokio::sync::mpsc;

/// Rows that follow one another in the table's order, at least one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub rows: Vec<Row>,
    /// What the channel has but cannot be carried, and why.
    pub refused: Vec<(Key, String)>,
    /// Where to go on after this page; `None` when it has no row whose key can be carried.
    pub last_key: Option<Key>,
}

/// Reads the table's rows that pass `filter` behind `after`, or from its beginning, to its end, and
/// passes its pages on; ends early when nobody takes them any more.
pub async fn pages(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    restricted: Option<&Restricted>,
    mut after: Option<Key>,
    out: mpsc::Sender<Page>,
) -> Result<(), ChannelError> {
    if table.key.is_empty() {
        return Err(ChannelError::NoPrimaryKey { table: table.name.clone() });
    }
    let mut reach = Reach::at_first();
    let among = Among::loading(restricted).passing(filter);
    if among.nothing {
        return Ok(());
    }
    loop {
        let said = statement(link, table, &among, after.as_ref(), reach, &out).await?;
        if said.is_last || !said.is_wanted {
            return Ok(());
        }
        after = said.after.or(after);
        reach = said.reach;
    }
}

/// What one statement gives of [`pages`]: at most `rows_max` rows behind `after`, as one page. For
/// a look at a table rather than a load; it goes on behind [`Page::last_key`] while there is one.
pub async fn page(
    link: &mut Link,
    table: &Table,
    after: Option<&Key>,
    rows_max: usize,
) -> Result<Page, ChannelError> {
    page_among(link, table, &Among::all(), after, rows_max).await
}

/// The same of the rows that pass `filter`.
pub async fn filtered_page(
    link: &mut Link,
    table: &Table,
    filter: Option<&Bound>,
    after: Option<&Key>,
    rows_max: usize,
) -> Result<Page, ChannelError> {
    page_among(link, table, &Among::all().passing(filter), after, rows_max).await
}

/// What a statement of rows is narrowed down by.
pub(crate) struct Among<'a> {
    narrowing: Narrowing<'a>,
    sets: Vec<Parameter>,
    filter: Option<&'a Bound>,
    /// No row passes: nothing is asked.
    nothing: bool,
}

impl<'a> Among<'a> {
    fn all() -> Among<'a> {
        Among { narrowing: Narrowing::Not, sets: Vec::new(), filter: None, nothing: false }
    }

    fn loading(restricted: Option<&'a Restricted>) -> Among<'a> {
        let Some(Restricted { restriction, members }) = restricted else { return Among::all() };
        Among {
            narrowing: Narrowing::Loading(restriction),
            sets: set_parameters(&kinds(std::iter::once(restriction)), members),
            nothing: *restriction == Restriction::Withheld,
            ..Among::all()
        }
    }

    /// The rows of those who joined, by the sets that the session holds.
    pub(crate) fn joined(restriction: &'a Restriction) -> Among<'a> {
        Among { narrowing: Narrowing::Joining(restriction), ..Among::all() }
    }

    /// Of them those that pass the profile's filter.
    pub(crate) fn passing(self, filter: Option<&'a Bound>) -> Among<'a> {
        Among { filter, ..self }
    }
}

pub(crate) async fn page_among(
    link: &mut Link,
    table: &Table,
    among: &Among<'_>,
    after: Option<&Key>,
    rows_max: usize,
) -> Result<Page, ChannelError> {
    if table.key.is_empty() {
        return Err(ChannelError::NoPrimaryKey { table: table.name.clone() });
    }
    let (out, mut pages) = mpsc::channel(1);
    let reach = Reach { rows: rows_max };
    let reading = async move { statement(link, table, among, after, reach, &out).await.map(drop) };
    let gathering = async {
        let mut whole = Page::default();
        while let Some(page) = pages.recv().await {
            whole.rows.extend(page.rows);
            whole.refused.extend(page.refused);
            whole.last_key = page.last_key.or(whole.last_key);
        }
        whole
    };
    let (read, whole) = tokio::join!(reading, gathering);
    read.map(|()| whole)
}

/// What one statement's answer says about the next one.
struct Said {
    /// The last key that it gave.
    after: Option<Key>,
    reach: Reach,
    is_last: bool,
    is_wanted: bool,
}

async fn statement(
    link: &mut Link,
    table: &Table,
    among: &Among<'_>,
    after: Option<&Key>,
    reach: Reach,
    out: &mpsc::Sender<Page>,
) -> Result<Said, ChannelError> {
    let mut reading = Reading::new(table, out);
    let mut parameters = page_parameters(table, after, reach.rows);
    parameters.extend(values(among.filter));
    parameters.extend(among.sets.iter().cloned());
    let sql = page_sql(table, after.is_some(), among.narrowing, among.filter);
    let is_wanted = link.stream(Ask::query(WHAT, &sql, &parameters), &mut reading).await?;
    let Reading { held, is_reading_over, last_key, rows, bytes, .. } = reading;
    let is_last = rows < reach.rows && !is_reading_over;
    let Some(held) = held else {
        return Ok(Said { after: last_key, reach: reach.further(rows, bytes), is_last, is_wanted });
    };
    let page = held.settle(link, table).await?;
    let place = page.last_key.clone();
    if place.is_none() && !is_last {
        return Err(no_place(table));
    }
    let is_wanted = out.send(page).await.is_ok();
    Ok(Said { after: place.or(last_key), reach: Reach::at_first(), is_last, is_wanted })
}

/// A whole answer of rows whose keys cannot be carried leaves nothing to go on from.
fn no_place(table: &Table) -> ChannelError {
    let column = table.key_columns().map(|column| column.name.as_str()).collect::<Vec<_>>();
    ChannelError::Undecodable {
        table: table.name.clone(),
        column: column.join(", "),
        reason: "no key of the rows that come next can be carried".to_string(),
    }
}

fn page_parameters(table: &Table, after: Option<&Key>, rows: usize) -> Vec<Parameter> {
    let mut parameters = vec![Parameter::Number(rows as i64)];
    parameters.extend(after.into_iter().flat_map(|key| key_parameters(key, table)));
    parameters
}

/// For how many rows a statement asks. It begins small, since nothing is known of the table, and
/// grows until a statement is as large as it may be in rows or in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reach {
    rows: usize,
}

impl Reach {
    fn at_first() -> Reach {
        Reach { rows: limits::PULL_PAGE_ROWS_MAX }
    }

    fn further(self, rows: usize, bytes: usize) -> Reach {
        let by_bytes = limits::LOAD_STATEMENT_BYTES_MAX * rows / bytes.max(1);
        let most = by_bytes.min(limits::LOAD_STATEMENT_ROWS_MAX);
        Reach { rows: (self.rows * 4).min(most).max(1) }
    }
}

/// One statement's answer on its way into pages.
struct Reading<'a> {
    table: &'a Table,
    out: &'a mpsc::Sender<Page>,
    filling: Filling,
    /// A page with text in doubt. The connection is busy until the answer ends, so it waits, and
    /// what follows it in this answer is read over and asked for again.
    held: Option<Filling>,
    is_reading_over: bool,
    last_key: Option<Key>,
    /// Read so far.
    rows: usize,
    bytes: usize,
}

impl<'a> Reading<'a> {
    fn new(table: &'a Table, out: &'a mpsc::Sender<Page>) -> Reading<'a> {
        let filling = Filling::default();
        let (held, last_key) = (None, None);
        Reading { table, out, filling, held, is_reading_over: false, last_key, rows: 0, bytes: 0 }
    }
}

impl Portions for Reading<'_> {
    fn add(&mut self, cells: Cells) -> Result<bool, ChannelError> {
        self.rows += 1;
        if self.held.is_some() {
            self.is_reading_over = true;
            return Ok(false);
        }
        let (row, refused) = cells.row_or_refusal(self.table)?;
        let bytes = size(&row);
        self.bytes += bytes;
        self.filling.add(row, refused, bytes);
        Ok(self.filling.is_full())
    }

    async fn pass_on(&mut self) -> bool {
        let filled = std::mem::take(&mut self.filling);
        if filled.rows.is_empty() {
            return true;
        }
        if doubts(self.table, filled.rows.iter()).next().is_some() {
            self.held = Some(filled);
            return true;
        }
        let last_key = filled.rows.last().map(|row| row.key(self.table));
        let page = filled.into_page(self.table, last_key);
        self.last_key = page.last_key.clone();
        self.out.send(page).await.is_ok()
    }
}

/// Roughly what a row takes in memory.
fn size(row: &Row) -> usize {
    let one = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    row.0.iter().map(one).sum::<usize>() + row.0.len() * size_of::<Value>()
}

/// A page that grows: every row, and what is wrong with some of them.
#[derive(Default)]
struct Filling {
    rows: Vec<Row>,
    refused: Vec<Refused>,
    bytes: usize,
}

impl Filling {
    fn add(&mut self, row: Row, refused: Option<Refused>, bytes: usize) {
        let at = self.rows.len();
        self.refused.extend(refused.map(|refused| Refused { row: at, ..refused }));
        self.rows.push(row);
        self.bytes += bytes;
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= limits::LOAD_PAGE_ROWS_MAX || self.bytes >= limits::LOAD_PAGE_BYTES_MAX
    }

    fn into_page(mut self, table: &Table, last_key: Option<Key>) -> Page {
        self.refused.sort_by_key(|refused| refused.row);
        self.refused.dedup_by_key(|refused| refused.row);
        let mut places = self.refused.iter().map(|refused| refused.row).peekable();
        let mut at = 0..;
        self.rows.retain(|_| places.next_if_eq(&at.next().expect("it has no end")).is_none());
        let refused = self.refused.iter().map(|refused| refused.told(table)).collect();
        Page { rows: self.rows, refused, last_key }
    }

    /// Asks for the text in doubt again. A key that is not what the channel has is no place to go
    /// on from: the page's place is the last one that is.
    async fn settle(mut self, link: &mut Link, table: &Table) -> Result<Page, ChannelError> {
        let found = link.look_again(table, self.rows.iter()).await?;
        let is_broken = |at: usize| {
            found.iter().any(|refused| refused.row == at && table.is_key(refused.column))
        };
        let place = (0..self.rows.len()).rev().find(|at| !is_broken(*at));
        let place = place.map(|at| self.rows[at].key(table));
        self.refused.extend(found);
        Ok(self.into_page(table, place))
    }
}

const WHAT: &str = "give a page of a table";

/// @P1 rows in the page; with `after`, @P2 and on the last key's values as canonical text; then the
/// filter's values, then the sets that it is narrowed down by. Each page is its own snapshot: it
/// waits for no writer and no writer waits for it.
pub(crate) fn page_sql(
    table: &Table,
    after: bool,
    narrowing: Narrowing<'_>,
    filter: Option<&Bound>,
) -> String {
    let mut next = 2;
    let mut conditions = narrowing.conditions("t");
    if after {
        let behind = after_key("t", table, next);
        next += table.key.len();
        let is_alone = conditions.is_empty() && filter.is_none();
        conditions.push(if is_alone { behind } else { format!("({behind})") });
    }
    conditions.extend(filter.map(|filter| format!("({})", passes("t", filter, next))));
    next += values(filter).len();
    let condition = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    format!(
        "{}SET TRANSACTION ISOLATION LEVEL SNAPSHOT;\nSELECT TOP (@P1) {} FROM {} AS t{condition} ORDER BY {};\n",
        narrowing.opening(next),
        select_list("t", table),
        table.name.bracketed(),
        key_list("t.", table),
    )
}

#[cfg(test)]
mod loading;

#[cfg(test)]
pub(crate) mod tests {
    use super::page;
    use crate::sample;
    use crate::scripted::{Channel, says};
    use tillhold_core::row::Row;
    use tillhold_core::text::parse;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    /// What the statement's select list makes of a column's type.
    fn sent_as(of: SqlType) -> &'static str {
        let text = match of {
            SqlType::Money => "decimal(19,4)".to_string(),
            SqlType::SmallMoney => "decimal(10,4)".to_string(),
            SqlType::Xml => "nvarchar(max)".to_string(),
            of => of.to_string(),
        };
        Box::leak(text.into_boxed_str())
    }

    /// The extremes of each type, in the sample's order; those that are easily lost on a way.
    pub(crate) const EXTREMES: [&str; 31] = [
        "-2147483648",
        "ÄÖ-1",
        "1753-01-01 23:59:59.997",
        "1",
        "255",
        "-32768",
        "9223372036854775807",
        "9999999999999999999999999999.0000000001",
        "922337203685477.5807",
        "-214748.3648",
        "-1.7976931348623157e308",
        "3.4028234663852886e38",
        "9999-12-31",
        "23:59:59.999",
        "2079-06-06 23:59:00",
        "9999-12-31 23:59:59.9999999",
        "0001-01-02 00:00:00.0000001 +13:59",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Ä   ",
        "\u{1F600}  ",
        "l'été",
        "long",
        "\u{1F600}",
        "",
        "text",
        "\u{4e2d}",
        "<a b=\"c\">\u{4e2d}</a>",
        "00FF0000",
        "",
        "00FF",
        "FF00",
    ];

    #[tokio::test]
    async fn every_type_comes_over_the_wire_to_its_last_digit() {
        let table = sample::every_type();
        let values = table.columns.iter().zip(EXTREMES);
        let row: Vec<Value> =
            values.map(|(c, text)| parse(text, c.of).expect("an extreme")).collect();
        let nulls: Vec<Value> = (0..row.len())
            .map(|at| if table.columns[at].nullable { Value::Null } else { row[at].clone() })
            .collect();
        let columns = table.columns.iter().map(|c| ("x", sent_as(c.of))).collect();
        let answer = vec![(columns, vec![row.clone(), nulls.clone()])];
        let channel = Channel::start(vec![says("SELECT TOP", answer)]).await;
        let rows = page(&mut channel.link(), &table, None, 10).await.expect("a page").rows;
        for (at, column) in table.columns.iter().enumerate() {
            assert_eq!(rows[0].0[at], row[at], "{} {}", column.name, column.of);
        }
        assert_eq!(rows[1], Row(nulls));
    }
}
