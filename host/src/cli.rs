//! The command line: arguments, what is printed, exit codes.

mod connector;
mod encryption;
mod keys;
mod operator;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret as _;

use crate::{
    app::{self, DevArgs},
    config::{self, Config},
    http,
    store::Store,
    telemetry,
};

/// One API for many systems; every connector is a sandboxed WebAssembly file.
#[derive(Debug, Parser)]
#[command(
    name = "jackfield",
    version,
    arg_required_else_help = true,
    after_help = "Try it:      jackfield dev
Run it:      jackfield config > jackfield.toml     (then edit; it explains every key)
             jackfield serve --config jackfield.toml
A first key: jackfield project create 'My app' --config jackfield.toml
             jackfield api-key create --project ID --config jackfield.toml

Every key of the configuration can be set in the environment too (JACKFIELD_LISTEN, …).
Exit codes: 0 stopped when asked, 1 failed, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server for trying things out, with a demo provider, a project and an API key.
    Dev(DevCommand),
    /// Run the server.
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Bring the database up to date and stop. (`serve` does it too.)
    Migrate {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Projects: one for each application that uses this server.
    #[command(subcommand)]
    Project(keys::ProjectCommand),
    /// API keys: what an application authenticates with.
    #[command(subcommand)]
    ApiKey(keys::ApiKeyCommand),
    /// Operators: who may sign in to the dashboard.
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// Encryption keys: what everything secret in the database is sealed under.
    #[command(subcommand)]
    Key(encryption::KeyCommand),
    /// Connectors: make, build and look at them.
    #[command(subcommand)]
    Connector(connector::Command),
    /// Print the default configuration, which explains every key.
    Config,
    /// Print the OpenAPI 3.1 document of the API. A server gives it at /openapi.json.
    Openapi,
}

/// Arguments of `jackfield dev`. What is not given comes from the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  jackfield dev
  jackfield dev --listen 127.0.0.1:0 --data-dir /tmp/jackfield --plugins my-connectors

Writes DATA_DIR/dev.json (address, API key, connection tokens) when it is ready.
A connector is built again and swapped when its source changes.")]
struct DevCommand {
    /// Address and port of the API; port 0 lets the system choose [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder for the database, the key and compiled connectors [default: .jackfield]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Folder of connectors: `.wasm` files and crates [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
}

/// Where the configuration is.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// A file over the defaults; the environment lies over both.
    #[arg(long = "config", value_name = "FILE", env = "JACKFIELD_CONFIG")]
    file: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, config::Error> {
        Config::load(self.file.as_deref())
    }

    /// The database of the configuration. One that is made now is told of: it may be that another
    /// one was meant.
    async fn open(&self) -> Result<Store> {
        let config = self.load()?;
        let new = config.default_database().filter(|file| !file.exists());
        let store = app::open_store(&config).await?;
        if let Some(file) = new {
            note(&format!(
                "jackfield: made a new database, {}; a server with another configuration does not use it: name that one with --config",
                file.display()
            ));
        }
        Ok(store)
    }

    /// The same for looking at what is there, which makes no database.
    async fn open_existing(&self) -> Result<Store> {
        let config = self.load()?;
        if let Some(file) = config.default_database().filter(|file| !file.exists()) {
            bail!(
                "there is no database {}; name the configuration of the server with --config",
                file.display()
            );
        }
        app::open_store(&config).await
    }
}

/// Does what the arguments say, the program's name first among them.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to the parser: it knows where each is printed. Where
            // nobody is there to read, nothing is left to do.
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.command.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("jackfield: {}", telemetry::chain(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    async fn run(self) -> Result<()> {
        match self {
            Self::Dev(command) => {
                let arguments = DevArgs {
                    listen: command.listen,
                    data_dir: command.data_dir,
                    plugins: command.plugins,
                };
                Box::pin(app::dev(arguments)).await
            }
            Self::Serve { config } => {
                let config = config.load()?;
                telemetry::init(&config.log)?;
                Box::pin(app::serve(config)).await
            }
            Self::Migrate { config } => {
                let config = config.load()?;
                fs::create_dir_all(&config.data_dir)?;
                let url = config.database_url();
                match Store::migrate(url.expose_secret()).await?.as_slice() {
                    [] => print("The database is up to date.\n"),
                    names => print(&format!("Applied: {}.\n", names.join(", "))),
                }
            }
            Self::Project(command) => command.run().await,
            Self::ApiKey(command) => command.run().await,
            Self::Operator(command) => command.run().await,
            Self::Key(command) => command.run().await,
            Self::Connector(command) => command.run().await,
            Self::Config => print(config::DEFAULT_FILE),
            Self::Openapi => print(&http::openapi_text()),
        }
    }
}

/// For the caller's eyes or pipe.
fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Beside the answer: progress, and what other programs say.
fn note(line: &str) {
    // Where nobody is there to read, nothing is left to do.
    writeln!(io::stderr(), "{line}").ok();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_make_sense() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn dev_takes_its_arguments() {
        let arguments = [
            "jackfield",
            "dev",
            "--listen",
            "127.0.0.1:0",
            "--plugins",
            "p",
        ];
        let Command::Dev(dev) = Arguments::try_parse_from(arguments).unwrap().command else {
            panic!("another command");
        };
        assert_eq!(dev.listen.unwrap().port(), 0);
        assert_eq!(dev.plugins.unwrap(), PathBuf::from("p"));
        assert!(dev.data_dir.is_none());
    }

    #[tokio::test]
    async fn wrong_usage_is_two() {
        let code = run(["jackfield", "serf"].map(Into::into)).await;
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    }
}
