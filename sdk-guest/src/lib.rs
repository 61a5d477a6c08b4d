//! Everything that the author of a Jackfield connector depends on.
