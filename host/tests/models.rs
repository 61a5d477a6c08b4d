//! The unified objects under `wit/models/`: all of the wire contract is there, and each field says
//! what it is.

use std::{collections::BTreeSet, fs, path::Path};

use jackfield::model::{ObjectKind, WriteMode, money};
use serde_json::{Map, Value};

/// The objects of the wire contract, and those that Jackfield adds.
const OBJECTS: &[(&str, &str)] = &[
    (
        "accounting",
        "account address attachment balancesheet cashflowstatement companyinfo contact creditnote expense \
         incomestatement invoice item journalentry payment phonenumber purchaseorder taxrate trackingcategory \
         transaction vendorcredit",
    ),
    (
        "ats",
        "activity application attachment candidate department eeocs interview job jobinterviewstage offer office \
         rejectreason scorecard tag user",
    ),
    (
        "crm",
        "company contact deal engagement note stage task user",
    ),
    (
        "ecommerce",
        "customer fulfillment fulfillmentorders order product",
    ),
    ("email", "attachment draft label mailbox message thread"),
    ("esignature", "document envelope event recipient template"),
    (
        "filestorage",
        "drive file folder group permission sharedlink user",
    ),
    (
        "hris",
        "bankinfo benefit company dependent employee employeepayrollrun employerbenefit employment group location \
         paygroup payrollrun timeoff timeoffbalance timesheetentry",
    ),
    (
        "marketingautomation",
        "action automation campaign contact email event list message template user",
    ),
    ("messaging", "attachment channel message user workspace"),
    (
        "payments",
        "balancetransaction charge customer invoice paymentintent payout price product refund subscription",
    ),
    (
        "ticketing",
        "account attachment collection comment contact tag team ticket user",
    ),
];

#[test]
fn all_objects_are_there_and_no_other() {
    let expected: BTreeSet<String> = OBJECTS
        .iter()
        .flat_map(|(vertical, objects)| {
            let objects = objects.split_whitespace();
            objects.map(move |object| format!("{vertical}.{object}"))
        })
        .collect();
    let found: BTreeSet<String> = ObjectKind::all().map(|kind| kind.name().into()).collect();
    assert_eq!(found, expected);
}

#[test]
fn paths_are_looked_up() {
    for kind in ObjectKind::all() {
        let spec = kind.spec();
        let found = ObjectKind::from_path(&spec.vertical, &spec.plural);
        assert_eq!(found, Some(kind), "{kind} is not the only {}", spec.plural);
    }
    assert_eq!(ObjectKind::from_path("crm", "contact"), None);
    assert_eq!(ObjectKind::from_path("none", "contacts"), None);
}

#[test]
fn every_field_says_what_it_is() {
    let mut wrong = Vec::new();
    for kind in ObjectKind::all() {
        let schema = &kind.spec().schema;
        let of_object = schema["x-source"].is_string();
        for (name, field) in properties(schema) {
            check_texts(&format!("{kind} {name}"), field, &mut wrong);
            if !of_object && !field["x-source"].is_string() {
                wrong.push(format!(
                    "{kind} {name}: where does it come from (x-source)?"
                ));
            }
            let Some(examples) = field["examples"].as_array() else {
                wrong.push(format!("{kind} {name}: no examples"));
                continue;
            };
            for example in examples {
                let object = Value::Object(Map::from_iter([(name.clone(), example.clone())]));
                if let Err(violations) = kind.validate_output(&object) {
                    wrong.push(format!("{kind} {name}: its example: {violations:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Descriptions, here and in the objects inside.
fn check_texts(path: &str, field: &Value, wrong: &mut Vec<String>) {
    if field["description"].as_str().is_none_or(str::is_empty) {
        wrong.push(format!("{path}: no description"));
    }
    let inner = field.get("items").unwrap_or(field);
    for (name, field) in properties(inner) {
        check_texts(&format!("{path}/{name}"), field, wrong);
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// An object made of the examples of its fields.
fn example(kind: ObjectKind) -> Map<String, Value> {
    properties(&kind.spec().schema)
        .map(|(name, field)| (name.clone(), field["examples"][0].clone()))
        .collect()
}

#[test]
fn examples_can_be_created_and_lose_no_money_on_the_way_in_and_out() {
    for kind in ObjectKind::all() {
        let mut object = example(kind);
        let sent: Map<String, Value> = properties(&kind.spec().schema)
            .filter(|(_, field)| field["readOnly"] != true)
            .map(|(name, field)| (name.clone(), field["examples"][0].clone()))
            .collect();
        for mode in [WriteMode::Create, WriteMode::Update] {
            let result = kind.validate_input(&Value::Object(sent.clone()), mode);
            assert_eq!(result, Ok(()), "{kind}");
        }
        let wire = object.clone();
        money::from_wire(kind, &mut object, None).expect("an example is an amount");
        money::to_wire(kind, &mut object).expect("what came in goes out");
        assert_eq!(object, wire, "{kind}");
    }
}

#[test]
fn what_is_an_amount_of_money_is_marked() {
    let words = [
        "amount",
        "balance",
        "total_price",
        "net_assets",
        "net_income",
    ];
    for kind in ObjectKind::all() {
        for (name, field) in properties(&kind.spec().schema) {
            let kinds = field["type"].as_array().into_iter().flatten();
            let number = kinds.clone().any(|kind| kind == "number");
            let named = words.iter().any(|word| name.ends_with(word));
            if number && named && kind.spec().vertical != "hris" {
                assert!(field["x-money"].is_object(), "{kind} {name}");
            }
        }
    }
}

#[test]
fn the_sdk_has_a_feature_for_each_vertical() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk-guest/Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(path)
        .expect("the SDK is there")
        .parse()
        .expect("TOML");
    let features = manifest["features"].as_table().expect("features");
    let features: BTreeSet<&str> = features.keys().map(String::as_str).collect();
    let verticals: BTreeSet<&str> = OBJECTS.iter().map(|(vertical, _)| *vertical).collect();
    assert_eq!(features, verticals);
}
