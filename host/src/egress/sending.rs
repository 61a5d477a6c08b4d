//! One request of a connector, sent until there is an answer or nothing more can be done.
//!
//! The one place for what follows from an answer: 401 refreshes the credentials once, 429 waits as
//! the provider says, 5xx and broken connections are tried three times in all where sending twice
//! does no harm. Nothing is tried past the deadline of the call.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, header};
use tokio::time::{Instant, sleep};

use super::{
    Authorization, AuthorizeError, Authorizer, Budget, Charge, Egress, Error, Exhausted, Limits,
    Priority, Request, Response, Witness, meaning,
};
use crate::model::{Clock, Meaning, Retry};

/// How often a request is sent in all; once more after credentials were refreshed.
const ATTEMPTS: u32 = 3;
/// The longest that somebody waits for a budget or a provider's limit within a call.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait before the second attempt; it doubles.
pub const FIRST_WAIT: Duration = Duration::from_millis(400);
/// How long a provider is left alone that says 429 and not for how long.
const UNTOLD: Duration = Duration::from_secs(5);
/// What a provider may ask for at most.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Added to waits for limits, so that not all come back in the same moment.
const SPREAD: Duration = Duration::from_millis(100);

/// How a request is to be sent.
pub struct Sending<'a> {
    /// Gives the credentials; none where the request needs none.
    pub authorizer: Option<&'a dyn Authorizer>,
    /// What answers mean, by the manifest.
    pub retry: &'a Retry,
    /// What the provider allows.
    pub budget: &'a dyn Budget,
    /// Which of it the request takes.
    pub charges: &'a [Charge<'a>],
    /// Who waits.
    pub priority: Priority,
    /// How long to wait for a budget.
    pub patience: Duration,
    /// Whether a 429 is waited out here, where the wait is short.
    pub waits_out_limits: bool,
    /// What one attempt may cost.
    pub limits: Limits,
    /// When the call ends.
    pub deadline: Instant,
    /// The longest wait before the second attempt: [`FIRST_WAIT`].
    pub first_wait: Duration,
    /// Told of each attempt.
    pub observe: &'a (dyn Fn(&Result<Response, Error>) + Send + Sync),
    /// On whose behalf attempts are written down; none are where there is nobody.
    pub witness: Option<Witness<'a>>,
    /// The time, for providers that name dates.
    pub clock: &'a dyn Clock,
}

/// What came of it.
pub struct Sent {
    /// The last answer, without the secrets that it was sent with.
    pub response: Response,
    /// What it means, where it is not a result.
    pub meaning: Option<Meaning>,
    /// How long the provider wants to be left alone.
    pub wait: Option<Duration>,
    /// The credentials that it was sent with.
    pub authorization: Option<Arc<Authorization>>,
}

impl Sent {
    /// The status that says what the answer means.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.meaning.map_or(self.response.status, |meaning| {
            if meaning == Meaning::Unavailable && self.response.status >= 500 {
                return self.response.status;
            }
            meaning.status()
        })
    }
}

/// Why there is no answer. `B` is why a request could not be made.
#[derive(Debug)]
pub enum SendingError<B> {
    /// The request could not be made.
    Build(B),
    /// There are no credentials.
    Credentials(AuthorizeError),
    /// The budget is used up, and it would take too long to wait.
    Exhausted(Exhausted),
    /// The last attempt had no answer.
    Exchange(Error),
}

/// What to do after an attempt.
enum Next {
    Done,
    Refresh,
    Again(Duration),
}

