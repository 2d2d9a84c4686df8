//! The keys of `recipe.yaml` as data, so that the table in `docs/recipes.md` cannot drift from the types.

/// One key, as the documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// The key; parts of nested keys joined by a dot, `<…>` for names that the author chooses.
    pub key: &'static str,
    /// The type in an author's words, with the unit.
    pub kind: &'static str,
    /// The default as JSON, or empty where the key must be given.
    pub default: &'static str,
    /// A whole manifest that uses the key.
    pub example: &'static str,
    /// What it does.
    pub what: &'static str,
}

const fn key(
    key: &'static str,
    kind: &'static str,
    default: &'static str,
    example: &'static str,
    what: &'static str,
) -> KeyDoc {
    KeyDoc { key, kind, default, example, what }
}

/// Every key of the format.
pub const KEYS: &[KeyDoc] = &[
    key("schema", "number", "1", "schema: 1", "format of the file"),
    key(
        "health.page",
        "true or false",
        "true",
        "{health: {page: false}, ready: [{tcp: {port: 64738}}]}",
        "`false`: the app has no web page; it serves when its `ready` probes hold, and they are asked again at the end",
    ),
    key("health.path", "path", "\"/\"", "health: {path: /api/health}", "path of the health page"),
    key(
        "health.status",
        "list of HTTP statuses",
        "[200,301,302]",
        "health: {status: [200]}",
        "status codes that count as healthy. Unset: also 303, 307 and 308 to the app's own domain; set: exactly these",
    ),
    key(
        "ready",
        "list of probes",
        "[]",
        "ready: [{tcp: {port: 64738, stable: 3}}]",
        "probes that must hold after each deploy, before the first check",
    ),
    key(
        "timeouts.deploy",
        "seconds, 1 to 86400",
        "600",
        "timeouts: {deploy: 1200}",
        "deadline for all services to converge",
    ),
    key(
        "timeouts.http",
        "seconds",
        "300",
        "timeouts: {http: 600}",
        "deadline, after that, for `health` and `ready`",
    ),
    key(
        "timeouts.check",
        "seconds",
        "120",
        "timeouts: {check: 60}",
        "deadline of one of your checks, unless the check sets another",
    ),
    key(
        "deps",
        "list of recipes",
        "[]",
        "deps: [keycloak]",
        "recipes that this one needs; ccci provides `keycloak`, as a realm for the run",
    ),
    key(
        "sso.redirect",
        "list of paths",
        "[\"/*\"]",
        "{deps: [keycloak], sso: {redirect: [/oauth/callback]}}",
        "paths of the app that a login may return to; a final `*` matches anything",
    ),
    key(
        "sso.origins",
        "list of origins",
        "[]",
        "{deps: [keycloak], sso: {origins: [\"https://www.{domain}\"]}}",
        "origins beside the app's own to whose `redirect` paths a login may return; `{domain}` is the app's",
    ),
    key(
        "sso.audience",
        "list of texts",
        "[]",
        "{deps: [keycloak], sso: {audience: [\"{client_id}\"]}}",
        "more names in `aud` of access and ID tokens; may hold `{client_id}`, `{origin}`, `{domain}`",
    ),
    key(
        "sso.groups",
        "list of names",
        "[]",
        "{deps: [keycloak], sso: {groups: [editors]}}",
        "groups of the realm that its first user is in; the claim `groups` of tokens",
    ),
    key(
        "sso.roles",
        "list of names",
        "[]",
        "{deps: [keycloak], sso: {roles: [admin]}}",
        "roles of the realm that its first user has; the claim `roles` of tokens",
    ),
    key(
        "sso.pkce",
        "true or false",
        "false",
        "{deps: [keycloak], sso: {pkce: true}}",
        "make Keycloak refuse a login without a PKCE challenge",
    ),
    key(
        "sso.env",
        "mapping of texts",
        "{}",
        "{deps: [keycloak], sso: {env: {OIDC_ISSUER: \"{issuer}\"}}}",
        "lines of the app's `.env` with values of the run's realm in braces",
    ),
    key(
        "sso.secrets",
        "mapping to `client_secret` or `user_password`",
        "{}",
        "{deps: [keycloak], sso: {secrets: {oidc_secret: client_secret}}}",
        "secrets of the app that come from the realm; each run makes its own version",
    ),
    key(
        "secrets",
        "mapping of names to files",
        "{}",
        "secrets: {smtp_password: _test/smtp_password}",
        "values of secrets with `generate=false`: files of this folder, or `{server}/…`",
    ),
    key(
        "env_file",
        "file, or list of files",
        "[]",
        "env_file: [smtp.env, \"{server}/blog.env\"]",
        "lines of the app's `.env`, at every deploy, from files of this folder or `{server}/…`; `env` wins",
    ),
    key(
        "env",
        "mapping of texts",
        "{}",
        "env: {COMPOSE_FILE: \"compose.yml:compose.smtp.yml\"}",
        "lines of the app's `.env`, at every deploy",
    ),
    key(
        "head_env",
        "mapping of texts",
        "{}",
        "head_env: {NEW_OPTION: \"1\"}",
        "the same, for the tested commit only: keys that the older release does not have",
    ),
    key(
        "shares",
        "mapping of names to reasons",
        "{}",
        "shares: {media_library: \"test data that may be lost\"}",
        "foreign data that the tests may write to: the full name of a volume, or a path on the machine",
    ),
    key(
        "soak",
        "seconds, 0 to 600",
        "null",
        "soak: 20",
        "time that the app must stand after its last deploy. Unset: two rounds of its slowest health check, 10 to 60 s. Quick runs: at most 5 s",
    ),
    key(
        "fast_health",
        "`auto` or `off`",
        "\"auto\"",
        "fast_health: off",
        "`off`: health checks keep their own times in quick runs too",
    ),
    key("enrolled", "true or false", "false", "enrolled: true", "keep a known-good of this recipe"),
    key(
        "skip.upgrade",
        "text",
        "null",
        "skip: {upgrade: \"the database has no migration\"}",
        "skips the upgrade stage; the reason stands in every report",
    ),
    key(
        "probes.install.<name>",
        "probe",
        "{}",
        "probes: {install: {says-hello: {http: {text: hello}}}}",
        "a check after the first deploy",
    ),
    key(
        "probes.upgrade.<name>",
        "probe",
        "{}",
        "probes: {upgrade: {port-open: {tcp: {port: 25}}}}",
        "a check after the upgrade",
    ),
    key(
        "probes.custom.<name>",
        "probe",
        "{}",
        "probes: {custom: {has-nginx: {command: {service: app, argv: [nginx, -v]}}}}",
        "a check in the last stage",
    ),
];

