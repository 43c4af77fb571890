//! Every route of the front door, once: its path, the least role that may take it, how long it may last, who answers.
//! The router is built from this table and the description at `/v1/openapi.json` is held to it.

use super::guard::{self, Gate};
use super::role::Role;
use super::{
    Door, audit, conflicts, decisions, discard, drain_body, events, health, images, manual_hold,
    metrics, openapi, plugins, problem, quarantine, rows, selection, size, snapshots, status,
    transactions, unsent, verify,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use std::sync::Arc;
use tillhold_core::limits;

pub struct Route {
    pub verb: Verb,
    /// As axum writes it: `{id}` is one part, `{*name}` the rest.
    pub path: &'static str,
    pub least: Role,
    pub span: Span,
    answer: MethodRouter<Door>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    Put,
    Post,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Put => "PUT",
            Verb::Post => "POST",
        }
    }
}

/// How long a route's requests last, and whether they take one of the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A look at the agent: no place, so that it is answered also when all are taken.
    Look,
    /// A question, or a decision that is only noted.
    Short,
    /// A POS transaction: as long as it may wait for the channel, and some time to be written.
    Sale,
    /// Work that takes as long as it takes: a synchronisation, a snapshot.
    Work,
    /// Server-Sent Events.
    Stream,
}

/// In the order of the documentation.
pub fn all() -> Vec<Route> {
    use Role::{Anyone, Operator, Pos, ReadOnly};
    use Span::{Look, Sale, Short, Stream, Work};
    vec![
        get("/healthz", Anyone, Look, health::alive),
        get("/readyz", Anyone, Look, health::ready),
        get("/metrics", ReadOnly, Look, metrics::get),
        get("/v1/openapi.json", ReadOnly, Look, openapi::get),
        put("/v1/transactions/{id}", Pos, Sale, transactions::put),
        get("/v1/transactions/{id}", ReadOnly, Short, transactions::get),
        get("/v1/tables/{table}/rows", ReadOnly, Short, rows::get),
        get("/v1/status", ReadOnly, Short, status::get),
        get("/v1/plugins", ReadOnly, Short, plugins::list),
        get("/v1/selection", ReadOnly, Work, selection::get),
        get("/v1/events", ReadOnly, Stream, events::get),
        get("/v1/quarantine", ReadOnly, Short, quarantine::list),
        post("/v1/quarantine/retry", Operator, Short, quarantine::retry_several),
        get("/v1/quarantine/{id}", ReadOnly, Short, quarantine::show),
        post("/v1/quarantine/{id}/retry", Operator, Short, quarantine::retry),
        post("/v1/quarantine/{id}/discard", Operator, Short, discard::discard),
        get("/v1/conflicts", ReadOnly, Short, conflicts::list),
        get("/v1/conflicts/{id}", ReadOnly, Short, conflicts::show),
        post("/v1/conflicts/{id}/resolve", Operator, Short, conflicts::resolve),
        get("/v1/decisions", ReadOnly, Short, decisions::list),
        get("/v1/audit", ReadOnly, Short, audit::list),
        post("/v1/sync", Pos, Work, status::sync),
        post("/v1/verify", Operator, Work, verify::post),
        post("/v1/plugins/{name}/rollback", Operator, Work, plugins::rollback),
        post("/v1/plugins-preview", Operator, Work, plugins::preview),
        post("/v1/unsent-export", Operator, Work, unsent::export),
        post("/v1/unsent-import", Operator, Work, unsent::bring_in),
        get("/v1/images", ReadOnly, Short, images::status),
        get("/v1/images/{*name}", ReadOnly, Work, images::get),
        post("/v1/images-prefetch", Operator, Work, images::prefetch),
        post("/v1/images-prune", Operator, Work, images::prune),
        post("/v1/snapshots", Operator, Work, snapshots::export),
        post("/v1/new-database", Operator, Work, snapshots::look),
        get("/v1/size", ReadOnly, Work, size::get),
        post("/v1/size/compact", Operator, Work, size::compact),
        post("/v1/incarnation/renew", Operator, Work, status::renew),
        post("/v1/hold", Operator, Short, manual_hold::hold),
        post("/v1/release", Operator, Short, manual_hold::release),
        post("/v1/reconnect", Pos, Short, manual_hold::reconnect),
    ]
}

type State = Door;

fn get<T: 'static>(
    path: &'static str,
    least: Role,
    span: Span,
    answer: impl Handler<T, State>,
) -> Route {
    Route { verb: Verb::Get, path, least, span, answer: routing::get(answer) }
}

fn put<T: 'static>(
    path: &'static str,
    least: Role,
    span: Span,
    answer: impl Handler<T, State>,
) -> Route {
    Route { verb: Verb::Put, path, least, span, answer: routing::put(answer) }
}

fn post<T: 'static>(
    path: &'static str,
    least: Role,
    span: Span,
    answer: impl Handler<T, State>,
) -> Route {
    Route { verb: Verb::Post, path, least, span, answer: routing::post(answer) }
}

/// What the door answers to whoever its guard lets in.
pub fn guarded(door: Door) -> Router {
    let mut router = Router::new();
    for route in all() {
        let meter = door.meters.of(route.verb.name(), route.path);
        let told = openapi::find(route.verb.name(), route.path);
        let Route { verb, path, least, span, answer } = route;
        let gate = Gate { door: door.clone(), verb, least, span, told, meter };
        let gate = axum::middleware::from_fn_with_state(Arc::new(gate), guard::permit);
        router = router.route(path, answer.route_layer(gate));
    }
    with_fallbacks(router)
        .layer(axum::middleware::from_fn_with_state(Arc::new(door.clone()), guard::admit))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(drain_body::take))
        .with_state(door)
}

/// The same answers for this very process, which has the files open anyway: an operator without a token.
pub fn unguarded(door: Door) -> Router {
    let mut router = Router::new();
    for route in all() {
        router = router.route(route.path, route.answer);
    }
    with_fallbacks(router).layer(axum::Extension(Role::Operator)).with_state(door)
}

fn with_fallbacks(router: Router<Door>) -> Router<Door> {
    router.fallback(problem::no_such_path).method_not_allowed_fallback(problem::no_such_method)
}

#[cfg(test)]
mod tests {
    use super::{Role, Span, Verb, all};

    /// What changes something is never for a role that only looks, and nothing but a sign of life is for everyone.
    #[test]
    fn each_route_has_a_role_that_fits_what_it_does() {
        for route in all() {
            let name = format!("{} {}", route.verb.name(), route.path);
            match route.verb {
                Verb::Get => assert!(route.least <= Role::ReadOnly, "{name}"),
                Verb::Put | Verb::Post => assert!(route.least >= Role::Pos, "{name}"),
            }
            let is_open = route.least == Role::Anyone;
            assert_eq!(is_open, ["/healthz", "/readyz"].contains(&route.path), "{name}");
            assert_eq!(route.span == Span::Stream, route.path == "/v1/events", "{name}");
        }
    }
}
