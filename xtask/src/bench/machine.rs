//! What processes cost, read from /proc. Times are seconds, memory is MiB.

use std::{fs, ops::Sub};

/// The kernel counts CPU time in ticks of this length for everything it shows in /proc, on every platform we run on.
const TICKS_PER_SECOND: f64 = 100.0;
const KIB_PER_MIB: f64 = 1024.0;

/// CPU time spent in the program and in the kernel for it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    pub(crate) fn sum(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { user: self.user - other.user, system: self.system - other.system }
    }
}

/// CPU time of these processes with their descendants, dead children included.
pub(crate) fn cpu_of_trees(roots: &[u32]) -> Cpu {
    let mut total = Cpu::default();
    for process in trees(roots) {
        let fields = stat(process);
        let ticks =
            |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        total.user += (ticks(USER) + ticks(CHILDREN_USER)) / TICKS_PER_SECOND;
        total.system += (ticks(SYSTEM) + ticks(CHILDREN_SYSTEM)) / TICKS_PER_SECOND;
    }
    total
}

/// Time of all CPUs together: in all, and of it idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineTime {
    pub(crate) total: f64,
    pub(crate) idle: f64,
}

pub(crate) fn machine_time() -> MachineTime {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    MachineTime { total: ticks.iter().sum::<f64>() / TICKS_PER_SECOND, idle: idle / TICKS_PER_SECOND }
}

/// Resident memory now.
pub(crate) fn memory_now(roots: &[u32]) -> f64 {
    memory(roots, "VmRSS:")
}

/// The sum of the processes' high-water marks.
pub(crate) fn memory_peak(roots: &[u32]) -> f64 {
    memory(roots, "VmHWM:")
}

fn memory(roots: &[u32], label: &str) -> f64 {
    let of = |process: u32| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0)
    };
    trees(roots).into_iter().map(of).sum::<f64>() / KIB_PER_MIB
}

/// The model of the CPU, for the heading of a report.
pub(crate) fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split_once(": ").map_or("unknown CPU", |(_, model)| model).to_owned()
}

// Places in /proc/PID/stat after the parenthesised name (proc(5) numbers them from 3).
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;

fn stat(process: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().map(str::to_owned).collect()
}

/// These processes and all their descendants.
fn trees(roots: &[u32]) -> Vec<u32> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let all: Vec<u32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    let parent = |process: u32| stat(process).get(PARENT).and_then(|parent| parent.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> =
        all.iter().filter_map(|process| Some((*process, parent(*process)?))).collect();
    let mut found = roots.to_vec();
    let mut next = 0;
    while let Some(process) = found.get(next).copied() {
        next += 1;
        let children = parents.iter().filter(|(child, parent)| *parent == process && !found.contains(child));
        let children: Vec<u32> = children.map(|(child, _)| *child).collect();
        found.extend(children);
    }
    found
}
