//! Signing in with an account elsewhere: OpenID Connect, by an authorisation code with PKCE.
//!
//! What belongs to one login (state, nonce, verifier) follows from one secret in a cookie of the
//! browser that began it: another browser cannot finish it, any host of this server can, and two
//! tabs do not disturb each other, since each login has a cookie of its own.

mod claims;
mod issuer;

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use self::{claims::Claims, issuer::Issuer};
use super::{Access, Error, NewSession, links::taken, secret::Secret};
use crate::{
    egress::Egress,
    model::{Digest, Operator, Place, Role},
    store::{Amended, LinkPurpose, NewOperator},
};

/// How long somebody may take to sign in there.
const LOGIN_LIFE: Duration = Duration::from_secs(600);
const LOGIN: &str = "jackfield-login-";
/// Who changes roles here by what the issuer says, for the audit log.
const ISSUER: &str = "oidc";

/// What the operator of the server decided.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who vouches for people.
    pub issuer: Url,
    /// This server's name there.
    pub client_id: String,
    /// And its secret.
    pub client_secret: SecretString,
    /// What stands on the button.
    pub label: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Domains, in small letters, whose people get an account at their first sign-in.
    pub allowed_domains: Vec<String>,
    /// Addresses, in small letters, whose owners do.
    pub allowed_emails: Vec<String>,
    /// What those are then.
    pub role: Role,
    /// The claim that tells the role.
    pub role_claim: Option<String>,
    /// Its values.
    pub roles: BTreeMap<Role, Vec<String>>,
}

/// A login that begins.
#[derive(Debug)]
pub struct Start {
    /// Where to send the browser.
    pub location: Url,
    /// The value of the header `Set-Cookie`.
    pub cookie: String,
}

/// With what the issuer sent the browser back.
#[derive(Debug, Default)]
pub struct Answer<'a> {
    /// What we gave it.
    pub state: &'a str,
    /// What it gave.
    pub code: Option<&'a str>,
    /// Who it says it is (RFC 9207).
    pub issuer: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
}

/// A login that ended well.
#[derive(Debug)]
pub struct Finish {
    /// The session.
    pub new: NewSession,
    /// Where the browser wanted to go.
    pub next: String,
    /// The value of the header `Set-Cookie` that clears what the start set.
    pub clear: String,
}

#[derive(Clone, Debug)]
pub(super) struct Oidc {
    options: Options,
    issuer: Issuer,
}

/// What belongs to one login.
struct Login {
    state: String,
    nonce: String,
    verifier: String,
}

impl Login {
    fn of(secret: &str) -> Self {
        let derived = |purpose: &str| {
            let digest = Digest::of_all(&[purpose.as_bytes(), secret.as_bytes()]);
            URL_SAFE_NO_PAD.encode(digest.as_bytes())
        };
        Self {
            state: derived("state"),
            nonce: derived("nonce"),
            verifier: derived("verifier"),
        }
    }

    /// The name of the cookie that belongs to a state; none for what is no state of ours.
    fn cookie(state: &str) -> Option<String> {
        Secret::parse(state)?;
        Some(format!("{LOGIN}{}", state.get(..16)?))
    }
}

impl Oidc {
    pub(super) fn new(options: Options, egress: Egress) -> Self {
        let issuer = Issuer::new(&options, egress);
        Self { options, issuer }
    }

    /// What the issuer says that somebody may do here.
    fn claimed_role(&self, claims: &Claims) -> Option<Role> {
        let values = claims.texts(self.options.role_claim.as_deref()?);
        // From the most to the least.
        let mut roles = self.options.roles.iter().rev();
        let found = roles.find(|(_, known)| values.iter().any(|value| known.contains(value)));
        found.map(|(role, _)| *role)
    }

