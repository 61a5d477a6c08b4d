//! Money: a decimal string in the currency's own unit between host and connectors, and what the
//! wire contract says between host and applications.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::{Map, Value};

use super::{Decimal, ObjectKind, Property, Violation};

/// The places behind the point of most currencies, and of those that nobody knows.
const USUAL_EXPONENT: u8 = 2;

static EXPONENTS: LazyLock<HashMap<String, u8>> = LazyLock::new(|| {
    let text = include_str!("../../../wit/models/currencies.json");
    let table: Value = serde_json::from_str(text).expect("a test reads the embedded table");
    let exponents = table.get("exponents").and_then(Value::as_object);
    let groups = exponents.into_iter().flatten().map(|(exponent, codes)| {
        let exponent: u8 = exponent.parse().unwrap_or(USUAL_EXPONENT);
        let codes = codes.as_array().into_iter().flatten();
        codes.filter_map(move |code| Some((code.as_str()?.to_owned(), exponent)))
    });
    groups.flatten().collect()
});

/// How many digits behind the point a currency has: 2 for `EUR`, 0 for `JPY`, 2 for a code that
/// ISO 4217 does not know.
#[must_use]
pub fn exponent(currency: &str) -> u8 {
    let code = currency.to_ascii_uppercase();
    EXPONENTS.get(&code).copied().unwrap_or(USUAL_EXPONENT)
}

/// What a field with an amount of money looks like on the wire (`x-money` in the schema).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// The field with the currency's ISO 4217 code, beside the amount or in the object around it.
    pub currency: Option<String>,
    /// Whether the wire counts in the currency's smallest unit (cents), not in whole units.
    pub minor: bool,
    /// Whether the wire writes a string, not a number.
    pub text: bool,
}

/// Brings what a connector answered into the form of the wire. A connector's amounts are decimal
/// strings (or numbers) in whole units of the currency.
///
/// # Errors
/// An amount is no decimal number, or too long for the JSON number that the wire wants.
pub fn to_wire(kind: ObjectKind, object: &mut Map<String, Value>) -> Result<(), Vec<Violation>> {
    let mut walk = Walk {
        direction: Direction::ToWire,
        path: String::new(),
        violations: Vec::new(),
    };
    walk.object(&kind.spec().properties, object, &HashMap::new());
    walk.finish()
}

/// Brings what an application sent, checked against the schema already, into the form of
/// connectors.
///
/// `stored` is the unified object that is to be changed: an application that sends an amount need
/// not send the currency again.
///
/// # Errors
/// An amount is no decimal number, or far too long.
pub fn from_wire(
    kind: ObjectKind,
    object: &mut Map<String, Value>,
    stored: Option<&str>,
) -> Result<(), Vec<Violation>> {
    let mut walk = Walk {
        direction: Direction::FromWire,
        path: String::new(),
        violations: Vec::new(),
    };
    let stored: Map<String, Value> = stored
        .filter(|_| has_money(&kind.spec().properties))
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let known = currencies(&kind.spec().properties, &stored, &HashMap::new());
    walk.object(&kind.spec().properties, object, &known);
    walk.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToWire,
    FromWire,
}

/// Places behind the point, by the name of the field that holds the currency.
type Known<'spec> = HashMap<&'spec str, u8>;

struct Walk {
    direction: Direction,
    path: String,
    violations: Vec<Violation>,
}

impl Walk {
    fn object(
        &mut self,
        properties: &[Property],
        object: &mut Map<String, Value>,
        outer: &Known<'_>,
    ) {
        if !has_money(properties) {
            return;
        }
        let known = currencies(properties, object, outer);
        let depth = self.path.len();
        for property in properties {
            let Some(value) = object.get_mut(&property.name) else {
                continue;
            };
            self.path.push('/');
            self.path.push_str(&property.name);
            if let Some(money) = &property.money {
                self.amount(money, value, &known);
            }
            if !property.properties.is_empty() {
                self.inner(&property.properties, value, &known);
            }
            self.path.truncate(depth);
        }
    }

    fn inner(&mut self, properties: &[Property], value: &mut Value, known: &Known<'_>) {
        match value {
            Value::Object(object) => self.object(properties, object, known),
            Value::Array(items) => {
                let depth = self.path.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push('/');
                    self.path.push_str(&index.to_string());
                    self.inner(properties, item, known);
                    self.path.truncate(depth);
                }
            }
            _ => {}
        }
    }

    fn amount(&mut self, money: &Money, value: &mut Value, known: &Known<'_>) {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            // Null stays; what is no amount at all is what the schema's check is for.
            _ => return,
        };
        let places = money
            .currency
            .as_ref()
            .and_then(|name| known.get(name.as_str()));
        let shift = if money.minor {
            i32::from(places.copied().unwrap_or(USUAL_EXPONENT))
        } else {
            0
        };
        let padding = places.map_or(0, |places| usize::from(*places));
        let Some(decimal) = Decimal::parse(&text) else {
            return self.refuse("must be a decimal number, such as \"12.50\"");
        };
        *value = match (self.direction, money.text) {
            (Direction::FromWire, _) => {
                let text = decimal.shifted(-shift).padded(padding).to_string();
                // A short `1e-300` is long without its exponent: the connector's answer would not
                // be read.
                if Decimal::parse(&text).is_none() {
                    return self.refuse("has more digits than any amount");
                }
                Value::String(text)
            }
            (Direction::ToWire, true) if money.minor => {
                Value::String(decimal.shifted(shift).to_string())
            }
            (Direction::ToWire, true) => Value::String(decimal.padded(padding).to_string()),
            (Direction::ToWire, false) => match decimal.shifted(shift).to_number() {
                Some(number) => Value::Number(number),
                None => return self.refuse("has more digits than a JSON number can hold"),
            },
        };
    }

    fn refuse(&mut self, message: &str) {
        self.violations.push(Violation {
            path: self.path.clone(),
            message: message.to_owned(),
        });
    }

    fn finish(self) -> Result<(), Vec<Violation>> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(self.violations)
        }
    }
}

