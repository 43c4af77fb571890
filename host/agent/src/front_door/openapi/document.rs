//! The operations as one OpenAPI 3.1 document.

use super::{Asked, Body, Kind, Member, OPERATIONS, Operation, Parameter, schemas};
use crate::front_door::role::Role;
use crate::front_door::routes::{self, Span};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value as Json, json};
use std::sync::LazyLock;
use tillhold_core::limits;

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

pub async fn get() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

pub fn document() -> Json {
    let mut paths = Map::new();
    let routes = routes::all();
    for operation in OPERATIONS.iter() {
        let route =
            routes.iter().find(|one| (one.verb, one.path) == (operation.verb, operation.path));
        let Some(route) = route else { continue };
        let path = paths.entry(operation.path.replace("{*", "{")).or_insert_with(|| json!({}));
        let verb = operation.verb.name().to_lowercase();
        path[verb] = told(operation, route.least, route.span);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tillhold's front door",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A register's way to its data, online and offline. See docs/front-door.md.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The text of one of the register's token files.",
                },
            },
        },
    })
}

fn told(operation: &Operation, least: Role, span: Span) -> Json {
    let id: String =
        operation.path.split(|c: char| !c.is_ascii_alphanumeric()).collect::<Vec<_>>().join("_");
    let security = if least == Role::Anyone { json!([]) } else { json!([{ "token": [] }]) };
    let mut told = json!({
        "operationId": format!("{}{id}", operation.verb.name().to_lowercase()),
        "summary": operation.summary,
        "security": security,
        "x-role": least.name(),
        "parameters": parameters(operation),
        "responses": responses(operation, least, span),
    });
    let body = match &operation.body {
        Body::None => None,
        Body::Required(members) => Some((members, true)),
        Body::Optional(members) => Some((members, false)),
    };
    if let Some((members, is_required)) = body {
        let schema = if is_required { object(members) } else { schemas::or_null(object(members)) };
        let mut content = json!({ "application/json": { "schema": schema } });
        if members.iter().any(|member| matches!(member.kind, Kind::Rows)) {
            content["application/json"]["example"] = schemas::sale();
        }
        told["requestBody"] = json!({ "required": is_required, "content": content });
    }
    told
}

fn parameters(operation: &Operation) -> Json {
    let in_path = operation.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*');
        let schema = schemas::of_path(operation.path, name);
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let in_query: Vec<Json> = match &operation.query {
        Asked::Names(parameters) => parameters.iter().map(parameter).collect(),
        Asked::Columns => vec![json!({
            "name": "columns",
            "in": "query",
            "description": "COLUMN=value, prefix.COLUMN=text, limit and after",
            "style": "form",
            "explode": true,
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
        })],
    };
    in_path.chain(in_query).collect()
}

fn parameter(parameter: &Parameter) -> Json {
    json!({
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "schema": kind(parameter.kind),
    })
}

fn object(members: &[Member]) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for member in members {
        let mut schema = kind(member.kind);
        match member.is_required {
            true => required.push(member.name),
            false => schema = schemas::or_null(schema),
        }
        schema["description"] = json!(member.meaning);
        properties.insert(member.name.to_string(), schema);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn kind(kind: Kind) -> Json {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::Whole { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Cells => schemas::cells(),
        Kind::Rows => schemas::rows(),
    }
}

fn responses(operation: &Operation, least: Role, span: Span) -> Json {
    let mut all = Map::new();
    for (status, media, schema) in &operation.answers {
        let content = match *media {
            "" => json!({}),
            media => json!({ media: { "schema": schema } }),
        };
        let response = json!({ "description": "As asked", "content": content });
        all.insert(status.to_string(), response);
    }
    let busy: &[&str] = match span {
        Span::Look => &[],
        Span::Work | Span::Stream => &["door-busy"],
        Span::Short | Span::Sale => &["door-busy", "door-deadline"],
    };
    let mut refusals: Vec<(u16, Vec<&str>)> = vec![
        (403, vec!["door-host", "door-origin"]),
        (413, vec!["door-body"]),
        (422, vec!["door-query"]),
        (429, vec!["door-rate"]),
    ];
    if least > Role::Anyone {
        refusals.extend([(401, vec!["door-token"]), (403, vec!["door-role"])]);
        refusals.extend([(500, Vec::new()), (503, busy.to_vec())]);
    }
    if !matches!(operation.body, Body::None) {
        refusals.extend([
            (400, vec!["door-body"]),
            (415, vec!["door-body"]),
            (422, vec!["body-member"]),
        ]);
    }
    refusals.extend(operation.refusals.iter().map(|(status, codes)| (*status, codes.to_vec())));
    refusals.sort_by_key(|(status, _)| *status);
    for (status, codes) in refusals {
        refuse(&mut all, status, &codes);
    }
    Json::Object(all)
}

/// Adds `codes` to what the status stands for.
fn refuse(all: &mut Map<String, Json>, status: u16, codes: &[&str]) {
    let response = all.entry(status.to_string()).or_insert_with(|| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let mut response = json!({
            "description": "",
            "content": { "application/problem+json": { "schema": schema } },
        });
        if matches!(status, 429 | 503) {
            response["headers"] = json!({ "Retry-After": {
                "description": "Seconds",
                "required": true,
                "schema": { "type": "integer", "minimum": 1 },
            } });
        }
        response
    });
    let before = response["description"].as_str().unwrap_or_default();
    let words: Vec<&str> =
        before.split(", ").filter(|word| !word.is_empty()).chain(codes.iter().copied()).collect();
    let words = words.join(", ");
    response["description"] = Json::String(match words.is_empty() {
        true => format!("See docs/errors.md; a body has at most {} bytes", limits::BODY_BYTES_MAX),
        false => words,
    });
}
