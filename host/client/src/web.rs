//! Files on a web server, read whole or from a byte on: HTTP/1.1 over the seam's network, with TLS for `https`.
//!
//! * Certificates are checked, against the operating system's or one file; there is no way around it.
//! * Plain `http` is for this machine. Elsewhere the caller must say that it is meant.
//! * A redirection is not followed: whoever may change where a file comes from must change the setting.
//! * Each wait has a limit; a body has none of its own, so its reader counts.

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT_ENCODING, CONTENT_RANGE, HOST, LOCATION, RANGE, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::fault::Class;
use tillhold_env::{BoxStream, Env};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// `https://HOST[:PORT]/PATH`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress {
    pub is_tls: bool,
    pub host: String,
    pub port: u16,
    /// With the leading slash, and the query if there is one.
    pub path: String,
}

/// How the other side is trusted.
#[derive(Clone, Debug, Default)]
pub struct WebTrust {
    /// PEM: the certificate to trust, or its issuer's; otherwise the operating system's.
    pub certificate: Option<PathBuf>,
    /// Whether `http` may go to another machine.
    pub is_plain_allowed: bool,
}

/// An answer whose bytes come piece by piece.
pub struct WebFile {
    /// The first byte that comes; 0 where the server does not know ranges.
    pub start: u64,
    address: String,
    body: Incoming,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("'{text}' is no http or https address")]
    Address { text: String },
    #[error("{address} is neither encrypted nor on this machine")]
    Plain { address: String },
    #[error("the certificate file {file} cannot be used: {reason}")]
    Certificate { file: String, reason: String },
    #[error("{address} cannot be reached: {cause}")]
    Unreachable { address: String, cause: std::io::Error },
    #[error("{address} gave no answer within {} ms", after.as_millis())]
    Timeout { address: String, after: Duration },
    #[error("the connection to {address} broke: {cause}")]
    Broken { address: String, cause: hyper::Error },
    #[error("{address} is not there (404)")]
    Missing { address: String },
    #[error("{address} answers {status}{}", to.as_deref().map_or(String::new(), |to| format!(" and points to {to}")))]
    Refused { address: String, status: u16, to: Option<String> },
    #[error("{address} answers with another part than was asked for")]
    OtherPart { address: String },
}

impl WebError {
    pub fn class(&self) -> Class {
        match self {
            WebError::Unreachable { .. }
            | WebError::Timeout { .. }
            | WebError::Broken { .. }
            | WebError::Missing { .. } => Class::Retry,
            WebError::Address { .. }
            | WebError::Plain { .. }
            | WebError::Certificate { .. }
            | WebError::Refused { .. }
            | WebError::OtherPart { .. } => Class::Reconfigure,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            WebError::Address { .. } => "web-address",
            WebError::Plain { .. } => "web-plain",
            WebError::Certificate { .. } => "web-certificate",
            WebError::Unreachable { .. } => "web-unreachable",
            WebError::Timeout { .. } => "web-timeout",
            WebError::Broken { .. } => "web-broken",
            WebError::Missing { .. } => "web-missing",
            WebError::Refused { .. } => "web-refused",
            WebError::OtherPart { .. } => "web-other-part",
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            WebError::Address { .. } => "write it as https://host/path/",
            WebError::Plain { .. } => {
                "use https, or say `insecure = true` if nobody can stand in between"
            }
            WebError::Certificate { .. } => "give it as PEM, with the right to read it",
            WebError::Unreachable { .. } | WebError::Timeout { .. } | WebError::Broken { .. } => {
                "check the server and the network"
            }
            WebError::Missing { .. } => "check the address; what is not there yet may come",
            WebError::Refused { .. } => {
                "name the address that answers 200; redirections are not followed"
            }
            WebError::OtherPart { .. } => {
                "let the server answer Range as RFC 9110 says, or not at all"
            }
        };
        Some(hint.to_string())
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl WebAddress {
    /// Whether the text means the web at all, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
        text.contains("://") && matches!(scheme.as_str(), "http" | "https")
    }

    pub fn parse(text: &str) -> Result<WebAddress, WebError> {
        let wrong = || WebError::Address { text: text.to_string() };
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(wrong)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let is_clean = |c: char| c.is_ascii_graphic() && c != '#';
        let usual = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| wrong()))?;
        let is_right = !host.is_empty() && !authority.contains('@') && rest.chars().all(is_clean);
        let (host, path) = (host.to_string(), path.to_string());
        if is_right { Ok(WebAddress { is_tls, host, port, path }) } else { Err(wrong()) }
    }

    /// The file `name` beside this one, or in this folder when the path ends with a slash.
    pub fn beside(&self, name: &str) -> WebAddress {
        let path = self.path.split('?').next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        let name: Vec<String> = name.split('/').map(encoded).collect();
        WebAddress { path: format!("{folder}{}", name.join("/")), ..self.clone() }
    }

    fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    fn is_this_machine(&self) -> bool {
        self.host == "localhost"
            || self.host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// One segment of a path, percent-encoded (RFC 3986, section 2.3).
fn encoded(segment: &str) -> String {
    let mut text = String::new();
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(byte as char);
            }
            other => text += &format!("%{other:02X}"),
        }
    }
    text
}

