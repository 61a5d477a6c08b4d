//! A real browser: headless Chromium with a profile of its own, driven by a chromedriver of its own.
//!
//! It tells what a page complains of (console, Content-Security-Policy) and what it loads from
//! elsewhere whenever a page is looked at with [`Browser::accessible`] or [`Browser::no_complaints`].

mod driver;
mod look;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use fantoccini::key::Key;
use fantoccini::{
    Client, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
};
use serde_json::Value;
use url::{Origin, Url};

use self::driver::{Command, Driver};
use crate::{Server, until_within};

/// How long a page may take to become what it is to be, on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_secs(30);

/// One browser with one window at first; ends with its value.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    /// Origins of pages that are ours: what [`Browser::goto`] went to.
    own: Mutex<BTreeSet<String>>,
    /// Ends after the client, which talks to it.
    _driver: Driver,
}

impl Browser {
    /// A new one, which knows nothing of others.
    ///
    /// # Panics
    /// Chromium or chromedriver does not start; `tests/run` installs both.
    pub async fn open() -> Self {
        let driver = Driver::start().await;
        let client = driver.client().await;
        Self {
            client,
            own: Mutex::default(),
            _driver: driver,
        }
    }

    /// Goes to an address and waits until it is loaded.
    ///
    /// # Panics
    /// Nobody answers there.
    pub async fn goto(&self, url: &str) {
        let origin = Url::parse(url)
            .expect("tests go to whole addresses")
            .origin();
        self.own
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(origin.ascii_serialization());
        self.client
            .goto(url)
            .await
            .unwrap_or_else(|error| panic!("the browser cannot go to {url}: {error}"));
    }

    /// Signs an owner in. Who is the first makes the account with the link in the server's log.
    ///
    /// # Panics
    /// The account cannot be made.
    pub async fn sign_in(&self, server: &Server) {
        self.goto(&format!("{}/sign-in", server.base_url())).await;
        let email = "input[name=email]";
        if self.url().await.ends_with("/set-up") {
            let log = server.log();
            let (_, after) = log
                .split_once("/set-up/")
                .expect("the log has the link of the set-up");
            let end = after
                .find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
            let token = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
            let link = format!("{}/set-up/{token}", server.base_url());
            self.goto(&link).await;
            self.fill("input[name=name]", "Olivia Owner").await;
        }
        self.fill(email, "owner@jackfield.example").await;
        self.fill("input[name=password]", "correct horse battery staple")
            .await;
        self.click("main form button[type=submit]").await;
        self.wait_for_url("/dashboard").await;
    }

    /// Empties a field and types into it.
    pub async fn fill(&self, css: &str, text: &str) {
        self.act(&format!("{css} takes {text:?}"), css, async |field| {
            field.clear().await.ok()?;
            field.send_keys(text).await.ok()
        })
        .await;
    }

    /// Chooses an option of a `<select>` by its value.
    pub async fn choose(&self, css: &str, value: &str) {
        self.act(&format!("{css} offers {value:?}"), css, async |field| {
            field.select_by_value(value).await.ok()
        })
        .await;
    }

    /// Clicks, as soon as there is something to click; waits for the page that this loads.
    pub async fn click(&self, css: &str) {
        self.act(&format!("{css} can be clicked"), css, async |element| {
            element.click().await.ok()
        })
        .await;
    }

    /// Clicks the link or button that says this.
    pub async fn click_text(&self, text: &str) {
        let wanted = format!(
            "//*[self::a or self::button or self::summary][normalize-space()={}]",
            Value::from(text)
        );
        self.wait(&format!("{text:?} can be clicked"), async || {
            let elements = self.client.find_all(Locator::XPath(&wanted)).await.ok()?;
            for element in elements {
                if element.is_displayed().await.unwrap_or_default() {
                    return element.click().await.ok();
                }
            }
            None
        })
        .await;
    }

    /// What the first element says, as people see it.
    pub async fn text(&self, css: &str) -> String {
        self.act(&format!("{css} has a text"), css, async |element| {
            element.text().await.ok()
        })
        .await
    }

