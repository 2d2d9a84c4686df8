//! `ccci canonical up`: the app at its known-good's commit, for a person to look at.

use ccci_core::names::RecipeName;
use ccci_core::plan::{Ask, promotion as plan_of};
use ccci_core::record::RecordState;
use ccci_core::txn::{Kind, Recovery};

use super::{InHand, brought_back};
use crate::kept::KnownGood;
use crate::kept::carry_out::Due;
use crate::run::claim::{Claim, Entered, Run, Taken};
use crate::run::enter::one_node;
use crate::run::observe::{KnownRelease, Search};
use crate::run::room::Room;
use crate::run::stages::Start;
use crate::run::{provider, stand, teardown};
use crate::session::points::Point;
use crate::session::request::Target;
use crate::session::trouble::Trouble;
use crate::session::world::World;

/// Deploys the app at its known-good's commit, on its volumes as they are or, with `restore`, as they were kept. Says where
/// it is and who can log in.
pub(crate) async fn up(
    recipe: &RecipeName,
    restore: bool,
    room: Room,
    world: &World,
) -> Result<String, Trouble> {
    let hand = InHand::take(recipe, "canonical up", world).await?;
    one_node(&hand.swarm)?;
    hand.recovered().await?;
    let known = hand.whole(&room).await?;
    let claim = Claim::draw(recipe, world)?;
    let provider = match room.provider.as_ref().map(|_| provider::share(world)).transpose() {
        Ok(provider) => provider,
        Err(busy) => {
            claim.withdraw()?;
            return Err(busy);
        }
    };
    // No run slot is taken: nothing is tested.
    let InHand { lock, swarm, .. } = hand;
    let taken = Taken { slot: None, apps: Vec::new(), canonical: Some(lock), provider, swarm };
    let Entered { run, locks } = claim.enter(taken);
    let said = Box::pin(brought_up(&known, restore, room, &run)).await;
    locks.free();
    said
}

async fn brought_up(known: &KnownGood, restore: bool, room: Room, run: &Run) -> Result<String, Trouble> {
    let (app, id) = (&known.app, &run.record.run);
    if restore {
        // A transaction of its own: what is half the known-good may not be taken for a person's data.
        if let Err(why) = brought_back(known, id, app.tended_by(run.worker())).await {
            teardown::undo(run).await;
            return Err(why);
        }
    }
    app.begin(Kind::Up, id, None)?;
    match Box::pin(deployed(known, room, run)).await {
        Ok(said) => {
            run.amend(|record| record.state = RecordState::Up)?;
            run.world.points.reach(Point::RecordUp);
            Ok(said)
        }
        Err(why) => {
            let tended = app.tended_by(run.worker()).to_the_end();
            let due = Due { rule: Recovery::Keep, known: Some(known), run: id };
            let left = tended.carry_out(due).await;
            teardown::undo(run).await;
            // Why it did not come up is what is to be mended.
            if let Err(left) = left {
                run.world.say(format!(
                    "{} is not down yet: {left}; `ccci recover` or the next start takes it down and keeps its data",
                    app.domain()
                ));
            }
            Err(why)
        }
    }
}

async fn deployed(known: &KnownGood, room: Room, run: &Run) -> Result<String, Trouble> {
    let (recipe, domain, commit) = (known.app.recipe(), known.app.domain(), &known.record.commit);
    let target = Target {
        recipe: recipe.clone(),
        reference: Some(commit.to_string()),
        src: None,
        ask: Ask::default(),
    };
    let search = Search {
        target: &target,
        domain,
        git: &run.world.git(Some(&run.dir)),
        clone: &run.abra.recipe_dir(recipe),
        settings: &run.world.settings,
        redactor: &run.world.redactor,
    };
    let subject = search.subject(room, KnownRelease::Missing("it is only looked at".to_owned())).await?;
    let (plan, start) = (plan_of(&subject.observed), Start::Kept(known.outfit(&run.world)?));
    let aside = run.aside();
    let live = stand::stand(&aside, subject, plan, start).await?;
    let login = live.login().map_or_else(String::new, |login| format!("; {login}"));
    Ok(format!(
        "https://{domain} is up{login}; `ccci canonical down {recipe}` takes it down and keeps its data"
    ))
}
