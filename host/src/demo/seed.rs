//! The first records: invented, and the same at every start.

mod words;

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    Collection,
    book::{Book, Record},
};
use crate::model::Timestamp;
use words::{
    COMPANY_NAMES, CULTURES, DEALS, JOBS, NOTES, SECTORS, STAGES, STREETS, TASKS, TOWNS, USERS,
};

/// Monday, 6 January 2025, 08:00 UTC. Fixed, so that a restart changes nothing.
const BEGIN: i64 = 1_736_150_400_000;
const DAY: i64 = 86_400_000;
/// A record that was changed was so within this many days after it was made.
const CHANGED_WITHIN: usize = 60;

/// The provider's records at its start.
pub(super) fn book(people: usize) -> Book {
    let mut seed = Seed {
        book: Book::default(),
        dice: Dice(0x6a61_636b_6669_656c),
        mails: HashSet::new(),
    };
    seed.fill(Collection::Users, USERS.len(), |_, index| user(index));
    seed.fill(Collection::Stages, STAGES.len(), |_, index| stage(index));
    seed.fill(Collection::Companies, COMPANY_NAMES.len(), Seed::company);
    seed.fill(Collection::People, people, Seed::person);
    seed.fill(Collection::Deals, 120, Seed::deal);
    seed.fill(Collection::Notes, 150, Seed::note);
    seed.fill(Collection::Tasks, 80, Seed::task);
    seed.book
}

struct Seed {
    book: Book,
    dice: Dice,
    mails: HashSet<String>,
}

impl Seed {
    fn fill(
        &mut self,
        collection: Collection,
        count: usize,
        make: impl Fn(&mut Self, usize) -> Value,
    ) {
        let (mut created, days) = match collection {
            Collection::Users | Collection::Stages => (BEGIN - 200 * DAY, 1),
            Collection::Companies => (BEGIN - 180 * DAY, 170),
            _ => (BEGIN, 180),
        };
        let step = days * DAY / i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        for (index, id) in (0..count).zip(collection.first_id()..) {
            let Value::Object(fields) = make(self, index) else {
                unreachable!("a record is made as an object");
            };
            // Half of the records were changed after they were made.
            let changed = self.dice.chance(50);
            let later = if changed {
                self.dice.millis(CHANGED_WITHIN)
            } else {
                0
            };
            let record = Record {
                id,
                version: 1 + u64::from(changed),
                created: Timestamp::from_millis(created),
                updated: Timestamp::from_millis(created + later),
                deleted: false,
                fields: without_null(fields),
            };
            self.book.put(collection, record);
            created += step;
        }
    }

    fn company(&mut self, index: usize) -> Value {
        let name = nth(COMPANY_NAMES, index);
        let (sector, suffix) = self.dice.pick(SECTORS);
        let label = format!("{name} {suffix}");
        let domain = format!("{}.example", slug(&label, '-'));
        json!({
            "label": label,
            "sector": sector,
            "headcount": self.dice.pick(&[4, 11, 18, 35, 60, 140, 320, 850, 2400]),
            "website": format!("https://www.{domain}"),
            "mail": format!("hello@{domain}"),
            "phone": self.phone(),
            "address": self.address(),
            "owner": self.any(Collection::Users),
            "extra": { "customer_since": 2012 + self.dice.below(13), "newsletter": self.dice.chance(40) },
        })
    }

    fn person(&mut self, _: usize) -> Value {
        let culture = self.dice.pick(CULTURES);
        let (given, family) = (
            *self.dice.pick(culture.given),
            *self.dice.pick(culture.family),
        );
        let organisation = self.any(Collection::Companies);
        let domain = self
            .text(Collection::Companies, organisation, "mail")
            .and_then(|mail| mail.split_once('@'))
            .map_or_else(
                || "mail.example".to_owned(),
                |(_, domain)| domain.to_owned(),
            );
        let name = format!("{}.{}", slug(given, '-'), slug(family, '-'));
        let mut mail = format!("{name}@{domain}");
        let mut twin = 2;
        while !self.mails.insert(mail.clone()) {
            mail = format!("{name}{twin}@{domain}");
            twin += 1;
        }
        let mobile = self.dice.chance(60).then(|| self.mobile());
        let address = self.dice.chance(50).then(|| self.address());
        json!({
            "given_name": given,
            "family_name": family,
            "mail": mail,
            "phone": self.phone(),
            "mobile": mobile,
            "job_title": self.dice.pick(JOBS),
            "address": address,
            "organisation": organisation,
            "owner": self.any(Collection::Users),
            "extra": { "speaks": culture.language },
        })
    }

