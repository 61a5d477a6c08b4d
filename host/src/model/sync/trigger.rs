//! Why a sync runs.

use super::words;

words! {
    /// Why a run was started.
    Trigger {
        /// The first one of a new connection, or of an object that its connector has learnt.
        Initial = "initial",
        /// The schedule said so.
        Schedule = "schedule",
        /// Somebody asked for it.
        Manual = "manual",
        /// The provider told of changes.
        Webhook = "webhook",
        /// The run before failed.
        Retry = "retry",
        /// Our applications changed records that are to be pushed.
        Change = "change",
        /// What was pushed is taken back.
        Undo = "undo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_text_and_in_json() {
        for trigger in Trigger::ALL {
            assert_eq!(Trigger::parse(trigger.as_str()), Some(*trigger));
            assert_eq!(
                serde_json::to_value(trigger).unwrap(),
                trigger.to_string().as_str()
            );
        }
        assert_eq!(Trigger::parse("Manual"), None);
    }
}
