//! What was changed before something began to fail: from the audit log, and from what the things
//! themselves tell.

use std::time::Duration;

use super::{
    Diagnoses, Error,
    rule::ChangeKind,
    sighting::{Place, Sighting},
};
use crate::model::{AuditEntry, ConnectionId, OAuthAppKey, ProjectId, Timestamp};

/// Entries of the audit log that are read of one subject.
const ENTRIES: u32 = 50;
/// Where nothing ever went well, changes of this time before count.
const BEFORE_FIRST: Duration = Duration::from_secs(86_400);
/// A change may be written a little after what it breaks.
const SLACK: Duration = Duration::from_secs(60);
/// Changes that are told of at most.
const MOST: usize = 5;

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind of thing.
    pub kind: ChangeKind,
    /// When.
    pub at: Timestamp,
    /// What, in a sentence. Never a value that somebody typed.
    pub what: String,
}

/// Which time counts as before.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub(super) project: ProjectId,
    pub(super) since: Timestamp,
    pub(super) last_success_at: Option<Timestamp>,
}

impl Before {
    fn holds(&self, at: Timestamp) -> bool {
        let is_late_enough = match self.last_success_at {
            Some(good) => at > good,
            None => at >= self.since.minus(BEFORE_FIRST),
        };
        is_late_enough && at <= self.since.plus(SLACK)
    }
}

impl Diagnoses {
    /// Changes before something failed, the last first. `good` is the version of the connector
    /// with which it went well last.
    pub(super) async fn changes(
        &self,
        before: &Before,
        sighting: &Sighting,
        good: Option<&String>,
    ) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        let connector = sighting.connector.as_ref();
        let mut subjects: Vec<String> = connector.map(ToString::to_string).into_iter().collect();
        match sighting.place {
            Place::Connection(id) => {
                subjects.push(id.to_string());
                subjects.extend(self.app_of(before.project, id).await?);
            }
            Place::Webhook(id) => subjects.push(id.to_string()),
        }
        for subject in subjects {
            for row in self.store.audited(&subject, ENTRIES).await? {
                let entry = row.entry;
                let is_ours = entry
                    .project
                    .is_none_or(|project| project == before.project);
                if is_ours
                    && before.holds(entry.at)
                    && let Some((kind, what)) = told(&entry)
                {
                    changes.push(Change {
                        kind,
                        at: entry.at,
                        what,
                    });
                }
            }
        }
        let is_new = |changes: &[Change], kind| changes.iter().all(|change| change.kind != kind);
        if let (Some(good), Some(by)) = (good, &sighting.by)
            && good != by
            && is_new(&changes, ChangeKind::Version)
        {
            changes.push(Change {
                kind: ChangeKind::Version,
                at: before.since,
                what: format!("Version {good} worked; version {by} fails."),
            });
        }
        if let (Place::Connection(id), Some(slug)) = (sighting.place, connector) {
            let (store, project) = (&self.store, before.project);
            let config = store.sync_config_changed(project, id).await?;
            let mapping = store.mapping_changed(project, slug).await?;
            let noted = [
                (
                    ChangeKind::Settings,
                    config,
                    "How it is synced was changed.",
                ),
                (
                    ChangeKind::Mapping,
                    mapping,
                    "A mapping of a custom field was changed.",
                ),
            ];
            for (kind, at, what) in noted {
                if let Some(at) = at.filter(|at| before.holds(*at))
                    && is_new(&changes, kind)
                {
                    let what = what.to_owned();
                    changes.push(Change { kind, at, what });
                }
            }
        }
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        changes.truncate(MOST);
        Ok(changes)
    }

    /// What the audit log calls the project's OAuth app that a connection would use.
    async fn app_of(
        &self,
        project: ProjectId,
        connection: ConnectionId,
    ) -> Result<Option<String>, Error> {
        let scope = self.store.scope_by_id(project, connection).await?;
        Ok(scope.map(|scope| {
            let connection = scope.connection();
            let key = OAuthAppKey {
                connector: connection.connector.clone(),
                scheme: connection.scheme.clone(),
                environment: connection.environment,
            };
            key.to_string()
        }))
    }
}

/// What an entry of the audit log says, where it is about a change that may break something.
fn told(entry: &AuditEntry) -> Option<(ChangeKind, String)> {
    let version = || {
        let version = entry.details.get("version")?.as_str()?;
        Some(format!(" {version}"))
    };
    let version = version().unwrap_or_default();
    let slug = &entry.subject;
    let (kind, what) = match entry.action.as_str() {
        "connection.create" => (
            ChangeKind::Connected,
            "The account was connected.".to_owned(),
        ),
        "credential.replace" => (
            ChangeKind::Reconnected,
            "Somebody logged in again.".to_owned(),
        ),
        "connector.version" | "connector.install" => (
            ChangeKind::Version,
            format!("Version{version} of {slug} began to serve."),
        ),
        "connector.rollback" | "connector.uninstall" => (
            ChangeKind::Version,
            format!("{slug} was set back to another version."),
        ),
        "connector.grant" => (
            ChangeKind::Grant,
            format!("What {slug} asked for was granted."),
        ),
        "connector.revoke" => (
            ChangeKind::Grant,
            format!("What had been granted to {slug} was taken back."),
        ),
        "connector.disable" => (ChangeKind::Stopped, format!("{slug} was disabled.")),
        "connector.suspend" => (
            ChangeKind::Stopped,
            format!("{slug} was suspended after crashes."),
        ),
        "connection.settings" => (
            ChangeKind::Settings,
            "Settings of the connection were changed.".to_owned(),
        ),
        "webhook.change" | "webhook.rotate_secret" => {
            (ChangeKind::Endpoint, "The endpoint was changed.".to_owned())
        }
        "oauth_app.set" | "oauth_app.remove" => (
            ChangeKind::OauthApp,
            "The OAuth app was changed.".to_owned(),
        ),
        // What was only used says nothing, such as a test of an endpoint.
        _ => return None,
    };
    Some((kind, what))
}
