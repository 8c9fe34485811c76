//! The hospital's records, and what each route answers with.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use ::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An answer's body.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Patients have the numbers from 1 to this.
const PATIENTS: u32 = 1000;
/// Patients on the page of `GET /patients`.
const PAGE: u32 = 20;
/// Notes kept for each patient; older ones go.
const NOTES_KEPT: usize = 20;

const NAMES: [&str; 8] = ["Bella", "Rex", "Milo", "Luna", "Simba", "Nala", "Coco", "Balu"];
const SPECIES: [&str; 4] = ["cat", "dog", "rabbit", "horse"];

/// The notes written so far, by patient.
#[derive(Debug, Default)]
pub(super) struct Hospital {
    notes: Mutex<BTreeMap<u32, Vec<Note>>>,
}

/// A note on a patient, as it is posted and told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// Unique; chosen by the writer.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Patients,
    Patient(u32),
    ReadNotes(u32),
    WriteNote(u32),
    Report(u32),
    Static(&'a str),
    Unknown,
    MethodNotAllowed,
}

impl<'a> Route<'a> {
    /// What `method` on `path` asks for.
    pub(super) fn find(method: &Method, path: &'a str) -> Self {
        let patient = |id: &str| id.parse().ok().filter(|id| (1..=PATIENTS).contains(id));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let route = match *parts {
            ["patients"] => Some(Self::Patients),
            ["patients", id] => patient(id).map(Self::Patient),
            ["patients", id, "notes"] if method == Method::POST => {
                return patient(id).map_or(Self::Unknown, Self::WriteNote);
            }
            ["patients", id, "notes"] => patient(id).map(Self::ReadNotes),
            ["reports", id] => patient(id).map(Self::Report),
            ["static", name] if !name.is_empty() => Some(Self::Static(name)),
            _ => None,
        };
        match route {
            None => Self::Unknown,
            Some(_) if method != Method::GET && method != Method::HEAD => Self::MethodNotAllowed,
            Some(route) => route,
        }
    }
}

impl Hospital {
    /// The answer to a request that does not fail.
    pub(super) fn read(&self, route: &Route<'_>) -> Response<Body> {
        match *route {
            Route::Patients => private(&json!({ "patients": (1..=PAGE).map(patient).collect::<Vec<_>>() })),
            Route::Patient(id) => private(&patient(id)),
            Route::ReadNotes(id) => private(&json!({ "patient": id, "notes": self.notes_of(id) })),
            Route::Report(id) => report(id),
            Route::Static(name) => asset(name),
            Route::MethodNotAllowed => refusal(StatusCode::METHOD_NOT_ALLOWED),
            Route::WriteNote(_) | Route::Unknown => refusal(StatusCode::NOT_FOUND),
        }
    }

    /// Keeps a note, and answers with it.
    pub(super) fn write(&self, patient: u32, note: Note) -> Response<Body> {
        let answer = Response::builder()
            .status(StatusCode::CREATED)
            .header(header::LOCATION, format!("/patients/{patient}/notes"))
            .header(header::CACHE_CONTROL, "no-store");
        let body = json_body(&json!(note));
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = notes.entry(patient).or_default();
        kept.push(note);
        if kept.len() > NOTES_KEPT {
            kept.remove(0);
        }
        answer.header(header::CONTENT_TYPE, "application/json").body(body).expect(STATIC_HEADERS)
    }

    fn notes_of(&self, patient: u32) -> Vec<Note> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(&patient).cloned().unwrap_or_default()
    }
}

const STATIC_HEADERS: &str = "names and values of these headers are valid";

/// An answer that says no more than its status.
pub(super) fn refusal(status: StatusCode) -> Response<Body> {
    let body = json_body(&json!({ "error": status.canonical_reason() }));
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body)
        .expect(STATIC_HEADERS)
}

/// Somebody's data: never to be kept by a shared cache (RFC 9111 §5.2.2.5).
fn private(value: &serde_json::Value) -> Response<Body> {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(json_body(value))
        .expect(STATIC_HEADERS)
}

/// A report, in chunks, because its length is not known when it begins.
fn report(id: u32) -> Response<Body> {
    let lines = 8 + id % 24;
    let chunk = move |line: u32| {
        let text = format!("patient {id}, line {line}: {}\n", "temperature 38.6, pulse 90, ".repeat(12));
        Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
    };
    Response::builder()
        .header(header::CONTENT_TYPE, "text/plain")
        .header(header::CACHE_CONTROL, "no-store")
        .body(StreamBody::new(stream::iter((1..=lines).map(chunk))).boxed_unsync())
        .expect(STATIC_HEADERS)
}

/// A style sheet or a picture: the same for everybody, fresh for a minute.
fn asset(name: &str) -> Response<Body> {
    let body = format!("/* {name} */\n").repeat(64);
    Response::builder()
        .header(header::CONTENT_TYPE, "text/css")
        .header(header::CACHE_CONTROL, "public, max-age=60")
        .body(Full::new(Bytes::from(body)).boxed_unsync())
        .expect(STATIC_HEADERS)
}

fn patient(id: u32) -> serde_json::Value {
    let (name, species) = (NAMES[id as usize % NAMES.len()], SPECIES[id as usize / 7 % SPECIES.len()]);
    json!({ "id": id, "name": name, "species": species, "owner": format!("owner-{}", id / 3) })
}

fn json_body(value: &serde_json::Value) -> Body {
    Full::new(Bytes::from(value.to_string())).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_finds_its_route() {
        let cases = [
            ("GET", "/patients", Route::Patients),
            ("GET", "/patients/7", Route::Patient(7)),
            ("HEAD", "/patients/7", Route::Patient(7)),
            ("GET", "/patients/7/notes", Route::ReadNotes(7)),
            ("POST", "/patients/7/notes", Route::WriteNote(7)),
            ("GET", "/reports/1000", Route::Report(1000)),
            ("GET", "/static/site.css", Route::Static("site.css")),
            ("POST", "/static/site.css", Route::MethodNotAllowed),
            ("DELETE", "/patients/7", Route::MethodNotAllowed),
            ("GET", "/patients/0", Route::Unknown),
            ("POST", "/patients/1001/notes", Route::Unknown),
            ("GET", "/", Route::Unknown),
            ("GET", "/static/", Route::Unknown),
        ];
        for (method, path, expect) in cases {
            assert_eq!(Route::find(&method.parse().unwrap(), path), expect, "{method} {path}");
        }
    }

    #[test]
    fn only_static_files_may_be_cached() {
        let hospital = Hospital::default();
        for (path, expect) in
            [("/patients/7", "no-store"), ("/reports/7", "no-store"), ("/static/a", "public, max-age=60")]
        {
            let answer = hospital.read(&Route::find(&Method::GET, path));
            assert_eq!(answer.headers()["cache-control"], expect, "{path}");
        }
    }

    #[tokio::test]
    async fn a_note_that_was_written_is_read() {
        let hospital = Hospital::default();
        let written = hospital.write(7, Note { id: "n1".into(), text: "limps".into() });
        assert_eq!(written.status(), StatusCode::CREATED);
        let read = hospital.read(&Route::ReadNotes(7)).into_body().collect().await.unwrap().to_bytes();
        let read: serde_json::Value = serde_json::from_slice(&read).unwrap();
        assert_eq!(read["notes"][0]["text"], "limps");
    }
}
