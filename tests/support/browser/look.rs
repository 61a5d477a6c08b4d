//! Looking at a page: by the rules of accessibility, as a picture, and at what it complains of.

use std::{fs, path::PathBuf, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;

use super::Browser;
use crate::{api::text, connectors};

/// WCAG 2.2 AA.
const RULES: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const THEMES: [&str; 2] = ["light", "dark"];
/// CSS pixels.
const PHONE: (u32, u32) = (390, 844);
/// The longest picture.
const TALLEST: f64 = 6000.0;

impl Browser {
    /// Checks the page by axe-core's rules for WCAG 2.2 AA in light and dark, and that it has
    /// [no complaints](Self::no_complaints).
    ///
    /// # Panics
    /// A rule is broken; the message names rule, element and remedy.
    pub async fn accessible(&self, page: &str) {
        self.none(page, self.barriers().await).await;
        self.no_complaints(page).await;
    }

    /// Checks that nothing since the last look has been written to the console as an error, that
    /// no policy was broken, and that our pages have loaded nothing from elsewhere.
    ///
    /// # Panics
    /// Something was.
    pub async fn no_complaints(&self, page: &str) {
        self.none(page, self.complaints().await).await;
    }

    /// Pictures of the whole page, `target/screenshots/NAME.{light,dark,phone}.png`. On the phone
    /// nothing may be wider than the screen.
    ///
    /// # Panics
    /// The page must be scrolled sideways on a phone.
    pub async fn screenshot(&self, name: &str) {
        self.none(name, self.pictures(name).await).await;
    }

    async fn none(&self, page: &str, problems: Vec<String>) {
        let url = self.url().await;
        assert!(
            problems.is_empty(),
            "{page} ({url}):\n{}",
            problems.join("\n")
        );
    }

    /// What axe-core finds, in light and dark.
    ///
    /// # Panics
    /// axe-core fails.
    pub async fn barriers(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for theme in THEMES {
            self.theme(theme).await;
            let script = format!(
                "if (!window.axe) {{ {} }}
                return axe.run(document, {{ runOnly: {}, resultTypes: ['violations'] }})
                    .then(({{ violations }}) => violations.flatMap(({{ id, nodes }}) =>
                        nodes.map((node) => [id, node.target.join(' '), node.failureSummary])))",
                axe(),
                json!(RULES)
            );
            let found = self.client.execute(&script, Vec::new()).await;
            let found = found.unwrap_or_else(|error| panic!("axe-core: {error}"));
            for row in found.as_array().expect("axe-core answers a list") {
                let summary = text(&row[2]).replace('\n', " ");
                let (rule, place) = (text(&row[0]), text(&row[1]));
                problems.push(format!("{theme}: {rule} at {place}: {summary}"));
            }
        }
        self.theme(THEMES[0]).await;
        problems
    }

    /// What pages have complained of since the last look, and what they loaded from elsewhere.
    pub async fn complaints(&self) -> Vec<String> {
        let here = self.url().await;
        let mut problems = self.errors(&here).await;
        problems.extend(self.foreign_requests().await);
        problems
    }

    /// Takes the [pictures](Self::screenshot) and tells what is wider than a phone.
    pub async fn pictures(&self, name: &str) -> Vec<String> {
        for theme in THEMES {
            self.theme(theme).await;
            self.picture(&format!("{name}.{theme}")).await;
        }
        self.theme(THEMES[0]).await;
        self.phone().await;
        self.picture(&format!("{name}.phone")).await;
        let wide = self.too_wide().await;
        self.desk().await;
        wide
    }

    /// What is wider than the screen, so that the page must be scrolled sideways.
    pub async fn too_wide(&self) -> Vec<String> {
        let wide = "(() => {
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll('body *')]
                .filter((one) => one.getBoundingClientRect().right > width + 1)
                .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5);
        })()";
        let wide = self.evaluate(wide).await;
        let wide = wide.as_array().cloned().unwrap_or_default();
        let told = |one: &Value| format!("wider than the screen: {}", text(one));
        wide.iter().map(told).collect()
    }

    /// From now on the screen is a phone's, until [`Self::desk`].
    pub async fn phone(&self) {
        let (width, height) = PHONE;
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// From now on the screen is a desk's again.
    pub async fn desk(&self) {
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({}))
            .await;
    }

    /// From now on people want it `light` or `dark`, and nothing to move.
    pub async fn theme(&self, theme: &str) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": theme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    async fn picture(&self, name: &str) {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or_default().min(TALLEST);
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", options).await;
        let picture = STANDARD.decode(text(&picture["data"]));
        let folder = screenshots();
        fs::create_dir_all(&folder).expect("the target folder is writable");
        fs::write(
            folder.join(format!("{name}.png")),
            picture.expect("pictures come in base64"),
        )
        .expect("the target folder is writable");
    }

    async fn errors(&self, here: &str) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let message = |entry: &Value| format!("console: {}", text(&entry["message"]));
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            // Where people log in elsewhere, pages are not ours.
            .filter(|entry| {
                let message = text(&entry["message"]);
                let place = message
                    .split(' ')
                    .next()
                    .and_then(|url| Url::parse(url).ok());
                place.is_none_or(|url| !url.origin().is_tuple() || self.is_own(&url.origin()))
            })
            // That the page itself is the answer to an error is no error of the page.
            .filter(|entry| {
                let of_page = text(&entry["message"]).starts_with(&format!("{here} "));
                entry["source"] != "network" || !of_page
            })
            .map(message)
            .collect()
    }

    async fn foreign_requests(&self) -> Vec<String> {
        let log = self
            .command("se/log", json!({ "type": "performance" }))
            .await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let mut foreign = Vec::new();
        for entry in entries {
            let event: Value = serde_json::from_str(&text(&entry["message"])).unwrap_or_default();
            let event = &event["message"];
            // Going to another page is not loading something from there.
            if event["method"] != "Network.requestWillBeSent"
                || event["params"]["type"] == "Document"
            {
                continue;
            }
            let origin = |value: &Value| Url::parse(&text(value)).ok().map(|url| url.origin());
            let url = &event["params"]["request"]["url"];
            let (Some(page), Some(asked)) = (origin(&event["params"]["documentURL"]), origin(url))
            else {
                continue;
            };
            if asked.is_tuple() && self.is_own(&page) && page != asked {
                foreign.push(format!("it loads {url}"));
            }
        }
        foreign
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await
    }
}

/// Where pictures lie.
fn screenshots() -> PathBuf {
    connectors::target().join("screenshots")
}

fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| {
        let file = connectors::target().join("test-node/node_modules/axe-core/axe.min.js");
        fs::read_to_string(file).expect("axe-core is missing; tests/run installs it")
    })
}
