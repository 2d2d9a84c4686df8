//! The conformance suite of abra's command line: what ccci relies on, one function a case, driven from outside.
//!
//! It runs against the executable that `$ABRA` names, or else against the stand-in of this crate. Each case says how
//! sure it is that the real abra behaves so; docs/abra.md has the table. At its end it prints what it has found, as a table for a
//! report. A test of its own switches the behaviours of the stand-in off one by one and sees that their cases turn red.
#![expect(clippy::disallowed_methods, reason = "tests write their fixtures and read $ABRA themselves")]
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made ends the test")]
#![expect(clippy::print_stdout, reason = "the table of what was found is for whoever runs it")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[macro_use]
mod said;
mod bench;
mod calls;
mod deploys;
mod found;
mod lifecycle;
mod secrets;
mod suite;
mod versions;
mod wrapper;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, Once};

use bench::{Bench, Outcome, Red};
use ccci_lab::abra::Behaviour;
use found::{Finding, Row};
use libtest_mimic::{Arguments, Trial};

/// How sure it is that abra itself behaves as the case says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Read in abra's source, or in code that is built on its packages.
    Source,
    /// Written in its documentation or in a guide that shows the call.
    Docs,
    /// Seen by people who ran it.
    Observed,
    /// Follows from other facts.
    Inferred,
    /// Nobody has checked it: a run against a real abra has to settle it.
    Unverified,
}

/// One case: what it asks, and how sure the answer is.
pub struct Case {
    name: &'static str,
    mark: Mark,
    /// The behaviours without which this case must turn red.
    guards: &'static [Behaviour],
    run: fn(&Bench) -> Outcome,
}

macro_rules! cases {
    ($($file:ident::$name:ident, $mark:ident, [$($guard:ident),*];)*) => {
        const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            mark: Mark::$mark,
            guards: &[$(Behaviour::$guard),*],
            run: $file::$name,
        },)*];
    };
}

