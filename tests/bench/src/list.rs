//! `list`: 50 records through the whole server, against a handler that has nothing to do but to
//! read the same rows of the same file and to write the same answer.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use jackfield::{
    diagnosis::Diagnoses,
    egress::{Egress, Policy, StreamLimits},
    http::{self, Limits, RateLimit, Services},
    market::{Logins, Market, Outlets},
    model::{Clock, Cursor, Entropy, RecordId, SystemClock, SystemEntropy, Timestamp},
    unify::Unify,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Arguments, Error, Result,
    database::{Database, kind},
    load,
    measure::{rounds, say, say_load, say_verdict},
    people,
    plugins::Plugins,
    webhooks,
};

const ROUNDS: usize = 7;
const TURN: Duration = Duration::from_secs(2);
const LIMIT: usize = 50;
/// Requests per second, ours by the limit.
const TARGET: f64 = 0.8;

pub(crate) fn list(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    let plugins = runtime.block_on(Plugins::load(arguments, None))?;
    say_load();
    say(format_args!(
        "list: {LIMIT} records through the whole server / a bare axum + sqlx handler over the same SQLite file,"
    ));
    say(format_args!(
        "      {} connections; best and median of the rounds",
        load::CONNECTIONS
    ));
    say(
        "stored   page       |  bare requests/s  |  ours requests/s  |  ours / bare |  p50 and p99, ms |  resident, MiB",
    );
    let mut verdicts = Vec::new();
    for size in arguments.sizes(&[1_000, 20_000, 100_000]) {
        let servers = runtime.block_on(Servers::start(&plugins, size))?;
        let pages = [
            ("first", None),
            ("middle", Some(&servers.middle)),
            ("last", Some(&servers.last)),
        ];
        for (page, cursor) in pages {
            let path = match cursor {
                None => format!("/crm/contacts?limit={LIMIT}"),
                Some(cursor) => format!("/crm/contacts?limit={LIMIT}&cursor={cursor}"),
            };
            let request = servers.request(&path);
            let (bare, ours) = runtime.block_on(async {
                let bare = load::once(servers.bare, &request).await?;
                Ok::<_, Error>((bare, load::once(servers.ours, &request).await?))
            })?;
            if bare != ours {
                return Err(format!("the answers differ:\n{bare}\n{ours}").into());
            }
            let comparison = rounds(arguments.rounds.unwrap_or(ROUNDS), || {
                let limit = load::run(servers.bare, &request, bare.len(), TURN)?;
                Ok((limit, load::run(servers.ours, &request, ours.len(), TURN)?))
            })?;
            let latencies = load::latencies(servers.ours, &request, ours.len(), TURN)?;
            let slowest = |share: f64| {
                let place = (latencies.len() as f64 * share) as usize;
                let latency = latencies.get(place).copied().unwrap_or_default();
                latency.as_secs_f64() * 1000.0
            };
            let (limit, mine, ratio) = (comparison.limit(), comparison.ours(), comparison.ratios());
            say(format_args!(
                "{size:>7}  {page:<10} | {:>8.0} {:>8.0} | {:>8.0} {:>8.0} | {:>5.2} {:>5.2} | {:>7.2} {:>7.2} | {:>6}",
                1.0 / limit.0,
                1.0 / limit.1,
                1.0 / mine.0,
                1.0 / mine.1,
                1.0 / ratio.0,
                1.0 / ratio.1,
                slowest(0.5),
                slowest(0.99),
                resident()?,
            ));
            verdicts.push((format!("{size} stored, {page} page"), 1.0 / ratio.1));
        }
        runtime.block_on(servers.stop())?;
    }
    for (what, ratio) in verdicts {
        say_verdict(&what, ratio, TARGET, true);
    }
    say_load();
    Ok(())
}

/// Both servers, over one file.
struct Servers {
    database: Database,
    bare: SocketAddr,
    ours: SocketAddr,
    /// A cursor to a page in the middle.
    middle: String,
    /// A cursor to the last whole page.
    last: String,
    pool: SqlitePool,
    _stop: DropGuard,
}

