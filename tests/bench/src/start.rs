//! How long the server takes to start with many connectors, and the memory that it has then: with
//! nothing compiled yet, and from the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use jackfield::runtime::Artifact;

use crate::{
    Arguments, Result,
    measure::{median, say, say_load, say_verdict},
    plugins::{demo_crm, program},
};

/// Connectors, unless the arguments say so.
const CONNECTORS: &[usize] = &[100];
/// The most milliseconds of a start from the cache.
const START: f64 = 300.0;
/// The most memory after it, MiB.
const MEMORY: f64 = 150.0;
/// How long what happens after a start may take, before memory is looked at.
const SETTLE: Duration = Duration::from_secs(3);
/// With nothing compiled.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn start(arguments: &Arguments) -> Result<()> {
    let program = program(arguments)?;
    let original = demo_crm(arguments)?;
    for count in arguments.sizes(CONNECTORS) {
        measure(&program, &original, count, arguments.rounds.unwrap_or(5))?;
    }
    Ok(())
}

fn measure(program: &Path, original: &[u8], count: usize, rounds: usize) -> Result<()> {
    let home = tempfile::tempdir()?;
    let plugins = home.path().join("plugins");
    fs::create_dir(&plugins)?;
    for number in 0..count {
        let module = renamed(original, &format!("copy-{number}"))?;
        // What `connector build` ships.
        let component = Artifact::read(&module)?.component;
        fs::write(plugins.join(format!("copy-{number}.wasm")), component)?;
    }
    say(format_args!("{count} connectors"));
    let cold = once(program, home.path())?;
    say(format_args!(
        "  nothing compiled:  {:7.0} ms, {:5.0} MiB",
        cold.milliseconds, cold.mebibytes
    ));
    let mut times = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..rounds {
        let warm = once(program, home.path())?;
        times.push(warm.milliseconds);
        sizes.push(warm.mebibytes);
    }
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    say(format_args!(
        "  from the cache:    {least:7.0} ms (median {:.0}), {largest:5.0} MiB",
        median(&times)
    ));
    say_verdict("start, ms", least, START, false);
    say_verdict("resident, MiB", largest, MEMORY, false);
    say_load();
    Ok(())
}

struct Started {
    milliseconds: f64,
    mebibytes: f64,
}

/// Starts the server, looks at it, and ends it.
fn once(program: &Path, home: &Path) -> Result<Started> {
    let data = home.join("data");
    let address = data.join("address");
    fs::remove_file(&address).ok();
    let log = fs::File::create(home.join("log"))?;
    let began = Instant::now();
    let process = Command::new(program)
        .arg("serve")
        .env_clear()
        .env("JACKFIELD_LISTEN", "127.0.0.1:0")
        .env("JACKFIELD_DATA_DIR", &data)
        .env("JACKFIELD_PLUGINS_DIR", home.join("plugins"))
        .env("JACKFIELD_ENCRYPTION_KEY", "00".repeat(31) + "01")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let mut server = Server(process);
    while !address.exists() {
        if began.elapsed() > PATIENCE || server.0.try_wait()?.is_some() {
            let log = fs::read_to_string(home.join("log"))?;
            return Err(format!("the server does not start:\n{log}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let log = fs::read_to_string(home.join("log"))?;
    let refused = log.matches("connector refused").count();
    if refused > 0 {
        return Err(format!("{refused} connectors were refused:\n{log}").into());
    }
    thread::sleep(SETTLE);
    let mebibytes = resident(&server.0)?;
    Ok(Started {
        milliseconds,
        mebibytes,
    })
}

/// Ends with its value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        drop(ended);
    }
}

fn resident(process: &Child) -> Result<f64> {
    let path = PathBuf::from(format!("/proc/{}/status", process.id()));
    let status = fs::read_to_string(path)?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next())
        .ok_or("the system tells no memory")?
        .parse()?;
    Ok(kibibytes / 1024.0)
}

/// The module with another slug in its manifest.
fn renamed(module: &[u8], slug: &str) -> Result<Vec<u8>> {
    const NAME: &[u8] = b"jackfield:manifest";
    let mut renamed = module.get(..8).ok_or("this is no module")?.to_vec();
    let mut rest = module.get(8..).unwrap_or_default();
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = number(after).ok_or("a section is cut")?;
        let (body, following) = after.split_at_checked(length).ok_or("a section is cut")?;
        rest = following;
        let manifest = number(body)
            .filter(|_| *id == 0)
            .and_then(|(_, name)| name.strip_prefix(NAME));
        let body = match manifest {
            Some(text) => {
                let text = std::str::from_utf8(text)?;
                let text = text.replacen("\"demo-crm\"", &format!("{slug:?}"), 1);
                [&leb(NAME.len())[..], NAME, text.as_bytes()].concat()
            }
            None => body.to_vec(),
        };
        renamed.push(*id);
        renamed.extend(leb(body.len()));
        renamed.extend(body);
    }
    Ok(renamed)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
