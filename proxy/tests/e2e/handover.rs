//! A new process in the place of a running one, without a client that notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;

use crate::support::{
    Client, Load, Origin, PATIENCE, PROGRAM, Reply, Running, eventually, get, is_alive, ok, program,
    program_at, raw,
};

/// The answer of the admin interface to one GET.
fn admin(socket: &Path, page: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn processes_that_replace_each_other_under_load_fail_no_request() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let folder = tempfile::tempdir().unwrap();
    let (path, socket) = (folder.path().join("proxy.toml"), folder.path().join("proxy.sock"));
    let write = |workers: usize| {
        let (url, socket) = (origin.url(), socket.display());
        let text = format!(
            "listen = ['127.0.0.1:0']\norigins = ['{url}']\nadmin = 'unix:{socket}'\nworkers = {workers}"
        );
        std::fs::write(&path, text).unwrap();
    };
    write(2);
    let mut running = Running::start(&["--config", path.to_str().unwrap(), "--access-log"]);
    let mut stdout = running.child.stdout.take().unwrap();
    let access_log = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let load = Load::start(running.address);
    // Fewer sockets than there are, as many, and more.
    for workers in [1, 2, 4, 3] {
        let before = load.answered();
        eventually("the clients get on", || load.answered() > before + 100);
        write(workers);
        let old = running.replace();
        eventually("the old process ends", || !is_alive(old));
        assert!(admin(&socket, "/readyz").starts_with("HTTP/1.1 200"), "the admin socket moves along");
    }
    let answered = load.finish().unwrap();
    assert_eq!(origin.hits(), answered, "each request reached the origin once");

    let last = running.pid();
    running.signal("TERM");
    eventually("the last process ends", || !is_alive(last));
    assert!(TcpStream::connect(running.address).is_err());
    assert!(!socket.exists(), "the admin socket's file goes with the last process");
    assert_eq!(running.end().0, 0, "what is under way is finished, and nothing is cut");
    let access_log = access_log.join().unwrap();
    assert_eq!(access_log.lines().count(), answered, "every request is logged, by whichever process");
    for line in access_log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn a_request_under_way_is_finished_by_the_process_that_began_it() {
    let (release, gate) = std::sync::mpsc::channel();
    let gate = std::sync::Mutex::new(Some(gate));
    let origin = Origin::new(move |seen| match seen.line().contains("/slow") {
        true => Reply::Wait(gate.lock().unwrap().take().unwrap(), ok("slow, and whole")),
        false => Reply::Send(ok("fine")),
    });
    let mut running =
        Running::start(&["--listen", "127.0.0.1:0", "--origin", &origin.url(), "--admin", "127.0.0.1:0"]);
    let mut busy = Client::connect(running.address);
    busy.send(raw("GET", "/slow", &[], ""));
    eventually("it is under way", || origin.hits() == 1);
    let old = running.replace();
    assert_eq!(Client::connect(running.address).send(raw("GET", "/", &[], "")).answer().text(), "fine");
    assert!(is_alive(old));
    release.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.text().as_str(), answer.field("connection").as_str()), ("slow, and whole", "close"));
    eventually("the old process ends", || !is_alive(old));
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let good = format!("listen = ['127.0.0.1:0']\norigins = ['{}']\nadmin = '127.0.0.1:0'\n", origin.url());
    std::fs::write(&path, &good).unwrap();
    let mut running = Running::start(&["--config", path.to_str().unwrap()]);
    let mut client = Client::connect(running.address);
    client.send(raw("GET", "/", &[], "")).answer();

    std::fs::write(&path, format!("{good}colour = 1")).unwrap();
    running.signal("USR2");
    running.told("proxy.toml:4:1: unknown field `colour`");
    let line = running.told("not handed over; this process goes on");
    assert!(line.contains("exit status: 78"), "{line}");
    let answer = client.send(raw("GET", "/", &[], "")).answer();
    assert_eq!((answer.text().as_str(), answer.field("connection").as_str()), ("fine", ""));

    std::fs::write(&path, &good).unwrap();
    let old = running.replace();
    assert_eq!(client.send(raw("GET", "/", &[], "")).answer().field("connection"), "close");
    eventually("the old process ends", || !is_alive(old));
}

#[test]
fn the_program_that_lies_at_the_path_now_takes_over() {
    let origin = Origin::new(|_| Reply::Send(ok("fine")));
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("version-1"), folder.path().join("hosp-proxy"));
    std::fs::copy(PROGRAM, &path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let args = ["--listen", "127.0.0.1:0", "--origin", &origin.url(), "--admin", "127.0.0.1:0"];
    let mut running = Running::spawn(program_at(&link).args(args));
    let runs = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(runs(running.pid()), path);

    // An upgrade as package managers do it: another file takes the name.
    let next = folder.path().join("version-2");
    std::fs::rename(&path, &next).unwrap();
    std::os::unix::fs::symlink(&next, folder.path().join("new")).unwrap();
    std::fs::rename(folder.path().join("new"), &link).unwrap();
    running.replace();
    assert_eq!(runs(running.pid()), next);
    running.replace();
    assert_eq!(get(running.address, "/", &[]).text(), "fine");
}

#[test]
fn systemd_is_told_which_process_is_the_main_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = systemd.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let args = ["--listen", "127.0.0.1:0", "--origin", "http://127.0.0.1:1", "--admin", "127.0.0.1:0"];
    let mut running = Running::spawn(program().args(args).env("NOTIFY_SOCKET", &path));
    assert_eq!(told(), format!("READY=1\nMAINPID={}\n", running.pid()));
    let old = running.replace();
    assert_eq!(told(), format!("READY=1\nMAINPID={}\n", running.pid()));
    eventually("the old process ends", || !is_alive(old));
    running.signal("TERM");
    assert_eq!(told(), "STOPPING=1\n", "the old process has said nothing of the kind");
}

#[test]
fn what_is_no_socket_is_not_taken_over() {
    let output = program()
        .args(["--take-over", "--listen", "127.0.0.1:0", "--origin", "http://a", "--admin", "127.0.0.1:0"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("send SIGUSR2 to the running hosp-proxy"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
