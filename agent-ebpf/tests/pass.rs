//! The committed object can only ever say "pass": anything else on the root cgroup would cut the host off.

#![expect(clippy::unwrap_used, reason = "test code")]

use object::{Object as _, ObjectSection as _};

/// Instructions of BPF are eight bytes: opcode, registers, offset, immediate.
struct Insn([u8; 8]);

impl Insn {
    /// `exit`
    fn is_exit(&self) -> bool {
        self.0[0] == 0x95
    }

    /// `w0 = 1` or `r0 = 1`
    fn is_pass(&self) -> bool {
        matches!(self.0[0], 0xb4 | 0xb7) && self.0[1] & 0x0f == 0 && self.0[4..] == [1, 0, 0, 0]
    }
}

#[test]
fn every_program_ends_with_the_return_of_1_and_nothing_jumps_past_it() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt/hosp-agent-ebpf.o");
    let bytes = std::fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    for name in ["cgroup_skb/ingress", "cgroup_skb/egress", "cgroup/connect4", "cgroup/connect6", "sockops"] {
        let section = object.section_by_name(name).unwrap();
        let code: Vec<Insn> =
            section.data().unwrap().chunks_exact(8).map(|insn| Insn(insn.try_into().unwrap())).collect();
        let exits: Vec<usize> = (0..code.len()).filter(|&n| code[n].is_exit()).collect();
        assert!(!exits.is_empty(), "{name}: no exit");
        for exit in exits {
            assert!(code[exit - 1].is_pass(), "{name}: instruction {exit} returns something else than 1");
            for (at, insn) in code.iter().enumerate() {
                assert_ne!(
                    target(at, insn),
                    Some(exit),
                    "{name}: instruction {at} jumps past the return of 1"
                );
            }
        }
    }
}

/// Where a jump goes; nothing for other instructions and for calls.
fn target(at: usize, insn: &Insn) -> Option<usize> {
    let (class, op) = (insn.0[0] & 0x07, insn.0[0] & 0xf0);
    // JMP and JMP32, without call and exit; the `goto` of 32 bits is JMP32 with op 0.
    let jump = matches!(class, 0x05 | 0x06) && !matches!(op, 0x80 | 0x90);
    let far = class == 0x06 && op == 0;
    let offset = if far {
        i32::from_le_bytes(insn.0[4..8].try_into().unwrap())
    } else {
        i32::from(i16::from_le_bytes([insn.0[2], insn.0[3]]))
    };
    jump.then(|| (at as i64 + 1 + i64::from(offset)) as usize)
}
