//! Cases about which tree is deployed, and what is written down about it.

use crate::bench::{Bench, NEW, OLD, Outcome};

/// The commit that is checked out, in abra's eight digits.
fn head(b: &Bench) -> String {
    b.git(&["rev-parse", "HEAD"])[..8].to_owned()
}

fn release_text(b: &Bench) -> String {
    let env = b.environment();
    env.iter().find_map(|e| e.strip_prefix("TREE=")).unwrap_or_default().to_owned()
}

fn runs(b: &Bench, version: &str) -> Outcome {
    ensure!(b.label("version") == version, "version label is `{}`, not `{version}`", b.label("version"));
    ensure!(release_text(b) == version, "the tree of `{}` runs, not of `{version}`", release_text(b));
    Ok(())
}

pub fn pinned_deploy_sets_labels(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).good()?;
    runs(b, OLD)?;
    ensure!(b.label("recipe") == "abrac", "recipe label is `{}`", b.label("recipe"));
    ensure!(b.label("chaos") == "false", "chaos label is `{}`", b.label("chaos"));
    ensure!(b.label("chaos-version").is_empty(), "chaos-version is `{}`", b.label("chaos-version"));
    Ok(())
}

pub fn pinned_deploy_writes_the_version(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    ensure!(b.kind() == format!("abrac:{OLD}"), "TYPE is `{}`", b.kind());
    Ok(())
}

pub fn chaos_keeps_the_version_label(b: &Bench) -> Outcome {
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    runs(b, NEW)?;
    ensure!(b.label("chaos") == "true", "chaos label is `{}`", b.label("chaos"));
    ensure!(b.label("chaos-version") == head(b), "chaos-version is `{}`", b.label("chaos-version"));
    Ok(())
}

pub fn chaos_writes_the_commit(b: &Bench) -> Outcome {
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    ensure!(b.kind() == format!("abrac:{}", head(b)), "TYPE is `{}`", b.kind());
    Ok(())
}

pub fn chaos_of_a_dirty_tree_has_plus_u(b: &Bench) -> Outcome {
    b.write("untracked.txt", "one file that git does not know is enough\n");
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    ensure!(
        b.label("chaos-version") == format!("{}+U", head(b)),
        "chaos-version is `{}`",
        b.label("chaos-version")
    );
    Ok(())
}

pub fn chaos_takes_files_git_does_not_know(b: &Bench) -> Outcome {
    let overlay = "version: \"3.8\"\nservices:\n  mine:\n    image: IMAGE\n    networks: [internal]\n    \
                   deploy: {endpoint_mode: dnsrr, replicas: 0}\n";
    b.write("compose.mine.yml", overlay);
    b.app("COMPOSE_FILE=compose.yml:compose.mine.yml\n");
    b.deploy(&["-C", "DOMAIN"]).good()?;
    ensure!(b.left("service").contains(&format!("{}_mine", b.stack)), "services: {:?}", b.left("service"));
    Ok(())
}

pub fn dirty_tree_blocks_a_pinned_deploy(b: &Bench) -> Outcome {
    b.write("README.md", "changed\n");
    b.deploy(&["DOMAIN", NEW]).fata("has locally unstaged changes")?;
    ensure!(b.left("service").is_empty(), "it was deployed all the same");
    Ok(())
}

pub fn untracked_file_blocks_a_pinned_deploy(b: &Bench) -> Outcome {
    b.write("untracked.txt", "new\n");
    b.deploy(&["DOMAIN", NEW]).fata("has locally unstaged changes")
}

