use secrecy::ExposeSecret as _;

use super::*;

fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_layers(Some(("jackfield.toml", file)), variables)
        .map_err(|error| error.to_string())
}

#[test]
fn the_environment_lies_over_the_file_and_the_file_over_the_defaults() {
    let config = load(
        "listen = \"127.0.0.1:1\"\n[sync]\nworkers = 2\npage_size = 7",
        &[
            ("JACKFIELD_SYNC__WORKERS", "3"),
            ("JACKFIELD_DATABASE_URL", "postgres://a:hunter2@h/d"),
            ("JACKFIELD_EGRESS__ALLOW_PRIVATE", "10.0.0.0/8, 127.0.0.1"),
            (
                "JACKFIELD_ENCRYPTION_KEY",
                "0000000000000000000000000000000000000000000000000000000000000012",
            ),
            ("JACKFIELD_PUBLIC_URL", ""),
            ("JACKFIELD_TEST_POSTGRES_URL", "x"),
            ("JACKFIELD_PORT_3000_TCP", "tcp://x"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!((config.sync.workers, config.sync.page_size), (3, 7));
    assert_eq!(config.sync.interval_seconds, 3600);
    assert_eq!(config.egress.allow_private.len(), 2);
    assert_eq!(
        config.public_url(config.listen).as_str(),
        "http://127.0.0.1:1/"
    );
    let Some(KeySource::Given(keys)) = config.encryption_keys() else {
        panic!("the key of the environment is not there");
    };
    assert_eq!(keys.expose_secret().len(), 64);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn connectors_are_configured_in_the_file_and_in_the_environment() {
    let config = load(
        "[connectors.demo-crm]\nendpoints = { api = \"http://127.0.0.1:1\" }",
        &[
            ("JACKFIELD_CONNECTORS__DEMO_CRM__OAUTH__CLIENT_ID", "7"),
            (
                "JACKFIELD_CONNECTORS__DEMO_CRM__ENDPOINTS__FILES",
                "http://127.0.0.1:2",
            ),
            ("HUBSPOT_CRM_CLOUD_CLIENT_SECRET", "s"),
        ],
    )
    .unwrap();
    let connector = &config.connectors[&"demo-crm".parse().unwrap()];
    assert_eq!(connector.oauth.client_id.as_deref(), Some("7"));
    assert_eq!(connector.endpoints.len(), 2);
    assert!(
        config
            .oauth_variables
            .contains_key("HUBSPOT_CRM_CLOUD_CLIENT_SECRET")
    );
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refused = |file: &str, variables: &[(&str, &str)], word: &str| {
        let error = load(file, variables).unwrap_err();
        assert!(error.contains(word), "{error}");
    };
    refused("lisen = \"x\"", &[], "lisen");
    refused("[sync]\nworker = 1", &[], "worker");
    refused(
        "",
        &[("JACKFIELD_SYNC__WORKER", "1")],
        "JACKFIELD_SYNC__WORKER",
    );
    refused("", &[("JACKFIELD_SYNC__WORKERS", "many")], "sync.workers");
    refused("[sync]\nworkers = 0", &[], "sync.workers");
    refused("[log]\nformat = \"xml\"", &[], "log.format");
    refused(
        "[egress]\nallow_private = [\"home\"]",
        &[],
        "egress.allow_private",
    );
    refused("public_url = \"ftp://x\"", &[], "public_url");
    refused("[connectors.Hub]\n", &[], "Hub");
    refused("listen = ", &[], "jackfield.toml");
    refused(
        "encryption_key = \"a\"\nencryption_key_file = \"b\"",
        &[],
        "encryption_key_file",
    );
}

#[test]
fn a_configuration_without_a_database_uses_a_file_in_the_data_folder() {
    let config = load("data_dir = \"/var/lib/jackfield\"", &[]).unwrap();
    assert_eq!(
        config.database_url().expose_secret(),
        "sqlite:/var/lib/jackfield/jackfield.db"
    );
}

#[test]
fn the_compiler_needs_some_memory() {
    let error = load("[runtime]\ncompile_memory_mib = 64", &[]).unwrap_err();
    assert!(
        error.contains("runtime.compile_memory_mib must be at least 256"),
        "{error}"
    );
    assert!(load("[runtime]\ncompile_memory_mib = 512", &[]).is_ok());
}

#[test]
fn an_assistant_has_an_address_and_a_model() {
    assert!(load("", &[]).unwrap().assistant.endpoint().is_none());
    let file = "[assistant]\nurl = \"https://a.example/v1\"\nmodel = \"m\"";
    let config = load(file, &[("JACKFIELD_ASSISTANT__API_KEY", "hunter2")]).unwrap();
    let (url, model) = config.assistant.endpoint().unwrap();
    assert_eq!((url.as_str(), model), ("https://a.example/v1", "m"));
    assert!(!format!("{config:?}").contains("hunter2"));
    for (file, word) in [
        ("[assistant]\nmodel = \"m\"", "belong together"),
        (
            "[assistant]\nurl = \"https://a.example\"",
            "belong together",
        ),
        ("[assistant]\napi_key = \"k\"", "belong together"),
        (
            "[assistant]\nurl = \"ftp://a.example\"\nmodel = \"m\"",
            "assistant.url",
        ),
    ] {
        let error = load(file, &[]).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn bodies_of_exchanges_are_kept_only_where_somebody_asks_for_it() {
    let config = load("", &[]).unwrap();
    assert!(config.exchange_log.enabled && !config.exchange_log.bodies);
    assert_eq!(config.retention.exchanges_days, 7);
    let config = load("", &[("JACKFIELD_EXCHANGE_LOG__BODIES", "true")]).unwrap();
    assert!(config.exchange_log.bodies);
    for key in [
        "exchange_log.most_per_connection",
        "retention.exchanges_days",
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let error = load(&format!("[{section}]\n{name} = 0"), &[]).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn signing_in_elsewhere_is_checked_as_a_whole() {
    let variable = |name: &str| format!("JACKFIELD_ACCESS__OIDC__{name}");
    let with = |more: &[(&str, &str)]| {
        let mut variables = vec![
            (variable("ISSUER"), "https://login.example.com"),
            (variable("CLIENT_ID"), "jackfield"),
            (variable("CLIENT_SECRET"), "hunter2"),
        ];
        variables.extend(more.iter().map(|(name, value)| (variable(name), *value)));
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        load("", &variables)
    };
    let config = with(&[("ALLOWED_DOMAINS", "example.com, example.org")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let oidc = config.access.oidc.unwrap();
    assert_eq!(oidc.allowed_domains, ["example.com", "example.org"]);
    assert_eq!((oidc.role.as_str(), oidc.scopes.len()), ("viewer", 3));
    let config = with(&[("ROLE_CLAIM", "groups"), ("ROLES__OWNER", "admins,root")]).unwrap();
    let oidc = config.access.oidc.unwrap();
    assert_eq!(oidc.roles["owner"].0, ["admins", "root"]);
    for (wrong, told) in [
        (&[("ROLE", "king")][..], "king"),
        (&[("ROLE_CLAIM", "groups")], "access.oidc.roles"),
        (&[("ROLES__OWNER", "admins")], "access.oidc.role_claim"),
        (&[("SCOPES", "email")], "openid"),
    ] {
        let error = with(wrong).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    let error = load("[access]\nidle_hours = 0", &[]).unwrap_err();
    assert!(error.contains("access.idle_hours"), "{error}");
}
