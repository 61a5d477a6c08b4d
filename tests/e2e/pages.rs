//! Every page of the dashboard, and of connect links, in a real browser: by the rules of accessibility in light and dark,
//! without complaints, with nothing from elsewhere, with a strict policy, reachable with a
//! keyboard; and pictures of it.
//!
//! Pages are found as people find them: by the links of other pages.

mod connect;
mod stage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jackfield_tests::{Browser, browser::Key};
use serde_json::{Value, json};

use self::stage::Stage;

/// Pages that must be among those that are found.
const PAGES: &[&str] = &[
    "overview",
    "account",
    "operators",
    "audit-log",
    "connectors",
    "connectors-one",
    "connectors-one-log",
    "marketplace",
    "install",
    "api-keys",
    "oauth-apps",
    "settings",
    "settings-connect",
    "new-project",
    "connections",
    "connections-one",
    "linked-users",
    "records",
    "runs",
    "runs-one",
    "failures",
    "conflicts",
    "conflicts-one",
    "field-mappings",
    "webhooks",
    "events",
    "diagnosis",
];
/// More are a mistake in how addresses are told apart.
const MOST: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_good_to_look_at() {
    let stage = Stage::new().await;
    let browser = Browser::open().await;
    let mut problems = Vec::new();

    // The doors, before anybody is signed in.
    for (name, path) in [("set-up", "/set-up"), ("no-link", "/set-up/unknown")] {
        browser.goto(&stage.url(path)).await;
        problems.extend(looked_at(&browser, name, NOBODY).await);
    }
    browser.sign_in(&stage.server).await;

    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([stage.url("/dashboard")]);
    while let Some(url) = queue.pop_front() {
        let name = name_of(&url);
        if !seen.insert(name.clone()) {
            continue;
        }
        browser.goto(&url).await;
        let status = browser.evaluate(STATUS).await;
        if status != 200 {
            problems.push(format!("{name}: {url} answers {status}"));
            continue;
        }
        let first = reached_first(&browser).await;
        if first != "#main" {
            problems.push(format!(
                "{name}: Tab first reaches {first:?}, no link to #main"
            ));
        }
        problems.extend(looked_at(&browser, &name, NOBODY).await);
        let links = browser.evaluate(LINKS).await;
        let links = links.as_array().expect("links are a list");
        queue.extend(links.iter().filter_map(Value::as_str).map(str::to_owned));
        assert!(seen.len() < MOST, "addresses are not told apart: {seen:?}");
    }
    for name in PAGES {
        if !seen.contains(*name) {
            problems.push(format!("no link leads to {name}"));
        }
    }

    // The environment is switched with the keyboard, and one stays on the page.
    browser.goto(&stage.url("/dashboard")).await;
    browser.click_text("Sync log").await;
    browser.wait_for_url("/runs").await;
    browser.tab_to(".environment summary").await;
    browser.press(Key::Enter).await;
    browser.wait_for(".environment[open]").await;
    problems.extend(looked_at(&browser, "environment", NOBODY).await);
    browser.evaluate(OPEN).await;
    browser.tab_to(".environment button").await;
    browser.press(Key::Enter).await;
    browser
        .wait_for_text("main .alert", "The project is in")
        .await;
    assert!(browser.url().await.ends_with("/runs"));

    browser.click_text("Sign out").await;
    browser.wait_for_url("/sign-in").await;
    problems.extend(looked_at(&browser, "sign-in", NOBODY).await);
    assert!(
        problems.is_empty(),
        "of {} pages: {seen:?}\n{}",
        seen.len(),
        problems.join("\n")
    );
}

/// The pictures may have closed it.
const OPEN: &str = "document.querySelector('.environment').open = true";

const STATUS: &str = "performance.getEntriesByType('navigation')[0].responseStatus";

/// Pages of the dashboard to which this one leads: no files, no other pages of the same list.
const LINKS: &str = "[...document.querySelectorAll('a[href]')]
    .filter((link) => link.origin === location.origin && !link.hasAttribute('download')
        && /^\\/dashboard(\\/|$)/.test(link.pathname) && !/\\.(csv|json|jsonl|wasm)$/.test(link.pathname))
    .map((link) => link.origin + link.pathname + link.search)";

/// Who may show a page in a frame.
const NOBODY: &str = "'none'";

