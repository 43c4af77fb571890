//! Carries out what was planned, each thing in a task of its own, and heals it all in the end.

use crate::backup;
use crate::entropy::Dice;
use crate::event::{Event, Kind, When};
use crate::machine::{End, Machine};
use crate::person;
use crate::rule;
use crate::store;
use crate::world::World;
use std::rc::Rc;
use std::time::Duration;
use tillhold_embedded::Fault;
use tillhold_embedded::answer::SqlError;
use tokio::time::{Instant, sleep, sleep_until};

/// SQL Server's number of a lock that was waited for in vain.
const LOCKED: u32 = 1222;

/// From the first event to the closing of the store.
pub async fn all_of_it(world: &Rc<World>) {
    let opening = Instant::now();
    let keepers: Vec<_> = world
        .machines
        .iter()
        .map(|machine| tokio::task::spawn_local(keep_running(world.clone(), machine.clone())))
        .collect();
    let mut under_way = Vec::new();
    for planned in world.plan.in_time() {
        sleep_until(opening + Duration::from_millis(planned.at_ms)).await;
        let (world, what) = (world.clone(), planned.what);
        world.trace.line("fault", format_args!("{what:?}"));
        under_way.push(tokio::task::spawn_local(async move { happen(&world, what).await }));
    }
    sleep_until(opening + Duration::from_millis(world.plan.sells_ms)).await;
    for event in under_way {
        event.abort();
    }
    for keeper in keepers {
        keeper.abort();
    }
}

/// A service manager: whatever died is started again, unless an event sees to it.
async fn keep_running(world: Rc<World>, machine: Rc<Machine>) {
    loop {
        sleep(Duration::from_millis(20)).await;
        if !machine.is_running() && !machine.is_attended() {
            revive(&world, &machine, 300).await;
        }
    }
}

/// Waits for the end of what runs, and starts the machine again.
async fn revive(world: &Rc<World>, machine: &Rc<Machine>, down_ms: u64) {
    fallen(world, machine).await;
    sleep(Duration::from_millis(down_ms)).await;
    rise(world, machine);
}

/// Waits for the end of what runs; from here on the machine is somebody's who starts it again.
pub async fn fallen(world: &Rc<World>, machine: &Rc<Machine>) {
    machine.attend(true);
    let end = machine.ended().await;
    world.trace.line("machine", format_args!("T{} ended: {end:?}", machine.number));
    match &end {
        End::Killed { dark } => world.note(if *dark { Kind::PowerCut } else { Kind::Crash }),
        End::Failed(why) if !machine.may_fail(why) => {
            world.break_promise(format!("T{} gave up: {why}", machine.number));
        }
        _ => {}
    }
    if let Err(error) = machine.come_back() {
        world.break_promise(format!("the simulated disk of T{}: {error}", machine.number));
    }
}

/// Starts a machine that has fallen.
pub fn rise(world: &Rc<World>, machine: &Rc<Machine>) {
    machine.start(&world.trace);
    machine.attend(false);
}

async fn happen(world: &Rc<World>, what: Event) {
    match what {
        Event::Kill { register, when, dark, down_ms } => {
            kill(world, world.machine(register), when, dark, down_ms).await;
        }
        Event::Stop { register, down_ms } => {
            if restart(world, world.machine(register), down_ms).await {
                world.note(what.kind());
            }
        }
        Event::SecondAgent { register } => second_agent(world, world.machine(register)).await,
        Event::Restore { register, after_ms } => {
            if backup::restored(world, world.machine(register), after_ms).await {
                world.note(what.kind());
            }
        }
        Event::SetClock { register, by_ms } => {
            world.note(what.kind());
            world.machine(register).set_clock(by_ms);
        }
        Event::OtherProfile { register, frequency_s, batch } => {
            world.note(what.kind());
            let machine = world.machine(register);
            machine.rewrite_profile(|text| store::other_profile(text, frequency_s, batch));
        }
        Event::SecondTill { register } => {
            world.note(what.kind());
            world.machine(register).has_second_till.set(true);
        }
        Event::AskPerson { register } => {
            world.note(what.kind());
            let machine = world.machine(register);
            machine.rewrite_profile(store::asking_a_person);
            // Beyond the closing: what still waits then is decided before the end.
            tokio::task::spawn_local(person::decides(world.clone(), machine.clone()));
        }
        Event::Harm { register, harm, ms } if world.plan.has_rule => {
            world.note(what.kind());
            let machine = world.machine(register);
            machine.rewrite_profile(|text| rule::turned(text, harm));
            sleep(Duration::from_millis(ms)).await;
            machine.rewrite_profile(|text| rule::turned(text, rule::HONEST));
        }
        Event::Harm { .. } => {}
        _ => of_lines(world, what).await,
    }
}

