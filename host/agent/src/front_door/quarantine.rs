//! What was refused for good and set aside: sales that the channel or a rule refused, and pulled rows that a rule refused
//! or that cannot be carried. Listed a page at a time, sales first; sent again or asked for again; let go of by a person.
//!
//! * A refused sale holds back no other but those that build on its rows; it waits for a person who mends the cause and
//!   has it sent again, or lets go of it.
//! * A pulled row is asked for anew whenever it changes at the channel, and when a person says so.
//! * What is let go of leaves the quarantine when the channel has that on record ([`crate::discarding`]).

use super::audit::Said;
use super::conflicts::{key_json, written};
use super::extract::{Maybe, Part, Whole};
use super::problem::Problem;
use super::role::Role;
use super::{Door, id_prefix};
use crate::fault::FlowError;
use axum::extract::{Query, State};
use axum::{Extension, Json as JsonBody};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use tillhold_core::limits;
use tillhold_core::text::{guid_text, parse_guid};
use tillhold_core::version::Sequence;
use tillhold_local::{
    AfterRow, LocalDatabase, LocalError, QuarantineRecord, Quarantined, RowAside, WholeRow,
    WholeTransaction,
};

/// Where a page goes on; in the answer's `next` as text.
enum After {
    Sale(Sequence),
    Row(Option<AfterRow>),
}

/// `?after=` the page before's `next`, `?limit=`.
pub async fn list(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let limit = match asked.get("limit") {
        None => limits::LISTING_ROWS_MAX,
        Some(text) => text.parse().map_err(|_| wrong("limit"))?,
    };
    if !(1..=limits::LISTING_ROWS_MAX).contains(&limit) {
        return Err(wrong("limit"));
    }
    let after = match asked.get("after") {
        None => None,
        Some(text) => Some(after(text).ok_or_else(|| wrong("after"))?),
    };
    let local = &door.agent.register().local;
    let (records, rows) = page(local, after, limit).await.map_err(FlowError::from)?;
    let let_go = let_go(local).await?;
    let ids: Vec<[u8; 16]> = records
        .iter()
        .map(|record| record.transaction.id.0)
        .chain(rows.iter().map(|row| row.id))
        .collect();
    let short = id_prefix::short(&ids);
    let (of_sales, of_rows) = short.split_at(records.len());
    let sales: Vec<Json> =
        records.iter().zip(of_sales).map(|(record, short)| sale(record, short, &let_go)).collect();
    let aside: Vec<Json> =
        rows.iter().zip(of_rows).map(|(aside, short)| row(aside, short, &let_go)).collect();
    let next = (ids.len() == limit).then(|| next(&records, &rows)).flatten();
    Ok(JsonBody(json!({ "sales": sales, "rows": aside, "next": next })))
}

async fn page(
    local: &LocalDatabase,
    after: Option<After>,
    limit: usize,
) -> Result<(Vec<QuarantineRecord>, Vec<RowAside>), LocalError> {
    let (sales, after_row) = match after {
        None => (local.quarantined(None, limit).await?, None),
        Some(After::Sale(after)) => (local.quarantined(Some(after), limit).await?, None),
        Some(After::Row(after)) => (Vec::new(), after),
    };
    let rows = match limit - sales.len() {
        0 => Vec::new(),
        left => local.rows_aside(after_row, left).await?,
    };
    Ok((sales, rows))
}

fn next(sales: &[QuarantineRecord], rows: &[RowAside]) -> Option<String> {
    match (rows.last(), sales.last()) {
        (Some(row), _) => Some(format!("row-{}-{}", row.since_ms, guid_text(&row.id))),
        (None, Some(sale)) => Some(format!("sale-{}", sale.transaction.sequence.0)),
        (None, None) => None,
    }
}

fn after(text: &str) -> Option<After> {
    if let Some(number) = text.strip_prefix("sale-") {
        return number.parse().ok().map(|number| After::Sale(Sequence(number)));
    }
    let (since_ms, id) = text.strip_prefix("row-")?.split_once('-')?;
    Some(After::Row(Some((since_ms.parse().ok()?, parse_guid(id)?))))
}

