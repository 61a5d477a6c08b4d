//! The sync log as people look through it: each filter that leaves little goes by its own index.

use crate::{
    model::{Entropy, ErrorClass, ObjectKind, ProjectId, Run, RunId, RunStatus, Slug, Timestamp},
    store::{Error, Store, dialect::values, runs::select_runs},
};

/// Which runs of a project.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Of one connector only.
    pub connector: Option<Slug>,
    /// Of the connection with this number only.
    pub connection: Option<u32>,
    /// Of one object only.
    pub kind: Option<ObjectKind>,
    /// Only those that stand so.
    pub status: Option<RunStatus>,
    /// Only those with an error of this class.
    pub class: Option<ErrorClass>,
    /// Only those that began then or later.
    pub since: Option<Timestamp>,
    /// Only those that were begun before this one.
    pub before: Option<RunId>,
    /// Only those that were begun after this one, for the way back.
    pub after: Option<RunId>,
    /// How many at most.
    pub limit: u32,
}

/// What every list has; `$lead` is what its index begins with.
macro_rules! log {
    ($lead:literal, $order:literal) => {
        select_runs!(concat!(
            "WHERE ",
            $lead,
            " AND r.id >= $2 AND r.id < $3 AND ($4 IS NULL OR r.connection = $4)
              AND ($5 IS NULL OR r.status = $5) AND ($6 IS NULL OR r.error_class = $6)
              AND ($7 IS NULL OR r.object = $7) AND ($8 IS NULL OR c.connector = $8)
              ORDER BY r.id ",
            $order,
            " LIMIT $9"
        ))
    };
}

/// The four ways through the log, forward and back.
macro_rules! ways {
    ($order:literal) => {
        [
            log!("r.project = $1", $order),
            log!("r.project = $1 AND r.status = $5", $order),
            log!("r.project = $1 AND r.error IS NOT NULL", $order),
            log!("r.connection = $4 AND c.project = $1", $order),
        ]
    };
}

impl Store {
    /// Runs of a project, the last begun first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run_log(&self, project: ProjectId, filter: &LogFilter) -> Result<Vec<Run>, Error> {
        const NEWEST: [&str; 4] = ways!("DESC");
        const OLDEST: [&str; 4] = ways!("");
        let [by_time, by_status, by_class, by_connection] = match filter.after {
            Some(_) => OLDEST,
            None => NEWEST,
        };
        let sql = match filter {
            LogFilter {
                connection: Some(_),
                ..
            } => by_connection,
            LogFilter { class: Some(_), .. } => by_class,
            // Most runs are completed: that is no way to few.
            LogFilter {
                status: Some(status),
                ..
            } if *status != RunStatus::Completed => by_status,
            _ => by_time,
        };
        let first = filter.since.map(first_run_at).map(|run| run.to_string());
        let first = first.unwrap_or_default();
        // Ids are texts of hexadecimal digits.
        let from = match filter.after {
            Some(after) => first.max(format!("{after}+")),
            None => first,
        };
        let before = filter.before.map(|run| run.to_string());
        let values = values![
            project,
            from,
            before.unwrap_or_else(|| "g".to_owned()),
            filter.connection.map(i64::from),
            filter.status.map(RunStatus::as_str),
            filter.class.map(ErrorClass::as_str),
            filter.kind.map(|kind| i64::from(self.object(kind))),
            filter.connector.as_ref().map(ToString::to_string),
            filter.limit,
        ];
        let rows = self.database().read(sql, values).await?;
        let mut runs: Vec<Run> = rows
            .iter()
            .filter_map(|row| self.run_from(row).transpose())
            .collect::<Result<_, _>>()?;
        if filter.after.is_some() {
            runs.reverse();
        }
        Ok(runs)
    }
}

/// The lowest id that a run which begins then can have.
fn first_run_at(at: Timestamp) -> RunId {
    #[derive(Debug)]
    struct Lowest;
    impl Entropy for Lowest {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }
    RunId::generate(at, &Lowest)
}
