//! Names of services: found, waited for, given up, taken over.

use std::fs;
use std::sync::mpsc::{Receiver, Sender};

use super::scan::Owners;
use super::*;
use crate::testing::record;

struct Bench {
    enricher: Enricher,
    questions: Receiver<u64>,
    answers: Sender<Answer>,
    now: Instant,
    proc: tempfile::TempDir,
}

fn bench(services: &[(u16, &str)]) -> Bench {
    let (scanner, questions, answers) = Scanner::scripted();
    let proc = tempfile::tempdir().unwrap();
    let naming = Naming {
        services: services.iter().map(|(port, name)| (*port, (*name).to_owned())).collect(),
        routes: Vec::new(),
        routes_per_service: 10,
    };
    let enricher = Enricher::with(naming, proc.path().to_owned(), scanner);
    Bench { enricher, questions, answers, now: Instant::now(), proc }
}

impl Bench {
    fn service(&mut self, port: u16) -> Option<String> {
        let key = self.enricher.key(&record().listener(port).build(), self.now)?;
        Some(self.enricher.labels(&key).service.to_string())
    }

    fn client(&mut self, pid: u32, comm: &str) -> String {
        let to = ([192, 0, 2, 1].into(), 80);
        let key = self.enricher.key(&record().client(to, pid, comm).build(), self.now).unwrap();
        self.enricher.labels(&key).service.to_string()
    }

    fn answer(&mut self, question: u64, listeners: &[(u16, &str)]) -> bool {
        let listeners = listeners.iter().map(|(port, name)| (*port, (*name).into())).collect();
        let owners = Owners { listeners, ..Owners::default() };
        self.answers.send(Answer { question, owners }).unwrap();
        self.enricher.poll(self.now)
    }

    fn process(&self, pid: u32, comm: &str) {
        let dir = self.proc.path().join(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("comm"), comm).unwrap();
    }
}

#[test]
fn records_of_a_new_port_wait_for_its_name() {
    let mut bench = bench(&[]);
    assert_eq!(bench.service(80), None);
    assert_eq!(bench.service(80), None);
    assert_eq!(bench.questions.try_iter().count(), 1, "one question for any number of records");
    assert!(bench.answer(1, &[(80, "nginx")]));
    assert_eq!(bench.service(80).as_deref(), Some("nginx"));
}

#[test]
fn an_answer_to_an_older_question_proves_nothing_about_a_newer_port() {
    let mut bench = bench(&[]);
    bench.service(80);
    bench.service(81);
    assert!(bench.answer(1, &[(80, "nginx")]));
    assert_eq!(bench.service(81), None);
    assert!(bench.answer(2, &[(80, "nginx")]));
    assert_eq!(bench.service(81).as_deref(), Some("port-81"));
}

#[test]
fn a_port_goes_by_its_number_when_the_answer_takes_too_long() {
    let mut bench = bench(&[]);
    assert_eq!(bench.service(80), None);
    assert!(!bench.enricher.poll(bench.now));
    bench.now += Duration::from_millis(500);
    assert!(bench.enricher.poll(bench.now));
    assert_eq!(bench.service(80).as_deref(), Some("port-80"));
}

#[test]
fn a_configured_name_is_never_looked_up() {
    let mut bench = bench(&[(80, "front")]);
    assert_eq!(bench.service(80).as_deref(), Some("front"));
    bench.answer(0, &[(80, "nginx")]);
    assert_eq!(bench.service(80).as_deref(), Some("front"));
    assert_eq!(bench.questions.try_iter().count(), 0);
}

#[test]
fn a_restart_keeps_the_name_and_a_take_over_changes_it() {
    let mut bench = bench(&[]);
    bench.answer(0, &[(80, "nginx")]);
    assert_eq!(bench.service(80).as_deref(), Some("nginx"));
    assert_eq!(bench.service(80).as_deref(), Some("nginx"));
    bench.now += Duration::from_secs(5);
    bench.enricher.poll(bench.now);
    assert_eq!(bench.questions.try_iter().last(), Some(1), "what is old and in use is looked up again");
    bench.answer(1, &[]);
    assert_eq!(bench.service(80).as_deref(), Some("nginx"));
    bench.now += Duration::from_secs(5);
    bench.enricher.poll(bench.now);
    bench.answer(2, &[(80, "caddy")]);
    assert_eq!(bench.service(80).as_deref(), Some("caddy"));
}

