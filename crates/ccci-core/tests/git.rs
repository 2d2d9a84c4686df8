//! Git on real repositories: what a name means, what a checkout leaves behind, who may read what.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and may panic"
)]

use std::path::{Path, PathBuf};

use ccci_core::abra::Abra;
use ccci_core::exec::Command;
use ccci_core::git::{Checkout, Commit, Git, GitError};
use ccci_core::stand_up::{self, Order};
use ccci_core::version::RecipeVersion;

/// A recipe's repository with a working tree, as a maintainer has it.
struct Source {
    root: tempfile::TempDir,
}

impl Source {
    /// Three releases on `main` and one harmless commit after the last.
    async fn new() -> Self {
        let source = Self { root: tempfile::tempdir().unwrap() };
        std::fs::create_dir(source.dir()).unwrap();
        source.git(&["init", "--quiet", "--initial-branch=main"]).await;
        for version in ["1.0.0+1.22.1", "1.1.0+1.22.1", "1.10.0+1.26.3"] {
            source.commit("compose.yml", version).await;
            source.git(&["tag", "-a", version, "-m", version]).await;
        }
        source.commit("README.md", "words").await;
        source
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("wiki")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    async fn git(&self, args: &[&str]) -> String {
        git(&self.dir(), args).await
    }

    async fn commit(&self, file: &str, text: &str) -> Commit {
        std::fs::write(self.dir().join(file), text).unwrap();
        self.git(&["add", "."]).await;
        self.git(&["commit", "--quiet", "-m", text]).await;
        self.at("HEAD").await
    }

    async fn at(&self, revision: &str) -> Commit {
        self.git(&["rev-parse", &format!("{revision}^{{commit}}")]).await.trim().parse().unwrap()
    }

    async fn cloned(&self) -> Checkout {
        self.cloned_as("clone").await
    }

    async fn cloned_as(&self, name: &str) -> Checkout {
        Git::default().clone_into(&self.dir().to_string_lossy(), &self.path(name)).await.unwrap()
    }
}

async fn git(dir: &Path, args: &[&str]) -> String {
    let command = Command::new("git").dir(dir).args(["-c", "user.name=A", "-c", "user.email=a@example.org"]);
    let output = command.args(["-c", "safe.directory=*"]).args(args).run().await.unwrap();
    assert!(output.ok(), "{}: {}", output.command, output.stderr);
    output.stdout
}

fn version(text: &str) -> RecipeVersion {
    text.parse().unwrap()
}

/// Failures 13 and 47: the source is gone, tags and all, and the run still has what it was resolved to.
#[tokio::test]
async fn failures_13_and_47_a_clone_has_every_tag_and_branch_and_stands_alone() {
    let source = Source::new().await;
    source.git(&["branch", "feature/x", "1.0.0+1.22.1"]).await;
    let clone = source.cloned().await;
    assert!(clone.status().await.is_ok());
    assert_eq!(clone.default_branch_tip().await.unwrap(), source.at("main").await);
    let tags = clone.tags().await.unwrap();
    let seen: Vec<_> = tags.releases.iter().map(|t| (t.version.tag(), t.annotated)).collect();
    assert_eq!(seen, [("1.0.0+1.22.1", true), ("1.1.0+1.22.1", true), ("1.10.0+1.26.3", true)]);
    let newest = tags.newest().unwrap();
    assert_eq!(newest.commit, source.at("1.10.0+1.26.3").await);
    let base = clone.newest_older_than(&newest.commit, &tags).await.unwrap().unwrap();
    assert_eq!(base.version, version("1.1.0+1.22.1"));
    let base = clone.newest_older_than(&source.at("main").await, &tags).await.unwrap().unwrap();
    assert_eq!(base.version, newest.version, "the commit after a release was built on that release");
    assert!(clone.newest_older_than(&source.at("1.0.0+1.22.1").await, &tags).await.unwrap().is_none());
    std::fs::remove_dir_all(source.dir()).unwrap();
    clone.checkout(&newest.commit).await.unwrap();
    assert_eq!(clone.head().await.unwrap(), newest.commit);
}

#[tokio::test]
async fn failure_29_a_name_means_one_commit_or_is_an_error() {
    let source = Source::new().await;
    source.git(&["branch", "feature/x", "1.0.0+1.22.1"]).await;
    source.git(&["branch", "twice", "1.0.0+1.22.1"]).await;
    source.git(&["tag", "twice", "main"]).await;
    source.git(&["tag", "-a", "nested", "-m", "x", "1.1.0+1.22.1"]).await;
    let clone = source.cloned().await;
    let (main, first) = (source.at("main").await, source.at("1.0.0+1.22.1").await);
    for (name, wanted) in [
        ("main", &main),
        ("refs/heads/main", &main),
        ("feature/x", &first),
        ("1.0.0+1.22.1", &first),
        ("tags/1.0.0+1.22.1", &first),
        ("heads/twice", &first),
        ("tags/twice", &main),
        (main.as_str(), &main),
        (&main.as_str()[..7], &main),
        (first.short(), &first),
        ("nested", &source.at("1.1.0+1.22.1").await),
    ] {
        assert_eq!(&clone.resolve(name).await.unwrap(), wanted, "{name}");
    }
    let unknown = clone.resolve("1.1.0").await.unwrap_err();
    assert!(unknown.is_bad_input(), "{unknown:?}");
    let text = unknown.to_string();
    assert!(text.starts_with("there is no branch, tag or commit `1.1.0` in "), "{text}");
    assert!(text.contains("near it: `1.1.0+1.22.1`"), "{text}");
    for name in ["HEAD", "origin/main", "mainn", "deadbeef", &"f".repeat(40), &main.as_str()[..6]] {
        assert!(matches!(clone.resolve(name).await, Err(GitError::UnknownRef { .. })), "{name}");
    }
    for name in ["main~1", "--all", ""] {
        assert!(matches!(clone.resolve(name).await, Err(GitError::BadRef { .. })), "{name}");
    }
    let twice = clone.resolve("twice").await.unwrap_err();
    assert!(twice.is_bad_input() && matches!(twice, GitError::Ambiguous { .. }), "{twice:?}");
    assert!(twice.to_string().contains("`heads/twice` is"), "{twice}");
}

#[tokio::test]
async fn a_branch_that_looks_like_a_commit_is_not_taken_for_it() {
    let source = Source::new().await;
    let main = source.at("main").await;
    source.git(&["branch", main.short(), "1.0.0+1.22.1"]).await;
    let clone = source.cloned().await;
    assert!(matches!(clone.resolve(main.short()).await, Err(GitError::Ambiguous { .. })));
    assert_eq!(clone.resolve(main.as_str()).await.unwrap(), main);
}

#[tokio::test]
async fn names_are_looked_for_in_the_fork_once_there_is_one() {
    let (source, fork) = (Source::new().await, Source::new().await);
    fork.git(&["checkout", "--quiet", "-b", "change"]).await;
    let change = fork.commit("compose.yml", "changed").await;
    fork.git(&["tag", "--force", "-a", "9.0.0+9", "-m", "not ours"]).await;
    fork.git(&["tag", "--force", "-a", "1.0.0+1.22.1", "-m", "moved"]).await;
    source.git(&["branch", "only-here"]).await;
    let mut clone = source.cloned().await;
    clone.add_fork(&fork.dir().to_string_lossy()).await.unwrap();
    assert_eq!(clone.resolve("change").await.unwrap(), change);
    assert_eq!(clone.resolve("main").await.unwrap(), fork.at("main").await);
    assert_eq!(clone.default_branch_tip().await.unwrap(), change, "the branch the fork's HEAD is on");
    let error = clone.resolve("only-here").await.unwrap_err();
    assert!(error.to_string().contains(&*fork.dir().to_string_lossy()), "{error}");
    let tags = clone.tags().await.unwrap();
    assert_eq!(tags.releases.len(), 3, "a fork publishes no releases");
    assert_eq!(tags.releases[0].commit, source.at("1.0.0+1.22.1").await);
    assert_eq!(clone.resolve(source.at("main").await.as_str()).await.unwrap(), source.at("main").await);
}

#[tokio::test]
async fn a_commit_that_no_branch_holds_is_fetched_by_its_name() {
    let source = Source::new().await;
    let gone = source.commit("compose.yml", "rebased away").await;
    source.git(&["reset", "--quiet", "--hard", "HEAD~1"]).await;
    let clone = source.cloned().await;
    assert_eq!(clone.resolve(gone.as_str()).await.unwrap(), gone);
    clone.checkout(&gone).await.unwrap();
    assert_eq!(std::fs::read_to_string(clone.dir().join("compose.yml")).unwrap(), "rebased away");
}

#[tokio::test]
async fn failure_23_a_checkout_is_exactly_the_commit() {
    let source = Source::new().await;
    std::fs::write(source.dir().join(".gitignore"), "*.log\n").unwrap();
    source.commit("x", "x").await;
    let clone = source.cloned().await;
    let (head, first) = (source.at("main").await, source.at("1.0.0+1.22.1").await);
    clone.checkout(&head).await.unwrap();
    assert!(clone.status().await.unwrap().is_empty());
    for file in ["compose.ccci.yml", "über uns.txt", "compose.yml", "ignored.log"] {
        std::fs::write(clone.dir().join(file), "mine").unwrap();
    }
    std::fs::create_dir_all(clone.dir().join("sub/dir")).unwrap();
    std::fs::write(clone.dir().join("sub/dir/file"), "mine").unwrap();
    std::fs::remove_file(clone.dir().join("README.md")).unwrap();
    let status = clone.status().await.unwrap();
    assert_eq!(status, ["README.md", "compose.ccci.yml", "compose.yml", "sub/dir/file", "über uns.txt"]);
    git(&clone.dir().join("sub"), &["init", "--quiet"]).await;
    clone.checkout(&first).await.unwrap();
    assert!(clone.status().await.unwrap().is_empty());
    let mut left: Vec<_> = std::fs::read_dir(clone.dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".git", "compose.yml"]);
    assert_eq!(clone.head().await.unwrap(), first);
}

