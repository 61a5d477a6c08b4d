//! `connector new`: from flags, or from answers at a terminal.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, IsTerminal as _, Write},
    path::PathBuf,
};

use anyhow::{Result, bail};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::print;
use crate::{
    author::{self, Auth, Language, NewOptions},
    model::{ObjectKind, nearest},
};

pub(super) const EXAMPLES: &str = "Examples:
  jackfield connector new acme-crm
  jackfield connector new acme --object crm.contact --object crm.company --auth oauth2-code
  jackfield connector new acme --vertical ticketing --object ticket --object comment

At a terminal, and without any of these options, it asks.";

#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// Its name: lower-case letters, digits and hyphens
    name: String,
    /// The new folder [default: plugins/NAME in a checkout of Jackfield, else NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The folder of the SDK's crate, outside of a checkout
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// The vertical of objects that are named without one; alone it stands for all of its objects
    #[arg(long)]
    vertical: Option<String>,
    /// An object, like crm.contact; can be given several times [default: crm.contact]
    #[arg(long = "object", value_name = "OBJECT")]
    objects: Vec<String>,
    /// How customers log in [default: bearer]
    #[arg(long, value_parser = auth())]
    auth: Option<Auth>,
    /// What it is written in [default: rust]
    #[arg(long, value_parser = language())]
    language: Option<Language>,
}

fn auth() -> impl TypedValueParser<Value = Auth> {
    PossibleValuesParser::new(Auth::ALL.map(Auth::name))
        .map(|name| Auth::parse(&name).expect("it is one of the possible values"))
}

fn language() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.iter().map(|one| one.name()))
        .map(|name| Language::parse(&name).expect("it is one of the possible values"))
}

impl New {
    pub(super) fn run(self) -> Result<()> {
        let says_nothing = self.vertical.is_none()
            && self.objects.is_empty()
            && self.auth.is_none()
            && self.language.is_none();
        let mut options = NewOptions {
            dir: self.dir,
            sdk: self.sdk,
            vertical: self.vertical,
            objects: self.objects,
            auth: self.auth.unwrap_or_default(),
            language: self.language.unwrap_or_default(),
        };
        if says_nothing && io::stdin().is_terminal() {
            ask(&mut io::stdin().lock(), &mut io::stderr(), &mut options)?;
        }
        let folder = author::new(&self.name, &options)?;
        let folder = folder.display();
        print(&format!(
            "Made {folder}. Next:\n  jackfield connector test {folder}\n  jackfield connector build {folder}\n"
        ))
    }
}

/// Asks for what the flags would have said. An empty answer takes what stands in brackets.
fn ask(input: &mut impl BufRead, output: &mut impl Write, options: &mut NewOptions) -> Result<()> {
    let verticals: BTreeSet<&str> = ObjectKind::all()
        .map(|kind| kind.spec().vertical.as_str())
        .collect();
    let verticals: Vec<&str> = verticals.into_iter().collect();
    let vertical = choose(input, output, "Which vertical?", &verticals, "crm", false)?;
    let vertical = vertical.first().copied().unwrap_or("crm");
    let objects: Vec<&str> = ObjectKind::all()
        .map(ObjectKind::spec)
        .filter(|spec| spec.vertical == vertical)
        .map(|spec| spec.object.as_str())
        .collect();
    let first = match objects.contains(&"contact") {
        true => "contact",
        false => objects.first().copied().unwrap_or_default(),
    };
    let question = "Which objects? (several with commas)";
    let chosen = choose(input, output, question, &objects, first, true)?;
    options.objects = chosen
        .iter()
        .map(|object| format!("{vertical}.{object}"))
        .collect();
    let logins = Auth::ALL.map(Auth::name);
    let question = "How do customers log in?";
    let auth = choose(input, output, question, &logins, logins[0], false)?;
    options.auth = auth
        .first()
        .and_then(|name| Auth::parse(name))
        .unwrap_or_default();
    let languages: Vec<&str> = Language::ALL.iter().map(|one| one.name()).collect();
    if languages.len() > 1 {
        let question = "Which language?";
        let language = choose(input, output, question, &languages, "rust", false)?;
        options.language = language
            .first()
            .and_then(|name| Language::parse(name))
            .unwrap_or_default();
    }
    Ok(())
}

/// One question with a list of answers. An answer that is none is asked for again.
fn choose<'a>(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &str,
    known: &[&'a str],
    default: &'a str,
    several: bool,
) -> Result<Vec<&'a str>> {
    loop {
        write!(output, "{question}\n  {}\n[{default}] ", known.join(", "))?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            bail!("there is nobody to answer; say it with --object, --auth and --language");
        }
        let mut words: Vec<&str> = line.split([',', ' ']).map(str::trim).collect();
        words.retain(|word| !word.is_empty());
        if words.is_empty() {
            return Ok(vec![default]);
        }
        let found: Option<Vec<&'a str>> = words
            .iter()
            .map(|word| known.iter().copied().find(|one| one == word))
            .collect();
        match found {
            Some(found) if several || found.len() == 1 => return Ok(found),
            Some(_) => writeln!(output, "One of them, please.")?,
            None => {
                for word in words.iter().filter(|word| !known.contains(*word)) {
                    let near = nearest(word, known.iter().copied())
                        .map(|near| format!("; did you mean {near}?"))
                        .unwrap_or_default();
                    writeln!(output, "{word:?} is none of them{near}")?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> (Result<NewOptions>, String) {
        let mut options = NewOptions::default();
        let mut output = Vec::new();
        let asked = ask(&mut text.as_bytes(), &mut output, &mut options);
        (
            asked.map(|()| options),
            String::from_utf8_lossy(&output).into_owned(),
        )
    }

    #[test]
    fn answers_become_options_and_mistakes_are_asked_again() {
        let (options, output) = answers("ticketting\nticketing\nticket, comment\napi-key\n\n");
        let options = options.unwrap();
        assert_eq!(options.objects, ["ticketing.ticket", "ticketing.comment"]);
        assert_eq!(options.auth, Auth::ApiKey);
        assert_eq!(options.language, Language::Rust);
        assert!(output.contains("did you mean ticketing?"), "{output}");
    }

    #[test]
    fn empty_answers_take_the_defaults_and_no_answers_are_an_error() {
        let (options, _) = answers("\n\n\n\n");
        assert_eq!(options.unwrap().objects, ["crm.contact"]);
        let (nobody, _) = answers("crm\n");
        assert!(nobody.unwrap_err().to_string().contains("--object"));
    }
}
