//! Work that is carried to its end, whoever still waits for it: a task of the agent's own.
//!
//! * A caller who hangs up, or a route's time limit, drops the waiting and never a change in its middle.

use tillhold_env::Env;

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
    use super::carry_out;
    use std::sync::Arc;
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
    async fn work_that_panics_is_answered_all_the_same() {
        let answer: Option<()> = carry_out(&Env::real(), async { panic!("as planned") }).await;
        assert_eq!(answer, None);
    }
}
