//! A provider's bad answers: each must become the failure that tells the host what to do, and none
//! must be taken for an empty list.

use std::time::Duration;

use super::{
    Bench, Check, Verdict,
    reading::{Read, good_page},
    stage::Forced,
};
use crate::runtime::{CallError, Failure, FetchRequest, RecordPage};

const SEND: &str = "Let the answer's status decide: `send()?` of the SDK does; in other languages map each status to its case.";

pub(super) async fn all(bench: &Bench<'_>, read: &Read) -> Vec<Check> {
    let name = read.kind.name();
    let mut checks = Vec::new();
    for (check, status) in [("401", 401), ("403", 403), ("400", 400)] {
        checks.push(Check::of(check, name, refused(bench, read, status).await));
    }
    checks.push(Check::of(
        "429 then OK",
        name,
        after(bench, read, 429).await,
    ));
    checks.push(Check::of("429", name, limited(bench, read).await));
    checks.push(Check::of(
        "500 then OK",
        name,
        after(bench, read, 500).await,
    ));
    checks.push(Check::of("500", name, unavailable(bench, read).await));
    checks.push(Check::of("no JSON", name, nonsense(bench, read).await));
    checks
}

fn status(status: u16, headers: Vec<(&'static str, &'static str)>) -> Forced {
    Forced::Status(status, headers, "{\"message\":\"a test\"}")
}

async fn fetch(bench: &Bench<'_>, request: FetchRequest) -> Result<RecordPage, CallError> {
    bench
        .lab
        .version
        .fetch_records(bench.lab.context(), request)
        .await
}

/// A refusal of the provider.
async fn refused(bench: &Bench<'_>, read: &Read, code: u16) -> Verdict {
    bench.stage.begin(
        std::iter::repeat_with(|| status(code, Vec::new())).take(20),
        true,
    );
    let answer = fetch(bench, read.request()).await;
    let asked = bench.stage.sent().heard.len();
    match (code, answer) {
        (401, Err(CallError::Failure(Failure::Unauthorized(_)))) => {
            Verdict::ok("becomes unauthorized: the customer is asked to log in again")
        }
        (403, Err(CallError::Failure(Failure::Forbidden(_)))) => Verdict::ok("becomes forbidden"),
        (401 | 403, Err(error @ CallError::Failure(_))) => {
            Verdict::failed(format!("becomes another failure: {error}"), SEND)
        }
        (_, Err(error @ CallError::Failure(_))) => {
            Verdict::ok(format!("becomes a failure: {error}"))
        }
        // Some parts of a provider are closed to some users: the connector asks for something else.
        (403, Ok(_)) if asked > 1 => Verdict::ok("something else is asked for"),
        (_, Ok(page)) => Verdict::failed(format!("is taken for a page: {}", page.records), SEND),
        (_, Err(error)) => Verdict::broken("it", &error),
    }
}

/// Once bad, then good.
async fn after(bench: &Bench<'_>, read: &Read, code: u16) -> Verdict {
    let headers = match code {
        429 => vec![("retry-after", "0")],
        _ => Vec::new(),
    };
    bench
        .stage
        .begin([status(code, headers), Forced::Recorded], read.lenient);
    let mut answer = fetch(bench, read.request()).await;
    let mut how = "the host sends it again";
    // What is not safe to be sent twice comes back as a failure; the sync then tries again.
    if let Err(CallError::Failure(Failure::Unavailable(_) | Failure::RateLimited(_))) = &answer {
        answer = fetch(bench, read.request()).await;
        how = "the next call succeeds";
    }
    let page = match answer {
        Ok(page) => good_page(page, read.kind),
        Err(error) => return Verdict::broken("the answer after it", &error),
    };
    match page {
        Err(verdict) => verdict,
        Ok(page) => match read.pages.first() {
            Some(first) if first.records == page.records => Verdict::ok(how),
            _ => Verdict::failed(
                "the page after it is another one",
                "Keep nothing between calls.",
            ),
        },
    }
}

async fn limited(bench: &Bench<'_>, read: &Read) -> Verdict {
    let wait = || status(429, vec![("retry-after", "30")]);
    bench
        .stage
        .begin(std::iter::repeat_with(wait).take(20), true);
    match fetch(bench, read.request()).await {
        Err(CallError::Failure(Failure::RateLimited(Some(wait))))
            if wait >= Duration::from_secs(25) =>
        {
            Verdict::ok("becomes rate-limited with the seconds that the provider told")
        }
        Err(CallError::Failure(Failure::RateLimited(wait))) => Verdict::failed(
            format!("the provider told 30 s, and {wait:?} is answered"),
            "Hand on what Retry-After says.",
        ),
        Err(error @ CallError::Failure(_)) => {
            Verdict::failed(format!("becomes another failure: {error}"), SEND)
        }
        Ok(page) => Verdict::failed(format!("is taken for a page: {}", page.records), SEND),
        Err(error) => Verdict::broken("429", &error),
    }
}

async fn unavailable(bench: &Bench<'_>, read: &Read) -> Verdict {
    bench.stage.begin(
        std::iter::repeat_with(|| status(500, Vec::new())).take(20),
        true,
    );
    match fetch(bench, read.request()).await {
        Err(CallError::Failure(Failure::Unavailable(_))) => Verdict::ok("becomes unavailable"),
        Err(error @ CallError::Failure(_)) => {
            Verdict::failed(format!("becomes another failure: {error}"), SEND)
        }
        Ok(page) => Verdict::failed(format!("is taken for a page: {}", page.records), SEND),
        Err(error) => Verdict::broken("500", &error),
    }
}

/// A page of HTML with a good status, as proxies and login pages have.
async fn nonsense(bench: &Bench<'_>, read: &Read) -> Verdict {
    let page = || {
        let headers = vec![("content-type", "text/html")];
        Forced::Status(200, headers, "<!doctype html><title>Maintenance</title>")
    };
    bench
        .stage
        .begin(std::iter::repeat_with(page).take(20), true);
    match fetch(bench, read.request()).await {
        Err(error @ CallError::Failure(_)) => Verdict::ok(format!("becomes a failure: {error}")),
        Ok(page) => Verdict::failed(
            format!("a page of HTML is taken for records: {}", page.records),
            "Answer `unexpected` for what cannot be read.",
        ),
        Err(error) => Verdict::broken("a page of HTML", &error),
    }
}
