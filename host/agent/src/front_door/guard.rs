//! Who may enter, and for how long.
//!
//! ```text
//! every request:  a Host of this machine, no Origin ─► role of the bearer token     admit
//! of each route:  rate of the role ─► least role ─► its query ─► a place ─► within its time      permit
//! ```
//!
//! * Host is against DNS rebinding: no page in a browser may reach the till. A Unix socket has no names to rebind.
//! * A request without a place is answered at once (503), so that no queue grows; so is one that comes too often (429).
//! * A request that takes longer than its route allows is answered with 503. A sale that goes on behind it is found
//!   under its id.
//! * What changes something is a task of the agent's own, inside of the time limit: neither that nor a caller who hangs up
//!   leaves it half done. It keeps its place until it is over.

use super::connections::InWork;
use super::extract;
use super::metrics::Meter;
use super::openapi::Operation;
use super::problem::Problem;
use super::role::Role;
use super::routes::{Span, Verb};
use super::{Door, Way};
use crate::detached::carry_out;
use crate::fault::FlowError;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::limits;

pub async fn admit(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = check(door.way, request.headers()) {
        return problem.into_response();
    }
    let role = door.tokens.role(bearer(request.headers()).as_bytes());
    // Without a token a connection may be closed for another one: nobody keeps sales out by requests that are refused.
    let work = request.extensions_mut().remove::<Arc<InWork>>();
    if role > Role::Anyone
        && let Some(work) = &work
    {
        work.begin();
    }
    request.extensions_mut().insert(role);
    next.run(request).await
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn check(way: Way, headers: &HeaderMap) -> Result<(), Problem> {
    let names_us = text(headers, header::HOST).is_some_and(is_this_machine);
    if way == Way::Tcp && !names_us {
        return Err(Problem::new(403, "door-host", "the Host header does not name this machine")
            .hint("call http://127.0.0.1:PORT or http://localhost:PORT"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(403, "door-origin", "requests from web pages are refused")
            .hint("call the front door from the POS program, not from a page"));
    }
    // A body that says its length is not waited for first; one that says none is counted as it comes.
    let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if length.is_some_and(|length: u64| length > limits::BODY_BYTES_MAX as u64) {
        let most = limits::BODY_BYTES_MAX;
        let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
        return Err(Problem::new(status, "door-body", format!("a body may have {most} bytes"))
            .hint("send less at once"));
    }
    Ok(())
}

/// The scheme is of either case (RFC 9110).
fn bearer(headers: &HeaderMap) -> &str {
    let given = text(headers, header::AUTHORIZATION);
    let given = given.and_then(|value| value.trim().split_once(' '));
    let token = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map_or("", |(_, token)| token.trim())
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

/// One route's gate.
pub struct Gate {
    pub door: Door,
    pub verb: Verb,
    pub least: Role,
    pub span: Span,
    pub told: Option<&'static Operation>,
    pub meter: Meter,
}

pub async fn permit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let began_us = gate.door.clock.monotonic_us();
    let role = request.extensions().get::<Role>().copied().unwrap_or(Role::Anyone);
    let response = match gate.refusal(role, began_us, request.uri()) {
        Some(problem) => problem.into_response(),
        None => gate.answer(request, next).await,
    };
    let took_us = gate.door.clock.monotonic_us() - began_us;
    gate.meter.note(response.status().as_u16(), took_us);
    response
}

impl Gate {
    fn refusal(&self, role: Role, now_us: u64, uri: &Uri) -> Option<Problem> {
        if let Err(wait) = self.door.rates.take(role, now_us) {
            return Some(too_often(role, wait));
        }
        if role >= self.least {
            return self.told.and_then(|told| extract::query(told, uri).err());
        }
        Some(match role {
            Role::Anyone => Problem::no_token(),
            _ => Problem::beyond(role, self.least),
        })
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let place = match self.door.places.take(self.span) {
            Ok(place) => place,
            Err(problem) => return problem.into_response(),
        };
        let answer = async move {
            let response = next.run(request).await;
            drop(place);
            response
        };
        if self.verb == Verb::Get {
            return self.in_time(answer).await;
        }
        let env = self.door.agent.register().env.clone();
        let carried = async { carry_out(&env, answer).await.unwrap_or_else(broke_off) };
        self.in_time(carried).await
    }

    async fn in_time(&self, answer: impl Future<Output = Response>) -> Response {
        let Some(limit) = self.limit() else { return answer.await };
        match tokio::time::timeout(limit, answer).await {
            Ok(response) => response,
            Err(_elapsed) => self.too_long(limit).into_response(),
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self.span {
            Span::Look | Span::Short => Some(limits::REQUEST_TIME_MAX),
            Span::Sale => Some(self.door.sale_time()),
            Span::Work | Span::Stream => None,
        }
    }

    fn too_long(&self, limit: Duration) -> Problem {
        let detail = format!("the request took longer than {} ms", limit.as_millis());
        Problem::new(503, "door-deadline", detail).hint(match (self.verb, self.span) {
            (Verb::Get, _) => "ask again",
            (_, Span::Sale) => "ask again under the same id: the sale is recorded once",
            _ => "it goes on: look at what came of it before you ask again",
        })
    }
}

fn too_often(role: Role, wait: Duration) -> Problem {
    let detail = format!("{} asks too often", role.name());
    Problem::new(429, "door-rate", detail).retry_after(wait).hint(match role {
        Role::Anyone => "send a token, or ask less often; try again after the time in Retry-After",
        _ => "ask less often; try again after the time in Retry-After",
    })
}

fn broke_off() -> Response {
    Problem::from(FlowError::BrokeOff("a request"))
        .hint("look whether it was done; keep the log and report it as a defect")
        .into_response()
}
