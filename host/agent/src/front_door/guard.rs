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

use super::asked;
use super::described::Operation;
use super::metrics::Meter;
use super::problem::Problem;
use super::role::Role;
use super::routes::Span;
use super::{Door, Way};
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

fn bearer(headers: &HeaderMap) -> &str {
    let given = text(headers, header::AUTHORIZATION);
    given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().trim()
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

/// One route's gate.
pub struct Gate {
    pub door: Door,
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
            return self.told.and_then(|told| asked::query(told, uri).err());
        }
        Some(match role {
            Role::Anyone => Problem::no_token(),
            _ => {
                let detail = format!("{} may not do this", role.name());
                let hint = format!("use the token of the role {} or above", self.least.name());
                Problem::new(403, "door-role", detail).hint(hint)
            }
        })
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        let place = match self.span {
            // A look at the agent must be possible when it is busy; a stream lasts for hours.
            Span::Look | Span::Stream => None,
            Span::Short | Span::Sale | Span::Work => {
                match self.door.places.clone().try_acquire_owned() {
                    Ok(place) => Some(place),
                    Err(_) => return Problem::busy().into_response(),
                }
            }
        };
        let answer = next.run(request);
        let response = match self.limit() {
            None => answer.await,
            Some(limit) => match tokio::time::timeout(limit, answer).await {
                Ok(response) => response,
                Err(_elapsed) => too_long(limit).into_response(),
            },
        };
        drop(place);
        response
    }

    fn limit(&self) -> Option<Duration> {
        match self.span {
            Span::Look | Span::Short => Some(limits::REQUEST_TIME_MAX),
            Span::Sale => Some(self.door.sale_time()),
            Span::Work | Span::Stream => None,
        }
    }
}

fn too_often(role: Role, wait: Duration) -> Problem {
    let detail = format!("{} asks too often", role.name());
    Problem::new(429, "door-rate", detail).retry_after(wait).hint(match role {
        Role::Anyone => "send a token, or ask less often; try again after the time in Retry-After",
        _ => "ask less often; try again after the time in Retry-After",
    })
}

fn too_long(limit: Duration) -> Problem {
    let detail = format!("the request took longer than {} ms", limit.as_millis());
    Problem::new(503, "door-deadline", detail)
        .hint("ask again, a sale under the same id: it is recorded once")
}
