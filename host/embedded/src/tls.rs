//! TLS: the channel's own certificate, and the handshake inside PRELOGIN packets (2.2.6.5).
//!
//! * The certificate is made once and kept as PEM beside the database, so that a client can trust exactly it.
//! * TLS 1.2 only: with 1.3 a server's session tickets leave after the handshake, outside the packets, and clients
//!   of TDS 7.4 take them for a corrupt message. Real servers speak 1.3 only under TDS 8.

use crate::fault::ServerError;
use crate::wire::packet::{Framer, HEADER_BYTES};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tillhold_core::limits::TDS_PACKET_BYTES_DEFAULT;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

const CERTIFICATE_FILE: &str = "channel-certificate.pem";
const KEY_FILE: &str = "channel-key.pem";

/// A certificate with its key, ready to serve.
#[derive(Clone)]
pub struct TlsIdentity {
    certificate: PathBuf,
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// The identity kept in `folder`; made for `localhost` and 127.0.0.1 when there is none yet.
    pub fn kept_in(folder: &Path) -> Result<TlsIdentity, ServerError> {
        let (certificate, key) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        if !certificate.exists() {
            make(&certificate, &key)?;
        }
        TlsIdentity::load(certificate, &key)
    }

    /// An identity that someone else has made.
    pub fn load(certificate: PathBuf, key: &Path) -> Result<TlsIdentity, ServerError> {
        let pem =
            |path: &Path, cause: String| ServerError::IdentityPem { path: path.into(), cause };
        let chain = CertificateDer::pem_file_iter(&certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| pem(&certificate, cause.to_string()))?;
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|cause| pem(key, cause.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .map_err(|cause| ServerError::IdentityMade { cause: cause.to_string() })?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|cause| pem(&certificate, cause.to_string()))?;
        Ok(TlsIdentity { certificate, config: Arc::new(config) })
    }

    /// The PEM file that a client may name as its certificate authority.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The handshake; afterwards the stream is plain TLS.
    pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<Enveloped<S>>> {
        let acceptor = TlsAcceptor::from(self.config.clone());
        let mut tls = acceptor.accept(Enveloped::new(stream)).await?;
        tls.get_mut().0.in_packets = false;
        Ok(tls)
    }
}

fn make(certificate: &Path, key: &Path) -> Result<(), ServerError> {
    let made = |cause: rcgen::Error| ServerError::IdentityMade { cause: cause.to_string() };
    let pair = rcgen::KeyPair::generate().map_err(made)?;
    let names = ["localhost".to_string(), "127.0.0.1".to_string(), "::1".to_string()];
    let mut parameters = rcgen::CertificateParams::new(names).map_err(made)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "Tillhold embedded channel");
    let own = parameters.self_signed(&pair).map_err(made)?;
    // The key first: a certificate without its key would be taken for a whole identity.
    write(key, &pair.serialize_pem())?;
    write(certificate, &own.pem())
}

/// Readable by its owner alone, where the platform can say so.
fn write(path: &Path, pem: &str) -> Result<(), ServerError> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(pem.as_bytes()));
    written.map_err(|cause| ServerError::IdentityFile { path: path.into(), cause })
}

/// A stream whose bytes travel in PRELOGIN packets while TLS shakes hands.
pub(crate) struct Enveloped<S> {
    stream: S,
    in_packets: bool,
    header: [u8; HEADER_BYTES],
    header_read: usize,
    body_left: usize,
    /// Handshake bytes since the last flush, then their packets on the way out.
    waiting: Vec<u8>,
    leaving: Vec<u8>,
}

impl<S> Enveloped<S> {
    fn new(stream: S) -> Enveloped<S> {
        Enveloped {
            stream,
            in_packets: true,
            header: [0; HEADER_BYTES],
            header_read: 0,
            body_left: 0,
            waiting: Vec::new(),
            leaving: Vec::new(),
        }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> Enveloped<S> {
    /// Reads a header when the last packet is used up; `Ok(false)` at the end of the stream.
    fn poll_header(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.body_left == 0 {
            let mut buffer = ReadBuf::new(&mut self.header[self.header_read..]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(false));
            }
            self.header_read += read;
            if self.header_read == HEADER_BYTES {
                self.header_read = 0;
                let length = usize::from(u16::from_be_bytes([self.header[2], self.header[3]]));
                if self.header[0] != 18 || length <= HEADER_BYTES {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::InvalidData)));
                }
                self.body_left = length - HEADER_BYTES;
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Enveloped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.in_packets {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        if !ready!(self.poll_header(context))? {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; TDS_PACKET_BYTES_DEFAULT];
        let most = self.body_left.min(buffer.remaining()).min(bytes.len());
        let mut piece = ReadBuf::new(&mut bytes[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
        self.body_left -= piece.filled().len();
        buffer.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Enveloped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.in_packets {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.waiting.is_empty() {
            let mut framer = Framer::prelogin(TDS_PACKET_BYTES_DEFAULT);
            framer.finish(&mut this.waiting, &mut this.leaving);
        }
        while !this.leaving.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, &this.leaving))?;
            if written == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
            }
            this.leaving.drain(..written);
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
