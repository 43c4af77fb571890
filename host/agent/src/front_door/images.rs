//! Pictures for the till, from this register's disk.

use super::Door;
use super::extract::Part;
use super::problem::Problem;
use crate::images::fault::ImageError;
use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// The picture's bytes; `ETag` is their hash, so a till that has them gets 304.
pub async fn get(
    State(door): State<Door>,
    Part(name): Part,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let is_online = door.agent.state().sells_on_channel();
    let picture = door.agent.images.get(&name, is_online).await.map_err(not_found)?;
    let tag = format!("\"{}\"", picture.hash);
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let has_it = known.is_some_and(|known| {
        known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
    });
    let headers = [
        (header::ETAG, tag),
        (header::CONTENT_TYPE, picture.content_type.to_string()),
        (header::CACHE_CONTROL, "private, no-cache".to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_string()),
    ];
    match has_it {
        true => Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        false => Ok((headers, picture.bytes).into_response()),
    }
}

/// What is not to be had here and now is not found, with the code that says why.
fn not_found(error: ImageError) -> Problem {
    match error {
        ImageError::Offline { .. } | ImageError::Missing { .. } | ImageError::Off => {
            Problem::new(404, error.code(), error.to_string())
                .hint(error.hint().unwrap_or_default())
        }
        other => other.into(),
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Problem {
        // What was never wanted is no fault of the agent.
        if matches!(error, ImageError::Off) {
            return not_found(error);
        }
        crate::fault::FlowError::Image(error).into()
    }
}

pub async fn status(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let images = &door.agent.images;
    let settings = images.settings()?.clone();
    let extent = images.cached(|cache| cache.extent()).await?;
    Ok(JsonBody(json!({
        "folder": settings.folder.display().to_string(),
        "source": settings.source,
        "pictures": extent.pictures,
        "names": extent.names,
        "bytes": extent.bytes,
        "bytes_max": settings.bytes_max,
    })))
}

/// At once and by hand, whatever the register's state; answers when it is done.
pub async fn prefetch(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    let done = door.agent.images.prefetch(&door.agent.register(), None).await?;
    Ok(JsonBody(json!({
        "names": done.names,
        "fetched": done.fetched,
        "known": done.known,
        "missing": done.missing,
        "refused": done.refused,
    })))
}

pub async fn prune(State(door): State<Door>) -> Result<JsonBody<Json>, Problem> {
    door.agent.images.settings()?;
    let pruned = door.agent.images.cached(|cache| cache.prune()).await?;
    Ok(JsonBody(json!({
        "damaged": pruned.damaged,
        "evicted": pruned.evicted,
        "names": pruned.names,
    })))
}
