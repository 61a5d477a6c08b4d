//! The unified objects, as data: one JSON Schema file each under `wit/models/`, embedded.
//!
//! Everything that differs from object to object is in those files. Adding an object adds no
//! Rust.

use std::{collections::HashMap, fmt, sync::LazyLock};

use include_dir::{Dir, include_dir};
use serde_json::Value;

use super::{money::Money, schema::Validators};

static MODELS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../wit/models");

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::load(&MODELS).expect("the embedded schemas are read by a test before every release")
});

/// A known object, `crm.contact` for example. Cheap to copy; its properties are in [`ObjectSpec`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKind(usize);

impl ObjectKind {
    /// By its name, `crm.contact`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        CATALOGUE.by_name.get(name).copied()
    }

    /// By the two segments of its path, `crm` and `contacts`.
    #[must_use]
    pub fn from_path(vertical: &str, plural: &str) -> Option<Self> {
        CATALOGUE.by_path.get(vertical)?.get(plural).copied()
    }

    /// All known objects, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CATALOGUE.specs.len()).map(Self)
    }

    /// Everything about it.
    ///
    /// # Panics
    /// Never: an `ObjectKind` is made from the same table.
    #[must_use]
    pub fn spec(self) -> &'static ObjectSpec {
        CATALOGUE
            .specs
            .get(self.0)
            .expect("made from the same table")
    }

    /// Its place in the table, from 0. For arrays in memory only: it changes when objects are
    /// added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }

    /// `crm.contact`.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.spec().name
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Debug for ObjectKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What can be asked of an object through the unified API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Pages of stored records.
    List,
    /// One stored record.
    Get,
    /// A new record at the provider.
    Create,
    /// A change at the provider.
    Update,
    /// A deletion at the provider.
    Delete,
}

impl Operation {
    /// As the schema files spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::List,
            Self::Get,
            Self::Create,
            Self::Update,
            Self::Delete,
        ]
        .into_iter()
        .find(|operation| operation.as_str() == text)
    }
}

/// Where clients generated from the published contract need another answer than everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// They cannot parse dates in `created_at` and `modified_at` (rule 12 of the wire contract).
    NullDates,
    /// They expect the envelope of a list around a single record (rule 13).
    ListOnGet,
}

/// A field that holds the id of another object's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The object it points to.
    pub target: ObjectKind,
    /// Whether the field is an array of ids.
    pub many: bool,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// What it refers to, where it holds ids.
    pub reference: Option<Reference>,
    /// Taken on create, never given back.
    pub write_only: bool,
    /// How the wire writes it, where it is an amount of money.
    pub money: Option<Money>,
    /// The fields of the object inside it, or of the objects in its array.
    pub properties: Vec<Self>,
    /// What stands in an answer where the provider says nothing.
    pub unknown: Unknown,
    /// The list of references whose first one this is, for clients that know of one only.
    pub first_of: Option<String>,
    /// Whether it, or a field inside it, is an amount of money.
    pub has_money: bool,
    /// Whether it, or a field inside it, holds ids.
    pub has_reference: bool,
}

/// What an answer has for a field of which the provider says nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// The schema allows null.
    Null,
    /// It does not, and gives this default.
    Default(Value),
    /// It does not, and gives none: the key is left out.
    Absent,
}

/// Everything about an object.
#[derive(Debug)]
pub struct ObjectSpec {
    /// `crm.contact`.
    pub name: String,
    /// `crm`.
    pub vertical: String,
    /// `contact`.
    pub object: String,
    /// The last segment of its path, `contacts`.
    pub plural: String,
    /// What it is, in a sentence.
    pub description: String,
    /// What the unified API offers.
    pub operations: Vec<Operation>,
    /// Its fields, in the order of the file.
    pub properties: Vec<Property>,
    /// Differences for generated clients.
    pub quirks: Vec<Quirk>,
    /// Names of operations in generated clients, where the published contract has its own.
    operation_ids: Vec<(Operation, String)>,
    /// The schema, with the shared definitions in place.
    pub schema: Value,
    pub(super) validators: Validators,
}

impl ObjectSpec {
    /// Whether the unified API offers `operation` for it.
    #[must_use]
    pub fn offers(&self, operation: Operation) -> bool {
        self.operations.contains(&operation)
    }

