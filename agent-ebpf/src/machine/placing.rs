//! Where a segment belongs in its direction: what of it is old, what is missing before it, and whether it needs looking
//! at. TCP numbers every byte; whatever TCP does with them, each is taken in once.

use super::{Cursor, Host, Machine, Side};
use crate::conn::State;
use crate::window::Window;

/// One segment's payload as TCP numbers it.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Sequence number of its first byte.
    pub seq: u32,
    /// Where it begins in what [`Host::load`] reads.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Its bytes need steps: call [`Machine::step`].
    Steps,
    /// That was all.
    Nothing,
    /// Bytes before it are missing: keep it until they come, or call [`Machine::lose`].
    Hole,
}

impl<S: Side, H: Host> Machine<'_, S, H> {
    /// Places `segment` in the direction, and begins to take it in.
    ///
    /// Old bytes are passed over, a hole within a body is bridged: its length is known.
    #[inline(always)]
    pub fn admit(&mut self, segment: Segment) -> Admitted {
        let ahead = match self.place(segment) {
            Ok(ahead) => ahead,
            Err(admitted) => return admitted,
        };
        let carried = self.restore();
        let (offset, left) = (segment.offset.wrapping_add(ahead), segment.len - ahead);
        let cursor = Cursor { start: 0, scan: carried, end: carried, offset, left };
        self.scratch.cursor = cursor;
        // Most of what is known to be body is never looked at.
        if self.dir.in_body() || self.load(carried, cursor) { Admitted::Steps } else { Admitted::Nothing }
    }

    /// As [`Machine::admit`], for a segment that was kept: `copy` puts what follows its first so many bytes into the
    /// window, to where the third number says. `segment.offset` says nothing here.
    #[inline(always)]
    pub fn admit_held(&mut self, segment: Segment, copy: impl FnOnce(&mut Window, u32, u32)) -> Admitted {
        let ahead = match self.place(segment) {
            Ok(ahead) => ahead,
            Err(admitted) => return admitted,
        };
        let carried = self.restore();
        copy(&mut self.scratch.window, ahead, carried);
        let end = carried.wrapping_add(segment.len - ahead);
        self.scratch.cursor = Cursor { start: 0, scan: carried, end, offset: 0, left: 0 };
        Admitted::Steps
    }

    /// How many bytes of `segment` were seen before; or that it needs no steps.
    #[inline(always)]
    fn place(&mut self, segment: Segment) -> Result<u32, Admitted> {
        self.notice_loss();
        if segment.len == 0 || self.dir.state() == State::Opaque {
            return Err(Admitted::Nothing);
        }
        if self.dir.state() == State::Unsynced && !self.find_place(segment) {
            return Err(Admitted::Nothing);
        }
        let mut ahead = self.dir.next_seq.wrapping_sub(segment.seq);
        if ahead.cast_signed() < 0 {
            if !self.bridge(ahead.wrapping_neg()) {
                return Err(Admitted::Hole);
            }
            ahead = 0;
        }
        if ahead >= segment.len {
            return Err(Admitted::Nothing);
        }
        let left = segment.len - ahead;
        self.dir.next_seq = segment.seq.wrapping_add(segment.len);
        if self.dir.in_body() && (self.dir.state() == State::UntilClose || self.dir.skip > u64::from(left)) {
            // The common case of a large body: nobody needs to see these bytes.
            self.dir.skip = self.dir.skip.wrapping_sub(u64::from(left));
            self.dir.bytes += u64::from(left);
            return Err(Admitted::Nothing);
        }
        Ok(ahead)
    }

    /// Puts the unfinished line back to the front of the window: its length.
    #[inline(always)]
    fn restore(&mut self) -> u32 {
        let carried = u32::from(self.dir.carried_len);
        if carried > 0 {
            self.scratch.window.restore(&self.dir.carried);
            self.dir.carried_len = 0;
        }
        carried
    }

    /// Looks whether `segment` begins a message for certain.
    #[inline(always)]
    fn find_place(&mut self, segment: Segment) -> bool {
        if segment.len < 8 || !self.host.load(&mut self.scratch.window, 0, segment.offset, 8) {
            return false;
        }
        let first = self.scratch.window.word(0);
        if !S::certain(self, first) {
            return false;
        }
        self.dir.open(segment.seq);
        self.dir.tentative = 1;
        true
    }

    /// Passes over `gap` bytes that were not seen, if they are certain to be body.
    #[inline(always)]
    fn bridge(&mut self, gap: u32) -> bool {
        let gap = u64::from(gap);
        match self.dir.state() {
            State::Body | State::ChunkData if self.dir.skip >= gap => self.dir.skip -= gap,
            State::UntilClose => {}
            _ => return false,
        }
        self.dir.bytes += gap;
        true
    }

    /// Whether the direction has ended with the segment up to `end`, which said so: nothing is missing before.
    #[inline(always)]
    pub fn ends_at(&self, end: u32) -> bool {
        matches!(self.dir.state(), State::Opaque | State::Unsynced) || self.dir.next_seq == end
    }
}
