//! What `jackfield connector validate` says of files that load, or nearly.

use std::fs;

use jackfield::{
    author::{self, Level, Report},
    runtime::Compiler,
};

use crate::guest::{Guest, good, manifest};

async fn validate(guest: &Guest) -> Report {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("acme.wasm");
    fs::write(&file, guest.bytes()).expect("the folder can be written");
    author::validate_path(&file, None, Compiler::InProcess, &|_| {})
        .await
        .expect("the file can be read")
}

fn found(report: &Report, level: Level) -> Vec<&str> {
    report
        .problems
        .iter()
        .filter(|problem| problem.level == level)
        .map(|problem| problem.key.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn warnings_do_not_make_a_file_bad() {
    let report = validate(&good("acme", "[{}]")).await;
    assert!(report.ok, "{report}");
    let warnings = [
        "overview",
        "icon",
        "licence",
        "endpoints.api",
        "permissions.http",
        "file",
    ];
    assert_eq!(found(&report, Level::Warning), warnings, "{report}");
    assert!(
        report
            .to_string()
            .ends_with("acme 1.0.0 is good, with 6 warnings\n"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_manifest_asks_for_too_much_or_in_vain_is_told() {
    let manifest = manifest("acme", 16)
        .replace(
            r#"production = "https://api.example.com""#,
            "production = \"http://api.example.com\"\n[endpoints.other]\nproduction = \"https://other.example.com\"",
        )
        .replace(r#"["read"]"#, r#"["read", "create"]"#)
        .replace(r#"fields = ["first_name"]"#, "fields = []")
        .replace(
            r#"["https://api.example.com/"]"#,
            r#"["http://api.example.com/", "https://*.example.org/"]"#,
        )
        .replace("crm.contact", "crm.user");
    let report = validate(&Guest {
        manifest,
        ..good("acme", "[{}]{api}{other}")
    })
    .await;
    assert!(!report.ok);
    let errors = [
        "endpoints.other",
        "objects.\"crm.user\"",
        "objects.\"crm.user\"",
    ];
    assert_eq!(found(&report, Level::Error), errors, "{report}");
    let warnings = [
        "overview",
        "icon",
        "licence",
        "endpoints.api",
        "objects.\"crm.user\".fields",
        "objects.\"crm.user\".operations",
        "permissions.http",
        "permissions.http",
        "permissions.http",
        "permissions.http",
        "file",
    ];
    assert_eq!(found(&report, Level::Warning), warnings, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_must_survive_an_empty_document() {
    for unify in ["unreachable", "(i32.const -4)"] {
        let report = validate(&Guest {
            unify,
            ..good("acme", "[{}]")
        })
        .await;
        assert_eq!(
            found(&report, Level::Error),
            ["objects.\"crm.contact\""],
            "{report}"
        );
        assert!(
            report.to_string().contains("the connector crashed"),
            "{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_corrected_key_by_key() {
    let manifest = manifest("acme", 16).replace("\"first_name\"", "\"shoe_size\"");
    let report = validate(&Guest {
        manifest,
        ..good("acme", "[{}]")
    })
    .await;
    assert_eq!(
        found(&report, Level::Error),
        ["objects.\"crm.contact\".fields"]
    );
    assert!(
        report
            .to_string()
            .contains("crm.contact has no field \"shoe_size\""),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_with_webhooks_needs_the_export() {
    let with = |table: &str| Guest {
        manifest: format!("{}\n{table}", manifest("acme", 16)),
        ..good("acme", "[{}]")
    };
    let report = validate(&with(
        "[webhooks]\nroute = \"account\"\nsecret = \"client\"",
    ))
    .await;
    assert_eq!(found(&report, Level::Error), ["webhooks"], "{report}");
    assert!(
        report
            .to_string()
            .contains("does not export jackfield:connector/webhooks")
    );
    let report = validate(&with(
        "[webhooks]\nroute = \"account\"\nsecret = \"connection\"",
    ))
    .await;
    assert_eq!(found(&report, Level::Error), ["webhooks.route"], "{report}");
}
