//! Who answers the operator: the running agent through its front door, or, when none runs, this very process with the
//! offline database opened and the same routes. So every command is written once, against the front door's paths.

use super::Settings;
use crate::agent::Agent;
use crate::freshness;
use crate::front_door;
use crate::register::Register;
use crate::settings::register_file::RegisterFile;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde_json::Value as Json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillhold_client::{Answer, Client, ClientError, Door};
use tillhold_env::Env;
use tillhold_local::LocalError;
use tower::ServiceExt as _;

pub enum Answering {
    Agent(Box<Client>),
    /// Nothing runs in the background here: no probe, no synchronisation but what is asked for.
    Here {
        agent: Arc<Agent>,
        routes: Router,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum AnsweringError {
    #[error("no agent runs for this register: {0}")]
    NotRunning(String),
    /// Something listens there: to start another agent would be of no use.
    #[error("the agent of this register does not answer: {0}")]
    Silent(String),
    #[error("the agent answers {code}: {reason}")]
    Refused { code: String, reason: String, hint: Option<String> },
    #[error("the agent's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Whether an agent listens is known at once on this machine.
const LISTENS_LIMIT: Duration = Duration::from_secs(2);

impl Answering {
    /// Only the running agent can answer.
    pub fn running(env: &Env, settings: &Settings) -> anyhow::Result<Answering> {
        let file = RegisterFile::read(&settings.config)?;
        Ok(Answering::Agent(Box::new(client(env, &file)?)))
    }

    /// The running agent, or this process in its place.
    pub async fn any(env: &Env, settings: &Settings) -> anyhow::Result<Answering> {
        let file = RegisterFile::read(&settings.config)?;
        if let Ok(client) = client(env, &file)
            && listens(&client).await
        {
            return Ok(Answering::Agent(Box::new(client)));
        }
        let register = Register::start(env, file).await.map_err(in_use)?;
        let (agent, _) = Agent::new(register);
        freshness::begin(&agent).await?;
        let routes = front_door::unguarded(&agent);
        Ok(Answering::Here { agent, routes })
    }

    pub async fn get(&self, path: &str, limit: Duration) -> Result<Json, AnsweringError> {
        self.ask(Method::GET, path, None, limit).await
    }

    pub async fn post(
        &self,
        path: &str,
        body: &Json,
        limit: Duration,
    ) -> Result<Json, AnsweringError> {
        self.ask(Method::POST, path, Some(body), limit).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
        limit: Duration,
    ) -> Result<Json, AnsweringError> {
        match self {
            Answering::Agent(client) => {
                success(client.request(method, path, body, limit).await.map_err(unanswered)?)
            }
            Answering::Here { routes, .. } => success(here(routes, method, path, body).await?),
        }
    }

    /// Closes what this process opened for itself.
    pub async fn done(self) -> Result<(), LocalError> {
        match self {
            Answering::Agent(_) => Ok(()),
            Answering::Here { agent, .. } => agent.register().local.close().await,
        }
    }
}

fn client(env: &Env, file: &RegisterFile) -> Result<Client, AnsweringError> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| AnsweringError::NotRunning(format!("{}: {error}", path.display())))
    };
    let (address, token) = (read(&file.address_file())?, read(&file.front_door.token_file)?);
    let no_address = || AnsweringError::NotRunning(format!("'{}' is no address", address.trim()));
    let door = Door::parse(&address, &token).ok_or_else(no_address)?;
    Ok(Client::new(env.clone(), door))
}

/// The address file outlives an agent that was killed.
async fn listens(client: &Client) -> bool {
    let answer = client.get("/v1/status", LISTENS_LIMIT).await;
    !matches!(answer, Err(ClientError::Unreachable { .. }))
}

/// An agent that is just starting has the files but no door yet.
fn in_use(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<LocalError>() {
        Some(LocalError::InUse { .. }) => {
            error.context("an agent has this register open but does not answer yet: try again")
        }
        _ => error,
    }
}

async fn here(
    routes: &Router,
    method: Method,
    path: &str,
    body: Option<&Json>,
) -> Result<Answer, AnsweringError> {
    let unreadable = |error: String| AnsweringError::Unreadable(error);
    let text = body.map_or_else(String::new, Json::to_string);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(text))
        .map_err(|error| unreadable(error.to_string()))?;
    let Ok(response) = routes.clone().oneshot(request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|e| unreadable(e.to_string()))?;
    let bytes = body.to_bytes();
    let body = match bytes.is_empty() {
        true => Json::Null,
        false => serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?,
    };
    Ok(Answer { status, body, retry_after: None })
}

fn unanswered(error: ClientError) -> AnsweringError {
    match error {
        ClientError::Timeout { .. } => AnsweringError::Silent(error.to_string()),
        error => AnsweringError::NotRunning(error.to_string()),
    }
}

fn success(answer: Answer) -> Result<Json, AnsweringError> {
    if answer.is_success() {
        return Ok(answer.body);
    }
    let member = |name: &str| answer.body[name].as_str().map(str::to_string);
    Err(AnsweringError::Refused {
        code: member("code").unwrap_or_else(|| answer.status.to_string()),
        reason: answer.reason(),
        hint: member("hint"),
    })
}

#[cfg(test)]
mod tests {
    use super::{AnsweringError, unanswered};
    use std::time::Duration;
    use tillhold_client::ClientError;

    /// One that is stopped was called one that does not run, and was to be started once more.
    #[test]
    fn an_agent_that_listens_and_says_nothing_is_none_that_does_not_run() {
        let silent = unanswered(ClientError::Timeout { after: Duration::from_secs(10) });
        assert!(matches!(silent, AnsweringError::Silent(_)), "{silent}");
        let cause = std::io::ErrorKind::ConnectionRefused.into();
        let away = ClientError::Unreachable { address: "127.0.0.1:1".to_string(), cause };
        assert!(matches!(unanswered(away), AnsweringError::NotRunning(_)));
    }
}
