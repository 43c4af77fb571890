//! Runs of other processes: what a process makes once is made anew for each seed, so that a run among many is the run that
//! its replay is; and two of them use two processors.

use crate::plan::{Plan, Size};
use crate::world::{Outcome, failed};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use tillhold_env::Locked as _;

/// The hidden command of `tillhold-sim` that carries one run out and prints its [`Outcome`] as JSON.
pub const COMMAND: &str = "one";

/// A run to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub seed: u64,
    pub size: Size,
    /// Places in the plan of the only events that happen; left out, all.
    pub only: Option<Vec<usize>>,
}

impl Wanted {
    pub fn whole(seed: u64, size: Size) -> Wanted {
        Wanted { seed, size, only: None }
    }

    pub fn plan(&self) -> Plan {
        let plan = Plan::of(self.size, self.seed);
        match &self.only {
            Some(places) => plan.only(places),
            None => plan,
        }
    }

    /// What `tillhold-sim` takes behind `one` or `replay`.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.seed.to_string()];
        if self.size != Size::Usual {
            words.extend(["--size".to_string(), format!("{:?}", self.size).to_lowercase()]);
        }
        if let Some(places) = &self.only {
            let list: Vec<String> = places.iter().map(usize::to_string).collect();
            words.extend(["--only".to_string(), list.join(",")]);
        }
        words
    }
}

/// Carries it out in a process of its own.
pub fn run(program: &Path, wanted: &Wanted) -> Outcome {
    let output = match Command::new(program).arg(COMMAND).args(wanted.words()).output() {
        Ok(output) => output,
        Err(error) => return failed(wanted.seed, format!("{}: {error}", program.display())),
    };
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        failed(wanted.seed, format!("the process ended, {}: {}", output.status, last.join(" | ")))
    })
}

/// Carries them out, so many at once, until there are no more or `take` has enough; it is given each as it ends. What is
/// under way then is still given to it.
pub fn run_all(
    program: &Path,
    jobs: usize,
    wanted: impl Iterator<Item = Wanted> + Send,
    mut take: impl FnMut(Wanted, Outcome) -> bool,
) {
    let wanted = Mutex::new(Some(wanted));
    let next = || wanted.locked().as_mut()?.next();
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for tell in vec![tell; jobs.max(1)] {
            scope.spawn(|| {
                let tell = tell;
                while let Some(wanted) = next() {
                    let outcome = run(program, &wanted);
                    if tell.send((wanted, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        for (of, outcome) in told {
            if !take(of, outcome) {
                *wanted.locked() = None;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use crate::plan::Size;

    #[test]
    fn a_run_is_named_in_the_words_that_replay_it() {
        assert_eq!(Wanted::whole(7, Size::Usual).words(), ["7"]);
        let few = Wanted { only: Some(vec![0, 3]), ..Wanted::whole(7, Size::Busy) };
        assert_eq!(few.words(), ["7", "--size", "busy", "--only", "0,3"]);
        let (all, few) = (Wanted::whole(7, Size::Busy).plan(), few.plan());
        assert_eq!(few.events, [all.events[0].clone(), all.events[3].clone()]);
    }
}
