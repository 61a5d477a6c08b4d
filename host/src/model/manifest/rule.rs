//! Where a connector may send requests: `scheme://host[:port][/path-prefix]`.

use std::{collections::BTreeMap, fmt};

use url::{Host, Url};

use super::{Template, TemplateError};

/// One rule as the manifest writes it, with variables still in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRule {
    template: Template,
}

/// A rule with its variables filled: what requests are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHost {
    scheme: String,
    host: HostPattern,
    port: u16,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Exact(String),
    /// Exactly one label before this suffix (which starts with a dot).
    OneLabel(String),
}

/// Why a rule is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HttpRuleError {
    /// Its braces are wrong, or a variable has no value.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// It is not of the form.
    #[error(
        "{0:?} is not a rule: write https://host[:port][/path], with `*.` before the host at most"
    )]
    Form(String),
    /// It names an address of the network where only names are allowed.
    #[error("{0:?} names an IP address; rules name hosts")]
    Address(String),
}

impl HttpRule {
    /// Reads a rule of a manifest.
    ///
    /// # Errors
    /// It is not of the form. What a variable stands for is checked by [`Self::fill`].
    pub fn parse(text: &str) -> Result<Self, HttpRuleError> {
        let template = Template::parse(text)?;
        if template.variables().next().is_none() {
            RuleHost::parse(text, false)?;
        }
        Ok(Self { template })
    }

    /// The names of its variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.template.variables()
    }

    /// The rule for a connection's values.
    ///
    /// # Errors
    /// A value is missing or makes no rule.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<RuleHost, HttpRuleError> {
        // A value that the end customer typed may be an address: whether that may be reached is
        // egress's decision, not the author's.
        let typed = self.template.variables().next().is_some();
        RuleHost::parse(&self.template.fill(values)?, typed)
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.template.fmt(formatter)
    }
}

impl fmt::Display for RuleHost {
    /// As the manifest would write it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scheme, port, path, ..
        } = self;
        match &self.host {
            HostPattern::Exact(host) => write!(formatter, "{scheme}://{host}")?,
            HostPattern::OneLabel(suffix) => write!(formatter, "{scheme}://*{suffix}")?,
        }
        let usual = if scheme == "https" { 443 } else { 80 };
        if *port != usual {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(path)
    }
}

impl RuleHost {
    fn parse(text: &str, addresses: bool) -> Result<Self, HttpRuleError> {
        let form = || HttpRuleError::Form(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        let (wildcard, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| form())?;
        let plain = matches!(url.scheme(), "https" | "http")
            && !rest.contains('*')
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(form());
        }
        let host = match url.host().ok_or_else(form)? {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                let labels = name.split('.').count();
                // `*.com.` would stand for all of `com`.
                if name.split('.').any(str::is_empty) || (wildcard && labels < 2) {
                    return Err(form());
                }
                if wildcard {
                    HostPattern::OneLabel(format!(".{name}"))
                } else {
                    HostPattern::Exact(name.to_owned())
                }
            }
            address if addresses && !wildcard => HostPattern::Exact(address.to_string()),
            _ => return Err(HttpRuleError::Address(text.to_owned())),
        };
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host,
            port: url.port_or_known_default().ok_or_else(form)?,
            path: url.path().to_owned(),
        })
    }

    /// Whether the rule allows a request to `url`.
    ///
    /// The comparison is on the parsed URL; a path prefix ends at a segment's end.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else {
            return false;
        };
        let host = host.trim_end_matches('.');
        let host_matches = match &self.host {
            HostPattern::Exact(name) => name == host,
            HostPattern::OneLabel(suffix) => host
                .strip_suffix(suffix)
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        };
        let prefix = self.path.trim_end_matches('/');
        let path_matches = url
            .path()
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let no_tricks = !["%2e", "%2f", "%5c"]
            .iter()
            .any(|escape| url.path().to_ascii_lowercase().contains(escape));
        url.scheme() == self.scheme
            && host_matches
            && url.port_or_known_default() == Some(self.port)
            && path_matches
            && (no_tricks || prefix.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, url: &str) -> bool {
        let rule = HttpRule::parse(rule)
            .unwrap()
            .fill(&BTreeMap::new())
            .unwrap();
        rule.allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn hosts_ports_and_path_prefixes() {
        assert!(allows(
            "https://api.example.com/v1/",
            "https://api.example.com/v1/people?x=1"
        ));
        assert!(allows(
            "https://api.example.com/v1",
            "https://API.example.com./v1"
        ));
        assert!(allows("https://*.example.com", "https://eu.example.com/x"));
        for (rule, url) in [
            (
                "https://api.example.com/v1/",
                "https://api.example.com/v10/people",
            ),
            (
                "https://api.example.com/v1/",
                "https://api.example.com/v1/../admin",
            ),
            (
                "https://api.example.com/v1/",
                "https://api.example.com/v1/%2e%2e/admin",
            ),
            ("https://api.example.com", "http://api.example.com/"),
            ("https://api.example.com", "https://api.example.com:8443/"),
            (
                "https://api.example.com",
                "https://api.example.com.evil.com/",
            ),
            ("https://api.example.com", "https://user@api.example.com/"),
            ("https://*.example.com", "https://example.com/"),
            ("https://*.example.com", "https://a.b.example.com/"),
            ("https://*.example.com", "https://evilexample.com/"),
        ] {
            assert!(!allows(rule, url), "{rule} must not allow {url}");
        }
    }

    #[test]
    fn malformed_rules_are_refused() {
        for bad in [
            "api.example.com",
            "https://*",
            "https://*.com",
            "https://*.com.",
            "https://a.*.com",
            "ftp://example.com",
            "https://127.0.0.1",
            "https://2130706433/",
            "https://user:pw@example.com",
            "https://example.com?x",
            "https://exa{mple.com",
        ] {
            assert!(HttpRule::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_filled_before_comparing() {
        let rule = HttpRule::parse("{address}/").unwrap();
        let values = BTreeMap::from([("address".into(), "http://127.0.0.1:4401/redmine".into())]);
        let rule = rule.fill(&values).unwrap();
        assert!(rule.allows(&Url::parse("http://127.0.0.1:4401/redmine/issues.json").unwrap()));
        assert!(!rule.allows(&Url::parse("http://127.0.0.1:4401/other").unwrap()));
    }
}