// What docs/abra.md shows: name, certainty, and the behaviours that it guards.
cases! {
    calls::version_has_three_numbers, Observed, [];
    calls::flags_stand_anywhere, Docs, [];
    calls::unknown_flag_ends_with_one, Unverified, [UnknownFlag];
    calls::help_lists_the_flags_that_are_needed, Unverified, [];
    calls::unknown_app_is_fatal, Inferred, [];
    calls::fatal_is_on_stdout, Observed, [FataOnStdout];
    calls::table_without_terminal_is_fatal, Observed, [Tty];
    calls::table_with_terminal, Observed, [];
    calls::abra_ci_needs_no_terminal, Unverified, [];
    calls::machine_output_is_json_alone, Source, [MachineQuiet];
    calls::lint_ends_with_zero_and_a_warning, Observed, [];
    calls::lint_rules_have_these_levels, Unverified, [];
    calls::lint_cannot_reach_the_origin, Observed, [];
    calls::servers_by_name, Source, [];
    versions::pinned_deploy_sets_labels, Source, [];
    versions::pinned_deploy_writes_the_version, Docs, [TypeRewrite];
    versions::chaos_keeps_the_version_label, Source, [];
    versions::chaos_writes_the_commit, Inferred, [TypeRewrite];
    versions::chaos_of_a_dirty_tree_has_plus_u, Observed, [ChaosPlusU];
    versions::chaos_takes_files_git_does_not_know, Observed, [];
    versions::dirty_tree_blocks_a_pinned_deploy, Observed, [DirtyTree];
    versions::untracked_file_blocks_a_pinned_deploy, Observed, [DirtyTree];
    versions::lightweight_tag_blocks_a_pinned_deploy, Docs, [AnnotatedTags, LintBlocks];
    versions::lint_error_in_an_unused_file_blocks_too, Unverified, [LintBlocks];
    versions::chaos_without_a_version_label_has_an_empty_one, Source, [];
    versions::version_with_chaos_is_refused, Unverified, [ChaosWithVersion];
    versions::hash_is_a_version, Docs, [];
    versions::unknown_version_is_fatal, Inferred, [];
    versions::newest_release_without_any_other_word, Source, [];
    versions::version_of_the_env_file_comes_first, Docs, [];
    versions::running_version_is_kept_without_a_word, Source, [];
    versions::unsaved_version_needs_chaos, Unverified, [UnsavedVersion];
    versions::upgrade_and_rollback_to_a_version, Docs, [TypeRewrite];
    versions::upgrade_shows_release_notes_and_asks_nothing, Unverified, [];
    versions::offline_needs_no_origin, Observed, [];
    deploys::second_pinned_deploy_needs_force, Observed, [AlreadyDeployed];
    deploys::stack_name_is_cut, Unverified, [StackCut];
    deploys::env_file_refers_to_itself, Source, [SelfReference];
    deploys::app_values_reach_service_app, Source, [ExposeEnv];
    deploys::abra_sh_exports_are_used, Source, [AbraShExports];
    deploys::chaos_gives_app_the_commit, Source, [ChaosMark];
    deploys::readme_commit_replaces_the_task_of_app, Source, [ChaosMark];
    deploys::the_mark_has_the_recipe_in_front, Unverified, [ChaosMark];
    deploys::a_recipes_own_type_is_kept, Source, [];
    deploys::duration_from_a_variable_is_refused, Observed, [SchemaFirst];
    deploys::typed_field_from_a_variable_is_refused, Inferred, [SchemaFirst];
    deploys::text_from_a_variable_is_taken, Observed, [];
    deploys::typed_field_is_refused_by_secret_commands, Inferred, [SchemaFirst];
    deploys::typed_field_is_refused_at_new, Observed, [SchemaFirst];
    deploys::refused_compose_file_has_dockers_words, Inferred, [];
    deploys::deploy_waits_until_running, Observed, [];
    deploys::slow_start_times_out_and_stays, Observed, [ConvergeWait];
    deploys::without_converge_checks_it_returns, Source, [];
    deploys::rollback_by_swarm_is_a_failed_deploy, Source, [ConvergeWait];
    deploys::one_shot_never_converges, Source, [];
    deploys::variables_of_the_machine_fill_nothing, Source, [AppValuesAlone];
    deploys::line_that_is_no_assignment_is_fatal, Unverified, [];
    deploys::colon_assigns, Unverified, [];
    deploys::only_upper_case_names_are_filled_in, Unverified, [];
    deploys::last_hash_begins_the_comment, Unverified, [];
    deploys::comment_behind_nothing_is_no_value, Unverified, [];
    deploys::post_commands_are_left_out_with_the_wait, Unverified, [];
    deploys::overlay_without_a_schema_version_is_refused, Unverified, [];
    deploys::recipe_without_a_schema_version_is_taken, Observed, [];
    secrets::missing_secret_names_one, Source, [MissingSecret, FirstSecretOnly];
    secrets::secret_to_be_inserted_has_its_own_words, Source, [NotInserted];
    secrets::generated_values_have_the_length_asked_for, Source, [LengthOption];
    secrets::commented_option_is_lost, Observed, [];
    secrets::generating_nothing_ends_with_one, Unverified, [NothingGenerated];
    secrets::one_secret_by_name, Docs, [];
    secrets::list_says_what_is_there, Source, [];
    secrets::inserted_from_a_file, Observed, [];
    secrets::insert_does_not_replace, Docs, [];
    secrets::removed_by_name, Docs, [];
    secrets::named_by_the_compose_file, Unverified, [SecretVariable];
    secrets::version_is_the_default_of_its_variable, Unverified, [SecretVariable];
    secrets::unknown_charset_gives_the_usual_letters, Unverified, [];
    secrets::insert_makes_the_name_of_its_words, Unverified, [];
    lifecycle::undeploy_leaves_volumes_and_secrets, Observed, [];
    lifecycle::undeploy_returns_before_swarm_is_done, Observed, [UndeployEarlyReturn];
    lifecycle::second_undeploy_is_fatal, Source, [NotDeployed];
    lifecycle::list_without_status_has_empty_fields, Source, [];
    lifecycle::list_with_status_tells_what_runs, Source, [];
    lifecycle::chaos_app_is_listed_as_latest, Source, [];
    lifecycle::list_names_newer_releases, Source, [];
    lifecycle::ps_tells_each_service, Source, [];
    lifecycle::new_leaves_the_release_checked_out, Observed, [];
    lifecycle::new_needs_a_domain, Unverified, [];
    lifecycle::fetch_moves_to_the_default_branch, Observed, [];
    lifecycle::remove_takes_volumes_secrets_and_file, Source, [];
}

