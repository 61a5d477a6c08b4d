//! Every page of the server in a real browser: by the rules of accessibility in light and dark,
//! without complaints, with nothing from elsewhere, reachable with a keyboard; and pictures of it.

use jackfield_tests::{Backend, Browser, DemoProvider, Server, browser::Key};

/// The pages: a name for pictures and messages, and where it is.
const PAGES: &[(&str, &str)] = &[("docs", "/docs")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_good_to_look_at() {
    let provider = DemoProvider::start(30).await;
    let server = provider
        .known_to(Server::on(Backend::Sqlite).await)
        .with("demo-crm")
        .start()
        .await;
    let browser = Browser::open().await;
    for (name, path) in PAGES {
        browser.goto(&format!("{}{path}", server.base_url())).await;
        browser.press(Key::Tab).await;
        browser.accessible(name).await;
        browser.screenshot(name).await;
    }
}
