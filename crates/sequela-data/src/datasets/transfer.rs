//! One file over HTTP, with a client that gives up and tries again by rules.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sequela_core::Location;
use sequela_formats::part::PartFile;
use sha2::{Digest as _, Sha256};
use ureq::http::Response;
use ureq::{Agent, Body};

use super::fetch::{FetchOptions, fault, hex};
use super::sources::SourceFile;
use crate::Error;

/// An HTTP client.
pub(super) struct Client {
    agent: Agent,
    options: FetchOptions,
}

/// How a try ended that did not bring the file.
enum Broken {
    /// It may go better after a pause.
    Passing(Error),
    /// It will not.
    Final(Error),
}

impl<E: Into<Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

impl Client {
    pub(super) fn new(options: &FetchOptions) -> Self {
        let config = Agent::config_builder()
            .timeout_resolve(Some(options.patience))
            .timeout_connect(Some(options.patience))
            .timeout_recv_response(Some(options.patience))
            .max_redirects(5)
            .http_status_as_error(false)
            .user_agent(concat!("sequela/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), options: *options }
    }

    /// A short text.
    pub(super) fn text(&self, address: &str) -> Result<String, Error> {
        self.patiently(|| {
            let mut response = self.ask(address, 0, Some(TEXT))?;
            refuse_status(address, response.status().as_u16())?;
            let mut reader = response.body_mut().as_reader();
            let mut bytes = Vec::new();
            let mut piece = [0; 8192];
            loop {
                let read = reader.read(&mut piece).map_err(|error| broke_off(address, &error))?;
                if read == 0 {
                    break;
                }
                bytes.extend_from_slice(&piece[..read]);
                if bytes.len() as u64 > TEXT {
                    let what = format!("the list is over {TEXT} bytes");
                    return Err(Broken::Final(failed(address, what, "see the set's own page")));
                }
            }
            String::from_utf8(bytes).map_err(|_| {
                Broken::Final(failed(address, "the list is no text", "see the set's own page"))
            })
        })
    }

    /// A file under its name; its bytes and digest.
    pub(super) fn file(
        &self,
        address: &str,
        file: &SourceFile,
        path: &Path,
    ) -> Result<(u64, String), Error> {
        let mut part = PartFile::open(path)?;
        // Without a digest nobody could tell whether two halves belong together.
        if file.sha256.is_none() || file.bytes.is_some_and(|bytes| part.length() > bytes) {
            part.restart()?;
        }
        self.patiently(|| self.transfer(address, file, &mut part))?;
        let mut digest = Sha256::new();
        part.read_back(&mut |bytes| digest.update(bytes))?;
        let (bytes, sha256) = (part.length(), hex(&digest.finalize()));
        if let Some(what) = fault(file, bytes, &sha256) {
            part.discard()?;
            return Err(Error::Altered {
                location: Location::file(path).into(),
                what: format!("what came from {address} is another file: {what}"),
                hint: "it was removed; try again, or see whether the publisher changed it".into(),
            });
        }
        part.finish()?;
        Ok((bytes, sha256))
    }

    /// Tries until it goes well, or will not.
    fn patiently<T>(&self, mut one: impl FnMut() -> Result<T, Broken>) -> Result<T, Error> {
        let mut pause = self.options.pause;
        for _ in 0..self.options.retries {
            match one() {
                Ok(done) => return Ok(done),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Passing(_)) => std::thread::sleep(pause),
            }
            pause = pause.saturating_mul(2);
        }
        one().map_err(|(Broken::Final(error) | Broken::Passing(error))| error)
    }

    /// Brings what is missing behind a part.
    fn transfer(
        &self,
        address: &str,
        file: &SourceFile,
        part: &mut PartFile,
    ) -> Result<(), Broken> {
        if file.sha256.is_none() {
            part.restart()?;
        } else if file.bytes == Some(part.length()) && part.length() > 0 {
            return Ok(());
        }
        let mut response = self.ask(address, part.length(), file.bytes)?;
        match response.status().as_u16() {
            206 if starts_at(&response) == Some(part.length()) => {}
            // The whole file: this server knows no ranges, or the file was asked for from 0.
            200 => part.restart()?,
            // More is asked for than there is: the part is the whole, or of another file. The
            // digest tells.
            416 if part.length() > 0 => {
                if total_of(&response) == Some(part.length()) {
                    return Ok(());
                }
                part.restart()?;
                let what = "what was there already is not of this file";
                return Err(Broken::Passing(failed(address, what, "try again")));
            }
            206 => {
                let what = "another part was sent than was asked for";
                return Err(Broken::Final(failed(address, what, "try again later")));
            }
            status => refuse_status(address, status)?,
        }
        let announced = length_of(&response).map(|length| length + part.length());
        let most = file.bytes.unwrap_or(self.options.limits.file_bytes);
        if announced.is_some_and(|bytes| bytes > most) {
            return Err(Broken::Final(too_long(address, most)));
        }
        receive(address, &mut response, part, most)?;
        // Where nothing says how much there is, the digest finds an early end.
        match announced.or(file.bytes) {
            Some(wanted) if part.length() < wanted => {
                let what = format!("the transfer ended after {} of {wanted} bytes", part.length());
                Err(Broken::Passing(failed(address, what, "run it again: it goes on from there")))
            }
            _ => Ok(()),
        }
    }

    /// Asks for a file from byte `start`; `bytes` is what may come at most.
    fn ask(&self, address: &str, start: u64, bytes: Option<u64>) -> Result<Response<Body>, Broken> {
        let expected = bytes.unwrap_or(self.options.limits.file_bytes).saturating_sub(start);
        let slowest = Duration::from_secs(expected / self.options.slowest.max(1));
        let request = self
            .agent
            .get(address)
            .config()
            // What was secure at the beginning is not led elsewhere by a redirection.
            .https_only(address.starts_with("https://"))
            .timeout_recv_body(Some(self.options.patience + slowest))
            .build();
        let request =
            if start > 0 { request.header("Range", format!("bytes={start}-")) } else { request };
        request.call().map_err(|error| refused(address, &error))
    }
}

/// Appends what comes to a part.
fn receive(
    address: &str,
    response: &mut Response<Body>,
    part: &mut PartFile,
    most: u64,
) -> Result<(), Broken> {
    let mut reader = response.body_mut().as_reader();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broke_off(address, &error)),
        };
        if part.length() + read as u64 > most {
            part.restart()?;
            return Err(Broken::Final(too_long(address, most)));
        }
        part.append(&piece[..read])?;
    }
}

