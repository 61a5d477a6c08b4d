//! What the tools of other languages need of the contract, and what a component of theirs lacks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::Error;
use crate::model::{MANIFEST_SECTION, Manifest, SAMPLES_SECTION};

const FILES: [(&str, &str); 7] = [
    ("choices.wit", include_str!("../../../../wit/choices.wit")),
    (
        "connector.wit",
        include_str!("../../../../wit/connector.wit"),
    ),
    (
        "discovery.wit",
        include_str!("../../../../wit/discovery.wit"),
    ),
    ("host.wit", include_str!("../../../../wit/host.wit")),
    ("http.wit", include_str!("../../../../wit/http.wit")),
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("webhooks.wit", include_str!("../../../../wit/webhooks.wit")),
];
const WORLDS: &str = "worlds.wit";

/// The optional interfaces, in the order in which the names of worlds have them.
const OPTIONAL: [&str; 3] = ["webhooks", "discovery", "choices"];

/// The contract in a folder that goes when this is dropped, with a world for each set of optional
/// interfaces: `guest`, `guest-webhooks` … `guest-webhooks-discovery-choices`.
///
/// These tools import all of a world, used or not. Secrets are left out where the manifest asks
/// for none, since the imports are what people are told that a connector can reach.
pub(super) fn unpack(manifest: &Manifest) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("jackfield-wit-")
        .tempdir()?;
    for (name, text) in FILES {
        fs::write(folder.path().join(name), text)?;
    }
    let signs = !manifest.permissions.secrets.is_empty() || manifest.webhooks.is_some();
    let secrets = if signs { "import secrets; " } else { "" };
    let sets = (0..1_u32 << OPTIONAL.len()).map(|set| {
        let chosen = OPTIONAL.into_iter().enumerate();
        let chosen = chosen.filter(|(bit, _)| set >> bit & 1 == 1);
        chosen.map(|(_, name)| name).collect::<Vec<_>>()
    });
    let worlds: Vec<String> = sets.map(|optional| {
        let exports = optional.iter().map(|name| format!("export {name}; "));
        let exports = exports.collect::<Vec<_>>().concat();
        let name = world(&optional);
        format!(
            "world {name} {{ import types; import http; {secrets}import log; import clock; export connector; {exports}}}"
        )
    }).collect();
    let worlds = format!(
        "package jackfield:connector@0.1.0;\n{}\n",
        worlds.join("\n")
    );
    fs::write(folder.path().join(WORLDS), worlds)?;
    Ok(folder)
}

/// The name of the world with these optional interfaces, in the order of the contract.
pub(super) fn world(optional: &[&str]) -> String {
    [&["guest"], optional].concat().join("-")
}

/// Adds the manifest, and the fixtures that have documents as samples of what is mapped. Nothing is
/// stripped: names of functions are 2 % of such a file, and crashes are told with them.
pub(super) fn complete(component: &mut Vec<u8>, dir: &Path, manifest: &str) -> Result<(), Error> {
    append(component, MANIFEST_SECTION, manifest.as_bytes());
    for path in fixtures(&dir.join("fixtures"))? {
        let text = fs::read(&path).map_err(|error| Error::Read(path.clone(), error))?;
        let fixture: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
            Error::Read(path, io::Error::new(io::ErrorKind::InvalidData, error))
        })?;
        if fixture.get("documents").is_some() {
            append(component, SAMPLES_SECTION, &text);
        }
    }
    Ok(())
}

fn fixtures(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| Error::Read(folder.to_owned(), error))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    Ok(files)
}

/// A custom section at the end of a component: id 0, size, size of the name, name, data.
fn append(component: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut content = Vec::new();
    size(&mut content, name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    component.push(0);
    size(component, content.len());
    component.extend(content);
}

/// An unsigned LEB128.
fn size(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits fit");
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_says_how_long_it_and_its_name_are() {
        let mut component = Vec::new();
        append(&mut component, "one", b"");
        assert_eq!(component, b"\0\x04\x03one");

        component.clear();
        append(&mut component, "two", &[b'x'; 300]);
        // 4 + 300 bytes: seven bits a byte, the lowest first.
        assert_eq!(component[..7], *b"\0\xb0\x02\x03two");
        assert_eq!(component.len(), 3 + 304);
    }
}
