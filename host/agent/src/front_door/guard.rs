//! Who may enter: the bearer token, compared in constant time; a Host of this machine (against DNS rebinding); no
//! Origin but our own (no page in a browser may reach the till); and no more requests than there are places.

use super::problem::Problem;
use super::{Door, DoorError};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::path::Path;
use subtle::ConstantTimeEq;
use tillhold_core::text;
use tillhold_env::Env;

pub async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    if let Err(problem) = check(&door, request.headers()) {
        return problem.into_response();
    }
    // An event stream lasts for hours: it holds no place.
    if request.uri().path() == "/v1/events" {
        return next.run(request).await;
    }
    match door.places.clone().try_acquire_owned() {
        Ok(_place) => next.run(request).await,
        Err(_) => Problem::busy().into_response(),
    }
}

fn check(door: &Door, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(header::HOST).is_some_and(is_this_machine) {
        return Err(Problem::new(403, "door-host", "the Host header does not name this machine")
            .hint("call http://127.0.0.1:PORT or http://localhost:PORT"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(403, "door-origin", "requests from web pages are refused")
            .hint("call the front door from the POS program, not from a page"));
    }
    let given = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let given = given.unwrap_or_default().trim().as_bytes();
    if bool::from(given.ct_eq(door.token.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(401, "door-token", "the bearer token is missing or wrong")
        .hint("send Authorization: Bearer with the text of the register's token file"))
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

/// The token of the file; made there, readable by the owner only, when there is none yet.
pub fn token(env: &Env, file: &Path) -> Result<String, DoorError> {
    let wrong = |cause| DoorError::File { file: file.display().to_string(), cause };
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_string()),
        Ok(_) => make(env, file).map_err(wrong),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(env, file).map_err(wrong)
        }
        Err(error) => Err(wrong(error)),
    }
}

fn make(env: &Env, file: &Path) -> std::io::Result<String> {
    let mut bytes = [0; 32];
    env.random.fill(&mut bytes);
    let token = text::hexadecimal(&bytes);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(file)?, token.as_bytes())?;
    Ok(token)
}