    fn deal(&mut self, _: usize) -> Value {
        let organisation = self.any(Collection::Companies);
        let company = self
            .text(Collection::Companies, organisation, "label")
            .unwrap_or_default()
            .to_owned();
        let (what, summary) = self.dice.pick(DEALS);
        json!({
            "title": format!("{company}: {what}"),
            "summary": summary,
            "amount_cents": 50_000 + 12_550 * self.dice.below(600),
            "stage": self.any(Collection::Stages),
            "organisation": organisation,
            "owner": self.any(Collection::Users),
            "extra": { "probability": 10 * (1 + self.dice.below(9)) },
        })
    }

    fn note(&mut self, index: usize) -> Value {
        // Without people there is nobody to write about.
        let person = index.is_multiple_of(3) && self.book.count(Collection::People) > 0;
        let person = person.then(|| self.any(Collection::People));
        let deal = (index % 3 == 1).then(|| self.any(Collection::Deals));
        json!({
            "text": self.dice.pick(NOTES),
            "author": self.any(Collection::Users),
            "organisation": self.any(Collection::Companies),
            "person": person,
            "deal": deal,
        })
    }

    fn task(&mut self, _: usize) -> Value {
        let (title, details) = self.dice.pick(TASKS);
        let due = BEGIN + DAY * 30 + self.dice.millis(300);
        let done = self.dice.chance(40);
        json!({
            "title": title,
            "details": details,
            "done": done,
            "due_on": day(due),
            "done_on": done.then(|| day(due - 3 * DAY)),
            "assignee": self.any(Collection::Users),
            "organisation": self.any(Collection::Companies),
            "deal": self.any(Collection::Deals),
        })
    }

    /// The id of some record of a collection that is filled already.
    fn any(&mut self, collection: Collection) -> u64 {
        let count = self.book.count(collection);
        collection.first_id() + u64::try_from(self.dice.below(count)).unwrap_or(0)
    }

    fn text(&self, collection: Collection, id: u64, field: &str) -> Option<&str> {
        let record = self.book.record(collection, id).ok()?;
        record.fields.get(field)?.as_str()
    }

    /// From the ranges that are set aside for films and books.
    fn phone(&mut self) -> String {
        if self.dice.chance(50) {
            format!("+44207946{:04}", self.dice.below(1000))
        } else {
            format!("+1202555{:04}", 100 + self.dice.below(100))
        }
    }

    fn mobile(&mut self) -> String {
        format!("+447700900{:03}", self.dice.below(1000))
    }

    fn address(&mut self) -> Value {
        let &(town, region, country, postcode) = self.dice.pick(TOWNS);
        json!({
            "street": format!("{} {}", 1 + self.dice.below(180), self.dice.pick(STREETS)),
            "postcode": postcode,
            "town": town,
            "region": region,
            "country": country,
        })
    }
}

fn user(index: usize) -> Value {
    let name = nth(USERS, index);
    let mail = format!("{}@demo-sales.example", slug(name, '.'));
    json!({ "full_name": name, "mail": mail })
}

fn stage(index: usize) -> Value {
    json!({ "label": nth(STAGES, index), "position": index + 1 })
}

fn without_null(fields: Map<String, Value>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect()
}

fn nth(words: &[&'static str], index: usize) -> &'static str {
    words.get(index).copied().unwrap_or_default()
}

fn day(millis: i64) -> String {
    let moment = Timestamp::from_millis(millis).to_string();
    moment.chars().take(10).collect()
}

/// The text as a part of a mail address or domain: plain letters, other runs as one `between`.
fn slug(text: &str, between: char) -> String {
    let mut slug = String::with_capacity(text.len());
    for letter in text.to_lowercase().chars() {
        match plain(letter) {
            Some(plain) => slug.push_str(plain),
            None if letter.is_ascii_alphanumeric() => slug.push(letter),
            None if letter == '\'' => {}
            None if slug.ends_with(between) || slug.is_empty() => {}
            None => slug.push(between),
        }
    }
    slug.trim_end_matches(between).to_owned()
}

/// Latin letters with marks, without them.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'á' | 'à' | 'â' | 'ã' | 'å' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'đ' => "d",
        'é' | 'è' | 'ê' | 'ë' | 'ę' => "e",
        'ğ' => "g",
        'í' | 'ï' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' => "n",
        'ó' | 'ô' | 'õ' | 'ō' => "o",
        'ö' | 'ø' => "oe",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ú' | 'ū' => "u",
        'ü' => "ue",
        'ý' => "y",
        'ż' | 'ź' | 'ž' => "z",
        _ => return None,
    })
}

/// The `SplitMix64` generator: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`; 0 where there is none.
    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, words: &'a [T]) -> &'a T {
        let index = self.below(words.len());
        words.get(index).expect("no list of words is empty")
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// Some time within so many days.
    fn millis(&mut self, days: usize) -> i64 {
        i64::try_from(self.below(days.saturating_mul(86_400_000))).unwrap_or(0)
    }
}
