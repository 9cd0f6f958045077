//! This process and its neighbours: who executes a run, whether that process is still there, how much memory this one holds.

use std::process;

use lorikeet_registry::RunProcess;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

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
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = resident.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
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
    fn memory_is_at_least_what_was_just_filled() {
        let filled = vec![1_u8; 64 << 20];
        assert!(memory_bytes() > 64 << 20, "{}", filled.iter().map(|b| u64::from(*b)).sum::<u64>());
    }
}
