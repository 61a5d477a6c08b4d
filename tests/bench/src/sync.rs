//! `sync`: the first sync of a connection, against loops that do by hand what has to be done.

mod loops;

use std::time::{Duration, Instant};

use jackfield::{
    model::{SystemClock, SystemEntropy},
    store::{Renewal, SyncOutcome},
    unify::Unify,
};
use std::sync::Arc;
use tokio::runtime::Runtime;

use crate::{
    Arguments, Error, Result,
    database::Database,
    measure::{rounds, say, say_load, say_verdict},
    people,
    plugins::Plugins,
    provider::{self, Pages},
};
use loops::Loop;

const ROUNDS: usize = 7;
const LEASE: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum Kind {
    Sqlite,
    Postgres(String),
}

pub(crate) fn sync(runtime: &Runtime, arguments: &Arguments) -> Result<()> {
    say_load();
    say(
        "sync: the first sync of a connection through the sandbox / a native loop (fetch the same pages,",
    );
    say(
        "      map with the connector's code, write the same table by hand), records/s, best and median",
    );
    say(format_args!("      pages of {} records", arguments.page));
    say(
        "database   records  limit                |  limit            |  ours             |  ours / limit",
    );
    let mut databases = vec![(Kind::Sqlite, 0.8)];
    match &arguments.postgres {
        Some(url) => databases.push((Kind::Postgres(url.clone()), 0.7)),
        None => say("(no PostgreSQL: neither --postgres nor JACKFIELD_TEST_POSTGRES_URL)"),
    }
    let mut verdicts = Vec::new();
    for (database, target) in databases {
        for size in arguments.sizes(&[2_000, 20_000]) {
            let people = people::demo(size)?;
            let pages = Pages::new(&people, arguments.page, Duration::ZERO)?;
            let address = runtime.block_on(provider::serve(pages))?;
            let plugins =
                runtime.block_on(Plugins::load(arguments, Some(format!("http://{address}"))))?;
            for kind in [Loop::Records, Loop::RecordsAndEvents, Loop::Store] {
                let url = format!("http://{address}/v1/people");
                let comparison = rounds(arguments.rounds.unwrap_or(ROUNDS), || {
                    let limit = runtime.block_on(async {
                        let database = database.make(&plugins).await?;
                        let seconds = kind.run(&database, &url, size).await?;
                        database.remove().await?;
                        Ok::<_, Error>(seconds)
                    })?;
                    let ours = runtime.block_on(ours(&database, &plugins, size))?;
                    let each = size as f64;
                    Ok((limit / each, ours / each))
                })?;
                let (limit, mine, ratio) =
                    (comparison.limit(), comparison.ours(), comparison.ratios());
                let (name, what) = (database.name(), kind.name());
                say(format_args!(
                    "{name:<10} {size:>7}  {what:<20} | {:>8.0} {:>8.0} | {:>8.0} {:>8.0} | {:>5.2} {:>5.2}",
                    1.0 / limit.0,
                    1.0 / limit.1,
                    1.0 / mine.0,
                    1.0 / mine.1,
                    1.0 / ratio.0,
                    1.0 / ratio.1,
                ));
                if let Loop::RecordsAndEvents = kind {
                    verdicts.push((format!("{name}, {size} records"), 1.0 / ratio.1, target));
                }
            }
        }
    }
    for (what, ratio, target) in verdicts {
        say_verdict(&what, ratio, target, true);
    }
    say_load();
    Ok(())
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    async fn make(&self, plugins: &Plugins) -> Result<Database> {
        let connector = plugins.connector("demo-crm")?;
        match self {
            Self::Sqlite => Database::sqlite(connector.manifest()).await,
            Self::Postgres(server) => Database::postgres(server, connector.manifest()).await,
        }
    }
}

/// As a worker of the server does it: claim, page after page, finish.
async fn ours(kind: &Kind, plugins: &Plugins, size: usize) -> Result<f64> {
    let database = kind.make(plugins).await?;
    let unify = Unify::new(
        database.store.clone(),
        database.vault.clone(),
        plugins.runtime.clone(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        100,
    );
    let store = database.store.clone();
    let worker = tokio::spawn(async move {
        let started = Instant::now();
        let claimed = store.claim_syncs("bench", LEASE, 1).await?;
        let mut claimed = claimed.into_iter().next().ok_or("no sync is due")?;
        let mut records = 0;
        loop {
            let progress = unify.sync_page(&mut claimed).await?;
            records += progress.records - progress.failed;
            if progress.done {
                let since = Some(progress.run_started_at);
                let next = claimed.state.next_run_at.plus(Duration::from_secs(3600));
                store
                    .finish_sync(&claimed, SyncOutcome::Completed { since }, next)
                    .await?;
                return Ok::<_, Error>((records, started.elapsed().as_secs_f64()));
            }
            if store.renew_sync(&claimed, LEASE).await? != Renewal::Held {
                return Err("the lease is lost".into());
            }
        }
    });
    let (records, seconds) = worker.await??;
    database.remove().await?;
    if records != size {
        return Err(format!("{records} of {size} records were synced").into());
    }
    Ok(seconds)
}
