//! The operations, one after another, in the order of the table of routes.

use super::schemas::{list_of, named, text};
use super::{Asked, Body, Kind, Member, Operation, Parameter};
use crate::front_door::routes::Verb;
use serde_json::{Value as Json, json};
use tillhold_core::limits;

const JSON: &str = "application/json";
const WHO: Member = optional("who", Kind::Text, "Who does this, as they name themselves");
const WHY: Member = optional("why", Kind::Text, "Why, in a few words");

pub fn all() -> Vec<Operation> {
    [watching(), selling(), standing(), people(), carrying(), upkeep(), by_hand()]
        .into_iter()
        .flatten()
        .collect()
}

fn watching() -> Vec<Operation> {
    vec![
        get("/healthz", "Whether the process answers").answers(200, JSON, named("Alive")),
        get("/readyz", "Whether a sale that comes now is accepted")
            .answers(200, JSON, named("Ready"))
            .answers(503, JSON, named("Ready")),
        get("/metrics", "How the register stands, for Prometheus").answers(
            200,
            "application/openmetrics-text",
            text(),
        ),
        get("/v1/openapi.json", "This document").answers(200, JSON, json!({ "type": "object" })),
    ]
}

fn selling() -> Vec<Operation> {
    let rows = required("rows", Kind::Rows, "All are written, or none");
    vec![
        put("/v1/transactions/{id}", "Record a POS transaction under its id, once")
            .body(vec![rows])
            .answers(200, JSON, named("Committed"))
            .answers(201, JSON, named("Committed"))
            .refuses(409, &["transaction-clash", "number-used"])
            .refuses(413, &["transaction-rows"])
            .refuses(422, &["transaction-id", "transaction-rows", "row-table", "row-operation"])
            .refuses(422, &["row-values", "row-column", "row-value", "row-key"])
            .refuses(422, &["local-row-exists", "local-row-missing"])
            .refuses(500, &["local-disk-full"])
            .refuses(503, &["never-synchronised", "data-stale"])
            .refuses(503, &["numbers-unread", "numbers-unloaded", "numbers-behind"]),
        get("/v1/transactions/{id}", "What the register remembers of a POS transaction")
            .answers(200, JSON, named("Transaction"))
            .refuses(404, &["transaction-unknown"])
            .refuses(422, &["transaction-id"]),
        get("/v1/tables/{table}/rows", "A page of rows, from whichever database is in use")
            .columns()
            .answers(200, JSON, named("Page"))
            .refuses(404, &["table-unknown"])
            .refuses(409, &["rows-moved"])
            .refuses(422, &["rows-query"]),
    ]
}

fn standing() -> Vec<Operation> {
    const YES: Kind = Kind::Word(&["yes", "no"]);
    const SIDE: Kind = Kind::Word(&["offline", "channel"]);
    let some = Kind::Whole { least: 0, most: limits::LISTING_ROWS_MAX as u64 };
    const TRUE: Kind = Kind::Word(&["true", "false"]);
    vec![
        get("/v1/status", "State, scopes, what is unsent")
            .query("rows", YES, "Whether the rows of every table are counted, which takes its time")
            .answers(200, JSON, named("Status")),
        get("/v1/plugins", "Which plugins are at work, and what each did").answers(
            200,
            JSON,
            named("Plugins"),
        ),
        get("/v1/selection", "Which products and customers are offline")
            .query("would_change", TRUE, "Whether the channel is asked who would join and leave")
            .answers(200, JSON, named("Selection")),
        get("/v1/events", "Each change of the state, as Server-Sent Events").answers(
            200,
            "text/event-stream",
            text(),
        ),
        post("/v1/sync", "Push, then pull now")
            .query("scope", Kind::Text, "One scope only")
            .query("selection", TRUE, "Whether products and customers are chosen anew")
            .query("resend", TRUE, "Whether lost sales go up also where a person has to ask")
            .answers(200, JSON, named("Synchronised"))
            .refuses(404, &["scope-unknown"])
            .refuses(503, &["sync-offline"]),
        post("/v1/plugins/{name}/rollback", "Put an earlier component of a plugin back to work")
            .body(vec![
                optional("to", Kind::Text, "Its digest; otherwise the one that was at work before"),
                WHO,
                WHY,
            ])
            .answers(200, JSON, named("RolledBack"))
            .refuses(404, &["plugin-unknown"])
            .refuses(409, &["plugin-pinned", "plugin-no-earlier", "plugin-no-way-back"])
            .refuses(422, &["person-text", "person-unnamed", "reason-missing"]),
        post("/v1/plugins-preview", "What a new version of a plugin would do; nothing is written")
            .body(vec![
                required("file", Kind::Text, "The component's path on this machine"),
                optional(
                    "as",
                    Kind::Text,
                    "In place of which plugin; otherwise of the file's name",
                ),
                optional("scope", Kind::Text, "One scope only"),
                optional("config", Kind::Text, "Otherwise what the profile says"),
                optional("from", SIDE, "Whose rows; offline unless given"),
                optional("examples", some, "Of each kind, for each table; 3 unless given"),
            ])
            .answers(200, JSON, named("Preview"))
            .refuses(404, &["scope-unknown"])
            .refuses(422, &["plugin-unreadable", "plugin-not-a-component", "plugin-config"])
            .refuses(503, &["preview-stopped"]),
        post("/v1/verify", "Hold the offline database against the channel")
            .body(vec![
                optional("scope", Kind::Text, "One scope only"),
                optional("table", Kind::Text, "One table only"),
            ])
            .answers(200, JSON, named("Compared"))
            .refuses(404, &["scope-unknown", "table-unknown"])
            .refuses(422, &["verify-nothing"])
            .refuses(503, &["verify-stopped"]),
    ]
}

