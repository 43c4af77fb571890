//! Where the channel is and how to log in to it.

use crate::error::ChannelError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::limits::{CONNECT_TIMEOUT, STATEMENT_TIMEOUT};
use tillhold_core::profile::Capture;

#[derive(Clone, Debug)]
pub struct ChannelConfig {
    pub host: String,
    pub port: u16,
    pub database: String,
    /// For a SQL login; an account that shows another proof has no name here.
    pub user: String,
    pub password: Password,
    pub authentication: Authentication,
    pub encryption: Encryption,
    pub trust: Trust,
    /// The name in the server's certificate where it is not `host`.
    pub certificate_name: Option<String>,
    /// AX's change-log triggers know the sync service by this name.
    pub application_name: String,
    /// How changed rows are noted there, by the profile: an upload asks who wrote a row last.
    pub capture: Capture,
    /// The longest wait for TCP, and again for TLS with login.
    pub connect_timeout: Duration,
    /// The longest wait for one whole answer.
    pub statement_timeout: Duration,
}

/// The name that AX 2012 R3's own service gives itself.
pub const APPLICATION_NAME: &str = "Retail Offline Sync Service";

impl ChannelConfig {
    /// Full encryption, the system's trusted certificates, the default bounds.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        database: impl Into<String>,
        user: impl Into<String>,
        password: Secret,
    ) -> ChannelConfig {
        ChannelConfig {
            host: host.into(),
            port,
            database: database.into(),
            user: user.into(),
            password: password.into(),
            authentication: Authentication::Login,
            encryption: Encryption::Required,
            trust: Trust::System,
            certificate_name: None,
            application_name: APPLICATION_NAME.to_string(),
            capture: Capture::default(),
            connect_timeout: CONNECT_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
        }
    }
}

/// What the account shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// User and password of a SQL login.
    Login,
    /// A Microsoft Entra access token from this file, read at each login: whoever renews it only
    /// writes the file.
    TokenFile(PathBuf),
    /// The account that the program runs as: SSPI on Windows, Kerberos elsewhere. Only a build with
    /// the feature `integrated` has it.
    Integrated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Everything is encrypted, or there is no connection.
    Required,
    /// Only the login is: for old servers inside a store's own network.
    LoginOnly,
    /// Nothing is, the password neither: for a test on loopback.
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operating system's trusted certificates.
    System,
    /// Those, and the certificate (PEM, CRT or DER) in this file.
    CertificateFile(PathBuf),
    /// Whatever the server shows, so that anyone in between can pose as it.
    AnyCertificate,
}

/// A SQL login's password, or who tells it.
#[derive(Clone)]
pub enum Password {
    Known(Secret),
    /// Asked at each login, so that whoever changes the password only writes the file. It is asked on the runtime's own
    /// thread: it must not wait for anybody.
    Told(Arc<dyn Fn() -> Result<Secret, ChannelError> + Send + Sync>),
}

impl Password {
    pub fn read(&self) -> Result<Secret, ChannelError> {
        match self {
            Password::Known(secret) => Ok(secret.clone()),
            Password::Told(ask) => ask(),
        }
    }
}

impl From<Secret> for Password {
    fn from(secret: Secret) -> Password {
        Password::Known(secret)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A text that never shows itself in a log or an error.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// For whoever keeps it or shows it to the one who asks for it, and for nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{ChannelConfig, Secret};

    #[test]
    fn a_password_is_not_printed() {
        let config = ChannelConfig::new("h", 1433, "d", "u", Secret::new("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
