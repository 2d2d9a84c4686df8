//! The catalogue as git sees it: hermetic, git only.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look with git itself, and a panic is a failure"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccci_core::version::RecipeVersion;
use ccci_lab::catalogue::{self, Repository, TagKind};
use ccci_lab::layout::LabLayout;
use ccci_lab::work::Work;
use tempfile::TempDir;

struct Built {
    dir: TempDir,
    layout: LabLayout,
}

impl Built {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let built = Self { layout: LabLayout::new(dir.path()), dir };
        let repositories = built.build().await;
        assert!(repositories.iter().all(|r| r.rebuilt) && !repositories.is_empty());
        built
    }

    async fn build(&self) -> Vec<Repository> {
        catalogue::build(&Work::quiet(&self.layout)).await.unwrap()
    }

    fn git(&self, recipe: &str, args: &[&str]) -> String {
        git(&self.path(recipe), args)
    }

    fn path(&self, recipe: &str) -> PathBuf {
        self.layout.repository(recipe)
    }

    /// Every ref of every repository with its id.
    fn refs(&self) -> Vec<String> {
        catalogue::recipes().iter().map(|recipe| self.git(recipe, &["show-ref"])).collect()
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[tokio::test]
async fn failure_28_tags_are_annotated_but_for_the_declared_lightweight_ones() {
    let built = Built::new().await;
    let mut lightweight = Vec::new();
    for recipe in catalogue::recipes() {
        for release in catalogue::history(recipe).unwrap().releases {
            let tag = release.version.tag().to_owned();
            let kind = built.git(recipe, &["cat-file", "-t", &format!("refs/tags/{tag}")]);
            assert_eq!(kind == "tag", release.kind == TagKind::Annotated, "{recipe} {tag} is a {kind}");
            let subject = built.git(recipe, &["log", "-1", "--format=%s", &tag]);
            assert_eq!(subject, format!("chore: publish {tag} release"));
            if release.kind == TagKind::Lightweight {
                lightweight.push(format!("{recipe} {tag}"));
            }
        }
    }
    assert_eq!(lightweight, ["specimen-multi 0.2.0+1.1"], "the lint specimen is there, and the only one");
}

#[tokio::test]
async fn main_is_the_default_branch_and_one_commit_ahead_of_the_newest_tag() {
    let built = Built::new().await;
    for recipe in catalogue::recipes() {
        assert_eq!(built.git(recipe, &["symbolic-ref", "HEAD"]), "refs/heads/main");
        let tags = built.git(recipe, &["tag"]);
        let newest = tags.lines().map(|t| t.parse::<RecipeVersion>().unwrap()).max().unwrap();
        let ahead = built.git(recipe, &["rev-list", "--count", &format!("{newest}..main")]);
        assert_eq!(ahead, "1", "{recipe}");
        let changed = built.git(recipe, &["diff", "--name-only", newest.tag(), "main"]);
        assert_eq!(changed, "README.md", "{recipe}: main differs from {newest} by something harmless only");
        built.git(recipe, &["fsck", "--strict", "--full"]);
    }
}

#[tokio::test]
async fn every_release_carries_its_note_and_its_label() {
    let built = Built::new().await;
    for recipe in catalogue::recipes() {
        for release in catalogue::history(recipe).unwrap().releases {
            let tag = release.version.tag();
            let note = built.git(recipe, &["show", &format!("{tag}:release/{tag}")]);
            assert!(note.len() > 10, "{recipe} {tag}: {note}");
            let compose = built.git(recipe, &["show", &format!("{tag}:compose.yml")]);
            assert!(
                compose.contains(&format!("coop-cloud.${{STACK_NAME}}.version={tag}\"")),
                "{recipe} {tag}"
            );
        }
    }
}

#[tokio::test]
async fn the_branches_are_there_each_one_commit_after_its_start() {
    let built = Built::new().await;
    let wanted = [
        "adds-things",
        "crash-loop",
        "destroys-data",
        "good-change",
        "http-500",
        "main",
        "migrates-data",
        "missing-image",
        "never-healthy",
        "one-shot",
        "optional-no-image",
        "paused",
        "readme-only",
        "refused-compose",
        "rollback",
        "slow-database",
        "slow-stop",
        "unhealthy",
    ];
    let branches = built.git("custom-html", &["branch", "--format=%(refname:short)"]);
    assert_eq!(branches.lines().collect::<Vec<_>>(), wanted);
    for branch in wanted.iter().filter(|b| **b != "main") {
        assert_eq!(built.git("custom-html", &["rev-list", "--count", &format!("main..{branch}")]), "1");
        let changed = built.git("custom-html", &["diff", "--name-only", "main", branch]);
        let readme = changed == "README.md";
        assert_eq!(readme, *branch == "readme-only", "{branch}: {changed}");
    }
}

#[tokio::test]
async fn lasuite_docs_has_the_upgrade_that_moves_contents_and_the_branches_that_fail_in_one_way_each() {
    let built = Built::new().await;
    let wanted = [
        "adds-things",
        "broken-migration",
        "destroys-data",
        "drops-documents",
        "good-change",
        "literal-upstream",
        "literal-upstream-rollback",
        "main",
        "migrates-data",
        "oidc-misconfigured",
        "refused-compose",
        "unhealthy",
    ];
    let branches = built.git("lasuite-docs", &["branch", "--format=%(refname:short)"]);
    assert_eq!(branches.lines().collect::<Vec<_>>(), wanted);
    let conf = |at: &str| built.git("lasuite-docs", &["show", &format!("{at}:nginx.conf.tmpl")]);
    let [a, b, c] = ["0.9.0+v4.8.0", "1.0.0+v5.0.0", "1.0.1+v5.0.0"].map(conf);
    assert_eq!(a, b, "the upgrade to 5 keeps the literal upstreams");
    assert!(b.contains("upstream docs_backend") && !c.contains("upstream docs_backend"));
    for branch in ["literal-upstream", "literal-upstream-rollback"] {
        assert_eq!(conf(branch), b, "{branch}: as it was before the cure");
    }
}

#[tokio::test]
async fn custom_html_has_three_releases_between_which_the_software_really_changes() {
    let releases = catalogue::history("custom-html").unwrap().releases;
    let images: BTreeSet<&str> = releases
        .iter()
        .flat_map(|r| r.tree["compose.yml"].lines())
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    assert!(releases.len() >= 3);
    assert_eq!(images, BTreeSet::from(["ccci-lab/nginx:1.22.1", "ccci-lab/nginx:1.26.3"]));
}

#[test]
fn the_newest_release_wants_fewer_images_than_all_of_a_recipe() {
    let newest = catalogue::newest_images("keycloak").unwrap();
    assert_eq!(
        newest,
        BTreeSet::from(["ccci-lab/keycloak:26.5.5", "ccci-lab/mariadb:10.11"].map(str::to_owned))
    );
    let all = catalogue::images("keycloak").unwrap();
    assert!(all.is_superset(&newest) && all.contains("ccci-lab/keycloak:26.4.2"), "{all:?}");
}

#[test]
fn the_lab_can_build_every_image_that_a_recipe_names() {
    for recipe in catalogue::recipes() {
        for image in catalogue::images(recipe).unwrap() {
            assert!(ccci_lab::images::knows(&image), "{recipe} names {image}");
        }
    }
}

#[tokio::test]
async fn building_again_changes_nothing_and_another_machine_gets_the_same_ids() {
    let (built, other) = (Built::new().await, Built::new().await);
    let before = built.refs();
    assert_eq!(before, other.refs(), "commit ids depend on the embedded content only");
    let mark = built.path("custom-html").join("mark");
    std::fs::write(&mark, "").unwrap();
    let again = built.build().await;
    assert!(again.iter().all(|r| !r.rebuilt), "{again:?}");
    assert!(mark.exists(), "the repository was not touched");
}

#[tokio::test]
async fn a_repository_of_other_content_is_replaced_as_a_whole_and_nothing_else_is_left() {
    let built = Built::new().await;
    let before = built.refs();
    std::fs::write(built.path("custom-html").join("ccci-lab-content"), "1 of an older lab").unwrap();
    git(&built.path("custom-html"), &["tag", "9.9.9+9"]);
    let again = built.build().await;
    assert_eq!(again.iter().filter(|r| r.rebuilt).map(|r| r.recipe).collect::<Vec<_>>(), ["custom-html"]);
    assert_eq!(built.refs(), before);
    let names = std::fs::read_dir(built.layout.catalogue())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect::<Vec<_>>();
    assert_eq!(names.len(), catalogue::recipes().len(), "{names:?}");
}

#[tokio::test]
async fn two_builders_at_once_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let layout = LabLayout::new(dir.path());
    let work = Work::quiet(&layout);
    let (first, second) = tokio::join!(catalogue::build(&work), catalogue::build(&work));
    let (first, second) = (first.unwrap(), second.unwrap());
    for (a, b) in first.iter().zip(&second) {
        assert!(a.rebuilt != b.rebuilt, "one builds, the other finds it: {a:?} {b:?}");
    }
}