fn people() -> Vec<Operation> {
    const SIDE: Kind = Kind::Word(&["channel", "offline"]);
    let listed = Kind::Whole { least: 1, most: limits::LISTING_ROWS_MAX as u64 };
    let code = optional("code", Kind::Text, "Those that were refused with this code");
    vec![
        get("/v1/quarantine", "What was refused and set aside, a page at a time")
            .query("limit", listed, "So many at most; 1000 unless given")
            .query("after", Kind::Text, "Those behind this place: the last page's next")
            .answers(200, JSON, named("Quarantine"))
            .refuses(422, &["quarantine-query"]),
        post("/v1/quarantine/retry", "Send refused sales again")
            .body(vec![optional("all", Kind::Flag, "All of them"), code, WHO, WHY])
            .answers(200, JSON, named("Retried"))
            .refuses(422, &["quarantine-which", "person-text"]),
        get("/v1/quarantine/{id}", "One refused sale")
            .answers(200, JSON, named("RefusedSale"))
            .refuses(404, &["quarantine-unknown"])
            .refuses(409, &["id-ambiguous"])
            .refuses(422, &["id-digits"]),
        post("/v1/quarantine/{id}/retry", "Send one refused sale again")
            .maybe(vec![WHO, WHY])
            .answers(200, JSON, named("Retried"))
            .refuses(404, &["quarantine-unknown"])
            .refuses(409, &["id-ambiguous", "quarantine-let-go"])
            .refuses(422, &["id-digits", "person-text"]),
        post("/v1/quarantine/{id}/discard", "Discard a refused sale or row: it is never sent")
            .body(vec![WHO, WHY])
            .answers(200, JSON, named("Discarded"))
            .refuses(404, &["quarantine-unknown"])
            .refuses(409, &["id-ambiguous", "quarantine-let-go"])
            .refuses(422, &["id-digits", "person-text", "person-unnamed", "reason-missing"]),
        get("/v1/conflicts", "Contested rows that wait for a person").answers(
            200,
            JSON,
            list_of("conflicts", "Conflict"),
        ),
        get("/v1/conflicts/{id}", "One, with its three rows side by side")
            .answers(200, JSON, named("ConflictShown"))
            .refuses(404, &["conflict-unknown"])
            .refuses(409, &["id-ambiguous", "conflict-settled"])
            .refuses(422, &["id-digits"]),
        post("/v1/conflicts/{id}/resolve", "A person's decision")
            .body(vec![
                optional("take", SIDE, "The side to start from"),
                optional("set", Kind::Cells, "Columns that get another value"),
                WHO,
                WHY,
            ])
            .answers(200, JSON, named("Resolved"))
            .refuses(404, &["conflict-unknown"])
            .refuses(409, &["id-ambiguous", "conflict-settled", "conflict-decided"])
            .refuses(422, &["id-digits", "person-unnamed", "person-text"])
            .refuses(422, &["conflict-choice", "conflict-column", "conflict-side"]),
        paged(get("/v1/decisions", "What was decided about contested rows"))
            .answers(200, JSON, list_of("decisions", "Decision"))
            .refuses(422, &["decisions-query"]),
        paged(get("/v1/audit", "What people did by hand"))
            .answers(200, JSON, list_of("acts", "Act"))
            .refuses(422, &["audit-query"]),
    ]
}