    /// Whether generated clients need `quirk`.
    #[must_use]
    pub fn has_quirk(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// The name of `operation` in generated clients: the file's `x-operation-ids`, or else verb,
    /// vertical and object, `listCrmContacts`.
    #[must_use]
    pub fn operation_id(&self, operation: Operation) -> String {
        let mut ids = self.operation_ids.iter();
        if let Some((_, id)) = ids.find(|(of, _)| *of == operation) {
            return id.clone();
        }
        let verb = match operation {
            Operation::Get => "retrieve",
            other => other.as_str(),
        };
        let object = match operation {
            Operation::List => &self.plural,
            _ => &self.object,
        };
        format!(
            "{verb}{}{}",
            capitalised(&self.vertical),
            capitalised(object)
        )
    }

    /// The name in the contract's schemas, `CrmContact`.
    #[must_use]
    pub fn pascal_name(&self) -> String {
        format!(
            "{}{}",
            capitalised(&self.vertical),
            capitalised(&self.object)
        )
    }

    /// The field of that name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| property.name == name)
    }
}

/// The table of objects.
#[derive(Debug)]
pub struct Catalogue {
    specs: Vec<ObjectSpec>,
    by_name: HashMap<String, ObjectKind>,
    /// By vertical and plural.
    by_path: HashMap<String, HashMap<String, ObjectKind>>,
}

impl Catalogue {
    fn load(models: &Dir<'_>) -> Result<Self, String> {
        let common = models
            .get_file("common.json")
            .ok_or("common.json is missing")?;
        let common = parse("common.json", common.contents())?;
        let mut files: Vec<_> = models.dirs().flat_map(Dir::files).collect();
        files.sort_by_key(|file| file.path().to_path_buf());
        let mut by_name = HashMap::new();
        let mut parsed = Vec::new();
        for file in files {
            let path = file.path().display().to_string();
            let schema = parse(&path, file.contents())?;
            let name = text(&schema, "title", &path)?.to_owned();
            if path != format!("{}.json", name.replace('.', "/")) {
                return Err(format!("{path}: its title is {name:?}"));
            }
            by_name.insert(name, ObjectKind(parsed.len()));
            parsed.push((path, schema));
        }
        let specs = parsed
            .into_iter()
            .map(|(path, schema)| read_spec(&path, schema, &common, &by_name))
            .collect::<Result<Vec<_>, _>>()?;
        let mut by_path: HashMap<String, HashMap<String, ObjectKind>> = HashMap::new();
        for (index, spec) in specs.iter().enumerate() {
            let vertical = by_path.entry(spec.vertical.clone()).or_default();
            if vertical
                .insert(spec.plural.clone(), ObjectKind(index))
                .is_some()
            {
                return Err(format!("{}: {} is taken", spec.name, spec.plural));
            }
        }
        Ok(Self {
            specs,
            by_name,
            by_path,
        })
    }
}

/// `crm` as `Crm`.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn parse(path: &str, contents: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(contents).map_err(|error| format!("{path}: {error}"))
}

fn text<'schema>(schema: &'schema Value, key: &str, path: &str) -> Result<&'schema str, String> {
    schema
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{path}: {key} is missing"))
}

fn words<'schema>(schema: &'schema Value, key: &str) -> impl Iterator<Item = &'schema str> {
    schema
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn read_spec(
    path: &str,
    mut schema: Value,
    common: &Value,
    by_name: &HashMap<String, ObjectKind>,
) -> Result<ObjectSpec, String> {
    inline_common(&mut schema, common);
    let name = text(&schema, "title", path)?.to_owned();
    let (vertical, object) = name
        .split_once('.')
        .ok_or_else(|| format!("{path}: its title is not vertical.object"))?;
    let operations = words(&schema, "x-operations")
        .map(|word| Operation::parse(word).ok_or_else(|| format!("{path}: operation {word:?}")))
        .collect::<Result<_, _>>()?;
    let quirks = words(&schema, "x-sdk-quirks")
        .map(|word| match word {
            "null-dates" => Ok(Quirk::NullDates),
            "list-on-get" => Ok(Quirk::ListOnGet),
            other => Err(format!("{path}: quirk {other:?}")),
        })
        .collect::<Result<_, _>>()?;
    let named = schema.get("x-operation-ids").and_then(Value::as_object);
    let operation_ids = named
        .into_iter()
        .flatten()
        .map(|(word, id)| {
            let operation = Operation::parse(word).zip(id.as_str());
            operation
                .map(|(operation, id)| (operation, id.to_owned()))
                .ok_or_else(|| format!("{path}: x-operation-ids has {word:?}: {id}"))
        })
        .collect::<Result<_, _>>()?;
    let properties = read_properties(path, &schema, by_name)?;
    if properties.is_empty() {
        return Err(format!("{path}: properties are missing"));
    }
    Ok(ObjectSpec {
        vertical: vertical.to_owned(),
        object: object.to_owned(),
        plural: text(&schema, "x-plural", path)?.to_owned(),
        description: text(&schema, "description", path)?.to_owned(),
        operations,
        properties,
        quirks,
        operation_ids,
        validators: Validators::default(),
        name,
        schema,
    })
}

