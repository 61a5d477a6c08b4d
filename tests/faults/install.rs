//! Killed while a connector is installed, on the command line and in the server that takes its copy.

use std::fs;

use jackfield_tests::{Backend, Server, connectors, until};

use crate::{on_both_databases, points::PROGRAM};

on_both_databases!(killed_in_an_installation_a_connector_is_there_whole_or_not_at_all);

const FAULT_POINT: &str = "FAULT_POINT";

async fn killed_in_an_installation_a_connector_is_there_whole_or_not_at_all(backend: Backend) {
    let mut server = Server::on(backend).await.program(PROGRAM).start().await;
    let project = server.project("App");
    let file = connectors::built("demo-crm").display().to_string();
    let install = ["connector", "install", &file, "--yes"];

    server.set(FAULT_POINT, Some("install.stored:1"));
    server.refused_command(&install);
    server.set(FAULT_POINT, None);
    let list = server.command_line(&["connector", "list"]);
    assert!(!list.contains("demo-crm"), "{list}");

    // Killed as soon as it is done: the server serves it.
    server.set(FAULT_POINT, Some("install.activated:1"));
    server.refused_command(&install);
    server.set(FAULT_POINT, None);
    project.active("demo-crm").await;
    server.command_line(&["connector", "uninstall", "demo-crm"]);
    let copies = server.folder().join("data/installed");
    until("its copy is gone", async || {
        let mut left = fs::read_dir(&copies).expect("there was one");
        left.next().is_none().then_some(())
    })
    .await;
    server.stop();

    // The server is killed with half of its copy written.
    server.set(FAULT_POINT, Some("install.written:1"));
    server.start_again().await;
    server.command_line(&install);
    until("the server is killed", async || server.ended()).await;
    server.set(FAULT_POINT, None);
    server.start_again().await;
    project.at(server.base_url()).active("demo-crm").await;
}
