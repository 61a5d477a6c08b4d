//! Operators' access, made from the configuration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;

use super::{App, days};
use crate::{
    access::{self, Access, Proxies, oidc},
    config,
    model::Role,
    store::SessionEnd,
};

impl App {
    /// What lets operators in, where the server listens on `address`.
    pub(super) fn access(&self, address: SocketAddr) -> Access {
        let config = &self.config.access;
        let options = access::Options {
            public_url: self.config.public_url(address),
            session_end: self.session_end(),
            proxies: Proxies::new(config.trusted_proxies.clone()),
            oidc: config.oidc.as_ref().map(oidc_options),
        };
        Access::new(
            self.store.clone(),
            self.egress.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            options,
        )
    }

    /// When sessions of operators end by themselves.
    pub(super) fn session_end(&self) -> SessionEnd {
        let config = &self.config.access;
        SessionEnd {
            idle: Duration::from_secs(config.idle_hours.saturating_mul(3600)),
            absolute: days(config.absolute_days),
        }
    }
}

fn oidc_options(config: &config::Oidc) -> oidc::Options {
    let roles = config.roles.iter();
    oidc::Options {
        issuer: config.issuer.clone(),
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.clone(),
        label: config.label.clone(),
        scopes: config.scopes.clone(),
        allowed_domains: lower(&config.allowed_domains),
        allowed_emails: lower(&config.allowed_emails),
        role: Role::parse(&config.role).unwrap_or(Role::Viewer),
        role_claim: config.role_claim.clone(),
        roles: roles
            .filter_map(|(role, values)| Some((Role::parse(role)?, values.0.clone())))
            .collect(),
    }
}

fn lower(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.to_lowercase()).collect()
}

/// Says how to set the server up, where nobody has, and warns of cookies that networks can read.
pub(super) async fn welcome(access: &Access) -> Result<()> {
    if !access.cookies().are_secure() {
        tracing::warn!(
            "operators would sign in over a network without encryption: put a proxy with https in front and set public_url"
        );
    }
    if let Some(link) = access.set_up_link().await? {
        // The one secret that the log is to have: who reads it operates this server.
        tracing::info!(
            link = link.expose(),
            "there is no operator yet; open this link, which works once and for three days, to become the first owner"
        );
    }
    Ok(())
}
