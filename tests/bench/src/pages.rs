//! When the dashboard shows something, in Chromium, where there are many runs and connections: the
//! first contentful paint, and how much of it the server took.
//!
//! The rows are made in bulk with SQL; the server is the real program, on SQLite.

use std::{str::FromStr as _, time::Duration};

use jackfield_tests::{Backend, Browser, Server};
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::runtime::Runtime;

use crate::{
    Arguments, Result,
    measure::{median, say, say_load, say_verdict},
    plugins::{demo_crm, program},
};

/// Runs, unless the arguments say so. There are a tenth as many connections.
const RUNS: &[usize] = &[100_000];
const LOADS: usize = 20;
/// The most milliseconds until something is painted, of 95 in a hundred loads.
const TARGET: f64 = 300.0;

pub(crate) fn pages(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    let program = program(arguments)?;
    let connector = demo_crm(arguments)?;
    say("pages: ms until the first contentful paint in Chromium, and of these the server's own");
    say(
        "runs     page                    | first  median     p95 | server median     p95 | document, KiB",
    );
    let mut verdicts = Vec::new();
    for runs in arguments.sizes(RUNS) {
        runtime.block_on(async {
            let server = Server::on(Backend::Sqlite).await.program_file(&program);
            let mut server = server.start().await;
            server.drop_in("demo-crm.wasm", &connector);
            let project = server.new_project("Acme");
            let browser = Browser::open().await;
            browser.sign_in(&server).await;
            // Nobody else writes while the rows are made.
            server.stop();
            seed(server.database_url(), &project, runs).await?;
            server.start_again().await;
            for (name, path) in [
                ("overview", ""),
                ("runs", "/runs"),
                ("runs that failed", "/runs?status=failed"),
                ("connections", "/connections"),
                ("linked users", "/linked-users"),
                ("troubleshooting", "/diagnosis"),
            ] {
                let url = format!("{}/dashboard/{project}{path}", server.base_url());
                let slowest = page(&browser, runs, name, &url, arguments).await?;
                verdicts.push((format!("{name}, {runs} runs, p95 ms"), slowest));
            }
            server.stop();
            Ok::<_, crate::Error>(())
        })?;
    }
    for (what, slowest) in verdicts {
        say_verdict(&what, slowest, TARGET, false);
    }
    say_load();
    Ok(())
}

