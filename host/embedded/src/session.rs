//! A logged-in connection: requests in, answers out, one at a time.
//!
//! ```text
//! socket -> packets -> request -> engine's thread -> reply -> chunks -> socket
//!              \------ attention ------^
//! ```
//!
//! * While a request runs, the socket is watched for the client's cancelling (attention) and for its leaving; either
//!   interrupts the engine. A cancelled request's answer is cut short; the acknowledgement follows as a message of
//!   its own, exactly once.
//! * A client that reads slowly stalls the engine, not the memory.
//! * When the connection ends in any way, the session is dropped on a thread that may block, and rolls back there.

use crate::admission::{Admitted, not_supported};
use crate::answer::{Answer, Flow, Isolation, SqlError};
use crate::fault::ServerError;
use crate::gate::{Living, Phase, until};
use crate::ordered;
use crate::reply::{Reply, ReplyTo};
use crate::request::{Request, Seat};
use crate::running::Running;
use crate::trouble::Faults;
use crate::wire::bulk::{BulkDecoder, BulkError};
use crate::wire::packet::{Framer, Header, Kind, PacketReader};
use crate::wire::tokens::{self, Done, DoneOf};
use std::sync::Arc;
use tillhold_core::limits::{TDS_CHUNKS_WAITING_MAX, TDS_MESSAGE_BYTES_MAX};
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};

/// The savepoint that an unsuccessful bulk load of an open transaction returns to.
const BULK_SAVEPOINT: &str = "tillhold_bulk";

/// What came from the client.
enum Incoming {
    Request(Header, Vec<u8>),
    /// Rows of a bulk load; their packets are still to be taken.
    BulkRows,
    Attention,
    /// A message that the client took back before its end.
    Ignored,
    Closed,
}

pub struct Connection {
    env: Env,
    server: Arc<str>,
    session_number: u16,
    packet_bytes: usize,
    faults: Arc<Faults>,
    packets: PacketReader,
    read: ReadHalf<BoxStream>,
    write: WriteHalf<BoxStream>,
    seat: SeatAtHome,
    interrupt: Arc<dyn Fn() + Send + Sync>,
    transaction_open: bool,
    database: String,
}

/// The seat while no request runs; dropped where it may block, for it rolls back and closes files.
struct SeatAtHome {
    env: Env,
    seat: Option<Seat>,
}

impl Drop for SeatAtHome {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.env.tasks.blocking("tds session end", Box::new(move || drop(seat)));
        }
    }
}

/// What comes back from the engine's thread.
struct Returned {
    seat: Seat,
    drops: bool,
    transaction_open: bool,
    database: String,
}

impl Connection {
    pub(crate) fn new(
        env: Env,
        server: Arc<str>,
        session_number: u16,
        faults: Arc<Faults>,
        living: Arc<Living>,
        admitted: Admitted,
    ) -> Connection {
        let (read, write) = tokio::io::split(admitted.stream);
        Connection {
            seat: SeatAtHome { env: env.clone(), seat: None },
            interrupt: admitted.session.interrupter(),
            env,
            server,
            session_number,
            packet_bytes: admitted.packet_bytes,
            faults,
            packets: PacketReader::default(),
            read,
            write,
            transaction_open: false,
            database: admitted.database,
        }
        .seated(Seat::new(admitted.session, living))
    }

    fn seated(mut self, seat: Seat) -> Connection {
        self.seat.seat = Some(seat);
        self
    }

    /// Serves until the client leaves, the server stops, or something breaks.
    pub(crate) async fn serve(
        mut self,
        mut phase: watch::Receiver<Phase>,
    ) -> Result<(), ServerError> {
        loop {
            tokio::select! {
                ready = self.packets.header(&mut self.read) => if let Err(error) = ready {
                    return self.fail(error).await;
                },
                () = until(&mut phase, |phase| *phase != Phase::Open) => return Ok(()),
            }
            let incoming = match self.incoming().await {
                Err(error) => return self.fail(error).await,
                Ok(incoming) => incoming,
            };
            self.faults.moving().await;
            match incoming {
                Incoming::Closed => return Ok(()),
                Incoming::Attention => self.acknowledge_attention().await?,
                Incoming::Ignored => self.send_done(ignored()).await?,
                Incoming::BulkRows => self.load().await?,
                Incoming::Request(header, body) => self.request(header, &body).await?,
            }
        }
    }

