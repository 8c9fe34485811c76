//! The direction of answers: each final answer takes its request out of the queue and becomes a record.

use super::start_line::{begins_with_version, status};
use super::{Host, Machine, Side};
use crate::conn::{PATH_WORDS, State, epoch, framing};
use crate::{Counter, Method, Outcome, PATH_MAX};

/// The direction of answers.
pub struct Answers;

const SWITCHING_PROTOCOLS: u16 = 101;
const NO_CONTENT: u16 = 204;
const NOT_MODIFIED: u16 = 304;

impl Side for Answers {
    #[inline(always)]
    fn certain<H: Host>(m: &Machine<'_, Self, H>, first: u64) -> bool {
        // Without a request since the place was lost, nobody knows whose answer this is.
        begins_with_version(first) && m.pending.waiting() > 0 && {
            // SAFETY: the newest request is published, and not retired before this direction does so.
            let newest = unsafe { &*m.pending.slot(m.pending.requested()) };
            newest.epoch == m.dir.epoch
        }
    }

    #[inline(always)]
    fn opens(byte: u8) -> bool {
        byte == b'H'
    }

    #[inline(always)]
    fn start_prefix<H: Host>(m: &mut Machine<'_, Self, H>, start: u32) -> bool {
        let Some(status) = status(&m.scratch.window, start) else { return false };
        m.dir.status = status;
        m.pending.waiting() > 0
    }

    #[inline(always)]
    fn start_end<H: Host>(_: &mut Machine<'_, Self, H>, _: u32) -> bool {
        true
    }

    #[inline(always)]
    fn refuse<H: Host>(m: &mut Machine<'_, Self, H>, _: u32) {
        // Another protocol, an answer to bytes that were no request, or one that nobody asked for.
        m.reset_message();
        m.dir.expect(State::Opaque);
    }

    #[inline(always)]
    fn lost<H: Host>(m: &mut Machine<'_, Self, H>) {
        m.dir.ordinal = m.pending.requested();
    }

    #[inline(always)]
    fn head_end<H: Host>(m: &mut Machine<'_, Self, H>) {
        let status = m.dir.status;
        if (100..200).contains(&status) && status != SWITCHING_PROTOCOLS {
            // An interim answer: the final one follows. Its bytes count with it, its time does not.
            let bytes = m.dir.bytes;
            m.reset_message();
            m.dir.bytes = bytes;
            m.dir.expect(State::Start);
            return;
        }
        let method = m.oldest_method();
        if status == SWITCHING_PROTOCOLS || (method == Method::Connect as u8 && (200..300).contains(&status))
        {
            m.finish(Outcome::Answered);
            m.dir.upgraded = 1;
            m.host.count(Counter::ConnOpaque);
            m.dir.expect(State::Opaque);
        } else if method == Method::Head as u8 || status == NO_CONTENT || status == NOT_MODIFIED {
            Self::message_end(m);
        } else if m.dir.framing & framing::CHUNKED != 0 {
            m.dir.expect(State::ChunkSize);
        } else if m.dir.framing & framing::LENGTH != 0 && m.dir.framing & framing::ENCODED == 0 {
            m.dir.skip = m.dir.length;
            if m.dir.skip == 0 {
                Self::message_end(m);
            } else {
                m.dir.expect(State::Body);
            }
        } else {
            m.dir.skip = 0;
            m.dir.expect(State::UntilClose);
        }
    }

    #[inline(always)]
    fn message_end<H: Host>(m: &mut Machine<'_, Self, H>) {
        m.finish(Outcome::Answered);
        m.dir.expect(State::Start);
    }
}

