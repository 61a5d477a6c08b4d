//! The accept loop.
//!
//! `axum::serve` sets no timer, so a client that sends half a head stays connected for ever
//! (measured); this loop has deadlines, a cap on connections, and an orderly end.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::MapRequest;
use tracing::{debug, info, warn};

/// When asked to stop: the longest time for which those are let in whom the system has connected,
/// and for which they may begin to say what they want.
const LAST_CALL: Duration = Duration::from_millis(250);
/// Time without a new one after which there is none.
const SILENCE: Duration = Duration::from_millis(10);

/// Who is at the other end of a request's connection: the client, or a proxy in front of us. Every
/// request has one among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Limits of the front door.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at the same time; more wait in the system's queue.
    pub max_connections: usize,
    /// Time for a connection's first byte, and then for each request's head. An idle connection
    /// is closed after it.
    pub head_timeout: Duration,
    /// Time that running requests have to finish at the end.
    pub drain: Duration,
}

impl Limits {
    /// As configured, with 30 s for a request's head.
    #[must_use]
    pub fn new(http: &crate::config::Http) -> Self {
        Self {
            max_connections: http.max_connections as usize,
            head_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(http.drain_seconds),
        }
    }
}

/// Serves `router` until `stop` is cancelled, then lets running requests finish.
///
/// # Errors
/// Never while it serves: a failed accept is logged and tried again. When it stops: what the
/// system says of the last sockets.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(64 * 1024);
    let serve = |stream, peer: SocketAddr, permit| {
        let connection = talk(
            (stream, peer.ip()),
            builder.clone(),
            router.clone(),
            limits.head_timeout,
            stop.clone(),
        );
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%peer, %error, "connection ended early");
            }
            drop(permit);
        });
    };
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.map_err(io::Error::other)?,
        };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        serve(stream, peer, permit);
    }
    // Whom the system has connected already is answered too: closing the door would reset him.
    let end = Instant::now() + LAST_CALL;
    while let Ok(permit) = Arc::clone(&permits).try_acquire_owned()
        && Instant::now() < end
        && let Ok((stream, peer)) = timeout(SILENCE, accept(&listener)).await
    {
        serve(stream, peer, permit);
    }
    // The runtime may not have heard of the last of them yet: the system is asked itself.
    let listener = listener.into_std()?;
    while let Ok(permit) = Arc::clone(&permits).try_acquire_owned()
        && let Ok((stream, peer)) = listener.accept()
    {
        stream.set_nonblocking(true)?;
        serve(TcpStream::from_std(stream)?, peer, permit);
    }
    drop(listener);
    connections.close();
    if timeout(limits.drain, connections.wait()).await.is_err() {
        warn!(
            seconds = limits.drain.as_secs(),
            "requests still ran when the server stopped"
        );
    } else {
        info!("all requests finished");
    }
    Ok(())
}

/// One connection, from its first byte to its end. After `stop` a request that was begun is
/// answered, and no further one is taken.
async fn talk(
    (stream, peer): (TcpStream, IpAddr),
    builder: http1::Builder,
    router: Router,
    patience: Duration,
    stop: CancellationToken,
) -> hyper::Result<()> {
    if !speaks(&stream, patience, &stop).await {
        return Ok(());
    }
    let service = MapRequest::new(router, move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // The connection first: `graceful_shutdown` closes one of which nothing was read yet.
        biased;
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Whether a first byte arrives: within `patience`, after `stop` within [`LAST_CALL`].
async fn speaks(stream: &TcpStream, patience: Duration, stop: &CancellationToken) -> bool {
    let mut byte = [0];
    let mut first = pin!(timeout(patience, stream.peek(&mut byte)));
    let first = tokio::select! {
        biased;
        first = first.as_mut() => first,
        () = stop.cancelled() => match timeout(LAST_CALL, first).await {
            Ok(first) => first,
            Err(late) => Err(late),
        },
    };
    matches!(first, Ok(Ok(1)))
}

/// The next connection. Errors of single connections and a lack of file descriptors pass.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%peer, %error, "no TCP_NODELAY");
                }
                return (stream, peer);
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Notify,
    };

    use super::*;

    fn limits(head_timeout: Duration) -> Limits {
        Limits {
            max_connections: 8,
            head_timeout,
            drain: Duration::from_secs(20),
        }
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_or_half_a_head_is_sent_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let limits = limits(Duration::from_millis(50));
        let server = tokio::spawn(serve(listener, Router::new(), limits, stop.clone()));
        for head in ["", "GET / HTTP/1.1\r\nHos"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let end = client.read_to_end(&mut answer);
            timeout(Duration::from_secs(10), end)
                .await
                .expect("the server closes the connection")
                .unwrap();
        }
        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_running_request_finishes_when_the_server_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
            move || async move {
                entered.notify_one();
                leave.notified().await;
                "done"
            }
        };
        let router = Router::new().route("/", get(handler));
        let stop = CancellationToken::new();
        let limits = limits(Duration::from_secs(20));
        let server = tokio::spawn(serve(listener, router, limits, stop.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        entered.notified().await;
        stop.cancel();
        leave.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_was_let_in_and_speaks_after_the_stop_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "done" }));
        let stop = CancellationToken::new();
        let limits = limits(Duration::from_secs(20));
        let mut client = TcpStream::connect(address).await.unwrap();
        stop.cancel();
        let server = tokio::spawn(serve(listener, router, limits, stop.clone()));
        tokio::task::yield_now().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }
}
