//! IP and TCP headers: where a packet's payload lies, and how TCP numbers it.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use hosp_agent_ebpf::machine::Segment;
use hosp_agent_ebpf::stash::Early;

use crate::run::End;

const ETH_P_IP: u32 = 0x0800u16.to_be() as u32;
const ETH_P_IPV6: u32 = 0x86ddu16.to_be() as u32;
const IPV6_HEADER: u32 = 40;
const IPV6_NEXT_HEADER: u32 = 6;
const IPPROTO_HOPOPTS: u8 = 0;
const IPPROTO_TCP: u8 = 6;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// A TCP segment within a packet.
pub struct Packet {
    /// Its payload.
    pub segment: Segment,
    /// The sender's port.
    pub source: u16,
    flags: u8,
}

impl Packet {
    /// How it ends its direction.
    #[inline(always)]
    pub fn ends(&self) -> End {
        if self.flags & RST != 0 {
            End::Rst
        } else if self.flags & FIN != 0 {
            End::Fin
        } else {
            End::Open
        }
    }

    /// The segment, as it waits for its turn.
    #[inline(always)]
    pub fn early(&self) -> Early {
        let Segment { seq, len, .. } = self.segment;
        Early { seq, len, fin: self.flags & FIN != 0 }
    }

    /// Whether there is anything to see: data, or an end.
    #[inline(always)]
    pub fn matters(&self) -> bool {
        (self.segment.len > 0 || self.flags & (FIN | RST) != 0) && self.flags & SYN == 0
    }
}

/// The TCP segment in `skb`, which begins with its IP header; nothing when it is cut short.
///
/// # Safety
/// `skb` is the context of a cgroup_skb program, for a TCP socket.
#[inline(always)]
pub unsafe fn parse(skb: *mut __sk_buff) -> Option<Packet> {
    // SAFETY: fields of the context.
    let (protocol, len) = unsafe { ((*skb).protocol, (*skb).len) };
    // What a TCP socket sends or receives need not be TCP here: IPsec encrypts before the packet passes.
    let tcp_at = match protocol {
        ETH_P_IP => {
            // SAFETY: the caller vouches for the context.
            let ip = unsafe { load::<10>(skb, 0) }?;
            if ip[9] != IPPROTO_TCP {
                return None;
            }
            u32::from(ip[0] & 15) * 4
        }
        // SAFETY: the caller vouches for the context.
        ETH_P_IPV6 => match unsafe { load::<1>(skb, IPV6_NEXT_HEADER) }? {
            [IPPROTO_TCP] => IPV6_HEADER,
            // A jumbogram's length (RFC 2675), which BIG TCP puts before packets of over 64 KiB.
            // SAFETY: the caller vouches for the context.
            [IPPROTO_HOPOPTS] if unsafe { load::<1>(skb, IPV6_HEADER) }? == [IPPROTO_TCP] => IPV6_HEADER + 8,
            _ => return None,
        },
        _ => return None,
    };
    // SAFETY: the caller vouches for the context.
    let tcp = unsafe { load::<16>(skb, tcp_at) }?;
    let offset = tcp_at + u32::from(tcp[12] >> 4) * 4;
    let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    let len = if len > offset { len - offset } else { 0 };
    let source = u16::from_be_bytes([tcp[0], tcp[1]]);
    Some(Packet { segment: Segment { seq, offset, len }, source, flags: tcp[13] })
}

/// `N` bytes of the packet from `at` on.
///
/// # Safety
/// As for [`parse`].
#[inline(always)]
unsafe fn load<const N: usize>(skb: *mut __sk_buff, at: u32) -> Option<[u8; N]> {
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the helper writes N bytes to where N bytes are; zeros when it fails.
    unsafe {
        let failed = bpf_skb_load_bytes(skb.cast(), at, bytes.as_mut_ptr().cast(), N as u32);
        (failed == 0).then_some(bytes.assume_init())
    }
}