/// The fields of an object, and of the objects inside it. A shared definition has no field that
/// the host must know.
fn read_properties(
    path: &str,
    schema: &Value,
    by_name: &HashMap<String, ObjectKind>,
) -> Result<Vec<Property>, String> {
    let fields = schema.get("properties").and_then(Value::as_object);
    let read = |(name, field): (&String, &Value)| {
        let of_items = field
            .get("items")
            .and_then(|items| items.get("x-reference"));
        let target = field
            .get("x-reference")
            .or(of_items)
            .and_then(Value::as_str);
        let reference = target
            .map(|target| {
                let target = by_name
                    .get(target)
                    .ok_or_else(|| format!("{path}: {name} refers to {target:?}"))?;
                Ok::<_, String>(Reference {
                    target: *target,
                    many: of_items.is_some(),
                })
            })
            .transpose()?;
        let money = field
            .get("x-money")
            .map(|money| read_money(money, field).ok_or_else(|| format!("{path}: money {name}")))
            .transpose()?;
        let first_of = field.get("x-first-of").and_then(Value::as_str);
        let inner = field.get("items").unwrap_or(field);
        let properties = read_properties(path, inner, by_name)?;
        Ok(Property {
            name: name.clone(),
            reference,
            write_only: field.get("writeOnly").is_some_and(|value| value == true),
            unknown: unknown(field),
            first_of: first_of.map(ToOwned::to_owned),
            has_money: money.is_some() || properties.iter().any(|inner| inner.has_money),
            has_reference: reference.is_some()
                || properties.iter().any(|inner| inner.has_reference),
            money,
            properties,
        })
    };
    fields.into_iter().flatten().map(read).collect()
}

fn read_money(money: &Value, field: &Value) -> Option<Money> {
    let currency = match money.get("currency")? {
        Value::Null => None,
        name => Some(name.as_str()?.to_owned()),
    };
    let minor = match money.get("wire")?.as_str()? {
        "minor" => true,
        "major" => false,
        _ => return None,
    };
    let text = match field.get("type")? {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
        kind => kind == "string",
    };
    Some(Money {
        currency,
        minor,
        text,
    })
}

fn unknown(field: &Value) -> Unknown {
    let nullable = match field.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        Some(kind) => kind == "null",
        // A reference to a shared part, or no restriction at all.
        None => true,
    };
    match field.get("default") {
        _ if nullable => Unknown::Null,
        Some(default) => Unknown::Default(default.clone()),
        None => Unknown::Absent,
    }
}

/// Puts the shared definitions into the schema, so that it stands alone.
fn inline_common(schema: &mut Value, common: &Value) {
    fn redirect(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner {
                        Value::String(target) if key == "$ref" => {
                            if let Some(fragment) = target.strip_prefix("../common.json") {
                                *target = fragment.to_owned();
                            }
                        }
                        inner => redirect(inner),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(redirect),
            _ => {}
        }
    }
    redirect(schema);
    if let (Some(map), Some(definitions)) = (schema.as_object_mut(), common.get("$defs")) {
        map.insert("$defs".to_owned(), definitions.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_schema_loads() {
        let catalogue = Catalogue::load(&MODELS).unwrap();
        assert!(catalogue.specs.len() >= 17);
        let contact = ObjectKind::from_path("crm", "contacts").unwrap();
        assert_eq!(contact.name(), "crm.contact");
        let user = contact.spec().property("user_id").unwrap();
        assert_eq!(user.reference.unwrap().target.name(), "crm.user");
        let note = ObjectKind::parse("crm.note").unwrap().spec();
        assert_eq!(note.operation_id(Operation::List), "listCrmNote");
        assert_eq!(note.operation_id(Operation::Update), "updateCrmNote");
    }

    #[test]
    fn every_field_says_what_it_is_and_its_example_fits() {
        let mut wrong = Vec::new();
        for kind in ObjectKind::all() {
            let fields = kind.spec().schema["properties"].as_object().unwrap();
            let mut record = serde_json::Map::new();
            for (name, field) in fields {
                if field["description"].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{kind} {name} has no description"));
                }
                match field["examples"].get(0) {
                    Some(example) => {
                        record.insert(name.clone(), example.clone());
                    }
                    None => wrong.push(format!("{kind} {name} has no example")),
                }
            }
            let complete = kind.complete(record.clone());
            if let Err(violations) = kind.validate_output(&Value::Object(record)) {
                wrong.push(format!("{kind}: {violations:?}"));
            }
            assert!(!complete.is_empty(), "{kind} answers nothing");
            for required in words(&kind.spec().schema, "required") {
                if !fields.contains_key(required) {
                    wrong.push(format!("{kind} requires {required}, which is no field"));
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
