//! Without std: what runs on a microcontroller, with a panic handler of its own.
#![no_std]

use crc::{Crc, CRC_16_IBM_SDLC};
use embedded_hal::digital::OutputPin;
use heapless::Vec;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

pub struct Frame {
    bytes: Vec<u8, 32>,
}

impl Frame {
    pub fn new(payload: &[u8]) -> Option<Frame> {
        let mut bytes = Vec::from_slice(payload).ok()?;
        let sum = Crc::<u16>::new(&CRC_16_IBM_SDLC).checksum(&bytes);
        bytes.extend_from_slice(&sum.to_be_bytes()).ok()?;
        Some(Frame { bytes })
    }

    pub fn send<P: OutputPin>(&self, pin: &mut P) -> Result<(), P::Error> {
        for byte in &self.bytes {
            for bit in 0..8 {
                if byte >> bit & 1 == 1 {
                    pin.set_high()?;
                } else {
                    pin.set_low()?;
                }
            }
        }
        Ok(())
    }
}

#[no_mangle]
pub extern "C" fn frame_length(payload: *const u8, n: usize) -> usize {
    let payload = unsafe { core::slice::from_raw_parts(payload, n) };
    Frame::new(payload).map_or(0, |f| f.bytes.len())
}