/// The keys of a probe, under exactly one of `http`, `tcp` and `command`.
pub const PROBE_KEYS: &[KeyDoc] = &[
    key(
        "http.path",
        "path",
        "\"/\"",
        "ready: [{http: {path: /login}}]",
        "path at the app's domain, over HTTPS; redirects are not followed",
    ),
    key(
        "http.status",
        "list of HTTP statuses",
        "[200]",
        "ready: [{http: {status: [401]}}]",
        "status codes that count as a pass",
    ),
    key("http.text", "text", "null", "ready: [{http: {text: Welcome}}]", "text that the body must contain"),
    key(
        "tcp.host",
        "host name",
        "null",
        "ready: [{tcp: {host: mail.example.org, port: 25}}]",
        "where the port is; without it, the app's domain",
    ),
    key("tcp.port", "number", "", "ready: [{tcp: {port: 25}}]", "the port"),
    key(
        "tcp.stable",
        "number of connections, 1 to 100",
        "1",
        "ready: [{tcp: {port: 25, stable: 3}}]",
        "number of connections in a row that must succeed",
    ),
    key(
        "command.service",
        "text",
        "",
        "ready: [{command: {service: db, argv: [pg_isready]}}]",
        "the service, as the compose file names it",
    ),
    key(
        "command.argv",
        "list of texts",
        "",
        "ready: [{command: {service: db, argv: [pg_isready, -q]}}]",
        "program and arguments, without a shell; passes on exit code 0",
    ),
    key(
        "command.text",
        "text",
        "null",
        "ready: [{command: {service: db, argv: [id], text: postgres}}]",
        "text that standard output must contain",
    ),
];

/// The two tables as Markdown, as they stand in `docs/recipes.md`.
pub fn table() -> String {
    let rows = |keys: &[KeyDoc]| -> String {
        let row = |k: &KeyDoc| {
            let default =
                if k.default.is_empty() { "must be given".to_owned() } else { format!("`{}`", k.default) };
            format!("| `{}` | {} | {default} | {} | `{}` |\n", k.key, k.kind, k.what, k.example)
        };
        keys.iter().map(row).collect()
    };
    let head = "| key | type | default | what it does | example |\n|---|---|---|---|---|\n";
    format!(
        "{head}{}\nA probe is a mapping with exactly one of `http`, `tcp` and `command`:\n\n{head}{}",
        rows(KEYS),
        rows(PROBE_KEYS)
    )
}
