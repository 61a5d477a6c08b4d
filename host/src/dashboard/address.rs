//! Addresses of pages with what they are asked.

use url::form_urlencoded::Serializer;

/// A path with a query; what is empty is left out.
pub(super) fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// What was typed or chosen; none where it is empty.
pub(super) fn chosen(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_have_what_is_given_and_nothing_else() {
        let made = address("/runs", &[("object", ""), ("id", "a b&c"), ("x", "1")]);
        assert_eq!(made, "/runs?id=a+b%26c&x=1");
        assert_eq!(address("/runs", &[("x", "")]), "/runs");
    }
}
