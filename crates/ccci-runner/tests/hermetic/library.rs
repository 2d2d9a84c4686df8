//! ccci as a library: runs in this very process, side by side, each heard by its own consumer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccci_core::event::{Consumer, Event};
use ccci_core::verdict::Verdict;
use ccci_runner::{Ended, RunRequest, Session, Stop, Surroundings, Which};

use crate::world::World;

/// What one run told.
#[derive(Debug, Default, Clone)]
struct Heard(Arc<Mutex<Vec<Event>>>);

impl Consumer for Heard {
    fn take(&mut self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    /// The ids of the runs that began in this stream.
    fn runs(&self) -> Vec<String> {
        let started = |event: &Event| match event {
            Event::Started(started) => Some(started.run.clone()),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(started).collect()
    }

    fn said(&self, words: &str) -> bool {
        let says = |event: &Event| matches!(event, Event::Progress(text) if text.contains(words));
        self.0.lock().unwrap().iter().any(says)
    }
}

impl World {
    /// A session of this test's own process. Nothing of it is read from this process's environment.
    async fn session(&self, stop: Stop) -> Session {
        let mut surroundings = Surroundings::of("/".into(), env!("CARGO_BIN_EXE_ccci").into());
        surroundings.docker_host = Some(self.engine.host());
        let (config, recipes) = (Some(self.path("ccci.yaml")), Some(self.path("recipes")));
        let which = Which { config, recipes, lab: false };
        Session::open(&surroundings, &which, stop).await.unwrap()
    }
}

fn of(reference: &str) -> RunRequest {
    let mut request = RunRequest::cold("blog").unwrap();
    request.target.reference = Some(reference.to_owned());
    request
}

fn passed(ended: &Ended) -> String {
    assert_eq!(ended.judgement.verdict, Verdict::Pass, "{ended:#?}");
    let (report, dir) = (ended.report.as_ref().unwrap(), ended.dir.as_ref().unwrap());
    assert!(ended.unwritten.is_none() && dir.join("results.json").is_file());
    report.run.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_runs_of_one_process_go_side_by_side_and_are_heard_apart() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    let session = world.session(Stop::default()).await;
    let (one, two) = (Heard::default(), Heard::default());
    let (old, new) = (of("1.0.0+1"), of("1.1.0+2"));
    let ended = tokio::join!(session.run(&old, one.clone()), session.run(&new, two.clone()));
    let (first, second) = (passed(&ended.0.unwrap()), passed(&ended.1.unwrap()));
    assert_ne!(first, second);
    assert_eq!((one.runs(), two.runs()), (vec![first.clone()], vec![second.clone()]));
    let finished = |heard: &Heard| {
        heard.0.lock().unwrap().iter().filter(|event| matches!(event, Event::Finished(..))).count()
    };
    assert_eq!((finished(&one), finished(&two)), (1, 1));
    assert!(!one.said("waiting for") && !two.said("waiting for"), "nobody waited: there were two slots");
    world.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_process_wait_for_each_others_locks() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 1\n");
    let (here, there) = (world.session(Stop::default()).await, world.session(Stop::default()).await);
    let (one, two) = (Heard::default(), Heard::default());
    let (first, second) = (of("1.0.0+1"), of("1.1.0+2"));
    let ended = tokio::join!(here.run(&first, one.clone()), there.run(&second, two.clone()));
    assert_ne!(passed(&ended.0.unwrap()), passed(&ended.1.unwrap()));
    let waits = "waiting for a run slot (max_tests): in use by run ";
    assert!(one.said(waits) || two.said(waits), "{one:?} {two:?}");
    world.assert_nothing_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_by_its_own_token_and_ends_by_its_teardown() {
    let world = World::patient(&["content"]);
    world.settings("max_tests: 2\n");
    let stop = Stop::default();
    let (stopped, other) = (world.session(stop.clone()).await, world.session(Stop::default()).await);
    let (heard, beside) = (Heard::default(), Heard::default());
    let (request, second) = (of("1.1.0+2"), of("1.0.0+1"));
    let ending = async {
        while heard.runs().is_empty() {
            ccci_core::wait::pause(Duration::from_millis(5)).await;
        }
        stop.run.cancel();
    };
    let (ended, other, ()) =
        tokio::join!(stopped.run(&request, heard.clone()), other.run(&second, beside), ending);
    assert_eq!(ended.unwrap().judgement.verdict, Verdict::Inconclusive);
    passed(&other.unwrap());
    world.assert_nothing_left();
}