impl Egress {
    /// Sends what `build` makes of the credentials.
    ///
    /// # Errors
    /// There is no answer: why.
    pub async fn send_until_answered<B>(
        &self,
        sending: &Sending<'_>,
        build: impl Fn(Option<&Arc<Authorization>>) -> Result<Request, B> + Send + Sync,
    ) -> Result<Sent, SendingError<B>> {
        let mut authorization = match sending.authorizer {
            Some(authorizer) => {
                let current = authorizer.current().await;
                Some(current.map_err(SendingError::Credentials)?)
            }
            None => None,
        };
        let mut refreshed = authorization.is_none();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = build(authorization.as_ref()).map_err(SendingError::Build)?;
            let repeatable = is_repeatable(&request, sending.retry);
            sending.admit().await.map_err(SendingError::Exhausted)?;
            let mut limits = sending.limits;
            limits.total = limits.total.min(sending.left());
            let begun = sending.witness.and_then(|witness| {
                let now = sending.clock.now();
                self.begin(witness, &request, now, attempt)
            });
            let outcome = self.send(request, &limits).await;
            (sending.observe)(&outcome);
            if let Some(begun) = begun {
                self.end(begun, outcome.as_ref(), authorization.as_deref())
                    .await;
            }
            let response = match outcome {
                Ok(response) => response,
                Err(error) => {
                    let harmless = repeatable || !error.was_sent();
                    match sending.after_failure(&error, harmless, attempt, self) {
                        Some(wait) => {
                            sleep(wait).await;
                            continue;
                        }
                        None => return Err(SendingError::Exchange(error)),
                    }
                }
            };
            let now = sending.clock.now();
            let (meaning, wait) = meaning::read(&sending.retry.rules, &response, now);
            let wait = wait.map(|wait| wait.min(LONGEST_WAIT));
            let next = match meaning {
                Some(Meaning::TokenExpired) if !refreshed => Next::Refresh,
                Some(Meaning::RateLimited) => sending.limited(&response, wait, attempt, self).await,
                Some(Meaning::Unavailable) if repeatable => sending
                    .pause(attempt, wait, self)
                    .map_or(Next::Done, Next::Again),
                _ => Next::Done,
            };
            if meaning != Some(Meaning::RateLimited) {
                sending.correct(&response).await;
            }
            match next {
                Next::Again(wait) => sleep(wait).await,
                Next::Refresh => {
                    refreshed = true;
                    attempt -= 1;
                    let rejected = authorization.as_ref().map_or(0, |held| held.generation());
                    let fresh = match sending.authorizer {
                        Some(authorizer) => authorizer.refreshed(rejected).await,
                        None => Err(AuthorizeError::Dead(String::new())),
                    };
                    match fresh {
                        Ok(fresh) => authorization = Some(fresh),
                        // There will be no newer ones: the answer is the provider's last word.
                        Err(AuthorizeError::Dead(_)) => {
                            return Ok(sent(response, meaning, wait, authorization));
                        }
                        Err(error) => return Err(SendingError::Credentials(error)),
                    }
                }
                Next::Done => return Ok(sent(response, meaning, wait, authorization)),
            }
        }
    }

    /// Any time from half of `longest` to all of it.
    fn jittered(&self, longest: Duration) -> Duration {
        let mut bytes = [0; 4];
        self.0.entropy.fill(&mut bytes);
        let share = f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX);
        longest.mul_f64(share.mul_add(0.5, 0.5))
    }
}

/// What it was sent with is masked here, before anybody looks at the answer.
fn sent(
    mut response: Response,
    meaning: Option<Meaning>,
    wait: Option<Duration>,
    authorization: Option<Arc<Authorization>>,
) -> Sent {
    if let Some(authorization) = &authorization {
        authorization.masks().response(&mut response);
    }
    Sent {
        response,
        meaning,
        wait,
        authorization,
    }
}