    /// The next message. Attention may come between the packets of one.
    async fn incoming(&mut self) -> Result<Incoming, ServerError> {
        let mut body = Vec::new();
        let mut first: Option<Header> = None;
        loop {
            let Some(header) = self.packets.header(&mut self.read).await? else {
                return if first.is_none() {
                    Ok(Incoming::Closed)
                } else {
                    Err(ServerError::Closed)
                };
            };
            if header.kind == Kind::Bulk && first.is_none() && self.awaits_bulk() {
                return Ok(Incoming::BulkRows);
            }
            let payload = self.packets.payload(&header);
            if header.kind == Kind::Attention {
                return Ok(Incoming::Attention);
            }
            body.extend_from_slice(payload);
            if body.len() > TDS_MESSAGE_BYTES_MAX {
                let (bytes, most) = (body.len(), TDS_MESSAGE_BYTES_MAX);
                return Err(ServerError::TooLong { what: "a request", bytes, most });
            }
            let begun = *first.get_or_insert(header);
            if header.kind != begun.kind {
                return Err(ServerError::Malformed { what: "a message of packets of two kinds" });
            }
            if header.is_last() {
                let ignored = header.is_ignored();
                return Ok(if ignored {
                    Incoming::Ignored
                } else {
                    Incoming::Request(begun, body)
                });
            }
        }
    }

    fn awaits_bulk(&self) -> bool {
        self.seat.seat.as_ref().is_some_and(|seat| seat.bulk.is_some())
    }

    async fn request(&mut self, header: Header, body: &[u8]) -> Result<(), ServerError> {
        if header.keeps_transaction() && self.transaction_open {
            let what = "a reset that keeps the open transaction".to_string();
            return self.refuse(&ServerError::Unsupported { what }).await;
        }
        if let Some(number) = self.faults.refused_request() {
            return self.refuse_all(&ordered::request(number)).await;
        }
        if !self.unlocked(body).await? {
            return self.acknowledge_attention().await;
        }
        match Request::read(header.kind, body) {
            Ok(request) => self.run(header.resets(), request).await,
            Err(error @ (ServerError::Unsupported { .. } | ServerError::NoValue { .. })) => {
                self.refuse(&error).await
            }
            Err(error) => self.fail(error).await,
        }
    }

    /// Waits for an ordered lock; whether the client still wants its answer.
    async fn unlocked(&mut self, body: &[u8]) -> Result<bool, ServerError> {
        let free = self.faults.unlocked(body);
        tokio::pin!(free);
        tokio::select! {
            biased;
            () = &mut free => return Ok(true),
            header = self.packets.header(&mut self.read) => match header? {
                None => return Err(ServerError::Closed),
                Some(header) if header.kind == Kind::Attention => {
                    self.packets.payload(&header);
                    return Ok(false);
                }
                Some(_) => {}
            },
        }
        // Anything but an attention waits for its turn, unread.
        free.await;
        Ok(true)
    }

    /// Runs the request on the engine's thread and forwards its answer meanwhile.
    async fn run(&mut self, resets: bool, request: Request) -> Result<(), ServerError> {
        let Some(mut seat) = self.seat.seat.take() else {
            return Err(ServerError::EngineLost);
        };
        let running = Running::new(self.env.clone(), self.interrupt.clone());
        let to = ReplyTo {
            env: self.env.clone(),
            server: self.server.clone(),
            packet_bytes: self.packet_bytes,
            session: self.session_number,
            cancelled: running.cancelled(),
            faults: self.faults.clone(),
        };
        let (send, chunks) = mpsc::channel(TDS_CHUNKS_WAITING_MAX);
        let mut reply = Reply::new(to, send, self.transaction_open, self.database.clone());
        let (env, ending) = (self.env.clone(), running.ending());
        let work = env.blocking("tds request", move || {
            let _ending = ending;
            if resets {
                seat.reset();
                reply.put_reset();
            }
            let result = seat.run(request, &mut reply);
            let (transaction_open, database) =
                (reply.transaction_open(), reply.database().to_string());
            let drops = reply.finish(result);
            Returned { seat, drops, transaction_open, database }
        });
        let (returned, attention) = self.forward(work, chunks, &running).await?;
        self.seat.seat = Some(returned.seat);
        self.transaction_open = returned.transaction_open;
        self.database = returned.database;
        match (returned.drops, attention) {
            (true, _) => Err(ServerError::Dropped),
            (false, true) => self.acknowledge_attention().await,
            (false, false) => Ok(()),
        }
    }

