//! Cases about what a deploy does with the app's values, the compose files and the time.

use std::time::Instant;

use ccci_core::exec::Input;
use serde_json::Value;

use crate::bench::{Bench, NEW, OLD, Outcome, QUICK, RUN, Red};

pub fn second_pinned_deploy_needs_force(b: &Bench) -> Outcome {
    b.deploy(&["DOMAIN", OLD]).prepared()?;
    b.deploy(&["DOMAIN", OLD]).fata("is already deployed")?;
    b.deploy(&["-f", "DOMAIN", OLD]).good()?;
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn stack_name_is_cut(b: &Bench) -> Outcome {
    let long = format!("{}{}.example.test", b.domain.split('.').next().unwrap_or_default(), "x".repeat(40));
    let file = b.path("abra/servers/default").join(format!("{long}.env"));
    std::fs::write(file, format!("TYPE=abrac\nDOMAIN={long}\n")).unwrap();
    let stack: String = long.replace('.', "_").chars().take(45).collect();
    let said = b.deploy(&["-C", &long]);
    let services =
        b.docker(&["service", "ls", "--format", "{{.Name}}", "--filter", &format!("name={stack}")]);
    // Removed before anything is judged: the stack is not the one that the bench clears away.
    let whole = long.replace('.', "_");
    for name in [&stack, &whole] {
        b.docker(&["stack", "rm", name]);
        let filter = format!("label=com.docker.stack.namespace={name}");
        b.until("its containers are gone", 40, || b.docker(&["ps", "-aq", "--filter", &filter]).is_empty())?;
        for volume in b.docker(&["volume", "ls", "-q", "--filter", &filter]) {
            b.docker(&["volume", "rm", &volume]);
        }
    }
    said.good()?;
    ensure!(services.contains(&format!("{stack}_app")), "services: {services:?}");
    Ok(())
}

pub fn env_file_refers_to_itself(b: &Bench) -> Outcome {
    b.app(
        "# a comment\nCOMPOSE_FILE=\"compose.yml\"\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.extra.yml\"\n\
           GREETING='first'\nGREETING=\"second words\" # the last one counts\nPLAIN='not $DOMAIN'\n",
    );
    b.deploy(&["-C", "DOMAIN"]).good()?;
    ensure!(b.left("service").len() == 2, "services: {:?}", b.left("service"));
    for expected in ["GREETING=second words", "PLAIN=not $DOMAIN"] {
        ensure!(b.environment().iter().any(|e| e == expected), "no `{expected}`: {:?}", b.environment());
    }
    Ok(())
}

pub fn app_values_reach_service_app(b: &Bench) -> Outcome {
    b.app("GREETING=hello\nOWN=from the app\n");
    b.deploy(&["DOMAIN", NEW]).prepared()?;
    let env = b.environment();
    ensure!(env.iter().any(|e| e == "GREETING=hello"), "no GREETING: {env:?}");
    ensure!(env.iter().any(|e| e == "OWN=from the recipe"), "the recipe's own value is not kept: {env:?}");
    let kind = env.iter().find(|e| e.starts_with("TYPE="));
    ensure!(kind.is_some_and(|k| k.contains(NEW)), "TYPE does not carry the version: {kind:?}");
    Ok(())
}

pub fn abra_sh_exports_are_used(b: &Bench) -> Outcome {
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    let note = b.service("app", "/Spec/Labels")["abrac.note"].clone();
    ensure!(note == "v7", "the export of abra.sh is not used: {note}");
    Ok(())
}

/// The recipe's value that service `app` was given.
fn kind(b: &Bench) -> String {
    let env = b.environment();
    env.iter().find_map(|e| e.strip_prefix("TYPE=")).unwrap_or_default().to_owned()
}

/// A chaos deploy, a commit of the README alone, and another chaos deploy: the task's template before.
fn over_a_readme(b: &Bench) -> Result<Value, Red> {
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    let before = b.service("app", "/Spec/TaskTemplate");
    b.write("README.md", "other words\n");
    b.commit(None);
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    Ok(before)
}

pub fn chaos_gives_app_the_commit(b: &Bench) -> Outcome {
    over_a_readme(b)?;
    let commit = b.git(&["rev-parse", "HEAD"])[..8].to_owned();
    ensure!(kind(b).ends_with(&commit), "TYPE of `app` is `{}`, the commit {commit}", kind(b));
    Ok(())
}

pub fn the_mark_has_the_recipe_in_front(b: &Bench) -> Outcome {
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    let commit = b.git(&["rev-parse", "HEAD"])[..8].to_owned();
    ensure!(kind(b) == format!("abrac:{commit}"), "under chaos TYPE of `app` is `{}`", kind(b));
    b.deploy(&["-f", "DOMAIN", OLD]).prepared()?;
    ensure!(kind(b) == format!("abrac:{OLD}"), "pinned it is `{}`", kind(b));
    Ok(())
}

pub fn readme_commit_replaces_the_task_of_app(b: &Bench) -> Outcome {
    let before = over_a_readme(b)?;
    let after = b.service("app", "/Spec/TaskTemplate");
    ensure!(after != before, "the task stayed over a change of the README");
    let rest = |mut template: Value| {
        template["ForceUpdate"].take();
        if let Some(env) = template["ContainerSpec"]["Env"].as_array_mut() {
            env.retain(|e| !e.as_str().unwrap_or_default().starts_with("TYPE="));
        }
        template
    };
    ensure!(rest(after.clone()) == rest(before), "more than TYPE changed with a README: {after}");
    Ok(())
}

pub fn a_recipes_own_type_is_kept(b: &Bench) -> Outcome {
    b.write(
        "compose.extra.yml",
        "version: \"3.8\"\nservices:\n  app:\n    environment: [TYPE=of the recipe]\n",
    );
    b.app("COMPOSE_FILE=compose.yml:compose.extra.yml\n");
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    ensure!(kind(b) == "of the recipe", "TYPE of `app` is `{}`", kind(b));
    Ok(())
}

/// Writes this into service `app` by a further file, and names it in the app's env.
fn with_field(b: &Bench, field: &str) {
    b.write("compose.extra.yml", &format!("version: \"3.8\"\nservices:\n  app:\n    {field}\n"));
    b.app("COMPOSE_FILE=compose.yml:compose.extra.yml\nX=1\nLIMIT=30s\nYES=true\nORDER=stop-first\n");
}

pub fn duration_from_a_variable_is_refused(b: &Bench) -> Outcome {
    with_field(b, "healthcheck: {test: [\"CMD\", \"true\"], start_period: \"${LIMIT}\"}");
    b.deploy(&["-C", "DOMAIN"])
        .fata("services.app.healthcheck.start_period Does not match format 'duration'")?;
    with_field(b, "stop_grace_period: ${LIMIT:-1m}");
    b.deploy(&["-C", "DOMAIN"]).fata("services.app.stop_grace_period Does not match format 'duration'")?;
    with_field(b, "stop_grace_period: 1s");
    b.deploy(&["-C", "DOMAIN"]).good()
}

/// Fields of each type with a variable, that has a value or a default that would be right.
const TYPED: &[(&str, &str)] = &[
    ("deploy: {replicas: \"${X:-0}\"}", "replicas"),
    ("deploy: {update_config: {parallelism: \"${X}\"}}", "parallelism"),
    ("deploy: {update_config: {delay: \"${LIMIT}\"}}", "delay"),
    ("deploy: {update_config: {monitor: \"${LIMIT}\"}}", "monitor"),
    ("deploy: {update_config: {max_failure_ratio: \"${X}\"}}", "max_failure_ratio"),
    ("deploy: {update_config: {order: \"${ORDER}\"}}", "order"),
    ("deploy: {restart_policy: {max_attempts: \"${X:-3}\"}}", "max_attempts"),
    ("deploy: {restart_policy: {window: \"${LIMIT}\"}}", "window"),
    ("healthcheck: {test: [\"CMD\", \"true\"], retries: \"${X}\"}", "retries"),
    ("read_only: \"${YES}\"", "read_only"),
    ("ports: [{target: 80, published: \"${X}\"}]", "published"),
];

pub fn typed_field_from_a_variable_is_refused(b: &Bench) -> Outcome {
    for (field, name) in TYPED {
        with_field(b, field);
        b.deploy(&["-C", "DOMAIN"]).fata(name)?;
    }
    ensure!(b.left("service").is_empty(), "something was deployed: {:?}", b.left("service"));
    Ok(())
}

/// Near miss: text takes variables.
pub fn text_from_a_variable_is_taken(b: &Bench) -> Outcome {
    with_field(b, "labels: [\"own=${LIMIT}\"]\n    hostname: \"${X:-host}\"");
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn typed_field_is_refused_by_secret_commands(b: &Bench) -> Outcome {
    with_field(b, "deploy: {replicas: \"${X:-0}\"}");
    b.abra(&["app", "secret", "ls", "-n", "-o", "-C", "-m", "DOMAIN"]).fata("replicas")?;
    b.abra(&["app", "secret", "generate", "-n", "-o", "-C", "-m", "-a", "DOMAIN"]).fata("replicas")
}

pub fn typed_field_is_refused_at_new(b: &Bench) -> Outcome {
    std::fs::remove_file(b.env_file()).unwrap();
    let text = std::fs::read_to_string(b.recipe().join("compose.yml")).unwrap();
    b.write("compose.yml", &text.replace("stop_grace_period: 1s", "stop_grace_period: ${LIMIT:-1s}"));
    b.commit(Some("1.2.0+2.0"));
    b.abra(&["app", "new", "-n", "-o", "-s", "default", "-D", "DOMAIN", "abrac"]).fata("stop_grace_period")
}

pub fn refused_compose_file_has_dockers_words(b: &Bench) -> Outcome {
    b.write(
        "compose.extra.yml",
        "version: \"3.8\"\nservices:\n  extra:\n    image: IMAGE\n    nonsense: true\n",
    );
    b.app("COMPOSE_FILE=compose.yml:compose.extra.yml\n");
    b.deploy(&["-C", "DOMAIN"]).fata("nonsense")?;
    ensure!(b.left("service").is_empty(), "something was deployed: {:?}", b.left("service"));
    Ok(())
}

pub fn deploy_waits_until_running(b: &Bench) -> Outcome {
    b.app(RUN);
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).good()?;
    let running =
        b.docker(&["ps", "-q", "--filter", &format!("label=com.docker.stack.namespace={}", b.stack)]);
    ensure!(running.len() == 1, "{} containers run when deploy returns", running.len());
    Ok(())
}

pub fn slow_start_times_out_and_stays(b: &Bench) -> Outcome {
    b.app("COMPOSE_FILE=compose.yml:compose.slow.yml\nTIMEOUT=3\n");
    let begun = Instant::now();
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).fata("deploy timed out")?;
    ensure!(begun.elapsed().as_secs() < 20, "the timeout label says 3 s, it took {:?}", begun.elapsed());
    ensure!(b.left("service").len() == 1, "the stack did not stay: {:?}", b.left("service"));
    Ok(())
}

