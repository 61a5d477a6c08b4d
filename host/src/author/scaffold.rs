//! A new connector that builds, passes its tests and serves a record as it is.

mod language;
mod template;

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::{Map, Value, json};

use super::Error;
use crate::model::{ObjectKind, ObjectSpec, Operation, Slug, nearest};
use language::Content;
use template::{Part, Template, Values};

pub use language::Language;

/// What a new connector is to be.
#[derive(Clone, Debug, Default)]
pub struct NewOptions {
    /// The new folder; for Rust `plugins/<name>` of the checkout, else `<name>`.
    pub dir: Option<PathBuf>,
    /// The SDK's folder, where no checkout is around.
    pub sdk: Option<PathBuf>,
    /// The vertical of objects that are named without one. Alone it stands for all its objects.
    pub vertical: Option<String>,
    /// Its objects, `crm.contact` where neither they nor a vertical are named.
    pub objects: Vec<String>,
    /// How customers log in.
    pub auth: Auth,
    /// What it is written in.
    pub language: Language,
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
    /// OAuth 2.0 with a client id and secret that they paste.
    OAuth2ClientCredentials,
}

impl Auth {
    /// All of them, the simplest first.
    pub const ALL: [Self; 5] = [
        Self::Bearer,
        Self::ApiKey,
        Self::Basic,
        Self::OAuth2Code,
        Self::OAuth2ClientCredentials,
    ];

    /// As the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::ApiKey => "api-key",
            Self::Basic => "basic",
            Self::OAuth2Code => "oauth2-code",
            Self::OAuth2ClientCredentials => "oauth2-client-credentials",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Bearer => include_str!("template/auth/bearer.toml.txt"),
            Self::ApiKey => include_str!("template/auth/api_key.toml.txt"),
            Self::Basic => include_str!("template/auth/basic.toml.txt"),
            Self::OAuth2Code => include_str!("template/auth/oauth2_code.toml.txt"),
            Self::OAuth2ClientCredentials => {
                include_str!("template/auth/oauth2_client_credentials.toml.txt")
            }
        }
    }
}

/// Writes the folder of a new connector and answers where it is.
///
/// # Errors
/// The name or an object is none, the folder exists, the SDK is nowhere, or writing fails.
pub fn new(name: &str, options: &NewOptions) -> Result<PathBuf, Error> {
    let slug = Slug::from_str(name)?;
    let specs = objects(options.vertical.as_deref(), &options.objects)?;
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
        // Every folder in `plugins` is a member of cargo's workspace.
        (None, Some(checkout)) if options.language == Language::Rust => {
            checkout.join("plugins").join(slug.as_str())
        }
        (None, _) => here.join(slug.as_str()),
    };
    let sdk = match (&options.sdk, checkout) {
        (Some(sdk), _) if is_sdk(sdk) => {
            fs::canonicalize(sdk).map_err(|error| Error::Read(sdk.clone(), error))?
        }
        (Some(sdk), _) => return Err(Error::NotTheSdk(sdk.clone())),
        (None, Some(checkout)) => checkout.join("sdk-guest"),
        (None, None) if options.language.needs_sdk() => return Err(Error::NoSdk),
        (None, None) => PathBuf::new(),
    };
    if dir.exists() {
        return Err(Error::Exists(dir));
    }
    let member = options.sdk.is_none()
        && checkout.is_some_and(|checkout| dir.parent() == Some(&checkout.join("plugins")));
    let parts = parts(&specs);
    let template = Template {
        common: common(&slug, &specs, &parts, &sdk, member, options.auth),
        objects: parts,
        own: !member,
    };
    let write = |path: &str, text: &str| {
        let file = dir.join(path);
        write(&file, text).map_err(|error| Error::Write(file, error))
    };
    for (path, content) in options.language.files() {
        // In a workspace the target folder is elsewhere.
        if member && *path == ".gitignore" {
            continue;
        }
        if !path.contains('@') {
            match content {
                Content::Text(text) => write(path, &template.fill(text))?,
                Content::Account => write(path, &account())?,
                Content::Copy(text) => write(path, &renamed(text, &slug))?,
                Content::Fixture => {}
            }
            continue;
        }
        for (spec, part) in specs.iter().zip(&template.objects) {
            let path = template.fill_one(path, part);
            match content {
                Content::Text(text) => write(&path, &template.fill_one(text, part))?,
                Content::Fixture => write(&path, &fixture(spec, part))?,
                Content::Account | Content::Copy(_) => {}
            }
        }
    }
    Ok(dir)
}