#[tokio::test]
async fn commits_are_compared_without_a_checkout() {
    let source = Source::new().await;
    let clone = source.cloned().await;
    let (old, new) = (source.at("1.0.0+1.22.1").await, source.at("main").await);
    assert!(clone.is_ancestor(&old, &new).await.unwrap() && !clone.is_ancestor(&new, &old).await.unwrap());
    assert!(clone.is_ancestor(&old, &old).await.unwrap());
}

#[tokio::test]
async fn failure_44_lint_gets_a_scratch_clone_that_the_run_does_not_touch() {
    let (source, fork) = (Source::new().await, Source::new().await);
    fork.git(&["checkout", "--quiet", "-b", "change"]).await;
    let change = fork.commit("compose.yml", "changed").await;
    let mut clone = source.cloned().await;
    clone.add_fork(&fork.dir().to_string_lossy()).await.unwrap();
    std::fs::write(clone.dir().join("compose.ccci.yml"), "ours").unwrap();
    let scratch = clone.scratch(&source.path("scratch/recipes/wiki"), &change).await.unwrap();
    assert_eq!(std::fs::read_to_string(scratch.dir().join("compose.yml")).unwrap(), "changed");
    assert!(!scratch.dir().join("compose.ccci.yml").exists());
    assert_eq!(scratch.tags().await.unwrap(), clone.tags().await.unwrap());
    let origin = git(scratch.dir(), &["remote", "get-url", "origin"]).await;
    assert_eq!(Path::new(origin.trim()), clone.dir(), "tags are fetched from here, not from the network");
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_not_bad_input() {
    let dir = tempfile::tempdir().unwrap();
    let error = Git::default().clone_into("/no/such/recipe.git", &dir.path().join("x")).await.unwrap_err();
    assert!(matches!(error, GitError::Clone { .. }) && !error.is_bad_input(), "{error:?}");
    assert!(error.to_string().contains("/no/such/recipe.git"), "{error}");
    let bare = dir.path().join("bare");
    std::fs::create_dir(&bare).unwrap();
    git(&bare, &["init", "--quiet", "--bare"]).await;
    let empty = Git::default().clone_into(&bare.to_string_lossy(), &dir.path().join("y")).await.unwrap();
    assert!(matches!(empty.default_branch_tip().await, Err(GitError::NoDefaultBranch { .. })));
    for source in ["-x", "", "https://me:hunter22@git.example.org/wiki.git"] {
        let error = Git::default().clone_into(source, &dir.path().join("z")).await.unwrap_err();
        assert!(error.is_bad_input() && !format!("{error} {error:?}").contains("hunter22"), "{error:?}");
    }
}

#[tokio::test]
async fn a_source_of_another_owner_is_read_and_no_hook_runs() {
    let source = Source::new().await;
    give_away(&source.dir()).await;
    let clone = source.cloned().await;
    let hook = clone.dir().join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\ntouch ../hook-ran\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    clone.checkout(&clone.default_branch_tip().await.unwrap()).await.unwrap();
    assert!(!source.path("hook-ran").exists());
    give_away(clone.dir()).await;
    assert_eq!(clone.status().await.unwrap(), Vec::<String>::new());
    let copy = clone.scratch(&source.path("scratch"), &clone.head().await.unwrap()).await;
    assert!(copy.is_ok(), "{copy:?}");
}

/// Only root can give files away; anybody else keeps them, and the test goes on with those.
async fn give_away(dir: &Path) {
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        let command = Command::new("chown").args(["-R", "65534:65534"]).arg(dir);
        assert!(command.run().await.unwrap().ok());
    }
}

