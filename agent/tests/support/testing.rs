//! Records and sources made up for tests.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hosp_agent_ebpf::{
    COMM_LEN, COUNTERS, Counter, Leg, Method, Outcome, PATH_MAX, PATH_SHORT, Record, RecordHead, SHORT,
};
use hosp_feed::ProgramCost;

use hosp_agent::source::{Counters, Source};

/// Builds one record: a `GET /` on the server leg, port 80, answered with 200 after 1 ms, unless told otherwise.
pub(crate) struct RecordBuilder(RecordHead, Vec<u8>);

/// See [`RecordBuilder`].
pub(crate) fn record() -> RecordBuilder {
    let head = RecordHead {
        start_ns: 1_000_000_000,
        ttfb_ns: 500_000,
        duration_ns: 1_000_000,
        unread_ns: 200_000,
        request_bytes: 100,
        response_bytes: 200,
        request_id: 0,
        cgroup: 0,
        local_addr: Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets(),
        remote_addr: Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets(),
        comm: [0; COMM_LEN],
        pid: 0,
        ordinal: 1,
        response_head: 150,
        srtt_us: 50,
        request_head: 100,
        retransmits: 0,
        local_port: 80,
        remote_port: 40_000,
        status: 200,
        leg: Leg::Server as u8,
        method: Method::Get as u8,
        outcome: Outcome::Answered as u8,
        flags: 0,
        path_len: 0,
        _pad: 0,
        path: [0; PATH_SHORT / 8],
    };
    RecordBuilder(head, vec![]).path("/")
}

impl RecordBuilder {
    pub(crate) fn path(mut self, path: &str) -> Self {
        self.1 = path.as_bytes().to_vec();
        self.0.path_len = u8::try_from(path.len()).unwrap();
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.0.method = method as u8;
        self
    }

    /// An unanswered request.
    pub(crate) fn ended(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome as u8;
        self.0.status = 0;
        self
    }

    /// Puts its socket into this control group.
    pub(crate) fn cgroup(mut self, cgroup: u64) -> Self {
        self.0.cgroup = cgroup;
        self
    }

    /// Has it lie unread for so long.
    pub(crate) fn unread(mut self, ns: u64) -> Self {
        self.0.unread_ns = ns;
        self
    }

    /// Gives it this id; see [`RecordHead::request_id`].
    pub(crate) fn id(mut self, id: u64) -> Self {
        self.0.request_id = id;
        self
    }

    pub(crate) fn duration(mut self, duration: Duration) -> Self {
        self.0.duration_ns = u64::try_from(duration.as_nanos()).unwrap();
        self
    }

    pub(crate) fn listener(mut self, port: u16) -> Self {
        self.0.local_port = port;
        self
    }

    /// Makes it a request on the client leg, to this address, by the process `pid` whose task is called `comm`.
    pub(crate) fn client(mut self, to: (IpAddr, u16), pid: u32, comm: &str) -> Self {
        self.0.leg = Leg::Client as u8;
        let IpAddr::V4(v4) = to.0 else { panic!("tests use IPv4") };
        self.0.remote_addr = v4.to_ipv6_mapped().octets();
        (self.0.remote_port, self.0.local_port) = (to.1, 50_000);
        self.0.pid = pid;
        self.0.comm = [0; COMM_LEN];
        self.0.comm[..comm.len()].copy_from_slice(comm.as_bytes());
        self
    }

    pub(crate) fn build(self) -> Record {
        Record::decode(&self.bytes()).unwrap()
    }

    /// As it lies in the ring.
    fn bytes(&self) -> Vec<u8> {
        let room = if self.1.len() > PATH_SHORT { PATH_MAX } else { PATH_SHORT };
        let mut path = self.1.clone();
        path.resize(room, 0);
        let mut head = self.0;
        for (word, eight) in head.path.iter_mut().zip(path.chunks_exact(8)) {
            *word = u64::from_ne_bytes(eight.try_into().unwrap());
        }
        // SAFETY: a RecordHead has no implicit padding (its size is the sum of its fields, asserted where it is
        // defined), so all of its bytes are initialised; the slice lives no longer than the reference.
        let head = unsafe { std::slice::from_raw_parts((&raw const head).cast::<u8>(), SHORT) };
        [head, &path[PATH_SHORT..]].concat()
    }
}

/// The bytes of a record as they lie in the ring.
pub(crate) fn bytes(record: &Record) -> Vec<u8> {
    RecordBuilder(record.head, record.path().to_vec()).bytes()
}

/// A kernel that says what a test tells it to. Clones share the script.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Scripted>>);

#[derive(Default)]
struct Scripted {
    records: Vec<Vec<u8>>,
    counters: Option<Counters>,
}

impl Script {
    /// Puts a record into the ring and into the kernel's books.
    pub(crate) fn push(&self, record: &Record) {
        self.push_bytes(bytes(record));
        self.count(Counter::Seen, record.leg(), 1);
        self.count(Counter::ended(record.status), record.leg(), 1);
    }

    /// Puts bytes into the ring, and nothing into the books.
    pub(crate) fn push_bytes(&self, bytes: Vec<u8>) {
        self.0.lock().unwrap().records.push(bytes);
    }

    /// Adds to one of the kernel's counters.
    pub(crate) fn count(&self, counter: Counter, leg: Leg, n: u64) {
        let mut script = self.0.lock().unwrap();
        script.counters.get_or_insert([0; COUNTERS as usize])[counter.index(leg) as usize] += n;
    }
}

impl Source for Script {
    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        if self.0.lock().unwrap().records.is_empty() {
            std::thread::sleep(timeout.min(Duration::from_millis(5)));
        }
        Ok(())
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) {
        let records = std::mem::take(&mut self.0.lock().unwrap().records);
        records.iter().for_each(|record| each(record));
    }

    fn counters(&self) -> Counters {
        self.0.lock().unwrap().counters.unwrap_or([0; COUNTERS as usize])
    }

    fn program_costs(&self) -> Vec<ProgramCost> {
        vec![ProgramCost { program: "hosp_ingress".into(), runs: 10, seconds: 0.5 }]
    }
}
