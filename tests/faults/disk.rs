//! A disk that is full: writes are refused with a reason, reads work, and when there is space
//! again everything goes on by itself.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use jackfield_tests::{Backend, faulty::FaultyProvider, until_within};
use serde_json::json;

use crate::stand::{self, Stand};

/// How long the disk stays full.
const FULL_FOR: Duration = Duration::from_secs(4);

/// A file system of its own of 48 MiB in memory.
struct Disk(PathBuf);

impl Disk {
    fn mount() -> Self {
        let folder = tempfile::Builder::new().prefix("jackfield-disk-").tempdir();
        let folder = folder.expect("a folder can be made").keep();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(&folder)
            .status()
            .expect("mount is there");
        assert!(
            status.success(),
            "a small file system cannot be mounted: run the tests as root, in a container with the right CAP_SYS_ADMIN"
        );
        Self(folder)
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = File::create(&filler).expect("the disk is writable");
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![b'x'; size]).is_err() {
                size /= 2;
            }
        }
        filler
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
        drop(fs::remove_dir(&self.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_reads_work_and_writes_go_on_when_there_is_space() {
    let disk = Disk::mount();
    let provider = FaultyProvider::start(300).await;
    let server = stand::builder(Backend::Sqlite, &provider).await;
    let path = |name: &str| Path::new(&disk.0).join(name).display().to_string();
    let server = server
        .set(
            "JACKFIELD_DATABASE_URL",
            &format!("sqlite:{}", path("jackfield.db")),
        )
        .set("JACKFIELD_DATA_DIR", &path("data"));
    let mut stand = Stand::around(Backend::Sqlite, provider, server.start().await).await;
    stand.api.synced("crm").await;
    stand.rest().await;

    let filler = disk.fill();
    let full = Instant::now();
    let refused = until_within(Duration::from_secs(20), "writing is refused", async || {
        // The last free pages of the file itself are used up by and by.
        let body = json!({ "linked_user_origin_id": full.elapsed().as_nanos().to_string(), "alias": "x".repeat(250) });
        let answer = stand.api.post("/linked_users", &body).await;
        (answer.status >= 400).then_some(answer)
    });
    let refused = refused.await;
    let body = refused.json(507);
    assert_eq!(body["code"], "storage_full", "{body}");
    let kind = refused
        .headers
        .get("content-type")
        .expect("an answer has a type");
    assert_eq!(kind, "application/problem+json");
    let mut reads = 0;
    loop {
        assert_eq!(stand.api.all("/crm/contacts").await.len(), 300);
        reads += 1;
        if full.elapsed() > FULL_FOR {
            break;
        }
    }
    // Both sides go on meanwhile.
    for id in 10_001..10_050 {
        let change = json!({ "family_name": "while the disk was full" });
        let collection = jackfield::demo::Collection::People;
        stand
            .provider
            .demo
            .change(collection, id, change)
            .expect("there are people");
    }
    fs::remove_file(filler).expect("the filler is there");
    let space = Instant::now();
    until_within(Duration::from_secs(20), "writing works again", async || {
        let body = json!({ "linked_user_origin_id": "again", "alias": "x" });
        (stand.api.post("/linked_users", &body).await.status == 201).then_some(())
    })
    .await;
    let writes = space.elapsed();
    stand.rest().await;
    println!(
        "| disk full | Sqlite | {reads} reads | writes again after {} ms, all read after {} ms |",
        writes.as_millis(),
        space.elapsed().as_millis()
    );
    stand.compare().await;
    stand.figures.print("disk full", Backend::Sqlite);
}
