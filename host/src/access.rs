//! People who operate the server: their passwords, sessions and roles.
