//! HTTP/1.1 on a socket, byte by byte: enough of it to break it on purpose.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Answer;

/// The longest head or body that is read.
const LONGEST: usize = 1 << 24;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Everything before the body, header names in small letters.
    pub(super) head: String,
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// A caller's socket.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    last: bool,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(own, _)| own == name);
        header.map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, as it was sent.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The same without a parameter of the query.
    pub(super) fn without(&self, name: &str) -> Self {
        let mut request = self.clone();
        if let Some((path, query)) = self.target.split_once('?') {
            let kept = query.split('&').filter(|pair| {
                let own = pair.split('=').next();
                own != Some(name)
            });
            request.target = format!("{path}?{}", kept.collect::<Vec<_>>().join("&"));
        }
        request
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let shown: String = headers
            .iter()
            .map(|(name, value)| format!("\n{name}: {value}"))
            .collect();
        Some(Self {
            head: format!("{first}{shown}"),
            method,
            target,
            headers,
            body: Vec::new(),
        })
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
            last: false,
        }
    }

    /// The next answer is the last one on this connection, and says so.
    pub(super) const fn ends(&mut self) {
        self.last = true;
    }

    /// The next request; none where the caller has gone.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        let end = loop {
            let end = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end + 4);
        let mut request = Request::parse(&head).ok_or(io::ErrorKind::InvalidData)?;
        let length = request.header("content-length");
        let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        while self.read.len() < length {
            if !self.more().await? {
                return Ok(None);
            }
        }
        request.body = self.read.drain(..length).collect();
        Ok(Some(request))
    }

    async fn more(&mut self) -> io::Result<bool> {
        if self.read.len() > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    /// A whole answer.
    pub(super) async fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        let mut bytes = self.head(answer);
        bytes.extend_from_slice(&answer.body);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await
    }

    /// Says how long the answer is, sends half of it and ends.
    pub(super) async fn half(&mut self, answer: &Answer) -> io::Result<()> {
        let mut bytes = self.head(answer);
        bytes.extend_from_slice(&answer.body[..answer.body.len() / 2]);
        self.stream.write_all(&bytes).await?;
        self.stream.shutdown().await
    }

    /// Sends the body byte by byte, for as long as somebody listens.
    pub(super) async fn drip(&mut self, answer: &Answer, pause: Duration) -> io::Result<()> {
        self.stream.write_all(&self.head(answer)).await?;
        for byte in &answer.body {
            self.stream.write_all(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Answers nothing until the caller goes away.
    pub(super) async fn wait_for_end(&mut self) -> io::Result<()> {
        while self.more().await? {}
        Ok(())
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    fn head(&self, answer: &Answer) -> Vec<u8> {
        let headers: String = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let last = if self.last {
            "connection: close\r\n"
        } else {
            ""
        };
        format!(
            "HTTP/1.1 {} Whatever\r\n{headers}{last}content-length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        )
        .into_bytes()
    }
}

/// A quarter of a MiB of gzip in which 256 MiB of zeros are.
pub(super) fn bomb() -> Vec<u8> {
    let zeros = std::process::Command::new("sh")
        .args(["-c", "head -c 268435456 /dev/zero | gzip -1"])
        .output()
        .expect("gzip is there");
    zeros.stdout
}
