//! What GNU tar makes of our archives: everything but sockets, whose kind it cannot know.

use ccci_snap::Method;

use crate::kinds;
use crate::lister::{diff, list};
use crate::world::{Fs, World, sh};

#[test]
fn gnu_tar_reads_all_but_sockets() {
    let world = World::new(Fs::Ext4, 400, &["app_data"]);
    let tree = world.tree("app_data");
    kinds::make(&tree);
    let snapshot = world.keep(Method::Tar);
    let tar = snapshot.dir().join("volumes/app_data.tar");
    let out = world.root.join("out");
    std::fs::create_dir(&out).unwrap();
    let flags = "--xattrs --xattrs-include='*' --acls --numeric-owner --same-owner -p";
    sh(&out, &format!("tar {flags} -xf {}", tar.display()));
    let sockets = sh(&tree, "find . -type s -printf '%P\\n'");
    let sockets: Vec<&str> = sockets.lines().collect();
    assert_eq!(sockets.len(), 3);
    let lost = diff(&list(&tree), &list(&out));
    let others: Vec<&String> = lost.iter().filter(|l| !sockets.iter().any(|s| l.contains(s))).collect();
    assert_eq!(others, [""; 0]);
    let made_files = lost.iter().filter(|l| l.starts_with("+ \"") && l.contains(" f ")).count();
    assert_eq!(made_files, sockets.len(), "a socket is an empty file there: {lost:#?}");
}
