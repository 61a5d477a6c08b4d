//! The shape of the repository as tests: which module may import which, who owns which library,
//! how long a file may be, what every connector's folder holds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A module imports only from lower levels. `ARCHITECTURE.md` shows the same table.
const LEVELS: &[(u8, &str)] = &[
    (0, "fault_point"),
    (0, "model"),
    (1, "config"),
    (2, "telemetry"),
    (2, "store"),
    (2, "egress"),
    (3, "vault"),
    (3, "runtime"),
    (4, "unify"),
    (4, "webhook"),
    (4, "market"),
    (4, "access"),
    (5, "jobs"),
    (5, "diagnosis"),
    (6, "http"),
    (6, "demo"),
    (6, "author"),
    (7, "web"),
    (8, "portal"),
    (8, "dashboard"),
    (8, "mcp"),
    (9, "app"),
    (10, "cli"),
    (11, "main"),
];

/// A library from outside is named only in the modules that own it. `config` is not among them:
/// the library and our module have the same name.
const OWNERS: &[(&str, &[&str])] = &[
    ("argon2", &["access"]),
    (
        "axum",
        &[
            "http",
            "demo",
            "author",
            "web",
            "portal",
            "dashboard",
            "mcp",
        ],
    ),
    ("chacha20poly1305", &["vault"]),
    ("clap", &["cli"]),
    ("croner", &["model"]),
    ("hyper", &["http", "demo"]),
    ("hyper_util", &["http", "demo"]),
    ("jsonschema", &["model"]),
    ("libc", &["runtime"]),
    ("libmimalloc_sys", &["runtime"]),
    ("maud", &["web", "portal", "dashboard"]),
    ("notify", &["runtime"]),
    ("pulldown_cmark", &["web"]),
    ("reqwest", &["egress"]),
    ("ring", &["egress", "runtime"]),
    ("rmcp", &["mcp"]),
    ("rustix", &["fault_point", "runtime"]),
    ("rustls", &["egress"]),
    ("sqlx", &["store"]),
    ("toml", &["diagnosis", "model"]),
    ("tower", &["http", "demo"]),
    ("tower_http", &["http", "demo", "web"]),
    ("tracing_subscriber", &["telemetry"]),
    ("wasmparser", &["author", "runtime"]),
    ("wasmtime", &["runtime"]),
    ("wit_component", &["runtime"]),
    ("wit_parser", &["runtime"]),
];

const LONGEST_FILE: usize = 800;

