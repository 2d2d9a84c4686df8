//! A small model of all that is durable of one canonical, and of the steps in which each command changes it. Whatever
//! comes after what, and whenever the program is killed, the rule of [`recovery`] keeps the promises of warm data.

use proptest::prelude::*;

use super::{Kind, Recovery, Seen, recovery};
use crate::canonical::VolumeStatus::{self, Dirty, Idle, InUse};

/// What is in the volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    /// Exactly what this snapshot holds.
    Of(u32),
    /// Anything else.
    Moved,
}

/// The facts.
#[derive(Debug, Default)]
struct Disk {
    snapshot: Option<u32>,
    record: Option<u32>,
    mark: Option<VolumeStatus>,
    journal: Option<Kind>,
    volumes: Option<Data>,
    deployed: bool,
    /// The run's record says that a person has the app up.
    up: bool,
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Quick { pass: bool },
    Promote { pass: bool },
    Up { restore: bool },
    Down,
    Restore,
    Drop,
    Recover,
}

/// The program was killed.
#[derive(Debug)]
struct Killed;

/// One life of the program, which ends after so many steps at the latest.
struct Life<'a> {
    disk: &'a mut Disk,
    steps: usize,
    /// The known-good that must be there; none while it is given up on purpose.
    kept: &'a mut Option<u32>,
    next: u32,
}

impl Life<'_> {
    /// One durable step, after which all promises hold.
    fn step(&mut self, change: impl FnOnce(&mut Disk)) -> Result<(), Killed> {
        if self.steps == 0 {
            return Err(Killed);
        }
        self.steps -= 1;
        change(self.disk);
        let disk = &self.disk;
        if let Some(kept) = *self.kept {
            assert_eq!(disk.snapshot, Some(kept), "the known-good is lost: {disk:?}");
        }
        if disk.mark == Some(Idle) {
            assert_eq!(disk.volumes, disk.snapshot.map(Data::Of), "idle, and not the known-good: {disk:?}");
        }
        assert!(!disk.deployed || disk.journal.is_some(), "deployed, and nobody would know: {disk:?}");
        Ok(())
    }

    fn begin(&mut self, kind: Kind) -> Result<(), Killed> {
        self.step(|disk| disk.journal = Some(kind))?;
        self.step(|disk| disk.mark = Some(InUse))
    }

    fn end(&mut self, mark: VolumeStatus) -> Result<(), Killed> {
        self.step(|disk| disk.mark = Some(mark))?;
        self.step(|disk| disk.journal = None)
    }

    /// A deploy of which nobody knows what it does to the volumes.
    fn deploy(&mut self) -> Result<(), Killed> {
        self.step(|disk| disk.deployed = true)?;
        self.step(|disk| disk.volumes = Some(Data::Moved))
    }

    fn undeploy(&mut self) -> Result<(), Killed> {
        self.step(|disk| disk.deployed = false)
    }

    /// Volumes one after the other: in between they are neither.
    fn restore(&mut self) -> Result<(), Killed> {
        self.undeploy()?;
        self.step(|disk| disk.volumes = Some(Data::Moved))?;
        self.step(|disk| disk.volumes = disk.snapshot.map(Data::Of))
    }

    fn forget(&mut self) -> Result<(), Killed> {
        *self.kept = None;
        self.step(|disk| disk.snapshot = None)?;
        self.step(|disk| disk.record = None)?;
        self.step(|disk| disk.mark = None)
    }

    fn gone(&mut self) -> Result<(), Killed> {
        self.undeploy()?;
        self.step(|disk| disk.volumes = None)?;
        self.forget()?;
        self.step(|disk| disk.journal = None)
    }

    fn recover(&mut self) -> Result<(), Killed> {
        let Some(kind) = self.disk.journal else { return Ok(()) };
        let seen = Seen { snapshot: self.disk.snapshot.is_some(), up: self.disk.up };
        match recovery(kind, seen) {
            Recovery::Leave => Ok(()),
            Recovery::Keep => {
                self.undeploy()?;
                self.end(Dirty)
            }
            Recovery::Return => {
                self.step(|disk| disk.record = disk.snapshot)?;
                self.restore()?;
                self.end(Idle)
            }
            Recovery::Remove => {
                *self.kept = None;
                self.gone()
            }
            Recovery::GiveUp => panic!("the model damages nothing: {:?}", self.disk),
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<(), Killed> {
        if !matches!(command, Command::Down | Command::Drop) {
            self.recover()?;
        }
        let (whole, open) = (self.disk.record.is_some(), self.disk.journal.is_some());
        match command {
            Command::Quick { pass } if whole && !open => self.quick(pass),
            Command::Promote { pass } if !open => self.promote(pass),
            Command::Up { restore } if whole && !open => {
                if restore {
                    self.begin(Kind::Restore)?;
                    self.restore()?;
                    self.end(Idle)?;
                }
                self.begin(Kind::Up)?;
                self.deploy()?;
                self.step(|disk| disk.up = true)
            }
            Command::Down if self.disk.journal == Some(Kind::Up) => {
                self.step(|disk| disk.up = false)?;
                self.undeploy()?;
                self.end(Dirty)
            }
            Command::Restore if whole && !open => {
                self.begin(Kind::Restore)?;
                self.restore()?;
                self.end(Idle)
            }
            Command::Drop => {
                self.step(|disk| disk.up = false)?;
                self.begin(Kind::Drop)?;
                *self.kept = None;
                self.gone()
            }
            _ => Ok(()),
        }
    }

    fn quick(&mut self, pass: bool) -> Result<(), Killed> {
        let (idle, before) = (self.disk.mark == Some(Idle), (self.disk.snapshot, self.disk.record));
        self.begin(Kind::Use)?;
        if !idle {
            self.restore()?;
        }
        assert_eq!(self.disk.volumes, before.0.map(Data::Of), "a run begins on something else");
        self.deploy()?;
        self.deploy()?;
        self.undeploy()?;
        if !pass {
            self.restore()?;
        }
        self.end(if pass { Dirty } else { Idle })?;
        assert_eq!((self.disk.snapshot, self.disk.record), before, "a quick run moved the known-good");
        Ok(())
    }

    fn promote(&mut self, pass: bool) -> Result<(), Killed> {
        let (old, idle, new) = (self.disk.record, self.disk.mark == Some(Idle), self.next);
        self.begin(if old.is_some() { Kind::Advance } else { Kind::Seed })?;
        if old.is_none() {
            self.undeploy()?;
            self.step(|disk| disk.volumes = None)?;
            self.forget()?;
        } else if !idle {
            self.restore()?;
        }
        self.deploy()?;
        self.undeploy()?;
        if pass {
            *self.kept = None;
            self.step(|disk| (disk.snapshot, disk.volumes) = (Some(new), Some(Data::Of(new))))?;
            *self.kept = Some(new);
            self.step(|disk| disk.record = Some(new))?;
            return self.end(Idle);
        }
        if old.is_none() {
            return self.gone();
        }
        self.restore()?;
        self.end(Idle)
    }
}

fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => any::<bool>().prop_map(|pass| Command::Quick { pass }),
        3 => any::<bool>().prop_map(|pass| Command::Promote { pass }),
        1 => any::<bool>().prop_map(|restore| Command::Up { restore }),
        1 => Just(Command::Down),
        1 => Just(Command::Restore),
        1 => Just(Command::Drop),
        2 => Just(Command::Recover),
    ]
}

