//! Operators: who may sign in to the dashboard, from beside the server.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    process::{Command as Process, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{ConfigArgs, note, print};
use crate::{
    access,
    config::Config,
    model::{AuditEntry, Clock as _, EmailAddress, Operator, Role, SystemClock, SystemEntropy},
    store::{Amended, LinkPurpose, NewOperator, OperatorRow, Store},
};

const ACTOR: &str = "cli";

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Make an account for somebody. The password is asked for, or read from standard input.
    #[command(
        after_help = "Examples:\n  jackfield operator create ada@example.com --role owner --name 'Ada Lovelace'\n  pass show jackfield | jackfield operator create ada@example.com --role owner\n\nRoles: owner (everything, operators and connectors too), developer (what is in projects),\nviewer (sees everything but secrets). A running server knows the account at once."
    )]
    Create {
        /// What the operator signs in with
        email: EmailAddress,
        /// What the operator may do
        #[arg(long, value_enum)]
        role: RoleName,
        /// What others call the operator [default: the e-mail address]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print all operators: role, e-mail address, name, last sign-in.
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give an operator another role. It counts at once, for open sessions too.
    #[command(after_help = "Example:\n  jackfield operator set-role ada@example.com developer")]
    SetRole {
        /// Whose
        email: EmailAddress,
        /// What the operator may do from now on
        #[arg(value_enum)]
        role: RoleName,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Remove an operator, who is signed out everywhere at once. The last owner cannot be removed.
    Remove {
        /// Whom
        email: EmailAddress,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print a link with which an operator chooses a new password: it works once, for three days.
    #[command(
        after_help = "Example:\n  jackfield operator reset-link ada@example.com\n\nFor who forgot the password, or has to wait after too many wrong guesses of somebody else."
    )]
    ResetLink {
        /// Whose
        email: EmailAddress,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print the link for the first owner of this server: it works once, for three days.
    #[command(
        after_help = "The log of `jackfield serve` has such a link too, as long as there is no operator."
    )]
    SetupLink {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    Owner,
    Developer,
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Developer => Self::Developer,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

impl OperatorCommand {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Create {
                email,
                role,
                name,
                config,
            } => create(&config, email, role.into(), name).await,
            Self::List { config } => {
                let store = config.open_existing().await?;
                let operators = store.operators().await?;
                store.close().await;
                if operators.is_empty() {
                    note(
                        "There is nobody yet; `jackfield operator setup-link` prints a link for the first owner.",
                    );
                }
                print(&operators.iter().map(line).collect::<String>())
            }
            Self::SetRole {
                email,
                role,
                config,
            } => {
                let (store, operator) = find(&config, &email).await?;
                let role = Role::from(role);
                done(store.set_operator_role(operator.id, role).await?, &email)?;
                let details = json!({ "from": operator.role.as_str(), "to": role.as_str() });
                write(&store, "operator.role", &email, details).await?;
                store.close().await;
                print(&format!("{email} is now {role}.\n"))
            }
            Self::Remove { email, config } => {
                let (store, operator) = find(&config, &email).await?;
                done(store.remove_operator(operator.id).await?, &email)?;
                let details = json!({ "role": operator.role.as_str() });
                write(&store, "operator.remove", &email, details).await?;
                store.close().await;
                print(&format!("{email} was removed.\n"))
            }
            Self::ResetLink { email, config } => {
                let (store, operator) = find(&config, &email).await?;
                let purpose = LinkPurpose::NewPassword(operator);
                let link = make_link(&config.load()?, &store, &purpose).await?;
                write(&store, "operator.password_link", &email, json!({})).await?;
                store.close().await;
                print(&link)
            }
            Self::SetupLink { config } => {
                let store = config.open().await?;
                let config = config.load()?;
                if store.has_operators().await? {
                    bail!(
                        "this server has operators: `jackfield operator list` shows them, `jackfield operator create` makes another"
                    );
                }
                let link = make_link(&config, &store, &LinkPurpose::SetUp).await?;
                store.close().await;
                print(&link)
            }
        }
    }
}

async fn create(
    config: &ConfigArgs,
    email: EmailAddress,
    role: Role,
    name: Option<String>,
) -> Result<()> {
    let store = config.open().await?;
    if store.operator_by_email(&email).await?.is_some() {
        bail!("there is an operator {email} already");
    }
    let password = read_password()?;
    let password = access::hash_password(&password, &email, &SystemEntropy).await?;
    let new = NewOperator {
        name: name.unwrap_or_else(|| email.to_string()),
        email: email.clone(),
        role,
        password: Some(password),
        oidc_subject: None,
    };
    store.create_operator(&new).await?;
    let details = json!({ "role": role.as_str(), "with": "cli" });
    write(&store, "operator.create", &email, details).await?;
    store.close().await;
    print(&format!("{email} can sign in now, as {role}.\n"))
}

async fn find(config: &ConfigArgs, email: &EmailAddress) -> Result<(Store, Operator)> {
    let store = config.open_existing().await?;
    match store.operator_by_email(email).await? {
        Some((operator, _)) => Ok((store, operator)),
        None => bail!("there is no operator {email}; `jackfield operator list` shows who there is"),
    }
}

fn done(amended: Amended, email: &EmailAddress) -> Result<()> {
    match amended {
        Amended::Done => Ok(()),
        Amended::LastOwner => {
            bail!("{email} is the last owner; make somebody else an owner first")
        }
        Amended::Missing => bail!("there is no operator {email} any more"),
    }
}

async fn make_link(config: &Config, store: &Store, purpose: &LinkPurpose) -> Result<String> {
    let url = config.public_url(config.listen);
    let made = access::make_link(store, &SystemClock, &SystemEntropy, &url, purpose, ACTOR);
    let made = made.await?;
    Ok(format!("{}\n", made.expose()))
}

/// What was typed or piped. At a terminal the system is asked not to show it.
fn read_password() -> Result<SecretString> {
    let typed = io::stdin().is_terminal();
    let hidden = typed && show_typing(false);
    if typed {
        note("Password (at least 12 characters):");
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    if hidden {
        show_typing(true);
    }
    read.context("the password cannot be read")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password was given: type it when asked, or pipe it in");
    }
    Ok(SecretString::from(password))
}

/// Whether the terminal did as it was told.
fn show_typing(show: bool) -> bool {
    let how = if show { "echo" } else { "-echo" };
    let mut stty = Process::new("stty");
    stty.arg(how).stdin(Stdio::inherit()).stderr(Stdio::null());
    stty.status().is_ok_and(|status| status.success())
}

fn line(row: &OperatorRow) -> String {
    let operator = &row.operator;
    let last = row.last_sign_in_at;
    let last = last.map_or_else(|| "never".to_owned(), |at| at.to_string());
    format!(
        "{:9}  {}  {}  last sign-in: {last}\n",
        operator.role.as_str(),
        operator.email,
        operator.name
    )
}

/// Writes what this command did into the audit log.
async fn write(store: &Store, action: &str, email: &EmailAddress, details: Value) -> Result<()> {
    let entry = AuditEntry {
        at: SystemClock.now(),
        project: None,
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        subject: email.to_string(),
        details,
    };
    Ok(store.audit(&entry).await?)
}
