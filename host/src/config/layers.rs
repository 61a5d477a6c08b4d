//! How the layers become one.

use config::{File, FileFormat, Value};
use secrecy::SecretString;

use super::{Config, Error};

const PREFIX: &str = "JACKFIELD_";

/// Variables with our prefix that are not configuration: the file's name is an argument of the
/// command line, `connector record` and tests have their own, and Kubernetes sets the others for a service that is
/// called "jackfield".
const FOREIGN: [&str; 5] = [
    "JACKFIELD_CONFIG",
    "JACKFIELD_RECORD_",
    "JACKFIELD_TEST_",
    "JACKFIELD_SERVICE_",
    "JACKFIELD_PORT",
];

/// The variables of this process that are ours; other variables need not be text.
pub(super) fn process_environment() -> Result<Vec<(String, String)>, Error> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if !name.starts_with(PREFIX) && !is_oauth_variable(name) {
            continue;
        }
        let value = value
            .into_string()
            .map_err(|_| Error::NotText(name.to_owned()))?;
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

/// `defaults`, over it `file` (its name and its text), over both the variables.
pub(super) fn merge(
    defaults: &str,
    file: Option<(&str, &str)>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let invalid = |error: config::ConfigError| Error::Invalid(error.to_string());
    let mut builder =
        config::Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    if let Some((name, text)) = file {
        // Parsed alone first, so that a slip of syntax is reported with the file's name.
        config::Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .build()
            .map_err(|error| Error::Invalid(format!("{name}: {error}")))?;
        builder = builder.add_source(File::from_str(text, FileFormat::Toml));
    }
    let mut oauth_variables = Vec::new();
    let mut set = Vec::new();
    for (name, value) in variables {
        if value.is_empty() || FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
            continue;
        }
        if is_oauth_variable(&name) && !name.starts_with(PREFIX) {
            oauth_variables.push((name, SecretString::from(value)));
        } else if let Some(key) = name.strip_prefix(PREFIX) {
            let key = key_of(key);
            let value = Value::new(Some(&format!("variable {name}")), value);
            builder = builder
                .set_override(&key, value)
                .map_err(|_| Error::Invalid(format!("{name} does not spell the name of a key")))?;
            set.push((name, key));
        }
    }
    let merged = builder.build().map_err(invalid)?;
    let mut config: Config = merged.try_deserialize().map_err(|error| {
        let message = error.to_string();
        // An unknown key has no value, so the error does not know which layer has it.
        let culprit = message
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next())
            .and_then(|key| {
                set.iter()
                    .find(|(_, path)| path.split('.').any(|part| part == key))
            });
        // A value tells of the variable that it came from; the defaults are right.
        let of_variable = message.contains("variable JACKFIELD_");
        Error::Invalid(match (culprit, file) {
            (Some((name, _)), _) => format!("{message} (set by the variable {name})"),
            (None, Some((name, _))) if !of_variable => format!("{name}: {message}"),
            (None, _) => message,
        })
    })?;
    config.oauth_variables.extend(oauth_variables);
    Ok(config)
}

/// `CONNECTORS__DEMO_CRM__OAUTH__CLIENT_ID` → `connectors.demo-crm.oauth.client_id`.
fn key_of(variable: &str) -> String {
    let lower = variable.to_ascii_lowercase();
    let mut parts: Vec<String> = lower.split("__").map(ToOwned::to_owned).collect();
    if let [section, slug, ..] = parts.as_mut_slice()
        && section == "connectors"
    {
        *slug = slug.replace('_', "-");
    }
    parts.join(".")
}

fn is_oauth_variable(name: &str) -> bool {
    name.ends_with("_CLOUD_CLIENT_ID") || name.ends_with("_CLOUD_CLIENT_SECRET")
}
