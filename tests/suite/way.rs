//! A way to the channel that fails on command: the fault proxy of the tests, between real sockets on loopback.
//!
//! * What is ordered concerns the connections that there are and those that come, until it is healed.
//! * A connection whose bytes were held back or lost is reset when it is healed: nobody gets half an answer late.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tillhold_env::Env;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nobody listens; connections are reset.
    Refuse,
    /// Connections are reset, once; new ones are taken.
    Reset,
    /// Nothing is read, forwarded, closed or taken on; the kernel still takes connections and bytes.
    HalfOpen,
    /// One connection stops in the middle of an answer, after so many bytes of answers.
    Stall { after: usize },
    /// Every piece that is forwarded comes so much later.
    Delay(Duration),
    /// So many bytes a second and direction.
    Throttle { bytes_per_second: u32 },
    /// Every connection is reset after so many bytes in both directions.
    ResetAfter { bytes: usize },
    /// The channel hears everything and is not heard.
    AnswersLost,
    /// The channel hears nothing.
    QuestionsLost,
}

impl Cut {
    /// Whether a connection that lived under it is of no use afterwards.
    fn loses_bytes(self) -> bool {
        matches!(self, Cut::HalfOpen | Cut::AnswersLost | Cut::QuestionsLost)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Questions,
    Answers,
}

struct State {
    to: SocketAddr,
    cut: watch::Sender<Option<Cut>>,
    /// Grows with every moment at which all connections are reset.
    resets: watch::Sender<u64>,
    listening: watch::Sender<bool>,
    /// Whether a stall has found its connection.
    stalled: watch::Sender<bool>,
}

#[derive(Clone)]
pub struct Way {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Way {
    pub async fn open(to: SocketAddr) -> Way {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            to,
            cut: watch::Sender::new(None),
            resets: watch::Sender::new(0),
            listening: watch::Sender::new(true),
            stalled: watch::Sender::new(false),
        });
        Env::real().spawn(take_on(state.clone(), address, listener));
        Way { address, state }
    }

    /// Comes back when it is in force.
    pub async fn order(&self, cut: Cut) {
        self.state.stalled.send_replace(false);
        self.state.cut.send_replace(Some(cut).filter(|cut| *cut != Cut::Reset));
        if let Cut::Refuse | Cut::Reset = cut {
            self.state.resets.send_modify(|resets| *resets += 1);
        }
        let listens = cut != Cut::Refuse;
        settle(&self.state.listening, |listening| *listening == listens).await;
    }

    /// Comes back when connections are taken again.
    pub async fn heal(&self) {
        let cut = self.state.cut.send_replace(None);
        if cut.is_some_and(Cut::loses_bytes) {
            self.state.resets.send_modify(|resets| *resets += 1);
        }
        settle(&self.state.listening, |listening| *listening).await;
    }

    /// Waits until a stall has found its connection.
    pub async fn stalled(&self) {
        settle(&self.state.stalled, |stalled| *stalled).await;
    }
}

async fn settle<T>(state: &watch::Sender<T>, wanted: impl FnMut(&T) -> bool) {
    // The sender is borrowed here: it cannot be gone.
    let _ = state.subscribe().wait_for(wanted).await;
}

