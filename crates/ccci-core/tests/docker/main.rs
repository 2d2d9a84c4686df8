//! Docker's own reading of compose files as judge of ours: `docker stack config`, for which its client is enough. Recipes are
//! deployed by docker's parser, so that what ours reads otherwise is a misreading, or stands in a list with its reason.
#![expect(clippy::disallowed_methods, reason = "tests write files and start programs themselves")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod corpus;
mod generated;
mod judge;
mod reading;
mod yaml;