/// The first byte of a part that is sent.
fn starts_at(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The bytes of the whole file, where a range could not be had.
fn total_of(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.rsplit('/').next()?.parse().ok()
}

fn length_of(response: &Response<Body>) -> Option<u64> {
    response.headers().get("content-length")?.to_str().ok()?.parse().ok()
}

fn refuse_status(address: &str, status: u16) -> Result<(), Broken> {
    let (what, hint) = match status {
        200 => return Ok(()),
        401 | 403 => ("access was denied", "see the set's own page: it may ask for an account"),
        404 | 410 => ("there is no such file", "the publisher may have moved it: see its page"),
        408 | 429 | 500..=599 => {
            let what = format!("the server is not able to answer now (status {status})");
            return Err(Broken::Passing(failed(address, what, "try again later")));
        }
        _ => ("the server did not send the file", "see the set's own page"),
    };
    Err(Broken::Final(failed(address, format!("{what} (status {status})"), hint)))
}

fn refused(address: &str, error: &ureq::Error) -> Broken {
    let hint = "check the network, then run it again";
    let failed = |hint: &str| failed(address, format!("no answer ({error})"), hint);
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::Timeout(_)
        | ureq::Error::Io(_)
        | ureq::Error::ConnectionFailed => Broken::Passing(failed(hint)),
        ureq::Error::TooManyRedirects | ureq::Error::RequireHttpsOnly(_) => {
            Broken::Final(failed("see the set's own page"))
        }
        _ => Broken::Final(failed(hint)),
    }
}

fn broke_off(address: &str, error: &std::io::Error) -> Broken {
    let what = format!("the transfer broke off ({error})");
    Broken::Passing(failed(address, what, "run it again: it goes on from there"))
}

fn too_long(address: &str, most: u64) -> Error {
    let what = format!("the file is over {most} bytes");
    failed(address, what, "see whether the publisher changed it")
}

fn failed(address: &str, what: impl Into<String>, hint: &str) -> Error {
    Error::Fetch { place: address.to_owned(), what: what.into(), hint: hint.to_owned() }
}

/// Bytes of a list of digests at most.
const TEXT: u64 = 64 << 20;
