//! `connector record`.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ipnet::IpNet;
use url::Url;

use super::{
    note, print,
    test::{Subject, pair},
};
use crate::{
    author::{self, RecordOptions},
    config,
    model::{ObjectKind, nearest},
};

pub(super) const HELP: &str = "Example:
  export JACKFIELD_RECORD_ACCESS_TOKEN=…
  jackfield connector record plugins/acme-crm --object crm.contact --scrub

Each field of the login is taken from JACKFIELD_RECORD_ and its name in capitals (ACCESS_TOKEN,
API_KEY, USERNAME, PASSWORD), and asked for at a terminal. For OAuth give an access token. Nothing
of it is written: look through the file all the same before you publish it.";

#[derive(Debug, Args)]
pub(in crate::cli) struct Record {
    #[command(flatten)]
    subject: Subject,
    /// What to read, like crm.contact
    #[arg(long)]
    object: String,
    /// The login, by its name in connector.toml [default: the first]
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// Where an endpoint really is; can be given several times
    #[arg(long = "endpoint", value_name = "NAME=URL", value_parser = pair)]
    endpoints: Vec<(String, String)>,
    /// A private network that may be reached, like 127.0.0.0/8; can be given several times
    #[arg(long, value_name = "NETWORK")]
    allow_private: Vec<IpNet>,
    /// Records of a page, at most
    #[arg(long, default_value_t = 10)]
    limit: u32,
    /// Pages, at most
    #[arg(long, default_value_t = 2)]
    pages: u32,
    /// Only what changed since then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only this record
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Put invented names, mail addresses and phone numbers in the place of real ones
    #[arg(long)]
    scrub: bool,
    /// The fixture [default: DIR/fixtures/recorded-OBJECT.json, or ./recorded-OBJECT.json for a file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Record {
    pub(super) async fn run(self) -> Result<()> {
        let Some(object) = ObjectKind::parse(&self.object) else {
            let near = nearest(&self.object, ObjectKind::all().map(ObjectKind::name));
            let near = near.map(|near| format!("; did you mean {near}?"));
            bail!(
                "{:?} is no known object{}",
                self.object,
                near.unwrap_or_default()
            );
        };
        let mut endpoints = BTreeMap::new();
        for (name, url) in &self.endpoints {
            let url = Url::parse(url).with_context(|| format!("--endpoint {name}: {url:?}"))?;
            endpoints.insert(name.clone(), url);
        }
        let candidate = self.subject.open().await?;
        let name = format!("recorded-{}.json", self.object.replace('.', "-"));
        let out = self.out.unwrap_or_else(|| {
            if candidate.path.is_dir() {
                candidate.path.join("fixtures").join(name)
            } else {
                PathBuf::from(name)
            }
        });
        let login = author::login(&candidate, self.login.as_deref())?;
        let fields: Vec<(&str, String, bool)> = if login.oauth().is_some() {
            vec![("access_token", "Access token".to_owned(), true)]
        } else {
            let fields = login.fields();
            fields
                .into_iter()
                .map(|field| (field.id, field.title, field.secret))
                .collect()
        };
        let mut credentials = BTreeMap::new();
        for (id, title, secret) in fields {
            credentials.insert(id.to_owned(), value(id, &title, secret)?);
        }
        let options = RecordOptions {
            object,
            scheme: Some(login.name.clone()),
            credentials,
            settings: self.subject.settings(),
            endpoints,
            allow_private: self.allow_private,
            limit: self.limit,
            pages: self.pages,
            since: self.since,
            remote_id: self.id,
            scrub: self.scrub,
        };
        let fixture = author::record(&candidate, &options).await?;
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = format!("{}\n", serde_json::to_string_pretty(&fixture)?);
        fs::write(&out, text).with_context(|| format!("{} cannot be written", out.display()))?;
        print(&format!(
            "{}: {} exchanges, {} documents. Look through it, and correct `unified` where the mapping is wrong.\n",
            out.display(),
            fixture.exchanges.len(),
            fixture.documents.len()
        ))
    }
}

/// A field of the login, from the environment or from the person at the terminal.
fn value(id: &str, title: &str, secret: bool) -> Result<String> {
    let variable = format!("JACKFIELD_RECORD_{}", id.to_uppercase());
    if let Some(value) = config::variable(&variable)? {
        return Ok(value);
    }
    if !io::stdin().is_terminal() {
        bail!("{title} is missing: set {variable}");
    }
    let shown = |on: bool| {
        // Where there is no stty, what is typed is seen.
        let mode = if on { "echo" } else { "-echo" };
        Command::new("stty")
            .arg(mode)
            .stdin(Stdio::inherit())
            .status()
            .ok();
    };
    write!(io::stderr(), "{title}: ")?;
    io::stderr().flush()?;
    if secret {
        shown(false);
    }
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    if secret {
        shown(true);
        note("");
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
