//! The broker's process, as `/proc` shows it.

use std::fs;

use crate::error::Error;

/// A process on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Resident memory in octets.
    pub fn memory(self) -> Result<u64, Error> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| self.failed("it shows no memory"))
    }

    /// CPU time that it has used, in microseconds.
    pub fn cpu_us(self) -> Result<u64, Error> {
        let stat = self.read("stat")?;
        // The name of the program is in brackets, and may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut fields = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        match (fields.next(), fields.next()) {
            (Some(Ok(user)), Some(Ok(system))) => {
                Ok((user + system) * 1_000_000 / rustix::param::clock_ticks_per_second().max(1))
            }
            _ => Err(self.failed("it shows no CPU time")),
        }
    }

    fn read(self, file: &str) -> Result<String, Error> {
        let read = fs::read_to_string(format!("/proc/{}/{file}", self.0));
        read.map_err(|error| self.failed(&error.to_string()))
    }

    fn failed(self, reason: &str) -> Error {
        Error::Process { pid: self.0, reason: reason.to_owned() }
    }
}

/// Makes sure that so many connections may be open here.
pub fn allow_connections(count: usize) -> Result<(), Error> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Files that are open besides: the runtime's, the terminal.
    const OTHERS: u64 = 64;
    let wanted = count as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum.map(|maximum| maximum.min(wanted)).or(Some(wanted)),
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) if limit.maximum.is_none_or(|maximum| maximum >= wanted) => Ok(()),
        _ => Err(Error::Local(format!(
            "{count} connections need {wanted} open files, and this process may have {}; see ulimit -n",
            limit.maximum.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_the_cpu() {
        let process = Process(std::process::id());
        assert!(process.memory().unwrap() > 100_000);
        let before = process.cpu_us().unwrap();
        let mut sum = 0u64;
        while process.cpu_us().unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_with_its_id() {
        let error = Process(u32::MAX).memory().unwrap_err().to_string();
        assert!(error.starts_with("cannot read about process 4294967295: "), "{error}");
    }
}