/// The seam's listener hides the socket, and only a socket can be reset.
#[allow(clippy::disallowed_methods, reason = "a reset is a matter of sockets")]
async fn listen(at: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(at).await {
            Ok(listener) => return listener,
            // Another program's connection may have the port for a moment.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a reset is a matter of sockets")]
async fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    TcpStream::connect(to).await
}

async fn take_on(state: Arc<State>, address: SocketAddr, first: TcpListener) {
    let mut listener = Some(first);
    loop {
        let is = |wanted| {
            let state = &state;
            async move { settle(&state.cut, |cut| (*cut == Some(Cut::Refuse)) == wanted).await }
        };
        let Some(open) = &listener else {
            is(false).await;
            listener = Some(listen(address).await);
            state.listening.send_replace(true);
            continue;
        };
        tokio::select! {
            biased;
            () = is(true) => {
                listener = None;
                state.listening.send_replace(false);
            }
            accepted = next(&state, open) => {
                if let Ok(register) = accepted {
                    Env::real().spawn(state.clone().carry(register));
                }
            }
        }
    }
}

/// The next connection; none is taken on while the way is half open.
async fn next(state: &State, listener: &TcpListener) -> std::io::Result<TcpStream> {
    settle(&state.cut, |cut| *cut != Some(Cut::HalfOpen)).await;
    Ok(listener.accept().await?.0)
}

impl State {
    async fn carry(self: Arc<State>, mut register: TcpStream) {
        let before = *self.resets.borrow();
        let Ok(mut channel) = connect(self.to).await else { return reset(&register) };
        // Small pieces do not wait for larger ones.
        let _ = (register.set_nodelay(true), channel.set_nodelay(true));
        let is_reset = {
            let (from_register, to_register) = register.split();
            let (from_channel, to_channel) = channel.split();
            // What a reset after so many bytes has still to let through, in both directions.
            let left = AtomicUsize::new(usize::MAX);
            let questions = pin!(self.pass(Direction::Questions, from_register, to_channel, &left));
            let answers = pin!(self.pass(Direction::Answers, from_channel, to_register, &left));
            tokio::select! {
                biased;
                () = settle(&self.resets, |resets| *resets > before) => true,
                is_reset = questions => is_reset,
                is_reset = answers => is_reset,
            }
        };
        if is_reset {
            reset(&register);
            reset(&channel);
        }
    }

    /// Forwards until one side has ended (false) or is to be reset.
    async fn pass(
        &self,
        direction: Direction,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        left: &AtomicUsize,
    ) -> bool {
        let (mut buffer, mut answered) = (vec![0; 16 << 10], 0);
        loop {
            settle(&self.cut, |cut| *cut != Some(Cut::HalfOpen)).await;
            let Ok(count @ 1..) = from.read(&mut buffer).await else { return false };
            let cut = *self.cut.borrow();
            let lost = match cut {
                // Its bytes are lost with the connection, which is reset when it is healed.
                Some(Cut::HalfOpen) => true,
                Some(Cut::AnswersLost) => direction == Direction::Answers,
                Some(Cut::QuestionsLost) => direction == Direction::Questions,
                _ => false,
            };
            if lost {
                continue;
            }
            match cut {
                Some(Cut::Delay(late)) => tokio::time::sleep(late).await,
                Some(Cut::Throttle { bytes_per_second }) => {
                    let time = count as f64 / f64::from(bytes_per_second);
                    tokio::time::sleep(Duration::from_secs_f64(time)).await;
                }
                Some(Cut::ResetAfter { bytes }) => {
                    // Counted from the first piece under this order.
                    let before = left.load(Ordering::Relaxed).min(bytes);
                    let Some(after) = before.checked_sub(count) else { return true };
                    left.store(after, Ordering::Relaxed);
                }
                Some(Cut::Stall { after }) if direction == Direction::Answers => {
                    answered += count;
                    if answered > after && !self.stalled.send_replace(true) {
                        settle(&self.cut, |now| *now != cut).await;
                        return true;
                    }
                }
                _ => left.store(usize::MAX, Ordering::Relaxed),
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return false;
            }
        }
    }
}

/// Closed with RST instead of FIN.
fn reset(stream: &TcpStream) {
    // Fails only for a socket that is gone.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::{Cut, Way, connect, listen};
    use crate::harness::proof;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tillhold_env::Env;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    const SHORT: Duration = Duration::from_millis(300);

    /// Answers every byte with a hundred.
    async fn answering() -> SocketAddr {
        let listener = listen(([127, 0, 0, 1], 0).into()).await;
        let address = listener.local_addr().expect("an address");
        Env::real().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                Env::real().spawn(async move {
                    while stream.read_u8().await.is_ok() {
                        let _ = stream.write_all(&[7; 100]).await;
                    }
                });
            }
        });
        address
    }

    /// The bytes that come for a question in a short time; an error is a reset.
    async fn ask(stream: &mut TcpStream) -> Result<usize, std::io::ErrorKind> {
        let mut count = 0;
        let mut buffer = [0; 100];
        let asked = tokio::time::timeout(SHORT, async {
            stream.write_all(&[1]).await?;
            while count < 100 {
                match stream.read(&mut buffer).await? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    more => count += more,
                }
            }
            Ok::<_, std::io::Error>(())
        });
        match asked.await {
            Ok(Err(error)) => Err(error.kind()),
            _ => Ok(count),
        }
    }

    #[test]
    fn each_cut_is_what_it_says() {
        let reset = Err(std::io::ErrorKind::ConnectionReset);
        for (cut, during, after) in [
            (Cut::Reset, reset, reset),
            (Cut::HalfOpen, Ok(0), reset),
            (Cut::Stall { after: 50 }, Ok(0), reset),
            (Cut::Delay(Duration::from_secs(1)), Ok(0), Ok(100)),
            (Cut::Throttle { bytes_per_second: 200 }, Ok(0), Ok(100)),
            (Cut::ResetAfter { bytes: 101 }, Ok(100), Ok(100)),
            (Cut::ResetAfter { bytes: 100 }, reset, reset),
            (Cut::AnswersLost, Ok(0), reset),
            (Cut::QuestionsLost, Ok(0), reset),
        ] {
            proof(async move {
                let way = Way::open(answering().await).await;
                let mut stream = connect(way.address).await.expect("a connection");
                assert_eq!(ask(&mut stream).await, Ok(100), "before {cut:?}");
                way.order(cut).await;
                assert_eq!(ask(&mut stream).await, during, "under {cut:?}");
                way.heal().await;
                if during != reset {
                    // What was held back may still come; what was lost never does.
                    let mut buffer = [0; 200];
                    let late = tokio::time::timeout(4 * SHORT, stream.read(&mut buffer));
                    let is_late = during == Ok(0) && matches!(late.await, Ok(Ok(1..)));
                    let again = ask(&mut stream).await;
                    let lives = matches!(again, Ok(1..));
                    assert_eq!(
                        (lives, is_late || during != Ok(0)),
                        (after != reset, lives),
                        "after {cut:?}"
                    );
                }
                let mut stream = connect(way.address).await.expect("a new connection");
                assert_eq!(ask(&mut stream).await, Ok(100), "a new one after {cut:?}");
            });
        }
    }

    #[test]
    fn nobody_listens_while_it_is_refused() {
        proof(async {
            let way = Way::open(answering().await).await;
            let mut stream = connect(way.address).await.expect("a connection");
            assert_eq!(ask(&mut stream).await, Ok(100));
            way.order(Cut::Refuse).await;
            assert!(ask(&mut stream).await.is_err());
            let refused = connect(way.address).await.map(drop).map_err(|error| error.kind());
            assert_eq!(refused, Err(std::io::ErrorKind::ConnectionRefused));
            way.heal().await;
            let mut stream = connect(way.address).await.expect("a connection again");
            assert_eq!(ask(&mut stream).await, Ok(100));
        });
    }
}
