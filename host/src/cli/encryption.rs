//! Encryption keys: looking at them and replacing them while servers run.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{ConfigArgs, note, print};
use crate::{
    app,
    model::{AuditEntry, Clock as _, SystemClock, SystemEntropy},
    store::{Store, WrappedKey},
    vault::{self, HANDING_ROUND, KeyProvider, Keys},
};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Print the encryption keys that are given and the data keys of the database, and how many
    /// values each sealed. No key itself is printed.
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make a new data key under the newest encryption key. Servers seal with it as soon as all
    /// know it, and seal again what is under older ones.
    #[command(after_help = "To replace the encryption key itself:
  1. openssl rand -hex 32      and write it before the present one: JACKFIELD_ENCRYPTION_KEY=NEW,OLD
                               (or as the first line of encryption_key_file); restart the servers
  2. jackfield key rotate
  3. jackfield key list        until the older data key has 0 values
  4. jackfield key drop NUMBER for the older data key; then take OLD out of the configuration")]
    Rotate {
        /// Seconds until it seals: every running server must have read it by then
        #[arg(long, value_name = "SECONDS", default_value_t = HANDING_ROUND.as_secs())]
        after: u64,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Seal again, now, whatever is not under the newest data key. Servers do the same by
    /// themselves. Ended in the middle, it goes on where it was.
    Rewrap {
        /// Values in one transaction
        #[arg(long, value_name = "N", default_value_t = 100)]
        batch: u32,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Forget a data key. Refused while anything is sealed under it.
    Drop {
        /// Its number, as `key list` prints it
        number: i64,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

impl KeyCommand {
    pub(super) async fn run(self) -> Result<()> {
        let (Self::List { config }
        | Self::Rotate { config, .. }
        | Self::Rewrap { config, .. }
        | Self::Drop { config, .. }) = &self;
        let config = config.load()?;
        let provider = app::key_provider(&config)?;
        let store = app::open_store(&config).await?;
        let done = self.with(&store, provider).await;
        store.close().await;
        done
    }

    async fn with(self, store: &Store, provider: Arc<dyn KeyProvider>) -> Result<()> {
        // Whatever is asked for, a wrong encryption key is told here.
        let opened = Keys::open(store, Arc::clone(&provider), &SystemClock, &SystemEntropy);
        let keys = opened.await?;
        match self {
            Self::List { .. } => print(&list(store, &*provider).await?),
            Self::Rotate { after, .. } => {
                let after = Duration::from_secs(after);
                let rotated = Keys::rotate(store, &*provider, &SystemClock, &SystemEntropy, after);
                let made = rotated.await?;
                let details = json!({ "wrapped_by": made.wrapped_by });
                audit(store, "key.rotate", made.number, details).await?;
                print(&format!(
                    "Data key {} was made; it seals in {} seconds. Servers seal again by themselves what older keys sealed; `jackfield key list` shows how far they are.\n",
                    made.number,
                    after.as_secs()
                ))
            }
            Self::Rewrap { batch, .. } => {
                let told = |done: vault::Rewrapped| note(&format!("{} resealed", done.resealed));
                let rewrapped = vault::rewrap(store, &keys, &SystemEntropy, batch.max(1), told);
                let done = rewrapped.await?;
                print(&format!("Resealed {} values.\n", done.resealed))?;
                if done.failed > 0 {
                    bail!(
                        "{} values do not open: they are damaged, or sealed under a key that is not given",
                        done.failed
                    );
                }
                Ok(())
            }
            Self::Drop { number, .. } => drop_key(store, number).await,
        }
    }
}

async fn list(store: &Store, provider: &dyn KeyProvider) -> Result<String> {
    let data_keys = store.data_keys().await?;
    let values: BTreeMap<[u8; 4], u64> = store.sealed_under().await?.into_iter().collect();
    let mut text = "Encryption keys (fingerprints), the newest first:\n".to_owned();
    let direct = provider.direct().await?;
    for fingerprint in provider.fingerprints().await? {
        let wraps = |key: &&WrappedKey| key.wrapped_by == fingerprint;
        let wrapped = data_keys.iter().filter(wraps).count();
        let own = direct.iter().find(|key| key.fingerprint() == fingerprint);
        let sealed = own
            .and_then(|key| values.get(&key.id()))
            .copied()
            .unwrap_or(0);
        let hint = if wrapped == 0 && sealed == 0 {
            "; nothing needs it"
        } else {
            ""
        };
        writeln!(
            text,
            "  {fingerprint}  wraps {wrapped} data keys, sealed {sealed} values itself{hint}"
        )?;
    }
    text.push_str("Data keys, the oldest first:\n");
    let sealing = data_keys.iter().rfind(|key| key.seals);
    for key in &data_keys {
        let state = match sealing {
            Some(sealing) if sealing.number == key.number => "seals",
            _ if !key.seals => "seals soon",
            _ => "opens",
        };
        let count = values.get(&key.id).copied().unwrap_or(0);
        writeln!(
            text,
            "  {}  made {}  wrapped by {}  {state}  {count} values",
            key.number, key.created_at, key.wrapped_by
        )?;
    }
    Ok(text)
}

async fn drop_key(store: &Store, number: i64) -> Result<()> {
    let data_keys = store.data_keys().await?;
    let Some(key) = data_keys.iter().find(|key| key.number == number) else {
        bail!("there is no data key {number}; `jackfield key list` shows those that are there");
    };
    if !data_keys
        .iter()
        .any(|other| other.number > number && other.seals)
    {
        bail!("data key {number} is the one that seals; `jackfield key rotate` makes another");
    }
    match store.drop_data_key(key).await? {
        0 => {
            let details = json!({ "wrapped_by": key.wrapped_by });
            audit(store, "key.drop", number, details).await?;
            print(&format!("Data key {number} is gone.\n"))
        }
        count => bail!(
            "data key {number} is in use: {count} values are sealed under it; `jackfield key rewrap` seals them under the newest"
        ),
    }
}

async fn audit(store: &Store, action: &str, number: i64, details: Value) -> Result<()> {
    let entry = AuditEntry {
        at: SystemClock.now(),
        project: None,
        actor: "cli".to_owned(),
        action: action.to_owned(),
        subject: format!("data_key:{number}"),
        details,
    };
    Ok(store.audit(&entry).await?)
}
