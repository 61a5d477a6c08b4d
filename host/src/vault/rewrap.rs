//! Sealing again what older keys sealed, while the server works.

use super::{Error, Keys};
use crate::{
    model::Entropy,
    store::{SealedKind, SealedValue, Store},
};

/// What a pass over all sealed values did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Values that are under the newest key now.
    pub resealed: u64,
    /// Values that changed meanwhile, and so are under the newest key anyway, or will be found by
    /// the next pass.
    pub changed: u64,
    /// Values that did not open: damaged, or sealed under a key that is not here.
    pub failed: u64,
}

/// Seals under the newest key whatever is not, `batch` values in a transaction.
///
/// `progress` is told after each. Ended in the middle, the next pass finds the rest: what is left
/// to do is read off the values themselves.
///
/// # Errors
/// The database failed.
pub async fn rewrap(
    store: &Store,
    keys: &Keys,
    entropy: &dyn Entropy,
    batch: u32,
    mut progress: impl FnMut(Rewrapped) + Send,
) -> Result<Rewrapped, Error> {
    let mut done = Rewrapped::default();
    for kind in SealedKind::ALL {
        let mut after = kind.start();
        loop {
            let header = keys.header();
            let values = store.sealed_values(kind, &after, &header, batch).await?;
            let Some(last) = values.last() else {
                break;
            };
            after = last.place.clone();
            let mut replaced = Vec::with_capacity(values.len());
            for value in values {
                match again(kind, keys, entropy, &value) {
                    Ok(sealed) => replaced.push((value, sealed)),
                    Err(error) => {
                        done.failed += 1;
                        tracing::error!(kind = ?kind, subject = value.subject, %error, "a sealed value does not open");
                    }
                }
            }
            let count = store.reseal(kind, &replaced).await?;
            fault_point!("rewrap.batch");
            done.resealed += count;
            done.changed += (replaced.len() as u64).saturating_sub(count);
            progress(done);
        }
    }
    Ok(done)
}

fn again(
    kind: SealedKind,
    keys: &Keys,
    entropy: &dyn Entropy,
    value: &SealedValue,
) -> Result<Vec<u8>, Error> {
    let context = [label(kind), &*value.project, &*value.subject];
    let plain = keys.open_sealed(&context, &value.sealed)?;
    Ok(keys.seal(entropy, &context, &plain))
}

/// The first word of the context that values of a kind are sealed with.
const fn label(kind: SealedKind) -> &'static str {
    match kind {
        SealedKind::Credential => "credential",
        SealedKind::ConnectionToken => "connection_token",
        SealedKind::WebhookSecret | SealedKind::PreviousWebhookSecret => "webhook_secret",
        SealedKind::InboundSecret => "inbound_secret",
        SealedKind::PassthroughRequest => "passthrough request",
        SealedKind::PassthroughResult => "passthrough result",
        SealedKind::OAuthApp => super::apps::LABEL,
    }
}
