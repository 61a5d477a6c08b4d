//! Jackfield: a self-hosted unified API server whose connectors are sandboxed WebAssembly components.
