use serde_json::{Value, json};

use super::*;

fn transform(text: &Value) -> Transform {
    serde_json::from_value(text.clone()).unwrap()
}

#[test]
fn values_are_converted() {
    for (step, from, to) in [
        (json!({"type": "trim"}), json!("  a b \n"), json!("a b")),
        (
            json!({"type": "trim"}),
            json!([" a", "b "]),
            json!(["a", "b"]),
        ),
        (json!({"type": "trim"}), json!(null), json!(null)),
        (
            json!({"type": "case", "to": "upper"}),
            json!("straße"),
            json!("STRASSE"),
        ),
        (
            json!({"type": "case", "to": "lower"}),
            json!("ÄB"),
            json!("äb"),
        ),
        (
            json!({"type": "case", "to": "title"}),
            json!("o'NEIL van-dyke"),
            json!("O'neil Van-Dyke"),
        ),
        (
            json!({"type": "replace", "find": "-", "with": ""}),
            json!("1-2-3"),
            json!("123"),
        ),
        (json!({"type": "to_number"}), json!("42"), json!(42)),
        (
            json!({"type": "to_number"}),
            json!(" 1,234.5 "),
            json!(1234.5),
        ),
        (json!({"type": "to_number"}), json!("-1e3"), json!(-1000.0)),
        (json!({"type": "to_number"}), json!(7), json!(7)),
        (
            json!({"type": "to_number", "decimal": ","}),
            json!("1.234,5"),
            json!(1234.5),
        ),
        (json!({"type": "to_string"}), json!(7), json!("7")),
        (json!({"type": "to_string"}), json!(true), json!("true")),
        (
            json!({"type": "to_string"}),
            json!({"a": 1}),
            json!("{\"a\":1}"),
        ),
        (json!({"type": "to_boolean"}), json!("Yes"), json!(true)),
        (json!({"type": "to_boolean"}), json!(0), json!(false)),
        (
            json!({"type": "to_boolean", "true_words": ["oui"], "false_words": ["non"]}),
            json!("NON"),
            json!(false),
        ),
        (
            json!({"type": "to_date"}),
            json!("2026-01-31T23:30:00-05:00"),
            json!("2026-01-31"),
        ),
        (
            json!({"type": "to_date"}),
            json!("2026-01-31T23:30:00Z"),
            json!("2026-01-31"),
        ),
        (
            json!({"type": "to_date", "output": "datetime"}),
            json!("2026-01-31"),
            json!("2026-01-31T00:00:00.000Z"),
        ),
        (
            json!({"type": "to_date", "output": "datetime"}),
            json!("2026-01-31T23:30:00-05:00"),
            json!("2026-02-01T04:30:00.000Z"),
        ),
        (
            json!({"type": "to_date", "formats": ["%d.%m.%Y", "%m/%d/%Y"]}),
            json!("01/31/2026"),
            json!("2026-01-31"),
        ),
        (
            json!({"type": "to_date", "formats": ["%d.%m.%Y %H:%M"], "output": "datetime"}),
            json!("31.01.2026 08:15"),
            json!("2026-01-31T08:15:00.000Z"),
        ),
        (
            json!({"type": "to_date", "formats": ["unix_ms"], "output": "datetime"}),
            json!(1_500),
            json!("1970-01-01T00:00:01.500Z"),
        ),
        (
            json!({"type": "to_date", "formats": ["unix"]}),
            json!("86400"),
            json!("1970-01-02"),
        ),
        (
            json!({"type": "concatenate", "separator": ", "}),
            json!(["a", null, "", 3]),
            json!("a, 3"),
        ),
        (
            json!({"type": "concatenate", "separator": ", "}),
            json!([null, ""]),
            json!(null),
        ),
        (
            json!({"type": "split", "separator": ","}),
            json!("a,b"),
            json!(["a", "b"]),
        ),
        (
            json!({"type": "split", "separator": ",", "index": 1}),
            json!("a,b"),
            json!("b"),
        ),
        (
            json!({"type": "split", "separator": ",", "index": -2}),
            json!("a,b"),
            json!("a"),
        ),
        (
            json!({"type": "lookup", "table": {"1": "gold", "2": 2}}),
            json!(1),
            json!("gold"),
        ),
        (
            json!({"type": "lookup", "table": {"1": "gold"}, "fallback": "none"}),
            json!("x"),
            json!("none"),
        ),
        (
            json!({"type": "template", "template": "{city} ({/address/zip}) {{{value}}}"}),
            json!("v"),
            json!("Oslo (0150) {v}"),
        ),
        (
            json!({"type": "template", "template": "{none}"}),
            json!(null),
            json!(null),
        ),
    ] {
        let sources = Sources::from([
            ("city".to_owned(), json!("Oslo")),
            ("/address/zip".to_owned(), json!("0150")),
        ]);
        let result = transform(&step).apply(from.clone(), &sources);
        assert_eq!(result, Ok(to), "{step} of {from}");
    }
}

