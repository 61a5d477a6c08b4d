//! A small client: some connections that stay open, each with one request at a time.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Builder,
};

use crate::{Error, Result};

/// Connections at the same time.
pub(crate) const CONNECTIONS: usize = 16;

/// Sends the same request for so long, on a thread of its own: seconds per answer. Every answer
/// has to be 200 and `length` bytes long.
pub(crate) fn run(
    address: SocketAddr,
    request: &str,
    length: usize,
    duration: Duration,
) -> Result<f64> {
    let answers = latencies(address, request, length, duration)?;
    Ok(duration.as_secs_f64() / answers.len() as f64)
}

/// The same: how long each answer took, shortest first.
pub(crate) fn latencies(
    address: SocketAddr,
    request: &str,
    length: usize,
    duration: Duration,
) -> Result<Vec<Duration>> {
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(all(address, request, length, duration))
        });
        client
            .join()
            .unwrap_or_else(|_| Err("the client panicked".into()))
    })
}

async fn all(
    address: SocketAddr,
    request: &str,
    length: usize,
    duration: Duration,
) -> Result<Vec<Duration>> {
    let end = Instant::now() + duration;
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let request = request.to_owned();
        connections.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut answers = Vec::new();
            loop {
                let began = Instant::now();
                if began >= end {
                    return Ok(answers);
                }
                let body = connection.send(&request).await?;
                if body != length {
                    return Err(Error::from(format!(
                        "an answer of {body} bytes instead of {length}"
                    )));
                }
                answers.push(began.elapsed());
            }
        });
    }
    let mut answers = Vec::new();
    while let Some(connection) = connections.join_next().await {
        answers.extend(connection??);
    }
    answers.sort_unstable();
    Ok(answers)
}

/// The body of one answer.
pub(crate) async fn once(address: SocketAddr, request: &str) -> Result<String> {
    let mut connection = Connection::open(address).await?;
    let length = connection.send(request).await?;
    let start = connection.buffer.len() - length;
    let body = connection.buffer.get(start..).unwrap_or_default();
    Ok(String::from_utf8(body.to_vec())?)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(128 * 1024),
        })
    }

    /// Sends a request and reads its answer, which stays at the end of the buffer: the bytes of
    /// its body.
    async fn send(&mut self, request: &str) -> Result<usize> {
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let (mut head, mut body) = (None, 0);
        while head.is_none_or(|head| self.buffer.len() < head + body) {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if head.is_none()
                && let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                head = Some(end + 4);
                body = length(self.buffer.get(..end).unwrap_or_default())?;
            }
        }
        Ok(body)
    }
}

/// What the head says of the body's length.
fn length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("the server answered {head}").into());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse())
    });
    Ok(length.ok_or("an answer without its length")??)
}