/// A file of an example, with another slug in it.
fn renamed(text: &str, slug: &Slug) -> String {
    text.replace("demo-crm-js", slug.as_str())
        .replace("demo-crm-py", slug.as_str())
}

fn is_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|text| text.contains("name = \"jackfield-sdk\""))
}

/// The objects that were asked for, each once, in the order in which they were named.
fn objects(vertical: Option<&str>, names: &[String]) -> Result<Vec<&'static ObjectSpec>, Error> {
    if let Some(vertical) = vertical
        && !ObjectKind::all().any(|kind| kind.spec().vertical == vertical)
    {
        let mut known: Vec<&str> = ObjectKind::all()
            .map(|kind| kind.spec().vertical.as_str())
            .collect();
        known.dedup();
        return Err(Error::Vertical(
            vertical.to_owned(),
            suggestion(vertical, known.iter().copied()),
            known.join(", "),
        ));
    }
    let asked: Vec<String> = match (vertical, names) {
        (Some(vertical), []) => ObjectKind::all()
            .filter(|kind| kind.spec().vertical == vertical)
            .filter(|kind| plain_fields(kind.spec()).next().is_some())
            .map(|kind| kind.name().to_owned())
            .collect(),
        (None, []) => vec!["crm.contact".to_owned()],
        (Some(vertical), names) => names
            .iter()
            .map(|name| match name.contains('.') {
                true => name.clone(),
                false => format!("{vertical}.{name}"),
            })
            .collect(),
        (None, names) => names.to_vec(),
    };
    let mut specs: Vec<&'static ObjectSpec> = Vec::new();
    for name in &asked {
        let spec = object(name)?;
        if !specs.iter().any(|known| known.name == spec.name) {
            specs.push(spec);
        }
    }
    Ok(specs)
}

fn object(name: &str) -> Result<&'static ObjectSpec, Error> {
    let Some(kind) = ObjectKind::parse(name) else {
        let known: Vec<&str> = ObjectKind::all().map(ObjectKind::name).collect();
        return Err(Error::Object(
            name.to_owned(),
            suggestion(name, known.iter().copied()),
            known.join(", "),
        ));
    };
    if plain_fields(kind.spec()).next().is_none() {
        return Err(Error::NoTemplate(kind.name()));
    }
    Ok(kind.spec())
}

/// `; did you mean …?` where one is near.
fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known)
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
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

