//! From the address that a guest names to the address that is called.

use std::collections::BTreeMap;

use url::Url;

use crate::model::{Environment, HttpRuleError, Manifest, RuleHost, TemplateError};

/// The addresses of one connection: endpoints with their variables filled, the operator's
/// replacements, and the rules.
///
/// Rules speak of the addresses that the manifest declares. A replaced endpoint is a matter
/// between operator and host; the guest and the rules do not notice.
#[derive(Debug)]
pub struct Routes {
    rules: Vec<RuleHost>,
    endpoints: BTreeMap<String, Base>,
}

#[derive(Debug)]
struct Base {
    declared: String,
    replaced: Option<String>,
}

/// Why a connection has no routes.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    /// An endpoint lacks a value.
    #[error(transparent)]
    Endpoint(#[from] TemplateError),
    /// A rule lacks a value, or its value makes no rule.
    #[error(transparent)]
    Rule(#[from] HttpRuleError),
}

impl Routes {
    /// For the values of a connection.
    ///
    /// # Errors
    /// A value is missing.
    pub fn new(
        manifest: &Manifest,
        environment: Environment,
        values: &BTreeMap<String, String>,
        replacements: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, RoutesError> {
        let endpoints = manifest
            .endpoints
            .iter()
            .map(|(name, endpoint)| {
                let template = match (environment, &endpoint.sandbox) {
                    (Environment::Sandbox, Some(sandbox)) => sandbox,
                    _ => &endpoint.production,
                };
                let replaced = replacements.and_then(|replacements| replacements.get(name));
                let base = Base {
                    declared: without_slash(&template.fill(values)?),
                    replaced: replaced.map(|base| without_slash(base)),
                };
                Ok((name.clone(), base))
            })
            .collect::<Result<_, RoutesError>>()?;
        let rules = manifest
            .permissions
            .http
            .iter()
            .map(|rule| rule.fill(values))
            .collect::<Result<_, _>>()?;
        Ok(Self { rules, endpoints })
    }

    /// Leads nowhere.
    pub(super) const fn none() -> Self {
        Self {
            rules: Vec::new(),
            endpoints: BTreeMap::new(),
        }
    }

    /// The address to call for what a guest named.
    ///
    /// # Errors
    /// A sentence: it is no address, or no rule allows it.
    pub fn resolve(&self, named: &str) -> Result<Url, String> {
        let declared = self.declared(named)?;
        if !self.rules.iter().any(|rule| rule.allows(&declared)) {
            let place = format!(
                "{}://{}{}",
                declared.scheme(),
                declared.host_str().unwrap_or_default(),
                declared
                    .port()
                    .map(|port| format!(":{port}"))
                    .unwrap_or_default(),
            );
            let path = declared.path();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            return Err(format!(
                "{place}{path} is outside of the connector's permissions; its manifest would need [permissions] http = [\"{place}{folder}/\"]",
            ));
        }
        let text = declared.as_str();
        let replaced = self.endpoints.values().find_map(|base| {
            let replacement = base.replaced.as_ref()?;
            Some(format!(
                "{replacement}{}",
                after_base(text, &base.declared)?
            ))
        });
        match replaced {
            Some(text) => Url::parse(&text).map_err(|error| format!("{text:?}: {error}")),
            None => Ok(declared),
        }
    }

    /// The rules, as the manifest would write them for this connection.
    #[must_use]
    pub fn allowed(&self) -> Vec<String> {
        self.rules.iter().map(ToString::to_string).collect()
    }

    /// What a guest would name: `path` beneath the endpoint `api`, or the first there is. A path
    /// that begins with `{name}/` is beneath that endpoint.
    ///
    /// # Errors
    /// A sentence: the manifest has no endpoint, or the path could be read as a host.
    pub fn beneath(&self, path: &str) -> Result<String, String> {
        if path.starts_with("//") || path.contains('\\') {
            return Err(format!(
                "{path:?} could be read as another host; write a path like /v1/things"
            ));
        }
        let named = path.strip_prefix('/').unwrap_or(path);
        if named.starts_with('{') {
            return Ok(named.to_owned());
        }
        let name = match self.endpoints.get_key_value("api") {
            Some((name, _)) => name,
            None => self.endpoints.keys().next().ok_or_else(|| {
                "the connector has no endpoint to put a path to; send an absolute URL".to_owned()
            })?,
        };
        let slash = if path.starts_with(['/', '?']) || path.is_empty() {
            ""
        } else {
            "/"
        };
        Ok(format!("{{{name}}}{slash}{path}"))
    }

    pub(super) fn declared(&self, named: &str) -> Result<Url, String> {
        let text = match named.strip_prefix('{') {
            Some(rest) => {
                let (name, path) = rest
                    .split_once('}')
                    .ok_or_else(|| format!("{named:?} has a brace without a partner"))?;
                let base = self.endpoints.get(name).ok_or_else(|| {
                    let known: Vec<&str> = self.endpoints.keys().map(String::as_str).collect();
                    let known = match known.as_slice() {
                        [] => "none".to_owned(),
                        names => names.join(", "),
                    };
                    format!(
                        "the manifest has no endpoint {name:?} (it has {known}): add [endpoints.{name}]"
                    )
                })?;
                if !path.is_empty() && !path.starts_with(['/', '?']) {
                    return Err(format!("after {{{name}}} a path begins with a slash"));
                }
                format!("{}{path}", base.declared)
            }
            // A provider that answers at a replaced address hands out next links to it.
            None => self
                .endpoints
                .values()
                .find_map(|base| {
                    let rest = after_base(named, base.replaced.as_ref()?)?;
                    Some(format!("{}{rest}", base.declared))
                })
                .unwrap_or_else(|| named.to_owned()),
        };
        Url::parse(&text).map_err(|error| {
            format!("{text:?} is not an absolute URL nor {{endpoint}}/path: {error}")
        })
    }
}

fn without_slash(text: &str) -> String {
    // Through the parser, so that declared bases and parsed requests are spelled alike.
    let text = Url::parse(text).map_or_else(|_| text.to_owned(), String::from);
    text.trim_end_matches('/').to_owned()
}

/// What follows `base` in `text`, where `base` ends at the end of a segment.
fn after_base<'text>(text: &'text str, base: &str) -> Option<&'text str> {
    text.strip_prefix(base)
        .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        slug = "demo"
        name = "Demo"
        version = "1.0.0"
        description = "D."
        [endpoints.api]
        production = "https://api.example.com/v1"
        sandbox = "https://sandbox.example.com/v1"
        [auth.key]
        type = "bearer"
        title = "Key"
        [objects."crm.contact"]
        operations = ["read"]
        fields = []
        [permissions]
        http = ["https://api.example.com/v1/", "https://sandbox.example.com/v1/"]
    "#;

    fn routes(environment: Environment, replaced: Option<&str>) -> Routes {
        let replacements =
            replaced.map(|base| BTreeMap::from([("api".to_owned(), base.to_owned())]));
        let manifest = Manifest::parse(MANIFEST).unwrap();
        Routes::new(
            &manifest,
            environment,
            &BTreeMap::new(),
            replacements.as_ref(),
        )
        .unwrap()
    }

    #[test]
    fn endpoints_follow_the_environment() {
        let url = |environment| {
            let url = routes(environment, None)
                .resolve("{api}/people?x=1")
                .unwrap();
            url.to_string()
        };
        assert_eq!(
            url(Environment::Production),
            "https://api.example.com/v1/people?x=1"
        );
        assert_eq!(
            url(Environment::Sandbox),
            "https://sandbox.example.com/v1/people?x=1"
        );
    }

    #[test]
    fn a_replaced_endpoint_is_invisible_to_rules() {
        let routes = routes(Environment::Production, Some("http://127.0.0.1:4010/mock/"));
        let resolve = |named: &str| routes.resolve(named).map(|url| url.to_string());
        let expected = Ok("http://127.0.0.1:4010/mock/people".to_owned());
        assert_eq!(resolve("{api}/people"), expected);
        assert_eq!(resolve("https://api.example.com/v1/people"), expected);
        assert_eq!(resolve("http://127.0.0.1:4010/mock/people"), expected);
        assert!(resolve("http://127.0.0.1:4010/admin").is_err());
        assert!(resolve("https://api.example.com/v2/people").is_err());
    }

    #[test]
    fn refusals_name_the_missing_permission() {
        let error = routes(Environment::Production, None)
            .resolve("https://evil.example/collect?data=1")
            .unwrap_err();
        assert!(
            error.contains("http = [\"https://evil.example/\"]"),
            "{error}"
        );
        assert!(!error.contains("data=1"), "{error}");
        let error = routes(Environment::Production, None)
            .resolve("https://api.example.com/v2/people/7")
            .unwrap_err();
        assert!(
            error.contains("http = [\"https://api.example.com/v2/people/\"]"),
            "{error}"
        );
        for bad in [
            "people",
            "{api",
            "{other}/x",
            "{api}people",
            "file:///etc/passwd",
        ] {
            assert!(
                routes(Environment::Production, None).resolve(bad).is_err(),
                "{bad}"
            );
        }
    }
}
