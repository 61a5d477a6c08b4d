//! What `seed.rb` puts into every Redmine, in numbers and names that tests may rely on.
//!
//! - Issue *n* was created and last updated *n* hours after [`START`]; issues 41 to 48 were all updated in the same
//!   second, 41 hours after it.
//! - Issue 5 is part of issue 1; every tenth issue is closed; issue 1 has an attachment and a `Severity` of `S2`.
//! - Issues 1, 4, 7 ... 28 have two comments each, by Alice and by Bob; Bob's on issue 4 is private.
//! - Projects: Support (1; members Alice and Bob), Website (2; Bob and the administrator), Shop (3, within Website;
//!   Bob), all private. Trackers: Bug, Feature, Support. Categories: Billing, Login (Support), Layout (Website).
//! - Users: admin, alice, bob and carla, who is locked; everybody's password is [`PASSWORD`]. Alice and Bob are in
//!   the group "Support team".

/// When everything else was created, RFC 3339.
pub const START: &str = "2026-01-05T08:00:00Z";
/// The password of every user.
pub const PASSWORD: &str = "correct horse battery";
/// The login of the administrator.
pub const ADMIN: &str = "admin";
/// How many issues there are.
pub const ISSUES: usize = 130;
/// How many of them are closed.
pub const CLOSED_ISSUES: usize = 13;
/// How many comments (journals with notes) there are.
pub const COMMENTS: usize = 20;
/// How many projects there are.
pub const PROJECTS: usize = 3;
/// How many users there are, with the administrator and a locked one.
pub const USERS: usize = 4;
/// How many trackers and issue categories there are.
pub const TAGS: usize = 6;
/// How many attachments there are.
pub const ATTACHMENTS: usize = 1;
/// How many groups there are.
pub const GROUPS: usize = 1;
