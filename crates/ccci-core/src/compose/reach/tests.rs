//! What is told, what is refused, and what must stay as it is.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::compose::unforeseen;
use crate::swarm::{ServiceFacts, StackFacts, tests as facts};

const STACK: &str = "wiki-0a1b2c_lab_test";

fn stack() -> StackName {
    STACK.parse().unwrap()
}

fn parsed(texts: &[&str]) -> Compose {
    let file = |at: usize| PathBuf::from(if at == 0 { "compose.yml" } else { "compose.more.yml" });
    let texts: Vec<_> = texts.iter().enumerate().map(|(at, text)| (file(at), (*text).to_owned())).collect();
    Compose::parse(&texts, &BTreeMap::new(), &stack()).unwrap()
}

/// One service with this mount, and these volumes at the top.
fn with(mount: &str, volumes: &str) -> Compose {
    let mount = if mount.starts_with(['{', '"']) { mount.to_owned() } else { format!("\"{mount}\"") };
    parsed(&[&format!("services: {{app: {{image: x, volumes: [{mount}]}}}}\nvolumes: {{{volumes} }}\n")])
}

fn shares(names: &[&str]) -> Shares {
    Shares::Declared(names.iter().map(|name| ((*name).to_owned(), "why".to_owned())).collect())
}