impl WebFile {
    /// Opens a file from byte `from` on; each wait lasts at most `limit`.
    pub async fn open(
        env: &Env,
        address: &WebAddress,
        trust: &WebTrust,
        from: u64,
        limit: Duration,
    ) -> Result<WebFile, WebError> {
        if !address.is_tls && !trust.is_plain_allowed && !address.is_this_machine() {
            return Err(WebError::Plain { address: address.to_string() });
        }
        let late = |_| WebError::Timeout { address: address.to_string(), after: limit };
        let asked = async {
            let stream = connect(env, address, trust).await?;
            ask(env, address, stream, from).await
        };
        let response = tokio::time::timeout(limit, asked).await.map_err(late)??;
        let start = start(address, &response, from)?;
        Ok(WebFile { start, address: address.to_string(), body: response.into_body(), limit })
    }

    /// The next bytes; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WebError> {
        loop {
            let frame = tokio::time::timeout(self.limit, self.body.frame()).await;
            let late = |_| WebError::Timeout { address: self.address.clone(), after: self.limit };
            match frame.map_err(late)? {
                None => return Ok(None),
                Some(Err(cause)) => {
                    return Err(WebError::Broken { address: self.address.clone(), cause });
                }
                // Trailers say nothing that we ask.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

async fn connect(env: &Env, address: &WebAddress, trust: &WebTrust) -> Result<BoxStream, WebError> {
    let unreachable = |cause| WebError::Unreachable { address: address.to_string(), cause };
    let stream = env.network.connect(&address.host, address.port).await.map_err(unreachable)?;
    if !address.is_tls {
        return Ok(stream);
    }
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|_| WebError::Address { text: address.to_string() })?;
    let connector = TlsConnector::from(Arc::new(tls(trust)?));
    let stream = connector.connect(name, stream).await.map_err(unreachable)?;
    Ok(Box::new(stream))
}

fn tls(trust: &WebTrust) -> Result<ClientConfig, WebError> {
    let wrong = |file: &str, reason: String| WebError::Certificate { file: file.into(), reason };
    let mut roots = RootCertStore::empty();
    match &trust.certificate {
        Some(file) => {
            let shown = file.display().to_string();
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(&shown, error.to_string()))?;
            for certificate in certificates {
                roots.add(certificate).map_err(|error| wrong(&shown, error.to_string()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("of this system", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

async fn ask(
    env: &Env,
    address: &WebAddress,
    stream: BoxStream,
    from: u64,
) -> Result<Response<Incoming>, WebError> {
    let broken = |cause| WebError::Broken { address: address.to_string(), cause };
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    env.spawn(async move {
        // Its error reaches the caller through the body; it ends when that is dropped.
        let _ = driver.await;
    });
    let mut request = Request::builder()
        .uri(&address.path)
        .header(HOST, address.authority())
        .header(USER_AGENT, concat!("tillhold/", env!("CARGO_PKG_VERSION")))
        // Hashes are of the file's own bytes.
        .header(ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_| WebError::Address { text: address.to_string() })?;
    sender.send_request(request).await.map_err(broken)
}

/// Where the answer's bytes begin.
fn start(address: &WebAddress, response: &Response<Incoming>, from: u64) -> Result<u64, WebError> {
    let address = address.to_string();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    match response.status() {
        StatusCode::OK => Ok(0),
        StatusCode::PARTIAL_CONTENT => {
            let range = header(CONTENT_RANGE).and_then(|value| value.strip_prefix("bytes "));
            let first = range.and_then(|range| range.split('-').next()?.trim().parse().ok());
            if first == Some(from) { Ok(from) } else { Err(WebError::OtherPart { address }) }
        }
        StatusCode::NOT_FOUND => Err(WebError::Missing { address }),
        other => {
            let to = header(LOCATION).map(str::to_string);
            Err(WebError::Refused { address, status: other.as_u16(), to })
        }
    }
}

#[cfg(test)]
mod tests;
