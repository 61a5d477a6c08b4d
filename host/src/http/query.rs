//! Parameters of the query. Values that make no sense are errors that name the parameter;
//! parameters that nobody knows are left alone, as clients of the wire contract expect, unless they
//! look like a slip of the pen.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use url::form_urlencoded;

use super::error::{Code, Error};
use crate::{
    model::{
        Cursor, DEFAULT_LIMIT, Filters, MAX_LIMIT, ObjectKind, PageRequest, Property, Timestamp,
    },
    unify::{Unify, expandable},
};

/// The parameters of a list of unified objects, without the filters.
pub(super) const LIST: &[&str] = &[
    "cursor",
    "limit",
    "modified_after",
    "created_after",
    "include_deleted",
    "remote_data",
    "expand",
    "live",
];
/// The parameters of one unified object.
pub(super) const GET: &[&str] = &["remote_data", "expand", "live"];

/// The parameters of a request, decoded.
#[derive(Clone, Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of a parameter that is free text; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has a form, which is there once at most. Nothing does not
    /// have the form: left alone, it would give an answer to another question.
    pub(super) fn given(&self, name: &str) -> Result<Option<&str>, Error> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            let detail = format!("The parameter `{name}` is there more than once.");
            return Err(Error::new(Code::InvalidParameter, detail));
        }
        Ok(first)
    }

    /// The names of all that was given.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Like [`Self::get`], for a parameter that has to be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| {
            let detail = format!("The parameter `{name}` is missing.");
            Error::new(Code::InvalidParameter, detail)
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.given(name)? {
            None | Some("false" | "0" | "False") => Ok(false),
            Some("true" | "1" | "True") => Ok(true),
            Some(other) => Err(invalid(name, other, "true or false")),
        }
    }

    /// A whole number from 1. Generated clients send `50.0` for 50.
    pub(super) fn count(&self, name: &str, default: u32) -> Result<u32, Error> {
        let Some(text) = self.given(name)? else {
            return Ok(default);
        };
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
            _ => text,
        };
        match whole.parse::<u64>() {
            Ok(0) | Err(_) => Err(invalid(name, text, "a whole number from 1")),
            Ok(number) => Ok(u32::try_from(number).unwrap_or(u32::MAX)),
        }
    }

    /// Refuses parameters that are almost one of `names`, and filters in another form than ours:
    /// left alone they would give an answer to another question.
    pub(super) fn no_slips(&self, names: &[&str]) -> Result<(), Error> {
        for (key, _) in &self.0 {
            if names.contains(&key.as_str()) || filtered(key).is_some() {
                continue;
            }
            let meant = match names.iter().find(|name| is_slip(key, name)) {
                Some(name) => (*name).to_owned(),
                None if key.to_ascii_lowercase().starts_with("filter") => {
                    "filter[field]".to_owned()
                }
                None => continue,
            };
            let key: String = key.chars().take(80).collect();
            let detail = format!("There is no parameter {key:?}; `{meant}` is meant, perhaps.");
            return Err(Error::new(Code::InvalidParameter, detail));
        }
        Ok(())
    }

    /// The parameters of a list of stored records. A limit above the highest counts as the highest.
    pub(super) fn page(&self, kind: ObjectKind) -> Result<PageRequest, Error> {
        if self.get("cursor").is_some_and(Unify::is_live_cursor) {
            let detail = "The parameter `cursor` is one of a live list: send `live=true` with it.";
            return Err(Error::new(Code::InvalidParameter, detail));
        }
        let cursor = self.get("cursor").map(Cursor::decode).transpose();
        let cursor = cursor.map_err(|error| {
            let detail = format!("The parameter `cursor` is not valid: {error}.");
            Error::new(Code::InvalidParameter, detail)
        })?;
        Ok(PageRequest {
            cursor,
            limit: self.limit()?,
            modified_after: self.time("modified_after")?,
            created_after: self.time("created_after")?,
            filters: self.filters(kind)?,
            include_deleted: self.flag("include_deleted")?,
            remote_data: self.flag("remote_data")?,
        })
    }

    /// The cursor and the limit of a live list, which goes by the provider's own order and knows
    /// no conditions.
    pub(super) fn live_page(&self) -> Result<(Option<&str>, u32), Error> {
        let stored_only = ["modified_after", "created_after", "include_deleted"];
        let is_condition = |key: &str| stored_only.contains(&key) || filtered(key).is_some();
        let given = self.0.iter().find(|(key, _)| is_condition(key));
        if let Some((key, _)) = given {
            let detail = format!(
                "The parameter `{key}` works on stored records only: leave it or `live` away."
            );
            return Err(Error::new(Code::InvalidParameter, detail));
        }
        let cursor = self.get("cursor");
        if cursor.is_some_and(|cursor| !Unify::is_live_cursor(cursor)) {
            let detail = "The parameter `cursor` is not one of a live list: leave `live` away, or the cursor to start at the first page.";
            return Err(Error::new(Code::InvalidParameter, detail));
        }
        Ok((cursor, self.limit()?))
    }

    /// The references to expand: `expand=company_id,user_id`.
    pub(super) fn expand(&self, kind: ObjectKind) -> Result<Vec<&'static Property>, Error> {
        let mut fields: Vec<&Property> = Vec::new();
        let lists = self.0.iter().filter(|(key, _)| key == "expand");
        for name in lists.flat_map(|(_, names)| names.split(',')) {
            let known = expandable(kind);
            let Some(field) = known.iter().find(|field| field.name == name) else {
                let name: String = name.chars().take(80).collect();
                let known: Vec<&str> = known.iter().map(|field| field.name.as_str()).collect();
                let can = match known.as_slice() {
                    [] => "nothing can be expanded".to_owned(),
                    known => format!("what can be expanded is {}", known.join(", ")),
                };
                let detail = format!("The parameter `expand` names {name:?}; of {kind}, {can}.");
                return Err(Error::new(Code::InvalidParameter, detail));
            };
            if fields.iter().all(|other| other.name != field.name) {
                fields.push(field);
            }
        }
        Ok(fields)
    }

    fn limit(&self) -> Result<u32, Error> {
        Ok(self.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT))
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Error> {
        let time = self.given(name)?.map(|text| {
            // An offset's plus that was not escaped arrives as a space.
            Timestamp::parse(&text.replace(' ', "+")).ok_or_else(|| {
                let expected = "a time with an offset such as 2026-01-31T08:00:00Z";
                invalid(name, text, expected)
            })
        });
        time.transpose()
    }

    /// `filter[last_name]=Lovelace`, any number of them.
    fn filters(&self, kind: ObjectKind) -> Result<Filters, Error> {
        let mut filters = Filters::default();
        for (key, value) in &self.0 {
            if let Some(field) = filtered(key) {
                filters.add(kind, field, value).map_err(|error| {
                    let detail = format!("The parameter `filter` is not valid: {error}.");
                    Error::new(Code::InvalidParameter, detail)
                })?;
            }
        }
        Ok(filters)
    }
}

