use serde_json::{Map, Value, json};

use super::*;

fn mapping(
    data_type: DataType,
    names: &[&str],
    transforms: Value,
    default: Value,
) -> EffectiveMapping {
    EffectiveMapping {
        slug: "field".parse().unwrap(),
        data_type,
        rules: MappingRules {
            remote_fields: names.iter().map(ToString::to_string).collect(),
            transforms: serde_json::from_value(transforms).unwrap(),
            default: Some(default).filter(|default| !default.is_null()),
        },
    }
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn values_fit_their_type_or_fall_back_with_a_warning() {
    let none = json!(null);
    for (data_type, found, default, value, warns) in [
        (DataType::Number, json!("42"), &none, json!(42), false),
        (DataType::Number, json!("many"), &none, json!(null), true),
        (DataType::Number, json!("many"), &json!(1), json!(1), true),
        (DataType::Number, json!(""), &json!(1), json!(1), false),
        (DataType::String, json!(42), &none, json!("42"), false),
        (DataType::String, json!(["a"]), &none, json!(null), true),
        (DataType::String, json!(""), &none, json!(""), false),
        (
            DataType::String,
            json!(null),
            &json!("x"),
            json!("x"),
            false,
        ),
        (DataType::Boolean, json!("TRUE"), &none, json!(true), false),
        (DataType::Boolean, json!("yes"), &none, json!(null), true),
        (
            DataType::Date,
            json!("2026-01-31T08:00:00Z"),
            &none,
            json!("2026-01-31"),
            false,
        ),
        (
            DataType::Datetime,
            json!("2026-01-31T08:00:00+01:00"),
            &none,
            json!("2026-01-31T07:00:00.000Z"),
            false,
        ),
        (DataType::List, json!("a"), &none, json!(null), true),
        (
            DataType::Object,
            json!({"a": 1}),
            &none,
            json!({"a": 1}),
            false,
        ),
    ] {
        let mapping = mapping(data_type, &["f"], json!([]), default.clone());
        let mapped = mapping.map(&object(json!({ "f": found })), &Value::Null);
        assert_eq!(mapped.value, value, "{found} as {data_type}");
        assert_eq!(
            mapped.warning.is_some(),
            warns,
            "{found} as {data_type}: {mapped:?}"
        );
    }
}

#[test]
fn several_fields_and_places_in_the_document_make_one_value() {
    let steps = json!([{"type": "concatenate", "separator": " "}, {"type": "case", "to": "upper"}]);
    let full = mapping(
        DataType::String,
        &["first", "/name/last"],
        steps,
        json!(null),
    );
    let document = json!({"name": {"last": "King"}});
    let mapped = full.map(&object(json!({"first": "Ada"})), &document);
    assert_eq!(mapped.value, "ADA KING");
    let list = mapping(DataType::List, &["a", "b"], json!([]), json!(null));
    let found = list.map(&object(json!({"b": 2})), &Value::Null);
    assert_eq!(found.value, json!([2]));
    assert_eq!(list.map(&Map::new(), &Value::Null).value, json!(null));
    let effective = EffectiveMappings::new(vec![full.clone(), full]);
    let asked: Vec<_> = effective
        .for_connector()
        .into_iter()
        .map(|one| one.remote_field)
        .collect();
    assert_eq!(asked, ["first"]);
    assert!(effective.reads_document());
}

#[test]
fn rules_that_cannot_work_are_refused_with_their_place() {
    for (rules, path) in [
        (
            json!({"remote_fields": [], "transforms": [], "default": null}),
            "/remote_fields",
        ),
        (
            json!({"remote_fields": [" "], "transforms": [], "default": null}),
            "/remote_fields/0",
        ),
        (
            json!({"remote_fields": ["a", "a"], "transforms": [{"type": "concatenate"}], "default": null}),
            "/remote_fields/1",
        ),
        (
            json!({"remote_fields": ["a", "b"], "transforms": [], "default": null}),
            "/transforms",
        ),
        (
            json!({"remote_fields": ["a"], "transforms": [{"type": "split", "separator": ""}], "default": null}),
            "/transforms/0/separator",
        ),
        (
            json!({"remote_fields": ["a"], "transforms": [], "default": 7}),
            "/default",
        ),
    ] {
        let rules: MappingRules = serde_json::from_value(rules).unwrap();
        let found: Vec<_> = rules
            .check(DataType::String)
            .into_iter()
            .map(|one| one.path)
            .collect();
        assert_eq!(found, [path]);
    }
}

#[test]
fn writing_goes_back_through_the_steps_or_says_why_not() {
    let steps = json!([{"type": "trim"}, {"type": "lookup", "table": {"1": "gold", "2": "tin"}}]);
    let table = mapping(DataType::String, &["tier"], steps, json!(null));
    assert_eq!(table.invert(json!("tin")), Ok(json!("2")));
    assert_eq!(table.invert(json!(null)), Ok(json!(null)));
    assert!(
        table
            .invert(json!("lead"))
            .unwrap_err()
            .contains("look-up table")
    );
    assert!(table.invert(json!(7)).unwrap_err().contains("a text"));
    let pointer = mapping(DataType::String, &["/a/b"], json!([]), json!(null));
    assert!(pointer.invert(json!("x")).unwrap_err().contains("/a/b"));
    let two = mapping(
        DataType::String,
        &["a", "b"],
        json!([{"type": "concatenate"}]),
        json!(null),
    );
    assert!(two.invert(json!("x")).unwrap_err().contains("several"));
    let split = mapping(
        DataType::List,
        &["a"],
        json!([{"type": "split", "separator": ","}]),
        json!(null),
    );
    assert!(split.invert(json!(["x"])).unwrap_err().contains("`split`"));
}

#[test]
fn every_difference_is_another_revision() {
    let one = || mapping(DataType::String, &["a"], json!([]), json!(null));
    let revision = |mapping| EffectiveMappings::new(vec![mapping]).revision();
    assert_eq!(EffectiveMappings::default().revision(), None);
    assert_eq!(revision(one()), revision(one()));
    for other in [
        mapping(DataType::Number, &["a"], json!([]), json!(null)),
        mapping(DataType::String, &["b"], json!([]), json!(null)),
        mapping(
            DataType::String,
            &["a"],
            json!([{"type": "trim"}]),
            json!(null),
        ),
        mapping(DataType::String, &["a"], json!([]), json!("x")),
    ] {
        assert_ne!(revision(one()), revision(other));
    }
}

#[test]
fn slugs_and_types_have_their_names() {
    for good in ["a", "a_1", &"a".repeat(63)] {
        assert!(good.parse::<FieldSlug>().is_ok(), "{good}");
    }
    for bad in ["", "A", "1a", "_a", "a-b", "a b", &"a".repeat(64)] {
        assert!(bad.parse::<FieldSlug>().is_err(), "{bad}");
    }
    for one in DataType::ALL {
        assert_eq!(DataType::parse(one.as_str()), Some(*one));
    }
    assert_eq!(DataType::parse("text"), Some(DataType::String));
    assert_eq!(DataType::parse("money"), None);
}
