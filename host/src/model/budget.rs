//! One window of a provider's rate limit: who takes what from it, and what the provider says.
//!
//! Pure: whoever keeps it gives the time. The window begins with the first request after the one
//! before it ended, as most providers count.

use std::time::Duration;

use super::Timestamp;

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// What the manifest says a window has; another number begins anew.
    pub declared: u64,
    /// What it has: the manifest's number, or the provider's own.
    pub limit: u64,
    /// What was taken from it.
    pub used: u64,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Until when the provider wants to hear nothing.
    pub blocked_until: Option<Timestamp>,
}

/// What the manifest says of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// Requests in a window.
    pub requests: u64,
    /// Its length.
    pub length: Duration,
    /// Per cent that only those get who wait.
    pub reserve_percent: u8,
}

/// What somebody wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Whether somebody waits for the answer.
    pub interactive: bool,
    /// At most so many.
    pub want: u64,
    /// What was taken before and not used, of the window that ends then.
    pub give_back: Option<(u64, Timestamp)>,
}

/// What he gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// So many, perhaps none.
    pub tokens: u64,
    /// How long to wait where there were none.
    pub wait: Duration,
}

/// What a provider says of a bucket in the headers of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Requests in a window.
    pub limit: Option<u64>,
    /// Requests that are left.
    pub remaining: Option<u64>,
    /// Time to the end of the window.
    pub reset: Option<Duration>,
}

impl WindowRule {
    /// How many of `limit` are kept for those who wait; at least one is left for the others.
    #[must_use]
    pub fn reserved(&self, limit: u64) -> u64 {
        let share = limit
            .saturating_mul(u64::from(self.reserve_percent))
            .div_ceil(100);
        share.min(limit.saturating_sub(1))
    }
}

impl Window {
    /// One from which nothing was taken yet.
    #[must_use]
    pub const fn new(rule: &WindowRule) -> Self {
        Self {
            declared: rule.requests,
            limit: rule.requests,
            used: 0,
            ends_at: Timestamp::from_millis(0),
            blocked_until: None,
        }
    }

    /// What is left of it.
    #[must_use]
    pub fn remaining(&self, now: Timestamp) -> u64 {
        if self.blocked(now).is_some() {
            0
        } else if self.ends_at <= now {
            self.limit
        } else {
            self.limit.saturating_sub(self.used)
        }
    }

    /// Until when the provider wants to hear nothing, where that is not over.
    #[must_use]
    pub fn blocked(&self, now: Timestamp) -> Option<Timestamp> {
        self.blocked_until.filter(|until| *until > now)
    }

    /// Takes from it.
    pub fn take(&mut self, rule: &WindowRule, ask: &Ask, now: Timestamp) -> Granted {
        if self.declared != rule.requests {
            self.declared = rule.requests;
            self.limit = rule.requests;
        }
        if let Some((unused, window)) = ask.give_back
            && window == self.ends_at
        {
            self.used = self.used.saturating_sub(unused);
        }
        if let Some(until) = self.blocked(now) {
            return Granted {
                tokens: 0,
                wait: until.since(now),
            };
        }
        if self.ends_at <= now {
            self.used = 0;
            self.ends_at = now.plus(rule.length);
        }
        let kept = if ask.interactive {
            0
        } else {
            rule.reserved(self.limit)
        };
        let free = self.limit.saturating_sub(kept).saturating_sub(self.used);
        let tokens = ask.want.min(free);
        self.used += tokens;
        Granted {
            tokens,
            wait: self.ends_at.since(now),
        }
    }

    /// Believes the provider: its own limit, the end of its window, and less than was thought to
    /// be left. More than that is not believed, for what others took may not have arrived yet.
    pub fn correct(&mut self, rule: &WindowRule, said: &Said, now: Timestamp) {
        if let Some(limit) = said.limit.filter(|limit| *limit > 0) {
            self.limit = limit;
        }
        if self.ends_at <= now {
            self.used = 0;
            self.ends_at = now.plus(said.reset.unwrap_or(rule.length));
        } else if let Some(reset) = said.reset {
            let ends_at = now.plus(reset);
            // The provider's next window has begun before ours ended.
            if ends_at > self.ends_at.plus(rule.length / 2) {
                self.used = 0;
            }
            self.ends_at = ends_at;
        }
        if let Some(remaining) = said.remaining {
            self.used = self.used.max(self.limit.saturating_sub(remaining));
        }
    }

