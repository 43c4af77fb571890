//! From an address to a session: TCP, TLS, login, and the settings that every statement relies on.
//!
//! * TCP has its bound, everything behind it another one; a server that accepts and keeps silent
//!   costs one of them and no more.
//! * A server that sends its clients elsewhere (Azure SQL, a read-only routing list) is followed
//!   once, unless the login alone is encrypted.
//! * The trusted certificate, the access token and a password that is kept in a file are read at
//!   each login, so that whoever renews them only writes the file.
//! * Refuses: named instances. Their port comes over UDP from a browser service that a store's
//!   firewall rarely lets through; the port itself is asked for instead.

use super::line::{Line, Watched};
use super::{SESSION_SQL, TdsClient};
use crate::config::{Authentication, ChannelConfig, Encryption, Trust};
use crate::error::{CertificateFault, ChannelError, from_server, in_short};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tillhold_env::{BoxStream, Env};
use tokio::time::timeout;
use tokio_util::compat::TokioAsyncWriteCompatExt;

/// Where a connection goes: the configured server, or the one that it named instead.
struct Target<'a> {
    host: &'a str,
    port: u16,
}

/// A session in a known state.
pub(super) async fn client(
    env: &Env,
    config: &ChannelConfig,
    line: &Arc<Line>,
) -> Result<TdsClient, ChannelError> {
    let target = Target { host: &config.host, port: config.port };
    match session(env, config, line, &target).await? {
        Session::Open(client) => Ok(*client),
        Session::Elsewhere { host, port } => {
            let other = Target { host: &host, port };
            match session(env, config, line, &other).await? {
                Session::Open(client) => Ok(*client),
                Session::Elsewhere { .. } => {
                    let cause = "it sends its clients on, and so does the server it names";
                    Err(unreachable(&other, cause.to_string()))
                }
            }
        }
    }
}

enum Session {
    Open(Box<TdsClient>),
    Elsewhere { host: String, port: u16 },
}

async fn session(
    env: &Env,
    config: &ChannelConfig,
    line: &Arc<Line>,
    target: &Target<'_>,
) -> Result<Session, ChannelError> {
    let limit = config.connect_timeout;
    let settings = settings(config, target)?;
    let stream = reach(env, target, limit).await?;
    let stream: BoxStream = Box::new(Watched { stream, line: line.clone() });
    match line.within(limit, "answer the login", Box::pin(log_in(settings, stream))).await? {
        Ok(client) => Ok(Session::Open(Box::new(client))),
        Err(Error::Routing { host, port }) => elsewhere(config, target, host, port),
        Err(error) => Err(refusal(config, target, error)),
    }
}

/// With the login alone encrypted, whoever is on the way can put in where to go: and would be given the password there.
fn elsewhere(
    config: &ChannelConfig,
    target: &Target<'_>,
    host: String,
    port: u16,
) -> Result<Session, ChannelError> {
    if config.encryption == Encryption::LoginOnly {
        let cause = format!(
            "it sends its clients on to {host}:{port}, which is followed with encryption = \"required\" only"
        );
        return Err(unreachable(target, cause));
    }
    Ok(Session::Elsewhere { host, port })
}

async fn reach(env: &Env, target: &Target<'_>, limit: Duration) -> Result<BoxStream, ChannelError> {
    match timeout(limit, env.network.connect(target.host, target.port)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(unreachable(target, error.to_string())),
        Err(_) => Err(unreachable(target, format!("no answer within {} ms", limit.as_millis()))),
    }
}

fn unreachable(target: &Target<'_>, cause: String) -> ChannelError {
    ChannelError::Unreachable { host: target.host.to_string(), port: target.port, cause }
}

async fn log_in(settings: Config, stream: BoxStream) -> tiberius::Result<TdsClient> {
    let mut client = Client::connect(settings, stream.compat_write()).await?;
    client.simple_query(SESSION_SQL).await?.into_results().await?;
    Ok(client)
}

fn settings(config: &ChannelConfig, target: &Target<'_>) -> Result<Config, ChannelError> {
    let mut settings = Config::new();
    settings.host(target.host);
    settings.port(target.port);
    settings.database(&config.database);
    settings.application_name(&config.application_name);
    settings.authentication(proof(config)?);
    settings.encryption(match config.encryption {
        Encryption::Required => EncryptionLevel::Required,
        Encryption::LoginOnly => EncryptionLevel::Off,
        Encryption::Off => EncryptionLevel::NotSupported,
    });
    match &config.trust {
        Trust::System => {}
        // Of a connection without TLS none is looked at.
        Trust::CertificateFile(_) if config.encryption == Encryption::Off => {}
        Trust::CertificateFile(path) => settings.trust_cert_ca_bundle(certificate(path)?),
        Trust::AnyCertificate => settings.trust_cert(),
    }
    if let Some(name) = &config.certificate_name {
        settings.hostname_in_certificate(name);
    }
    // What was replaced is found and asked for again; an error would break off a whole page.
    settings.lossy_utf16_decoding(true);
    settings.handshake_timeout(None);
    settings.command_timeout(None);
    Ok(settings)
}

