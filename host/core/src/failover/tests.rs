//! The rules against their table, which docs/failover.md shows, and against lines that flap at random.

use super::*;

const RULES: Rules = Rules {
    offline_timeout: Duration::from_millis(2_000),
    reconnect_interval: Duration::from_millis(10_000),
    dwell: Duration::from_millis(3_000),
    steadiness: Steadiness {
        slow: Some(Duration::from_millis(500)),
        slow_answers: 3,
        quick_answers: 3,
        steady_after: Duration::from_millis(8_000),
        dwell_max: Duration::from_millis(30_000),
    },
};

const QUICK: Event = Event::Answered { took: Duration::from_millis(500) };
const SLOW: Event = Event::Answered { took: Duration::from_millis(501) };

const EVENTS: [(&str, Event); 9] = [
    ("answered", QUICK),
    ("slow", SLOW),
    ("trouble", Event::Trouble),
    ("tick", Event::Tick),
    ("returned", Event::Returned),
    ("returnfailed", Event::ReturnFailed),
    ("reconnect", Event::Reconnect),
    ("hold", Event::Hold),
    ("release", Event::Release),
];

/// `-worn`: doubted as often as it may be and slow all but once too often; `-slow`: left for its slowness.
fn situations() -> Vec<(String, Machine)> {
    let plain = |state| Machine {
        state,
        since_ms: 1_000,
        heard_at_ms: 1_000,
        attempt_at_ms: 11_000,
        return_from_ms: 4_000,
        ..Machine::at_start(0)
    };
    let mut all: Vec<_> =
        State::ALL.into_iter().map(|state| (state.name().to_string(), plain(state))).collect();
    let worn = Machine { in_a_row: 2, losses: limits::DOUBTS_MAX, ..plain(State::Online) };
    let slow = Machine { is_slow: true, in_a_row: 1, ..plain(State::Offline) };
    all.extend([("online-worn".to_string(), worn), ("offline-slow".to_string(), slow)]);
    all
}

fn outcome(before: Machine, event: Event, waited_ms: u64) -> String {
    let (after, effects) = step(before, event, 1_000 + waited_ms, &RULES, 7);
    let name = if after.state == before.state { "-" } else { after.state.name() };
    let announced = effects.contains(&Effect::Announce);
    assert_eq!(announced, after.state != before.state, "{event:?}: a new state is announced");
    let others = effects.iter().filter(|effect| **effect != Effect::Announce);
    others.fold(name.to_string(), |text, effect| format!("{text}+{effect:?}").to_lowercase())
}

/// The document's table is this one: every situation under every event, before and after its time has come.
#[test]
fn every_cell_of_the_documents_table_holds() {
    let document = include_str!("../../../../docs/failover.md");
    let (_, rest) = document.split_once("<!-- the table -->\n").expect("the table's mark");
    let mut cells = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for line in rest.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let words: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (_, before) = situations().into_iter().find(|(n, _)| n == words[0]).expect("a state");
        let (_, event) = EVENTS.into_iter().find(|(n, _)| *n == words[1]).expect("an event");
        let told = [outcome(before, event, 1_999), outcome(before, event, 10_000)];
        if [words[2], words[3]] != told {
            wrong.push(format!("| {} | {} | {} | {} |", words[0], words[1], told[0], told[1]));
        }
        cells.insert((words[0], words[1]));
    }
    assert!(wrong.is_empty(), "the code says:\n{}", wrong.join("\n"));
    assert_eq!(cells.len(), situations().len() * EVENTS.len(), "a cell is missing");
}

#[test]
fn a_register_that_starts_goes_online_without_waiting_for_the_dwell() {
    let machine = Machine::at_start(50);
    let (machine, effects) = step(machine, Event::Tick, 50, &RULES, 3);
    assert_eq!(effects, [Effect::Probe]);
    let (machine, effects) = step(machine, QUICK, 60, &RULES, 3);
    assert_eq!((machine.state, effects.len()), (State::Returning, 2));
}

#[test]
fn reconnect_attempts_come_between_half_and_all_of_the_interval() {
    for random in 0..1_000 {
        let before = Machine { attempt_at_ms: 20_000, ..Machine::at_start(0) };
        let (after, _) = step(before, Event::Tick, 20_000, &RULES, random * 7_919);
        let pause = after.attempt_at_ms - 20_000;
        assert!((5_000..=10_000).contains(&pause), "a pause of {pause} ms");
    }
}