fn wrong(name: &str) -> Problem {
    let detail = format!("{name} is nothing that this listing takes");
    Problem::new(422, "quarantine-query", detail).hint(format!(
        "limit is from 1 to {}; after is the last page's next",
        limits::LISTING_ROWS_MAX
    ))
}

pub async fn show(State(door): State<Door>, Part(id): Part) -> Result<JsonBody<Json>, Problem> {
    let local = &door.agent.register().local;
    let let_go = let_go(local).await?;
    Ok(JsonBody(match find(local, &id).await? {
        Found::Row(aside) => row(&aside, &id_prefix::shown(&aside.id), &let_go),
        Found::Sale(record, whole) => {
            let id = record.transaction.id;
            let waiting = local.waiting_for(id).await.map_err(FlowError::from)?;
            let mut shown = sale(&record, &id_prefix::shown(&id.0), &let_go);
            shown["refused_table"] = whole.refused_table.as_ref().map(ToString::to_string).into();
            shown["since_ms"] = whole.since_ms.into();
            shown["transaction_rows"] = rows_of(&whole);
            shown["waiting_transactions"] = waiting.iter().map(ToString::to_string).collect();
            shown
        }
    }))
}

/// Each row of a sale, the refused one marked: `yes`, or `perhaps` where only its table is known.
fn rows_of(whole: &WholeTransaction) -> Json {
    let in_table = |row: &&WholeRow| whole.refused_table.as_ref() == Some(&row.table.name);
    let candidates = whole.rows.iter().filter(in_table).count();
    let refused = |row: &WholeRow| match (&whole.refused_key, in_table(&row)) {
        (_, false) => None,
        (Some(refused), true) => row
            .key()
            .filter(|key| key.folded(&row.table) == refused.folded(&row.table))
            .map(|_| "yes"),
        (None, true) if candidates == 1 => Some("yes"),
        (None, true) => Some("perhaps"),
    };
    let one = |row: &WholeRow| {
        let mut json = written(row);
        json["refused"] = refused(row).into();
        json
    };
    whole.rows.iter().map(one).collect()
}

pub async fn retry(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Part(id): Part,
    Maybe(body): Maybe,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    let local = &door.agent.register().local;
    let of = find(local, &id).await?.of();
    if let_go(local).await?.contains(&of.id()) {
        return Err(gone_already(&format!("{id} was let go of")));
    }
    again(&door, vec![of], role, said).await
}

/// All of them, or those with one code: `{"all": true}` or `{"code": "channel-refused"}`.
pub async fn retry_several(
    State(door): State<Door>,
    Extension(role): Extension<Role>,
    Whole(body): Whole,
) -> Result<JsonBody<Json>, Problem> {
    let said = Said::of(&body)?;
    let code = body["code"].as_str();
    if code.is_none() && body["all"] != true {
        let detail = "which sales are to be sent again is not said";
        return Err(Problem::new(422, "quarantine-which", detail)
            .hint("name one by its id, or give --code CODE, or --all"));
    }
    let local = &door.agent.register().local;
    let is_wanted = |of: &str| code.is_none_or(|code| code == of);
    let (mut wanted, mut after) = (Vec::new(), None);
    loop {
        let got = page(local, after, limits::LISTING_ROWS_MAX).await.map_err(FlowError::from)?;
        let (sales, rows) = &got;
        let sales_wanted = sales.iter().filter(|record| is_wanted(reason(record).0));
        wanted.extend(sales_wanted.map(|record| Quarantined::Sale(record.transaction.id)));
        let rows_wanted = rows.iter().filter(|row| is_wanted(&row.code));
        wanted.extend(rows_wanted.map(|row| Quarantined::Row(row.id)));
        after = match next(sales, rows).as_deref().and_then(self::after) {
            Some(next) => Some(next),
            None => break,
        };
    }
    again(&door, wanted, role, said).await
}

