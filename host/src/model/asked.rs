//! What a connector asks for, as lines that people read and machines compare.

use serde::{Deserialize, Serialize};

use super::{AuthKind, Digest, Manifest, OAuthClient};

/// All that a connector asks for: one line each, sorted, each once.
///
/// A line begins with what it is about: `http`, `secret`, `memory`, `login`, `variable`,
/// `webhooks`. Two manifests with the same lines reach the same things, whatever else they say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asked(Vec<String>);

impl Asked {
    /// What a manifest asks for.
    #[must_use]
    pub fn by(manifest: &Manifest) -> Self {
        let permissions = &manifest.permissions;
        let mut lines: Vec<String> = Vec::new();
        lines.extend(permissions.http.iter().map(|rule| format!("http {rule}")));
        lines.extend(
            permissions
                .secrets
                .iter()
                .map(|name| format!("secret {name}")),
        );
        lines.push(format!("memory {} MiB", permissions.memory_mib));
        for (name, variable) in &manifest.variables {
            lines.push(format!("variable {name} {}", variable.kind.as_str()));
        }
        for scheme in &manifest.auth {
            let (name, kind) = (&scheme.name, scheme.type_name());
            lines.push(format!("login {name} {kind}"));
            match &scheme.kind {
                AuthKind::OAuth2Code {
                    authorize_url,
                    client,
                    ..
                } => {
                    lines.push(format!("login {name} sends browsers to {authorize_url}"));
                    client_lines(name, client, &mut lines);
                }
                AuthKind::OAuth2ClientCredentials { client } => {
                    client_lines(name, client, &mut lines);
                }
                AuthKind::ApiKey { .. } | AuthKind::Basic { .. } | AuthKind::Bearer { .. } => {}
            }
        }
        if let Some(webhooks) = manifest.webhooks {
            let (route, secret) = (webhooks.route.as_str(), webhooks.secret.as_str());
            lines.push(format!("webhooks by {route} signed with {secret}"));
        }
        Self::of(lines)
    }

    /// Of lines in any order.
    #[must_use]
    pub fn of(mut lines: Vec<String>) -> Self {
        lines.sort_unstable();
        lines.dedup();
        Self(lines)
    }

    /// The permission hash: the same for the same lines.
    #[must_use]
    pub fn hash(&self) -> Digest {
        let mut pieces: Vec<&[u8]> = vec![b"jackfield permissions 1"];
        pieces.extend(self.0.iter().map(String::as_bytes));
        Digest::of_all(&pieces)
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// The lines that `granted` does not cover. A longer path or less memory is covered.
    #[must_use]
    pub fn beyond(&self, granted: &Self) -> Vec<String> {
        let covered = |line: &String| granted.0.iter().any(|other| covers(other, line));
        let beyond = self.0.iter().filter(|line| !covered(line));
        beyond.cloned().collect()
    }
}

fn client_lines(name: &str, client: &OAuthClient, lines: &mut Vec<String>) {
    let token_url = &client.token_url;
    lines.push(format!("login {name} exchanges tokens at {token_url}"));
    if let Some(revoke_url) = &client.revoke_url {
        lines.push(format!("login {name} revokes tokens at {revoke_url}"));
    }
    for scope in &client.scopes {
        lines.push(format!("login {name} scope {scope}"));
    }
}

fn covers(granted: &str, line: &str) -> bool {
    if granted == line {
        return true;
    }
    if let (Some(granted), Some(asked)) = (memory(granted), memory(line)) {
        return asked <= granted;
    }
    // A path below a granted one: `http https://host/a/` covers `http https://host/a/b`. The
    // granted one ends a segment of a path, so that no other host and no other segment fits.
    let is_rule = granted.starts_with("http ") && granted.ends_with('/');
    let has_path = granted
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('/'));
    is_rule && has_path && line.starts_with(granted) && !line.contains("/..")
}

fn memory(line: &str) -> Option<u32> {
    line.strip_prefix("memory ")?
        .strip_suffix(" MiB")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[&str]) -> Asked {
        Asked::of(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order_and_tells_lines_apart() {
        let one = asked(&["http https://a.example/", "memory 64 MiB"]);
        let same = asked(&["memory 64 MiB", "http https://a.example/", "memory 64 MiB"]);
        assert_eq!(one.hash(), same.hash());
        let joined = asked(&["http https://a.example/memory 64 MiB"]);
        assert_ne!(one.hash(), joined.hash());
    }

    #[test]
    fn less_is_covered_and_more_is_not() {
        let granted = asked(&[
            "http https://a.example/v1/",
            "memory 64 MiB",
            "secret access_token",
        ]);
        for line in [
            "http https://a.example/v1/",
            "http https://a.example/v1/contacts",
            "memory 64 MiB",
            "memory 8 MiB",
        ] {
            assert!(asked(&[line]).beyond(&granted).is_empty(), "{line}");
        }
        for line in [
            "http https://a.example/",
            "http https://a.example/v10/",
            "http https://a.example.evil/v1/",
            "http https://a.example/v1/../",
            "http http://a.example/v1/",
            "memory 65 MiB",
            "secret refresh_token",
        ] {
            assert_eq!(asked(&[line]).beyond(&granted), [line]);
        }
        // Without a path there is nothing below.
        let host = asked(&["http https:/"]);
        assert_eq!(asked(&["http https://b.example/"]).beyond(&host).len(), 1);
    }

    #[test]
    fn a_manifest_says_where_credentials_go() {
        let manifest = Manifest::parse(
            r#"
            slug = "acme"
            name = "Acme"
            version = "1.0.0"
            description = "A test."
            overview = "A test."
            [endpoints.api]
            production = "https://api.acme.example"
            [auth.oauth]
            type = "oauth2_code"
            title = "Acme"
            authorize_url = "https://acme.example/authorize"
            token_url = "https://acme.example/token"
            scopes = ["read"]
            [objects."crm.contact"]
            operations = ["read"]
            fields = ["first_name"]
            [permissions]
            http = ["https://api.acme.example/v1/"]
            "#,
        )
        .unwrap();
        assert_eq!(
            Asked::by(&manifest).lines(),
            [
                "http https://api.acme.example/v1/",
                "login oauth exchanges tokens at https://acme.example/token",
                "login oauth oauth2_code",
                "login oauth scope read",
                "login oauth sends browsers to https://acme.example/authorize",
                "memory 64 MiB",
            ]
        );
    }
}
