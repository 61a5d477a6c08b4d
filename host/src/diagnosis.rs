//! From what is stored to causes and next steps.
