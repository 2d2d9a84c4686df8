//! Notes in the manner of real ones, each with whether it holds an upgrade back. None that asks for work may pass; what
//! holds without need is counted and told.

use super::*;

/// Notes that ask for work, or may do.
const WORK: &[&str] = &[
    // Breaking sections.
    "## Breaking changes\n\n- The old admin theme is gone.",
    "### BREAKING\n- `/auth` is not the context path any more",
    "Breaking change: the database moves to its own volume.",
    "This release is incompatible with clients before 3.0.",
    "It is no longer possible to log in with a legacy token.",
    "Support for MySQL 5.7 was dropped.",
    "- Drops support for the legacy scheduler",
    "Keycloak won't start with the old theme.",
    "Major upgrade of the database underneath.",
    // Work by hand.
    "Run `abra app run <domain> app occ db:add-missing-indices` once by hand.",
    "Manual migration needed, see below.",
    "This version requires manual intervention.",
    "After deploying, execute the reindex script.",
    "Go to the admin console and enable the new flow. Needs to be done by hand!",
    "Action required: operators must accept the new terms in the console.",
    "Admins need to accept the licence in the console.",
    "1. Stop the app\n2. Rename the folder\n3. Start it again",
    "- Undeploy first, then deploy again.",
    "Re-create the search index from the console.",
    "Log in as the administrator and press *Upgrade*.",
    "Follow https://example.org/upgrading-to-27 to the letter.",
    // Secrets.
    "A new secret `api_key` must be inserted.",
    "New secret: db_root_password. Generate it with abra.",
    "adds secret for the mail password",
    "Secrets are now versioned.",
    "The admin password has to be reset after this.",
    "Rotate your signing keys.",
    // Copies of the data.
    "Back up first!",
    "Please take a backup before you go on.",
    "It is advised to have a recent backup of the database.",
    "Do not upgrade without a backup.",
    "Do not upgrade without backing up.",
    "The upgrade is irreversible.",
    "This cannot be rolled back.",
    "There is no way back to 25 once this ran.",
    "A downgrade is not supported.",
    "Dump the database and restore it into the new one.",
    "The volume `data` was renamed to `files`.",
    // Settings.
    "`SMTP_HOST` is now `MAIL_HOST`.",
    "Env keys renamed: OLD_THING to NEW_THING.",
    "New env var for the mail host.",
    "DB_HOST must be set.",
    "Adds new required variable for the site's name.",
    "Config version bumped, please raise it in the .env of the app.",
    "The configuration format changed.",
    "Bump APP_ENTRYPOINT_VERSION to v4.",
    "Set LOG_LEVEL=info for the old behaviour.",
    "Two new ports are opened: 3478/udp and 5349/tcp.",
    "Add a DNS record for the second domain.",
    "COMPOSE_FILE=\"$COMPOSE_FILE:compose.smtp.yml\"",
    // Commands.
    "```\nabra app secret insert <domain> api_key v1 …\n```",
    "docker exec -it $(docker ps -q -f name=app) ./bin/upgrade",
    "run the following SQL: ALTER TABLE users …",
    "psql -c 'REINDEX DATABASE keycloak'",
    // Migrations.
    "Contains database migrations.",
    "Migrations are not run automatically.",
    "The migration must be started from the console.",
    "See the migration guide: https://example.org/guide",
    "Upgrade notes: https://example.org/upgrade",
    "Switch from MariaDB to PostgreSQL.",
    // Orders.
    "Upgrade to 2.4.1 first.",
    "Do not skip versions.",
    "Before upgrading, look at the queue.",
    "If you come from a version before 24, go to 24 in between.",
    "Deploy the database first.",
    // To the operator, or of some only.
    "You may want to look at your theme.",
    "⚠ The theme folder moved.",
    "WARNING: slow first start.",
    "No manual steps needed, unless LDAP is used.",
    "No breaking changes if you do not use the old API.",
    "No action required except for users of the old theme.",
    "Migrations run by themselves, but you have to allow it an hour.",
    "Attention: the first start takes an hour.",
    "Custom themes should be looked at.",
    "Requires engine 26.",
    // Reassurances that are none.
    "This release is not backwards compatible.",
    "Data is not automatically migrated.",
    "Do not count on automatic migration.",
    "Migrations do not happen by themselves.",
    "Nothing to do but restart the workers.",
    "No manual steps besides the usual ones, which are many.",
    "Not all migrations run automatically.",
    "Deploy it with --force.",
    // Other languages.
    "Vor dem Upgrade bitte die Datenbank sichern.",
    "Dieses Release bringt einige Neuerungen der Oberfläche mit sich.",
    "Mettre à jour la base de données avant de continuer.",
    "Hay que hacer una copia de seguridad antes.",
    "Перед обновлением сделайте резервную копию.",
    "升级前请备份",
    "Se cambió el nombre del volumen de datos principal.",
];

