//! From an accepted socket to a logged-in client: PRELOGIN, TLS, LOGIN7.
//!
//! * Everything together is bounded in time and in bytes; nobody is known yet.
//! * Nothing that came in plain before the handshake is believed after it.

use crate::answer::{SqlEngine, SqlError, SqlSession};
use crate::fault::ServerError;
use crate::ordered;
use crate::tls::TlsIdentity;
use crate::trouble::Faults;
use crate::wire::login::Login;
use crate::wire::packet::{Framer, Kind, PacketReader};
use crate::wire::prelogin::{self, Encryption, Prelogin};
use crate::wire::tokens::{self, Done, DoneOf, Environment};
use std::sync::Arc;
use tillhold_core::limits::{
    TDS_LOGIN_BYTES_MAX, TDS_PACKET_BYTES_DEFAULT, TDS_PACKET_BYTES_MAX, TDS_PACKET_BYTES_MIN,
    TDS_PRELOGIN_BYTES_MAX,
};
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// What a door needs to know to let clients in.
pub struct Door {
    pub env: Env,
    pub engine: Arc<dyn SqlEngine>,
    pub tls: Option<TlsIdentity>,
    pub server: Arc<str>,
}

/// A client that is in.
pub struct Admitted {
    pub stream: BoxStream,
    pub session: Box<dyn SqlSession>,
    pub packet_bytes: usize,
    pub database: String,
}

impl Door {
    /// `Ok(None)`: the client was told why it may not come in.
    pub async fn admit(
        &self,
        mut stream: BoxStream,
        number: u16,
        faults: &Faults,
    ) -> Result<Option<Admitted>, ServerError> {
        let agreed = self.greet(&mut stream).await?;
        let (mut stream, login) = match (&self.tls, agreed) {
            (Some(identity), Encryption::LoginOnly | Encryption::Everything) => {
                let mut tls = identity.shake_hands(stream).await?;
                let login = read_login(&mut tls).await?;
                if agreed == Encryption::Everything {
                    (Box::new(tls) as BoxStream, login)
                } else {
                    (tls.into_inner().0.into_inner(), login)
                }
            }
            _ => {
                let login = read_login(&mut stream).await?;
                (stream, login)
            }
        };
        let outcome = match Login::read(&login) {
            Ok(login) => match faults.refused_login() {
                Some(number) => Err(ordered::login(number, &login.user, &login.database)),
                None => self.log_in(login).await?,
            },
            Err(ServerError::Unsupported { what }) => {
                Err(SqlError::new(40_517, not_supported(&what)).with_severity(20))
            }
            Err(error) => return Err(error),
        };
        match outcome {
            Ok((session, login)) => {
                let (session, packet_bytes, database) =
                    self.welcome(&mut stream, session, &login, number).await?;
                Ok(Some(Admitted { stream, session, packet_bytes, database }))
            }
            Err(refusal) => {
                let mut payload = Vec::new();
                tokens::put_error(&mut payload, &self.server, &refusal);
                Done { failed: true, ..Done::new(DoneOf::Batch) }.put(&mut payload);
                send(&mut stream, payload, number).await?;
                stream.shutdown().await?;
                Ok(None)
            }
        }
    }

    /// PRELOGIN and its answer.
    async fn greet(&self, stream: &mut BoxStream) -> Result<Encryption, ServerError> {
        let mut packets = PacketReader::default();
        let message = packets.message(stream, "a prelogin", TDS_PRELOGIN_BYTES_MAX).await?;
        let Some((header, body)) = message else {
            return Err(ServerError::Closed);
        };
        if header.kind != Kind::Prelogin {
            return Err(ServerError::Unsupported {
                what: "a connection that does not begin with PRELOGIN (TDS 8 or before 7)".into(),
            });
        }
        if !packets.is_empty() {
            return Err(ServerError::Malformed { what: "bytes after PRELOGIN" });
        }
        let prelogin = Prelogin::read(&body)?;
        let agreed = prelogin.agree(self.tls.is_some());
        let ours =
            prelogin.instance.is_empty() || prelogin.instance.eq_ignore_ascii_case("MSSQLServer");
        let mut payload = prelogin::answer(agreed, ours, prelogin.federated);
        let mut framed = Vec::new();
        // The answer to a PRELOGIN is an ordinary answer, not a PRELOGIN packet.
        Framer::new(TDS_PACKET_BYTES_DEFAULT, 0).finish(&mut payload, &mut framed);
        stream.write_all(&framed).await?;
        stream.flush().await?;
        Ok(agreed)
    }

    async fn log_in(
        &self,
        login: Login,
    ) -> Result<Result<(Box<dyn SqlSession>, Login), SqlError>, ServerError> {
        let engine = self.engine.clone();
        let work = move || {
            let Login { user, password, database, application, .. } = &login;
            let session = engine.login(user, password, database, application);
            session.map(|session| (session, login))
        };
        self.env.blocking("tds login", work).await.ok_or(ServerError::EngineLost)
    }

    async fn welcome(
        &self,
        stream: &mut BoxStream,
        session: Box<dyn SqlSession>,
        login: &Login,
        number: u16,
    ) -> Result<(Box<dyn SqlSession>, usize, String), ServerError> {
        let packet_bytes = match login.packet_bytes as usize {
            0 => TDS_PACKET_BYTES_DEFAULT,
            wished => wished.clamp(TDS_PACKET_BYTES_MIN, TDS_PACKET_BYTES_MAX),
        };
        let database = session.database();
        let mut payload = Vec::new();
        self.put_welcome(&mut payload, &database, login.tds_version, packet_bytes);
        send(stream, payload, number).await?;
        Ok((session, packet_bytes, database))
    }

    fn put_welcome(
        &self,
        payload: &mut Vec<u8>,
        database: &str,
        tds_version: u32,
        packet_bytes: usize,
    ) {
        let server = &self.server;
        Environment::Database { new: database, old: "master" }.put(payload);
        let context = format!("Changed database context to '{database}'.");
        tokens::put_info(payload, server, 5701, 2, &context);
        Environment::Collation.put(payload);
        Environment::Language.put(payload);
        tokens::put_info(payload, server, 5703, 1, "Changed language setting to us_english.");
        tokens::put_login_ack(payload, tds_version);
        let old = TDS_PACKET_BYTES_DEFAULT;
        Environment::PacketBytes { new: packet_bytes, old }.put(payload);
        Done::new(DoneOf::Batch).put(payload);
    }
}

pub fn not_supported(what: &str) -> String {
    format!("The embedded channel does not support {what}.")
}

async fn read_login<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, ServerError> {
    let mut packets = PacketReader::default();
    let message = packets.message(stream, "a login", TDS_LOGIN_BYTES_MAX).await?;
    match message {
        Some((header, body)) if header.kind == Kind::Login && packets.is_empty() => Ok(body),
        Some(_) => Err(ServerError::Malformed { what: "another message where a login was due" }),
        None => Err(ServerError::Closed),
    }
}

/// Login answers go in packets of the size before any agreement.
async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    mut payload: Vec<u8>,
    number: u16,
) -> Result<(), ServerError> {
    let mut framed = Vec::new();
    Framer::new(TDS_PACKET_BYTES_DEFAULT, number).finish(&mut payload, &mut framed);
    stream.write_all(&framed).await?;
    stream.flush().await?;
    Ok(())
}