/// States after each event, a second apart: `s` a slow answer, `q` a quick one, `t` trouble, `r` returned, `.` a second.
fn run(mut machine: Machine, events: &str) -> (Machine, String) {
    let mut states = String::new();
    for (at, event) in events.chars().enumerate() {
        let event = match event {
            's' => SLOW,
            'q' => QUICK,
            't' => Event::Trouble,
            'r' => Event::Returned,
            _ => Event::Tick,
        };
        machine = step(machine, event, (at as u64 + 1) * 1_000, &RULES, 0).0;
        let name = machine.state.name();
        states.push(name.as_bytes()[0].to_ascii_uppercase() as char);
        if machine.state == State::Offline {
            states.pop();
            states.push('-');
        }
    }
    (machine, states)
}

/// One slow answer is nothing, three in a row are; one quick answer brings nothing back, three in a row do.
#[test]
fn a_slow_channel_is_left_and_come_back_to_by_answers_in_a_row() {
    let online = Machine { state: State::Online, ..Machine::at_start(0) };
    for (events, states) in [
        ("ssqssqssq", "OOOOOOOOO"),
        ("sss", "OO-"),
        ("sss...qqq", "OO------R"),
        ("sss...qqsqqq", "OO---------R"),
        ("sss...qqtqqqr", "OO---------RO"),
        ("sss...qqqrssq", "OO------ROOOO"),
        // Lost otherwise, one quick answer is enough; a slow one makes it owe three.
        ("t...", "D---"),
        ("t.....q", "D-----R"),
        ("t.....sqqq", "D--------R"),
    ] {
        assert_eq!(run(online, events).1, states, "{events}");
    }
    let deaf = Rules { steadiness: Steadiness { slow: None, ..RULES.steadiness }, ..RULES };
    let answered = Event::Answered { took: Duration::from_secs(60) };
    let (after, _) = step(Machine { in_a_row: 99, ..online }, answered, 1, &deaf, 0);
    assert_eq!(after.state, State::Online, "without a threshold no answer is slow");
}

#[test]
fn each_loss_after_a_short_return_doubles_the_dwell_up_to_its_bound() {
    let mut machine = Machine { state: State::Online, ..Machine::at_start(0) };
    let (mut now_ms, mut dwells) = (100_000, Vec::new());
    for _ in 0..6 {
        for event in [SLOW, SLOW, SLOW] {
            machine = step(machine, event, now_ms, &RULES, 0).0;
        }
        dwells.push(machine.return_from_ms - now_ms);
        now_ms = machine.return_from_ms;
        for event in [QUICK, QUICK, QUICK, Event::Returned] {
            machine = step(machine, event, now_ms, &RULES, 0).0;
        }
        now_ms += 7_999;
    }
    assert_eq!(dwells, [3_000, 6_000, 12_000, 24_000, 30_000, 30_000]);
    machine = step(machine, Event::Trouble, now_ms + 1, &RULES, 0).0;
    assert_eq!((machine.state, machine.losses), (State::Doubtful, 1), "steady: forgotten");
}

/// What hung since before a cut ends after the return at last: it is of the line that was left. A doubt that an answer
/// settled is no return.
#[test]
fn trouble_of_work_from_before_a_return_is_of_the_channel_that_was_left() {
    let online = Machine { state: State::Online, ..Machine::at_start(0) };
    let (doubtful, _) = step(online, Event::Trouble, 5_000, &RULES, 0);
    let (settled, _) = step(doubtful, QUICK, 6_000, &RULES, 0);
    assert_eq!(settled.state, State::Online);
    assert!(!settled.has_returned_since(4_000));
    assert_eq!(settled.answered_again_ms, 6_000);
    let offline = settled.lost(7_000, &RULES, 0);
    let returns = |machine| step(machine, QUICK, offline.return_from_ms, &RULES, 0).0;
    let back = (0..3).fold(offline, |machine, _| returns(machine));
    assert_eq!(back.state, State::Returning);
    let (online, _) = step(back, Event::Returned, offline.return_from_ms + 9_000, &RULES, 0);
    for machine in [back, online] {
        assert!(machine.has_returned_since(6_999));
        assert!(!machine.has_returned_since(offline.return_from_ms), "begun on the way back");
        assert_eq!(machine.answered_again_ms, offline.return_from_ms);
    }
}

/// What `hand` says ends the dwell, which waits for nobody who knows better.
#[test]
fn a_persons_reconnect_does_not_wait_for_the_dwell() {
    let (machine, _) = run(Machine { state: State::Online, ..Machine::at_start(0) }, "t..");
    assert_eq!((machine.state, machine.return_from_ms), (State::Offline, 5_000));
    let (machine, _) = step(machine, Event::Reconnect, 3_100, &RULES, 0);
    assert_eq!(step(machine, QUICK, 3_110, &RULES, 0).0.state, State::Returning);
}

