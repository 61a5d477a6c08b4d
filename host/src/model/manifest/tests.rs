use super::*;

const GOOD: &str = r##"
slug = "redmine"
name = "Redmine"
version = "1.2.3"
description = "Tickets."
accent_color = "#aa1122"

[variables.address]
type = "url"
title = "Address"

[endpoints.api]
production = "{address}"

[auth.login]
type = "basic"
title = "Password"

[auth.key]
type = "api_key"
title = "Key"
in = "header"
name = "X-Redmine-API-Key"

[[settings]]
id = "language"
type = "select"
title = "Language"
options = ["de", "en"]
default = "en"

[objects."ticketing.ticket"]
operations = ["read", "create"]
fields = ["name"]
incremental = true

[objects."ticketing.comment"]
operations = ["read"]
fields = ["body"]

[permissions]
http = ["{address}/"]
secrets = ["api_key"]
"##;

#[test]
fn a_good_manifest_keeps_its_order() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let schemes: Vec<_> = manifest.auth.iter().map(|scheme| &scheme.name).collect();
    assert_eq!(schemes, ["login", "key"]);
    let objects: Vec<_> = manifest
        .objects
        .iter()
        .map(|object| object.kind.name())
        .collect();
    assert_eq!(objects, ["ticketing.ticket", "ticketing.comment"]);
    assert_eq!(manifest.permissions.memory_mib, 64);
    assert_eq!(manifest.verticals(), ["ticketing"]);
}

#[test]
fn every_mistake_is_named() {
    for (from, to, expected) in [
        ("slug = \"redmine\"", "slug = \"Red mine\"", "Red mine"),
        (
            "name = \"Redmine\"",
            "nam = \"Redmine\"",
            "unknown field `nam`",
        ),
        ("version = \"1.2.3\"", "version = \"1\"", "version"),
        ("#aa1122", "red", "accent_color"),
        ("type = \"url\"", "type = \"uri\"", "unknown variant `uri`"),
        (
            "production = \"{address}\"",
            "production = \"{adress}\"",
            "[variables.adress]",
        ),
        (
            "type = \"basic\"",
            "type = \"digest\"",
            "unknown variant `digest`",
        ),
        (
            "options = [\"de\", \"en\"]",
            "options = []",
            "settings.language.options",
        ),
        (
            "default = \"en\"",
            "default = \"fr\"",
            "settings.language.default",
        ),
        (
            "ticketing.comment",
            "ticketing.coment",
            "is no known object",
        ),
        (
            "fields = [\"body\"]",
            "fields = [\"text\"]",
            "has no field \"text\"",
        ),
        (
            "incremental = true",
            "write_safety = \"hope\"",
            "unknown variant `hope`",
        ),
        (
            "incremental = true",
            "full_pass = \"most\"",
            "unknown variant `most`",
        ),
        (
            "incremental = true",
            "history_days = 30",
            "history_days: says something about `since`",
        ),
        (
            "incremental = true",
            "incremental = true\nsince_granularity = 0",
            "since_granularity: is 0",
        ),
        (
            "incremental = true",
            "incremental = true\nresult_cap = -1",
            "result_cap",
        ),
        (
            "incremental = true",
            "incremental = true\nmax_window_days = 31",
            "unknown field `max_window_days`",
        ),
        ("\"read\", \"create\"", "\"create\"", "lacks \"read\""),
        (
            "\"read\", \"create\"",
            "\"read\", \"write\"",
            "\"write\" is not one of",
        ),
        (
            "http = [\"{address}/\"]",
            "http = [\"*\"]",
            "permissions.http",
        ),
        (
            "secrets = [\"api_key\"]",
            "secrets = [\"token\"]",
            "permissions.secrets",
        ),
        (
            "secrets = [\"api_key\"]",
            "memory_mib = 1000",
            "permissions.memory_mib",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Manifest::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{from} -> {to}: {text}");
    }
}

#[test]
fn variables_have_one_spelling() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let address = &manifest.variables["address"];
    assert_eq!(
        address
            .canonical(" HTTPS://Tickets.Example.com:443/redmine/ ")
            .unwrap(),
        "https://tickets.example.com/redmine"
    );
    for bad in [
        "",
        "tickets",
        "ftp://x.y",
        "https://a@b.c",
        "https://a.b?x",
        "javascript:1",
    ] {
        assert!(address.canonical(bad).is_err(), "{bad}");
    }
}
