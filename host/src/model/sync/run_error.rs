//! Why a run failed: a class to act on, a sentence, and what to do about it.

use super::words;

words! {
    /// What kind of thing went wrong.
    ErrorClass {
        /// The credentials are not accepted.
        Auth = "auth",
        /// The credentials may not do this.
        Forbidden = "forbidden",
        /// Too many requests.
        RateLimited = "rate_limited",
        /// The provider is down, or answers nonsense.
        Provider = "provider",
        /// The provider cannot be reached.
        Network = "network",
        /// The provider or the connector took too long.
        Timeout = "timeout",
        /// The provider refuses what it was sent.
        Invalid = "invalid",
        /// The connector crashed, broke a limit, or does not serve.
        Connector = "connector",
        /// The connector answered something that breaks the contract.
        Contract = "contract",
        /// The database failed.
        Storage = "storage",
        /// A guard stopped it before it did harm.
        Guard = "guard",
        /// Anything else.
        Other = "other",
    }
}

impl ErrorClass {
    /// What to do about it, in a sentence for whoever runs the application.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Auth => {
                "Let the customer connect the account again; the sync goes on from where it was."
            }
            Self::Forbidden => {
                "Let the customer give the login more rights at the provider, or connect another account."
            }
            Self::RateLimited => {
                "Nothing: it goes on when the provider allows it. Where this happens often, sync less often."
            }
            Self::Provider => {
                "Nothing at first: it is tried again. Where it lasts, look at the provider's status page."
            }
            Self::Network => {
                "Nothing at first: it is tried again. Where it lasts, see whether this server reaches the provider's address."
            }
            Self::Timeout => {
                "Nothing at first: it is tried again. Where it lasts, ask for smaller pages (sync.page_size)."
            }
            Self::Invalid => "Correct the record, or the mapping of the field that is named.",
            Self::Connector => {
                "See how the connector stands on this server, and install a version of it that works."
            }
            Self::Contract => {
                "Tell the connector's author, with the sentence above; a corrected version is used at once."
            }
            Self::Storage => "See to the database: its space, its health and its log.",
            Self::Guard => "Look at what it was about to do, and confirm or refuse it.",
            Self::Other => "See the server's log around this time.",
        }
    }
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// What kind.
    pub class: ErrorClass,
    /// What happened, in a sentence.
    pub message: String,
}

impl RunError {
    /// From a class and a sentence.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }
}