impl Servers {
    async fn start(plugins: &Plugins, size: usize) -> Result<Self> {
        let connector = plugins.connector("demo-crm")?;
        let database = Database::sqlite(connector.manifest()).await?;
        database.fill(&people::demo(size)?).await?;
        let stop = CancellationToken::new();
        let ours = serve_ours(plugins, &database, stop.clone()).await?;
        let pool = open(&database.url).await?;
        let middle = place(&pool, size / 2).await?;
        let last = place(&pool, size.saturating_sub(LIMIT + 1)).await?;
        let bare = serve_bare(pool.clone(), stop.clone()).await?;
        Ok(Self {
            database,
            bare,
            ours,
            middle,
            last,
            pool,
            _stop: stop.drop_guard(),
        })
    }

    /// The same for both, though one does not look at its headers.
    fn request(&self, path: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\nx-connection-token: {}\r\n\r\n",
            self.database.api_key.expose_secret(),
            self.database.token.expose_secret(),
        )
    }

    async fn stop(self) -> Result<()> {
        self.pool.close().await;
        self.database.remove().await
    }
}

async fn serve_ours(
    plugins: &Plugins,
    database: &Database,
    stop: CancellationToken,
) -> Result<SocketAddr> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let unify = Unify::new(
        database.store.clone(),
        database.vault.clone(),
        plugins.runtime.clone(),
        Arc::clone(&clock),
        Arc::clone(&entropy),
        100,
    );
    let services = Services {
        stopping: stop.clone(),
        store: database.store.clone(),
        unify,
        vault: database.vault.clone(),
        webhooks: webhooks::of(database)?,
        runtime: plugins.runtime.clone(),
        clock,
        entropy,
        public_url: "http://127.0.0.1".parse()?,
        inbound: Arc::default(),
        questions: Arc::default(),
        market: Market::new(database.store.clone(), Arc::new(SystemClock)),
        outlets: Outlets::new(
            Egress::new(Policy::default())?,
            Logins::default(),
            Vec::new(),
        ),
        request_timeout: Duration::from_secs(60),
        sync_interval: Duration::from_secs(3600),
        diagnoses: Diagnoses::new(database.store.clone(), Arc::new(SystemClock)),
        assistant: None,
        requests: Arc::default(),
        rate_limit: RateLimit::new(0),
        watches: http::Watches::default(),
        stream_limits: StreamLimits {
            idle: Duration::from_secs(60),
            max_bytes: 1 << 30,
        },
    };
    let router = http::router(Arc::new(services), Router::new(), |_| None);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let limits = Limits {
        max_connections: 1024,
        head_timeout: Duration::from_secs(30),
        drain: Duration::from_secs(1),
    };
    tokio::spawn(http::serve(listener, router, limits, stop));
    Ok(address)
}

async fn serve_bare(pool: SqlitePool, stop: CancellationToken) -> Result<SocketAddr> {
    let router = Router::new()
        .route("/crm/contacts", get(bare))
        .with_state(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        stream.set_nodelay(true).unwrap_or_default();
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move { server.await });
    Ok(address)
}

/// As many readers as the server has.
async fn open(url: &str) -> Result<SqlitePool> {
    let options: SqliteConnectOptions = url.parse()?;
    let options = options.pragma("query_only", "on");
    Ok(SqlitePoolOptions::new()
        .max_connections(16)
        .connect_with(options)
        .await?)
}

/// What this process has in memory, in MiB: both servers, their client, SQLite's caches and all.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.ok_or("no VmRSS")?.parse::<u64>()? / 1024)
}

/// A cursor to the page that begins after so many records.
async fn place(pool: &SqlitePool, skipped: usize) -> Result<String> {
    let sql = "SELECT modified_at, id FROM record ORDER BY modified_at, id LIMIT 1 OFFSET $1";
    let (modified_at, id): (i64, Vec<u8>) = sqlx::query_as(sql)
        .bind(i64::try_from(skipped)?)
        .fetch_one(pool)
        .await?;
    let id = RecordId::from_bytes(&id).ok_or("no id")?;
    Ok(cursor(false, modified_at, id).encode())
}