fn certificate(path: &Path) -> Result<Vec<u8>, ChannelError> {
    std::fs::read(path).map_err(|error| ChannelError::LoginFile {
        what: "trusted certificate",
        path: path.to_path_buf(),
        cause: error.to_string(),
    })
}

fn proof(config: &ChannelConfig) -> Result<AuthMethod, ChannelError> {
    match &config.authentication {
        Authentication::Login => {
            Ok(AuthMethod::sql_server(&config.user, config.password.read()?.reveal()))
        }
        Authentication::TokenFile(path) => token(path),
        #[cfg(feature = "integrated")]
        Authentication::Integrated => Ok(AuthMethod::Integrated),
        #[cfg(not(feature = "integrated"))]
        Authentication::Integrated => Err(ChannelError::NoIntegratedLogin),
    }
}

fn token(path: &Path) -> Result<AuthMethod, ChannelError> {
    let refused = |cause: String| ChannelError::LoginFile {
        what: "access token",
        path: path.to_path_buf(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    match text.trim() {
        "" => Err(refused("it is empty".to_string())),
        token => Ok(AuthMethod::aad_token(token)),
    }
}

/// An error before the first statement: nothing was asked yet, so nothing is in doubt.
fn refusal(config: &ChannelConfig, target: &Target<'_>, error: Error) -> ChannelError {
    let host = || target.host.to_string();
    match error {
        Error::Server(error) if matches!(error.code(), 4060 | 911 | 927 | 942) => {
            ChannelError::DatabaseRefused {
                database: config.database.clone(),
                number: error.code(),
                message: error.message().to_string(),
            }
        }
        Error::Server(error) if (18_400..18_500).contains(&error.code()) => {
            ChannelError::LoginRefused {
                user: account(config),
                number: error.code(),
                message: error.message().to_string(),
            }
        }
        Error::Server(error) => from_server("log in", error.code(), error.message()),
        // The client tells a failed agreement on encryption by no variant of its own.
        Error::Protocol(message) if message.contains("encryption") => {
            ChannelError::Tls { host: host(), message: message.into_owned() }
        }
        Error::Tls(message) => tls(host(), &message),
        // The file is there, but no certificate in it (the client speaks of its bundle).
        Error::Io { message, .. } if message.contains("CA bundle") => ChannelError::LoginFile {
            what: "trusted certificate",
            path: match &config.trust {
                Trust::CertificateFile(path) => path.clone(),
                Trust::System | Trust::AnyCertificate => Default::default(),
            },
            cause: "no certificate can be read from it (PEM or DER)".to_string(),
        },
        other => unreachable(target, in_short(&other)),
    }
}

fn account(config: &ChannelConfig) -> String {
    match &config.authentication {
        Authentication::Login => config.user.clone(),
        Authentication::TokenFile(path) => format!("the access token in {}", path.display()),
        Authentication::Integrated => "the account that the agent runs as".to_string(),
    }
}

/// How the client begins what it says of a certificate; behind it stands rustls's own word, and
/// behind that advice for programmers.
const REJECTED: &str = "the server's certificate was rejected during the TLS handshake: ";

fn tls(host: String, message: &str) -> ChannelError {
    let Some(rest) = message.strip_prefix(REJECTED) else {
        return ChannelError::Tls { host, message: message.to_string() };
    };
    let word = rest.split(" To connect anyway").next().unwrap_or(rest).trim_end_matches('.');
    let is = |part: &str| word.to_ascii_lowercase().contains(part);
    let fault = match () {
        () if is("unknownissuer") => CertificateFault::Unknown,
        () if is("not valid for name") || is("notvalidforname") => CertificateFault::OtherName,
        () if is("expired") => CertificateFault::Expired,
        () => CertificateFault::Other(word.to_string()),
    };
    ChannelError::Certificate { host, fault }
}

#[cfg(test)]
mod tests {
    use super::{Session, Target, elsewhere};
    use crate::config::{ChannelConfig, Encryption, Secret};

    /// Whoever can change bytes on the way can name a server of his own, with a certificate that a public authority signed.
    #[test]
    fn a_route_that_could_be_anybodys_gets_no_password() {
        for (encryption, follows) in
            [(Encryption::Required, true), (Encryption::LoginOnly, false), (Encryption::Off, true)]
        {
            let secret = Secret::new("right");
            let mut config = ChannelConfig::new("sql.store", 1433, "Channel", "till", secret);
            config.encryption = encryption;
            let target = Target { host: "sql.store", port: 1433 };
            let told = elsewhere(&config, &target, "other.example".to_string(), 1434);
            let is_followed = matches!(told, Ok(Session::Elsewhere { port: 1434, .. }));
            assert_eq!(is_followed, follows, "{encryption:?}");
        }
    }
}
