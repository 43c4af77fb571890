//! What the figures were measured on: facts that they depend on, and no names.

use crate::figure::plain;
use serde_json::{Value as Json, json};
use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;
use tillhold_env::Env;

/// Writes that were synced for the disk's time; the middle one counts.
const SYNCS: usize = 101;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    pub cores: u64,
    pub processor: String,
    pub memory_gb: f64,
    /// A page written and synced where the benches have their files, in ms; NaN where it could not be tried.
    pub sync_ms: f64,
    pub system: String,
    pub commit: String,
}

impl Machine {
    pub fn here(env: &Env) -> Machine {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let memory_kb = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|told| told.split_whitespace().next()?.parse::<f64>().ok());
        let processor = field(&read("/proc/cpuinfo"), "model name");
        Machine {
            cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_string()),
            memory_gb: memory_kb.unwrap_or(f64::NAN) / f64::from(1 << 20),
            sync_ms: sync_ms(env).unwrap_or(f64::NAN),
            system: std::env::consts::OS.to_string(),
            commit: commit(),
        }
    }

    pub fn read(told: &Json) -> Machine {
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_string();
        let number = |key: &str| told[key].as_f64().unwrap_or(f64::NAN);
        Machine {
            cores: told["cores"].as_u64().unwrap_or(0),
            processor: text("processor"),
            memory_gb: number("memory_gb"),
            sync_ms: number("sync_ms"),
            system: text("system"),
            commit: text("commit"),
        }
    }

    pub fn json(&self) -> Json {
        json!({
            "cores": self.cores, "processor": self.processor, "memory_gb": self.memory_gb,
            "sync_ms": self.sync_ms, "system": self.system, "commit": self.commit,
        })
    }

    /// Whether figures of both may stand beside each other.
    pub fn is_like(&self, other: &Machine) -> bool {
        let of = |machine: &Machine| {
            (
                machine.cores,
                machine.processor.clone(),
                machine.system.clone(),
                machine.memory_gb.round(),
            )
        };
        of(self) == of(other)
    }

    pub fn told(&self) -> String {
        format!(
            "{} cores ({}), {} GB of memory, {}; a page written to its disk and synced takes {} ms; commit {}",
            self.cores,
            self.processor,
            plain(self.memory_gb),
            self.system,
            plain(self.sync_ms),
            self.commit
        )
    }
}

/// `name : value`, as the kernel lists them.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn sync_ms(env: &Env) -> std::io::Result<f64> {
    let path = std::env::temp_dir().join(format!("tillhold-bench-{}", std::process::id()));
    let times = synced(env, &path);
    fs::remove_file(&path)?;
    let mut times = times?;
    times.sort_unstable();
    Ok(times[SYNCS / 2] as f64 / 1e3)
}

fn synced(env: &Env, path: &std::path::Path) -> std::io::Result<Vec<u64>> {
    let mut file = File::create(path)?;
    let page = [7; 4_096];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began_us = env.clock.monotonic_us();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(env.clock.monotonic_us() - began_us);
    }
    Ok(times)
}

/// Of the sources; with a mark when they are not as committed.
fn commit() -> String {
    let git = |words: &[&str]| {
        let told =
            Command::new("git").args(words).current_dir(crate::programs::ROOT).output().ok()?;
        told.status.success().then(|| String::from_utf8_lossy(&told.stdout).trim().to_string())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_string();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changed) if changed.is_empty() => commit,
        _ => format!("{commit} and changes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        let list = "processor\t: 0\nmodel name\t: A chip @ 2 GHz\nmodel name\t: Another\n";
        assert_eq!(field(list, "model name").as_deref(), Some("A chip @ 2 GHz"));
        assert_eq!(field(list, "flags"), None);
    }

    #[test]
    fn a_machine_is_read_as_it_was_told() {
        let machine = Machine {
            cores: 2,
            processor: "A chip".to_string(),
            memory_gb: 7.5,
            sync_ms: 0.25,
            system: "linux".to_string(),
            commit: "abc".to_string(),
        };
        assert_eq!(Machine::read(&machine.json()), machine);
        let later = Machine { sync_ms: 0.5, commit: "def".to_string(), ..machine.clone() };
        assert!(machine.is_like(&later));
        assert!(!machine.is_like(&Machine { cores: 4, ..later }));
        assert!(machine.told().contains("synced takes 0.250 ms"), "{}", machine.told());
    }
}
