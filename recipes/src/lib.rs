//! What a recipe's author writes checks with, and the checks that were compiled in.
//!
//! Each `<recipe>/overlay.rs` beside this crate is a module of it, found at build time; it says
//! `use crate::prelude::*;` and defines `pub fn checks(set: &mut Checks)`. A check runs as a process of its own under
//! the protocol of [`protocol`], which is the same for executables in any language.

mod checks;
mod child;
mod context;
pub mod protocol;
mod source_hash;
mod sso;

pub use checks::{Added, Checked, Checks, Entry, Stop};
pub use child::{main, run_check};
pub use context::{Context, ContextError};
pub use protocol::{Facts, ProtocolError, SsoFacts};
pub use sso::Sso;

/// What an `overlay.rs` needs, in one line.
pub mod prelude {
    pub use crate::{Checked, Checks, Context, Stop, ensure};
    pub use ccci_core::stage::StageName as Stage;
}

use std::path::Path;

use ccci_core::atomic::{PathContext as _, PathError};

/// The checks of one recipe that are part of this program.
#[derive(Clone, Copy, Debug)]
pub struct CompiledOverlay {
    /// The recipe's folder.
    pub recipe: &'static str,
    /// The hash of the source it was built from.
    pub source_hash: &'static str,
    /// The overlay's own `checks` function.
    pub register: fn(&mut Checks),
}

impl CompiledOverlay {
    /// The overlay's checks in the order in which it adds them.
    pub fn checks(&self) -> Checks {
        let mut set = Checks::default();
        (self.register)(&mut set);
        set
    }
}

include!(concat!(env!("OUT_DIR"), "/overlays.rs"));

/// All overlays of this program, by recipe.
pub fn overlays() -> &'static [CompiledOverlay] {
    OVERLAYS
}

/// The overlay of one recipe, if it has one in Rust.
pub fn overlay(recipe: &str) -> Option<&'static CompiledOverlay> {
    OVERLAYS.iter().find(|o| o.recipe == recipe)
}

/// The hash of the Rust source in a recipe's folder, or `None` when it has no `overlay.rs`.
pub fn source_hash(folder: &Path) -> Result<Option<String>, PathError> {
    source_hash::of(folder).path("read the Rust source of", folder)
}
