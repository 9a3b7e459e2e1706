//! AMX: eight tiles of 16 rows of 64 bytes, and their product in bf16.
//!
//! The intrinsics are not stable yet, so the instructions are written out. The compiler uses no
//! tiles: what one block of assembly leaves in them would stay, yet each block here loads and
//! stores all it works on. Tiles are 8 KiB of state that the system saves for a thread, so Linux
//! wants to be asked for leave first, once for the process.

#![allow(clippy::unused_self, reason = "a value is the proof that the instructions are there")]

use super::multiply::Job;
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Proof that the processor has AMX with bf16, and that the system lets this process use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tiles(());

/// Tiles of this thread, configured; given back when dropped.
pub(crate) struct Configured(PhantomData<*const ()>);

/// Palette 1: all eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Palette {
    number: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static ALL_FULL: Palette = {
    let (mut bytes, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        bytes[tile] = 64;
        rows[tile] = 16;
        tile += 1;
    }
    Palette { number: 1, start_row: 0, reserved: [0; 14], bytes, rows }
};

impl Tiles {
    /// Asks processor and system once; `SEQUELA_AMX=off` does without.
    pub(crate) fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        let off = std::env::var_os("SEQUELA_AMX").is_some_and(|value| value == "off");
        (!off && *FOUND.get_or_init(|| in_processor() && granted())).then_some(Self(()))
    }

    /// Configures the tiles of this thread.
    #[inline(always)]
    pub(crate) fn configure(self) -> Configured {
        // SAFETY: `self` proves that the instruction is there and allowed; the palette is sound.
        unsafe {
            asm!("ldtilecfg [{palette}]", palette = in(reg) &raw const ALL_FULL,
                options(nostack, preserves_flags, readonly));
        }
        Configured(PhantomData)
    }
}

impl Drop for Configured {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: only a configured thread has a value of this type.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }
}

impl Configured {
    /// [`Job`] with four vectors in both runs.
    ///
    /// # Safety
    /// As [`Job`] says, for 16 rows and whole blocks of 16 pairs.
    #[inline(always)]
    pub(crate) unsafe fn four(&self, job: &Job) {
        // SAFETY: as the caller vouches; every tile is loaded before it is used.
        unsafe {
            asm!(
                "mov {p}, [{job}]",
                "mov {row}, [{job} + 8]",
                "tileloadd tmm0, [{p} + {row}*1]",
                "tileloadd tmm1, [{p} + {row}*1 + 64]",
                "tileloadd tmm2, [{p} + {row}*1 + 128]",
                "tileloadd tmm3, [{p} + {row}*1 + 192]",
                "mov {row}, [{job} + 32]",
                "mov {b_row:e}, 256",
                "mov {p}, [{job} + 40]",
                "mov {b}, [{job} + 48]",
                "mov {n}, [{job} + 56]",
                "test {n}, {n}",
                "jz 4f",
                "2:",
                "tileloadd tmm4, [{p} + {row}*1]",
                "tileloadd tmm5, [{b} + {b_row}*1]",
                "tdpbf16ps tmm0, tmm4, tmm5",
                "tileloadd tmm6, [{b} + {b_row}*1 + 64]",
                "tdpbf16ps tmm1, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {b_row}*1 + 128]",
                "tdpbf16ps tmm2, tmm4, tmm7",
                "tileloadd tmm5, [{b} + {b_row}*1 + 192]",
                "tdpbf16ps tmm3, tmm4, tmm5",
                "add {p}, 64",
                "add {b}, 4096",
                "dec {n}",
                "jnz 2b",
                "4:",
                // The second run, once.
                "mov {p}, [{job} + 72]",
                "mov {b}, [{job} + 80]",
                "mov {n}, {m}",
                "xor {m:e}, {m:e}",
                "test {n}, {n}",
                "jnz 2b",
                "mov {p}, [{job} + 16]",
                "mov {row}, [{job} + 24]",
                "tilestored [{p} + {row}*1], tmm0",
                "tilestored [{p} + {row}*1 + 64], tmm1",
                "tilestored [{p} + {row}*1 + 128], tmm2",
                "tilestored [{p} + {row}*1 + 192], tmm3",
                job = in(reg) job,
                m = inout(reg) job.runs[1].blocks => _,
                p = out(reg) _,
                row = out(reg) _,
                b = out(reg) _,
                b_row = out(reg) _,
                n = out(reg) _,
                options(nostack),
            );
        }
    }

