//! The provider of a conformance test: it plays what fixtures have, and misbehaves on request.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use url::Url;

use crate::{
    author::{
        fixture::{Exchange, Fixtures},
        lab::locked,
        provider::{Answer, Heard, Script},
    },
    egress::BoxFuture,
};

/// What answers in place of a provider.
#[derive(Default)]
pub(super) struct Stage(Mutex<State>);

#[derive(Default)]
struct State {
    exchanges: Vec<Known>,
    /// The base of each endpoint.
    bases: BTreeMap<String, String>,
    /// What is answered in place of the recorded answers, one a request.
    forced: std::collections::VecDeque<Forced>,
    /// Whether a request that differs in its query or body from what was recorded is answered too.
    lenient: bool,
    heard: Vec<String>,
    unknown: Vec<String>,
}

struct Known {
    method: String,
    address: Address,
    body: Option<Value>,
    answer: Answer,
    body_sent: Value,
    used: bool,
}

/// An address in a form in which equal ones are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    place: String,
    query: Vec<(String, String)>,
}

/// An answer that no fixture has.
#[derive(Clone, Debug)]
pub(super) enum Forced {
    /// A status, with headers and a body.
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// The recorded answer with every list in it emptied.
    Empty,
    /// What was recorded.
    Recorded,
}

/// What a connector sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// Every request: method, address and body.
    pub(super) heard: Vec<String>,
    /// Those that no fixture answers.
    pub(super) unknown: Vec<String>,
}

impl Stage {
    /// With the exchanges of fixtures that went well. `bases` are those of the manifest.
    pub(super) fn set(&self, fixtures: &Fixtures, bases: BTreeMap<String, String>) {
        let known = |exchange: &Exchange| {
            (exchange.response.status < 400).then(|| Known {
                method: exchange.request.method.to_uppercase(),
                address: Address::new(&absolute(&exchange.request.url, &bases)),
                body: exchange.request.body.clone(),
                answer: Answer {
                    status: exchange.response.status,
                    headers: exchange.response.headers.clone().into_iter().collect(),
                    body: exchange.response.bytes(),
                },
                body_sent: exchange.response.body.clone(),
                used: false,
            })
        };
        let exchanges = fixtures.exchanges().filter_map(known).collect();
        *locked(&self.0) = State {
            exchanges,
            bases,
            ..State::default()
        };
    }

    /// Begins anew: what was recorded is there again, after the forced answers.
    pub(super) fn begin(&self, forced: impl IntoIterator<Item = Forced>, lenient: bool) {
        let mut state = locked(&self.0);
        state.forced = forced.into_iter().collect();
        state.lenient = lenient;
        state.heard.clear();
        state.unknown.clear();
        for known in &mut state.exchanges {
            known.used = false;
        }
    }

    /// What was sent since it began.
    pub(super) fn sent(&self) -> Sent {
        let state = locked(&self.0);
        Sent {
            heard: state.heard.clone(),
            unknown: state.unknown.clone(),
        }
    }
}

impl Script for Stage {
    fn answer(&self, heard: Heard) -> BoxFuture<'_, Answer> {
        let answer = locked(&self.0).answer(&heard);
        Box::pin(async { answer })
    }
}

impl State {
    fn answer(&mut self, heard: &Heard) -> Answer {
        let base = self.bases.get(&heard.endpoint).cloned();
        let url = format!("{}{}", base.unwrap_or_default(), heard.rest);
        let body = String::from_utf8_lossy(&heard.body).into_owned();
        let shown = format!(
            "{} {{{}}}{} {body}",
            heard.method, heard.endpoint, heard.rest
        );
        let shown: String = shown.trim_end().chars().take(400).collect();
        self.heard.push(shown.clone());
        let forced = self.forced.pop_front();
        if let Some(Forced::Status(status, headers, body)) = forced {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            return Answer {
                status,
                headers: headers.iter().map(owned).collect(),
                body: body.as_bytes().to_vec(),
            };
        }
        let Some(index) = self.find(&heard.method, &Address::new(&url), &heard.body) else {
            if self.lenient && heard.method == "DELETE" {
                return Answer {
                    status: 204,
                    ..Answer::default()
                };
            }
            self.unknown.push(shown);
            return Answer {
                status: 400,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: br#"{"error":"no fixture answers this request"}"#.to_vec(),
            };
        };
        let Some(known) = self.exchanges.get_mut(index) else {
            return Answer::default();
        };
        known.used = true;
        let mut answer = known.answer.clone();
        if matches!(forced, Some(Forced::Empty)) {
            let mut body = known.body_sent.clone();
            empty_lists(&mut body);
            answer.body = body.to_string().into_bytes();
        }
        answer
    }

    /// The exchange for a request: one that was not played yet before one that was.
    fn find(&self, method: &str, address: &Address, body: &[u8]) -> Option<usize> {
        let fits = |known: &Known| known.method == method && known.address == *address;
        let same_body = |known: &Known| match &known.body {
            None => true,
            Some(Value::String(text)) => text.as_bytes() == body,
            Some(expected) => {
                serde_json::from_slice::<Value>(body).is_ok_and(|sent| sent == *expected)
            }
        };
        let at = |test: &dyn Fn(&Known) -> bool| self.exchanges.iter().position(test);
        at(&|known| !known.used && fits(known) && same_body(known))
            .or_else(|| at(&|known| fits(known) && same_body(known)))
            .or_else(|| {
                let near = |known: &Known| {
                    let here = known.address.place == address.place;
                    !known.used && known.method == method && here
                };
                at(&near).filter(|_| self.lenient)
            })
    }
}

impl Address {
    fn new(url: &str) -> Self {
        let Ok(mut url) = Url::parse(url) else {
            return Self {
                place: url.to_owned(),
                query: Vec::new(),
            };
        };
        let mut query: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        query.sort();
        url.set_query(None);
        url.set_fragment(None);
        Self {
            place: url.as_str().trim_end_matches('/').to_owned(),
            query,
        }
    }
}

/// `{api}/v1/people` with the endpoint's base in its place.
fn absolute(url: &str, bases: &BTreeMap<String, String>) -> String {
    let parts = url.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let filled = parts.and_then(|(name, rest)| Some(format!("{}{rest}", bases.get(name)?)));
    filled.unwrap_or_else(|| url.to_owned())
}

/// Takes everything out of the outermost lists.
fn empty_lists(value: &mut Value) {
    match value {
        Value::Array(list) => list.clear(),
        Value::Object(map) => map.values_mut().for_each(empty_lists),
        _ => {}
    }
}

/// Shared with the server.
pub(super) fn stage() -> Arc<Stage> {
    Arc::new(Stage::default())
}
