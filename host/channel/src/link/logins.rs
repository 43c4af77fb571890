//! Who is let in, by what proof, and what a server that does not answer costs.

use super::Link;
use crate::config::{Authentication, ChannelConfig, Encryption, Secret, Trust};
use crate::error::ChannelError;
use crate::scripted::Channel;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tillhold_embedded::{ServerOptions, TlsIdentity};
use tillhold_env::{BoxStream, Env, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A certificate for `name` that ended on the first day of `year`, with its key, kept in `folder`.
fn identity(folder: &Path, name: &str, year: i32) -> TlsIdentity {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let mut parameters =
        rcgen::CertificateParams::new(vec![name.to_string()]).expect("a name for a certificate");
    parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
    let certificate = parameters.self_signed(&pair).expect("a certificate");
    let (file, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&file, certificate.pem()).expect("a file");
    std::fs::write(&key, pair.serialize_pem()).expect("a file");
    TlsIdentity::load(file, &key).expect("an identity")
}

/// Connects over TLS to a server of that identity; the code and the words of what went wrong.
async fn over_tls(
    identity: &TlsIdentity,
    change: impl FnOnce(&mut ChannelConfig),
) -> Result<(), (&'static str, String)> {
    let options = ServerOptions { tls: Some(identity.clone()), ..ServerOptions::default() };
    let channel = Channel::start_with(Vec::new(), options).await;
    let mut link = channel.link_with(|config| {
        config.encryption = Encryption::Required;
        config.trust = Trust::CertificateFile(identity.certificate().to_path_buf());
        change(config);
    });
    let told = |error: ChannelError| {
        (error.code(), format!("{error}; {}", error.hint().unwrap_or_default()))
    };
    link.connect().await.map_err(told)
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_file_by_its_name_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = identity(folder.path(), "127.0.0.1", 2999);
    over_tls(&good, |_| {}).await.expect("its own file is trusted");
    let unknown = over_tls(&good, |config| config.trust = Trust::System).await;
    let (code, hint) = unknown.expect_err("nobody has signed it");
    assert_eq!(code, "channel-certificate");
    assert!(hint.contains("certificate = \"FILE\""), "{hint}");
    over_tls(&good, |config| config.trust = Trust::AnyCertificate).await.expect("opted out");

    let other = identity(folder.path(), "db.store.example", 2999);
    let (code, hint) = over_tls(&other, |_| {}).await.expect_err("another name");
    assert_eq!(code, "channel-certificate");
    assert!(hint.contains("certificate_name"), "{hint}");
    let named = |config: &mut ChannelConfig| {
        config.certificate_name = Some("db.store.example".to_string());
    };
    over_tls(&other, named).await.expect("the name that it holds");

    let old = identity(folder.path(), "127.0.0.1", 2020);
    let (code, hint) = over_tls(&old, |_| {}).await.expect_err("expired");
    assert_eq!(code, "channel-certificate");
    assert!(hint.contains("date"), "{hint}");
    over_tls(&old, |config| config.trust = Trust::AnyCertificate).await.expect("opted out");
}

#[tokio::test]
async fn files_of_a_login_are_read_when_they_are_needed_and_named_when_they_are_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = identity(folder.path(), "127.0.0.1", 2999);
    let file = folder.path().join("named");
    let trusting = |path: PathBuf| {
        move |config: &mut ChannelConfig| config.trust = Trust::CertificateFile(path)
    };
    let (code, _) = over_tls(&good, trusting(file.clone())).await.expect_err("no file");
    assert_eq!(code, "channel-login-file");
    std::fs::write(&file, "no certificate").expect("a file");
    let (code, _) = over_tls(&good, trusting(file.clone())).await.expect_err("no certificate");
    assert_eq!(code, "channel-login-file");
    std::fs::copy(good.certificate(), &file).expect("a renewed file");
    over_tls(&good, trusting(file)).await.expect("the file as it is now");
}