fn carrying() -> Vec<Operation> {
    const TRUE: Kind = Kind::Word(&["true", "false"]);
    let file = required("file", Kind::Text, "Its path on this machine");
    let key = optional("key", Kind::Text, "The public key that must have signed it");
    vec![
        post("/v1/unsent-export", "All unsent sales into a signed file")
            .body(vec![optional(
                "to",
                Kind::Text,
                "Its path on this machine; nothing is written over",
            )])
            .answers(200, JSON, named("Exported"))
            .refuses(
                422,
                &["unsent-no-file", "snapshot-file", "unsent-file-exists", "unsent-file-inside"],
            ),
        post("/v1/unsent-import", "Such a file into the channel")
            .body(vec![file, key])
            .answers(200, JSON, named("Imported"))
            .refuses(422, &["unsent-no-file", "unsent-file"]),
        post("/v1/snapshots", "Make a prebuilt catalogue now")
            .query("force", TRUE, "Also when no row has changed")
            .answers(200, JSON, named("Outcome")),
        post("/v1/new-database", "Look for a newer one now")
            .answers(200, JSON, named("Outcome"))
            .refuses(422, &["new-database-off"]),
    ]
}

fn upkeep() -> Vec<Operation> {
    vec![
        get("/v1/images", "What the cache of pictures holds")
            .answers(200, JSON, named("Images"))
            .refuses(404, &["image-off"]),
        get("/v1/images/{*name}", "A picture from this register's disk")
            .answers(200, "*/*", json!({}))
            .answers(304, "", json!({}))
            .refuses(404, &["image-off", "image-missing", "image-offline"]),
        post("/v1/images-prefetch", "Bring all pictures that the offline database names")
            .answers(200, JSON, named("Prefetched"))
            .refuses(404, &["image-off"]),
        post("/v1/images-prune", "Look for damage and keep the size")
            .answers(200, JSON, named("Pruned"))
            .refuses(404, &["image-off"]),
        get("/v1/size", "How large the offline database is, table by table").answers(
            200,
            JSON,
            named("SizeWhole"),
        ),
        post("/v1/size/compact", "Rewrite the files without their free pages").answers(
            200,
            JSON,
            named("Size"),
        ),
    ]
}

fn by_hand() -> Vec<Operation> {
    let hand = |path, summary| {
        post(path, summary)
            .maybe(vec![WHO, WHY])
            .answers(200, JSON, named("AskedByHand"))
            .refuses(422, &["person-text"])
    };
    let decided =
        |operation: Operation| operation.refuses(422, &["person-unnamed", "reason-missing"]);
    vec![
        post("/v1/incarnation/renew", "A new life of a database that was restored or copied")
            .body(vec![WHO, WHY])
            .answers(200, JSON, named("Renewed"))
            .refuses(409, &["incarnation-sound"])
            .refuses(422, &["incarnation-why", "person-text"]),
        decided(hand("/v1/hold", "Hold the register offline until it is released")),
        decided(hand("/v1/release", "Release it")),
        hand("/v1/reconnect", "Try the channel now"),
    ]
}

fn paged(operation: Operation) -> Operation {
    let limit = Kind::Whole { least: 1, most: limits::LISTING_ROWS_MAX as u64 };
    let before = Kind::Whole { least: 0, most: i64::MAX as u64 };
    operation.query("limit", limit, "So many at most; 50 unless given").query(
        "before",
        before,
        "Those before this number: the last page's next",
    )
}

const fn required(name: &'static str, kind: Kind, meaning: &'static str) -> Member {
    Member { name, kind, is_required: true, meaning }
}

const fn optional(name: &'static str, kind: Kind, meaning: &'static str) -> Member {
    Member { name, kind, is_required: false, meaning }
}

fn get(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Verb::Get, path, summary)
}

fn put(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Verb::Put, path, summary)
}

fn post(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Verb::Post, path, summary)
}

impl Operation {
    fn new(verb: Verb, path: &'static str, summary: &'static str) -> Operation {
        let (query, body) = (Asked::Names(Vec::new()), Body::None);
        Operation { verb, path, summary, query, body, answers: Vec::new(), refusals: Vec::new() }
    }

    fn query(mut self, name: &'static str, kind: Kind, meaning: &'static str) -> Operation {
        if let Asked::Names(parameters) = &mut self.query {
            parameters.push(Parameter { name, kind, meaning });
        }
        self
    }

    fn columns(self) -> Operation {
        Operation { query: Asked::Columns, ..self }
    }

    fn body(self, members: Vec<Member>) -> Operation {
        Operation { body: Body::Required(members), ..self }
    }

    fn maybe(self, members: Vec<Member>) -> Operation {
        Operation { body: Body::Optional(members), ..self }
    }

    fn answers(mut self, status: u16, media: &'static str, schema: Json) -> Operation {
        self.answers.push((status, media, schema));
        self
    }

    fn refuses(mut self, status: u16, codes: &'static [&'static str]) -> Operation {
        self.refusals.push((status, codes));
        self
    }
}
