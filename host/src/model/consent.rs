//! What the operator allowed each connector, and which of its versions serves: all decisions,
//! without I/O. The store only keeps a [`Book`].

mod changes;
#[cfg(test)]
mod tests;

use super::{Asked, Digest, Slug, Timestamp};

pub use changes::{Change, Wanted};

/// The publisher of a connector that nobody signed.
pub const UNSIGNED: &str = "unsigned";
/// How many versions a connector's book keeps.
pub const KEPT: usize = 6;

/// All that is known and decided of one connector, for every host of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// Whose.
    pub slug: Slug,
    /// What was allowed, oldest first; revoked ones too.
    pub grants: Vec<Grant>,
    /// Versions that were seen, oldest first.
    pub versions: Vec<KnownVersion>,
    /// The version that serves whatever lies in the folder of connectors.
    pub pin: Option<Pin>,
    /// Since when the operator lets it not serve.
    pub disabled_at: Option<Timestamp>,
    /// Until when it does not serve because it crashed too often, and why.
    pub suspended: Option<(Timestamp, String)>,
}

/// What was allowed to the connectors of one publisher under one slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The publisher's key, or [`UNSIGNED`].
    pub publisher: String,
    /// What is allowed.
    pub asked: Asked,
    /// Who allowed it: `cli`, `operator_key:<id>`, `placed` (whoever put the first file into the
    /// folder), `auto` (the configuration).
    pub granted_by: String,
    /// When.
    pub granted_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A version of which the bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownVersion {
    /// The sum of its bytes.
    pub digest: Digest,
    /// The manifest's version.
    pub version: String,
    /// Who signed it, or [`UNSIGNED`].
    pub publisher: String,
    /// What it asks for.
    pub asked: Asked,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it came from: a file's name, `oci:<reference>@<digest>`, `api`.
    pub source: String,
    /// What was decided of it.
    pub standing: Standing,
    /// Why it waits or was rolled back.
    pub reason: Option<String>,
    /// When it was seen first, or seen again after it had been rolled back.
    pub seen_at: Timestamp,
    /// When it began to serve last.
    pub served_at: Option<Timestamp>,
}

/// What was decided of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may serve.
    Admitted,
    /// It asks for more than was granted.
    Pending,
    /// It served and was taken back.
    RolledBack,
}

/// The version that serves whatever lies in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which.
    pub digest: Digest,
    /// Why.
    pub origin: PinOrigin,
    /// Since when.
    pub at: Timestamp,
}

/// Why a version is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinOrigin {
    /// It was installed: files in the folder do not change it.
    Installed,
    /// A later one was rolled back: the next new file that may serve ends it.
    RolledBack,
    /// A later one waits for consent: the next new file that may serve ends it.
    Held,
}

/// A version that wants to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The sum of its bytes.
    pub digest: Digest,
    /// The manifest's version.
    pub version: String,
    /// Who signed it, or [`UNSIGNED`].
    pub publisher: String,
    /// What it asks for.
    pub asked: Asked,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it came from.
    pub source: String,
}

/// Who is asked before a connector gets more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentPolicy {
    /// Nobody: what lies in the folder is granted.
    Auto,
    /// The operator, for everything after the first file that he put into the folder.
    Ask,
}

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It serves; everything is written down already.
    Serve,
    /// It may serve, once [`Book::admit`] is written down.
    Admit,
    /// It waits for consent, which [`Book::wait`] writes down: why.
    Wait(String),
    /// It does not serve: why, and what would change that.
    Refuse(String),
}

impl Book {
    /// Of a connector that nothing is known of.
    #[must_use]
    pub const fn new(slug: Slug) -> Self {
        Self {
            slug,
            grants: Vec::new(),
            versions: Vec::new(),
            pin: None,
            disabled_at: None,
            suspended: None,
        }
    }

    /// Whether a file may serve. `is_pinned` says that the file is the host's own copy of the
    /// pinned version.
    #[must_use]
    pub fn judge(
        &self,
        candidate: &Candidate,
        is_pinned: bool,
        policy: ConsentPolicy,
    ) -> Judgement {
        let slug = &self.slug;
        let known = self.version(candidate.digest);
        if let Some(known) = known
            && known.standing == Standing::RolledBack
        {
            let reason = known.reason.as_deref().unwrap_or("no reason is known");
            return Judgement::Refuse(format!(
                "version {} was rolled back: {reason}; `jackfield connector grant {slug}` lets it serve again, and another file takes its place",
                known.version
            ));
        }
        if let Some(pin) = self.pin.filter(|pin| pin.digest != candidate.digest)
            && !is_pinned
        {
            if pin.origin == PinOrigin::Installed {
                return Judgement::Refuse(format!(
                    "{slug} {} is installed and serves; `jackfield connector uninstall {slug}` lets the file serve",
                    self.name_of(pin.digest)
                ));
            }
            let older = known.is_some_and(|known| {
                known.standing == Standing::Admitted && known.seen_at <= pin.at
            });
            if older {
                return Judgement::Refuse(format!(
                    "{slug} stays at version {} until a newer file comes; `jackfield connector rollback {slug} --to {}` lets this one serve",
                    self.name_of(pin.digest),
                    candidate.digest.short()
                ));
            }
        }
        let missing = self.missing(candidate);
        let first = self.grants.is_empty();
        match missing {
            Some(missing) if policy == ConsentPolicy::Ask && !first => Judgement::Wait(missing),
            missing => {
                let latest = self.latest().map(|latest| latest.digest);
                let is_written = missing.is_none()
                    && known.is_some_and(|known| known.standing == Standing::Admitted)
                    && (is_pinned || latest == Some(candidate.digest));
                match is_written {
                    true => Judgement::Serve,
                    false => Judgement::Admit,
                }
            }
        }
    }