fn has_money(properties: &[Property]) -> bool {
    properties.iter().any(|property| property.has_money)
}

/// What the object says about currencies, over what the object around it says.
fn currencies<'spec>(
    properties: &'spec [Property],
    object: &Map<String, Value>,
    outer: &Known<'spec>,
) -> Known<'spec> {
    fn note<'spec>(
        properties: &'spec [Property],
        object: &Map<String, Value>,
        known: &mut Known<'spec>,
    ) {
        for property in properties.iter().filter(|property| property.has_money) {
            let name = property
                .money
                .as_ref()
                .and_then(|money| money.currency.as_deref());
            if let Some(name) = name
                && let Some(code) = object.get(name).and_then(Value::as_str)
            {
                known.insert(name, exponent(code));
            }
            note(&property.properties, object, known);
        }
    }
    let mut known = outer.clone();
    note(properties, object, &mut known);
    known
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            panic!("{value} is no object");
        };
        object
    }

    fn out(kind: &str, value: Value) -> Value {
        let mut object = map(value);
        to_wire(ObjectKind::parse(kind).unwrap(), &mut object).unwrap();
        Value::Object(object)
    }

    fn back(kind: &str, value: Value, stored: Option<&str>) -> Value {
        let mut object = map(value);
        from_wire(ObjectKind::parse(kind).unwrap(), &mut object, stored).unwrap();
        Value::Object(object)
    }

    #[test]
    fn currencies_have_their_own_number_of_places() {
        let places = ["EUR", "jpy", "KWD", "CLF", "XYZ"].map(exponent);
        assert_eq!(places, [2, 0, 3, 4, 2]);
    }

    #[test]
    fn whole_units_stay_numbers_on_the_wire() {
        assert_eq!(
            out("crm.deal", json!({"amount": "12500.50"})),
            json!({"amount": 12500.5})
        );
        assert_eq!(
            out("crm.deal", json!({"amount": 12500.5, "name": null})),
            json!({"amount": 12500.5, "name": null})
        );
        assert_eq!(
            back("crm.deal", json!({"amount": 0.1, "name": "x"}), None),
            json!({"amount": "0.1", "name": "x"})
        );
    }

    #[test]
    fn the_smallest_unit_follows_the_currency_in_line_items_too() {
        let inside = json!({
            "currency": "JPY", "total_amount": "1500",
            "line_items": [{"unit_price": "750"}, {"unit_price": "7.125", "currency": "BHD"}],
        });
        let wire = json!({
            "currency": "JPY", "total_amount": 1500,
            "line_items": [{"unit_price": 750}, {"unit_price": 7125, "currency": "BHD"}],
        });
        assert_eq!(out("accounting.invoice", inside.clone()), wire);
        assert_eq!(back("accounting.invoice", wire, None), inside);
        assert_eq!(
            out("accounting.invoice", json!({"total_amount": "12.5"})),
            json!({"total_amount": 1250})
        );
    }

    #[test]
    fn a_change_without_a_currency_takes_the_stored_one() {
        let change = json!({"total_amount": 1500});
        let stored = r#"{"currency":"JPY"}"#;
        assert_eq!(
            back("accounting.invoice", change.clone(), Some(stored)),
            json!({"total_amount": "1500"})
        );
        assert_eq!(
            back("accounting.invoice", change, None),
            json!({"total_amount": "15"})
        );
    }

    #[test]
    fn strings_on_the_wire_have_the_places_of_the_currency() {
        assert_eq!(
            out(
                "payments.charge",
                json!({"amount": "12.5", "currency": "EUR"})
            ),
            json!({"amount": "12.50", "currency": "EUR"})
        );
        assert_eq!(
            out(
                "accounting.transaction",
                json!({"total_amount": "12.5", "currency": "EUR"})
            ),
            json!({"total_amount": "1250", "currency": "EUR"})
        );
    }

    #[test]
    fn what_is_no_amount_is_named() {
        let mut object = map(json!({"line_items": [{"unit_price": "a lot"}]}));
        let kind = ObjectKind::parse("accounting.invoice").unwrap();
        let violations = to_wire(kind, &mut object).unwrap_err();
        assert_eq!(violations[0].path, "/line_items/0/unit_price");
        for amount in [1e300, 1e-300] {
            let mut object = map(json!({ "total_amount": amount }));
            let refused = from_wire(kind, &mut object, None).unwrap_err();
            assert_eq!(refused[0].path, "/total_amount");
        }
        let mut object = map(json!({"amount": "12345678901234567.89"}));
        let kind = ObjectKind::parse("crm.deal").unwrap();
        assert_eq!(to_wire(kind, &mut object).unwrap_err()[0].path, "/amount");
    }
}
