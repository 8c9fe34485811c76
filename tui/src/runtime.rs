//! The loop that ties everything together: events in, [`update`], effects out, one drawing for many changes.

mod input;
mod signals;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Signal as Os, kill_current_process_group};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::clean::Label;
use crate::cli::Options;
use crate::event::{Effect, Event, FeedEvent, Now};
use crate::exit::{Exit, Failure};
use crate::feed;
use crate::state::{Agent, Size, State};
use crate::terminal::{self, Screen};
use crate::update::update;
use crate::view::{self, Look};
use signals::Signals;

/// Two drawings are at least so far apart: 20 pictures per second are smooth, and a slow line is not flooded.
const FRAME: Duration = Duration::from_millis(50);
/// Readings that wait for the loop; more than that, and the feeds wait.
const QUEUE: usize = 64;

/// Shows the live view until the user quits.
pub fn run(options: &Options) -> Result<Exit, Failure> {
    if !io::stdout().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    // One thread, and the process's first: see `suspend`. Parsing has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start the event loop", source })?;
    let exit = runtime.block_on(live(options));
    // A histogram that is being decoded is not waited for.
    runtime.shutdown_background();
    exit
}

async fn live(options: &Options) -> Result<Exit, Failure> {
    let look = Look::detect(options.ascii, options.no_color);
    let mut signals =
        Signals::new().map_err(|source| Failure::System { what: "watch for signals", source })?;
    terminal::install_panic_hook();
    let screen = Screen::take().map_err(Failure::Terminal)?;
    let size = screen.terminal.size().map_err(Failure::Terminal)?;
    let agents =
        options.agents.iter().map(|address| Agent::new(Label::clean(&address.to_string()))).collect();
    let wanted = options.service.as_deref().map(Label::clean);
    let state = State::new(agents, options.window, wanted, Size { width: size.width, height: size.height });
    let (sender, mut feeds) = mpsc::channel(QUEUE);
    let (_followers, again) = follow_all(options, &sender);
    let mut program = Program::new(state, screen, look, again);
    let mut keys = input::spawn().map_err(|source| Failure::System { what: "read the terminal", source })?;
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let event = tokio::select! {
            key = keys.recv() => Some(key.unwrap_or(Event::InputClosed)),
            signal = signals.next() => Some(Event::Signal(signal)),
            _ = tick.tick() => Some(Event::Tick),
            Some((place, event)) = feeds.recv() => Some(Event::Feed(place, event)),
            () = sleep_until(program.drawn + FRAME), if program.changed => {
                program.draw().map_err(Failure::Terminal)?;
                None
            }
        };
        if let Some(event) = event
            && let Some(exit) = program.take(event).map_err(Failure::Terminal)?
        {
            return Ok(exit);
        }
    }
}

/// Starts following every agent. The tasks end when the set is dropped.
fn follow_all(
    options: &Options,
    sender: &mpsc::Sender<(usize, FeedEvent)>,
) -> (JoinSet<()>, Vec<Arc<Notify>>) {
    let mut tasks = JoinSet::new();
    let mut again = Vec::new();
    for (place, address) in options.agents.iter().enumerate() {
        let now = Arc::new(Notify::new());
        tasks.spawn(feed::follow(place, address.clone(), sender.clone(), Arc::clone(&now)));
        again.push(now);
    }
    (tasks, again)
}

/// The state, and everything that an effect needs.
struct Program {
    state: State,
    screen: Screen,
    look: Look,
    started: Instant,
    /// Cuts the pauses of the feeds short.
    again: Vec<Arc<Notify>>,
    /// Whether the terminal shows something else than the state.
    changed: bool,
    /// When it was last drawn on.
    drawn: Instant,
}

impl Program {
    fn new(state: State, screen: Screen, look: Look, again: Vec<Arc<Notify>>) -> Self {
        let started = Instant::now();
        Self { state, screen, look, started, again, changed: true, drawn: started }
    }

    /// Takes in an event; the exit when it ends the program.
    fn take(&mut self, event: Event) -> io::Result<Option<Exit>> {
        let now = self.now();
        for effect in update(&mut self.state, now, event) {
            match effect {
                Effect::Draw => self.changed = true,
                Effect::Repaint => {
                    self.screen.take_again()?;
                    self.changed = true;
                }
                Effect::Suspend => self.suspend()?,
                Effect::Reconnect => self.again.iter().for_each(|again| again.notify_waiters()),
                Effect::Quit(exit) => return Ok(Some(exit)),
            }
        }
        Ok(None)
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { up: self.started.elapsed(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    fn draw(&mut self) -> io::Result<()> {
        self.screen.terminal.draw(|frame| view::render(frame, &self.state, &self.look))?;
        self.changed = false;
        self.drawn = Instant::now();
        Ok(())
    }

    /// Gives the terminal back and stops the whole job, as the terminal itself does when Ctrl-Z is not raw.
    ///
    /// A signal to the own process is taken by its first thread, which this is, before `kill` returns: what
    /// follows runs after the shell has continued the job. Where no shell is there to do that (an orphaned
    /// process group), the kernel ignores SIGTSTP, and the view comes back at once.
    fn suspend(&mut self) -> io::Result<()> {
        terminal::give_back();
        kill_current_process_group(Os::TSTP)?;
        self.screen.take_again()?;
        self.changed = true;
        Ok(())
    }
}
