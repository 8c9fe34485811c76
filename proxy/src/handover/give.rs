//! The old process's part: starts its successor, gives it the sockets, waits until it serves.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::wire::{Kind, LENGTH, VERSION, say, send_sockets};

/// Longest time for the new process to serve.
const PATIENCE: Duration = Duration::from_secs(30);

/// The flag that tells a process to take over what is on its standard input.
pub const FLAG: &str = "--take-over";

/// Why there is no successor. The process that wanted one goes on.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// The program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its path, or the name to look for.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sockets cannot be given.
    #[error("cannot hand the sockets over: {0}")]
    Sockets(#[from] io::Error),
    /// It ended before it served; why is in its own messages.
    #[error("the new process ended before it served ({0}); its own messages say why")]
    Ended(ExitStatus),
    /// It did not come so far in time.
    #[error("the new process did not serve within {PATIENCE:?} and was killed")]
    Late,
}

/// How this program was started: its successor is started in the same way.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Invocation {
    /// That of this process. To be asked before the working directory changes.
    ///
    /// The path counts, and not the file that runs: an upgrade puts another file there, or another target of a link.
    pub fn own() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = PathBuf::from(arguments.next().unwrap_or_else(|| "hosp-proxy".into()));
        // A bare name was found in PATH, and will be found there again.
        let program = if name.components().count() > 1 { std::path::absolute(name)? } else { name };
        Ok(Self { program, arguments: arguments.filter(|argument| argument != FLAG).collect() })
    }
}

/// What a successor gets.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those that clients come to.
    pub listeners: Vec<TcpListener>,
    /// That of the admin interface.
    pub admin: Option<OwnedFd>,
}

impl Sockets {
    /// Further handles to the same sockets.
    pub fn copies(&self) -> io::Result<Self> {
        Ok(Self {
            listeners: self.listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?,
            admin: self.admin.as_ref().map(OwnedFd::try_clone).transpose()?,
        })
    }
}

/// A new process that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its process id.
    pub pid: u32,
    /// Whether it took the admin socket over.
    pub took_admin: bool,
}

/// A new process that is not known to serve; it is killed when this is dropped.
struct Apprentice(Option<Child>);

impl Apprentice {
    fn dismiss(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(mut child) = self.0.take() else { return Ok(None) };
        // Without effect on one that has ended by itself.
        child.kill()?;
        child.wait().map(Some)
    }
}

impl Drop for Apprentice {
    fn drop(&mut self) {
        if let Err(error) = self.dismiss() {
            tracing::warn!(%error, "the new process cannot be ended");
        }
    }
}

/// Starts a successor, gives it `sockets`, and waits until it serves.
pub async fn give(invocation: &Invocation, sockets: Sockets) -> Result<Successor, GiveError> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(&invocation.program)
        .args(&invocation.arguments)
        .arg(FLAG)
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .map_err(|source| GiveError::Start { program: invocation.program.clone(), source })?;
    let pid = child.id();
    let mut apprentice = Apprentice(Some(child));
    match send(&ours, &sockets) {
        // It has ended already: seen below.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        sent => sent?,
    }
    drop(sockets);

    ours.set_nonblocking(true)?;
    let mut answer = [0; LENGTH];
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    match timeout(PATIENCE, ours.read_exact(&mut answer)).await {
        Ok(Ok(_)) if Kind::of(answer[0]) == Some(Kind::Serving) => {
            apprentice.0 = None;
            Ok(Successor { pid, took_admin: answer[1] != 0 })
        }
        Ok(_) => Err(apprentice.dismiss()?.map_or(GiveError::Late, GiveError::Ended)),
        Err(_) => Err(GiveError::Late),
    }
}

/// All of it waits in the socket's buffer until the new process has begun.
fn send(to: &UnixStream, sockets: &Sockets) -> io::Result<()> {
    say(to, Kind::Version, VERSION)?;
    let listeners: Vec<_> = sockets.listeners.iter().map(AsFd::as_fd).collect();
    send_sockets(to, Kind::Listeners, &listeners)?;
    let admin: Vec<_> = sockets.admin.iter().map(AsFd::as_fd).collect();
    send_sockets(to, Kind::Admin, &admin)?;
    say(to, Kind::End, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn given_to(program: &str, arguments: &[&str]) -> Result<Successor, GiveError> {
        let arguments = arguments.iter().map(OsString::from).collect();
        let sockets = Sockets { listeners: vec![TcpListener::bind("127.0.0.1:0").unwrap()], admin: None };
        give(&Invocation { program: program.into(), arguments }, sockets).await
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = given_to("/nonexistent/hosp-proxy", &[]).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot start /nonexistent/hosp-proxy: "), "{error}");
    }

    #[tokio::test]
    async fn how_a_process_ended_that_never_served_is_told() {
        let error = given_to("sh", &["-c", "exit 78"]).await.unwrap_err();
        assert!(matches!(error, GiveError::Ended(status) if status.code() == Some(78)), "{error}");
        // Another program altogether, which answers on its standard input.
        let error = given_to("sh", &["-c", "echo hello >&0"]).await.unwrap_err();
        assert!(matches!(error, GiveError::Ended(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_never_serves_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; read never", file.display());
        let arguments = ["-c", &script];
        let giving = given_to("sh", &arguments);
        // Time stands still while a thread is at work, and passes by itself once nothing is left but to wait.
        let begun = tokio::task::spawn_blocking({
            let file = file.clone();
            move || {
                let deadline = std::time::Instant::now() + Duration::from_secs(20);
                while !file.exists() && std::time::Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let (result, begun) = tokio::join!(giving, begun);
        begun.unwrap();
        assert!(matches!(result, Err(GiveError::Late)), "{result:?}");
        let pid = std::fs::read_to_string(file).unwrap();
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "it still runs");
    }
}
