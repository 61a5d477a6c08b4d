//! How many requests a project may make, and the headers that say so
//! (draft-ietf-httpapi-ratelimit-headers).

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use super::error::{Code, Error};
use crate::model::{ConnectionId, ProjectId};

const WINDOW_SECONDS: u64 = 60;

type Limiter = RateLimiter<
    ProjectId,
    DefaultKeyedStateStore<ProjectId>,
    DefaultClock,
    StateInformationMiddleware,
>;

/// The limit of each project. Clones count together.
#[derive(Clone)]
pub struct RateLimit(Option<(NonZeroU32, Arc<Limiter>)>);

impl fmt::Debug for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_minute = self.0.as_ref().map(|(per_minute, _)| per_minute);
        formatter
            .debug_tuple("RateLimit")
            .field(&per_minute)
            .finish()
    }
}

/// How a project stood when a request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    per_minute: u32,
    remaining: u32,
}

/// Where a request's project and its standing are left for the layer that counts requests and
/// writes headers.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    project: Arc<OnceLock<ProjectId>>,
    standing: Arc<OnceLock<Standing>>,
}

impl RateLimit {
    /// So many requests in a minute, which may come at once; 0 for any number.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self(NonZeroU32::new(per_minute).map(|per_minute| {
            let limiter = RateLimiter::keyed(Quota::per_minute(per_minute));
            let limiter = limiter.with_middleware::<StateInformationMiddleware>();
            (per_minute, Arc::new(limiter))
        }))
    }

    /// Counts a request of `project`, once however many arguments of a handler ask.
    pub(super) fn count(&self, project: ProjectId, counted: Option<&Counted>) -> Result<(), Error> {
        if let Some(counted) = counted {
            counted.project.get_or_init(|| project);
        }
        let Some((per_minute, limiter)) = &self.0 else {
            return Ok(());
        };
        if counted.is_some_and(|counted| counted.standing.get().is_some()) {
            return Ok(());
        }
        let checked = limiter.check_key(&project);
        let remaining = checked
            .as_ref()
            .map_or(0, |state| state.remaining_burst_capacity());
        let standing = Standing {
            per_minute: per_minute.get(),
            remaining,
        };
        if let Some(counted) = counted {
            counted.standing.get_or_init(|| standing);
        }
        let Err(refused) = checked else {
            return Ok(());
        };
        let wait = refused.wait_time_from(DefaultClock::default().now());
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(WINDOW_SECONDS);
        let detail = format!(
            "This project may make {per_minute} requests in a minute; the next is possible in {seconds} s."
        );
        Err(Error::new(Code::TooManyRequests, detail).with_retry_after(seconds))
    }
}

impl Counted {
    /// The project whose key came with the request.
    pub(super) fn project(&self) -> Option<ProjectId> {
        self.project.get().copied()
    }

    /// Writes the headers, where a request was counted.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let Some(standing) = self.standing.get() else {
            return;
        };
        let Standing {
            per_minute,
            remaining,
        } = *standing;
        let missing = u64::from(per_minute.saturating_sub(remaining));
        let reset = (missing * WINDOW_SECONDS).div_ceil(u64::from(per_minute));
        let policy = format!(r#""project";q={per_minute};w={WINDOW_SECONDS}"#);
        let state = format!(r#""project";r={remaining};t={reset}"#);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// How often pages of one connection may make its provider say something: what can be chosen,
/// which fields there are. Whoever has a connect link can load them, without an API key.
#[derive(Debug)]
pub struct QuestionRate(DefaultKeyedRateLimiter<ConnectionId>);

impl Default for QuestionRate {
    fn default() -> Self {
        let quota = Quota::per_second(Self::PER_SECOND).allow_burst(Self::BURST);
        Self(RateLimiter::keyed(quota))
    }
}

impl QuestionRate {
    /// Questions that may come at once: a page has several fields.
    const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
    /// Questions over time.
    const PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
    /// Connections that are remembered before those that rest are forgotten.
    const REMEMBERED: usize = 10_000;

    /// Whether one more may be asked now; it is counted.
    #[must_use]
    pub fn takes(&self, connection: ConnectionId) -> bool {
        if self.0.len() > Self::REMEMBERED {
            self.0.retain_recent();
        }
        self.0.check_key(&connection).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::SystemEntropy;

    use super::*;

    #[test]
    fn a_connections_pages_ask_so_often_and_others_have_theirs() {
        let rate = QuestionRate::default();
        let [one, other] = [(); 2].map(|()| ConnectionId::generate(&SystemEntropy));
        let taken = (0..100).filter(|_| rate.takes(one)).count();
        assert!((30..35).contains(&taken), "{taken}");
        assert!(rate.takes(other));
    }

    #[test]
    fn a_project_has_its_number_of_requests_and_others_have_theirs() {
        let limit = RateLimit::new(2);
        let [one, other] = [(); 2].map(|()| ProjectId::generate(&SystemEntropy));
        let first = Counted::default();
        limit.count(one, Some(&first)).unwrap();
        limit.count(one, Some(&first)).unwrap();
        limit.count(one, None).unwrap();
        let third = Counted::default();
        let refused = limit.count(one, Some(&third)).unwrap_err();
        assert_eq!(refused.code(), Code::TooManyRequests);
        limit.count(other, None).unwrap();
        let headers = |counted: &Counted| {
            let mut headers = HeaderMap::new();
            counted.write(&mut headers);
            headers
        };
        assert_eq!(headers(&first)["ratelimit"], r#""project";r=1;t=30"#);
        assert_eq!(headers(&third)["ratelimit"], r#""project";r=0;t=60"#);
        assert_eq!(headers(&third)["ratelimit-policy"], r#""project";q=2;w=60"#);
        assert!(headers(&Counted::default()).is_empty());
        assert!(RateLimit::new(0).count(one, Some(&first)).is_ok());
    }
}
