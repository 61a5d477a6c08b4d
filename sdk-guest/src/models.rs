//! The unified objects, one module per vertical, generated from the schemas under `wit/models/`.
//!
//! A vertical is there where the connector's `Cargo.toml` names the feature of that name. Every property is a [`Field`](crate::Field). References to other objects are remote ids, and
//! amounts of money are a [`Decimal`](crate::Decimal).

include!(concat!(env!("OUT_DIR"), "/models.rs"));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Address, Email};

    #[test]
    fn shared_parts_write_every_nullable_key() {
        let address = serde_json::to_value(Address {
            city: Some("London".into()),
            ..Address::default()
        })
        .unwrap();
        assert_eq!(address.as_object().unwrap().len(), 8);
        assert_eq!(address["street_1"], json!(null));
        let email = serde_json::to_value(Email {
            email_address: Some("a@example.com".into()),
            ..Email::default()
        })
        .unwrap();
        assert_eq!(
            email,
            json!({ "email_address": "a@example.com", "email_address_type": null })
        );
    }
}
