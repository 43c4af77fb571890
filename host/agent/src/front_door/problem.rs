//! What the door answers when it cannot do what was asked: problem details (RFC 9457) with our code and hint.

use super::role::Role;
use crate::fault::FlowError;
use axum::Extension;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::time::Duration;
use tillhold_core::fault::Class;

#[derive(Debug)]
pub struct Problem {
    status: u16,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    retry_after_s: u64,
}

/// Unless it is known better.
const RETRY_AFTER_S: u64 = 1;

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), hint: None, retry_after_s: RETRY_AFTER_S }
    }

    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }

    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// Of an answer that invites to ask again.
    pub fn retry_after(self, wait: Duration) -> Problem {
        Problem { retry_after_s: wait.as_secs_f64().ceil().max(1.0) as u64, ..self }
    }

    pub fn no_token() -> Problem {
        Problem::new(401, "door-token", "the bearer token is missing or wrong")
            .hint("send Authorization: Bearer with the text of one of the register's token files")
    }

    /// For one whose token says who it is, and who may not do this.
    pub fn beyond(role: Role, least: Role) -> Problem {
        Problem::new(403, "door-role", format!("{} may not do this", role.name()))
            .hint(format!("use the token of the role {} or above", least.name()))
    }

    pub fn body(error: JsonRejection) -> Problem {
        Problem::unread(error.status().as_u16(), error.body_text())
    }

    pub fn unread(status: u16, detail: String) -> Problem {
        Problem::new(status, "door-body", detail)
            .hint("send a JSON object, with Content-Type: application/json")
    }

    pub fn late_body(limit: Duration) -> Problem {
        let detail = format!("the body was not there within {} ms", limit.as_millis());
        Problem::new(503, "door-deadline", detail).hint("nothing was done; send it again, whole")
    }

    pub fn no_such_path() -> Problem {
        Problem::new(404, "door-path", "the front door has no such path")
            .hint("GET /v1/openapi.json says what it answers")
    }

    pub fn full() -> Problem {
        Problem::new(503, "door-full", "too many connections are open")
            .hint("keep one and use it again; try again after the time in Retry-After")
    }

    pub fn busy() -> Problem {
        Problem::new(503, "door-busy", "too many requests are in work")
            .hint("try again after the time in Retry-After")
    }

    pub fn walking() -> Problem {
        Problem::new(503, "door-busy", "the size is being taken for somebody else").hint(
            "try again after the time in Retry-After; GET /v1/status has it without the tables",
        )
    }
}

impl Problem {
    /// The whole answer as it goes over the wire, for a connection that nobody serves.
    pub fn farewell(&self) -> String {
        let (status, body) = (self.shown_status(), self.shown());
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {}\r\nRetry-After: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len(),
            self.retry_after_s
        )
    }

    fn shown_status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn shown(&self) -> String {
        let body = json!({
            "type": format!("urn:tillhold:problem:{}", self.code),
            "title": self.shown_status().canonical_reason(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
        });
        body.to_string()
    }
}

const MEDIA_TYPE: &str = "application/problem+json";

impl From<FlowError> for Problem {
    fn from(error: FlowError) -> Problem {
        let status = match error.class() {
            Class::Retry => 503,
            // A person makes room; the till asks again meanwhile, as for anything that cannot be taken now.
            _ if error.is_full_disk() => 503,
            Class::Park => 422,
            Class::Reconfigure | Class::Stop => 500,
        };
        let problem = Problem::new(status, error.code(), error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.shown_status(), self.shown()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after_s));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub async fn no_such_path(Extension(role): Extension<Role>) -> Problem {
    // Which paths there are is not for everyone.
    if role == Role::Anyone {
        return Problem::no_token();
    }
    Problem::no_such_path()
}

pub async fn no_such_method() -> Problem {
    Problem::new(405, "door-method", "this path does not answer that method")
        .hint("GET /v1/openapi.json says what it answers")
}