/// The field in `filter[field]`.
fn filtered(key: &str) -> Option<&str> {
    key.strip_prefix("filter[")?.strip_suffix(']')
}

/// Whether one or two letters make `name` of `text`: one in short names.
fn is_slip(text: &str, name: &str) -> bool {
    let allowed = (name.len() / 3).min(2);
    let (text, name): (Vec<char>, Vec<char>) = (text.chars().collect(), name.chars().collect());
    if text.len().abs_diff(name.len()) > allowed {
        return false;
    }
    // One row of the table of edit distances, from which the next is made.
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (index, letter) in text.iter().enumerate() {
        let mut next = vec![index + 1];
        for (column, (other, above)) in name.iter().zip(row.windows(2)).enumerate() {
            let &[diagonal, up] = above else { continue };
            let left = next.get(column).copied().unwrap_or(usize::MAX);
            let replaced = diagonal + usize::from(letter != other);
            next.push(replaced.min(up + 1).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().is_some_and(|distance| *distance <= allowed)
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    let value: String = value.chars().take(80).collect();
    let detail = format!("The parameter `{name}` is {value:?}, but must be {expected}.");
    Error::new(Code::InvalidParameter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RecordId;

    fn contact() -> ObjectKind {
        ObjectKind::parse("crm.contact").unwrap()
    }

    #[test]
    fn lists_take_what_generated_clients_send() {
        let page = Query::parse("limit=50.0&remote_data=true&cursor=")
            .page(contact())
            .unwrap();
        assert_eq!((page.limit, page.remote_data), (50, true));
        assert!(page.cursor.is_none() && !page.include_deleted);
        assert_eq!(
            Query::parse("").page(contact()).unwrap().limit,
            DEFAULT_LIMIT
        );
        let cursor = Cursor {
            backward: false,
            modified_at: Timestamp::from_millis(5),
            id: RecordId::derive(1, 1, "1"),
        };
        let query = format!("cursor={}&unknown=1&limit=100000", cursor.encode());
        let page = Query::parse(&query).page(contact()).unwrap();
        assert_eq!((page.cursor, page.limit), (Some(cursor), MAX_LIMIT));
        let page = Query::parse("modified_after=2026-01-02T03:04:05+01:00").page(contact());
        assert_eq!(
            page.unwrap().modified_after,
            Timestamp::parse("2026-01-02T02:04:05Z")
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (query, name) in [
            ("limit=0", "`limit`"),
            ("limit=-1", "`limit`"),
            ("limit=1.5", "`limit`"),
            ("limit=nan", "`limit`"),
            ("limit=.0", "`limit`"),
            ("cursor=abc", "`cursor`"),
            ("limit=", "`limit`"),
            ("limit=5&limit=x", "`limit`"),
            ("modified_after=yesterday", "`modified_after`"),
            ("modified_after=", "`modified_after`"),
            ("include_deleted=", "`include_deleted`"),
            ("remote_data=maybe", "`remote_data`"),
        ] {
            let error = Query::parse(query).page(contact()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidParameter);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn filters_and_references_are_those_of_the_object() {
        let query = Query::parse("filter[last_name]=Lovelace&filter%5Bremote_id%5D=7");
        let filters = query.page(contact()).unwrap().filters;
        assert_eq!(filters.fields["last_name"], "Lovelace");
        assert_eq!(filters.remote_id.as_deref(), Some("7"));
        for (query, hint) in [
            ("filter[nobody]=1", "last_name"),
            ("filter[addresses]=1", "last_name"),
            ("filter[user_id]=1", "the id of a record"),
            ("filter[last_name]=", "a value"),
        ] {
            let error = Query::parse(query).page(contact()).unwrap_err();
            assert!(error.to_string().contains(hint), "{query}: {error}");
        }
        let query = Query::parse("expand=user_id,user_id");
        let fields = query.expand(contact()).unwrap();
        assert_eq!(fields.len(), 1);
        for wrong in ["last_name", "", "user_id,", "user_id,%20user_id"] {
            let error = Query::parse(&format!("expand={wrong}")).expand(contact());
            assert!(
                error.unwrap_err().to_string().contains("user_id"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn live_lists_have_cursors_of_their_own_and_no_conditions() {
        let live = "live.abc";
        let error = Query::parse(&format!("cursor={live}")).page(contact());
        assert!(error.unwrap_err().to_string().contains("live=true"));
        let query = Query::parse("cursor=live.abc&limit=7");
        assert_eq!(query.live_page().unwrap(), (Some(live), 7));
        for bad in [
            "cursor=AAAA",
            "filter[a]=1",
            "filter[a]=",
            "modified_after=x",
        ] {
            assert!(Query::parse(bad).live_page().is_err(), "{bad}");
        }
    }

    #[test]
    fn slips_are_told_from_parameters_of_others() {
        for slip in [
            "expnd=user_id",
            "exapnd=user_id",
            "modified_afer=x",
            "include_delete=true",
            "filter=x",
            "filter.last_name=x",
            "Filter[last_name]=x",
            "filters[last_name]=x",
        ] {
            assert!(Query::parse(slip).no_slips(LIST).is_err(), "{slip}");
        }
        for fine in ["filter[x]=1", "utm_source=x", "page=2", "id=1", "", "_=17"] {
            assert!(Query::parse(fine).no_slips(LIST).is_ok(), "{fine}");
        }
    }
}
