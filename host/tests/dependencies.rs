//! What is built in: from where it comes, and whether it may be given away with the server.

#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it did not expect"
)]

use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};

/// Licences that let a program under Apache-2.0 be given away, also changed, without a duty to
/// publish what it is linked with.
const FIT: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    // The lists of root certificates: data.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Of tests only: no part of the program.
const OF_TESTS: &[(&str, &str)] = &[
    // Speaks to the browser.
    ("webdriver", "MPL-2.0"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A system that the server runs on. What only others need is not built, and not looked at.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Every package that is built and not ours, as cargo describes it.
fn foreign() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", PLATFORM])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo lists no packages");
    };
    let foreign: Vec<Value> = packages
        .into_iter()
        .filter(|package| !package["source"].is_null())
        .collect();
    assert!(foreign.len() > 300, "{}", foreign.len());
    foreign
}

fn fits(expression: &str, also: Option<&str>) -> bool {
    // Some write a slash for "or".
    let expression = Expression::parse_mode(expression, ParseMode::LAX);
    let known = |licence: &LicenseReq| {
        let licence = licence.to_string();
        FIT.contains(&licence.as_str()) || also == Some(licence.as_str())
    };
    expression.is_ok_and(|expression| expression.evaluate(known))
}

#[test]
fn every_licence_fits() {
    assert!(fits("MIT/Apache-2.0", None));
    assert!(fits("(MIT OR LGPL-2.1-or-later) AND Unicode-3.0", None));
    assert!(!fits("MIT AND GPL-3.0-only", None));
    assert!(!fits("", None));
    let wrong: Vec<String> = foreign()
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap();
            let licence = package["license"].as_str().unwrap_or_default();
            let also = OF_TESTS.iter().find(|(crate_name, _)| *crate_name == name);
            let fits = fits(licence, also.map(|(_, licence)| *licence));
            (!fits).then(|| format!("{name}: {licence:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn everything_comes_from_crates_io() {
    let elsewhere: Vec<String> = foreign()
        .iter()
        .filter(|package| package["source"] != CRATES_IO)
        .map(|package| format!("{} from {}", package["name"], package["source"]))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}
