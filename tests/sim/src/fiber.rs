//! Work that blocks, without threads: each piece is a coroutine on the one thread of the run, so that the seed alone
//! decides who goes on when. Where production's thread sleeps ([`Tasks::wait`]), the coroutine steps aside.
//!
//! [`Tasks::wait`]: tillhold_env::Tasks::wait
#![allow(unsafe_code)]

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::{Cell, RefCell};
use std::ptr::null;
use std::task::{Context, Waker};
use std::time::Duration;
use tillhold_env::BoxFuture;

/// What a coroutine waits for, and at most how long; it is told whether it came.
type Wish = (BoxFuture<'static, ()>, Option<Duration>);

/// SQLite's and the T-SQL parser's deepest calls need a fraction; only touched pages cost memory.
const STACK_BYTES: usize = 4 << 20;

thread_local! {
    static CURRENT: Cell<*const Yielder<bool, Wish>> = const { Cell::new(null()) };
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Carries the work out; dropped before its end, the work is unwound where it waits.
pub async fn run(work: Box<dyn FnOnce() + Send>) {
    let kept = STACKS.with_borrow_mut(Vec::pop);
    let stack = kept.unwrap_or_else(|| DefaultStack::new(STACK_BYTES).expect("room for a stack"));
    let body = move |yielder: &Yielder<bool, Wish>, _: bool| {
        CURRENT.set(yielder);
        work();
    };
    let mut fiber = Coroutine::with_stack(stack, body);
    let mut came = false;
    loop {
        let before = CURRENT.get();
        let step = fiber.resume(came);
        CURRENT.set(before);
        came = match step {
            CoroutineResult::Return(()) => break,
            CoroutineResult::Yield((until, None)) => {
                until.await;
                true
            }
            CoroutineResult::Yield((until, Some(most))) => {
                tokio::time::timeout(most, until).await.is_ok()
            }
        };
    }
    STACKS.with_borrow_mut(|stacks| stacks.push(fiber.into_stack()));
}

/// Steps aside until the future is done.
pub fn wait(until: BoxFuture<'_, ()>, most: Option<Duration>) -> bool {
    let yielder = CURRENT.get();
    if yielder.is_null() {
        return at_once(until);
    }
    // SAFETY: the future is polled or dropped by `run` alone, before it resumes or unwinds this coroutine, and until
    // then all that the future borrows stays where it is: on this coroutine's stack, which does not move.
    let until = unsafe { std::mem::transmute::<BoxFuture<'_, ()>, BoxFuture<'static, ()>>(until) };
    // SAFETY: set by the coroutine that runs now, which outlives this call.
    let came = unsafe { &*yielder }.suspend((until, most));
    CURRENT.set(yielder);
    came
}

/// Outside of any coroutine nobody else could go on meanwhile.
fn at_once(mut until: BoxFuture<'_, ()>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    assert!(until.as_mut().poll(&mut context).is_ready(), "nobody is there to wait for it");
    true
}