pub fn lightweight_tag_blocks_a_pinned_deploy(b: &Bench) -> Outcome {
    b.git(&["tag", "0.1.0+0.1", "HEAD~2"]);
    b.deploy(&["DOMAIN", NEW]).fata("only annotated tags used for recipe version")?;
    ensure!(b.left("service").is_empty(), "it was deployed all the same");
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn lint_error_in_an_unused_file_blocks_too(b: &Bench) -> Outcome {
    b.write("compose.preview.yml", "version: \"3.8\"\nservices:\n  preview:\n    environment: [A=b]\n");
    b.commit(Some("1.2.0+2.0"));
    b.deploy(&["DOMAIN", "1.2.0+2.0"]).fata("")?;
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn version_with_chaos_is_refused(b: &Bench) -> Outcome {
    b.deploy(&["-C", "DOMAIN", NEW]).fata("")
}

pub fn hash_is_a_version(b: &Bench) -> Outcome {
    let hash = b.git(&["rev-parse", &format!("{OLD}^{{commit}}")])[..8].to_owned();
    b.deploy(&["DOMAIN", &hash]).good()?;
    ensure!(release_text(b) == OLD, "the tree of `{}` runs", release_text(b));
    Ok(())
}

pub fn unknown_version_is_fatal(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", "9.9.9+9.9"]).fata("9.9.9+9.9")
}

pub fn newest_release_without_any_other_word(b: &Bench) -> Outcome {
    b.git(&["checkout", "-q", &format!("{OLD}^{{commit}}")]);
    b.deploy(&["DOMAIN"]).good()?;
    runs(b, NEW)
}

pub fn version_of_the_env_file_comes_first(b: &Bench) -> Outcome {
    b.app(&format!("TYPE=abrac:{OLD}\n"));
    b.deploy(&["DOMAIN"]).good()?;
    runs(b, OLD)
}

pub fn running_version_is_kept_without_a_word(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    b.app("");
    b.deploy(&["-f", "DOMAIN"]).good()?;
    runs(b, OLD)
}

pub fn unsaved_version_needs_chaos(b: &Bench) -> Outcome {
    b.app(&format!("TYPE=abrac:{}+U\n", head(b)));
    b.deploy(&["DOMAIN"]).fata("")?;
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn upgrade_and_rollback_to_a_version(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    b.abra(&["app", "upgrade", "-n", "-o", "-D", "-c", "DOMAIN", NEW]).good()?;
    runs(b, NEW)?;
    ensure!(b.kind() == format!("abrac:{NEW}"), "TYPE is `{}`", b.kind());
    b.abra(&["app", "rollback", "-n", "-o", "-D", "-c", "DOMAIN", OLD]).good()?;
    runs(b, OLD)
}

pub fn offline_needs_no_origin(b: &Bench) -> Outcome {
    b.git(&["remote", "set-url", "origin", "/nowhere/at/all"]);
    b.deploy(&["DOMAIN", OLD]).good()?;
    b.abra(&["app", "deploy", "-n", "-D", "-c", "-f", "DOMAIN", OLD]).fata("")
}

pub fn chaos_without_a_version_label_has_an_empty_one(b: &Bench) -> Outcome {
    let text = std::fs::read_to_string(b.recipe().join("compose.yml")).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.contains("}.version=")).collect();
    b.write("compose.yml", &(without.join("\n") + "\n"));
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    ensure!(b.label("version").is_empty(), "version is `{}`", b.label("version"));
    ensure!(b.label("chaos-version") == format!("{}+U", head(b)), "{}", b.label("chaos-version"));
    Ok(())
}

pub fn upgrade_shows_release_notes_and_asks_nothing(b: &Bench) -> Outcome {
    let text = std::fs::read_to_string(b.recipe().join("compose.yml")).unwrap();
    b.write("compose.yml", &text.replace(NEW, "1.2.0+2.0"));
    std::fs::create_dir_all(b.recipe().join("release")).unwrap();
    b.write("release/1.2.0+2.0", "Read this before you go on.\n");
    b.commit(Some("1.2.0+2.0"));
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    b.abra(&["app", "upgrade", "-n", "-o", "-D", "-c", "DOMAIN", "1.2.0+2.0"]).good()?;
    runs(b, "1.2.0+2.0")
}
