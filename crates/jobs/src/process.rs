//! This process and its neighbours: who executes a run, whether that process is still there, how much memory this one holds.

use std::process;

use lorikeet_registry::RunProcess;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// Two readings of one process's start may differ by so much: it is computed from the time since boot, in whole seconds.
const START_TOLERANCE_MS: u64 = 2_000;

/// This process, as the registry names it.
pub fn this_process() -> RunProcess {
    let pid = process::id();
    RunProcess { pid, started_at_ms: started_at_ms(pid).unwrap_or_default() }
}

/// Whether `given` still runs: a process of that number which started at that time.
pub(crate) fn is_alive(given: RunProcess) -> bool {
    started_at_ms(given.pid).is_some_and(|started| started.abs_diff(given.started_at_ms) <= START_TOLERANCE_MS)
}

fn started_at_ms(pid: u32) -> Option<u64> {
    let mut system = System::new().ok()?;
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    let process = system.process(pid)?;
    let ended = matches!(process.status(), sysinfo::ProcessStatus::Zombie | sysinfo::ProcessStatus::Dead);
    (!ended).then(|| process.start_time() * 1000)
}

/// Memory that this process holds now, in bytes; 0 where the system does not tell.
#[cfg(target_os = "linux")]
pub fn memory_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// Memory that this process holds now, in bytes; 0 where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn memory_bytes() -> u64 {
    let Ok(mut system) = System::new() else { return 0 };
    let pid = Pid::from_u32(process::id());
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    system.process(pid).map_or(0, |process| process.memory())
}

/// Memory that is free now, in bytes; 0 where the system does not tell.
pub fn memory_available_bytes() -> u64 {
    let kinds = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    System::new_with_specifics(kinds).map_or(0, |system| system.available_memory())
}

/// Memory that this process may hold: what it holds and what is free, in bytes. `None` where the system does not tell.
pub fn memory_budget_bytes() -> Option<u64> {
    let available = memory_available_bytes();
    (available > 0).then(|| available + memory_bytes())
}

/// Most memory that this process ever held, in bytes; where the system does not tell, what it holds now.
#[cfg(target_os = "linux")]
pub fn peak_memory_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// Most memory that this process ever held, in bytes; where the system does not tell, what it holds now.
#[cfg(not(target_os = "linux"))]
pub fn peak_memory_bytes() -> u64 {
    memory_bytes()
}

/// A line of what Linux tells of this process, in bytes; 0 where it does not.
#[cfg(target_os = "linux")]
fn status_bytes(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|told| told.strip_prefix(line));
    let kibibytes = found.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// Seconds that processors worked for this process, all of its threads together.
#[cfg(unix)]
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Seconds that processors worked for this process, all of its threads together.
#[cfg(not(unix))]
pub fn cpu_seconds() -> f64 {
    let Ok(mut system) = System::new() else { return 0.0 };
    let pid = Pid::from_u32(process::id());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_cpu(),
    );
    system.process(pid).map_or(0.0, |process| process.accumulated_cpu_time() as f64 * 1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_one_that_started_earlier_under_its_number_does_not() {
        let this = this_process();
        assert!(is_alive(this));
        assert!(!is_alive(RunProcess { started_at_ms: this.started_at_ms - 60_000, ..this }));
    }

    #[test]
    fn a_child_that_ended_is_gone() {
        let mut child = process::Command::new("sleep").arg("30").spawn().unwrap();
        let pid = child.id();
        let known = RunProcess { pid, started_at_ms: started_at_ms(pid).unwrap() };
        assert!(is_alive(known));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_alive(known));
    }

    #[test]
    fn memory_is_at_least_what_was_just_filled_and_its_peak_stays() {
        let filled = vec![1_u8; 64 << 20];
        assert!(memory_bytes() > 64 << 20, "{}", filled.iter().map(|b| u64::from(*b)).sum::<u64>());
        drop(filled);
        assert!(peak_memory_bytes() > 64 << 20 && peak_memory_bytes() >= memory_bytes());
    }

    #[test]
    fn work_takes_processor_time() {
        let before = cpu_seconds();
        let sum = (0..20_000_000_u64).fold(0, |sum: u64, i| sum.wrapping_mul(31).wrapping_add(i));
        assert!(cpu_seconds() > before, "{sum}");
    }
}
