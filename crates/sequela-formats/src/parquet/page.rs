//! Pages: their headers, and unpacking them.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::broken::Broken;
use super::footer::Codec;
use super::thrift::{Kind, Wire};

/// What a page says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: PageKind,
    /// Bytes when unpacked.
    pub(super) unpacked: usize,
    /// Bytes in the file, behind the header.
    pub(super) packed: usize,
    /// Cells, the missing ones too.
    pub(super) cells: u64,
    pub(super) encoding: i64,
    /// Bytes of the levels of definition, where they stand unpacked before the cells.
    pub(super) levels: usize,
    /// Whether the cells are packed at all.
    pub(super) is_packed: bool,
    checksum: Option<u32>,
}

/// The kinds of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    DataV2,
    Dictionary,
    /// One that holds no cells.
    Other,
}

impl Header {
    /// Reads a header and gives it with its own length.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), Broken> {
        let mut wire = Wire::new(bytes);
        let mut header = Self {
            kind: PageKind::Other,
            unpacked: 0,
            packed: 0,
            cells: 0,
            encoding: -1,
            levels: 0,
            is_packed: true,
            checksum: None,
        };
        let mut code = None;
        let mut sizes = (None, None);
        wire.fields(&mut |wire, id, kind| {
            match (id, kind) {
                (1, Kind::Integer) => code = Some(wire.integer()?),
                (2, Kind::Integer) => sizes.0 = Some(size(wire)?),
                (3, Kind::Integer) => sizes.1 = Some(size(wire)?),
                (4, Kind::Integer) => header.checksum = Some(bits(wire.integer()?)),
                (5 | 7 | 8, Kind::Struct) => header.inner(wire, id)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (Some(code), (Some(unpacked), Some(packed))) = (code, sizes) else {
            return Err(Broken::Malformed("the header of a page is incomplete"));
        };
        header.unpacked = unpacked;
        header.packed = packed;
        header.kind = match code {
            0 => PageKind::Data,
            2 => PageKind::Dictionary,
            3 => PageKind::DataV2,
            _ => PageKind::Other,
        };
        if header.levels > packed.min(unpacked) {
            return Err(Broken::Malformed("the levels of a page are longer than the page"));
        }
        Ok((header, wire.position()))
    }

    fn inner(&mut self, wire: &mut Wire<'_>, outer: i16) -> Result<(), Broken> {
        let encoding = if outer == 8 { 4 } else { 2 };
        let mut repetition = 0;
        wire.fields(&mut |wire, id, kind| {
            match (outer, id, kind) {
                (_, 1, Kind::Integer) => self.cells = wire.count()?,
                (_, id, Kind::Integer) if id == encoding => self.encoding = wire.integer()?,
                (8, 5, Kind::Integer) => self.levels = size(wire)?,
                (8, 6, Kind::Integer) => repetition = size(wire)?,
                (8, 7, Kind::False) => self.is_packed = false,
                (5, 3, Kind::Integer) if wire.integer()? != RLE => {
                    return Err(Broken::Unsupported(
                        "the levels are encoded in the old way (BIT_PACKED)",
                        "write the file again with a program of the last ten years",
                    ));
                }
                (5, 3, Kind::Integer) => {}
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if repetition > 0 {
            return Err(Broken::Malformed("a column without lists has levels of repetition"));
        }
        Ok(())
    }

    /// Holds the page against its checksum, where it has one.
    pub(super) fn check(&self, packed: &[u8]) -> Result<(), Broken> {
        let Some(wanted) = self.checksum else { return Ok(()) };
        let mut sum = flate2::Crc::new();
        sum.update(packed);
        if sum.sum() == wanted { Ok(()) } else { Err(Broken::Malformed("a checksum is wrong")) }
    }
}

/// The tools that unpack pages, kept from page to page.
#[derive(Default)]
pub(super) struct Unpacker {
    snappy: snap::raw::Decoder,
    zstd: Option<zstd_safe::DCtx<'static>>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Appends what `packed` unpacks to, which is `unpacked` bytes, to `page`. The caller has held
    /// that number against its limit.
    ///
    /// A panic in one of the crates that unpack is a damaged page.
    pub(super) fn unpack(
        &mut self,
        codec: Codec,
        packed: &[u8],
        unpacked: usize,
        page: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let guarded = AssertUnwindSafe(|| self.unpack_unguarded(codec, packed, unpacked, page));
        catch_unwind(guarded).unwrap_or_else(|_| {
            // What the tools hold may be broken; new ones are made.
            *self = Self::default();
            Err(UNPACKED)
        })
    }

    fn unpack_unguarded(
        &mut self,
        codec: Codec,
        packed: &[u8],
        unpacked: usize,
        page: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let before = page.len();
        page.try_reserve_exact(unpacked).map_err(|_| MEMORY)?;
        let whole = before + unpacked;
        match codec {
            Codec::None => page.extend_from_slice(packed),
            Codec::Snappy => {
                if snap::raw::decompress_len(packed).ok() != Some(unpacked) {
                    return Err(UNPACKED);
                }
                page.resize(whole, 0);
                let into = page.get_mut(before..).unwrap_or_default();
                self.snappy.decompress(packed, into).map_err(|_| UNPACKED)?;
            }
            Codec::Gzip => {
                page.resize(whole, 0);
                let mut gzip = flate2::read::MultiGzDecoder::new(packed);
                let into = page.get_mut(before..).unwrap_or_default();
                gzip.read_exact(into).map_err(|_| UNPACKED)?;
                if gzip.read(&mut [0]).map_err(|_| UNPACKED)? > 0 {
                    return Err(UNPACKED);
                }
            }
            Codec::Zstd => {
                page.resize(whole, 0);
                let into = page.get_mut(before..).unwrap_or_default();
                if self.zstd.is_none() {
                    self.zstd = Some(zstd_safe::DCtx::try_create().ok_or(MEMORY)?);
                }
                let Some(decoder) = &mut self.zstd else { return Err(MEMORY) };
                // In one call from the whole page into the whole buffer: whatever window a frame
                // asks for, none is allocated.
                let written = decoder.decompress(into, packed).map_err(|_| UNPACKED)?;
                page.truncate(before + written);
            }
            Codec::Other => {
                return Err(Broken::Unsupported(
                    "the pages are packed with a codec that is not read here",
                    "write the file with zstd, snappy, gzip or none",
                ));
            }
        }
        if page.len() == whole { Ok(()) } else { Err(UNPACKED) }
    }
}

fn size(wire: &mut Wire<'_>) -> Result<usize, Broken> {
    usize::try_from(wire.count()?).map_err(|_| Broken::Malformed("a size is too large"))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the same 32 bits")]
fn bits(value: i64) -> u32 {
    value as u32
}

pub(super) const PLAIN: i64 = 0;
pub(super) const PLAIN_DICTIONARY: i64 = 2;
pub(super) const RLE: i64 = 3;
pub(super) const DELTA_BINARY: i64 = 5;
pub(super) const DELTA_LENGTHS: i64 = 6;
pub(super) const DELTA_BYTES: i64 = 7;
pub(super) const RLE_DICTIONARY: i64 = 8;
pub(super) const SPLIT: i64 = 9;

const MEMORY: Broken = Broken::Unsupported("memory is full", "write smaller pages");
const UNPACKED: Broken = Broken::Malformed("a page does not unpack to the size that it says");