    /// Until the engine is done and its last chunk is written; answers whether the client cancelled.
    async fn forward(
        &mut self,
        work: impl Future<Output = Option<Returned>>,
        mut chunks: mpsc::Receiver<Vec<u8>>,
        running: &Running,
    ) -> Result<(Returned, bool), ServerError> {
        tokio::pin!(work);
        let (mut returned, mut drained, mut unflushed) = (None, false, false);
        let (mut watching, mut attention) = (true, false);
        let mut leaving: Option<(Vec<u8>, usize)> = None;
        loop {
            if drained
                && leaving.is_none()
                && !unflushed
                && let Some(returned) = returned
            {
                return Ok((returned, attention));
            }
            let rest = leaving.as_ref().map_or(&[][..], |(chunk, at)| &chunk[*at..]);
            tokio::select! {
                done = &mut work, if returned.is_none() => {
                    returned = Some(done.ok_or(ServerError::EngineLost)?);
                }
                chunk = chunks.recv(), if !drained && leaving.is_none() => match chunk {
                    Some(chunk) => leaving = Some((chunk, 0)),
                    None => drained = true,
                },
                step = outward(&mut self.write, &self.faults, rest), if leaving.is_some() || unflushed => {
                    let written = step?;
                    unflushed = leaving.is_some();
                    leaving = leaving.and_then(|(chunk, at)| {
                        (at + written < chunk.len()).then_some((chunk, at + written))
                    });
                }
                header = self.packets.header(&mut self.read), if watching => {
                    // Anything but an attention waits for its turn, unread.
                    watching = false;
                    match header? {
                        None => return Err(ServerError::Closed),
                        Some(header) if header.kind == Kind::Attention => {
                            self.packets.payload(&header);
                            attention = true;
                            running.cancel();
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// Rows of an accepted `INSERT BULK`, portion by portion, all or none of them.
    async fn load(&mut self) -> Result<(), ServerError> {
        let Some(target) = self.on_seat(|seat| seat.bulk.take()).await? else {
            return Err(ServerError::Malformed { what: "bulk data without INSERT BULK" });
        };
        let own = !self.transaction_open;
        let mut outcome = self.on_seat(move |seat| bulk_begin(seat, own)).await?.map(|()| 0);
        let mut decoder = BulkDecoder::new(target);
        let header = loop {
            let Some(header) = self.packets.header(&mut self.read).await? else {
                return Err(ServerError::Closed);
            };
            let payload = self.packets.payload(&header);
            if header.kind != Kind::Bulk {
                break header;
            }
            if let Ok(rows) = outcome {
                let fed = decoder.feed(payload, header.is_last()).map_err(bulk_error);
                outcome = match fed {
                    Ok(()) => self.load_portion(&mut decoder, header.is_last(), rows).await?,
                    Err(error) => Err(error),
                };
            }
            if header.is_last() {
                break header;
            }
        };
        let kept = header.kind == Kind::Bulk && !header.is_ignored();
        self.end_load(own, outcome, kept, header.kind).await
    }

    async fn load_portion(
        &mut self,
        decoder: &mut BulkDecoder,
        last: bool,
        before: u64,
    ) -> Result<Result<u64, SqlError>, ServerError> {
        match decoder.portion(last) {
            None => Ok(Ok(before)),
            Some(rows) => {
                let loaded = self.on_seat(move |seat| seat.session.bulk_rows(rows)).await?;
                Ok(loaded.map(|loaded| before + loaded))
            }
        }
    }

    async fn end_load(
        &mut self,
        own: bool,
        outcome: Result<u64, SqlError>,
        kept: bool,
        last_kind: Kind,
    ) -> Result<(), ServerError> {
        let keeps = kept && outcome.is_ok();
        let ended = self.on_seat(move |seat| bulk_end(seat, own, keeps)).await?;
        let outcome = outcome.and_then(|rows| ended.map(|()| rows));
        match (outcome, kept) {
            (_, false) if last_kind == Kind::Attention => self.acknowledge_attention().await,
            (_, false) => self.send_done(ignored()).await,
            (Ok(rows), true) => {
                self.send_done(Done { rows: Some(rows), ..Done::new(DoneOf::Batch) }).await
            }
            (Err(error), true) => self.send_error(&error).await,
        }
    }

    /// Short blocking work with the session.
    async fn on_seat<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Seat) -> T + Send + 'static,
    ) -> Result<T, ServerError> {
        let Some(mut seat) = self.seat.seat.take() else {
            return Err(ServerError::EngineLost);
        };
        let done = self.env.blocking("tds bulk", move || {
            let answer = work(&mut seat);
            (seat, answer)
        });
        let (seat, answer) = done.await.ok_or(ServerError::EngineLost)?;
        self.seat.seat = Some(seat);
        Ok(answer)
    }

    async fn acknowledge_attention(&mut self) -> Result<(), ServerError> {
        self.send_done(Done { attention: true, ..Done::new(DoneOf::Batch) }).await
    }

    async fn send_done(&mut self, done: Done) -> Result<(), ServerError> {
        let mut payload = Vec::new();
        done.put(&mut payload);
        self.send(payload).await
    }

    async fn send_error(&mut self, error: &SqlError) -> Result<(), ServerError> {
        let mut payload = Vec::new();
        tokens::put_error(&mut payload, &self.server, error);
        Done { failed: true, ..Done::new(DoneOf::Batch) }.put(&mut payload);
        self.send(payload).await
    }

    async fn send(&mut self, mut payload: Vec<u8>) -> Result<(), ServerError> {
        let mut framed = Vec::new();
        Framer::new(self.packet_bytes, self.session_number).finish(&mut payload, &mut framed);
        self.faults.moving().await;
        self.write.write_all(&framed).await?;
        self.write.flush().await?;
        Ok(())
    }

    /// As ordered. After an error of severity 20 the connection is at its end.
    async fn refuse_all(&mut self, error: &SqlError) -> Result<(), ServerError> {
        self.send_error(error).await?;
        if error.severity < 20 {
            return Ok(());
        }
        self.write.shutdown().await?;
        Err(ServerError::Dropped)
    }

    /// Tells the client that its request is not spoken here; the connection goes on.
    async fn refuse(&mut self, error: &ServerError) -> Result<(), ServerError> {
        self.send_error(&refusal(error)).await
    }

    /// Tells the client why, as far as it still listens, and ends the connection.
    async fn fail(&mut self, error: ServerError) -> Result<(), ServerError> {
        if let ServerError::Malformed { .. }
        | ServerError::Truncated
        | ServerError::TooLong { .. } = error
        {
            self.send_error(&refusal(&error).with_severity(20)).await?;
            self.write.shutdown().await?;
        }
        Err(error)
    }
}

/// Writes some of the bytes, or flushes when there are none. Nothing is lost when it is dropped.
async fn outward(
    write: &mut WriteHalf<BoxStream>,
    faults: &Faults,
    bytes: &[u8],
) -> Result<usize, ServerError> {
    faults.moving().await;
    if bytes.is_empty() {
        write.flush().await?;
        return Ok(0);
    }
    match write.write(bytes).await? {
        0 => Err(ServerError::Closed),
        written => Ok(written),
    }
}

/// The answer to a message that the client took back (2.2.1.7).
fn ignored() -> Done {
    Done { failed: true, ..Done::new(DoneOf::Batch) }
}

/// 8009 is SQL Server's number for a stream it cannot read, 8023 for a value that is none, 40517 for an option that this edition lacks.
fn refusal(error: &ServerError) -> SqlError {
    match error {
        ServerError::Unsupported { what } => SqlError::new(40_517, not_supported(what)),
        ServerError::NoValue { .. } => {
            SqlError::new(8_023, format!("The incoming TDS stream has a value that is {error}."))
        }
        other => SqlError::new(8_009, format!("The incoming TDS stream is incorrect: {other}.")),
    }
}

fn bulk_error(error: BulkError) -> SqlError {
    match error {
        BulkError::Sql(error) => error,
        BulkError::Wire(error) => refusal(&error),
    }
}

/// The answers of the wire's own transaction around a bulk load are not the client's matter.
fn unheard(_: Answer) -> Flow {
    Flow::Continue
}

fn bulk_begin(seat: &mut Seat, own: bool) -> Result<(), SqlError> {
    match own {
        true => seat.session.begin(Isolation::Unspecified, &mut unheard),
        false => seat.session.save(BULK_SAVEPOINT, &mut unheard),
    }
}

fn bulk_end(seat: &mut Seat, own: bool, keeps: bool) -> Result<(), SqlError> {
    match (own, keeps) {
        (true, true) => seat.session.commit(&mut unheard),
        (true, false) => seat.session.rollback(None, &mut unheard),
        (false, true) => Ok(()),
        (false, false) => seat.session.rollback(Some(BULK_SAVEPOINT), &mut unheard),
    }
}