#[tokio::test]
async fn a_run_may_clone_any_commit() {
    let built = Built::new().await;
    let commit = built.git("custom-html", &["rev-parse", "crash-loop^{commit}"]);
    let clone = built.dir.path().join("clone");
    git(built.dir.path(), &["clone", "-q", &built.path("custom-html").display().to_string(), "clone"]);
    git(&clone, &["checkout", "-q", &commit]);
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
}

/// As `docs/lab-catalogue.md` has it, under the kept data's specimens.
#[tokio::test]
async fn a_clone_of_a_repository_shows_as_many_releases_as_a_test_wants() {
    let built = Built::new().await;
    let source = built.path("specimen-warm").display().to_string();
    git(built.dir.path(), &["clone", "-q", "--bare", &source, "own.git"]);
    let own = built.dir.path().join("own.git");
    git(&own, &["tag", "-d", "0.3.0+1.2", "0.4.0+1.3"]);
    git(&own, &["update-ref", "refs/heads/main", "0.2.0+1.1^{}"]);
    assert_eq!(git(&own, &["tag"]), "0.1.0+1.0\n0.2.0+1.1");
    // Not `tag 0.3.0+1.2`: that brings the other tags of commits that are there, too.
    git(&own, &["fetch", "-q", "--no-tags", "origin", "refs/tags/0.3.0+1.2:refs/tags/0.3.0+1.2"]);
    assert_eq!(git(&own, &["tag"]), "0.1.0+1.0\n0.2.0+1.1\n0.3.0+1.2");
    assert_eq!(git(&own, &["rev-list", "--count", "main..0.3.0+1.2"]), "1");
}

