//! Tests that have the lab alone, since they disturb it. Their names come first, so that they are over, one
//! after the other, before the others run side by side: a test that waits for the lab alone keeps all others waiting.

mod engine;
mod foreign;
