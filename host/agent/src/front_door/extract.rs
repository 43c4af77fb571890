//! What came with a request, held to what its operation describes: parts of the path, the query, the members of a body.
//! What does not fit is refused by name; nothing is left aside in silence.

use super::openapi::{self, Asked, Body, Member, Operation};
use super::problem::Problem;
use axum::Json as JsonBody;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{Uri, header};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use tillhold_core::limits;

/// The one variable part of a path.
pub struct Part(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Part, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(part)) => Ok(Part(part)),
            // Bytes that are no text name nothing that there is.
            Err(_) => Err(Problem::no_such_path()),
        }
    }
}

/// A JSON object.
pub struct Whole(pub Json);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Whole, Problem> {
        let operation = operation(&request);
        if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(Problem::unread(415, format!("a body in the encoding {encoding:?}"))
                .hint("send the JSON as it is, without Content-Encoding"));
        }
        let body = in_time(JsonBody::<Json>::from_request(request, state)).await?;
        let JsonBody(body) = body.map_err(Problem::body)?;
        check(operation, &body)?;
        Ok(Whole(body))
    }
}

/// A JSON object that may be left out: null then.
pub struct Maybe(pub Json);

impl<S: Send + Sync> FromRequest<S> for Maybe {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Maybe, Problem> {
        let operation = operation(&request);
        let bytes = in_time(Bytes::from_request(request, state))
            .await?
            .map_err(|error| Problem::unread(error.status().as_u16(), error.body_text()))?;
        if bytes.is_empty() {
            return Ok(Maybe(Json::Null));
        }
        let body = serde_json::from_slice(&bytes);
        let body: Json = body.map_err(|error| Problem::unread(400, error.to_string()))?;
        if body.is_null() {
            return Ok(Maybe(body));
        }
        check(operation, &body)?;
        Ok(Maybe(body))
    }
}

/// Whoever sends a body bit by bit holds a place meanwhile, also where the work itself may last.
async fn in_time<T>(body: impl Future<Output = T>) -> Result<T, Problem> {
    let limit = limits::DOOR_BODY_TIME_MAX;
    tokio::time::timeout(limit, body).await.map_err(|_elapsed| Problem::late_body(limit))
}

fn operation(request: &Request) -> Option<&'static Operation> {
    let path = request.extensions().get::<MatchedPath>()?;
    openapi::find(request.method().as_str(), path.as_str())
}

fn check(operation: Option<&Operation>, body: &Json) -> Result<(), Problem> {
    let Some(given) = body.as_object() else {
        return Err(Problem::unread(422, "the body is no JSON object".to_string()));
    };
    let members: &[Member] = match operation.map(|one| &one.body) {
        Some(Body::Required(members) | Body::Optional(members)) => members,
        Some(Body::None) | None => &[],
    };
    for (name, value) in given {
        let Some(member) = members.iter().find(|member| member.name == name) else {
            let known: Vec<&str> = members.iter().map(|member| member.name).collect();
            return Err(wrong(format!("the body knows no {name}"), known.join(", ")));
        };
        if !member.kind.takes(value) {
            return Err(wrong(format!("{name} takes {}", member.kind.told()), name.clone()));
        }
    }
    Ok(())
}

fn wrong(detail: String, known: String) -> Problem {
    Problem::new(422, "body-member", detail).hint(format!("nothing was done; look at: {known}"))
}

/// The query, by what the operation describes.
pub fn query(operation: &Operation, uri: &Uri) -> Result<(), Problem> {
    let Asked::Names(parameters) = &operation.query else { return Ok(()) };
    let Ok(Query(given)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Err(refused("the query cannot be read".to_string()));
    };
    let mut seen = BTreeSet::new();
    for (name, value) in &given {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            return Err(refused(format!("the query knows no {name}")));
        };
        if !parameter.kind.takes_text(value) {
            return Err(refused(format!("{name} takes {}", parameter.kind.told())));
        }
        if !seen.insert(name) {
            return Err(refused(format!("{name} is given twice")));
        }
    }
    Ok(())
}

fn refused(detail: String) -> Problem {
    Problem::new(422, "door-query", detail).hint("GET /v1/openapi.json says what is asked for")
}