fn stand_in() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_abra-stand-in"))
}

/// A bench of its own, on an engine that is ready.
fn ground(program: &Path, off: Option<Behaviour>) -> Bench {
    static READY: Once = Once::new();
    READY.call_once(|| bench::ready(real().is_some()));
    Bench::new(program, off)
}

/// The real abra to drive, if one is named.
fn real() -> Option<PathBuf> {
    std::env::var("ABRA").ok().filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What a case finds at the program under test. A fixture that cannot be made tells nothing of abra.
fn find(case: &Case) -> Finding {
    let program = real().unwrap_or_else(stand_in);
    let asked = catch_unwind(|| (case.run)(&ground(&program, None)));
    match asked {
        Ok(Ok(())) => Finding::Agrees,
        Ok(Err(Red::Differs(words))) => Finding::Differs(words),
        Ok(Err(Red::Cannot(words))) => Finding::CannotTell(words),
        Err(panic) => Finding::CannotTell(found::words_of(&*panic)),
    }
}

/// What is tested beside the cases.
const OTHERS: &[(&str, fn())] = &[
    ("wrapper::reads_lint_and_deploys_what_it_says", wrapper::reads_lint_and_deploys_what_it_says),
    ("wrapper::makes_and_lists_secrets", wrapper::makes_and_lists_secrets),
    (
        "wrapper::and_compose_files_agree_on_a_secrets_real_name",
        wrapper::and_compose_files_agree_on_a_secrets_real_name,
    ),
    ("wrapper::tells_refusals_apart", wrapper::tells_refusals_apart),
    (
        "suite::each_behaviour_switched_off_turns_a_case_red",
        suite::each_behaviour_switched_off_turns_a_case_red,
    ),
    (
        "suite::documentation_lists_every_case_with_its_certainty",
        suite::documentation_lists_every_case_with_its_certainty,
    ),
    (
        "suite::docker_takes_its_recipe_and_refuses_the_former_form",
        suite::docker_takes_its_recipe_and_refuses_the_former_form,
    ),
    ("suite::what_was_found_is_a_row_a_case", suite::what_was_found_is_a_row_a_case),
    (
        "suite::what_was_found_is_told_by_any_number_of_threads_and_after_failures",
        suite::what_was_found_is_told_by_any_number_of_threads_and_after_failures,
    ),
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let found = Arc::new(Mutex::new(BTreeMap::new()));
    let cases = CASES.iter().enumerate().map(|(at, case)| {
        let found = Arc::clone(&found);
        Trial::test(format!("case::{}", case.name), move || {
            let finding = find(case);
            let failed = finding.failed(case.mark);
            found.lock().unwrap().insert(at, finding);
            failed.map_or(Ok(()), |words| Err(words.into()))
        })
    });
    let others = OTHERS.iter().map(|(name, test)| {
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&args, cases.chain(others).collect());
    let found = found.lock().unwrap();
    if !found.is_empty() {
        let rows: Vec<Row<'_>> = found.iter().map(|(at, finding)| Row::of(&CASES[*at], finding)).collect();
        println!("{}", found::table(&found::program(), &rows));
    }
    conclusion.exit_code()
}
