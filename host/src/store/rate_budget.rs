//! What is left of providers' rate limits: one budget for all hosts of this database, by its
//! clock. Syncs that have to wait for it wait here too.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Row, Sql, Tx, count, values},
    lease::{self, clocked},
    syncs::ClaimedSync,
};
use crate::model::{
    Ask, BudgetScope, ErrorClass, Granted, RunError, Said, Scope, Timestamp, Window, WindowRule,
};

/// How long a window that is over is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What somebody got of a bucket, and how it stands then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased {
    /// What he got.
    pub granted: Granted,
    /// The bucket.
    pub window: Window,
    /// The database's time.
    pub now: Timestamp,
}

/// Which budget: whose, and the manifest's name of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetKey {
    subject: String,
    bucket: String,
}

impl BudgetKey {
    /// The bucket that this connection shares with others of `sharing`. Without an account at the
    /// provider it shares with nobody.
    #[must_use]
    pub fn new(scope: &Scope, sharing: BudgetScope, bucket: &str) -> Self {
        let connection = scope.connection();
        let (number, slug) = (connection.number, &connection.connector);
        let subject = match (sharing, &connection.account) {
            (BudgetScope::App, _) => format!("p:{slug}"),
            (BudgetScope::Account, Some(account)) => format!("a:{slug}:{account}"),
            (BudgetScope::Connection | BudgetScope::Account, _) => format!("c:{number}"),
        };
        Self {
            subject,
            bucket: bucket.to_owned(),
        }
    }
}

/// The rule of a bucket that nobody counts.
const UNCOUNTED: WindowRule = WindowRule {
    requests: 0,
    length: Duration::ZERO,
    reserve_percent: 0,
};

