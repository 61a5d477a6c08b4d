//! What changes a connector's book. Each change says what the audit log is told.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{Book, Candidate, Grant, KEPT, KnownVersion, Pin, PinOrigin, Standing};
use crate::model::{Asked, AuditEntry, Digest, Timestamp};

/// What was changed, for the audit log; none where it is not worth a line.
pub type Change = Option<(&'static str, Value)>;

/// What else than the usual is wanted of an installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// It may be older than the version that serves.
    pub downgrade: bool,
    /// It may be somebody else's than what was granted so far.
    pub new_publisher: bool,
}

impl Book {
    /// A version begins to serve. `by` is who allowed what it asks for, where that is new.
    pub fn admit(&mut self, candidate: &Candidate, by: &str, now: Timestamp) -> Change {
        let newly_granted = self.missing(candidate).is_some();
        if newly_granted {
            self.allow(&candidate.publisher, &candidate.asked, by, now);
        }
        let is_new = self
            .version(candidate.digest)
            .is_none_or(|known| known.standing != Standing::Admitted);
        let known = self.note(candidate, Standing::Admitted, None, now);
        known.served_at = Some(now);
        if let Some(pin) = self.pin
            && pin.digest != candidate.digest
            && pin.origin != PinOrigin::Installed
            && is_new
        {
            self.pin = None;
        }
        if is_new {
            // It gets a new chance with a new version.
            self.suspended = None;
        }
        self.forget_old();
        let details = about(candidate);
        match (newly_granted, is_new) {
            (true, _) => Some(("connector.grant", details)),
            (false, true) => Some(("connector.version", details)),
            (false, false) => None,
        }
    }

    /// A version waits for consent, and what serves goes on serving.
    pub fn wait(
        &mut self,
        candidate: &Candidate,
        reason: &str,
        serving: Option<Digest>,
        now: Timestamp,
    ) -> Change {
        let waits = |known: &KnownVersion| known.standing == Standing::Pending;
        let is_new = !self.version(candidate.digest).is_some_and(waits);
        self.note(candidate, Standing::Pending, Some(reason.to_owned()), now);
        // At a start, nothing serves yet.
        let serving = serving.or_else(|| self.serving().map(|known| known.digest));
        let serving = serving.filter(|digest| self.version(*digest).is_some());
        if self.pin.is_none()
            && let Some(digest) = serving.filter(|digest| *digest != candidate.digest)
        {
            self.pin = Some(Pin {
                digest,
                origin: PinOrigin::Held,
                at: now,
            });
        }
        self.forget_old();
        is_new.then(|| ("connector.pending", about(candidate)))
    }

    /// Allows the version that waits, or that was rolled back last, what it asks for.
    ///
    /// # Errors
    /// There is none, or it asks for something else than `expected`.
    pub fn grant(
        &mut self,
        expected: Option<Digest>,
        by: &str,
        now: Timestamp,
    ) -> Result<Change, String> {
        let rolled_back = |known: &&KnownVersion| known.standing == Standing::RolledBack;
        let last = self.versions.iter().filter(rolled_back);
        let chosen = self
            .pending()
            .or_else(|| last.max_by_key(|known| known.seen_at));
        let Some(chosen) = chosen.cloned() else {
            return Err(format!("no version of {} waits for consent", self.slug));
        };
        if let Some(expected) = expected.filter(|expected| *expected != chosen.asked.hash()) {
            return Err(format!(
                "version {} of {} asks for {}, not for {expected}: look at it again",
                chosen.version,
                self.slug,
                chosen.asked.hash()
            ));
        }
        self.allow(&chosen.publisher, &chosen.asked, by, now);
        for known in &mut self.versions {
            if known.digest == chosen.digest {
                known.standing = Standing::Admitted;
                known.reason = None;
                known.seen_at = now;
            }
        }
        if self
            .pin
            .is_some_and(|pin| pin.origin != PinOrigin::Installed)
        {
            self.pin = None;
        }
        self.suspended = None;
        let details = json!({
            "version": chosen.version,
            "digest": chosen.digest.to_string(),
            "publisher": chosen.publisher,
            "permission_hash": chosen.asked.hash().to_string(),
            "permissions": chosen.asked.lines(),
        });
        Ok(Some(("connector.grant", details)))
    }

    /// Refuses the version that waits: it does not serve, and asks nobody any more.
    ///
    /// # Errors
    /// None waits.
    pub fn refuse(&mut self, by: &str) -> Result<Change, String> {
        let Some(chosen) = self.pending().cloned() else {
            return Err(format!("no version of {} waits for consent", self.slug));
        };
        for known in &mut self.versions {
            if known.digest == chosen.digest {
                known.standing = Standing::RolledBack;
                known.reason = Some(format!("{by} refused what it asks for"));
            }
        }
        let details = json!({
            "version": chosen.version,
            "digest": chosen.digest.to_string(),
            "permission_hash": chosen.asked.hash().to_string(),
        });
        Ok(Some(("connector.refuse", details)))
    }