#[tokio::test]
async fn another_proof_than_a_password_is_shown_or_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = identity(folder.path(), "127.0.0.1", 2999);
    let file = folder.path().join("token");
    let by_token = |config: &mut ChannelConfig| {
        config.authentication = Authentication::TokenFile(folder.path().join("token"));
    };
    let (code, _) = over_tls(&good, by_token).await.expect_err("no token");
    assert_eq!(code, "channel-login-file");
    std::fs::write(&file, " \n").expect("a file");
    assert_eq!(over_tls(&good, by_token).await.expect_err("empty").0, "channel-login-file");
    // The embedded channel takes no tokens and says so: it has seen one.
    std::fs::write(&file, "eyJ0\n").expect("a file");
    let (_, words) = over_tls(&good, by_token).await.expect_err("refused by the server");
    assert!(words.contains("federated authentication"), "{words}");
    #[cfg(not(feature = "integrated"))]
    {
        let integrated =
            |config: &mut ChannelConfig| config.authentication = Authentication::Integrated;
        let (code, hint) = over_tls(&good, integrated).await.expect_err("not in this build");
        assert_eq!(code, "channel-integrated");
        assert!(hint.contains("--features integrated"), "{hint}");
    }
}

/// A server of a few bytes.
struct Sketch {
    listener: Box<dyn Listener>,
}

impl Sketch {
    async fn listen() -> Sketch {
        let address = ([127, 0, 0, 1], 0).into();
        Sketch { listener: Env::real().network.listen(address).await.expect("a listener") }
    }

    fn link(&self) -> Link {
        let port = self.listener.address().expect("an address").port();
        let mut config =
            ChannelConfig::new("127.0.0.1", port, "Channel", "till", Secret::new("right"));
        config.encryption = Encryption::Off;
        config.connect_timeout = Duration::from_millis(300);
        Link::new(&Env::real(), Arc::new(config))
    }

    async fn accept(&self) -> BoxStream {
        self.listener.accept().await.expect("a client").0
    }
}

/// A message of one packet (MS-TDS 2.2.3): type, end of message, length, session 0, number, window.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).expect("a short message").to_be_bytes();
    [&[kind, 1, length[0], length[1], 0, 0, 1, 0][..], body].concat()
}

async fn read_message(stream: &mut BoxStream) {
    loop {
        let mut header = [0u8; 8];
        stream.read_exact(&mut header).await.expect("a header");
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        stream.read_exact(&mut body).await.expect("a body");
        if header[1] & 1 == 1 {
            return;
        }
    }
}

/// PRELOGIN's answer: a version and "no encryption" (2.2.6.5).
fn prelogin() -> Vec<u8> {
    packet(4, &[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 15, 0, 0, 0, 0, 0, 2])
}

/// ENVCHANGE 20 (2.2.7.9): go to that port of `127.0.0.1`; then DONE.
fn elsewhere(port: u16) -> Vec<u8> {
    let name: Vec<u8> = "127.0.0.1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = |bytes: usize| u16::try_from(bytes).expect("a short name").to_le_bytes();
    let route = [&[0][..], &port.to_le_bytes(), &length(name.len() / 2), &name].concat();
    let change = [&[20][..], &length(route.len()), &route, &[0, 0]].concat();
    let done = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    packet(4, &[&[0xE3][..], &length(change.len()), &change, &done].concat())
}

/// The peer is there and never answers, or only begins to: no keepalive sees that, only our bound.
#[tokio::test]
async fn a_server_that_does_not_finish_its_login_costs_the_bound_and_no_more() {
    let half = prelogin()[..12].to_vec();
    for said in [Vec::new(), half, prelogin()] {
        let sketch = Sketch::listen().await;
        let mut link = sketch.link();
        let silent = async {
            let mut stream = sketch.accept().await;
            stream.write_all(&said).await.expect("some bytes");
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = link.connect() => ended,
            () = silent => Ok(()),
        };
        let error = ended.expect_err("silence");
        assert_eq!(error.code(), "channel-timeout", "{error}");
        assert!(!link.is_connected());
    }
}

#[tokio::test]
async fn a_server_that_sends_its_clients_on_is_followed_once() {
    let (first, channel) = (Sketch::listen().await, Channel::start(Vec::new()).await);
    let mut link = first.link();
    let sending_on = async |port: u16| {
        let mut stream = first.accept().await;
        read_message(&mut stream).await;
        stream.write_all(&prelogin()).await.expect("a prelogin");
        read_message(&mut stream).await;
        stream.write_all(&elsewhere(port)).await.expect("a route");
        stream
    };
    let port = channel.gate.address().port();
    let (connected, _) = tokio::join!(link.connect(), sending_on(port));
    connected.expect("the server that was named");
    assert!(link.is_connected());

    link.disconnect();
    let own = first.listener.address().expect("an address").port();
    let in_a_circle = async { (sending_on(own).await, sending_on(own).await) };
    let (connected, _) = tokio::join!(link.connect(), in_a_circle);
    assert_eq!(connected.expect_err("a circle").code(), "channel-unreachable");
}
