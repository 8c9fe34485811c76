//! Every request is written once or counted as dropped, whatever the disk does.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::*;
use crate::live::Words;
use crate::testing::record;

fn request() -> Live {
    let words = Words { service: "web".into(), route: "/patients/{id}".into(), unit: "web.service".into() };
    Live::new(record().path("/patients/7").build(), words)
}

fn parsed(lines: &[u8]) -> Vec<hosp_feed::Request> {
    let lines = std::str::from_utf8(lines).unwrap().lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Keeps what is written, and does before each write what the test says.
#[derive(Clone)]
struct Disk<F> {
    kept: Arc<Mutex<Vec<u8>>>,
    before: F,
}

impl<F: FnMut() -> io::Result<()>> Write for Disk<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.before)()?;
        self.kept.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log(before: impl FnMut() -> io::Result<()> + Send + 'static) -> (RequestLog, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::default();
    (RequestLog::start(Disk { kept: Arc::clone(&kept), before }).unwrap(), kept)
}

#[test]
fn every_request_is_a_line_and_the_last_ones_are_written_at_the_end() {
    let (mut log, kept) = log(|| Ok(()));
    for _ in 0..BATCH + 3 {
        log.push(request());
    }
    drop(log);
    let requests = parsed(&kept.lock().unwrap());
    assert_eq!(requests.len(), BATCH + 3);
    assert_eq!(
        (&*requests[0].service, &*requests[0].route, requests[0].status),
        ("web", "/patients/{id}", 200)
    );
}

#[test]
fn a_disk_that_hangs_holds_nobody_up_and_what_is_dropped_is_counted() {
    let (go_on, gate): (Sender<()>, _) = channel();
    let (mut log, kept) = log(move || {
        let _ = gate.recv();
        Ok(())
    });
    let pushed = BATCH * (QUEUE + 20);
    for _ in 0..pushed {
        log.push(request());
    }
    // One batch may be with the writer, as many as fit wait, the rest is dropped.
    let dropped = usize::try_from(log.dropped()).unwrap();
    assert!(dropped >= BATCH * 19, "{dropped}");
    drop(go_on);
    drop(log);
    assert_eq!(parsed(&kept.lock().unwrap()).len() + dropped, pushed);
}

#[test]
fn a_full_disk_is_counted_and_logging_goes_on_when_there_is_room_again() {
    let mut full = true;
    let (mut log, kept) = log(move || match std::mem::replace(&mut full, false) {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    });
    log.push(request());
    log.flush();
    let begun = Instant::now();
    while log.dropped() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the loss is counted");
        thread::yield_now();
    }
    log.push(request());
    log.push(request());
    drop(log);
    assert_eq!(parsed(&kept.lock().unwrap()).len(), 2);
}

#[test]
fn a_file_that_was_moved_away_is_made_again_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("requests.log"), dir.path().join("requests.log.1"));
    let reopen = Arc::new(AtomicBool::new(false));
    let mut file = LogFile::open(&path, reopen.clone()).unwrap();
    file.write_all(b"one\n").unwrap();
    std::fs::rename(&path, &moved).unwrap();
    file.write_all(b"two\n").unwrap();
    reopen.store(true, Relaxed);
    file.write_all(b"three\n").unwrap();
    assert_eq!(std::fs::read(&moved).unwrap(), b"one\ntwo\n");
    assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
}
