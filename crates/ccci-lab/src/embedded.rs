//! The files of `catalogue/` and `images/`, carried inside the library as sorted tables of (path, content).

/// One embedded file: its path below the folder, with `/`, and its content.
pub type File = (&'static str, &'static [u8]);

/// The recipes of the lab's catalogue.
pub static CATALOGUE: &[File] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The build contexts of the lab's images: `<image>/Dockerfile` and what it copies.
pub static IMAGES: &[File] = include!(concat!(env!("OUT_DIR"), "/images.rs"));