#[test]
fn modules_import_only_from_lower_levels() {
    let mut problems = Vec::new();
    for source in host_sources() {
        let Some(own) = level(&source.module) else {
            problems.push(format!(
                "{}: no level is set for `{}`",
                source.name, source.module
            ));
            continue;
        };
        for import in source.imports() {
            if import.module == source.module {
                continue;
            }
            match level(&import.module) {
                Some(other) if other < own => {}
                Some(other) => problems.push(format!(
                    "{}:{}: `{}` (level {own}) imports `{}` (level {other})",
                    source.name, import.line, source.module, import.module
                )),
                None => problems.push(format!(
                    "{}:{}: `{}` has no level",
                    source.name, import.line, import.module
                )),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn libraries_are_named_by_their_owners_only() {
    let mut problems = Vec::new();
    for source in host_sources() {
        for (library, line) in source.libraries() {
            let owners = OWNERS.iter().find(|(name, _)| *name == library);
            if let Some((_, owners)) = owners
                && !owners.contains(&source.module.as_str())
            {
                problems.push(format!(
                    "{}:{line}: `{library}` belongs to {}",
                    source.name,
                    owners.join(", ")
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Ways to a connection that is not guarded, and the file that has one with reason.
const WAYS_OUT: &[(&str, &str)] = &[
    ("TcpStream::connect", ""),
    ("UdpSocket", ""),
    ("UnixStream", ""),
    ("to_socket_addrs", ""),
    ("hyper::client", ""),
    ("hyper_util::client", ""),
    ("lookup_host", "host/src/egress/resolver.rs"),
    ("reqwest::Client", "host/src/egress.rs"),
];

#[test]
fn nothing_leaves_but_through_egress() {
    let mut problems = Vec::new();
    for file in rust_files(&root().join("host/src")) {
        let name = show(&file);
        if name.contains("/tests/") || name.ends_with("/tests.rs") {
            continue;
        }
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (way, reason) in WAYS_OUT {
            if code.contains(way) && name != *reason {
                problems.push(format!("{name}: {way} goes around egress"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // The test would notice: the one place that has each is found.
    for (way, place) in WAYS_OUT.iter().filter(|(_, place)| !place.is_empty()) {
        assert!(
            read(&root().join(place)).contains(way),
            "{place} has no {way}"
        );
    }
}

#[test]
fn files_are_short_and_named_after_their_module() {
    let mut problems = Vec::new();
    for folder in ["host", "sdk-guest", "plugins", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let lines = read(&file).lines().count();
            if lines > LONGEST_FILE {
                problems.push(format!("{} has {lines} lines", show(&file)));
            }
            if file.ends_with("mod.rs") {
                problems.push(format!("{}: write name.rs beside name/", show(&file)));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn both_databases_have_the_same_migrations() {
    let sqlite = names(&root().join("migrations/sqlite"));
    let postgres = names(&root().join("migrations/postgres"));
    assert!(!sqlite.is_empty(), "there are no migrations");
    assert_eq!(sqlite, postgres);
}

#[test]
fn architecture_names_every_module_with_its_level() {
    let mut declared: Vec<String> = declared_modules();
    declared.push("main".to_owned());
    declared.sort();
    let mut levelled: Vec<&str> = LEVELS.iter().map(|(_, name)| *name).collect();
    levelled.sort_unstable();
    assert_eq!(
        declared, levelled,
        "host/src/lib.rs and the table of levels"
    );

    let mut expected: Vec<(u8, String)> = LEVELS
        .iter()
        .map(|(level, name)| (*level, (*name).to_owned()))
        .collect();
    expected.sort();
    let text = read(&root().join("ARCHITECTURE.md"));
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| Level |"));
    let rows = table.take_while(|line| line.starts_with('|'));
    let mut told: Vec<(u8, String)> = rows.filter_map(module_row).collect();
    told.sort();
    assert_eq!(
        told, expected,
        "the table in ARCHITECTURE.md and the table of levels"
    );
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let text = read(&root().join("docs/threat-model.md"));
    let cells = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| line.trim_end_matches(['|', ' ']).rsplit('|').next());
    let named: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 30, "the tables name {} tests", named.len());
    let sources: Vec<String> = ["host", "tests", "plugins", "sdk-guest"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|file| read(&file))
        .collect();
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| {
            let function = format!("fn {name}(");
            !sources.iter().any(|source| source.contains(&function))
        })
        .collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

#[test]
fn connectors_look_alike() {
    let mut problems = Vec::new();
    let folder = root().join("plugins");
    let connectors: Vec<PathBuf> = entries(&folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    assert!(!connectors.is_empty(), "there are no connectors");
    for connector in connectors {
        for file in ["Cargo.toml", "connector.toml", "src/lib.rs", "src/wire.rs"] {
            if !connector.join(file).is_file() {
                problems.push(format!("{} is missing", show(&connector.join(file))));
            }
        }
        if names(&connector.join("fixtures")).is_empty() {
            problems.push(format!("{} has no fixtures", show(&connector)));
        }
        let manifest = read(&connector.join("connector.toml"));
        let folder = connector.file_name().unwrap_or_default().to_string_lossy();
        if !manifest
            .lines()
            .any(|line| line == format!("slug = \"{folder}\""))
        {
            problems.push(format!(
                "{}: the slug is not the folder's name",
                show(&connector)
            ));
        }
        let package = read(&connector.join("Cargo.toml"));
        if package.contains("path = \"../") && !package.contains("path = \"../../") {
            problems.push(format!("{} depends on another connector", show(&connector)));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A file of `host/src` as tokens.
struct Source {
    name: String,
    /// The top module that it belongs to.
    module: String,
    /// How deep its module stands: 1 for `host/src/store.rs`.
    depth: usize,
    tokens: Vec<Token>,
}

struct Import {
    module: String,
    line: usize,
}

impl Source {
    /// Top modules of the crate that it names, by `crate::…`, by `super::…` or, in `main.rs`, by
    /// the name of the library.
    fn imports(&self) -> Vec<Import> {
        let mut found = Vec::new();
        let mut inline = InlineModules::default();
        for (at, token) in self.tokens.iter().enumerate() {
            inline.step(&self.tokens, at);
            let continues = at > 0 && self.tokens[at - 1].text == "::";
            if continues || self.text(at + 1) != "::" {
                continue;
            }
            match token.text.as_str() {
                "crate" => self.first_segments(at + 2, &mut found),
                "jackfield" if self.module == "main" => self.first_segments(at + 2, &mut found),
                "super" => {
                    let mut ups = 1;
                    let mut next = at + 2;
                    while self.text(next) == "super" && self.text(next + 1) == "::" {
                        ups += 1;
                        next += 2;
                    }
                    if ups == self.depth + inline.depth() {
                        self.first_segments(next, &mut found);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The name at `at`, or those at the beginnings of a group in braces.
    fn first_segments(&self, at: usize, found: &mut Vec<Import>) {
        let mut push = |token: &Token| {
            if token.is_name() && token.text != "self" {
                found.push(Import {
                    module: token.text.clone(),
                    line: token.line,
                });
            }
        };
        if self.text(at) != "{" {
            push(&self.tokens[at]);
            return;
        }
        let mut depth = 0;
        for (offset, token) in self.tokens[at..].iter().enumerate() {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
            let before = &self.tokens[(at + offset).saturating_sub(1)].text;
            if depth == 1 && (before == "{" || before == ",") {
                push(token);
            }
        }
    }

    /// First segments of paths that begin outside: `sqlx` of `sqlx::query`.
    fn libraries(&self) -> Vec<(&str, usize)> {
        let begins = |at: usize| {
            let after_name = at >= 2 && self.tokens[at - 2].is_name();
            at == 0 || self.tokens[at - 1].text != "::" || !after_name
        };
        let names = self.tokens.iter().enumerate().filter(|(at, token)| {
            token.is_name()
                && begins(*at)
                && (self.text(at + 1) == "::" || self.text(at.wrapping_sub(1)) == "use")
        });
        names
            .map(|(_, token)| (token.text.as_str(), token.line))
            .collect()
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }
}

/// How many `mod name { … }` surround a token.
#[derive(Default)]
struct InlineModules {
    braces: Vec<bool>,
}

impl InlineModules {
    fn step(&mut self, tokens: &[Token], at: usize) {
        match tokens[at].text.as_str() {
            "{" => self.braces.push(at >= 2 && tokens[at - 2].text == "mod"),
            "}" => {
                self.braces.pop();
            }
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.braces.iter().filter(|module| **module).count()
    }
}

struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text
            .starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
    }
}

/// Names, `::` and single signs; comments, texts and numbers are left out.
fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let length = match rest {
            ['/', '/', ..] => rest
                .iter()
                .position(|letter| *letter == '\n')
                .unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => quoted(rest, 1),
            ['\'', '\\', ..] => quoted_letter(rest),
            ['\'', _, '\'', ..] => 3,
            ['r', '"' | '#', ..] | ['b', 'r', '"' | '#', ..] if raw_text(rest).is_some() => {
                raw_text(rest).unwrap_or(1)
            }
            [':', ':', ..] => {
                tokens.push(Token {
                    text: "::".to_owned(),
                    line,
                });
                2
            }
            [first, ..] if first.is_alphanumeric() || *first == '_' => {
                let end = rest
                    .iter()
                    .position(|letter| !letter.is_alphanumeric() && *letter != '_');
                let length = end.unwrap_or(rest.len());
                tokens.push(Token {
                    text: rest[..length].iter().collect(),
                    line,
                });
                length
            }
            [sign, ..] => {
                if !sign.is_whitespace() {
                    tokens.push(Token {
                        text: sign.to_string(),
                        line,
                    });
                }
                1
            }
            [] => 1,
        };
        line += rest[..length]
            .iter()
            .filter(|letter| **letter == '\n')
            .count();
        at += length;
    }
    tokens
}

fn block_comment(text: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < text.len() {
        match text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted(text: &[char], from: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn quoted_letter(text: &[char]) -> usize {
    let end = text.iter().skip(3).position(|letter| *letter == '\'');
    end.map_or(text.len(), |end| end + 4)
}

/// The length of `r#"…"#`; none where it is a name such as `r#type`.
fn raw_text(text: &[char]) -> Option<usize> {
    let start = text
        .iter()
        .position(|letter| *letter == '#' || *letter == '"')?;
    let hashes = text[start..]
        .iter()
        .take_while(|letter| **letter == '#')
        .count();
    if text.get(start + hashes) != Some(&'"') {
        return None;
    }
    let mut at = start + hashes + 1;
    while at < text.len() {
        let closing = text[at] == '"'
            && text[at + 1..]
                .iter()
                .take_while(|letter| **letter == '#')
                .count()
                >= hashes;
        if closing {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(text.len())
}

fn level(module: &str) -> Option<u8> {
    LEVELS
        .iter()
        .find(|(_, name)| *name == module)
        .map(|(level, _)| *level)
}

/// `| 2 | `store` | …` of ARCHITECTURE.md.
fn module_row(line: &str) -> Option<(u8, String)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let level = cells.next()?.parse().ok()?;
    let module = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((level, module.to_owned()))
}

/// What `host/src/lib.rs` declares.
fn declared_modules() -> Vec<String> {
    let tokens = tokens(&read(&root().join("host/src/lib.rs")));
    tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod")
        .map(|pair| pair[1].text.clone())
        .collect()
}

fn host_sources() -> Vec<Source> {
    let folder = root().join("host/src");
    let mut sources = Vec::new();
    for file in rust_files(&folder) {
        let relative = file
            .strip_prefix(&folder)
            .expect("it lies in the folder")
            .with_extension("");
        let path: Vec<String> = relative
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if path == ["lib"] {
            continue;
        }
        sources.push(Source {
            name: show(&file),
            module: path[0].clone(),
            depth: path.len(),
            tokens: tokens(&read(&file)),
        });
    }
    assert!(sources.len() > 10, "the sources are not where they were");
    sources
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        if path.is_dir() && !path.ends_with("target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// What lies in a folder, sorted; nothing where there is no folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let found = entries.map(|entry| entry.expect("the folder can be read").path());
    let by_name: BTreeMap<PathBuf, ()> = found.map(|path| (path, ())).collect();
    by_name.into_keys().collect()
}

fn names(folder: &Path) -> Vec<String> {
    let name = |path: PathBuf| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    entries(folder).into_iter().map(name).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", show(file)))
}

fn show(file: &Path) -> String {
    file.strip_prefix(root())
        .unwrap_or(file)
        .display()
        .to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
}

#[test]
fn the_reader_of_sources_sees_paths_and_nothing_else() {
    let source = Source {
        name: String::new(),
        module: "egress".to_owned(),
        depth: 2,
        tokens: tokens(
            r##"
            // use crate::comment;
            /* crate::block /* nested */ crate::still */
            use crate::{model::{Record, page}, store};
            pub(crate) fn f<'a>(x: &'a str) { let _ = ("crate::text", '"', r#"crate::raw "#); crate::vault::g() }
            use super::{sibling, super::unify};
            fn up() { super::super::jobs::run(); super::sibling() }
            mod tests { use super::*; use super::super::super::http::X; }
            use sqlx::query; fn r() -> ring::Digest { other::toml::x() }
            "##,
        ),
    };
    let mut imports: Vec<String> = source
        .imports()
        .into_iter()
        .map(|import| import.module)
        .collect();
    imports.sort();
    assert_eq!(imports, ["http", "jobs", "model", "store", "vault"]);
    let libraries: Vec<&str> = source
        .libraries()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(libraries.contains(&"sqlx") && libraries.contains(&"ring"));
    assert!(!libraries.contains(&"toml") && !libraries.contains(&"comment"));
}
