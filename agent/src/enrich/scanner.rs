//! The thread that scans /proc when asked, so that its owner never waits for a scan.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::scan::{Owners, Scan};

/// Least time between the end of one scan and the begin of the next.
const REST: Duration = Duration::from_millis(100);

/// What a scan found, and by when it had been asked for.
#[derive(Debug)]
pub(super) struct Answer {
    /// Number of the newest question that had been asked when the scan began.
    pub(super) question: u64,
    pub(super) owners: Owners,
}

/// The asking end. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Scanner {
    questions: Sender<u64>,
    answers: Receiver<Answer>,
    asked: u64,
    answered: u64,
}

impl Scanner {
    /// Starts the thread; `proc` and `cgroups` are where those file systems are mounted. The first scan begins at
    /// once, as the answer to question 0.
    pub(super) fn spawn(proc: PathBuf, cgroups: Option<PathBuf>) -> io::Result<Self> {
        let (questions, asked) = channel();
        let (answer, answers) = channel();
        thread::Builder::new()
            .name("hosp-scan".into())
            .spawn(move || run(Scan::new(proc, cgroups), &asked, &answer))?;
        Ok(Self { questions, answers, asked: 0, answered: 0 })
    }

    /// A scanner whose answers come from a test, with the end that takes its questions.
    #[cfg(test)]
    pub(super) fn scripted() -> (Self, Receiver<u64>, Sender<Answer>) {
        let (questions, asked) = channel();
        let (answer, answers) = channel();
        (Self { questions, answers, asked: 0, answered: 0 }, asked, answer)
    }

    /// Asks for a scan that begins after this moment; returns the number of the question.
    pub(super) fn ask(&mut self) -> u64 {
        self.asked += 1;
        // The thread lives as long as this end does.
        let _ = self.questions.send(self.asked);
        self.asked
    }

    /// Whether a question is still unanswered.
    pub(super) fn busy(&self) -> bool {
        self.answered < self.asked
    }

    /// The next answer, when there is one.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        match self.answers.try_recv() {
            Ok(answer) => Some(self.note(answer)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// The next answer, waited for.
    pub(super) fn wait(&mut self, at_most: Duration) -> Option<Answer> {
        match self.answers.recv_timeout(at_most) {
            Ok(answer) => Some(self.note(answer)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    fn note(&mut self, answer: Answer) -> Answer {
        self.answered = answer.question;
        answer
    }
}

fn run(mut scan: Scan, questions: &Receiver<u64>, answers: &Sender<Answer>) {
    let mut question = 0;
    let mut owners = scan.first();
    loop {
        let ended = Instant::now();
        if answers.send(Answer { question, owners }).is_err() {
            return;
        }
        let Ok(next) = questions.recv() else { return };
        thread::sleep(REST.saturating_sub(ended.elapsed()));
        question = questions.try_iter().last().unwrap_or(next);
        owners = scan.again();
    }
}
