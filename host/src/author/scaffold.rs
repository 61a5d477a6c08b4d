//! A new connector crate that builds, passes its tests and serves a record as it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::{Map, Value, json};

use super::Error;
use crate::model::{ObjectKind, ObjectSpec, Operation, Slug};

/// The files of a new crate: path and template.
///
/// In a template `@name@` is replaced, and lines between `@if create` and `@end` are kept only
/// where the unified API can create the object (`@if own` in the same way: the crate is its own
/// workspace).
const FILES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    (
        "connector.toml",
        include_str!("template/connector.toml.txt"),
    ),
    ("README.md", include_str!("template/README.md.txt")),
    (".gitignore", include_str!("template/gitignore.txt")),
    ("src/lib.rs", include_str!("template/src/lib.rs.txt")),
    ("src/wire.rs", include_str!("template/src/wire.rs.txt")),
    (
        "src/@module@.rs",
        include_str!("template/src/object.rs.txt"),
    ),
    ("src/tests.rs", include_str!("template/src/tests.rs.txt")),
    ("fixtures/@plural@.json", ""),
];

/// What a new connector is to be.
#[derive(Clone, Debug, Default)]
pub struct NewOptions {
    /// The new folder; `plugins/<name>` of the checkout, else `<name>`.
    pub dir: Option<PathBuf>,
    /// The SDK's folder, where no checkout is around.
    pub sdk: Option<PathBuf>,
    /// Its first object, `crm.contact` unless said otherwise.
    pub object: Option<String>,
    /// How customers log in.
    pub auth: Auth,
}

/// How customers of a new connector log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// A token that they paste.
    #[default]
    Bearer,
    /// A key that they paste, sent in a header of its own.
    ApiKey,
    /// User name and password.
    Basic,
    /// OAuth 2.0 in the browser.
    OAuth2Code,
}

impl Auth {
    const fn template(self) -> &'static str {
        match self {
            Self::Bearer => include_str!("template/auth/bearer.toml.txt"),
            Self::ApiKey => include_str!("template/auth/api_key.toml.txt"),
            Self::Basic => include_str!("template/auth/basic.toml.txt"),
            Self::OAuth2Code => include_str!("template/auth/oauth2_code.toml.txt"),
        }
    }
}

/// Writes the crate of a new connector and answers its folder.
///
/// # Errors
/// The name or the object is none, the folder exists, the SDK is nowhere, or writing fails.
pub fn new(name: &str, options: &NewOptions) -> Result<PathBuf, Error> {
    let slug = Slug::from_str(name)?;
    let spec = object(options.object.as_deref().unwrap_or("crm.contact"))?;
    let here = std::env::current_dir().map_err(|error| Error::Read(PathBuf::from("."), error))?;
    let near = options
        .dir
        .as_ref()
        .map_or_else(|| here.clone(), |dir| here.join(dir));
    let checkout = near
        .ancestors()
        .chain(here.ancestors())
        .find(|folder| is_sdk(&folder.join("sdk-guest")));
    let dir = match (&options.dir, checkout) {
        (Some(_), _) => near.clone(),
        (None, Some(checkout)) => checkout.join("plugins").join(slug.as_str()),
        (None, None) => here.join(slug.as_str()),
    };
    let sdk = match (&options.sdk, checkout) {
        (Some(sdk), _) if is_sdk(sdk) => {
            fs::canonicalize(sdk).map_err(|error| Error::Read(sdk.clone(), error))?
        }
        (Some(sdk), _) => return Err(Error::NotTheSdk(sdk.clone())),
        (None, Some(checkout)) => checkout.join("sdk-guest"),
        (None, None) => return Err(Error::NoSdk),
    };
    if dir.exists() {
        return Err(Error::Exists(dir));
    }
    let member = checkout.is_some_and(|checkout| {
        dir.parent() == Some(&checkout.join("plugins")) && options.sdk.is_none()
    });
    let template = Template {
        values: values(&slug, spec, &sdk, member, options.auth),
        create: spec.offers(Operation::Create),
        own: !member,
    };
    // In a workspace the target folder is elsewhere.
    let files = FILES
        .iter()
        .filter(|(path, _)| !(member && *path == ".gitignore"));
    for (path, text) in files {
        let file = dir.join(template.fill(path));
        let text = if text.is_empty() {
            fixture(spec, template.create)
        } else {
            template.fill(text)
        };
        write(&file, &text).map_err(|error| Error::Write(file, error))?;
    }
    Ok(dir)
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|text| text.contains("name = \"jackfield-sdk\""))
}