/// Bringing an app up begins with a fresh clone where abra looks, at the newest release or at the commit asked for; and
/// what an earlier clone left there is gone.
#[tokio::test]
async fn an_app_is_prepared_at_the_newest_release_or_at_the_commit_asked_for() {
    let source = Source::new().await;
    source.commit(".env.sample", "TYPE=wiki\nDOMAIN=wiki.example.com\nURL=https://wiki.example.com\n").await;
    let abra = Abra::new("abra", source.path("abra"));
    let (recipe, domain) = ("wiki".parse().unwrap(), "warm-wiki.lab.test".parse().unwrap());
    let (repository, values) = (source.dir().display().to_string(), [("KEY".into(), "own".into())].into());
    let order = Order {
        recipe: &recipe,
        domain: &domain,
        source: &repository,
        commit: None,
        values: &values,
        compose_files: &[],
    };
    let newest = stand_up::prepare(&order, &Git::default(), &abra).await.unwrap();
    assert_eq!(newest.version, Some(version("1.10.0+1.26.3")));
    assert_eq!(newest.commit, source.at("1.10.0+1.26.3").await);
    assert_eq!(newest.env.get("KEY"), Some("own"));
    assert_eq!(newest.env.get("DOMAIN"), Some("warm-wiki.lab.test"), "also without a sample");
    std::fs::write(abra.recipe_dir(&recipe).join("left.txt"), "from before").unwrap();
    let tip = source.at("HEAD").await;
    let asked = Order { commit: Some(&tip), ..order };
    let main = stand_up::prepare(&asked, &Git::default(), &abra).await.unwrap();
    assert_eq!((main.version, &main.commit), (None, &tip));
    assert_eq!(main.env.get("URL"), Some("https://warm-wiki.lab.test"));
    assert!(main.app.checkout.status().await.unwrap().is_empty());
    assert!(!abra.env_file(&domain).exists(), "nothing is written before the deploy");
}