/// Loads a page again and again; gives the 95th percentile of its paints, ms.
async fn page(
    browser: &Browser,
    runs: usize,
    name: &str,
    url: &str,
    arguments: &Arguments,
) -> Result<f64> {
    let (mut paints, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..=arguments.rounds.unwrap_or(LOADS) {
        browser.goto(url).await;
        let paint = browser.first_contentful_paint().await;
        let navigation = browser
            .evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
            .await;
        if navigation["responseStatus"] != 200 {
            return Err(format!("{url} answers {}", navigation["responseStatus"]).into());
        }
        let at = |name: &str| navigation[name].as_f64().unwrap_or_default();
        paints.push(paint);
        answers.push(at("responseEnd") - at("requestStart"));
    }
    let size = browser
        .evaluate("performance.getEntriesByType('navigation')[0].decodedBodySize")
        .await;
    // The first one also reads files that the browser keeps.
    let first = paints.remove(0);
    answers.remove(0);
    let slowest = late(&paints);
    say(format_args!(
        "{runs:<8} {name:<23} | {first:>5.0} {:>7.0} {slowest:>7.0} | {:>13.1} {:>7.1} | {:>13.0}",
        median(&paints),
        median(&answers),
        late(&answers),
        size.as_f64().unwrap_or_default() / 1024.0,
    ));
    Ok(slowest)
}

/// The 95th percentile.
fn late(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// Customers, connections, syncs, runs of a month and events, as months of work leave them. The
/// sealed parts are empty: nothing that a page shows needs them.
async fn seed(url: &str, project: &str, runs: usize) -> Result<()> {
    const PARTS: [&str; 8] = [
        "CREATE TEMP TABLE seed AS SELECT $1 AS project, $2 AS runs, $2 / 10 AS connections, $3 AS now",
        "INSERT OR IGNORE INTO object_kind (name) VALUES ('crm.contact')",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, seed WHERE i < connections)
         INSERT INTO linked_user (id, project, origin_id, alias, created_at)
         SELECT printf('00000000-0000-4000-8000-%012x', i), project, 'customer-' || i, 'Customer ' || i, now - 86400000 + i
         FROM n, seed",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, seed WHERE i < connections)
         INSERT INTO connection (id, project, linked_user, connector, vertical, scheme, environment, account, account_name,
             settings, sealed_token, status, status_reason, written_at, created_at)
         SELECT printf('00000000-0000-4000-8001-%012x', i), project, printf('00000000-0000-4000-8000-%012x', i), 'demo-crm',
             'crm', 'key', 'production', 'account-' || i, 'Account ' || i, '{}', x'00',
             CASE WHEN i % 40 = 0 THEN 'needs_reconnect' ELSE 'valid' END,
             CASE WHEN i % 40 = 0 THEN 'the provider refuses the key' ELSE '' END, now, now - 86400000 + i
         FROM n, seed",
        "INSERT INTO sync_state (connection, object, position, full_done, next_run_at, again, attempt, fence, records_read, pages,
             last_status, last_error, last_finished_at)
         SELECT c.number, o.number, 0, 1, now + 864000000000, 0, 0, 1, 120, 2,
             CASE WHEN c.number % 40 = 0 THEN 'failed' ELSE 'completed' END,
             CASE WHEN c.number % 40 = 0 THEN 'the provider refuses the key' END, now - 60000
         FROM connection c, object_kind o, seed WHERE o.name = 'crm.contact'",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, seed WHERE i < runs),
         at (i, ms) AS (SELECT i, now - 2592000000 + i * (2592000000 / runs) FROM n, seed)
         INSERT INTO sync_run (id, project, connection, object, direction, trigger, status, is_full, resumed, connector_version,
             attempts, pages, records_read, created, updated, unchanged, deleted, failed, conflicts, pushed, requests, bytes,
             error_class, error, errors, started_at, updated_at, finished_at)
         SELECT printf('%08x-%04x-7%03x-8%03x-%012x', ms >> 16, ms & 65535, i & 4095, 0, i), project,
             (SELECT MIN(number) FROM connection) + i % connections, o.number, 'inbound', 'schedule',
             CASE WHEN i % 25 = 0 THEN 'failed' ELSE 'completed' END, 0, 0, '0.1.0', 1, 2, 120, i % 7, i % 11, 100, 0, 0, 0, 0, 3,
             40000, CASE WHEN i % 25 = 0 THEN 'provider' END,
             CASE WHEN i % 25 = 0 THEN 'the provider answered 503' END,
             CASE WHEN i % 25 = 0 THEN '{\"provider\":1}' ELSE '{}' END, ms, ms + 900, ms + 900 + i % 2000
         FROM at, seed, object_kind o WHERE o.name = 'crm.contact'",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, seed WHERE i < runs)
         INSERT INTO event (id, project, connection, type, data, created_at)
         SELECT printf('00000000-0000-4000-8002-%012x', i), project, (SELECT MIN(number) FROM connection) + i % connections,
             CASE WHEN i % 3 = 0 THEN 'sync.completed' ELSE 'crm.contact.updated' END, '{}', now - 2592000000 + i * (2592000000 / runs)
         FROM n, seed",
        "ANALYZE",
    ];
    let options = SqliteConnectOptions::from_str(url)?.busy_timeout(Duration::from_secs(30));
    let mut database: SqliteConnection = options.connect().await?;
    let now = std::time::UNIX_EPOCH.elapsed()?.as_millis();
    let mut transaction = database.begin().await?;
    let [first, rest @ ..] = PARTS;
    sqlx::query(first)
        .bind(project)
        .bind(i64::try_from(runs)?)
        .bind(i64::try_from(now)?)
        .execute(&mut *transaction)
        .await?;
    for part in rest {
        sqlx::query(part).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    database.close().await?;
    Ok(())
}
