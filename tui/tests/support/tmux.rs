//! A terminal for tests: one shell in a tmux server of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Whatever is waited for takes less than this, or never comes.
const DEADLINE: Duration = Duration::from_secs(30);
/// What the shell prints before each command, and nothing else prints.
pub(crate) const PROMPT: &str = "ready>";

/// A shell in a terminal.
pub(crate) struct Pane {
    /// The server's socket, and files that commands in the terminal write to. It is the terminal's own, so that
    /// the server can be reached, and ended, for as long as there is one.
    dir: TempDir,
    /// The terminal's settings before anything ran in it.
    settings: String,
}

impl Pane {
    /// A shell in a terminal of this size. `None`, with a word about it, where there is no tmux; in CI there must be
    /// one.
    pub(crate) fn open(width: u16, height: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI needs tmux: apt-get install tmux");
            eprintln!("skipped: tmux is not installed (apt-get install tmux)");
            return None;
        }
        let mut pane = Self { dir: TempDir::new().unwrap(), settings: String::new() };
        let size = [width.to_string(), height.to_string()];
        pane.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "bash --norc --noprofile",
        ]);
        pane.run(&format!("PS1='{PROMPT} '; export LC_ALL=C.UTF-8 TERM=screen-256color; clear"));
        pane.until("the prompt", |screen| screen.trim_end().ends_with(PROMPT));
        pane.settings = pane.stty();
        assert!(pane.settings.contains(" icanon") && pane.settings.contains(" echo "), "{}", pane.settings);
        Some(pane)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("tmux.sock")
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").arg("-u").arg("-S").arg(self.socket()).args(args).output().unwrap();
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a command and Enter.
    pub(crate) fn run(&self, command: &str) {
        self.tmux(&["send-keys", "-l", command]);
        self.keys(&["Enter"]);
    }

    /// Presses keys, as tmux names them.
    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Closes the terminal, as a window that is closed or a line that breaks does.
    pub(crate) fn hang_up(&self) {
        self.tmux(&["kill-server"]);
    }

    /// What the terminal shows.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with escape sequences for colours and attributes.
    pub(crate) fn escaped(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen is as wanted; the screen then.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(start.elapsed() < DEADLINE, "waited for {what}; the screen shows\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The shell has the terminal back, in the state in which it was lent: every setting, screen and cursor.
    pub(crate) fn is_ours(&self) {
        assert_eq!(self.stty(), self.settings);
        let flags = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(flags.trim(), "0 1", "no alternate screen, and a cursor");
    }

    /// Every setting of the terminal but its size, as a program that the shell starts finds it.
    fn stty(&self) -> String {
        let file = self.dir.path().join("stty");
        let _ = std::fs::remove_file(&file);
        // Written elsewhere first, so that it is whole when it appears.
        self.run(&format!("stty -a > {0}.part; mv {0}.part {0}", file.display()));
        self.until("the settings", |_| file.exists());
        let all = std::fs::read_to_string(file).unwrap();
        let (speed_and_size, rest) = all.split_once('\n').unwrap();
        assert!(speed_and_size.contains("columns"), "{all}");
        rest.to_owned()
    }

    /// The program has ended with this exit code, and the shell has the terminal back.
    pub(crate) fn is_clean_after_exit(&self, code: u8) {
        self.until("the prompt", |screen| screen.trim_end().ends_with(PROMPT));
        self.run("echo exit code: $?.");
        self.until("the exit code", |screen| {
            screen.lines().any(|line| line == format!("exit code: {code}."))
        });
        self.is_ours();
        assert!(!self.screen().contains("Key figures"), "the view is gone: {}", self.screen());
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        // After `hang_up` there is none any more.
        let _ = Command::new("tmux").arg("-S").arg(self.socket()).arg("kill-server").output();
    }
}