/// A working tree as its author has it: one release, a commit more, and a change that is in none.
fn own_tree(dir: &Path) -> PathBuf {
    let tree = dir.join("blog");
    std::fs::create_dir_all(&tree).unwrap();
    let compose = "services:\n  app:\n    image: 'nginx:1.22.1'\n  db:\n    image: ccci-lab/busybox:1\n  x:\n    image: a:${V}\n";
    std::fs::write(tree.join("compose.yml"), compose).unwrap();
    let run = |words: &str| {
        git(&tree, &["-c user.name=a -c user.email=a@b.test", words].join(" ").split(' ').collect::<Vec<_>>())
    };
    for words in ["init -q --initial-branch=trunk", "add .", "commit -q -m one", "tag -a 1.0.0+1.27 -m one"] {
        run(words);
    }
    std::fs::write(tree.join("README.md"), "words\n").unwrap();
    for words in ["add .", "commit -q -m two"] {
        run(words);
    }
    tree
}

#[tokio::test]
async fn a_recipe_of_somebodys_own_is_copied_in_and_taken_anew() {
    let built = Built::new().await;
    let (tree, work) = (own_tree(built.dir.path()), Work::quiet(&built.layout));
    let source = tree.display().to_string();
    let added = catalogue::add(&work, &source, None).await.unwrap();
    assert!(!added.again && !added.uncommitted, "{added:?}");
    assert_eq!(added.foreign_images, ["nginx:1.22.1"], "which is not ccci-lab/nginx:1.22.1");
    let own = added.own;
    assert_eq!((own.recipe.as_str(), own.branch.as_deref()), ("blog", Some("trunk")));
    assert_eq!(own.releases, ["1.0.0+1.27"]);
    assert_eq!(own.tip, git(&tree, &["rev-parse", "HEAD"]));
    assert_eq!(built.git("blog", &["rev-parse", "trunk"]), own.tip);
    assert_eq!(built.git("blog", &["cat-file", "-t", "1.0.0+1.27"]), "tag");
    // The lab's own are built again beside it, and it stays.
    assert!(built.build().await.iter().all(|repository| !repository.rebuilt));
    assert_eq!(catalogue::all(&built.layout).last().map(String::as_str), Some("blog"));
    assert_eq!(catalogue::all(&built.layout).len(), catalogue::recipes().len() + 1);
    std::fs::write(tree.join("README.md"), "other words\n").unwrap();
    git(&tree, &["tag", "-d", "1.0.0+1.27"]);
    let again = catalogue::add(&work, &source, None).await.unwrap();
    assert!(again.again && again.uncommitted && again.own.releases.is_empty(), "{again:?}");
    assert_eq!(built.git("blog", &["tag"]), "", "what is gone there is gone here");
    let other = catalogue::add(&work, &source, Some("weblog".parse().unwrap())).await.unwrap();
    assert_eq!((other.own.recipe.as_str(), other.again), ("weblog", false));
}

#[tokio::test]
async fn what_is_no_recipe_of_somebodys_own_is_not_added() {
    let built = Built::new().await;
    let (dir, work) = (built.dir.path(), Work::quiet(&built.layout));
    let refused = async |source: &Path, name: Option<&str>| {
        let name = name.map(|name| name.parse().unwrap());
        let error = catalogue::add(&work, &source.display().to_string(), name).await.unwrap_err();
        assert!(error.is_bad_input(), "{error:?}");
        error.to_string()
    };
    let tree = own_tree(dir);
    let text = refused(&tree, Some("custom-html")).await;
    assert_eq!(text, "the lab has a recipe `custom-html` of its own: give yours another name with --name");
    assert!(refused(&dir.join("nothing"), None).await.ends_with("nothing: it does not exist"));
    std::fs::create_dir_all(dir.join("plain")).unwrap();
    let text = refused(&dir.join("plain"), None).await;
    assert!(text.contains("plain cannot be read as a git repository"), "{text}");
    git(&dir.join("plain"), &["init", "-q"]);
    let text = refused(&dir.join("plain"), None).await;
    assert!(text.contains("has no default branch with a commit"), "{text}");
    assert_eq!(catalogue::all(&built.layout).len(), catalogue::recipes().len());
    let left = std::fs::read_dir(built.layout.catalogue()).unwrap().flatten();
    assert!(
        left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with('.')),
        "half a copy"
    );
}

#[test]
fn an_unknown_recipe_is_an_error_that_lists_the_known_ones() {
    let error = catalogue::history("no-such").unwrap_err().to_string();
    assert!(error.contains("custom-html"), "{error}");
}
