//! The guide for authors, from the first command to records in the unified API, as a newcomer
//! follows it.

use std::{fs, path::Path, process::Command, time::Instant};

use jackfield_tests::{
    connectors,
    snippets::{self, Block},
};

/// The fenced blocks of the guide's chapter.
fn chapter() -> Vec<Block> {
    let page = fs::read_to_string(connectors::repository().join("docs/connectors.md"))
        .expect("the page is there");
    let (_, rest) = page
        .split_once("## From nothing to records")
        .expect("the chapter is there");
    let (chapter, _) = rest.split_once("\n## ").expect("another follows");
    snippets::blocks(chapter)
}

/// A block that runs in another terminal becomes one that runs beside the rest until the end.
fn beside(mut block: Block) -> Block {
    if block.words.iter().any(|word| word == "background") {
        block.text = format!(
            "(exec {}) > output.txt 2>&1 &\nserver=$!\ntrap 'kill $server; wait $server || true' EXIT\n\
             until [ -s .jackfield/dev.env ]; do kill -0 $server || {{ cat output.txt; exit 1; }}; sleep 0.2; done\n",
            block.text.trim_end()
        );
    }
    block
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guide_leads_from_nothing_to_records() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let here = connectors::target();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let environment = [
        (
            "PATH",
            format!("{}/debug:{}", here.display(), path.to_string_lossy()),
        ),
        ("JACKFIELD", connectors::repository().display().to_string()),
        // Any port: others may run beside this.
        ("JACKFIELD_LISTEN", "127.0.0.1:0".to_owned()),
        // Builds share their target folder, so that only the first one on a machine takes long.
        (
            "CARGO_TARGET_DIR",
            here.join("test-guide").display().to_string(),
        ),
    ];
    let blocks: Vec<Block> = chapter().into_iter().map(beside).collect();
    let scratch = folder.path().to_owned();
    let begun = Instant::now();
    let work = move || snippets::run_shell("connectors.md", &blocks, &environment, &scratch);
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(minutes < 15, "the commands alone take {minutes} minutes");
    let built = folder.path().join("my-connectors/dist/shop-crm.wasm");
    assert!(built.is_file());
    says_what_is_wrong(&built, folder.path());
}

/// The exit codes and texts that scripts and people rely on.
fn says_what_is_wrong(built: &Path, folder: &Path) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(connectors::target().join("debug/jackfield"));
        let output = command
            .arg("connector")
            .args(arguments)
            .current_dir(folder)
            .output();
        let output = output.expect("the program starts");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let file = built.display().to_string();
    // Without the folder of its fixtures it has what it carries: no exchange of who logs in.
    let (code, text) = run(&["test", &file]);
    assert!(code == Some(0) || text.contains("failed"), "{text}");
    assert!(text.contains("paging crm.contact"), "{text}");
    let (code, text) = run(&["bench", &file, "--seconds", "0.1", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let manifest = folder.join("my-connectors/shop-crm/connector.toml");
    let good = fs::read_to_string(&manifest).expect("it is there");
    fs::write(&manifest, good.replace("operations = ", "operatons = ")).expect("it is writable");
    let crate_dir = folder.join("my-connectors/shop-crm").display().to_string();
    let (code, text) = run(&["validate", &crate_dir]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("connector.toml:") && text.contains("did you mean `operations`?"),
        "{text}"
    );
}
