//! Checks in Rust, for those who build ccci themselves: call this file `overlay.rs`, and build ccci again after each change of
//! it. Under this name it is ignored; delete it if you have none.

use crate::prelude::*;

/// The checks, in the order in which they run. The name of a check is its path:
/// `<recipe>::upgrade::still-the-same`.
pub fn checks(set: &mut Checks) {
    // Before the upgrade: prepare what a check looks for afterwards.
    set.before(Stage::Upgrade, "notes-the-front-page", note_the_front_page);
    // After it. Options where you want other than the defaults.
    set.check(Stage::Upgrade, "still-the-same", the_front_page_is_still_the_same).timeout(60);
}

async fn note_the_front_page(context: Context) -> Checked {
    let status = context.get("/").await?.status();
    // What one check saves, a later one of the same run can load.
    context.save("front-page-status", status.as_str())?;
    Ok(())
}

async fn the_front_page_is_still_the_same(context: Context) -> Checked {
    // Compare with what the tested release should do, not with the one text that it happens to have today.
    let before = context.load("front-page-status")?;
    if before.starts_with('5') {
        return Err(Stop::skip("the front page was broken before the upgrade already"));
    }
    let after = context.get("/").await?.status();
    ensure!(
        after.as_str() == before,
        "the front page gave {before} before the upgrade and gives {after} now"
    );
    Ok(())
}