/// Told to stop and started again; whether it ran.
async fn restart(world: &Rc<World>, machine: &Rc<Machine>, down_ms: u64) -> bool {
    let is_there = machine.is_running() && !machine.is_attended();
    if is_there {
        machine.attend(true);
        machine.tell_to_stop();
        revive(world, machine, down_ms).await;
    }
    is_there
}

async fn kill(world: &Rc<World>, machine: &Rc<Machine>, when: When, dark: bool, down_ms: u64) {
    let Some(life) = machine.life().filter(|_| machine.is_running() && !machine.is_attended())
    else {
        return;
    };
    machine.attend(true);
    match when {
        When::Now => life.kill(dark),
        When::Step(steps) => life.kill_at_step(steps, dark),
        When::FileOperation(operations) => life.kill_at_file_operation(operations, dark),
    }
    revive(world, machine, down_ms).await;
}

/// It must refuse, and leave the first one alone.
async fn second_agent(world: &Rc<World>, machine: &Rc<Machine>) {
    if !machine.is_running() {
        return;
    }
    let answer = machine.command(&world.trace, &["run"]);
    match tokio::time::timeout(Duration::from_secs(5), answer).await {
        // The first one may have died meanwhile, and then the second one is the first.
        _ if !machine.is_running() => {}
        Ok(Err(error)) if format!("{error:#}").contains("another agent") => {
            world.note(Kind::Stop);
        }
        other => world.break_promise(format!("a second agent on T{}: {other:?}", machine.number)),
    }
}

/// Cables, gates and the channel itself.
async fn of_lines(world: &Rc<World>, what: Event) {
    world.note(what.kind());
    let pass = |ms: u64| sleep(Duration::from_millis(ms));
    let order = |register: u64, fault: Fault| {
        if let Some(gate) = world.channel.gate(register) {
            gate.inject(fault);
        }
    };
    let heal = |register: u64| {
        world.machine(register).link.heal();
        if let Some(gate) = world.channel.gate(register) {
            gate.heal();
        }
    };
    match what {
        Event::Cut { register, ms } => {
            world.machine(register).link.cut();
            pass(ms).await;
            heal(register);
        }
        Event::Reset { register } => world.machine(register).link.reset(),
        Event::Silence { register, up, down, ms } => {
            world.machine(register).link.hold(up, down);
            pass(ms).await;
            heal(register);
        }
        Event::Slow { register, most_ms, ms } => {
            world.machine(register).link.slow(Duration::ZERO, Duration::from_millis(most_ms));
            pass(ms).await;
            heal(register);
        }
        Event::Trickle { register, bytes_per_ms, ms } => {
            world.machine(register).link.trickle(bytes_per_ms);
            pass(ms).await;
            heal(register);
        }
        Event::CutAfter { register, bytes } => world.machine(register).link.cut_after(bytes),
        Event::LoseAnswer { register, commits } => {
            order(register, Fault::DropAfterCommit { commits })
        }
        Event::HalfRow { register, rows } => order(register, Fault::HalfRow { rows }),
        Event::RefuseLogins { register, number, keeps_sessions, restarts, ms } => {
            order(register, Fault::RefuseLogins { number, keeps_sessions });
            if restarts {
                restart(world, world.machine(register), 0).await;
            }
            pass(ms).await;
            heal(register);
        }
        Event::RefuseRequests { register, number, ms } => {
            order(register, Fault::RefuseRequests { number });
            pass(ms).await;
            heal(register);
        }
        Event::Stall { register, ms } => {
            order(register, Fault::Stall);
            pass(ms).await;
            heal(register);
        }
        _ => of_channel(world, what).await,
    }
}

