//! The log of exchanges with providers: written in batches, listed by connection, removed when it
//! is old or long.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Bulk, Row, bulk, values},
    without_nulls,
};
use crate::model::{
    Exchange, ExchangeCause, ExchangeId, ExchangeReason, ExchangeRow, Scope, Timestamp,
};

/// Rows that go in one transaction.
const BATCH: u32 = 1000;

/// Which exchanges of a connection.
#[derive(Clone, Debug, Default)]
pub struct ExchangeFilter {
    /// Only those that failed: without an answer, or with a status from 400.
    pub failed: bool,
    /// Only those of this cause.
    pub cause: Option<ExchangeCause>,
    /// Only those for this execution of a sync, or request to this server.
    pub subject: Option<String>,
    /// Only those before this one.
    pub before: Option<ExchangeId>,
    /// At most so many.
    pub limit: u32,
}

/// The columns that [`exchange_from`] reads.
macro_rules! exchange_columns {
    () => {
        "e.id, e.connection, e.at, e.cause, e.subject, e.method, e.url, e.status, e.error, \
         e.message, e.duration_ms, e.bytes_out, e.bytes_in, e.attempt, e.request_headers, \
         e.response_headers, e.request_body, e.response_body"
    };
}

impl Store {
    /// Writes exchanges in one transaction.
    ///
    /// # Errors
    /// The database failed: none is written.
    pub async fn write_exchanges(&self, exchanges: &[Exchange]) -> Result<(), Error> {
        const SQL: Bulk = bulk!(
            "INSERT INTO exchange (id, connection, at, cause, subject, method, url, status, error,
                 message, duration_ms, bytes_out, bytes_in, attempt, request_headers,
                 response_headers, request_body, response_body)",
            ["$1" "text", "$2" "bigint", "$3" "bigint", "$4" "text", "$5" "text", "$6" "text",
             "$7" "text", "$8" "bigint", "$9" "text", "$10" "text", "$11" "bigint",
             "$12" "bigint", "$13" "bigint", "$14" "bigint", "$15" "text", "$16" "text",
             "$17" "text", "$18" "text"],
            ""
        );
        let big = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let text = |text: &Option<String>| text.as_deref().map(without_nulls);
        let rows = exchanges.iter().map(|exchange| {
            values![
                ExchangeId::generate(exchange.at, self.entropy()).to_string(),
                exchange.reason.connection,
                exchange.at,
                exchange.reason.cause.as_str(),
                text(&exchange.reason.subject),
                without_nulls(&exchange.method),
                without_nulls(&exchange.url),
                exchange.status.map(i64::from),
                text(&exchange.error),
                text(&exchange.message),
                big(exchange.duration_ms),
                big(exchange.bytes_out),
                exchange.bytes_in.map(big),
                exchange.attempt,
                without_nulls(&exchange.request_headers),
                without_nulls(&exchange.response_headers),
                text(&exchange.request_body),
                text(&exchange.response_body),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let mut tx = self.begin().await?;
        tx.bulk(SQL, rows).await?;
        tx.commit().await
    }

    /// Exchanges of a connection, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn exchanges(
        &self,
        scope: &Scope,
        filter: &ExchangeFilter,
    ) -> Result<Vec<ExchangeRow>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            exchange_columns!(),
            " FROM exchange e JOIN connection c ON c.number = e.connection
              WHERE e.connection = $1 AND c.project = $2
                AND (NOT $3 OR e.status IS NULL OR e.status >= 400)
                AND (CAST($4 AS TEXT) IS NULL OR e.cause = $4)
                AND (CAST($5 AS TEXT) IS NULL OR e.subject = $5)
                AND (CAST($6 AS TEXT) IS NULL OR e.id < $6)
              ORDER BY e.id DESC LIMIT $7"
        );
        let values = values![
            scope.connection().number,
            scope.project(),
            filter.failed,
            filter.cause.map(ExchangeCause::as_str),
            filter.subject.as_deref(),
            filter.before.map(|id| id.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter().map(|row| exchange_from(scope, row)).collect()
    }

    /// One exchange of a connection.
    ///
    /// # Errors
    /// The database failed.
    pub async fn exchange(
        &self,
        scope: &Scope,
        id: ExchangeId,
    ) -> Result<Option<ExchangeRow>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            exchange_columns!(),
            " FROM exchange e JOIN connection c ON c.number = e.connection
              WHERE e.connection = $1 AND c.project = $2 AND e.id = $3"
        );
        let values = values![scope.connection().number, scope.project(), id.to_string()];
        let row = self.database().read_one(SQL, values).await?;
        row.map(|row| exchange_from(scope, &row)).transpose()
    }

    /// Removes exchanges that were made before a moment, and of each connection all but the last
    /// `most`; how many. It rests between transactions and may be dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_exchanges(
        &self,
        before: Timestamp,
        most: u32,
        rest: Duration,
    ) -> Result<u64, Error> {
        const OLD: &str = "DELETE FROM exchange WHERE id IN (
                SELECT id FROM exchange WHERE at < $1 ORDER BY at LIMIT $2)";
        const LONG: &str = "SELECT connection, COUNT(*) FROM exchange
            GROUP BY connection HAVING COUNT(*) > $1";
        const SURPLUS: &str = "DELETE FROM exchange WHERE id IN (
                SELECT id FROM exchange WHERE connection = $1 ORDER BY id LIMIT $2)";
        let mut pruned = 0;
        loop {
            match self.database().write(OLD, values![before, BATCH]).await? {
                0 => break,
                more => pruned += more,
            }
            tokio::time::sleep(rest).await;
        }
        for row in self.database().read(LONG, values![most]).await? {
            let (connection, mut surplus) = (row.int(0)?, row.int(1)? - i64::from(most));
            while surplus > 0 {
                let batch = surplus.min(i64::from(BATCH));
                let went = self
                    .database()
                    .write(SURPLUS, values![connection, batch])
                    .await?;
                pruned += went;
                surplus -= batch;
                tokio::time::sleep(rest).await;
            }
        }
        Ok(pruned)
    }
}

fn exchange_from(scope: &Scope, row: &Row) -> Result<ExchangeRow, Error> {
    let status = row.optional_int(7)?;
    let bytes_in = row.optional_int(12)?;
    Ok(ExchangeRow {
        id: row.parsed(0)?,
        connection: scope.connection().id,
        exchange: Exchange {
            reason: ExchangeReason {
                connection: row.number(1)?,
                cause: row.parsed_by(3, ExchangeCause::parse)?,
                subject: row.optional_text(4)?,
            },
            at: row.time(2)?,
            method: row.text(5)?,
            url: row.text(6)?,
            status: status.and_then(|status| u16::try_from(status).ok()),
            error: row.optional_text(8)?,
            message: row.optional_text(9)?,
            duration_ms: row.number(10)?,
            bytes_out: row.number(11)?,
            bytes_in: bytes_in.and_then(|bytes| u64::try_from(bytes).ok()),
            attempt: row.number(13)?,
            request_headers: row.text(14)?,
            response_headers: row.text(15)?,
            request_body: row.optional_text(16)?,
            response_body: row.optional_text(17)?,
        },
    })
}
