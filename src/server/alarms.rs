//! Resource alarms: while disk space or memory is short, nobody may publish. Consumers go on, which
//! is what ends an alarm.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Node;

/// The alarms of a node, and what they are about.
#[derive(Debug)]
pub struct Alarms {
    state: watch::Sender<State>,
    limits: Limits,
}

/// When there is an alarm.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Free bytes of the data directory's file system, at the least; 0 is no limit.
    pub disk_free_min: u64,
    /// Resident bytes of the process, at the most.
    pub memory_max: u64,
}

/// What was seen last.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// Free bytes of the file system, if the storage engine has one.
    pub disk_free: Option<u64>,
    /// Resident bytes of the process, where the system says.
    pub memory: Option<u64>,
    /// Disk space is short.
    pub disk_alarm: bool,
    /// Memory is short.
    pub memory_alarm: bool,
}

impl Alarms {
    /// No alarm yet. `memory_max` 0 is four tenths of what the machine or its control group has.
    pub fn new(disk_free_min: u64, memory_max: u64) -> Self {
        let memory_max = match memory_max {
            0 => memory_of_machine().map_or(u64::MAX, |bytes| bytes / 10 * 4),
            memory_max => memory_max,
        };
        Alarms { state: watch::Sender::default(), limits: Limits { disk_free_min, memory_max } }
    }

    /// When there is an alarm.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What was seen last.
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Why nobody may publish, in RabbitMQ's words; `None` while everybody may.
    pub fn reason(&self) -> Option<&'static str> {
        let State { disk_alarm, memory_alarm, .. } = self.state();
        match (disk_alarm, memory_alarm) {
            (false, false) => None,
            (true, false) => Some("low on disk"),
            (false, true) => Some("low on memory"),
            (true, true) => Some("low on disk & memory"),
        }
    }

    /// Waits until everybody may publish.
    pub async fn cleared(&self) {
        let is_clear = |state: &State| !state.disk_alarm && !state.memory_alarm;
        // The sender lives as long as this does, so there is no error.
        _ = self.state.subscribe().wait_for(is_clear).await;
    }

    /// Takes what is seen now. An alarm ends a little behind the limit, so that it does not begin
    /// again at once.
    fn note(&self, disk_free: Option<u64>, memory: Option<u64>) {
        let Limits { disk_free_min, memory_max } = self.limits;
        let before = self.state();
        let disk_wanted = disk_free_min + if before.disk_alarm { disk_free_min / 20 } else { 0 };
        let memory_wanted = memory_max - if before.memory_alarm { memory_max / 20 } else { 0 };
        let state = State {
            disk_free,
            memory,
            disk_alarm: disk_free.is_some_and(|free| free < disk_wanted),
            memory_alarm: memory.is_some_and(|used| used > memory_wanted),
        };
        if state.disk_alarm != before.disk_alarm {
            tell("disk space", state.disk_alarm, disk_free, disk_free_min);
        }
        if state.memory_alarm != before.memory_alarm {
            tell("memory", state.memory_alarm, memory, memory_max);
        }
        self.state.send_replace(state);
    }

    /// How long nothing can happen that matters.
    fn interval(&self) -> Duration {
        let State { disk_free, disk_alarm, memory_alarm, .. } = self.state();
        let spare = disk_free.unwrap_or(u64::MAX).saturating_sub(self.limits.disk_free_min);
        match disk_alarm || memory_alarm || spare < SPARE_BYTES {
            true => INTERVAL_NEAR,
            false => INTERVAL,
        }
    }
}

fn tell(what: &str, is_short: bool, now: Option<u64>, limit: u64) {
    let now = now.unwrap_or_default();
    match is_short {
        true => tracing::warn!(now, limit, "{what} is short: publishers are held back"),
        false => tracing::info!(now, limit, "{what} is back: publishers go on"),
    }
}

/// Watches the resources while the node runs.
pub async fn run(node: Arc<Node>) {
    let mut disk_free = None;
    loop {
        let storage = node.storage.clone();
        match tokio::task::spawn_blocking(move || storage.free_bytes()).await {
            Ok(Ok(free)) => disk_free = free,
            Ok(Err(error)) => tracing::warn!(%error, "free disk space is not known"),
            Err(_) => return,
        }
        let limited = disk_free.filter(|_| node.config.disk_free_min.0 > 0);
        let before = node.alarms.state();
        node.alarms.note(limited, memory_of_process());
        node.announce_alarms(before, node.alarms.state());
        tokio::time::sleep(node.alarms.interval()).await;
    }
}

/// Resident memory of this process, in bytes; `None` where the system does not say.
pub fn memory_of_process() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Memory of the machine, or what the control group of the process may have of it, in bytes.
pub fn memory_of_machine() -> Option<u64> {
    let machine = kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = groups.iter().find_map(|file| fs::read_to_string(Path::new(file)).ok());
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

/// The value of a line such as `VmRSS:    1234 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Between two looks while an alarm is on or near.
const INTERVAL_NEAR: Duration = Duration::from_millis(50);

/// An alarm is near when so much is left: more than a fast disk can write within [`INTERVAL`].
const SPARE_BYTES: u64 = 2 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_ends_a_little_behind_its_limit() {
        let alarms = Alarms::new(1000, 5000);
        alarms.note(Some(1000), Some(5000));
        assert_eq!(alarms.reason(), None);
        alarms.note(Some(999), Some(10));
        assert_eq!(alarms.reason(), Some("low on disk"));
        alarms.note(Some(1049), Some(5001));
        assert_eq!(alarms.reason(), Some("low on disk & memory"));
        alarms.note(Some(1050), Some(4900));
        assert_eq!(alarms.reason(), Some("low on memory"));
        alarms.note(Some(1000), Some(4750));
        assert_eq!(alarms.reason(), None);
    }

    #[test]
    fn a_line_of_proc_is_read_in_bytes() {
        let text = "Name:\tleveret\nVmRSS:\t    12 kB\nVmData:\tx kB\n";
        assert_eq!(kibibytes(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "VmData:"), None);
        assert_eq!(kibibytes(text, "VmSwap:"), None);
    }

    #[test]
    fn the_memory_of_the_machine_is_known_and_more_than_this_process_takes() {
        assert!(memory_of_process().unwrap() < memory_of_machine().unwrap());
        assert!(Alarms::new(0, 0).limits().memory_max < memory_of_machine().unwrap());
    }
}
