//! A crate as its source has it: the modules that its `mod` lines name, what each of them names elsewhere, and its functions. Read by a parser, so
//! that neither comments nor strings count; what is there for tests only is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A module by its path below the crate's root; the root has an empty one.
pub(crate) type Name = Vec<String>;

/// A crate.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    /// Its name as paths have it: `ccci_core`.
    pub(crate) name: String,
    /// What its root is: `lib`, or `main` where there is no library.
    pub(crate) root: &'static str,
    pub(crate) modules: BTreeMap<Name, Module>,
    /// The lines of each file.
    pub(crate) files: BTreeMap<PathBuf, usize>,
}

/// A module: a file, or a block `mod x { … }` in one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// What it names, in `use` lines and anywhere else.
    pub(crate) paths: Vec<Named>,
    /// What its `use` lines bring in, by the name that it has then.
    pub(crate) imports: BTreeMap<String, Name>,
    pub(crate) functions: Vec<Function>,
}

/// A path, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Name,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
}

/// A function's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) lines: usize,
    /// Parameters, `self` not counted.
    pub(crate) parameters: usize,
    /// Parameters that are tuples: several in the place of one.
    pub(crate) tuples: usize,
    /// Whether it takes the runner's whole world.
    pub(crate) takes_world: bool,
}

impl Crate {
    /// Reads the crate whose sources lie in `src`: what `lib.rs` declares, and `main.rs` beside it or alone.
    pub(crate) fn read(name: &str, src: &Path) -> Self {
        let mut read = Self { name: name.to_owned(), ..Self::default() };
        let (lib, main) = (src.join("lib.rs"), src.join("main.rs"));
        read.root = if lib.is_file() { "lib" } else { "main" };
        if lib.is_file() {
            read.file(&lib, &Vec::new(), src);
        }
        if main.is_file() {
            let name = if lib.is_file() { vec!["main".to_owned()] } else { Vec::new() };
            read.file(&main, &name, src);
        }
        assert!(!read.modules.is_empty(), "{} has no crate", src.display());
        read
    }

    /// A crate of these texts, by the module that each is: for what the walker itself is tried on.
    pub(crate) fn of(texts: &[(&str, &str)]) -> Self {
        let mut made = Self { name: "planted".to_owned(), root: "lib", ..Self::default() };
        for (name, text) in texts {
            let name: Name = name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            made.text(text, name, Path::new("planted.rs"));
        }
        made
    }

    fn file(&mut self, file: &Path, name: &Name, children: &Path) {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.files.insert(file.to_owned(), text.lines().count());
        for declared in self.text(&text, name.clone(), file) {
            // Blocks have a folder of their own name too.
            let inner = declared[name.len()..declared.len() - 1]
                .iter()
                .fold(children.to_owned(), |dir, part| dir.join(part));
            let last = declared.last().unwrap();
            let folder = inner.join(last);
            let file = [inner.join(format!("{last}.rs")), folder.join("mod.rs")]
                .into_iter()
                .find(|file| file.is_file());
            let file = file.unwrap_or_else(|| {
                panic!("no file of the module {} below {}", declared.join("::"), inner.display())
            });
            self.file(&file, &declared, &folder);
        }
    }

    /// Takes in the text of a module, and gives the modules that it declares in files of their own.
    fn text(&mut self, text: &str, name: Name, file: &Path) -> Vec<Name> {
        let parsed = syn::parse_file(text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut walk = Walk { into: self, at: name.clone(), file, declared: Vec::new() };
        walk.into.modules.entry(name).or_default();
        walk.visit_file(&parsed);
        walk.declared
    }
}

/// The walk through one file.
struct Walk<'a> {
    into: &'a mut Crate,
    at: Name,
    file: &'a Path,
    declared: Vec<Name>,
}

impl Walk<'_> {
    fn module(&mut self) -> &mut Module {
        self.into.modules.entry(self.at.clone()).or_default()
    }

    fn name(&mut self, path: Name, line: usize) {
        let file = self.file.to_owned();
        self.module().paths.push(Named { path, file, line });
    }

    /// Takes in what a `use` brings, one path for each leaf of its tree.
    fn tree(&mut self, tree: &syn::UseTree, before: &Name, line: usize) {
        let with = |ident: &syn::Ident| [before.as_slice(), &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident), line),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before, line)),
            syn::UseTree::Glob(_) => self.name(before.clone(), line),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.leaf(before.clone(), before.last().cloned(), line);
            }
            syn::UseTree::Name(name) => self.leaf(with(&name.ident), Some(name.ident.to_string()), line),
            syn::UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.clone() } else { with(&rename.ident) };
                self.leaf(path, Some(rename.rename.to_string()), line);
            }
        }
    }

    fn leaf(&mut self, path: Name, name: Option<String>, line: usize) {
        if let Some(name) = name {
            self.module().imports.insert(name, path.clone());
        }
        self.name(path, line);
    }

    /// Paths in what only a macro or an attribute reads: names joined by `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Name = Vec::new();
        let (mut colons, mut line) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.ended(&mut path, line);
                    }
                    (colons, line) = (0, ident.span().start().line);
                    path.push(ident.to_string());
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                other => {
                    self.ended(&mut path, line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.ended(&mut path, line);
    }

    fn ended(&mut self, path: &mut Name, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.name(path, line);
        }
    }

    fn function(&mut self, signature: &syn::Signature, end: usize) {
        let typed = signature.inputs.iter().filter_map(|input| match input {
            syn::FnArg::Typed(typed) => Some(&*typed.ty),
            syn::FnArg::Receiver(_) => None,
        });
        let start = signature.span().start().line;
        let function = Function {
            name: signature.ident.to_string(),
            file: self.file.to_owned(),
            lines: end + 1 - start,
            parameters: typed.clone().count(),
            tuples: typed.clone().filter(|ty| is_tuple(ty)).count(),
            takes_world: typed.clone().any(is_world),
        };
        self.module().functions.push(function);
    }
}

/// A tuple of more than nothing, perhaps behind a reference.
fn is_tuple(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Tuple(tuple) => !tuple.elems.is_empty(),
        syn::Type::Reference(reference) => is_tuple(&reference.elem),
        _ => false,
    }
}

/// `&World`, whatever stands before its name.
fn is_world(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "World"),
        syn::Type::Reference(reference) => is_world(&reference.elem),
        _ => false,
    }
}

/// `#[cfg(test)]`, also with other conditions beside it.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    fn has_test(tokens: TokenStream) -> bool {
        let mut negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) if ident == "not" => {
                negated = true;
                false
            }
            TokenTree::Ident(ident) => ident == "test",
            TokenTree::Group(group) => !std::mem::take(&mut negated) && has_test(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && has_test(list.tokens.clone()),
        _ => false,
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.at.push(module.ident.to_string());
        match &module.content {
            Some((_, items)) => {
                self.module();
                for item in items {
                    self.visit_item(item);
                }
            }
            None => self.declared.push(self.at.clone()),
        }
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &Vec::new(), item.span().start().line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Name = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 && path.leading_colon.is_none() {
            self.name(names, path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in crate::x)` says who may look in, which is no arrow.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.span().end().line);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[syn::Attribute] = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.span().end().line);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.span().end().line);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }
}
