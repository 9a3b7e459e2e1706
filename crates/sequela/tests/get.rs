//! `data get` through the program: from a mirror, with the words and exit codes that people see.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use common::{Bench, ran};

/// A server of some files; anything else is not there.
fn mirror(files: &[(&str, Vec<u8>)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/mirror", listener.local_addr().unwrap());
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(name, bytes)| (format!("/mirror/{name}"), bytes.clone())).collect();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let file = files.get(first.split(' ').nth(1).unwrap_or_default());
            let (status, bytes) = file.map_or(("404 Not Found", &b""[..]), |file| ("200 OK", file));
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                bytes.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(bytes));
        }
    });
    address
}

#[test]
fn a_set_without_digests_comes_and_is_called_not_verified() {
    let bench = Bench::empty();
    let from = mirror(&[("pneumoniamnist.npz", vec![7; 100_000])]);
    let get = ["data", "get", "medmnist_pneumonia", "--to", "sets", "--from", &from];
    let got = bench.run(&get);
    assert_eq!((got.code, got.out.as_str()), (0, ""), "{}", got.err);
    assert!(got.err.contains("licence CC BY 4.0; checked by: not verified"), "{}", got.err);
    assert!(got.err.contains("100000 bytes, not verified, sha256 "), "{}", got.err);
    assert!(got.err.contains("no digest is known of pneumoniamnist.npz"), "{}", got.err);
    assert_eq!(bench.read("sets/medmnist_pneumonia/pneumoniamnist.npz"), vec![7; 100_000]);
    let again = bench.run(&[&get[..], &["--json"]].concat());
    let told: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&told["fetched"], &told["bytes"]), (&0.into(), &100_000.into()));

    // The folder of data sets is made where SEQUELA_DATA names one that is not there yet.
    let mut command = bench.command();
    command.args(["data", "get", "medmnist_pneumonia", "--from", &from]);
    assert_eq!(ran(command.env("SEQUELA_DATA", "new/folder")).code, 0);
    assert!(bench.path("new/folder/medmnist_pneumonia/pneumoniamnist.npz").is_file());
}

#[test]
fn what_is_wrong_is_said_with_its_exit_code() {
    let bench = Bench::empty();
    let from = mirror(&[("pbc2.csv", b"not the file".to_vec())]);
    let get = |name: &str| bench.run(&["data", "get", name, "--to", "sets", "--from", &from]);
    let wrong = get("pbc2");
    assert_eq!(wrong.code, 5, "{}", wrong.err);
    assert!(wrong.err.contains("it has 12 bytes, not 296085"), "{}", wrong.err);
    assert!(!bench.path("sets/pbc2/pbc2.csv").exists());
    let absent = get("uci_promoters");
    assert_eq!(absent.code, 4);
    assert!(absent.err.contains("there is no such file (status 404)"), "{}", absent.err);
    assert!(absent.err.contains("hint: the publisher may have moved it"), "{}", absent.err);
    let signed = get("mimic-iv");
    assert_eq!(signed.code, 2);
    assert!(signed.err.contains("hint: apply at https://physionet.org/"), "{}", signed.err);
    let unknown = get("mitbhi");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("sequela data list"), "{}", unknown.err);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_a_part_and_says_so() {
    let bench = Bench::empty();
    let from = mirror(&[("pneumoniamnist.npz", vec![7; 100_000])]);
    let script =
        format!("ulimit -f 16; exec \"$0\" data get medmnist_pneumonia --to sets --from {from}");
    let full = ran(&mut bench.shell(&script));
    assert_eq!(full.code, 4, "{}", full.err);
    assert!(full.err.contains("pneumoniamnist.npz.part: writing failed"), "{}", full.err);
    assert!(full.err.contains("hint: the file is over a size limit"), "{}", full.err);
    assert!(!bench.path("sets/medmnist_pneumonia/pneumoniamnist.npz").exists());
}