async fn again(
    door: &Door,
    wanted: Vec<Quarantined>,
    role: Role,
    said: Said,
) -> Result<JsonBody<Json>, Problem> {
    let local = &door.agent.register().local;
    let (mut sales, mut rows) = (Vec::new(), Vec::new());
    for of in wanted {
        let is_tried = match of {
            Quarantined::Sale(id) => match local.retry(id).await {
                Ok(()) => true,
                // Another retry was faster, or it was let go of.
                Err(LocalError::WrongState { .. }) => false,
                Err(error) => return Err(FlowError::from(error).into()),
            },
            Quarantined::Row(id) => local.ask_again(id).await.map_err(FlowError::from)?,
        };
        if is_tried {
            let id = guid_text(&of.id());
            said.clone().note(door, role, "quarantine-retry", Some(id.clone())).await?;
            match of {
                Quarantined::Sale(_) => sales.push(id),
                Quarantined::Row(_) => rows.push(id),
            }
        }
    }
    door.agent.nudge.notify_one();
    Ok(JsonBody(json!({ "transactions": sales, "rows": rows, "state": "pending" })))
}

/// One that stands in quarantine.
pub(super) enum Found {
    Sale(Box<QuarantineRecord>, Box<WholeTransaction>),
    Row(RowAside),
}

pub(super) async fn find(local: &LocalDatabase, asked: &str) -> Result<Found, Problem> {
    let digits = id_prefix::digits(asked)?;
    let found = local.quarantined_as(digits.to_uppercase()).await.map_err(FlowError::from)?;
    let ids: Vec<[u8; 16]> = found.iter().map(|one| one.id()).collect();
    let at = id_prefix::find(&ids, asked)?.ok_or_else(|| unknown(asked))?;
    match found[at] {
        Quarantined::Sale(id) => {
            let record = local.quarantined_sale(id).await.map_err(FlowError::from)?;
            let whole = local.whole(id).await.map_err(FlowError::from)?;
            record.zip(whole).map(|(record, whole)| Found::Sale(Box::new(record), Box::new(whole)))
        }
        Quarantined::Row(id) => local.row_aside(id).await.map_err(FlowError::from)?.map(Found::Row),
    }
    .ok_or_else(|| unknown(asked))
}

impl Found {
    pub(super) fn of(&self) -> Quarantined {
        match self {
            Found::Sale(record, _) => Quarantined::Sale(record.transaction.id),
            Found::Row(row) => Quarantined::Row(row.id),
        }
    }
}

/// Of what somebody has let go of while the channel does not know yet.
async fn let_go(local: &LocalDatabase) -> Result<BTreeSet<[u8; 16]>, Problem> {
    Ok(local.releasing().await.map_err(FlowError::from)?.into_iter().collect())
}

pub(super) fn unknown(asked: &str) -> Problem {
    Problem::new(404, "quarantine-unknown", format!("nothing of id {asked} is in quarantine here"))
        .hint("`tillhold quarantine list` shows what is")
}

pub(super) fn gone_already(detail: &str) -> Problem {
    Problem::new(409, "quarantine-let-go", detail)
        .hint("it leaves the quarantine when the channel has that on record")
}

pub(super) fn reason(record: &QuarantineRecord) -> (&str, &str) {
    let reason = record.transaction.reason.as_ref();
    reason.map_or(("", ""), |(code, words)| (code.as_str(), words.as_str()))
}

fn sale(record: &QuarantineRecord, short: &str, let_go: &BTreeSet<[u8; 16]>) -> Json {
    let (code, words) = reason(record);
    let tables: Vec<String> = record.tables.iter().map(ToString::to_string).collect();
    let id = record.transaction.id;
    json!({
        "id": id.to_string(),
        "short": short,
        "kind": "sale",
        "state": if let_go.contains(&id.0) { "discarding" } else { "refused" },
        "code": code,
        "reason": words,
        "received_at_ms": record.transaction.received_at_ms,
        "rows": record.rows,
        "tables": tables,
    })
}

fn row(row: &RowAside, short: &str, let_go: &BTreeSet<[u8; 16]>) -> Json {
    let state = match (let_go.contains(&row.id), row.is_asked_again) {
        (true, _) => "discarding",
        (false, true) => "asked again",
        (false, false) => "refused",
    };
    json!({
        "id": guid_text(&row.id),
        "short": short,
        "kind": "row",
        "state": state,
        "scope": row.scope,
        "table": row.table.name.to_string(),
        "key": row.key,
        "columns": key_json(&row.table, &row.row_key),
        "code": row.code,
        "reason": row.reason,
        "since_ms": row.since_ms,
    })
}