/// xorshift64*: the seed is the whole trace.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % most
    }
}

const GRAIN_MS: u64 = rhythm::GRAIN.as_millis() as u64;
const HOUR_MS: u64 = 3_600_000;

/// An hour of a line that is up, slow or down for random spells, under the supervisor's rhythm: a probe every half second
/// while Online, whenever asked otherwise; a return takes a while and breaks when the line does.
fn hour(seed: u64) -> u64 {
    let (mut draw, mut machine) = (Draw(seed | 1), Machine::at_start(0));
    let (mut changes, mut until_ms, mut line, mut down_since_ms) = (0, 0, 0, None);
    let (mut probed_ms, mut returning_until_ms) = (0, 0);
    let longest_ms = [300, 3_000, 30_000, 300_000][draw.below(4) as usize];
    let mut now_ms = 0;
    while now_ms < HOUR_MS {
        if now_ms >= until_ms {
            line = draw.below(3);
            until_ms = now_ms + 1 + draw.below(longest_ms);
        }
        down_since_ms = if line == 0 { down_since_ms.or(Some(now_ms)) } else { None };
        let answer = [Event::Trouble, SLOW, QUICK][line as usize];
        let mut events = vec![Event::Tick];
        if rhythm::is_due(&machine, &[], probed_ms, now_ms, &RULES) {
            events.push(answer);
            probed_ms = now_ms;
        }
        if machine.state == State::Returning && now_ms >= returning_until_ms {
            events.push(if line == 0 { Event::ReturnFailed } else { Event::Returned });
        }
        while let Some(event) = events.pop() {
            let (after, effects) = step(machine, event, now_ms, &RULES, draw.below(u64::MAX));
            changes += u64::from(after.state != machine.state);
            machine = after;
            if effects.contains(&Effect::BeginReturn) {
                returning_until_ms = now_ms + draw.below(2_000);
            }
            if effects.contains(&Effect::Probe) && now_ms >= probed_ms + GRAIN_MS {
                probed_ms = now_ms;
                events.push(answer);
            }
        }
        let down_ms = down_since_ms.map_or(0, |since| now_ms - since);
        let most_ms = RULES.offline_timeout.as_millis() as u64 + GRAIN_MS;
        let is_left = !matches!(machine.state, State::Online | State::Doubtful);
        assert!(
            is_left || down_ms <= most_ms,
            "seed {seed}: {:?} {down_ms} ms after the line went",
            machine.state
        );
        now_ms += GRAIN_MS;
    }
    changes
}

/// In an hour of the worst line: of each steady time (8 s) and of each longest dwell (30 s) a handful of changes.
#[test]
fn a_flapping_line_changes_the_state_a_bounded_number_of_times_an_hour() {
    let most = (0..200).map(|seed| (hour(seed * 7_919 + 1), seed)).max().expect("some hours");
    println!("at most {} changes an hour, with seed {}", most.0, most.1);
    assert!(most.0 > 50, "the lines do not flap: {most:?}");
    assert!(most.0 <= 300, "{most:?}");
}

/// Every change of the document's table, early and late, with the reason that is told for it; nothing else changes.
#[test]
fn every_change_has_the_reason_that_caused_it() {
    let mut seen = std::collections::BTreeSet::new();
    for (name, before) in situations() {
        for (_, event) in EVENTS {
            for waited_ms in [1_999, 10_000] {
                let after = step(before, event, 1_000 + waited_ms, &RULES, 7).0.state;
                if after != before.state {
                    let why = reason::reason(before.state, after, event);
                    seen.insert(format!("{name} > {} {why}", after.name()));
                }
            }
        }
    }
    let expected = [
        "doubtful > held hold",
        "doubtful > offline offline-timeout",
        "doubtful > online answered",
        "held > offline release",
        "offline > held hold",
        "offline > returning answered",
        "offline-slow > held hold",
        "online > doubtful trouble",
        "online > held hold",
        "online-worn > doubtful trouble",
        "online-worn > held hold",
        "online-worn > offline slow",
        "online-worn > offline trouble",
        "returning > held hold",
        "returning > offline return-failed",
        "returning > offline trouble",
        "returning > online returned",
    ];
    assert_eq!(seen, expected.into_iter().map(str::to_string).collect());
}
