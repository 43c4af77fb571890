//! Requests of HTTP/1.1 on kept-alive connections with as little work as it takes, so that what is measured is the
//! other side. The answers' bytes are counted, not read.

use super::Fallible;
use super::spread::Spread;
use std::sync::{Arc, Mutex};
use tillhold_client::Door;
use tillhold_env::{BoxStream, Env, Locked as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// One connection.
pub struct Caller {
    stream: BoxStream,
    buffer: Vec<u8>,
}

/// Status and the whole body's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub status: u16,
    pub bytes: usize,
}

impl Caller {
    pub async fn connect(env: &Env, door: &Door) -> Fallible<Caller> {
        let stream = env.network.connect(&door.host, door.port).await?;
        Ok(Caller { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// What the last answer said, after its head.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.buffer);
        text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_string())
    }

    /// Sends a whole request and waits for a whole answer.
    pub async fn call(&mut self, request: &[u8]) -> Fallible<Told> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        loop {
            if let Some(told) = whole(&self.buffer) {
                return Ok(told);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the other side hung up".into());
            }
        }
    }
}

/// The answer, when all of it is there.
fn whole(bytes: &[u8]) -> Option<Told> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (bytes.len() >= end + length).then_some(Told { status, bytes: length })
}

pub fn request(door: &Door, method: &str, path: &str, body: &str) -> Vec<u8> {
    let content = match body {
        "" => String::new(),
        body => {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        }
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Bearer {}\r\n{content}\r\n{body}",
        door.host, door.port, door.token
    )
    .into_bytes()
}

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub bytes: usize,
}

/// `connections` callers, each asking `path(n)` for ever new `n` until the time is over. Every answer must be a 200.
pub async fn drive(
    env: &Env,
    door: &Door,
    connections: usize,
    seconds: f64,
    path: impl Fn(u64) -> String + Send + Sync + 'static,
) -> Fallible<Rate> {
    let path = Arc::new(path);
    let times: Arc<Mutex<Vec<u64>>> = Arc::default();
    let sizes: Arc<Mutex<usize>> = Arc::default();
    let (send, mut ended) = tokio::sync::mpsc::channel::<Result<(), String>>(connections);
    let started_us = env.clock.monotonic_us();
    let end_us = started_us + (seconds * 1e6) as u64;
    for at in 0..connections as u64 {
        let (env, door, path) = (env.clone(), door.clone(), path.clone());
        let (times, sizes, send) = (times.clone(), sizes.clone(), send.clone());
        env.clone().spawn(async move {
            let asked = ask_until(&env, &door, end_us, at, &*path).await;
            let told = asked.map(|(mine, bytes)| {
                times.locked().extend(mine);
                *sizes.locked() = bytes;
            });
            // The one who waits is there until all have ended.
            let _ = send.send(told.map_err(|error| error.to_string())).await;
        });
    }
    drop(send);
    while let Some(told) = ended.recv().await {
        told?;
    }
    let seconds = (env.clock.monotonic_us() - started_us) as f64 / 1e6;
    let times = std::mem::take(&mut *times.locked());
    let per_second = times.len() as f64 / seconds;
    let spread = Spread::of(times);
    let bytes = *sizes.locked();
    Ok(Rate { per_second, p50_us: spread.at(0.5), p99_us: spread.at(0.99), bytes })
}

async fn ask_until(
    env: &Env,
    door: &Door,
    end_us: u64,
    seed: u64,
    path: &(dyn Fn(u64) -> String + Send + Sync),
) -> Fallible<(Vec<u64>, usize)> {
    let mut caller = Caller::connect(env, door).await?;
    let (mut times, mut bytes, mut number) = (Vec::new(), 0, seed.wrapping_mul(0x9E37_79B9));
    loop {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        let request = request(door, "GET", &path(number >> 20), "");
        let began_us = env.clock.monotonic_us();
        if began_us >= end_us {
            return Ok((times, bytes));
        }
        let told = caller.call(&request).await?;
        if told.status != 200 {
            return Err(format!("answered {told:?}").into());
        }
        bytes = told.bytes;
        times.push(env.clock.monotonic_us() - began_us);
    }
}
