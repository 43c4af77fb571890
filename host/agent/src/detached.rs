//! Work as a task of the agent's own: carried to its end, and begun again where it may not end.
//!
//! * A caller who hangs up, or a route's time limit, drops the waiting and never a change in its middle.
//! * A loop of the agent that panics is said in the log and begun again: a register whose upload had ended without a word
//!   would say that it is online while its sales gather.

use crate::agent::Agent;
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::limits;
use tillhold_env::Env;

/// Runs until the agent stops. What `begin` makes goes by the agent's own state alone, so that it can be begun anew.
pub async fn keep_going<W: Future<Output = ()> + Send + 'static>(
    agent: Arc<Agent>,
    name: &'static str,
    begin: impl Fn() -> W,
) {
    let env = agent.register().env.clone();
    let broke = || {
        let wait_s = limits::LOOP_RESTART_DELAY.as_secs();
        agent.note_broken_loop();
        agent.say(&format!(
            "{name} broke off and begins again in {wait_s} s: [flow-broke-off] keep the log and report it as a defect"
        ));
    };
    tokio::select! {
        () = again_until_it_ends(&env, limits::LOOP_RESTART_DELAY, begin, broke) => {}
        () = agent.stopped() => {}
    }
}

async fn again_until_it_ends<W: Future<Output = ()> + Send + 'static>(
    env: &Env,
    delay: Duration,
    begin: impl Fn() -> W,
    broke: impl Fn(),
) {
    while carry_out(env, begin()).await.is_none() {
        broke();
        tokio::time::sleep(delay).await;
    }
}

/// `None` when the work panicked.
pub async fn carry_out<T: Send + 'static>(
    env: &Env,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (answer, wait) = tokio::sync::oneshot::channel();
    env.spawn(async move {
        // Whoever asked may be gone.
        let _ = answer.send(work.await);
    });
    wait.await.ok()
}

#[cfg(test)]
mod tests {
    use super::{again_until_it_ends, carry_out};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tillhold_env::Env;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn work_is_carried_out_when_nobody_waits_for_it_any_more() {
        let [begun, may_end, done] = [(); 3].map(|()| Arc::new(Semaphore::new(0)));
        let (tells, waits, ends) = (begun.clone(), may_end.clone(), done.clone());
        let work = async move {
            tells.add_permits(1);
            let _go_on = waits.acquire().await.expect("never closed");
            ends.add_permits(1);
        };
        let env = Env::real();
        tokio::select! {
            _ = carry_out(&env, work) => panic!("it may not end yet"),
            _ = begun.acquire() => {}
        }
        may_end.add_permits(1);
        let _ended = done.acquire().await.expect("never closed");
    }

    #[tokio::test]
    async fn a_loop_that_panics_is_begun_again_until_it_ends() {
        let begun = Arc::new(AtomicU32::new(0));
        let (times, told) = (begun.clone(), Arc::new(AtomicU32::new(0)));
        let tells = told.clone();
        let work = move || {
            let time = times.fetch_add(1, Ordering::Relaxed);
            async move { assert!(time >= 2, "as planned") }
        };
        again_until_it_ends(&Env::real(), Duration::ZERO, work, || {
            tells.fetch_add(1, Ordering::Relaxed);
        })
        .await;
        assert_eq!((begun.load(Ordering::Relaxed), told.load(Ordering::Relaxed)), (3, 2));
    }

    #[tokio::test]
    async fn work_that_panics_is_answered_all_the_same() {
        let answer: Option<()> = carry_out(&Env::real(), async { panic!("as planned") }).await;
        assert_eq!(answer, None);
    }
}