/// Notes that ask for nothing.
const QUIET: &[&str] = &[
    "",
    "\n\n",
    "Bump keycloak to 26.6.2",
    "- chore: update nginx to 1.27.2\n- fix typo in README",
    "chore(deps): update redis docker tag to v7.4.1",
    "Security fixes from upstream.",
    "Fixes CVE-2026-1234. No manual steps needed.",
    "No manual intervention required.",
    "No breaking changes.",
    "There are no breaking changes in this release, nothing to do.",
    "Database migrations run automatically on start.",
    "Migrations run by themselves.",
    "The migration is done automatically at startup.",
    "It migrates itself.",
    "Upstream changelog: https://github.com/keycloak/keycloak/releases/tag/26.6.2",
    "https://github.com/traefik/traefik/releases/tag/v3.6.13",
    "[changelog](https://example.org/changelog#26.6.2)",
    "# 3.6.1+3.6.13\n\n* update traefik\n* small fixes to the healthcheck",
    "Adds a healthcheck to the database.",
    "Faster start, less memory.",
    "Thanks to Maria for the fix of the label!",
    "Remove unused label from compose.yml",
    "Improves logging of the app service.",
    "feat: support for IPv6 (#123)",
    "Pins the image by digest.",
    "The default timeout is now longer.",
    "Adds `SMTP_TIMEOUT`, optional.",
    "Without manual steps. Fully compatible.",
    "Patch release with bugfixes only; requires no action.",
    "Initial release",
];

/// More of both kinds, written by somebody who had not seen the table.
const WORK_OF_OTHERS: &str = include_str!("work.txt");
const QUIET_OF_OTHERS: &str = include_str!("quiet.txt");

fn all(ours: &[&'static str], others: &'static str) -> Vec<&'static str> {
    ours.iter().copied().chain(others.trim_end().split("\n%%\n")).collect()
}

#[test]
fn no_notes_that_ask_for_work_pass() {
    let all = all(WORK, WORK_OF_OTHERS);
    let missed: Vec<&&str> = all.iter().filter(|text| read(text) == Reading::Quiet).collect();
    assert!(all.len() >= 190 && missed.is_empty(), "{} of {} missed: {missed:#?}", missed.len(), all.len());
}

/// What holds without need costs a person a look. Of notes such as changelogs are made of none does; of free prose some may.
#[test]
fn few_notes_that_ask_for_nothing_hold() {
    let held = |all: Vec<&'static str>| {
        let mut readings = all.into_iter().map(|text| (text, read(text)));
        readings.by_ref().filter(|(_, reading)| *reading != Reading::Quiet).collect::<Vec<_>>()
    };
    let (ours, others) = (held(all(QUIET, "")), held(all(&[], QUIET_OF_OTHERS)));
    println!(
        "held without need: {} of {} changelogs, {} of 80 of others",
        ours.len(),
        QUIET.len(),
        others.len()
    );
    assert!(ours.is_empty(), "{ours:#?}");
    assert!(others.len() <= 40, "{others:#?}");
}

#[test]
fn what_was_found_is_told_in_the_notes_own_words() {
    let text = "# 2.0.1\n\nSmall fixes. A new secret\n`api_key` is there.\n- other";
    let Reading::Manual { statement, why } = read(text) else { panic!("quiet") };
    assert_eq!(statement, "A new secret `api_key` is there.");
    assert_eq!(why, "it speaks of secrets: “secret”");
}

#[test]
fn what_cannot_be_read_is_for_a_person() {
    let notes = |text| Notes { path: "release/1.0.0+1".into(), text };
    let unreadable = notes(Err("it is no text".into())).read();
    assert!(
        matches!(&unreadable, Reading::Manual { why, .. } if why.contains("it is no text")),
        "{unreadable:?}"
    );
    assert!(
        matches!(read(&"fix. ".repeat(LONGEST / 4)), Reading::Manual { why, .. } if why.contains("256 KiB"))
    );
    assert_eq!(notes(Ok("Fixes.".into())).read(), Reading::Quiet);
}

#[test]
fn statements_are_those_of_the_markdown() {
    let text = "# Title\nOne sentence. Another of 1.2.3: with\na wrapped line\n\n* an entry\n  that goes on\n1. first\n2) second\n> said";
    let texts: Vec<String> = statements(text).into_iter().map(|statement| statement.text).collect();
    assert_eq!(
        texts,
        [
            "Title",
            "One sentence.",
            "Another of 1.2.3:",
            "with a wrapped line",
            "an entry that goes on",
            "first",
            "second said"
        ]
    );
}
