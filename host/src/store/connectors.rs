//! What is known and decided of connectors, and the bytes of their versions.

use std::collections::BTreeMap;

use super::{
    Error, Store,
    dialect::{Row, Tx, values},
    without_nulls,
};
use crate::model::{
    Asked, AuditEntry, Digest, Slug,
    consent::{Book, Grant, KnownVersion, Pin, PinOrigin, Standing},
};

/// Bytes in one row.
const PART: usize = 1024 * 1024;

/// All books, as of one generation.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Grows with every change.
    pub generation: i64,
    /// By slug.
    pub books: BTreeMap<Slug, Book>,
}

macro_rules! select_connectors {
    ($rest:literal) => {
        concat!(
            "SELECT slug, pinned, pin_origin, pinned_at, disabled_at, suspended_until,
                 suspended_reason FROM connector ",
            $rest
        )
    };
}

macro_rules! select_grants {
    ($rest:literal) => {
        concat!(
            "SELECT slug, publisher, permissions, granted_by, granted_at, revoked_at
             FROM connector_grant ",
            $rest,
            " ORDER BY granted_at, permission_hash"
        )
    };
}

macro_rules! select_versions {
    ($rest:literal) => {
        concat!(
            "SELECT slug, digest, version, publisher, permissions, bytes, source, standing, reason,
                 seen_at, served_at FROM connector_version ",
            $rest,
            " ORDER BY seen_at, digest"
        )
    };
}

impl Store {
    /// How often the books of connectors were changed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connector_generation(&self) -> Result<i64, Error> {
        let sql = "SELECT generation FROM connector_change WHERE number = 1";
        let row = self.database().read_one(sql, values![]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// All books. Where one is changed meanwhile, the generation is that of before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connector_books(&self) -> Result<Books, Error> {
        let generation = self.connector_generation().await?;
        let mut books = BTreeMap::new();
        for row in self
            .database()
            .read(select_connectors!(""), values![])
            .await?
        {
            let book = book(&row)?;
            books.insert(book.slug.clone(), book);
        }
        for row in self.database().read(select_grants!(""), values![]).await? {
            if let Some(book) = books.get_mut(&row.parsed::<Slug>(0)?) {
                book.grants.push(grant(&row)?);
            }
        }
        for row in self
            .database()
            .read(select_versions!(""), values![])
            .await?
        {
            if let Some(book) = books.get_mut(&row.parsed::<Slug>(0)?) {
                book.versions.push(version(&row)?);
            }
        }
        Ok(Books { generation, books })
    }

    /// Changes the book of a connector: `alter` gets it as it is and answers what to tell the audit
    /// log, or why nothing is changed. `bytes` are those of a version that it may name. One
    /// transaction; changes of other hosts wait.
    ///
    /// # Errors
    /// The database failed.
    pub async fn alter_connector(
        &self,
        slug: &Slug,
        bytes: Option<&[u8]>,
        alter: impl FnOnce(&mut Book) -> Result<Option<AuditEntry>, String> + Send,
    ) -> Result<Result<Book, String>, Error> {
        let mut tx = self.begin().await?;
        // Its row is what others wait for.
        let sql = "UPDATE connector_change SET generation = generation + 1 WHERE number = 1";
        tx.execute(sql, values![]).await?;
        let before = read_book(&mut tx, slug).await?;
        let mut book = before.clone();
        let entry = match alter(&mut book) {
            Ok(entry) => entry,
            Err(refusal) => {
                tx.rollback().await?;
                return Ok(Err(refusal));
            }
        };
        if book == before && entry.is_none() {
            tx.rollback().await?;
            return Ok(Ok(book));
        }
        if let Some(bytes) = bytes {
            write_bytes(&mut tx, bytes).await?;
            fault_point!("install.stored");
        }
        write_book(&mut tx, &book).await?;
        if let Some(entry) = entry {
            self.audit_in(&mut tx, &entry).await?;
        }
        tx.commit().await?;
        fault_point!("install.activated");
        Ok(Ok(book))
    }

    /// The bytes of a version; none where they are not kept.
    ///
    /// # Errors
    /// The database failed, or they are not what was stored.
    pub async fn connector_bytes(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT bytes FROM connector_part WHERE digest = $1 ORDER BY part";
        let mut all = Vec::new();
        let rows = self.database().read(sql, values![&digest]).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in rows {
            all.extend(row.bytes(0)?);
        }
        if Digest::of(&all) != digest {
            return Err(Error::Corrupt(format!(
                "the bytes of the connector version {}",
                digest.short()
            )));
        }
        Ok(Some(all))
    }
}

async fn read_book(tx: &mut Tx, slug: &Slug) -> Result<Book, Error> {
    let row = tx
        .row(select_connectors!("WHERE slug = $1"), values![slug])
        .await?;
    let mut found = row.map_or_else(|| Ok(Book::new(slug.clone())), |row| book(&row))?;
    let rows = tx
        .rows(select_grants!("WHERE slug = $1"), values![slug])
        .await?;
    found.grants = rows.iter().map(grant).collect::<Result<_, _>>()?;
    let rows = tx
        .rows(select_versions!("WHERE slug = $1"), values![slug])
        .await?;
    found.versions = rows.iter().map(version).collect::<Result<_, _>>()?;
    Ok(found)
}

