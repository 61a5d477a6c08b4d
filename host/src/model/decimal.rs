//! Exact decimal numbers, kept as digits: nothing is rounded on the way through the host.

use std::fmt;

use serde_json::Number;

/// The longest text that is read as a number, in bytes.
const MAX_TEXT: usize = 128;
/// The largest power of ten that is read, either way.
const MAX_EXPONENT: i32 = 400;

/// A decimal number of any precision, `-12.50` for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    /// How many of the digits stand behind the point.
    scale: usize,
}

impl Decimal {
    /// Reads `12`, `-12.50` and, since JSON allows it, `1.25e3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let decimal = Self {
            negative,
            digits: format!("{whole}{fraction}"),
            scale: fraction.len(),
        };
        Some(decimal.shifted(exponent))
    }

    /// Times ten to the power of `places`.
    #[must_use]
    pub fn shifted(mut self, places: i32) -> Self {
        let distance = usize::try_from(places.unsigned_abs()).unwrap_or(usize::MAX);
        if places < 0 {
            self.scale += distance;
        } else {
            let missing = distance.saturating_sub(self.scale);
            self.digits.push_str(&"0".repeat(missing));
            self.scale = self.scale.saturating_sub(distance);
        }
        self.normal()
    }

    /// With at least so many digits behind the point.
    #[must_use]
    pub fn padded(mut self, places: usize) -> Self {
        let missing = places.saturating_sub(self.scale);
        if !self.digits.is_empty() {
            self.digits.push_str(&"0".repeat(missing));
        }
        self.scale += missing;
        self
    }

    /// As a JSON number, where one stands for exactly this value.
    #[must_use]
    pub fn to_number(&self) -> Option<Number> {
        let text = self.clone().normal().to_string();
        let number = match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(whole), _) => Number::from(whole),
            (_, Ok(whole)) => Number::from(whole),
            _ => Number::from_f64(text.parse().ok()?)?,
        };
        (Self::parse(&number.to_string())? == self.clone().normal()).then_some(number)
    }

    /// Without zeros that say nothing.
    fn normal(mut self) -> Self {
        let superfluous = self.digits.bytes().rev().take(self.scale);
        let superfluous = superfluous.take_while(|digit| *digit == b'0').count();
        self.digits.truncate(self.digits.len() - superfluous);
        self.scale -= superfluous;
        let leading = self.digits.bytes().take_while(|digit| *digit == b'0');
        self.digits.drain(..leading.count());
        if self.digits.is_empty() {
            self.scale = 0;
            self.negative = false;
        }
        self
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0>width$}", self.digits, width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        let sign = if self.negative { "-" } else { "" };
        if fraction.is_empty() {
            write!(formatter, "{sign}{whole}")
        } else {
            write!(formatter, "{sign}{whole}.{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Decimal::parse(text).map(|decimal| decimal.to_string())
    }

    #[test]
    fn reads_what_json_and_people_write() {
        for (text, expected) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("0012.50", "12.5"),
            ("+7", "7"),
            ("-0.05", "-0.05"),
            ("1.25e3", "1250"),
            ("5E-3", "0.005"),
            ("100", "100"),
            (
                "123456789012345678901234567890.01",
                "123456789012345678901234567890.01",
            ),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "", "-", ".5", "5.", "1,5", "0x1", "1e999", "NaN", "--1", " 1",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"1".repeat(129)), None);
    }

    #[test]
    fn shifts_and_pads_without_rounding() {
        let shifted = |text, places| Decimal::parse(text).unwrap().shifted(places).to_string();
        assert_eq!(shifted("12.5", 2), "1250");
        assert_eq!(shifted("1250", -2), "12.5");
        assert_eq!(shifted("-5", -3), "-0.005");
        assert_eq!(shifted("0.125", 2), "12.5");
        assert_eq!(shifted("0", 4), "0");
        let padded = |text| Decimal::parse(text).unwrap().padded(2).to_string();
        assert_eq!(padded("12500.5"), "12500.50");
        assert_eq!(padded("0"), "0.00");
        assert_eq!(padded("1.005"), "1.005");
    }

    #[test]
    fn becomes_a_json_number_only_where_that_is_exact() {
        let number = |text| Decimal::parse(text).unwrap().to_number();
        assert_eq!(number("14430.50").unwrap().to_string(), "14430.5");
        assert_eq!(number("0.1").unwrap().to_string(), "0.1");
        assert_eq!(number("1250").unwrap(), Number::from(1250));
        assert_eq!(
            number("18446744073709551615").unwrap(),
            Number::from(u64::MAX)
        );
        assert_eq!(number("12345678901234567.89"), None);
    }
}