    /// What a candidate needs beyond what its publisher was granted, a sentence; none where all
    /// is granted.
    #[must_use]
    pub fn missing(&self, candidate: &Candidate) -> Option<String> {
        let slug = &self.slug;
        let how = format!(
            "`jackfield connector diff {slug}` shows it, `jackfield connector grant {slug}` allows it"
        );
        let Some(beyond) = self.beyond(&candidate.publisher, &candidate.asked) else {
            return Some(match self.publishers().last() {
                Some(_) if !self.standing_grants().any(|_| true) => {
                    format!("pending consent: all grants of {slug} were revoked; {how}")
                }
                Some(former) => format!(
                    "pending consent: version {} is by {}, and {slug} was by {former} so far; {how}",
                    candidate.version, candidate.publisher
                ),
                None => format!("pending consent: nothing was granted to {slug}; {how}"),
            });
        };
        (!beyond.is_empty()).then(|| {
            format!(
                "pending consent: version {} asks for more: {}; {how}",
                candidate.version,
                beyond.join(", ")
            )
        })
    }

    /// The lines that no grant of a publisher covers, by the grant that covers most; none where the
    /// publisher has no grant at all.
    #[must_use]
    pub fn beyond(&self, publisher: &str, asked: &Asked) -> Option<Vec<String>> {
        self.standing_grants()
            .filter(|grant| grant.publisher == publisher)
            .map(|grant| asked.beyond(&grant.asked))
            .min_by_key(Vec::len)
    }

    /// A version by its sum.
    #[must_use]
    pub fn version(&self, digest: Digest) -> Option<&KnownVersion> {
        self.versions.iter().find(|known| known.digest == digest)
    }

    /// The version that serves: the pinned one, or the one that began last.
    #[must_use]
    pub fn serving(&self) -> Option<&KnownVersion> {
        match self.pin {
            Some(pin) => self.version(pin.digest),
            None => self.latest(),
        }
    }

    /// The newest version that waits for consent.
    #[must_use]
    pub fn pending(&self) -> Option<&KnownVersion> {
        let pending = |known: &&KnownVersion| known.standing == Standing::Pending;
        self.versions
            .iter()
            .filter(pending)
            .max_by_key(|known| known.seen_at)
    }

    /// Why nothing of it serves whatever the files say, a sentence; none where it may serve.
    #[must_use]
    pub fn stopped(&self, now: Timestamp) -> Option<String> {
        let slug = &self.slug;
        if let Some(since) = self.disabled_at {
            return Some(format!(
                "the operator disabled it at {since}; `jackfield connector enable {slug}` lets it serve"
            ));
        }
        let (until, reason) = self.suspended.as_ref().filter(|(until, _)| *until > now)?;
        Some(format!(
            "it is suspended until {until}: {reason}; `jackfield connector enable {slug}` ends that, another version too"
        ))
    }

    /// Who published it, by grants that stand, oldest first; where none stands, by all.
    fn publishers(&self) -> impl Iterator<Item = &str> {
        let any = self.standing_grants().any(|_| true);
        let wanted = move |grant: &&Grant| !any || grant.revoked_at.is_none();
        let grants = self.grants.iter().filter(wanted);
        grants.map(|grant| grant.publisher.as_str())
    }

    /// Who was granted something, where `publisher` was not.
    #[must_use]
    pub fn other_publisher(&self, publisher: &str) -> Option<&str> {
        let mut standing = self.standing_grants();
        if standing.any(|grant| grant.publisher == publisher) {
            return None;
        }
        let last = self.standing_grants().last();
        last.map(|grant| grant.publisher.as_str())
    }

    /// Grants that were not taken back.
    pub fn standing_grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants
            .iter()
            .filter(|grant| grant.revoked_at.is_none())
    }

    /// The admitted version that began to serve last.
    fn latest(&self) -> Option<&KnownVersion> {
        let admitted = |known: &&KnownVersion| known.standing == Standing::Admitted;
        let versions = self.versions.iter().filter(admitted);
        versions
            .filter(|known| known.served_at.is_some())
            .max_by_key(|known| known.served_at)
    }

    fn name_of(&self, digest: Digest) -> String {
        match self.version(digest) {
            Some(known) => known.version.clone(),
            None => digest.short(),
        }
    }
}