/// What belongs to each object. Names are those of the object alone where that is enough.
fn parts(specs: &[&'static ObjectSpec]) -> Vec<Part> {
    let part = |spec: &&'static ObjectSpec| {
        let alone = |of: &dyn Fn(&ObjectSpec) -> String| {
            let same = specs.iter().filter(|other| of(other) == of(spec));
            same.count() == 1
        };
        let module = match alone(&|spec| spec.object.clone()) {
            true => spec.object.clone(),
            false => format!("{}_{}", spec.vertical, spec.object),
        };
        let path = match alone(&|spec| spec.plural.clone()) {
            true => spec.plural.clone(),
            false => format!("{}-{}", spec.vertical, spec.plural),
        };
        let create = spec.offers(Operation::Create);
        let operations = if create {
            r#""read", "create""#
        } else {
            r#""read""#
        };
        let each = |line: &dyn Fn(&str, &str) -> String| {
            plain_fields(spec)
                .map(|(name, _)| line(name, &identifier(name)))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let names = plain_fields(spec).map(|(name, _)| format!("{name:?}"));
        let values = vec![
            ("vertical", spec.vertical.clone()),
            ("object", spec.name.clone()),
            ("Wire", pascal(&module)),
            ("module", module),
            ("path", path),
            ("Type", pascal(&spec.object)),
            ("operations", operations.to_owned()),
            ("fields", names.collect::<Vec<_>>().join(", ")),
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
            (
                "javascript_to_unified",
                each(&|name, _| format!("    {name}: remote.{name} ?? null,")),
            ),
            (
                "javascript_from_unified",
                each(&|name, _| format!("    {name}: unified.{name},")),
            ),
            (
                "python_names",
                each(&|name, _| format!("    \"{name}\": \"{name}\",")),
            ),
        ];
        Part { values, create }
    };
    specs.iter().map(part).collect()
}

/// What is the same for the whole connector.
fn common(
    slug: &Slug,
    specs: &[&'static ObjectSpec],
    parts: &[Part],
    sdk: &Path,
    member: bool,
    auth: Auth,
) -> Values {
    let mut connector = pascal(slug.as_str());
    // Names that the template imports, or that the prelude has.
    let taken = [
        "Account",
        "Connection",
        "Connector",
        "Document",
        "Failure",
        "FetchRequest",
        "Fields",
        "Json",
        "Page",
        "Playback",
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
    let mut verticals: Vec<&str> = specs.iter().map(|spec| spec.vertical.as_str()).collect();
    verticals.sort_unstable();
    verticals.dedup();
    let sdk = if member {
        format!("{{ workspace = true, features = {verticals:?} }}")
    } else {
        let path = Value::from(sdk.to_string_lossy());
        format!("{{ path = {path}, features = {verticals:?} }}")
    };
    let samples = parts
        .iter()
        .map(|part| format!("\"fixtures/{}.json\"", part.value("path")));
    let plurals: Vec<&str> = specs.iter().map(|spec| spec.plural.as_str()).collect();
    let plurals = in_words(&plurals);
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
        ("sdk", sdk),
        ("samples", samples.collect::<Vec<_>>().join(", ")),
        ("Plurals", capital(&plurals)),
        ("plurals", plurals),
    ]
}

/// `a, b and c`.
fn in_words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// The provider's answers that the tests play, and the mapping that they check.
fn fixture(spec: &'static ObjectSpec, part: &Part) -> String {
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
    let path = format!("{{api}}/v1/{}", part.value("path"));
    let page = |number: u8, items: Vec<Value>| {
        json!({
            "request": { "method": "GET", "url": format!("{path}?page={number}&size=2") },
            "response": { "body": { "items": items } }
        })
    };
    let mut fixture = json!({
        "description": "Two pages, one record, and the mapping of it",
        "source": "constructed",
        "exchanges": [
            page(1, vec![with_key(1), with_key(2)]),
            page(2, vec![with_key(3)]),
            {
                "request": { "method": "GET", "url": format!("{path}/1") },
                "response": { "body": with_key(1) }
            }
        ],
        "documents": [{ "object": spec.name, "remote": with_key(1), "unified": values }]
    });
    if part.create
        && let Some(fixture) = fixture.as_object_mut()
    {
        let exchange = json!({
            "request": { "method": "POST", "url": path, "body": values },
            "response": { "status": 201, "body": with_key(4) }
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

/// The provider's answer to who the credentials belong to.
fn account() -> String {
    let fixture = json!({
        "description": "Who the credentials belong to",
        "source": "constructed",
        "exchanges": [{
            "request": { "method": "GET", "url": "{api}/v1/me" },
            "response": { "body": { "id": 7, "name": "Acme" } }
        }]
    });
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
