//! Which request to this server is being answered: for logs only, nothing may depend on it.

use std::sync::Arc;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// The work of answering the request of that id.
pub async fn within_request<T>(id: &str, work: impl Future<Output = T>) -> T {
    REQUEST.scope(id.into(), work).await
}

/// The id of the request that this task answers, if it does.
#[must_use]
pub fn request_id() -> Option<String> {
    REQUEST.try_with(|id| id.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_work_of_a_request_has_its_id() {
        assert_eq!(request_id(), None);
        let within = within_request("req-1", async { request_id() }).await;
        assert_eq!(within.as_deref(), Some("req-1"));
        assert_eq!(request_id(), None);
    }
}
