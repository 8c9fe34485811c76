//! hosp-tui in real terminals, before the real agent: its figures are those of `/metrics`, the agent may be killed
//! under it, and the terminal is its owner's again at every end.

use std::fs;
use std::path::PathBuf;

use hosp_feed::Snapshot;
use rustix::process::{Pid, Signal, kill_process};
use xtask::poll;
use xtask::stack::{Role, Settings, Stack};

use crate::metered;
use crate::rig::{PATIENCE, stack};
use crate::screen::Figures;
use crate::tmux::{PROMPT, Pane};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

#[test]
fn the_screen_tells_what_the_metrics_tell_and_outlives_the_agent() {
    let Some(mut stack) = stack("watched", Settings::default(), &["tmux"]) else { return };
    // A view adds up what the proxy says of itself from the first time that it hears of it.
    poll::until("the agent knows the proxy", PATIENCE, || {
        let snapshot: Snapshot = stack.feed().get_json("/v1/snapshot").ok()?;
        snapshot.proxy
    })
    .unwrap();
    let views = SIZES.map(|(width, height)| View::open(&stack, width, height));
    let first = traffic(&mut stack);
    views.iter().for_each(|view| view.tells(&first));

    stack.kill(Role::Agent).unwrap();
    for view in &views {
        view.pane.until("the loss of the agent", |screen| screen.contains("DISCONNECTED"));
        view.tells(&first);
    }
    stack.restart(Role::Agent).unwrap();
    for view in &views {
        view.pane.until("the agent again", is_live);
    }
    // The new agent starts from 0, the screen goes on from what it has been told.
    let second = traffic(&mut stack);
    for view in &views {
        let ended = [0, 1].map(|leg| first.ended[leg] + second.ended[leg]);
        view.until("both agents' requests", |figures| figures.ended == ended);
    }

    let [small, large] = views;
    small.pane.keys(&["q"]);
    small.pane.is_clean_after_exit(0);
    large.pane.keys(&["C-c"]);
    large.pane.is_clean_after_exit(0);
    let terminated = View::start(small.pane, &stack, 80);
    terminated.signal(Signal::TERM);
    terminated.pane.is_clean_after_exit(143);
}

/// Some seconds of traffic, and what `/metrics` says when all of it has been counted.
fn traffic(stack: &mut Stack) -> Figures {
    let before = Figures::metered(stack);
    stack.start_load(Some(3)).unwrap();
    let load = poll::until("the load ends", PATIENCE, || stack.load_report().transpose()).unwrap().unwrap();
    let counted = poll::until("the agent has counted everything", PATIENCE, || {
        let now = Figures::metered(stack);
        let balanced = metered::agent(stack).sum("hosp_agent_books_balanced", &[]) == 1.0;
        (balanced && now.ended[0] - before.ended[0] == load.sent).then_some(now)
    });
    counted.unwrap()
}

fn is_live(screen: &str) -> bool {
    screen.contains(" LIVE ")
}

/// A hosp-tui in a terminal of its own.
pub(crate) struct View {
    pub(crate) pane: Pane,
    width: u16,
    pid_file: PathBuf,
}

impl View {
    /// A new terminal with hosp-tui in it, which has heard of the agent.
    pub(crate) fn open(stack: &Stack, width: u16, height: u16) -> Self {
        let pane = Pane::open(width, height).expect("tmux is there");
        Self::start(pane, stack, width)
    }

    /// hosp-tui in a terminal whose shell waits for a command.
    fn start(pane: Pane, stack: &Stack, width: u16) -> Self {
        let view = Self { pane, width, pid_file: stack.dir().join(format!("tui-{width}.pid")) };
        view.launch(stack);
        view.pane.until("figures", |screen| is_live(screen) && screen.contains(" in all"));
        view
    }

    /// Starts it (again), with all that it is told shown as one sum.
    pub(crate) fn launch(&self, stack: &Stack) {
        // The shell's process becomes the program's, so that its id is known.
        self.pane.run(&format!(
            "sh -c 'echo $$ > {}; exec {} --agent {} --window 15m'",
            self.pid_file.display(),
            stack.tui().display(),
            stack.feed()
        ));
    }

    /// Kills it; it cleans nothing up, but its shell goes on.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        self.pane.until("the shell", |screen| screen.contains(PROMPT));
    }

    /// Sends a signal to hosp-tui.
    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(&self.pid_file).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }

    /// What it shows now; `None` when that is something else than figures.
    pub(crate) fn figures(&self) -> Option<Figures> {
        Figures::read(self.width, &self.pane.screen())
    }

    /// Waits until the figures are as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Figures) -> bool) {
        self.pane.until(what, |screen| Figures::read(self.width, screen).is_some_and(|f| wanted(&f)));
    }

    /// The figures are these, at the latest after the next snapshot.
    fn tells(&self, truth: &Figures) {
        self.until(&format!("{truth:?}"), |figures| figures.tells(truth));
    }
}
