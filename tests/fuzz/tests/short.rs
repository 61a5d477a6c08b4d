//! Every target over its corpus, and over copies of it that were changed by a fixed rule: the
//! same in every run, and over within seconds. `JACKFIELD_TEST_COPIES` says how many others, and
//! `just fuzz` lets libFuzzer look for them.

use std::{fs, path::Path};

use jackfield_fuzz::{TARGETS, Target};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

/// Changed copies for each target where nobody says another number.
const COPIES: usize = 3_000;
/// Pieces that mean something somewhere.
const WORDS: [&[u8]; 20] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x7f",
    b"../",
    b"%2e%2e/",
    b"*.",
    b"@",
    b":",
    b"://",
    b"\n",
    b"[",
    b"{",
    b"\"",
    b"null",
    b"-1",
    b"1e999",
    b"{x}",
    b"\\u0000",
    b"\xef\xbf\xbd",
    b"=",
];

fn run(name: &str, target: Target) {
    let corpus = corpus(name);
    for seed in &corpus {
        target(seed);
    }
    let mut random = SmallRng::seed_from_u64(7);
    let copies = std::env::var_os("JACKFIELD_TEST_COPIES").map_or(COPIES, |number| {
        let number = number.to_str().and_then(|number| number.parse().ok());
        number.expect("JACKFIELD_TEST_COPIES is a number")
    });
    for _ in 0..copies {
        target(&changed(&corpus, &mut random));
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let files = fs::read_dir(folder).expect("every target has a corpus");
    let mut paths: Vec<_> = files
        .map(|file| file.expect("the folder can be read").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "the corpus of {name} is empty");
    paths
        .iter()
        .map(|path| fs::read(path).expect("the file can be read"))
        .collect()
}

/// A seed with a few of: bytes changed, taken out, doubled, and pieces of others or words put in.
fn changed(corpus: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
    let mut pick = |many: usize| random.random_range(0..many.max(1));
    let mut bytes = corpus[pick(corpus.len())].clone();
    for _ in 0..=pick(4) {
        let at = pick(bytes.len() + 1).min(bytes.len());
        let end = (at + pick(16)).min(bytes.len());
        match pick(5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << pick(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let other = &corpus[pick(corpus.len())];
                let from = pick(other.len() + 1).min(other.len());
                let to = (from + pick(64)).min(other.len());
                bytes.splice(at..end, other[from..to].to_vec());
            }
            _ => {
                let word = WORDS[pick(WORDS.len())];
                bytes.splice(at..at, word.to_vec());
            }
        }
    }
    bytes
}

/// One test for each target, so that they run side by side and a failure has a name.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), jackfield_fuzz::$name);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert_eq!(run, TARGETS.map(|(name, _)| name));
        }
    };
}

targets!(manifest component boundary cursor rule provider_json);
