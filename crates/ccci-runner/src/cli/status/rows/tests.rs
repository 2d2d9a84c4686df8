use super::*;

fn holder(run: &str) -> Holder {
    Holder { run: run.into(), recipe: "blog".into(), pid: 7, since: "2026-01-02T03:04:05Z".into() }
}

fn seen(alive: bool, state: Option<RecordState>) -> SeenRun {
    let record = state.map(|state| {
        let (run, recipe, domain) = ("0a1b2c".parse(), "blog".parse(), "blog-0a1b2c.ci.test".parse());
        let started = "2026-01-02T03:04:05Z".to_owned();
        let mut record = RunRecord::new(run.unwrap(), recipe.unwrap(), domain.unwrap(), started);
        record.state = state;
        record
    });
    SeenRun { alive, has_canonical: false, has_result: false, record }
}

#[test]
fn a_run_is_told_by_its_lock_its_slot_and_its_record() {
    let (own, others, free) =
        ([Some(holder("0a1b2c"))], [Some(holder("ffffff"))], [Some(holder("ffffff")), None]);
    let state = |seen: &SeenRun, slots: &[Option<Holder>]| run("0a1b2c", seen, slots).map(|row| row.state);
    let open = || seen(true, Some(RecordState::Open));
    assert_eq!(state(&open(), &own), Some("runs"));
    assert_eq!(state(&open(), &others), Some("waits"));
    assert_eq!(state(&open(), &free), Some("begins"), "nobody waits where a slot is free");
    assert_eq!(state(&seen(true, None), &others), Some("waits"), "it has written nothing yet");
    for ends in [
        SeenRun { has_result: true, ..open() },
        SeenRun { has_canonical: true, ..open() },
        seen(true, Some(RecordState::Clean)),
    ] {
        assert_eq!(state(&ends, &others), Some("ends"), "{ends:?}");
    }
    assert_eq!(state(&seen(false, Some(RecordState::Open)), &own), Some("died"), "its lock decides");
    assert_eq!(state(&seen(false, None), &free), Some("died"));
    for over in [RecordState::Clean, RecordState::Up] {
        assert_eq!(state(&seen(false, Some(over)), &free), None, "{over:?}");
    }
    let died = run("0a1b2c", &seen(false, Some(RecordState::Open)), &free).unwrap();
    assert_eq!(died.to_do.as_deref(), Some(RECOVER));
    assert_eq!(died.text, "0a1b2c of blog, since 2026-01-02T03:04:05Z, died, and may have left something");
}

#[test]
fn a_server_reads_so() {
    let least = Size::of(1 << 30);
    let disk = |free: u64| {
        let zero = Size::of(0);
        DiskSpace { place: "/srv".into(), free: Size::of(free), files: None, total: zero, used: zero }
    };
    let mut rows = vec![engine(Ok::<_, &str>("20.10.24"))];
    rows.extend(slots(&[Some(holder("ffffff")), None]));
    rows.extend(run("0a1b2c", &seen(true, Some(RecordState::Open)), &[Some(holder("ffffff"))]));
    rows.extend([super::disk(&disk(2 << 30), least), super::disk(&disk(1 << 20), least)]);
    rows.extend([
        engine(Err::<&str, _>("it gives no answer")),
        Row::unread("run", "3d4e5f", &"it is damaged"),
    ]);
    insta::assert_snapshot!(shown("ci.test, state in /srv", &rows), @r"
    server     ci.test, state in /srv
    engine     20.10.24 answers
    slot       0 is taken by run ffffff of blog (process 7, since 2026-01-02T03:04:05Z)
    slot       1 is free
    run        0a1b2c of blog, since 2026-01-02T03:04:05Z, waits for a run slot (`max_tests`)
    disk       2 GiB free at /srv, 1 GiB wanted
    disk       1 MiB free at /srv, 1 GiB wanted
    engine     is not to be had: it gives no answer
    run        3d4e5f cannot be looked at: it is damaged
    to do      disk /srv: make room: 1 MiB are free at /srv, and a run wants 1 GiB (`disk_free`)
    to do      engine: mend it: until then no run begins, and nothing that died is cleaned up
    to do      run 3d4e5f: mend what is said, then look again
    ");
}

#[test]
fn an_alert_says_what_is_to_be_done_and_one_that_cannot_be_read_is_none_the_less_told() {
    let alert = ccci_core::alert::Alert {
        schema: 1,
        kind: ccci_core::alert::AlertKind::RestoreFailed,
        app: "blog".parse().unwrap(),
        run: "0a1b2c".into(),
        time: "2026-01-02T03:04:05Z".into(),
        attempted: None,
        last_good: None,
        recovered: false,
        what: "it could not be restored".into(),
        hint: "mend the cause".into(),
    };
    let rows = alerts(&[
        Waiting { path: "/a/1.json".into(), alert: Ok(alert) },
        Waiting { path: "/a/2.json".into(), alert: Err("EOF".into()) },
    ]);
    assert_eq!((rows[0].state, rows[0].to_do.as_deref()), ("restore-failed", Some("mend the cause")));
    assert_eq!((rows[1].state, rows[1].text.as_str()), ("unread", "2.json cannot be looked at: EOF"));
}

#[test]
fn an_age_is_told_in_what_says_something() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let now = at("2026-01-10T00:00:00Z");
    for (then, told) in [
        ("2026-01-07T23:00:00Z", "2 days"),
        ("2026-01-08T01:00:00Z", "47 h"),
        ("2026-01-09T22:30:00Z", "90 min"),
        ("2026-01-11T00:00:00Z", "0 min"),
    ] {
        assert_eq!(age(now, at(then)), told, "{then}");
    }
}
