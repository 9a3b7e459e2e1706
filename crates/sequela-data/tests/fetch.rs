//! Fetching from a server in this process, which is slow, cuts, lies, redirects and refuses.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sequela_core::Limits;
use sequela_data::Error;
use sequela_data::datasets::{FetchOptions, Fetched, Source, fetch};
use sha2::{Digest as _, Sha256};

/// How a path is answered, one after the other; the last one stays.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// The whole, or the range that is asked for.
    Well,
    /// The whole, whatever range is asked for.
    WithoutRanges,
    /// So many bytes of what was announced.
    CutAfter(usize),
    /// So many bytes, with no length announced.
    EndAfter(usize),
    /// A byte, and then nothing for long.
    Stall,
    /// In small pieces with pauses.
    Slowly,
    /// To another path.
    To(&'static str),
    /// A status and no file.
    Status(&'static str),
    /// The wrong range.
    WrongRange,
    /// More than was promised.
    TooMuch,
}

type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A server of one content; what it was asked for is kept.
struct Server {
    address: String,
    asked: Asked,
}

impl Server {
    fn begin(content: &[u8], ways: &[(&'static str, &[Way])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let asked = Asked::default();
        let mut ways: BTreeMap<String, Vec<Way>> =
            ways.iter().map(|(path, ways)| (format!("/{path}"), ways.to_vec())).collect();
        let (content, kept) = (content.to_vec(), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some((path, range)) = request(&stream) else { continue };
                kept.lock().unwrap().push((path.clone(), range.clone()));
                let way = match ways.get_mut(&path) {
                    Some(ways) if ways.len() > 1 => ways.remove(0),
                    Some(ways) => ways[0],
                    None => Way::Status("404 Not Found"),
                };
                let content = content.clone();
                // A client that goes away in between is what some of the tests are about.
                std::thread::spawn(move || answer(stream, way, range.as_deref(), &content));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<(String, Option<String>)> {
        self.asked.lock().unwrap().clone()
    }

    /// A set of one file of this digest and size.
    fn source(&self, sha256: &str, bytes: &str) -> Source {
        let text = format!("from {}\n{sha256} {bytes} deep/set.bin set.bin\n", self.address);
        Source::parse("test", &text).unwrap()
    }
}

/// Path and range of a request.
fn request(stream: &TcpStream) -> Option<(String, Option<String>)> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut range = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("range") {
            range = Some(value.trim().to_owned());
        }
    }
    Some((path, range))
}

fn answer(
    mut stream: TcpStream,
    way: Way,
    range: Option<&str>,
    content: &[u8],
) -> std::io::Result<()> {
    let start: usize = range
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
        .unwrap_or(0);
    let all = content.len();
    let head =
        |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
    let whole = head("200 OK", &format!("Content-Length: {all}\r\n"));
    let part = format!(
        "Content-Length: {}\r\nContent-Range: bytes {start}-{}/{all}\r\n",
        all.saturating_sub(start),
        all.saturating_sub(1)
    );
    match way {
        Way::Well if start >= all && start > 0 => {
            let more = format!("Content-Length: 0\r\nContent-Range: bytes */{all}\r\n");
            stream.write_all(head("416 Range Not Satisfiable", &more).as_bytes())
        }
        Way::Well if start > 0 => {
            stream.write_all(head("206 Partial Content", &part).as_bytes())?;
            stream.write_all(&content[start..])
        }
        Way::Well | Way::WithoutRanges => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(content)
        }
        Way::CutAfter(bytes) => {
            let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
            stream.write_all(head(status, &part).as_bytes())?;
            stream.write_all(&content[start..start + bytes])
        }
        Way::EndAfter(bytes) => {
            stream.write_all(head("200 OK", "").as_bytes())?;
            stream.write_all(&content[..bytes])
        }
        Way::Stall => {
            stream.write_all(whole.as_bytes())?;
            stream.write_all(&content[..1])?;
            stream.flush()?;
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        Way::Slowly => {
            stream.write_all(whole.as_bytes())?;
            for piece in content.chunks(all / 20) {
                stream.write_all(piece)?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        Way::To(place) => {
            let more = format!("Location: {place}\r\nContent-Length: 0\r\n");
            stream.write_all(head("302 Found", &more).as_bytes())
        }
        Way::Status(status) => {
            stream.write_all(head(status, "Content-Length: 5\r\n").as_bytes())?;
            stream.write_all(b"sorry")
        }
        Way::WrongRange => {
            let more =
                format!("Content-Length: {all}\r\nContent-Range: bytes 0-{}/{all}\r\n", all - 1);
            stream.write_all(head("206 Partial Content", &more).as_bytes())?;
            stream.write_all(content)
        }
        Way::TooMuch => {
            stream.write_all(head("200 OK", "").as_bytes())?;
            stream.write_all(content)?;
            stream.write_all(content)
        }
    }
}

fn content() -> Vec<u8> {
    (0..300_000_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn quick() -> FetchOptions {
    FetchOptions {
        pause: Duration::from_millis(1),
        patience: Duration::from_millis(1500),
        slowest: 10_000_000,
        ..FetchOptions::default()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder.join("deep")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Fetches the one file; the way in which it came.
fn one(server: &Server, folder: &Path, options: &FetchOptions) -> Result<Fetched, Error> {
    let content = content();
    let source = server.source(&digest(&content), &content.len().to_string());
    let mut fetched = None;
    fetch(&source, folder, options, &mut |progress| fetched = Some(progress.fetched))?;
    assert!(std::fs::read(folder.join("deep/set.bin")).unwrap() == content);
    assert_eq!(names(folder), ["set.bin"], "nothing else is left");
    Ok(fetched.unwrap())
}

#[test]
fn a_file_comes_whatever_happens_on_the_way() {
    let content = content();
    let ways: [(&str, &[Way], usize); 9] = [
        ("well", &[Way::Well], 1),
        ("slow", &[Way::Slowly], 1),
        ("cut twice", &[Way::CutAfter(100_000), Way::CutAfter(1), Way::Well], 3),
        ("ended", &[Way::EndAfter(1000), Way::Well], 2),
        ("stalled", &[Way::Stall, Way::Well], 2),
        ("no ranges", &[Way::CutAfter(100_000), Way::WithoutRanges], 2),
        (
            "busy",
            &[
                Way::Status("503 Service Unavailable"),
                Way::Status("429 Too Many Requests"),
                Way::Well,
            ],
            3,
        ),
        ("redirected", &[Way::To("/elsewhere")], 2),
        ("redirected on the way", &[Way::CutAfter(7), Way::To("/elsewhere")], 3),
    ];
    for (name, ways, asked) in ways {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::begin(&content, &[("set.bin", ways), ("elsewhere", &[Way::Well])]);
        assert_eq!(one(&server, folder.path(), &quick()).unwrap(), Fetched::Verified, "{name}");
        assert_eq!(server.asked().len(), asked, "{name}: {:?}", server.asked());
        // It is there, and is not asked for again.
        assert_eq!(one(&server, folder.path(), &quick()).unwrap(), Fetched::Here, "{name}");
        assert_eq!(server.asked().len(), asked, "{name}");
    }
}

#[test]
fn the_next_call_goes_on_where_the_last_one_ended() {
    let content = content();
    let folder = tempfile::tempdir().unwrap();
    let never = FetchOptions { retries: 0, ..quick() };
    let ways = [Way::CutAfter(100_000), Way::CutAfter(50_000), Way::Well];
    let server = Server::begin(&content, &[("set.bin", &ways)]);
    for bytes in [100_000, 150_000] {
        let error = one(&server, folder.path(), &never).unwrap_err();
        assert!(error.to_string().contains("it goes on from there"), "{error}");
        assert_eq!(error.class().exit_code(), 4);
        assert_eq!(names(folder.path()), ["set.bin.part"]);
        let part = folder.path().join("deep/set.bin.part");
        assert_eq!(std::fs::metadata(part).unwrap().len(), bytes);
    }
    assert_eq!(one(&server, folder.path(), &never).unwrap(), Fetched::Verified);
    let ranges: Vec<Option<String>> = server.asked().into_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=150000-".into())]);
}

#[test]
fn a_part_of_another_file_is_found_out() {
    let content = content();
    let never = FetchOptions { retries: 0, ..quick() };
    for (left, way) in [
        (vec![9; 1000], Way::Well),
        (content[..5000].to_vec(), Way::WrongRange),
        (vec![9; 1000], Way::CutAfter(299_000)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/set.bin.part"), left).unwrap();
        let server = Server::begin(&content, &[("set.bin", &[way])]);
        let error = one(&server, folder.path(), &never).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("another file") || text.contains("another part"), "{text}");
        assert!(!folder.path().join("deep/set.bin").exists());
    }
    // One that is longer than the file is begun anew; one of its size is judged as it is.
    for (left, asked) in [(vec![9; 400_000], 1), (content.clone(), 0)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/set.bin.part"), left).unwrap();
        let server = Server::begin(&content, &[("set.bin", &[Way::Well])]);
        assert_eq!(one(&server, folder.path(), &never).unwrap(), Fetched::Verified);
        assert_eq!(server.asked().len(), asked);
    }
}

#[test]
fn another_content_is_refused_and_removed() {
    let mut other = content();
    let last = other.len() - 1;
    other[last] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::begin(&other, &[("set.bin", &[Way::Well])]);
    let error = one(&server, folder.path(), &quick()).unwrap_err();
    assert!(matches!(error, Error::Altered { .. }), "{error}");
    assert_eq!(error.class().exit_code(), 5);
    let text = error.to_string();
    assert!(text.contains(&digest(&other)) && text.contains(&digest(&content())), "{text}");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
    assert_eq!(server.asked().len(), 1, "the same wrong file is not asked for again");

    // A file that is there under the name, and another one, is left alone.
    std::fs::write(folder.path().join("deep/set.bin"), b"mine").unwrap();
    let error = one(&server, folder.path(), &quick()).unwrap_err();
    assert!(error.to_string().contains("a file of this name is there"), "{error}");
    assert!(error.to_string().ends_with("move it away, then fetch again"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("deep/set.bin")).unwrap(), b"mine");
}

#[test]
fn what_will_not_come_is_said_at_once() {
    let never: [(&str, &[Way], &str); 6] = [
        ("gone", &[Way::Status("404 Not Found")], "there is no such file (status 404)"),
        ("closed", &[Way::Status("403 Forbidden")], "it may ask for an account"),
        ("broken", &[Way::Status("500 Internal Server Error")], "not able to answer now"),
        ("round and round", &[Way::To("/set.bin")], "no answer"),
        ("too much", &[Way::TooMuch], "the file is over 300000 bytes"),
        ("cut", &[Way::CutAfter(0)], "the transfer"),
    ];
    for (name, ways, words) in never {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::begin(&content(), &[("set.bin", ways)]);
        let error = one(&server, folder.path(), &quick()).unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
        assert!(error.to_string().contains(&server.address), "{name}: {error}");
        assert_eq!(error.class().exit_code(), 4, "{name}");
        assert!(!folder.path().join("deep/set.bin").exists());
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("from http://{nobody}/\n{} 3 deep/set.bin\n", "0".repeat(64));
    let source = Source::parse("test", &text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&source, folder.path(), &quick(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("check the network, then run it again"), "{error}");
}

#[test]
fn without_a_digest_it_is_not_called_verified() {
    let content = content();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::begin(&content, &[("set.bin", &[Way::CutAfter(9), Way::Well])]);
    let source = server.source("-", "-");
    let mut told = Vec::new();
    let bytes = fetch(&source, folder.path(), &quick(), &mut |progress| {
        told.push((progress.fetched, progress.sha256.to_owned()));
    });
    assert_eq!(bytes.unwrap(), content.len() as u64);
    assert_eq!(told, [(Fetched::NotVerified, digest(&content))]);
    // Two halves might not belong together: it began anew.
    assert!(server.asked().iter().all(|(_, range)| range.is_none()), "{:?}", server.asked());
    let small =
        FetchOptions { limits: Limits { file_bytes: 1000, ..Limits::default() }, ..quick() };
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&source, folder.path(), &small, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("over 1000 bytes"), "{error}");
}

#[test]
fn the_publishers_list_tells_digests() {
    let content = content();
    let list = format!("{}  100.dat\n{}  100.hea\n", digest(&content), "3".repeat(64));
    let lists = Server::begin(list.as_bytes(), &[("SUMS", &[Way::CutAfter(9), Way::Well])]);
    let files = Server::begin(&content, &[("100.dat", &[Way::Well]), ("100.hea", &[Way::Well])]);
    let folder = tempfile::tempdir().unwrap();
    let source = |take: &str| {
        // The list and the files are of one address in truth; here they are of two servers.
        let text = format!("from {}\nlist SUMS\ntake {take}\n", lists.address);
        Source::parse("test", &text).unwrap()
    };
    let text = "list SUMS\ntake *.dat\n";
    let listed = source("*.dat").listed(&list).unwrap();
    let direct = Source { from: files.address, files: listed, list: None, name: "t".into() };
    assert_eq!(fetch(&direct, folder.path(), &quick(), &mut |_| {}).unwrap(), 300_000);
    let wrong = source("*.hea").listed(&list).unwrap();
    let wrong = Source { files: wrong, ..direct };
    let error = fetch(&wrong, folder.path(), &quick(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Altered { .. }), "{error}");
    assert!(text.contains("SUMS"));
    // The list is fetched patiently too, and a file that it names and the server lacks is told.
    let error = fetch(&source("100.dat"), folder.path(), &quick(), &mut |_| {});
    assert!(error.is_ok(), "it was there already: {error:?}");
    std::fs::remove_file(folder.path().join("100.dat")).unwrap();
    let error = fetch(&source("100.dat"), folder.path(), &quick(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("there is no such file"), "{error}");
    let error = fetch(&source("*.atr"), folder.path(), &quick(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("the list has no digest for *.atr"), "{error}");
}