    /// Takes back everything that was granted: nothing of the connector serves any more.
    ///
    /// # Errors
    /// Nothing was granted.
    pub fn revoke(&mut self, now: Timestamp) -> Result<Change, String> {
        let standing = self
            .grants
            .iter_mut()
            .filter(|grant| grant.revoked_at.is_none());
        let mut revoked = 0;
        for grant in standing {
            grant.revoked_at = Some(now);
            revoked += 1;
        }
        if revoked == 0 {
            return Err(format!("nothing is granted to {}", self.slug));
        }
        let serving = self.serving().map(|known| known.digest);
        for known in &mut self.versions {
            if Some(known.digest) == serving {
                known.standing = Standing::Pending;
                known.reason = Some("its grant was revoked".to_owned());
            }
        }
        Ok(Some(("connector.revoke", json!({ "grants": revoked }))))
    }

    /// Goes back to a version that served before: the one named by the beginning of its digest or
    /// by its version, or the last one before the one that serves.
    ///
    /// # Errors
    /// There is none.
    pub fn roll_back(
        &mut self,
        to: Option<&str>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Change, String> {
        let slug = self.slug.clone();
        let current = self.serving().map(|known| known.digest);
        let is_wanted = |known: &KnownVersion| match to {
            Some(to) => known.version == to || known.digest.to_string().starts_with(to),
            None => true,
        };
        let target = self
            .versions
            .iter()
            .filter(|known| Some(known.digest) != current && is_wanted(known))
            .filter(|known| known.standing == Standing::Admitted || to.is_some())
            .filter(|known| {
                self.beyond(&known.publisher, &known.asked)
                    .is_some_and(|beyond| beyond.is_empty())
            })
            .max_by_key(|known| (known.served_at, known.seen_at))
            .cloned();
        let Some(target) = target else {
            return Err(match to {
                Some(to) => format!("{slug} has no version {to:?} that it could go back to"),
                None => format!("{slug} has no version before the one that serves"),
            });
        };
        for known in &mut self.versions {
            if Some(known.digest) == current {
                known.standing = Standing::RolledBack;
                known.reason = Some(reason.to_owned());
            }
            if known.digest == target.digest {
                known.standing = Standing::Admitted;
                known.reason = None;
                known.served_at = Some(now);
            }
        }
        self.pin = Some(Pin {
            digest: target.digest,
            origin: PinOrigin::RolledBack,
            at: now,
        });
        self.suspended = None;
        let details = json!({
            "from": current.map(|digest| digest.to_string()),
            "to": target.digest.to_string(),
            "version": target.version,
            "reason": reason,
        });
        Ok(Some(("connector.rollback", details)))
    }

    /// A version that crashed too often goes: back to the one before, or, without one, nothing
    /// serves for a while. None where another one serves by now.
    pub fn trip(
        &mut self,
        digest: Digest,
        reason: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Change {
        if self.serving().is_none_or(|known| known.digest != digest) {
            return None;
        }
        if let Ok(change) = self.roll_back(None, reason, now) {
            return change;
        }
        self.suspended = Some((until, reason.to_owned()));
        let details = json!({ "until": until.to_string(), "reason": reason });
        Some(("connector.suspend", details))
    }

    /// Installs a version for all hosts: it is granted what it asks for, and serves from now on.
    ///
    /// # Errors
    /// It is older than the one that serves, or somebody else's, and that is not wanted.
    pub fn install(
        &mut self,
        candidate: &Candidate,
        by: &str,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Change, String> {
        if !wanted.new_publisher
            && let Some(former) = self.other_publisher(&candidate.publisher)
        {
            return Err(format!(
                "{} {} is by {}, and {} was by {former} so far; if that is as it should be, ask for it with --new-publisher (`new_publisher` in the API)",
                self.slug, candidate.version, candidate.publisher, self.slug
            ));
        }
        if !wanted.downgrade
            && let Some(serving) = self.serving()
        {
            let parse = |text: &str| semver::Version::parse(text).ok();
            let older = parse(&candidate.version)
                .zip(parse(&serving.version))
                .is_some_and(|(new, old)| new < old);
            if older {
                return Err(format!(
                    "version {} of {} is older than {}, which serves; ask for it with --allow-downgrade (`allow_downgrade` in the API)",
                    candidate.version, self.slug, serving.version
                ));
            }
        }
        self.allow(&candidate.publisher, &candidate.asked, by, now);
        let known = self.note(candidate, Standing::Admitted, None, now);
        known.served_at = Some(now);
        known.reason = None;
        self.pin = Some(Pin {
            digest: candidate.digest,
            origin: PinOrigin::Installed,
            at: now,
        });
        self.suspended = None;
        self.forget_old();
        Ok(Some(("connector.install", about(candidate))))
    }

    /// Ends what was installed; a file in the folder may serve then.
    ///
    /// # Errors
    /// Nothing is installed.
    pub fn uninstall(&mut self) -> Result<Change, String> {
        let Some(pin) = self.pin.filter(|pin| pin.origin == PinOrigin::Installed) else {
            return Err(format!("{} is not installed", self.slug));
        };
        self.pin = None;
        let details = json!({ "digest": pin.digest.to_string() });
        Ok(Some(("connector.uninstall", details)))
    }

    /// Lets it not serve, whatever lies in the folder.
    ///
    /// # Errors
    /// It is disabled already.
    pub fn disable(&mut self, now: Timestamp) -> Result<Change, String> {
        if self.disabled_at.is_some() {
            return Err(format!("{} is disabled already", self.slug));
        }
        self.disabled_at = Some(now);
        Ok(Some(("connector.disable", json!({}))))
    }

    /// Lets it serve again, and ends a suspension.
    ///
    /// # Errors
    /// Nothing keeps it from serving.
    pub fn enable(&mut self) -> Result<Change, String> {
        if self.disabled_at.is_none() && self.suspended.is_none() {
            return Err(format!("{} is neither disabled nor suspended", self.slug));
        }
        self.disabled_at = None;
        self.suspended = None;
        Ok(Some(("connector.enable", json!({}))))
    }

    /// The line of the audit log for a change.
    #[must_use]
    pub fn entry(&self, change: Change, actor: &str, now: Timestamp) -> Option<AuditEntry> {
        let (action, details) = change?;
        Some(AuditEntry {
            at: now,
            project: None,
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: self.slug.to_string(),
            details,
        })
    }

    fn allow(&mut self, publisher: &str, asked: &Asked, by: &str, now: Timestamp) {
        let grant = Grant {
            publisher: publisher.to_owned(),
            asked: asked.clone(),
            granted_by: by.to_owned(),
            granted_at: now,
            revoked_at: None,
        };
        let same = |other: &Grant| other.publisher == publisher && other.asked == *asked;
        // A grant that stands keeps its date and its name.
        if self.standing_grants().any(same) {
            return;
        }
        self.grants.retain(|other| !same(other));
        self.grants.push(grant);
    }

    fn note(
        &mut self,
        candidate: &Candidate,
        standing: Standing,
        reason: Option<String>,
        now: Timestamp,
    ) -> &mut KnownVersion {
        let is_it = |known: &KnownVersion| known.digest == candidate.digest;
        let index = match self.versions.iter().position(is_it) {
            Some(index) => index,
            None => {
                self.versions.push(KnownVersion {
                    digest: candidate.digest,
                    version: candidate.version.clone(),
                    publisher: candidate.publisher.clone(),
                    asked: candidate.asked.clone(),
                    bytes: candidate.bytes,
                    source: candidate.source.clone(),
                    standing,
                    reason: None,
                    seen_at: now,
                    served_at: None,
                });
                self.versions.len() - 1
            }
        };
        let known = self.versions.get_mut(index).expect("it was found or added");
        if known.standing != standing {
            known.seen_at = now;
        }
        known.standing = standing;
        known.reason = reason;
        known
    }

    /// Keeps the versions that matter: the pinned one, the one that waits, the last that served.
    fn forget_old(&mut self) {
        let pinned = self.pin.map(|pin| pin.digest);
        let pending = self.pending().map(|known| known.digest);
        let mut order: Vec<&KnownVersion> = self.versions.iter().collect();
        order.sort_by_key(|known| {
            let matters = Some(known.digest) == pinned || Some(known.digest) == pending;
            Reverse((matters, known.served_at.max(Some(known.seen_at))))
        });
        let kept: Vec<Digest> = order
            .into_iter()
            .take(KEPT)
            .map(|known| known.digest)
            .collect();
        self.versions.retain(|known| kept.contains(&known.digest));
    }
}

fn about(candidate: &Candidate) -> Value {
    json!({
        "version": candidate.version,
        "digest": candidate.digest.to_string(),
        "publisher": candidate.publisher,
        "permission_hash": candidate.asked.hash().to_string(),
        "permissions": candidate.asked.lines(),
        "source": candidate.source,
    })
}
