//! ccci
fn main() {}
