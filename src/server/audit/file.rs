//! The file of the audit log, and the thread that writes it.
//!
//! Whoever has an event adds its line to a list and goes on. The thread appends all that is on the list with
//! one write. While the list is full, and while the file takes nothing, lines are lost: the broker serves its
//! clients all the same, and the log says how many. Lines are given to the operating system and not synced.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Lines on their way into a file. The thread ends when this is dropped.
#[derive(Debug)]
pub struct AuditFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    waiting: Mutex<Waiting>,
    /// Something was asked of the thread.
    asked: Condvar,
    /// The thread has done what it was asked.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    lost: u64,
    is_writing: bool,
    reopens: bool,
    is_reopening: bool,
    ends: bool,
}

impl AuditFile {
    /// Appends to a file, which is made if it is not there.
    ///
    /// # Errors
    /// If the file cannot be opened, or no thread can be started.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            waiting: Mutex::default(),
            asked: Condvar::new(),
            done: Condvar::new(),
        });
        let writer = Writer { shared: shared.clone(), file, is_torn: false, is_failing: false };
        thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run())?;
        Ok(AuditFile(shared))
    }

    /// Adds a line.
    pub fn add(&self, line: &str) {
        let mut waiting = self.0.lock();
        if waiting.lines.len() + line.len() >= WAITING_BYTES_MAX {
            waiting.lost += 1;
            return;
        }
        waiting.lines.push_str(line);
        waiting.lines.push('\n');
        self.0.asked.notify_one();
    }

    /// Opens the file by its name once more, and waits until that is done.
    pub fn reopen(&self) {
        self.0.lock().reopens = true;
        self.wait(|it| it.reopens || it.is_reopening);
    }

    /// Waits until all lines are written.
    pub fn close(&self) {
        self.wait(|it| it.is_writing || it.lost > 0 || !it.lines.is_empty());
    }

    fn wait(&self, is_busy: impl Fn(&Waiting) -> bool) {
        self.0.asked.notify_one();
        let waited = self.0.done.wait_timeout_while(self.0.lock(), PATIENCE, |it| is_busy(it));
        drop(waited.expect(HELD));
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        self.0.lock().ends = true;
        self.0.asked.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect(HELD)
    }
}

struct Writer {
    shared: Arc<Shared>,
    file: File,
    /// Whether the file may end within a line.
    is_torn: bool,
    is_failing: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some(Waiting { lines, lost, reopens, .. }) = self.next() {
            if reopens {
                self.reopen();
                self.shared.lock().is_reopening = false;
                self.shared.done.notify_all();
            }
            if lost > 0 {
                tracing::error!(lost, "audit events are lost: they came faster than the disk");
            }
            if !lines.is_empty() {
                self.write(&lines);
            }
        }
    }

    /// What there is to do; `None` once there will be nothing any more.
    fn next(&self) -> Option<Waiting> {
        let mut waiting = self.shared.lock();
        waiting.is_writing = false;
        self.shared.done.notify_all();
        let is_idle =
            |it: &mut Waiting| it.lines.is_empty() && it.lost == 0 && !it.reopens && !it.ends;
        let mut waiting = self.shared.asked.wait_while(waiting, is_idle).expect(HELD);
        if waiting.ends && waiting.lines.is_empty() {
            return None;
        }
        let Waiting { ends, reopens: is_reopening, .. } = *waiting;
        let next = Waiting { is_writing: true, is_reopening, ends, ..Waiting::default() };
        Some(std::mem::replace(&mut *waiting, next))
    }

    fn reopen(&mut self) {
        match open(&self.shared.path) {
            Ok(file) => (self.file, self.is_torn) = (file, false),
            Err(error) => {
                let path = self.shared.path.display();
                tracing::error!(%path, %error, "the audit log stays in the file that it is in");
            }
        }
    }

    fn write(&mut self, lines: &str) {
        let begun = if self.is_torn { "\n" } else { "" };
        let written = match begun.is_empty() {
            true => self.file.write_all(lines.as_bytes()),
            false => self.file.write_all(format!("{begun}{lines}").as_bytes()),
        };
        self.is_torn = written.is_err();
        if let Err(error) = &written
            && !self.is_failing
        {
            let path = self.shared.path.display();
            tracing::error!(%path, %error, "the audit log cannot be written: events are lost");
        }
        if written.is_ok() && self.is_failing {
            tracing::info!("the audit log can be written again");
        }
        self.is_failing = written.is_err();
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(MODE).open(path)
}

/// Lines that wait at a time, in bytes.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest time that anybody waits for the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who may read a file that is made: its owner, and its group.
const MODE: u32 = 0o640;
const HELD: &str = "nothing panics while it holds the lines";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_in_their_order_and_a_file_that_was_moved_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("audit"), folder.path().join("audit.1"));
        std::fs::write(&path, "before\n").unwrap();
        let file = AuditFile::open(&path).unwrap();
        let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
        lines.lines().for_each(|line| file.add(line));
        file.close();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("before\n{lines}"));
        std::fs::rename(&path, &moved).unwrap();
        file.add("to the old one");
        file.close();
        file.reopen();
        file.add("to the new one");
        file.close();
        assert!(std::fs::read_to_string(&moved).unwrap().ends_with("to the old one\n"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "to the new one\n");
    }

    #[test]
    fn a_directory_that_is_gone_at_a_rotation_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a/audit"), folder.path().join("b"));
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let file = AuditFile::open(&path).unwrap();
        std::fs::rename(path.parent().unwrap(), &moved).unwrap();
        file.reopen();
        file.add("line");
        file.close();
        assert_eq!(std::fs::read_to_string(moved.join("audit")).unwrap(), "line\n");
    }

    #[test]
    fn a_disk_that_is_full_holds_nobody_up() {
        let file = AuditFile::open(Path::new("/dev/full")).unwrap();
        for _ in 0..3 {
            file.add("line");
            file.close();
        }
        assert!(file.0.lock().lines.is_empty());
    }

    #[test]
    fn no_more_lines_wait_than_there_is_room_for() {
        // A pipe that nobody reads takes 64 KiB, and then its writer waits.
        let (reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let file = AuditFile::open(Path::new(&path)).unwrap();
        let line = "l".repeat(WAITING_BYTES_MAX / 8);
        (0..30).for_each(|_| file.add(&line));
        let waiting = file.0.lock();
        assert!(waiting.lost > 0 && waiting.lines.len() <= WAITING_BYTES_MAX);
        drop(waiting);
        drop((reader, writer));
    }
}