fn cursor(backward: bool, modified_at: i64, id: RecordId) -> Cursor {
    Cursor {
        backward,
        modified_at: Timestamp::from_millis(modified_at),
        id,
    }
}

#[derive(Deserialize)]
struct Page {
    limit: usize,
    cursor: Option<String>,
}

type Row = (Vec<u8>, String, String, String, i64, i64);

/// What a program would do that had only this to do: one query, one text.
async fn bare(State(pool): State<SqlitePool>, Query(page): Query<Page>) -> Response {
    match answer(&pool, &page).await {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )
            .into_response(),
    }
}

async fn answer(pool: &SqlitePool, page: &Page) -> Result<String> {
    const SQL: &str = "SELECT id, remote_id, unified, custom, created_at, modified_at FROM record
         WHERE connection = 1 AND object = $1 AND (modified_at, id) > ($2, $3) AND deleted_at IS NULL
         ORDER BY modified_at, id LIMIT $4";
    let from = page.cursor.as_deref().map(Cursor::decode).transpose()?;
    let (modified_at, id) = match &from {
        Some(cursor) => (
            cursor.modified_at.as_millis(),
            cursor.id.as_bytes().to_vec(),
        ),
        None => (i64::MIN, Vec::new()),
    };
    let rows: Vec<Row> = sqlx::query_as(SQL)
        .bind(object(pool).await?)
        .bind(modified_at)
        .bind(id)
        .bind(i64::try_from(page.limit + 1)?)
        .fetch_all(pool)
        .await?;
    let shown = rows.get(..page.limit).unwrap_or(&rows);
    let place = |row: &Row, backward| {
        let id = RecordId::from_bytes(&row.0)?;
        Some(cursor(backward, row.5, id).encode())
    };
    let mut json = String::with_capacity(shown.iter().map(|row| row.2.len() + 320).sum());
    json.push_str(r#"{"prev_cursor":"#);
    let previous = shown.first().filter(|_| from.is_some());
    push_text(&mut json, previous.and_then(|row| place(row, true)))?;
    json.push_str(r#","next_cursor":"#);
    let next = shown.last().filter(|_| rows.len() > page.limit);
    push_text(&mut json, next.and_then(|row| place(row, false)))?;
    json.push_str(r#","data":["#);
    for (index, (id, remote_id, unified, custom, created_at, modified_at)) in
        shown.iter().enumerate()
    {
        let separator = if index == 0 { "" } else { "," };
        let id = RecordId::from_bytes(id).ok_or("no id")?;
        let (created_at, modified_at) = (
            Timestamp::from_millis(*created_at),
            Timestamp::from_millis(*modified_at),
        );
        let remote_id = serde_json::to_string(remote_id)?;
        let fields = unified.strip_prefix('{').unwrap_or("}");
        write!(
            json,
            r#"{separator}{{"id":"{id}","remote_id":{remote_id},"created_at":"{created_at}","modified_at":"{modified_at}","field_mappings":{custom},{fields}"#
        )?;
    }
    json.push_str("]}");
    Ok(json)
}

fn push_text(json: &mut String, text: Option<String>) -> Result<()> {
    json.push_str(&serde_json::to_string(
        &text.map_or(Value::Null, Value::String),
    )?);
    Ok(())
}

/// The number of the object in this database, asked for once.
async fn object(pool: &SqlitePool) -> Result<i64> {
    static NUMBER: tokio::sync::OnceCell<i64> = tokio::sync::OnceCell::const_new();
    let number = NUMBER.get_or_try_init(async || {
        let sql = "SELECT number FROM object_kind WHERE name = $1";
        let (number,): (i64,) = sqlx::query_as(sql)
            .bind(kind()?.name())
            .fetch_one(pool)
            .await?;
        Ok::<_, Error>(number)
    });
    number.await.copied()
}