async fn of_channel(world: &Rc<World>, what: Event) {
    match what {
        // Another one may have killed it.
        Event::ChannelDies { .. } if world.channel.engine().is_none() => {}
        Event::ChannelDies { down_ms } => {
            world.channel.die().await;
            sleep(Duration::from_millis(down_ms)).await;
            comes_back(world).await;
        }
        Event::Lock { text, ms } => {
            let gates = || (1..=world.plan.registers).filter_map(|it| world.channel.gate(it));
            gates().for_each(|gate| gate.inject(Fault::Lock { text: text.to_string() }));
            sleep(Duration::from_millis(ms)).await;
            gates().for_each(|gate| gate.heal());
        }
        // Those of the first day are there.
        Event::Assortment { from_the_first_day: true, .. } => {}
        Event::Assortment { barcodes, .. } => {
            let sql = store::assortment(barcodes);
            let _ = world.channel.office(move |office| office.run(&sql)).await;
        }
        Event::ReadOnly { ms } => {
            let set = |is| world.channel.office(move |office| office.set_read_only(is));
            let _ = set(true).await;
            sleep(Duration::from_millis(ms)).await;
            let _ = set(false).await;
        }
        Event::FailStatement { word, number } => {
            // Somebody's lock is met again and again, until he lets go of it; anything else passes with its statement.
            let times = if number == LOCKED { 8 } else { 1 };
            if let Some(engine) = world.channel.engine() {
                for _ in 0..times {
                    engine.fail_next(word, SqlError::new(number, "ordered by the simulation"));
                }
            }
        }
        Event::ForgetChanges => {
            if let Some(engine) = world.channel.engine() {
                let forget = move |_: &mut store::Office| {
                    let version = engine.change_version()?;
                    Ok(engine.forget_changes(version)?)
                };
                let _ = world.channel.office(forget).await;
            }
        }
        Event::AnotherLife if world.channel.engine().is_none() => {}
        Event::AnotherLife => {
            world.channel.die().await;
            comes_back(world).await;
            let life = "UPDATE [tillhold].[epoch] SET [id] = NEWID();";
            let _ = world.channel.office(|office| office.run(life)).await;
        }
        Event::ChannelRestored { after_ms } => restore_channel(world, after_ms).await,
        Event::DiskFull { register, ms } => {
            world.machine(register).disk.fill(true);
            sleep(Duration::from_millis(ms)).await;
            world.machine(register).disk.fill(false);
        }
        Event::FailWrite { register, number } => world.machine(register).disk.fail_write(number),
        Event::FailSync { register, number } => world.machine(register).disk.fail_sync(number),
        other => unreachable!("{other:?} is carried out before"),
    }
}

/// As an administrator does it: a backup, a while later `RESTORE DATABASE`, and the word that it was restored. What a register
/// sold can come from nowhere if that was restored as well, or counts its sales for old ones.
async fn restore_channel(world: &World, after_ms: u64) {
    if world.channel.engine().is_none() || world.plan.skips_years() {
        return;
    }
    let copy = |aside| {
        if let Err(error) = world.channel.copy(aside) {
            world.break_promise(format!("the channel's backup: {error}"));
        }
    };
    world.channel.die().await;
    copy(true);
    comes_back(world).await;
    sleep(Duration::from_millis(after_ms)).await;
    let is_restored = |machine: &Rc<Machine>| machine.was_restored.get();
    if world.channel.engine().is_none() || world.machines.iter().any(is_restored) {
        return;
    }
    world.channel_was_restored.set(true);
    world.channel.die().await;
    copy(false);
    comes_back(world).await;
    // The backup may be of a database that was read-only then, and a fault may wait for the very statement. Without the word
    // registers would go on with rows that the channel has no more, as the documents say.
    let begins = |office: &mut store::Office| {
        office.set_read_only(false)?;
        office.run("UPDATE [tillhold].[epoch] SET [id] = NEWID();")
    };
    while let Some(Err(_)) = world.channel.office(begins).await {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn comes_back(world: &World) {
    if let Err(error) = world.channel.start().await {
        world.break_promise(format!("the channel does not come back: {error:#}"));
    }
}

/// Everything as on a good day, and everyone running.
pub async fn heal(world: &Rc<World>) -> anyhow::Result<()> {
    if world.channel.engine().is_none() {
        world.channel.start().await?;
    }
    if let Some(engine) = world.channel.engine() {
        engine.fail_no_more();
    }
    let _ = world.channel.office(|office| office.set_read_only(false)).await;
    for machine in &world.machines {
        machine.link.heal();
        machine.disk.heal();
        machine.rewrite_profile(|text| rule::turned(text, rule::HONEST));
        if let Some(gate) = world.channel.gate(machine.number) {
            gate.heal();
        }
        if let Some(life) = machine.life() {
            life.spare();
        }
        // Whoever was to start it again was called off in the middle of it.
        machine.attend(false);
        if !machine.is_running() {
            revive(world, machine, 0).await;
        }
    }
    for machine in &world.machines {
        tokio::task::spawn_local(keep_running(world.clone(), machine.clone()));
        let (world, machine) = (world.clone(), machine.clone());
        tokio::task::spawn_local(async move { backup::reopened(&world, &machine).await });
    }
    Ok(())
}

/// Head office changes prices and customers until the store closes.
pub async fn work_of_office(world: Rc<World>) {
    let mut dice = Dice::of(world.plan.seed, "office");
    let mut number = 0;
    while !world.closing.get() {
        sleep(Duration::from_millis(dice.between(1, 2 * world.plan.office_ms))).await;
        number += 1;
        let sql = store::job(&mut dice, number);
        let done = world.channel.office(move |office| office.run(&sql)).await;
        let told = done.map_or("the channel is down".to_string(), |done| {
            done.map_or_else(|error| format!("{error:#}"), |()| "done".to_string())
        });
        world.trace.line("office", format_args!("job {number}: {told}"));
    }
}
