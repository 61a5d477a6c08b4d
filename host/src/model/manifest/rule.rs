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
    #[error(
        "{0:?} names an IP address, and rules name hosts: for this machine write localhost, else the real name, and say at the server where that is (connectors.SLUG.endpoints)"
    )]
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
        // A URL's reader forgives a scheme without slashes, and would take the next for the host.
        if !scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(form());
        }
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
                // One dot says that the name is whole; of `44..` it would leave an address.
                let name = name.strip_suffix('.').unwrap_or(name);
                let labels = name.split('.').count();
                // What stands there as an escape (`%2a`) is neither a host nor shown as it was meant.
                let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                // `*.com.` would stand for all of `com`.
                let whole = name.split('.').all(|label| !label.is_empty());
                if !whole || !name.bytes().all(named) || (wildcard && labels < 2) {
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
        // What a server may read as another path than we do: dots and slashes as escapes, also
        // escaped more than once.
        let mut path = url.path().to_ascii_lowercase();
        while path.contains("%25") {
            path = path.replace("%25", "%");
        }
        let no_tricks = !["%2e", "%2f", "%5c"]
            .iter()
            .any(|escape| path.contains(escape));
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

    /// What is no URL is allowed by nothing.
    fn allows(rule: &str, url: &str) -> bool {
        let rule = HttpRule::parse(rule)
            .unwrap()
            .fill(&BTreeMap::new())
            .unwrap();
        Url::parse(url).is_ok_and(|url| rule.allows(&url))
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
    fn spellings_of_one_place_are_one() {
        let rule = "https://api.example.com/crm/";
        for url in [
            "https://api.example.com/crm",
            "https://api.example.com/crm/",
            "https://api.example.com/crm/v1?x=../../admin",
            "https://API.EXAMPLE.com/crm/v1",
            "HTTPS://api.example.com/crm/v1",
            "https://api.example.com:443/crm/v1",
            "https://api.example.com./crm/v1",
            "https://api.example.com/x/../crm/v1",
            "https://api.example.com/./crm/v1",
            "https:\\\\api.example.com\\crm\\v1",
            "https://api%2Eexample.com/crm/v1",
            "https://ａｐｉ.example.com/crm/v1",
            "https://api。example.com/crm/v1",
            "https://api.example.com/crm/v1#../../admin",
            "https://api.example.com/crm/..v1/a..b/...",
        ] {
            assert!(allows(rule, url), "{url}");
        }
        assert!(allows(
            "https://münchen.example/",
            "https://xn--mnchen-3ya.example/"
        ));
        assert!(allows(
            "https://XN--MNCHEN-3YA.example/",
            "https://MÜNCHEN.example/"
        ));
    }

    #[test]
    fn no_spelling_leads_out_of_a_rule() {
        let rule = "https://api.example.com/crm/";
        for url in [
            "https://api.example.com/",
            "https://api.example.com/crmx/",
            "https://api.example.com/CRM/",
            "https://api.example.com/crm/../admin",
            "https://api.example.com/crm/..",
            "https://api.example.com/crm/%2e%2e/admin",
            "https://api.example.com/crm/%2E%2E/admin",
            "https://api.example.com/crm/.%2e/admin",
            "https://api.example.com/crm/..%2fadmin",
            "https://api.example.com/crm/..%2Fadmin",
            "https://api.example.com/crm/%2f..%2fadmin",
            "https://api.example.com/crm/..\\admin",
            "https://api.example.com/crm/..%5cadmin",
            "https://api.example.com/crm/%252e%252e/admin",
            "https://api.example.com/crm/%25252e%25252e/admin",
            "https://api.example.com/crm/..%252fadmin",
            "https://api.example.com/crm\t/../../admin",
            "https://api.example.com//crm/",
            "https://api.example.com/%63rm/../admin",
            "http://api.example.com/crm/",
            "https://api.example.com:8443/crm/",
            "https://api.example.com:80/crm/",
            "https://user@api.example.com/crm/",
            "https://:pw@api.example.com/crm/",
            "https://evil.com@api.example.com/crm/",
            "https://api.example.com@evil.com/crm/",
            "https://api.example.com:443@evil.com/crm/",
            "https://api.example.com%2f@evil.com/crm/",
            "https://evil.com/api.example.com/crm/",
            "https://evil.com\\@api.example.com/crm/",
            "https://api.example.com.evil.com/crm/",
            "https://xapi.example.com/crm/",
            "https://api-example.com/crm/",
            "https://api.example.co/crm/",
            "https://аpi.example.com/crm/",
            "https://api.exаmple.com/crm/",
            "https://api.example.com\u{200b}.evil.com/crm/",
            "ftp://api.example.com/crm/",
        ] {
            assert!(!allows(rule, url), "{url}");
        }
        for (rule, url) in [
            ("https://*.example.com/", "https://example.com/"),
            ("https://*.example.com/", "https://a.b.example.com/"),
            ("https://*.example.com/", "https://.example.com/"),
            ("https://*.example.com/", "https://a.example.com.evil.com/"),
            ("https://*.example.com/", "https://aexample.com/"),
            ("https://*.example.com/", "https://evil.com/.example.com/"),
            ("https://*.example.com/", "https://evil.com#.example.com"),
            ("https://*.example.com/", "https://evil.com?.example.com"),
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
            "https://example.com#x",
            "https://exa{mple.com",
            "https://*.127.0.0.1",
            "https://*.*.example.com",
            "https://[::1]/",
            "https://0x7f.1/",
            "https://１２７.0.0.1/",
            "https://example.com:0x50/",
            "https://example.com:99999/",
            "https://",
            "//example.com",
            "javascript://example.com",
            "https://44%2a/",
            "https://%2a.example.com/",
            "https://example.com%3b/",
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
