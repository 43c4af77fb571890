//! The shapes of answers. A name that ends in `?` may be missing; all else is there.

use super::plugins;
use serde_json::{Map, Value as Json, json};
use tillhold_core::limits;

pub fn all() -> Json {
    let mut all = Map::new();
    for (name, schema) in [standing(), selling(), people(), decided(), work(), compared(), size()]
        .into_iter()
        .flatten()
    {
        all.insert(name.to_string(), schema);
    }
    Json::Object(all)
}

type Named = Vec<(&'static str, Json)>;

fn standing() -> Named {
    let scope = object(&[
        ("name", text()),
        ("direction", words(&["download", "upload", "bidirectional"])),
        ("tables", whole()),
        ("ready", flag()),
        ("version", or_null(text())),
        ("frequency_s", whole()),
        ("last_sync_ms", or_null(whole())),
        ("next_due_ms", or_null(whole())),
        ("age_s", or_null(whole())),
        ("stale_at_s", or_null(whole())),
        ("stale", flag()),
        ("pending", whole()),
        ("errors", whole()),
        ("took_ms", whole()),
        ("last", named("Tally")),
        ("total", named("Tally")),
        ("fault", fault()),
        ("rows?", whole()),
    ]);
    let amount = object(&[("currency", text()), ("amount", text())]);
    let unsent = object(&[
        ("transactions", whole()),
        ("rows", whole()),
        ("oldest_ms", or_null(whole())),
        ("amounts", list(amount)),
    ]);
    let ready =
        object(&[("ready", flag()), ("state", named("State")), ("reasons", list(named("Fault")))]);
    let data = object(&[
        ("standing", words(&["fresh", "stale", "never-synchronised"])),
        ("reaction", words(&["allow", "warn", "refuse"])),
        ("synchronised", flag()),
        ("age_s", or_null(whole())),
        ("oldest_scope", or_null(text())),
        ("fault", fault()),
    ]);
    vec![
        ("Problem", problem()),
        ("Fault", object(&[("code", text()), ("message", text()), ("hint", or_null(text()))])),
        ("State", words(&["online", "doubtful", "offline", "returning", "held"])),
        ("Tally", counts(&["rows_in", "applied", "dropped", "quarantined"])),
        ("Alive", object(&[("alive", flag())])),
        ("Ready", ready),
        ("Data", data),
        ("Scope", scope),
        ("Unsent", unsent),
        ("Plugin", plugins::plugin()),
        ("Preview", plugins::preview()),
        ("RolledBack", object(&[("plugin", text()), ("digest", text()), ("audit", whole())])),
        ("Plugins", object(&[("plugins", list(named("Plugin")))])),
        ("Status", status()),
    ]
}

fn status() -> Json {
    object(&[
        ("state", named("State")),
        ("since_ms", whole()),
        ("returns_from_ms", or_null(whole())),
        (
            "held",
            or_null(object(&[("by", text()), ("why", or_null(text())), ("since_ms", whole())])),
        ),
        (
            "last_trouble",
            or_null(object(&[
                ("at_ms", whole()),
                ("code", text()),
                ("number", or_null(whole())),
                ("message", text()),
                ("hint", or_null(text())),
            ])),
        ),
        ("now_ms", whole()),
        ("store", text()),
        ("register", text()),
        ("incarnation", uuid()),
        ("profile", text()),
        ("profile_origin", text()),
        ("profile_taken_at_ms", or_null(whole())),
        ("profile_fault", fault()),
        ("write_path", words(&["channel-first", "local-first"])),
        ("started_at_ms", whole()),
        ("version", text()),
        ("data", named("Data")),
        ("pending", counts(&["transactions", "rows"])),
        ("unsent", named("Unsent")),
        ("quarantined", whole()),
        ("rows_aside", whole()),
        ("tried_again", counts(&["sales", "rows"])),
        ("conflicts", whole()),
        ("tables_without_key", list(text())),
        ("selection", named("Selection")),
        ("selection_fault", fault()),
        ("numbers", object(&[("mark", or_null(whole())), ("fault", fault())])),
        ("report_fault", fault()),
        ("push_fault", fault()),
        ("lost", whole()),
        ("lost_fault", fault()),
        (
            "snapshots",
            object(&[("export", outcome_or_null()), ("new_database", outcome_or_null())]),
        ),
        ("size", named("Size")),
        ("plugins", list(named("Plugin"))),
        ("scopes", list(named("Scope"))),
    ])
}

fn problem() -> Json {
    object(&[
        ("type", text()),
        ("title", or_null(text())),
        ("status", whole()),
        ("code", text()),
        ("detail", text()),
        ("hint", or_null(text())),
    ])
}

fn selling() -> Named {
    let committed = object(&[
        ("id", uuid()),
        ("committed", words(&["channel", "offline"])),
        ("replayed", flag()),
        ("quarantined", or_null(text())),
        ("warnings", list(named("Fault"))),
    ]);
    let transaction = object(&[
        ("id", uuid()),
        ("state", words(&["pending", "settled", "quarantined", "deferred", "discarded"])),
        ("received_at_ms", whole()),
        ("reason", or_null(text())),
    ]);
    let page = object(&[
        ("source", words(&["channel", "offline"])),
        ("version", or_null(text())),
        ("age_s", or_null(whole())),
        ("stale", flag()),
        ("rows", list(cells())),
        ("next", or_null(text())),
    ]);
    let domain = object(&[
        ("chosen", words(&["none", "all", "some"])),
        ("in_force", flag()),
        ("computed_at_ms", or_null(whole())),
        ("refresh_h", json!({ "type": "number" })),
        ("criteria", or_null(map(whole()))),
        ("members", or_null(map(whole()))),
        ("unknown", or_null(list(text()))),
    ]);
    let some = object(&[("count", whole()), ("first", list(text()))]);
    let change = object(&[("would_join", some.clone()), ("would_leave", some)]);
    let unknown = object(&[("code", text()), ("message", text())]);
    let selection = object(&[
        ("products", domain.clone()),
        ("customers", domain),
        ("would_change?", or_null(map(change))),
        ("would_change_unknown?", or_null(unknown)),
    ]);
    vec![
        ("Committed", committed),
        ("Transaction", transaction),
        ("Page", page),
        ("Selection", selection),
    ]
}

fn people() -> Named {
    const SALE: [&str; 6] = ["id", "short", "kind", "state", "code", "reason"];
    let sale: Vec<(&str, Json)> = SALE.map(|name| (name, text())).into();
    let sale =
        [sale, vec![("received_at_ms", whole()), ("rows", whole()), ("tables", list(text()))]]
            .concat();
    let one = [
        sale.clone(),
        vec![
            ("refused_table", or_null(text())),
            ("since_ms", or_null(whole())),
            ("transaction_rows", list(named("WrittenRow"))),
            ("waiting_transactions", list(uuid())),
        ],
    ]
    .concat();
    let aside = [("scope", text()), ("table", text()), ("reason", text()), ("since_ms", whole())];
    let named_so = ["id", "short", "kind", "state", "key", "code"].map(|name| (name, text()));
    let aside = [aside.to_vec(), named_so.to_vec(), vec![("columns", cells())]].concat();
    let retried = object(&[
        ("transactions", list(uuid())),
        ("rows", list(uuid())),
        ("state", words(&["pending"])),
    ]);
    let written = object(&[
        ("table", text()),
        ("operation", words(&["insert", "update", "delete"])),
        ("key", or_null(cells())),
        // Of a sale in quarantine.
        ("refused?", or_null(words(&["yes", "perhaps"]))),
    ]);
    let act = object(&[
        ("number", whole()),
        ("at_ms", whole()),
        ("action", text()),
        ("subject", or_null(text())),
        ("who", or_null(text())),
        ("why", or_null(text())),
        ("role", text()),
    ]);
    vec![
        (
            "Quarantine",
            object(&[
                ("sales", list(object(&sale))),
                ("rows", list(object(&aside))),
                ("next", or_null(text())),
            ]),
        ),
        ("RefusedSale", json!({ "anyOf": [object(&one), object(&aside)] })),
        ("Discarded", object(&["id", "kind", "decision", "state"].map(|name| (name, text())))),
        ("Retried", retried),
        ("WrittenRow", written),
        ("Act", act),
        ("AskedByHand", object(&[("asked", text()), ("audit", whole())])),
    ]
}

fn decided() -> Named {
    let conflict = vec![
        ("id", uuid()),
        ("short", text()),
        ("state", words(&["waiting", "decided"])),
        ("transaction", uuid()),
        ("table", text()),
        ("key", cells()),
        ("reason", text()),
        ("rule", or_null(text())),
        ("plugin", or_null(text())),
        ("since_ms", whole()),
        ("decision", or_null(json!({ "type": "object" }))),
    ];
    let column = object(&[
        ("column", text()),
        ("type", text()),
        ("is_key", flag()),
        ("base", or_null(text())),
        ("channel", or_null(text())),
        ("offline", or_null(text())),
        ("changed_by", list(words(&["channel", "offline"]))),
    ]);
    let there = object(&[("base", flag()), ("channel", flag()), ("offline", flag())]);
    let shown = [
        conflict.clone(),
        vec![
            ("there", there),
            ("columns", list(column)),
            ("transaction_rows", list(named("WrittenRow"))),
            ("received_at_ms", or_null(whole())),
            ("conflicts_beside", list(uuid())),
            ("waiting_transactions", list(uuid())),
        ],
    ]
    .concat();
    let resolved = object(&[
        ("id", uuid()),
        ("transaction", uuid()),
        ("state", words(&["pending", "deferred"])),
        ("conflicts_left", whole()),
        ("outcome", json!({ "type": "object" })),
    ]);
    let decision = object(&[
        ("id", uuid()),
        ("number", whole()),
        ("at_ms", whole()),
        ("transaction", uuid()),
        ("table", text()),
        ("key", cells()),
        ("rule", text()),
        ("plugin", or_null(text())),
        ("who", or_null(text())),
        ("why", or_null(text())),
        ("base", or_null(cells())),
        ("channel", or_null(cells())),
        ("offline", or_null(cells())),
        ("decided", or_null(cells())),
        ("discarded", or_null(json!({}))),
    ]);
    vec![
        ("Conflict", object(&conflict)),
        ("ConflictShown", object(&shown)),
        ("Resolved", resolved),
        ("Decision", decision),
    ]
}

fn work() -> Named {
    let pushed = counts(&["transactions", "rows", "quarantined", "deferred"]);
    let scope = object(&[("scope", text()), ("rows", named("Tally")), ("fault", fault())]);
    let synchronised = object(&[
        ("pushed", pushed),
        ("push_fault", fault()),
        ("lost_fault", fault()),
        ("scopes", list(scope)),
    ]);
    let exported =
        object(&[("path", text()), ("transactions", whole()), ("rows", whole()), ("key", text())]);
    let left = object(&[("id", uuid()), ("reason", text())]);
    let imported = object(&[
        ("store", text()),
        ("register", text()),
        ("transactions", whole()),
        ("applied", whole()),
        ("already_there", whole()),
        ("left", list(left)),
    ]);
    let outcome = object(&[
        ("at_ms", whole()),
        (
            "outcome",
            words(&["made", "unchanged", "failed", "none", "known", "older", "taken", "refused"]),
        ),
        ("fault", fault()),
        ("snapshot?", json!({ "type": "object" })),
        ("path?", text()),
        ("table?", text()),
        ("fetched_bytes?", whole()),
    ]);
    let images = object(&[
        ("folder", text()),
        ("source", text()),
        ("pictures", whole()),
        ("names", whole()),
        ("bytes", whole()),
        ("bytes_max", whole()),
    ]);
    let renewed = object(&[
        ("incarnation", uuid()),
        ("ended", uuid()),
        ("arrived", whole()),
        ("rows_loaded", whole()),
    ]);
    vec![
        ("Synchronised", synchronised),
        ("Exported", exported),
        ("Imported", imported),
        ("Outcome", outcome),
        ("Images", images),
        ("Prefetched", counts(&["names", "fetched", "known", "missing", "refused"])),
        ("Pruned", counts(&["damaged", "evicted", "names"])),
        ("Renewed", renewed),
    ]
}

fn compared() -> Named {
    let cell = object(&[("column", text()), ("channel", json!({})), ("offline", json!({}))]);
    let difference = object(&[
        ("scope", text()),
        ("table", text()),
        ("kind", text()),
        ("key", json!({})),
        ("columns", list(cell)),
        ("reason", or_null(text())),
    ]);
    let counts = [
        "rows_expected",
        "rows_offline",
        "ranges",
        "ranges_differing",
        "behind",
        "moving",
        "own",
        "unsent",
        "deferred",
        "set_aside",
        "unexamined",
        "different",
    ];
    let counts: Vec<(&str, Json)> = counts.iter().map(|name| (*name, whole())).collect();
    let table = vec![("scope", text()), ("table", text()), ("standing", text())];
    let fault = [("scope", or_null(text())), ("code", text()), ("message", text())];
    let fault = object(&[fault.to_vec(), vec![("hint", or_null(text()))]].concat());
    let compared = object(&[
        ("equal", flag()),
        ("tables", list(object(&[table, counts].concat()))),
        ("differences", list(difference)),
        ("differences_unnamed", whole()),
        ("sales_lost", whole()),
        ("faults", list(fault)),
    ]);
    vec![("Compared", compared)]
}

fn size() -> Named {
    let forecast = object(&[
        ("bytes_per_day", json!({ "type": "number" })),
        ("days_to_warning", or_null(whole())),
        ("days_to_limit", or_null(whole())),
    ]);
    let purge =
        [("at_ms", whole()), ("transactions", whole()), ("rows", whole()), ("held", whole())];
    let purge = object(&[purge.to_vec(), vec![("fault", fault())]].concat());
    let size = vec![
        ("used_bytes", whole()),
        ("limit_bytes", whole()),
        ("warning_bytes", whole()),
        ("standing", words(&["fine", "warning", "full"])),
        ("reserve", text()),
        ("disk_free_bytes", or_null(whole())),
        ("forecast", or_null(forecast)),
        ("purge", or_null(purge)),
    ];
    let file = [
        ("bytes", whole()),
        ("used_bytes", whole()),
        ("free_bytes", whole()),
        ("log_bytes", whole()),
    ];
    let file = object(&[file.to_vec(), vec![("name", text()), ("can_shrink", flag())]].concat());
    let table = [("file", text()), ("table", or_null(text())), ("bytes", whole())];
    let table = object(&[table.to_vec(), vec![("rows", or_null(whole()))]].concat());
    let whole_size = [size.clone(), vec![("files", list(file)), ("tables", list(table))]].concat();
    vec![("Size", object(&size)), ("SizeWhole", object(&whole_size))]
}

/// What stands in a path.
pub fn of_path(path: &str, name: &str) -> Json {
    match (path, name) {
        ("/v1/transactions/{id}", _) => json!({
            "type": "string",
            "format": "uuid",
            "examples": ["6f9619ff-8b86-4011-b42d-00c04fc964a3"],
        }),
        (_, "id") => json!({
            "type": "string",
            "pattern": "^[0-9a-fA-F-]{4,36}$",
            "description": "A UUID, or so many of its first digits, at least four, that it is the only one",
        }),
        (_, "table") => json!({
            "type": "string",
            "description": "SCHEMA.TABLE",
            "examples": ["ax.RETAILTRANSACTIONTABLE"],
        }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

/// A row, or some of its cells.
pub fn cells() -> Json {
    let cell = json!({ "type": ["string", "number", "boolean", "null"] });
    json!({ "type": "object", "additionalProperties": cell })
}

/// The rows of a POS transaction.
pub fn rows() -> Json {
    let row = json!({
        "type": "object",
        "properties": {
            "table": { "type": "string", "description": "SCHEMA.TABLE" },
            "operation": { "enum": ["insert", "update", "delete", null], "default": "insert" },
            "values": cells(),
        },
        "required": ["table", "values"],
        "additionalProperties": false,
    });
    json!({ "type": "array", "items": row, "minItems": 1, "maxItems": limits::TRANSACTION_ROWS_MAX })
}

/// One that any register of the store takes: it is of none's own numbers.
pub fn sale() -> Json {
    json!({ "rows": [{
        "table": "ax.RETAILTRANSACTIONTABLE",
        "operation": "insert",
        "values": {
            "STORE": "S0343",
            "TERMINAL": "000009",
            "TRANSACTIONID": "S0343-000009-1",
            "CHANNEL": 99,
            "DATAAREAID": "USRT",
        },
    }] })
}

pub fn named(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A list under its name, with the number that the next page begins before, where there are pages.
pub fn list_of(name: &'static str, of: &str) -> Json {
    match of {
        "Conflict" => object(&[(name, list(named(of)))]),
        _ => object(&[(name, list(named(of))), ("next", or_null(whole()))]),
    }
}

pub fn or_null(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

pub fn text() -> Json {
    json!({ "type": "string" })
}

fn outcome_or_null() -> Json {
    or_null(named("Outcome"))
}

pub fn fault() -> Json {
    or_null(named("Fault"))
}

fn uuid() -> Json {
    json!({ "type": "string", "format": "uuid" })
}

pub fn whole() -> Json {
    json!({ "type": "integer" })
}

pub fn flag() -> Json {
    json!({ "type": "boolean" })
}

pub fn words(words: &[&str]) -> Json {
    json!({ "type": "string", "enum": words })
}

pub fn list(of: Json) -> Json {
    json!({ "type": "array", "items": of })
}

pub fn map(of: Json) -> Json {
    json!({ "type": "object", "additionalProperties": of })
}

pub fn counts(names: &[&'static str]) -> Json {
    let members: Vec<(&str, Json)> = names.iter().map(|name| (*name, whole())).collect();
    object(&members)
}

pub fn object(members: &[(&str, Json)]) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        match name.strip_suffix('?') {
            Some(name) => drop(properties.insert(name.to_string(), schema.clone())),
            None => {
                properties.insert(name.to_string(), schema.clone());
                required.push(*name);
            }
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
