//! Servers that are not who they say they are.
//!
//! `tls/` holds a test authority, and certificates for one key: by the authority and good for 100
//! years, for another name, expired, and signed by itself.

use std::net::{Ipv4Addr, SocketAddr};

use rustls::{
    ServerConfig, ServerConnection, Stream,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::*;

const KEY: &[u8] = include_bytes!("tls/key.pem");
const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");

/// A server with that certificate: its port, and how many heads of requests it has read.
fn server(certificate: &[u8]) -> (u16, Arc<AtomicUsize>) {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let certificates = vec![CertificateDer::from_pem_slice(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut secure = Stream::new(&mut session, &mut stream);
            let mut head = [0; 1024];
            if secure.read(&mut head).is_ok_and(|bytes| bytes > 0) {
                seen.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                secure.write_all(answer).ok();
                secure.conn.send_close_notify();
                secure.flush().ok();
            }
        }
    });
    (port, heads)
}

/// A client that trusts the test authority.
fn trusting() -> Egress {
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) }));
    let policy = Policy {
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let egress = Egress::with_lookup(policy, Arc::clone(&lookup)).unwrap();
    let resolver = GuardedResolver {
        guard: Arc::clone(&egress.0.guard),
        encrypted: true,
        lookup,
    };
    let authority = reqwest::Certificate::from_pem(AUTHORITY).unwrap();
    let client = client(resolver)
        .https_only(true)
        .tls_certs_only([authority]);
    assert!(egress.0.secure.set(client.build().unwrap()).is_ok());
    egress
}

#[tokio::test]
async fn only_a_server_that_proves_its_name_is_spoken_to() {
    let (port, heads) = server(include_bytes!("tls/good.pem"));
    let url = format!("https://tls.example:{port}/");
    let answer = trusting().send(get(&url), &LIMITS).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert_eq!(heads.load(Ordering::SeqCst), 1);

    for (what, certificate, word) in [
        (
            "signed by itself",
            &include_bytes!("tls/self.pem")[..],
            "UnknownIssuer",
        ),
        (
            "for another name",
            include_bytes!("tls/other.pem"),
            "not valid for name",
        ),
        ("expired", include_bytes!("tls/expired.pem"), "expired"),
    ] {
        let (port, heads) = server(certificate);
        let url = format!("https://tls.example:{port}/?key=canary");
        let mut request = get(&url);
        let secret = HeaderValue::from_static("Bearer canary");
        request.headers.insert(header::AUTHORIZATION, secret);
        let error = error(trusting().send(request, &LIMITS).await);
        let Error::NotConnected(text) = &error else {
            panic!("{what}: {error:?}");
        };
        assert!(
            text.contains("tls.example") && text.contains(word),
            "{what}: {text}"
        );
        assert!(
            !error.was_sent() && !text.contains("canary"),
            "{what}: {text}"
        );
        assert_eq!(heads.load(Ordering::SeqCst), 0, "{what}");
    }
}

#[tokio::test]
async fn a_plain_server_is_not_spoken_to_over_https() {
    let plain = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, plain.port));
    let url = format!("https://{address}/");
    let error = error(
        trusting()
            .send(get(&url), &short(Duration::from_secs(2)))
            .await,
    );
    assert!(!matches!(error, Error::Denied(_)), "{error:?}");
}
