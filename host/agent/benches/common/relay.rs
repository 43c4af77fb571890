//! A relay between the agent and the channel that counts round trips from outside.
//!
//! * A round trip is a turn: the agent speaks after the channel has spoken. TDS has one request at
//!   a time on a connection, so that nothing is counted twice and nothing is hidden by encryption.
//! * Handshake and login count like everything else.

use super::Fallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One connection's turns and what the agent said on it.
#[derive(Default)]
pub struct Talk {
    is_agents_turn: AtomicBool,
    turns: AtomicU64,
    bytes: AtomicU64,
    answered: AtomicU64,
    started_us: AtomicU64,
}

/// What was said on all connections so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    pub round_trips: u64,
    /// To the channel.
    pub up: u64,
    pub down: u64,
}

impl std::ops::Sub for Total {
    type Output = Total;

    fn sub(self, earlier: Total) -> Total {
        Total {
            round_trips: self.round_trips - earlier.round_trips,
            up: self.up - earlier.up,
            down: self.down - earlier.down,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub round_trips: u64,
    pub bytes: u64,
    pub started_us: u64,
}

pub struct Relay {
    pub address: SocketAddr,
    talks: Arc<Mutex<Vec<Arc<Talk>>>>,
}

impl Relay {
    pub async fn start(env: &Env, channel: SocketAddr) -> Fallible<Relay> {
        let listener = env.network.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.address()?;
        let talks: Arc<Mutex<Vec<Arc<Talk>>>> = Arc::default();
        let (kept, outer) = (talks.clone(), env.clone());
        env.spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let talk = Arc::new(Talk::default());
                kept.lock().expect("nobody panics holding it").push(talk.clone());
                let inner = outer.clone();
                outer.spawn(async move { relay(&inner, agent, channel, talk).await });
            }
        });
        Ok(Relay { address, talks })
    }

    pub fn total(&self) -> Total {
        let talks = self.talks.lock().expect("nobody panics holding it");
        talks.iter().fold(Total::default(), |sum, talk| Total {
            round_trips: sum.round_trips + talk.turns.load(Ordering::Relaxed),
            up: sum.up + talk.bytes.load(Ordering::Relaxed),
            down: sum.down + talk.answered.load(Ordering::Relaxed),
        })
    }

    /// The connection on which the agent said most: the one that uploads.
    pub fn busiest(&self) -> Option<Told> {
        let talks = self.talks.lock().expect("nobody panics holding it");
        let told = |talk: &Arc<Talk>| Told {
            round_trips: talk.turns.load(Ordering::Relaxed),
            bytes: talk.bytes.load(Ordering::Relaxed),
            started_us: talk.started_us.load(Ordering::Relaxed),
        };
        talks.iter().map(told).max_by_key(|told| told.bytes)
    }
}

async fn relay(env: &Env, agent: BoxStream, channel: SocketAddr, talk: Arc<Talk>) {
    let Ok(stream) = env.network.connect("127.0.0.1", channel.port()).await else { return };
    talk.started_us.store(env.clock.monotonic_us(), Ordering::Relaxed);
    talk.is_agents_turn.store(true, Ordering::Relaxed);
    let (from_agent, to_agent) = tokio::io::split(agent);
    let (from_channel, to_channel) = tokio::io::split(stream);
    let answers = talk.clone();
    let up = carry(from_agent, to_channel, move |bytes| {
        let is_turn = talk.is_agents_turn.swap(false, Ordering::SeqCst);
        talk.turns.fetch_add(u64::from(is_turn), Ordering::Relaxed);
        talk.bytes.fetch_add(bytes, Ordering::Relaxed);
    });
    let down = carry(from_channel, to_agent, move |bytes| {
        answers.answered.fetch_add(bytes, Ordering::Relaxed);
        answers.is_agents_turn.store(true, Ordering::SeqCst);
    });
    tokio::select! { () = up => {}, () = down => {} }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    note: impl Fn(u64),
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        note(read as u64);
        if to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}