/// What the attributes would make of a file is no change: it is taken as the commit has it, as abra takes it.
#[tokio::test]
async fn files_are_taken_byte_by_byte_whatever_the_attributes_say() {
    let source = Source::new().await;
    for (file, text) in [
        ("abra.sh", "export A=1\r\nexport B=2\r\n"),
        ("entry.sh", "exec app\n"),
        ("id.txt", "$Id$\n"),
        ("pointer.bin", "version 1\r\n"),
        ("old.txt", "gr\u{fc}n\n"),
    ] {
        source.commit(file, text).await;
    }
    let attributes = "*.sh text eol=lf\nentry.sh eol=crlf\n*.txt text ident\nold.txt working-tree-encoding=latin1\n*.bin filter=lfs\n";
    // Alone: the others would be made over.
    std::fs::write(source.dir().join(".gitattributes"), attributes).unwrap();
    source.git(&["add", ".gitattributes"]).await;
    source.git(&["commit", "--quiet", "-m", "attributes"]).await;
    let clone = source.cloned().await;
    let head = source.at("main").await;
    let scratch = clone.scratch(&source.path("scratch"), &head).await.unwrap();
    for clone in [&clone, &scratch] {
        assert_eq!(clone.checkout(&head).await.unwrap(), Vec::<String>::new());
        for (file, text) in [
            ("abra.sh", "export A=1\r\nexport B=2\r\n"),
            ("entry.sh", "exec app\n"),
            ("id.txt", "$Id$\n"),
            ("old.txt", "gr\u{fc}n\n"),
        ] {
            assert_eq!(std::fs::read_to_string(clone.dir().join(file)).unwrap(), text, "{file}");
        }
        // A change is one, also where the attributes would have made it none.
        std::fs::write(clone.dir().join("abra.sh"), "export A=1\nexport B=2\n").unwrap();
        std::fs::write(clone.dir().join("entry.sh"), "exec app\r\n").unwrap();
        assert_eq!(clone.status().await.unwrap(), ["abra.sh", "entry.sh"]);
        // abra's own look, with no settings of ours, sees the same.
        let plain = git(clone.dir(), &["status", "--porcelain"]).await;
        assert_eq!(plain, " M abra.sh\n M entry.sh\n");
        assert_eq!(clone.checkout(&head).await.unwrap(), Vec::<String>::new());
        assert_eq!(git(clone.dir(), &["status", "--porcelain"]).await, "");
    }
}

