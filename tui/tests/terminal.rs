//! The real binary in a real terminal (tmux): what people see, and that the terminal is theirs again afterwards.

#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

#[path = "support/server.rs"]
mod server;
#[path = "support/tmux.rs"]
mod tmux;
#[path = "support/traffic.rs"]
mod traffic;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use server::Server;
use tmux::Pane;

const PACE: Duration = Duration::from_millis(100);

/// A terminal, an agent, and where the agent listens.
struct Scene {
    pane: Pane,
    server: Option<Server>,
    socket: PathBuf,
    _dir: TempDir,
}

impl Scene {
    /// `None` where there is no tmux.
    fn new(width: u16, height: u16) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let pane = Pane::open(width, height)?;
        let socket = dir.path().join("agent.sock");
        let server = Some(Server::agent(&socket, traffic::Agent::new("web-1", 1), PACE));
        Some(Self { pane, server, socket, _dir: dir })
    }

    fn start(&self, env: &str, args: &str) {
        let program = env!("CARGO_BIN_EXE_hosp-tui");
        // The shell's process becomes the program's, so that its id is known.
        let pid = self.pid_file();
        self.pane.run(&format!(
            "sh -c 'echo $$ > {}; exec env {env} {program} --agent unix:{} {args}'",
            pid.display(),
            self.socket.display()
        ));
    }

    fn pid_file(&self) -> PathBuf {
        self.socket.with_extension("pid")
    }

    fn kill(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.pid_file()).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }
}

#[test]
fn shows_figures_survives_an_agent_restart_and_quits_cleanly() {
    let Some(mut scene) = Scene::new(80, 24) else { return };
    scene.start("", "");
    let screen = scene.pane.until("live figures", |s| s.contains("LIVE") && s.contains("GET /patients/{id}"));
    assert!(screen.contains("hosp-proxy on web-1") && screen.contains("records lost 0"), "{screen}");
    scene.server = None;
    scene.pane.until("the loss of the agent", |s| s.contains("DISCONNECTED") && s.contains("requests/s"));
    scene.server = Some(Server::agent(&scene.socket, traffic::Agent::new("web-1", 2), PACE));
    scene.pane.until("the new agent", |s| s.contains("LIVE"));
    scene.pane.keys(&["a"]);
    scene.pane.until("the restart in the popup", |s| s.contains("pid 2") && s.contains("1 restarts"));
    scene.pane.keys(&["q"]);
    scene.pane.is_clean_after_exit(0);
}

#[test]
fn a_resize_below_the_least_says_so_and_recovers() {
    let Some(scene) = Scene::new(120, 40) else { return };
    scene.start("", "");
    scene.pane.until("charts", |s| s.contains("Latency to clients (server leg)"));
    scene.pane.resize(50, 10);
    scene.pane.until("the complaint", |s| s.contains("terminal too small (50x10), need 60x16"));
    scene.pane.resize(80, 24);
    scene.pane.until("the view", |s| s.contains("Key figures") && s.contains("Top routes"));
    scene.pane.keys(&["q"]);
    scene.pane.is_clean_after_exit(0);
}

#[test]
fn suspending_gives_the_terminal_back_and_fg_brings_the_view_back() {
    let Some(scene) = Scene::new(80, 24) else { return };
    scene.start("", "");
    scene.pane.until("the view", |s| s.contains("LIVE"));
    scene.pane.keys(&["C-z"]);
    scene.pane.until("the shell", |s| s.contains("Stopped") && !s.contains("Key figures"));
    scene.pane.is_ours();
    scene.pane.run("fg");
    scene.pane.until("the view again", |s| s.contains("LIVE") && s.contains("Key figures"));
    scene.pane.keys(&["C-c"]);
    scene.pane.is_clean_after_exit(0);
}

#[test]
fn signals_end_it_and_leave_the_terminal_clean() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        let Some(scene) = Scene::new(80, 24) else { return };
        scene.start("", "");
        scene.pane.until("the view", |s| s.contains("LIVE"));
        scene.kill(signal);
        scene.pane.is_clean_after_exit(code);
    }
}

#[test]
fn nothing_shows_through_of_a_predecessor_that_was_killed() {
    let Some(scene) = Scene::new(80, 24) else { return };
    scene.start("", "");
    scene.pane.until("the view", |s| s.contains("LIVE") && s.contains("GET /patients/{id}"));
    scene.kill("-KILL");
    scene.pane.until("the shell", |s| s.contains(tmux::PROMPT));
    scene.start("", "--service nobody");
    scene.pane.until("another view", |s| s.contains("LIVE") && s.contains("hosp-tui  nobody"));
    scene.pane.until("nothing else", |s| !s.contains("/patients") && !s.contains(tmux::PROMPT));
    scene.pane.keys(&["q"]);
    scene.pane.is_clean_after_exit(0);
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let Some(scene) = Scene::new(80, 24) else { return };
    scene.start("", "");
    scene.pane.until("the view", |s| s.contains("LIVE"));
    let pid = std::fs::read_to_string(scene.pid_file()).unwrap();
    scene.pane.hang_up();
    let start = Instant::now();
    while PathBuf::from(format!("/proc/{}", pid.trim())).exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "it goes on without a terminal");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_color_and_ascii_are_honoured() {
    let Some(scene) = Scene::new(120, 40) else { return };
    scene.start("NO_COLOR=1", "--ascii");
    scene.pane.until("the view", |s| s.contains("LIVE") && s.contains("GET /patients/{id}"));
    let screen = scene.pane.escaped();
    assert!(screen.is_ascii(), "{screen}");
    // Select Graphic Rendition (ECMA-48 §8.3.117): 30 to 37 and 38 set a foreground, 40 to 48 a background.
    let parameters = screen.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m')).map(|(p, _)| p);
    for parameter in parameters.flat_map(|list| list.split(';')) {
        assert!(!matches!(parameter.parse(), Ok(30..=38 | 40..=48 | 90..=107)), "{parameter}");
    }
    scene.pane.keys(&["q"]);
    scene.pane.is_clean_after_exit(0);
}

#[test]
fn a_panic_restores_the_terminal_before_it_is_told() {
    let Some(scene) = Scene::new(80, 24) else { return };
    let this = std::env::current_exe().unwrap();
    scene.pane.run(&format!(
        "RUST_BACKTRACE=0 {} --exact panic_on_the_terminal --ignored --nocapture",
        this.display()
    ));
    scene.pane.until("the panic's message", |s| s.contains("a panic on purpose"));
    scene.pane.is_clean_after_exit(70);
}

/// Not a test by itself: the process that panics in the one above.
#[test]
#[ignore = "run by a_panic_restores_the_terminal_before_it_is_told, on a terminal"]
fn panic_on_the_terminal() {
    if !std::io::stdout().is_terminal() {
        return;
    }
    hosp_tui::terminal::install_panic_hook();
    let _screen = hosp_tui::terminal::Screen::take().unwrap();
    panic!("a panic on purpose");
}
