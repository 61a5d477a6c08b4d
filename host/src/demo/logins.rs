//! Codes and tokens of OAuth 2, in memory.

use std::{collections::HashMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{Digest, Entropy, Timestamp};

const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// What was given out.
#[derive(Debug, Default)]
pub(super) struct Logins {
    codes: HashMap<String, Code>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    grants: u64,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scopes {
    /// `crm.read`
    Read,
    /// `crm.read crm.write`
    Write,
}

/// A code that waits to be exchanged.
#[derive(Debug)]
struct Code {
    redirect_uri: String,
    challenge: String,
    scopes: Scopes,
    expires: Timestamp,
}

#[derive(Debug)]
struct Access {
    grant: u64,
    scopes: Scopes,
    expires: Timestamp,
}

#[derive(Debug)]
struct Refresh {
    grant: u64,
    scopes: Scopes,
    used: bool,
}

/// Tokens for the client.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) lifetime: Duration,
    pub(super) scopes: Scopes,
}

/// What making a token takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mint<'a> {
    pub(super) now: Timestamp,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) lifetime: Duration,
}

impl Mint<'_> {
    fn token(&self, kind: &str) -> String {
        let mut bytes = [0; 24];
        self.entropy.fill(&mut bytes);
        format!("demo_{kind}_{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl Logins {
    /// A code for the redirect.
    pub(super) fn allow(
        &mut self,
        mint: Mint<'_>,
        redirect_uri: &str,
        challenge: &str,
        scopes: Scopes,
    ) -> String {
        self.codes.retain(|_, code| code.expires > mint.now);
        let code = mint.token("code");
        let kept = Code {
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            scopes,
            expires: mint.now.plus(CODE_LIFETIME),
        };
        self.codes.insert(code.clone(), kept);
        code
    }

    /// Tokens for a code, once.
    ///
    /// # Errors
    /// What is wrong, for `error_description`.
    pub(super) fn exchange(
        &mut self,
        mint: Mint<'_>,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Issued, &'static str> {
        let code = self
            .codes
            .remove(code)
            .filter(|code| code.expires > mint.now)
            .ok_or("the code is unknown, used or too old")?;
        if code.redirect_uri != redirect_uri {
            return Err("the redirect_uri is not that of the code");
        }
        if URL_SAFE_NO_PAD.encode(Digest::of(verifier).as_bytes()) != code.challenge {
            return Err("the code_verifier does not fit the code_challenge");
        }
        self.grants += 1;
        Ok(self.issue(mint, self.grants, code.scopes, true))
    }

    /// New tokens for a refresh token, once. The second use of one ends the whole grant, since
    /// one of the two users must have stolen it.
    ///
    /// # Errors
    /// What is wrong, for `error_description`.
    pub(super) fn refresh(&mut self, mint: Mint<'_>, token: &str) -> Result<Issued, &'static str> {
        let refresh = self
            .refresh
            .get_mut(token)
            .ok_or("the refresh token is unknown or was revoked")?;
        let (grant, scopes) = (refresh.grant, refresh.scopes);
        if refresh.used {
            self.end(grant);
            return Err("the refresh token was used before, so the grant has ended");
        }
        refresh.used = true;
        Ok(self.issue(mint, grant, scopes, true))
    }

    /// An access token for the client itself.
    pub(super) fn client(&mut self, mint: Mint<'_>, scopes: Scopes) -> Issued {
        self.grants += 1;
        self.issue(mint, self.grants, scopes, false)
    }

    /// Ends the grant of a token of either kind.
    pub(super) fn revoke(&mut self, token: &str) {
        let access = self.access.get(token).map(|access| access.grant);
        let refresh = || self.refresh.get(token).map(|refresh| refresh.grant);
        if let Some(grant) = access.or_else(refresh) {
            self.end(grant);
        }
    }

    /// What an access token allows, where it is good.
    pub(super) fn scopes(&self, access_token: &str, now: Timestamp) -> Option<Scopes> {
        let access = self.access.get(access_token)?;
        (access.expires > now).then_some(access.scopes)
    }

    fn issue(&mut self, mint: Mint<'_>, grant: u64, scopes: Scopes, refreshable: bool) -> Issued {
        self.access.retain(|_, access| access.expires > mint.now);
        let access_token = mint.token("access");
        let access = Access {
            grant,
            scopes,
            expires: mint.now.plus(mint.lifetime),
        };
        self.access.insert(access_token.clone(), access);
        let refresh_token = refreshable.then(|| {
            let refresh_token = mint.token("refresh");
            let refresh = Refresh {
                grant,
                scopes,
                used: false,
            };
            self.refresh.insert(refresh_token.clone(), refresh);
            refresh_token
        });
        Issued {
            access_token,
            refresh_token,
            lifetime: mint.lifetime,
            scopes,
        }
    }

    fn end(&mut self, grant: u64) {
        self.access.retain(|_, access| access.grant != grant);
        self.refresh.retain(|_, refresh| refresh.grant != grant);
    }
}

impl Scopes {
    /// The scopes of a request; all of them where it names none. None for an unknown one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        if !words
            .iter()
            .all(|word| matches!(*word, "crm.read" | "crm.write"))
        {
            return None;
        }
        // Whoever may write sees what was written.
        let write = words.is_empty() || words.contains(&"crm.write");
        Some(if write { Self::Write } else { Self::Read })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Read => "crm.read",
            Self::Write => "crm.read crm.write",
        })
    }
}
