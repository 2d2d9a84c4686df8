//! An engine that goes away in the middle of a quick run and does not come back. Waiting for it is all that these tests do,
//! so they begin first: their names do.

use crate::engine::Engine;
use crate::quick::warm;
use crate::world::World;

#[test]
fn an_engine_that_is_lost_for_good_is_inconclusive_and_mended_by_the_next_start() {
    nobody_answers(Engine::lose, Engine::come_back);
}

/// Each question has an end of its own, so a run that gets no answer has one too.
#[test]
fn an_engine_that_hangs_is_as_good_as_lost() {
    nobody_answers(Engine::hang, Engine::wake);
}

/// Nobody can tell what the engine would have said: inconclusive, and the next start mends it without a person.
fn nobody_answers(lose: fn(&Engine), back: fn(&Engine)) {
    let world = World::patient(&["content"]);
    world.gate();
    world.seed();
    let kept = world.known_good();
    world.close_gate("");
    let (quick, _) = world.at_the_gate("quick", &["--quick", "--ref", "migrates"]);
    lose(&world.engine);
    world.open_gate();
    let ran = quick.end();
    ran.assert(3, "inconclusive");
    assert!(ran.said().contains("the next start restores it"), "{ran:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept.clone(), "in-use".to_owned()));
    assert_eq!(world.ccci(&["recover"]).code, Some(3));
    assert_eq!(world.alerts().len(), 0, "nobody need act");
    back(&world.engine);
    let recovered = world.ccci(&["recover"]);
    assert_eq!(recovered.code, Some(0), "{recovered:#?}");
    assert!(recovered.stdout.contains("its known-good 1.1.0+2 is restored"), "{recovered:#?}");
    assert_eq!((world.known_good(), world.mark()), (kept, "idle".to_owned()));
    assert_eq!(world.read(&warm("content"), "format").as_deref(), Some("2\n"));
    world.quick(None).assert(0, "pass");
}