proptest! {
    /// The promises are checked after every step of every life, in [`Life::step`]; here, what every recovery ends with.
    #[test]
    fn whatever_is_killed_the_known_good_is_there_and_the_mark_is_true(
        lives in prop::collection::vec((commands(), prop_oneof![0_usize..30, Just(usize::MAX)]), 1..20)
    ) {
        let (mut disk, mut kept) = (Disk::default(), None);
        for (number, (command, steps)) in (1..).zip(lives) {
            let killed = Life { disk: &mut disk, steps, kept: &mut kept, next: number }.carry_out(command);
            if killed.is_ok() && !matches!(command, Command::Up { .. }) {
                prop_assert!(disk.journal.is_none() || disk.up, "{command:?} left it open: {disk:?}");
            }
            // The step that publishes is the one that counts, also for whoever was killed right after it.
            kept = kept.or(disk.snapshot.filter(|_| disk.journal != Some(Kind::Drop)));
        }
        let mut last = Life { disk: &mut disk, steps: usize::MAX, kept: &mut kept, next: 0 };
        last.recover().unwrap();
        prop_assert_eq!(disk.record, disk.snapshot);
        if disk.up && disk.journal.is_some() {
            return Ok(());
        }
        prop_assert!(disk.journal.is_none() && !disk.deployed);
        prop_assert_eq!(disk.mark.is_some(), disk.snapshot.is_some());
        prop_assert!(matches!(disk.mark, None | Some(Idle | Dirty)));
        prop_assert_eq!(disk.volumes.is_some(), disk.snapshot.is_some());
    }
}