impl<H: Host> Machine<'_, Answers, H> {
    /// Whether the oldest request was asked before the place was lost: nobody knows which answer is its own.
    #[inline(always)]
    pub fn has_stale(&self) -> bool {
        if self.pending.waiting() == 0 {
            return false;
        }
        let ordinal = self.pending.answered().wrapping_add(1);
        // SAFETY: the request is published, and not retired before this direction does so.
        let slot = unsafe { &*self.pending.slot(ordinal) };
        if slot.ordinal == ordinal {
            slot.epoch != epoch(self.epoch)
        } else {
            // There was no place for it: all that is known is when it came.
            self.dir.ordinal.wrapping_sub(ordinal).cast_signed() >= 0
        }
    }

    /// Counts the oldest request as lost when it is stale. True when there may be more.
    ///
    /// Called before the steps of a run, until it says false.
    #[inline(always)]
    pub fn drop_stale(&mut self) -> bool {
        if !self.has_stale() {
            return false;
        }
        let ordinal = self.pending.answered().wrapping_add(1);
        // SAFETY: as in `has_stale`.
        if unsafe { (*self.pending.slot(ordinal)).ordinal } == ordinal {
            self.host.count(Counter::LostResync);
        }
        self.pending.retire(ordinal);
        true
    }

    /// The connection has ended in this direction: what was under way is whole only if the end was its end.
    ///
    /// The requests that remain are for [`Machine::flush`].
    #[inline(always)]
    pub fn end(&mut self, clean: bool) {
        if clean && self.dir.state() == State::UntilClose && self.pending.waiting() > 0 {
            self.finish(Outcome::Answered);
            self.dir.expect(State::Opaque);
        }
    }

    /// Turns the oldest request that waits into a record without a whole answer. True when there may be more.
    #[inline(always)]
    pub fn flush(&mut self, outcome: Outcome) -> bool {
        if self.drop_stale() {
            return true;
        }
        if self.pending.waiting() == 0 {
            return false;
        }
        let cut = self.dir.status != 0 && matches!(outcome, Outcome::ServerClosed | Outcome::ServerReset);
        self.finish(if cut { Outcome::CutBody } else { outcome });
        self.dir.expect(State::Opaque);
        true
    }

    /// Method of the oldest request that waits.
    #[inline(always)]
    fn oldest_method(&self) -> u8 {
        let ordinal = self.pending.answered().wrapping_add(1);
        // SAFETY: the request is published, and not retired before this direction does so.
        let slot = unsafe { &*self.pending.slot(ordinal) };
        if slot.ordinal == ordinal { slot.method } else { Method::Other as u8 }
    }

    /// The oldest request that waits is done with: sends its record.
    #[inline(always)]
    fn finish(&mut self, outcome: Outcome) {
        let ordinal = self.pending.answered().wrapping_add(1);
        // SAFETY: the request is published, and not retired before this direction does so.
        let slot = unsafe { &*self.pending.slot(ordinal) };
        // Otherwise there was no place for the request, which was counted when it came.
        if slot.ordinal == ordinal {
            let now = self.host.now_ns();
            let tcp = self.host.tcp();
            let (facts, dir) = (self.facts, &*self.dir);
            let sent = self.host.emit(|record| {
                record.start_ns = slot.start_ns;
                record.ttfb_ns =
                    if dir.start_ns == 0 { 0 } else { dir.start_ns.saturating_sub(slot.start_ns) };
                record.duration_ns = now.saturating_sub(slot.start_ns);
                record.request_bytes = slot.request_bytes;
                record.response_bytes = dir.bytes + u64::from(dir.carried_len);
                record.local_addr = facts.local_addr;
                record.remote_addr = facts.remote_addr;
                record.local_port = facts.local_port;
                record.remote_port = facts.remote_port;
                record.pid = facts.pid;
                record.comm = facts.comm;
                record.ordinal = ordinal;
                record.srtt_us = tcp.srtt_us;
                record.retransmits = tcp.retransmits;
                record.status = dir.status;
                record.leg = facts.leg() as u8;
                record.method = slot.method;
                record.outcome = outcome as u8;
                record.flags = slot.flags;
                record.path_len = slot.path_len;
                record._pad = [0; 5];
                // SAFETY: bytes are valid whatever they are, and as many.
                record.path = unsafe { core::mem::transmute::<[u64; PATH_WORDS], [u8; PATH_MAX]>(slot.path) };
            });
            self.host.count(if sent { Counter::recorded(self.dir.status) } else { Counter::LostRing });
        }
        self.pending.retire(ordinal);
        self.reset_message();
    }
}
