//! The file of the audit log, and the thread that writes it.
//!
//! Whoever has an event adds its line to a list and goes on. The thread appends all that is on the list with
//! one write. While the list is full, and while the file takes nothing, lines are lost: the broker serves its
//! clients all the same, and counts them. Of a line that the file has the beginning of, the rest comes first once
//! there is room again, so that each line stays whole. Lines are given to the operating system and not synced.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Lines that will never be in a file.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: String,
    /// Lines for which there was no room, of which the log does not know yet.
    surplus: u64,
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
            lost: AtomicU64::new(0),
        });
        let (shared_by, tail) = (shared.clone(), Tail::default());
        let writer = Writer { shared: shared_by, file, tail, lost_since: None };
        thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run())?;
        Ok(AuditFile(shared))
    }

    /// Adds a line.
    pub fn add(&self, line: &str) {
        let mut waiting = self.0.lock();
        if waiting.lines.len() + line.len() >= WAITING_BYTES_MAX {
            waiting.surplus += 1;
            self.0.lose(1);
            return;
        }
        waiting.lines.push_str(line);
        waiting.lines.push('\n');
        self.0.asked.notify_one();
    }

    /// How many lines were lost.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Opens the file by its name once more, and waits until that is done.
    pub fn reopen(&self) {
        self.0.lock().reopens = true;
        self.wait(|it| it.reopens || it.is_reopening);
    }

    /// Waits until all lines are written.
    pub fn close(&self) {
        self.wait(|it| it.is_writing || it.surplus > 0 || !it.lines.is_empty());
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

    fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }
}

struct Writer {
    shared: Arc<Shared>,
    file: File,
    tail: Tail,
    /// How many lines were lost when the file began to take nothing; `None` while it takes all.
    lost_since: Option<u64>,
}

/// The rest of a line that a file has the beginning of.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Appends lines to a file. If it does not take all of them, the lines that it has nothing of are lost:
    /// says how many, and why.
    fn append(&mut self, file: &mut impl io::Write, lines: &str) -> Result<(), (u64, io::Error)> {
        let mut left = std::mem::take(&mut self.0);
        let mut is_within_line = !left.is_empty();
        left.extend_from_slice(lines.as_bytes());
        let mut done = 0;
        while done < left.len() {
            let error = match file.write(&left[done..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    done += written;
                    is_within_line = left[done - 1] != b'\n';
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let mut lost = left[done..].split_inclusive(|&byte| byte == b'\n');
            if is_within_line {
                self.0 = lost.next().unwrap_or_default().to_vec();
            }
            return Err((lost.count() as u64, error));
        }
        Ok(())
    }
}

impl Writer {
    fn run(mut self) {
        while let Some(Waiting { lines, surplus, reopens, .. }) = self.next() {
            if reopens {
                self.reopen();
                self.shared.lock().is_reopening = false;
                self.shared.done.notify_all();
            }
            if surplus > 0 {
                tracing::error!(
                    lost = surplus,
                    "audit events are lost: they came faster than the disk"
                );
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
            |it: &mut Waiting| it.lines.is_empty() && it.surplus == 0 && !it.reopens && !it.ends;
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
            Ok(file) => {
                self.file = file;
                // Nothing more comes into the one before.
                let torn = std::mem::take(&mut self.tail);
                self.shared.lose(u64::from(!torn.0.is_empty()));
            }
            Err(error) => {
                let path = self.shared.path.display();
                tracing::error!(%path, %error, "the audit log stays in the file that it is in");
            }
        }
    }

    fn write(&mut self, lines: &str) {
        let lost_before = self.shared.lost.load(Ordering::Relaxed);
        match (self.tail.append(&mut self.file, lines), self.lost_since) {
            (Ok(()), None) => {}
            (Ok(()), Some(since)) => {
                let lost = lost_before - since;
                tracing::info!(lost, "the audit log can be written again");
                self.lost_since = None;
            }
            (Err((lost, error)), since) => {
                self.shared.lose(lost);
                if since.is_none() {
                    let path = self.shared.path.display();
                    tracing::error!(%path, %error, "the audit log cannot be written: events are lost");
                }
                self.lost_since = since.or(Some(lost_before));
            }
        }
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
        for count in 1..=3 {
            file.add("line");
            file.close();
            assert_eq!(file.lost(), count);
        }
        assert!(file.0.lock().lines.is_empty());
    }

    #[test]
    fn lines_stay_whole_wherever_the_room_ends_and_those_that_are_lost_are_counted() {
        let batches = ["a\n", "bcé\nd\n", "e\nf\ng\n"];
        let all: String = batches.concat();
        for room in 0..=all.len() {
            let (mut disk, mut more) = (vec![0; room], Vec::new());
            let (mut tail, mut lost, mut left) = (Tail::default(), 0, &mut *disk);
            for batch in batches {
                lost += tail.append(&mut left, batch).err().map_or(0, |(lost, _)| lost);
            }
            let free = left.len();
            // There is room again.
            tail.append(&mut more, "last\n").unwrap();
            disk.truncate(room - free);
            disk.extend(more);
            let text = String::from_utf8(disk).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let is_whole = |line: &&str| all.lines().chain(["last"]).any(|whole| whole == *line);
            assert!(lines.iter().all(is_whole), "{room}: {text:?}");
            let known = all.lines().count() + 1;
            assert_eq!((lines.len() + lost as usize, lines.last()), (known, Some(&"last")));
        }
    }

    #[test]
    fn no_more_lines_wait_than_there_is_room_for() {
        // A pipe that nobody reads takes 64 KiB, and then its writer waits.
        let (reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let file = AuditFile::open(Path::new(&path)).unwrap();
        let line = "l".repeat(WAITING_BYTES_MAX / 8);
        (0..30).for_each(|_| file.add(&line));
        assert!(file.0.lock().lines.len() <= WAITING_BYTES_MAX && file.lost() > 0);
        drop((reader, writer));
    }
}
