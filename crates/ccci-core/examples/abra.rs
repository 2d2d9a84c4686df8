//! Lists the secrets of an app: `cargo run -p ccci-core --example abra -- wiki.example.org`.
//!
//! Uses the `abra` on `PATH` and the root directory in `$ABRA_DIR`, or `~/.abra`. Values are never shown: abra does not
//! give them.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example is its own edge")]

use std::path::PathBuf;

use ccci_core::abra::Abra;
use ccci_core::names::AppDomain;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let domain: AppDomain = std::env::args().nth(1).ok_or("usage: abra <domain>")?.parse()?;
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".abra"));
    let dir = std::env::var_os("ABRA_DIR").map(PathBuf::from).or(home).ok_or("set ABRA_DIR")?;
    for secret in Abra::new("abra", dir).secrets(&domain).await? {
        let state = if secret.created { "in the swarm" } else { "missing" };
        println!("{} {} {state}", secret.name, secret.version);
    }
    Ok(())
}