    /// What the configuration says that somebody with this address may do here.
    fn listed_role(&self, claims: &Claims) -> Option<Role> {
        let email = claims.verified_email()?;
        let options = &self.options;
        let listed = options
            .allowed_emails
            .iter()
            .any(|one| one == email.as_str())
            || options
                .allowed_domains
                .iter()
                .any(|one| one == email.domain());
        listed.then_some(options.role)
    }
}

impl Access {
    fn oidc(&self) -> Result<&Oidc, Error> {
        let oidc = self.0.oidc.as_ref();
        oidc.ok_or_else(|| Error::Elsewhere("this server has no other way to sign in".to_owned()))
    }

    fn redirect_uri(&self) -> Url {
        let mut url = self.0.options.public_url.clone();
        url.set_query(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["sign-in", "oidc", "callback"]);
        }
        url
    }

    /// Begins a login elsewhere, after which the browser goes on at `next`.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] where the issuer cannot be asked.
    pub async fn start_elsewhere(&self, next: &str) -> Result<Start, Error> {
        let oidc = self.oidc()?;
        let endpoints = oidc.issuer.discover(self.0.clock.now()).await?;
        let secret = Secret::generate(&*self.0.entropy);
        let login = Login::of(secret.text());
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(&login.verifier).as_bytes());
        let mut location = endpoints.authorization;
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &oidc.options.client_id)
            .append_pair("redirect_uri", self.redirect_uri().as_str())
            .append_pair("scope", &oidc.options.scopes.join(" "))
            .append_pair("state", &login.state)
            .append_pair("nonce", &login.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let name = Login::cookie(&login.state).ok_or(Error::Busy)?;
        let value = format!("{}.{}", secret.text(), URL_SAFE_NO_PAD.encode(next));
        let cookie = self.0.cookies.set(&name, value, LOGIN_LIFE);
        Ok(Start { location, cookie })
    }

    /// Finishes a login elsewhere in the browser that began it.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] with the reason.
    pub async fn finish_elsewhere(
        &self,
        cookies: &str,
        answer: &Answer<'_>,
        place: &Place,
    ) -> Result<Finish, Error> {
        let oidc = self.oidc()?;
        let stale = || {
            let text = "this login was not begun in this browser, or longer than ten minutes ago; begin again";
            Error::Elsewhere(text.to_owned())
        };
        let name = Login::cookie(answer.state).ok_or_else(stale)?;
        let value = self.0.cookies.find(cookies, &name).ok_or_else(stale)?;
        let (secret, next) = value.split_once('.').ok_or_else(stale)?;
        let login = Login::of(secret);
        if login.state != answer.state {
            return Err(stale());
        }
        if let Some(error) = answer.error {
            return Err(Error::Elsewhere(format!(
                "{} ended the login: {}",
                oidc.options.label,
                issuer::word(error)
            )));
        }
        let code = answer.code.ok_or_else(stale)?;
        let redirect_uri = self.redirect_uri();
        let exchange = issuer::Exchange {
            code,
            verifier: &login.verifier,
            nonce: &login.nonce,
            redirect_uri: &redirect_uri,
            said_issuer: answer.issuer,
            now: self.0.clock.now(),
        };
        let claims = oidc.issuer.claims(&exchange).await?;
        let operator = match self.operator_of(oidc, &claims).await {
            Ok(operator) => operator,
            Err(error @ Error::Elsewhere(_)) => {
                let details = json!({ "with": "elsewhere", "address": place.address });
                self.note("anonymous", "operator.sign_in_failed", "unknown", details)
                    .await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let new = self.begin_session(operator, place, "elsewhere").await?;
        let next = URL_SAFE_NO_PAD.decode(next).ok();
        let next = next.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(Finish {
            new,
            next: next.unwrap_or_default(),
            clear: self.0.cookies.clear(&name),
        })
    }

    /// Who somebody from elsewhere is here. An account that was made by hand is found by the
    /// e-mail address, if the issuer has verified that; from then on by the issuer's own id.
    async fn operator_of(&self, oidc: &Oidc, claims: &Claims) -> Result<Operator, Error> {
        let (claimed, listed) = (oidc.claimed_role(claims), oidc.listed_role(claims));
        if oidc.options.role_claim.is_some() && claimed.is_none() && listed.is_none() {
            return Err(Error::Elsewhere(
                "your account there is in no group that may operate this server; ask who manages those groups"
                    .to_owned(),
            ));
        }
        let store = &self.0.store;
        let subject = claims.account();
        let known = store.operator_by_subject(&subject).await?;
        let known = match (known, claims.verified_email()) {
            (Some(known), _) => Some(known),
            (None, Some(email)) => match store.operator_by_email(&email).await? {
                Some((operator, _)) => {
                    self.tie(&operator, &subject).await?;
                    Some(operator)
                }
                None => None,
            },
            (None, None) => None,
        };
        match known {
            Some(operator) => {
                // Who is in no group is what the list says; else a role would outlive its group.
                let by_groups = oidc.options.role_claim.is_some();
                let role = claimed.or(listed).filter(|_| by_groups);
                self.follow_role(operator, role).await
            }
            None => self.newcomer(claims, claimed, listed).await,
        }
    }

    async fn tie(&self, operator: &Operator, subject: &str) -> Result<(), Error> {
        let store = &self.0.store;
        let tied = store.set_operator_subject(operator.id, subject).await;
        if !tied.map_err(taken)? {
            return Err(Error::Elsewhere(format!(
                "{} belongs to another account there; ask an owner to remove and invite it again",
                operator.email
            )));
        }
        let email = operator.email.as_str();
        self.note(ISSUER, "operator.tie", email, json!({ "account": subject }))
            .await
    }

    async fn follow_role(
        &self,
        mut operator: Operator,
        role: Option<Role>,
    ) -> Result<Operator, Error> {
        let Some(role) = role.filter(|role| *role != operator.role) else {
            return Ok(operator);
        };
        let amended = self.0.store.set_operator_role(operator.id, role).await?;
        // Somebody has to be able to manage operators, whatever the issuer says.
        if amended == Amended::Done {
            let details = json!({ "from": operator.role.as_str(), "to": role.as_str() });
            let email = operator.email.as_str();
            self.note(ISSUER, "operator.role", email, details).await?;
            operator.role = role;
        }
        Ok(operator)
    }

    async fn newcomer(
        &self,
        claims: &Claims,
        claimed: Option<Role>,
        listed: Option<Role>,
    ) -> Result<Operator, Error> {
        let Some(email) = claims.verified_email() else {
            return Err(Error::Elsewhere(
                "the sign-in server does not say that it has verified your e-mail address, and nobody here is known by your account there"
                    .to_owned(),
            ));
        };
        let store = &self.0.store;
        let invitations = store.invitations().await?;
        let invited = invitations.iter().find_map(|link| match &link.purpose {
            LinkPurpose::Invitation { email: other, role } if *other == email => Some(*role),
            _ => None,
        });
        let removed = store.was_removed(&email, &claims.account()).await?;
        if removed && invited.is_none() {
            return Err(Error::Elsewhere(format!(
                "the account of {email} was removed from this server; ask an owner for an invitation"
            )));
        }
        let Some(role) = claimed.or(invited).or(listed) else {
            return Err(Error::Elsewhere(format!(
                "the account {email} may not operate this server yet; ask an owner for an invitation"
            )));
        };
        let new = NewOperator {
            name: claims.name().unwrap_or_else(|| email.to_string()),
            role,
            password: None,
            oidc_subject: Some(claims.account()),
            email,
        };
        let operator = store.create_operator(&new).await.map_err(taken)?;
        store.withdraw_invitation(&operator.email).await?;
        self.note_creation(ISSUER, &operator, "elsewhere").await?;
        Ok(operator)
    }
}

#[cfg(test)]
mod tests;
