//! Why somebody was not let in, or may not change that.

use std::time::Duration;

use crate::store;

/// The texts are for the person in front of the page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such account, or the password is another. Which of both is not told.
    #[error("the e-mail address or the password is wrong")]
    Credentials,
    /// Too many attempts.
    #[error("there were too many attempts; try again in {}", wait(*.0))]
    TooMany(Duration),
    /// More sign in at once than this server can check.
    #[error("too many people sign in at this moment; try again in a few seconds")]
    Busy,
    /// The new password cannot be one.
    #[error("{0}")]
    Password(&'static str),
    /// What was typed cannot be used: the field, and why.
    #[error("{1}")]
    Field(&'static str, String),
    /// The link was used, withdrawn or ran out.
    #[error("this link does not work any more: it works once and for a limited time")]
    Link,
    /// Somebody has this address already.
    #[error("there is an operator with this e-mail address already")]
    Taken,
    /// Nobody could manage operators any more.
    #[error("this is the last owner; make somebody else an owner first")]
    LastOwner,
    /// There is no such operator (any more).
    #[error("there is no such operator")]
    Missing,
    /// Signing in elsewhere did not work out; the text says why and who can mend it.
    #[error("{0}")]
    Elsewhere(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// In the largest unit that fits: seconds below two minutes, else minutes.
fn wait(time: Duration) -> String {
    match time.as_secs().max(1) {
        1 => "1 second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_for_people() {
        let text = |seconds| wait(Duration::from_secs(seconds));
        assert_eq!(text(0), "1 second");
        assert_eq!(text(119), "119 seconds");
        assert_eq!(text(121), "3 minutes");
    }
}
