//! Answers that go wrong when a test wants them to.

use std::{collections::VecDeque, sync::atomic::Ordering};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Demo, api::Problem};

/// What is to go wrong next.
#[derive(Debug, Default)]
pub(super) struct Faults {
    limited: u32,
    retry_after: u32,
    failing: u32,
    losing: u32,
    answering: VecDeque<Scripted>,
}

/// An answer that a test made up.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Faults {
    pub(super) fn limit_next(&mut self, requests: u32, retry_after_seconds: u32) {
        self.limited = requests;
        self.retry_after = retry_after_seconds;
    }

    pub(super) fn fail_next(&mut self, requests: u32) {
        self.failing = requests;
    }

    pub(super) fn lose_next(&mut self, requests: u32) {
        self.losing = requests;
    }

    pub(super) fn answer_next(&mut self, answer: Scripted) {
        self.answering.push_back(answer);
    }

    fn loses(&mut self) -> bool {
        let loses = self.losing > 0;
        self.losing -= u32::from(loses);
        loses
    }

    fn next(&mut self) -> Option<Response> {
        if let Some(answer) = self.answering.pop_front() {
            return Some(answer.into_response());
        }
        if self.limited > 0 {
            self.limited -= 1;
            let retry_after = [(RETRY_AFTER, self.retry_after.to_string())];
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            return Some((retry_after, problem).into_response());
        }
        if self.failing > 0 {
            self.failing -= 1;
            return Some(broken());
        }
        None
    }
}

impl IntoResponse for Scripted {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = (status, self.body).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

fn broken() -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broken on demand").into_response()
}

/// Counts the request, and answers it in place of the API where something is to go wrong.
pub(super) async fn interfere(State(demo): State<Demo>, request: Request, next: Next) -> Response {
    demo.0.requests.fetch_add(1, Ordering::Relaxed);
    let (fault, loses) = {
        let mut faults = demo.faults();
        (faults.next(), faults.loses())
    };
    match fault {
        Some(response) => response,
        None => {
            let response = next.run(request).await;
            if loses { broken() } else { response }
        }
    }
}
