//! What is allowed in a manifest and still not right.

use std::collections::BTreeMap;

use super::Problem;
use crate::{
    model::{AuthKind, HttpRule, Manifest, Operation, PushOperation, VariableType},
    runtime::{Artifact, MAX_FILE},
};

/// All findings, in the order of the manifest.
pub(super) fn all(artifact: &Artifact) -> Vec<Problem> {
    let manifest = &artifact.manifest;
    let mut problems = missing_texts(manifest);
    problems.extend(endpoints(artifact));
    problems.extend(plain_logins(manifest));
    problems.extend(objects(manifest));
    problems.extend(permissions(artifact));
    problems.extend(size(artifact));
    problems
}

fn missing_texts(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    if manifest.overview.trim().is_empty() {
        problems.push(Problem::warning(
            "overview",
            "is missing",
            "Say in a few lines of Markdown what is read and written, and what is not.",
        ));
    }
    if manifest.icon.is_none() {
        problems.push(Problem::warning(
            "icon",
            "is missing",
            "Add a data URI of a small SVG or PNG, so that customers recognise the product.",
        ));
    }
    if manifest.licence.is_none() {
        problems.push(Problem::warning(
            "licence",
            "is missing",
            "Add an SPDX expression, for example \"Apache-2.0\".",
        ));
    }
    problems
}

fn endpoints(artifact: &Artifact) -> Vec<Problem> {
    let manifest = &artifact.manifest;
    let values = samples(manifest);
    let mut problems = Vec::new();
    for (name, endpoint) in &manifest.endpoints {
        let key = format!("endpoints.{name}");
        let templates = [Some(&endpoint.production), endpoint.sandbox.as_ref()];
        for template in templates.into_iter().flatten() {
            let Ok(base) = template.fill(&values) else {
                continue;
            };
            let allowed = manifest
                .permissions
                .http
                .iter()
                .any(|rule| reaches(rule, &base, &values));
            if !allowed {
                problems.push(Problem::error(
                    key.clone(),
                    format!("no rule of [permissions] http allows {template}"),
                    "Add a rule for it: scheme, host and the part of the path that you need.",
                ));
            }
            problems.extend(unencrypted(&key, &base));
        }
        // The compiler keeps the text of an address as it stands in the source.
        let needle = format!("{{{name}}}");
        if !mentions(artifact, &needle) {
            problems.push(Problem::warning(
                key,
                format!("nothing in the component mentions {needle}"),
                "Use it in requests, or take it out.",
            ));
        }
    }
    problems
}

/// Whether a text stands anywhere in the component, the manifest and samples in it aside.
fn mentions(artifact: &Artifact, text: &str) -> bool {
    let component = &artifact.component;
    let times = |bytes: &[u8]| {
        let windows = bytes.windows(text.len());
        windows.filter(|window| *window == text.as_bytes()).count()
    };
    times(component) > times(artifact.manifest_text.as_bytes()) + times(artifact.samples.as_bytes())
}

/// Whether a rule allows anything at or below an endpoint.
fn reaches(rule: &HttpRule, base: &str, values: &BTreeMap<String, String>) -> bool {
    let base = base.trim_end_matches('/');
    let allows_all = rule.fill(values).is_ok_and(|rule| {
        url::Url::parse(&format!("{base}/")).is_ok_and(|base| rule.allows(&base))
    });
    let mut text = rule.to_string();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    allows_all
        || text
            .strip_prefix(base)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// A good value for every variable.
fn samples(manifest: &Manifest) -> BTreeMap<String, String> {
    manifest
        .variables
        .iter()
        .map(|(name, variable)| {
            let value = match variable.kind {
                VariableType::Url => "https://sample.example.com",
                VariableType::Host => "sample.example.com",
                VariableType::Label => "sample",
            };
            (name.clone(), value.to_owned())
        })
        .collect()
}

fn plain_logins(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    for scheme in &manifest.auth {
        let key = |key: &str| format!("auth.{}.{key}", scheme.name);
        if let AuthKind::OAuth2Code { authorize_url, .. } = &scheme.kind {
            problems.extend(unencrypted(
                &key("authorize_url"),
                &authorize_url.to_string(),
            ));
        }
        if let Some(client) = scheme.oauth() {
            problems.extend(unencrypted(
                &key("token_url"),
                &client.token_url.to_string(),
            ));
        }
    }
    problems
}

fn unencrypted(key: &str, address: &str) -> Option<Problem> {
    address.starts_with("http://").then(|| {
        Problem::warning(
            key,
            format!("{address} is not encrypted"),
            "Use https. For tests an operator can put another address in its place.",
        )
    })
}

fn objects(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    for object in &manifest.objects {
        let key = format!("objects.{:?}", object.kind.name());
        if object.fields.is_empty() {
            problems.push(Problem::warning(
                format!("{key}.fields"),
                "is empty",
                "List the unified fields that unify fills.",
            ));
        }
        for push in &object.push {
            let operation = match push {
                PushOperation::Create => Operation::Create,
                PushOperation::Update => Operation::Update,
                PushOperation::Delete => Operation::Delete,
            };
            if !object.kind.spec().offers(operation) {
                problems.push(Problem::warning(
                    format!("{key}.operations"),
                    format!("the unified API does not offer {}", push.as_str()),
                    "Take it out: nobody can call it.",
                ));
            }
        }
    }
    problems
}

fn permissions(artifact: &Artifact) -> Vec<Problem> {
    let permissions = &artifact.manifest.permissions;
    let mut problems = Vec::new();
    for rule in &permissions.http {
        let rule = rule.to_string();
        if rule.contains("://*.") {
            problems.push(Problem::warning(
                "permissions.http",
                format!("{rule} allows every host of that domain"),
                "Name the hosts, or let the customer type the label: [variables.account] type = \"label\".",
            ));
        }
        problems.extend(unencrypted("permissions.http", &rule));
        if let Some((scheme, host)) = rule.trim_end_matches('/').split_once("://")
            && !host.contains('/')
            && !host.contains('{')
        {
            problems.push(Problem::warning(
                "permissions.http",
                format!("{rule} allows every path of that host"),
                &format!("Name the part that you need, for example {scheme}://{host}/v1/."),
            ));
        }
    }
    for secret in &permissions.secrets {
        // The compiler keeps the name as it stands in the source.
        if !mentions(artifact, secret) {
            problems.push(Problem::warning(
                "permissions.secrets",
                format!("lists {secret:?}, and nothing in the component mentions it"),
                "Take it out: what is not needed is not asked for.",
            ));
        }
    }
    let imports = |interface: &str| {
        artifact
            .imports
            .iter()
            .any(|import| import.to_string().contains(&format!("/{interface}@")))
    };
    if imports("http") && permissions.http.is_empty() {
        problems.push(Problem::warning(
            "permissions.http",
            "is empty, and the component sends requests: all of them will be denied",
            "Add the hosts that it needs.",
        ));
    }
    if imports("secrets") && permissions.secrets.is_empty() {
        problems.push(Problem::warning(
            "permissions.secrets",
            "is empty, and the component uses secrets by name: all of them will be denied",
            "List the fields of the login form that it needs.",
        ));
    }
    problems
}

/// Large files are compiled for long, and one day refused.
fn size(artifact: &Artifact) -> Option<Problem> {
    let bytes = artifact.component.len() as u64;
    (bytes > MAX_FILE / 4 * 3).then(|| {
        Problem::warning(
            "file",
            format!("has {bytes} bytes; at most {MAX_FILE} are taken"),
            "Leave out what is not needed, and build with the profile `connector`.",
        )
    })
}
