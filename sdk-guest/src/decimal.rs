//! Amounts of money, exact.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::models::EXPONENTS;

/// The most digits behind the point.
const MAX_SCALE: u32 = 30;

/// An exact decimal number of up to 38 digits, in whole units of a currency. It crosses to the host as a string.
///
/// Trailing zeros are kept as they were written, and do not count in a comparison.
///
/// ```
/// use jackfield_sdk::Decimal;
///
/// let price: Decimal = "12.50".parse().unwrap();
/// assert_eq!(price, Decimal::from_minor(1250, "EUR"));
/// assert_eq!(price.minor("EUR"), Some(1250));
/// assert_eq!(price.minor("JPY"), None);
/// assert_eq!(Decimal::from_minor(1250, "JPY").to_string(), "1250");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

/// A text is no decimal number, or has too many digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseDecimalError;

impl Decimal {
    /// An amount that the provider counts in the currency's smallest unit, such as cents. The currency is a code of
    /// ISO 4217 in any case; an unknown one has two places behind the point.
    #[must_use]
    pub fn from_minor(amount: i64, currency: &str) -> Self {
        Self {
            units: amount.into(),
            scale: exponent(currency),
        }
    }

    /// The amount in the currency's smallest unit; `None` where that is no whole number, or too large.
    #[must_use]
    pub fn minor(self, currency: &str) -> Option<i64> {
        let normal = self.normal();
        let missing = exponent(currency).checked_sub(normal.scale)?;
        let units = normal.units.checked_mul(10_i128.checked_pow(missing)?)?;
        units.try_into().ok()
    }

    /// Without zeros at the end.
    fn normal(mut self) -> Self {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }
}

/// The places behind the point of a currency.
fn exponent(currency: &str) -> u32 {
    EXPONENTS
        .iter()
        .find(|(code, _)| code.eq_ignore_ascii_case(currency))
        .map_or(2, |(_, exponent)| *exponent)
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    /// Reads `12`, `-12.50` and `1.25e3`.
    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        parse(text.trim()).ok_or(ParseDecimalError)
    }
}

fn parse(text: &str) -> Option<Decimal> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (fraction.is_empty() && number.contains('.')) {
        return None;
    }
    let mut units = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        units = units
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        units = units.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
    }
    let scale = u32::try_from(scale).unwrap_or(0);
    (scale <= MAX_SCALE).then_some(Decimal {
        units: sign * units,
        scale,
    })
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Self {
            units: whole.into(),
            scale: 0,
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (this, other) = (self.normal(), other.normal());
        this.units == other.units && this.scale == other.scale
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        if fraction.is_empty() {
            write!(formatter, "{sign}{whole}")
        } else {
            write!(formatter, "{sign}{whole}.{fraction}")
        }
    }
}

impl fmt::Display for ParseDecimalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("is not a decimal number of at most 38 digits")
    }
}

impl std::error::Error for ParseDecimalError {}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// From a string, as the host gives it, or from a number, as many providers write it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Decimal;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a decimal number or a string with one")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(Decimal {
                    units: number.into(),
                    scale: 0,
                })
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                // The shortest text that means this number is what the provider wrote.
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Decimal;

    #[test]
    fn reads_strings_and_numbers_and_writes_strings() {
        for (value, expected) in [
            (json!("12.50"), "12.50"),
            (json!("-0.05"), "-0.05"),
            (json!(14430.5), "14430.5"),
            (json!(0.1), "0.1"),
            (json!(1e21), "1000000000000000000000"),
            (json!("1.25e3"), "1250"),
            (json!(7), "7"),
        ] {
            let decimal: Decimal = serde_json::from_value(value).unwrap();
            assert_eq!(serde_json::to_value(decimal).unwrap(), json!(expected));
        }
    }

    #[test]
    fn refuses_what_is_none_or_too_long() {
        for text in ["", "-", ".5", "5.", "1,5", "--1", "1e99", "1e-99", "NaN"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
        assert!("9".repeat(40).parse::<Decimal>().is_err());
    }

    #[test]
    fn counts_in_the_smallest_unit_of_the_currency() {
        assert_eq!(Decimal::from_minor(-5, "usd").to_string(), "-0.05");
        assert_eq!(Decimal::from_minor(1500, "KWD").to_string(), "1.500");
        let amount: Decimal = "1.2".parse().unwrap();
        assert_eq!(amount.minor("KWD"), Some(1200));
        assert_eq!(amount.minor("EUR"), Some(120));
        assert_eq!("0.005".parse::<Decimal>().unwrap().minor("EUR"), None);
        assert_eq!(amount, "1.200".parse().unwrap());
    }
}
