//! The direction of requests: request lines go into the queue, for the answers to find them.

use super::start_line::{copy_path, ends_with_version, is_token, is_version_alone, method};
use super::{Host, Machine, Side, is_request};
use super::{head::may_frame, request_id};
use crate::conn::{Blind, PENDING, State, framing};
use crate::shared::Flag;
use crate::{Counter, flags};

/// The direction of requests.
pub struct Requests;

/// First byte of a TLS record that carries a handshake (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// What a connection that speaks HTTP/2 without TLS begins with (RFC 9113 §3.4).
const HTTP2_PREFACE: u64 = u64::from_le_bytes(*b"PRI * HT");

impl Side for Requests {
    #[inline(always)]
    fn certain<H: Host>(_: &Machine<'_, Self, H>, first: u64) -> bool {
        is_request(first)
    }

    #[inline(always)]
    fn matters(first: u64, second: u64) -> bool {
        may_frame(first, second) || request_id::may_name(first, second)
    }

    #[inline(always)]
    fn header<H: Host>(m: &mut Machine<'_, Self, H>, start: u32, eol: u32) {
        let ordinal = m.dir.ordinal;
        if ordinal == 0 {
            return;
        }
        // SAFETY: only this direction writes the field, and only it could use the slot anew.
        let known = unsafe { &mut (*m.pending.slot(ordinal)).request_id };
        if let Some(id) = request_id::hash(&m.scratch.window, start, eol, *known) {
            *known = id;
        }
    }

    #[inline(always)]
    fn overlaps<H: Host>(m: &Machine<'_, Self, H>) -> bool {
        let waiting = m.pending.waiting();
        waiting > 1 || (waiting == 1 && m.dir.state() == State::Start)
    }

    #[inline(always)]
    fn blind(blind: &Blind) -> &Flag {
        &blind.requests
    }

    #[inline(always)]
    fn opens(byte: u8) -> bool {
        is_token(byte)
    }

    #[inline(always)]
    fn start_prefix<H: Host>(m: &mut Machine<'_, Self, H>, start: u32) -> bool {
        let Some((method, target)) = method(&m.scratch.window, start) else { return false };
        if m.scratch.window.byte(target) == b' ' || is_version_alone(&m.scratch.window, target) {
            return false;
        }
        m.dir.method = method as u8;
        m.dir.ordinal = 0;
        let ordinal = m.pending.requested().wrapping_add(1);
        if !m.has_place(ordinal) {
            return true;
        }
        m.dir.ordinal = ordinal;
        // SAFETY: the slot is free and its number not published, so that nobody else looks at it.
        let slot = unsafe { &mut *m.pending.slot(ordinal) };
        let (len, cut) = copy_path(&m.scratch.window, target, &mut slot.path, &mut slot.path_rest);
        slot.path_len = len;
        slot.start_ns = m.dir.start_ns;
        slot.request_bytes = 0;
        slot.request_id = 0;
        slot.head = 0;
        slot.epoch = m.dir.epoch;
        slot.retransmits = m.host.tcp().retransmits as u16;
        slot.method = m.dir.method;
        slot.flags = if cut { flags::PATH_CUT } else { 0 }
            | if m.facts.mid_stream != 0 { flags::MID_STREAM } else { 0 };
        true
    }

    #[inline(always)]
    fn start_end<H: Host>(m: &mut Machine<'_, Self, H>, eol: u32) -> bool {
        if !ends_with_version(&m.scratch.window, eol) {
            return false;
        }
        if m.dir.counted == 0 {
            m.dir.counted = 1;
            m.host.count(Counter::ConnHttp1);
        }
        m.host.count(Counter::Seen);
        let ordinal = m.pending.requested().wrapping_add(1);
        let kept = m.dir.ordinal == ordinal;
        if !kept {
            m.host.count(Counter::LostPending);
        }
        m.pending.publish(ordinal, kept);
        true
    }

    #[inline(always)]
    fn refuse<H: Host>(m: &mut Machine<'_, Self, H>, start: Option<u32>) {
        if m.dir.tentative != 0 {
            // It only looked like a request: the search goes on.
            m.reset_message();
            m.dir.expect(State::Unsynced);
            return;
        }
        m.go_blind();
        if m.dir.counted == 0 {
            m.dir.counted = 1;
            let window = &m.scratch.window;
            let kind = match start {
                Some(start) if window.byte(start) == TLS_HANDSHAKE => Counter::ConnTls,
                Some(start) if window.word(start) == HTTP2_PREFACE => Counter::ConnHttp2,
                _ => Counter::ConnOpaque,
            };
            m.host.count(kind);
        }
    }

    #[inline(always)]
    fn lost<H: Host>(m: &mut Machine<'_, Self, H>) {
        m.dir.ordinal = 0;
    }

    #[inline(always)]
    fn head_end<H: Host>(m: &mut Machine<'_, Self, H>) {
        if m.dir.framing & framing::CHUNKED != 0 {
            m.dir.expect(State::ChunkSize);
        } else if m.dir.framing & framing::LENGTH != 0
            && m.dir.framing & framing::ENCODED == 0
            && m.dir.skip > 0
        {
            m.dir.expect(State::Body);
        } else {
            Self::message_end(m);
        }
    }

    #[inline(always)]
    fn message_end<H: Host>(m: &mut Machine<'_, Self, H>) {
        m.note_request_bytes();
        m.reset_message();
        m.dir.ordinal = 0;
        m.dir.expect(State::Start);
    }
}

impl<H: Host> Machine<'_, Requests, H> {
    /// Whether the queue has a place for request `ordinal`. Looks at the other end only when it seems full.
    #[inline(always)]
    fn has_place(&mut self, ordinal: u32) -> bool {
        if ordinal.wrapping_sub(self.dir.answered) > PENDING as u32 {
            self.dir.answered = self.pending.answered();
        }
        ordinal.wrapping_sub(self.dir.answered) <= PENDING as u32
    }

    /// Ends a run: the answer's record shall know how much of the request had passed.
    #[inline(always)]
    pub fn settle(&mut self) {
        self.note_request_bytes();
    }

    #[inline(always)]
    fn note_request_bytes(&mut self) {
        let ordinal = self.dir.ordinal;
        if ordinal != 0 && ordinal == self.pending.requested() {
            // SAFETY: only this direction writes the fields, and only it could use the slot anew.
            unsafe {
                let slot = self.pending.slot(ordinal);
                (*slot).request_bytes = self.dir.bytes + u64::from(self.dir.carried_len);
                (*slot).head = if self.dir.head < 0xffff { self.dir.head as u16 } else { 0xffff };
            }
        }
    }
}