    /// What all such elements say now.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let found = self.client.find_all(Locator::Css(css)).await;
        let mut texts = Vec::new();
        for element in found.unwrap_or_default() {
            texts.extend(element.text().await);
        }
        texts
    }

    /// What an attribute or property of the first element is now; none where it has none.
    pub async fn property(&self, css: &str, name: &str) -> Option<String> {
        self.act(&format!("{css} is there"), css, async |element| {
            element.prop(name).await.ok()
        })
        .await
    }

    /// Waits until there is such an element to be seen.
    pub async fn wait_for(&self, css: &str) {
        self.act(&format!("{css} can be seen"), css, async |element| {
            element.is_displayed().await.ok().filter(|seen| *seen)
        })
        .await;
    }

    /// Waits until no such element can be seen.
    pub async fn wait_for_none(&self, css: &str) {
        self.wait(&format!("{css} is gone"), async || {
            for element in self.client.find_all(Locator::Css(css)).await.ok()? {
                if element.is_displayed().await.ok()? {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Waits until one of such elements says this, among other things.
    pub async fn wait_for_text(&self, css: &str, text: &str) {
        self.wait(&format!("{css} says {text:?}"), async || {
            let texts = self.texts(css).await;
            texts.iter().any(|all| all.contains(text)).then_some(())
        })
        .await;
    }

    /// Waits until the address has this in it.
    pub async fn wait_for_url(&self, part: &str) {
        self.wait(&format!("the address has {part}"), async || {
            self.url().await.contains(part).then_some(())
        })
        .await;
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        let url = self.client.current_url().await;
        // A window that closes has none.
        url.map(String::from).unwrap_or_default()
    }

    /// One step back in the history.
    ///
    /// # Panics
    /// The window is closed.
    pub async fn back(&self) {
        self.client.back().await.expect("the window is open");
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// The window is closed.
    pub async fn reload(&self) {
        self.client.refresh().await.expect("the window is open");
    }

    /// How many windows and tabs are open.
    pub async fn window_count(&self) -> usize {
        self.client.windows().await.map_or(0, |all| all.len())
    }

    /// Waits for another window than this one, and turns to the newest.
    ///
    /// # Panics
    /// It is gone at once.
    pub async fn switch_to_new_window(&self) {
        let here = self.client.window().await.ok();
        let new = self
            .wait("another window is open", async || {
                let all = self.client.windows().await.ok()?;
                all.into_iter().rfind(|one| Some(one) != here.as_ref())
            })
            .await;
        let switched = self.client.switch_to_window(new).await;
        switched.expect("the window is open");
    }

    /// Turns to the oldest window.
    ///
    /// # Panics
    /// None is open.
    pub async fn switch_to_first_window(&self) {
        let all = self.client.windows().await.expect("a window is open");
        let first = all.into_iter().next().expect("a window is open");
        let switched = self.client.switch_to_window(first).await;
        switched.expect("the window is open");
    }

    /// Opens a tab and turns to it.
    ///
    /// # Panics
    /// It cannot be opened.
    pub async fn new_tab(&self) {
        let tab = self.client.new_window(true).await;
        let handle = tab.expect("a tab can be opened").handle;
        let switched = self.client.switch_to_window(handle).await;
        switched.expect("the tab is open");
    }

    /// Goes into an `<iframe>`.
    pub async fn enter_frame(&self, css: &str) {
        self.act(&format!("{css} can be entered"), css, async |frame| {
            frame.enter_frame().await.ok()
        })
        .await;
    }

    /// Comes back out of it.
    ///
    /// # Panics
    /// The window is closed.
    pub async fn leave_frame(&self) {
        let left = self.client.enter_parent_frame().await;
        left.expect("the window is open");
    }

    /// Presses a key where the focus is.
    ///
    /// # Panics
    /// The window is closed.
    pub async fn press(&self, key: Key) {
        let value = key.into();
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        let pressed = self.client.perform_actions(keys).await;
        pressed.expect("the window is open");
    }

    /// Presses Tab until this has the focus.
    ///
    /// # Panics
    /// It cannot be reached.
    pub async fn tab_to(&self, css: &str) {
        let reached = format!("document.activeElement.matches({})", Value::from(css));
        for _ in 0..60 {
            self.press(Key::Tab).await;
            if self.evaluate(&reached).await == true {
                return;
            }
        }
        panic!(
            "{css} cannot be reached with the keyboard at {}",
            self.url().await
        );
    }

    /// Types where the focus is.
    ///
    /// # Panics
    /// Nothing has the focus.
    pub async fn type_text(&self, text: &str) {
        let focused = self.client.active_element().await;
        let typed = focused
            .expect("something has the focus")
            .send_keys(text)
            .await;
        typed.expect("it takes text");
    }

    /// The value of an expression of JavaScript. A promise is waited for.
    ///
    /// # Panics
    /// It throws.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.client
            .execute(&script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// When the page first showed something, in ms since the navigation began.
    pub async fn first_contentful_paint(&self) -> f64 {
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
        self.wait("something is painted", async || {
            self.evaluate(paint).await.as_f64()
        })
        .await
    }

    async fn act<T>(&self, what: &str, css: &str, act: impl AsyncFn(Element) -> Option<T>) -> T {
        self.wait(what, async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            act(element).await
        })
        .await
    }

    /// Asks again and again; says where the browser is when it was in vain.
    async fn wait<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let start = Instant::now();
        let answer = until_within(2 * PATIENCE, what, async || match ask().await {
            Some(answer) => Some(Some(answer)),
            None => (start.elapsed() > PATIENCE).then_some(None),
        })
        .await;
        if let Some(answer) = answer {
            return answer;
        }
        let page = self.texts("body").await.concat();
        panic!(
            "waited {PATIENCE:?} in vain: {what}\nat {}\n{page}",
            self.url().await
        )
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        let answer = self.client.issue_cmd(Command { path, body }).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn is_own(&self, origin: &Origin) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.contains(&origin.ascii_serialization())
    }
}
