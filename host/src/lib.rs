//! Jackfield: a self-hosted unified API server whose connectors are sandboxed WebAssembly
//! components.
//!
//! The modules stand in levels, and each imports only from lower ones; `ARCHITECTURE.md` has the
//! map and `tests/tidy.rs` keeps it true.
#![warn(missing_docs, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    expect(
        clippy::indexing_slicing,
        reason = "a test may panic on what it did not expect"
    )
)]

// First: its macro is for all that follow.
#[macro_use]
mod fault_point;

pub mod access;
pub mod app;
pub mod author;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod demo;
pub mod diagnosis;
pub mod egress;
pub mod http;
pub mod jobs;
pub mod market;
pub mod mcp;
pub mod model;
pub mod portal;
pub mod runtime;
pub mod store;
pub mod telemetry;
pub mod unify;
pub mod vault;
pub mod web;
pub mod webhook;
