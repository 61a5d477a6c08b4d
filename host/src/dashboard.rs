//! The pages of operators.