fn object(name: &str) -> Result<&'static ObjectSpec, Error> {
    let Some(kind) = ObjectKind::parse(name) else {
        let known: Vec<&str> = ObjectKind::all().map(ObjectKind::name).collect();
        return Err(Error::Object(name.to_owned(), known.join(", ")));
    };
    if plain_fields(kind.spec()).next().is_none() {
        return Err(Error::NoTemplate(kind.name()));
    }
    Ok(kind.spec())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The text fields that a first connector fills, with an example each: those without rules of
/// their own, else (`hris.employeepayrollrun` has none) references, which are the provider's ids
/// there.
fn plain_fields(spec: &'static ObjectSpec) -> impl Iterator<Item = (&'static str, &'static str)> {
    let any = text_fields(spec, false).next().is_some();
    text_fields(spec, !any)
}

fn text_fields(
    spec: &'static ObjectSpec,
    references: bool,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let properties = spec.schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .filter_map(move |(name, field)| {
            let kind = field.get("type")?;
            let is_text = kind == "string" || kind.as_array()?.iter().any(|kind| kind == "string");
            let has_rules = ["x-money", "enum", "format", "pattern", "writeOnly"]
                .iter()
                .any(|key| field.get(*key).is_some());
            let is_reference = field.get("x-reference").is_some();
            let example = field.get("examples")?.get(0)?.as_str()?;
            let fits = is_text && !has_rules && is_reference == references;
            fits.then_some((name.as_str(), example))
        })
}

