//! The direction of answers: each final answer takes its request out of the queue and becomes a record.

use super::head::may_frame;
use super::start_line::{begins_with_version, status};
use super::{Host, Machine, Side};
use crate::conn::{Blind, State, epoch, framing};
use crate::shared::Flag;
use crate::{Counter, Method, Outcome, PATH_SHORT, flags};

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
    fn matters(first: u64, second: u64) -> bool {
        may_frame(first, second)
    }

    #[inline(always)]
    fn header<H: Host>(_: &mut Machine<'_, Self, H>, _: u32, _: u32) {}

    #[inline(always)]
    fn overlaps<H: Host>(m: &Machine<'_, Self, H>) -> bool {
        m.pending.waiting() > 1
    }

    #[inline(always)]
    fn blind(blind: &Blind) -> &Flag {
        &blind.answers
    }

    #[inline(always)]
    fn opens(byte: u8) -> bool {
        byte == b'H'
    }

    #[inline(always)]
    fn start_prefix<H: Host>(m: &mut Machine<'_, Self, H>, start: u32) -> bool {
        let Some(status) = status(&m.scratch.window, start) else { return false };
        m.dir.status = status;
        m.pending.is_waiting()
    }

    #[inline(always)]
    fn start_end<H: Host>(_: &mut Machine<'_, Self, H>, _: u32) -> bool {
        true
    }

    #[inline(always)]
    fn refuse<H: Host>(m: &mut Machine<'_, Self, H>, _: Option<u32>) {
        let served = m.dir.epoch != 0 || m.dir.status != 0 || m.pending.requested() != 0;
        if served && !m.blind.requests.is_set() {
            // An answer too many, or a body longer than it said: which answer is whose is open, and found again with
            // the next request.
            m.lose();
            return;
        }
        // Another protocol, or an answer to bytes that were no request.
        m.reset_message();
        m.go_blind();
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
            m.blind.tunnel.set();
            m.host.count(Counter::ConnOpaque);
            m.go_blind();
        } else if method == Method::Head as u8 || status == NO_CONTENT || status == NOT_MODIFIED {
            Self::message_end(m);
        } else if m.dir.framing & framing::CHUNKED != 0 {
            m.dir.expect(State::ChunkSize);
        } else if m.dir.framing & framing::LENGTH != 0 && m.dir.framing & framing::ENCODED == 0 {
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
        let ordinal = self.pending.answered().wrapping_add(1);
        if self.pending.is_kept(ordinal) {
            // SAFETY: the request is published, and not retired before this direction does so.
            return unsafe { (*self.pending.slot(ordinal)).epoch } != epoch(self.epoch);
        }
        // There was no place for it: all that is known is when it came.
        self.pending.waiting() > 0 && self.dir.ordinal.wrapping_sub(ordinal).cast_signed() >= 0
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
        if self.pending.is_kept(ordinal) {
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
            self.go_blind();
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
        self.go_blind();
        true
    }

    /// Method of the oldest request that waits.
    #[inline(always)]
    fn oldest_method(&self) -> u8 {
        let ordinal = self.pending.answered().wrapping_add(1);
        if !self.pending.is_kept(ordinal) {
            return Method::Other as u8;
        }
        // SAFETY: the request is published, and not retired before this direction does so.
        unsafe { (*self.pending.slot(ordinal)).method }
    }

    /// The oldest request that waits is done with: sends its record.
    #[inline(always)]
    fn finish(&mut self, outcome: Outcome) {
        let ordinal = self.pending.answered().wrapping_add(1);
        let now = self.host.now_ns();
        // Otherwise there was no place for the request, which was counted when it came.
        if self.pending.is_kept(ordinal) {
            let sent = self.record(ordinal, outcome, now);
            self.host.count(Counter::ended(self.dir.status));
            if !sent {
                self.host.count(Counter::LostRing);
            }
        }
        self.dir.last_end_ns = now;
        self.pending.retire(ordinal);
        self.reset_message();
    }

    /// Sends the record of request `ordinal`, which is kept.
    #[inline(always)]
    fn record(&mut self, ordinal: u32, outcome: Outcome, now: u64) -> bool {
        // SAFETY: the request is published, and not retired before this direction does so.
        let slot = unsafe { &*self.pending.slot(ordinal) };
        let tcp = self.host.tcp();
        let (facts, reads, dir) = (self.facts, self.reads, &*self.dir);
        let rest = (usize::from(slot.path_len) > PATH_SHORT).then_some(&slot.path_rest);
        self.host.emit(rest, |record| {
            record.start_ns = slot.start_ns;
            record.ttfb_ns = if dir.start_ns == 0 { 0 } else { dir.start_ns.saturating_sub(slot.start_ns) };
            record.duration_ns = now.saturating_sub(slot.start_ns);
            record.unread_ns = match reads.at_ns(ordinal) {
                Some(at_ns) => at_ns.saturating_sub(slot.start_ns),
                None => 0,
            };
            record.request_bytes = slot.request_bytes;
            record.response_bytes = dir.bytes + u64::from(dir.carried_len);
            record.request_id = slot.request_id;
            record.cgroup = facts.cgroup;
            record.local_addr = facts.local_addr;
            record.remote_addr = facts.remote_addr;
            record.comm = facts.comm;
            record.pid = facts.pid;
            record.ordinal = ordinal;
            record.response_head = dir.head;
            record.srtt_us = tcp.srtt_us;
            record.request_head = slot.head;
            record.retransmits = (tcp.retransmits as u16).wrapping_sub(slot.retransmits);
            record.local_port = facts.local_port;
            record.remote_port = facts.remote_port;
            record.status = dir.status;
            record.leg = facts.leg() as u8;
            record.method = slot.method;
            record.outcome = outcome as u8;
            record.flags = slot.flags | if slot.start_ns < dir.last_end_ns { flags::PIPELINED } else { 0 };
            record.path_len = slot.path_len;
            record._pad = 0;
            record.path = slot.path;
        })
    }
}