impl Store {
    /// Takes from a bucket.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lease_budget(
        &self,
        key: &BudgetKey,
        rule: &WindowRule,
        ask: &Ask,
    ) -> Result<Leased, Error> {
        let mut tx = self.begin().await?;
        let (mut window, now) = take_row(&mut tx, key, rule).await?;
        let granted = window.take(rule, ask, now);
        save(&mut tx, key, &window).await?;
        tx.commit().await?;
        Ok(Leased {
            granted,
            window,
            now,
        })
    }

    /// Writes down what the provider says of a bucket; how it stands then, and the database's time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn correct_budget(
        &self,
        key: &BudgetKey,
        rule: &WindowRule,
        said: &Said,
    ) -> Result<(Window, Timestamp), Error> {
        let mut tx = self.begin().await?;
        let (mut window, now) = take_row(&mut tx, key, rule).await?;
        window.correct(rule, said, now);
        save(&mut tx, key, &window).await?;
        tx.commit().await?;
        Ok((window, now))
    }

    /// Empties a bucket for everybody for a time. Without a rule, only the time counts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn block_budget(
        &self,
        key: &BudgetKey,
        rule: Option<&WindowRule>,
        wait: Duration,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let (mut window, now) = take_row(&mut tx, key, rule.unwrap_or(&UNCOUNTED)).await?;
        window.block(now.plus(wait));
        save(&mut tx, key, &window).await?;
        tx.commit().await
    }

    /// How a bucket stands, and the database's time; no window where nothing was ever taken.
    ///
    /// # Errors
    /// The database failed.
    pub async fn budget(&self, key: &BudgetKey) -> Result<(Option<Window>, Timestamp), Error> {
        const SQL: Sql = clocked!(
            "SELECT present.now, declared, tokens, used, ends_at, blocked_until
             FROM (SELECT " now " AS now) AS present
             LEFT JOIN rate_budget ON subject = $1 AND bucket = $2"
        );
        let values = values![key.subject.as_str(), key.bucket.as_str()];
        let row = self.database().read_one(SQL, values).await?;
        let Some(row) = row else {
            return Err(Error::Missing("time"));
        };
        let window = match row.optional_int(1)? {
            Some(_) => Some(window(&row, 1)?),
            None => None,
        };
        Ok((window, row.time(0)?))
    }

    /// Lets a claimed sync wait for the provider: it is due again at `until` and goes on after its
    /// last page. The claim counts as no attempt, and nothing has failed. False where the claim
    /// was lost, and then nothing is written.
    ///
    /// # Errors
    /// The database failed.
    pub async fn postpone_sync(
        &self,
        claimed: &ClaimedSync,
        until: Timestamp,
        reason: &str,
    ) -> Result<bool, Error> {
        let sql = "UPDATE sync_state
                   SET lease_owner = NULL, lease_until = NULL, next_run_at = $4,
                       attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END,
                       last_status = 'rate_limited', last_error = $5
                   WHERE connection = $1 AND object = $2 AND fence = $3
                     AND lease_owner IS NOT NULL";
        let values = values![
            claimed.scope.connection().number,
            self.object(claimed.kind),
            claimed.fence,
            until,
            super::without_nulls(reason),
        ];
        let mut tx = self.begin().await?;
        if tx.execute(sql, values).await? == 0 {
            return Ok(false);
        }
        // The run goes on.
        let sql = "UPDATE sync_run SET next_attempt_at = $2, updated_at = $3
                   WHERE id = $1 AND finished_at IS NULL";
        let values = values![claimed.run.to_string(), until, self.now()];
        tx.execute(sql, values).await?;
        self.count_rest(&mut tx, claimed).await?;
        let waits = RunError::new(ErrorClass::RateLimited, reason);
        self.note_error(&mut tx, claimed.run, &waits).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The row of a bucket, taken for this transaction and made where there is none, and the time.
async fn take_row(
    tx: &mut Tx,
    key: &BudgetKey,
    rule: &WindowRule,
) -> Result<(Window, Timestamp), Error> {
    const TAKE: Sql = {
        const READ: Sql = clocked!(
            "SELECT declared, tokens, used, ends_at, blocked_until, " now " FROM rate_budget
             WHERE subject = $1 AND bucket = $2"
        );
        const LOCKED: Sql = clocked!(
            "SELECT declared, tokens, used, ends_at, blocked_until, " now " FROM rate_budget
             WHERE subject = $1 AND bucket = $2 FOR UPDATE"
        );
        Sql {
            sqlite: READ.sqlite,
            postgres: LOCKED.postgres,
        }
    };
    const PRUNE: Sql = clocked!(
        "DELETE FROM rate_budget WHERE ends_at < " now " - $1
         AND COALESCE(blocked_until, 0) < " now " - $1"
    );
    let place = || values![key.subject.as_str(), key.bucket.as_str()];
    if let Some(row) = tx.row(TAKE, place()).await? {
        return Ok((window(&row, 0)?, row.time(5)?));
    }
    // New rows are rare: a good occasion to look for old ones.
    tx.execute(PRUNE, values![lease::millis(KEPT)]).await?;
    let sql = "INSERT INTO rate_budget (subject, bucket, declared, tokens, used, ends_at)
               VALUES ($1, $2, $3, $3, 0, 0) ON CONFLICT (subject, bucket) DO NOTHING";
    let mut values = place();
    values.push(number(rule.requests).into());
    tx.execute(sql, values).await?;
    let row = tx.row(TAKE, place()).await?;
    let row = row.ok_or(Error::Missing("budget"))?;
    Ok((window(&row, 0)?, row.time(5)?))
}

async fn save(tx: &mut Tx, key: &BudgetKey, window: &Window) -> Result<(), Error> {
    let sql = "UPDATE rate_budget
               SET declared = $3, tokens = $4, used = $5, ends_at = $6, blocked_until = $7
               WHERE subject = $1 AND bucket = $2";
    let values = values![
        key.subject.as_str(),
        key.bucket.as_str(),
        number(window.declared),
        number(window.limit),
        number(window.used),
        window.ends_at,
        window.blocked_until,
    ];
    tx.execute(sql, values).await.map(drop)
}

fn number(tokens: u64) -> i64 {
    count(usize::try_from(tokens).unwrap_or(usize::MAX))
}

fn window(row: &Row, first: usize) -> Result<Window, Error> {
    Ok(Window {
        declared: row.number(first)?,
        limit: row.number(first + 1)?,
        used: row.number(first + 2)?,
        ends_at: row.time(first + 3)?,
        blocked_until: row.optional_time(first + 4)?,
    })
}
