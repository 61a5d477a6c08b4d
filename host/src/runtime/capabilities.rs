//! What a guest can call. Every function is bounded, and traps in a call that must be pure.

pub(super) mod http;

use std::sync::Arc;

use super::{
    LogLevel,
    bindings::{clock, log, secrets, types},
    call::{Outside, State},
    limits::{MAX_LOG_LINE, MAX_LOG_LINES, SIGNATURE},
};
use crate::egress::signing;

impl types::Host for State {}

impl State {
    /// What a call on behalf of a connection has; a trap in a pure one.
    fn outside(&mut self, name: &'static str) -> wasmtime::Result<&mut Outside> {
        if self.outside.is_none() {
            self.impure = Some(name);
        }
        self.outside
            .as_mut()
            .ok_or_else(|| wasmtime::Error::msg("a pure call has no imports"))
    }

    /// Whether the manifest lets the guest use the secret of that name.
    fn may_use(&self, secret: &str) -> bool {
        if let Some(only) = self.outside.as_ref().and_then(|outside| outside.receiving) {
            return secret == only;
        }
        self.manifest
            .permissions
            .secrets
            .iter()
            .any(|name| name == secret)
    }

    /// The secret of that name, for one operation of the host.
    async fn secret(
        &mut self,
        import: &'static str,
        name: &str,
    ) -> wasmtime::Result<Result<secrecy::SecretString, secrets::SecretError>> {
        let allowed = self.may_use(name);
        let outside = self.outside(import)?;
        if !allowed {
            outside.context.authorizer.denied(name).await;
            return Ok(Err(secrets::SecretError::Denied));
        }
        let Ok(authorization) = outside.context.authorizer.current().await else {
            return Ok(Err(secrets::SecretError::Missing));
        };
        Ok(authorization
            .secret(name)
            .cloned()
            .ok_or(secrets::SecretError::Missing))
    }
}

impl secrets::Host for State {
    async fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        self.host_call(0)?;
        let outside = self.outside("secrets.names")?;
        let receiving = outside.receiving;
        let authorizer = Arc::clone(&outside.context.authorizer);
        let allowed = match receiving {
            Some(only) => vec![only.to_owned()],
            None => self.manifest.permissions.secrets.clone(),
        };
        let Ok(authorization) = authorizer.current().await else {
            return Ok(Vec::new());
        };
        let has = |name: &String| authorization.secret(name).is_some();
        Ok(allowed.into_iter().filter(has).collect())
    }

    async fn hmac_sha256(
        &mut self,
        secret: String,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, secrets::SecretError>> {
        self.host_call(data.len())?;
        let secret = self.secret("secrets.hmac-sha256", &secret).await?;
        Ok(secret.map(|secret| signing::hmac_sha256(&secret, &data).to_vec()))
    }

    async fn sign_jwt(
        &mut self,
        secret: String,
        algorithm: String,
        claims: String,
    ) -> wasmtime::Result<Result<String, secrets::SecretError>> {
        self.host_call(SIGNATURE)?;
        let secret = self.secret("secrets.sign-jwt", &secret).await?;
        Ok(secret.and_then(|secret| {
            signing::sign_jwt(&secret, &algorithm, &claims).map_err(|error| {
                tracing::warn!(error = %error, "a connector's token cannot be signed");
                secrets::SecretError::Denied
            })
        }))
    }
}

impl log::Host for State {
    fn message(&mut self, level: log::Level, text: String) -> wasmtime::Result<()> {
        self.host_call(text.len())?;
        let lines = self.log_lines;
        self.log_lines = lines.saturating_add(1);
        let slug = self.manifest.slug.to_string();
        // A panic's last words come through here too, so a pure call may log; it tells nobody
        // anything that its answer does not.
        let connection = self
            .outside
            .as_ref()
            .map_or("", |outside| outside.context.id.as_str());
        if lines >= MAX_LOG_LINES {
            if lines == MAX_LOG_LINES {
                tracing::warn!(
                    connector = slug,
                    connection,
                    "further lines of this call are dropped"
                );
            }
            return Ok(());
        }
        let mut end = text.len().min(MAX_LOG_LINE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        let shown = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        let at = self.shared.clock.now();
        let live_log = &self.shared.live_log;
        live_log.add(&self.manifest.slug, at, shown, connection, text);
        match level {
            log::Level::Debug => tracing::debug!(connector = slug, connection, "{text}"),
            log::Level::Info => tracing::info!(connector = slug, connection, "{text}"),
            log::Level::Warn => tracing::warn!(connector = slug, connection, "{text}"),
            log::Level::Error => tracing::error!(connector = slug, connection, "{text}"),
        }
        Ok(())
    }
}

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.host_call(0)?;
        let now = self.shared.clock.now();
        self.outside("clock.now")?;
        Ok(u64::try_from(now.as_millis()).unwrap_or_default())
    }
}