#[tokio::test]
async fn a_forges_own_reference_is_found_by_its_full_name_in_the_source_that_has_it() {
    let (source, fork) = (Source::new().await, Source::new().await);
    for (source, number) in [(&source, 7), (&fork, 8)] {
        source.git(&["checkout", "--quiet", "--detach"]).await;
        source.commit("compose.yml", &format!("change {number}")).await;
        source.git(&["update-ref", &format!("refs/pull/{number}/head"), "HEAD"]).await;
        source.git(&["tag", "-a", "-m", "x", "mark", "HEAD"]).await;
        source.git(&["update-ref", "refs/marks/one", "refs/tags/mark"]).await;
        source.git(&["tag", "-d", "mark"]).await;
        source.git(&["checkout", "--quiet", "main"]).await;
    }
    let mut clone = source.cloned().await;
    let seven = source.at("refs/pull/7/head").await;
    assert_eq!(clone.resolve("refs/pull/7/head").await.unwrap(), seven);
    assert_eq!(clone.resolve("refs/marks/one").await.unwrap(), seven, "a tag object behind it");
    let scratch = clone.scratch(&source.path("scratch"), &seven).await.unwrap();
    assert_eq!(scratch.head().await.unwrap(), seven);
    for unknown in ["refs/pull/8/head", "refs/pull/7", "refs/heads/pull/7/head"] {
        let error = clone.resolve(unknown).await.unwrap_err();
        assert!(matches!(error, GitError::UnknownRef { .. }), "{unknown}: {error:?}");
    }
    let short = clone.resolve("pull/7/head").await.unwrap_err();
    assert!(short.to_string().ends_with("near it: `refs/pull/7/head`"), "{short}");
    // With `--src` it is the fork's.
    clone.add_fork(&fork.dir().to_string_lossy()).await.unwrap();
    assert_eq!(clone.resolve("refs/pull/8/head").await.unwrap(), fork.at("refs/pull/8/head").await);
    assert!(matches!(clone.resolve("refs/pull/7/head").await, Err(GitError::UnknownRef { .. })));
    // What it points to may move between two runs, or two looks.
    fork.git(&["update-ref", "refs/pull/8/head", "main"]).await;
    assert_eq!(clone.resolve("refs/pull/8/head").await.unwrap(), fork.at("main").await);
    // A server that cannot be asked has not said that there is none.
    std::fs::rename(fork.dir(), fork.path("away")).unwrap();
    let lost = clone.resolve("refs/pull/8/head").await.unwrap_err();
    assert!(!lost.is_bad_input(), "{lost:?}");
}
