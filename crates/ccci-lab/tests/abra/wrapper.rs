//! ccci's own wrapper of abra, driven against the same program: what one writes, the other must be able to read.

use ccci_core::abra::{Abra, AbraError, AbraErrorKind, DeployMode};
use ccci_core::names::AppDomain;

use crate::bench::{Bench, NEW, OLD, RUN};

const TWO: &str = "COMPOSE_FILE=compose.yml:compose.secrets.yml\nSECRET_FIRST_VERSION=v1 # length=24\n\
                   SECRET_SECOND_VERSION=v1\n";

fn ground() -> (Bench, Abra, AppDomain) {
    let program = crate::real().unwrap_or_else(crate::stand_in);
    let bench = crate::ground(&program, None);
    let abra = Abra::new(program, bench.path("abra"));
    let domain = bench.domain.parse().unwrap();
    (bench, abra, domain)
}

fn kind<T>(result: Result<T, AbraError>) -> Option<AbraErrorKind> {
    result.err().map(|error| error.kind)
}

pub fn reads_lint_and_deploys_what_it_says() {
    let (b, abra, domain) = ground();
    let report = b.wait_for(abra.lint(&"abrac".parse().unwrap())).unwrap();
    assert_eq!(report.rules, 16, "{report:?}");
    b.app(RUN);
    let pinned = DeployMode::Pinned(OLD.parse().unwrap());
    b.wait_for(abra.deploy(&domain, &pinned, false)).unwrap();
    // The pinned deploy has left the clone on the old release, and chaos takes what lies there.
    b.wait_for(abra.deploy(&domain, &DeployMode::Chaos, false)).unwrap();
    assert_eq!(b.label("version"), OLD);
    b.git(&["checkout", "-q", "-f", "main"]);
    b.wait_for(abra.deploy(&domain, &DeployMode::Chaos, false)).unwrap();
    assert_eq!(b.label("version"), NEW);
    b.wait_for(abra.undeploy(&domain)).unwrap();
}

pub fn makes_and_lists_secrets() {
    let (b, abra, domain) = ground();
    b.app(TWO);
    // Which of them abra names is chance.
    let missing = kind(b.wait_for(abra.deploy(&domain, &DeployMode::Chaos, false)));
    let expected =
        |name: &str| Some(AbraErrorKind::MissingSecret { name: name.to_owned(), insertable: false });
    assert!(missing == expected("first") || missing == expected("second"), "{missing:?}");
    let made = b.wait_for(abra.generate_secrets(&domain)).unwrap();
    let first = made.iter().find(|s| s.name == "first").unwrap();
    assert_eq!((made.len(), first.value.expose().len()), (2, 24));
    let listed = b.wait_for(abra.secrets(&domain)).unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|s| s.created), "{listed:?}");
    assert!(b.wait_for(abra.generate_secrets(&domain)).unwrap().is_empty(), "nothing is left to make");
}

/// What ccci's reader of compose files and its reader of abra's list say of one secret is the same (N2, A5).
pub fn and_compose_files_agree_on_a_secrets_real_name() {
    let (b, abra, domain) = ground();
    crate::secrets::odd(&b);
    let listed = b.wait_for(abra.secrets(&domain)).unwrap();
    let stack = domain.stack();
    let values = [("OTHER_KEY".to_owned(), "v3".to_owned())].into();
    let files = ["compose.yml".to_owned(), "compose.odd.yml".to_owned()];
    let compose = ccci_core::compose::Compose::load(&b.recipe(), &files, &values, &stack).unwrap();
    assert_eq!(compose.version_variable("third"), Some("OTHER_KEY"));
    let told = listed[0].full(&stack, None).unwrap();
    assert_eq!(told, compose.secrets["third"].swarm_name);
    let untold = ccci_core::abra::SecretEntry { swarm_name: None, ..listed[0].clone() };
    assert_eq!(untold.full(&stack, Some(&compose)).unwrap(), told, "where abra does not tell it");
}

pub fn tells_refusals_apart() {
    let (b, abra, domain) = ground();
    let pinned = DeployMode::Pinned(NEW.parse().unwrap());
    let deploy = |mode: &DeployMode| kind(b.wait_for(abra.deploy(&domain, mode, false)));
    assert_eq!(kind(b.wait_for(abra.undeploy(&domain))), Some(AbraErrorKind::NotDeployed));
    b.write("untracked.txt", "new\n");
    assert_eq!(deploy(&pinned), Some(AbraErrorKind::DirtyTree));
    b.git(&["clean", "-qfd"]);
    assert_eq!(deploy(&pinned), None);
    assert_eq!(deploy(&pinned), Some(AbraErrorKind::AlreadyDeployed));
    b.git(&["tag", "0.1.0+0.1"]);
    let blocked = deploy(&pinned);
    assert!(matches!(blocked, Some(AbraErrorKind::AlreadyDeployed | AbraErrorKind::LintBlocked { .. })));
    let forced = kind(b.wait_for(abra.deploy(&domain, &pinned, true)));
    assert_eq!(forced, Some(AbraErrorKind::LintBlocked { rule: Some("R014".to_owned()) }));
    b.write("compose.yml", "version: \"3.8\"\nservices:\n  app: {image: x, nonsense: true}\n");
    let refused = deploy(&DeployMode::Chaos);
    assert!(
        matches!(&refused, Some(AbraErrorKind::ComposeRefused { message }) if message.contains("nonsense")),
        "{refused:?}"
    );
    std::fs::remove_file(b.env_file()).unwrap();
    assert_eq!(deploy(&pinned), Some(AbraErrorKind::UnknownApp));
}
