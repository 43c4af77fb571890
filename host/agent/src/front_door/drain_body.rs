//! The rest of a body that was refused unread is taken all the same, within bounds: a caller that is still sending when its
//! connection closes never sees why.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tillhold_core::limits;
use tillhold_env::Locked as _;

pub async fn take(request: Request, next: Next) -> Response {
    // Who asks before it sends does not send after a refusal.
    let waits = request.headers().contains_key(header::EXPECT);
    if waits || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut rest = Rest(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(parts, Body::new(rest.clone()))).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        let drain = async {
            let mut bytes = 0;
            while bytes < limits::DOOR_REST_BYTES_MAX
                && let Some(Ok(frame)) = rest.frame().await
            {
                bytes += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Whoever sends slowly has had its time.
        let _ = tokio::time::timeout(limits::DOOR_REST_TIME_MAX, drain).await;
    }
    response
}

/// A body of which what is left can be taken when whoever had it is gone.
#[derive(Clone)]
struct Rest(Arc<Mutex<Body>>);

impl Rest {
    fn body(&self) -> std::sync::MutexGuard<'_, Body> {
        self.0.locked()
    }
}

impl hyper::body::Body for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