struct Template {
    values: Vec<(&'static str, String)>,
    create: bool,
    own: bool,
}

impl Template {
    fn fill(&self, text: &str) -> String {
        let mut kept = String::new();
        let mut skipping = false;
        for line in text.split_inclusive('\n') {
            match line.trim_end() {
                "@if create" => skipping = !self.create,
                "@if own" => skipping = !self.own,
                "@if member" => skipping = self.own,
                "@end" => skipping = false,
                _ if skipping => {}
                _ => kept.push_str(line),
            }
        }
        for (name, value) in &self.values {
            kept = kept.replace(&format!("@{name}@"), value);
        }
        kept
    }
}

fn values(
    slug: &Slug,
    spec: &'static ObjectSpec,
    sdk: &Path,
    member: bool,
    auth: Auth,
) -> Vec<(&'static str, String)> {
    let type_name = pascal(&spec.object);
    let mut connector = pascal(slug.as_str());
    // Names that the template imports, or that the prelude has.
    let taken = [
        type_name.as_str(),
        "Account",
        "Connection",
        "Connector",
        "Document",
        "Failure",
        "FetchRequest",
        "Fields",
        "Json",
        "Page",
        "PushRequest",
        "RemoteRecord",
        "Result",
        "Option",
        "Some",
        "None",
        "Ok",
        "Err",
        "Vec",
        "String",
        "Box",
        "Self",
    ];
    if taken.contains(&connector.as_str()) {
        connector.push_str("Connector");
    }
    let each = |line: &dyn Fn(&str, &str) -> String| {
        plain_fields(spec)
            .map(|(name, _)| line(name, &identifier(name)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let operations = if spec.offers(Operation::Create) {
        r#""read", "create""#
    } else {
        r#""read""#
    };
    let sdk = if member {
        format!("{{ workspace = true, features = [{:?}] }}", spec.vertical)
    } else {
        let path = Value::from(sdk.to_string_lossy());
        format!("{{ path = {path}, features = [{:?}] }}", spec.vertical)
    };
    vec![
        ("auth", auth.template().trim_end().to_owned()),
        ("slug", slug.to_string()),
        ("crate", slug.as_str().replace('-', "_")),
        (
            "environment",
            slug.as_str().replace('-', "_").to_uppercase(),
        ),
        ("name", title(slug.as_str())),
        ("Connector", connector),
        ("vertical", spec.vertical.clone()),
        ("object", spec.name.clone()),
        ("module", spec.object.clone()),
        ("plural", spec.plural.clone()),
        ("Type", type_name),
        ("operations", operations.to_owned()),
        ("sdk", sdk),
        (
            "fields",
            plain_fields(spec)
                .map(|(name, _)| format!("{name:?}"))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        (
            "remote_fields",
            each(&|_, field| format!("    pub(crate) {field}: Option<String>,")),
        ),
        (
            "input_fields",
            each(&|_, field| {
                format!(
                    "    #[serde(skip_serializing_if = \"Field::is_absent\")]\n    pub(crate) {field}: Field<String>,"
                )
            }),
        ),
        (
            "to_unified",
            each(&|_, field| format!("        {field}: remote.{field}.into(),")),
        ),
        (
            "from_unified",
            each(&|_, field| format!("        {field}: unified.{field},")),
        ),
    ]
}

/// The provider's answers that the tests play, and the mapping that they check.
fn fixture(spec: &'static ObjectSpec, create: bool) -> String {
    let values: Map<String, Value> = plain_fields(spec)
        .map(|(name, example)| (name.to_owned(), Value::from(example)))
        .collect();
    let with_key = |id: u64| {
        let mut document = Map::new();
        document.insert("id".into(), id.into());
        document.insert("changed_at".into(), "2026-01-05T09:00:00Z".into());
        document.extend(values.clone());
        Value::Object(document)
    };
    let path = format!("{{api}}/v1/{}", spec.plural);
    let mut fixture = json!({
        "description": "One page, one record, and the mapping of it",
        "source": "constructed",
        "exchanges": [
            {
                "request": { "method": "GET", "url": format!("{path}?page=1&size=100") },
                "response": { "body": { "items": [with_key(1), with_key(2)] } }
            },
            {
                "request": { "method": "GET", "url": format!("{path}/1") },
                "response": { "body": with_key(1) }
            }
        ],
        "documents": [{ "object": spec.name, "remote": with_key(1), "unified": values }]
    });
    if create && let Some(fixture) = fixture.as_object_mut() {
        let exchange = json!({
            "request": { "method": "POST", "url": path, "body": values },
            "response": { "status": 201, "body": with_key(3) }
        });
        if let Some(exchanges) = fixture.get_mut("exchanges").and_then(Value::as_array_mut) {
            exchanges.push(exchange);
        }
        fixture.insert(
            "inputs".into(),
            json!([{ "object": spec.name, "unified": values, "remote": values }]),
        );
    }
    format!("{fixture:#}\n")
}

/// `acme-crm` and `email_address` as names of types.
fn pascal(name: &str) -> String {
    name.split(['-', '_']).map(capital).collect()
}

/// `acme-crm` for people.
fn title(name: &str) -> String {
    name.split('-').map(capital).collect::<Vec<_>>().join(" ")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

/// A field's name in Rust, as the SDK spells it.
fn identifier(name: &str) -> String {
    match name {
        "abstract" | "as" | "async" | "await" | "become" | "box" | "break" | "const"
        | "continue" | "do" | "dyn" | "else" | "enum" | "extern" | "false" | "final" | "fn"
        | "for" | "gen" | "if" | "impl" | "in" | "let" | "loop" | "macro" | "match" | "mod"
        | "move" | "mut" | "override" | "priv" | "pub" | "ref" | "return" | "static" | "struct"
        | "trait" | "true" | "try" | "type" | "typeof" | "unsafe" | "unsized" | "use"
        | "virtual" | "where" | "while" | "yield" => {
            format!("r#{name}")
        }
        _ => name.to_owned(),
    }
}