impl Sending<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until the budget lets the request through, if that does not take too long.
    ///
    /// # Errors
    /// It would.
    pub async fn admit(&self) -> Result<(), Exhausted> {
        let until = (Instant::now() + self.patience).min(self.deadline);
        loop {
            let Err(exhausted) = self.budget.take(self.charges, self.priority).await else {
                return Ok(());
            };
            if Instant::now() + exhausted.wait >= until {
                return Err(exhausted);
            }
            sleep(exhausted.wait).await;
        }
    }

    /// Tells the budget what an answer says of it.
    async fn correct(&self, response: &Response) {
        for charge in self.charges {
            let headers = charge.bucket.and_then(|bucket| bucket.headers.as_ref());
            let said =
                headers.and_then(|headers| meaning::said(headers, response, self.clock.now()));
            if let Some(said) = said {
                self.budget.correct(charge, said).await;
            }
        }
    }

    /// What follows for the budget from an answer whose body flows.
    pub async fn heed(&self, response: &Response) {
        let (meaning, wait) = meaning::read(&self.retry.rules, response, self.clock.now());
        if meaning == Some(Meaning::RateLimited) {
            self.hold_back(response, wait).await;
        } else {
            self.correct(response).await;
        }
    }

    /// The provider said 429, in whatever way: nobody asks it anything for that long.
    async fn limited(
        &self,
        response: &Response,
        wait: Option<Duration>,
        attempt: u32,
        egress: &Egress,
    ) -> Next {
        let told = wait.map(|wait| wait + egress.jittered(SPREAD));
        let again = (self.waits_out_limits && attempt < ATTEMPTS)
            .then(|| told.unwrap_or_else(|| egress.jittered(doubled(self.first_wait, attempt))))
            .filter(|wait| *wait <= PATIENCE + SPREAD && *wait < self.left());
        self.hold_back(response, again.or(wait)).await;
        again.map_or(Next::Done, Next::Again)
    }

    /// Empties the buckets that a 429 is about: of those that cover the request, the ones that the
    /// answer does not say are fine.
    async fn hold_back(&self, response: &Response, wait: Option<Duration>) {
        let (now, mut reset) = (self.clock.now(), None);
        let mut emptied: Vec<Charge<'_>> = Vec::with_capacity(self.charges.len());
        for charge in self.charges {
            let headers = charge.bucket.and_then(|bucket| bucket.headers.as_ref());
            let said = headers.and_then(|headers| meaning::said(headers, response, now));
            if said
                .and_then(|said| said.remaining)
                .is_some_and(|left| left > 0)
            {
                continue;
            }
            reset = reset.max(said.and_then(|said| said.reset));
            emptied.push(*charge);
        }
        if emptied.is_empty() {
            emptied.extend_from_slice(self.charges);
        }
        let wait = wait.or(reset).unwrap_or(UNTOLD).min(LONGEST_WAIT);
        self.budget.block(&emptied, wait).await;
    }

    /// How long to wait after an attempt without an answer; none where it was the last.
    fn after_failure(
        &self,
        error: &Error,
        harmless: bool,
        attempt: u32,
        egress: &Egress,
    ) -> Option<Duration> {
        let passing = matches!(
            error,
            Error::Timeout | Error::Unreachable(_) | Error::NotConnected(_)
        );
        if !passing || !harmless {
            return None;
        }
        self.pause(attempt, None, egress)
    }

    fn pause(&self, attempt: u32, told: Option<Duration>, egress: &Egress) -> Option<Duration> {
        if attempt >= ATTEMPTS {
            return None;
        }
        let wait = egress.jittered(doubled(self.first_wait, attempt));
        let wait = told.map_or(wait, |told| told.max(wait));
        (wait <= PATIENCE && wait < self.left()).then_some(wait)
    }
}

fn doubled(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
}

/// Whether sending it twice does what sending it once does.
fn is_repeatable(request: &Request, retry: &Retry) -> bool {
    let headers = &request.headers;
    let keyed = headers.contains_key("idempotency-key")
        || retry
            .idempotency_headers
            .iter()
            .any(|name| headers.contains_key(name.as_str()));
    // Done the first time, it would be refused the second.
    let conditional =
        headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE);
    let safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let idempotent = matches!(request.method, Method::PUT | Method::DELETE);
    safe || keyed || (idempotent && !conditional)
}
