//! The network: a cable inside the process, whose other end the target holds.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tillhold_env::{BoxFuture, BoxStream, Listener, Network};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::Notify;

/// What fits on the way, as in a socket's buffer.
const ON_THE_WAY_BYTES: usize = 64 << 10;

/// Whoever connects waits here until somebody accepts.
#[derive(Clone, Default)]
pub struct Cable {
    waiting: Arc<Mutex<VecDeque<DuplexStream>>>,
    rings: Arc<Notify>,
}

impl Cable {
    pub fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(ON_THE_WAY_BYTES);
        self.waiting().push_back(far);
        self.rings.notify_one();
        near
    }

    pub async fn accept(&self) -> DuplexStream {
        loop {
            if let Some(stream) = self.waiting().pop_front() {
                return stream;
            }
            self.rings.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<DuplexStream>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for Cable {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async { Ok(Box::new(Cable::connect(self)) as BoxStream) })
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let end = End { cable: self.clone(), at };
        Box::pin(async move { Ok(Box::new(end) as Box<dyn Listener>) })
    }
}

struct End {
    cable: Cable,
    at: SocketAddr,
}

impl Listener for End {
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxStream, SocketAddr)>> {
        Box::pin(async { Ok((Box::new(self.cable.accept().await) as BoxStream, self.at)) })
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }
}