#[test]
fn what_cannot_be_converted_is_said() {
    for (step, from, part) in [
        (
            json!({"type": "trim"}),
            json!({"a": 1}),
            "an object is no text",
        ),
        (
            json!({"type": "to_number"}),
            json!("12 apples"),
            "is no number",
        ),
        (json!({"type": "to_number"}), json!("inf"), "is no number"),
        (json!({"type": "to_number"}), json!(""), "is no number"),
        (
            json!({"type": "to_boolean"}),
            json!("perhaps"),
            "neither true nor false",
        ),
        (json!({"type": "to_date"}), json!("31.01.2026"), "ISO 8601"),
        (
            json!({"type": "to_date", "formats": ["%d.%m.%Y"]}),
            json!("31.02.2026"),
            "%d.%m.%Y",
        ),
        (
            json!({"type": "to_date", "formats": ["unix"]}),
            json!("99999999999999"),
            "unix",
        ),
        (
            json!({"type": "split", "separator": ",", "index": 2}),
            json!("a,b"),
            "no piece 2 among 2",
        ),
        (
            json!({"type": "split", "separator": ",", "index": -3}),
            json!("a,b"),
            "no piece -3",
        ),
        (
            json!({"type": "lookup", "table": {"1": "gold"}}),
            json!("3"),
            "\"3\" is not in the table",
        ),
    ] {
        let error = transform(&step).apply(from, &Sources::new()).unwrap_err();
        assert!(error.contains(part), "{step}: {error}");
    }
}

#[test]
fn steps_go_back_where_there_is_a_way() {
    for (step, from, to) in [
        (json!({"type": "trim"}), json!("a"), json!("a")),
        (
            json!({"type": "case", "to": "upper"}),
            json!("A"),
            json!("A"),
        ),
        (json!({"type": "to_number"}), json!(4.5), json!("4.5")),
        (
            json!({"type": "to_number", "decimal": ","}),
            json!(4.5),
            json!("4,5"),
        ),
        (json!({"type": "to_number"}), json!(null), json!(null)),
        (json!({"type": "to_string"}), json!("7"), json!(7)),
        (json!({"type": "to_string"}), json!("07"), json!("07")),
        (json!({"type": "to_boolean"}), json!(true), json!("true")),
        (
            json!({"type": "to_boolean", "true_words": ["oui"], "false_words": ["non"]}),
            json!(false),
            json!("non"),
        ),
        (
            json!({"type": "to_date", "formats": ["%d.%m.%Y"]}),
            json!("2026-01-31"),
            json!("31.01.2026"),
        ),
        (
            json!({"type": "to_date", "formats": ["unix_ms"], "output": "datetime"}),
            json!("1970-01-01T00:00:01.5Z"),
            json!(1500),
        ),
        (
            json!({"type": "to_date"}),
            json!("2026-01-31"),
            json!("2026-01-31"),
        ),
        (
            json!({"type": "lookup", "table": {"1": "gold", "2": "tin"}}),
            json!("tin"),
            json!("2"),
        ),
    ] {
        assert_eq!(
            transform(&step).invert(from.clone()),
            Ok(to),
            "{step} of {from}"
        );
    }
    for (step, from, part) in [
        (
            json!({"type": "split", "separator": ","}),
            json!(["a"]),
            "splits",
        ),
        (
            json!({"type": "template", "template": "{a}"}),
            json!("a"),
            "template",
        ),
        (
            json!({"type": "replace", "find": "a", "with": ""}),
            json!("a"),
            "replaces",
        ),
        (
            json!({"type": "lookup", "table": {"1": "gold"}}),
            json!("tin"),
            "\"gold\"",
        ),
        (
            json!({"type": "lookup", "table": {"1": "a", "2": "a"}}),
            json!("a"),
            "which one",
        ),
    ] {
        let error = transform(&step).invert(from).unwrap_err();
        assert!(error.contains(part), "{step}: {error}");
    }
}

#[test]
fn steps_that_make_no_sense_are_refused() {
    for (step, part) in [
        (json!({"type": "split", "separator": ""}), "separator"),
        (json!({"type": "replace", "find": "", "with": "x"}), "find"),
        (json!({"type": "lookup", "table": {}}), "table"),
        (
            json!({"type": "to_boolean", "true_words": ["a"], "false_words": [" A"]}),
            "false_words",
        ),
        (
            json!({"type": "to_date", "formats": ["dd.mm.yyyy"]}),
            "formats",
        ),
        (json!({"type": "to_date", "formats": ["%Q"]}), "formats"),
        (json!({"type": "to_date", "formats": ["%H:%M"]}), "formats"),
        (json!({"type": "template", "template": "{city"}), "template"),
        (json!({"type": "template", "template": "{zip}"}), "template"),
    ] {
        let (found, message) = transform(&step).check(&["city".to_owned()]).unwrap_err();
        assert_eq!(found, part, "{step}: {message}");
    }
    for wrong in [
        json!({"type": "shout"}),
        json!({"type": "trim", "hard": true}),
        json!({"type": "case", "to": "camel"}),
        json!({"to": "upper"}),
        json!({"type": "split"}),
    ] {
        assert!(
            serde_json::from_value::<Transform>(wrong.clone()).is_err(),
            "{wrong}"
        );
    }
    let good = json!({"type": "to_date", "formats": ["%d.%m.%Y", "unix", "%Y-%m-%dT%H:%M:%S%z"]});
    assert_eq!(transform(&good).check(&[]), Ok(()));
}