/// A book is small, and rarely written: it is written whole.
async fn write_book(tx: &mut Tx, book: &Book) -> Result<(), Error> {
    let slug = &book.slug;
    for sql in [
        "DELETE FROM connector WHERE slug = $1",
        "DELETE FROM connector_grant WHERE slug = $1",
        "DELETE FROM connector_version WHERE slug = $1",
    ] {
        tx.execute(sql, values![slug]).await?;
    }
    let sql = "INSERT INTO connector (slug, pinned, pin_origin, pinned_at, disabled_at,
                   suspended_until, suspended_reason)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let suspended = book.suspended.as_ref();
    let values = values![
        slug,
        book.pin.map(|pin| pin.digest.as_bytes().to_vec()),
        book.pin.map(|pin| origin_name(pin.origin)),
        book.pin.map(|pin| pin.at),
        book.disabled_at,
        suspended.map(|(until, _)| *until),
        suspended.map(|(_, reason)| without_nulls(reason)),
    ];
    tx.execute(sql, values).await?;
    for grant in &book.grants {
        let sql = "INSERT INTO connector_grant (slug, publisher, permission_hash, permissions,
                       granted_by, granted_at, revoked_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = values![
            slug,
            grant.publisher.as_str(),
            &grant.asked.hash(),
            lines(&grant.asked)?,
            grant.granted_by.as_str(),
            grant.granted_at,
            grant.revoked_at,
        ];
        tx.execute(sql, values).await?;
    }
    for known in &book.versions {
        let sql = "INSERT INTO connector_version (slug, digest, version, publisher, permissions,
                       bytes, source, standing, reason, seen_at, served_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let values = values![
            slug,
            &known.digest,
            known.version.as_str(),
            known.publisher.as_str(),
            lines(&known.asked)?,
            i64::try_from(known.bytes).unwrap_or(i64::MAX),
            without_nulls(&known.source),
            standing_name(known.standing),
            known.reason.as_deref().map(without_nulls),
            known.seen_at,
            known.served_at,
        ];
        tx.execute(sql, values).await?;
    }
    let sql =
        "DELETE FROM connector_part WHERE digest NOT IN (SELECT digest FROM connector_version)";
    tx.execute(sql, values![]).await.map(drop)
}

async fn write_bytes(tx: &mut Tx, bytes: &[u8]) -> Result<(), Error> {
    let digest = Digest::of(bytes);
    let sql = "SELECT 1 FROM connector_part WHERE digest = $1 AND part = 0";
    if tx.row(sql, values![&digest]).await?.is_some() {
        return Ok(());
    }
    for (part, bytes) in (0_u32..).zip(bytes.chunks(PART)) {
        let sql = "INSERT INTO connector_part (digest, part, bytes) VALUES ($1, $2, $3)";
        tx.execute(sql, values![&digest, part, bytes.to_vec()])
            .await?;
    }
    Ok(())
}

fn book(row: &Row) -> Result<Book, Error> {
    let pin = match row.optional_bytes(1)? {
        Some(bytes) => Some(Pin {
            digest: digest(&bytes)?,
            origin: row.parsed_by(2, origin)?,
            at: row.time(3)?,
        }),
        None => None,
    };
    Ok(Book {
        slug: row.parsed(0)?,
        grants: Vec::new(),
        versions: Vec::new(),
        pin,
        disabled_at: row.optional_time(4)?,
        suspended: row.optional_time(5)?.zip(row.optional_text(6)?),
    })
}

fn grant(row: &Row) -> Result<Grant, Error> {
    Ok(Grant {
        publisher: row.text(1)?,
        asked: row.parsed_by(2, |text| serde_json::from_str(text).ok())?,
        granted_by: row.text(3)?,
        granted_at: row.time(4)?,
        revoked_at: row.optional_time(5)?,
    })
}

fn version(row: &Row) -> Result<KnownVersion, Error> {
    Ok(KnownVersion {
        digest: digest(&row.bytes(1)?)?,
        version: row.text(2)?,
        publisher: row.text(3)?,
        asked: row.parsed_by(4, |text| serde_json::from_str(text).ok())?,
        bytes: row.number(5)?,
        source: row.text(6)?,
        standing: row.parsed_by(7, standing)?,
        reason: row.optional_text(8)?,
        seen_at: row.time(9)?,
        served_at: row.optional_time(10)?,
    })
}

fn digest(bytes: &[u8]) -> Result<Digest, Error> {
    Digest::from_bytes(bytes)
        .ok_or_else(|| Error::Corrupt("a digest is not 32 bytes long".to_owned()))
}

fn lines(asked: &Asked) -> Result<String, Error> {
    serde_json::to_string(asked).map_err(|error| Error::Corrupt(error.to_string()))
}

const fn origin_name(origin: PinOrigin) -> &'static str {
    match origin {
        PinOrigin::Installed => "installed",
        PinOrigin::RolledBack => "rolled_back",
        PinOrigin::Held => "held",
    }
}

fn origin(name: &str) -> Option<PinOrigin> {
    [PinOrigin::Installed, PinOrigin::RolledBack, PinOrigin::Held]
        .into_iter()
        .find(|origin| origin_name(*origin) == name)
}

const fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Admitted => "admitted",
        Standing::Pending => "pending",
        Standing::RolledBack => "rolled_back",
    }
}

fn standing(name: &str) -> Option<Standing> {
    [Standing::Admitted, Standing::Pending, Standing::RolledBack]
        .into_iter()
        .find(|standing| standing_name(*standing) == name)
}
