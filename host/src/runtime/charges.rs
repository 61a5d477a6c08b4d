//! Which buckets of the provider's budget a request takes from.

use url::Url;

use super::Routes;
use crate::{
    egress::{Charge, Method},
    model::{Manifest, RateBucket},
};

/// The buckets that cover a request to what a guest named; [`Charge::UNCOUNTED`] where none does.
pub(super) fn of<'a>(
    manifest: &'a Manifest,
    routes: &Routes,
    method: &Method,
    named: &str,
) -> Vec<Charge<'a>> {
    let declared = routes.declared(named).ok();
    let covers = |bucket: &RateBucket| {
        let methods = &bucket.methods;
        if !methods.is_empty() && !methods.iter().any(|name| name == method.as_str()) {
            return false;
        }
        bucket.urls.is_empty()
            || bucket.urls.iter().any(|pattern| {
                let pattern = routes.declared(pattern).ok();
                pattern
                    .zip(declared.as_ref())
                    .is_some_and(|(pattern, url)| begins(url, &pattern))
            })
    };
    let limits = manifest.rate_limit.iter();
    let charges: Vec<_> = limits
        .flat_map(|limits| limits.buckets.iter().map(move |bucket| (limits, bucket)))
        .filter(|(_, (_, bucket))| covers(bucket))
        .map(|(limits, (name, bucket))| Charge {
            name,
            bucket: Some(bucket),
            reserve_percent: limits.reserve_percent,
        })
        .collect();
    if charges.is_empty() {
        vec![Charge::UNCOUNTED]
    } else {
        charges
    }
}

/// Whether a URL is the pattern or beneath it; `*` is any one segment.
fn begins(url: &Url, pattern: &Url) -> bool {
    if url.origin() != pattern.origin() {
        return false;
    }
    let mut segments = url.path().split('/');
    pattern
        .path()
        .trim_end_matches('/')
        .split('/')
        .all(|wanted| {
            segments
                .next()
                .is_some_and(|segment| wanted == "*" || segment == wanted)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Environment;

    #[test]
    fn a_request_takes_from_every_bucket_that_covers_it() {
        let manifest = Manifest::parse(
            r#"
            slug = "demo"
            name = "Demo"
            version = "1.0.0"
            description = "D."
            [endpoints.api]
            production = "https://api.example.com/v1"
            [auth.key]
            type = "bearer"
            title = "Key"
            [objects."crm.contact"]
            operations = ["read"]
            fields = []
            [rate_limit.buckets.all]
            requests = 100
            seconds = 10
            urls = ["{api}"]
            [rate_limit.buckets.search]
            requests = 4
            seconds = 1
            methods = ["POST"]
            urls = ["{api}/objects/*/search"]
            [permissions]
            http = ["https://api.example.com/", "https://files.example.com/"]
            "#,
        )
        .unwrap();
        let replaced = BTreeMap::from([("api".to_owned(), "http://127.0.0.1:1/mock".to_owned())]);
        let none = BTreeMap::new();
        let routes =
            Routes::new(&manifest, Environment::Production, &none, Some(&replaced)).unwrap();
        for (method, named, expected) in [
            (Method::GET, "{api}/objects/contacts", &["all"] as &[_]),
            (
                Method::POST,
                "{api}/objects/contacts/search?a=b",
                &["all", "search"],
            ),
            (
                Method::POST,
                "http://127.0.0.1:1/mock/objects/x/search/y",
                &["all", "search"],
            ),
            (
                Method::GET,
                "https://api.example.com/v1/objects/x/search",
                &["all"],
            ),
            (Method::POST, "{api}/objects/search", &["all"]),
            (Method::GET, "https://api.example.com/v10/objects", &[""]),
            (Method::GET, "https://files.example.com/v1/objects", &[""]),
        ] {
            let charges = of(&manifest, &routes, &method, named);
            let names: Vec<_> = charges.iter().map(|charge| charge.name).collect();
            assert_eq!(names, expected, "{method} {named}");
        }
    }
}