/// What is wrong in the document itself, and in the headers that came with it.
const MARKUP: &str = "(async () => {
    const [first, second] = [await fetch(location.href), await fetch(location.href)];
    const html = await first.text();
    const page = new DOMParser().parseFromString(html, 'text/html');
    const wrong = [];
    for (const one of page.querySelectorAll('*')) {
        for (const { name, value } of one.attributes) {
            if (/^on/.test(name) || /^hx-(on|vals|vars)/.test(name) || name === 'style' || /^\\s*javascript:/i.test(value))
                wrong.push(`<${one.localName} ${name}=${value}>`);
        }
        if (one.localName === 'script' && !one.src) wrong.push('an inline script');
    }
    const headings = [...page.querySelectorAll('h1')].length;
    const policies = [first, second].map((answer) => answer.headers.get('content-security-policy'));
    return { wrong, headings, policies, headers: Object.fromEntries(first.headers) };
})()";

/// All that is wrong with the page that the browser shows, which `frames` may show too.
async fn looked_at(browser: &Browser, name: &str, frames: &str) -> Vec<String> {
    let mut problems = browser.barriers().await;
    problems.extend(browser.complaints().await);
    problems.extend(browser.pictures(name).await);
    let told = browser.evaluate(MARKUP).await;
    problems.extend(wrong_in(&told, frames));
    // The page was asked for twice more; nobody is to complain of that later.
    drop(browser.complaints().await);
    problems
        .into_iter()
        .map(|problem| format!("{name}: {problem}"))
        .collect()
}

fn wrong_in(told: &Value, frames: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |what: &str, holds: bool| {
        if !holds {
            problems.push(what.to_owned());
        }
    };
    expect(
        &format!("inline: {}", told["wrong"]),
        told["wrong"] == json!([]),
    );
    expect(
        &format!("{} headings of the first level", told["headings"]),
        told["headings"] == 1,
    );
    let header = |name: &str| told["headers"][name].as_str().unwrap_or_default();
    expect("no nosniff", header("x-content-type-options") == "nosniff");
    expect(
        "a referrer is sent",
        header("referrer-policy") == "same-origin",
    );
    expect(
        "it may be stored",
        header("cache-control").contains("no-store"),
    );
    let policies: Vec<_> = (0..2)
        .map(|one| policy(told["policies"][one].as_str().unwrap_or_default()))
        .collect();
    let first = &policies[0];
    let is = |name: &str, value: &str| first.get(name).is_some_and(|found| found == value);
    expect("default-src is not 'none'", is("default-src", "'none'"));
    expect("base-uri is not 'none'", is("base-uri", "'none'"));
    expect(
        &format!("others may frame it: {:?}", first.get("frame-ancestors")),
        is("frame-ancestors", frames),
    );
    expect("forms may lead elsewhere", is("form-action", "'self'"));
    let nonce = |policy: &BTreeMap<String, String>| {
        policy
            .get("script-src")
            .filter(|source| source.starts_with("'nonce-"))
            .cloned()
    };
    let nonces: Vec<_> = policies.iter().map(nonce).collect();
    expect("scripts need no nonce", nonces[0].is_some());
    expect("the nonce stays the same", nonces[0] != nonces[1]);
    let all = told["policies"][0].as_str().unwrap_or_default();
    expect("unsafe-inline", !all.contains("unsafe-inline"));
    expect("unsafe-eval", !all.contains("unsafe-eval"));
    problems
}

/// A Content-Security-Policy by directive.
fn policy(header: &str) -> BTreeMap<String, String> {
    header
        .split(';')
        .filter_map(|directive| directive.trim().split_once(' '))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Where the link leads that Tab reaches first.
async fn reached_first(browser: &Browser) -> String {
    browser.press(Key::Tab).await;
    let href = "document.activeElement.getAttribute('href') ?? document.activeElement.outerHTML.slice(0, 80)";
    let href = browser.evaluate(href).await;
    href.as_str().unwrap_or_default().to_owned()
}

/// What a page is called: its path without what tells its fellows apart.
fn name_of(url: &str) -> String {
    let path = url::Url::parse(url).expect("the browser gives addresses");
    let mut words: Vec<&str> = Vec::new();
    for segment in path.path().split('/').skip(2) {
        let last = words.last().copied().unwrap_or_default();
        let is_id = segment.len() >= 20 && segment.contains(|letter: char| letter.is_ascii_digit());
        let is_word = segment
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '-');
        match segment {
            "" => {}
            _ if is_id && words.is_empty() => words.push("project"),
            _ if is_id || !is_word || matches!(last, "connectors" | "marketplace") => {
                words.push("one");
            }
            word => words.push(word),
        }
    }
    match words.as_slice() {
        [] => "home".to_owned(),
        ["project"] => "overview".to_owned(),
        ["project", rest @ ..] => rest.join("-"),
        all => all.join("-"),
    }
}
