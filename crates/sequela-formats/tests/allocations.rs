//! What reading holds in memory at most: 16 MiB and four times the bytes of the file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use sequela_core::Limits;
use sequela_formats::csv::{SeriesColumns, parse_series};
use sequela_formats::{bounded, physionet};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The counters are the whole process's: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

#[allow(unsafe_code, reason = "an allocator can only be wrapped this way; it counts and passes on")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(live, Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads with `read` and holds its peak against the bound for a file of `bytes` bytes.
fn within(name: &str, bytes: usize, read: impl FnOnce()) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = LIVE.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    read();
    let peak = PEAK.load(Ordering::SeqCst) - before;
    let bound = (16 << 20) + 4 * bytes;
    assert!(peak <= bound, "{name}: {peak} bytes at once, {bound} are promised");
}

#[test]
fn stays_and_hours() {
    let mut stay = b"Time,Parameter,Value\n00:00,RecordID,7\n".to_vec();
    for _ in 0..400_000 {
        stay.extend_from_slice(b"1:1,K,1\n");
    }
    within("a long stay", stay.len(), || {
        let result = physionet::parse_stay(&stay, "7", Path::new("7.txt"), &Limits::default());
        assert_eq!(result.unwrap().measurements.len(), 400_000);
    });
    let header = physionet::COLUMNS.map(|(name, _)| name).join("|");
    let mut hours = format!("{header}\n");
    for hour in 0..20_000 {
        hours.push_str(&"1|".repeat(39));
        hours.push_str(&hour.to_string());
        hours.push('\n');
    }
    within("many hours", hours.len(), || {
        let result =
            physionet::parse_hours(hours.as_bytes(), "p", Path::new("p.psv"), &Limits::default());
        assert_eq!(result.unwrap().times.len(), 20_000);
    });
}

#[test]
fn hostile_tables() {
    let columns = SeriesColumns::values([("v", "")]);
    let read = |name: &str, bytes: &[u8]| {
        within(name, bytes.len(), || {
            assert!(parse_series(bytes, Path::new(name), &columns, &Limits::default()).is_err());
        });
    };
    read("a million columns", "v,".repeat(1_000_000).as_bytes());
    read("an open quote", format!("\"v\n{}", "1\n".repeat(1_000_000)).as_bytes());
    read("utf-16", &[&[0xFF, 0xFE][..], &[b'v', 0, b'\n', 0].repeat(500_000)].concat());
    read("one long line", format!("v\n{}", "1".repeat(4_000_000)).as_bytes());
}

#[test]
fn a_bomb_of_gzip() {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b'1'; 1 << 20]).unwrap();
    }
    let packed = packer.finish().unwrap();
    within("a bomb", packed.len(), || {
        let result = bounded::gunzip(&packed, Path::new("b.gz"), &Limits::default());
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with("b.gz: the unpacked content"), "{message}");
    });
}