pub fn without_converge_checks_it_returns(b: &Bench) -> Outcome {
    b.app("COMPOSE_FILE=compose.yml:compose.slow.yml\nTIMEOUT=30\n");
    let begun = Instant::now();
    b.deploy(&["-C", "DOMAIN"]).good()?;
    ensure!(begun.elapsed().as_secs() < 20, "it took {:?}", begun.elapsed());
    Ok(())
}

pub fn rollback_by_swarm_is_a_failed_deploy(b: &Bench) -> Outcome {
    let overlay = |command: &str| {
        format!(
            "version: \"3.8\"\nservices:\n  app:\n    command: {command}\n    deploy:\n      update_config: \
             {{failure_action: rollback, order: start-first, monitor: 3s}}\n"
        )
    };
    b.app("COMPOSE_FILE=compose.yml:compose.run.yml:compose.slow.yml\n");
    b.write("compose.slow.yml", &overlay("[\"/bin/busybox\", \"sleep\", \"1000\"]"));
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).prepared()?;
    b.write("compose.slow.yml", &overlay("[\"/bin/busybox\", \"false\"]"));
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).fata("deploy failed")?;
    ensure!(b.left("service").len() == 1, "the stack did not stay: {:?}", b.left("service"));
    Ok(())
}

/// `app` takes a second to be healthy; by then the one-shot beside it has ended.
pub fn one_shot_never_converges(b: &Bench) -> Outcome {
    b.write(
        "compose.once.yml",
        "version: \"3.8\"\nservices:\n  app:\n    healthcheck: {test: [\"CMD\", \"/bin/busybox\", \"true\"], interval: 2s}\n  \
         once:\n    image: IMAGE\n    command: [\"/bin/busybox\", \"true\"]\n    networks: [internal]\n    deploy: {endpoint_mode: \
         dnsrr, restart_policy: {condition: none}}\n",
    );
    b.app("COMPOSE_FILE=compose.yml:compose.run.yml:compose.once.yml\nTIMEOUT=8\n");
    b.abra(&["app", "deploy", "-n", "-o", "-D", "-C", "DOMAIN"]).fata("deploy timed out")?;
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn variables_of_the_machine_fill_nothing(b: &Bench) -> Outcome {
    b.write(
        "compose.host.yml",
        "version: \"3.8\"\nservices:\n  app:\n    deploy:\n      labels: [\"abrac.host=${TZ}|${PATH}|${LC_ALL}|${HOME}\"]\n",
    );
    b.app("COMPOSE_FILE=compose.yml:compose.host.yml\nHOME=of the app\n");
    let words = [QUICK, &["-C", "DOMAIN"]].concat();
    b.abra_with(&words, Input::Null, &[("TZ", "Mars/Phobos")]).prepared()?;
    let found = b.service("app", "/Spec/Labels")["abrac.host"].clone();
    ensure!(found == "|||of the app", "TZ, PATH, LC_ALL and HOME were filled in as `{found}`");
    Ok(())
}

pub fn line_that_is_no_assignment_is_fatal(b: &Bench) -> Outcome {
    b.app("A line of words\n");
    b.deploy(&["-C", "DOMAIN"]).fata("")?;
    ensure!(b.left("service").is_empty(), "it was deployed all the same");
    b.app("# A line of words\n\nEMPTY=\n");
    b.deploy(&["-C", "DOMAIN"]).good()
}

/// The environment of `app` with these lines in the app's file has this.
fn read_as(b: &Bench, lines: &str, wanted: &str) -> Outcome {
    b.app(lines);
    b.deploy(&["-C", "DOMAIN"]).prepared()?;
    ensure!(b.environment().iter().any(|e| e == wanted), "no `{wanted}`: {:?}", b.environment());
    Ok(())
}

pub fn colon_assigns(b: &Bench) -> Outcome {
    read_as(b, "GREETING: hello\n", "GREETING=hello")
}

pub fn only_upper_case_names_are_filled_in(b: &Bench) -> Outcome {
    read_as(b, "small=x\nBIG=y\nGREETING=$small-$BIG\n", "GREETING=$small-y")
}

pub fn last_hash_begins_the_comment(b: &Bench) -> Outcome {
    read_as(b, "GREETING=one # two # three\n", "GREETING=one # two")
}

pub fn comment_behind_nothing_is_no_value(b: &Bench) -> Outcome {
    read_as(b, "GREETING= # a comment\n", "GREETING=")
}

/// Where they were not left out, the deploy would end over a function that nobody has.
pub fn post_commands_are_left_out_with_the_wait(b: &Bench) -> Outcome {
    b.app("POST_DEPLOY_CMDS=\"app no_such_function\"\n");
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn overlay_without_a_schema_version_is_refused(b: &Bench) -> Outcome {
    b.write("compose.extra.yml", "services:\n  app:\n    environment: [A=b]\n");
    b.app("COMPOSE_FILE=compose.yml:compose.extra.yml\n");
    b.deploy(&["-C", "DOMAIN"]).fata("version mismatched")
}

pub fn recipe_without_a_schema_version_is_taken(b: &Bench) -> Outcome {
    let text = std::fs::read_to_string(b.recipe().join("compose.yml")).unwrap();
    b.write("compose.yml", &text.replace("version: \"3.8\"\n", ""));
    b.deploy(&["-C", "DOMAIN"]).good()
}