    /// [`Job`] with three vectors in both runs: the first into sums 0 to 2, the second into sums
    /// 1 to 3.
    ///
    /// # Safety
    /// As [`Job`] says, for 16 rows and whole blocks of 16 pairs.
    #[inline(always)]
    pub(crate) unsafe fn three(&self, job: &Job) {
        // SAFETY: as the caller vouches; every tile is loaded before it is used.
        unsafe {
            asm!(
                "mov {p}, [{job}]",
                "mov {row}, [{job} + 8]",
                "tileloadd tmm0, [{p} + {row}*1]",
                "tileloadd tmm1, [{p} + {row}*1 + 64]",
                "tileloadd tmm2, [{p} + {row}*1 + 128]",
                "tileloadd tmm3, [{p} + {row}*1 + 192]",
                "mov {row}, [{job} + 32]",
                "mov {b_row:e}, 192",
                "mov {p}, [{job} + 40]",
                "mov {b}, [{job} + 48]",
                "mov {n}, [{job} + 56]",
                "test {n}, {n}",
                "jz 3f",
                "2:",
                "tileloadd tmm4, [{p} + {row}*1]",
                "tileloadd tmm5, [{b} + {b_row}*1]",
                "tdpbf16ps tmm0, tmm4, tmm5",
                "tileloadd tmm6, [{b} + {b_row}*1 + 64]",
                "tdpbf16ps tmm1, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {b_row}*1 + 128]",
                "tdpbf16ps tmm2, tmm4, tmm7",
                "add {p}, 64",
                "add {b}, 3072",
                "dec {n}",
                "jnz 2b",
                "3:",
                "mov {p}, [{job} + 72]",
                "mov {b}, [{job} + 80]",
                "mov {n}, [{job} + 88]",
                "test {n}, {n}",
                "jz 5f",
                "4:",
                "tileloadd tmm4, [{p} + {row}*1]",
                "tileloadd tmm5, [{b} + {b_row}*1]",
                "tdpbf16ps tmm1, tmm4, tmm5",
                "tileloadd tmm6, [{b} + {b_row}*1 + 64]",
                "tdpbf16ps tmm2, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {b_row}*1 + 128]",
                "tdpbf16ps tmm3, tmm4, tmm7",
                "add {p}, 64",
                "add {b}, 3072",
                "dec {n}",
                "jnz 4b",
                "5:",
                "mov {p}, [{job} + 16]",
                "mov {row}, [{job} + 24]",
                "tilestored [{p} + {row}*1], tmm0",
                "tilestored [{p} + {row}*1 + 64], tmm1",
                "tilestored [{p} + {row}*1 + 128], tmm2",
                "tilestored [{p} + {row}*1 + 192], tmm3",
                job = in(reg) job,
                p = out(reg) _,
                row = out(reg) _,
                b = out(reg) _,
                b_row = out(reg) _,
                n = out(reg) _,
                options(nostack),
            );
        }
    }
}

/// Whether the processor has tiles and their products in bf16.
fn in_processor() -> bool {
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    const TILES_PER_PALETTE: u32 = 8;
    __cpuid(0).eax >= 0x1e
        && __cpuid_count(7, 0).edx & BF16_AND_TILES == BF16_AND_TILES
        // Palette 1: 8 tiles of 1024 bytes, rows of 64 bytes, 16 of them.
        && __cpuid_count(0x1d, 1).ebx == TILES_PER_PALETTE << 16 | 64
        && __cpuid_count(0x1d, 1).ecx & 0xffff == 16
}

/// Whether the system grants the tiles to this process.
#[cfg(all(target_os = "linux", not(miri)))]
fn granted() -> bool {
    const REQUEST_PERMISSION: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers, touches no memory, and says by its result what it did.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn granted() -> bool {
    false
}
