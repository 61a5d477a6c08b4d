//! The pages of end customers: connect links.
