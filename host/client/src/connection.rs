//! One HTTP/1.1 connection over the seam's network.

use crate::{ANSWER_BYTES_MAX, Answer, ClientError, Door, Events};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use std::time::Duration;
use tillhold_env::Env;

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(env: &Env, door: &Door) -> Result<Connection, ClientError> {
        let unreachable = |cause| ClientError::Unreachable { address: door.authority(), cause };
        let stream = env.network.connect(&door.host, door.port).await.map_err(unreachable)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| ClientError::Broken { cause })?;
        env.spawn(async move {
            // Its error reaches the caller through the sender; it ends when the sender is dropped.
            let _ = driver.await;
        });
        Ok(Connection { sender })
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(crate) async fn call(
        &mut self,
        door: &Door,
        method: &Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Answer, ClientError> {
        let request = request(door, method, path, body, "application/json")?;
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let retry_after = retry_after(&response);
        let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|cause| ClientError::Cut { cause })?
            .to_bytes();
        let body = match bytes.is_empty() {
            true => Json::Null,
            false => serde_json::from_slice(&bytes)
                .map_err(|cause| ClientError::NotJson { status, cause })?,
        };
        Ok(Answer { status, body, retry_after })
    }

    pub(crate) async fn stream(&mut self, door: &Door, path: &str) -> Result<Events, ClientError> {
        let request = request(door, &Method::GET, path, None, "text/event-stream")?;
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(ClientError::Refused { status: response.status().as_u16() });
        }
        Ok(Events::new(response.into_body()))
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken = |cause| ClientError::Broken { cause };
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }
}

fn request(
    door: &Door,
    method: &Method,
    path: &str,
    body: Option<&Json>,
    accept: &str,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, door.authority())
        .header(AUTHORIZATION, format!("Bearer {}", door.token))
        .header(ACCEPT, accept)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(bytes))
        .map_err(|cause| ClientError::Path { path: path.to_string(), cause })
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
