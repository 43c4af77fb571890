//! The client of files against servers that answer as they like, plain and with TLS.

use super::{WebAddress, WebError, WebFile, WebTrust};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tillhold_env::Env;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn addresses_are_read_and_written_alike() {
    for (text, host, port, path) in [
        ("https://a.example/x/", "a.example", 443, "/x/"),
        ("http://127.0.0.1:8080/y?z=1", "127.0.0.1", 8080, "/y?z=1"),
        ("HTTPS://[::1]:1/", "::1", 1, "/"),
        ("https://a.example", "a.example", 443, "/"),
    ] {
        let read = WebAddress::parse(text).expect(text);
        assert_eq!((read.host.as_str(), read.port, read.path.as_str()), (host, port, path));
        assert_eq!(WebAddress::parse(&read.to_string()).expect("its own text"), read);
    }
    for text in [
        "",
        "a.example/x",
        "ftp://a/x",
        "https:///x",
        "https://u@a/x",
        "https://a:x/",
        "https://a/ b",
        "https://a/#b",
        "https://[::1/",
    ] {
        assert!(WebAddress::parse(text).is_err(), "{text}");
    }
    let beside = |text: &str| WebAddress::parse(text).expect(text).beside("ä b.db").to_string();
    assert_eq!(beside("https://a/x/latest.json?q"), "https://a/x/%C3%A4%20b.db");
    assert_eq!(beside("https://a/x/"), "https://a/x/%C3%A4%20b.db");
    assert_eq!(beside("https://a"), "https://a/%C3%A4%20b.db");
}

/// Answers each request with what `answer` makes of its text.
async fn serve(
    tls: Option<TlsAcceptor>,
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> SocketAddr {
    let env = Env::real();
    let listener = env.network.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.expect("a listener");
    let address = listener.address().expect("its address");
    env.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => respond(stream, &answer).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        respond(stream, &answer).await;
                    }
                }
            }
        }
    });
    address
}

async fn respond(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &impl Fn(&str) -> String,
) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        request.push(byte[0]);
    }
    let text = answer(&String::from_utf8_lossy(&request).to_lowercase());
    // The client may have gone already.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(address: &str, trust: &WebTrust, from: u64) -> Result<(u64, String), WebError> {
    let address = WebAddress::parse(address)?;
    let mut file = WebFile::open(&Env::real(), &address, trust, from, LIMIT).await?;
    let mut text = String::new();
    while let Some(bytes) = file.next().await? {
        text += &String::from_utf8_lossy(&bytes);
    }
    Ok((file.start, text))
}

#[tokio::test]
async fn a_file_is_read_from_a_byte_on_or_whole_where_the_server_knows_no_ranges() {
    let at = serve(None, |request| {
        assert!(request.contains("accept-encoding: identity"), "{request}");
        match (request.contains("/ranged"), request.contains("range: bytes=4-")) {
            (true, true) => {
                "HTTP/1.1 206 P\r\nContent-Range: bytes 4-7/8\r\nContent-Length: 4\r\n\r\nefgh"
                    .into()
            }
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabcdefgh".into(),
        }
    })
    .await;
    let plain = WebTrust::default();
    let ask = async |path: &str, from| read(&format!("http://{at}{path}"), &plain, from).await;
    assert_eq!(ask("/ranged", 4).await.expect("a part"), (4, "efgh".to_string()));
    assert_eq!(ask("/ranged", 0).await.expect("the whole"), (0, "abcdefgh".to_string()));
    assert_eq!(ask("/whole", 4).await.expect("the whole"), (0, "abcdefgh".to_string()));
}

#[tokio::test]
async fn other_answers_are_told_by_their_codes() {
    let at = serve(None, |request| {
        let status =
            ["404", "302", "206", "cut"].into_iter().find(|w| request.contains(&format!("/{w}")));
        match status {
            Some("404") => "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n".into(),
            Some("302") => {
                "HTTP/1.1 302 F\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n".into()
            }
            Some("206") => {
                "HTTP/1.1 206 P\r\nContent-Range: bytes 0-1/8\r\nContent-Length: 2\r\n\r\nab".into()
            }
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".into(),
        }
    })
    .await;
    let plain = WebTrust::default();
    for (path, code) in [
        ("404", "web-missing"),
        ("302", "web-refused"),
        ("206", "web-other-part"),
        ("cut", "web-broken"),
    ] {
        let error = read(&format!("http://{at}/{path}"), &plain, 4).await.expect_err(path);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.hint().is_some());
    }
    let elsewhere = read("http://files.example/x", &plain, 0).await.expect_err("not encrypted");
    assert_eq!(elsewhere.code(), "web-plain");
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_string()]);
    let certificate = parameters.expect("names").self_signed(&pair).expect("a certificate");
    std::fs::write(folder.join("server.pem"), certificate.pem()).expect("a file");
    let key = PrivateKeyDer::try_from(pair.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a server's settings");
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_is_checked_and_one_of_ones_own_can_be_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = acceptor(folder.path());
    let at = serve(Some(tls), |_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into()).await;
    let address = format!("https://localhost:{}/", at.port());
    let stranger = read(&address, &WebTrust::default(), 0).await.expect_err("nobody vouches");
    assert_eq!(stranger.code(), "web-unreachable");
    assert!(stranger.to_string().contains("certificate"), "{stranger}");
    let certificate = Some(folder.path().join("server.pem"));
    let trust = WebTrust { certificate, ..WebTrust::default() };
    assert_eq!(read(&address, &trust, 0).await.expect("an answer"), (0, "ok".to_string()));
    // Another name than the certificate's.
    let other = read(&format!("https://127.0.0.1:{}/", at.port()), &trust, 0).await;
    assert_eq!(other.expect_err("another name").code(), "web-unreachable");
}