fn on<T>(shares: &Shares, look: impl FnOnce(&Ground<'_>) -> T) -> T {
    let (checkout, stack) = (Path::new("/run/abra/recipes/wiki"), stack());
    look(&Ground { checkout, stack: &stack, shares })
}

/// The names under which what would be written into can be declared.
fn refused(compose: &Compose, declared: &[&str]) -> Vec<String> {
    let all = on(&shares(declared), |ground| compose.foreign(ground));
    all.into_iter().map(|foreign| foreign.name).collect()
}

fn told(compose: &Compose) -> Vec<String> {
    let all = on(&shares(&[]), |ground| compose.reaches(ground));
    all.into_iter().map(|Reach { kind, what, .. }| format!("{kind:?} {what}")).collect()
}

/// R18: whose data each form of a mount shows. An empty name is the app's own, or harmless.
#[test]
fn r18_every_form_of_a_mount_has_an_owner() {
    for (mount, volumes, wanted) in [
        ("content:/x", "content:", ""),
        ("/anonymous", "", ""),
        ("{type: tmpfs, target: /t}", "", ""),
        ("mem:/m", "mem: {driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}}", ""),
        ("small:/s", "small: {driver_opts: {o: size=1g}}", ""),
        ("own:/x", "own: {external: true, name: \"${STACK_NAME}_own\"}", ""),
        ("own:/x", "own: {name: \"${STACK_NAME}_data\"}", ""),
        ("./html:/x", "", ""),
        ("x:/x", "x: {external: true}", "x"),
        ("x:/x", "x: {external: true, name: media}", "media"),
        ("x:/x", "x: {external: {name: media}}", "media"),
        ("x:/x", "x: {name: media}", "media"),
        ("x:/x", "x: {external: true, name: \"${STACK_NAME}x_media\"}", "wiki-0a1b2c_lab_testx_media"),
        ("x:/x", "x: {driver_opts: {type: none, o: bind, device: /srv/x}}", "/srv/x"),
        (
            "x:/x",
            "x: {driver: local, driver_opts: {type: none, o: \"rw,rbind\", device: /srv/../srv/x/}}",
            "/srv/x",
        ),
        // A bind is a bind, whatever type stands beside it.
        ("x:/x", "x: {driver_opts: {type: tmpfs, o: bind, device: /srv/x}}", "/srv/x"),
        ("x:/x", "x: {driver_opts: {type: overlay, device: overlay, o: \"upperdir=/srv/u\"}}", "overlay"),
        ("x:/x", "x: {driver_opts: {type: ext4, device: /dev/sdb1}}", "/dev/sdb1"),
        (
            "x:/x",
            "x: {driver_opts: {type: nfs, o: \"addr=nas.lab.test,rw\", device: \":/export\"}}",
            "nas.lab.test:/export",
        ),
        ("x:/x", "x: {driver_opts: {type: cifs, device: //nas/share, o: \"username=a\"}}", "/nas/share"),
        ("x:/x", "x: {driver: rclone, driver_opts: {remote: there}}", "rclone"),
        ("/srv/x:/x", "", "/srv/x"),
        ("/srv/x:/x:rw,z", "", "/srv/x"),
        ("{type: bind, source: /srv/x, target: /x}", "", "/srv/x"),
        ("../up:/x", "", "/run/abra/recipes/up"),
        ("~/x:/x", "", "~/x"),
        ("/etc/localtime:/etc/localtime", "", "/etc/localtime"),
        ("{type: cluster, source: \"group:a\", target: /x}", "", "group:a"),
        // What cannot be written into is only told.
        ("x:/x:ro", "x: {external: true, name: media}", ""),
        ("/srv/x:/x:ro", "", ""),
        ("{type: bind, source: /srv/x, target: /x, read_only: true}", "", ""),
        ("x:/x", "x: {driver_opts: {type: nfs, o: \"addr=a,ro\", device: \":/export\"}}", ""),
        ("x:/x", "x: {driver_opts: {type: nfs, o: \"ro,rw,addr=a\", device: \":/export\"}}", "a:/export"),
        // The engine's socket is no data: told, however it is mounted.
        ("/var/run/docker.sock:/var/run/docker.sock:ro", "", ""),
        ("/var/run/docker.sock:/var/run/docker.sock", "", ""),
        ("/run/user/1000/docker.sock:/s", "", ""),
        ("s:/s", "s: {driver_opts: {type: none, o: bind, device: /run/docker.sock}}", ""),
        ("/var/run:/var/run", "", "/var/run"),
    ] {
        let compose = with(mount, volumes);
        let wanted: Vec<&str> = Some(wanted).filter(|name| !name.is_empty()).into_iter().collect();
        assert_eq!(refused(&compose, &[]), wanted, "{mount} {volumes}");
        assert_eq!(refused(&compose, &wanted), Vec::<String>::new(), "declared: {mount} {volumes}");
        assert!(on(&Shares::Any, |ground| compose.foreign(ground)).is_empty(), "an operator's own app");
    }
}

#[test]
fn r18_a_share_covers_what_is_in_it_and_nothing_beside_it() {
    let compose = with("\"/srv/media/films:/x\"", "");
    for (share, covered) in [
        ("/srv/media/films", true),
        ("/srv/media", true),
        ("/srv/media/", true),
        ("/srv/med", false),
        ("media", false),
    ] {
        assert_eq!(refused(&compose, &[share]).is_empty(), covered, "{share}");
    }
    // The name in the file is the change's to choose, so it declares nothing.
    let renamed = with("media:/x", "media: {driver_opts: {type: none, o: bind, device: /}}");
    assert_eq!(refused(&renamed, &["media"]), ["/"]);
}

#[test]
fn r18_a_later_file_takes_the_place_of_a_mount_and_its_file_is_named() {
    let base =
        "services: {app: {image: x, volumes: [\"content:/x\", \"/srv/a:/a\"]}}\nvolumes: {content: }\n";
    let upper = "services: {app: {volumes: [\"/srv/x:/x/\", \"own:/a\"]}}\nvolumes: {own: }\n";
    let all = on(&shares(&[]), |ground| parsed(&[base, upper]).foreign(ground));
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(
        all[0].to_string(),
        "the service `app` would write into `/srv/x` of the machine, at /x (compose.more.yml)"
    );
    let volume = "services: {app: {image: x, volumes: [\"c:/x\"]}}\nvolumes: {c: }\n";
    let bound = "volumes: {c: {driver_opts: {type: none, o: bind, device: /srv/x}}}\n";
    let all = on(&shares(&[]), |ground| parsed(&[volume, bound]).foreign(ground));
    assert_eq!(all[0].file, Path::new("compose.more.yml"), "where its driver is given");
}

#[test]
fn r19_what_is_asked_of_the_machine_is_told() {
    let compose = parsed(&[r#"
services:
  app:
    image: x
    privileged: true
    cap_add: [NET_ADMIN]
    devices: ["/dev/fuse:/dev/fuse"]
    pid: host
    ipc: shareable
    security_opt: ["apparmor:unconfined", "no-new-privileges:true"]
    env_file: [../x.env, own.env]
    ports: ["80:8080", "127.0.0.1:53:53/udp", "9000", {target: 1, published: 2, mode: host}]
    networks: [proxy, internal, host, friends, lan]
    secrets: [own, shared]
    configs: [far, {source: near, target: /x}]
    volumes: ["/var/run/docker.sock:/s:ro", "/:/host:ro", "/srv/a:/a:ro", "m:/m:ro", "./html:/h:ro"]
networks:
  proxy: {external: true}
  internal:
  host: {external: true}
  friends: {external: true}
  lan: {driver: macvlan}
volumes: {m: {external: true, name: media}}
secrets:
  own: {external: true, name: "${STACK_NAME}_own_v1"}
  shared: {external: true, name: smtp_v1}
configs:
  far: {file: ../far}
  near: {file: ./near}
"#]);
    assert_eq!(
        told(&compose),
        [
            "DockerSocket `/` of the machine at /host, read-only",
            "DockerSocket `/var/run/docker.sock` at /s, read-only: that does not limit the requests to it",
            "Privileged all of the machine's privileges (swarm passes this over)",
            "Namespace pid: host (swarm passes this over)",
            "Namespace the machine's network",
            "Capability NET_ADMIN",
            "Device /dev/fuse:/dev/fuse (swarm passes this over)",
            "Security apparmor:unconfined (swarm passes this over)",
            "Bind `/srv/a` of the machine at /a, read-only",
            "Bind `html` of the recipe's checkout at /h, read-only",
            "Volume the volume `media`, whose name is not the stack's: its data is somebody else's at /m, read-only",
            "File the config far of `../far`",
            "File the environment from `../x.env`",
            "Secret smtp_v1 (not named after the stack)",
            "Network <stack>_lan (driver macvlan)",
            "Network friends",
            "Port 2/tcp, host",
            "Port 53/udp, ingress",
            "Port 80/tcp, ingress",
            "Port a port that swarm chooses/tcp, ingress",
        ]
    );
}

#[test]
fn r19_an_ordinary_recipe_reaches_nothing() {
    let compose = parsed(&[r#"
services:
  app:
    image: x
    networks: [proxy, internal]
    secrets: [pw]
    configs: [conf]
    volumes: ["content:/x"]
networks: {proxy: {external: true}, internal: }
volumes: {content: }
secrets: {pw: {external: true, name: "${STACK_NAME}_pw_v1"}}
configs: {conf: {name: "${STACK_NAME}_conf_v1", file: conf.tmpl}}
"#]);
    assert_eq!(told(&compose), Vec::<String>::new());
}

#[test]
fn r19_links_out_of_the_checkout_are_told() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("conf")).unwrap();
    std::os::unix::fs::symlink("/etc", dir.path().join("html")).unwrap();
    std::os::unix::fs::symlink("../env", dir.path().join(".env.sample")).unwrap();
    let compose =
        parsed(&["services: {app: {image: x, volumes: [\"./html:/h\"]}}\nconfigs: {conf: {file: ./conf}}\n"]);
    let (stack, shares) = (stack(), shares(&[]));
    let ground = Ground { checkout: dir.path(), stack: &stack, shares: &shares };
    let all: Vec<String> = compose.reaches(&ground).into_iter().map(|reach| reach.what).collect();
    let wanted = [
        "the config conf of `./conf`, by the link conf",
        "the recipe's `.env.sample`, by the link .env.sample",
    ];
    assert!(wanted.iter().all(|line| all.iter().any(|what| what == line)), "{all:#?}");
    let foreign = compose.foreign(&ground);
    let names: Vec<&str> = foreign.iter().map(|foreign| foreign.name.as_str()).collect();
    assert_eq!(names, ["/etc"], "a folder of the checkout that is somebody else's: {foreign:?}");
}

#[test]
fn r19_what_is_new_with_a_change_comes_first() {
    let reach = |what: &str| Reach { kind: ReachKind::Port, service: None, what: what.to_owned() };
    let (base, head) = ([reach("a"), reach("b")], [reach("b"), reach("c")]);
    let order: Vec<_> = compared(Some(&base), &head).into_iter().map(|(r, at)| (r.what, at)).collect();
    let wanted = [("c", At::Head), ("b", At::Both), ("a", At::Base)];
    assert_eq!(order, wanted.map(|(what, at)| (what.to_owned(), at)));
    assert!(compared(None, &head).iter().all(|(_, at)| *at == At::Both), "there is nothing to compare with");
}

#[test]
fn a5_the_version_of_a_secret_is_carried_by_the_last_variable_of_its_name() {
    let compose = parsed(&[r#"
services: {app: {image: x}}
secrets:
  usual: {external: true, name: "${STACK_NAME}_usual_${SECRET_USUAL_VERSION}"}
  orchid_client_secret: {external: true, name: "${STACK_NAME}_orcid_${SECRET_ORCID_CLIENT_SECRET_VERSION}"}
  rpc: {external: true, name: "${STACK_NAME}_rpc_${RPC_SECRET_VERSION:-${OTHER:-v1}}"}
  plain: {external: true, name: $STACK_NAME-x-$V}
  fixed: {external: true, name: "fixed_$${NOT}_v1"}
"#]);
    for (secret, variable) in [
        ("usual", Some("SECRET_USUAL_VERSION")),
        ("orchid_client_secret", Some("SECRET_ORCID_CLIENT_SECRET_VERSION")),
        ("rpc", Some("RPC_SECRET_VERSION")),
        ("plain", Some("V")),
        ("fixed", None),
        ("none", None),
    ] {
        assert_eq!(compose.version_variable(secret), variable, "{secret}");
    }
    assert_eq!(compose.secrets["orchid_client_secret"].swarm_name, format!("{STACK}_orcid_"));
}

/// As Docker reads them: an entry of a later file stands in the whole place of an earlier one, services are laid over each
/// other.
#[test]
fn r18_a_later_entry_takes_the_whole_place_of_an_earlier_one() {
    let base = r#"
services: {app: {image: x, volumes: ["a:/a", "b:/b", "c:/c"], secrets: [s]}}
volumes:
  a: {driver_opts: {type: none, o: bind, device: /srv/a}}
  b: {external: true, name: media}
  c:
secrets: {s: {external: true, name: "${STACK_NAME}_s_${V}"}}
"#;
    assert_eq!(refused(&parsed(&[base]), &[]), ["/srv/a", "media"]);
    let upper =
        "volumes: {a: , b: {name: photos}, c: {driver_opts: {type: none, o: bind, device: /srv/c}}}\n";
    let both = parsed(&[base, upper]);
    assert_eq!(refused(&both, &[]), ["photos", "/srv/c"]);
    assert!(!both.volumes["b"].external);
    let secret = parsed(&[base, "secrets: {s: {external: true, name: fixed}}\n"]);
    assert_eq!((secret.secrets["s"].swarm_name.as_str(), secret.version_variable("s")), ("fixed", None));
}

/// N2: a name that fits at one domain need not fit at another: services and networks have 63 characters, configs and
/// secrets 64.
#[test]
fn n2_names_that_swarm_would_refuse_are_refused_before_anything_is_created() {
    let fitting = |limit: usize| "x".repeat(limit - STACK.len() - 1);
    for (section, limit) in [("service", 63), ("network", 63), ("config", 64), ("secret", 64)] {
        let of = |length: usize| {
            let name = fitting(length);
            let text = match section {
                "service" => format!("services: {{{name}: {{image: x}}}}\n"),
                "network" => format!("networks: {{{name}: }}\n"),
                other => format!("{other}s: {{x: {{external: true, name: \"${{STACK_NAME}}_{name}\"}}}}\n"),
            };
            parsed(&[&text]).check_names(&stack())
        };
        assert_eq!(of(limit), Ok(()), "{section}");
        let error = of(limit + 1).unwrap_err().to_string();
        assert!(error.contains(section) && error.contains(&fitting(limit + 1)), "{error}");
        assert!(error.contains(&limit.to_string()) && error.contains(&(limit + 1).to_string()), "{error}");
    }
    let external = format!("networks: {{{}: {{external: true}}}}\n", "x".repeat(70));
    assert_eq!(parsed(&[&external]).check_names(&stack()), Ok(()), "what is there has a name already");
}

/// A stack whose one service has these mounts in swarm's own words.
fn facts(service: &str, mounts: &serde_json::Value) -> StackFacts {
    let named = facts::service(&format!("{STACK}_{service}"));
    let template = serde_json::json!({"ContainerSpec": {"Mounts": mounts}});
    StackFacts { stack: stack(), ..facts::stack(vec![ServiceFacts { template, ..named }]) }
}

#[test]
fn r18_a_mount_that_nobody_foresaw_is_seen_in_what_swarm_was_given() {
    let compose = with(
        "\"c:/c\", \"/srv/a:/a:ro\", \"b:/b\", \"~/h:/h\", {type: tmpfs, target: /t}",
        "c: , b: {driver_opts: {type: none, o: bind, device: /srv/b}}",
    );
    let promised = serde_json::json!([
        {"Type": "volume", "Source": format!("{STACK}_c"), "Target": "/c", "VolumeOptions": {"Labels": {"a": "b"}}},
        {"Type": "bind", "Source": "/srv/a", "Target": "/a", "ReadOnly": true},
        {"Type": "volume", "Source": format!("{STACK}_b"), "Target": "/b/", "VolumeOptions": {
            "DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/srv/b"}}}},
        {"Type": "bind", "Source": "/root/h", "Target": "/h"},
        {"Type": "tmpfs", "Target": "/t"},
    ]);
    let seen = |compose: Option<&Compose>, facts: &StackFacts, before: &[String]| {
        on(&shares(&["/srv/b", "~/h"]), |ground| unforeseen(compose, facts, before, ground))
    };
    assert_eq!(seen(Some(&compose), &facts("app", &promised), &[]), Vec::<String>::new());
    let at = |index: usize, key: &str, value: serde_json::Value| {
        let mut mounts = promised.clone();
        mounts[index][key] = value;
        seen(Some(&compose), &facts("app", &mounts), &[])
    };
    for other in [
        at(0, "Source", "media".into()),
        at(0, "Type", "bind".into()),
        at(0, "Target", "/d".into()),
        at(
            0,
            "VolumeOptions",
            serde_json::json!({"DriverConfig": {"Options": {"device": "/srv/x", "o": "bind"}}}),
        ),
        at(1, "ReadOnly", false.into()),
        at(1, "Source", "/srv".into()),
        at(2, "VolumeOptions", serde_json::json!({})),
    ] {
        assert_eq!(other.len(), 1, "{other:?}");
        assert!(other[0].starts_with("the service `app` mounts `"), "{other:?}");
    }
    // A service that this deploy does not name goes on as it was; a new one that the files do not have is unforeseen.
    let dropped = facts("old", &serde_json::json!([{"Type": "bind", "Source": "/srv/x", "Target": "/x"}]));
    assert!(seen(Some(&compose), &dropped, &["old".to_owned()]).is_empty());
    assert_eq!(seen(Some(&compose), &dropped, &[]).len(), 1);
    // Where the files could not be read, what swarm was given is judged by itself.
    for (mount, count) in [
        (serde_json::json!({"Type": "bind", "Source": "/srv/x", "Target": "/x"}), 1),
        (serde_json::json!({"Type": "bind", "Source": "/srv/x", "Target": "/x", "ReadOnly": true}), 0),
        (serde_json::json!({"Type": "bind", "Source": "/srv/b/c", "Target": "/x"}), 0),
        (serde_json::json!({"Type": "bind", "Source": "/run/abra/recipes/wiki/html", "Target": "/x"}), 0),
        (serde_json::json!({"Type": "volume", "Source": "media", "Target": "/x"}), 1),
        (serde_json::json!({"Type": "volume", "Source": format!("{STACK}_c"), "Target": "/x"}), 0),
        (serde_json::json!({"Type": "volume", "Target": "/x"}), 0),
    ] {
        assert_eq!(seen(None, &facts("app", &serde_json::json!([mount])), &[]).len(), count, "{mount}");
    }
}

proptest! {
    /// R18: whatever the mounts are, each by which somebody else's data could be written is refused or declared, and each
    /// refusal says what to declare.
    #[test]
    fn r18_nothing_of_others_is_written_undeclared(
        mounts in proptest::collection::vec((0..6_u8, 0..4_u8, any::<bool>()), 0..6),
        declared in proptest::collection::vec(0..4_u8, 0..3),
    ) {
        let name = |n: u8| ["media", "/srv/a", "/srv/a/b", "photos"][usize::from(n)].to_owned();
        let mut text = "services:\n  app:\n    image: x\n    volumes:\n".to_owned();
        let mut volumes = "volumes:\n  own:\n".to_owned();
        let mut others = Vec::new();
        for (at, (form, n, read_only)) in mounts.iter().enumerate() {
            let (of, ro) = (name(*n), if *read_only { ":ro" } else { "" });
            let path = if of.starts_with('/') { of.clone() } else { format!("/mnt/{of}") };
            let (source, foreign) = match form {
                0 => ("own".to_owned(), None),
                1 => (path.clone(), Some(path)),
                2 => {
                    writeln!(volumes, "  v{at}: {{external: true, name: \"{}\"}}", of.replace('/', "-")).unwrap();
                    (format!("v{at}"), Some(of.replace('/', "-")))
                }
                3 => {
                    writeln!(volumes, "  v{at}: {{driver_opts: {{type: none, o: bind, device: {path}}}}}").unwrap();
                    (format!("v{at}"), Some(path))
                }
                4 => ("./folder".to_owned(), None),
                _ => ("/var/run/docker.sock".to_owned(), None),
            };
            writeln!(text, "      - {source}:/t{at}{ro}").unwrap();
            others.extend(foreign.filter(|_| !read_only));
        }
        if mounts.is_empty() {
            text.push_str("      - own:/t\n");
        }
        let compose = parsed(&[&format!("{text}{volumes}")]);
        let declared: Vec<String> = declared.into_iter().map(name).collect();
        let names: Vec<&str> = declared.iter().map(String::as_str).collect();
        let mut found = refused(&compose, &names);
        let covered = |of: &String| {
            declared.iter().any(|share| of == share || (share.starts_with('/') && Path::new(of).starts_with(share)))
        };
        let mut wanted: Vec<String> = others.into_iter().filter(|of| !covered(of)).collect();
        found.sort();
        wanted.sort();
        prop_assert_eq!(&found, &wanted);
        let all: Vec<&str> = names.iter().copied().chain(found.iter().map(String::as_str)).collect();
        prop_assert_eq!(refused(&compose, &all), Vec::<String>::new());
    }
}

/// The word of a kind in lines is the one in records.
#[test]
fn r19_each_kind_has_one_word() {
    use ReachKind as Kind;
    for kind in [
        Kind::DockerSocket,
        Kind::Privileged,
        Kind::Namespace,
        Kind::Capability,
        Kind::Device,
        Kind::Security,
        Kind::Bind,
        Kind::Volume,
        Kind::File,
        Kind::Secret,
        Kind::Config,
        Kind::Network,
        Kind::Port,
        Kind::Unread,
    ] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