    /// The provider wants to hear nothing until then.
    pub fn block(&mut self, until: Timestamp) {
        self.blocked_until = self.blocked_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: WindowRule = WindowRule {
        requests: 10,
        length: Duration::from_secs(10),
        reserve_percent: 20,
    };

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const fn ask(interactive: bool, want: u64) -> Ask {
        Ask {
            interactive,
            want,
            give_back: None,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn background_work_leaves_the_reserve_to_those_who_wait() {
        let mut window = Window::new(&RULE);
        let mut take = |interactive, want, now| {
            let granted = window.take(&RULE, &ask(interactive, want), at(now));
            (granted.tokens, granted.wait)
        };
        assert_eq!(take(false, 6, 100), (6, seconds(10)));
        assert_eq!(take(false, 6, 102), (2, seconds(8)));
        assert_eq!(take(false, 1, 103), (0, seconds(7)));
        assert_eq!(take(true, 5, 104), (2, seconds(6)));
        assert_eq!(take(true, 1, 105), (0, seconds(5)));
        assert_eq!(take(false, 1, 110), (1, seconds(10)), "the next window");
    }

    #[test]
    fn even_the_smallest_bucket_has_something_for_both() {
        let rule = |requests| WindowRule { requests, ..RULE };
        assert_eq!(rule(1).reserved(1), 0);
        assert_eq!(rule(2).reserved(2), 1);
        assert_eq!(rule(4).reserved(4), 1);
        assert_eq!(rule(100).reserved(100), 20);
    }

    #[test]
    fn what_was_not_used_comes_back_to_its_window_only() {
        let mut window = Window::new(&RULE);
        window.take(&RULE, &ask(false, 8), at(100));
        let give_back = Some((3, window.ends_at));
        let again = Ask {
            give_back,
            ..ask(false, 5)
        };
        assert_eq!(window.take(&RULE, &again, at(101)).tokens, 3);
        let late = Ask {
            give_back: Some((3, at(1))),
            ..ask(false, 5)
        };
        assert_eq!(window.take(&RULE, &late, at(102)).tokens, 0);
    }

    #[test]
    fn a_block_holds_for_everybody_until_it_is_over() {
        let mut window = Window::new(&RULE);
        window.block(at(130));
        window.block(at(120));
        let granted = window.take(&RULE, &ask(true, 1), at(100));
        assert_eq!((granted.tokens, granted.wait), (0, seconds(30)));
        assert_eq!(window.remaining(at(100)), 0);
        assert_eq!(window.take(&RULE, &ask(true, 1), at(130)).tokens, 1);
    }

    #[test]
    fn the_provider_knows_better() {
        let mut window = Window::new(&RULE);
        window.take(&RULE, &ask(false, 2), at(100));
        let said = |limit, remaining, reset: Option<u64>| Said {
            limit,
            remaining,
            reset: reset.map(Duration::from_secs),
        };
        window.correct(&RULE, &said(None, Some(3), None), at(101));
        assert_eq!(window.remaining(at(101)), 3, "others use it too");
        window.correct(&RULE, &said(None, Some(9), None), at(101));
        assert_eq!(window.remaining(at(101)), 3, "an older answer");
        window.correct(&RULE, &said(Some(20), Some(13), Some(4)), at(102));
        assert_eq!((window.remaining(at(102)), window.ends_at), (13, at(106)));
        window.correct(&RULE, &said(None, Some(19), Some(10)), at(105));
        assert_eq!((window.remaining(at(105)), window.ends_at), (19, at(115)));
        let other = WindowRule {
            requests: 5,
            ..RULE
        };
        window.take(&other, &ask(true, 1), at(200));
        assert_eq!(window.limit, 5, "a new version of the connector");
    }
}