#[test]
fn a_client_is_called_as_its_process_is_or_as_the_kernel_noted() {
    let mut bench = bench(&[]);
    bench.process(7, "hosp-proxy\n");
    assert_eq!(bench.client(7, "worker-1"), "hosp-proxy");
    assert_eq!(bench.client(8, "curl"), "curl", "gone before it could be looked up");
    assert_eq!(bench.client(9, "\u{1}"), "unknown");
    assert_eq!(bench.client(0, ""), "unknown");
    fs::remove_dir_all(bench.proc.path().join("7")).unwrap();
    bench.now += Duration::from_secs(10);
    assert_eq!(bench.client(7, "worker-1"), "hosp-proxy", "its last records come after its end");
    bench.process(7, "other\n");
    bench.now += Duration::from_secs(10);
    assert_eq!(bench.client(7, "x"), "other", "the number was given to another process");
}

#[test]
fn a_connection_older_than_the_observer_is_named_by_the_first_scan() {
    let mut bench = bench(&[]);
    let old = record().client(([192, 0, 2, 1].into(), 80), 0, "").build();
    let connections = [((old.local_port, old.remote_addr, old.remote_port), Arc::from("hosp-proxy"))].into();
    let owners = Owners { connections, ..Owners::default() };
    bench.answers.send(Answer { question: 0, owners }).unwrap();
    bench.enricher.settle();
    assert_eq!(bench.client(0, ""), "hosp-proxy");
}

#[test]
fn ports_without_a_name_leave_places_for_services_that_have_one() {
    let mut bench = bench(&[]);
    let strange: Vec<u16> = (10_000..).take(2 * MAX_SERVICES).collect();
    for port in &strange {
        bench.service(*port);
    }
    bench.answer(u64::MAX, &[(80, "nginx")]);
    let numbered = strange.iter().filter(|port| bench.service(**port).as_deref() != Some("_other")).count();
    assert_eq!(numbered, MAX_SERVICES / 2 + 1);
    assert_eq!(bench.service(80).as_deref(), Some("nginx"));
}

#[test]
fn services_and_addresses_beyond_their_caps_are_counted_as_overflow() {
    let mut bench = bench(&[]);
    for i in 0..MAX_ADDRESSES + 3 {
        let to = ([10, 0, u8::try_from(i / 256).unwrap(), u8::try_from(i % 256).unwrap()].into(), 80);
        let pid = u32::try_from(i).unwrap() + 1;
        bench.enricher.key(&record().client(to, pid, &format!("c{i}")).build(), bench.now).unwrap();
    }
    let overflow = bench.enricher.overflow();
    assert_eq!(overflow.addresses, 3);
    assert_eq!(overflow.services, (MAX_ADDRESSES + 3 - MAX_SERVICES) as u64);
}

#[test]
fn the_unit_of_a_new_cgroup_is_looked_up_once_and_forgotten_when_it_is_gone() {
    let mut bench = bench(&[(80, "web")]);
    let request = record().cgroup(7).build();
    let words = |bench: &mut Bench| {
        let key = bench.enricher.key(&request, bench.now).unwrap();
        bench.enricher.words(&request, &key).unit.to_string()
    };
    assert_eq!((words(&mut bench), words(&mut bench)), (String::new(), String::new()));
    assert_eq!(bench.questions.try_iter().collect::<Vec<_>>(), [1]);
    let found = |units: &[(u64, &str)]| {
        let units = units.iter().map(|(cgroup, name)| (*cgroup, (*name).into())).collect();
        Owners { units, ..Owners::default() }
    };
    let learn = |bench: &mut Bench, question, owners| {
        bench.answers.send(Answer { question, owners }).unwrap();
        bench.enricher.poll(bench.now);
    };
    learn(&mut bench, 1, found(&[(7, "web.service"), (8, "other.service")]));
    assert_eq!(words(&mut bench), "web.service");
    let info = ServiceInfo { service: "web".into(), units: vec!["web.service".into()] };
    assert_eq!(bench.enricher.services(), [info]);
    learn(&mut bench, 1, found(&[(8, "other.service")]));
    assert_eq!(bench.enricher.services(), []);
    // A late record asks again, and is told once that there is nothing to find.
    assert_eq!(words(&mut bench), "");
    learn(&mut bench, 2, found(&[]));
    learn(&mut bench, 2, found(&[]));
    assert_eq!(words(&mut bench), "");
    assert_eq!(bench.questions.try_iter().collect::<Vec<_>>(), [2]);
}
